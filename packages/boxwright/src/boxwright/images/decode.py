"""Decoding images, including EXIF orientation, unusual modes and a limit for the number of pixels.

EXIF orientation describes how to rotate the stored pixels of an image for viewing (EXIF 2.32, tag 0x0112). labelImg and
most viewers apply it before boxes are drawn, TensorFlow's decoders do not. boxwright's rule: the size of a sample shows
what its boxes refer to. If it is the size of the *upright* image, they refer to the upright image; if it is only that
of the stored pixels, they refer to the stored pixels, and are rotated together with them. If both sizes are the same
(a square image, a rotation by 180 degrees, or a mirrored image), boxes refer to the upright image.
"""

from __future__ import annotations

import importlib
import io
import os
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from boxwright import boxes as box_math
from boxwright.errors import DataError, UsageError
from boxwright.images.header import Header, parse_header
from boxwright.schemas import Boxes, ImageRef, Sample
from boxwright.storage.filesystem import open_regular


def _pixel_limit() -> int:
    text = os.environ.get("BOXWRIGHT_MAX_PIXELS", "178956970")
    if not text.isdecimal() or not int(text):
        raise UsageError(f"BOXWRIGHT_MAX_PIXELS is {text!r}", "set a whole number, or unset it")
    return int(text)


MAX_PIXELS = _pixel_limit()
"""Images with more pixels are not decoded (by default Pillow's limit against decompression bombs); set
``BOXWRIGHT_MAX_PIXELS`` to allow larger ones."""

if "BOXWRIGHT_MAX_PIXELS" in os.environ:
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS


class MissingDecoderError(DataError):
    """An image may be intact, but the library that decodes its format is not installed."""


class TooManyPixelsError(DataError):
    """An image has more than :data:`MAX_PIXELS`."""


HEIC_INSTALL = "python -m pip install pi-heif"
"""The command that installs the library for HEIC images, which iPhones take."""
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM")  # Pillow opens MPO as JPEG
_ORIENTATION = 0x0112
_AVIF_INSTALL = "python -m pip install 'pillow>=11.3'"
_SKIP = "or leave it out with --on-error skip"
HEIC_REMEDY = f"run: {HEIC_INSTALL}, {_SKIP}"
_REPLACE = "replace the file, or skip it with --on-error skip"
_PART = 1 << 16
"""Pixels of an image with more than 8 bits that are converted at once."""
_TIFF_SIZE = (256, 257)  # ImageWidth, ImageLength
TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The operations that turn the stored pixels of an EXIF orientation upright; 1 needs none."""
_INVERSE = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}


@dataclass(frozen=True)
class DecodedImage:
    """A decoded image, upright, with boxes in its pixels.

    Attributes:
        image: Mode RGB, upright.
        boxes: In the pixels of ``image``.
        header: The header of the file; ``header.orientation`` other than 1 means that the stored pixels were rotated.
        rotated_boxes: Whether the boxes referred to the stored pixels and were rotated with them.
    """

    image: Image.Image
    boxes: Boxes
    header: Header
    rotated_boxes: bool

    def to_annotation(self, xyxy: NDArray[Any]) -> NDArray[np.float64]:
        """Converts boxes, shape (N, 4), from this image's pixels to those of the sample that it was decoded from."""
        width, height = self.header.upright_size
        full = box_math.scale(xyxy, width / self.image.width, height / self.image.height)
        return to_annotation(full, self.header) if self.rotated_boxes else full


def read_header(data: bytes, name: str) -> Header:
    """Reads the size, format and EXIF orientation of an encoded image, without decoding its pixels.

    Raises:
        DataError: The bytes are not an image in a supported format, or it has more than :data:`MAX_PIXELS`.
    """
    header = parse_header(data)
    if header is None:
        with open_image(data, name) as image:
            return header_of(image)
    if header.width * header.height > MAX_PIXELS:
        raise _too_large(name, f"{header.width}x{header.height}")
    return header


def header_of(image: Image.Image) -> Header:
    """Returns the header of an image that Pillow has opened, without decoding its pixels."""
    try:
        # PngImageFile.getexif decodes the whole image if it finds no EXIF before the pixels. Errors in the pixels would
        # look like damaged EXIF here, and load() would not raise them again.
        orientation = Image.Image.getexif(image).get(_ORIENTATION, 1)
    except Exception:  # damaged EXIF is ignored, because the pixels may be intact
        orientation = 1
    valid = isinstance(orientation, int) and 1 <= orientation <= 8
    width, height = image.size
    if isinstance(image, TiffImagePlugin.TiffImageFile):  # Pillow returns the upright size of these
        width, height = (int(image.tag_v2[tag]) for tag in _TIFF_SIZE)
    return Header(width, height, (image.format or "").lower(), orientation if valid else 1)


def open_image(source: bytes | str, name: str) -> Image.Image:
    """Opens an image with Pillow, without decoding its pixels.

    Args:
        source: The encoded image, or the path of a local file.
        name: The name in messages.

    Raises:
        DataError: As :func:`read_header`.
    """
    try:
        formats = _formats(_head(source), name)
        image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=formats)
    except Image.DecompressionBombError:
        raise _too_large(name, "it") from None
    except DataError:
        raise
    except OSError as error:
        if isinstance(source, str) and error.errno is not None:
            raise DataError(name, error.strerror or str(error), "check the path") from None
        empty = os.path.getsize(source) == 0 if isinstance(source, str) else not source
        problem = "the file is empty" if empty else "it cannot be read as an image"
        raise DataError(name, problem, _REPLACE) from None
    except Exception as error:  # decoders raise ValueError, SyntaxError, struct.error and more on hostile bytes
        raise DataError(name, f"it cannot be read as an image ({error})", _REPLACE) from None
    if image.width * image.height > MAX_PIXELS:
        raise _too_large(name, f"{image.width}x{image.height}")
    return image


def _head(source: bytes | str) -> bytes:
    if isinstance(source, bytes):
        return source[:16]
    handle = open_regular(source)
    try:
        return os.read(handle, 16)
    finally:
        os.close(handle)


def _formats(head: bytes, name: str) -> tuple[str, ...]:
    """Returns the formats that an image may have, by its first bytes, so that Pillow loads only what it needs."""
    if head.startswith((b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")):  # ISO/IEC 15444-1, annex I
        return ("JPEG2000",)
    if head[4:8] != b"ftyp":  # ISO/IEC 14496-12, section 4.3
        return _FORMATS
    if head[8:12] not in (b"avif", b"avis"):
        if not reads_heic():
            raise MissingDecoderError(name, "it is a HEIC image, which needs the library pi-heif", HEIC_REMEDY)
        return ("HEIF",)
    Image.init()
    if "AVIF" not in Image.OPEN:
        remedy = f"run: {_AVIF_INSTALL}, {_SKIP}"
        raise MissingDecoderError(name, "it is an AVIF image, which this Pillow cannot read", remedy)
    return ("AVIF",)


@cache
def reads_heic() -> bool:
    """Returns whether HEIC images can be decoded: by ``pi_heif``, or ``pillow_heif``, which also encodes."""
    for library in ("pi_heif", "pillow_heif"):
        try:
            importlib.import_module(library).register_heif_opener()
        except ImportError:
            continue
        return True
    return False


def _too_large(name: str, size: str) -> TooManyPixelsError:
    return TooManyPixelsError(
        name,
        f"{size} is more than {MAX_PIXELS:,} pixels",
        "reduce the image, or set BOXWRIGHT_MAX_PIXELS if you trust it",
    )


def decode_image(data: bytes, name: str, *, at_least: tuple[int, int] | None = None) -> Image.Image:
    """Decodes an image to upright RGB.

    Args:
        data: The encoded image.
        name: The name in messages.
        at_least: The smallest sufficient ``(width, height)``, upright, for decoders that can reduce an image (JPEG to
            1/2, 1/4, 1/8); ``None`` for the full size.

    Returns:
        An image of mode RGB, as returned by :func:`to_rgb`; of an animation, the first frame.

    Raises:
        DataError: The bytes are truncated or corrupt.
    """
    image = open_image(data, name)
    with image:
        orientation = header_of(image).orientation
        if at_least and image.format in ("JPEG", "MPO"):
            image.draft("RGB", at_least[::-1] if orientation >= 5 else at_least)
        try:
            image.load()
        except Exception as error:
            raise DataError(name, f"the image is damaged ({error})", _REPLACE) from None
        rgb = to_rgb(image)
        rotated = orientation != 1 and image.format != "TIFF"  # Pillow has rotated these already
        return rgb.transpose(TRANSPOSE[orientation]) if rotated else rgb


def to_rgb(image: Image.Image) -> Image.Image:
    """Converts a Pillow image to 8-bit RGB; an RGB image is returned unchanged.

    Pillow converts CMYK, and transparent images are placed on white. Gray with more than 8 bits (modes ``I;16``, ``I``,
    ``F``) is scaled linearly from 0..T to 0..255. T is the largest number of 8, 10, 12, 14 or 16 bits, whichever is the
    smallest that includes the lightest pixel, as cameras and scanners store 12 bits in 16. Beyond 16 bits, T is the
    lightest pixel. T is 1 for an ``F`` image without values above 1. Negative values and NaN become black.
    """
    if image.mode.startswith(("I", "F")):
        values = np.asarray(image).reshape(-1)
        gray = np.empty(values.size, np.uint8)
        parts = [slice(start, start + _PART) for start in range(0, values.size, _PART)]
        factor = 255.0 / _white(max((float(_finite(values[part]).max()) for part in parts), default=0.0), image.mode)
        for part in parts:
            gray[part] = np.clip(_finite(values[part]) * factor + 0.5, 0, 255)
        return Image.fromarray(gray.reshape(image.height, image.width)).convert("RGB")
    if "transparency" in image.info or {"A", "a"} & set(image.getbands()):
        layer = image.convert("RGBA")
        background = Image.new("RGB", image.size, (255, 255, 255))
        background.paste(layer, mask=layer.getchannel("A"))
        return background
    return image if image.mode == "RGB" else image.convert("RGB")


def _finite(values: NDArray[Any]) -> NDArray[np.float64]:
    return np.nan_to_num(values.astype(np.float64), copy=False, nan=0.0, posinf=0.0, neginf=0.0)


def _white(lightest: float, mode: str) -> float:
    if mode == "F" and lightest <= 1.0:
        return 1.0
    return next((top for top in (255.0, 1023.0, 4095.0, 16383.0, 65535.0) if lightest <= top), lightest)


def decode_sample(sample: Sample, *, at_least: tuple[int, int] | None = None) -> DecodedImage:
    """Decodes a sample's image, upright, and converts its boxes to the pixels of the decoded image.

    Args:
        sample: The image and its boxes.
        at_least: As in :func:`decode_image`; the image may then be smaller than annotated, with scaled boxes.

    Raises:
        DataError: The image is missing or damaged, or its size is not the annotated one.
    """
    data, header, rotate = read_sample(sample)
    upright, xyxy = header.upright_size, sample.boxes.xyxy
    if rotate:
        xyxy = rotate_boxes(xyxy, header.orientation, (header.width, header.height))
    image = decode_image(data, place_of(sample), at_least=at_least)
    if image.size != upright:
        xyxy = box_math.scale(xyxy, image.width / upright[0], image.height / upright[1])
    boxes = sample.boxes if xyxy is sample.boxes.xyxy else sample.boxes.with_xyxy(xyxy)
    return DecodedImage(image, boxes, header, rotate)


def read_sample(sample: Sample) -> tuple[bytes, Header, bool]:
    """Reads a sample's image, without decoding it.

    Returns:
        The encoded image, its header, and whether the sample's boxes refer to the stored pixels of a rotated image.

    Raises:
        DataError: The image is missing or damaged, or its size is not the annotated one.
    """
    data = sample.image.read()
    header = read_header(data, place_of(sample))
    annotated = sample.image.width, sample.image.height
    rotated = annotated != header.upright_size
    if rotated and annotated != (header.width, header.height):
        raise size_mismatch(sample, header)
    return data, header, rotated


def place_of(sample: Sample) -> str:
    """Returns the image's file, or the annotation file if that contains the image."""
    return sample.image.location or sample.source or sample.image.name


def to_annotation(xyxy: NDArray[Any], header: Header) -> NDArray[np.float64]:
    """Converts boxes, shape (N, 4), from pixels of the upright image to stored pixels."""
    return rotate_boxes(xyxy, _INVERSE[header.orientation], header.upright_size)


def size_mismatch(sample: Sample, header: Header) -> DataError:
    """Returns the error for an image whose size is not the annotated one."""
    return DataError(
        sample.source or sample.image.name,
        f"the annotated size is {sample.image.width}x{sample.image.height}, but the image {sample.image.name}"
        f" is {header.width}x{header.height}",
        "annotate the image again; if only the size is wrong, --with fix:size=picture corrects it",
    )


def rotate_boxes(xyxy: NDArray[Any], orientation: int, stored: tuple[int, int]) -> NDArray[np.float64]:
    """Converts boxes from the stored pixels to the upright image.

    Args:
        xyxy: Shape (N, 4), in stored pixels.
        orientation: EXIF orientation, 1..8.
        stored: ``(width, height)`` of the stored pixels.

    Returns:
        Shape (N, 4), in pixels of the upright image.
    """
    width, height = stored
    x1, y1, x2, y2 = np.asarray(xyxy, dtype=np.float64).reshape(-1, 4).T
    rotated = {
        1: (x1, y1, x2, y2),
        2: (width - x2, y1, width - x1, y2),
        3: (width - x2, height - y2, width - x1, height - y1),
        4: (x1, height - y2, x2, height - y1),
        5: (y1, x1, y2, x2),
        6: (height - y2, x1, height - y1, x2),
        7: (height - y2, width - x2, height - y1, width - x1),
        8: (y1, width - x2, y2, width - x1),
    }[orientation]
    return np.stack(rotated, axis=-1)


def load_pixels(sample: Sample, size: tuple[int, int] | None = None) -> tuple[NDArray[np.uint8], Boxes]:
    """Decodes a sample to an array, shape (height, width, 3), uint8, RGB, upright, and boxes in its pixels.

    Args:
        sample: The image and its boxes.
        size: ``(width, height)`` to resize to, regardless of the aspect ratio; ``None`` for the image's own size.

    Raises:
        DataError: As :func:`decode_sample`.
    """
    decoded = decode_sample(sample, at_least=size)
    image, boxes = decoded.image, decoded.boxes
    if size is not None and image.size != size:
        factors = (size[0] / image.width, size[1] / image.height)
        image = image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
        boxes = boxes.with_xyxy(box_math.scale(boxes.xyxy, *factors))
    return np.asarray(image), boxes


def encode_jpeg(image: Image.Image, quality: int = 90) -> bytes:
    """Encodes an RGB image as JPEG, without EXIF."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def image_ref(path: str, name: str = "") -> ImageRef:
    """Returns a reference to a local image, with its upright size.

    Raises:
        DataError: The file does not exist, or is not an image.
    """
    with open_image(path, path) as image:
        header = header_of(image)
    width, height = header.upright_size
    return ImageRef(
        name=name or os.path.basename(path), width=width, height=height, location=path, format=header.format
    )
