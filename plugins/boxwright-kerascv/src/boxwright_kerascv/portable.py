"""The trained network of a run in LiteRT, which predicts without TensorFlow.

Importing TensorFlow and Keras and building the network takes most of the time of a prediction on a few images. A run
therefore also contains its network as a ``.tflite`` file, and ``portable.json`` with the settings around it and the
digest of the files that it was made from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from boxwright import RunError
from boxwright.models import DecoderSettings, InputSettings, PortableModel, Run, Suppressed
from boxwright_retinanet.checkpoint import NETWORK, WEIGHTS
from boxwright_tf.litert import open_network, to_litert

LITERT = "model/network.tflite"
SETTINGS = "model/portable.json"


def save_portable(
    run: Run, network: Callable[[Any], tuple[Any, Any]], inputs: InputSettings, decoder: DecoderSettings
) -> None:
    """Writes a network to a run that contains its description and weights.

    Args:
        run: The run.
        network: From images ``(1, height, width, 3)`` float32 to decoded boxes and scores before suppression.
        inputs: How an image becomes the input.
        decoder: How detections are chosen.
    """
    with run.open_write(LITERT) as file:
        file.write(to_litert(network, (inputs.height, inputs.width)))
    settings = {"made_from": _digest(run), "inputs": inputs.to_dict(), "decoder": decoder.to_dict()}
    run.write_json(SETTINGS, settings)


def load_portable(run: Run) -> PortableModel | None:
    """Returns the model of a run in LiteRT; ``None`` if it has none of the same weights, or without LiteRT.

    Raises:
        RunError: The files are damaged.
    """
    settings, network = run.file(SETTINGS), run.file(LITERT)
    if not (settings.is_file() and network.is_file() and find_spec("ai_edge_litert")):
        return None
    try:
        content = json.loads(settings.read_text("utf-8"))
        if content["made_from"] != _digest(run):
            return None
        inputs = InputSettings(**content["inputs"])
        decoder = DecoderSettings.from_dict(content["decoder"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise RunError(f"{settings} is damaged: {error}", f"delete it: {WEIGHTS} is then used") from error
    return PortableModel(run.label_map, inputs, Suppressed(open_network(network), inputs, decoder))


def _digest(run: Run) -> str:
    """Returns the SHA-256 digest of the files that describe the network."""
    digest = hashlib.sha256()
    for name in (NETWORK, WEIGHTS):
        digest.update(run.file(name).read_bytes())
    return digest.hexdigest()
