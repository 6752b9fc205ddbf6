"""The step ``resize``: pictures and boxes at another size."""

from __future__ import annotations

import io
import re
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from boxwright import ImageRef, Sample, UsageError
from boxwright.images import MAX_PIXELS, Header, encode_jpeg, open_picture, read_header, size_mismatch, turn_boxes

_GREY = (114, 114, 114)
"""What ``fit=pad`` fills up with: the grey that letterboxed training pictures commonly have."""

_SUFFIXES = {"jpeg": (".jpg", ".jpeg", ".jpe", ".jfif"), "png": (".png",)}
"""The endings of the two formats that are written; the first is given to pictures that had another."""


class Resize:
    """The step ``resize:800x600``.

    A JPEG photo is decoded at a half, a quarter or an eighth of its size where that is enough. PNG stays PNG, all else
    becomes JPEG and gets the ending ``.jpg``; both in 8-bit RGB. EXIF orientation is applied to pixels and boxes, and
    the written picture has no EXIF. A picture that has the wanted size already, and is upright, is handed on byte for
    byte.

    Args:
        size: ``"WIDTHxHEIGHT"`` in pixels, of the upright picture.
        fit: ``"stretch"`` to exactly ``size``, ``"inside"`` to the largest size of the same shape within it, ``"pad"``
            to that with grey added evenly on both sides up to ``size``.
        only_larger: Whether pictures that are within ``size`` already are handed on as they are.
        quality: Of JPEG, 1 to 95, as Pillow counts it.

    Raises:
        UsageError: An option is out of range.
    """

    per_sample = True
    keeps_labels = True

    def __init__(self, size: str, fit: str = "stretch", only_larger: bool = False, quality: int = 90) -> None:
        self.size = _parse_size(size)
        if fit not in ("stretch", "inside", "pad"):
            raise UsageError(f"resize: fit={fit!r}", "give stretch, inside or pad")
        if not 1 <= quality <= 95:
            raise UsageError(f"resize: quality={quality}", "give 1 to 95")
        self.fit = fit
        self.only_larger = only_larger
        self.quality = quality
        self._lock = threading.Lock()
        # By name, since a conversion may read its source more than once.
        self._done: dict[str, frozenset[str]] = {}

    def __call__(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Yields each sample with its picture resized and in memory.

        Raises:
            DataError: A picture is missing, damaged, or not of the size that its annotation says.
        """
        return map(self._resized, samples)

    def notes(self) -> list[str]:
        """What was done, and what a person may want to know of it."""
        with self._lock:
            counts = Counter(what for done in self._done.values() for what in done)
        said = []
        for what, text in (
            ("resized", "resized to {}"),
            ("kept", "left as they were"),
            ("turned", "turned upright, pixels and boxes, as their EXIF orientation says"),
            ("renamed", "written as JPEG under a name that ends in .jpg"),
        ):
            if counts[what]:
                how = {"stretch": "", "inside": "within ", "pad": "exactly "}[self.fit] + "{}x{}".format(*self.size)
                said.append(f"{counts[what]} {'picture' if counts[what] == 1 else 'pictures'} {text.format(how)}")
        return said

    def _resized(self, sample: Sample) -> Sample:
        data = sample.image.read()
        header = read_header(data, sample.image.location or sample.source or sample.image.name)
        edges = _upright_edges(sample, header)
        upright = header.upright_size
        inner, outer = self._sizes(upright)
        fits = upright == outer or (self.only_larger and upright[0] <= self.size[0] and upright[1] <= self.size[1])
        if fits and (header.orientation == 1 or self.only_larger):
            self._note(sample, {"kept"})
            return sample
        held = sample.replace(image=sample.image.model_copy(update={"data": data}))
        image = open_picture(held, at_least=inner).image
        if image.size != inner:
            image = image.resize(inner, Image.Resampling.LANCZOS, reducing_gap=3.0)
        left, top = (outer[0] - inner[0]) // 2, (outer[1] - inner[1]) // 2
        if outer != inner:
            framed = Image.new("RGB", outer, _GREY)
            framed.paste(image, (left, top))
            image = framed
        # Times before through: an edge at the picture's border must come out exactly there.
        moved = edges * (inner * 2) / (upright * 2) + (left, top, left, top)
        form = "png" if header.format == "png" else "jpeg"
        name = _renamed(sample.image.name, form)
        done = {"resized"} | ({"turned"} if header.orientation != 1 else set())
        self._note(sample, done | ({"renamed"} if name != sample.image.name else set()))
        reference = ImageRef(name=name, width=outer[0], height=outer[1], data=self._encoded(image, form), format=form)
        return sample.replace(image=reference, boxes=sample.boxes.with_xyxy(moved))

    def _sizes(self, upright: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
        """The sizes of the scaled picture, and of the result with its frame."""
        if self.fit == "stretch":
            return self.size, self.size
        (width, height), (most_wide, most_high) = upright, self.size
        if width * most_high >= height * most_wide:
            inner = (most_wide, max(1, round(height * most_wide / width)))
        else:
            inner = (max(1, round(width * most_high / height)), most_high)
        return inner, self.size if self.fit == "pad" else inner

    def _encoded(self, image: Image.Image, form: str) -> bytes:
        if form == "jpeg":
            return encode_jpeg(image, self.quality)
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        return buffer.getvalue()

    def _note(self, sample: Sample, done: set[str]) -> None:
        with self._lock:
            self._done[sample.image.name] = frozenset(done)


def _parse_size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"\s*(\d{1,6})\s*[xX×]\s*(\d{1,6})\s*", str(text))
    size = (int(match[1]), int(match[2])) if match else (0, 0)
    if min(size) < 1:
        raise UsageError(f"resize: the size is {text!r}", "write WIDTHxHEIGHT in pixels, such as resize:800x600")
    if size[0] * size[1] > MAX_PIXELS:
        raise UsageError(f"resize: {text} is more than {MAX_PIXELS:,} pixels", "give a smaller size")
    return size


def _upright_edges(sample: Sample, header: Header) -> NDArray[np.float64]:
    """The boxes in the upright picture at its full size, by the rule of :mod:`boxwright.images`."""
    annotated = (sample.image.width, sample.image.height)
    if annotated == header.upright_size:
        return sample.boxes.xyxy
    stored = (header.width, header.height)
    if annotated == stored:
        return turn_boxes(sample.boxes.xyxy, header.orientation, stored)
    raise size_mismatch(sample, header)


def _renamed(name: str, form: str) -> str:
    path = PurePosixPath(name)
    return name if path.suffix.lower() in _SUFFIXES[form] else str(path.with_suffix(_SUFFIXES[form][0]))
