"""Dataset URIs, as users on any system write them."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from boxwright import DatasetURI, UsageError
from boxwright.storage.uri import base_name, is_remote, join, parent, with_suffix


@pytest.mark.parametrize(
    ("text", "format", "location", "options"),
    [
        ("labelimg:data/images/train", "labelimg", "data/images/train", {}),
        ("photos", None, "photos", {}),
        ("LabelImg:photos", "labelimg", "photos", {}),
        (r"C:\data", None, r"C:\data", {}),
        ("C:/data", None, "C:/data", {}),
        (r"labelimg:C:\data\train", "labelimg", r"C:\data\train", {}),
        ("csv:D:/labels.csv", "csv", "D:/labels.csv", {}),
        (r"\\server\share\photos", None, r"\\server\share\photos", {}),
        ("memory://out/a.csv", None, "memory://out/a.csv", {}),
        ("csv:s3://bucket/labels.csv", "csv", "s3://bucket/labels.csv", {}),
        ("tfds:voc/2007?split=train", "tfds", "voc/2007", {"split": "train"}),
        (
            "tfrecord:a@10.record?label_map=map.pbtxt&gzip=1",
            "tfrecord",
            "a@10.record",
            {"label_map": "map.pbtxt", "gzip": "1"},
        ),
        ("csv:a b.csv?images=my photos", "csv", "a b.csv", {"images": "my photos"}),
        ("csv:a.csv?images=a%26b%3Dc%25+d%20e", "csv", "a.csv", {"images": "a&b=c%+d e"}),
        ("csv:a.csv?x=1=2", "csv", "a.csv", {"x": "1=2"}),
        ("csv:a.csv?x=", "csv", "a.csv", {"x": ""}),
        ("csv:a.csv?x=C:\\photos", "csv", "a.csv", {"x": "C:\\photos"}),
        ("csv:a.csv?x=100%", "csv", "a.csv", {"x": "100%"}),
        ("x-y.z_2:a", "x-y.z_2", "a", {}),
        ("2024:photos", None, "2024:photos", {}),
        ("/data/a:b", None, "/data/a:b", {}),
        ("csv:Früchte/無花果.csv", "csv", "Früchte/無花果.csv", {}),
        ("csv:a%20b.csv", "csv", "a%20b.csv", {}),
    ],
)
def test_parts(text: str, format: str | None, location: str, options: dict[str, str]) -> None:
    parsed = DatasetURI.parse(text)
    assert (parsed.format, parsed.location, parsed.options) == (format, location, options)
    assert DatasetURI.parse(str(parsed)) == parsed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names no place"),
        ("labelimg:", "names no place"),
        ("csv:?x=1", "names no place"),
        ("csv:a.csv?", "'' has no value"),
        ("csv:a.csv?x", "'x' has no value"),
        ("csv:a.csv?=3", "'=3' has no value"),
        ("csv:a.csv?x=1&", "'' has no value"),
        ("csv:a.csv?x=1&y=2&x=3", "duplicate option 'x'"),
        ("csv:a.csv?x=1&%78=3", "duplicate option 'x'"),
        ("csv:a.csv?x=%ff", "is not UTF-8"),
    ],
)
def test_invalid_uris(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        DatasetURI.parse(text)
    assert caught.value.remedy
    assert caught.value.exit_code == 2


@given(
    st.text(min_size=1).filter(lambda text: "?" not in text and not text.startswith("//")),
    st.sampled_from(["labelimg", "csv", "tfds", "x2"]),
    st.dictionaries(st.text(min_size=1), st.text()),
)
def test_any_uri_can_be_written_and_read(location: str, format: str, options: dict[str, str]) -> None:
    uri = DatasetURI(location, format, options)
    assert DatasetURI.parse(str(uri)) == uri


def test_splits_are_filled_in() -> None:
    uri = DatasetURI.parse("tfrecord:{split}/data-{split}.record?gzip=1")
    assert uri.has_split
    assert str(uri.for_split("train")) == "tfrecord:train/data-train.record?gzip=1"
    assert not uri.for_split("train").has_split
    assert not DatasetURI.parse("csv:a.csv?x={split}").has_split


def test_locations() -> None:
    assert is_remote("s3://bucket/a")
    assert not is_remote(r"C:\a")
    assert join("a", "b.jpg") == "a/b.jpg"
    assert join("a/", "b.jpg") == "a/b.jpg"
    assert join("", "b.jpg") == join(".", "b.jpg") == "b.jpg"
    assert join("/", "b.jpg") == "/b.jpg"
    assert join("memory://", "b.jpg") == "memory://b.jpg"
    assert join("s3://bucket", "d/b.jpg") == "s3://bucket/d/b.jpg"


def test_locations_in_archives() -> None:
    """fsspec's chained URLs: the part before the first :: is a path inside the archive after it."""
    assert join("zip://a::x.zip", "b.jpg") == "zip://a/b.jpg::x.zip"
    assert join("zip://::s3://b/x.zip", "b.jpg") == "zip://b.jpg::s3://b/x.zip"
    assert parent("zip://a/b.csv::x.zip") == "zip://a::x.zip"
    assert parent("zip://b.csv::x.zip") == "zip://::x.zip"
    assert parent("s3://bucket/d/b.csv") == "s3://bucket/d"
    assert parent("b.csv") == "."
    assert parent("/a/b.csv") == "/a"
    assert parent("a::b/c.csv") == "a::b", "on a disk :: is nothing special"
    assert base_name("zip://a/b.csv::x.zip") == "b.csv"
    assert base_name("/a/b.csv") == "b.csv"
    assert with_suffix("zip://a.csv::x.zip", ".old") == "zip://a.csv.old::x.zip"
    assert with_suffix("a.csv", ".old") == "a.csv.old"
