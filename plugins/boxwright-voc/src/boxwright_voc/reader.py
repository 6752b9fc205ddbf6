"""Reads the Pascal VOC layout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from boxwright.errors import DataError
from boxwright.protocols import OnProblem
from boxwright.schemas import DatasetInfo, Sample
from boxwright_voc.places import years
from boxwright_voc.xml.samples import each_picture_once
from boxwright_voc.year import Item, Year


class VocReader:
    """One sample an XML file, year by year, in the plain string order of the files' paths.

    See :class:`boxwright_voc.xml.samples.XmlSamples` for what becomes of a file, and
    :class:`boxwright_voc.lists.SplitLists` for the splits. A picture in two of ``train``, ``val`` and ``test`` is a
    problem: whichever were chosen, a picture to test with would be one to train with. A list that was asked for by its
    name is read alone, and gives every sample its name as the split.

    Args:
        location: The folder of a year, which holds ``Annotations``, or a folder of years; or a URL that fsspec opens.
        split: A list of ``ImageSets/Main``; without it, all pictures that are in any.
        images: The folder of the pictures, where it is not ``JPEGImages``.
        one_based: Whether the edges count pixels from 1 with xmax, ymax included, as in the VOC database itself; they
            become ``(xmin - 1, ymin - 1, xmax, ymax)``.
        inverted: ``"error"``, or ``"swap"`` to exchange edges that stand in the wrong order.
        unlisted: ``"ignore"``, or ``"include"`` to give annotations that are in no list as well, without a split.
            Where a year has no lists at all, all of it is read.
        unannotated: ``"ignore"``, or ``"include"`` to give pictures without XML as samples without boxes.

    Raises:
        DataError: There is no such folder, no ``Annotations`` in it, or no list of that name.
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
    ) -> None:
        found = [
            Year(place, prefix, images, one_based=one_based, inverted=inverted, unannotated=unannotated == "include")
            for prefix, place in years(location)
        ]
        self._items: list[Item] = []
        notes: list[str] = []
        for year in found:
            items: list[Item] = []
            if split is None:
                items += year.of_all_lists()
                if unlisted == "include" or not year.lists.names:
                    items += year.of_no_list()
            elif split in year.lists:
                items += year.of_list(split)
            self._items += sorted(items, key=lambda item: item.xml or item.picture)
        if split is None:
            notes += _left_out(found, unlisted == "include", unannotated == "include")
        elif not any(split in year.lists for year in found):
            raise _no_such_list(location, split, found)
        database = "" if one_based else next(filter(None, (year.voc_database() for year in found)), "")
        if database:
            notes.append(
                f"the annotations come from {database!r}, whose own files count pixels from 1: if these are such files,"
                " read them with ?one_based=true"
            )
        self.info = DatasetInfo(
            format="voc",
            location=location,
            num_samples=sum(item.problem is None for item in self._items),
            splits=tuple(sorted({item.split for item in self._items if item.split is not None})),
            notes=tuple(notes),
        )

    def read(self, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields the samples; see :class:`boxwright.protocols.Reader`."""
        return each_picture_once(self.read_part(0, len(self._items), on_problem), on_problem)

    @property
    def parts(self) -> int:
        """How many pictures there are to share between processes."""
        return len(self._items)

    def read_part(self, start: int, stop: int, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields the samples of the pictures from ``start`` to ``stop``."""
        for samples, xml, picture, split, problem in self._items[start:stop]:
            if problem is not None:
                on_problem(problem)
                continue
            try:
                sample = samples.sample(xml, split) if xml else samples.unannotated(picture, split)
            except DataError as error:
                on_problem(error)
                continue
            yield sample

    def labels(self) -> Iterator[Sequence[str]]:
        """The labels of each picture, for looking through the classes in a fraction of a reading's time.

        Raises:
            DataError: A file cannot be read, or is no annotation, or a list is wrong.
        """
        return self.labels_part(0, len(self._items))

    def labels_part(self, start: int, stop: int) -> Iterator[Sequence[str]]:
        """The labels of the pictures from ``start`` to ``stop``.

        Raises:
            DataError: As :meth:`labels`.
        """
        for samples, xml, _, _, problem in self._items[start:stop]:
            if problem is not None:
                raise problem
            yield samples.labels(xml) if xml else ()


def _left_out(found: Sequence[Year], unlisted: bool, unannotated: bool) -> Iterator[str]:
    """What is there and was not asked for, in words."""
    listed = [year for year in found if year.lists.names]
    count = 0 if unlisted else sum(len(year.unlisted) for year in listed)
    if count:
        yield f"annotations in no list of ImageSets/Main, not read: {count} (?unlisted=include reads them)"
    count = 0 if unannotated else sum(len(year.unannotated) for year in found)
    if count:
        yield f"pictures without an XML of their name, not read: {count} (?unannotated=include reads them)"
    selections = sorted({name for year in found for name in year.lists.selections})
    if selections:
        names = ", ".join(selections)
        yield f"lists that share pictures with others and are no splits: {names} (?split=NAME reads one)"


def _no_such_list(location: str, split: str, found: Sequence[Year]) -> DataError:
    names = sorted({name for year in found for name in year.lists.names})
    return DataError(
        location,
        f"there is no list ImageSets/Main/{split}.txt",
        f"there is: {', '.join(names)}" if names else "there are no lists at all: leave out ?split",
    )
