"""The file next to a dataset that keeps what its format cannot store.

``boxwright convert --sidecar`` writes it and every reader looks for it, so that a dataset is restored after it was
converted to a format that stores less. It is JSON, one object per line: first the dataset as a whole, then each image
with all its fields and a digest of what the format itself stores. If the digest differs, the annotation was changed
since: then the fields of the format are read from the annotation, and only the others from the sidecar, for the boxes
that are still in their place.
"""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any, NamedTuple

from boxwright.datasets.protocols import OnProblem, Reader, ShapeReader, SwappingReader
from boxwright.errors import DataError
from boxwright.label_map import LabelMap, LabelMapItem
from boxwright.plugins.specs import FormatSpec, carried
from boxwright.schemas import MAX_SIDE, Boxes, Coordinates, DatasetInfo, ImageRef, Sample
from boxwright.storage.filesystem import MAX_DATASET_BYTES, open_binary, open_regular, read_file
from boxwright.storage.output import SIDECAR_SUFFIX, is_safe_name
from boxwright.storage.uri import is_remote, join, parent, with_suffix
from boxwright.text import is_text

VERSION = 1
_SHARDS = re.compile(r"@[0-9]+$|-\?+-of-[0-9]+$")
_READ_WITHOUT = "remove it, if the dataset is to be read without it"
_PART, _PARTS = 1 << 16, 32
_LONGEST = 200
"""The largest number of characters of a problem in a message."""
_NEAR = 1.0
"""Pixels by which a format may have moved an edge of a box that nobody has touched."""


def sidecar_path(spec: FormatSpec, location: str) -> str:
    """Returns the path of the sidecar of a dataset: next to a file, inside a folder."""
    if spec.target == "file":
        return with_suffix(_SHARDS.sub("", location), SIDECAR_SUFFIX)
    if os.path.splitext(location)[1] and not is_remote(location) and os.path.isfile(location):
        location = parent(location)  # a folder format that is named by a file in it
    return join(location, f"boxwright{SIDECAR_SUFFIX}")


def fingerprint(sample: Sample) -> str:
    """Returns a digest of everything that a format stores for an image, except the location of its bytes."""
    import hashlib  # brings OpenSSL, and most datasets have no sidecar

    image, boxes = sample.image, sample.boxes
    content = (image.name, image.width, image.height, sample.split, sorted(sample.attributes.items()))
    rows = [sorted(attributes.items()) for attributes in boxes.attributes] if boxes.has_attributes else None
    return hashlib.blake2b(repr((content, boxes.labels, boxes.coordinates, rows)).encode(), digest_size=12).hexdigest()


def file_digest(path: str) -> str:
    """Returns a digest of the size of a file, and of 32 parts of it, so that it takes no longer for a large file."""
    import hashlib

    digest = hashlib.blake2b(digest_size=12)
    with open_binary(path) as file:
        size = file.seek(0, os.SEEK_END)
        digest.update(str(size).encode())
        for offset in range(0, size, max(_PART, size // _PARTS)):
            file.seek(offset)
            digest.update(file.read(_PART))
    return digest.hexdigest()


class SidecarWriter:
    """Collects the samples of one target, and writes them to a file that is put in place together with it.

    Args:
        path: The sidecar's place; see :func:`sidecar_path`.
        info: The source's fields for the dataset as a whole.
        label_map: The classes, where they are known.
        carries: What the format itself stores with the options in use.
    """

    def __init__(
        self, path: str, info: DatasetInfo, label_map: LabelMap | None, carries: frozenset[str] = frozenset()
    ) -> None:
        import tempfile

        self.path = path
        self._head = {
            "boxwright_sidecar": VERSION,
            "carries": sorted(carries),
            "dataset": info.attributes,
            "label_map": None if label_map is None else [item.model_dump() for item in label_map.items],
        }
        self._records: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed by close)
        self._places: dict[str, int] = {}

    def record(self, sample: Sample) -> bytes:
        """One sample as a line, to be added once the format has taken it.

        Raises:
            DataError: An attribute is nothing that JSON could hold.
        """
        boxes = sample.boxes
        content = {
            "name": sample.image.name,
            "size": (sample.image.width, sample.image.height),
            "split": sample.split,
            "attributes": sample.attributes,
            "labels": boxes.labels,
            "edges": boxes.coordinates,
            "box_attributes": [dict(each) for each in boxes.attributes] if boxes.has_attributes else None,
        }
        return _dumped(content, sample)

    def add(self, sample: Sample, record: bytes) -> None:
        """Keeps one sample's line."""
        self._places[sample.image.name] = self._records.seek(0, os.SEEK_END)
        self._records.write(record)

    def write(self, file: IO[bytes], read_back: Iterable[Sample], files: Mapping[str, str]) -> None:
        """Writes the sidecar.

        Args:
            file: The open file.
            files: The paths of the files next to it that it belongs to, by name.
            read_back: The samples of the target by its format; if it fails, the following images are matched by
                their boxes when they are read.
        """
        digests = {name: file_digest(path) for name, path in files.items()}
        file.write(json.dumps(self._head | {"files": digests}).encode() + b"\n")
        left = dict.fromkeys(self._places)
        whole = True
        try:
            for sample in read_back:
                if sample.image.name in left:
                    file.write(self._line(sample.image.name, fingerprint(sample)))
                    del left[sample.image.name]
        except DataError:
            whole = False
        for name in left:
            file.write(self._line(name, None if whole else ""))

    def _line(self, name: str, read: str | None) -> bytes:
        self._records.seek(self._places[name])
        return b'{"read": ' + json.dumps(read).encode() + b", " + self._records.readline()[1:]

    def close(self) -> None:
        """Discards what was collected."""
        self._records.close()


def _dumped(record: Mapping[str, Any], sample: Sample) -> bytes:
    try:
        text = json.dumps(record)
    except (TypeError, ValueError) as error:
        problem = f"an attribute is nothing that a sidecar file could hold: {error}"
        raise DataError(sample.source or sample.image.name, problem, "leave out --sidecar") from None
    return text.encode() + b"\n"


def with_sidecar(reader: Reader, spec: FormatSpec, location: str) -> Reader:
    """Returns the reader, or one that adds the content of the sidecar if there is one.

    Raises:
        DataError: There is one, and it is damaged.
    """
    path = sidecar_path(spec, location)
    if not is_remote(path) and not os.path.isfile(path):
        return reader
    content = read_file(path, _READ_WITHOUT, limit=MAX_DATASET_BYTES) if is_remote(path) else None
    if is_remote(path) and content is None:
        return reader
    return SidecarReader(reader, spec, path, content)


class _Line(NamedTuple):
    """A line of a sidecar: its offset in bytes, and its number from 1."""

    offset: int
    number: int


class SidecarReader:
    """A reader that restores what a format could not store.

    Images that the sidecar does not contain are yielded unchanged. Images without boxes that the format could not
    store come last.

    Args:
        reader: The format's own.
        spec: The format, for what it carries itself where the sidecar does not say with which options it was written.
        path: The sidecar.
        content: Its bytes, where it is not a local file.
    """

    def __init__(self, reader: Reader, spec: FormatSpec, path: str, content: bytes | None = None) -> None:
        self._reader = reader
        self._path = path
        self._content = content
        with self._open() as file:
            head = self._parsed(file.readline(), 1)
        if head.get("boxwright_sidecar") != VERSION:
            raise self._damaged("its first line is not that of a sidecar of this version", 1)
        carries = head.get("carries")
        self._carries = frozenset(map(str, carries)) if isinstance(carries, list) else spec.carries
        if isinstance(reader, SwappingReader):
            self.swapped = reader.swapped
        if isinstance(reader, ShapeReader):
            self.shapes = reader.shapes
        info = reader.info
        changed = self._changed(head.get("files"))
        attributes = head.get("dataset") or {}
        try:
            label_map = _label_map(head)
        except (TypeError, ValueError) as error:
            raise self._damaged(f"its label map is invalid: {error}"[:_LONGEST], 1) from None
        if not isinstance(attributes, dict):
            raise self._damaged("its entry for the dataset is not an object", 1)
        self.info = DatasetInfo(
            format=info.format,
            location=info.location,
            label_map=label_map if info.label_map in (None, label_map and label_map.for_file()) else info.label_map,
            num_samples=info.num_samples,
            splits=info.splits,
            notes=(*info.notes, f"what the format itself cannot hold comes from {path}", *changed),
            attributes=attributes,
        )

    def _changed(self, files: Any) -> list[str]:
        """Returns a note if the files that the sidecar belongs to have changed since."""
        names = files if isinstance(files, dict) else {}
        if not all(isinstance(name, str) and is_safe_name(name) for name in names):
            raise self._damaged("the name of a file leads out of the folder", 1)
        places = {name: join(parent(self._path), name) for name in names}
        changed = [name for name, place in places.items() if not _is_file(place) or file_digest(place) != names[name]]
        if not changed:
            return []
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        return [
            f"{changed[0]}{more} changed after the sidecar was written: attributes return to boxes in their old place"
        ]

    def read(self, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields the samples; see :class:`boxwright.datasets.Reader`."""
        with self._open() as file:
            places = self._index(file)
            folder: str | None = None
            for sample in self._reader.read(on_problem):
                name, location = sample.image.name, sample.image.location
                place = places.pop(name, None)
                if folder is None and location is not None and location.replace("\\", "/").endswith(f"/{name}"):
                    folder = location[: -len(name)]
                yield sample if place is None else self._restored(sample, self._record(file, place))
            for name, place in places.items():
                record = self._record(file, place)
                if not record["labels"] and not record["read"] and "empty" not in self._carries:
                    yield self._empty(name, record, folder)

    def _open(self) -> IO[bytes]:
        return open(self._path, "rb", opener=open_regular) if self._content is None else io.BytesIO(self._content)

    def _index(self, file: IO[bytes]) -> dict[str, _Line]:
        """Returns the line of each image."""
        places: dict[str, _Line] = {}
        offset = len(file.readline())
        for number, line in enumerate(file, start=2):
            places[str(self._parsed(line, number).get("name"))] = _Line(offset, number)
            offset += len(line)
        return places

    def _record(self, file: IO[bytes], line: _Line) -> dict[str, Any]:
        file.seek(line.offset)
        record = self._parsed(file.readline(), line.number)
        try:
            record["boxes"] = Boxes(record["labels"], record["edges"], record["box_attributes"])
            (record["width"], record["height"]) = sides = tuple(map(int, record["size"]))
            name, read, split, attributes = (record[key] for key in ("name", "read", "split", "attributes"))
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise self._damaged(f"{type(error).__name__}: {error}"[:_LONGEST], line.number) from None
        if not isinstance(name, str) or not is_safe_name(name):
            raise self._damaged(f"the name {name!r:.80} leads out of the folder", line.number)
        if not all(0 < side <= MAX_SIDE for side in sides):
            raise self._damaged(f"the size of {name:.80} is not a number of pixels", line.number)
        if not all(value is None or isinstance(value, str) for value in (read, split)) or type(attributes) is not dict:
            raise self._damaged(f"the values of {name:.80} have other types", line.number)
        if not all(map(is_text, (name, split or "", *attributes))):
            raise self._damaged(f"the values of {name!a:.80} contain an unpaired surrogate", line.number)
        return record

    def _parsed(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            content = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise self._damaged(str(error)[:_LONGEST], number) from None
        if not isinstance(content, dict):
            raise self._damaged("the line is not a JSON object", number)
        return content

    def _damaged(self, problem: str, number: int) -> DataError:
        return DataError(
            self._path,
            f"the sidecar is damaged: {problem}",
            "convert again with --sidecar, or remove it to read the dataset without it",
            f"line {number}",
        )

    def _restored(self, sample: Sample, record: dict[str, Any]) -> Sample:
        if record["read"] and record["read"] == fingerprint(sample):
            return self._as_it_was(sample, record)
        if not record["read"] and _same_boxes(sample.boxes, record["boxes"]):
            return self._as_it_was(sample, record)
        return self._merged(sample, record)

    def _as_it_was(self, sample: Sample, record: dict[str, Any]) -> Sample:
        image = sample.image.model_copy(update={"width": record["width"], "height": record["height"]})
        return sample.replace(
            image=image, boxes=record["boxes"], split=record["split"], attributes=dict(record["attributes"])
        )

    def _merged(self, sample: Sample, record: dict[str, Any]) -> Sample:
        """The annotation as it is now, with what its format cannot say of the boxes that are still there."""
        old: Boxes = record["boxes"]
        free = list(range(len(old)))
        edges: list[Coordinates] = []
        attributes: list[dict[str, Any]] = []
        for label, now, own in zip(sample.boxes.labels, sample.boxes.coordinates, sample.boxes.attributes, strict=True):
            match = next((i for i in free if old.labels[i] == label and _near(old.coordinates[i], now)), None)
            if match is None:
                edges.append(now)
                attributes.append(dict(own))
                continue
            free.remove(match)
            edges.append(now if "subpixel" in self._carries else old.coordinates[match])
            attributes.append(self._not_carried("box.", old.attributes[match]) | dict(own))
        return sample.replace(
            boxes=Boxes(sample.boxes.labels, edges, attributes),
            split=sample.split if "split" in self._carries or sample.split is not None else record["split"],
            attributes=self._not_carried("image.", record["attributes"]) | sample.attributes,
        )

    def _not_carried(self, prefix: str, attributes: Mapping[str, Any]) -> dict[str, Any]:
        held = carried(prefix, self._carries)
        return {name: value for name, value in attributes.items() if name not in held}

    def _empty(self, name: str, record: dict[str, Any], folder: str | None) -> Sample:
        location = None if folder is None else folder + name
        if location is not None and not is_remote(location) and not os.path.isfile(location):
            location = None
        return Sample(
            image=ImageRef(name=name, width=record["width"], height=record["height"], location=location),
            split=record["split"],
            attributes=dict(record["attributes"]),
            source=self._path,
        )


def _is_file(path: str) -> bool:
    return is_remote(path) or os.path.isfile(path)


def _label_map(head: Mapping[str, Any]) -> LabelMap | None:
    items = head.get("label_map")
    return None if items is None else LabelMap(items=tuple(LabelMapItem(**item) for item in items))


def _near(one: Coordinates, other: Coordinates) -> bool:
    return all(abs(a - b) <= _NEAR for a, b in zip(one, other, strict=True))


def _same_boxes(one: Boxes, other: Boxes) -> bool:
    return one.labels == other.labels and all(map(_near, one.coordinates, other.coordinates))
