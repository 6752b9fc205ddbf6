"""Scenes: the same for the same seed, with boxes around what is visible."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from boxwright_demo.scenes import CLASSES, DEFAULT_SETTINGS, DrawnObject, SceneSettings, draw_scene, scene_rng

CLEAR = SceneSettings(distractors=(0, 0), contrast=110.0, pattern=0.0, shadow=0.0, noise=0.0, blur=0.0)
"""With these settings, every pixel that an additional object changes belongs to that object."""


def _pixels(image: Image.Image) -> npt.NDArray[np.int16]:
    return np.asarray(image, np.int16)


def _bounds(mask: npt.NDArray[np.bool_]) -> tuple[float, float, float, float]:
    rows, columns = np.nonzero(mask)
    return float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1)


def _coordinates(drawn: DrawnObject) -> tuple[float, float, float, float]:
    return drawn.xmin, drawn.ymin, drawn.xmax, drawn.ymax


def test_the_same_seed_draws_the_same_scene() -> None:
    first, objects = draw_scene(scene_rng(3, "train", 5))
    again, objects_again = draw_scene(scene_rng(3, "train", 5))
    assert first.tobytes() == again.tobytes()
    assert objects == objects_again


@pytest.mark.parametrize("other", [(4, "train", 5), (3, "test", 5), (3, "train", 6)])
def test_another_seed_split_or_index_draws_another_scene(other: tuple[int, str, int]) -> None:
    assert draw_scene(scene_rng(3, "train", 5))[0].tobytes() != draw_scene(scene_rng(*other))[0].tobytes()


def test_a_scene_depends_on_the_state_of_its_generator_alone() -> None:
    rng = scene_rng(0, "train", 0)
    state = rng.bit_generator.state
    first = draw_scene(rng)[0]
    assert draw_scene(rng)[0].tobytes() != first.tobytes(), "the generator did not advance"
    rng.bit_generator.state = state
    assert draw_scene(rng)[0].tobytes() == first.tobytes()


@pytest.mark.parametrize(("seed", "index"), [(-1, 0), (0, -1)])
def test_negative_seeds_and_indices_are_errors(seed: int, index: int) -> None:
    with pytest.raises(ValueError, match="negative"):
        scene_rng(seed, "train", index)


def test_scenes_have_1_to_5_objects_of_all_classes_inside_the_image() -> None:
    counts, labels = [], []
    for index in range(60):
        image, objects = draw_scene(scene_rng(0, "train", index))
        assert (image.mode, image.size) == ("RGB", (192, 160))
        counts.append(len(objects))
        labels += [drawn.label for drawn in objects]
        for drawn in objects:
            assert 0 <= drawn.xmin < drawn.xmax <= 192
            assert 0 <= drawn.ymin < drawn.ymax <= 160
            assert all(coordinate == int(coordinate) for coordinate in _coordinates(drawn))
    assert min(counts) == 1
    assert max(counts) == 5
    assert set(labels) == set(CLASSES)
    assert min(labels.count(name) for name in CLASSES) > len(labels) / 5


def test_a_box_bounds_the_pixels_that_the_object_changes() -> None:
    """Compares each scene with the same one drawn without its last object."""
    compared = 0
    for index in range(40):
        without, before = draw_scene(scene_rng(1, "box", index), settings=replace(CLEAR, objects=(1, 1)))
        image, objects = draw_scene(scene_rng(1, "box", index), settings=replace(CLEAR, objects=(2, 2)))
        if len(objects) != 2:
            continue
        assert objects[1] != before[0]
        change = np.abs(_pixels(image) - _pixels(without)).sum(axis=2)
        outer, box = _bounds(change > 0), _coordinates(objects[1])
        # A changed pixel belongs to the object, or is less than half covered by it: at most one pixel more, or two at
        # the tip of a leaf.
        assert outer[0] <= box[0] <= outer[0] + 2
        assert outer[1] <= box[1] <= outer[1] + 2
        assert outer[2] - 2 <= box[2] <= outer[2]
        assert outer[3] - 2 <= box[3] <= outer[3]
        compared += 1
    assert compared > 20


def test_hidden_parts_do_not_count() -> None:
    """The box of a partly hidden object is never larger than its box alone."""
    shrunk = 0
    crowded = replace(CLEAR, overlap=1.0, size=(0.4, 0.6))
    for index in range(40):
        alone = draw_scene(scene_rng(2, "hide", index), settings=replace(crowded, objects=(1, 1)))[1][0]
        below = draw_scene(scene_rng(2, "hide", index), settings=replace(crowded, objects=(2, 2)))[1][0]
        assert below.label == alone.label
        assert alone.xmin <= below.xmin < below.xmax <= alone.xmax
        assert alone.ymin <= below.ymin < below.ymax <= alone.ymax
        shrunk += below != alone
    assert 0 < shrunk < 40


def test_objects_do_not_overlap_if_overlap_is_0() -> None:
    for index in range(20):
        settings = replace(CLEAR, overlap=0.0, objects=(2, 2))
        alone = draw_scene(scene_rng(0, "clear", index), settings=replace(settings, objects=(1, 1)))[1][0]
        assert draw_scene(scene_rng(0, "clear", index), settings=settings)[1][0] == alone


def test_objects_across_the_border_end_there() -> None:
    settings = replace(DEFAULT_SETTINGS, border=1.0, objects=(1, 1))
    for index in range(20):
        drawn = draw_scene(scene_rng(0, "border", index), settings=settings)[1][0]
        assert drawn.xmin == 0 or drawn.ymin == 0 or drawn.xmax == 192 or drawn.ymax == 160


def test_the_length_of_objects_follows_the_settings() -> None:
    settings = replace(CLEAR, objects=(1, 1), border=0.0, rotation=0.0, size=(0.5, 0.5))
    for index in range(20):
        drawn = draw_scene(scene_rng(0, "size", index), settings=settings)[1][0]
        assert max(drawn.xmax - drawn.xmin, drawn.ymax - drawn.ymin) == pytest.approx(80, abs=2)


def test_distractors_have_no_box() -> None:
    settings = replace(DEFAULT_SETTINGS, objects=(1, 1))
    bare, alone = draw_scene(scene_rng(0, "d", 0), settings=replace(settings, distractors=(0, 0)))
    image, objects = draw_scene(scene_rng(0, "d", 0), settings=replace(settings, distractors=(4, 4)))
    assert len(objects) == len(alone) == 1
    assert np.count_nonzero(np.abs(_pixels(image) - _pixels(bare)).sum(axis=2) > 30) > 200


@pytest.mark.parametrize(("width", "height"), [(48, 48), (300, 60), (128, 224)])
def test_the_hardest_settings_draw_an_object_at_any_size(width: int, height: int) -> None:
    settings = SceneSettings(
        objects=(1, 30), size=(0.05, 0.9), overlap=1.0, max_hidden=0.9, border=1.0, max_outside=0.6, contrast=150.0
    )
    for index in range(15):
        image, objects = draw_scene(scene_rng(0, "hard", index), width, height, settings)
        assert image.size == (width, height)
        assert objects
        assert all(0 <= t.xmin < t.xmax <= width and 0 <= t.ymin < t.ymax <= height for t in objects)


def test_a_scene_smaller_than_48_pixels_is_an_error() -> None:
    with pytest.raises(ValueError, match="48 x 48"):
        draw_scene(scene_rng(0, "train", 0), width=200, height=20)


@pytest.mark.parametrize(
    "wrong",
    [
        {"objects": (0, 3)},
        {"objects": (4, 3)},
        {"distractors": (-1, 3)},
        {"size": (0.5, 0.4)},
        {"size": (0.1, 1.5)},
        {"overlap": 1.5},
        {"max_hidden": 1.0},
        {"noise": -1.0},
        {"blur": float("nan")},
    ],
)
def test_errors_name_the_setting_that_is_out_of_range(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SceneSettings(**wrong)


def test_classes_are_sorted_as_in_a_label_map() -> None:
    assert list(CLASSES) == sorted(set(CLASSES))
    assert [field.name for field in fields(DrawnObject)] == ["label", "xmin", "ymin", "xmax", "ymax"]
