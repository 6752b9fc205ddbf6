"""Datasets from objects in memory, and the other way: samples, pandas data frames, and dicts in the form of COCO."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from boxwright.datasets.conversion import convert
from boxwright.datasets.dataset import Data, Dataset, SampleReader, open_dataset
from boxwright.errors import DataError, MissingLibraryError, UsageError
from boxwright.label_map import LabelMap
from boxwright.plugins.registry import Registry
from boxwright.schemas import Boxes, ImageRef, Sample
from boxwright.storage.uri import DatasetURI, join

COLUMNS = ("filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax")
"""The columns of a data frame, as in the tutorials' CSV files."""

_MORE = ("split", "location")


def from_samples(
    samples: Iterable[Sample] | Callable[[], Iterable[Sample]],
    *,
    label_map: LabelMap | None = None,
    registry: Registry | None = None,
) -> Dataset:
    """Returns a dataset of samples in memory.

    Args:
        samples: A list, a generator, which is read at once, or a function that returns an iterator, which is called
            for each pass, so that the samples need not be in memory together.
        label_map: The classes and their ids, instead of the sorted names.
        registry: The plugins to use, instead of the installed ones.
    """
    made = samples if callable(samples) else list(samples)
    return Dataset(SampleReader(made), label_map=label_map, plugins=registry)


def to_pandas(data: Data) -> Any:
    """Returns a dataset as a ``pandas.DataFrame`` with one row per box.

    The columns are :data:`COLUMNS`, ``split`` and ``location``, then one for each attribute of the boxes. Coordinates
    are pixels. An image without boxes has one row, with missing values for the class and the coordinates.

    Raises:
        MissingLibraryError: pandas is not installed.
        DataError: An item cannot be read.
    """
    pandas = _pandas()
    rows: list[dict[str, Any]] = []
    for sample in open_dataset(data):
        image, boxes = sample.image, sample.boxes
        own = {"filename": image.name, "width": image.width, "height": image.height}
        rest = {"split": sample.split, "location": image.location}
        for label, edges, attributes in zip(boxes.labels, boxes.coordinates, boxes.attributes, strict=True):
            rows.append(own | dict(zip(COLUMNS[3:], (label, *edges), strict=True)) | rest | dict(attributes))
        if not boxes:
            rows.append(own | dict.fromkeys(COLUMNS[3:]) | rest)
    found = dict.fromkeys([*COLUMNS, *_MORE, *(name for row in rows for name in row)])
    frame = pandas.DataFrame(rows, columns=list(found))
    return frame.astype(dict.fromkeys(COLUMNS[4:], "float64"))


def from_pandas(
    frame: Any, *, images: str | os.PathLike[str] | None = None, label_map: LabelMap | None = None
) -> Dataset:
    """Returns a dataset from a ``pandas.DataFrame`` with one row per box, as :func:`to_pandas` makes it.

    Args:
        frame: With the columns :data:`COLUMNS`. ``split`` and ``location`` are used if they exist, others are
            attributes of the boxes. A row without a class is an image without boxes.
        images: The folder of the images of rows without ``location``.
        label_map: The classes and their ids, instead of the sorted names.

    Raises:
        UsageError: A column is missing.
        DataError: A row is invalid.
    """
    missing = [name for name in COLUMNS if name not in frame.columns]
    if missing:
        raise UsageError(f"the data frame has no column {', '.join(missing)}", f"it needs: {', '.join(COLUMNS)}")
    grouped: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    for number, row in enumerate(frame.to_dict("records")):
        grouped.setdefault(str(row["filename"]), []).append((number, row))
    return from_samples([_sample(name, rows, images) for name, rows in grouped.items()], label_map=label_map)


def _sample(name: str, rows: list[tuple[int, dict[str, Any]]], images: str | os.PathLike[str] | None) -> Sample:
    first = {key: None if _is_missing(value) else value for key, value in rows[0][1].items()}
    given = [(number, row) for number, row in rows if not _is_missing(row["class"])]
    location = first.get("location") or (None if images is None else join(os.fspath(images), name))
    plain = {*COLUMNS, *_MORE}
    try:
        attributes = [
            {key: value for key, value in row.items() if key not in plain and not _is_missing(value)}
            for _, row in given
        ]
        boxes = Boxes(
            [str(row["class"]) for _, row in given],
            [tuple(float(row[edge]) for edge in COLUMNS[4:]) for _, row in given],  # type: ignore[misc]
            attributes,
        )
        image = ImageRef(name=name, width=int(rows[0][1]["width"]), height=int(rows[0][1]["height"]), location=location)
        return Sample(image=image, boxes=boxes, split=first.get("split"), source=f"row {rows[0][0]}")
    except (TypeError, ValueError) as error:
        problem = str(error).splitlines()[0]
        raise DataError("the data frame", problem, "correct the rows of this image", f"row {rows[0][0]}") from None


def _is_missing(value: object) -> bool:
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or type(value).__name__ in ("NAType", "NaTType")


def _pandas() -> Any:
    try:
        import pandas
    except ImportError:
        raise MissingLibraryError("pandas is not installed", "run: python -m pip install pandas") from None
    return pandas


def to_coco_dict(data: Data, *, registry: Registry | None = None) -> dict[str, Any]:
    """Returns a dataset as a dict in the form of COCO's ``instances.json``, as converting to ``coco`` writes it.

    Raises:
        PluginError: The format ``coco`` is not installed.
        DataError: An item cannot be read.
    """
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "instances.json")
        dataset = open_dataset(data, registry=registry)
        convert(dataset, DatasetURI(str(path), "coco"), registry=registry)
        content: dict[str, Any] = json.loads(path.read_bytes())
    return content


def from_coco_dict(
    content: Mapping[str, Any], *, images: str | os.PathLike[str] | None = None, registry: Registry | None = None
) -> Dataset:
    """Returns a dataset from a dict in the form of COCO's ``instances.json``.

    Args:
        content: With ``images``, ``annotations`` and ``categories``.
        images: The folder of the images.
        registry: The plugins to use, instead of the installed ones.

    Raises:
        UsageError: It cannot be written as JSON.
        PluginError: The format ``coco`` is not installed.
        DataError: An annotation is invalid.
    """
    import fsspec

    try:
        data = json.dumps(content).encode()
    except (TypeError, ValueError) as error:
        raise UsageError(f"the dict is not JSON: {error}", "use plain numbers, texts, lists and dicts") from None
    path = f"/boxwright/{hashlib.sha256(data).hexdigest()[:16]}.json"
    memory = fsspec.filesystem("memory")
    memory.pipe(path, data)
    options = {} if images is None else {"images": os.path.abspath(images)}
    try:
        opened = open_dataset(DatasetURI(f"memory:/{path}", "coco", options), registry=registry)
        return from_samples(list(opened), label_map=opened.known_label_map, registry=registry)
    finally:
        memory.rm(path)
