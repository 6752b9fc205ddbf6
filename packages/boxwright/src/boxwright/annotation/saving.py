"""Writes the edited images of a dataset, and no other file of it.

A format with a file per image is written image by image: the writer produces the annotation before and after the edits
in a temporary folder, and the file that differs replaces that of the dataset. A format with one file for all images is
written completely. Each annotation is read back before anything is put in place.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from boxwright.datasets.dataset import Dataset
from boxwright.datasets.destination import Destination
from boxwright.datasets.image_places import remembered
from boxwright.datasets.losses import Losses
from boxwright.datasets.problems import Problems
from boxwright.datasets.protocols import Reader
from boxwright.errors import DataError, OutputError
from boxwright.label_map import LabelMap, LabelMapItem
from boxwright.plugins.options import convert_options
from boxwright.plugins.registry import Registry
from boxwright.plugins.specs import FormatSpec
from boxwright.schemas import Boxes, Sample
from boxwright.storage.filesystem import is_file, read_file
from boxwright.storage.output import AtomicOutput, commit_together, tidy_folder
from boxwright.storage.uri import DatasetURI, is_remote, join, parent

_CLOSE, _WHOLE_PIXELS = 0.01, 1.0
"""Pixels by which a written coordinate may differ from that of the edit, in formats with fractions and without."""
_BATCH = 16
"""Images that are written to a temporary folder together, in formats that copy them too."""
_CONVERT = "annotate a copy in another format: --to labelimg:FOLDER"


class ChangedError(Exception):
    """Another program has changed a file meanwhile; nothing was changed."""


class CreatedError(Exception):
    """Another program has created the annotation of images that had none.

    Attributes:
        images: Their positions.
    """

    def __init__(self, images: Sequence[int]) -> None:
        super().__init__(images)
        self.images = images


@dataclass
class Saved:
    """The result of saving.

    Attributes:
        images: The number of images whose edits were saved.
        files: The files that were written.
        kept: The copies of files that another program had written in its own way, as they were before.
        losses: What the format cannot store of the edited images.
        file_of: The annotation file of each edited image, by position, of a format with a file per image.
        written: The images of the files that were written, by position, as these are read.
    """

    images: int = 0
    files: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    losses: Losses = field(default_factory=Losses)
    file_of: dict[int, str] = field(default_factory=dict)
    written: dict[int, Sample] = field(default_factory=dict)


class _Files(NamedTuple):
    """The files that the writer makes of an image before and after an edit, and the edit as it is read."""

    old: Mapping[str, bytes]
    new: Mapping[str, bytes]
    read: Sample


class Saver:
    """Saves the edits of a dataset.

    Args:
        dataset: The dataset, for its classes and attributes.
        uri: Its URI, with the options of reading.
        spec: Its format.
        plugins: The plugins to use.

    Attributes:
        written_spec: The format with the options of writing.
    """

    def __init__(self, dataset: Dataset, uri: DatasetURI, spec: FormatSpec, plugins: Registry) -> None:
        self._dataset, self._location, self._spec, self._plugins = dataset, uri.location, spec, plugins
        self._options = dict(uri.options)
        writable = {option.name for option in spec.write_options} - {"images", "label_map", "classes"}
        self._shared = {name: value for name, value in uri.options.items() if name in writable}
        self._label_map = dataset.known_label_map
        self._copies = any(option.name == "pictures" for option in spec.write_options)
        self._own = False
        self.written_spec = self._destination(uri.location).spec

    def _destination(self, location: str, **options: str) -> Destination:
        uri = DatasetURI(location, self._spec.name, {**self._shared, **options})
        return Destination(uri, self._plugins, overwrite=True)

    def save(
        self,
        before: Sequence[Sample],
        after: Sequence[Sample],
        edited: Sequence[int],
        classes: Sequence[str],
        before_commit: Callable[[Saved], None] = lambda saved: None,
        advance: Callable[[int], None] = lambda images: None,
    ) -> Saved:
        """Writes edited images, all or none.

        Args:
            before: All images as they are in the dataset.
            after: All images with the edits.
            edited: The positions of those that differ.
            classes: All classes, for those that are new.
            before_commit: Called just before the files are replaced.
            advance: Called with the number of edited images that were written to temporary files.

        Raises:
            ChangedError: Raised by ``before_commit``; nothing was changed.
            CreatedError: Another program has created a file; nothing was changed.
            DataError: The format cannot store an edit.
            OutputError: A file cannot be written.
        """
        saved = Saved(images=len(edited))
        known = self._label_map
        contents = self._class_files(after, edited, classes)
        try:
            self._save(before, after, edited, contents, saved, before_commit, advance)
        except BaseException:
            self._label_map = known
            raise
        return saved

    def _save(
        self,
        before: Sequence[Sample],
        after: Sequence[Sample],
        edited: Sequence[int],
        contents: dict[str, bytes],
        saved: Saved,
        before_commit: Callable[[Saved], None],
        advance: Callable[[int], None],
    ) -> None:
        with ExitStack() as stack:
            outputs: list[AtomicOutput] = []
            if self._spec.target == "file":
                outputs.append(stack.enter_context(self._whole_file(before, after, saved)))
            elif self._has_file_per_image(before):
                for start in range(0, len(edited), _BATCH):
                    positions = edited[start : start + _BATCH]
                    pairs = [(before[position], after[position]) for position in positions]
                    for position, files in zip(positions, self._files_of(pairs), strict=True):
                        saved.written[position] = files.read
                        file, content = self._file_of_image(*pairs[positions.index(position)], files, saved)
                        saved.file_of[position] = file
                        if content is not None:
                            contents[file] = content
                    advance(len(positions))
                created = [
                    position
                    for position, file in saved.file_of.items()
                    if file != before[position].source and file in contents and is_file(file)
                ]
                if created:
                    raise CreatedError(created)
            else:
                contents |= self._changed_files(before, after, saved)
            for folder in {os.path.dirname(os.path.realpath(file)) for file in contents if not is_remote(file)}:
                tidy_folder(folder)
            for file, content in contents.items():
                output = stack.enter_context(AtomicOutput(file, overwrite=True, tidy=False))
                with output.open() as opened:
                    opened.write(content)
                outputs.append(output)
            for output in outputs:
                for name in output.files.values() if is_file(output.location) else ():
                    shutil.copymode(output.location, name)
            before_commit(saved)
            if outputs:
                commit_together(outputs)
            saved.files = [output.location for output in outputs]

    def _class_files(self, after: Sequence[Sample], edited: Sequence[int], classes: Sequence[str]) -> dict[str, bytes]:
        """Adds new classes to the label map; returns the files of the dataset that list them."""
        if self._label_map is None:
            return {}
        used = {label for position in edited for label in after[position].boxes.labels}
        new = [name for name in classes if name in used and name not in self._label_map]
        if not new:
            return {}
        last = max((item.id for item in self._label_map.items), default=0)
        added = tuple(LabelMapItem(id=last + n, name=name) for n, name in enumerate(new, start=1))
        label_map = LabelMap(items=(*self._label_map.items, *added))
        files: dict[str, bytes] = {}
        if self._spec.files:
            files = dict(self._plugins.resolve("format", self._spec.name, "files").class_files(self._location, new))
        elif self._spec.label_map_file and is_file(path := join(parent(self._location), self._spec.label_map_file)):
            files = {path: label_map.to_pbtxt().encode()}
        self._label_map = label_map
        return files

    # Formats with one file.

    @contextmanager
    def _whole_file(self, before: Sequence[Sample], after: Sequence[Sample], saved: Saved) -> Iterator[AtomicOutput]:
        if not self._own:
            with tempfile.TemporaryDirectory() as folder:
                location = os.path.join(folder, os.path.basename(self._location))
                with AtomicOutput(location, dataset_attributes=self._dataset.info.attributes) as output:
                    self._fill(output, self._destination(location), before)
                self._keep_unless(read_file(location), self._location, saved)
        self._own = True
        with AtomicOutput(self._location, overwrite=True, dataset_attributes=self._dataset.info.attributes) as output:
            self._fill(output, self._destination(self._location), after)
            with output.readable() as location:
                images = remembered(self._location) or parent(self._location) or "."
                saved.written = dict(enumerate(self._check(after, location, {"images": images})))
            yield output

    def _keep_unless(self, own: bytes | None, file: str, saved: Saved) -> None:
        """Copies a file before it is replaced, unless it has what boxwright writes for it, or is copied already."""
        content = read_file(file)
        if content is None or own is None or _plain(content) == _plain(own):
            return
        for number in itertools.count(1):
            copy = f"{file}.original" if number == 1 else f"{file}.original-{number}"
            if not is_file(copy):
                with AtomicOutput(copy, tidy=False) as kept:
                    kept.copy(file, "")
                saved.kept.append(copy)
                return
            if read_file(copy) == content:
                return

    def _fill(self, output: AtomicOutput, destination: Destination, samples: Sequence[Sample]) -> None:
        label_map = self._label_map
        if label_map is None and destination.needs_label_map:
            label_map = LabelMap.from_names({label for sample in samples for label in sample.boxes.labels})
        writer = destination.writer(output, label_map)
        for sample in samples:
            writer.write(sample)
        writer.close()

    # Formats with a folder.

    def _has_file_per_image(self, samples: Sequence[Sample]) -> bool:
        sources = Counter(sample.source for sample in samples if sample.source != sample.image.location)
        return all(count == 1 and is_file(source) for source, count in sources.items())

    def _files_of(self, pairs: Sequence[tuple[Sample, Sample]]) -> list[_Files]:
        """Returns the files of images before and after their edits; of all at once if the names tell them apart."""
        before, after = [old for old, _ in pairs], [new for _, new in pairs]
        stems = [_stem(sample.image.name) for sample in after]
        if 1 < len(pairs) == len(set(stems)):
            with suppress(DataError, OutputError):  # one by one, the error is that of an image
                old, new, read = self._written(before), self._written(after), self._read_back(after)
                own = [[name for name in new if _stem(name) == stem] for stem in stems]
                names = [name for each in own for name in each]
                shared = new.keys() - set(names)
                if len(names) == len(own) and all(own) and all(old.get(name) == new[name] for name in shared):
                    olds = [{name: old[name]} if name in old else {} for name in names]
                    return [
                        _Files(one, {name: new[name]}, each) for one, name, each in zip(olds, names, read, strict=True)
                    ]
        return [_Files(self._written([old]), self._written([new]), self._read_back([new])[0]) for old, new in pairs]

    def _file_of_image(self, before: Sample, after: Sample, files: _Files, saved: Saved) -> tuple[str, bytes | None]:
        """Returns the annotation file of an image, and its content if it must be written."""
        old, new, _ = files
        changed = {name: content for name, content in new.items() if old.get(name) != content}
        annotated = before.source != (before.image.location or "")
        if not changed:
            return before.source, None
        if len(changed) > 1:
            raise OutputError(f"{self._spec.name} has several files for {after.image.name}", _CONVERT)
        ((name, content),) = changed.items()
        if annotated:
            self._keep_unless(old.get(name), before.source, saved)
            return before.source, content
        location = before.image.location or ""
        if self._spec.files:
            return str(
                self._plugins.resolve("format", self._spec.name, "files").annotation_file(self._location, location)
            ), content
        stem, suffix = os.path.splitext(name)
        if location and stem == os.path.splitext(after.image.name)[0]:
            return os.path.splitext(location)[0] + suffix, content
        return join(self._location, name), content

    def _changed_files(self, before: Sequence[Sample], after: Sequence[Sample], saved: Saved) -> dict[str, bytes]:
        """Returns the files that edits change, of a format whose files have several images each."""
        if self._dataset.problems.skipped:
            raise OutputError(
                f"{self._location} has items that cannot be read, and would be lost", "correct them first"
            )
        old, new = self._written(before), self._written(after)
        saved.written = dict(enumerate(self._read_back(after)))
        contents = {}
        for name, content in new.items():
            if old.get(name) != content:
                place = join(self._location, name)
                if name not in old or not is_file(place):
                    raise OutputError(f"{self._location} has another layout than boxwright writes", _CONVERT)
                self._keep_unless(old[name], place, saved)
                contents[place] = content
        return contents

    def _written(self, samples: Sequence[Sample]) -> Mapping[str, bytes]:
        """Returns the annotation files that the writer makes of samples."""
        with self._temporary(samples, {"pictures": "false"} if self._copies else {}) as place:
            paths = [os.path.join(base, name) for base, _, names in os.walk(place) for name in names]
            return {os.path.relpath(path, place).replace(os.sep, "/"): read_file(path) or b"" for path in paths}

    def _read_back(self, samples: Sequence[Sample]) -> list[Sample]:
        """Returns samples as they are read after they were written."""
        with self._temporary(samples, {}) as place:
            return self._check(samples, place, {})

    @contextmanager
    def _temporary(self, samples: Sequence[Sample], options: Mapping[str, str]) -> Iterator[str]:
        with tempfile.TemporaryDirectory() as folder:
            location = os.path.join(folder, os.path.basename(self._location.rstrip("/")) or "dataset")
            destination = self._destination(location, **options)
            output = AtomicOutput(location, "folder", dataset_attributes=self._dataset.info.attributes)
            try:
                writer = destination.writer(output, self._padded(samples))
                for sample in samples:
                    writer.write(sample)
                writer.close()
                with output.readable() as place:
                    yield place
            finally:
                output.abort()

    def _padded(self, samples: Sequence[Sample]) -> LabelMap | None:
        """Returns the classes with a name for every number, because writers count them."""
        if not self._spec.numbered:
            return None
        if self._label_map is None:
            return LabelMap.from_names({label for sample in samples for label in sample.boxes.labels})
        names = {item.id: item.name for item in self._label_map.items}
        return LabelMap(
            items=tuple(
                LabelMapItem(id=number, name=names.get(number, f"unused class {number}"))
                for number in range(1, max(names, default=0) + 1)
            )
        )

    def _check(self, samples: Sequence[Sample], location: str, options: Mapping[str, str]) -> list[Sample]:
        """Reads annotations back, and compares them with the edits.

        Args:
            samples: The edits.
            location: The written dataset.
            options: Options of reading, unless the URI sets them.

        Returns:
            The edits with the boxes and attributes that were read.

        Raises:
            DataError: A box is missing, or has another label or place.
        """
        allowed = _CLOSE if "subpixel" in self.written_spec.carries else _WHOLE_PIXELS
        given = {**options, **self._options} if options else {**self._options, "images": None}
        known = {option.name: option for option in self._spec.options}
        given = {name: value for name, value in given.items() if name in known and value is not None}
        make = self._plugins.resolve("format", self._spec.name)
        reader: Reader = make(location, **convert_options(given, self._spec.options, self._location))
        found = {sample.image.name: sample for sample in reader.read(Problems())}
        single = next(iter(found.values()), None) if len(samples) == len(found) == 1 else None
        read = []
        for sample in samples:
            written = single or found.get(sample.image.name)
            boxes = Boxes() if written is None else written.boxes
            if boxes.labels != sample.boxes.labels or any(
                abs(one - other) > allowed
                for old, new in zip(sample.boxes.coordinates, boxes.coordinates, strict=True)
                for one, other in zip(old, new, strict=True)
            ):
                raise DataError(
                    sample.source or sample.image.name,
                    f"the format {self._spec.name} would store other boxes than those of {sample.image.name}",
                    f"nothing was changed; {_CONVERT}",
                )
            attributes = {} if written is None else written.attributes
            read.append(sample.replace(boxes=boxes, attributes=attributes))
        return read


def _plain(content: bytes) -> bytes:
    """Returns the content of a text file in which white space and the ends of long fractions do not matter."""
    return re.sub(rb"\d+(?:\.\d+)?", lambda number: b"%.6g" % float(number[0]), b"".join(content.split()))


def _stem(name: str) -> str:
    return os.path.splitext(os.path.basename(name))[0]
