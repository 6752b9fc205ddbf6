"""The conformance tests of the formats; imported only by ``boxwright plugins check csv``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from boxwright import ConversionReport, Dataset, Sample
from boxwright.plugins import FormatSpec, Registry
from boxwright_testing import ReaderTests, WriterTests, draw_image


class DialectTests(ReaderTests, WriterTests):
    """The common part of the dialects without sizes, whose images must exist to be measured."""

    file_name: ClassVar[str] = "labels.csv"

    def read_options(self, images: Path) -> Mapping[str, str]:
        """Returns the option that names the folder of the images."""
        return {"images": str(images)}

    def write(
        self,
        registry: Registry,
        samples: Iterable[Sample] | Dataset,
        location: str,
        images: Path | None = None,
        **options: Any,
    ) -> ConversionReport:
        """Writes images that are only in memory to the folder where they are measured."""
        if not isinstance(samples, Dataset):
            samples = list(samples)
            for image in [sample.image for sample in samples if sample.image.data is not None]:
                assert images is not None
                (images / image.name).write_bytes(image.read())
        return super().write(registry, samples, location, images, **options)


class TestOpenImages(DialectTests):
    """``openimages``."""

    format: ClassVar[str] = "openimages"
    tolerance: ClassVar[float] = 1e-12  # dividing by the size and multiplying again rounds twice
    attribute_examples: ClassVar[Mapping[str, Any]] = {
        "box.is_depiction": 1,
        "box.is_inside": -1,
        "box.occluded": -1,
        "box.source": "xclick",
    }


class TestKerasYolo(ReaderTests):
    """``keras-yolo3``."""

    format: ClassVar[str] = "keras-yolo3"
    empty_file: ClassVar[bool] = True  # without a header, it is a dataset without images

    def make_dataset(self, registry: Registry, spec: FormatSpec, folder: Path) -> str:
        """Creates four images with zero to three boxes."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "_classes.txt").write_text("apple\nвишня\n", "utf-8")
        for number in range(4):
            draw_image(40, 30).save(folder / f"{number}.png")
        lines = (f"{number}.png{' 4,6,20,30,1' * number}\n" for number in range(4))
        (folder / "_annotations.txt").write_text("".join(lines), "utf-8")
        return str(folder / "_annotations.txt")


class TestRetinaNet(DialectTests):
    """``retinanet``."""

    format: ClassVar[str] = "retinanet"


class TestViaJson(DialectTests):
    """``via-json``."""

    format: ClassVar[str] = "via-json"
    file_name: ClassVar[str] = "annotations.json"
    tolerance: ClassVar[float] = 64 * 2**-52  # as for via


class TestVia(DialectTests):
    """``via``."""

    format: ClassVar[str] = "via"
    tolerance: ClassVar[float] = 64 * 2**-52  # the width that restores xmax may be between two floats

    def option_values(self, spec: FormatSpec) -> Iterator[tuple[str, str]]:
        """Leaves out projects, which are JSON."""
        return (pair for pair in super().option_values(spec) if pair[0] != "project")
