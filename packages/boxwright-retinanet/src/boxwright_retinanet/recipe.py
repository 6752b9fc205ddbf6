"""The settings of a training run, and the rule that determines them.

Reading or changing a recipe imports no framework.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from statistics import median
from typing import Any

from boxwright_retinanet.monitor import MONITORS

SIZE_MULTIPLE = 32
"""Width and height of the network's input are multiples of this: the stride of the backbone's last level."""

_CACHE_BYTES = 1_500_000_000
_CHECKPOINTS = 30
_MOST_STEPS = 500
_EVALUATIONS = 10

DEFAULT_AUGMENT = ("crop", "expand", "stretch", "flip", "color")
"""Suitable for any photo. `vertical-flip` and `rotate-90` suit images without a natural orientation, such as aerial or
microscope images; for upright objects they reduce accuracy."""


OPTIMIZERS = ("adamw", "adam", "sgd")
SCHEDULES = ("cosine", "plateau", "constant", "step")
NETWORKS = ("boxwright", "kerascv", "kerashub")
PRECISIONS = ("float32", "mixed_bfloat16")
FINAL_WEIGHTS = ("best", "last")
_CHOICES = {
    "optimizer": (*OPTIMIZERS, "object"),
    "schedule": SCHEDULES,
    "network": NETWORKS,
    "precision": PRECISIONS,
    "monitor": MONITORS,
    "final_weights": FINAL_WEIGHTS,
}

OPTIMIZER_DEFAULTS: dict[str, dict[str, float]] = {
    "adamw": {},
    "adam": {"weight_decay": 0.0},
    "sgd": {"learning_rate": 0.01, "weight_decay": 0.0},
}
"""The settings whose default depends on the optimizer."""

OPTIMIZER_SETTINGS = (
    *("optimizer", "momentum", "accumulate", "learning_rate", "warmup_fraction", "milestones"),
    *("weight_decay", "clipnorm", "ema"),
)
"""The settings that an optimizer of the user replaces."""

LOSS_SETTINGS = ("focal_alpha", "focal_gamma", "box_loss_weight", "smooth_l1_cutoff", "label_smoothing")
"""The settings of the losses."""


@dataclass(frozen=True)
class Recipe:
    """The settings of one training run; each is a name for ``--set name=value``.

    Attributes:
        preset: The name of the network.
        network: ``boxwright`` for a pyramid and heads with normalization and anchors that fit the data, ``kerascv`` and
            ``kerashub`` for those of the library: 256 channels, and anchors of 32 to 512 pixels.
        width: The width of the network's input in pixels, a multiple of 32.
        height: The height of the network's input in pixels, a multiple of 32.
        batch_size: Images per step.
        steps: Total number of optimizer steps. The default sets steps, not epochs, because a network learns from steps.
        steps_per_epoch: Steps that show every image once (rounded up).
        optimizer: One of :data:`OPTIMIZERS`, or ``object`` for a Keras optimizer of the user.
        momentum: Of ``sgd``.
        accumulate: Number of steps whose gradients are averaged for one update of the weights.
        learning_rate: The peak, after the warm-up.
        schedule: How the learning rate changes from there, one of :data:`SCHEDULES`. ``cosine`` falls to 0 at the last
            step (Loshchilov and Hutter 2017), ``step`` is multiplied by ``decay_factor`` at each milestone, ``plateau``
            after ``patience`` epochs without improvement, as by Keras' ``ReduceLROnPlateau``.
        warmup_fraction: Fraction of the steps during which the learning rate rises from 0.
        milestones: Of ``step``: fractions of the steps.
        decay_factor: Of ``step`` and ``plateau``.
        patience: Of ``plateau``: epochs without improvement.
        min_learning_rate: Of ``plateau``: the learning rate below which it is not reduced.
        weight_decay: Decoupled (Loshchilov and Hutter 2019); not applied to biases and normalization.
        clipnorm: Maximum norm of the gradient; 0 for no limit.
        ema: Momentum of the moving average of the weights, which becomes the final model; 0 for none. Because the
            learning rate falls to 0, the last weights are as good; after few steps, the average depends on the start.
        focal_alpha: Weight of objects relative to background in the focal loss (Lin et al. 2017).
        focal_gamma: How strongly the focal loss reduces the weight of easy anchors.
        box_loss_weight: Weight of the box loss relative to the classification loss.
        smooth_l1_cutoff: Error, in units of the encoded box, below which the box loss is quadratic.
        label_smoothing: Label smoothing of the class targets, 0 to 1.
        augment: Names of augmenters, in order.
        pixel_budget: Maximum number of pixels of the network's input, if width and height are not set.
        oversample: Images are cached at up to this multiple of the network's size, so that crops remain sharp.
        max_boxes: Maximum number of boxes per image used in training.
        first_level: The finest level of the pyramid, 3 (anchors every 8 pixels) or 2 (every 4 pixels).
        balance: How strongly images with rare classes are shown more often: 0 for not at all, 1 for in inverse
            proportion to the frequency of the class.
        freeze_backbone: Whether to train only the feature pyramid and the heads.
        freeze_levels: The first levels of the backbone whose weights do not change: 2 for those up to P2, 0 for none.
            They have learned edges and colors.
        freeze_statistics: Whether the batch normalization of the backbone keeps its statistics and scales.
        precision: Keras' dtype policy, ``float32`` or ``mixed_bfloat16``.
        eval_every: Epochs between two evaluations of the validation images.
        eval_images: Maximum number of validation images that are evaluated during training.
        monitor: The metric that decides which epoch is the best, one of :data:`boxwright_retinanet.monitor.MONITORS`.
        early_stopping: Epochs without improvement after which the training stops; 0 for never.
        final_weights: ``best`` or ``last``: which weights become the model, if there are validation images.
    """

    preset: str
    width: int
    height: int
    batch_size: int
    steps: int
    steps_per_epoch: int
    network: str = "boxwright"
    optimizer: str = "adamw"
    momentum: float = 0.9
    accumulate: int = 1
    learning_rate: float = 2e-3
    schedule: str = "cosine"
    warmup_fraction: float = 0.05
    milestones: tuple[float, ...] = (0.67, 0.89)
    decay_factor: float = 0.1
    patience: int = 10
    min_learning_rate: float = 0.0
    weight_decay: float = 0.02
    clipnorm: float = 10.0
    ema: float = 0.0
    focal_alpha: float = 0.25
    focal_gamma: float = 2.0
    box_loss_weight: float = 1.0
    smooth_l1_cutoff: float = 0.5
    label_smoothing: float = 0.0
    augment: tuple[str, ...] = DEFAULT_AUGMENT
    pixel_budget: int = 82_000
    oversample: float = 1.5
    max_boxes: int = 300
    first_level: int = 3
    balance: float = 0.0
    freeze_backbone: bool = False
    freeze_levels: int = 0
    freeze_statistics: bool = False
    precision: str = "float32"
    eval_every: int = 1
    eval_images: int = 200
    monitor: str = "auto"
    early_stopping: int = 0
    final_weights: str = "best"

    def __post_init__(self) -> None:
        for name in ("width", "height"):
            value = getattr(self, name)
            if value < SIZE_MULTIPLE or value % SIZE_MULTIPLE:
                raise ValueError(f"{name} must be a multiple of {SIZE_MULTIPLE}, not {value}")
        counts = ("batch_size", "steps", "steps_per_epoch", "accumulate", "patience", "max_boxes")
        for name in (*counts, "eval_every", "eval_images"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("learning_rate", "smooth_l1_cutoff"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be greater than 0, not {getattr(self, name)}")
        for name in ("warmup_fraction", "momentum", "ema", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 0 and less than 1, not {getattr(self, name)}")
        amounts = ("min_learning_rate", "weight_decay", "clipnorm", "focal_alpha", "focal_gamma", "box_loss_weight")
        for name in (*amounts, "early_stopping"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be at least 0, not {getattr(self, name)}")
        if not 0 <= self.freeze_levels <= 5:
            raise ValueError(f"freeze_levels must be 0 to 5, not {self.freeze_levels}")
        if self.pixel_budget < SIZE_MULTIPLE**2:
            raise ValueError(f"pixel_budget must be at least {SIZE_MULTIPLE**2}, not {self.pixel_budget}")
        if self.first_level not in (2, 3):
            raise ValueError(f"first_level must be 2 or 3, not {self.first_level}")
        if self.oversample < 1:
            raise ValueError(f"oversample must be at least 1, not {self.oversample}")
        if not 0 <= self.balance <= 1:
            raise ValueError(f"balance must be from 0 to 1, not {self.balance}")
        if not 0 < self.decay_factor < 1:
            raise ValueError(f"decay_factor must be between 0 and 1, not {self.decay_factor}")
        if any(not 0 < place < 1 for place in self.milestones) or list(self.milestones) != sorted(self.milestones):
            raise ValueError(f"milestones must be increasing fractions between 0 and 1, not {self.milestones}")
        for name, values in _CHOICES.items():
            if getattr(self, name) not in values:
                raise ValueError(f"{name} must be {', '.join(values[:-1])} or {values[-1]}, not {getattr(self, name)}")

    @property
    def epochs(self) -> int:
        """The number of times that the training shows every image, rounded up."""
        return math.ceil(self.steps / self.steps_per_epoch)

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of the network's input in pixels, in the order of a tensor."""
        return self.height, self.width

    def to_dict(self) -> dict[str, Any]:
        """Returns the recipe as JSON values."""
        return {**asdict(self), "augment": list(self.augment), "milestones": list(self.milestones)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Recipe:
        """Returns the recipe of :meth:`to_dict`.

        Raises:
            TypeError: A setting is missing or unknown.
            ValueError: A setting is out of range.
        """
        return cls(**{**data, "augment": tuple(data["augment"]), "milestones": tuple(data["milestones"])})

    def with_settings(self, settings: Mapping[str, Any]) -> Recipe:
        """Returns a copy with some settings changed; text is converted to the type of the setting.

        Args:
            settings: Values by name. ``augment`` may be text with commas; ``epochs`` is converted to steps.

        Raises:
            ValueError: A name is unknown, or a value is invalid.
        """
        known = {field.name: field for field in fields(self)}
        changes: dict[str, Any] = {}
        for name, value in settings.items():
            if name == "epochs":
                changes["steps"] = int(value) * self.steps_per_epoch
            elif name not in known:
                raise ValueError(f"unknown setting {name!r}; there are {', '.join(sorted(known))}")
            else:
                changes[name] = _read(name, value, getattr(self, name))
        return replace(self, **changes)


@dataclass(frozen=True)
class Defaults:
    """The defaults that differ between presets; see :class:`Recipe`.

    Attributes:
        steps: The least number of steps.
        epochs: The least number of epochs, for large datasets.
    """

    batch_size: int = 8
    steps: int = 1500
    epochs: int = 12
    pixel_budget: int = 82_000
    learning_rate: float = 2e-3
    freeze_levels: int = 0
    freeze_statistics: bool = False


TINY = Defaults()
"""For a narrow network from scratch."""
FROM_SCRATCH = Defaults(steps=4000, epochs=24, pixel_budget=262_144, learning_rate=5e-4)
"""For a network of usual size from scratch."""
PRETRAINED = Defaults(steps=2000, epochs=12, pixel_budget=262_144, learning_rate=2e-4)
"""For a network of usual size with a pretrained backbone."""


def default_recipe(
    preset: str,
    defaults: Defaults,
    *,
    num_images: int,
    image_sizes: Sequence[tuple[int, int]],
    epochs: int | None = None,
    batch_size: int | None = None,
    image_size: tuple[int, int] | None = None,
) -> Recipe:
    """Returns the recipe for a dataset of any size.

    Small datasets get a fixed number of steps, whatever the number of epochs; large ones a fixed number of epochs. The
    network's input has the shape of the median image, its size or less, and at most the preset's pixel budget.

    Args:
        preset: The name of the network.
        defaults: Its defaults.
        num_images: The number of training images, at least 1.
        image_sizes: Width and height of the images, or of a sample of them.
        epochs: The number of epochs; by default, a number of steps.
        batch_size: Images per step, if not the default.
        image_size: Width and height of the network's input, if not the default; rounded to multiples of 32.

    Raises:
        ValueError: There are no images, or a number is less than 1.
    """
    if num_images < 1:
        raise ValueError("there are no images to train on")
    if epochs is not None and epochs < 1:
        raise ValueError(f"epochs must be at least 1, not {epochs}")
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"batch size must be at least 1, not {batch_size}")
    batch = batch_size or defaults.batch_size
    steps_per_epoch = math.ceil(num_images / batch)
    if epochs is not None:
        steps = epochs * steps_per_epoch
    else:
        # The number of steps is inversely proportional to the batch size: the images shown stay the same.
        steps = max(math.ceil(defaults.steps * defaults.batch_size / batch), defaults.epochs * steps_per_epoch)
    if image_size is None:
        width, height = input_size(image_sizes, defaults.pixel_budget)
    else:
        width, height = (_to_multiple(side) for side in image_size)
    # Large datasets already have a variety of sizes, and memory is needed for images, not for their detail.
    oversample = 1.5
    if num_images * width * height * 3 * oversample**2 > _CACHE_BYTES:
        oversample = 1.0
    return Recipe(
        preset=preset,
        width=width,
        height=height,
        batch_size=batch,
        steps=steps,
        steps_per_epoch=steps_per_epoch,
        learning_rate=defaults.learning_rate,
        pixel_budget=defaults.pixel_budget,
        freeze_levels=defaults.freeze_levels,
        freeze_statistics=defaults.freeze_statistics,
        oversample=oversample,
    )


def checkpoint_steps(recipe: Recipe) -> int:
    """Returns the number of steps between two checkpoints: whole epochs if they are short, otherwise parts of one."""
    epoch = recipe.steps_per_epoch
    if epoch > _MOST_STEPS:
        return math.ceil(epoch / math.ceil(epoch / _MOST_STEPS))
    length = max(1, math.ceil(recipe.steps / _CHECKPOINTS / epoch))
    return min(length, max(1, _MOST_STEPS // epoch)) * epoch


def default_eval_every(recipe: Recipe) -> int:
    """Returns the number of epochs between two evaluations: one if a patience in epochs depends on them."""
    if recipe.early_stopping or recipe.schedule == "plateau":
        return 1
    return max(1, round(recipe.epochs / _EVALUATIONS))


def input_size(image_sizes: Sequence[tuple[int, int]], pixel_budget: int) -> tuple[int, int]:
    """Returns the width and height of the network's input: multiples of 32, shaped like the images.

    The median aspect ratio is kept as well as multiples of 32 allow, no side is larger than that of the median image
    (rounded up), and width times height stays within the budget.

    Args:
        image_sizes: Width and height of the images; if empty, the result is a square.
        pixel_budget: Maximum number of pixels.
    """
    if image_sizes:
        ratio = median(width / height for width, height in image_sizes)
        pixels = min(float(pixel_budget), median(width * height for width, height in image_sizes))
    else:
        ratio, pixels = 1.0, float(pixel_budget)
    # At most 4:1, so that a panorama keeps some height.
    ratio = min(max(ratio, 0.25), 4.0)
    # Every side near the ideal one; the best has the most pixels with the least distortion.
    ideal = math.sqrt(pixels * ratio), math.sqrt(pixels / ratio)
    best, best_cost = (SIZE_MULTIPLE, SIZE_MULTIPLE), math.inf
    for width in _near(ideal[0]):
        for height in _near(ideal[1]):
            if width * height > max(pixel_budget, SIZE_MULTIPLE**2):
                continue
            cost = abs(math.log(width / height / ratio)) + abs(math.log(width * height / pixels))
            if cost < best_cost:
                best, best_cost = (width, height), cost
    return best


def _near(side: float) -> tuple[int, ...]:
    below = max(1, math.floor(side / SIZE_MULTIPLE))
    return tuple(SIZE_MULTIPLE * count for count in (max(1, below - 1), below, below + 1))


def _to_multiple(side: int) -> int:
    if side < 1:
        raise ValueError(f"image size must be at least 1 pixel, not {side}")
    return max(SIZE_MULTIPLE, round(side / SIZE_MULTIPLE) * SIZE_MULTIPLE)


def _read(name: str, value: Any, current: Any) -> Any:
    """Returns ``value`` converted to the type of ``current``."""
    try:
        if isinstance(current, bool):
            if isinstance(value, str):
                if value.lower() not in ("true", "false", "1", "0", "yes", "no"):
                    raise ValueError(value)
                return value.lower() in ("true", "1", "yes")
            return bool(value)
        if isinstance(current, tuple):
            parts = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
            kind = type(current[0]) if current else str
            return tuple(kind(part) for part in parts if part != "")
        if isinstance(current, int):
            return int(value)
        return type(current)(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} cannot be {value!r}: {type(current).__name__} expected") from error
