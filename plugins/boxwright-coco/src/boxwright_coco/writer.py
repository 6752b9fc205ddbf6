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
from boxwright.datasets import Names, Output
from boxwright.storage import safe_name
from boxwright_coco.boxes import BoxTexts
from boxwright_coco.categories import ClassNumbers
from boxwright_coco.numbers import Numbering
from boxwright_coco.texts import EMPTY, LISTS, OWN, encoded, json_text, members, quoted
from boxwright_coco.values import IMAGE_KEYS

_WHOLE = re.compile(r"0|[1-9][0-9]{0,17}")
_BLOCK: Final = 1 << 16
_BATCH: Final = 64  # texts; more are not faster, and would use memory
_SKIP: Final = "or skip the image with --on-error skip"

_Prepared = tuple[str, str, int | None, list[str], list[int | None] | None, list[str]]
"""The name of an image, the members of its object after the id, its requested id; its boxes, their requested ids, and
their classes. These are plain values, because another process may have created them."""


_Pack = tuple[bytes, list[int | None], list[int], bytes, list[int | None], list[str]]
"""The objects of many images, each with a NUL for its id, and their requested ids; the number of boxes of each; the
boxes, each with a NUL for its id and one for that of its image, and their requested ids; their classes."""


class CocoWriter:
    """Writes an instances file, or a detections file.

    Args:
        output: The file.
        label_map: The classes and their ids; without it, ids are assigned at the end, see
            :class:`~boxwright_coco.categories.ClassNumbers`.
        kind: ``"instances"`` or ``"detections"``.
        truth: The instances file whose ids are used for detections.
        ids: Whether ``source_id`` and ``id`` are the ids of images and annotations, if they are free integers; if
            false, all are counted from 1.
        category_ids: Whether the classes have the ids of the label map; if false, they are counted from 1.

    Raises:
        UsageError: ``truth`` is set for instances, or neither ``truth`` nor a label map for detections.
        DataError: ``truth`` does not exist or is not an instances file, or JSON cannot represent a dataset attribute.
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
        self._names = Names()
        self._file: _Instances | _Detections
        if kind == "detections":
            self._file = _Detections(output, label_map, truth, ids=ids, category_ids=category_ids)
        elif truth is not None:
            raise UsageError("truth= is only for detections", "remove it, or write ?kind=detections&truth=FILE")
        else:
            self._file = _Instances(output, label_map, ids=ids, category_ids=category_ids)

    @staticmethod
    def needs_label_map(kind: str = "instances", truth: str | None = None, **_: Any) -> bool:
        """Returns whether the writer needs the ids at the start: a list of detections does not contain class names."""
        return kind == "detections" and truth is None

    def write(self, sample: Sample) -> None:
        """Adds an image and its boxes.

        Raises:
            DataError: The name is a duplicate, a class has no id, or JSON cannot represent a value; for detections, a
                box has no score, or the image is not in ``truth``.
            OutputError: The name leads out of the folder of the images.
        """
        name = sample.image.name
        if name in self._names:
            raise DataError(sample.source or name, f"duplicate image {name}", "rename one of them")
        self.put(self.prepare(sample))
        self._names.add(name)

    def prepare(self, sample: Sample) -> _Prepared:
        """Returns the text of an image and its boxes, except for the ids, which depend on those before."""
        name = sample.image.name
        if ".." in name or "\\" in name or ":" in name or "\0" in name or name.startswith("/"):
            safe_name(name, sample.source or name)
        try:
            return self._file.prepare(sample)
        except ValueError as error:
            raise DataError(sample.source or name, str(error), self._file.remedy) from None

    def put(self, prepared: _Prepared) -> None:
        """Adds the result of :meth:`prepare`."""
        self._file.put(prepared)

    def pack(self, prepared: list[_Prepared]) -> _Pack | None:
        """Returns many images as one value; ``None`` for detections."""
        return self._file.pack(prepared)

    def put_pack(self, packed: _Pack) -> None:
        """Adds the result of :meth:`pack`."""
        self._file.put_pack(packed)

    def close(self) -> None:
        """Finishes the file."""
        self._file.close()


class _Instances:
    """An instances file: UTF-8, one image or annotation per line, integers without a fraction.

    Every annotation gets ``area`` (width times height by default), ``iscrowd`` and ``segmentation`` (empty by default).
    Images are written to the output immediately, annotations to a temporary file that is added at the end, so memory
    grows only with file names and ids.
    """

    remedy = f"correct it in the source, {_SKIP}"

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
        self._spool: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # closed together with this object, at the latest
        self._close_spool = weakref.finalize(self, self._spool.close)

    def __getstate__(self) -> dict[str, Any]:
        """Leaves out the files: a copy in another process prepares samples and writes nothing."""
        return {name: value for name, value in vars(self).items() if name not in ("_file", "_spool", "_close_spool")}

    def prepare(self, sample: Sample) -> _Prepared:
        image, boxes = sample.image, sample.boxes
        more, own = _image_members(sample.attributes, self._ids) if sample.attributes else ("", None)
        text = f'"file_name":{quoted(image.name)},"width":{image.width},"height":{image.height}{more}}}'
        texts, requested = self._boxes.annotations(boxes)
        return image.name, text, own, texts, requested, list(set(boxes.labels)) if self._classes.late else []

    def put(self, prepared: _Prepared) -> None:
        _, image, own, texts, requested, labels = prepared
        number = self._image_numbers.take(own)
        self._images.append(f',\n{{"id":{number},{image}')
        numbers = self._box_numbers.take_all(_requested(requested, texts))
        self._rows += [f',\n{{"id":{box},"image_id":{number},{text}' for box, text in zip(numbers, texts, strict=True)]
        self._classes.seen.update(labels)
        if len(self._images) + len(self._rows) > _BATCH:
            self._flush()

    def pack(self, prepared: list[_Prepared]) -> _Pack:
        _, images, own, texts, requested, labels = zip(*prepared, strict=True) if prepared else ((),) * 6
        objects = "".join([f',\n{{"id":\0,{image}' for image in images])
        rows = "".join([f',\n{{"id":\0,"image_id":\0,{text}' for text in chain.from_iterable(texts)])
        ids = [*chain.from_iterable(map(_requested, requested, texts))]
        return encoded(objects), [*own], [*map(len, texts)], encoded(rows), ids, [*set().union(*labels)]

    def put_pack(self, packed: _Pack) -> None:
        images, own, counts, rows, requested, labels = packed
        self._flush()
        numbers = self._image_numbers.take_all(own)
        of_boxes = self._box_numbers.take_all(requested)
        of_images = chain.from_iterable(map(repeat, numbers, counts))
        self._write_images(_template(images) % tuple(numbers))
        self._spool.write(_template(rows) % tuple(chain.from_iterable(zip(of_boxes, of_images, strict=True))))
        self._classes.seen.update(labels)

    def close(self) -> None:
        self._flush()
        self._file.write(b'\n],\n"annotations":[')
        self._spool.seek(1)  # there is a comma before each, including the first
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
    """A detections file: image, class, ``bbox``, ``score`` and attributes of each box.

    The ids of the images are those of ``truth``, by file name, or ``source_id`` if it is a free integer, or counted
    from 1.
    """

    remedy = f"correct it in the source, write instances (without kind=detections), {_SKIP}"

    def __init__(
        self, output: Output, label_map: LabelMap | None, truth: str | None, *, ids: bool, category_ids: bool
    ) -> None:
        self._truth = truth
        self._known: dict[str, int | str] = {}
        if truth is not None:
            from boxwright_coco.contents import open_contents  # it imports NumPy

            contents = open_contents(truth, None)
            label_map, category_ids = contents.categories.label_map, True
            number_of = contents.images.number
            self._known = {name: number for i, name in contents.names() if (number := number_of(i)) is not None}
        elif label_map is None:
            raise UsageError("detections need class ids", "pass an instances file: truth=FILE")
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
            raise ValueError(f"{self._truth} contains no such image")
        _, own = _image_members(sample.attributes, self._ids)
        return name, "", own, self._boxes.detections(sample.boxes), None, []

    def put(self, prepared: _Prepared) -> None:
        name, _, own, texts, _, _ = prepared
        image = json_text(self._numbers.take(own) if self._truth is None else self._known[name])
        self._rows += [f',\n{{"image_id":{image},{text}' for text in texts]
        if len(self._rows) > _BATCH:
            self._flush()

    def pack(self, prepared: list[_Prepared]) -> None:
        return None  # detections are few, and their ids are those of truth

    def put_pack(self, packed: _Pack) -> None:
        raise AssertionError("detections are not packed")

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


def _requested(numbers: list[int | None] | None, texts: list[str]) -> list[int | None]:
    return [None] * len(texts) if numbers is None else numbers


def _template(content: bytes) -> bytes:
    r"""Returns text with ``\0`` in place of ids (JSON contains no other) as a template for ``%``."""
    return content.replace(b"%", b"%%").replace(b"\0", b"%d")


def _head(output: Output) -> tuple[list[dict[str, Any]], str]:
    """Returns the categories of the source, and the beginning of the file up to the images."""
    attributes = {**EMPTY, **output.dataset_attributes}
    described = attributes.pop("categories", [])
    reserved = {*LISTS, OWN}
    if not isinstance(described, list) or not all(isinstance(each, dict) and "name" in each for each in described):
        described, attributes["categories"] = [], described
        reserved.add("categories")
    try:
        text = members(attributes, reserved)
    except ValueError as error:
        raise DataError(output.location, str(error), "correct the dataset attributes of the source") from None
    return described, f"{{{text[1:]},\n"


def _image_members(attributes: Mapping[str, Any], ids: bool) -> tuple[str, int | None]:
    """Returns the attributes of an image as members of its object, and its requested id."""
    source_id = attributes.get("source_id")
    whole = isinstance(source_id, str) and _WHOLE.fullmatch(source_id) is not None
    if whole or not ids:
        attributes = {key: value for key, value in attributes.items() if key != "source_id"}
    return members(attributes, IMAGE_KEYS), int(str(source_id)) if whole and ids else None
