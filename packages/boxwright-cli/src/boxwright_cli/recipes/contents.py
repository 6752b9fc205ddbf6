"""The content of the places that steps read and write: one digest per file."""

from __future__ import annotations

import glob
import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Final

import boxwright
from boxwright import BoxwrightError, DatasetURI
from boxwright.storage import is_remote
from boxwright_cli.meanings import Meaning

Listing = dict[str, str]
"""The digests of files by path."""

_RUN: Final = "run.json"
_NOT_MODEL: Final = frozenset(
    {
        "run.json",
        "manifest.json",
        ".in-use",
        "metrics.jsonl",
        "evaluation",
        "tensorboard",
        "pictures",
        "checkpoints",
        "tuned.svg",
    }
)
"""Parts of a run folder that its model does not depend on, or that evaluating adds."""
_TUNED: Final = frozenset({"tuned.json", "tuned.svg", "decoder.json", "artifact.json"})
"""Files of a run or an artifact that tuning changes."""
_THREADS: Final = 4


def places(meaning: Meaning, value: Any) -> list[str]:
    """Returns the local paths of a value as patterns of :mod:`glob`; those of URLs and cameras are left out."""
    found = []
    for text in map(str, value if isinstance(value, list | tuple) else [value]):
        if meaning.what == "dataset" or (meaning.what == "inputs" and not os.path.exists(text)):
            if meaning.what == "dataset" and meaning.role == "writes" and ":" not in text and text.isalnum():
                continue  # a format alone, which is written into another output
            uri = DatasetURI.parse(text)
            images = uri.options.get("images") if meaning.role == "reads" else None
            for each in filter(None, (uri.location, images)):
                is_pattern = meaning.what == "inputs" and uri.format is None
                found.append(each if is_pattern else "*".join(map(glob.escape, each.split("{split}"))))
        else:
            is_pattern = meaning.role == "reads" and glob.has_magic(text) and not os.path.exists(text)
            found.append(text if is_pattern else glob.escape(text))
    return [os.path.normpath(path) for path in found if not is_remote(path)]


def is_compared(meaning: Meaning, value: Any) -> bool:
    """Whether the content of a value can be compared: it is neither at a URL nor from a camera."""
    for text in map(str, value if isinstance(value, list | tuple) else [value]):
        if is_remote(text) or (meaning.what in ("dataset", "inputs") and is_remote(DatasetURI.parse(text).location)):
            return False
        if meaning.what == "inputs" and text.isdigit() and not os.path.exists(text):
            return False
    return True


def overlaps(one: str, other: str) -> bool:
    """Whether one of two paths is the other or within it; both are patterns."""
    pairs = zip(Path(one).parts, Path(other).parts, strict=False)
    return all(a == b or fnmatch(unescaped(a), b) or fnmatch(unescaped(b), a) for a, b in pairs)


def unescaped(pattern: str) -> str:
    """Returns the path of a pattern that :func:`glob.escape` made."""
    return re.sub(r"\[([*?[])\]", r"\1", pattern)


class Contents:
    """Digests of files, each read once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, str, bool], Listing] = {}
        self._places: dict[tuple[str, str, str, bool], list[str]] = {}

    def forget(self, written: Iterable[str]) -> None:
        """Forgets what a step may have changed.

        Args:
            written: The paths that it writes to.
        """
        changed = [
            place for path in written for place in (path, os.path.join(os.path.dirname(path), "label_map.pbtxt"))
        ]
        for key, read in self._places.items():
            near = [os.path.join(os.path.dirname(path), "label_map.pbtxt") for path in read]
            if any(overlaps(path, each) for path in (*read, *near) for each in changed):
                self._known.pop(key, None)

    def of(self, meaning: Meaning, value: Any, *, images: bool = False) -> Listing:
        """Returns the files of a value, and those that belong to it: a label map, and images in other folders.

        Of a model that is changed, these are the files that do not change.

        Args:
            meaning: The meaning of the value.
            value: The value.
            images: Whether the images belong to a dataset that is written, as later steps open them.
        """
        key = (meaning.what, meaning.role, str(value), images)
        if key not in self._known:
            paths: set[str] = set()
            for pattern in places(meaning, value):
                for path in glob.glob(pattern) if glob.has_magic(pattern) else [pattern]:
                    paths |= set(_files(path))
                    if meaning.what == "dataset":
                        paths |= set(_next_to(path))
                    if meaning.what == "dataset" and images:
                        form = DatasetURI.parse(str(value)).format
                        paths |= set(_images(DatasetURI(path, form), paths))
            if meaning.role == "reads" and meaning.what in ("dataset", "inputs"):
                given = value if isinstance(value, list | tuple) else [value]
                uris = [each for each in given if meaning.what == "dataset" or _is_dataset(str(each))]
                paths |= set(_images(uris, paths))
            if meaning.role == "changes":
                paths = {path for path in paths if os.path.basename(path) not in _TUNED}
            self._known[key], self._places[key] = _digests(sorted(paths)), places(meaning, value)
        return self._known[key]


def _files(path: str) -> Iterator[str]:
    if os.path.isfile(path):
        yield path
        return
    for folder, folders, names in os.walk(path):
        if _RUN in names and "config.json" in names:
            folders[:] = [name for name in folders if name not in _NOT_MODEL]
            names = [name for name in names if name not in _NOT_MODEL]
        folders[:] = [name for name in folders if name != ".boxwright"]
        for name in names:
            yield os.path.join(folder, name)


def _next_to(path: str) -> Iterator[str]:
    """Yields the label map of a dataset and its sidecar."""
    if os.path.isfile(path):
        yield from (each for each in glob.glob(f"{glob.escape(path)}.*") if os.path.isfile(each))
        if os.path.isfile(label_map := _label_map_of(path)):
            yield label_map


def _label_map_of(path: str) -> str:
    return os.path.join(os.path.dirname(path), "label_map.pbtxt")


def _is_dataset(text: str) -> bool:
    return not is_remote(text) and not os.path.exists(text) and DatasetURI.parse(text).format is not None


def _images(value: Any, known: set[str]) -> Iterator[str]:
    """Yields the image files of datasets that are outside their folders."""
    for uri in value if isinstance(value, list | tuple) else [value]:
        try:
            for sample in boxwright.open(str(uri), on_error="skip"):
                location = sample.image.location
                if location and not is_remote(location):
                    path = os.path.normpath(location)
                    if path not in known and os.path.isfile(path):
                        yield path
        except BoxwrightError:  # the step reports it
            continue


def _digests(paths: Iterable[str]) -> Listing:
    with ThreadPoolExecutor(_THREADS) as pool:
        return {path: digest for path, digest in pool.map(lambda path: (path, _digest(path)), paths) if digest}


def _digest(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:32]
    except OSError:  # it was removed, or cannot be read, which the step reports
        return ""


def difference(before: Listing, after: Listing) -> str:
    """Returns the difference of two listings in words, such as ``1 file changed: photos/3.jpg``; empty without one."""
    groups = {
        "changed": [path for path in after if path in before and after[path] != before[path]],
        "new": [path for path in after if path not in before],
        "missing": [path for path in before if path not in after],
    }
    parts = []
    for word, paths in groups.items():
        if paths:
            verb = "changed" if word == "changed" else f"{'is' if len(paths) == 1 else 'are'} {word}"
            more = f" and {len(paths) - 1:,} more" if len(paths) > 1 else ""
            parts.append(f"{len(paths):,} file{'s' if len(paths) > 1 else ''} {verb}: {paths[0]}{more}")
    return "; ".join(parts)
