"""Pictures: reading bytes, headers and pixels, with EXIF orientation, odd modes and size limits taken care of.

A photo's EXIF orientation says how to turn the stored pixels for viewing (EXIF 2.32, tag 0x0112). labelImg and most
viewers turn it before boxes are drawn, TensorFlow's decoders do not. boxwright's rule: a sample whose size is that of
the *turned* picture has its boxes in the turned picture; one whose size is that of the stored pixels (and not of the
turned ones) has its boxes in the stored frame, and they are turned together with the pixels. Where both sizes are the
same (a square picture, or one turned by 180 degrees or mirrored), boxes are taken to be in the turned picture.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from boxwright import boxes as box_math
from boxwright.errors import DataError, UsageError
from boxwright.images.header import Header
from boxwright.schemas import Boxes, ImageRef, Sample


def _pixel_limit() -> int:
    text = os.environ.get("BOXWRIGHT_MAX_PIXELS", "178956970")
    if not text.isdecimal() or not int(text):
        raise UsageError(f"BOXWRIGHT_MAX_PIXELS is {text!r}", "give a whole number, or unset it")
    return int(text)


MAX_PIXELS = _pixel_limit()
"""Pictures with more pixels are refused before decoding (Pillow's own limit against decompression bombs); set
``BOXWRIGHT_MAX_PIXELS`` to allow larger ones."""

if "BOXWRIGHT_MAX_PIXELS" in os.environ:
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS

_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM")  # Pillow opens MPO as JPEG
_ORIENTATION = 0x0112
_TIFF_SIZE = (256, 257)  # ImageWidth, ImageLength
TURN = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns the stored pixels of an EXIF orientation upright; 1 needs nothing."""
_UNDO = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}


@dataclass(frozen=True)
class DecodedImage:
    """A decoded picture, upright, with its boxes in its own pixels.

    Attributes:
        image: Mode RGB, upright.
        boxes: In the pixels of ``image``.
        header: What the file says; ``header.orientation`` other than 1 means that the stored pixels were turned.
        turned_boxes: Whether the boxes came in the stored frame and were turned with the pixels.
    """

    image: Image.Image
    boxes: Boxes
    header: Header
    turned_boxes: bool

    def to_annotation(self, xyxy: NDArray[Any]) -> NDArray[np.float64]:
        """Boxes in this picture's pixels, shape (N, 4), in the frame of the sample that it was opened from."""
        width, height = self.header.upright_size
        full = box_math.scale(xyxy, width / self.image.width, height / self.image.height)
        if not self.turned_boxes:
            return full
        return turn_boxes(full, _UNDO[self.header.orientation], (width, height))


def read_header(data: bytes, name: str) -> Header:
    """Size, format and EXIF orientation of an encoded picture, without decoding its pixels.

    Raises:
        DataError: The bytes are no picture that boxwright reads, or it has more than :data:`MAX_PIXELS`.
    """
    with open_image(data, name) as image:
        return header_of(image)


def header_of(image: Image.Image) -> Header:
    """What the header of a picture says that Pillow has opened; its pixels are not decoded."""
    try:
        # PngImageFile.getexif decodes the whole picture where it finds no EXIF before the pixels, and what that raises
        # would be taken for damaged EXIF here and not raised again by load().
        orientation = Image.Image.getexif(image).get(_ORIENTATION, 1)
    except Exception:  # EXIF that is damaged says nothing; the pixels may be whole all the same
        orientation = 1
    valid = isinstance(orientation, int) and 1 <= orientation <= 8
    width, height = image.size
    if isinstance(image, TiffImagePlugin.TiffImageFile):  # Pillow gives the turned size of these
        width, height = (int(image.tag_v2[tag]) for tag in _TIFF_SIZE)
    return Header(width, height, (image.format or "").lower(), orientation if valid else 1)


def open_image(source: bytes | str, name: str) -> Image.Image:
    """Opens a picture with Pillow, its pixels not decoded yet.

    Args:
        source: The encoded picture, or the path of a local file.
        name: For messages.

    Raises:
        DataError: As :func:`read_header`.
    """
    try:
        image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=_FORMATS)
    except Image.DecompressionBombError:
        raise _too_large(name, "it") from None
    except OSError as error:
        if isinstance(source, str) and error.errno is not None:
            raise DataError(name, error.strerror or str(error), "check the path") from None
        empty = os.path.getsize(source) == 0 if isinstance(source, str) else not source
        what = "the file is empty" if empty else "it is no picture that can be read"
        raise DataError(name, what, "replace the file, or leave it out with --on-error skip") from None
    except Exception as error:  # decoders raise ValueError, SyntaxError, struct.error and more on hostile bytes
        raise DataError(
            name,
            f"it is no picture that can be read ({error})",
            "replace the file, or leave it out with --on-error skip",
        ) from None
    if image.width * image.height > MAX_PIXELS:
        raise _too_large(name, f"{image.width}x{image.height}")
    return image


def _too_large(name: str, what: str) -> DataError:
    return DataError(
        name,
        f"{what} is more than {MAX_PIXELS:,} pixels",
        "make it smaller, or set BOXWRIGHT_MAX_PIXELS if you trust it",
    )


def decode_image(data: bytes, name: str, *, at_least: tuple[int, int] | None = None) -> Image.Image:
    """Decodes a picture to upright RGB.

    Args:
        data: The encoded picture.
        name: For messages.
        at_least: ``(width, height)``, upright, below which the decoder must not go when it can decode at a reduced
            size (JPEG at 1/2, 1/4, 1/8); ``None`` for the full size.

    Returns:
        Mode RGB, as :func:`to_rgb` makes it; only the first frame of an animation is used.

    Raises:
        DataError: Truncated or corrupt bytes.
    """
    image = open_image(data, name)
    with image:
        orientation = header_of(image).orientation
        if at_least and image.format in ("JPEG", "MPO"):
            image.draft("RGB", at_least[::-1] if orientation >= 5 else at_least)
        try:
            image.load()
        except Exception as error:
            raise DataError(
                name, f"the picture is damaged ({error})", "replace the file, or leave it out with --on-error skip"
            ) from None
        rgb = to_rgb(image)
        turned = orientation != 1 and image.format != "TIFF"  # Pillow has turned these already
        return rgb.transpose(TURN[orientation]) if turned else rgb


def to_rgb(image: Image.Image) -> Image.Image:
    """Any Pillow picture as 8-bit RGB; the same object where it is that already.

    CMYK is converted by Pillow and transparency is laid on white. Grey with more than 8 bits (modes ``I;16``, ``I``,
    ``F``) is scaled linearly from 0..T to 0..255, where T is what the fewest of 8, 10, 12, 14 or 16 bits can hold
    that hold the lightest pixel, as cameras and scanners keep 12 bits in 16; beyond 16 bits T is the lightest pixel,
    and 1 where an ``F`` picture has nothing above 1. Below 0 and not a number is black.
    """
    if image.mode.startswith(("I", "F")):
        values = np.nan_to_num(np.asarray(image, dtype=np.float64), nan=0.0, posinf=0.0, neginf=0.0)
        scaled = np.clip(values * (255.0 / _white(values, image.mode)) + 0.5, 0, 255)
        return Image.fromarray(scaled.astype(np.uint8)).convert("RGB")
    if "transparency" in image.info or {"A", "a"} & set(image.getbands()):
        layer = image.convert("RGBA")
        paper = Image.new("RGB", image.size, (255, 255, 255))
        paper.paste(layer, mask=layer.getchannel("A"))
        return paper
    return image if image.mode == "RGB" else image.convert("RGB")


def _white(values: NDArray[np.float64], mode: str) -> float:
    lightest = float(values.max(initial=0.0))
    if mode == "F" and lightest <= 1.0:
        return 1.0
    return next((top for top in (255.0, 1023.0, 4095.0, 16383.0, 65535.0) if lightest <= top), lightest)


def decode_sample(sample: Sample, *, at_least: tuple[int, int] | None = None) -> DecodedImage:
    """Decodes a sample's picture, upright, and brings its boxes into the decoded picture's pixels.

    Args:
        sample: The picture and its boxes.
        at_least: As in :func:`decode_image`; with it the picture may be smaller than the sample says, boxes scaled too.

    Raises:
        DataError: The picture is missing or damaged, or its size is not what the annotation says.
    """
    ref = sample.image
    place = ref.location or sample.source or ref.name
    data = ref.read()
    header = read_header(data, place)
    stored, upright = (header.width, header.height), header.upright_size
    annotated = (ref.width, ref.height)
    edges = sample.boxes.xyxy
    turn = annotated != upright
    if turn and annotated == stored:
        edges = turn_boxes(edges, header.orientation, stored)
    elif turn:
        raise size_mismatch(sample, header)
    image = decode_image(data, place, at_least=at_least)
    if image.size != upright:
        edges = box_math.scale(edges, image.width / upright[0], image.height / upright[1])
    boxes = sample.boxes if edges is sample.boxes.xyxy else sample.boxes.with_xyxy(edges)
    return DecodedImage(image, boxes, header, turn)


def size_mismatch(sample: Sample, header: Header) -> DataError:
    """The error for a picture whose size is not what its annotation says."""
    return DataError(
        sample.source or sample.image.name,
        f"the annotation says {sample.image.width}x{sample.image.height} and the picture {sample.image.name}"
        f" is {header.width}x{header.height}",
        "annotate the picture again; if the boxes fit it as it is, --with fix:size=picture corrects the size",
    )


def turn_boxes(xyxy: NDArray[Any], orientation: int, stored: tuple[int, int]) -> NDArray[np.float64]:
    """Boxes of the stored pixels, in the picture as EXIF orientation turns it.

    Args:
        xyxy: Shape (N, 4), pixels of the stored picture.
        orientation: EXIF orientation, 1..8.
        stored: ``(width, height)`` of the stored picture.

    Returns:
        Shape (N, 4), pixels of the upright picture.
    """
    width, height = stored
    x1, y1, x2, y2 = np.asarray(xyxy, dtype=np.float64).reshape(-1, 4).T
    turned = {
        1: (x1, y1, x2, y2),
        2: (width - x2, y1, width - x1, y2),
        3: (width - x2, height - y2, width - x1, height - y1),
        4: (x1, height - y2, x2, height - y1),
        5: (y1, x1, y2, x2),
        6: (height - y2, x1, height - y1, x2),
        7: (height - y2, width - x2, height - y1, width - x1),
        8: (y1, width - x2, y2, width - x1),
    }[orientation]
    return np.stack(turned, axis=-1)


def load_pixels(sample: Sample, size: tuple[int, int] | None = None) -> tuple[NDArray[np.uint8], Boxes]:
    """A sample as an array: shape (height, width, 3), uint8, RGB, upright, and its boxes in those pixels.

    Args:
        sample: The picture and its boxes.
        size: ``(width, height)`` to resize to (aspect ratio is not kept); ``None`` for the picture's own size.

    Raises:
        DataError: As :func:`decode_sample`.
    """
    picture = decode_sample(sample, at_least=size)
    image, boxes = picture.image, picture.boxes
    if size is not None and image.size != size:
        factors = (size[0] / image.width, size[1] / image.height)
        image = image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
        boxes = boxes.with_xyxy(box_math.scale(boxes.xyxy, *factors))
    return np.asarray(image), boxes


def encode_jpeg(image: Image.Image, quality: int = 90) -> bytes:
    """An RGB picture as JPEG bytes, without EXIF."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def image_ref(path: str, name: str = "") -> ImageRef:
    """One local picture by reference, with its upright size.

    Raises:
        DataError: It is not there or is no picture.
    """
    with open_image(path, path) as image:
        header = header_of(image)
    width, height = header.upright_size
    return ImageRef(
        name=name or os.path.basename(path), width=width, height=height, location=path, format=header.format
    )
