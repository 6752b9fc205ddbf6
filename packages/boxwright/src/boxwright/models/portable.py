"""Detectors that need only numpy, Pillow and the runtime of their network.

A network is a function from images to boxes and scores of all its anchors. What surrounds it is data: how an image
becomes its input (:class:`InputSettings`) and how detections are chosen (:class:`DecoderSettings`). So one network can
run in any runtime, and detections differ only by the arithmetic of that runtime.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from boxwright.boxes import iou, scale
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
from boxwright.schemas import Detections, Sample

if TYPE_CHECKING:
    from PIL import Image

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class InputSettings:
    """How an image becomes the input of a network.

    An image is first reduced, with its aspect ratio, to ``oversample`` times the size of the input, as training caches
    it, and then resized to the input, which may change the aspect ratio.

    Attributes:
        width: The width of the input in pixels.
        height: The height of the input in pixels.
        oversample: The multiple of the size to which images are reduced first, at least 1.
    """

    width: int
    height: int
    oversample: float = 1.0

    @property
    def reduced_size(self) -> tuple[int, int]:
        """The width and height that a reduced image covers."""
        return round(self.width * self.oversample), round(self.height * self.oversample)

    def __call__(self, image: Image.Image) -> Floats:
        """Returns the input for an RGB image: ``(height, width, 3)`` float32, 0 to 255."""
        from PIL import Image

        # Pillow's filter for "F", single precision, has the weights of tf.image.resize(..., antialias=True).
        bands = (band.convert("F") for band in shrink(image, self.reduced_size).split())
        size = self.width, self.height
        return np.stack([np.asarray(band.resize(size, Image.Resampling.BILINEAR)) for band in bands], axis=-1)

    def to_dict(self) -> dict[str, float | int]:
        """Returns the settings as JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class DecoderSettings:
    """How detections are chosen among the predictions of all anchors.

    Attributes:
        score_threshold: Detections with a lower score are dropped.
        iou_threshold: Of two detections of a class with a higher IoU, the one with the higher score is kept.
        max_detections: Maximum number per image.
        pre_nms: Number of best predictions per image that enter non-maximum suppression.
        soft_nms_sigma: If positive, overlapping detections lose score instead of being dropped (Bodla et al. 2017).
    """

    score_threshold: float = 0.05
    iou_threshold: float = 0.5
    max_detections: int = 100
    pre_nms: int = 1000
    soft_nms_sigma: float = 0.0

    def __post_init__(self) -> None:
        for name in ("score_threshold", "iou_threshold"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be from 0 to 1, not {getattr(self, name)}")
        for name in ("max_detections", "pre_nms"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.soft_nms_sigma < 0:
            raise ValueError(f"soft_nms_sigma must be at least 0, not {self.soft_nms_sigma}")

    def to_dict(self) -> dict[str, float | int]:
        """Returns the settings as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> DecoderSettings:
        """Returns the settings of :meth:`to_dict`.

        Raises:
            TypeError: A setting is unknown.
            ValueError: A value is out of range.
        """
        return cls(**data)


class Found(NamedTuple):
    """The detections in one image, best first.

    Attributes:
        boxes: ``(D, 4)``, ``xyxy`` in pixels of the network's input.
        scores: ``(D,)``, 0 to 1.
        classes: ``(D,)``, from 0 in the order of the label map.
    """

    boxes: Floats
    scores: Floats
    classes: NDArray[np.int64]


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
        return self.detect.network(images) if isinstance(self.detect, Suppressed) else self.detect(images)

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

    The best scores of all anchors and classes enter non-maximum suppression, which runs for each class. Soft-NMS
    multiplies the scores of overlapping boxes by ``exp(-iou**2 / sigma)`` (Bodla et al. 2017, equation 3).

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
    candidates = np.clip(boxes[rows], 0, limits)
    left = flat[places].copy()
    chosen: list[int] = []
    kept: list[float] = []
    while len(chosen) < settings.max_detections and len(left):
        best = int(left.argmax())
        if left[best] <= settings.score_threshold:
            break
        chosen.append(best)
        kept.append(float(left[best]))
        left[best] = 0
        rivals = np.flatnonzero((classes == classes[best]) & (left > 0))
        if not len(rivals):
            continue
        overlap = iou(candidates[None, best], candidates[rivals])[0]
        if settings.soft_nms_sigma > 0:
            left[rivals] *= np.exp(-(overlap**2) / settings.soft_nms_sigma)
        else:
            left[rivals[overlap > settings.iou_threshold]] = 0
    return Found(candidates[chosen], np.array(kept, np.float32), classes[chosen])


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
