"""What each kind of plugin object must do, with a complete example of each.

These are :class:`typing.Protocol` classes: a plugin need not inherit from them. ``boxwright-testing`` holds the tests
that a plugin of each kind has to pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

from boxwright.errors import DataError
from boxwright.schemas import DatasetInfo, Sample

OnProblem = Callable[[DataError], None]
"""What a reader calls for an item that it cannot give: raises the error, or records it so that reading goes on."""


@runtime_checkable
class Reader(Protocol):
    """Reads a dataset, one sample after another.

    A complete reader, of a format with a JSON object for each picture on a line of its own,
    ``{"name": "a.jpg", "size": [640, 480], "boxes": [["fig", 10, 20, 110, 220]]}``::

        import json
        import os

        from boxwright import Boxes, DataError, DatasetInfo, ImageRef, Sample


        class LinesReader:
            def __init__(self, location):
                if not os.path.isfile(location):
                    raise DataError(location, "there is no such file", "check the path")
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

    A reader that can tell the labels faster than by reading everything may also have a method ``labels()``, which
    yields a sequence of them for each item, and raises where ``read`` would call ``on_problem``.

    A reader whose items each stand by themselves, in a file of their own, may let several processes share the work: it
    has an attribute ``parts``, the number of its items, and a method ``read_part(start, stop, on_problem)`` that gives
    those from ``start`` to ``stop`` as ``read`` does. boxwright sees to it then that no picture's name comes twice.
    ``labels_part(start, stop)`` does the same for ``labels``.
    """

    info: DatasetInfo

    def read(self, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields every sample, in an order that does not depend on the file system.

        Called any number of times, each from the start. It streams: memory does not grow with the dataset. For an item
        that cannot be given, it calls ``on_problem`` with an error that names file, place and remedy, and goes on if
        that returns; it never leaves one out in silence.
        """
        ...


class Output(Protocol):
    """Where a writer puts its files; nothing appears under its final name before all of it is whole.

    Made by boxwright and handed to writers; see :class:`boxwright.storage.AtomicOutput`.

    Attributes:
        location: The target, as the user wrote it.
        dataset_attributes: What the source says of the dataset as a whole (``DatasetInfo.attributes``); a writer keeps
            those that its format carries.
    """

    location: str
    dataset_attributes: Mapping[str, Any]

    def open(self, name: str = "") -> Any:
        """Opens a new binary file for writing.

        Args:
            name: For a ``"folder"`` format: the path inside the folder, with ``/``. For a ``"file"`` format: empty for
                the target itself, or the name of another file beside it (a shard, a label map).

        Raises:
            OutputError: The name leads outside the target, or stands there already.
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
                rows = [[label, *edges] for label, edges in zip(boxes.labels, boxes.edges)]
                row = {"name": image.name, "size": [image.width, image.height], "boxes": rows}
                self.file.write(json.dumps(row).encode() + b"\n")

            def close(self):
                self.file.close()

    The factory named by ``FormatSpec.write`` is called as ``factory(output, label_map, **options)``. ``label_map``
    holds every class that will come if ``FormatSpec.numbered`` says that the format needs it, else it is ``None``; the
    file named by ``FormatSpec.label_map_file`` is written by boxwright itself. boxwright renames the files into place
    after :meth:`close`, or removes them if anything failed; a writer never touches the target itself.

    A writer that encodes each sample by itself may let several processes share the work: a method ``prepare(sample)``
    does all that needs neither the output nor what came before and returns plain values, raising ``DataError`` as
    :meth:`write` does; a method ``put(prepared)`` then adds it, in order. ``write(sample)`` is both, one after the
    other. Where putting takes long, too, ``pack(prepared)`` makes one plain value of a list of prepared samples, or
    ``None`` where they have to come one by one, and ``put_pack(packed)`` adds it, as :meth:`put` would one after the
    other.
    """

    def write(self, sample: Sample) -> None:
        """Adds one sample.

        Raises:
            DataError: The sample cannot be written in this format; names the sample's source and a remedy. Nothing of
                the sample has been written then, so that the others can go on.
        """
        ...

    def close(self) -> None:
        """Finishes all files. Not called after a failure."""
        ...


@runtime_checkable
class Transform(Protocol):
    """Changes a stream of samples: one step of ``boxwright convert --with``.

    A complete transform, which keeps only pictures that have boxes::

        class OnlyAnnotated:
            per_sample = True

            def __call__(self, samples):
                return (sample for sample in samples if sample.boxes)

    The factory named by ``TransformSpec.load`` is called with the step's options. ``samples`` can be iterated more than
    once; a transform that needs to see all of it first (to split it, say) iterates twice and keeps no pictures.

    Attributes:
        per_sample: Whether each sample is handled on its own, so that several threads may share the work.
        keeps_labels: Optional: true says that the labels that come out are those that go in, so that boxwright can look
            for the classes without running it.
        apply: Optional: ``apply(samples, on_problem)``, for a transform that sees the stream as a whole and may fail
            for a single picture: called instead of ``__call__``, it gives the :class:`~boxwright.DataError` of
            such a picture to ``on_problem``, which raises it or counts it, and goes on without the picture. Of a
            transform with ``per_sample``, boxwright catches them itself.
    """

    per_sample: bool

    def __call__(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Yields the changed samples. A picture's boxes stay in that picture's pixels."""
        ...
