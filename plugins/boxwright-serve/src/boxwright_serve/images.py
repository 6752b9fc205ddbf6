"""Images in requests: multipart forms, plain files, and base64 in JSON."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from boxwright import DataError, ImageRef, Sample
from boxwright.images import MissingDecoderError, TooManyPixelsError, read_header
from boxwright_serve.limits import Limits, RequestError

_AROUND = 65_536
"""Bytes of a request around its image."""
_MOST_VALUES = 10_000
"""The largest number of values in JSON; each takes many times the memory of its text."""
_LONGEST_NAME = 200
_NO_IMAGE = "send the file as the body, as the field `image` of a form, or as base64 in the JSON key `image`"


@dataclass(frozen=True)
class ImageRequest:
    """A request with one image.

    Attributes:
        data: The encoded image.
        name: Its name, for the answer.
        score: The lowest score of a detection; ``None`` for that of the model.
    """

    data: bytes
    name: str = "image"
    score: float | None = None


async def read_body(request: Request, limit: int, limits: Limits) -> bytes:
    """Returns the body of a request.

    Raises:
        RequestError: It is larger than ``limit``, or does not arrive in time.
    """
    declared = request.headers.get("content-length", "0")
    parts: list[bytes] = []
    size = int(declared) if declared.isdecimal() else 0
    if size <= limit:
        size = 0
        try:
            async with asyncio.timeout(limits.body_seconds):
                async for part in request.stream():
                    size += len(part)
                    if size > limit:
                        break
                    parts.append(part)
        except ClientDisconnect:
            raise gone() from None
        except TimeoutError:
            problem = f"the body did not arrive within {limits.body_seconds:g} s"
            raise RequestError(408, problem, "send it faster, or a smaller image", {"Connection": "close"}) from None
    if size > limit:
        problem = f"the request is larger than {limit:,} bytes"
        raise RequestError(413, problem, "send a smaller image, or set --max-bytes of the server")
    return b"".join(parts)


def gone() -> RequestError:
    """Returns the error for a client that closed the connection; nginx counts this status, too."""
    return RequestError(499, "the client closed the connection", headers={"Connection": "close"})


async def read_json(request: Request, limits: Limits) -> bytes:
    """Returns the body of a request with images as base64; raises as :func:`read_body`."""
    return await read_body(request, limits.image_bytes * 4 // 3 + _AROUND, limits)


async def read_image(request: Request, limits: Limits) -> ImageRequest:
    """Returns the image of a request in any of the three forms.

    Raises:
        RequestError: There is not exactly one image, or it is too large.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        return await asyncio.to_thread(_from_json, await read_json(request, limits))
    if kind == "multipart/form-data":
        return await _from_form(request, await read_body(request, limits.image_bytes + _AROUND, limits))
    return ImageRequest(await read_body(request, limits.image_bytes, limits))


def parse_json(body: bytes) -> Any:
    """Returns the content of a JSON document.

    Raises:
        RequestError: It is not JSON, or has too many values.
    """
    if sum(map(body.count, (b",", b"[", b"{"))) > _MOST_VALUES:  # base64 contains none of them
        raise RequestError(413, f"the JSON has more than {_MOST_VALUES:,} values", "send images as base64")
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RequestError(400, f"the body is not JSON: {error}", "send a JSON object in UTF-8") from None


def decode_base64(text: object, place: str) -> bytes:
    """Returns the bytes of a base64 text, or of a data URL.

    Raises:
        RequestError: It is not base64.
    """
    if not isinstance(text, str):
        raise RequestError(400, f"{place} is not a text", "send the image as base64")
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise RequestError(400, f"{place} is not base64", "encode the bytes of the file as base64") from None


def _from_json(body: bytes) -> ImageRequest:
    content = parse_json(body)
    if not isinstance(content, dict) or "image" not in content:
        raise RequestError(400, "the JSON body is not an object with the key `image`", _NO_IMAGE)
    data = decode_base64(content["image"], "`image`")
    return ImageRequest(data, _name(content.get("name")), parse_score(content.get("score")))


async def _from_form(request: Request, body: bytes) -> ImageRequest:
    async def whole() -> AsyncGenerator[bytes, None]:
        yield body
        yield b""

    # Files up to the size of the body stay in memory.
    parser = MultiPartParser(request.headers, whole(), max_files=2, max_fields=20)
    parser.spool_max_size = len(body) + 1
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, UnicodeDecodeError) as error:
        problem = getattr(error, "message", "") or f"{type(error).__name__}: {error}"
        raise RequestError(400, f"the form cannot be read: {problem}", _NO_IMAGE) from None
    files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
    try:
        if len(files) != 1:
            raise RequestError(400, f"the form contains {'no file' if not files else 'several files'}", _NO_IMAGE)
        return ImageRequest(await files[0].read(), _name(files[0].filename), parse_score(form.get("score")))
    finally:
        await form.close()


def parse_score(value: object) -> float | None:
    """Returns the lowest score of a request; ``None`` if it has none.

    Raises:
        RequestError: It is not a number from 0 to 1.
    """
    if value is None or value == "":
        return None
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = -1.0
    if not 0 <= number <= 1 or isinstance(value, bool):
        raise RequestError(400, f"the score is {value!s:.40}", "send a number from 0 to 1")
    return number


def _name(value: object) -> str:
    text = value.replace("\\", "/").rpartition("/")[2] if isinstance(value, str) else ""
    return "".join(letter for letter in text if letter.isprintable())[:_LONGEST_NAME] or "image"


def sample_of(data: bytes, name: str, limits: Limits) -> Sample:
    """Returns an image as a sample whose boxes are in the pixels of the upright image.

    Raises:
        RequestError: It is too large, or not an image.
    """
    if not data:
        raise RequestError(400, f"{name} is empty", _NO_IMAGE)
    if len(data) > limits.image_bytes:
        problem = f"{name} is larger than {limits.image_bytes:,} bytes"
        raise RequestError(413, problem, "send a smaller image, or set --max-bytes of the server")
    try:
        header = read_header(data, name)
    except TooManyPixelsError as error:
        raise RequestError(413, f"{name}: {error.problem}", "send a smaller image") from None
    except MissingDecoderError as error:
        raise RequestError(415, f"{name}: {error.problem}", "send a JPEG or PNG file") from None
    except DataError as error:
        raise RequestError(415, f"{name}: {error.problem}", "send a JPEG or PNG file") from None
    width, height = header.upright_size
    if width * height > limits.pixels:
        problem = f"{name}: {width}x{height} is more than {limits.pixels:,} pixels"
        raise RequestError(413, problem, "send a smaller image, or set --max-pixels of the server")
    return Sample(image=ImageRef(name=name, width=width, height=height, data=data, format=header.format))
