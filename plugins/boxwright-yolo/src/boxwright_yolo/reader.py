"""Reads YOLO label files in any of their layouts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from boxwright import DataError, DatasetInfo, ImageRef, LabelMap, LabelMapItem, Sample, UsageError
from boxwright.datasets import OnProblem, ShapeRule
from boxwright.images import measured_size
from boxwright.plugins import parse_size
from boxwright.storage import Folder, check_unicode
from boxwright_yolo.description import Description, find_description
from boxwright_yolo.labels import LabelReader
from boxwright_yolo.layout import Item, Layout
from boxwright_yolo.paths import Tree, folder_and_file


class YoloReader:
    """Yields one sample per image, by split (train, val, test, others), then in the plain string order of the paths.

    An image's name is its path inside the folder of its split; if two splits have an image of the same name, it is the
    path inside the dataset. An image in several splits is read once and belongs to none.

    Args:
        location: The dataset's folder, or its data.yaml or obj.data; a path, or a URL that fsspec opens.
        split: The one split to read.
        images: The folder of the images, if they are not with the label files.
        classes: The file of the class names, one per line, or a data.yaml, if it is not with the label files.
        size: ``WIDTHxHEIGHT`` of all images in pixels; without it each is measured, after EXIF orientation.
        unannotated: ``"include"`` yields images without a label file as images without boxes, as Ultralytics treats
            them; ``"ignore"`` leaves them out.
        eight: The meaning of eight numbers after the class: ``"polygon"``, or ``"obb"``, an oriented box. The file does
            not distinguish the two.
        decimals: The decimals of a pixel to which coordinates are rounded, 0..12.
        shapes: What happens to polygons and oriented boxes: ``"box"``, ``"skip"`` or ``"fail"``.

    Attributes:
        parts: The number of images, which processes may share.
        shapes: The rule for shapes.

    Raises:
        DataError: The folder does not exist, or its class names are missing or invalid.
        UsageError: ``size`` or ``decimals`` is invalid, or the split does not exist.
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
        shapes: str = "box",
    ) -> None:
        if not 0 <= decimals <= 12:
            raise UsageError(f"decimals is {decimals}", "set a number from 0 to 12")
        self._size = parse_size(size) if size is not None else None
        folder, file = folder_and_file(location)
        tree = Tree(Folder.at(folder))
        if file and file not in tree.names:
            raise DataError(location, "file not found", "check the path")
        description = find_description(tree, classes, file)
        image_tree = tree if images is None else Tree(Folder.at(images))
        layout = Layout(tree, description, image_tree, split, unannotated == "ignore", self._size is not None)
        self._folder, self._images, self._items = tree.folder, image_tree.folder, layout.items
        self.parts = len(layout.items)
        self.shapes = ShapeRule(shapes)
        self._labels = LabelReader(description, decimals, eight == "obb", self.shapes)
        label_map, duplicates = _label_map(description)
        self.info = DatasetInfo(
            format="yolo",
            location=location,
            label_map=label_map,
            num_samples=sum(isinstance(item, Item) for item in layout.items),
            splits=layout.splits,
            notes=(*description.notes, *duplicates, *layout.notes),
        )

    def read(self, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields the samples; see :class:`boxwright.datasets.Reader`."""
        return self.read_part(0, self.parts, on_problem)

    def read_part(self, start: int, stop: int, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields the samples of the images from ``start`` to ``stop``."""
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
        location = self._images.place(item.image) if item.image else None
        file = self._folder.place(item.label) if item.label else location or item.name
        check_unicode(file)
        check_unicode(location or "")
        width, height = self._size or measured_size(item.name, location, file)
        content = self._folder.read(item.label) if item.label else b""
        boxes = self._labels.read(content, file, width, height)
        image = ImageRef(name=item.name, width=width, height=height, location=location)
        return Sample(image=image, boxes=boxes, split=item.split, source=file)


def _label_map(description: Description) -> tuple[LabelMap, Sequence[str]]:
    """Returns the classes, each with the id after its number, and notes; a duplicate name is one class."""
    items: dict[str, LabelMapItem] = {}
    duplicates: dict[str, None] = {}
    for number, name in sorted(description.names.items()):
        if name in items:
            duplicates[name] = None
        else:
            items[name] = LabelMapItem(id=number + 1, name=name)
    notes = [f"duplicate classes, read as one: {', '.join(duplicates)}"] if duplicates else []
    return LabelMap(items=tuple(items.values())), notes
