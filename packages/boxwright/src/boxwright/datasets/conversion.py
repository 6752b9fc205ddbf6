"""Converts a dataset: reads, transforms, counts what is lost, writes completely or not at all.

A conversion goes one way: open, plan, run, commit, report.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from boxwright.datasets.dataset import Data, Dataset, empty_dataset_error, open_dataset
from boxwright.datasets.destination import Destination
from boxwright.datasets.engines import opened_engine
from boxwright.datasets.losses import Losses
from boxwright.datasets.outputs import Outputs
from boxwright.datasets.plan import Plan
from boxwright.datasets.problems import Problems
from boxwright.datasets.protocols import Engine, Transform
from boxwright.datasets.shape_rule import shape_notes
from boxwright.datasets.sources import Location
from boxwright.datasets.transfer import transfer
from boxwright.errors import DataError
from boxwright.label_map import LabelMap
from boxwright.plugins.registry import Registry, default_registry
from boxwright.progress import LogReporter, Reporter


@dataclass
class ConversionReport:
    """The result of a conversion.

    Attributes:
        source: The URI that was read; the locations, if there were several.
        targets: The URIs that were written, one per split.
        samples: The number of images by target.
        boxes: Boxes written.
        classes: Boxes by label.
        splits: Images by split; those without a split are not counted.
        losses: What the target format cannot store.
        sidecars: The files that keep it instead.
        skipped: Items that were skipped under ``on_error="skip"``.
        swapped: Boxes whose coordinates were in the wrong order, and which the reader was asked to sort.
        label_map: The label map file that goes with the output, or ``""``.
        label_map_reused: Whether that file was there before and decided the classes' numbers.
        notes: What the steps report, such as how many images were turned upright.
        seconds: Wall time.
    """

    source: str
    targets: list[str] = field(default_factory=list)
    samples: dict[str, int] = field(default_factory=dict)
    boxes: int = 0
    classes: dict[str, int] = field(default_factory=dict)
    splits: dict[str, int] = field(default_factory=dict)
    losses: Losses = field(default_factory=Losses)
    sidecars: list[str] = field(default_factory=list)
    skipped: list[DataError] = field(default_factory=list)
    swapped: int = 0
    label_map: str = ""
    label_map_reused: bool = False
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "source": self.source,
            "targets": self.targets,
            "samples": self.samples,
            "boxes": self.boxes,
            "classes": self.classes,
            "splits": self.splits,
            "dropped": dict(self.losses.dropped),
            "changed": dict(self.losses.changed),
            "added": dict(self.losses.added),
            "dropped_bookkeeping": dict(self.losses.bookkeeping),
            "sidecars": self.sidecars,
            "skipped": [
                {"file": e.file, "place": e.place, "problem": e.problem, "remedy": e.remedy} for e in self.skipped
            ],
            "exchanged": self.swapped,
            "label_map": self.label_map or None,
            "label_map_reused": self.label_map_reused,
            "notes": self.notes,
            "seconds": round(self.seconds, 3),
        }


def convert(
    source: Data | Sequence[Data],
    target: Location,
    *,
    steps: Sequence[str | Transform] = (),
    label_map: str | Path | LabelMap | None = None,
    strict: bool = False,
    on_error: str | None = None,
    overwrite: bool = False,
    sidecar: bool = False,
    workers: int = 0,
    engine: str | Engine | None = None,
    reporter: Reporter | None = None,
    registry: Registry | None = None,
) -> ConversionReport:
    """Converts a dataset, or several into one; memory does not grow with its size.

    Args:
        source: What to read, as for :func:`boxwright.open`.
        target: ``FORMAT:LOCATION[?option=value]``, or a path; ``{split}`` in the location is filled in with each
            sample's split.
        steps: Transforms in between, as ``"resize:800x600"`` or as objects.
        label_map: The classes and their ids. A file that does not exist yet is created. Without it, a label map file
            that is next to the target already is used, so that train and test get the same ids.
        strict: Raise before the first byte is written if the target format cannot store everything; a sidecar can.
        on_error: ``"fail"`` or ``"skip"`` items that cannot be read or written, or a limit such as ``"1%"``; skipped
            ones are in the report. ``None`` is ``"fail"``, except for formats that are written for training
            (``FormatSpec.max_bad``).
        overwrite: Whether an existing target may be replaced.
        sidecar: Whether what the target format cannot store is written to a file next to the output, and restored
            when the output is read; see :mod:`boxwright.datasets.sidecar`.
        workers: Threads for the steps, or processes if there are no steps and the formats let them share the work; 0
            for one per core. If processes cannot be forked (on Windows and macOS), 0 is one process, and a script that
            sets more must protect its main module by ``if __name__ == "__main__":``.
        engine: The machines that share the work, if the formats let them: ``"ray"`` or
            ``"ray:address=10.0.0.1:6379"``; the output is the same.
        reporter: Where progress goes.
        registry: The plugins to use, instead of the installed ones.

    Raises:
        UsageError: A wrong URI, option or step.
        DataError: An item is wrong (under ``"fail"``), a class is not in the label map, or there is nothing to convert.
        LossError: Under ``strict``.
        OutputError: The target exists or cannot be written.
        EngineError: The machines cannot be reached, or cannot do the work.
    """
    started = time.perf_counter()
    plugins, reporter = registry or default_registry(), reporter or LogReporter()
    dataset = open_dataset(
        source, steps=steps, on_error=on_error or "fail", workers=workers, registry=plugins, reporter=reporter
    )
    destination = Destination(target, plugins, overwrite=overwrite)
    if on_error is None and destination.spec.max_bad and not isinstance(source, Dataset):
        dataset = dataset.with_problems(Problems(destination.spec.max_bad))
        dataset.problems.total = dataset.info.num_samples
    with opened_engine(engine, plugins) as machines:
        plan = Plan.of(
            dataset, destination, label_map, sidecar=sidecar, workers=workers, reporter=reporter, engine=machines
        )
        if strict and not sidecar:
            plan.refuse_losses(reporter)
        with Outputs(plan) as outputs:
            counts = transfer(plan, outputs, reporter)
            if not outputs.samples:
                raise empty_dataset_error(dataset, "there are no annotated images in it")
            dataset.problems.finish(sum(outputs.samples.values()))
            sidecars = outputs.commit(counts.classes, counts.image_folders, plugins, reporter)
    return ConversionReport(
        source=dataset.uri or dataset.info.location,
        targets=list(outputs.samples),
        samples=outputs.samples,
        boxes=counts.boxes,
        classes=dict(sorted(counts.classes.items())),
        splits=dict(sorted(counts.splits.items())),
        swapped=counts.swapped,
        losses=counts.losses,
        skipped=dataset.problems.skipped,
        notes=[*plan.notes, *dataset.notes, *shape_notes(counts.shapes), *_bridge_notes(destination)],
        label_map=plan.label_map_file.path,
        label_map_reused=plan.label_map_file.reused,
        sidecars=sidecars,
        seconds=time.perf_counter() - started,
    )


def _bridge_notes(destination: Destination) -> list[str]:
    spec = destination.spec
    return [f"{spec.name} was written through {spec.bridge}"] if spec.bridge else []
