"""Every format goes through the conformance suite; what is special of one is set in its class."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from boxwright import Box, Sample
from boxwright.registry import Registry
from boxwright.specs import FormatSpec
from boxwright_panlabel.bridges import Bridge
from boxwright_panlabel.table import BRIDGES
from boxwright_testing import ReaderTests, WriterTests
from boxwright_testing.comparison import differences, observed_losses
from boxwright_testing.damages import damages
from boxwright_testing.pictures import make_sample

pytest.importorskip("panlabel")


ONE_WORD = ("apple", "red,ripe", 'the-"big"-one', "вишня", "a<b&c")


class BridgeTests(ReaderTests, WriterTests):
    tolerance = 1e-9

    @pytest.fixture(autouse=True)
    def suited(self, suit: Callable[..., None]) -> None:
        bridge = self.bridge
        suit(
            label=lambda label: bridge.label or (label if bridge.spaces else label.replace(" ", "-")),
            name=lambda name: name.replace(" ", "-") if bridge.names == "spaceless" else name,
        )

    @property
    def bridge(self) -> Bridge:
        return BRIDGES[self.format]

    def location(self, spec: FormatSpec, folder: Path) -> str:
        return str(folder / f"dataset{self.bridge.endings[0] if spec.target == 'file' else ''}")

    def read_options(self, pictures: Path) -> Mapping[str, str]:
        return {} if self.bridge.sizes == "stated" or self.bridge.pictures is not None else {"images": str(pictures)}

    def option_values(self, spec: FormatSpec) -> Iterator[tuple[str, str]]:
        """Not without pictures where they are measured and the samples were renamed: no picture has the new name."""
        measured = self.bridge.sizes != "stated" and self.bridge.names == "spaceless"
        return (each for each in super().option_values(spec) if not measured or each[0] != "pictures")

    @pytest.mark.slow
    def test_altered_files_are_read_or_refused(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """Hundreds of processes a format; :class:`AlteredTests` does it every time for some of them."""
        super().test_altered_files_are_read_or_refused(registry, spec, tmp_path)


class AlteredTests(BridgeTests):
    def test_altered_files_are_read_or_refused(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        super().test_altered_files_are_read_or_refused(registry, spec, tmp_path)


class UnorderedTests(BridgeTests):
    """A format that gives a picture's boxes in another order: they are compared sorted."""

    @pytest.fixture(autouse=True)
    def order_is_no_matter(self, everywhere: Callable[[str, object], None]) -> None:
        everywhere("differences", lambda one, two, **more: differences(_sorted(one), _sorted(two), **more))
        everywhere("observed_losses", lambda one, two, *more: observed_losses(_sorted(one), _sorted(two), *more))


def _sorted(samples: Sequence[Sample]) -> list[Sample]:
    def place(box: Box) -> list[float]:
        return [round(edge, 6) for edge in box.edges]

    return [sample.replace(boxes=sorted(sample.boxes, key=place)) for sample in samples]


class EmptyTests(BridgeTests):
    """A format in which an empty file is a picture without boxes."""

    @pytest.fixture(autouse=True)
    def empty_is_right(self, everywhere: Callable[[str, object], None]) -> None:
        everywhere("damages", without_emptied)


def without_emptied(whole: bytes) -> Iterator[Any]:
    return (each for each in damages(whole) if each[0] != "emptied")


class TestIrJson(AlteredTests):
    format = "ir-json"


class TestAutomlVision(BridgeTests):
    format = "automl-vision"


class TestBdd100k(BridgeTests):
    format = "bdd100k"


class TestCvat(AlteredTests):
    format = "cvat"


class TestDatumaro(BridgeTests):
    format = "datumaro"


class TestEdgeImpulse(BridgeTests):
    format = "edge-impulse"


class TestHf(BridgeTests):
    format = "hf"


class TestIbm(BridgeTests):
    format = "ibm-cloud-annotations"


class TestKaggleWheat(BridgeTests):
    format = "kaggle-wheat"
    labels = ("wheat_head",) * 5


class TestLabelStudio(UnorderedTests):
    format = "label-studio"
    subfolders = False


class TestLabelbox(BridgeTests):
    format = "labelbox"


class TestLabelme(AlteredTests):
    format = "labelme"


class TestOidv4(EmptyTests):
    format = "oidv4"
    labels = ONE_WORD
    subfolders = False


class TestOpenLabel(BridgeTests):
    format = "openlabel"


class TestSagemaker(AlteredTests):
    format = "sagemaker"
    attribute_examples = {"image.depth": 1}


class TestScaleAi(BridgeTests):
    format = "scale-ai"


class TestSuperAnnotate(BridgeTests):
    format = "superannotate"


class TestSupervisely(AlteredTests):
    format = "supervisely"


class TestTfod(BridgeTests):
    format = "tfod"


class TestUnity(BridgeTests):
    format = "unity-perception"
    attribute_examples = {"image.sequence": 3, "image.step": 4, "image.frame": 5, "image.timestamp": 0.25}


class TestV7(BridgeTests):
    format = "v7-darwin"


class TestViaJson(BridgeTests):
    format = "via-json"


class TestVottJson(BridgeTests):
    format = "vott-json"


class TestWiderFace(AlteredTests):
    format = "wider-face"
    labels = ("face",) * 5
    attribute_examples = {
        f"box.{name}": 1 for name in ("atypical_pose", "blur", "expression", "illumination", "invalid", "occluded")
    }


class TestYoloKeras(BridgeTests):
    format = "yolo-keras"


class TestYoloV4(BridgeTests):
    format = "yolov4-pytorch"


class ReadOnlyTests(ReaderTests):
    @pytest.mark.slow
    def test_altered_files_are_read_or_refused(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        super().test_altered_files_are_read_or_refused(registry, spec, tmp_path)


class TestCityscapes(ReadOnlyTests):
    format = "cityscapes"

    def make_dataset(self, registry: Registry, spec: FormatSpec, folder: Path) -> str:
        polygon = {"label": "car", "polygon": [[10, 20], [100, 25], [60, 90]]}
        city = folder / "dataset" / "gtFine" / "val" / "aachen"
        city.mkdir(parents=True)
        for number in range(3):
            content = {"imgHeight": 1024, "imgWidth": 2048, "objects": [polygon]}
            (city / f"aachen_{number:06d}_000019_gtFine_polygons.json").write_text(json.dumps(content))
        return str(folder / "dataset")


class TestMarmot(ReadOnlyTests):
    format = "marmot"

    def make_dataset(self, registry: Registry, spec: FormatSpec, folder: Path) -> str:
        page = " ".join(struct.pack(">d", value).hex() for value in (0, 792, 612, 0))
        text = f'<Page CropBox="{page}"><Composites Label="Table"><Composite BBox="{page}"/></Composites></Page>'
        for number in range(3):
            make_sample(folder / "dataset", f"{number}.png", (40, 30))
            (folder / "dataset" / f"{number}.xml").write_text(text)
        return str(folder / "dataset")


class TestVottCsv(ReadOnlyTests):
    format = "vott-csv"

    def make_dataset(self, registry: Registry, spec: FormatSpec, folder: Path) -> str:
        rows = ["image,xmin,ymin,xmax,ymax,label"]
        for number in range(3):
            make_sample(folder / "dataset", f"{number}.png", (40, 30))
            rows.append(f"{number}.png,1,2,30,20.5,fig")
        (folder / "dataset" / "export.csv").write_text("\n".join(rows))
        return str(folder / "dataset" / "export.csv")


class TestKitti(ReaderTests, WriterTests):
    format = "kitti"
    labels = ONE_WORD
    subfolders = False
    attribute_examples = {
        "box.truncated": 0.5,
        "box.occluded": 2,
        "box.alpha": 1.25,
        "box.dimensions": [1.5, 1.6, 3.9],
        "box.location": [-2.0, 1.5, 30.25],
        "box.rotation_y": -1.5,
    }

    @pytest.fixture(autouse=True)
    def suited(self, suit: Callable[..., None], everywhere: Callable[[str, object], None]) -> None:
        everywhere("damages", without_emptied)
        suit(label=lambda label: label.replace(" ", "-"))
