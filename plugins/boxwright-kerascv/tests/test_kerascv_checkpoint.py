"""Checkpoints: an interrupted training resumes as if it had not been, and invalid files are reported by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

import keras  # noqa: E402

from boxwright import LabelMap, RunError  # noqa: E402
from boxwright.models import Run  # noqa: E402
from boxwright_kerascv.backend import _make_variables  # noqa: E402
from boxwright_kerascv.compiling import compile_network  # noqa: E402
from boxwright_kerascv.layers import Detector, NarrowBackbone  # noqa: E402
from boxwright_kerascv.network import build_network  # noqa: E402
from boxwright_retinanet.anchors import AnchorSettings  # noqa: E402
from boxwright_retinanet.checkpoint import load_checkpoint, newest_checkpoint, save_checkpoint  # noqa: E402
from boxwright_retinanet.recipe import Recipe  # noqa: E402

pytestmark = pytest.mark.tensorflow

ANCHORS = AnchorSettings(sizes=(12, 24), scales=(1,), aspect_ratios=(1,))
RECIPE = Recipe("tiny", 32, 32, batch_size=2, steps=4, steps_per_epoch=2, warmup_fraction=0.5)


def model(seed: int = 0, channels: int = 8, freeze: bool = False, recipe: Recipe = RECIPE) -> Detector:
    """Returns the detector with a very narrow backbone."""
    backbone = NarrowBackbone(channels=[8, 8, 8, channels], depths=[0, 0, 0, 0], input_shape=(32, 32, 3))
    built = build_network(
        "tiny",
        num_classes=2,
        image_size=(32, 32),
        anchors=ANCHORS,
        backbone=backbone,
        freeze_backbone=freeze,
        seed=seed,
    )
    compile_network(built, recipe)
    _make_variables(built, recipe)
    return built


def state(of: Detector) -> list[np.ndarray]:
    """Returns everything that determines how a training continues."""
    return [*of.get_weights(), *(np.asarray(variable) for variable in of.optimizer.variables)]


def mark(of: Detector, seed: int = 3) -> None:
    """Sets every variable to a different value."""
    chance = np.random.default_rng(seed)
    of.set_weights([chance.normal(size=value.shape).astype(value.dtype) for value in of.get_weights()])
    for variable in of.optimizer.variables:
        variable.assign(np.asarray(chance.uniform(1, 9, variable.shape)).astype(variable.dtype))


@pytest.fixture(scope="module")
def target() -> Detector:
    """One model for the tests that do not change it."""
    return model(seed=2)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run.create(
        tmp_path / "run", backend="kerascv", config={}, label_map=LabelMap.from_names(["a", "b"]), inputs={}
    )


def test_every_variable_is_restored(run: Run) -> None:
    assert newest_checkpoint(run) is None
    first = model(seed=1)
    mark(first)
    path = save_checkpoint(run, first, 17, {"best": [0.5, -1e-9], "epoch": 4})
    assert newest_checkpoint(run) == path
    again = model(seed=2)
    assert load_checkpoint(path, again) == (17, {"best": [0.5, -1e-9], "epoch": 4})
    for one, two in zip(state(first), state(again), strict=True):
        assert one.dtype == two.dtype
        np.testing.assert_array_equal(one, two)


def test_a_moving_average_of_the_weights_is_restored(run: Run, target: Detector) -> None:
    recipe = RECIPE.with_settings({"ema": 0.9})
    first, again = model(recipe=recipe), model(seed=2, recipe=recipe)
    assert len(state(first)) > len(state(target))
    mark(first)
    load_checkpoint(save_checkpoint(run, first, 3, {}), again)
    for one, two in zip(state(first), state(again), strict=True):
        np.testing.assert_array_equal(one, two)


def batches(first_step: int) -> Any:
    """Returns four different batches, from the one of a step on."""
    chance = np.random.default_rng(0)
    images = chance.uniform(0, 255, (4, 2, 32, 32, 3)).astype(np.float32)
    corners = chance.uniform(0, 16, (4, 2, 3, 2))
    boxes = np.concatenate([corners, corners + chance.uniform(8, 16, (4, 2, 3, 2))], axis=-1).astype(np.float32)
    labels = {"boxes": boxes, "classes": chance.integers(0, 2, (4, 2, 3)).astype(np.float32)}
    return tf.data.Dataset.from_tensor_slices((images, labels)).skip(first_step)


@pytest.mark.slow
def test_four_steps_equal_two_and_two_resumed_ones(run: Run) -> None:
    """Bit by bit: weights, batch-norm statistics, optimizer and learning rate."""
    whole, resumed = model(), model(seed=9)
    saving = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: save_checkpoint(run, whole, 2, {}) if epoch == 0 else None
    )
    whole.fit(batches(0), steps_per_epoch=2, epochs=2, callbacks=[saving], shuffle=False, verbose=0)
    start, _ = load_checkpoint(run.file("checkpoints/last.npz"), resumed)
    assert start == 2
    resumed.fit(batches(start), steps_per_epoch=2, epochs=1, shuffle=False, verbose=0)
    assert int(resumed.optimizer.iterations) == 4
    for one, two in zip(state(whole), state(resumed), strict=True):
        np.testing.assert_array_equal(one, two)


def _garbage(path: Path) -> None:
    path.write_bytes(b"PK no archive")


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2000])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 64] = bytes(64 * [0xAA])
    path.write_bytes(bytes(data))


def _rewrite(path: Path, **arrays: Any) -> None:
    with path.open("wb") as file:
        np.savez(file, **arrays)


def _other_arrays(path: Path) -> None:
    _rewrite(path, weights=np.zeros(3))


def _gap(path: Path) -> None:
    with np.load(path) as arrays:
        kept = {name: arrays[name] for name in arrays.files if name != "model_1"}
    _rewrite(path, **kept)


@pytest.mark.parametrize("damage", [_garbage, _truncated, _empty, _flipped, _other_arrays, _gap])
def test_a_damaged_file_is_an_error_and_the_model_is_unchanged(
    run: Run, target: Detector, damage: Callable[[Path], None]
) -> None:
    before = state(target)
    path = save_checkpoint(run, target, 2, {})
    damage(path)
    with pytest.raises(RunError) as caught:
        load_checkpoint(path, target)
    assert str(path) in str(caught.value)
    assert caught.value.remedy
    for one, two in zip(before, state(target), strict=True):
        np.testing.assert_array_equal(one, two)


def test_the_model_is_unchanged_if_the_last_array_is_missing(run: Run, target: Detector) -> None:
    other = [value + 1 for value in target.get_weights()]
    before = state(target)
    path = save_checkpoint(run, target, 2, {})
    with np.load(path) as arrays:
        kept = {name: arrays[name] for name in arrays.files if name != "step"}
    _rewrite(path, **kept | {f"model_{place}": value for place, value in enumerate(other)})
    with pytest.raises(RunError):
        load_checkpoint(path, target)
    for one, two in zip(before, state(target), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("other", [{"channels": 16}, {"freeze": True}, {"recipe": RECIPE.with_settings({"ema": 0.9})}])
def test_a_checkpoint_of_another_network_is_an_error(run: Run, target: Detector, other: dict[str, Any]) -> None:
    different = model(**other)
    with pytest.raises(RunError, match="another network|has other variables"):
        load_checkpoint(save_checkpoint(run, target, 2, {}), different)
    with pytest.raises(RunError, match="another network|has other variables"):
        load_checkpoint(save_checkpoint(run, different, 2, {}), target)


class Touch:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def test_nothing_is_unpickled(run: Run, target: Detector, tmp_path: Path) -> None:
    path = save_checkpoint(run, target, 2, {})
    with np.load(path) as arrays:
        kept = {name: arrays[name] for name in arrays.files}
    kept["model_0"] = np.array([Touch(tmp_path / "executed")], dtype=object)
    _rewrite(path, **kept)
    with pytest.raises(RunError, match="pickle"):
        load_checkpoint(path, target)
    assert not (tmp_path / "executed").exists()


def test_the_previous_checkpoint_remains_until_the_next_is_complete(
    run: Run, target: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save_checkpoint(run, target, 2, {})

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("boxwright_retinanet.checkpoint.np.savez", full)
    with pytest.raises(Exception, match="No space left"):
        save_checkpoint(run, target, 4, {})
    monkeypatch.undo()
    assert load_checkpoint(path, target) == (2, {})
    assert [file.name for file in path.parent.iterdir()] == [path.name], "and no incomplete file remains"
