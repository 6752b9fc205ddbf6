"""The outputs of a conversion while they are written: its targets, their label map file and their sidecars."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from boxwright.datasets.image_places import ImageCopies, is_note, note_of, places_path
from boxwright.datasets.plan import Plan
from boxwright.datasets.protocols import Writer
from boxwright.datasets.sidecar import SidecarWriter, sidecar_path
from boxwright.errors import DataError, OutputError, UsageError
from boxwright.label_map import LabelMap
from boxwright.plugins.registry import Registry
from boxwright.progress import Reporter, Task
from boxwright.schemas import Sample
from boxwright.storage.filesystem import is_file
from boxwright.storage.output import AtomicOutput, commit_together
from boxwright.storage.uri import DatasetURI, is_remote
from boxwright.text import is_text


class _NotCommittedError(Exception):
    """The block ended without a commit."""


@dataclass
class Part:
    """One target that is being written."""

    uri: DatasetURI
    output: AtomicOutput
    writer: Writer
    sidecar: SidecarWriter | None
    copies: ImageCopies | None = None
    samples: int = 0


class Outputs:
    """The targets of a conversion while they are written, one per split, with their label map file and their sidecars.

    Use it as a context manager. :meth:`commit` puts everything in place; leaving the block without it removes all.

    Args:
        plan: What is written, and where to.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._targets = ExitStack()
        self._sidecars = ExitStack()
        self._outputs: list[AtomicOutput] = []
        self._label_map_output: AtomicOutput | None = None
        self._parts: dict[str, Part] = {}

    def __enter__(self) -> Outputs:
        with ExitStack() as undo:
            undo.push(self)
            if self._plan.label_map_file.is_written_apart:
                output = AtomicOutput(self._plan.label_map_file.path, overwrite=True)
                self._label_map_output = self._entered(output)
            if not self._plan.destination.uri.has_split:
                self._open(self._plan.destination.uri)  # at once, so that an existing target is refused before any work
            undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._targets.__exit__(kind or _NotCommittedError, error or _NotCommittedError(), trace)
        finally:
            self._sidecars.close()

    def _entered(self, output: AtomicOutput) -> AtomicOutput:
        self._outputs.append(self._targets.enter_context(output))
        return output

    def restart(self) -> None:
        """Discards what was written so far, and begins again."""
        self.__exit__(None, None, None)
        self._parts.clear()
        self._outputs.clear()
        self.__enter__()

    @property
    def samples(self) -> dict[str, int]:
        """The number of images by target."""
        return {
            f"{self._plan.destination.spec.name}:{part.uri.location}": part.samples
            for part in self._parts.values()
            if part.samples
        }

    def _open(self, uri: DatasetURI) -> Part:
        plan, destination, info = self._plan, self._plan.destination, self._plan.dataset.info
        if destination.spec.target == "folder":
            same_format = info.format == destination.spec.name  # a dataset may be replaced by what is made of it
            for location in plan.dataset.locations:
                refuse_to_swallow(location, uri.location, itself=not same_format)
        sidecar_location = sidecar_path(destination.spec, uri.location)
        if destination.spec.target == "file" and not destination.overwrite and is_file(sidecar_location):
            raise OutputError(
                f"{sidecar_location} exists already", "choose another name, or say --overwrite (overwrite=True)"
            )
        sidecar = None
        if plan.sidecar:
            known, classes = plan.dataset.known_label_map, plan.label_map
            if classes is None or (known is not None and known.for_file() == classes):
                classes = known  # with the ids of the source
            sidecar = SidecarWriter(sidecar_location, info, classes, destination.spec.carries)
            self._sidecars.callback(sidecar.close)
        output = AtomicOutput(
            uri.location,
            destination.spec.target,
            overwrite=destination.overwrite,
            dataset_attributes=info.attributes,
        )
        self._entered(output)
        copies = None
        if destination.copies_images:
            copies = ImageCopies(uri.location, overwrite=destination.overwrite)
            self._entered(copies.output)
        writer = destination.writer(output, plan.label_map)
        part = self._parts[uri.location] = Part(uri, output, writer, sidecar, copies)
        return part

    def write(self, sample: Sample) -> None:
        """Writes a sample to the part of its split.

        Raises:
            DataError: The format cannot store it, or its split cannot be part of a file name.
            UsageError: The target has ``{split}`` in it and the sample has no split.
        """
        uri = self._plan.destination.uri
        if uri.has_split:
            if sample.split is None:
                raise UsageError(
                    f"{uri} has {{split}} in it, and {sample.image.name} has no split",
                    "add a step that makes them: --with split:train=0.8,test=0.2",
                )
            uri = uri.for_split(_safe_split(sample))
        part = self._parts.get(uri.location) or self._open(uri)
        record = part.sidecar.record(sample) if part.sidecar is not None else None
        if part.copies is not None:
            part.copies.add(sample)
        part.writer.write(sample)
        if part.sidecar is not None and record is not None:
            part.sidecar.add(sample, record)
        part.samples += 1

    @property
    def single(self) -> Part:
        """The part of a target without ``{split}``."""
        (part,) = self._parts.values()
        return part

    def commit(
        self, classes: Iterable[str], image_folders: Collection[str], plugins: Registry, reporter: Reporter
    ) -> list[str]:
        """Finishes all writers, writes the label map and the sidecars, and puts everything in place together.

        Args:
            classes: The classes that were written, for a label map that was not known before.
            image_folders: The folders that the names of the images are relative to.
            plugins: For reading back what was written.
            reporter: Where progress goes.

        Returns:
            The paths of the sidecars.

        Raises:
            OutputError: Something cannot be written; nothing was changed.
        """
        for part in self._parts.values():
            part.writer.close()
        files = [] if self._label_map_output is None else [self._label_map_output.open()]
        if (
            self._plan.label_map_file.path and self._plan.label_map_file.inside
        ):  # a folder that is replaced takes its old label map with it
            name = os.path.basename(self._plan.label_map_file.path)
            files = [part.output.open(name) for part in self._parts.values()]
        for file in files:
            known = self._plan.label_map if self._plan.label_map is not None else LabelMap.from_names(sorted(classes))
            with file:
                file.write(known.to_pbtxt().encode())
        spec = self._plan.destination.spec
        for part in self._parts.values():
            if part.copies is not None and _same_folder(part.copies.output.location, image_folders):
                raise OutputError(
                    f"the images are in {part.copies.output.location} already", "omit images=copy, or use another name"
                )
        if self._plan.destination.remembers:
            removed = self._remember(image_folders)
        else:  # an earlier output may have remembered its images
            places = [places_path(part.uri.location) for part in self._parts.values() if spec.target == "file"]
            removed = [place for place in places if is_note(place)]
        sidecars = [self._write_sidecar(part, plugins, reporter) for part in self._parts.values() if part.sidecar]
        if spec.target == "file":
            removed += [sidecar_path(spec, part.uri.location) for part in self._parts.values() if part.sidecar is None]
        commit_together(self._outputs, removed)
        self._targets.close()
        return sidecars

    def _remember(self, image_folders: Collection[str]) -> list[str]:
        """Writes where the images of each part are; returns the files of earlier outputs that are no longer valid."""
        stale = []
        for part in self._parts.values():
            location, path = part.uri.location, places_path(part.uri.location)
            note = note_of(location, image_folders if part.copies is None else {part.copies.output.location})
            if note is None:
                stale += [path] if is_note(path) else []
                continue
            if is_file(path) and not is_note(path):
                raise OutputError(
                    f"{path} exists already, and boxwright would remember the folder of the images in it",
                    "move it away, or choose another name",
                )
            with self._entered(AtomicOutput(path, overwrite=True)).open() as file:
                file.write(note)
        return stale

    def _write_sidecar(self, part: Part, plugins: Registry, reporter: Reporter) -> str:
        """Reads a target back before it is in place, and writes a sidecar with what is missing in it."""
        sidecar, destination = part.sidecar, self._plan.destination
        assert sidecar is not None
        with part.output.readable() as location:
            if destination.spec.target == "folder":
                file = part.output.open(os.path.basename(sidecar.path))
            else:
                file = self._entered(AtomicOutput(sidecar.path, overwrite=True)).open()
            with file, reporter.task("Reading back what was written", part.samples) as task:
                samples = _advancing(destination.read_back(part.uri, location, plugins), task)
                sidecar.write(file, samples, {} if destination.spec.target == "folder" else part.output.files)
        return sidecar.path


def _same_folder(location: str, folders: Iterable[str]) -> bool:
    places = [location, *folders]
    if is_remote(location):
        return location in places[1:]
    return os.path.realpath(location) in {os.path.realpath(each) for each in places[1:] if not is_remote(each)}


def _advancing(samples: Iterable[Sample], task: Task) -> Iterator[Sample]:
    for sample in samples:
        yield sample
        task.advance()


def _safe_split(sample: Sample) -> str:
    split = sample.split or ""
    if not split or split.startswith(".") or any(mark in split for mark in "/\\\0:") or not is_text(split):
        raise DataError(sample.source, f"the split {split!r} cannot be part of a file name", "rename the split")
    return split


def refuse_to_swallow(source: str, target: str, remedy: str = "choose another target", *, itself: bool = True) -> None:
    """Refuses to replace a source, directly or by one of its links.

    Args:
        source: A file or folder that is read, maybe in an archive.
        target: The file or folder that is going to be replaced.
        remedy: For the message.
        itself: Whether the target may not be the source either.

    Raises:
        UsageError: The target contains the source, or is the source.
    """
    source = source.rpartition("::")[2]
    if is_remote(source) or is_remote(target):
        return
    finals = {_identity(place) for place in (os.path.abspath(target), os.path.realpath(target))} - {None}
    for place in {os.path.abspath(source), os.path.realpath(source)} if finals else ():
        if any(_identity(each) in finals for each in Path(place).parents):
            raise UsageError(f"{target} contains the source {source}, which would be replaced", remedy)
        if itself and _identity(place) in finals:
            raise UsageError(f"{target} is the source, which would be replaced", remedy)


def _identity(place: str | Path) -> tuple[int, int] | None:
    """Returns what distinguishes an existing file or folder from all others."""
    try:
        status = os.stat(place)
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


_REMEDY = "correct it in the source, or skip the image with --on-error skip"


def located_error(error: DataError | UnicodeEncodeError, sample: Sample) -> DataError:
    """Returns the error of a sample that could not be written, with the box if a class is the cause."""
    place = sample.source or sample.image.name
    for position, label in enumerate(sample.boxes.labels, start=1):
        if not is_text(label):
            problem = f"the class {label!r} contains an unpaired surrogate, which cannot be written as UTF-8"
            return DataError(place, problem, _REMEDY, f"box {position}")
    if isinstance(error, DataError):
        return error
    problem = f"{error.object!r:.200} contains an unpaired surrogate, which cannot be written as UTF-8"
    return DataError(place, problem, _REMEDY)
