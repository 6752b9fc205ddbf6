"""An annotation session: the images of a dataset, edits with undo and redo, and saving them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, Final, NamedTuple

from boxwright.annotation.edits import VERIFIED, Drawn, checked_label, edited_boxes
from boxwright.annotation.journal import Journal, journal_path, state_of, with_state
from boxwright.annotation.saving import ChangedError, CreatedError, Saved, Saver
from boxwright.datasets.conversion import convert
from boxwright.datasets.dataset import Dataset, open_dataset
from boxwright.datasets.detect import detect_format
from boxwright.datasets.losses import LossCounter
from boxwright.datasets.sidecar import fingerprint
from boxwright.errors import BoxwrightError, DataError, OutputError, UsageError
from boxwright.label_map import LabelMap
from boxwright.plugins.registry import Registry, default_registry
from boxwright.plugins.specs import FormatSpec
from boxwright.progress import LogReporter, Reporter
from boxwright.schemas import Boxes, Sample
from boxwright.storage.filesystem import is_file, is_folder
from boxwright.storage.uri import DatasetURI, is_remote, join, parent

_TRIES: Final = 3
_UNKNOWN: Final = (0,)
"""Instead of the state of a file that may have changed while it was read."""


class ConflictError(BoxwrightError):
    """What an edit or a save is based on has changed since.

    Attributes:
        images: The positions of the images.
    """

    def __init__(self, message: str, remedy: str, images: Sequence[int]) -> None:
        super().__init__(message, remedy)
        self.images = list(images)


class _Change(NamedTuple):
    image: int
    before: Sample
    after: Sample


class _Since(NamedTuple):
    """What the journal has of the stacks of edits, since the last save.

    Attributes:
        edits: The number of edits in it that can be taken back.
        undone: The number of edits in it that were taken back.
        states: Whether it has the results of undoing and redoing instead.
    """

    edits: int = 0
    undone: int = 0
    states: bool = False

    def moved(self, count: int) -> _Since:
        """Returns the numbers after edits were taken back, or repeated if ``count`` is negative."""
        return self if self.states else self._replace(edits=self.edits - count, undone=self.undone + count)


class AnnotationSession:
    """Edits of a dataset by a person.

    Every edit is in a journal on disk when its method returns, and in the dataset after :meth:`save`. All methods may
    be called from several threads. Only one session per dataset can be open.

    Args:
        uri: The dataset; a folder of images without annotations is annotated in the format ``labelimg``.
        to: A dataset that is made of ``uri``, unless it exists already, and annotated instead.
        classes: More classes than those of the dataset.
        reporter: Where progress and warnings go.
        registry: The plugins to use, instead of the installed ones.

    Attributes:
        uri: The URI of the annotated dataset.
        spec: Its format.
        samples: The images as edited, in the order of the dataset.
        revisions: The number of the current revision of each image.
        classes: The classes, in their order.
        skipped: The errors of items that cannot be read, which stay unchanged.
        proposals: The boxes that a model proposes; ``None`` without a model.
        next_step: What follows after the session, in one word for a button such as ``"Train"``; empty for nothing.
        recovered: The number of edits that an earlier session did not save, and which are applied.
        saving: While :meth:`save` works, how many edited images are written, and of how many; otherwise ``(0, 0)``.
        lock: Held by each method; hold it to read and edit without an edit in between.

    Raises:
        UsageError: The format cannot be read and written, or the classes are invalid.
        DataError: The dataset cannot be read, or another session is annotating it.
    """

    def __init__(
        self,
        uri: str | os.PathLike[str] | DatasetURI,
        *,
        to: str | os.PathLike[str] | DatasetURI = "",
        classes: Sequence[str] = (),
        reporter: Reporter | None = None,
        registry: Registry | None = None,
    ) -> None:
        self.lock = threading.RLock()
        self.saving = (0, 0)
        self._plugins = registry or default_registry()
        self._reporter = reporter = reporter or LogReporter()
        given = [checked_label(name) for name in classes]
        self._location = _annotated(DatasetURI.of(uri), to, given, self._plugins, reporter)
        self.uri = str(self._location)
        self.spec: FormatSpec = self._plugins.get("format", str(self._location.format)).spec
        if not (self.spec.load and self.spec.write):
            raise UsageError(
                f"the format {self.spec.name!r} cannot be both read and written",
                "convert the dataset: --to labelimg:FOLDER",
            )
        self._journal = Journal(journal_path(self._location.location), self.uri)
        try:
            self._shared = self._shared_files()
            self._stats = {file: _stat(file) for file in self._shared}
            self._dataset, samples = self._read(reporter)
            self._on_disk = samples
            self._saved, self.samples = list(samples), list(samples)
            self._positions = {sample.image.name: position for position, sample in enumerate(samples)}
            self.revisions = [0] * len(samples)
            self._bases: dict[int, str] = {}
            self._done: list[list[_Change]] = []
            self._undone: list[list[_Change]] = []
            self.classes = list(dict.fromkeys([*self._classes_of(samples), *given]))
            self.skipped = list(self._dataset.problems.skipped)
            self.recovered = self._replay()
            self._since = _Since(len(self._done), len(self._undone))
            if self._absent:
                # Edits of this session must not name one of those by its place.
                self._since = _Since(states=True)
                for stack in (self._done, self._undone):
                    stack[:] = filter(None, stack)
                names = ", ".join(sorted(self._absent)[:3])
                problem = f"the journal has edits of images that are missing or cannot be read: {names}"
                self.skipped.append(DataError(self._journal.path, problem, "it keeps them until these can be read"))
            self.proposals: Any = None
            self.next_step = ""
            self._saver = Saver(self._dataset, self._location, self.spec, self._plugins)
        except BaseException:
            self._journal.close(remove=False)
            raise

    # Reading.

    def _read(self, reporter: Reporter | None = None) -> tuple[Dataset, list[Sample]]:
        stats, start = {file: _stat(file) for file in self._stats}, self._journal.now()
        on_error = "fail" if self.spec.target == "file" else "skip"
        dataset = open_dataset(self._location, on_error=on_error, registry=self._plugins)
        with (reporter or LogReporter()).task("Reading annotations", dataset.info.num_samples) as task:
            samples = []
            for sample in dataset:
                samples.append(sample)
                task.advance()
        if self._location.options.get("truth"):
            raise UsageError(
                f"{self.uri} contains detections, not annotations", "annotate a copy: --to labelimg:FOLDER"
            )
        if any(sample.image.data is not None for sample in samples):
            raise UsageError(
                f"{self._location.location} contains the images themselves", "annotate a copy: --to labelimg:FOLDER"
            )
        if any("left out" in note for note in dataset.shape_notes):
            raise UsageError(
                f"{self._location.location} has shapes without a box, which saving would lose: "
                + "; ".join(dataset.shape_notes),
                "annotate a copy: --to labelimg:FOLDER",
            )
        for file in stats.keys() | {self._file(sample) for sample in samples}:
            found = _stat(file)
            unchanged = found == stats[file] if file in stats else found is None or max(found[:2]) < start
            self._stats[file] = found if unchanged else _UNKNOWN
        return dataset, samples

    def _shared_files(self) -> list[str]:
        """Returns the files that say something about all images."""
        location = self._location.location
        files = [location] if self.spec.target == "file" else []
        if self.spec.label_map_file:
            files.append(join(parent(location), self.spec.label_map_file))
        if self.spec.files:
            with suppress(DataError):  # the list of classes cannot be extended
                files += self._plugins.resolve("format", self.spec.name, "files").class_files(location, ())
        return files

    def _classes_of(self, samples: Sequence[Sample]) -> list[str]:
        label_map = self._dataset.known_label_map
        labels = sorted({label for sample in samples for label in sample.boxes.labels})
        return [*(() if label_map is None else label_map.names), *labels]

    def _file(self, sample: Sample) -> str:
        """Returns the file in which the annotation of an image is, or the dataset's."""
        own = self.spec.target == "folder" and is_file(sample.source)
        return sample.source if own else self._location.location

    def _replay(self) -> int:
        self._absent: set[str] = set()
        for line in self._journal.lines:
            if "edit" in line:
                changes = []
                for entry in line["edit"]:
                    position = self._positions.get(entry["image"])
                    if position is None:
                        self._absent.add(entry["image"])
                        continue
                    self._bases[position] = entry["base"]
                    try:
                        after = with_state(self.samples[position], entry)
                    except (LookupError, TypeError, ValueError) as error:
                        raise DataError(
                            self._journal.path, f"the journal is damaged: {error}", "remove it, which loses its edits"
                        ) from None
                    changes.append(_Change(position, self.samples[position], after))
                self._apply(changes)
                self._done.append(changes)
                self._undone.clear()
            elif "undo" in line and self._done:
                self._take_back()
            elif "redo" in line and self._undone:
                self._do_again()
            elif "saving" in line:
                found = [(self._positions.get(name), digest) for name, digest in line["saving"].items()]
                self._reset([n for n, digest in found if n is not None and fingerprint(self._on_disk[n]) == digest])
            elif "reset" in line:
                self._absent.difference_update(line["reset"])
                self._reset([self._positions[name] for name in line["reset"] if name in self._positions])
        return len(self.unsaved)

    # Editing.

    def edit(
        self, image: int, boxes: Iterable[Drawn | tuple[Any, ...]], *, revision: int, verified: bool | None = None
    ) -> Sample:
        """Sets the boxes of an image.

        Args:
            image: The position of the image.
            boxes: All of its boxes, as :class:`Drawn` or tuples of its fields.
            revision: The revision that the edit is based on.
            verified: Whether a person has checked the image; ``None`` keeps the mark.

        Returns:
            The edited sample.

        Raises:
            ConflictError: The image has another revision, from another window, or its file was changed.
            UsageError: A box is invalid.
        """
        with self.lock:
            self._check_revision(image, revision)
            before = self.samples[image]
            attributes = dict(before.attributes)
            if verified is not None:
                attributes.pop(VERIFIED, None)
                attributes |= {VERIFIED: "yes"} if verified else {}
            after = before.replace(boxes=edited_boxes(before, [Drawn(*each) for each in boxes]), attributes=attributes)
            self.apply({image: after})
            return self.samples[image]

    def verify(self, image: int, verified: bool = True) -> Sample:
        """Marks an image as checked by a person, or removes the mark."""
        with self.lock:
            rows = zip(self.samples[image].boxes.labels, self.samples[image].boxes.coordinates, strict=True)
            boxes = [Drawn(label, box, position) for position, (label, box) in enumerate(rows)]
            return self.edit(image, boxes, revision=self.revisions[image], verified=verified)

    def apply(self, samples: Mapping[int, Sample]) -> None:
        """Sets the boxes and attributes of several images as one edit, which is undone as one.

        Args:
            samples: The edited samples by position.

        Raises:
            ConflictError: The file of one of the images was changed.
        """
        with self.lock:
            changes = [
                _Change(image, self.samples[image], after)
                for image, after in samples.items()
                if not _same(self.samples[image], after)
            ]
            if not changes:
                return
            first = [change.image for change in changes if change.image not in self._bases]
            self._refuse_changed(first)
            for image in first:
                self._bases[image] = fingerprint(self._on_disk[image])
            self._journal.add({"edit": [self._entry(change.image, change.after) for change in changes]})
            self._since = _Since(self._since.edits + 1, 0, self._since.states)
            self._apply(changes)
            self._done.append(changes)
            self._undone.clear()

    def undo(self) -> list[int]:
        """Takes back the last edit; returns the positions of its images, empty if there is none."""
        with self.lock:
            if not self._done:
                return []
            self._note("undo", self._done, self._since.edits)
            self._since = self._since.moved(1)
            return self._take_back()

    def redo(self) -> list[int]:
        """Repeats the edit that was taken back last; returns the positions of its images, empty if there is none."""
        with self.lock:
            if not self._undone:
                return []
            self._note("redo", self._undone, self._since.undone)
            self._since = self._since.moved(-1)
            return self._do_again()

    @property
    def can_undo(self) -> bool:
        """Whether there is an edit to take back."""
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        """Whether an edit was taken back."""
        return bool(self._undone)

    def add_class(self, name: str) -> str:
        """Adds a class unless it exists, and returns its name without surrounding spaces.

        Raises:
            UsageError: The name is invalid.
        """
        name = checked_label(name)
        with self.lock:
            if name not in self.classes:
                self.classes.append(name)
        return name

    def _note(self, name: str, stack: list[list[_Change]], known: int) -> None:
        """Adds an undo or a redo to the journal; if the journal does not contain the edit, the resulting boxes."""
        self._since = self._since._replace(states=self._since.states or not known)
        if not self._since.states:
            self._journal.add({name: 1})
            return
        changes = stack[-1]
        for image in {change.image for change in changes} - self._bases.keys():
            self._bases[image] = fingerprint(self._on_disk[image])
        results = [(each.image, each.before if name == "undo" else each.after) for each in changes]
        self._journal.add({"edit": [self._entry(image, sample) for image, sample in results]})

    def _entry(self, image: int, sample: Sample) -> dict[str, Any]:
        return {"image": sample.image.name, "base": self._bases[image], **state_of(sample)}

    def _take_back(self) -> list[int]:
        changes = self._done.pop()
        self._undone.append(changes)
        return self._apply([_Change(image, after, before) for image, before, after in changes])

    def _do_again(self) -> list[int]:
        changes = self._undone.pop()
        self._done.append(changes)
        return self._apply(changes)

    def _apply(self, changes: Sequence[_Change]) -> list[int]:
        for image, _, after in changes:
            self.samples[image] = after
            self.revisions[image] += 1
            self.classes += [label for label in dict.fromkeys(after.boxes.labels) if label not in self.classes]
        return [change.image for change in changes]

    # Saving.

    @property
    def unsaved(self) -> list[int]:
        """The positions of the images whose edits are not in the dataset yet."""
        with self.lock:
            return [image for image in sorted(self._bases) if not _same(self.samples[image], self._saved[image])]

    def changed_files(self) -> list[int]:
        """The positions of the images with edits whose files another program has changed, or removed."""
        with self.lock:
            unsaved = self.unsaved
            self._look_at_files(unsaved)
            return [image for image in unsaved if self._bases[image] != fingerprint(self._on_disk[image])]

    def save(self, overwrite: Collection[int] = ()) -> Saved:
        """Writes the edited images, all or none; other files stay unchanged.

        Args:
            overwrite: The positions of images whose files may be replaced although another program has changed them.

        Raises:
            ConflictError: Another program has changed the files of images that are not in ``overwrite``.
            DataError: The format cannot store an edit; nothing was changed.
            OutputError: A file cannot be written; nothing was changed.
        """
        with self.lock:
            for _ in range(_TRIES):
                with suppress(ChangedError):
                    return self._save(overwrite)
            raise OutputError(
                f"another program changes {self._location.location} all the time", "end it, and save again"
            )

    def _save(self, overwrite: Collection[int]) -> Saved:
        if conflicts := [image for image in self.changed_files() if image not in overwrite]:
            names = ", ".join(self.samples[image].image.name for image in conflicts[:3])
            raise ConflictError(
                f"another program has changed the annotation of {names} since it was edited here",
                "keep the edits, which replaces that annotation, or drop them",
                conflicts,
            )
        unsaved = self.unsaved
        if not unsaved:
            return Saved()
        counter = LossCounter(self._saver.written_spec)
        for image in unsaved:
            counter.count(self.samples[image])
        unsaved_before = self.changed_files()
        after = list(self._on_disk)
        for image in unsaved:
            after[image] = self.samples[image]
        # The time of a folder changes with the temporary files in it.
        files = [image for image in unsaved if self._file(self._on_disk[image]) != self._location.location]
        try:
            with self._progress(len(unsaved)) as advance:
                saved = self._saver.save(
                    self._on_disk,
                    after,
                    unsaved,
                    self.classes,
                    lambda saved: self._before_commit(saved, files, unsaved),
                    advance,
                )
        except CreatedError as error:
            self._stats.clear()
            if self.changed_files() == unsaved_before:
                name = self.samples[error.images[0]].image.name
                raise OutputError(f"the annotation of {name} exists, and cannot be read", "remove it") from None
            return self._save(overwrite)
        saved.losses.add(counter.take())
        for image in unsaved:
            source = saved.file_of.get(image, self.samples[image].source)
            self.samples[image] = self._saved[image] = self.samples[image].replace(source=source)
        for image, written in saved.written.items():
            self._on_disk[image] = written.replace(source=self.samples[image].source)
        for file in {*saved.files, *(self._file(self.samples[image]) for image in unsaved)}:
            self._stats[file] = _stat(file)
        if self._absent:
            self._journal.add({"reset": [self.samples[image].image.name for image in self._bases]})
        else:
            self._journal.restart()
        self._bases.clear()
        self._since = _Since(states=bool(self._absent))
        return saved

    @contextmanager
    def _progress(self, images: int) -> Iterator[Callable[[int], None]]:
        """Shows how far saving is, to the reporter and in :attr:`saving`."""
        with self._reporter.task("Saving", images) as task:

            def advance(written: int) -> None:
                self.saving = (self.saving[0] + written, images)
                task.advance(written)

            try:
                advance(0)
                yield advance
            finally:
                self.saving = (0, 0)

    def _before_commit(self, saved: Saved, files: Sequence[int], unsaved: Sequence[int]) -> None:
        if self._is_changed(files):
            raise ChangedError
        # So that a kill right after it does not leave edits that are saved already.
        after = {self.samples[image].image.name: fingerprint(saved.written[image]) for image in unsaved}
        self._journal.add({"saving": after})

    def discard(self, images: Iterable[int]) -> None:
        """Drops the edits of images that are not saved: they are again as in the dataset. This cannot be undone."""
        with self.lock:
            dropped = [image for image in images if image in self._bases]
            self._journal.add({"reset": [self.samples[image].image.name for image in dropped]})
            self._reset(dropped)

    def _reset(self, images: Iterable[int]) -> None:
        for image in images:
            self.samples[image] = self._saved[image] = self._on_disk[image]
            self.revisions[image] += 1
            self._bases.pop(image, None)
        dropped = set(images)
        for stack in (self._done, self._undone):
            # Both stacks become shorter, so that the journal cannot name edits by their place.
            self._since = _Since(states=True)
            stack[:] = [rest for changes in stack if (rest := [each for each in changes if each.image not in dropped])]

    def refresh(self, image: int) -> None:
        """Reads an image again if another program has changed its file, unless it has edits."""
        with self.lock:
            self._look_at_files([image])

    def _look_at_files(self, images: Iterable[int]) -> None:
        """Reads the dataset again if the file of one of the images has changed.

        Raises:
            DataError: An image with edits was removed from the dataset.
        """
        if not self._is_changed(images):
            return
        dataset, samples = self._read()
        found = {sample.image.name: sample for sample in samples}
        if self.spec.target == "file" and found.keys() != self._positions.keys():
            raise DataError(
                self._location.location,
                "another program has added or removed images",
                "end `boxwright annotate` and start it again; the journal keeps your edits",
            )
        self._dataset, self._shared = dataset, self._shared_files()
        self._stats = {file: _stat(file) for file in self._shared} | self._stats
        self._saver = Saver(dataset, self._location, self.spec, self._plugins)
        self.classes = list(dict.fromkeys([*self.classes, *self._classes_of(samples)]))
        for name, position in self._positions.items():
            now = found.get(name) or self._on_disk[position].replace(boxes=Boxes(), attributes={})
            if not _same(now, self._on_disk[position]):
                self._on_disk[position] = now
                if _same(self.samples[position], self._saved[position]):
                    self._reset([position])
                else:
                    self._saved[position] = now

    def _is_changed(self, images: Iterable[int]) -> bool:
        files = {*self._shared, *(self._file(self._on_disk[image]) for image in images)}
        return any(_stat(file) != self._stats.get(file) for file in files)

    def _refuse_changed(self, images: Sequence[int]) -> None:
        before = [self.revisions[image] for image in images]
        self._look_at_files(images)
        if changed := [image for image, old in zip(images, before, strict=True) if self.revisions[image] != old]:
            raise ConflictError(
                "another program has changed the annotation", "look at the image again, and repeat the edit", changed
            )

    def _check_revision(self, image: int, revision: int) -> None:
        if self.revisions[image] != revision:
            raise ConflictError(
                "the image was edited in another window", "look at the image again, and repeat the edit", [image]
            )

    def read_image(self, image: int) -> bytes:
        """Returns the encoded image.

        Raises:
            DataError: It cannot be read, or is behind a link that leads out of the dataset.
        """
        reference = self.samples[image].image
        self._dataset.boundary.check(reference.location)
        return reference.read()

    def close(self) -> None:
        """Ends the session. Edits that are not saved stay in the journal, from which the next session continues."""
        with self.lock:
            self._journal.close(remove=not (self.unsaved or self._absent))

    def __enter__(self) -> AnnotationSession:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _annotated(
    uri: DatasetURI,
    to: str | os.PathLike[str] | DatasetURI,
    classes: Sequence[str],
    plugins: Registry,
    reporter: Reporter,
) -> DatasetURI:
    """Returns the dataset to annotate: the given one, or a copy of it in another format."""
    if uri.has_split:
        raise UsageError(f"{uri} is several datasets", "annotate one of them, or the folder that contains them")
    if is_remote(uri.location):
        raise UsageError(f"{uri} cannot be annotated", "name a dataset on this computer: FORMAT:LOCATION")
    if to:
        target = DatasetURI.of(to)
        if not (is_file(target.location) or (is_folder(target.location) and os.listdir(target.location))):
            source = replace(uri, format=uri.format or detect_format(uri.location, plugins))
            label_map = LabelMap.from_names(classes, sort=False) if classes else None
            convert(source, target, label_map=label_map, registry=plugins, reporter=reporter)
        uri = target
    name = uri.format or detect_format(uri.location, plugins)
    if name == "pictures":
        name = "labelimg"
    options = {option.name for option in plugins.get("format", name).spec.options}
    included = {"unannotated": "include"} if "unannotated" in options else {}
    return replace(uri, format=name, options={**included, **uri.options})


def _same(one: Sample, other: Sample) -> bool:
    return one is other or (one.boxes == other.boxes and one.attributes == other.attributes)


def _stat(file: str) -> tuple[int, ...] | None:
    try:
        found = os.stat(file)
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino
