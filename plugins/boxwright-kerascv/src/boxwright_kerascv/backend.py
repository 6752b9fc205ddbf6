"""The backend: trains a job into a run folder, and loads the model of a run folder."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

import keras
import tensorflow as tf

from boxwright import DataError, RunError, TrainJob, UsageError
from boxwright.models import DecoderSettings, OneReplica, Replicas, Run, make_augmenters
from boxwright_kerascv.augmentation import Augmentation
from boxwright_kerascv.compiling import compile_network
from boxwright_kerascv.defaults import default_recipe
from boxwright_kerascv.inputs import InputClock
from boxwright_kerascv.layers import Detector
from boxwright_kerascv.memory import fitting
from boxwright_kerascv.network import build_network, freeze, load_weights
from boxwright_kerascv.objects import check_objects
from boxwright_kerascv.own import (
    Adapter,
    adapted,
    adapter_of,
    check_own,
    compiled_by_user,
    described,
    own_size,
    plain_inputs,
    restored,
)
from boxwright_kerascv.plan import Plan
from boxwright_kerascv.predictor import KerasCVModel
from boxwright_kerascv.replicated import ReplicatedFit
from boxwright_kerascv.starting import NONE, Start, find_start
from boxwright_kerascv.transfer import WeightsError, backbone_of, start_from
from boxwright_retinanet.anchors import AnchorSettings
from boxwright_retinanet.checkpoint import NETWORK, WEIGHTS, newest_checkpoint
from boxwright_retinanet.epochs import Evaluate, Report
from boxwright_retinanet.images import PAD, TrainingImages
from boxwright_retinanet.jobs import make_anchors, make_decoder, make_recipe, start_progress, training_images
from boxwright_retinanet.recipe import Recipe
from boxwright_retinanet.training import precision, warmup


class KerasCVBackend:
    """Trains KerasCV's RetinaNet and loads what it trained."""

    def fit(self, job: TrainJob) -> None:
        """Trains, or resumes training, and writes the model to the run folder.

        Raises:
            UsageError: A setting is out of range, or an augmenter is unknown.
            DataError: An image cannot be read.
            RunError: No checkpoint matches.
        """
        with _prepared(job, OneReplica()) as plan:
            _fit(plan)

    @contextmanager
    def start(self, job: TrainJob, replicas: Replicas) -> Iterator[ReplicatedFit]:
        """Prepares a training on several replicas, or one that is resumed; see :class:`ReplicatedBackend`.

        Raises:
            UsageError: A setting is out of range, an augmenter is unknown, or a model or an optimizer was passed.
            DataError: An image cannot be read.
            RunError: No checkpoint matches.
        """
        for name in ("model", "optimizer"):
            if name in job.objects:
                raise UsageError(
                    f"{name} was made for one device, and cannot be trained on {replicas.count}",
                    f"use --trainer local, or do not pass {name}",
                )
        settings = job.run.config.get("recipe", {}) if job.resume else job.settings
        if replicas.count > 1 and settings.get("accumulate", 1) > 1:
            raise UsageError(
                "steps are not accumulated on several devices", "use a larger --batch-size, which the devices divide"
            )
        with _prepared(job, replicas) as plan, job.reporter.task("Training", plan.recipe.steps) as task:
            yield ReplicatedFit(plan, replicas, task)

    def load(self, run: Run) -> KerasCVModel:
        """Returns the trained model of a run.

        Raises:
            RunError: The run has no model yet, or its files are inconsistent.
        """
        _check_framework()
        weights = run.trained_file(WEIGHTS)
        try:
            network = json.loads(run.file(NETWORK).read_text("utf-8"))
            height, width = network["image_size"]
            decoder = DecoderSettings.from_dict(network["decoder"])
            if "own" in network:
                own = restored(network["own"])
                own.load_weights(weights)
                return KerasCVModel(
                    own, run.label_map, (height, width), decoder, network["oversample"], adapter_of(own)
                )
            with precision(network["precision"]):
                model = build_network(
                    network["preset"],
                    num_classes=network["num_classes"],
                    image_size=(height, width),
                    anchors=AnchorSettings.from_dict(network["anchors"]),
                    backbone=keras.saving.deserialize_keras_object(network["backbone"]),
                    convolutions=convolutions_of(network),
                    kerascv_heads=network.get("network") == "kerascv",
                )
                load_weights(model, str(weights))
        except (OSError, ValueError, KeyError, TypeError, WeightsError, RecursionError) as error:
            raise RunError(f"the model of {run.path} cannot be loaded: {error}", "train it again") from error
        return KerasCVModel(model, run.label_map, (height, width), decoder, network["oversample"])


@contextmanager
def _prepared(job: TrainJob, replicas: Replicas) -> Iterator[Plan]:
    """Makes everything that a training needs: images, network, optimizer, and the state of a resumed one."""
    _check_framework()
    check_objects(job.objects, job.settings)
    stored = job.run.config if job.resume else {}
    recipe = Recipe.from_dict(stored["recipe"]) if "recipe" in stored else _recipe(job)
    decoder = make_decoder(job)
    if "model" in job.objects:
        check_own(job.objects, job.label_map, recipe, job.settings)
    augmentation = Augmentation(make_augmenters(recipe.augment, backend="kerascv"), recipe.image_size)
    start = None if job.resume else find_start(job.settings.get("weights"), job.preset)
    with precision(recipe.precision), plain_inputs(), training_images(job, recipe) as images:
        if augmentation.mixes:
            augmentation.draw_from(images.load.example, images.load.classes)
        yield _plan(job, recipe, decoder, augmentation, images, start, replicas)


def _plan(
    job: TrainJob,
    recipe: Recipe,
    decoder: DecoderSettings,
    augmentation: Augmentation,
    images: TrainingImages,
    weights: Start | None,
    replicas: Replicas,
) -> Plan:
    checkpoint = newest_checkpoint(job.run) if job.resume else None
    own = job.objects.get("model")
    with replicas.scope():
        if own is not None:
            adapter: Adapter | None = adapter_of(own)
            model: Any = own
            anchors = None
        else:
            adapter = None
            anchors = make_anchors(job, recipe, images)
            model = _build(job, recipe, anchors, weights) if checkpoint is None else _rebuild(job, recipe, anchors)
            freeze(model.backbone, recipe.freeze_levels, recipe.freeze_statistics)
        if adapter is None and not job.resume:
            recipe = _fitting(job, recipe, model, replicas.count)
        if adapter is None or not compiled_by_user(model):
            compile_network(model, recipe, job.objects, adapter)
        model.optimizer.build(model.trainable_variables)  # within the scope
    if replicas.count == 1:
        _make_variables(model, recipe, adapter)
    progress = start_progress(job, recipe, checkpoint, model)
    resolved = {"recipe": recipe.to_dict(), "decoder": decoder.to_dict()}
    job.run.update_config(resolved if anchors is None else {**resolved, "anchors": anchors.to_dict()})
    job.run.write_json(NETWORK, _description(job, recipe, decoder, model, anchors))
    parts = f" on {replicas.count} devices" if replicas.count > 1 else ""
    job.reporter.message(
        f"Training {job.preset or model.name}: {model.count_params() / 1e6:.1f} M parameters on "
        f"{images.count} images at {recipe.width}x{recipe.height}, {recipe.steps} steps of {recipe.batch_size}{parts}, "
        f"{recipe.epochs} epochs."
    )
    shown = model
    if replicas.count > 1 and anchors is not None:
        shown = _rebuild(job, recipe, anchors)
        compile_network(shown, replace(recipe, ema=0.0), job.objects)
    return Plan(job, recipe, decoder, augmentation, images, model, shown, adapter, progress)


def _fitting(job: TrainJob, recipe: Recipe, model: Any, replicas: int) -> Recipe:
    """Returns the recipe with a batch size that fits in memory; with replicas, it is never changed."""
    if replicas == 1:
        return fitting(recipe, model, job.reporter, fixed=job.batch_size is not None)
    part = replace(recipe, batch_size=max(1, recipe.batch_size // replicas))
    fitting(part, model, job.reporter, fixed=True)
    return recipe


def _fit(plan: Plan) -> None:
    """Trains in this process, on one device."""
    job, recipe, model, progress = plan.job, plan.recipe, plan.model, plan.progress
    start = progress.step
    clock = InputClock()
    batches = plan.batches(clock=clock)
    if plan.adapter is not None:
        batches = adapted(batches, plan.adapter, recipe)
    watch = plan.watch()
    with job.reporter.task("Training", recipe.steps) as task:
        task.advance(start)
        if start < recipe.steps and not progress.monitor.stopped:
            model.fit(
                batches,
                steps_per_epoch=recipe.steps_per_epoch,
                initial_epoch=start // recipe.steps_per_epoch,
                epochs=recipe.epochs,
                callbacks=[
                    Evaluate(job, recipe, watch, progress, task, clock),
                    *warmup(recipe, start),
                    *cast(Sequence[Any], job.objects.get("callbacks", ())),
                    Report(job, recipe, watch, progress),
                ],
                shuffle=False,
                verbose=0,
            )
        else:  # the state of a checkpoint is before `fit` applies the moving average
            model.optimizer.finalize_variable_values(model.trainable_variables)
        plan.finish(watch)


def _recipe(job: TrainJob) -> Recipe:
    changes: dict[str, Any] = {}
    own: Any = job.objects.get("model")
    if "optimizer" in job.objects or (own is not None and compiled_by_user(own)):
        schedule = job.settings.get("schedule", "constant")
        changes = {"optimizer": "object", "schedule": schedule, "warmup_fraction": 0.0}
    return make_recipe(
        job,
        default_recipe,
        # random weights must be trained
        base={"freeze_levels": 0, "freeze_statistics": False} if job.settings.get("weights") == NONE else {},
        changes=changes,
        image_size=None if own is None else own_size(own),
        fits=own is None,
    )


def _description(
    job: TrainJob, recipe: Recipe, decoder: DecoderSettings, model: Any, anchors: AnchorSettings | None
) -> dict[str, Any]:
    """Returns what :meth:`KerasCVBackend.load` builds the network from."""
    shared = {
        "image_size": list(recipe.image_size),
        "oversample": recipe.oversample,
        "decoder": decoder.to_dict(),
        "precision": recipe.precision,
    }
    if anchors is None:
        return {**shared, "own": described(model)}
    return {
        **shared,
        "preset": job.preset,
        "num_classes": len(job.label_map),
        "anchors": anchors.to_dict(),
        "network": recipe.network,
        "convolutions": None if recipe.network == "kerascv" else model.box_head.convolutions,
        # A pretrained preset is not downloaded again just to be overwritten.
        "backbone": keras.saving.serialize_keras_object(model.backbone),
    }


def _build(job: TrainJob, recipe: Recipe, anchors: AnchorSettings, start: Start | None) -> Detector:
    """Returns the network at the start of a training."""
    try:
        model = build_network(
            job.preset,
            num_classes=len(job.label_map),
            image_size=recipe.image_size,
            anchors=anchors,
            weights=start.path if start else NONE if job.settings.get("weights") == NONE else None,
            backbone=backbone_of(start, recipe.image_size) if start and start.backbone else None,
            kerascv_heads=recipe.network == "kerascv",
            freeze_backbone=recipe.freeze_backbone,
            seed=job.seed,
        )
        if start is not None:
            job.reporter.message(start_from(model, start, job.label_map.names))
        return model
    except WeightsError as error:
        raise DataError(job.settings.get("weights", job.preset), str(error)) from error


def _rebuild(job: TrainJob, recipe: Recipe, anchors: AnchorSettings) -> Detector:
    """Returns the same network without its weights, which are in a checkpoint.

    Raises:
        RunError: The run does not describe its network.
    """
    try:
        network = json.loads(job.run.file(NETWORK).read_text("utf-8"))
        backbone = keras.saving.deserialize_keras_object(network["backbone"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise RunError(f"{job.run.path} cannot be resumed: {error}", "train again into another folder") from error
    return build_network(
        job.preset,
        num_classes=len(job.label_map),
        image_size=recipe.image_size,
        anchors=anchors,
        backbone=backbone,
        convolutions=convolutions_of(network),
        kerascv_heads=recipe.network == "kerascv",
        freeze_backbone=recipe.freeze_backbone,
        seed=job.seed,
    )


def convolutions_of(network: Mapping[str, Any]) -> int | None:
    """Returns the hidden convolutions of each head in a run's ``network.json``; older ones do not state them."""
    convolutions: int | None = network.get("convolutions", 1 if network["preset"] == "tiny" else 3)
    return convolutions


def _make_variables(model: Any, recipe: Recipe, adapter: Adapter | None = None) -> None:
    """Creates the variables of the optimizer and the losses: otherwise `fit` would trace its step twice."""
    model.optimizer.build(model.trainable_variables)
    blank = tf.zeros((1, *recipe.image_size, 3))
    no_box = {"boxes": tf.fill((1, 1, 4), PAD), "classes": tf.fill((1, 1), PAD)}
    labels = no_box if adapter is None else adapter.labels(blank, no_box)
    model.compute_loss(blank, labels, model(blank), sample_weight=None)


def _check_framework() -> None:
    if keras.backend.backend() != "tensorflow":
        raise UsageError(
            f"Keras uses {keras.backend.backend()}, but this backend requires TensorFlow",
            "unset KERAS_BACKEND, or set KERAS_BACKEND=tensorflow",
        )
