"""What a conversion is going to do: settled before anything is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from boxwright.datasets.dataset import Dataset
from boxwright.datasets.destination import Destination, LabelMapFile
from boxwright.datasets.losses import LossCounter
from boxwright.datasets.parallel import process_count
from boxwright.datasets.parts import in_parts
from boxwright.datasets.protocols import Engine, PartitionedLabelReader, PartitionedReader, ShapeReader
from boxwright.errors import LossError, UsageError
from boxwright.label_map import LabelMap
from boxwright.progress import LogReporter, Reporter
from boxwright.text import is_text


@dataclass(frozen=True)
class Plan:
    """What a conversion is going to do.

    Attributes:
        dataset: What is read.
        destination: What is written.
        label_map_file: Where the label map goes.
        label_map: The classes, as far as they are known.
        sidecar: Whether sidecars are written.
        processes: How many processes share the work.
        engine: The machines that share it instead.
        notes: What was settled, for the report.
    """

    dataset: Dataset
    destination: Destination
    label_map_file: LabelMapFile
    label_map: LabelMap | None
    sidecar: bool
    processes: int
    engine: Engine | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        dataset: Dataset,
        destination: Destination,
        label_map: str | Path | LabelMap | None,
        *,
        sidecar: bool,
        workers: int,
        reporter: Reporter,
        engine: Engine | None = None,
    ) -> Plan:
        """Settles the classes and how the work is shared.

        Raises:
            UsageError: A sidecar is requested for a format that cannot be read.
            OutputError: The label map file exists and has other classes.
            DataError: The classes must be known, and an item cannot be read; or as :meth:`LabelMapFile.choose`.
        """
        if sidecar and not destination.spec.load:
            name = destination.spec.name
            raise UsageError(f"{name} cannot be read, so a sidecar cannot help", "leave out --sidecar")
        file = LabelMapFile.choose(label_map, destination)
        known = file.label_map
        notes: tuple[str, ...] = ()
        if known is None and (file.path or destination.spec.numbered):
            known = dataset.known_label_map
            if known is not None and file.path and known.for_file() is not known:
                ids = [item.id for item in known.items]
                notes = (f"classes numbered from 1: a label map file cannot have the ids {min(ids)} to {max(ids)}",)
                known = known.for_file()
        processes = _processes(dataset, workers)
        if known is None and destination.needs_label_map:
            known = _scanned_label_map(dataset, processes, reporter, engine)
        return cls(dataset, destination, file, known, sidecar, processes, engine, notes)

    def loss_counter(self) -> LossCounter:
        """Returns a counter of what the target format does not carry."""
        attributes = self.dataset.info.attributes
        return LossCounter(
            self.destination.spec, split_in_name=self.destination.uri.has_split, dataset_attributes=attributes
        )

    def refuse_losses(self, reporter: Reporter) -> None:
        """Reads the dataset, and raises a LossError if the target format cannot store everything."""
        counter = self.loss_counter()
        with reporter.task("Checking that nothing would be lost", self.dataset.info.num_samples) as task:
            for sample in self.dataset:
                counter.count(sample)
                task.advance()
        losses = counter.take()
        if isinstance(self.dataset.reader, ShapeReader):
            losses.add_left_out(self.dataset.reader.shapes.totals())
        if losses:
            raise LossError(
                f"{self.destination.spec.name} cannot store everything: {losses.describe()}",
                "convert to a format that carries it (see `boxwright formats`), or leave out --strict",
            )


def _processes(dataset: Dataset, workers: int) -> int:
    """How many processes shall share the work: one, where they would not pay or the dataset does not let them."""
    parts = dataset.reader.parts if isinstance(dataset.reader, PartitionedReader) else 0
    return 1 if dataset.transforms else process_count(parts, workers)


def _scanned_label_map(dataset: Dataset, processes: int, reporter: Reporter, engine: Engine | None) -> LabelMap:
    # Processes take a second at most, and must not be forked while the thread of a progress bar runs.
    bars = LogReporter() if processes > 1 and engine is None else reporter
    with bars.task("Looking for the classes", dataset.info.num_samples) as task:
        if engine is None or isinstance(dataset.reader, PartitionedLabelReader):
            labels = dataset.labels(task.advance, processes, engine)
        else:
            found: set[str] = set()
            for names in in_parts(dataset.for_labels(), _label_sets, engine, reporter):
                found.update(names)
                task.advance()
            labels = sorted(found)
    return LabelMap.from_names(filter(is_text, labels))


def _label_sets(dataset: Dataset) -> Iterator[frozenset[str]]:
    return (frozenset(sample.boxes.labels) for sample in dataset)
