"""Changes that let the API of 2022 run on TensorFlow 2.15; imported before ``object_detection``.

- tf-slim 1.1.0 looks for ``case``, ``cond`` and ``while_loop`` in ``control_flow_ops``, from which TensorFlow 2.13
  removed them.
- ``tensorflow_io`` is imported only for DeepMAC's color loss, and is replaced by an empty module.
- CenterNet's ResNet-18 and -34 need Keras' general ResNet, which Keras 2.13 moved.
- CenterNet's MobileNetV2 would download weights without a request; it begins without them.

TensorFlow would take all memory of a GPU when it starts; it takes what it needs instead, because the process that
started this one may use the GPU, too.
"""

from __future__ import annotations

import sys
import types
from typing import Any

import keras.applications.resnet as _resnet
import tensorflow as tf
from tensorflow.python.ops import control_flow_ops
from tensorflow.python.util import deprecation

deprecation._PRINT_DEPRECATION_WARNINGS = False

for _gpu in tf.config.list_physical_devices("GPU"):
    tf.config.experimental.set_memory_growth(_gpu, True)

for _name in ("case", "cond", "while_loop"):
    if not hasattr(control_flow_ops, _name):
        setattr(control_flow_ops, _name, getattr(tf.compat.v1, _name))

sys.modules.setdefault("tensorflow_io", types.ModuleType("tensorflow_io"))

if not hasattr(_resnet, "ResNet"):
    from keras.src.applications.resnet import ResNet

    _resnet.ResNet = ResNet

from object_detection.models.keras_models import mobilenet_v2 as _mobilenet  # noqa: E402 (it needs all the above)

_build = _mobilenet.mobilenet_v2


def _without_download(*arguments: Any, **options: Any) -> Any:
    return _build(*arguments, **{**options, "weights": None})


_mobilenet.mobilenet_v2 = _without_download
