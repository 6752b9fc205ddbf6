"""Reads YOLO label files in any of their layouts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from boxwright.errors import DataError, UsageError
from boxwright.folders import Folder
from boxwright.protocols import OnProblem
from boxwright.schemas import DatasetInfo, ImageRef, LabelMap, LabelMapItem, Sample
from boxwright_yolo.description import Description, find_description
from boxwright_yolo.labels import LabelReader
from boxwright_yolo.layout import Item, Layout
from boxwright_yolo.paths import Tree, folder_and_file
from boxwright_yolo.sizes import picture_size

_SIZE = re.compile(r"([0-9]{1,9})[xX]([0-9]{1,9})", re.ASCII)


class YoloReader:
    """One sample a picture, by split (train, val, test, others), in each in the plain string order of the paths.

    A picture's name is its path inside the folder of its split; where two splits have pictures of the same name, it is
    the path inside the dataset. A picture that stands in several splits is read once and belongs to none.

    Args:
        location: The dataset's folder, or its data.yaml or obj.data; a path, or a URL that fsspec opens.
        split: The one split to read.
        images: The folder of the pictures, where they are not with the label files.
        classes: The file of the class names, one a line, or a data.yaml, where it is not with the label files.
        size: ``WIDTHxHEIGHT`` of all pictures in pixels; without it each is measured, as EXIF orientation turns it.
        unannotated: ``"include"`` gives pictures without a label file as pictures without boxes, as Ultralytics takes
            them; ``"ignore"`` leaves them out.
        eight: What a line with eight numbers after the class is: ``"polygon"``, or ``"obb"``, an oriented box. They
            cannot be told apart.
        decimals: To how many decimals of a pixel edges are rounded, 0..12.

    Attributes:
        parts: How many pictures there are, for processes that share the work.

    Raises:
        DataError: There is no such folder, or nothing in it names the classes, or what does is wrong.
        UsageError: ``size`` or ``decimals`` is none, or there is no such split.
    """

    def __init__(
        self,
        location: str,
        split: str | None = None,
        images: str | None = None,
        classes: str | None = None,
        size: str | None = None,
        unannotated: str = "include",
        eight: str = "polygon",
        decimals: int = 6,
    ) -> None:
        if not 0 <= decimals <= 12:
            raise UsageError(f"decimals is {decimals}", "give a number from 0 to 12")
        self._size = _parsed_size(size)
        folder, file = folder_and_file(location)
        tree = Tree(Folder.at(folder))
        if file and file not in tree.names:
            raise DataError(location, "there is no such file", "check the path")
        description = find_description(tree, classes, file)
        pictures = tree if images is None else Tree(Folder.at(images))
        layout = Layout(tree, description, pictures, split, unannotated == "ignore", self._size is not None)
        self._folder, self._pictures, self._items = tree.folder, pictures.folder, layout.items
        self.parts = len(layout.items)
        self._labels = LabelReader(description, decimals, eight == "obb")
        label_map, twice = _label_map(description)
        self.info = DatasetInfo(
            format="yolo",
            location=location,
            label_map=label_map,
            num_samples=sum(isinstance(item, Item) for item in layout.items),
            splits=layout.splits,
            notes=(*twice, *layout.notes),
        )

    def read(self, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields the samples; see :class:`boxwright.protocols.Reader`."""
        return self.read_part(0, self.parts, on_problem)

    def read_part(self, start: int, stop: int, on_problem: OnProblem) -> Iterator[Sample]:
        """Some of the samples, for processes that share the work; see :class:`boxwright.protocols.Reader`."""
        for item in self._items[start:stop]:
            if isinstance(item, DataError):
                on_problem(item)
                continue
            try:
                sample = self._sample(item)
            except DataError as error:
                on_problem(error)
                continue
            yield sample

    def _sample(self, item: Item) -> Sample:
        location = self._pictures.place(item.picture) if item.picture else None
        file = self._folder.place(item.label) if item.label else location or item.name
        _check_unicode(file)
        _check_unicode(location or "")
        width, height = self._size or picture_size(item.name, location or "", file)
        content = self._folder.read(item.label) if item.label else b""
        boxes = self._labels.read(content, file, width, height)
        image = ImageRef(name=item.name, width=width, height=height, location=location)
        return Sample(image=image, boxes=boxes, split=item.split, source=file)


def _check_unicode(path: str) -> None:
    """Refuses a path whose bytes are no UTF-8, which Python shows as lone surrogates."""
    try:
        path.encode()
    except UnicodeEncodeError:
        shown = path.encode(errors="backslashreplace").decode()
        problem = "its path is not UTF-8, so that no other format could name it"
        raise DataError(shown, problem, "rename the file") from None


def _parsed_size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    match = _SIZE.fullmatch(text)
    if match is None or not (int(match[1]) and int(match[2])):
        raise UsageError(f"size is {text!r}", "give width and height in pixels: size=640x480")
    return int(match[1]), int(match[2])


def _label_map(description: Description) -> tuple[LabelMap, Sequence[str]]:
    """The classes, each with the number after its own; a name that stands twice is one class."""
    items: dict[str, LabelMapItem] = {}
    twice: dict[str, None] = {}
    for number, name in sorted(description.names.items()):
        if name in items:
            twice[name] = None
        else:
            items[name] = LabelMapItem(id=number + 1, name=name)
    notes = [f"classes that stand more than once and are read as one: {', '.join(twice)}"] if twice else []
    return LabelMap(items=tuple(items.values())), notes
