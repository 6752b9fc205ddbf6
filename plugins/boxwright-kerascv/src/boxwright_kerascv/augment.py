"""Augmentation of one image inside tf.data, with stateless seeds: the same seed produces the same image.

How an image is cropped, enlarged, rotated or mirrored is first only recorded, as the *view*: a window in the image's
pixels. The window is then resampled once, with antialiasing, to the network's size, and the colors are changed there.
The image is resampled and blurred only once, however many augmenters there are. KerasCV's layers are not used,
because they resample one after the other and take no stateless seed, and `RandomZoom` and the random choices of 0.9 do
not support boxes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import tensorflow as tf

FILL = 114.0
"""The gray level outside the image."""

MIN_VISIBLE = 0.3
"""A box is dropped if less than this fraction of its area remains in the image."""

MIN_SIDE = 2.0
"""A box with a side under this many pixels of the network's input is dropped."""


class Labelled(TypedDict):
    """An image and its boxes.

    images: ``(height, width, 3)``, uint8 or float32, 0 to 255. boxes: ``(N, 4)`` float32, ``xyxy`` in pixels of the
    image. classes: ``(N,)``, from 0.
    """

    images: Any
    boxes: Any
    classes: Any


@dataclass
class View:
    """The part of an image that is visible, and how; all are scalar float32 tensors.

    Attributes:
        left: The left side of the window in pixels of the image; the window may extend beyond the image.
        top: The top of the window.
        width: The width of the window.
        height: The height of the window.
        mirror: Whether the window is mirrored horizontally; boolean.
        upend: Whether the window is mirrored vertically; boolean.
        image_width: The image's width in pixels.
        image_height: The image's height in pixels.
    """

    left: Any
    top: Any
    width: Any
    height: Any
    mirror: Any
    upend: Any
    image_width: Any
    image_height: Any


def _uniform(seed: Any, index: int, low: float = 0.0, high: float = 1.0, shape: Sequence[int] = ()) -> Any:
    """Returns the random number of a seed with an index."""
    return tf.random.stateless_uniform(shape, tf.random.experimental.stateless_fold_in(seed, index), low, high)


_RANGES = {
    "probability": (0.0, 1.0),
    "smallest": (0.01, 1.0),
    "largest": (1.0, 100.0),
    "brightness": (0.0, 1.0),
    "contrast": (1.0, 100.0),
    "saturation": (1.0, 100.0),
    "hue": (0.0, 0.5),
}


class Step:
    """One step of the augmentation. Its methods, in the order of their calls, change nothing unless overridden."""

    def image(self, sample: Labelled, seed: Any) -> Labelled:
        """Returns the changed image and boxes."""
        return sample

    def view(self, view: View, seed: Any) -> View:
        """Returns the changed view."""
        return view

    def color(self, image: Any, seed: Any) -> Any:
        """Returns the resampled image with changed colors."""
        return image


class Augmenter(Step):
    """A named step with checked settings, which other backends can use like an augmenter of any plugin.

    Raises:
        ValueError: A setting is out of range.
    """

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            low, high = _RANGES[name]
            if not low <= value <= high:
                raise ValueError(f"{name} must be from {low:g} to {high:g}, not {value}")

    def __call__(self, example: dict[str, Any], seed: Any) -> dict[str, Any]:
        """Returns a changed image of the same size; boxes mostly outside of it are dropped, as in training.

        Args:
            example: See :class:`boxwright.models.Augmenter`.
            seed: Two integers.
        """
        labelled: Labelled = {name: example[name] for name in ("images", "boxes", "classes")}  # type: ignore[assignment]
        return {**example, **_augment((self,), labelled, seed, tf.shape(example["images"])[:2])}


@dataclass(frozen=True)
class Crop(Augmenter):
    """Uses a part of the image, so that objects appear larger.

    Attributes:
        probability: How often it is applied, 0 to 1.
        smallest: Minimum side of the part, as a fraction of the image's; sampled uniformly on a log scale.
    """

    probability: float = 0.5
    smallest: float = 0.6

    def view(self, view: View, seed: Any) -> View:
        share = tf.exp(_uniform(seed, 0, math.log(self.smallest), 0.0))
        share = tf.where(_uniform(seed, 1) < self.probability, share, 1.0)
        width, height = view.width * share, view.height * share
        view.left += (view.width - width) * _uniform(seed, 2)
        view.top += (view.height - height) * _uniform(seed, 3)
        view.width, view.height = width, height
        return view


@dataclass(frozen=True)
class Expand(Augmenter):
    """Places the image on a larger gray canvas, so that objects appear smaller (SSD, Liu et al. 2016, section 2.2).

    Attributes:
        probability: How often it is applied, 0 to 1.
        largest: Maximum side of the canvas, as a multiple of the image's; sampled uniformly on a log scale.
    """

    probability: float = 0.4
    largest: float = 1.5

    def view(self, view: View, seed: Any) -> View:
        share = tf.exp(_uniform(seed, 0, 0.0, math.log(self.largest)))
        share = tf.where(_uniform(seed, 1) < self.probability, share, 1.0)
        width, height = view.width * share, view.height * share
        view.left -= (width - view.width) * _uniform(seed, 2)
        view.top -= (height - view.height) * _uniform(seed, 3)
        view.width, view.height = width, height
        return view


@dataclass(frozen=True)
class Stretch(Augmenter):
    """Changes the aspect ratio.

    Attributes:
        probability: How often it is applied, 0 to 1.
        largest: Maximum factor between the change of the width and that of the height, in both directions.
    """

    probability: float = 0.5
    largest: float = 1.25

    def view(self, view: View, seed: Any) -> View:
        bound = math.log(self.largest) / 2
        factor = tf.exp(_uniform(seed, 0, -bound, bound))
        factor = tf.where(_uniform(seed, 1) < self.probability, factor, 1.0)
        width, height = view.width * factor, view.height / factor
        view.left += (view.width - width) * _uniform(seed, 2)
        view.top += (view.height - height) * _uniform(seed, 3)
        view.width, view.height = width, height
        return view


@dataclass(frozen=True)
class Flip(Augmenter):
    """Mirrors horizontally.

    Attributes:
        probability: How often it is applied, 0 to 1.
    """

    probability: float = 0.5

    def view(self, view: View, seed: Any) -> View:
        view.mirror = tf.math.logical_xor(view.mirror, _uniform(seed, 0) < self.probability)
        return view


@dataclass(frozen=True)
class VerticalFlip(Augmenter):
    """Mirrors vertically.

    Attributes:
        probability: How often it is applied, 0 to 1.
    """

    probability: float = 0.5

    def view(self, view: View, seed: Any) -> View:
        view.upend = tf.math.logical_xor(view.upend, _uniform(seed, 0) < self.probability)
        return view


@dataclass(frozen=True)
class Rotate90(Augmenter):
    """Rotates by 90 degrees, as a transposition; together with the two flips, all eight orientations occur.

    The network's input keeps its shape: of a wide image that is rotated, a wide part is used.

    Attributes:
        probability: How often it is applied, 0 to 1.
    """

    probability: float = 0.5

    def image(self, sample: Labelled, seed: Any) -> Labelled:
        def transpose() -> tuple[Any, Any]:
            return tf.transpose(sample["images"], (1, 0, 2)), tf.gather(sample["boxes"], (1, 0, 3, 2), axis=1)

        images, boxes = tf.cond(
            _uniform(seed, 0) < self.probability, transpose, lambda: (sample["images"], sample["boxes"])
        )
        return {"images": images, "boxes": boxes, "classes": sample["classes"]}


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

    def color(self, image: Any, seed: Any) -> Any:
        to_yiq = tf.constant([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
        from_yiq = tf.constant([[1.0, 0.956, 0.621], [1.0, -0.272, -0.647], [1.0, -1.106, 1.703]])
        apply = _uniform(seed, 0) < self.probability

        def change() -> Any:
            contrast = tf.exp(_uniform(seed, 1, -math.log(self.contrast), math.log(self.contrast)))
            chroma = tf.exp(_uniform(seed, 2, -math.log(self.saturation), math.log(self.saturation)))
            angle = _uniform(seed, 3, -self.hue, self.hue) * 2 * math.pi
            cosine, sine = chroma * tf.cos(angle), chroma * tf.sin(angle)
            turn = tf.reshape(tf.stack([1.0, 0.0, 0.0, 0.0, cosine, -sine, 0.0, sine, cosine]), (3, 3))
            matrix = contrast * tf.matmul(from_yiq, tf.matmul(turn, to_yiq))
            mean = tf.reduce_mean(image)
            shift = mean * (1 - contrast) + 255 * _uniform(seed, 4, -self.brightness, self.brightness)
            shape = tf.shape(image)
            flat = tf.matmul(tf.reshape(image, (-1, 3)), matrix, transpose_b=True) + shift
            return tf.clip_by_value(tf.reshape(flat, shape), 0.0, 255.0)

        return tf.cond(apply, change, lambda: image)


AUGMENTERS: dict[str, Callable[..., Augmenter]] = {
    "crop": Crop,
    "expand": Expand,
    "stretch": Stretch,
    "flip": Flip,
    "vertical-flip": VerticalFlip,
    "rotate-90": Rotate90,
    "color": Color,
}
"""The augmenters by name."""


class Augmentation:
    """A list of augmenters as one function from an image to the network's input.

    Without augmenters it only resizes, as in evaluation and prediction.

    Example:
        augmentation = Augmentation(("crop", "flip", "color"), image_size=(256, 320))
        sample = augmentation({"images": image, "boxes": boxes, "classes": classes}, seed=(7, 0))

    Args:
        augmenters: Names in :data:`AUGMENTERS`, or steps.
        image_size: Height and width of the network's input in pixels.

    Raises:
        ValueError: A name is unknown.
    """

    def __init__(self, augmenters: Sequence[str | Step], image_size: tuple[int, int]) -> None:
        self.image_size = image_size
        self._steps: list[Step] = []
        for augmenter in augmenters:
            if isinstance(augmenter, str):
                if augmenter not in AUGMENTERS:
                    raise ValueError(f"unknown augmenter {augmenter!r}; there are {', '.join(AUGMENTERS)}")
                augmenter = AUGMENTERS[augmenter]()
            self._steps.append(augmenter)

    def __call__(self, sample: Labelled, seed: Any) -> Labelled:
        """Returns the augmented image.

        Args:
            sample: An image of any size and its boxes.
            seed: Two integers.

        Returns:
            images: ``(height, width, 3)`` float32 of 0 to 255 at the network's size; boxes: ``(M, 4)`` float32 in its
            pixels, clipped to it; classes: ``(M,)`` with the same type as before. M is at most N: boxes mostly outside
            and boxes with zero area are dropped.
        """
        result = _augment(self._steps, sample, seed, self.image_size)
        result["images"] = tf.ensure_shape(result["images"], (*self.image_size, 3))
        return result


def resize(sample: Labelled, image_size: tuple[int, int]) -> Labelled:
    """Returns the whole image at the network's size, as in evaluation and prediction, with its boxes.

    Args:
        sample: An image of any size and its boxes.
        image_size: Height and width in pixels.
    """
    return Augmentation((), image_size)(sample, (0, 0))


def _augment(steps: Sequence[Step], sample: Labelled, seed: Any, image_size: Any) -> Labelled:
    """Rotates, crops and colors; `image_size` is the height and width of the result, numbers or a tensor."""
    seed = tf.convert_to_tensor(seed)
    seeds = [tf.random.experimental.stateless_fold_in(seed, index + 1) for index in range(len(steps))]
    shape = tf.cast(tf.shape(sample["images"]), tf.float32)
    for step, step_seed in zip(steps, seeds, strict=True):
        sample = step.image(sample, step_seed)
    rotated_shape = tf.cast(tf.shape(sample["images"]), tf.float32)
    view = _first_view(shape, rotated_shape, tf.random.experimental.stateless_fold_in(seed, 0))
    for step, step_seed in zip(steps, seeds, strict=True):
        view = step.view(view, step_seed)
    result = _resample(sample, view, tf.convert_to_tensor(image_size, tf.int32))
    for step, step_seed in zip(steps, seeds, strict=True):
        result["images"] = step.color(result["images"], step_seed)
    return result


def _first_view(shape: Any, rotated_shape: Any, seed: Any) -> View:
    """Returns all of an image, or for one that was rotated by 90 degrees, a part of the original shape.

    That part is between the largest without gray borders and the smallest that contains the whole image.
    """
    height, width = shape[0], shape[1]
    rotated_height, rotated_width = rotated_shape[0], rotated_shape[1]
    ratio = tf.minimum(height, width) / tf.maximum(height, width)
    share = tf.where(tf.equal(height, rotated_height), 1.0, tf.sqrt(ratio))
    off = tf.constant(False)
    return View(
        left=(rotated_width - width * share) * _uniform(seed, 0),
        top=(rotated_height - height * share) * _uniform(seed, 1),
        width=width * share,
        height=height * share,
        mirror=off,
        upend=off,
        image_width=rotated_width,
        image_height=rotated_height,
    )


def _resample(sample: Labelled, view: View, image_size: Any) -> Labelled:
    """Returns the window of the view at the size, a tensor, with its boxes."""
    height, width = tf.unstack(tf.cast(image_size, tf.float32))
    scale_x, scale_y = width / view.width, height / view.height
    shift_x, shift_y = -view.left * scale_x, -view.top * scale_y
    image = tf.raw_ops.ScaleAndTranslate(
        images=sample["images"][None],
        size=image_size,
        scale=tf.stack([scale_y, scale_x]),
        translation=tf.stack([shift_y, shift_x]),
        kernel_type="triangle",
        antialias=True,
    )[0]
    # Outside the image this op returns black; gray is closer to the training data.
    centers_x = tf.range(width, dtype=tf.float32) + 0.5
    centers_y = tf.range(height, dtype=tf.float32) + 0.5
    inside_x = (centers_x > shift_x) & (centers_x < shift_x + view.image_width * scale_x)
    inside_y = (centers_y > shift_y) & (centers_y < shift_y + view.image_height * scale_y)
    image = tf.where((inside_y[:, None] & inside_x[None, :])[..., None], image, FILL)

    boxes = tf.cast(sample["boxes"], tf.float32)
    boxes = boxes * tf.stack([scale_x, scale_y, scale_x, scale_y]) + tf.stack([shift_x, shift_y, shift_x, shift_y])
    area = tf.maximum(boxes[:, 2] - boxes[:, 0], 0.0) * tf.maximum(boxes[:, 3] - boxes[:, 1], 0.0)
    limits = tf.stack([width, height, width, height])
    boxes = tf.clip_by_value(boxes, 0.0, limits)
    sides = boxes[:, 2:] - boxes[:, :2]
    keep = tf.reduce_all(sides >= MIN_SIDE, axis=1) & (sides[:, 0] * sides[:, 1] >= MIN_VISIBLE * area)
    boxes = tf.boolean_mask(boxes, keep)
    classes = tf.boolean_mask(sample["classes"], keep)

    x1, y1, x2, y2 = tf.unstack(boxes, axis=1)
    x1, x2 = tf.where(view.mirror, width - x2, x1), tf.where(view.mirror, width - x1, x2)
    y1, y2 = tf.where(view.upend, height - y2, y1), tf.where(view.upend, height - y1, y2)
    image = tf.cond(view.mirror, lambda: tf.reverse(image, [1]), lambda: image)
    image = tf.cond(view.upend, lambda: tf.reverse(image, [0]), lambda: image)
    return {
        "images": image,
        "boxes": tf.stack([x1, y1, x2, y2], axis=1),
        "classes": classes,
    }
