"""A training that is ready to start: what all ways to run it need."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from boxwright import TrainJob
from boxwright.models import DecoderSettings, InputSettings, Run, Shard
from boxwright_kerascv.augmentation import Augmentation
from boxwright_kerascv.balance import image_weights
from boxwright_kerascv.checkpoint import best_weights, remove_best, save_weights
from boxwright_kerascv.decode import portable_network
from boxwright_kerascv.epochs import Progress
from boxwright_kerascv.images import TrainingImages
from boxwright_kerascv.inputs import WHOLE, InputClock, training_batches
from boxwright_kerascv.layers import Detector
from boxwright_kerascv.own import Adapter
from boxwright_kerascv.portable import WEIGHTS, save_portable
from boxwright_kerascv.predictor import KerasCVModel
from boxwright_kerascv.recipe import Recipe
from boxwright_kerascv.watch import Watch


@dataclass
class Plan:
    """A training that is ready to start.

    Attributes:
        job: What was asked for.
        recipe: Its settings.
        decoder: How detections are chosen.
        augmentation: The changes of the images.
        images: The training images.
        model: The network to train, compiled, and with its variables.
        shown: The network to evaluate and to save: the same, or with replicas one that gets its weights.
        adapter: For a model of the user.
        progress: What has been done.
    """

    job: TrainJob
    recipe: Recipe
    decoder: DecoderSettings
    augmentation: Augmentation
    images: TrainingImages
    model: Any
    shown: Any
    adapter: Adapter | None
    progress: Progress

    @cached_property
    def predictor(self) -> KerasCVModel:
        """The network to evaluate, with its decoder."""
        recipe = self.recipe
        return KerasCVModel(
            self.shown, self.job.label_map, recipe.image_size, self.decoder, recipe.oversample, self.adapter
        )

    def batches(self, shard: Shard = WHOLE, clock: InputClock | None = None) -> Any:
        """Returns the following batches; see :func:`boxwright_kerascv.inputs.training_batches`."""
        return training_batches(
            self.images.load,
            self.images.count,
            self.recipe,
            self.augmentation,
            seed=self.job.seed,
            first_step=self.progress.step,
            shard=shard,
            weights=self._weights,
            clock=clock,
        )

    @cached_property
    def _weights(self) -> Any:
        return _weights(self.job, self.recipe, self.images)

    def finish(self, watch: Watch) -> None:
        """Writes the model."""
        _finish(self.job, self.recipe, self.shown, self.progress)
        if self.adapter is None:
            _save_portable(self.shown, self.job.run, self.recipe, self.decoder)
        watch.finish()


def _weights(job: TrainJob, recipe: Recipe, images: TrainingImages) -> Any:
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


def _finish(job: TrainJob, recipe: Recipe, model: Detector, progress: Progress) -> None:
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


def _save_portable(model: Detector, run: Run, recipe: Recipe, decoder: DecoderSettings) -> None:
    """Writes the network in LiteRT as well, which computes in float32: with another precision, it is not the same."""
    if recipe.precision == "float32":
        inputs = InputSettings(recipe.width, recipe.height, recipe.oversample)
        save_portable(run, portable_network(model, recipe.image_size), inputs, decoder)
