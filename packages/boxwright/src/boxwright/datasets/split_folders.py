"""A folder that is one dataset in parts, in ``train``, ``valid`` and ``test``, as Roboflow exports them.

Formats in one file, and folders of annotations whose format has no splits, are found in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

from boxwright.datasets.protocols import OnProblem, Reader, ShapeReader, SwappingReader
from boxwright.datasets.shape_rule import ShapeRule
from boxwright.errors import BoxwrightError, DataError
from boxwright.label_map import LabelMap
from boxwright.plugins.registry import Registry
from boxwright.plugins.specs import FormatSpec
from boxwright.schemas import DatasetInfo, Sample, SwappedCoordinates
from boxwright.storage.filesystem import is_folder, list_folder
from boxwright.storage.uri import IMAGE_SUFFIXES, join

SPLITS = {"train": "train", "valid": "val", "val": "val", "validation": "val", "test": "test"}
"""The names of folders that are splits, in lower case, and the splits."""

_MOST = 20
_OTHERS = (".txt", ".md", ".zip", ".pbtxt", ".images", ".jsonl", ".yaml", ".yml")


def parts_of(spec: FormatSpec, location: str, plugins: Registry) -> dict[str, str]:
    """Returns the parts of a folder that is a dataset of a format.

    Args:
        spec: The format.
        location: A path or URL.
        plugins: Resolves the format's ``detect``.

    Returns:
        The location of each split; that of the only file without a split under ``""``. Empty if the location is not
        such a folder, or if a folder of a split contains several files of the format.
    """
    if not spec.detect or not (spec.target == "file" or spec.split_folders) or not _is_folder(location):
        return {}
    detect: Callable[[str], object] = plugins.resolve("format", spec.name, "detect")

    def matches(place: str) -> bool:
        with suppress(Exception):  # as for every detection
            return bool(detect(place).matches)  # type: ignore[attr-defined]
        return False

    names = _entries(location)
    here = _files(names)
    if spec.target == "file" and len(found := [place for name in here if matches(place := join(location, name))]) == 1:
        return {"": found[0]}
    others = [name[:-1] for name in names if name.endswith("/") and name[:-1].lower() not in SPLITS]
    if spec.split_folders and (here or any(matches(join(location, name)) for name in others)):
        return {}
    parts: dict[str, str] = {}
    for name in names:
        split = SPLITS.get(name[:-1].lower()) if name.endswith("/") else None
        if split is None or split in parts:
            continue
        folder = join(location, name[:-1])
        places = [folder] if spec.split_folders else [join(folder, file) for file in _files(_entries(folder))]
        found = list(filter(matches, places))
        if len(found) > 1:
            return {}
        if found:
            parts[split] = found[0]
    return {split: parts[split] for split in ("train", "val", "test") if split in parts}


def _is_folder(location: str) -> bool:
    try:
        return is_folder(location)
    except (BoxwrightError, OSError):
        return False


def _entries(location: str) -> list[str]:
    try:
        return sorted(name for name in list_folder(location) if not name.startswith("."))
    except (BoxwrightError, OSError):
        return []


def _files(names: list[str]) -> list[str]:
    skipped = (*IMAGE_SUFFIXES, *_OTHERS, "/")
    return [name for name in names if not name.lower().endswith(skipped)][:_MOST]


class SplitReader:
    """Reads the parts one after another; each sample has the split of its part.

    Args:
        location: The folder.
        parts: The reader of each split.
    """

    def __init__(self, location: str, parts: Mapping[str, Reader]) -> None:
        self._parts = parts
        infos = [part.info for part in parts.values()]
        counts = [info.num_samples for info in infos]
        self.info = DatasetInfo(
            format=infos[0].format,
            location=location,
            label_map=_merged([info.label_map for info in infos]),
            num_samples=None if None in counts else sum(filter(None, counts)),
            splits=tuple(parts),
            notes=tuple(dict.fromkeys(note for info in infos for note in info.notes)),
            attributes=infos[0].attributes if all(info.attributes == infos[0].attributes for info in infos) else {},
        )
        self.shapes = _Rules([part.shapes for part in parts.values() if isinstance(part, ShapeReader)])
        self.swapped = _Swapped([part.swapped for part in parts.values() if isinstance(part, SwappingReader)])

    def read(self, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields the samples; an image with the name of one of another split has its split before its name."""
        taken: set[str] = set()
        for split, part in self._parts.items():
            own: set[str] = set()
            for sample in part.read(on_problem):
                name = sample.image.name
                if name in taken:
                    name = f"{split}/{name}"
                    if name in taken:
                        on_problem(DataError(sample.source, f"duplicate image {name}", "rename one of the two images"))
                        continue
                    sample = sample.replace(image=sample.image.model_copy(update={"name": name}))
                own.add(name)
                yield sample.replace(split=split)
            taken |= own


class _Rules(ShapeRule):
    def __init__(self, rules: list[ShapeRule]) -> None:
        super().__init__()
        self._rules = rules

    def restart(self) -> None:
        for rule in self._rules:
            rule.restart()

    def totals(self) -> Counter[tuple[str, str]]:
        return sum((rule.totals() for rule in self._rules), Counter[tuple[str, str]]())


class _Swapped(SwappedCoordinates):
    def __init__(self, counts: list[SwappedCoordinates]) -> None:
        self._counts = counts

    @property
    def count(self) -> int:  # type: ignore[override]
        return sum(each.count for each in self._counts)


def _merged(label_maps: list[LabelMap | None]) -> LabelMap | None:
    """Returns the classes of all parts: as they are if they are the same, else numbered in the order of their names."""
    known = [label_map for label_map in label_maps if label_map is not None]
    if len(known) < len(label_maps):
        return None
    if all(label_map == known[0] for label_map in known):
        return known[0]
    return LabelMap.from_names(dict.fromkeys(name for label_map in known for name in label_map.names), sort=False)
