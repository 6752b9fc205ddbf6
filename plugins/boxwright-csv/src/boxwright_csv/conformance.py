"""How the formats are put to boxwright's conformance tests; imported by ``boxwright plugins check csv`` only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from boxwright import ConversionReport, Dataset, Sample
from boxwright.plugins import Registry
from boxwright_testing import ReaderTests, WriterTests


class DialectTests(ReaderTests, WriterTests):
    """What the dialects without sizes have in common: the pictures are measured, so that they have to be there."""

    file_name: ClassVar[str] = "labels.csv"

    def read_options(self, pictures: Path) -> Mapping[str, str]:
        """Says where the pictures are."""
        return {"images": str(pictures)}

    def write(
        self,
        registry: Registry,
        samples: Iterable[Sample] | Dataset,
        location: str,
        pictures: Path | None = None,
        **options: Any,
    ) -> ConversionReport:
        """Puts pictures that are only in memory where they will be measured."""
        if not isinstance(samples, Dataset):
            samples = list(samples)
            for image in [sample.image for sample in samples if sample.image.data is not None]:
                assert pictures is not None
                (pictures / image.name).write_bytes(image.read())
        return super().write(registry, samples, location, pictures, **options)


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


class TestRetinaNet(DialectTests):
    """``retinanet``."""

    format: ClassVar[str] = "retinanet"


class TestVia(DialectTests):
    """``via``."""

    format: ClassVar[str] = "via"
    tolerance: ClassVar[float] = 64 * 2**-52  # the width that gives xmax again may lie between two floats
