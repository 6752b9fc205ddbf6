"""The rule that determines a training's settings, computed manually."""

from __future__ import annotations

import json
import math
import os
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")

import keras
import tensorflow as tf

from boxwright_kerascv.augmentation import Augmentation
from boxwright_kerascv.defaults import default_recipe
from boxwright_kerascv.inputs import InputClock, training_batches
from boxwright_kerascv.memory import activation_bytes, available_bytes, fitting
from boxwright_retinanet.balance import image_weights
from boxwright_retinanet.images import ImageCache
from boxwright_retinanet.monitor import Monitor
from boxwright_retinanet.recipe import Recipe, checkpoint_steps, default_eval_every, input_size
from boxwright_retinanet.training import Warmup, build_optimizer

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
        ("milestones", "0.5, 0.8", (0.5, 0.8)),
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
        ("milestones", "0.9,0.5"),
        ("milestones", "1.5"),
        ("decay_factor", 1),
        ("schedule", "linear"),
        ("monitor", "loss"),
        ("accumulate", 0),
        ("early_stopping", -1),
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
        (1500, 2, 50),  # 750 epochs, a checkpoint after every 25th
        (1500, 30, 60),  # 50 epochs, after every second
        (10, 2, 2),
        (3, 3, 3),
        (150_000, 12_500, 500),  # 25 within an epoch
        (24, 1, 1),
    ],
)
def test_checkpoints_are_about_thirty_and_at_most_500_steps_apart(
    steps: int, steps_per_epoch: int, expected: int
) -> None:
    assert checkpoint_steps(recipe(steps=steps, steps_per_epoch=steps_per_epoch)) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 5),  # ten evaluations in 50 epochs
        ({"early_stopping": 15}, 1),
        ({"schedule": "plateau"}, 1),
        ({"steps": 4}, 1),
    ],
)
def test_a_patience_in_epochs_requires_an_evaluation_after_each(changes: dict[str, object], expected: int) -> None:
    assert default_eval_every(recipe(**{"steps": 100, **changes})) == expected


LOSSES = {
    "falling": [5, 4, 3, 2, 1, 0.5, 0.4, 0.3, 0.2, 0.1],
    "rising": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
    "equal": [1] * 10,
    "slower than the plateau's smallest improvement": [1 - 0.00003 * epoch for epoch in range(10)],
    "uneven": [3, 2, 2.5, 2.4, 1.9, 2.1, 2.2, 1.95, 1.8, 2.0],
}


@pytest.mark.parametrize("patience", [1, 2, 3, 15])
@pytest.mark.parametrize("name", LOSSES)
def test_patience_is_counted_as_by_keras(name: str, patience: int) -> None:
    """The epoch of early stopping, and the learning rate after each epoch, of Keras' callbacks for the same losses."""
    losses: Any = LOSSES[name]
    model = SimpleNamespace(stop_training=False, optimizer=keras.optimizers.SGD(1.0), metrics=[])
    stopping = keras.callbacks.EarlyStopping(patience=patience)
    reducing = keras.callbacks.ReduceLROnPlateau(patience=patience)
    for callback in (stopping, reducing):
        callback.set_model(model)
        callback.on_train_begin()
    monitor, rate = Monitor("val_loss", early_stopping=patience, patience=patience), 1.0
    for epoch, loss in enumerate(losses):
        logs = {"val_loss": float(loss)}
        stopping.on_epoch_end(epoch, logs)
        reducing.on_epoch_end(epoch, logs)
        # As a checkpoint restores it.
        monitor = Monitor.restored(json.loads(json.dumps(monitor.state())))
        monitor.add(epoch + 1, 2 * epoch, logs)
        if monitor.plateau(epoch + 1):
            rate *= 0.1
        assert monitor.stopped == model.stop_training
        assert rate == pytest.approx(float(model.optimizer.learning_rate.numpy()), rel=1e-5)
        if monitor.stopped:
            break
    assert monitor.best_epoch == stopping.best_epoch + 1


def test_average_precision_decides_before_the_loss() -> None:
    monitor = Monitor()
    evaluations = [
        {"val_loss": 3.0, "val_AP": 0.0},
        {"val_loss": 2.0, "val_AP": 0.0},  # better by its loss
        {"val_loss": 9.0, "val_AP": 0.2},
        {"val_loss": 1.0, "val_AP": 0.1},
        {"val_loss": math.inf, "val_AP": 0.2},
        {"val_loss": 8.0, "val_AP": 0.2},
    ]
    assert [monitor.add(n, 5 * n, found) for n, found in enumerate(evaluations, 1)] == [
        True, True, True, False, False, True,
    ]  # fmt: skip
    assert (monitor.best_epoch, monitor.best_step) == (6, 30)
    # Without boxes there is no average precision.
    assert Monitor("val_AP50").add(1, 5, {"val_loss": 2.0})


def test_learning_rates_computed_manually() -> None:
    """Ten steps, of which two are the warm-up; with milestones at steps 5 and 8."""
    settings = {"steps": 10, "learning_rate": 1.0, "warmup_fraction": 0.2, "milestones": "0.5,0.8"}
    rate = build_optimizer(recipe().with_settings({**settings, "schedule": "step"}))._learning_rate
    expected = [0.5, 1, 1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01]
    assert [float(rate(step)) for step in range(10)] == pytest.approx(expected)
    model = SimpleNamespace(optimizer=build_optimizer(recipe().with_settings({**settings, "schedule": "constant"})))
    warmup = Warmup(1.0, 2, start=0)
    warmup.set_model(model)
    rates = []
    for step in range(4):
        warmup.on_train_batch_begin(step)
        rates.append(float(model.optimizer.learning_rate.numpy()))
    assert rates == [0.5, 1, 1, 1]


def test_the_optimizer_of_the_keras_guide() -> None:
    """SGD(learning_rate=0.1, momentum=0.9, global_clipnorm=10.0), with Keras' own default for the rest."""
    chosen = recipe().with_settings(
        {"optimizer": "sgd", "learning_rate": 0.1, "weight_decay": 0, "schedule": "plateau", "clipnorm": 10}
    )
    ours = build_optimizer(chosen).get_config()
    theirs = keras.optimizers.SGD(learning_rate=0.1, momentum=0.9, global_clipnorm=10.0).get_config()
    assert ours.pop("learning_rate") == pytest.approx(theirs.pop("learning_rate"))
    assert ours == {**theirs, "name": ours["name"]}


def test_accumulated_gradients_are_averaged_over_the_steps() -> None:
    """Two steps with the gradients 1 and 3 are one with 2; the learning rate follows the steps."""
    settings = {"optimizer": "sgd", "momentum": 0, "learning_rate": 0.5, "schedule": "constant", "weight_decay": 0}
    weight = keras.Variable([1.0])
    optimizer = build_optimizer(recipe().with_settings({**settings, "accumulate": 2, "clipnorm": 0}))
    optimizer.build([weight])
    optimizer.apply([np.array([1.0], np.float32)])
    assert weight.numpy() == [1.0]
    optimizer.apply([np.array([3.0], np.float32)])
    assert weight.numpy() == [0.0]


def classes(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.float32)


def test_images_of_rare_classes_count_more_computed_manually() -> None:
    """Class 0 is in 4 of 6 images, class 1 in 1, class 2 in none."""
    present = [classes(0), classes(0, 0), classes(0, 1), classes(0), classes(), classes()]
    assert image_weights(present, 3, 0.5).tolist() == [1, 1, 2, 1, 1, 1]
    assert image_weights(present, 3, 1.0).tolist() == [1, 1, 4, 1, 1, 1]
    assert image_weights(present, 3, 0.0).tolist() == [1] * 6
    assert image_weights([classes(), classes()], 3, 1.0).tolist() == [1, 1]


def shown(weights: np.ndarray | None, passes: int) -> list[list[int]]:
    """Returns the images of each pass, by the gray level that identifies them."""
    chosen = recipe(batch_size=3, width=32, height=32)
    gray = [np.full((32, 32, 3), 10 * number, np.uint8) for number in range(6)]
    cache = ImageCache(gray, [np.zeros((0, 4))] * 6, [np.zeros(0)] * 6)
    batches = training_batches(cache, 6, chosen, Augmentation([], (32, 32)), seed=3, weights=weights)
    levels = [int(level) // 10 for images, _ in batches.take(2 * passes) for level in images[:, 0, 0, 0]]
    return [levels[6 * number : 6 * number + 6] for number in range(passes)]


def test_a_pass_shows_each_image_as_often_as_its_weight_says() -> None:
    weights = np.array([1.0, 1, 4, 1, 1, 4])
    passes = shown(weights, 4)
    for one in passes:
        for number, expected in enumerate(weights / weights.sum() * 6):
            assert one.count(number) in (math.floor(expected), math.ceil(expected))
    total = [sum(one.count(number) for one in passes) for number in range(6)]
    assert total[2] + total[5] >= 12, "at least half of all"
    assert len({tuple(one) for one in passes}) == 4, "each pass has its own order"
    assert all(sorted(one) == list(range(6)) for one in [*shown(None, 2), *shown(np.ones(6), 2)])


def test_the_clock_measures_the_wait_for_a_late_batch() -> None:
    clock = InputClock()

    def slow(images: Any) -> Any:
        return tf.numpy_function(lambda value: (time.sleep(0.2), value)[1], [images], tf.float32)

    batches = tf.data.Dataset.from_tensors((tf.zeros((1, 2)), {"boxes": tf.zeros((1, 4))})).repeat(2)
    batches = iter(clock.ready(batches.map(lambda images, labels: (slow(images), labels))).prefetch(2))
    clock.ask()
    next(batches)
    assert clock.waited() == pytest.approx(0.2, abs=0.15)
    time.sleep(0.5)  # the next batch is ready long before it is used
    clock.ask()
    next(batches)
    assert clock.waited() == 0


def test_the_batch_size_that_fits_in_memory(monkeypatch: pytest.MonkeyPatch, reporter: Any) -> None:
    """A network of two convolutions with 4 and 8 channels: 12 float32 per pixel, and once more for the gradients."""
    inputs = keras.Input((64, 64, 3))
    first = keras.layers.Conv2D(4, 3, padding="same", use_bias=False)(inputs)
    model = keras.Model(inputs, keras.layers.Conv2D(8, 3, padding="same", use_bias=False)(first))
    image = activation_bytes(model, (64, 64))
    assert image == 2 * 64 * 64 * 12 * 4
    states = 16 * (3 * 3 * 3 * 4 + 3 * 3 * 4 * 8)
    chosen = recipe(batch_size=8, steps=20, steps_per_epoch=5)
    monkeypatch.setattr("boxwright_kerascv.memory.available_bytes", lambda: int((states + 3.5 * image) / 0.8))
    found = fitting(chosen, model, reporter, fixed=False)
    assert (found.batch_size, found.accumulate, found.steps, found.steps_per_epoch) == (2, 4, 80, 20)
    assert found.epochs == chosen.epochs
    assert "4 steps of 2" in reporter.messages[-1]
    assert fitting(chosen, model, reporter, fixed=True) == chosen
    assert "accumulate=" in reporter.warnings[-1]
    for available in (int((states + 8 * image) / 0.8) + 1, 10**12, None):
        monkeypatch.setattr("boxwright_kerascv.memory.available_bytes", lambda available=available: available)
        assert fitting(chosen, model, reporter, fixed=False) == chosen


def test_the_memory_of_this_machine_is_known() -> None:
    """At most the physical memory, as the operating system states it."""
    available = available_bytes()
    assert available is not None
    assert 10**7 < available <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
