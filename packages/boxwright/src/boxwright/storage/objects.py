"""Lists objects of S3 by their keys alone: s3fs keeps 2 kB about each, and lists a folder to know whether it exists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def is_object_storage(files: Any) -> bool:
    """Whether a file system of fsspec is one whose objects this module lists."""
    protocols = (files.protocol,) if isinstance(files.protocol, str) else files.protocol
    return "s3" in protocols and hasattr(files, "call_s3")


def is_prefix(files: Any, path: str) -> bool:
    """Returns whether there are objects below a path, by one request."""
    try:
        return bool(next(_pages(files, path, MaxKeys=1)).get("Contents"))
    except FileNotFoundError:  # no such bucket
        return False


def names_below(files: Any, path: str) -> Iterator[str]:
    """Yields the names of the objects below a path, without the path."""
    start = len(_prefix(files, path)[1])
    for page in _pages(files, path):
        for entry in page.get("Contents", ()):
            if not entry["Key"].endswith("/"):  # a folder that a program made
                yield entry["Key"][start:]


def first_names(files: Any, path: str) -> list[str]:
    """Returns the names of the first objects that are directly in a path, by one request: a thousand at most."""
    start = len(_prefix(files, path)[1])
    page = next(_pages(files, path, Delimiter="/"))
    return [name for entry in page.get("Contents", ()) if (name := entry["Key"][start:])]


def _pages(files: Any, path: str, **limits: Any) -> Iterator[Mapping[str, Any]]:
    bucket, prefix = _prefix(files, path)
    more: dict[str, str] = {}
    while True:
        page = files.call_s3("list_objects_v2", Bucket=bucket, Prefix=prefix, **limits, **more)
        yield page
        if not page.get("IsTruncated"):
            return
        more = {"ContinuationToken": page["NextContinuationToken"]}


def _prefix(files: Any, path: str) -> tuple[str, str]:
    bucket, key, _ = files.split_path(path)
    return bucket, f"{key.rstrip('/')}/" if key else ""
