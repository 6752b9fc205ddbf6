"""The conformance tests of the formats; imported only by ``boxwright plugins check panlabel``.

The class of a format defines its special cases.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from boxwright import Boxes, Sample
from boxwright.plugins import FormatSpec, Registry
from boxwright_panlabel.bridges import Bridge
from boxwright_panlabel.table import BRIDGES
from boxwright_testing import FormatTests, ReaderTests, RoundTripTests, WriterTests, make_sample

ONE_WORD = ("apple", "red,ripe", 'the-"big"-one', "вишня", "a<b&c")


class PanlabelTests(FormatTests):
    """The common part of the formats of panlabel."""

    tolerance: ClassVar[float] = 1e-9

    @property
    def bridge(self) -> Bridge:
        """The description of the format."""
        return BRIDGES[self.format]

    def adapted(self, sample: Sample) -> Sample:
        """Returns the sample with the only label, and without spaces, if the format requires it."""
        bridge, boxes = self.bridge, sample.boxes
        if bridge.label or not bridge.spaces:
            labels = [bridge.label or label.replace(" ", "-") for label in boxes.labels]
            sample = sample.replace(boxes=Boxes(labels, boxes.coordinates, boxes.attributes))
        if bridge.names != "spaceless":
            return sample
        return sample.replace(image=sample.image.model_copy(update={"name": sample.image.name.replace(" ", "-")}))

    def many(self, images: Path, count: int) -> Iterator[Sample]:
        """Writes each image under its own name, for formats that measure them."""
        for sample in super().many(images, count):
            # Not by pathlib, which interns every name: the table of interned strings counts as memory.
            with open(os.path.join(images, sample.image.name), "wb") as file:
                file.write(sample.image.read())
            yield sample

    def location(self, spec: FormatSpec, folder: Path) -> str:
        """Returns a location with the suffix by which panlabel identifies the format."""
        return str(folder / f"dataset{self.bridge.endings[0] if spec.target == 'file' else ''}")

    def read_options(self, images: Path) -> Mapping[str, str]:
        """Returns the option that names the folder of the images, if they must be measured and are elsewhere."""
        return {} if self.bridge.sizes == "stated" or self.bridge.image_folder is not None else {"images": str(images)}


class FullTests(PanlabelTests, ReaderTests, WriterTests):
    """A format that is tested in full. The others share its code, and differ in the table."""


class TableTests(PanlabelTests, RoundTripTests):
    """A format whose entry in the table is tested: a dataset is written, read back and compared."""

    def option_values(self, spec: FormatSpec) -> Iterator[tuple[str, str]]:
        """Skips ``pictures=false`` if images are measured and the samples were renamed: no image has the new name."""
        measured = self.bridge.sizes != "stated" and self.bridge.names == "spaceless"
        return (each for each in super().option_values(spec) if not measured or each[0] != "pictures")


class ReadOnlyTests(ReaderTests):
    """A format that can only be read."""

    @pytest.mark.slow
    def test_altered_files_are_read_or_refused(self, registry: Registry, spec: FormatSpec, tmp_path: Path) -> None:
        """Skipped by default: hundreds of processes, which the formats that are tested in full start every time."""
        super().test_altered_files_are_read_or_refused(registry, spec, tmp_path)


class TestIrJson(TableTests):
    """``ir-json``."""

    format: ClassVar[str] = "ir-json"


class TestAutomlVision(FullTests):
    """``automl-vision``."""

    format: ClassVar[str] = "automl-vision"


class TestBdd100k(TableTests):
    """``bdd100k``."""

    format: ClassVar[str] = "bdd100k"


class TestEdgeImpulse(TableTests):
    """``edge-impulse``."""

    format: ClassVar[str] = "edge-impulse"


class TestHf(TableTests):
    """``hf``."""

    format: ClassVar[str] = "hf"


class TestIbm(TableTests):
    """``ibm-cloud-annotations``."""

    format: ClassVar[str] = "ibm-cloud-annotations"


class TestKaggleWheat(FullTests):
    """``kaggle-wheat``."""

    format: ClassVar[str] = "kaggle-wheat"
    labels: ClassVar[Sequence[str]] = ("wheat_head",) * 5


class TestLabelbox(TableTests):
    """``labelbox``."""

    format: ClassVar[str] = "labelbox"


class TestOidv4(TableTests):
    """``oidv4``."""

    format: ClassVar[str] = "oidv4"
    labels: ClassVar[Sequence[str]] = ONE_WORD
    subfolders: ClassVar[bool] = False


class TestOpenLabel(TableTests):
    """``openlabel``."""

    format: ClassVar[str] = "openlabel"


class TestSagemaker(FullTests):
    """``sagemaker``."""

    format: ClassVar[str] = "sagemaker"
    attribute_examples: ClassVar[Mapping[str, Any]] = {"image.depth": 1}


class TestScaleAi(TableTests):
    """``scale-ai``."""

    format: ClassVar[str] = "scale-ai"


class TestSuperAnnotate(TableTests):
    """``superannotate``."""

    format: ClassVar[str] = "superannotate"


class TestSupervisely(FullTests):
    """``supervisely``."""

    format: ClassVar[str] = "supervisely"


class TestTfod(TableTests):
    """``tfod``."""

    format: ClassVar[str] = "tfod"


class TestUnity(TableTests):
    """``unity-perception``."""

    format: ClassVar[str] = "unity-perception"
    attribute_examples: ClassVar[Mapping[str, Any]] = {
        "image.sequence": 3,
        "image.step": 4,
        "image.frame": 5,
        "image.timestamp": 0.25,
    }


class TestV7(TableTests):
    """``v7-darwin``."""

    format: ClassVar[str] = "v7-darwin"


class TestVottJson(TableTests):
    """``vott-json``."""

    format: ClassVar[str] = "vott-json"


class TestWiderFace(TableTests):
    """``wider-face``."""

    format: ClassVar[str] = "wider-face"
    labels: ClassVar[Sequence[str]] = ("face",) * 5
    attribute_examples: ClassVar[Mapping[str, Any]] = {
        f"box.{name}": 1 for name in ("atypical_pose", "blur", "expression", "illumination", "invalid", "occluded")
    }


class TestYoloKeras(TableTests):
    """``yolo-keras``."""

    format: ClassVar[str] = "yolo-keras"


class TestYoloV4(TableTests):
    """``yolov4-pytorch``."""

    format: ClassVar[str] = "yolov4-pytorch"


class TestCityscapes(ReadOnlyTests):
    """``cityscapes``."""

    format: ClassVar[str] = "cityscapes"

    def make_dataset(self, registry: Registry, spec: FormatSpec, folder: Path) -> str:
        """Creates a dataset with three images."""
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
        """Creates a dataset with three images."""
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
        """Creates a dataset with three images."""
        rows = ["image,xmin,ymin,xmax,ymax,label"]
        for number in range(3):
            make_sample(folder / "dataset", f"{number}.png", (40, 30))
            rows.append(f"{number}.png,1,2,30,20.5,fig")
        (folder / "dataset" / "export.csv").write_text("\n".join(rows))
        return str(folder / "dataset" / "export.csv")


class TestKitti(ReaderTests, WriterTests):
    """``kitti``."""

    format: ClassVar[str] = "kitti"
    labels: ClassVar[Sequence[str]] = ONE_WORD
    subfolders: ClassVar[bool] = False
    empty_file: ClassVar[bool] = True
    attribute_examples: ClassVar[Mapping[str, Any]] = {
        "box.truncated": 0.5,
        "box.occluded": 2,
        "box.alpha": 1.25,
        "box.dimensions": [1.5, 1.6, 3.9],
        "box.location": [-2.0, 1.5, 30.25],
        "box.rotation_y": -1.5,
    }

    def adapted(self, sample: Sample) -> Sample:
        """Returns the sample without spaces in labels, which end a field."""
        labels = [label.replace(" ", "-") for label in sample.boxes.labels]
        return sample.replace(boxes=Boxes(labels, sample.boxes.coordinates, sample.boxes.attributes))
