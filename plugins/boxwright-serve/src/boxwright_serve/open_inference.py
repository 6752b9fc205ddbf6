"""The Open Inference Protocol (KServe v2) over HTTP, with its extension for binary tensors.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md and, for binary
tensors, https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from boxwright import Detections, LabelMap
from boxwright_serve.images import decode_base64, parse_json, parse_score
from boxwright_serve.limits import RequestError

VERSION: Final = "1"
"""The version of every model."""
EXTENSIONS: Final = ("binary_tensor_data",)
HEADER_LENGTH: Final = "Inference-Header-Content-Length"
"""The header with the length of the JSON object before binary tensors."""
_INPUT: Final = "image"
_LENGTH: Final = struct.Struct("<I")
_OUTPUTS: Final[Mapping[str, tuple[str, tuple[int, ...]]]] = {
    "boxes": ("FP32", (-1, -1, 4)),
    "scores": ("FP32", (-1, -1)),
    "classes": ("INT64", (-1, -1)),
    "labels": ("BYTES", (-1, -1)),
    "num_detections": ("INT64", (-1,)),
}
_DTYPES: Final[Mapping[str, np.dtype[Any]]] = {"FP32": np.dtype("<f4"), "INT64": np.dtype("<i8")}
_HOW: Final = "send one input `image` of datatype BYTES, with one encoded image per element, as base64 in JSON"


def _content(description: str, properties: Mapping[str, Any], required: Sequence[str]) -> dict[str, Any]:
    """Returns what OpenAPI says of a body: JSON, or JSON and then binary tensors."""
    schema = {"type": "object", "properties": dict(properties), "required": list(required)}
    binary = {"type": "string", "format": "binary", "description": f"{description} and then its binary tensors"}
    return {"application/json": {"schema": schema}, "application/octet-stream": {"schema": binary}}


_TEXT: Final = {"type": "string"}
_PARAMETERS: Final = {"type": "object", "additionalProperties": True}
_TENSOR: Final = {
    "type": "object",
    "properties": {
        "name": _TEXT,
        "datatype": _TEXT,
        "shape": {"type": "array", "items": {"type": "integer"}},
        "data": {"type": "array", "items": {}},
        "parameters": _PARAMETERS,
    },
    "required": ["name", "datatype", "shape"],
}
_TENSORS: Final = {"type": "array", "items": _TENSOR}
_WANTED: Final = {"type": "object", "properties": {"name": _TEXT, "parameters": _PARAMETERS}, "required": ["name"]}
REQUEST: Final = _content(
    "The JSON object of a request",
    {"id": _TEXT, "inputs": _TENSORS, "outputs": {"type": "array", "items": _WANTED}, "parameters": _PARAMETERS},
    ["inputs"],
)
"""The body of a request, as OpenAPI describes it."""
RESPONSE: Final = _content(
    "The JSON object of a response",
    {"model_name": _TEXT, "model_version": _TEXT, "id": _TEXT, "outputs": _TENSORS},
    ["model_name", "model_version", "outputs"],
)
"""The body of a response."""


@dataclass(frozen=True)
class InferRequest:
    """A request for predictions.

    Attributes:
        images: The encoded images.
        outputs: The requested outputs, and whether each is binary; empty for all.
        binary: Whether outputs are binary if they are not requested one by one.
        id: The identifier of the request; empty if it has none.
        score: The parameter ``score``, the lowest score of a detection.
    """

    images: list[bytes]
    outputs: dict[str, bool]
    binary: bool = False
    id: str = ""
    score: float | None = None


def model_metadata(name: str) -> dict[str, Any]:
    """Returns the description of a model."""
    return {
        "name": name,
        "versions": [VERSION],
        "platform": "boxwright",
        "inputs": [{"name": _INPUT, "datatype": "BYTES", "shape": [-1]}],
        "outputs": [
            {"name": output, "datatype": datatype, "shape": list(shape)}
            for output, (datatype, shape) in _OUTPUTS.items()
        ],
    }


def parse_request(body: bytes, header_length: str | None) -> InferRequest:
    """Returns the content of a request.

    Args:
        body: The body.
        header_length: The header :data:`HEADER_LENGTH`, if the request has binary tensors.

    Raises:
        RequestError: It is not what the protocol or the model requires.
    """
    end = len(body)
    if header_length is not None:
        if not header_length.isdecimal() or len(header_length) > 18 or int(header_length) > end:
            raise RequestError(400, f"{HEADER_LENGTH} is {header_length:.40}", "send the length of the JSON object")
        end = int(header_length)
    content = parse_json(body[:end])
    try:
        return _request(content, memoryview(body)[end:])
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError, struct.error) as error:
        raise RequestError(400, f"the request cannot be read: {type(error).__name__}: {error}", _HOW) from None


def _request(content: Any, binary: memoryview) -> InferRequest:
    (given,) = content["inputs"]
    if given["name"] != _INPUT or given["datatype"] != "BYTES":
        raise RequestError(400, f"unknown input {given['name']!s:.40} of type {given['datatype']!s:.40}", _HOW)
    size = (given.get("parameters") or {}).get("binary_data_size")
    if size is None:
        if not isinstance(given["data"], list):
            raise RequestError(400, "`data` is not a list", _HOW)
        images = [decode_base64(text, f"element {number} of `image`") for number, text in enumerate(given["data"])]
    else:
        if size != len(binary):
            raise RequestError(400, f"binary_data_size is {size}, and {len(binary)} bytes follow the JSON object", _HOW)
        images = list(_elements(binary))
    shape = given["shape"]
    if shape != [len(images)] or not images:
        raise RequestError(400, f"the shape {shape!s:.40} does not describe {len(images)} images", _HOW)
    parameters = content.get("parameters") or {}
    outputs = {
        each["name"]: bool((each.get("parameters") or {}).get("binary_data", False))
        for each in content.get("outputs") or ()
    }
    if unknown := [name for name in outputs if name not in _OUTPUTS]:
        raise RequestError(400, f"unknown output {unknown[0]!s:.40}", f"the outputs are: {', '.join(_OUTPUTS)}")
    is_binary = bool(parameters.get("binary_data_output", False))
    identifier = content.get("id")
    asked_id = "" if identifier is None else str(identifier)
    return InferRequest(images, outputs, is_binary, asked_id, parse_score(parameters.get("score")))


def _elements(data: memoryview) -> Iterator[bytes]:
    """Yields the elements of a binary tensor of type BYTES: each has its length in front, 4 bytes, little endian."""
    position = 0
    while position < len(data):
        (length,) = _LENGTH.unpack_from(data, position)
        position += _LENGTH.size
        if position + length > len(data):
            raise ValueError("an element is cut off")
        yield bytes(data[position : position + length])
        position += length


def answer(
    asked: InferRequest, name: str, label_map: LabelMap, found: Sequence[Detections]
) -> tuple[bytes, dict[str, str]]:
    """Returns the body of the response and its headers.

    Images with fewer detections than others are padded: with boxes and scores of 0, classes of -1 and empty labels.

    Args:
        asked: The request.
        name: The name of the model.
        label_map: The classes.
        found: The detections in each image.
    """
    arrays = _arrays(found, label_map)
    outputs: list[dict[str, Any]] = []
    parts: list[bytes] = []
    for output, is_binary in (asked.outputs or dict.fromkeys(_OUTPUTS, asked.binary)).items():
        values, (datatype, _) = arrays[output], _OUTPUTS[output]
        described: dict[str, Any] = {"name": output, "datatype": datatype, "shape": list(values.shape)}
        if is_binary:
            part = _bytes(values, datatype)
            parts.append(part)
            described["parameters"] = {"binary_data_size": len(part)}
        else:
            described["data"] = values.reshape(-1).tolist()
        outputs.append(described)
    content = {"model_name": name, "model_version": VERSION, "outputs": outputs}
    head = json.dumps(content | ({"id": asked.id} if asked.id else {}), allow_nan=False).encode()
    if not parts:
        return head, {"Content-Type": "application/json"}
    return b"".join([head, *parts]), {"Content-Type": "application/octet-stream", HEADER_LENGTH: str(len(head))}


def _arrays(found: Sequence[Detections], label_map: LabelMap) -> dict[str, NDArray[Any]]:
    most = max(len(each.boxes) for each in found)
    numbers = {label: number for number, label in enumerate(label_map.names)}
    arrays: dict[str, NDArray[Any]] = {
        "boxes": np.zeros((len(found), most, 4), np.float32),
        "scores": np.zeros((len(found), most), np.float32),
        "classes": np.full((len(found), most), -1, np.int64),
        "labels": np.full((len(found), most), "", object),
        "num_detections": np.array([len(each.boxes) for each in found], np.int64),
    }
    for row, each in enumerate(found):
        count = len(each.boxes)
        arrays["boxes"][row, :count] = each.boxes.xyxy
        arrays["scores"][row, :count] = each.scores
        arrays["classes"][row, :count] = [numbers[label] for label in each.boxes.labels]
        arrays["labels"][row, :count] = each.boxes.labels
    return arrays


def _bytes(values: NDArray[Any], datatype: str) -> bytes:
    if datatype != "BYTES":
        return values.astype(_DTYPES[datatype]).tobytes()
    texts: Iterable[bytes] = (text.encode() for text in values.reshape(-1))
    return b"".join(_LENGTH.pack(len(text)) + text for text in texts)
