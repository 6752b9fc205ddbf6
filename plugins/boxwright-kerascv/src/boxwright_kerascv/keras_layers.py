"""The preprocessing layers of Keras and KerasCV that change boxes with the image, as augmenters on arrays."""

from __future__ import annotations

import difflib
import inspect
import re
import threading
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from boxwright import UsageError
from boxwright.plugins import parse_literal
from boxwright_retinanet.warp import FILL, MIN_SIDE, MIN_VISIBLE, select
from boxwright_tf.quiet import quiet_import

with quiet_import():
    import keras
    import keras_cv

_FIXED: Final = {"value_range": (0, 255), "data_format": "channels_last"}
"""The arguments that follow from the image; users do not set them, nor the seed and the format of the boxes."""

_FORMATS: Final = {"keras": "xyxy", "keras_cv": "rel_xyxy"}
"""The format in which the layers of a library return correct boxes.

RandomRotation of Keras does so only for pixels, RandomCropAndResize of KerasCV only for relative coordinates.
"""

_USUAL: Final = {"fill_mode": ("reflect", "constant"), "fill_value": (0.0, FILL)}
"""Defaults of the layers, and others: an object that is reflected at a side would have no box there."""

_UNSUITABLE: Final = {
    "keras.MixUp": "it blends the images of a batch: use mixup",
    "keras.CutMix": "it combines the images of a batch, without their boxes: use mixup or mosaic",
    "keras.AugMix": "it rotates and shifts the image, but not its boxes",
    "keras.MaxNumBoundingBoxes": "it removes boxes and does not change the image",
    "keras.RandomCrop": "it moves boxes by the offset of the other axis: use keras_cv.RandomCrop or crop",
    "keras_cv.MixUp": "it blends the images of a batch: use mixup",
    "keras_cv.Mosaic": "it combines the images of a batch: use mosaic",
    "keras_cv.RandomChoice": "it takes other layers: use choice(...)",
    "keras_cv.RandomApply": "it takes another layer: use choice(...|none)",
    "keras_cv.RandomAugmentationPipeline": "it takes other layers: use choice(...)",
    "keras_cv.RandomJpegQuality": "it expects levels of 0 to 1: use jpeg",
    "keras_cv.Rescaling": "it changes the range of the levels, which must remain 0 to 255",
}
"""Why a layer cannot be used, by its library and its name."""

_SQUARE: Final = ("keras.RandomShear", "keras_cv.RandomShear", "keras.RandAugment")
"""These shear boxes in relative coordinates, which is correct only for square images: others are enlarged for them."""

_GRID: Final = 5
"""A box is passed to the layer with its parts, this many per side: they tell how much of it remains visible."""

_CV_BASES: Final = (keras_cv.layers.BaseImageAugmentationLayer, keras_cv.layers.VectorizedBaseImageAugmentationLayer)
_KERAS_BASE: Final = next(each for each in keras.layers.RandomFlip.__mro__[::-1] if hasattr(each, "transform_images"))


class KerasAugmenter:
    """A layer of Keras or KerasCV that changes images and boxes.

    Args:
        layer: Its name, such as ``"RandomShear"``: Keras' own layer if both have one, and ``"keras_cv.RandomShear"``
            for the other.
        arguments: Its arguments; strings are parsed as Python literals: ``{"x_factor": "0.2"}``.

    Raises:
        UsageError: The layer is unknown, does not change boxes with images, does not run with the installed version, or
            an argument is invalid.
    """

    def __init__(self, layer: str, arguments: Mapping[str, str] | None = None) -> None:
        self._name, self._make = layer, _found(layer)
        self._library, self._label = (keras, "labels") if issubclass(self._make, _KERAS_BASE) else (keras_cv, "classes")
        self._square = f"{self._library.__name__}.{self._make.__name__}" in _SQUARE
        self._local = threading.local()
        parameters = _parameters(self._make)
        fixed = _FIXED | {"bounding_box_format": _FORMATS[self._library.__name__]}
        usual = {name: value for name, value in fixed.items() if name in parameters} | {
            name: new for name, (old, new) in _USUAL.items() if name in parameters and parameters[name] == old
        }
        given = {name: parse_literal(text) for name, text in (arguments or {}).items()}
        known = [name for name in parameters if name not in (*fixed, "seed", "name", "kwargs")]
        takes = f"it takes: {', '.join(known)}" if known else "it takes no arguments"
        for name in given:
            if name not in known:
                automatic = name in (*fixed, "seed")
                problem = f"{name} is set automatically" if automatic else f"no argument {name!r}"
                raise UsageError(f"the layer {layer}: {problem}", takes)
        self._arguments = usual | given
        for name in known:
            if name not in self._arguments and parameters[name] is inspect.Parameter.empty:
                raise UsageError(f"the layer {layer}: the argument {name!r} is missing", takes)
        self._check()

    def augment(self, example: dict[str, Any], random: np.random.Generator) -> dict[str, Any]:
        """Returns a changed example; see :class:`boxwright.models.ArrayAugmenter`."""
        layer, draws = self._layer()
        draws.random = random
        image, boxes = example["images"], np.asarray(example["boxes"], np.float32).reshape(-1, 4)
        if self._square:
            rows, columns = max(image.shape) - np.array(image.shape[:2])
            image = np.pad(image, ((0, rows), (0, columns), (0, 0)), constant_values=FILL)
        parts = np.concatenate([boxes, _parts(boxes)]) / self._unit(image)
        # Their classes are the numbers of their rows, from which follows what remains of each.
        numbers = np.arange(len(parts), dtype=np.float32)
        with keras.device("cpu"):
            changed = layer(
                {
                    "images": keras.ops.convert_to_tensor(image[None], "float32"),
                    "bounding_boxes": {
                        "boxes": keras.ops.convert_to_tensor(parts[None]),
                        self._label: keras.ops.convert_to_tensor(numbers[None]),
                    },
                },
                training=True,
            )
        image = np.rint(np.clip(_dense(changed["images"]), 0, 255)).astype(np.uint8)
        numbers = _dense(changed["bounding_boxes"][self._label]).astype(np.int64)
        found = np.zeros_like(parts)
        found[numbers[numbers >= 0]] = _dense(changed["bounding_boxes"]["boxes"])[numbers >= 0]
        found *= self._unit(image)
        if self._square:
            image = image[: len(example["images"]), : example["images"].shape[1]]
        found = np.clip(found, 0, np.array(image.shape[1::-1] * 2, np.float32))
        sides = found[:, 2:] - found[:, :2]
        areas = sides[len(boxes) :].prod(axis=1).reshape(len(boxes), _GRID**2)
        kept = (sides[: len(boxes)] >= MIN_SIDE).all(axis=1)
        kept &= areas.mean(axis=1) >= MIN_VISIBLE * areas.max(axis=1)
        return select(example | {"boxes": found[: len(boxes)]}, kept) | {"images": np.ascontiguousarray(image)}

    def _unit(self, image: NDArray[Any]) -> NDArray[np.float32]:
        """Returns the length of 1 in the format of the boxes, in pixels, for each coordinate."""
        relative = _FORMATS[self._library.__name__].startswith("rel")
        return np.array((image.shape[1::-1] if relative else (1, 1)) * 2, np.float32)

    def _layer(self) -> tuple[Any, _Draws]:
        """Returns the layer of this thread and the source of its random numbers, which must not be shared."""
        if not hasattr(self._local, "layer"):
            draws = _Draws()
            layer = self._make(**self._arguments)
            _seed(layer, draws)
            self._local.layer = layer, draws
        layer, draws = self._local.layer
        return layer, draws

    def _check(self) -> None:
        """Applies the layer twice with the same random numbers.

        Raises:
            UsageError: It does not run, or returns something else.
        """
        example = {
            "images": np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8),
            "boxes": np.array([[16, 16, 48, 48]], np.float32),
        }
        try:
            one, two = (self.augment(example, np.random.default_rng(0)) for _ in range(2))
            if one["images"].shape[2:] != (3,):
                raise ValueError(f"it returns images of the shape {one['images'].shape}")
            if not np.array_equal(one["images"], two["images"]):
                raise ValueError("its random numbers do not come from the seed")
        except Exception as error:
            lines = [line.strip() for line in re.sub("\x1b[^m]*m", "", str(error)).splitlines()]
            reasons = [line for line in lines if line and not line.startswith("Exception encountered when calling")]
            where = f"the layer {self._name} of {self._library.__name__} {self._library.__version__} does not run"
            reason = reasons[0] if reasons else type(error).__name__
            raise UsageError(f"{where}: {reason}", "change its arguments, or use another one") from error


class _Draws:
    """The source of the random numbers of a layer: the generator of the example."""

    random: np.random.Generator

    def uniform(self, shape: Any, minval: Any = 0, maxval: Any = 1, dtype: Any = "float32", name: Any = None) -> Any:
        """Returns random numbers; see :class:`tf.random.Generator`, from which the layers of KerasCV draw."""
        kind = keras.backend.standardize_dtype(dtype)
        draw: Any = self.random.integers if "int" in kind else self.random.uniform
        return keras.ops.convert_to_tensor(draw(np.asarray(minval), np.asarray(maxval), np.asarray(shape)), kind)


class _Seeds(keras.random.SeedGenerator):
    """The seeds for the layers of Keras."""

    def __init__(self, draws: _Draws) -> None:
        super().__init__(seed=0)
        self._draws = draws

    def next(self, ordered: bool = True) -> Any:
        """Returns the seed of one draw; see :class:`keras.random.SeedGenerator`."""
        return keras.ops.convert_to_tensor(self._draws.random.integers(2**31, size=2), self.state.dtype)


class _Factor(keras_cv.core.FactorSampler):
    """A uniform factor of KerasCV."""

    def __init__(self, factor: Any, draws: _Draws) -> None:
        self._factor, self._draws = factor, draws

    def __call__(self, shape: Any = (), dtype: Any = "float32") -> Any:
        return self._draws.uniform(shape, self._factor.lower, self._factor.upper, dtype)


def _seed(layer: Any, draws: _Draws) -> None:
    """Replaces the sources of random numbers of a layer, and of the layers in it."""
    for name, value in list(vars(layer).items()):
        if isinstance(value, keras_cv.core.UniformFactorSampler):
            setattr(layer, name, _Factor(value, draws))
        elif name == "_random_generator":
            setattr(layer, name, draws)
            layer.built = True  # it has no weights, and Keras would try it on symbolic tensors
        elif isinstance(value, keras.random.SeedGenerator):
            setattr(layer, name, _Seeds(draws))
        elif isinstance(value, keras.layers.Layer):
            _seed(value, draws)
            if getattr(value, "fill_mode", "") == "reflect":
                value.fill_mode, value.fill_value = "constant", FILL


def _parts(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the parts of all boxes, (N * parts, 4), those of a box after each other."""
    steps = np.linspace(0, 1, _GRID + 1)
    left, top = (each.ravel() for each in np.meshgrid(steps[:-1], steps[:-1]))
    right, bottom = (each.ravel() for each in np.meshgrid(steps[1:], steps[1:]))
    corner, sides = boxes[:, None, [0, 1, 0, 1]], np.tile(boxes[:, 2:] - boxes[:, :2], 2)[:, None]
    parts = corner + sides * np.stack([left, top, right, bottom], axis=1)
    return parts.reshape(-1, 4).astype(np.float32)


def _dense(values: Any) -> NDArray[Any]:
    """Returns the boxes or classes of the only image of a batch, which KerasCV returns as a ragged tensor."""
    rows = values[0]
    return np.asarray(rows.to_tensor() if hasattr(rows, "to_tensor") else rows)


def available() -> dict[str, Any]:
    """Returns the layers that change boxes with the image, by ``keras.NAME``, ``keras_cv.NAME`` and ``NAME``.

    If both libraries have the same name, it is that of Keras.
    """
    found = {}
    for full, layer in _layers().items():
        if full not in _UNSUITABLE and _changes_boxes(layer):
            found[full] = layer
            found.setdefault(full.partition(".")[2], layer)
    return found


def _layers() -> dict[str, Any]:
    """Returns the preprocessing layers of both libraries, by ``keras.NAME`` and ``keras_cv.NAME``."""
    return {
        f"{library.__name__}.{name}": layer
        for library, bases in ((keras, (_KERAS_BASE,)), (keras_cv, _CV_BASES))
        for name, layer in sorted(vars(library.layers).items())
        if inspect.isclass(layer) and issubclass(layer, bases) and layer not in bases
    }


def _changes_boxes(layer: Any) -> bool:
    method = "transform_bounding_boxes" if issubclass(layer, _KERAS_BASE) else "augment_bounding_boxes"
    return next(each for each in layer.__mro__ if method in vars(each)) not in (_KERAS_BASE, *_CV_BASES)


def _found(name: str) -> Any:
    """Returns a layer by its name.

    Raises:
        UsageError: It is unknown, or cannot be used.
    """
    layers = available()
    if name in layers:
        return layers[name]
    names = [name, f"keras.{name}", f"keras_cv.{name}"]
    for each in names:
        if each in _UNSUITABLE:
            raise UsageError(f"the layer {each} cannot be used", _UNSUITABLE[each])
    for each in names:
        if each in _layers():
            raise UsageError(f"the layer {each} does not change boxes with the image", "use another one")
    near = difflib.get_close_matches(name, layers, n=3)
    guess = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    known = sorted(each for each in layers if "." not in each)
    raise UsageError(f"Keras and KerasCV have no layer {name!r}", f"{guess}there are: {', '.join(known)}")


def _parameters(layer: Any) -> dict[str, Any]:
    """Returns the parameters of a layer with their defaults, or ``inspect.Parameter.empty``."""
    of_base = {"bounding_box_format": None} if issubclass(layer, _KERAS_BASE) else {}
    parameters = inspect.signature(layer).parameters
    return of_base | {name: each.default for name, each in parameters.items()}
