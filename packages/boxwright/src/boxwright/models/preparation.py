"""The data of a training: opened, read once and checked before a run is made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boxwright.datasets.dataset import Data, Dataset, empty_dataset_error, open_dataset
from boxwright.datasets.scan import Scan
from boxwright.errors import DataError, RunError
from boxwright.label_map import LabelMap, resolve_label_map
from boxwright.models.overlap import check_overlap
from boxwright.models.run import Run
from boxwright.plugins.registry import Registry
from boxwright.progress import Reporter
from boxwright.regions import UNANNOTATED, WithoutRegions


@dataclass(frozen=True)
class Prepared:
    """The data of a training.

    Attributes:
        data: The training samples, with the label map of the run, without regions.
        complete: The same with all boxes.
        scan: Their counts.
        val: The held-out samples, with the same label map, without regions of other classes.
        held_out: The same with all boxes, for the evaluation of the model.
        val_scan: Their counts.
        overlap: How many of them are training images.
    """

    data: Dataset
    complete: Dataset
    scan: Scan
    val: Dataset | None
    held_out: Dataset | None
    val_scan: Scan | None
    overlap: int

    @property
    def uris(self) -> dict[str, str | None]:
        """Where the samples come from; an empty text for those without a URI."""
        return {"data": self.data.uri, "val": None if self.val is None else self.val.uri}

    @property
    def inputs(self) -> dict[str, Any]:
        """What the run folder keeps of the data, to recognize it."""
        scan = self.scan
        data = {"digest": scan.digest, "samples": scan.samples, "boxes": scan.boxes, "classes": scan.classes}
        return {"data": data, "overlap": self.overlap, "val": None if self.val_scan is None else self.val_scan.digest}


def prepare(
    data: Data,
    val: Data | None,
    label_map: LabelMap | str | Path | None,
    run: Run | None,
    *,
    on_error: str,
    allow_overlap: bool,
    reporter: Reporter,
    plugins: Registry,
) -> Prepared:
    """Opens the data, reads its annotations once, and settles the classes; ``run`` is the one that is continued.

    Raises:
        UsageError: A URI is wrong, or a held-out image is a training image and ``allow_overlap`` is false.
        DataError: There are no samples or boxes, or a class is not in the label map.
        RunError: The run was trained on other data.
    """
    dataset = open_dataset(data, on_error=on_error, label_map=resolve_label_map(label_map), registry=plugins)
    held_out = None if val is None else open_dataset(val, on_error=on_error, registry=plugins)
    with reporter.task("Reading the annotations", dataset.info.num_samples):
        scan = dataset.scan()
    if not scan.samples:
        raise empty_dataset_error(dataset, "it contains no images")
    dataset.problems.finish(scan.samples)
    if scan.boxes == sum(scan.regions.values()):
        raise DataError(dataset.info.location, "it contains no box to learn from", "check the location and the format")
    given = _classes(scan)
    classes = given.for_file()
    if classes != given:
        reporter.message("The classes of the run are numbered from 1, because a label map file cannot have their ids.")
    _check_classes(dataset, scan, classes, "add them to the label map, or use another label map")
    if run is not None and scan.digest != run.state["inputs"]["data"]["digest"]:
        raise RunError(
            f"{dataset.uri or data} is not the data that {run.path} was trained on",
            "pass the same --data, or train into another folder",
        )
    watched, val_scan, overlap = None, None, 0
    if held_out is not None:
        val_scan = _checked_held_out(held_out, classes)
        held_out = held_out.with_label_map(classes)
        watched = held_out
        if val_scan.regions:
            watched = held_out.through(WithoutRegions(frozenset(classes.names)), workers=held_out.workers)
        before = {} if run is None else run.state["inputs"]
        if before.get("val") == val_scan.digest:  # the training data is the same as well
            overlap = before["overlap"]
        else:
            overlap = check_overlap(dataset, held_out, allowed=allow_overlap, reporter=reporter)
    complete = dataset
    if scan.regions:
        count = sum(scan.regions.values())
        boxes = "1 box is a region" if count == 1 else f"{count:,} boxes are regions"
        reporter.message(f"{boxes} and not single objects ({', '.join(scan.regions)}), and not trained on.")
        dataset = dataset.through(WithoutRegions(), workers=dataset.workers)
    return Prepared(dataset.with_label_map(classes), complete, scan, watched, held_out, val_scan, overlap)


def _classes(scan: Scan) -> LabelMap:
    """Returns the classes to train: those of the data, except the class of regions without annotations."""
    items = tuple(item for item in scan.label_map.items if item.name.lower() != UNANNOTATED)
    return LabelMap(items=items)


def _checked_held_out(dataset: Dataset, classes: LabelMap) -> Scan:
    scan = dataset.scan()
    if not scan.samples:
        raise empty_dataset_error(dataset, "it contains no images to hold out")
    dataset.problems.finish(scan.samples)
    if dataset.problems.on_error == "fail" or dataset.problems.limit:
        _check_classes(dataset, scan, classes, "remove them, or add them to the training data as well")
    return scan


def _check_classes(dataset: Dataset, scan: Scan, classes: LabelMap, remedy: str) -> None:
    objects = [label for label, count in scan.classes.items() if count > scan.regions.get(label, 0)]
    unknown = [label for label in objects if label not in classes]
    if unknown:
        raise DataError(
            dataset.info.location, f"classes that are not in the label map: {', '.join(map(repr, unknown))}", remedy
        )
