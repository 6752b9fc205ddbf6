"""Names of sharded files: ``train.record@10`` is ``train.record-00000-of-00010`` to ``train.record-00009-of-00010``."""

from __future__ import annotations

import glob
import os
import re
from typing import Any, cast

from boxwright.errors import DataError, UsageError
from boxwright.uri import is_remote, join

SUFFIXES = (".record", ".tfrecord", ".tfrecords")
MAX_SHARDS = 1000
_AT = re.compile(r"(?P<base>.+)@(?P<count>\d{1,5})")
_FIRST_OF = re.compile(r"(?P<base>.+)-(?:\?+|\*|0+)-of-(?P<count>\d{5,})")
_SHARD = re.compile(r"(?P<base>.+)-(?P<number>\d{5,})-of-(?P<count>\d{5,})")
_WILD = re.compile(r"[*?\[]")


def parse_sharded(location: str) -> tuple[str, int] | None:
    """The base and the number of shards that a location asks for, or ``None`` where it names one file.

    ``X@10``, ``X-?????-of-00010``, ``X-*-of-00010`` and the first one's name ``X-00000-of-00010`` all mean the ten.

    Raises:
        UsageError: The number is 0 or more than 1,000 (all are open at once).
    """
    match = _AT.fullmatch(location) or _FIRST_OF.fullmatch(location)
    if match is None:
        return None
    return match["base"], check_count(int(match["count"]), location)


def check_count(count: int, where: str) -> int:
    """Returns a number of shards that can be written.

    Raises:
        UsageError: It cannot.
    """
    if not 1 <= count <= MAX_SHARDS:
        raise UsageError(f"{where}: {count} shards", f"give a number from 1 to {MAX_SHARDS:,}")
    return count


def shard_names(base: str, count: int) -> list[str]:
    """The names of all shards, in order."""
    return [f"{base}-{number:05d}-of-{count:05d}" for number in range(count)]


def find_files(location: str) -> list[str]:
    """The record files that a location means, in the order in which they are read.

    One file, a sharded set, a pattern with ``*``, ``?`` or ``[...]``, a folder (all its record files), or the name that
    a sharded set was written under.

    Raises:
        DataError: There is none, a shard of a set is missing, or two sets lie side by side under one name.
    """
    place = _Place(location)
    sharded = parse_sharded(location)
    if sharded and not (_AT.fullmatch(location) and place.exists(location)):
        names = shard_names(*sharded)
        if missing := [name for name in names if not place.exists(name)]:
            raise _missing(location, missing, len(names))
        return names
    if place.is_folder(location):
        names = [join(location, name) for name in place.names(location) if _is_record_name(name)]
        remedy = f"record files end in {', '.join(SUFFIXES)} (and .gz), or in -00000-of-00010"
        return _whole_sets(names, location, "there are no record files in this folder", remedy)
    if place.exists(location):
        return [location]
    if _WILD.search(location):
        return _whole_sets(place.glob(location), location, "no file fits this pattern", "check the path")
    folder, _, base = location.replace("\\", "/").rpartition("/")
    shards = [
        f"{location}{name[len(base) :]}"
        for name in place.names(folder)
        if (match := _SHARD.fullmatch(name)) and match["base"] == base
    ]
    return _whole_sets(shards, location, "there is no such file", "check the path")


def _is_record_name(name: str) -> bool:
    if name.startswith("."):  # hidden, or an output that was not finished
        return False
    match = _SHARD.fullmatch(name)
    return match is not None or name.lower().removesuffix(".gz").endswith(SUFFIXES)


def _whole_sets(names: list[str], location: str, problem: str, remedy: str) -> list[str]:
    if not names:
        raise DataError(location, problem, remedy)
    counts: dict[str, set[int]] = {}
    for name in names:
        if match := _SHARD.fullmatch(name):
            counts.setdefault(match["base"], set()).add(int(match["count"]))
    there = set(names)
    for base, of in counts.items():
        if len(of) > 1 or base in there:
            kinds = [f"{base}@{count}" for count in sorted(of)] + [base] * (base in there)
            raise DataError(location, f"several datasets lie here: {', '.join(kinds)}", "name the one to read")
    # A pattern may ask for some of the shards on purpose; a folder or a name means all of them.
    if not _WILD.search(location):
        for base, of in counts.items():
            wanted = shard_names(base, next(iter(of)))
            if missing := [name for name in wanted if name not in there]:
                raise _missing(location, missing, len(wanted))
    return sorted(names)


def _missing(location: str, missing: list[str], count: int) -> DataError:
    more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
    return DataError(
        location,
        f"of {count} shards {len(missing)} are missing: {os.path.basename(missing[0])}{more}",
        "bring them there, or name the ones to read by a pattern such as train.record-0000[0-3]-of-00010",
    )


class _Place:
    """The few questions to a file system, local or remote."""

    def __init__(self, location: str) -> None:
        self._fs: Any = None
        if is_remote(location):
            import fsspec

            self._fs, _ = fsspec.core.url_to_fs(location)

    def exists(self, path: str) -> bool:
        return bool(self._fs.isfile(path)) if self._fs else os.path.isfile(path)

    def is_folder(self, path: str) -> bool:
        return bool(self._fs.isdir(path)) if self._fs else os.path.isdir(path)

    def names(self, folder: str) -> list[str]:
        try:
            paths = self._fs.ls(folder, detail=False) if self._fs else os.listdir(folder or ".")
        except OSError:
            return []
        return sorted(os.path.basename(cast(str, path).rstrip("/")) for path in paths)

    def glob(self, pattern: str) -> list[str]:
        if self._fs:
            return sorted(str(self._fs.unstrip_protocol(path)) for path in self._fs.glob(pattern))
        return sorted(path for path in glob.glob(pattern) if os.path.isfile(path))
