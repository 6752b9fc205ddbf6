"""Detectors that need only numpy, Pillow and the runtime of their network.

A network is a function from images to boxes and scores of all its anchors. What surrounds it is data: how an image
becomes its input (:class:`InputSettings`) and how detections are chosen (:class:`DecoderSettings`). So one network can
run in any runtime, and detections differ only by the arithmetic of that runtime.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from boxwright.boxes import scale
from boxwright.datasets.parallel import map_samples
from boxwright.errors import DataError, RunError
from boxwright.images.decode import (
    DecodedImage,
    decode_image,
    decode_sample,
    open_image,
    place_of,
    read_sample,
    to_annotation,
)
from boxwright.images.header import Header
from boxwright.label_map import LabelMap
from boxwright.models.decoder import DecoderSettings, Floats, Found, choose_detections
from boxwright.schemas import Detections, Sample

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True)
class InputSettings:
    """How an image becomes the input of a network.

    An image is first reduced, with its aspect ratio, to ``oversample`` times the size of the input, as training caches
    it, and then resized to the input, which may change the aspect ratio.

    Attributes:
        width: The width of the input in pixels.
        height: The height of the input in pixels.
        oversample: The multiple of the size to which images are reduced first, at least 1.
        resize: The method. ``antialias`` is the one above; ``bilinear`` resizes the whole image as
            ``tf.compat.v1.image.resize_bilinear`` does, with the TensorFlow Object Detection API.
        jpeg: How the run decodes a JPEG: ``accurate``, or ``fast``, TensorFlow's default, which differs by a few gray
            levels. Runtimes without such a decoder decode accurately.
    """

    width: int
    height: int
    oversample: float = 1.0
    resize: str = "antialias"
    jpeg: str = "accurate"

    @property
    def reduced_size(self) -> tuple[int, int] | None:
        """The width and height that a reduced image covers; ``None`` if images are not reduced."""
        if self.resize != "antialias":
            return None
        return round(self.width * self.oversample), round(self.height * self.oversample)

    def __call__(self, image: Image.Image) -> Floats:
        """Returns the input for an RGB image: ``(height, width, 3)`` float32, 0 to 255."""
        from PIL import Image

        if self.reduced_size is None:
            return resize_bilinear(np.asarray(image), (self.height, self.width))
        # Pillow's filter for "F", single precision, has the weights of tf.image.resize(..., antialias=True).
        bands = (band.convert("F") for band in shrink(image, self.reduced_size).split())
        size = self.width, self.height
        return np.stack([np.asarray(band.resize(size, Image.Resampling.BILINEAR)) for band in bands], axis=-1)

    def to_dict(self) -> dict[str, float | int | str]:
        """Returns the settings as JSON values."""
        return asdict(self)


class PortableModel:
    """A detector made of a network in any runtime and the settings around it.

    Args:
        label_map: The classes, in the order of the network's scores.
        inputs: How an image becomes the input.
        detect: From images ``(1, height, width, 3)`` float32, 0 to 255, to the detections. For a network without
            suppression, :class:`Suppressed` does the rest.
    """

    def __init__(self, label_map: LabelMap, inputs: InputSettings, detect: Callable[[Floats], Found]) -> None:
        self.label_map = label_map
        self.inputs = inputs
        self.detect = detect
        self._names = np.array(label_map.names, dtype=object)

    @property
    def decoder(self) -> DecoderSettings:
        """How detections are chosen; the defaults for a network with its own suppression."""
        return self.detect.decoder if isinstance(self.detect, Suppressed | Reduced) else DecoderSettings()

    @property
    def is_raw(self) -> bool:
        """Whether the predictions before suppression can be chosen from."""
        return isinstance(self.detect, Suppressed)

    def with_decoder(self, decoder: DecoderSettings) -> PortableModel:
        """Returns the model with another choice of detections; from a network with its own suppression, only fewer."""
        detect = self.detect
        if isinstance(detect, Suppressed):
            return PortableModel(self.label_map, self.inputs, Suppressed(detect.network, detect.inputs, decoder))
        network = detect.network if isinstance(detect, Reduced) else detect
        return PortableModel(self.label_map, self.inputs, Reduced(network, decoder))

    def predict(self, samples: Iterable[Sample], *, batch_size: int = 8, score: float = 0.0) -> Iterator[Detections]:
        """Yields one ``Detections`` per sample, in order; images run through the network one by one.

        Raises:
            DataError: An image cannot be read.
            RunError: The network returns something other than boxes and scores.
        """
        for sample, decoded, pixels in map_samples(self._prepare, samples, _raise, workers=os.cpu_count() or 1):
            found = _checked(self.detect(pixels[None]))
            sure = found.scores >= score
            factors = decoded.image.width / self.inputs.width, decoded.image.height / self.inputs.height
            boxes = decoded.to_annotation(scale(found.boxes[sure], *factors))
            labels = self._names[found.classes[sure]].tolist()
            yield Detections.from_arrays(sample.image, labels, boxes, found.scores[sure])

    def forward(self, images: Floats) -> Any:
        """Runs the network alone; one that contains the suppression returns the detections."""
        return self.detect.network(images) if isinstance(self.detect, Suppressed | Reduced) else self.detect(images)

    def _prepare(self, sample: Sample) -> tuple[Sample, DecodedImage, Floats]:
        decoded = decode_sample(sample.replace(boxes=()), at_least=self.inputs.reduced_size)
        return sample, decoded, self.inputs(decoded.image)


class ServedModel:
    """A detector that reads image files itself.

    Args:
        label_map: The classes, in the order of the network's classes.
        detect: From a JPEG or PNG file to the detections, with boxes in pixels of the upright image. It raises a
            ``ValueError`` if the file is damaged.
    """

    def __init__(self, label_map: LabelMap, detect: Callable[[bytes], Found]) -> None:
        self.label_map = label_map
        self.detect = detect
        self._names = np.array(label_map.names, dtype=object)

    def predict(self, samples: Iterable[Sample], *, batch_size: int = 8, score: float = 0.0) -> Iterator[Detections]:
        """Yields one ``Detections`` per sample, in order; images run through the network one by one.

        Raises:
            DataError: An image cannot be read.
            RunError: The network returns something other than boxes and scores.
        """
        for sample in samples:
            data, header, rotated = read_sample(sample)
            place = place_of(sample)
            try:
                detected = self.detect(_servable(data, header, place))
            except ValueError as error:
                raise DataError(place, f"the image is damaged ({error})", "replace the file") from None
            found = _checked(detected)
            sure = found.scores >= score
            boxes = found.boxes[sure]
            labels = self._names[found.classes[sure]].tolist()
            yield Detections.from_arrays(
                sample.image, labels, to_annotation(boxes, header) if rotated else boxes, found.scores[sure]
            )


def _servable(data: bytes, header: Header, place: str) -> bytes:
    """Returns an image as a JPEG or PNG of 8 bits per channel, as servers decode it."""
    if header.format in ("jpeg", "mpo") or (header.format == "png" and header.orientation == 1):
        with open_image(data, place) as image:
            if image.mode in _SERVED_MODES:
                return data
    buffer = io.BytesIO()
    decode_image(data, place).save(buffer, "PNG", compress_level=0)
    return buffer.getvalue()


_SERVED_MODES = ("RGB", "L", "P", "RGBA", "LA", "1")


class Suppressed:
    """A network with the suppression that follows it.

    Args:
        network: From images ``(1, height, width, 3)`` to boxes ``(1, N, 4)`` float32, ``xyxy`` in pixels of the input,
            and scores ``(1, N, classes)`` float32, 0 to 1.
        inputs: The size of the input, to which boxes are clipped.
        decoder: How detections are chosen.
    """

    def __init__(
        self, network: Callable[[Floats], Sequence[Floats]], inputs: InputSettings, decoder: DecoderSettings
    ) -> None:
        self.network = network
        self.inputs = inputs
        self.decoder = decoder

    def __call__(self, images: Floats) -> Found:
        """Returns the detections in one image."""
        boxes, scores = self.network(images)
        return select_detections(boxes[0], scores[0], self.inputs, self.decoder)


class Reduced:
    """A network with its own suppression, of whose detections some are chosen.

    Args:
        network: From images ``(1, height, width, 3)`` to detections in any order.
        decoder: How detections are chosen among them.
    """

    def __init__(self, network: Callable[[Floats], Found], decoder: DecoderSettings) -> None:
        self.network = network
        self.decoder = decoder

    def __call__(self, images: Floats) -> Found:
        """Returns the detections in one image."""
        return choose_detections(*self.network(images), self.decoder)


def _checked(detected: Found) -> Found:
    """Returns detections without rounding errors.

    Raises:
        RunError: Scores are not from 0 to 1, or boxes have a negative size.
    """
    boxes, scores = detected.boxes, detected.scores
    if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
        raise RunError("the network returned NaN or infinite numbers", _EXPORT_AGAIN)
    if len(scores) and not -_ROUNDING <= scores.min() <= scores.max() <= 1 + _ROUNDING:
        raise RunError(
            f"the network returned scores from {scores.min():g} to {scores.max():g}, not 0 to 1", _EXPORT_AGAIN
        )
    if (boxes[:, 2:] < boxes[:, :2] - 1).any():
        raise RunError("the network returned boxes with a negative size", _EXPORT_AGAIN)
    corners = np.concatenate([boxes[:, :2], np.maximum(boxes[:, 2:], boxes[:, :2])], axis=1)
    return Found(corners, np.clip(scores, 0, 1), detected.classes)


_ROUNDING = 0.01
_EXPORT_AGAIN = "export the model again, with boxes as xyxy and scores from 0 to 1"


def select_detections(boxes: Floats, scores: Floats, inputs: InputSettings, settings: DecoderSettings) -> Found:
    """Chooses detections among the predictions of a network for one image.

    The best scores of all anchors and classes enter the suppression of :func:`choose_detections`.

    Args:
        boxes: ``(N, 4)``, ``xyxy`` in pixels of the input.
        scores: ``(N, classes)``, 0 to 1.
        inputs: The size of the input, to which boxes are clipped.
        settings: The settings of the decoder.

    """
    flat = scores.reshape(-1)
    places = np.flatnonzero(flat > settings.score_threshold)
    if len(places) > settings.pre_nms:
        places = places[np.argpartition(-flat[places], settings.pre_nms - 1)[: settings.pre_nms]]
    places = places[np.argsort(-flat[places], kind="stable")]
    rows, classes = np.divmod(places, scores.shape[1])
    limits = np.array([inputs.width, inputs.height] * 2, np.float32)
    candidates = np.clip(boxes[rows], 0, limits) if settings.clips_first else boxes[rows]
    found = choose_detections(candidates, flat[places], classes, settings)
    return found._replace(boxes=np.clip(found.boxes, 0, limits))


def resize_bilinear(pixels: NDArray[Any], size: tuple[int, int]) -> Floats:
    """Returns an image stretched as ``tf.compat.v1.image.resize_bilinear`` does without ``half_pixel_centers``.

    The value at ``row * old / new`` and
    ``column * old / new``, from the four pixels around it (tensorflow/core/kernels/image/resize_bilinear_op.cc).

    Args:
        pixels: ``(height, width, 3)``.
        size: The new height and width.

    Returns:
        float32 of the new size.
    """
    (rows, below, down), (columns, right, across) = (
        _between(old, new) for old, new in zip(pixels.shape, size, strict=False)
    )
    across, down = across[None, :, None], down[:, None, None]

    def line(at: NDArray[np.intp]) -> Floats:
        whole = pixels[at]
        left = whole[:, columns].astype(np.float32)
        values: Floats = left + (whole[:, right].astype(np.float32) - left) * across
        return values

    top = line(rows)
    values: Floats = top + (line(below) - top) * down
    return values


def _between(old: int, new: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """Returns the pixels before and after each new one along a side, and its distance from the first."""
    position = np.arange(new, dtype=np.float32) * (np.float32(old) / np.float32(new))
    before = np.floor(position).astype(np.intp)
    return np.minimum(before, old - 1), np.minimum(before + 1, old - 1), position - before.astype(np.float32)


def shrink(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Returns an image reduced with its aspect ratio, so that it still covers ``size`` (width, height)."""
    from PIL import Image

    factor = max(size[0] / image.width, size[1] / image.height)
    if factor >= 1:
        return image
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    return image.resize(size, Image.Resampling.BOX, reducing_gap=3.0)


def _raise(error: DataError) -> None:
    raise error
