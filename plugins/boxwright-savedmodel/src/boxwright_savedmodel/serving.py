"""The files of TensorFlow Serving that belong to a SavedModel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

NAME = "detector"
_WARM_UP = "assets.extra/tf_serving_warmup_requests"


def write_models_config(folder: Path) -> None:
    """Writes ``models.config`` for a server that has the folder at ``/models/detector``."""
    lines = [f'name: "{NAME}"', f'base_path: "/models/{NAME}"', 'model_platform: "tensorflow"']
    content = "".join(f"    {line}\n" for line in lines)
    (folder / "models.config").write_text(f"model_config_list {{\n  config {{\n{content}  }}\n}}\n", "utf-8")


def write_warm_up(folder: Path, requests: dict[str, dict[str, Any]]) -> None:
    """Writes the requests that a server sends to a SavedModel before it accepts others.

    A TFRecord file of ``PredictionLog`` (tensorflow_serving/apis/prediction_log.proto, predict.proto, model.proto). The
    messages are encoded here, because ``tensorflow-serving-api`` requires a certain version of TensorFlow.

    Args:
        folder: The SavedModel.
        requests: For each signature, its inputs.
    """
    target = folder / _WARM_UP
    target.parent.mkdir()
    with tf.io.TFRecordWriter(str(target)) as writer:
        for signature, inputs in requests.items():
            request = _field(1, _field(1, NAME.encode()) + _field(3, signature.encode()))  # model_spec
            for name, value in inputs.items():
                tensor = tf.make_tensor_proto(value).SerializeToString()
                request += _field(2, _field(1, name.encode()) + _field(2, tensor))  # an entry of the map inputs
            writer.write(_field(6, _field(1, request)))  # predict_log, request


def _field(number: int, content: bytes) -> bytes:
    """Encodes a field of bytes, text or a message."""
    length, size = bytearray(), len(content)
    while size > 0x7F:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([number << 3 | 2, *length, size]) + content
