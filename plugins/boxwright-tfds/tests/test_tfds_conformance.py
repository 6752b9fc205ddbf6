from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from boxwright.registry import Registry
from boxwright.specs import FormatSpec
from boxwright_testing import ReaderTests

pytestmark = pytest.mark.tensorflow
tfds = pytest.importorskip("tensorflow_datasets")
pytest.importorskip("tensorflow")


class TestTfds(ReaderTests):
    format = "tfds"
    remote = False

    @pytest.fixture(autouse=True)
    def fixtures(self, prepare: Callable[..., Path], encode: Callable[..., bytes]) -> None:
        self.prepare, self.encode = prepare, encode

    def make_dataset(self, registry: Registry, spec: FormatSpec, folder: Path) -> str:
        F = tfds.features
        objects = F.Sequence({"label": F.ClassLabel(names=["apple", "вишня"]), "bbox": F.BBoxFeature()})
        features = {"image": F.Image(), "image/filename": F.Text(), "objects": objects}
        box = {"label": 1, "bbox": F.BBox(0.1, 0.2, 0.5, 1.0)}
        picture = self.encode(40, 30)
        examples = [{"image": picture, "image/filename": f"{n}.jpg", "objects": [box] * n} for n in range(4)]
        return str(self.prepare(str(folder / "dataset"), features, {"train": examples[:3], "test": examples[3:]}))
