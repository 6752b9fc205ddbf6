"""How the formats are put to boxwright's conformance tests; imported by ``boxwright plugins check panlabel`` only.

What is special of a format is set in its class.
"""

from __future__ import annotations

import json
import os
import struct
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from boxwright import Box, Boxes, Sample
from boxwright.registry import Registry
from boxwright.specs import FormatSpec
from boxwright_panlabel.bridges import Bridge
from boxwright_panlabel.table import BRIDGES
from boxwright_testing import ReaderTests, SpecTests, WriterTests, pictures
from boxwright_testing.comparison import differences, observed_losses
from boxwright_testing.damages import damages
from boxwright_testing.pictures import make_sample

ONE_WORD = ("apple", "red,ripe", 'the-"big"-one', "вишня", "a<b&c")


class Suited(SpecTests):
    """The suite, with fixtures by which a format has samples that it can hold."""

    @pytest.fixture
    def suit(self, everywhere: Callable[[str, object], None]) -> Callable[..., None]:
        """``suit(label=..., name=...)``: the suite's own samples with labels and names that a narrow format can hold.

        Each of the many pictures lies under its own name, too, for formats that have their sizes from there.
        """

        def changed(sample: Sample, label: Callable[[str], str], name: Callable[[str], str]) -> Sample:
            boxes = Boxes([label(each) for each in sample.boxes.labels], sample.boxes.edges, sample.boxes.attributes)
            return sample.replace(boxes=boxes, image=sample.image.model_copy(update={"name": name(sample.image.name)}))

        def patch(label: Callable[[str], str] = str, name: Callable[[str], str] = str) -> None:
            many, standard = pictures.many_samples, pictures.standard_samples

            def many_samples(folder: Path, count: int) -> Iterator[Sample]:
                for sample in many(folder, count):
                    # Not by pathlib, which interns every name: the table of interned strings counts as memory.
                    with open(os.path.join(folder, sample.image.name), "wb") as file:
                        file.write(sample.image.read())
                    yield changed(sample, label, name)

            def standard_samples(*arguments: Any, **options: Any) -> list[Sample]:
                return [changed(sample, label, name) for sample in standard(*arguments, **options)]

            everywhere("many_samples", many_samples)
            everywhere("standard_samples", standard_samples)

        return patch

    @pytest.fixture
    def everywhere(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, object], None]:
        """``everywhere(name, function)``: another function of that name in every module of the suite that uses it."""

        def patch(name: str, function: object) -> None:
            for module in [module for key, module in sys.modules.items() if key.startswith("boxwright_testing.")]:
                if hasattr(module, name):
                    monkeypatch.setattr(module, name, function)

        return patch


class BridgeTests(Suited, ReaderTests, WriterTests):
    """What the formats of panlabel have in common."""

    tolerance: ClassVar[float] = 1e-9

    @pytest.fixture(autouse=True)
    def suited(self, suit: Callable[..., None]) -> None:
        """Gives samples that the format can hold."""
        bridge = self.bridge
        suit(
            label=lambda label: bridge.label or (label if bridge.spaces else label.replace(" ", "-")),
            name=lambda name: name.replace(" ", "-") if bridge.names == "spaceless" else name,
        )

    @property
    def bridge(self) -> Bridge:
        """What is known of the format."""
        return BRIDGES[self.format]

    def location(self, spec: FormatSpec, folder: Path) -> str:
        """Under the ending that panlabel knows the format by."""
        return str(folder / f"dataset{self.bridge.endings[0] if spec.target == 'file' else ''}")

    def read_options(self, pictures: Path) -> Mapping[str, str]:
        """Says where the pictures are, where they have to be measured and lie elsewhere."""
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
    """A format of which altered files are tried every time."""

    def test_altered_files_are_read_or_refused(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """A format of each kind of file is tried every time."""
        super().test_altered_files_are_read_or_refused(registry, spec, tmp_path)


class UnorderedTests(BridgeTests):
    """A format that gives a picture's boxes in another order: they are compared sorted."""

    @pytest.fixture(autouse=True)
    def order_is_no_matter(self, everywhere: Callable[[str, object], None]) -> None:
        """Has samples compared by boxes that are sorted."""
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
        """Takes an emptied file for what it is here."""
        everywhere("damages", without_emptied)


def without_emptied(whole: bytes) -> Iterator[Any]:
    """Every damage but that of a file that was emptied."""
    return (each for each in damages(whole) if each[0] != "emptied")


class TestIrJson(AlteredTests):
    """``ir-json``."""

    format: ClassVar[str] = "ir-json"


class TestAutomlVision(BridgeTests):
    """``automl-vision``."""

    format: ClassVar[str] = "automl-vision"


class TestBdd100k(BridgeTests):
    """``bdd100k``."""

    format: ClassVar[str] = "bdd100k"


class TestCvat(AlteredTests):
    """``cvat``."""

    format: ClassVar[str] = "cvat"


class TestDatumaro(BridgeTests):
    """``datumaro``."""

    format: ClassVar[str] = "datumaro"


class TestEdgeImpulse(BridgeTests):
    """``edge-impulse``."""

    format: ClassVar[str] = "edge-impulse"


class TestHf(BridgeTests):
    """``hf``."""

    format: ClassVar[str] = "hf"


class TestIbm(BridgeTests):
    """``ibm-cloud-annotations``."""

    format: ClassVar[str] = "ibm-cloud-annotations"


class TestKaggleWheat(BridgeTests):
    """``kaggle-wheat``."""

    format: ClassVar[str] = "kaggle-wheat"
    labels: ClassVar[Sequence[str]] = ("wheat_head",) * 5


class TestLabelStudio(UnorderedTests):
    """``label-studio``."""

    format: ClassVar[str] = "label-studio"
    subfolders: ClassVar[bool] = False


class TestLabelbox(BridgeTests):
    """``labelbox``."""

    format: ClassVar[str] = "labelbox"


class TestLabelme(AlteredTests):
    """``labelme``."""

    format: ClassVar[str] = "labelme"


class TestOidv4(EmptyTests):
    """``oidv4``."""

    format: ClassVar[str] = "oidv4"
    labels: ClassVar[Sequence[str]] = ONE_WORD
    subfolders: ClassVar[bool] = False


class TestOpenLabel(BridgeTests):
    """``openlabel``."""

    format: ClassVar[str] = "openlabel"


class TestSagemaker(AlteredTests):
    """``sagemaker``."""

    format: ClassVar[str] = "sagemaker"
    attribute_examples: ClassVar[Mapping[str, Any]] = {"image.depth": 1}


class TestScaleAi(BridgeTests):
    """``scale-ai``."""

    format: ClassVar[str] = "scale-ai"


class TestSuperAnnotate(BridgeTests):
    """``superannotate``."""

    format: ClassVar[str] = "superannotate"


class TestSupervisely(AlteredTests):
    """``supervisely``."""

    format: ClassVar[str] = "supervisely"


class TestTfod(BridgeTests):
    """``tfod``."""

    format: ClassVar[str] = "tfod"


class TestUnity(BridgeTests):
    """``unity-perception``."""

    format: ClassVar[str] = "unity-perception"
    attribute_examples: ClassVar[Mapping[str, Any]] = {
        "image.sequence": 3,
        "image.step": 4,
        "image.frame": 5,
        "image.timestamp": 0.25,
    }


class TestV7(BridgeTests):
    """``v7-darwin``."""

    format: ClassVar[str] = "v7-darwin"


class TestViaJson(BridgeTests):
    """``via-json``."""

    format: ClassVar[str] = "via-json"


class TestVottJson(BridgeTests):
    """``vott-json``."""

    format: ClassVar[str] = "vott-json"


class TestWiderFace(AlteredTests):
    """``wider-face``."""

    format: ClassVar[str] = "wider-face"
    labels: ClassVar[Sequence[str]] = ("face",) * 5
    attribute_examples: ClassVar[Mapping[str, Any]] = {
        f"box.{name}": 1 for name in ("atypical_pose", "blur", "expression", "illumination", "invalid", "occluded")
    }


class TestYoloKeras(BridgeTests):
    """``yolo-keras``."""

    format: ClassVar[str] = "yolo-keras"


class TestYoloV4(BridgeTests):
    """``yolov4-pytorch``."""

    format: ClassVar[str] = "yolov4-pytorch"


class ReadOnlyTests(ReaderTests):
    """A format that is only read."""

    @pytest.mark.slow
    def test_altered_files_are_read_or_refused(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """A format of each kind of file is tried every time."""
        super().test_altered_files_are_read_or_refused(registry, spec, tmp_path)


class TestCityscapes(ReadOnlyTests):
    """``cityscapes``."""

    format: ClassVar[str] = "cityscapes"

    def make_dataset(self, registry: Registry, spec: FormatSpec, folder: Path) -> str:
        """Three pictures, laid out by hand."""
        polygon = {"label": "car", "polygon": [[10, 20], [100, 25], [60, 90]]}
        city = folder / "dataset" / "gtFine" / "val" / "aachen"
        city.mkdir(parents=True)
        for number in range(3):
            content = {"imgHeight": 1024, "imgWidth": 2048, "objects": [polygon]}
            (city / f"aachen_{number:06d}_000019_gtFine_polygons.json").write_text(json.dumps(content))
        return str(folder / "dataset")


class TestMarmot(ReadOnlyTests):
    """``marmot``."""

    format: ClassVar[str] = "marmot"

    def make_dataset(self, registry: Registry, spec: FormatSpec, folder: Path) -> str:
        """Three pictures, laid out by hand."""
        page = " ".join(struct.pack(">d", value).hex() for value in (0, 792, 612, 0))
        text = f'<Page CropBox="{page}"><Composites Label="Table"><Composite BBox="{page}"/></Composites></Page>'
        for number in range(3):
            make_sample(folder / "dataset", f"{number}.png", (40, 30))
            (folder / "dataset" / f"{number}.xml").write_text(text)
        return str(folder / "dataset")


class TestVottCsv(ReadOnlyTests):
    """``vott-csv``."""

    format: ClassVar[str] = "vott-csv"

    def make_dataset(self, registry: Registry, spec: FormatSpec, folder: Path) -> str:
        """Three pictures, laid out by hand."""
        rows = ["image,xmin,ymin,xmax,ymax,label"]
        for number in range(3):
            make_sample(folder / "dataset", f"{number}.png", (40, 30))
            rows.append(f"{number}.png,1,2,30,20.5,fig")
        (folder / "dataset" / "export.csv").write_text("\n".join(rows))
        return str(folder / "dataset" / "export.csv")


class TestKitti(Suited, ReaderTests, WriterTests):
    """``kitti``."""

    format: ClassVar[str] = "kitti"
    labels: ClassVar[Sequence[str]] = ONE_WORD
    subfolders: ClassVar[bool] = False
    attribute_examples: ClassVar[Mapping[str, Any]] = {
        "box.truncated": 0.5,
        "box.occluded": 2,
        "box.alpha": 1.25,
        "box.dimensions": [1.5, 1.6, 3.9],
        "box.location": [-2.0, 1.5, 30.25],
        "box.rotation_y": -1.5,
    }

    @pytest.fixture(autouse=True)
    def suited(self, suit: Callable[..., None], everywhere: Callable[[str, object], None]) -> None:
        """Gives samples that the format can hold; an empty file is a picture without boxes."""
        everywhere("damages", without_emptied)
        suit(label=lambda label: label.replace(" ", "-"))
