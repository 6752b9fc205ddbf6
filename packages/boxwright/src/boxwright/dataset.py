"""A dataset opened by its URI: an iterable of samples that can be read again and again."""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from functools import cached_property
from itertools import chain
from typing import Any

from boxwright.errors import DataError, UsageError
from boxwright.processes import shared
from boxwright.protocols import Reader, Transform
from boxwright.registry import Registry, convert_options, registry
from boxwright.schemas import DatasetInfo, LabelMap, Sample
from boxwright.sidecar import with_sidecar
from boxwright.specs import Detection, FormatSpec
from boxwright.threads import map_samples
from boxwright.uri import DatasetURI, is_remote


class Problems:
    """What ``on_error`` makes of items that cannot be read.

    With ``"fail"`` the first one is raised. With ``"skip"`` each is kept once in :attr:`skipped`, however often the
    dataset is read, and reading goes on.
    """

    def __init__(self, on_error: str = "fail") -> None:
        if on_error not in ("fail", "skip"):
            raise UsageError(f"on_error is {on_error!r}", "give fail or skip")
        self.on_error = on_error
        self._skipped: dict[str, DataError] = {}

    def __call__(self, error: DataError) -> None:
        """Raises or keeps one error."""
        if self.on_error == "fail":
            raise error
        self._skipped.setdefault(error.message, error)

    @property
    def skipped(self) -> list[DataError]:
        """Every item that was left out, in the order of its first reading."""
        return list(self._skipped.values())


class Dataset(Iterable[Sample]):
    """Samples from a reader, possibly through transforms.

    Made by :func:`open_dataset` (``boxwright.open``). Iterating reads from the start each time and holds one sample
    at a time.

    ``dataset.to_NAME(...)`` hands it to a framework by the loader plugin of that name: ``dataset.to_tf(...)``.
    """

    def __init__(
        self,
        reader: Reader,
        *,
        uri: str = "",
        problems: Problems | None = None,
        transforms: Iterable[Transform] = (),
        label_map: LabelMap | None = None,
        workers: int = 1,
        plugins: Registry | None = None,
    ) -> None:
        self.reader = reader
        self.uri = uri
        self.problems = problems or Problems()
        self.transforms = tuple(transforms)
        self.workers = workers
        self._label_map = label_map
        self._plugins = plugins

    def __iter__(self) -> Iterator[Sample]:
        samples: Iterable[Sample] = _Restartable(lambda: self.reader.read(self.problems))
        for transform in self.transforms:
            samples = _Restartable(self._applied(transform, samples))
        return iter(samples)

    def _applied(self, transform: Transform, samples: Iterable[Sample]) -> Callable[[], Iterator[Sample]]:
        if transform.per_sample:
            return lambda: chain.from_iterable(
                map_samples(lambda sample: list(transform([sample])), samples, self.problems, self.workers)
            )
        apply: Callable[[Iterable[Sample], Problems], Iterator[Sample]] | None = getattr(transform, "apply", None)
        return (lambda: transform(samples)) if apply is None else (lambda: apply(samples, self.problems))

    def through(self, *transforms: Transform, workers: int = 1) -> Dataset:
        """The same dataset with more transforms at the end.

        Args:
            transforms: Applied in order.
            workers: Threads that share the work of transforms that handle each sample on its own.
        """
        return self._copy(transforms=(*self.transforms, *transforms), workers=workers)

    def with_label_map(self, label_map: LabelMap) -> Dataset:
        """The same dataset with the classes, and their numbers, of another."""
        return self._copy(label_map=label_map)

    def with_problems(self, problems: Problems) -> Dataset:
        """The same dataset with items that cannot be read going elsewhere."""
        return self._copy(problems=problems)

    def _copy(self, **changes: Any) -> Dataset:
        same: dict[str, Any] = {
            "uri": self.uri,
            "problems": self.problems,
            "transforms": self.transforms,
            "label_map": self._label_map,
            "workers": self.workers,
            "plugins": self._plugins,
        }
        return Dataset(self.reader, **(same | changes))

    @property
    def info(self) -> DatasetInfo:
        """What the reader knows before reading."""
        return self.reader.info

    @property
    def known_label_map(self) -> LabelMap | None:
        """The classes as far as they are known without reading: as given, else from the format's own label map.

        A transform may change labels, so the format's holds only behind those that say that they do not.
        """
        return self._label_map if self._label_map is not None or self._changing else self.info.label_map

    @property
    def _changing(self) -> tuple[Transform, ...]:
        return tuple(step for step in self.transforms if not getattr(step, "keeps_labels", False))

    def labels(self, advance: Callable[[int], None] = lambda items: None, processes: int = 1) -> list[str]:
        """The labels of all boxes, sorted, from one reading without the transforms that leave labels as they are.

        Args:
            advance: Called with the number of items that are done since the last time.
            processes: How many may share the work, where the reader lets them.
        """
        found: set[str] = set()
        reader: Any = self.reader
        if processes > 1 and hasattr(reader, "labels_part") and not self._changing and self.problems.on_error == "fail":
            answers = shared(
                lambda start, stop: (list(set(chain.from_iterable(reader.labels_part(start, stop)))), stop - start),
                reader.parts,
                processes,
            )
            with closing(answers):
                for labels, items in answers:
                    found.update(labels)
                    advance(items)
            return sorted(found)
        quick = getattr(self.reader, "labels", None)
        if quick is not None and not self._changing and self.problems.on_error == "fail":
            each: Iterable[Sequence[str]] = quick()
        else:
            each = (sample.boxes.labels for sample in self._copy(transforms=self._changing))
        for labels in each:
            found.update(labels)
            advance(1)
        return sorted(found)

    @cached_property
    def label_map(self) -> LabelMap:
        """The classes: as given, else from the format's own label map, else the sorted names of one reading."""
        known = self.known_label_map
        return known if known is not None else LabelMap.from_names(self.labels())

    def scan(self) -> Scan:
        """Reads the dataset through once and keeps counts, classes and a digest, no pictures."""
        return Scan.of(self, given=self.known_label_map)

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("to_"):
            return object.__getattribute__(self, name)  # says that there is none, or why a property failed
        load = (self._plugins or registry()).resolve("loader", name.removeprefix("to_"))
        return lambda **options: load(self, **options)

    def __repr__(self) -> str:
        return f"<Dataset {self.uri or self.info.location}>"


def nothing_left(dataset: Dataset, problem: str) -> DataError:
    """The error for a dataset that gave no sample: ``problem``, unless all were skipped or the steps left none."""
    location, skipped = dataset.info.location, dataset.problems.skipped
    if skipped:
        return DataError(location, f"every one of its {len(skipped)} items was skipped; the first: {skipped[0]}")
    notes = [note for step in dataset.transforms for note in getattr(step, "notes", list)()]
    if notes:
        return DataError(location, f"the steps left no picture: {'; '.join(notes)}", "change the steps")
    return DataError(location, problem, "check the location and the format")


class _Restartable(Iterable[Sample]):
    def __init__(self, make: Callable[[], Iterator[Sample]]) -> None:
        self._make = make

    def __iter__(self) -> Iterator[Sample]:
        return self._make()


class Scan:
    """The counts of one reading.

    Attributes:
        samples: How many pictures.
        boxes: How many boxes.
        empty: Pictures without boxes.
        classes: Boxes by label, sorted by label.
        pictures_with: Pictures that hold a label.
        splits: Pictures by split.
        sizes: Pictures by ``(width, height)``.
        most_boxes: Boxes of the fullest picture.
        relative_size: ``(smallest, mean, largest)`` of the square root of a box's area over its picture's.
        flawed: Boxes without area, and boxes that reach outside their picture.
        digest: SHA-256 over names, sizes, labels and edges in order, the same for whatever format holds them; the
            pictures' bytes are not in it.
    """

    def __init__(self) -> None:
        self.samples = 0
        self.boxes = 0
        self.empty = 0
        self.classes: dict[str, int] = {}
        self.pictures_with: dict[str, int] = {}
        self.splits: dict[str, int] = {}
        self.sizes: dict[tuple[int, int], int] = {}
        self.flawed: dict[str, int] = {"without area": 0, "outside the picture": 0}
        self.relative_size = (0.0, 0.0, 0.0)
        self.most_boxes = 0
        self.digest = ""
        self._given: LabelMap | None = None

    @classmethod
    def of(cls, samples: Iterable[Sample], given: LabelMap | None = None) -> Scan:
        """Reads ``samples`` through; ``given`` is the label map where one is known."""
        scan = cls()
        scan._given = given
        import hashlib  # only counting needs it, and it brings OpenSSL

        digest = hashlib.sha256()
        smallest, largest, total = float("inf"), 0.0, 0.0
        for sample in samples:
            image, boxes = sample.image, sample.boxes
            digest.update(repr((image.name, image.width, image.height, boxes.labels)).encode())
            digest.update(array("d", chain.from_iterable(boxes.edges)).tobytes())
            scan.samples += 1
            scan.boxes += len(boxes)
            scan.empty += not boxes.labels
            scan.most_boxes = max(scan.most_boxes, len(boxes))
            for label in boxes.labels:
                scan.classes[label] = scan.classes.get(label, 0) + 1
            for label in set(boxes.labels):
                scan.pictures_with[label] = scan.pictures_with.get(label, 0) + 1
            if sample.split is not None:
                scan.splits[sample.split] = scan.splits.get(sample.split, 0) + 1
            size = (image.width, image.height)
            scan.sizes[size] = scan.sizes.get(size, 0) + 1
            for xmin, ymin, xmax, ymax in boxes.edges:
                scan.flawed["without area"] += xmin == xmax or ymin == ymax
                scan.flawed["outside the picture"] += xmin < 0 or ymin < 0 or xmax > image.width or ymax > image.height
                relative = ((xmax - xmin) * (ymax - ymin) / (image.width * image.height)) ** 0.5
                smallest, largest, total = min(smallest, relative), max(largest, relative), total + relative
        if scan.boxes:
            scan.relative_size = (smallest, total / scan.boxes, largest)
        scan.classes = dict(sorted(scan.classes.items()))
        scan.pictures_with = dict(sorted(scan.pictures_with.items()))
        scan.digest = digest.hexdigest()
        return scan

    @property
    def label_map(self) -> LabelMap:
        """The given label map, else the labels seen, sorted."""
        return self._given if self._given is not None else LabelMap.from_names(self.classes)


def open_dataset(
    uri: str | DatasetURI | Dataset,
    *,
    on_error: str = "fail",
    label_map: LabelMap | None = None,
    registry_: Registry | None = None,
) -> Dataset:
    """Opens a dataset by its URI.

    Args:
        uri: ``FORMAT:LOCATION[?option=value]``; without ``FORMAT`` it is detected. A :class:`Dataset` is returned as
            it is, with its own ``on_error``.
        on_error: ``"fail"`` raises at the first item that cannot be read, ``"skip"`` leaves it out and keeps it in
            ``dataset.problems.skipped``.
        label_map: The classes and their numbers, instead of the dataset's own.
        registry_: The plugins to use, instead of the installed ones.

    Raises:
        UsageError: A malformed URI, an unknown option, or a format that cannot be detected.
        PluginError: The format's plugin is not installed, clashes, or lacks a library.
        DataError: There is nothing at that location.
    """
    if isinstance(uri, Dataset):
        return uri if label_map is None else uri.with_label_map(label_map)
    problems = Problems(on_error)
    plugins = registry_ or registry()
    parsed = DatasetURI.parse(uri) if isinstance(uri, str) else uri
    if parsed.has_split:
        raise UsageError(f"{parsed}: {{split}} stands for a part that is written", "name the part to read")
    name = parsed.format or detect_format(parsed.location, plugins)
    spec: FormatSpec = plugins.get("format", name).spec
    if not spec.load:
        raise UsageError(f"the format {name!r} can be written and not read", "see `boxwright formats`")
    options = convert_options(parsed.options, spec.options, f"{name}:{parsed.location}")
    reader: Reader = plugins.resolve("format", name)(parsed.location, **options)
    reader = with_sidecar(reader, spec, parsed.location)
    return Dataset(
        reader,
        uri=str(replace(parsed, format=name)),
        problems=problems,
        label_map=label_map,
        plugins=plugins,
    )


def detect_format(location: str, plugins: Registry | None = None) -> str:
    """The name of the one format that a location looks like.

    Raises:
        UsageError: None does, or more than one; the message gives every format's reason.
    """
    found = detection_reasons(location, plugins or registry())
    matches = [name for name, detection in found.items() if detection.matches]
    if len(matches) == 1:
        return matches[0]
    reasons = "".join(
        f"\n  {'yes' if answer.matches else 'no ':3} {name}: {answer.reason}" for name, answer in found.items()
    )
    if matches:
        raise UsageError(f"{location} could be {' or '.join(matches)}:{reasons}", f"say which: {matches[0]}:{location}")
    inside = " or ".join(recognised_inside(location, plugins or registry()))
    remedy = f"it is a folder; name what is in it: {inside}" if inside else f"say which it is: FORMAT:{location}"
    if not is_remote(location) and not os.path.lexists(location):
        remedy = f"there is no such file or folder: check the path, or {remedy}"
    raise UsageError(f"no format was recognised at {location}:{reasons}", remedy)


def recognised_inside(location: str, plugins: Registry) -> list[str]:
    """The first few files of a local folder and its sub-folders that a format knows by ending and content.

    Such as ``coco:export/train/_annotations.coco.json``: for somebody who names the folder that was unpacked.
    """
    if is_remote(location) or not os.path.isdir(location):
        return []
    found: list[str] = []
    inside = [os.path.join(location, name) for name in _listed(location)]
    for folder in (location, *[path for path in inside if os.path.isdir(path)][:_FEW]):
        for name in _listed(folder)[:_MANY]:
            for entry in plugins.all("format"):
                spec: FormatSpec = entry.spec
                fits = spec.detect and spec.target == "file" and name.lower().endswith(spec.suffixes or ("/",))
                with suppress(Exception):  # it is no more than a hint
                    place = os.path.join(folder, name)
                    if fits and plugins.resolve("format", spec.name, "detect")(place).matches:
                        found.append(f"{spec.name}:{place}")
        if len(found) >= _FEW:
            break
    return found[:_FEW]


def _listed(folder: str) -> list[str]:
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except OSError:  # it may not be looked into
        return []


_FEW, _MANY = 4, 200


def detection_reasons(location: str, plugins: Registry) -> dict[str, Detection]:
    """Every readable format's answer to whether a location is its own, with the reason."""
    answers: dict[str, Detection] = {}
    for entry in plugins.all("format"):
        if not entry.spec.detect:
            continue
        if entry.missing:
            answers[entry.spec.name] = Detection(False, f"{', '.join(entry.missing)} is not installed")
            continue
        try:
            answer = plugins.resolve("format", entry.spec.name, "detect")(location)
            answers[entry.spec.name] = answer if isinstance(answer, Detection) else Detection(False, f"said {answer!r}")
        except Exception as error:
            answers[entry.spec.name] = Detection(False, f"could not look: {type(error).__name__}: {error}")
    return answers
