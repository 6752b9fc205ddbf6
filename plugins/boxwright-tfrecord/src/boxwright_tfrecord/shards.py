"""Names of sharded files: ``train.record@10`` is ``train.record-00000-of-00010`` to ``train.record-00009-of-00010``.

Other tools write the numbers before the ending, ``train-00000-of-00010.tfrecord``; these are read as well.
"""

from __future__ import annotations

import glob
import os
import re
from typing import NamedTuple

from boxwright import DataError, UsageError
from boxwright.storage import base_name, filesystem, is_folder, is_remote, join, list_folder, parent

SUFFIXES = (".record", ".tfrecord", ".tfrecords")
MAX_SHARDS = 1000
_AT = re.compile(r"(?P<base>.+)@(?P<count>\d{1,5})")
_ENDING = r"(?P<ending>(?:\.(?:tf)?records?)?(?:\.gz)?)"
_FIRST_OF = re.compile(rf"(?P<base>.+)-(?:\?+|\*|0+)-of-(?P<count>\d{{5,}}){_ENDING}")
_SHARD = re.compile(rf"(?P<base>.+)-(?P<number>\d{{5,}})-of-(?P<count>\d{{5,}}){_ENDING}")
_WILD = re.compile(r"[*?\[]")


class Sharded(NamedTuple):
    """A set of shards: the text before their numbers, how many there are, and the text after them."""

    base: str
    number: int
    ending: str = ""

    @property
    def names(self) -> list[str]:
        """The names of all shards, in order."""
        return [f"{self.base}-{i:05d}-of-{self.number:05d}{self.ending}" for i in range(self.number)]


def parse_sharded(location: str) -> Sharded | None:
    """Returns the shards of a location, or ``None`` if it is one file.

    ``X@10``, ``X-?????-of-00010``, ``X-*-of-00010`` and the first shard ``X-00000-of-00010`` all mean the ten.

    Raises:
        UsageError: The number is 0 or more than 1,000 (all are open at once).
    """
    match = _AT.fullmatch(location) or _FIRST_OF.fullmatch(location)
    if match is None:
        return None
    return Sharded(match["base"], check_count(int(match["count"]), location), match.groupdict().get("ending") or "")


def check_count(count: int, where: str) -> int:
    """Returns a number of shards unchanged.

    Raises:
        UsageError: It is not from 1 to 1,000.
    """
    if not 1 <= count <= MAX_SHARDS:
        raise UsageError(f"{where}: {count} shards", f"give a number from 1 to {MAX_SHARDS:,}")
    return count


def stem_of(path: str) -> str:
    """Returns a record file's name without its ending and number: ``train`` of ``data/train.record-00000-of-00010``."""
    name = path.replace("\\", "/").rpartition("/")[2]
    match = _SHARD.fullmatch(name)
    name = match["base"] if match else name.removesuffix(".gz")
    return re.sub(r"\.(tf)?records?(\.gz)?$", "", name)


def find_files(location: str) -> list[str]:
    """Returns the record files of a location, in the order in which they are read.

    A location is one file, a sharded set, a pattern with ``*``, ``?`` or ``[...]``, a folder (all its record files), or
    the name that a sharded set was written with.

    Raises:
        DataError: There is no file, a shard of a set is missing, or two sets have the same name.
    """
    sharded = parse_sharded(location)
    if sharded and not (_AT.fullmatch(location) and _is_file(location)):
        names = sharded.names
        if missing := [name for name in names if not _is_file(name)]:
            raise _missing(location, missing, len(names))
        return names
    if is_folder(location):
        names = [join(location, name) for name in _file_names(location) if _is_record_name(name)]
        remedy = f"record files end in {', '.join(SUFFIXES)} (and .gz), or in -00000-of-00010"
        return _whole_sets(names, location, "no record files in this folder", remedy)
    if _is_file(location):
        return [location]
    if _WILD.search(location):
        return _whole_sets(_matches(location), location, "no file matches this pattern", "check the path")
    folder, base = parent(location), base_name(location)
    shards = [
        join(folder, name)
        for name in _file_names(folder)
        if (match := _SHARD.fullmatch(name)) and match["base"] + match["ending"] == base
    ]
    return _whole_sets(shards, location, "file not found", "check the path")


def _is_record_name(name: str) -> bool:
    if name.startswith("."):  # hidden, or an incomplete output
        return False
    match = _SHARD.fullmatch(name)
    return match is not None or name.lower().removesuffix(".gz").endswith(SUFFIXES)


def _whole_sets(names: list[str], location: str, problem: str, remedy: str) -> list[str]:
    if not names:
        raise DataError(location, problem, remedy)
    sets: dict[tuple[str, str], set[int]] = {}
    for name in names:
        if match := _SHARD.fullmatch(name):
            sets.setdefault((match["base"], match["ending"]), set()).add(int(match["count"]))
    there = set(names)
    for (base, ending), of in sets.items():
        if len(of) > 1 or base + ending in there:
            kinds = [f"{base}@{count}{ending}" for count in sorted(of)] + [base + ending] * (base + ending in there)
            raise DataError(location, f"several datasets with this name: {', '.join(kinds)}", "name the one to read")
    # A pattern may select some of the shards on purpose; a folder or a name means all of them.
    if not _WILD.search(location):
        for (base, ending), of in sets.items():
            wanted = Sharded(base, next(iter(of)), ending).names
            if missing := [name for name in wanted if name not in there]:
                raise _missing(location, missing, len(wanted))
    return sorted(names)


def _missing(location: str, missing: list[str], count: int) -> DataError:
    more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
    return DataError(
        location,
        f"{len(missing)} of {count} shards missing: {os.path.basename(missing[0])}{more}",
        "copy them there, or name the ones to read by a pattern such as train.record-0000[0-3]-of-00010",
    )


def _is_file(path: str) -> bool:
    if not is_remote(path):
        return os.path.isfile(path)
    files, inside = filesystem(path)
    return bool(files.isfile(inside))


def _file_names(folder: str) -> list[str]:
    try:
        return sorted(name for name in list_folder(folder or ".") if not name.endswith("/"))
    except OSError:
        return []


def _matches(pattern: str) -> list[str]:
    if not is_remote(pattern):
        return sorted(path for path in glob.glob(pattern) if os.path.isfile(path))
    head, chain, archive = pattern.partition("::")
    files, inside = filesystem(pattern)
    found = files.glob(inside if chain else head)
    return sorted(str(files.unstrip_protocol(path)) + chain + archive for path in found)
