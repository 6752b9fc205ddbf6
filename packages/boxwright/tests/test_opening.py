"""What an opened dataset keeps of its URI, and that errors of plugins are raised unchanged."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import boxwright
from boxwright import (
    DataError,
    Dataset,
    Detection,
    FormatSpec,
    LoaderSpec,
    MissingLibraryError,
    Option,
    Sample,
    UsageError,
)
from boxwright.datasets.detect import detect_format, detection_reasons
from boxwright.datasets.scan import Scan
from boxwright.plugins.registry import Registry


def test_options_reach_the_reader_and_stay_in_the_uri(
    toys: types.ModuleType, make_registry: Callable[..., Registry]
) -> None:
    """A run's config contains the URI of its held-out data, with which a resumed training opens it again."""
    got: dict[str, Any] = {}

    class Reader:
        def __init__(self, location: str, **options: Any) -> None:
            got.update(options, location=location)
            self.info = boxwright.DatasetInfo(format="xx", location=location)

        def read(self, on_problem: object) -> Iterator[Sample]:
            return iter(())

    toys.Reader = Reader  # type: ignore[attr-defined]
    options = (Option("one_based", bool), Option("images"))
    plugins = make_registry(FormatSpec(name="xx", load="toys:Reader", options=options))
    data = boxwright.open("xx:place?one_based=yes&images=my%20photos", registry=plugins)
    expected = {"location": "place", "one_based": True, "images": "my photos"}
    assert got == expected
    got.clear()
    assert boxwright.open(data.uri, registry=plugins).uri == data.uri
    assert got == expected
    with pytest.raises(UsageError, match="xx:place has no option 'image'"):
        boxwright.open("xx:place?image=1", registry=plugins)


def test_a_detector_that_returns_no_detection(toys: types.ModuleType, make_registry: Callable[..., Registry]) -> None:
    toys.odd, toys.good = (lambda place: True), (lambda place: Detection(True, "a .xy file"))  # type: ignore[attr-defined]
    plugins = make_registry(
        FormatSpec(name="odd", load="a:b", detect="toys:odd"), FormatSpec(name="good", load="a:b", detect="toys:good")
    )
    assert detect_format("a.xy", plugins) == "good"
    toys.good = lambda place: Detection(False, "no .xy file")  # type: ignore[attr-defined]
    assert detection_reasons("a.xy", plugins)["odd"] == Detection(False, "said True")
    with pytest.raises(DataError, match="file or folder not found"):
        detect_format("a.xy", plugins)


def test_the_digest_is_the_same_for_every_kind_of_number(sample: Callable[..., Sample]) -> None:
    """One reader returns integers, another floats, and a model NumPy's numbers."""
    digest = Scan.of([sample("a.jpg", ("fig", 0, 1, 5, 4))]).digest
    assert Scan.of([sample("a.jpg", ("fig", 0.0, np.float32(1), np.int64(5), np.float64(4)))]).digest == digest


def test_a_loader_of_a_custom_registry(make_registry: Callable[..., Registry], ground_truth: str) -> None:
    plugins = make_registry(LoaderSpec(name="gone", load="a:b", requires=("no_such_library",), install="pip it"))
    data = boxwright.open(ground_truth, registry=plugins)
    assert data.with_label_map(data.label_map).to_lists()[0][0] == "a.jpg"
    with pytest.raises(MissingLibraryError, match="run: pip it"):
        data.to_gone()


def test_an_error_inside_a_property_is_not_hidden() -> None:
    class Reader:
        info = boxwright.DatasetInfo(format="xx", location="xx")

        def read(self, on_problem: object) -> Iterator[Sample]:
            raise AttributeError("a bug in the reader")

    with pytest.raises(AttributeError, match="a bug in the reader"):
        Dataset(Reader()).label_map  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute 'lable_map'"):
        Dataset(Reader()).lable_map  # noqa: B018


def test_a_missing_location_is_reported() -> None:
    with pytest.raises(DataError) as caught:
        detect_format("no/such/place")
    assert (caught.value.message, caught.value.remedy) == ("no/such/place: file or folder not found", "check the path")
