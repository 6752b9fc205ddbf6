"""Writes COCO's instances and detections JSON."""

from __future__ import annotations

import re
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from itertools import chain, repeat
from typing import IO, Any, Final

from boxwright import DataError, LabelMap, Sample, UsageError
from boxwright.datasets import Output
from boxwright.storage import safe_name
from boxwright_coco.boxes import BoxTexts
from boxwright_coco.categories import ClassNumbers
from boxwright_coco.contents import EMPTY, LISTS, open_contents
from boxwright_coco.numbers import Numbering
from boxwright_coco.texts import OWN, encoded, json_text, members, quoted
from boxwright_coco.values import IMAGE_KEYS

_WHOLE = re.compile(r"0|[1-9][0-9]{0,17}")
_BLOCK: Final = 1 << 16
_BATCH: Final = 64  # texts; more are no faster, and would be kept in memory
_LEAVE_OUT: Final = "or leave the picture out with --on-error skip"

_Prepared = tuple[str, str, int | None, list[str], list[int | None] | None, list[str]]
"""A picture's name, the members of its object behind the number, the number that it wants; its boxes, the numbers that
they want, and their classes. Plain values, as another process may have made them."""


_Pack = tuple[bytes, list[int], bytes, list[str]]
"""The objects of many pictures, each with a NUL for its number; how many boxes each has; the boxes, each with a NUL for
its number and one for its picture's; their classes."""


class CocoWriter:
    """Writes an instances file, or a detections file.

    Args:
        output: The file.
        label_map: The classes and their numbers; without it they are numbered when all have come, see
            :class:`~boxwright_coco.categories.ClassNumbers`.
        kind: ``"instances"`` or ``"detections"``.
        truth: The instances file whose numbers detections get.
        ids: Whether ``source_id`` and ``id`` are the numbers of images and annotations, where they are whole numbers
            that are free; with false, all are counted from 1.
        category_ids: Whether the classes have the numbers of the label map; with false, they are counted from 1.

    Raises:
        UsageError: ``truth`` is given for instances, or neither truth nor label map for detections.
        DataError: ``truth`` is not there, or no instances file; or the source says something of the dataset as a whole
            that JSON cannot hold.
    """

    def __init__(
        self,
        output: Output,
        label_map: LabelMap | None = None,
        kind: str = "instances",
        truth: str | None = None,
        ids: bool = True,
        category_ids: bool = True,
    ) -> None:
        self._names: set[str] = set()
        self._file: _Instances | _Detections
        if kind == "detections":
            self._file = _Detections(output, label_map, truth, ids=ids, category_ids=category_ids)
        elif truth is not None:
            raise UsageError("instances need no truth", "leave out truth=, or write ?kind=detections&truth=FILE")
        else:
            self._file = _Instances(output, label_map, ids=ids, category_ids=category_ids)

    @staticmethod
    def needs_label_map(kind: str = "instances", truth: str | None = None, **_: Any) -> bool:
        """Whether it cannot number the classes at the end: a list of detections has no place that names them."""
        return kind == "detections" and truth is None

    def write(self, sample: Sample) -> None:
        """Adds one picture and its boxes.

        Raises:
            DataError: Another picture has its name, a class has no number, a value is none of JSON; or of detections,
                a box has no score, or the picture is not in the truth.
            OutputError: Its name leads out of the folder of the pictures.
        """
        name = sample.image.name
        if name in self._names:
            raise DataError(sample.source or name, f"another picture is called {name}, too", "rename one of them")
        self.put(self.prepare(sample))
        self._names.add(name)

    def prepare(self, sample: Sample) -> _Prepared:
        """What a picture and its boxes become, but for the numbers that depend on those before."""
        name = sample.image.name
        if ".." in name or "\\" in name or ":" in name or "\0" in name or name.startswith("/"):
            safe_name(name, sample.source or name)
        try:
            return self._file.prepare(sample)
        except ValueError as error:
            raise DataError(sample.source or name, str(error), self._file.remedy) from None

    def put(self, prepared: _Prepared) -> None:
        """Adds what :meth:`prepare` has made."""
        self._file.put(prepared)

    def pack(self, prepared: list[_Prepared]) -> _Pack | None:
        """Many pictures as one, where all take the next numbers; ``None`` where one wants a number of its own."""
        return self._file.pack(prepared)

    def put_pack(self, packed: _Pack) -> None:
        """Adds what :meth:`pack` has made."""
        self._file.put_pack(packed)

    def close(self) -> None:
        """Finishes the file."""
        self._file.close()


class _Instances:
    """An instances file: UTF-8, one image or annotation a line, whole numbers without a fraction.

    Every annotation gets ``area`` (width times height where the box has none), ``iscrowd`` and ``segmentation`` (empty
    where it has none). Images go to the output as they come, annotations to a temporary file that is added at the end,
    so that memory does not grow with the dataset but for file names and numbers.
    """

    remedy = f"correct it in the source, {_LEAVE_OUT}"

    def __init__(self, output: Output, label_map: LabelMap | None, *, ids: bool, category_ids: bool) -> None:
        described, head = _head(output)
        self._classes = ClassNumbers(label_map, described, keep=category_ids)
        self._boxes = BoxTexts(self._classes, ids=ids)
        self._ids = ids
        self._image_numbers = Numbering()
        self._box_numbers = Numbering()
        self._images: list[str] = []
        self._rows: list[str] = []
        self._file = output.open()
        self._file.write(encoded(head + '"images":['))
        self._first = True
        self._spool: IO[bytes] = tempfile.TemporaryFile()  # closed when this object goes, at the latest  # noqa: SIM115  # closed when this object goes, at the latest
        self._close_spool = weakref.finalize(self, self._spool.close)

    def prepare(self, sample: Sample) -> _Prepared:
        image, boxes = sample.image, sample.boxes
        more, wanted = _image_members(sample.attributes, self._ids) if sample.attributes else ("", None)
        picture = f'"file_name":{quoted(image.name)},"width":{image.width},"height":{image.height}{more}}}'
        texts, wishes = self._boxes.annotations(boxes)
        return image.name, picture, wanted, texts, wishes, list(set(boxes.labels)) if self._classes.late else []

    def put(self, prepared: _Prepared) -> None:
        _, picture, wanted, texts, wishes, labels = prepared
        number = self._image_numbers.take(wanted)
        self._images.append(f',\n{{"id":{number},{picture}')
        numbers = self._box_numbers.take_all(wishes if wishes is not None else [None] * len(texts))
        self._rows += [f',\n{{"id":{own},"image_id":{number},{text}' for own, text in zip(numbers, texts, strict=True)]
        self._classes.seen.update(labels)
        if len(self._images) + len(self._rows) > _BATCH:
            self._flush()

    def pack(self, prepared: list[_Prepared]) -> _Pack | None:
        _, pictures, wanted, texts, wishes, labels = zip(*prepared, strict=True) if prepared else ((),) * 6
        if any(number is not None for number in (*wanted, *wishes)):
            return None
        images = "".join([f',\n{{"id":\0,{picture}' for picture in pictures])
        rows = "".join([f',\n{{"id":\0,"image_id":\0,{text}' for text in chain.from_iterable(texts)])
        return encoded(images), list(map(len, texts)), encoded(rows), list(set().union(*labels))

    def put_pack(self, packed: _Pack) -> None:
        images, counts, rows, labels = packed
        self._flush()
        numbers = self._image_numbers.take_all([None] * len(counts))
        of_boxes = self._box_numbers.take_all([None] * sum(counts))
        of_pictures = chain.from_iterable(map(repeat, numbers, counts))
        self._write_images(_template(images) % tuple(numbers))
        self._spool.write(_template(rows) % tuple(chain.from_iterable(zip(of_boxes, of_pictures, strict=True))))
        self._classes.seen.update(labels)

    def close(self) -> None:
        self._flush()
        self._file.write(b'\n],\n"annotations":[')
        self._spool.seek(1)  # a comma stands before each, the first as well
        if self._classes.late:
            while lines := self._spool.readlines(_BLOCK):
                self._file.write(self._classes.fill_in(b"".join(lines)))
        else:
            shutil.copyfileobj(self._spool, self._file, _BLOCK)
        self._close_spool()
        categories = ",".join(f"\n{json_text(category)}" for category in self._classes.categories())
        self._file.write(encoded(f'\n],\n"categories":[{categories}\n]}}\n'))
        self._file.close()

    def _flush(self) -> None:
        self._write_images(encoded("".join(self._images)))
        self._spool.write(encoded("".join(self._rows)))
        self._images.clear()
        self._rows.clear()

    def _write_images(self, images: bytes) -> None:
        if self._first and images:
            images, self._first = images[1:], False
        self._file.write(images)


class _Detections:
    """A detections file: of each box the image, the class, ``bbox``, ``score`` and what else is known of it.

    The images' numbers are those of the truth, by file name; without it ``source_id`` where that is a whole number that
    is free, else they are counted from 1.
    """

    remedy = f"correct it in the source, write instances (without kind=detections), {_LEAVE_OUT}"

    def __init__(
        self, output: Output, label_map: LabelMap | None, truth: str | None, *, ids: bool, category_ids: bool
    ) -> None:
        self._truth = truth
        self._known: dict[str, int | str] = {}
        if truth is not None:
            contents = open_contents(truth, None)
            label_map, category_ids = contents.categories.label_map, True
            numbers = contents.images.numbers
            self._known = {name: number for i, name in contents.names() if (number := numbers[i]) is not None}
        elif label_map is None:
            raise UsageError("detections need the numbers of the classes", "name an instances file: truth=FILE")
        self._boxes = BoxTexts(ClassNumbers(label_map, keep=category_ids), ids=ids)
        self._ids = ids
        self._numbers = Numbering()
        self._rows: list[str] = []
        self._file = output.open()
        self._file.write(b"[")
        self._first = True

    def prepare(self, sample: Sample) -> _Prepared:
        name = sample.image.name
        if self._truth is not None and name not in self._known:
            raise ValueError(f"there is no image of that name in {self._truth}")
        _, wanted = _image_members(sample.attributes, self._ids)
        return name, "", wanted, self._boxes.detections(sample.boxes), None, []

    def put(self, prepared: _Prepared) -> None:
        name, _, wanted, texts, _, _ = prepared
        image = json_text(self._numbers.take(wanted) if self._truth is None else self._known[name])
        self._rows += [f',\n{{"image_id":{image},{text}' for text in texts]
        if len(self._rows) > _BATCH:
            self._flush()

    def pack(self, prepared: list[_Prepared]) -> None:
        return None  # detections are few, and their numbers are those of the truth

    def put_pack(self, packed: _Pack) -> None:
        raise AssertionError("there is no pack of detections")

    def close(self) -> None:
        self._flush()
        self._file.write(b"\n]\n")
        self._file.close()

    def _flush(self) -> None:
        rows = "".join(self._rows)
        if self._first and rows:
            rows, self._first = rows[1:], False
        self._file.write(encoded(rows))
        self._rows.clear()


def _template(content: bytes) -> bytes:
    r"""Text with ``\0`` where numbers belong (no other stands in JSON) as a template for ``%``."""
    return content.replace(b"%", b"%%").replace(b"\0", b"%d")


def _head(output: Output) -> tuple[list[dict[str, Any]], str]:
    """What the source says of its classes, and the beginning of the file up to the images."""
    attributes = {**EMPTY, **output.dataset_attributes}
    described = attributes.pop("categories", [])
    reserved = {*LISTS, OWN}
    if not isinstance(described, list) or not all(isinstance(each, dict) and "name" in each for each in described):
        described, attributes["categories"] = [], described
        reserved.add("categories")
    try:
        text = members(attributes, reserved)
    except ValueError as error:
        raise DataError(output.location, str(error), "correct what the source says of the dataset as a whole") from None
    return described, f"{{{text[1:]},\n"


def _image_members(attributes: Mapping[str, Any], ids: bool) -> tuple[str, int | None]:
    """The attributes of a picture as members of its object, and the number that it wants."""
    source_id = attributes.get("source_id")
    whole = isinstance(source_id, str) and _WHOLE.fullmatch(source_id) is not None
    if whole or not ids:
        attributes = {key: value for key, value in attributes.items() if key != "source_id"}
    return members(attributes, IMAGE_KEYS), int(str(source_id)) if whole and ids else None
