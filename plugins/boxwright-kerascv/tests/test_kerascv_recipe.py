"""The rule that determines a training's settings, computed manually."""

from __future__ import annotations

import json

import pytest

from boxwright_kerascv.recipe import Recipe, default_recipe, input_size
from boxwright_kerascv.rounds import LONGEST_ROUND, round_steps

pytest.importorskip("tensorflow")

pytestmark = pytest.mark.tensorflow


def recipe(**changes: object) -> Recipe:
    settings: dict[str, object] = {
        "preset": "tiny",
        "width": 64,
        "height": 64,
        "batch_size": 4,
        "steps": 10,
        "steps_per_epoch": 2,
    }
    return Recipe(**(settings | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("images", "steps_per_epoch", "steps"),
    [
        (16, 2, 1500),  # a small dataset gets the preset's steps, whatever the number of epochs
        (205, 26, 1500),
        (240, 30, 1500),
        (1000, 125, 1500),  # 12 epochs of 125 steps are just as many
        (100_000, 12_500, 150_000),  # a large one gets 12 epochs
    ],
)
def test_steps_of_the_tiny_preset(images: int, steps_per_epoch: int, steps: int) -> None:
    chosen = default_recipe("tiny", num_images=images, image_sizes=[(640, 480)])
    assert chosen.batch_size == 8
    assert (chosen.steps_per_epoch, chosen.steps) == (steps_per_epoch, steps)
    assert chosen.epochs == -(-steps // steps_per_epoch)


def test_another_batch_size_shows_as_many_images() -> None:
    """1500 steps of 8 images are 3000 of 4 and 600 of 20."""
    for batch_size, steps in ((4, 3000), (20, 600)):
        chosen = default_recipe("tiny", num_images=40, image_sizes=[(640, 480)], batch_size=batch_size)
        assert chosen.steps == steps


def test_the_number_of_epochs_is_used() -> None:
    chosen = default_recipe("tiny", num_images=20, image_sizes=[(640, 480)], epochs=7)
    assert (chosen.steps_per_epoch, chosen.steps, chosen.epochs) == (3, 21, 7)


def test_presets_with_pretrained_weights_have_lower_learning_rates() -> None:
    rates = [
        default_recipe(name, num_images=100, image_sizes=[(640, 480)]).learning_rate
        for name in ("resnet50_imagenet", "resnet50", "tiny")
    ]
    assert rates == sorted(rates)
    assert len(set(rates)) == 3


@pytest.mark.parametrize(
    ("sizes", "budget", "expected"),
    [
        ([(640, 480)], 82_000, (320, 256)),  # 4:3; 320 * 256 = 81920
        ([(480, 640)], 82_000, (256, 320)),
        ([(500, 500)], 65_536, (256, 256)),
        ([(100, 75)], 82_000, (96, 64)),  # never larger than the images, except for rounding
        ([(10_000, 500)], 82_000, (512, 128)),  # a panorama keeps some height: 4:1 at most
        ([(640, 480)] * 3 + [(100, 900)], 82_000, (320, 256)),  # the median image counts
        ([(8, 8)], 82_000, (32, 32)),
        ([], 65_536, (256, 256)),
    ],
)
def test_input_sizes(sizes: list[tuple[int, int]], budget: int, expected: tuple[int, int]) -> None:
    assert input_size(sizes, budget) == expected


@pytest.mark.parametrize("width", range(60, 2000, 97))
@pytest.mark.parametrize("height", [60, 333, 480, 1999])
def test_input_sizes_are_multiples_of_32_within_the_budget_and_shaped_like_the_image(width: int, height: int) -> None:
    size = input_size([(width, height)], 82_000)
    assert all(side >= 32 and side % 32 == 0 for side in size)
    assert size[0] * size[1] <= 82_000
    ratio = min(max(width / height, 0.25), 4.0)
    # Rounding changes each side by at most half a multiple.
    assert size[0] / size[1] / ratio <= (size[0] + 32) / size[0] * (size[1] + 32) / size[1]
    assert ratio / (size[0] / size[1]) <= (size[0] + 32) / size[0] * (size[1] + 32) / size[1]


def test_a_given_size_is_rounded_to_multiples_of_32() -> None:
    chosen = default_recipe("tiny", num_images=8, image_sizes=[(640, 480)], image_size=(300, 40))
    assert (chosen.width, chosen.height) == (288, 32)
    assert chosen.image_size == (32, 288), "height first, as in tensors"


def test_large_datasets_are_cached_at_the_size_of_the_network() -> None:
    """In memory, 100 images of 320x256 at 1.5 times the size are 55 MB, 100,000 would be 55 GB."""
    assert default_recipe("tiny", num_images=100, image_sizes=[(640, 480)]).oversample == 1.5
    assert default_recipe("tiny", num_images=100_000, image_sizes=[(640, 480)]).oversample == 1.0


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("learning_rate", "1e-3", 1e-3),
        ("max_boxes", "7", 7),
        ("freeze_backbone", "yes", True),
        ("freeze_backbone", "0", False),
        ("augment", "flip, color", ("flip", "color")),
        ("augment", "", ()),
        ("augment", ["crop"], ("crop",)),
        ("precision", "mixed_bfloat16", "mixed_bfloat16"),
        ("clipnorm", 0, 0.0),
    ],
)
def test_settings_are_converted_to_their_type(name: str, text: object, value: object) -> None:
    changed = getattr(recipe().with_settings({name: text}), name)
    assert changed == value
    assert type(changed) is type(value)


def test_epochs_as_a_setting_are_steps() -> None:
    assert recipe().with_settings({"epochs": "9"}).steps == 18


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("learning_rate", "fast"),
        ("learning_rate", 0),
        ("learning_rate", "nan"),
        ("freeze_backbone", "perhaps"),
        ("max_boxes", "1.5"),
        ("max_boxes", 0),
        ("steps", 0),
        ("oversample", 0.5),
        ("warmup_fraction", 1),
        ("ema", -0.1),
        ("label_smoothing", 1.5),
        ("precision", "float16"),
        ("width", 50),
        ("no_such_setting", 1),
    ],
)
def test_settings_out_of_range_are_reported_by_name(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name):
        recipe().with_settings({name: value})


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"num_images": 0}, "no images"),
        ({"epochs": 0}, "epochs"),
        ({"batch_size": 0}, "batch size"),
        ({"image_size": (0, 64)}, "image size"),
    ],
)
def test_a_recipe_requires_images_epochs_and_a_size(arguments: dict[str, object], named: str) -> None:
    given: dict[str, object] = {"num_images": 8, "image_sizes": [(64, 64)], **arguments}
    with pytest.raises(ValueError, match=named):
        default_recipe("tiny", **given)  # type: ignore[arg-type]


def test_a_recipe_is_restored_from_json() -> None:
    chosen = recipe(augment=("crop:smallest=0.4", "flip"), learning_rate=1 / 3)
    assert Recipe.from_dict(json.loads(json.dumps(chosen.to_dict()))) == chosen


@pytest.mark.parametrize(
    ("steps", "steps_per_epoch", "expected"),
    [
        (1500, 2, 50),  # 750 epochs in 30 rounds of 25
        (1500, 30, 60),  # 50 epochs in 25 rounds of 2
        (10, 2, 2),
        (3, 3, 3),
        (150_000, 12_500, 500),  # an epoch in 25 rounds
        (24, 1, 1),
    ],
)
def test_rounds_are_whole_epochs_or_even_parts_of_one(steps: int, steps_per_epoch: int, expected: int) -> None:
    chosen = recipe(steps=steps, steps_per_epoch=steps_per_epoch)
    length = round_steps(chosen)
    assert length == expected
    assert length <= LONGEST_ROUND
    assert length % steps_per_epoch == 0 or steps_per_epoch % length == 0
    # The backend rounds the steps up to whole rounds, which must not change the length of one.
    rounded = chosen.with_settings({"steps": -(-steps // length) * length})
    assert round_steps(rounded) == length
