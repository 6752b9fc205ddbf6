"""The layout of the PASCAL VOC development kit: a folder for each year, with annotations, images and image sets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cached_property
from typing import Final

from boxwright import DataError, SwappedCoordinates
from boxwright.datasets import ShapeRule
from boxwright.images import lookup_for
from boxwright.storage import Folder, is_folder, join, list_folder
from boxwright_voc.image_sets import NO_SPLIT, ImageSets
from boxwright_voc.samples import Item, XmlSamples

ANNOTATIONS: Final = "Annotations"
IMAGES: Final = "JPEGImages"
IMAGE_SETS: Final = "ImageSets/Main"
_DEVKIT = "VOCdevkit"
_VOC_DATABASE = "The VOC20"


def years(location: str) -> list[tuple[str, str]]:
    """Returns the years of a dataset, each as the prefix of its images' names and its folder.

    A folder that contains ``Annotations`` is one year, without a prefix. Otherwise each of its sub-folders that
    contains ``Annotations`` is a year, in plain string order, with a prefix such as ``VOC2007/``.

    Raises:
        DataError: The folder does not exist, or neither it nor its sub-folders contain ``Annotations``.
    """
    found = _subfolders(location)
    if ANNOTATIONS in found:
        return [("", location)]
    several = [
        (f"{name}/", join(location, name)) for name in found if is_folder(join(join(location, name), ANNOTATIONS))
    ]
    if several:
        return several
    if _DEVKIT in found:
        return years(join(location, _DEVKIT))
    above = location.rstrip("/").endswith(ANNOTATIONS)
    raise DataError(
        location,
        f"no folder {ANNOTATIONS} in it or its sub-folders",
        f"name the folder {'above it, ' if above else ''}that contains {ANNOTATIONS}, {IMAGES} and ImageSets"
        + ("" if above else ": voc:VOCdevkit/VOC2007"),
    )


class Year:
    """A folder with ``Annotations`` and, if they exist, ``JPEGImages`` and ``ImageSets/Main``.

    Args:
        location: The folder.
        prefix: The prefix of its images' names.
        images: The folder of the images, if it is not ``JPEGImages``.
        one_based: As for :class:`boxwright_voc.samples.XmlSamples`.
        inverted: As for :class:`boxwright_voc.samples.XmlSamples`.
        unannotated: Whether an image without XML is an image without boxes instead of a problem.
        swapped: Counts the boxes whose coordinates were swapped.
        shapes: What to do with shapes that are not upright boxes.

    Attributes:
        image_sets: Its image sets.
        notes: Notes for the user about the folder of the images.

    Raises:
        DataError: An image set cannot be read.
    """

    def __init__(
        self,
        location: str,
        prefix: str,
        images: str | None,
        *,
        one_based: bool,
        inverted: str,
        unannotated: bool,
        swapped: SwappedCoordinates,
        shapes: ShapeRule,
    ) -> None:
        folder = Folder.at(join(location, ANNOTATIONS))
        xmls = folder.ending(".xml")
        if images is None and is_folder(usual := join(location, IMAGES)):
            images = usual
        lookup = lookup_for(folder, images, xmls, uri=f"voc:{location}", field="<filename>")
        self.notes = lookup.notes
        self._samples = XmlSamples(
            folder, lookup, one_based=one_based, inverted=inverted, prefix=prefix, swapped=swapped, shapes=shapes
        )
        self._xmls = {os.path.splitext(xml)[0]: xml for xml in xmls}
        # Matching names takes time, and matters only if there are more images than XML files.
        more_images = unannotated or len(lookup.names) > len(xmls)
        self._unannotated = {os.path.splitext(name)[0]: name for name in (lookup.without(xmls) if more_images else ())}
        self._include_unannotated = unannotated
        lists = join(location, IMAGE_SETS)
        self.image_sets = ImageSets(
            Folder.at(lists) if is_folder(lists) else None, self._xmls.keys() | self._unannotated.keys()
        )

    def items_of(self, image_set: str) -> Iterator[Item]:
        """Yields the items of one image set, all with its name as their split."""
        split = None if image_set == NO_SPLIT else image_set
        for name in self.image_sets.images(image_set):
            yield self._item(name, split, image_set)

    def items_of_all_splits(self) -> Iterator[Item]:
        """Yields the items of all image sets that are splits, each with its own split."""
        for name in self._listed:
            splits = self.image_sets.splits_of(name)
            if len(splits) > 1:
                yield Item(self._samples, f"{name}.xml", problem=self._in_two_splits(name, *splits[:2]))
            else:
                yield self._item(name, None if splits[0] == NO_SPLIT else splits[0], splits[0])

    def unlisted_items(self) -> Iterator[Item]:
        """Yields the annotations and, if they are included, the unannotated images that are in no image set."""
        for name in (*self.unlisted, *(self.unannotated if self._include_unannotated else ())):
            yield self._item(name, None, "")

    @property
    def unlisted(self) -> list[str]:
        """The annotations that are in no image set."""
        return [name for name in self._xmls if name not in self._listed]

    @property
    def unannotated(self) -> list[str]:
        """The images without XML that are in no image set."""
        return [name for name in self._unannotated if name not in self._listed]

    @cached_property
    def _listed(self) -> dict[str, None]:
        return {name: None for split in self.image_sets.splits for name in self.image_sets.images(split)}

    def voc_database(self) -> str:
        """Returns the source that the first annotation names if it is the VOC database itself, or ``""``."""
        first = next(iter(self._xmls.values()), None)
        try:
            source = self._samples.annotation(first).attributes.get("database") if first else None
        except DataError:  # reading the annotation reports the problem
            return ""
        return source if isinstance(source, str) and source.startswith(_VOC_DATABASE) else ""

    def _item(self, name: str, split: str | None, image_set: str) -> Item:
        if name in self._xmls:
            return Item(self._samples, self._xmls[name], split=split)
        if name in self._unannotated and self._include_unannotated:
            return Item(self._samples, image=self._unannotated[name], split=split)
        return Item(self._samples, f"{name}.xml", problem=self._missing(name, image_set))

    def _in_two_splits(self, name: str, one: str, other: str) -> DataError:
        file, line = self.image_sets.place_of(name, one)
        return DataError(
            file,
            f"the image {name} is also in {self.image_sets.place_of(name, other)[1]} of {other}.txt",
            f"remove it from one of them, or read a single list: ?split={one}",
            line,
        )

    def _missing(self, name: str, image_set: str) -> DataError:
        unannotated = "" if self._include_unannotated else ", or read its image without boxes: ?unannotated=include"
        file, line = self.image_sets.place_of(name, image_set)
        return DataError(
            file,
            f"it lists {name}, and {ANNOTATIONS}/{name}.xml is missing",
            f"add the annotation, remove the name from the list{unannotated}",
            line,
        )


def _subfolders(location: str) -> list[str]:
    """Returns the sorted names of a folder's sub-folders, without hidden ones."""
    try:
        names = list_folder(location)
    except FileNotFoundError:
        raise DataError(location, "folder not found", "check the path") from None
    except NotADirectoryError:
        raise DataError(location, "it is a file, not a folder", "check the path") from None
    return sorted(name[:-1] for name in names if name.endswith("/") and not name.startswith("."))
