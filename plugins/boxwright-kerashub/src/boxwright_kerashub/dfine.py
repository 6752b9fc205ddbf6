"""D-FINE of KerasHub (Peng et al. 2024) with its pretrained weights: it predicts and is exported, and is not trained.

Its loss in KerasHub 0.32 is wrong for batches of more than one image: the columns that are matched with objects are not
offset by image, and padding counts as objects.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import keras
import keras_hub
import numpy as np
from keras import ops

from boxwright import DataError, RunError, TrainJob, UsageError
from boxwright.models import DecoderSettings, InputSettings, Run
from boxwright_kerashub.checks import NONE
from boxwright_kerashub.network import PACKAGE, from_preset, scaling_of
from boxwright_kerashub.predictor import KerasHubModel
from boxwright_retinanet.checkpoint import NETWORK, WEIGHTS, save_weights
from boxwright_retinanet.jobs import make_decoder

COCO = (
    *("person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light"),
    *("fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow"),
    *("elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee"),
    *("skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard"),
    *("tennis racket", "bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple"),
    *("sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch"),
    *("potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard", "cell phone"),
    *("microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors", "teddy bear"),
    *("hair drier", "toothbrush"),
)
"""The 80 classes of COCO, in the order of the network's outputs."""


@keras.saving.register_keras_serializable(package=PACKAGE)
class Choose(keras.layers.Layer):
    """Converts the output of D-FINE to boxes in pixels and the scores of some classes.

    Args:
        columns: The positions of the classes in the output.
        size: Width and height of the input in pixels.
        queries: The number of boxes. D-FINE's graph does not say it, and some exporters must know it.
    """

    def __init__(self, columns: list[int], size: tuple[int, int], queries: int, **kwargs: Any) -> None:
        super().__init__(dtype="float32", **kwargs)
        self.columns = columns
        self.size = size
        self.queries = queries

    def call(self, boxes: Any, logits: Any) -> tuple[Any, Any]:
        """Returns boxes ``(batch, queries, 4)``, ``xyxy``, and scores ``(batch, queries, columns)``."""
        boxes = ops.reshape(boxes, (-1, self.queries, 4))
        logits = ops.reshape(logits, (-1, self.queries, len(COCO)))
        centers, sides = boxes[..., :2], boxes[..., 2:]
        corners = ops.concatenate([centers - sides / 2, centers + sides / 2], axis=-1)
        pixels = corners * ops.convert_to_tensor([*self.size, *self.size], "float32")
        return pixels, ops.sigmoid(ops.take(logits, np.array(self.columns, np.int32), axis=-1))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments, for files of Keras."""
        return {**super().get_config(), "columns": self.columns, "size": self.size, "queries": self.queries}


def adopt(job: TrainJob) -> None:
    """Writes a pretrained detector to a run, for the classes of the data.

    Raises:
        UsageError: Random weights are requested.
        DataError: It cannot be downloaded or read, or does not know a class of the data.
    """
    source = job.settings.get("weights") or job.preset
    if source == NONE:
        raise UsageError(f"{job.preset} is not trained, and so requires its weights", "remove weights=none")
    if unknown := [name for name in job.label_map.names if name not in COCO]:
        raise DataError(
            job.preset,
            f"it was trained on COCO, which has no class {unknown[0]!r}",
            "use another preset, or rename the classes: boxwright convert DATA NEW --with remap:OLD=NEW",
        )
    detector = from_preset(keras_hub.models.DFineObjectDetector, source)
    height, width = detector.backbone.anchor_image_size
    preprocessor = detector.preprocessor
    scale, offset = (1 / 255, 0.0) if preprocessor is None else scaling_of(preprocessor.image_converter)
    serialized = keras.saving.serialize_keras_object(detector)
    serialized.pop("compile_config", None)  # for training
    description = {
        "preset": job.preset,
        "framework": keras.backend.backend(),
        "detector": serialized,
        "columns": [COCO.index(name) for name in job.label_map.names],
        "image_size": [height, width],
        "scaling": np.array(scale).tolist(),
        "offset": np.array(offset).tolist(),
        "decoder": make_decoder(job).to_dict(),
    }
    job.run.write_json(NETWORK, description)
    save_weights(job.run, detector, WEIGHTS)
    job.reporter.message(
        f"{job.preset} is not trained on the data, because KerasHub's loss of D-FINE is wrong for batches of images. "
        f"The run contains the pretrained detector, for {len(job.label_map)} of its {len(COCO)} classes."
    )


def restored(run: Run, description: Mapping[str, Any]) -> KerasHubModel:
    """Returns the detector of a run.

    Raises:
        RunError: Its files are inconsistent; other errors of damaged files are raised unchanged.
    """
    detector = keras.saving.deserialize_keras_object(description["detector"])
    if not isinstance(detector, keras_hub.models.DFineObjectDetector):
        raise RunError(f"the model of {run.path} is not a detector", "make it again")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # for layers without weights in the file
        detector.load_weights(run.file(WEIGHTS))
    height, width = description["image_size"]
    images = keras.layers.Input((height, width, 3), name="images")
    scaled = keras.layers.Rescaling(description["scaling"], description["offset"])(images)
    outputs = detector(scaled)
    choose = Choose(description["columns"], (width, height), detector.backbone.num_queries)
    decoded = keras.Model(images, choose(outputs["pred_boxes"], outputs["logits"]))
    inputs = InputSettings(width, height)
    return KerasHubModel(detector, decoded, run.label_map, inputs, DecoderSettings.from_dict(description["decoder"]))
