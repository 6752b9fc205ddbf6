"""What a training shows of itself: validation and drawn predictions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

import keras

from boxwright import Dataset, Detections, Sample, TrainJob
from boxwright.datasets import map_samples
from boxwright.images import decode_sample, encode_jpeg
from boxwright.models import without_draws
from boxwright.plugins import Registry, default_registry
from boxwright.render import draw_boxes, palette, side_by_side
from boxwright_retinanet.images import ImageCache, Origin, Prepared, decode_for, prepare
from boxwright_retinanet.recipe import Recipe

METRIC = "coco"
MEASURED = ("AP", "AP50", "AR100")
"""The numbers of the metric that a training reports: mean average precision, the same at an IoU of 0.5, and recall."""

DRAWN = 6
DRAWN_SCORE = 0.3
FOLDER = "pictures"
"""The folder of a run for images with the predictions of the final model."""


class Predictor(Protocol):
    """A network with its decoder, as a training needs it."""

    @property
    def network(self) -> Any:
        """The Keras model."""
        ...

    def detections(self, images: Any, origins: Sequence[Origin]) -> Iterator[Detections]:
        """Yields the detections of images at the network's size, in pixels of their samples."""
        ...

    def predict(self, samples: Iterable[Sample], *, batch_size: int = 8, score: float = 0.0) -> Iterator[Detections]:
        """Yields the detections of samples."""
        ...


@dataclass(frozen=True)
class Validation:
    """Validation images.

    Attributes:
        batches: Batches as the model evaluates them: images at the network's size and their labels.
        origins: The sample of each image.
    """

    batches: Any
    origins: list[Origin]


class Watch:
    """Evaluates validation images during a training, and draws its predictions.

    Validation images never change how the weights are trained. They decide which epoch's weights become the model, and
    end a training only with early stopping.

    Args:
        job: The training.
        recipe: Its settings.
        predictor: The network with its decoder.
        validation: The validation images.
        refresh: Brings its weights up to date, if another network is trained.
    """

    def __init__(
        self,
        job: TrainJob,
        recipe: Recipe,
        predictor: Predictor,
        validation: Validation | None,
        refresh: Callable[[], None] = lambda: None,
    ) -> None:
        self._refresh = refresh
        self._job = job
        self._recipe = recipe
        self._predictor = predictor
        self._validation = validation
        self._metric = None if self._validation is None else _metric(job, default_registry())
        self._samples = _readable(job.val if job.val is not None else job.data, DRAWN)

    @property
    def network(self) -> Any:
        """The network that is evaluated."""
        return self._predictor.network

    @property
    def measures(self) -> bool:
        """Whether there are validation images."""
        return self._validation is not None

    def evaluate(self) -> dict[str, float]:
        """Returns the losses and metrics on the validation images, such as ``val_loss`` and ``val_AP``.

        Metrics that cannot be measured are omitted; without validation images, the result is empty.
        """
        if self._validation is None:
            return {}
        self._refresh()
        with averaged(self.network):
            logs = self.network.evaluate(self._validation.batches, verbose=0, return_dict=True)
            found = numbers(logs)
            if self._metric is not None:
                values = self._metric(self._pairs(self._validation), self._job.label_map).values
                found |= {name: float(values[name]) for name in MEASURED if math.isfinite(values[name])}
        return {f"val_{name}": value for name, value in found.items()}

    def _pairs(self, validation: Validation) -> Iterator[tuple[Sample, Detections]]:
        origins = iter(validation.origins)
        for images, _ in validation.batches:
            batch = list(islice(origins, int(images.shape[0])))
            found = self._predictor.detections(images, batch)
            yield from zip((origin.sample for origin in batch), found, strict=True)

    def show(self, epoch: int) -> None:
        """Reports images with ground truth and predictions."""
        self._refresh()
        images = {f"prediction {number}": encode_jpeg(image) for number, image in enumerate(self._drawn(), 1)}
        self._job.predictions_drawn(epoch, images)

    def finish(self) -> None:
        """Writes the same images with the final model to the run folder."""
        for position, image in enumerate(self._drawn()):
            with self._job.run.open_write(f"{FOLDER}/prediction-{position + 1}.jpg") as file:
                file.write(encode_jpeg(image))

    def _drawn(self) -> Iterator[Any]:
        colors = palette(self._job.label_map.names)
        detections = self._predictor.predict(self._samples, batch_size=len(self._samples), score=DRAWN_SCORE)
        for sample, found in zip(self._samples, detections, strict=True):
            annotated = decode_sample(sample)
            predicted = decode_sample(sample.replace(boxes=found.boxes))
            yield side_by_side(
                draw_boxes(annotated.image, annotated.boxes.xyxy, annotated.boxes.labels, colors=colors),
                draw_boxes(predicted.image, predicted.boxes.xyxy, predicted.boxes.labels, found.scores, colors=colors),
            )


@contextmanager
def averaged(model: Any) -> Iterator[None]:
    """Sets a network to the moving average of its weights for a while, if its optimizer keeps one."""
    if not model.optimizer.use_ema:
        yield
        return
    before = [keras.ops.convert_to_numpy(variable) for variable in model.trainable_variables]
    use_average(model)
    try:
        yield
    finally:
        for variable, value in zip(model.trainable_variables, before, strict=True):
            variable.assign(value)


def use_average(model: Any) -> None:
    """Replaces the weights of a network by their moving average, if its optimizer keeps one."""
    # A network with replicas can be changed as a whole only within the strategy that made it.
    strategy = getattr(model.optimizer.variables[0].value, "distribute_strategy", None)
    with strategy.scope() if strategy is not None else nullcontext():
        model.optimizer.finalize_variable_values(model.trainable_variables)


def _metric(job: TrainJob, plugins: Registry) -> Callable[..., Any] | None:
    """Returns the COCO metric, or says what to install."""
    entry = plugins.get("metric", METRIC) if METRIC in plugins.names("metric") else None
    if entry is not None and not entry.missing:
        metric: Callable[..., Any] = plugins.resolve("metric", METRIC)(**without_draws(METRIC, plugins))
        return metric
    job.reporter.message(
        "Average precision and recall are not measured during the training, because boxwright-cocoeval is not "
        "installed; the loss on the validation images decides instead. To install it, run: "
        "python -m pip install boxwright-cocoeval"
    )
    return None


def _readable(data: Dataset, count: int) -> list[Sample]:
    """Returns the first few samples whose images can be read; others are added to the dataset's problems."""

    def readable(sample: Sample) -> Sample:
        decode_sample(sample)
        return sample

    return list(islice(map_samples(readable, data, data.problems), count))


def numbers(logs: Mapping[str, Any]) -> dict[str, float]:
    """Returns Keras' logs without ``percent_boxes_matched_with_anchor``, which counts boxes that are *not* matched."""
    return {name: float(value) for name, value in logs.items() if not name.startswith("percent_boxes")}


def validation_images(job: TrainJob, recipe: Recipe) -> tuple[ImageCache, list[Origin]] | None:
    """Returns validation images from all parts of the dataset and their samples, or ``None`` if none can be read."""
    if job.val is None:
        return None
    total = job.val.info.num_samples
    stride = 1 if total is None else max(1, math.ceil(total / recipe.eval_images))
    if stride > 1:
        job.reporter.message(
            f"During the training, one in {stride} of the {total} validation images is evaluated; "
            f"--set eval_images={total} evaluates all of them."
        )

    def one(sample: Sample) -> tuple[Prepared, Origin]:
        decoded = decode_for(sample, recipe.image_size, recipe.oversample)
        ready = prepare(sample, job.label_map, recipe.image_size, recipe.oversample, decoded)
        return ready, Origin.of(sample, decoded)

    chosen = islice(job.val, 0, None, stride)
    found = list(islice(map_samples(one, chosen, job.val.problems, workers=2), recipe.eval_images))
    if not found:
        return None
    cache = ImageCache(
        [ready.image for ready, _ in found], [ready.boxes for ready, _ in found], [ready.classes for ready, _ in found]
    )
    return cache, [origin for _, origin in found]
