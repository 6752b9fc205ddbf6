"""Reads CVAT for images and CVAT for video."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, Final

from boxwright import DataError, DatasetInfo, ImageRef, Sample
from boxwright.datasets import ItemError, OnProblem, ShapeRule
from boxwright.images import lookup_for, measured_size
from boxwright.plugins import parse_size
from boxwright.storage import IMAGE_SUFFIXES, Folder, check_unicode, is_folder, join, open_binary, parent
from boxwright_cvat.items import boxes_of, item, tag_of
from boxwright_cvat.shapes import TAGS, value_of
from boxwright_cvat.stream import Node, nodes
from boxwright_cvat.video import Video

ROOT: Final = "annotations"
FILE: Final = "annotations.xml"
SUBSETS: Final = {"": None, "default": None, "train": "train", "test": "test", "validation": "val"}
"""The splits of CVAT's usual subsets, in lower case; others keep their names."""

_SOME = 20
_SKIP = "or leave the image out with --on-error skip"


class CvatReader:
    """Yields one sample per image, in the order of the file; of a video, one per frame.

    An image is looked for under its name in the folder of the XML file, and in the folders that CVAT's exports have:
    ``images`` and ``images/SUBSET``. The subset of a project's image is its split. If images of two subsets have the
    same name, that of the second begins with its subset. An image without a size is measured.

    Args:
        location: The XML file, or a folder with ``annotations.xml``; a path, or a URL that fsspec opens.
        shapes: What happens to shapes that are not upright boxes: ``"box"``, ``"skip"`` or ``"fail"``.
        images: The folder of the images, if it is not that of the XML file.
        size: ``WIDTHxHEIGHT`` of the frames of a video in pixels, if the file does not contain it.

    Attributes:
        shapes: The rule for shapes.

    Raises:
        DataError: The location does not exist.
        UsageError: ``size`` is not a size.
    """

    def __init__(self, location: str, shapes: str = "box", images: str | None = None, size: str | None = None) -> None:
        self.shapes = ShapeRule(shapes)
        self._size = parse_size(size) if size is not None else None
        self._file = join(location, FILE) if is_folder(location) else location
        with open_binary(self._file):  # raises the error if it does not exist
            folder = Folder.at(parent(self._file))
        uri, others = f"cvat:{location}", folder.ending(".xml")
        self._images = lookup_for(folder, images, others, uri=uri, field="name", named=names_of(self._file))
        self.info = DatasetInfo(format="cvat", location=location, notes=self._images.notes)

    def read(self, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields the samples; see :class:`boxwright.datasets.Reader`."""
        line_of: dict[str, int] = {}
        video = Video()
        try:
            for node in nodes(self._file, ROOT):
                if node.tag == "meta":
                    video.add_meta(node)
                elif node.tag == "track":
                    video.add_track(node)
                elif node.tag == "image":
                    place = _place(node)
                    try:
                        sample = self._sample(node, place, line_of)
                    except DataError as error:
                        on_problem(error)
                        continue
                    line_of[sample.image.name] = node.line
                    yield sample
        except ItemError as error:  # frames would miss the object
            on_problem(self._error(error.place, error.problem, error.remedy))
        except DataError as error:  # the rest of the file cannot be read
            on_problem(error)
        else:
            if video.found:
                yield from self._frames(video, on_problem)

    def labels(self) -> Iterator[Sequence[str]]:
        """Yields the labels of each image or track, without looking for images.

        Raises:
            DataError: The file is not valid, or an object has no label.
        """
        video = Video()
        for node in nodes(self._file, ROOT):
            try:
                if node.tag == "track":
                    video.add_track(node)
                    yield [node.attributes["label"]]
                elif node.tag == "image":
                    place = _place(node)
                    size = self._stated_size(node, place) or (1 << 14, 1 << 14)
                    yield boxes_of(_items(node), self.shapes, *size).labels
            except ItemError as error:
                place = error.place if node.tag == "track" else f"{_place(node)}, {error.place}"
                raise self._error(place, error.problem, error.remedy) from None

    def _sample(self, node: Node, place: str, taken: Mapping[str, int]) -> Sample:
        filename, subset = node.attributes.get("name", ""), node.attributes.get("subset", "")
        if not filename:
            raise self._error(place, "it has no name", 'write name="1.jpg"')
        name, location = self._located(filename, subset, place)
        if name in taken and subset:
            name = f"{subset}/{name}"
        if name in taken:
            raise self._error(place, f"it names the image {name}, as line {taken[name]} does", "remove one of them")
        size = self._stated_size(node, place) or self._size or measured_size(name, location, self._file, place)
        attributes: dict[str, Any] = {}
        if number := node.attributes.get("id"):
            attributes["source_id"] = value_of(number)
        if tags := [tag_of(child) for child in node.children if child.tag == "tag"]:
            attributes["tags"] = tags
        try:
            boxes = boxes_of(_items(node), self.shapes, *size)
        except ItemError as error:
            raise self._error(f"{place}, {error.place}", error.problem, error.remedy) from None
        image = ImageRef(name=name, width=size[0], height=size[1], location=location)
        source = f"{self._file}, {place}"
        return Sample(image=image, boxes=boxes, split=_split(subset), attributes=attributes, source=source)

    def _frames(self, video: Video, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields the frames of a video.

        CVAT names frames ``frame_000000.PNG``. If the images have other names and there is one for each frame, they
        are the frames in the order of their names.
        """
        frames = video.frames()
        listed = self._images.folder.ending(*IMAGE_SUFFIXES)
        if not (listed or self._size or video.size):
            problem = "it is CVAT for video: the size of its frames is missing, and so are their images"
            remedy = "set the size: ?size=WxH, or the folder of the frames: ?images=FOLDER; or export CVAT for images"
            on_problem(DataError(self._file, problem, remedy))
            return
        for position, frame in enumerate(frames):
            place = f"frame {frame}"
            try:
                name, location = self._located(f"frame_{frame:06d}.PNG", video.subset, place)
                if location is None and len(listed) == len(frames):
                    name, location = listed[position], self._images.folder.place(listed[position])
                size = self._size or video.size or measured_size(name, location, self._file, place)
                image = ImageRef(name=name, width=size[0], height=size[1], location=location)
                boxes = boxes_of(video.at(frame), self.shapes, *size)
            except ItemError as error:
                on_problem(self._error(error.place, error.problem, error.remedy))
                continue
            except DataError as error:
                on_problem(error)
                continue
            yield Sample(image=image, boxes=boxes, split=_split(video.subset), source=f"{self._file}, {place}")

    def _located(self, filename: str, subset: str, place: str) -> tuple[str, str | None]:
        """Returns the name and the location of an image."""
        source = f"{self._file}, {place}"
        check_unicode(source)
        for folder in ("", "images/", *((f"images/{subset}/", f"{subset}/") if subset else ())):
            name, location = self._images.find(filename, folder, source, below=False)
            if location is not None:
                break
        else:
            folder = ""
            name, location = self._images.find(filename, "", source)
        check_unicode(location or "")
        return name.removeprefix(folder), location

    def _stated_size(self, node: Node, place: str) -> tuple[int, int] | None:
        texts = [node.attributes.get(name, "0") for name in ("width", "height")]
        for text in texts:
            if not (text.isascii() and text.isdecimal() and len(text) < 10):
                raise self._error(place, f"its size is {text[:40]!r}, not a number of pixels", "correct it")
        width, height = map(int, texts)
        return (width, height) if width and height else None

    def _error(self, place: str, problem: str, remedy: str) -> DataError:
        return DataError(self._file, problem, f"{remedy}, {_SKIP}", place)


def names_of(file: str) -> Iterator[str]:
    """Yields the names of the first images of a file."""
    with suppress(DataError):
        for node in islice(nodes(file, ROOT), _SOME):
            yield node.attributes.get("name", "")


def _place(node: Node) -> str:
    return f"line {node.line}, image {node.attributes.get('name', '')[:200]}".rstrip()


def _items(node: Node) -> list[Any]:
    numbered = enumerate([child for child in node.children if child.tag in TAGS], start=1)
    return [item(child, f"{child.tag} {number}") for number, child in numbered]


def _split(subset: str) -> str | None:
    return SUBSETS.get(subset.lower(), subset)
