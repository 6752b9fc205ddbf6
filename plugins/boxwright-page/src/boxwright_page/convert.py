"""The page: the network in ONNX, its settings, and the program that runs it."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from boxwright.models import Network
from boxwright.render import page_part, palette, text_color
from boxwright_page.pinned import PACKAGE
from boxwright_page.runtime import runtime_files
from boxwright_tf.onnx import quantize, to_onnx

_PARTS = Path(__file__).with_name("page")
_LEAST = 5
"""The lowest position of the slider for scores, in percent."""


def convert(network: Network, precision: str, calibration: Iterable[Any] = ()) -> str:
    """Returns a network as a page.

    Args:
        network: The network.
        precision: ``fp32``, or ``int8`` of the convolutions.
        calibration: Inputs for ``int8``.
    """
    runtime = runtime_files()
    model = to_onnx(network.saved_model)
    if precision == "int8":
        model = quantize(model, calibration)
    return page(network, model.SerializeToString(), runtime)


def page(network: Network, model: bytes, runtime: Mapping[str, bytes]) -> str:
    """Returns the page of a network.

    Args:
        network: Its settings.
        model: The network in ONNX.
        runtime: What :func:`~boxwright_page.runtime.runtime_files` returns.
    """
    labels = network.label_map.names
    colors = palette(labels)
    score = network.decoder.score
    settings = {
        "labels": labels,
        "colors": [{"color": _css(colors[label]), "ink": _css(text_color(colors[label]))} for label in labels],
        "input": {
            "width": network.inputs.width,
            "height": network.inputs.height,
            "reduced": network.inputs.reduced_size,
        },
        "decoder": network.decoder.to_dict(),
    }
    style, script = (page_part(f"detections.{kind}") + _part(f"detector.{kind}") for kind in ("css", "js"))
    program, wasm = (base64.b64encode(each).decode("ascii") for each in runtime.values())
    parts = {
        "policy": _policy(script, style),
        "style": style,
        "classes": html.escape(", ".join(labels)),
        "least": str(max(_LEAST, round(100 * network.decoder.score_threshold))),
        "usual": str(round(100 * (min(score) if isinstance(score, tuple) else score))),
        "version": PACKAGE.partition("@")[2],
        # A class may be named "</script>", and U+2028 ends a line in old browsers.
        "settings": json.dumps(settings).replace("<", "\\u003c"),
        "worker": _part("worker.js"),
        "runtime": program,
        "wasm": wasm,
        "model": base64.b64encode(gzip.compress(model, mtime=0)).decode("ascii"),
        "script": script,
        "license": _part("onnxruntime-web-license.txt"),
    }
    first, *rest = _part("detector.html").split("{{")
    return first + "".join(parts[name] + after for name, _, after in (each.partition("}}") for each in rest))


def _part(name: str) -> str:
    return (_PARTS / name).read_text("utf-8")


def _css(color: tuple[int, int, int]) -> str:
    return "rgb({} {} {})".format(*map(int, color))


def _policy(script: str, style: str) -> str:
    """Returns the content security policy: this script and this style, and nothing from anywhere else."""
    hashes = (base64.b64encode(hashlib.sha256(part.encode()).digest()).decode("ascii") for part in (script, style))
    script_hash, style_hash = hashes
    return (
        f"default-src 'none'; script-src 'sha256-{script_hash}' 'wasm-unsafe-eval' blob:; worker-src blob:;"
        f" style-src 'sha256-{style_hash}'; img-src blob:; media-src blob: mediastream:; base-uri 'none';"
        " form-action 'none'"
    )
