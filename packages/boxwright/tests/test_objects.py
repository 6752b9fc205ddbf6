"""Folders of S3, of which only the names are kept."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from boxwright import DataError
from boxwright.storage import Folder, is_folder
from boxwright.storage.filesystem import first_files
from boxwright.storage.objects import names_below

PAGE = 1000


class Bucket:
    """The part of s3fs that is used, with answers as in the reference of the operation ListObjectsV2.

    Attributes:
        keys: The objects, in order, as S3 lists them.
        requests: How many there were.
    """

    protocol = ("s3", "s3a")

    def __init__(self, keys: list[str]) -> None:
        self.keys = sorted(keys)
        self.requests = 0

    def split_path(self, path: str) -> tuple[str, str, None]:
        bucket, _, key = path.partition("/")
        return bucket, key, None

    def call_s3(self, operation: str, **given: Any) -> dict[str, Any]:
        assert operation == "list_objects_v2"
        if given["Bucket"] != "photos":
            raise FileNotFoundError("The specified bucket does not exist")
        self.requests += 1
        found = [key for key in self.keys if key.startswith(given["Prefix"])]
        if "Delimiter" in given:
            found = [key for key in found if given["Delimiter"] not in key[len(given["Prefix"]) :]]
        start, most = int(given.get("ContinuationToken", 0)), given.get("MaxKeys", PAGE)
        page = found[start : start + most]
        contents = [{"Key": key, "ETag": f'"{key * 20}"', "Size": 1, "StorageClass": "STANDARD"} for key in page]
        more = start + most < len(found)
        answer: dict[str, Any] = {"IsTruncated": more, "KeyCount": len(page)}
        if contents:
            answer["Contents"] = contents
        if more:
            answer["NextContinuationToken"] = str(start + most)
        return answer


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """A bucket ``photos`` with 2,500 files in a folder, some of them hidden, and what programs add."""
    keys = [f"cats/{number:04d}.xml" for number in range(2500)]
    made = Bucket([*keys, "cats/", "cats/sub/", "cats/sub/x.xml", "cats/.git/config", "cats/.hidden", "catsuit.xml"])
    monkeypatch.setattr("fsspec.core.url_to_fs", lambda url: (made, url.removeprefix("s3://").rstrip("/")))
    return made


def test_all_pages_are_listed_without_what_is_hidden(bucket: Bucket) -> None:
    names = Folder.at("s3://photos/cats").ending(".xml")
    assert names == [*(f"{number:04d}.xml" for number in range(2500)), "sub/x.xml"]
    assert bucket.requests == 3


def test_a_whole_bucket(bucket: Bucket) -> None:
    assert "catsuit.xml" in Folder.at("s3://photos").names
    assert "cats/0000.xml" in Folder.at("s3://photos").names


@pytest.mark.parametrize(
    ("location", "there"), [("cats", True), ("cats/", True), ("cat", False), ("cats/0000.xml", False)]
)
def test_one_request_tells_whether_a_folder_exists(bucket: Bucket, location: str, there: bool) -> None:
    assert is_folder(f"s3://photos/{location}") is there
    assert bucket.requests == 1


def test_what_does_not_exist(bucket: Bucket) -> None:
    for location in ("s3://photos/dogs", "s3://no-bucket/cats"):
        assert not is_folder(location)
        with pytest.raises(DataError, match="folder not found"):
            Folder.at(location)


def test_a_folder_in_which_all_is_hidden_exists(bucket: Bucket) -> None:
    assert Folder.at("s3://photos/cats/.git").names == ["config"]
    bucket.keys = ["empty/", "empty/.hidden"]
    assert Folder.at("s3://photos/empty").names == []


def test_the_first_files_take_one_request(bucket: Bucket) -> None:
    names = first_files("s3://photos/cats")
    assert len(names) == PAGE - 1  # the page has also the folder itself
    assert "0000.xml" in names
    assert bucket.requests == 1


def test_listing_keeps_only_the_names() -> None:
    """Each object is described by 700 bytes, and its name takes 70."""
    bucket = Bucket([f"cats/{number:09d}.xml" for number in range(20_000)])
    tracemalloc.start()
    try:
        names = list(names_below(bucket, "photos/cats"))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(names) == 20_000
    assert kept < 100 * len(names)
