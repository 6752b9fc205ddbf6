"""One year of a VOC dataset: its annotations, pictures and lists brought together."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

from boxwright.errors import DataError
from boxwright.folders import Folder
from boxwright.pictures import Pictures
from boxwright.uri import join
from boxwright_voc.lists import NO_SPLIT, SplitLists
from boxwright_voc.places import ANNOTATIONS, PICTURES, is_folder
from boxwright_voc.xml.samples import XmlSamples

_VOC_DATABASE = "The VOC20"


class Item(NamedTuple):
    """A picture of the dataset.

    Attributes:
        samples: What gives it.
        xml: Its annotation; empty for a picture without.
        picture: A picture without annotation.
        split: Its split.
        problem: Why it cannot be given.
    """

    samples: XmlSamples
    xml: str
    picture: str
    split: str | None
    problem: DataError | None = None


class Year:
    """A folder with ``Annotations``, and ``JPEGImages`` and ``ImageSets/Main`` where they are there.

    Args:
        place: The folder.
        prefix: What its pictures' names begin with.
        images: The folder of the pictures, where it is not ``JPEGImages``.
        one_based: As of :class:`boxwright_voc.xml.samples.XmlSamples`.
        inverted: Likewise.
        unannotated: Whether pictures without XML are pictures without boxes, and no problem.

    Attributes:
        lists: Its lists.

    Raises:
        DataError: A list cannot be read.
    """

    def __init__(
        self, place: str, prefix: str, images: str | None, *, one_based: bool, inverted: str, unannotated: bool
    ) -> None:
        folder = Folder.at(join(place, ANNOTATIONS))
        xmls = folder.ending(".xml")
        pictures = _pictures(place, images, folder)
        self._samples = XmlSamples(folder, pictures, one_based=one_based, inverted=inverted, prefix=prefix)
        self._xmls = {os.path.splitext(xml)[0]: xml for xml in xmls}
        # Matching names costs time, and is of use only where there are more pictures than XML.
        crowded = unannotated or len(pictures.names) > len(xmls)
        self._bare = {os.path.splitext(name)[0]: name for name in (pictures.without(xmls) if crowded else ())}
        self._include_bare = unannotated
        self.lists = SplitLists(place, self._xmls.keys() | self._bare.keys())

    def of_list(self, name: str) -> Iterator[Item]:
        """The pictures of one list, all with its name as their split."""
        split = None if name == NO_SPLIT else name
        for picture in self.lists.pictures(name):
            yield self._item(picture, split, name)

    def of_all_lists(self) -> Iterator[Item]:
        """The pictures of all lists, each with its own split."""
        for picture in self._listed:
            splits = self.lists.splits_of(picture)
            if len(splits) > 1:
                yield Item(self._samples, f"{picture}.xml", "", None, self._in_two(picture, *splits[:2]))
            else:
                yield self._item(picture, None if splits[0] == NO_SPLIT else splits[0], splits[0])

    def of_no_list(self) -> Iterator[Item]:
        """The other annotations and, where they are wanted, pictures."""
        for picture in (*self.unlisted, *(self.unannotated if self._include_bare else ())):
            yield self._item(picture, None, "")

    @property
    def unlisted(self) -> list[str]:
        """The annotations that are in no list."""
        return [name for name in self._xmls if name not in self._listed]

    @property
    def unannotated(self) -> list[str]:
        """The pictures without XML that are in no list."""
        return [name for name in self._bare if name not in self._listed]

    @cached_property
    def _listed(self) -> dict[str, None]:
        return {picture: None for name in self.lists.splits for picture in self.lists.pictures(name)}

    def voc_database(self) -> str:
        """What the first annotation says of its source, where that is the VOC database itself; else nothing."""
        first = next(iter(self._xmls.values()), None)
        try:
            source = self._samples.annotation(first).attributes.get("database") if first else None
        except DataError:  # reading it will say what is wrong
            return ""
        return source if isinstance(source, str) and source.startswith(_VOC_DATABASE) else ""

    def _item(self, picture: str, split: str | None, of_list: str) -> Item:
        if picture in self._xmls:
            return Item(self._samples, self._xmls[picture], "", split)
        if picture in self._bare and self._include_bare:
            return Item(self._samples, "", self._bare[picture], split)
        return Item(self._samples, f"{picture}.xml", "", split, self._missing(picture, of_list))

    def _in_two(self, picture: str, one: str, other: str) -> DataError:
        file, line = self.lists.place_of(picture, one)
        return DataError(
            file,
            f"the picture {picture} is also in {self.lists.place_of(picture, other)[1]} of {other}.txt",
            f"take it out of one of them, or read one list alone: ?split={one}",
            line,
        )

    def _missing(self, picture: str, of_list: str) -> DataError:
        help_for_pictures = "" if self._include_bare else ", or read its picture without boxes: ?unannotated=include"
        file, line = self.lists.place_of(picture, of_list)
        return DataError(
            file,
            f"it names {picture}, and there is no {ANNOTATIONS}/{picture}.xml",
            f"put the annotation there, take the name out of the list{help_for_pictures}",
            line,
        )


def _pictures(place: str, images: str | None, annotations: Folder) -> Pictures:
    folder = join(place, PICTURES) if images is None else images
    if images is None and not is_folder(folder):  # annotations can be read without
        return Pictures(annotations, "<filename>", besides=annotations.names)
    return Pictures(Folder.at(folder), "<filename>")
