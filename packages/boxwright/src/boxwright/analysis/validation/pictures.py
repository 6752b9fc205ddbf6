"""What can be wrong with one picture: missing, damaged, of another size, turned, or of an unusual kind."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field

from PIL import Image

from boxwright.analysis.validation.checks import Problem
from boxwright.errors import DataError
from boxwright.images.decode import TURN, header_of, open_image, size_mismatch
from boxwright.images.header import Header
from boxwright.images.similarity import MIN_SIZE, difference_hash
from boxwright.schemas import ImageRef, Sample
from boxwright.storage.filesystem import read_file
from boxwright.storage.uri import is_remote

_DEEP = ("I", "F")


@dataclass
class Look:
    """What one look at a picture gave.

    Attributes:
        problems: What is wrong with it.
        digest: SHA-256 of its bytes; empty where it was not decoded.
        likeness: Its :func:`boxwright.images.difference_hash`; 0 where there is none.
    """

    problems: list[Problem] = field(default_factory=list)
    digest: bytes = b""
    likeness: int = 0


def place_of(sample: Sample) -> str:
    """The picture's file, or where the annotation is if the picture lies in it."""
    return sample.image.location or sample.source or sample.image.name


def look(sample: Sample, *, decode: bool = True) -> Look:
    """Looks at a sample's picture.

    A JPEG is decoded at an eighth of its size: that reads all of its data and notices all that full decoding does, in
    less time.

    Args:
        sample: The picture, and the size that the annotation says.
        decode: Whether the pixels are decoded too; else only the header is looked at.
    """
    ref, place = sample.image, place_of(sample)
    if ref.data is None and not ref.location:
        problem = f"the picture {ref.name} is not there"
        return Look([Problem("missing_picture", sample.source or ref.name, problem)])
    try:
        source = _source(ref, whole=decode)
        if source is None:
            return Look([Problem("missing_picture", place, "there is no such picture")])
        with open_image(source, place) as image:
            header = header_of(image)
            found = Look([*_size_problems(sample, header), *_kind_problems(image, place)])
            if decode and isinstance(source, bytes):
                found.likeness = _likeness(image, header, place)
                found.digest = hashlib.sha256(source).digest()
            return found
    except DataError as error:
        return Look([Problem("damaged_picture", place, error.problem)])


def _source(ref: ImageRef, *, whole: bool) -> bytes | str | None:
    """The picture's bytes, or its path where a part of them will do; ``None`` where there is no such file."""
    if ref.data is not None or ref.location is None:
        return ref.data
    if whole or is_remote(ref.location):
        return read_file(ref.location)
    return ref.location if os.path.exists(ref.location) else None


def _load(image: Image.Image, place: str) -> None:
    try:
        image.load()
    except Exception as error:  # as many kinds as there are decoders
        raise DataError(place, f"the picture is damaged ({error})") from None


def _likeness(image: Image.Image, header: Header, place: str) -> int:
    """Decodes a picture and gives its hash.

    Raises:
        DataError: It is truncated or corrupt.
    """
    if image.format in ("JPEG", "MPO"):
        upright = header.upright_size == (header.width, header.height)
        image.draft("L", MIN_SIZE if upright else MIN_SIZE[::-1])
    _load(image, place)
    turned = header.orientation != 1 and image.format != "TIFF"  # Pillow has turned these already
    return difference_hash(image.transpose(TURN[header.orientation]) if turned else image)


def _size_problems(sample: Sample, header: Header) -> list[Problem]:
    place = place_of(sample)
    annotated = (sample.image.width, sample.image.height)
    stored, upright = (header.width, header.height), header.upright_size
    if annotated not in (stored, upright):
        text = size_mismatch(sample, header).problem
        swapped = "; width and height are exchanged" if annotated == upright[::-1] else ""
        return [Problem("size_mismatch", sample.source or place, text + swapped)]
    if header.orientation == 1:
        return []
    said = f"EXIF orientation {header.orientation}"
    if stored == upright:
        return [Problem("ambiguous_frame", place, f"{said}, and the picture is {_size(stored)} either way")]
    if annotated == upright:
        return [Problem("turned_picture", place, f"{said}: {_size(stored)} as stored, annotated as {_size(upright)}")]
    return [Problem("stored_frame", place, f"{said}: shown as {_size(upright)}, annotated as stored, {_size(stored)}")]


def _kind_problems(image: Image.Image, place: str) -> list[Problem]:
    kinds = []
    if image.mode == "CMYK":
        kinds.append("CMYK, for printing")
    if image.mode.startswith(_DEEP):
        kinds.append(f"more than 8 bits a pixel and channel (mode {image.mode})")
    if "transparency" in image.info or {"A", "a"} & set(image.getbands()):
        kinds.append("transparent; laid on white")
    if _has_frames(image):
        kinds.append("several frames; the first is taken")
    return [Problem("unusual_picture", place, kind) for kind in kinds]


def _has_frames(image: Image.Image) -> bool:
    if image.format == "MPO":  # the second picture is a preview, or the other eye's
        return False
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # some formats look into the next frame, which may be damaged; the first need not be
        return True


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
