"""What each kind of model plugin must do, with a complete example of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from boxwright.label_map import LabelMap
from boxwright.models.job import TrainJob
from boxwright.schemas import Detections, Sample

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from boxwright.models.decoder import DecoderSettings
    from boxwright.models.portable import InputSettings
    from boxwright.progress import Reporter


@runtime_checkable
class Augmenter(Protocol):
    """Changes a training image and its boxes at random, inside ``tf.data``.

    A complete augmenter, which mirrors half of the images::

        import tensorflow as tf


        class Mirror:
            def __call__(self, example, seed):
                image, boxes = example["images"], example["boxes"]
                width = tf.cast(tf.shape(image)[1], boxes.dtype)
                xmin, ymin, xmax, ymax = tf.unstack(boxes, axis=-1)
                mirrored = tf.stack([width - xmax, ymin, width - xmin, ymax], axis=-1)
                flip = tf.random.stateless_uniform([], seed) < 0.5
                return example | {
                    "images": tf.where(flip, image[:, ::-1], image),
                    "boxes": tf.where(flip, mirrored, boxes),
                }

    The factory named by ``AugmenterSpec.load`` is called with the step's options.
    """

    def __call__(self, example: dict[str, Any], seed: Any) -> dict[str, Any]:
        """Changes one example.

        Args:
            example: ``images`` (height, width, 3) float32 0..255; ``boxes`` (N, 4) float32 ``xyxy`` in pixels;
                ``classes`` (N,) 0-based.
            seed: A tensor of shape (2,), int32, different for every example and epoch; all chance comes from it, so
                that the same run produces the same images.
        """
        ...


@runtime_checkable
class ArrayAugmenter(Protocol):
    """Changes a training image and its boxes at random, as NumPy arrays.

    A complete augmenter, which mirrors half of the images::

        import numpy as np


        class Mirror:
            def augment(self, example, random):
                if random.random() < 0.5:
                    return example
                width = example["images"].shape[1]
                xmin, ymin, xmax, ymax = example["boxes"].T
                return example | {
                    "images": np.ascontiguousarray(example["images"][:, ::-1]),
                    "boxes": np.stack([width - xmax, ymin, width - xmin, ymax], axis=1),
                }

    The factory named by ``AugmenterSpec.load`` is called with the step's options. An augmenter may do more: see
    :class:`JoiningAugmenter`; one that combines several images is a :class:`MixingAugmenter`.
    """

    def augment(self, example: dict[str, Any], random: np.random.Generator) -> dict[str, Any]:
        """Returns a changed example; the arrays of ``example`` are never modified.

        Args:
            example: ``images`` (height, width, 3) uint8, RGB; ``boxes`` (N, 4) float32 ``xyxy`` in pixels; ``classes``
                (N,). Any other array has one row per box, and is selected together with ``boxes``.
            random: The only source of randomness; different for every example and epoch.
        """
        ...


@runtime_checkable
class JoiningAugmenter(ArrayAugmenter, Protocol):
    """An augmenter that can do the work of a following one together with its own, to resample an image only once."""

    def join(self, following: ArrayAugmenter) -> ArrayAugmenter | None:
        """Returns one augmenter that does both, or ``None`` if they must be applied one after the other."""
        ...


@runtime_checkable
class MixingAugmenter(Protocol):
    """Combines a training image with other images, as NumPy arrays.

    A complete augmenter, which shows two images on top of each other::

        import numpy as np


        class DoubleExposure:
            def weights(self, classes):
                return None

            def mix(self, example, random, draw):
                image, other = example["images"], draw()
                height, width = (min(pair) for pair in zip(image.shape[:2], other["images"].shape[:2]))
                both = image.astype(np.float32)
                both[:height, :width] += other["images"][:height, :width]
                boxes = np.minimum(other["boxes"], [width, height, width, height])
                kept = np.all(boxes[:, 2:] > boxes[:, :2], axis=1)
                added = {name: value[kept] for name, value in (other | {"boxes": boxes}).items() if name != "images"}
                rows = {name: np.concatenate([example[name], value]) for name, value in added.items()}
                rows["boxes"] = rows["boxes"].astype(np.float32)
                return rows | {"images": (both / 2).astype(np.uint8)}

    The factory named by ``AugmenterSpec.load`` is called with the step's options.
    """

    def weights(self, classes: Sequence[NDArray[Any]]) -> NDArray[Any] | None:
        """Returns how often each image is to be drawn relative to the others, shape (images,); ``None`` for equally.

        Called once, before :meth:`mix`.

        Args:
            classes: The classes of the boxes of each training image, shape (N,) each.
        """
        ...

    def mix(
        self, example: dict[str, Any], random: np.random.Generator, draw: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        """Returns the combined example, with an image of the same size; the arrays of ``example`` are never modified.

        Args:
            example: As for :meth:`ArrayAugmenter.augment`.
            random: As for :meth:`ArrayAugmenter.augment`.
            draw: Returns another training example at random, of any size; each call returns another one.
        """
        ...


@runtime_checkable
class Model(Protocol):
    """A trained detector that is loaded, from a run or an exported artifact."""

    label_map: LabelMap

    def predict(self, samples: Iterable[Sample], *, batch_size: int = 8, score: float = 0.0) -> Iterator[Detections]:
        """Yields one :class:`Detections` per sample, in order, with boxes in the pixels of the image.

        Args:
            samples: The images; their boxes are ignored.
            batch_size: The number of images predicted at once.
            score: Detections below it are left out.
        """
        ...


@runtime_checkable
class ForwardModel(Protocol):
    """A :class:`Model` whose network can be run alone, without decoder, for ``boxwright benchmark``."""

    @property
    def inputs(self) -> InputSettings:
        """How an image becomes the input."""
        ...

    def forward(self, images: NDArray[np.float32]) -> Any:
        """Runs the network on ``(1, height, width, 3)`` float32, 0 to 255; what it returns is its own affair."""
        ...


@runtime_checkable
class FrameworkBackend(Protocol):
    """A :class:`Backend` whose :meth:`Backend.load` does not use the framework that trained the model."""

    def load_framework(self, run: Any) -> Model:
        """Loads the trained model of a run in that framework, which ``boxwright benchmark`` compares others with."""
        ...


@runtime_checkable
class TunableModel(Model, Protocol):
    """A :class:`Model` whose choice of detections can be changed; others are wrapped in a ``ChosenModel``."""

    @property
    def decoder(self) -> DecoderSettings:
        """How detections are chosen."""
        ...

    @property
    def is_raw(self) -> bool:
        """Whether the predictions before suppression can be chosen from."""
        ...

    def with_decoder(self, decoder: DecoderSettings) -> TunableModel:
        """Returns the model with another choice of detections."""
        ...


@runtime_checkable
class Backend(Protocol):
    """A kind of model and the way to train it.

    A complete backend, which finds the average box everywhere::

        import json

        from boxwright import Boxes, Detections


        class AverageModel:
            def __init__(self, label_map, edges):
                self.label_map, self.edges = label_map, edges

            def predict(self, samples, *, batch_size=8, score=0.0):
                for sample in samples:
                    width, height = sample.image.width, sample.image.height
                    edges = tuple(e * s for e, s in zip(self.edges, (width, height, width, height)))
                    boxes = Boxes([self.label_map.names[0]], [edges], [{"score": 0.5}])
                    yield Detections(image=sample.image, boxes=boxes)


        class AverageBackend:
            def fit(self, job):
                rows = [
                    [x1 / s.image.width, y1 / s.image.height, x2 / s.image.width, y2 / s.image.height]
                    for s in job.data
                    for x1, y1, x2, y2 in s.boxes.coordinates
                ]
                average = [sum(column) / len(rows) for column in zip(*rows)]
                with job.run.open_write("model/average.json") as file:
                    file.write(json.dumps(average).encode())
                job.epoch_ended(1, {"loss": 0.0})

            def load(self, run):
                return AverageModel(run.label_map, json.loads(run.file("model/average.json").read_bytes()))
    """

    def fit(self, job: TrainJob) -> None:
        """Trains and leaves the model in ``job.run``.

        It reports each epoch by ``job.epoch_ended(...)`` and each checkpoint by ``job.checkpoint_written(...)``, and
        when ``job.resume`` is true continues from the newest checkpoint.
        """
        ...

    def load(self, run: Any) -> Model:
        """The trained model of a :class:`boxwright.Run` that this backend made."""
        ...


@runtime_checkable
class WeightsConverter(Protocol):
    """Converts a file of imported weights into what a backend reads; named by ``WeightsSpec.convert``.

    A complete converter, which keeps the first kilobyte::

        def convert(source, folder, reporter):
            (folder / "head.bin").write_bytes(source.read_bytes()[:1024])
    """

    def __call__(self, source: Path, folder: Path, reporter: Reporter) -> None:
        """Writes files into ``folder``, which exists and is empty; it appears when the import is complete.

        Args:
            source: The file, whose digest has been checked.
            folder: The backend finds it again as ``find_weights(NAME).converted(BACKEND)``.
            reporter: Receives messages and progress.
        """
        ...


@runtime_checkable
class Metric(Protocol):
    """Compares detections with the ground truth.

    A complete metric, the share of images with a detection::

        from boxwright import MetricResult


        class AnythingFound:
            def __call__(self, pairs, label_map):
                found = [bool(detections.boxes) for _, detections in pairs]
                return MetricResult(values={"found": sum(found) / max(len(found), 1)}, main="found")
    """

    def __call__(self, pairs: Iterable[tuple[Sample, Detections]], label_map: LabelMap) -> Any:
        """Computes a :class:`boxwright.MetricResult` from ground truth and detections, image by image."""
        ...


@runtime_checkable
class Trainer(Protocol):
    """Decides where and how a backend's training runs.

    A complete trainer, which trains in this process::

        class HereAndNow:
            def train(self, backend, job):
                backend.fit(job)
    """

    def train(self, backend: Backend, job: TrainJob) -> None:
        """Runs ``backend.fit(job)``, here or elsewhere, and returns when the run folder contains the model."""
        ...


@runtime_checkable
class WorkerTrainer(Trainer, Protocol):
    """A :class:`Trainer` of several processes that all call :func:`boxwright.train` with the same arguments.

    Worker 0 makes the run. Each other one makes a folder ``RUN.worker-N``, which contains how it ended.
    """

    @property
    def worker(self) -> int:
        """The number of this process, from 0."""
        ...

    def close(self) -> None:
        """Frees what it has taken; called whether or not :meth:`train` has been."""
        ...


@runtime_checkable
class Exporter(Protocol):
    """Turns a run into a deployable artifact.

    A complete exporter, of the models that :class:`Backend` has for its example::

        import json

        from boxwright import LabelMap
        from my_plugin.backend import AverageModel


        class JsonExporter:
            def export(self, run, out, precision=""):
                edges = json.loads(run.file("model/average.json").read_bytes())
                artifact = out / "model.json"
                artifact.write_text(json.dumps({"classes": run.label_map.names, "edges": edges}), "utf-8")
                return artifact

            def load(self, artifact):
                content = json.loads(artifact.read_text("utf-8"))
                return AverageModel(LabelMap.from_names(content["classes"], sort=False), content["edges"])
    """

    def export(self, run: Any, out: Path, precision: str = "") -> Path:
        """Writes the artifact into the empty folder ``out`` and returns its path."""
        ...

    def load(self, artifact: Path) -> Model:
        """The artifact as a model, so that it can be checked against the run and used in its place.

        ``boxwright.export`` puts ``label_map.pbtxt`` next to it. An exporter with ``ExporterSpec.detect``, which also
        loads what others exported, takes ``label_map=`` as well, a :class:`~boxwright.LabelMap` for a model
        that does not say its classes.
        """
        ...


@runtime_checkable
class Loader(Protocol):
    """Converts a dataset for a framework: ``LoaderSpec(name="lists", ...)`` adds ``dataset.to_lists()``.

    A complete loader::

        def to_lists(dataset, *, bounding_box_format="xyxy"):
            return [(sample.image.name, list(sample.boxes.labels)) for sample in dataset]
    """

    def __call__(self, dataset: Any, **options: Any) -> Any:
        """Returns the framework's own object for a :class:`boxwright.Dataset`."""
        ...


@runtime_checkable
class Logger(Protocol):
    """Sends the events of one training somewhere; its methods are event hooks, of which it may have any.

    A complete logger, which prints the loss::

        from boxwright import hookimpl


        class Printer:
            @hookimpl
            def boxwright_epoch_ended(self, run, epoch, metrics):
                print(epoch, metrics["loss"])
    """

    def boxwright_epoch_ended(self, run: Any, epoch: int, metrics: Mapping[str, float]) -> None:
        """Called after each epoch; a hook declares only the arguments that it needs."""
        ...


@runtime_checkable
class Command(Protocol):
    """A command of the program ``boxwright``: a function with arguments and options as Typer reads them.

    A complete command, ``boxwright hello photos --loud``::

        def hello(folder: Path, loud: bool = False) -> None:
            "Greets a folder."
            print(f"Hello, {folder}{'!' if loud else '.'}")
    """

    def __call__(self, *arguments: Any, **options: Any) -> None:
        """Runs it; an error of the user is a :class:`boxwright.BoxwrightError` with a remedy."""
        ...


@dataclass
class MetricResult:
    """Numbers by name.

    Attributes:
        values: Over all classes, such as ``{"AP": 0.52, "AP50": 0.88}``; ``nan`` where there is nothing to measure.
        per_class: The same by class name, where the metric has them.
        main: The name in ``values`` that is the one number to compare models by.
        notes: What a reader of the numbers should know.
        drawn: Values on resampled images by name, ``(draws,)`` each, of :func:`boxwright.models.draw_images`.
        lower_is_better: Whether the better of two models has the lower main number, such as an error.
    """

    values: dict[str, float]
    per_class: dict[str, dict[str, float]] = field(default_factory=dict)
    main: str = ""
    notes: list[str] = field(default_factory=list)
    drawn: dict[str, NDArray[np.float64]] = field(default_factory=dict, repr=False)
    lower_is_better: bool = False

    @property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """The 95 % interval of each value of which there are draws."""
        from boxwright.models.resampling import interval_of  # it imports NumPy, which a list of plugins does not need

        return {name: interval_of(values, self.values[name]) for name, values in self.drawn.items()}
