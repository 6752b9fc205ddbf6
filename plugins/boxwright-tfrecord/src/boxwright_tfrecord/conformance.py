"""The format in boxwright's conformance tests; imported by ``boxwright plugins check tfrecord`` only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from boxwright_testing import ReaderTests, WriterTests


class TestTFRecord(ReaderTests, WriterTests):
    """``tfrecord`` in one file."""

    format: ClassVar[str] = "tfrecord"
    tolerance: ClassVar[float] = 64 * 2**-24
    """Half of float32's spacing at the far edge of the images, 64 pixels."""
    attribute_examples: ClassVar[Mapping[str, Any]] = {"box.area": 425.5, "box.is_depiction": 1, "box.weight": 0.5}


class TestShards(WriterTests):
    """``tfrecord`` in several files, of which none has the dataset's name."""

    format: ClassVar[str] = "tfrecord"
    file_name: ClassVar[str] = "dataset.record@3"
    tolerance: ClassVar[float] = TestTFRecord.tolerance
    attribute_examples: ClassVar[Mapping[str, Any]] = TestTFRecord.attribute_examples


class TestGzip(TestTFRecord):
    """``tfrecord`` compressed."""

    file_name: ClassVar[str] = "dataset.record.gz"
