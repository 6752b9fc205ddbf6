"""Evaluation while a model trains: the API's metrics, losses and images, in one graph that is built once.

It does the same as ``object_detection/model_lib_v2.py: eager_eval_loop`` on one device, with its functions and the same
names in TensorBoard. That function builds its graph again in every call, which takes longer than the evaluation.
"""

from __future__ import annotations

import json
import os
from typing import Any

from . import prepare  # noqa: F401  isort:skip

import tensorflow as tf
from object_detection import eval_util, inputs, model_lib, model_lib_v2
from object_detection.core import standard_fields
from object_detection.utils import label_map_util, visualization_utils

_AP, _LOSS = "DetectionBoxes_Precision/mAP", "Loss/total_loss"
_FIELDS = standard_fields.InputDataFields
_SHOWN = (
    _FIELDS.image,
    _FIELDS.original_image,
    _FIELDS.original_image_spatial_shape,
    _FIELDS.true_image_shape,
    inputs.HASH_KEY,
)


class Evaluation:
    """The evaluation of a model that is being trained.

    Args:
        model: The model.
        configs: The parts of ``pipeline.config``.
        tensorboard: The folder of the event files.
    """

    def __init__(self, model: Any, configs: dict[str, Any], tensorboard: str) -> None:
        self._model = model
        self._config, self._regularized = configs["eval_config"], configs["train_config"].add_regularization_loss
        reader = configs["eval_input_configs"][0]
        reader.num_epochs = 1
        self._data = inputs.eval_input(
            eval_config=self._config, eval_input_config=reader, model_config=configs["model"], model=model
        )
        self._categories = label_map_util.create_category_index_from_labelmap(reader.label_map_path)
        self._writer = tf.summary.create_file_writer(tensorboard)
        self._compute = tf.function(self._outputs)

    def __call__(self, step: int) -> dict[str, float]:
        """Evaluates the model, and writes the result to TensorBoard.

        Returns:
            The metrics and mean losses by the API's names, such as ``DetectionBoxes_Precision/mAP@.50IOU``; a metric is
            -1 if there is nothing to measure.
        """
        options = eval_util.evaluator_options_from_eval_config(self._config)
        evaluators = eval_util.get_evaluators(self._config, list(self._categories.values()), options)
        losses: dict[str, list[Any]] = {}
        with self._writer.as_default(step=step):
            for number, (features, labels) in enumerate(self._data):
                found, detections, shown = self._compute(features, labels)
                # The labels are changed by this function.
                compared, _ = model_lib_v2.prepare_eval_dict(detections, dict(labels), shown)
                if number < self._config.num_visualizations:
                    self._draw(number, compared)
                for evaluator in evaluators:
                    evaluator.add_eval_dict(compared)
                for name, value in found.items():
                    losses.setdefault(name, []).append(value)
            values = {name: float(value) for evaluator in evaluators for name, value in evaluator.evaluate().items()}
            values |= {name: float(tf.reduce_mean(tf.stack(each))) for name, each in losses.items()}
            for name, value in values.items():
                tf.summary.scalar(name, value)
        self._writer.flush()
        return values

    def _outputs(self, features: dict[str, Any], labels: dict[str, Any]) -> tuple[Any, Any, Any]:
        """Returns the losses, the detections, and the features that drawing and comparing them requires."""
        # Both are read while the graph is built; training set them to True, and reads them no more.
        self._model._is_training = False
        tf.keras.backend.set_learning_phase(False)
        try:
            unpad = self._config.batch_size == 1 and labels[_FIELDS.groundtruth_boxes].shape[1] is not None
            unstacked = model_lib.unstack_batch(labels, unpad_groundtruth_tensors=unpad)
            losses, predictions = model_lib_v2._compute_losses_and_predictions_dicts(
                self._model, features, unstacked, training_step=None, add_regularization_loss=self._regularized
            )
            detections = self._model.postprocess(predictions, features[_FIELDS.true_image_shape])
        finally:
            self._model._is_training = True
            tf.keras.backend.set_learning_phase(True)
        return losses, detections, {name: features[name] for name in _SHOWN}

    def _draw(self, number: int, compared: dict[str, Any]) -> None:
        """Writes images with detections next to the same with the ground truth."""
        drawn = visualization_utils.draw_side_by_side_evaluation_image(
            compared,
            category_index=self._categories,
            max_boxes_to_draw=self._config.max_num_boxes_to_visualize,
            min_score_thresh=self._config.min_score_threshold,
            use_normalized_coordinates=False,
        )
        for position, image in enumerate(drawn):
            tf.summary.image(f"eval_side_by_side_{number}_{position}", image)


class History:
    """The evaluations of a training, in a file next to its checkpoints.

    Args:
        path: The file; created by the first evaluation.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._entries: list[dict[str, Any]] = []
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                self._entries = json.load(file)

    def rewind(self, step: int) -> None:
        """Forgets the evaluations after a step, from which the training is resumed."""
        self._entries = [entry for entry in self._entries if entry["step"] <= step]

    def add(self, step: int, values: dict[str, float]) -> None:
        """Adds an evaluation, and writes the file completely or not at all."""
        self._entries.append({"step": step, "values": values})
        temporary = f"{self._path}.writing"
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(self._entries, file)
        os.replace(temporary, self._path)

    @property
    def last(self) -> dict[str, Any] | None:
        """The last evaluation."""
        return self._entries[-1] if self._entries else None

    @property
    def best(self) -> dict[str, Any] | None:
        """The evaluation with the highest AP, of equal ones that with the lowest loss; ``None`` if there is no AP."""
        measured = [entry for entry in self._entries if entry["values"].get(_AP, -1.0) >= 0]
        return max(measured, key=lambda entry: (entry["values"][_AP], -entry["values"][_LOSS]), default=None)

    def stalled(self, patience: int) -> bool:
        """Whether so many steps have passed from the best evaluation to the last one."""
        return self.best is not None and self._entries[-1]["step"] - self.best["step"] >= patience
