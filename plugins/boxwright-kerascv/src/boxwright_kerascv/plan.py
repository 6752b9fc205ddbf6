"""A training that is ready to start: what all ways to run it need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from boxwright import TrainJob
from boxwright.models import DecoderSettings, InputSettings, Run, Shard
from boxwright_kerascv.augmentation import Augmentation
from boxwright_kerascv.decode import portable_network
from boxwright_kerascv.inputs import WHOLE, InputClock, training_batches
from boxwright_kerascv.layers import Detector
from boxwright_kerascv.own import Adapter
from boxwright_kerascv.portable import save_portable
from boxwright_kerascv.predictor import KerasCVModel
from boxwright_kerascv.validation import validation_batches
from boxwright_retinanet.epochs import Progress
from boxwright_retinanet.images import TrainingImages
from boxwright_retinanet.jobs import sampling_weights, write_weights
from boxwright_retinanet.recipe import Recipe
from boxwright_retinanet.watch import Watch


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

    def watch(self, refresh: Callable[[], None] = lambda: None) -> Watch:
        """Returns what evaluates the network; see :class:`boxwright_retinanet.watch.Watch`."""
        validation = validation_batches(self.job, self.recipe, self.adapter)
        return Watch(self.job, self.recipe, self.predictor, validation, refresh)

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
        return sampling_weights(self.job, self.recipe, self.images)

    def finish(self, watch: Watch) -> None:
        """Writes the model."""
        write_weights(self.job, self.recipe, self.shown, self.progress)
        if self.adapter is None:
            _save_portable(self.shown, self.job.run, self.recipe, self.decoder)
        watch.finish()


def _save_portable(model: Detector, run: Run, recipe: Recipe, decoder: DecoderSettings) -> None:
    """Writes the network in LiteRT as well, which computes in float32: with another precision, it is not the same."""
    if recipe.precision == "float32":
        inputs = InputSettings(recipe.width, recipe.height, recipe.oversample)
        save_portable(run, portable_network(model, recipe.image_size), inputs, decoder)
