"""Checks of one image: missing, damaged, of another size, rotated, or of an unusual kind."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field

from PIL import Image

from boxwright.analysis.validation.checks import Problem
from boxwright.errors import DataError
from boxwright.images.decode import TRANSPOSE, MissingDecoderError, header_of, open_image, place_of, size_mismatch
from boxwright.images.header import Header
from boxwright.images.similarity import MIN_SIZE, difference_hash
from boxwright.schemas import ImageRef, Sample
from boxwright.storage.filesystem import MAX_IMAGE_BYTES, read_file
from boxwright.storage.uri import is_remote

_DEEP = ("I", "F")


@dataclass
class ImageCheck:
    """The result of checking an image.

    Attributes:
        problems: The problems.
        digest: SHA-256 of its bytes; empty if it was not decoded.
        difference_hash: Its :func:`boxwright.images.difference_hash`; 0 if it was not decoded or has no contrast.
    """

    problems: list[Problem] = field(default_factory=list)
    digest: bytes = b""
    difference_hash: int = 0


def check_image(sample: Sample, *, decode: bool = True) -> ImageCheck:
    """Checks a sample's image.

    A JPEG is decoded at 1/8 of its size, which reads all of its data and detects the same damage in less time.

    Args:
        sample: The image, and its annotated size.
        decode: Whether to decode the pixels; if false, only the header is read.
    """
    ref, place = sample.image, place_of(sample)
    if ref.data is None and not ref.location:
        problem = f"the image {ref.name} is missing"
        return ImageCheck([Problem("missing_picture", sample.source or ref.name, problem)])
    try:
        source = _source(ref, whole=decode)
        if source is None:
            return ImageCheck([Problem("missing_picture", place, "file not found")])
        with open_image(source, place) as image:
            header = header_of(image)
            found = ImageCheck([*_size_problems(sample, header), *_kind_problems(image, place)])
            if decode and isinstance(source, bytes):
                found.difference_hash = _decoded_hash(image, header, place)
                found.digest = hashlib.sha256(source).digest()
            return found
    except MissingDecoderError as error:
        return ImageCheck([Problem.of("undecoded_picture", error)])
    except DataError as error:
        return ImageCheck([Problem("damaged_picture", place, error.problem)])


def _source(ref: ImageRef, *, whole: bool) -> bytes | str | None:
    """Returns the image's bytes, or its path if the header is enough; ``None`` if the file does not exist."""
    if ref.data is not None or ref.location is None:
        return ref.data
    if whole or is_remote(ref.location):
        return read_file(ref.location, limit=MAX_IMAGE_BYTES)
    return ref.location if os.path.exists(ref.location) else None


def _load(image: Image.Image, place: str) -> None:
    try:
        image.load()
    except Exception as error:  # each decoder raises its own kind
        raise DataError(place, f"the image is damaged ({error})") from None


def _decoded_hash(image: Image.Image, header: Header, place: str) -> int:
    """Decodes an image and returns its difference hash.

    Raises:
        DataError: The image is truncated or corrupt.
    """
    if image.format in ("JPEG", "MPO"):
        upright = header.upright_size == (header.width, header.height)
        image.draft("L", MIN_SIZE if upright else MIN_SIZE[::-1])
    _load(image, place)
    rotated = header.orientation != 1 and image.format != "TIFF"  # Pillow has rotated these already
    return difference_hash(image.transpose(TRANSPOSE[header.orientation]) if rotated else image)


def _size_problems(sample: Sample, header: Header) -> list[Problem]:
    place = place_of(sample)
    annotated = (sample.image.width, sample.image.height)
    stored, upright = (header.width, header.height), header.upright_size
    if annotated not in (stored, upright):
        text = size_mismatch(sample, header).problem
        swapped = "; width and height are swapped" if annotated == upright[::-1] else ""
        return [Problem("size_mismatch", sample.source or place, text + swapped)]
    if header.orientation == 1:
        return []
    if stored == upright:
        check, sizes = "ambiguous_frame", f"{_size(stored)} either way"
    elif annotated == upright:
        check, sizes = "turned_picture", f"stored as {_size(stored)}, annotated as {_size(upright)}"
    else:
        check, sizes = "stored_frame", f"shown as {_size(upright)}, stored and annotated as {_size(stored)}"
    return [Problem(check, place, f"EXIF orientation {header.orientation}: {sizes}")]


def _kind_problems(image: Image.Image, place: str) -> list[Problem]:
    kinds = []
    if image.mode == "CMYK":
        kinds.append("CMYK, for printing")
    if image.mode.startswith(_DEEP):
        kinds.append(f"more than 8 bits per channel (mode {image.mode})")
    if "transparency" in image.info or {"A", "a"} & set(image.getbands()):
        kinds.append("transparent; placed on white")
    if _has_frames(image):
        kinds.append("several frames; only the first is used")
    return [Problem("unusual_picture", place, kind) for kind in kinds]


def _has_frames(image: Image.Image) -> bool:
    if image.format == "MPO":  # the other images are previews, or views of the other eye
        return False
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # some formats read the next frame, which may be damaged
        return True


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
