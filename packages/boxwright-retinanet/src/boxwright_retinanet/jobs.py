"""What a training job means for a backend: its recipe, decoder, anchors, and the weights at its end."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from boxwright import TrainJob, UsageError
from boxwright.models import DecoderSettings
from boxwright_retinanet.anchors import AnchorSettings, coverage, fit_anchors, published_anchors
from boxwright_retinanet.balance import image_weights
from boxwright_retinanet.checkpoint import WEIGHTS, best_weights, load_checkpoint, remove_best, save_weights
from boxwright_retinanet.epochs import Progress
from boxwright_retinanet.fitting import GROWTH, SUFFICIENT_COVERAGE, fit_input
from boxwright_retinanet.images import TrainingImages, load_images
from boxwright_retinanet.monitor import Monitor
from boxwright_retinanet.options import DECODER_OPTIONS
from boxwright_retinanet.recipe import OPTIMIZER_DEFAULTS, Recipe, default_eval_every, input_size


def make_recipe(
    job: TrainJob,
    default: Callable[..., Recipe],
    *,
    base: Mapping[str, Any] | None = None,
    changes: Mapping[str, Any] | None = None,
    image_size: tuple[int, int] | None = None,
    fits: bool = True,
) -> Recipe:
    """Returns the recipe of a training.

    Args:
        job: The training, whose settings change the recipe.
        default: The recipe of a preset, as :func:`boxwright_retinanet.recipe.default_recipe` without its defaults.
        base: Settings that those of the job replace.
        changes: Settings that replace those of the job.
        image_size: Width and height of the network's input, if neither the job nor the objects decide.
        fits: Whether the input and the anchors fit the objects.

    Raises:
        UsageError: A setting is out of range.
    """
    sizes: list[tuple[int, int]] = []
    for size, count in job.scan.sizes.items():
        # The median needs proportions, not one entry per image.
        sizes += [size] * max(1, round(1000 * count / job.scan.samples))
    names = {field.name for field in fields(Recipe)}
    given = {name: value for name, value in job.settings.items() if name in names}
    optimizer = OPTIMIZER_DEFAULTS[job.settings.get("optimizer", "adamw")]
    merged: dict[str, Any] = {**(base or {}), **optimizer, **given, **(changes or {})}
    if job.augment is not None:
        merged["augment"] = job.augment
    try:
        chosen = job.image_size or image_size
        recipe = _default(job, default, sizes, chosen).with_settings(merged)
        if chosen is None or fits:
            recipe = _fitted(job, default, sizes, recipe, merged, fits)
        each = 1 if "callbacks" in job.objects else default_eval_every(recipe)
        return recipe.with_settings({"eval_every": job.eval_every or each})
    except ValueError as error:
        raise UsageError(str(error), f"see: boxwright plugins show backend {job.run.backend}") from None


def _default(
    job: TrainJob,
    default: Callable[..., Recipe],
    sizes: list[tuple[int, int]],
    image_size: tuple[int, int] | None,
) -> Recipe:
    return default(
        job.preset,
        num_images=job.scan.samples,
        image_sizes=sizes,
        epochs=job.epochs,
        batch_size=job.batch_size,
        image_size=image_size,
    )


def _fitted(
    job: TrainJob,
    default: Callable[..., Recipe],
    sizes: list[tuple[int, int]],
    recipe: Recipe,
    changes: Mapping[str, Any],
    fits: bool,
) -> Recipe:
    """Returns the recipe with the input size and the finest pyramid level that the objects need.

    A size, a number of pixels or a level that the user set is kept. The anchors of a library's network do not
    depend on the objects.
    """
    if job.image_size is not None:
        tried = [(recipe.width, recipe.height)]
    elif "pixel_budget" in changes:
        tried = [input_size(sizes, recipe.pixel_budget)]
    else:
        tried = list(dict.fromkeys(input_size(sizes, round(recipe.pixel_budget * factor)) for factor in GROWTH))
    levels = (recipe.first_level,) if "first_level" in changes else (3, 2)
    if not fits or recipe.network != "boxwright":
        return _default(job, default, sizes, tried[0]).with_settings(changes)
    found = fit_input(np.array(job.scan.box_sample).reshape(-1, 4), tried, levels)
    if (found.image_size, found.first_level) != (tried[0], levels[0]):
        (width, height), (default_width, default_height) = found.image_size, tried[0]
        job.reporter.message(
            f"The objects are small: the network's input is {width}x{height} with anchors every {2**found.first_level} "
            f"pixels, instead of {default_width}x{default_height} and {2 ** levels[0]} pixels. Each step takes longer; "
            f"--image-size {default_width}x{default_height} --set first_level={levels[0]} is faster, and less accurate."
        )
    return _default(job, default, sizes, found.image_size).with_settings({**changes, "first_level": found.first_level})


def make_decoder(job: TrainJob) -> DecoderSettings:
    """Returns how the model chooses detections; warns if it cannot find all objects of an image.

    Raises:
        UsageError: A setting is out of range.
    """
    names = {option.name for option in DECODER_OPTIONS}
    given = {name: value for name, value in job.settings.items() if name in names}
    most = given.get("max_detections", job.most_detections)
    if most < job.most_boxes:
        job.reporter.warning(f"an image has {job.most_boxes} boxes, and max_detections={most}: some cannot be found")
    # Each object has several predictions: ten times as many as are kept enter the suppression, as in RetinaNet.
    chosen = {"max_detections": most, "pre_nms": max(DecoderSettings.pre_nms, 10 * most)} | given
    try:
        return DecoderSettings(**chosen)
    except ValueError as error:
        raise UsageError(str(error), f"see: boxwright plugins show backend {job.run.backend}") from None


@contextmanager
def training_images(job: TrainJob, recipe: Recipe) -> Iterator[TrainingImages]:
    """A context manager that decodes the images of a training, and warns if boxes are not used.

    Raises:
        DataError: An image cannot be read.
    """
    images = load_images(
        job.data,
        job.label_map,
        recipe.image_size,
        recipe.oversample,
        expected=job.scan.samples,
        cache=job.settings.get("cache", "auto"),
        cache_file=job.run.file("cache/pictures.bin"),
        reporter=job.reporter,
    )
    try:
        if images.most_boxes > recipe.max_boxes:
            job.reporter.warning(
                f"an image has {images.most_boxes} boxes, of which {recipe.max_boxes} are used in training; "
                f"--set max_boxes={images.most_boxes} uses all of them"
            )
        yield images
    finally:
        images.close()


def start_progress(job: TrainJob, recipe: Recipe, checkpoint: Path | None, model: Any) -> Progress:
    """Returns the progress of a training; that of a checkpoint, which is loaded into the compiled network.

    Raises:
        RunError: The checkpoint does not match.
    """
    if checkpoint is None:
        patience = recipe.patience if recipe.schedule == "plateau" else 0
        return Progress(0, Monitor(recipe.monitor, recipe.early_stopping, patience))
    progress = Progress.restored(*load_checkpoint(checkpoint, model))
    job.reporter.message(f"Resuming after step {progress.step} of {recipe.steps}.")
    return progress


def make_anchors(job: TrainJob, recipe: Recipe, images: TrainingImages) -> AnchorSettings:
    """Returns the anchors of a training, and warns if they miss boxes."""
    stored = job.run.config.get("anchors") if job.resume else None
    if stored is not None:  # an older version may have fitted others
        anchors = AnchorSettings.from_dict(stored)
    elif recipe.network != "boxwright":
        anchors = published_anchors()
    else:
        anchors = fit_anchors(images.boxes, recipe.image_size, recipe.first_level)
    share = coverage(images.boxes, anchors, recipe.image_size)
    if share < SUFFICIENT_COVERAGE:
        job.reporter.warning(
            f"{1 - share:.0%} of the boxes are too small or too narrow for the anchors of the network at "
            f"{recipe.width}x{recipe.height} (IoU under 0.5) and are learned by a single anchor each, less "
            "accurately: pass a larger --image-size, or tile the images with boxwright convert --with tile"
        )
    return anchors


def sampling_weights(job: TrainJob, recipe: Recipe, images: TrainingImages) -> Any:
    """Returns how often each image is shown, and says for which class most."""
    if not recipe.balance:
        return None
    weights = image_weights(images.present, len(job.label_map), recipe.balance)
    rarest = images.present[int(weights.argmax())]
    names = job.label_map.names
    job.reporter.message(
        f"Balanced sampling: images with rare classes are shown up to {weights.max():.1f} times as often as others "
        f"(the most with {', '.join(names[int(number)] for number in rarest)})."
    )
    return weights


def write_weights(job: TrainJob, recipe: Recipe, model: Any, progress: Progress) -> None:
    """Writes the weights of the best or the last epoch as the model, and the others next to it."""
    run, monitor = job.run, progress.monitor
    if monitor.best_step and monitor.best_step != progress.step:
        last = recipe.final_weights == "last"
        other = "best" if last else "last"
        if last:
            save_weights(run, model, WEIGHTS)
            os.replace(run.file(best_weights(monitor.best_step)), run.file(f"model/{other}.weights.h5"))
        else:
            save_weights(run, model, f"model/{other}.weights.h5")
            model.load_weights(run.file(best_weights(monitor.best_step)))
            save_weights(run, model, WEIGHTS)
        job.reporter.message(
            f"Epoch {monitor.best_epoch} was the best on the validation images. The model has the weights of the "
            f"{recipe.final_weights} epoch; those of the {other} one are in model/{other}.weights.h5."
        )
    else:
        save_weights(run, model, WEIGHTS)
        if monitor.best_step:
            job.reporter.message(f"The last epoch, {monitor.best_epoch}, was the best on the validation images.")
    remove_best(run)
