"""The training and the loading of runs, in the framework that Keras uses."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from boxwright import RunError, TrainJob, UsageError
from boxwright.models import (
    ArrayAugmentation,
    ArrayAugmenter,
    AugmenterChoice,
    DecoderSettings,
    InputSettings,
    MixingAugmenter,
    Run,
    make_augmenters,
)
from boxwright_kerashub import DFINE, dfine
from boxwright_kerashub.batches import training_batches, validation_batches
from boxwright_kerashub.network import (
    FROM_0_TO_255,
    Detector,
    build_network,
    compile_network,
    is_pretrained,
    pretrained_backbone,
    scratch_backbone,
)
from boxwright_kerashub.predictor import KerasHubModel, decoded
from boxwright_retinanet import recipe as recipes
from boxwright_retinanet.anchors import AnchorSettings
from boxwright_retinanet.augment import resized_to
from boxwright_retinanet.checkpoint import NETWORK, WEIGHTS, newest_checkpoint
from boxwright_retinanet.epochs import Clock, Evaluate, Report
from boxwright_retinanet.images import PAD, TrainingImages
from boxwright_retinanet.jobs import (
    make_anchors,
    make_decoder,
    make_recipe,
    sampling_weights,
    start_progress,
    training_images,
    write_weights,
)
from boxwright_retinanet.recipe import FROM_SCRATCH, PRETRAINED, TINY, Recipe
from boxwright_retinanet.training import precision, warmup
from boxwright_retinanet.watch import Watch

_DEFAULTS = {"tiny": TINY, "resnet18": FROM_SCRATCH, "resnet50": FROM_SCRATCH}


def default_recipe(preset: str, **data: Any) -> Recipe:
    """Returns :func:`boxwright_retinanet.recipe.default_recipe` of a preset."""
    return recipes.default_recipe(preset, _DEFAULTS.get(preset, PRETRAINED), **data)


def fit(job: TrainJob) -> None:
    """Trains, or resumes training, and writes the model to the run folder.

    Raises:
        UsageError: A setting is out of range, or an augmenter is unknown or requires TensorFlow's ``tf.data``.
        DataError: An image or the pretrained backbone cannot be read.
        RunError: No checkpoint matches.
    """
    if job.preset in DFINE:
        dfine.adopt(job)
        return
    stored = job.run.config if job.resume else {}
    recipe = Recipe.from_dict(stored["recipe"]) if "recipe" in stored else make_recipe(job, default_recipe)
    decoder = make_decoder(job)
    augmentation = _augmentation(recipe)
    with precision(recipe.precision), training_images(job, recipe) as images:
        _fit(job, recipe, decoder, augmentation, images)


def _fit(
    job: TrainJob,
    recipe: Recipe,
    decoder: DecoderSettings,
    augmentation: ArrayAugmentation,
    images: TrainingImages,
) -> None:
    checkpoint = newest_checkpoint(job.run) if job.resume else None
    anchors = make_anchors(job, recipe, images)
    keras.utils.set_random_seed(job.seed)
    if checkpoint is None:
        backbone, scaling = _backbone(job, recipe)
        description = _describe(job, recipe, decoder, anchors, backbone, scaling)
    else:
        description = _read(job.run, "resumed")
        backbone = keras.saving.deserialize_keras_object(description["backbone"])
    model = _build(description, backbone)
    model.backbone.trainable = not recipe.freeze_backbone
    compile_network(model, recipe)
    _make_variables(model, recipe)
    progress = start_progress(job, recipe, checkpoint, model)
    framework = keras.backend.backend()
    job.run.update_config({"recipe": recipe.to_dict(), "decoder": decoder.to_dict(), "anchors": anchors.to_dict()})
    job.run.write_json(NETWORK, {**description, "framework": framework})
    job.reporter.message(
        f"Training {job.preset} with {framework}: {model.count_params() / 1e6:.1f} M parameters on {images.count} "
        f"images at {recipe.width}x{recipe.height}, {recipe.steps} steps of {recipe.batch_size}, "
        f"{recipe.epochs} epochs."
    )
    inputs = InputSettings(recipe.width, recipe.height, recipe.oversample)
    predictor = KerasHubModel(model, decoded(model), job.label_map, inputs, decoder)
    watch = Watch(job, recipe, predictor, validation_batches(job, recipe, inputs))
    if augmentation.mixes:
        augmentation.draw_from(images.load.example, images.load.classes)  # type: ignore[arg-type]
    start, clock = progress.step, Clock()
    with job.reporter.task("Training", recipe.steps) as task:
        task.advance(start)
        if start < recipe.steps and not progress.monitor.stopped:
            with training_batches(
                images,
                recipe,
                augmentation,
                seed=job.seed,
                clock=clock,
                first_step=start,
                weights=sampling_weights(job, recipe, images),
            ) as batches:
                model.fit(
                    batches,
                    steps_per_epoch=recipe.steps_per_epoch,
                    initial_epoch=start // recipe.steps_per_epoch,
                    epochs=recipe.epochs,
                    callbacks=[
                        Evaluate(job, recipe, watch, progress, task, clock),
                        *warmup(recipe, start),
                        Report(job, recipe, watch, progress),
                    ],
                    shuffle=False,
                    verbose=0,
                )
        else:  # the state of a checkpoint is before `fit` applies the moving average
            model.optimizer.finalize_variable_values(model.trainable_variables)
        write_weights(job, recipe, model, progress)
        watch.finish()


def load(run: Run) -> KerasHubModel:
    """Returns the trained model of a run.

    Raises:
        RunError: Its files are inconsistent.
    """
    description = _read(run, "loaded")
    try:
        if "detector" in description:
            return dfine.restored(run, description)
        with precision(description["precision"]):
            model = _build(description, keras.saving.deserialize_keras_object(description["backbone"]))
            with warnings.catch_warnings():
                # For layers without weights in the file, Keras only warns and leaves them unchanged.
                warnings.simplefilter("error", UserWarning)
                model.load_weights(run.file(WEIGHTS))
        height, width = description["image_size"]
        inputs = InputSettings(width, height, description["oversample"])
        decoder = DecoderSettings.from_dict(description["decoder"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError, UserWarning) as error:
        raise RunError(f"the model of {run.path} cannot be loaded: {error}", "train it again") from error
    return KerasHubModel(model, decoded(model), run.label_map, inputs, decoder)


def _augmentation(recipe: Recipe) -> ArrayAugmentation:
    """Returns the augmentation of a training, which ends with the resizing.

    Raises:
        UsageError: An augmenter works on tensors of TensorFlow.
    """
    augmenters = make_augmenters(recipe.augment, backend="kerashub")
    for name, augmenter in zip(recipe.augment, augmenters, strict=True):
        if not _on_arrays(augmenter):
            raise UsageError(f"the augmenter {name!r} works on tensors of TensorFlow", "use an augmenter on arrays")
    return ArrayAugmentation([*augmenters, resized_to(recipe.image_size)])


def _on_arrays(augmenter: Any) -> bool:
    if isinstance(augmenter, AugmenterChoice):
        return all(each is None or _on_arrays(each) for each in augmenter.alternatives)
    return isinstance(augmenter, ArrayAugmenter | MixingAugmenter)


def _backbone(job: TrainJob, recipe: Recipe) -> tuple[Any, tuple[Any, Any]]:
    """Returns a new backbone, and the scale and offset of its images."""
    weights = job.settings.get("weights")
    if is_pretrained(job.preset, weights):
        return pretrained_backbone(job.preset, weights)
    return scratch_backbone(job.preset, recipe.image_size), FROM_0_TO_255


def _describe(
    job: TrainJob,
    recipe: Recipe,
    decoder: DecoderSettings,
    anchors: AnchorSettings,
    backbone: Any,
    scaling: tuple[Any, Any],
) -> dict[str, Any]:
    """Returns what :func:`load` builds the network from."""
    return {
        "preset": job.preset,
        "num_classes": len(job.label_map),
        "image_size": list(recipe.image_size),
        "oversample": recipe.oversample,
        "anchors": anchors.to_dict(),
        "network": recipe.network,
        "precision": recipe.precision,
        "decoder": decoder.to_dict(),
        "scaling": np.array(scaling[0]).tolist(),
        "offset": np.array(scaling[1]).tolist(),
        "backbone": keras.saving.serialize_keras_object(backbone),
    }


def _read(run: Run, purpose: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(run.file(NETWORK).read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{run.path} cannot be {purpose}: {error}", "train again into another folder") from error
    return found


def _build(description: Mapping[str, Any], backbone: Any) -> Detector:
    height, width = description["image_size"]
    return build_network(
        description["preset"],
        num_classes=description["num_classes"],
        image_size=(height, width),
        anchors=AnchorSettings.from_dict(description["anchors"]),
        network=description["network"],
        backbone=backbone,
        scaling=(description["scaling"], description["offset"]),
    )


def _make_variables(model: Any, recipe: Recipe) -> None:
    """Creates the variables of the optimizer and the losses, so that `fit` compiles its step once."""
    model.optimizer.build(model.trainable_variables)
    blank = np.zeros((1, *recipe.image_size, 3), np.float32)
    no_box = {"boxes": np.full((1, 1, 4), PAD, np.float32), "classes": np.full((1, 1), PAD, np.float32)}
    model.compute_loss(blank, no_box, model(blank), sample_weight=None)
