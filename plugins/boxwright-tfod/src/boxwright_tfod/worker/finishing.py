"""The step after training: the API's own export."""

from __future__ import annotations

import os
from typing import Any

from . import prepare  # noqa: F401  isort:skip

from object_detection import exporter_lib_v2

from .pipeline import load, remove_folders, write
from .training import memory_errors


def export(
    connection: Any, *, pipeline: str, folder: str, out: str, input_type: str = "image_tensor"
) -> dict[str, str]:
    """Exports the newest checkpoint like the zoo: ``saved_model/``, ``checkpoint/`` and ``pipeline.config``.

    The exported configuration contains file names instead of the paths of this computer.

    Args:
        connection: The connection to the main process.
        pipeline: The ``pipeline.config``.
        folder: The folder of the checkpoints.
        out: A new folder.
        input_type: The input of the SavedModel: ``image_tensor`` for uint8 ``(1, height, width, 3)``.
    """
    config, _ = load(pipeline)
    with memory_errors(connection, config.train_config):
        exporter_lib_v2.export_inference_graph(input_type, config, folder, out)
    remove_folders(config)
    write(config, os.path.join(out, "pipeline.config"))
    return {name: os.path.join(out, name) for name in ("saved_model", "checkpoint", "pipeline.config")}
