"""Reads labelImg folders and VOC datasets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import overload

from boxwright import DataError, DatasetInfo, NotAnnotatedError, Sample, SwappedCoordinates
from boxwright.datasets import Names, OnProblem, ShapeRule
from boxwright.images import folders_near, lookup_for
from boxwright.storage import Folder
from boxwright_voc.devkit import Year, years
from boxwright_voc.samples import Item, XmlSamples

_MOST = 100


class _XmlReader:
    """Reads items, which processes may share (:class:`boxwright.datasets.PartitionedLabelReader`)."""

    def __init__(self, info: DatasetInfo, items: Sequence[Item]) -> None:
        self.info = info
        self._items = items

    def read(self, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields the samples, each image once; a second annotation for an image is a problem that names both."""
        seen = Names()
        source_of: dict[str, str] = {}
        for sample in self.read_part(0, len(self._items), on_problem):
            name = sample.image.name
            if seen.add(name):
                yield sample
            elif sample.source != sample.image.location:  # an image without XML of its name may belong to another XML
                source_of = source_of or self._sources()
                on_problem(
                    DataError(
                        sample.source,
                        f"it names the image {name}, as {source_of[name]} does",
                        "correct <filename> in one of them, or remove one",
                    )
                )

    def _sources(self) -> dict[str, str]:
        """Reads all items, and returns the first source of each image; it is not kept before it is needed."""
        found: dict[str, str] = {}
        for item in self._items:
            with suppress(DataError):
                sample = item._replace(samples=item.samples.apart()).sample()
                found.setdefault(sample.image.name, sample.source)
        return found

    @property
    def parts(self) -> int:
        """The number of items, which processes may share."""
        return len(self._items)

    def read_part(self, start: int, stop: int, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields the samples of the items from ``start`` to ``stop``."""
        for number in range(start, min(stop, len(self._items))):
            item = self._items[number]
            try:
                sample = item.sample()
            except DataError as error:
                on_problem(error)
                continue
            yield sample

    def labels(self) -> Iterator[Sequence[str]]:
        """Yields the labels of each item, in a fraction of the time that reading takes.

        Raises:
            DataError: An item cannot be read.
        """
        return self.labels_part(0, len(self._items))

    def labels_part(self, start: int, stop: int) -> Iterator[Sequence[str]]:
        """Yields the labels of the items from ``start`` to ``stop``.

        Raises:
            DataError: An item cannot be read.
        """
        for number in range(start, min(stop, len(self._items))):
            yield self._items[number].labels()


class _Items(Sequence[Item]):
    """The items of a folder, made when they are needed: each takes more memory than the name of its file."""

    def __init__(self, samples: XmlSamples, xmls: Sequence[str], images: Sequence[str]) -> None:
        self._samples, self._xmls, self._images = samples, xmls, images

    def __len__(self) -> int:
        return len(self._xmls) + len(self._images)

    @overload
    def __getitem__(self, index: int) -> Item: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Item]: ...

    def __getitem__(self, index: int | slice) -> Item | Sequence[Item]:
        if isinstance(index, slice):
            return [self[number] for number in range(len(self))[index]]
        xmls = len(self._xmls)
        if index < xmls:
            return Item(self._samples, self._xmls[index])
        return Item(self._samples, image=self._images[index - xmls])


class LabelImgReader(_XmlReader):
    """Yields one sample per XML file, in the plain string order of the files' paths (``10.xml`` before ``2.xml``).

    :class:`boxwright_voc.samples.XmlSamples` describes how a file is read.

    Args:
        location: A folder, or a URL that fsspec opens, with XML files in it or in its sub-folders.
        images: The folder of the images, if it is not the XML's own.
        one_based: Whether coordinates count pixels from 1 and include xmax, ymax, as in the PASCAL VOC development kit;
            they become ``(xmin - 1, ymin - 1, xmax, ymax)``.
        inverted: ``"error"``, or ``"swap"`` to swap coordinates in the wrong order.
        unannotated: ``"ignore"``, or ``"include"`` to yield images without XML as samples without boxes, after the
            others.
        shapes: What happens to shapes that are not upright boxes: ``"box"``, ``"skip"`` or ``"fail"``.

    Raises:
        DataError: The folder does not exist, or contains images and no XML file.
    """

    def __init__(
        self,
        location: str,
        images: str | None = None,
        one_based: bool = False,
        inverted: str = "error",
        unannotated: str = "ignore",
        shapes: str = "box",
    ) -> None:
        self.shapes = ShapeRule(shapes)
        folder = Folder.at(location)
        xmls = folder.ending(".xml")
        lookup = lookup_for(folder, images, xmls, uri=f"labelimg:{location}", field="<filename>")
        samples = XmlSamples(folder, lookup, one_based=one_based, inverted=inverted, shapes=self.shapes)
        self.swapped = samples.swapped
        include = unannotated == "include"
        # Matching names takes time, and matters only if there are more files than XML files.
        unannotated_images = lookup.without(xmls) if include or len(lookup.names) > len(xmls) else []
        if unannotated_images and not xmls and not include:
            near = folders_near(folder.location, unannotated_images[:_MOST], (".xml",)) or ["XML_FOLDER"]
            raise NotAnnotatedError(
                location,
                f"it contains images ({len(unannotated_images)}) and no XML file",
                f"draw boxes: boxwright annotate {location}; or name the folder of the XML: "
                + " or ".join(f"labelimg:{place}?images={location}" for place in near),
            )
        items = _Items(samples, xmls, unannotated_images if include else [])
        notes = [*lookup.notes]
        notes += [_unannotated_note(len(unannotated_images))] if unannotated_images and not include else []
        super().__init__(
            DatasetInfo(format="labelimg", location=location, num_samples=len(items), notes=tuple(notes)), items
        )


class VocReader(_XmlReader):
    """Yields one sample per XML file, year by year, in the plain string order of the files' paths.

    :class:`boxwright_voc.samples.XmlSamples` describes how a file is read, and
    :class:`boxwright_voc.image_sets.ImageSets` the splits. An image in two of ``train``, ``val`` and ``test`` is a
    problem, because it would leak from training into testing. An image set that is requested by name is read alone, and
    its name becomes the split of every sample.

    Args:
        location: The folder of a year, which contains ``Annotations``, or a folder of years; or a URL that fsspec
            opens.
        split: An image set of ``ImageSets/Main``; without it, all images that are in any.
        images: The folder of the images, if it is not ``JPEGImages``.
        one_based: Whether coordinates count pixels from 1 and include xmax, ymax, as in the VOC database itself; they
            become ``(xmin - 1, ymin - 1, xmax, ymax)``.
        inverted: ``"error"``, or ``"swap"`` to swap coordinates in the wrong order.
        unlisted: ``"ignore"``, or ``"include"`` to yield annotations that are in no image set as well, without a split.
            A year without image sets is read completely.
        unannotated: ``"ignore"``, or ``"include"`` to yield images without XML as samples without boxes.
        shapes: What happens to shapes that are not upright boxes: ``"box"``, ``"skip"`` or ``"fail"``.

    Raises:
        DataError: The folder, its ``Annotations``, or the image set does not exist.
    """

    def __init__(
        self,
        location: str,
        split: str | None = None,
        images: str | None = None,
        one_based: bool = False,
        inverted: str = "error",
        unlisted: str = "ignore",
        unannotated: str = "ignore",
        shapes: str = "box",
    ) -> None:
        self.shapes = ShapeRule(shapes)
        self.swapped = SwappedCoordinates()
        include = {"unlisted": unlisted == "include", "unannotated": unannotated == "include"}
        found = [
            Year(
                folder,
                prefix,
                images,
                one_based=one_based,
                inverted=inverted,
                unannotated=include["unannotated"],
                swapped=self.swapped,
                shapes=self.shapes,
            )
            for prefix, folder in years(location)
        ]
        if split is not None and not any(split in year.image_sets for year in found):
            raise _no_such_list(location, split, found)
        items: list[Item] = []
        for year in found:
            of_year: list[Item] = []
            if split is None:
                of_year += year.items_of_all_splits()
                if include["unlisted"] or not year.image_sets.names:
                    of_year += year.unlisted_items()
            elif split in year.image_sets:
                of_year += year.items_of(split)
            items += sorted(of_year, key=lambda item: item.xml or item.image)
        notes = [note for year in found for note in year.notes]
        notes += _not_read(found, **include) if split is None else []
        database = "" if one_based else next(filter(None, (year.voc_database() for year in found)), "")
        if database:
            notes.append(
                f"the annotations name {database!r} as their source, whose own files count pixels from 1: if these are"
                " such files, read them with ?one_based=true"
            )
        info = DatasetInfo(
            format="voc",
            location=location,
            num_samples=sum(item.problem is None for item in items),
            splits=tuple(sorted({item.split for item in items if item.split is not None})),
            notes=tuple(notes),
        )
        super().__init__(info, items)


def _not_read(found: Sequence[Year], unlisted: bool, unannotated: bool) -> Iterator[str]:
    """Yields notes about what a dataset contains that is not read."""
    count = 0 if unlisted else sum(len(year.unlisted) for year in found if year.image_sets.names)
    if count:
        yield f"annotations in no list of ImageSets/Main, not read: {count} (?unlisted=include reads them)"
    count = 0 if unannotated else sum(len(year.unannotated) for year in found)
    if count:
        yield _unannotated_note(count)
    selections = sorted({name for year in found for name in year.image_sets.selections})
    if selections:
        names = ", ".join(selections)
        yield f"lists that share images with others and are not splits: {names} (?split=NAME reads one)"


def _unannotated_note(count: int) -> str:
    return f"images without an XML of their name, not read: {count} (?unannotated=include reads them)"


def _no_such_list(location: str, split: str, found: Sequence[Year]) -> DataError:
    names = sorted({name for year in found for name in year.image_sets.names})
    return DataError(
        location,
        f"no list ImageSets/Main/{split}.txt",
        f"use one of: {', '.join(names)}" if names else "there are no lists: leave out ?split",
    )
