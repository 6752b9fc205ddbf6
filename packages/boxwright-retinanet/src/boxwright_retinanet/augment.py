"""The augmenters that change one image, on NumPy arrays; they need no TensorFlow.

How an image is cropped, enlarged, rotated or mirrored is first only recorded, as the *view*: a window in the image's
pixels. The window is then resampled once, with antialiasing, and the colors are changed after that. The image is
resampled only once, however many augmenters there are. KerasCV's layers are available as ``keras:NAME``; they resample
one after the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from boxwright.models import ArrayAugmenter
from boxwright_retinanet.warp import View, resample

Random = np.random.Generator
Example = dict[str, Any]
Levels = NDArray[np.float32]

_RANGES = {
    "probability": (0.0, 1.0),
    "smallest": (0.01, 1.0),
    "largest": (1.0, 100.0),
    "brightness": (0.0, 1.0),
    "contrast": (1.0, 100.0),
    "saturation": (1.0, 100.0),
    "hue": (0.0, 0.5),
    "degrees": (0.0, 180.0),
    "factor": (0.0, 2.0),
    "sigma": (0.0, 50.0),
    "quality": (1, 95),
}


def check_ranges(settings: object, ranges: dict[str, tuple[float, float]]) -> None:
    """Checks the settings of an augmenter.

    Raises:
        ValueError: A setting is out of range.
    """
    for name, (low, high) in ranges.items():
        value = vars(settings).get(name, low)
        if not low <= value <= high:
            raise ValueError(f"{name} must be from {low:g} to {high:g}, not {value}")


class Step:
    """One step of the augmentation. Its methods, in the order of their calls, change nothing unless overridden.

    ``random`` is the step's own generator, and continues from one method to the next.
    """

    def image(self, example: Example, random: Random) -> Example:
        """Returns the changed image and boxes."""
        return example

    def view(self, view: View, random: Random) -> None:
        """Changes the view."""

    def color(self, image: Levels, random: Random) -> Levels:
        """Returns the resampled image, (height, width, 3) float32 of 0 to 255, with changed colors.

        The result may be the same array, modified.
        """
        return image

    def augment(self, example: Example, random: Random) -> Example:
        """Returns a changed example; see :class:`boxwright.models.ArrayAugmenter`.

        The image keeps its size. Boxes that are mostly outside of it are dropped.
        """
        return Combined((self,)).augment(example, random)

    def join(self, following: ArrayAugmenter) -> ArrayAugmenter | None:
        """Returns both steps as one; see :class:`boxwright.models.JoiningAugmenter`."""
        return Combined((self,)).join(following)


@dataclass(frozen=True)
class Combined:
    """Several steps as one augmenter, which resamples the image once.

    Attributes:
        steps: The steps.
        size: Height and width of the result, which is then float32; ``None`` for the size of the image, and uint8.
    """

    steps: tuple[Step, ...]
    size: tuple[int, int] | None = None

    def augment(self, example: Example, random: Random) -> Example:
        """Returns a changed example; see :class:`boxwright.models.ArrayAugmenter`."""
        randoms = random.spawn(len(self.steps) + 1)
        shape = example["images"].shape[:2]
        for step, its in zip(self.steps, randoms, strict=False):
            example = step.image(example, its)
        view = _first_view(example["images"], shape, randoms[-1])
        for step, its in zip(self.steps, randoms, strict=False):
            step.view(view, its)
        result = resample(example, view, self.size or shape)
        colored = [
            (step, its) for step, its in zip(self.steps, randoms, strict=False) if type(step).color != Step.color
        ]
        if not colored and self.size is None:
            return result
        levels: Levels = result["images"].astype(np.float32)
        for step, its in colored:
            levels = step.color(levels, its)
        return result | {"images": levels if self.size else np.rint(levels).astype(np.uint8)}

    def join(self, following: ArrayAugmenter) -> ArrayAugmenter | None:
        """Returns both augmenters as one; see :class:`boxwright.models.JoiningAugmenter`."""
        if self.size is not None:
            return None
        if isinstance(following, Step):
            return Combined((*self.steps, following))
        return Combined((*self.steps, *following.steps), following.size) if isinstance(following, Combined) else None


def _first_view(image: NDArray[np.uint8], shape: tuple[int, int], random: Random) -> View:
    """Returns all of an image, or for one that was rotated by 90 degrees, a part of the original shape.

    That part is between the largest without gray borders and the smallest that contains the whole image.
    """
    view = View.whole(image)
    if image.shape[:2] != shape:
        share = math.sqrt(min(shape) / max(shape))
        view.zoom(shape[1] * share, shape[0] * share, random.random(), random.random())
    return view


class Augmenter(Step):
    """A step with checked settings.

    Raises:
        ValueError: A setting is out of range.
    """

    def __post_init__(self) -> None:
        check_ranges(self, _RANGES)


@dataclass(frozen=True)
class Crop(Augmenter):
    """Uses a part of the image, so that objects appear larger.

    Attributes:
        probability: How often it is applied, 0 to 1.
        smallest: Minimum side of the part, as a fraction of the image's; sampled uniformly on a log scale.
    """

    probability: float = 0.5
    smallest: float = 0.6

    def view(self, view: View, random: Random) -> None:
        if random.random() < self.probability:
            share = math.exp(random.uniform(math.log(self.smallest), 0.0))
            view.zoom(view.width * share, view.height * share, random.random(), random.random())


@dataclass(frozen=True)
class Expand(Augmenter):
    """Places the image on a larger gray canvas, so that objects appear smaller (SSD, Liu et al. 2016, section 2.2).

    Attributes:
        probability: How often it is applied, 0 to 1.
        largest: Maximum side of the canvas, as a multiple of the image's; sampled uniformly on a log scale.
    """

    probability: float = 0.4
    largest: float = 1.5

    def view(self, view: View, random: Random) -> None:
        if random.random() < self.probability:
            share = math.exp(random.uniform(0.0, math.log(self.largest)))
            view.zoom(view.width * share, view.height * share, random.random(), random.random())


@dataclass(frozen=True)
class Stretch(Augmenter):
    """Changes the aspect ratio.

    Attributes:
        probability: How often it is applied, 0 to 1.
        largest: Maximum factor between the change of the width and that of the height, in both directions.
    """

    probability: float = 0.5
    largest: float = 1.25

    def view(self, view: View, random: Random) -> None:
        if random.random() < self.probability:
            bound = math.log(self.largest) / 2
            factor = math.exp(random.uniform(-bound, bound))
            view.zoom(view.width * factor, view.height / factor, random.random(), random.random())


@dataclass(frozen=True)
class Flip(Augmenter):
    """Mirrors horizontally.

    Attributes:
        probability: How often it is applied, 0 to 1.
    """

    probability: float = 0.5

    def view(self, view: View, random: Random) -> None:
        view.mirror ^= random.random() < self.probability


@dataclass(frozen=True)
class VerticalFlip(Augmenter):
    """Mirrors vertically.

    Attributes:
        probability: How often it is applied, 0 to 1.
    """

    probability: float = 0.5

    def view(self, view: View, random: Random) -> None:
        view.upend ^= random.random() < self.probability


@dataclass(frozen=True)
class Rotate90(Augmenter):
    """Rotates by 90 degrees, as a transposition; together with the two flips, all eight orientations occur.

    The result keeps its shape: of a wide image that is rotated, a wide part is used.

    Attributes:
        probability: How often it is applied, 0 to 1.
    """

    probability: float = 0.5

    def image(self, example: Example, random: Random) -> Example:
        if random.random() >= self.probability:
            return example
        return example | {"images": cv2.transpose(example["images"]), "boxes": example["boxes"][:, [1, 0, 3, 2]]}


@dataclass(frozen=True)
class Rotate(Augmenter):
    """Rotates by a small angle about the center; the corners that become empty are gray.

    A box becomes the smallest box around the rotated one, so it is larger than its object unless the object fills it.

    Attributes:
        probability: How often it is applied, 0 to 1.
        degrees: Maximum angle, in both directions.
    """

    probability: float = 0.5
    degrees: float = 10.0

    def view(self, view: View, random: Random) -> None:
        if random.random() < self.probability:
            angle = math.radians(random.uniform(-self.degrees, self.degrees))
            cosine, sine = math.cos(angle), math.sin(angle)
            view.turn(np.array([[cosine, -sine], [sine, cosine]]))


@dataclass(frozen=True)
class Shear(Augmenter):
    """Shears horizontally and vertically about the center; the corners that become empty are gray.

    Attributes:
        probability: How often it is applied, 0 to 1.
        factor: Maximum shift of a row by its distance from the center, and of a column, in both directions.
    """

    probability: float = 0.5
    factor: float = 0.1

    def view(self, view: View, random: Random) -> None:
        if random.random() < self.probability:
            x, y = random.uniform(-self.factor, self.factor, 2)
            view.turn(np.array([[1.0, x], [0.0, 1.0]]) @ np.array([[1.0, 0.0], [y, 1.0]]))


@dataclass(frozen=True)
class Color(Augmenter):
    """Changes brightness, contrast, saturation and hue.

    All four are one linear map of the colors: hue rotates and saturation scales the chroma plane of the YIQ space.

    Attributes:
        probability: How often it is applied, 0 to 1.
        brightness: Maximum shift, as a fraction of the full range.
        contrast: Maximum factor, in both directions.
        saturation: Maximum factor, in both directions.
        hue: Maximum rotation, as a fraction of the full circle.
    """

    probability: float = 0.8
    brightness: float = 0.15
    contrast: float = 1.4
    saturation: float = 1.6
    hue: float = 0.03

    def color(self, image: Levels, random: Random) -> Levels:
        if random.random() >= self.probability:
            return image
        contrast = math.exp(random.uniform(-math.log(self.contrast), math.log(self.contrast)))
        chroma = math.exp(random.uniform(-math.log(self.saturation), math.log(self.saturation)))
        angle = 2 * math.pi * random.uniform(-self.hue, self.hue)
        cosine, sine = chroma * math.cos(angle), chroma * math.sin(angle)
        turn = np.array([[1.0, 0.0, 0.0], [0.0, cosine, -sine], [0.0, sine, cosine]])
        shift = sum(cv2.mean(image)[:3]) / 3 * (1 - contrast) + 255 * random.uniform(-self.brightness, self.brightness)
        matrix = np.column_stack([contrast * _FROM_YIQ @ turn @ _TO_YIQ, np.full(3, shift)])
        return _clipped(cv2.transform(image, matrix))


_TO_YIQ: Final = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
_FROM_YIQ: Final = np.array([[1.0, 0.956, 0.621], [1.0, -0.272, -0.647], [1.0, -1.106, 1.703]])


@dataclass(frozen=True)
class Sharpness(Augmenter):
    """Sharpens or smooths fine detail, like Pillow's ``ImageEnhance.Sharpness``.

    Attributes:
        probability: How often it is applied, 0 to 1.
        largest: Maximum factor of the difference from the smoothed image, in both directions.
    """

    probability: float = 0.5
    largest: float = 2.5

    def color(self, image: Levels, random: Random) -> Levels:
        if random.random() >= self.probability:
            return image
        factor = math.exp(random.uniform(-math.log(self.largest), math.log(self.largest)))
        # smooth + factor * (image - smooth) is one convolution.
        kernel = np.full((3, 3), (1 - factor) / 13)
        kernel[1, 1] = factor + (1 - factor) * 5 / 13
        return _clipped(cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REPLICATE))


@dataclass(frozen=True)
class Blur(Augmenter):
    """Blurs with a Gaussian.

    Attributes:
        probability: How often it is applied, 0 to 1.
        sigma: Maximum standard deviation, in pixels of the result.
    """

    probability: float = 0.2
    sigma: float = 1.5

    def color(self, image: Levels, random: Random) -> Levels:
        sigma = random.uniform(0.0, self.sigma)
        if random.random() >= self.probability or sigma < 0.1:  # less changes no level
            return image
        return _clipped(cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE))


@dataclass(frozen=True)
class Jpeg(Augmenter):
    """Adds the artifacts of JPEG compression.

    Attributes:
        probability: How often it is applied, 0 to 1.
        quality: Minimum quality, 1 to 95, as in Pillow; the maximum is 95.
    """

    probability: float = 0.2
    quality: int = 30

    def color(self, image: Levels, random: Random) -> Levels:
        if random.random() >= self.probability:
            return image
        settings = [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(self.quality, 96))]
        encoded = cv2.imencode(".jpg", np.rint(image[..., ::-1]).astype(np.uint8), settings)[1]  # takes BGR
        return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB), np.float32)


def _clipped(image: Any) -> Levels:
    """Clips levels to 0 to 255, in place."""
    clipped: Levels = np.clip(image, 0.0, 255.0, out=image)
    return clipped


AUGMENTERS: dict[str, Callable[..., Augmenter]] = {
    "crop": Crop,
    "expand": Expand,
    "stretch": Stretch,
    "flip": Flip,
    "vertical-flip": VerticalFlip,
    "rotate-90": Rotate90,
    "rotate": Rotate,
    "shear": Shear,
    "color": Color,
    "sharpness": Sharpness,
    "blur": Blur,
    "jpeg": Jpeg,
}
"""The augmenters of single images by name."""


def resized_to(size: tuple[int, int]) -> ArrayAugmenter:
    """Returns an augmenter that resizes to height and width, and returns float32; see :class:`Combined`."""
    return Combined((), size)
