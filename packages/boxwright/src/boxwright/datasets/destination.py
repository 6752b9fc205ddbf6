"""Where a conversion writes to: its target, and the label map file that goes with it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from boxwright.datasets.problems import Problems
from boxwright.datasets.protocols import NumberedWriter, Reader, Writer
from boxwright.errors import OutputError, UsageError
from boxwright.label_map import LabelMap, read_label_map
from boxwright.plugins.options import IMAGES, convert_options
from boxwright.plugins.registry import Registry, require
from boxwright.plugins.specs import FormatSpec
from boxwright.schemas import Sample
from boxwright.storage.filesystem import is_folder
from boxwright.storage.output import AtomicOutput
from boxwright.storage.switch import settle
from boxwright.storage.uri import DatasetURI, is_remote, join, parent


class Destination:
    """The parsed target with its format."""

    def __init__(self, target: str | os.PathLike[str] | DatasetURI, plugins: Registry, *, overwrite: bool) -> None:
        self.uri = DatasetURI.of(target)
        self.overwrite = overwrite
        if not is_remote(self.uri.location):
            settle(parent(self.uri.location.partition("{split}")[0]))
        name = self.uri.format or _format_of_suffix(self.uri.location, plugins)
        entry = plugins.get("format", name)
        spec: FormatSpec = entry.spec
        if not spec.write:
            raise UsageError(f"the format {name!r} can be read and not written", "see `boxwright formats`")
        require("format", entry)
        self.options = convert_options(self.uri.options, spec.write_options, f"{name}:{self.uri.location}")
        self.spec = spec.written_with(self.options)
        places = next((each for each in spec.write_options if each.name == IMAGES.name), None)
        images = None if places is None else self.options.pop(places.name, places.default)
        self.remembers = images in ("remember", "copy")
        self.copies_images = images == "copy"
        self._images = {} if places in (None, IMAGES) else {IMAGES.name: images}
        self._make = plugins.resolve("format", name, "write")

    def writer(self, output: AtomicOutput, label_map: LabelMap | None) -> Writer:
        """The format's writer for one target."""
        given = {**self.options, **self._images}
        writer: Writer = self._make(output, label_map if self.spec.numbered else None, **given)
        return writer

    @property
    def needs_label_map(self) -> bool:
        """Whether the writer cannot begin without knowing all classes."""
        if self.spec.numbered == "late":
            return isinstance(self._make, NumberedWriter) and self._make.needs_label_map(**self.options)
        return self.spec.numbered

    def read_back(self, uri: DatasetURI, location: str, plugins: Registry) -> Iterator[Sample]:
        """Yields the samples of a target, read with the options that the reader shares with the writer.

        Args:
            uri: The target.
            location: Where it is until it is in place.
            plugins: The plugins to use.

        Raises:
            DataError: It cannot be read, such as for sizes in images that are elsewhere; not before the first sample.
        """
        known = {option.name for option in self.spec.options}
        shared = {name: value for name, value in self.options.items() if name in known}
        if self.spec.target == "file" and "images" in known and is_folder(parent(uri.location) or "."):
            shared.setdefault("images", parent(uri.location) or ".")
        reader: Reader = plugins.resolve("format", self.spec.name)(location, **shared)
        yield from reader.read(Problems())

    @property
    def label_map_path(self) -> str:
        """The path of the format's own label map file, or ``""``."""
        if not self.spec.label_map_file:
            return ""
        if self.label_map_inside:
            return join(self.uri.location, self.spec.label_map_file)
        folder, slash, _ = self.uri.location.partition("{split}")[0].replace("\\", "/").rpartition("/")
        return folder + slash + self.spec.label_map_file

    @property
    def label_map_inside(self) -> bool:
        """Whether the label map file is a part of the folder that is written."""
        return self.spec.target == "folder" and not self.uri.has_split


def _format_of_suffix(location: str, plugins: Registry) -> str:
    fitting = [
        entry.spec.name
        for entry in plugins.all("format")
        if entry.spec.write and any(location.lower().endswith(suffix) for suffix in entry.spec.suffixes)
    ]
    if len(fitting) == 1:
        return str(fitting[0])
    writable = [entry.spec.name for entry in plugins.all("format") if entry.spec.write]
    raise UsageError(
        f"{location!r} does not say which format to write",
        f"write FORMAT:{location} with one of: {', '.join(writable)}",
    )


@dataclass
class LabelMapFile:
    """The label map file of an output: its path, and its content if it exists already."""

    path: str
    label_map: LabelMap | None
    source: str
    reused: bool
    inside: bool = False

    @classmethod
    def choose(cls, given: str | Path | LabelMap | None, destination: Destination) -> LabelMapFile:
        """Returns the given one, else the one that is next to the target already, else a new one.

        Raises:
            OutputError: A file with other classes exists.
            DataError: The file cannot be read, or an id of the classes cannot be in a label map file.
        """
        usual, inside = destination.label_map_path, destination.label_map_inside
        if isinstance(given, LabelMap):
            if usual:
                given.check_for_file("the given label map")
            there = read_label_map(usual) if usual else None
            if there not in (None, given) and not destination.overwrite:
                raise OutputError(
                    f"{usual} has other classes than the given label map",
                    "write to another folder, give that file as the label map, or say --overwrite (overwrite=True)",
                )
            return cls(usual, given, "the given label map", there == given, inside)
        path = str(given) if given is not None else usual
        found = read_label_map(path) if path else None
        if found is not None and usual:
            found.check_for_file(path)
        return cls(path, found, path, found is not None, inside and given is None)

    @property
    def is_written_apart(self) -> bool:
        """Whether the file must be created, outside the output itself."""
        return bool(self.path) and not self.reused and not self.inside
