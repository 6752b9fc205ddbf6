"""What readers, writers and transforms must do, with a complete example of each, and what more they can do.

These are :class:`typing.Protocol` classes: a plugin need not inherit from them. ``boxwright-testing`` contains the
tests that a plugin of each kind must pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from boxwright.datasets.columns import Columns
from boxwright.datasets.shape_rule import ShapeRule
from boxwright.errors import DataError
from boxwright.schemas import DatasetInfo, Sample, SwappedCoordinates

OnProblem = Callable[[DataError], None]
"""What a reader calls for an item that it cannot yield: raises the error, or records it so that reading continues."""


@runtime_checkable
class Reader(Protocol):
    """Reads a dataset, one sample after another.

    A complete reader, of a format with one JSON object per line and image,
    ``{"name": "a.jpg", "size": [640, 480], "boxes": [["fig", 10, 20, 110, 220]]}``::

        import json
        import os

        from boxwright import Boxes, DataError, DatasetInfo, ImageRef, Sample


        class LinesReader:
            def __init__(self, location):
                if not os.path.isfile(location):
                    raise DataError(location, "file not found", "check the path")
                self.location = location
                self.info = DatasetInfo(format="lines", location=location)

            def read(self, on_problem):
                with open(self.location, encoding="utf-8") as lines:
                    for number, line in enumerate(lines, start=1):
                        try:
                            row = json.loads(line)
                            (width, height), boxes = row["size"], row["boxes"]
                            image = ImageRef(name=row["name"], width=width, height=height)
                            boxes = Boxes([label for label, *_ in boxes], [edges for _, *edges in boxes])
                        except (KeyError, TypeError, ValueError) as error:
                            problem = f"{type(error).__name__}: {error}"
                            on_problem(DataError(self.location, problem, "correct the line", f"line {number}"))
                            continue
                        yield Sample(image=image, boxes=boxes, source=f"{self.location}, line {number}")

    The factory named by ``FormatSpec.load`` is called as ``factory(location, **options)`` with only the options that
    the user gave. It raises :class:`~boxwright.DataError` where the location is not there at all.

    A reader may do more: see :class:`LabelReader`, :class:`ColumnReader`, :class:`PartitionedReader`,
    :class:`SwappingReader` and :class:`ShapeReader`.
    """

    info: DatasetInfo

    def read(self, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields every sample, in an order that does not depend on the file system.

        Called any number of times, each from the start. It streams: memory does not grow with the dataset. For an item
        that cannot be read, it calls ``on_problem`` with an error that names file, place and remedy, and continues if
        that returns; it never skips one silently.
        """
        ...


@runtime_checkable
class LabelReader(Protocol):
    """A reader that lists the labels faster than by reading every sample.

    boxwright then makes a label map without running the steps that keep labels.
    """

    def labels(self) -> Iterator[Sequence[str]]:
        """Yields the labels of each item.

        Raises:
            DataError: Where :meth:`Reader.read` would call ``on_problem``.
        """
        ...


@runtime_checkable
class ColumnReader(Protocol):
    """A reader that returns the annotations of many images faster than by making a sample of each.

    boxwright counts a dataset with it, for ``boxwright info`` and before a training.
    """

    def columns(self, on_problem: OnProblem) -> Iterator[Columns]:
        """Yields the annotations of some thousand images at a time, the same as those of :meth:`Reader.read`."""
        ...


@runtime_checkable
class PartitionedReader(Protocol):
    """A reader whose items are independent of each other, so that several processes may share the work.

    Each item has its own file, for example. boxwright makes sure that no image name is used twice. A reader that can be
    pickled is shared where processes cannot be forked, too: on Windows and macOS.

    Attributes:
        parts: The number of items.
    """

    parts: int

    def read_part(self, start: int, stop: int, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields the samples of the items from ``start`` to ``stop``, as :meth:`Reader.read` does."""
        ...


@runtime_checkable
class ShardedReader(Protocol):
    """A reader of several files with many images each, so that several machines may share the work.

    Attributes:
        shards: The number of files.
    """

    shards: int

    def read_shard(self, number: int, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields the samples of the file at position ``number``, as :meth:`Reader.read` does."""
        ...


@runtime_checkable
class PartitionedLabelReader(PartitionedReader, Protocol):
    """A :class:`PartitionedReader` that lists the labels of some of its items faster than by reading them."""

    def labels_part(self, start: int, stop: int) -> Iterator[Sequence[str]]:
        """Yields the labels of each item from ``start`` to ``stop``, as :meth:`LabelReader.labels` does."""
        ...


@runtime_checkable
class SwappingReader(Protocol):
    """A reader that sorts the coordinates of a box where the user asked for it (``?inverted=swap``).

    Attributes:
        swapped: Sorts the coordinates and counts the boxes, for the report of a conversion.
    """

    swapped: SwappedCoordinates


@runtime_checkable
class ShapeReader(Protocol):
    """A reader of a format with shapes that are not upright boxes, which has the option ``shapes``.

    Attributes:
        shapes: Applies the option and counts the shapes, for the report of a conversion.
    """

    shapes: ShapeRule


class Output(Protocol):
    """Where a writer puts its files; nothing appears under its final name before all of it is whole.

    Made by boxwright and handed to writers; see :class:`boxwright.storage.AtomicOutput`.

    Attributes:
        location: The target, as the user wrote it.
        dataset_attributes: What the source says of the dataset as a whole (``DatasetInfo.attributes``); a writer keeps
            those that its format carries.
        workplace: For a ``"folder"`` format: the path or URL of the folder in which the output is made, whose files
            are all put in place together; ``None`` for a ``"file"`` format.
    """

    location: str
    dataset_attributes: Mapping[str, Any]

    @property
    def workplace(self) -> str | None:
        """The folder in which a ``"folder"`` output is made."""
        ...

    def open(self, name: str = "") -> Any:
        """Opens a new binary file for writing.

        Args:
            name: For a ``"folder"`` format: the path inside the folder, with ``/``. For a ``"file"`` format: empty for
                the target itself, or the name of another file next to it (a shard, a label map).

        Raises:
            OutputError: The name leads outside the target, or exists already.
        """
        ...


@runtime_checkable
class Writer(Protocol):
    r"""Writes a dataset, one sample after another.

    A complete writer, of the format that :class:`Reader` has for its example::

        import json


        class LinesWriter:
            def __init__(self, output, label_map):
                self.file = output.open()

            def write(self, sample):
                image, boxes = sample.image, sample.boxes
                rows = [[label, *edges] for label, edges in zip(boxes.labels, boxes.coordinates)]
                row = {"name": image.name, "size": [image.width, image.height], "boxes": rows}
                self.file.write(json.dumps(row).encode() + b"\n")

            def close(self):
                self.file.close()

    The factory named by ``FormatSpec.write`` is called as ``factory(output, label_map, **options)``. ``label_map``
    contains every class of the samples if ``FormatSpec.numbered`` is set, else it is ``None``; the
    file named by ``FormatSpec.label_map_file`` is written by boxwright itself. boxwright renames the files into place
    after :meth:`close`, or removes them if anything failed; a writer never touches the target itself.

    A writer may do more: see :class:`NumberedWriter`, :class:`PreparingWriter` and :class:`BatchWriter`.
    """

    def write(self, sample: Sample) -> None:
        """Adds one sample.

        Raises:
            DataError: The sample cannot be written in this format; names the sample's source and a remedy. Nothing of
                the sample has been written then, so that the others can follow.
        """
        ...

    def close(self) -> None:
        """Finishes all files. Not called after a failure."""
        ...


@runtime_checkable
class NumberedWriter(Protocol):
    """A writer of a format with ``numbered="late"`` that, with some options, needs the label map at the start."""

    @staticmethod
    def needs_label_map(**options: Any) -> bool:
        """Whether the label map is needed before the first sample, with these options of the writer."""
        ...


@runtime_checkable
class PreparingWriter(Writer, Protocol):
    """A writer that encodes each sample on its own, so that several processes may share the work.

    ``write(sample)`` is ``put(prepare(sample))``. A writer that can be pickled is shared where processes cannot be
    forked, too: on Windows and macOS. A copy in another process only prepares samples, and needs no open files.
    """

    def prepare(self, sample: Sample) -> Any:
        """Does all that needs neither the output nor the samples before, and returns plain values.

        Raises:
            DataError: As :meth:`Writer.write`.
        """
        ...

    def put(self, prepared: Any) -> None:
        """Adds what :meth:`prepare` returned. Called in the order of the samples."""
        ...


@runtime_checkable
class BatchWriter(PreparingWriter, Protocol):
    """A :class:`PreparingWriter` that also encodes many samples at once, for when putting takes long, too."""

    def pack(self, prepared: list[Any]) -> Any:
        """Makes one plain value of many prepared samples, or ``None`` if they must be put one by one."""
        ...

    def put_pack(self, packed: Any) -> None:
        """Adds what :meth:`pack` returned, as :meth:`PreparingWriter.put` would one by one."""
        ...


Work = Callable[[int, int], Any]
"""A part of the work of a command: called with the first item, and the one after the last."""


@runtime_checkable
class Engine(Protocol):
    """Runs parts of the work of a command on other machines, or elsewhere on this one: ``--engine NAME``.

    A complete engine, whose "machines" are threads::

        from concurrent.futures import ThreadPoolExecutor

        from boxwright.datasets import ordered_results


        class ThreadsEngine:
            def __init__(self, threads=4):
                self.threads = threads
                self.pool = ThreadPoolExecutor(threads)

            def results(self, work, pieces):
                futures = (self.pool.submit(work, start, stop) for start, stop in pieces)
                return ordered_results(futures, ahead=3 * self.threads)

            def close(self):
                self.pool.shutdown(cancel_futures=True)

    The factory named by ``EngineSpec.load`` is called with the options that the user gave, when the work begins. It
    raises :class:`~boxwright.EngineError` if its machines cannot be reached.
    """

    def results(self, work: Work, pieces: Iterable[tuple[int, int]]) -> Iterator[Any]:
        """Yields ``work(start, stop)`` for each piece, in the order of the pieces.

        ``work`` can be pickled, and returns values that can be pickled. It raises nothing: an error of the data is part
        of its result. If a machine is lost, the engine calls ``work`` again for its pieces; only one result of each is
        yielded. Pieces are taken as they are needed, a few for each machine ahead of the result that is yielded, so
        that memory does not grow with their number. If the iterator is closed, the rest is cancelled.

        Raises:
            EngineError: A machine cannot load the work.
            WorkerDiedError: A piece was lost again and again.
        """
        ...

    def close(self) -> None:
        """Releases the machines."""
        ...


@runtime_checkable
class Transform(Protocol):
    """Changes a stream of samples: one step of ``boxwright convert --with``.

    A complete transform, which keeps only images that have boxes::

        class OnlyAnnotated:
            per_sample = True

            def __call__(self, samples):
                return (sample for sample in samples if sample.boxes)

    The factory named by ``TransformSpec.load`` is called with the step's options. ``samples`` can be iterated more than
    once; a transform that needs to see all of it first (to split it, say) iterates twice and keeps no images.

    Attributes:
        per_sample: Whether each sample is handled on its own, so that several threads may share the work.

    A transform may do more: see :class:`DatasetTransform`, :class:`LabelPreservingTransform` and
    :class:`ReportingTransform`.
    """

    per_sample: bool

    def __call__(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Yields the changed samples. The boxes of an image stay in the pixels of that image."""
        ...


@runtime_checkable
class DatasetTransform(Transform, Protocol):
    """A transform that sees the stream as a whole and may fail for a single image (``per_sample`` is false).

    Of a transform with ``per_sample``, boxwright itself catches the :class:`~boxwright.DataError` of an image.
    """

    def apply(self, samples: Iterable[Sample], on_problem: OnProblem) -> Iterator[Sample]:
        """Yields the changed samples; called instead of :meth:`Transform.__call__`.

        Args:
            samples: As for :meth:`Transform.__call__`.
            on_problem: Called with the error of an image that cannot be used: raises or counts it. If it returns, the
                transform continues without the image.
        """
        ...


@runtime_checkable
class LabelPreservingTransform(Transform, Protocol):
    """A transform that knows whether it changes labels, so that boxwright may look for the classes without running it.

    Attributes:
        keeps_labels: Whether the output has the labels of the input.
    """

    keeps_labels: bool


@runtime_checkable
class ReportingTransform(Transform, Protocol):
    """A transform with something to say after it ran, such as how many images it removed and why."""

    def notes(self) -> list[str]:
        """The lines for the report of a conversion."""
        ...


@runtime_checkable
class MergingTransform(ReportingTransform, Protocol):
    """A transform with ``per_sample`` of which several machines can have a copy, because their notes can be merged."""

    def taken(self) -> Any:
        """Returns what was noted since the last call, for :meth:`add`; it is pickled."""
        ...

    def add(self, noted: Any) -> None:
        """Adds what a copy noted."""
        ...
