"""Reads Label Studio's JSON and JSON-MIN."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, Final

from boxwright import DataError, DatasetInfo, ImageRef, Sample
from boxwright.datasets import ItemError, OnProblem, ShapeRule
from boxwright.images import lookup_for, measured_size, read_header
from boxwright.storage import Folder, check_unicode, json_elements, open_binary, parent
from boxwright_labelstudio.paths import Paths, bases, embedded
from boxwright_labelstudio.regions import Results
from boxwright_labelstudio.tasks import Task, stated_size, tasks

LIST: Final = "name the JSON export of Label Studio, a list of tasks"
_SOME: Final = 20
_SKIP = "or leave the image out with --on-error skip"


class LabelStudioReader:
    """Yields one sample per task, in the order of the file.

    Args:
        location: The JSON file; a path, or a URL that fsspec opens.
        shapes: What happens to shapes that are not upright boxes: ``"box"``, ``"skip"`` or ``"fail"``.
        annotation: Which annotation of a task to read, of those that were not cancelled: ``"first"``, ``"latest"``,
            ``"ground_truth"`` (the first that is marked so), or ``"all"`` together.
        predictions: ``"missing"`` reads the predictions of tasks without such an annotation, ``"ignore"`` of none,
            ``"only"`` of all, instead of the annotations.
        image: The key of the image in the data of a task.
        images: The folder of the images, if it is not that of the JSON file.

    Attributes:
        shapes: The rule for shapes.

    Raises:
        DataError: The file, or the folder of the images, does not exist.
    """

    def __init__(
        self,
        location: str,
        shapes: str = "box",
        annotation: str = "first",
        predictions: str = "missing",
        image: str | None = None,
        images: str | None = None,
    ) -> None:
        self.shapes = ShapeRule(shapes)
        self._location = location
        self._annotation = annotation
        self._predictions = predictions
        self._key = image
        with open_binary(location):  # raises the error if it does not exist
            folder = Folder.at(parent(location))
        uri, others = f"label-studio:{location}", folder.ending(".json")
        lookup = lookup_for(folder, images, others, uri=uri, field="image", named=self._named())
        self._paths = Paths(lookup)
        self.info = DatasetInfo(format="label-studio", location=location, notes=lookup.notes)

    def read(self, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields the samples; see :class:`boxwright.datasets.Reader`."""
        number_of: dict[str, int] = {}
        try:
            for task in self._tasks(on_problem):
                try:
                    sample = self._sample(task, number_of)
                except ItemError as error:
                    on_problem(self._error(task.place, error))
                    continue
                except DataError as error:
                    on_problem(error)
                    continue
                number_of[sample.image.name] = task.number
                if sample.image.location is not None:
                    number_of[sample.image.location] = task.number
                yield sample
        except DataError as error:  # the rest of the file cannot be read
            on_problem(error)

    def labels(self) -> Iterator[Sequence[str]]:
        """Yields the labels of each task, without looking for images.

        Raises:
            DataError: The file, or a task, is not valid.
        """

        def on_problem(error: DataError) -> None:
            raise error

        for task in self._tasks(on_problem):
            try:
                results = self._results(task)
                yield results.boxes(self.shapes, *(results.size or (1, 1))).labels
            except ItemError as error:
                raise self._error(task.place, error) from None

    def _tasks(self, on_problem: OnProblem) -> Iterator[Task]:
        for task in tasks(json_elements(self._location, LIST)):
            if isinstance(task, Task):
                yield task
            else:
                line, number, error = task
                on_problem(self._error(f"task {number} (line {line})", error))

    def _named(self) -> Iterator[str]:
        """Yields the names of some images, with and without the hash of an upload."""
        with suppress(DataError, ItemError):
            for task in islice(self._tasks(lambda error: None), _SOME):
                yield from bases(task.image(self._key)[0])

    def _results(self, task: Task) -> Results:
        return Results(task.chosen(self._annotation, self._predictions) or [])

    def _sample(self, task: Task, taken: dict[str, int]) -> Sample:
        path, attributes, own = task.image(self._key)
        results = self._results(task)
        stated = stated_size(attributes)
        image = self._image(path, task, results.size or stated)
        if stated == (image.width, image.height):
            del attributes["width"], attributes["height"]
        other = taken.get(image.name) or taken.get(image.location or "")
        if other:
            problem = f"it has the image {image.name}, as task {other} does"
            raise ItemError(problem, "remove one of them, or set the folder of the images: ?images=FOLDER")
        boxes = results.boxes(self.shapes, image.width, image.height)
        attributes |= {**results.attributes, **own}
        if task.key is not None:
            attributes.setdefault("source_id", task.key)
        if image.data is None and path != image.name:
            attributes.setdefault("path", path)
        source = f"{self._location}, {task.place}"
        return Sample(image=image, boxes=boxes, attributes=attributes, source=source)

    def _image(self, path: str, task: Task, size: tuple[int, int] | None) -> ImageRef:
        source = f"{self._location}, {task.place}"
        data = embedded(path)
        if data is not None:
            header = read_header(data, source)
            width, height = size or header.upright_size
            return ImageRef(name=f"{task.key or task.number}.{header.format}", width=width, height=height, data=data)
        check_unicode(path)
        name, location = self._paths.find(path, source)
        check_unicode(location or "")
        width, height = size or measured_size(name, location, self._location, task.place)
        return ImageRef(name=name, width=width, height=height, location=location)

    def _error(self, place: str, error: ItemError) -> DataError:
        inside = f"{place}, {error.place}" if error.place else place
        return DataError(self._location, error.problem, f"{error.remedy}, {_SKIP}", inside)


def first_task(location: str) -> Any:
    """Returns the first element of a file, ``None`` if it is empty.

    Raises:
        DataError: The file is not a list.
    """
    return next((element for _, element in json_elements(location, LIST)), None)
