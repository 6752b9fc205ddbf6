"""Box conversions against KerasCV and numbers calculated by hand; IoU against pycocotools."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, strategies as st

from boxwright import BoxFormat, UsageError, clip, convert_format, iou
from boxwright.boxes import area, scale

SIZE = (200, 100)  # width, height

# Two boxes of a 200x100 image, in every format, calculated by hand.
BY_HAND: dict[str, list[tuple[float, ...]]] = {
    "xyxy": [(20, 10, 60, 80), (0, 0, 200, 100)],
    "yxyx": [(10, 20, 80, 60), (0, 0, 100, 200)],
    "xywh": [(20, 10, 40, 70), (0, 0, 200, 100)],
    "center_xywh": [(40, 45, 40, 70), (100, 50, 200, 100)],
    "rel_xyxy": [(0.1, 0.1, 0.3, 0.8), (0, 0, 1, 1)],
    "rel_yxyx": [(0.1, 0.1, 0.8, 0.3), (0, 0, 1, 1)],
    "rel_xywh": [(0.1, 0.1, 0.2, 0.7), (0, 0, 1, 1)],
    "rel_center_xywh": [(0.2, 0.45, 0.2, 0.7), (0.5, 0.5, 1, 1)],
}
PAIRS = list(product(BY_HAND, BY_HAND))


def test_the_eight_formats() -> None:
    assert [member.value for member in BoxFormat] == list(BY_HAND)
    assert [member.value for member in BoxFormat if member.relative] == [name for name in BY_HAND if "rel_" in name]


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_conversion_by_hand(source: str, target: str) -> None:
    converted = convert_format(BY_HAND[source], source, target, image_size=SIZE)
    assert converted.dtype == np.float64
    np.testing.assert_allclose(converted, BY_HAND[target], rtol=0, atol=1e-12)


@pytest.mark.tensorflow
def test_conversion_equals_kerascv_and_keras() -> None:
    """KerasCV has all but ``rel_center_xywh``, Keras 3 has them all."""
    pytest.importorskip("tensorflow")
    keras_cv = pytest.importorskip("keras_cv")
    keras = pytest.importorskip("keras")
    random = np.random.default_rng(4)
    low = random.uniform(0, [120, 60], (50, 2))
    corners = np.concatenate([low, low + random.uniform(0, [80, 40], (50, 2))], axis=1).astype(np.float32)
    images = np.zeros((1, SIZE[1], SIZE[0], 3), np.float32)
    for source, target in PAIRS:
        boxes = convert_format(corners, "xyxy", source, image_size=SIZE)
        ours = convert_format(boxes, source, target, image_size=SIZE)
        assert ours.dtype == np.float32
        theirs = [
            keras.utils.bounding_boxes.convert_format(
                boxes[None], source=source, target=target, height=SIZE[1], width=SIZE[0]
            )
        ]
        if "rel_center_xywh" not in (source, target):
            theirs.append(
                keras_cv.bounding_box.convert_format(boxes[None], source=source, target=target, images=images)
            )
        for expected in theirs:
            np.testing.assert_allclose(
                ours, np.asarray(expected)[0], rtol=1e-5, atol=1e-4, err_msg=f"{source} {target}"
            )


@given(
    st.lists(st.tuples(*[st.floats(-1e4, 1e4)] * 4), min_size=1, max_size=5),
    st.sampled_from(PAIRS),
    st.tuples(st.integers(1, 5000), st.integers(1, 5000)),
)
def test_conversion_there_and_back(
    boxes: list[tuple[float, ...]], pair: tuple[str, str], image_size: tuple[int, int]
) -> None:
    source, target = pair
    away = convert_format(boxes, source, target, image_size=image_size)
    back = convert_format(away, target, source, image_size=image_size)
    np.testing.assert_allclose(back, boxes, rtol=1e-9, atol=1e-7)


def test_the_input_is_unchanged_and_types_are_kept() -> None:
    boxes = np.array([[1, 2, 3, 4]], np.float32)
    for target in BY_HAND:
        converted = convert_format(boxes, "xyxy", target, image_size=SIZE)
        converted += 1
        assert converted.dtype == np.float32
    assert boxes.tolist() == [[1, 2, 3, 4]]
    assert convert_format(np.array([[250, 0, 255, 9]], np.uint8), "xyxy", "center_xywh").tolist() == [
        [252.5, 4.5, 5, 9]
    ]


def test_any_number_of_leading_axes_and_sizes() -> None:
    sizes = np.array([[[100, 50]], [[200, 100]]])  # one size per image, for three boxes each
    boxes = np.tile([10.0, 5, 50, 40], (2, 3, 1))
    relative = convert_format(boxes, "xyxy", "rel_xyxy", image_size=sizes)
    assert relative.shape == (2, 3, 4)
    np.testing.assert_allclose(relative[0, 0], [0.1, 0.1, 0.5, 0.8])
    np.testing.assert_allclose(relative[1, 2], [0.05, 0.05, 0.25, 0.4])
    assert convert_format(np.zeros((0, 4)), "xyxy", "rel_xywh", image_size=SIZE).shape == (0, 4)
    assert convert_format([1, 2, 3, 4], "xyxy", "yxyx").tolist() == [2, 1, 4, 3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[1, 2, 3, 4]], "xyxy", "rel_xyxy", None), "needs image_size"),
        (([[1, 2, 3, 4]], "rel_xyxy", "xywh", (0, 10)), r"image_size is \(0, 10\)"),
        (([[1, 2, 3, 4]], "rel_xyxy", "xywh", (float("nan"), 10)), "image_size"),
        (([[1, 2, 3, 4]], "rel_xyxy", "xywh", (float("inf"), 10)), "image_size"),
        (([[1, 2, 3, 4]], "rel_xyxy", "xywh", (10, 10, 3)), "image_size"),
        (([[1, 2, 3]], "xyxy", "xywh", None), r"shape \(1, 3\)"),
        ((7, "xyxy", "xywh", None), r"shape \(\)"),
        (([[1, 2], [3]], "xyxy", "xywh", None), "not an array of numbers"),
        (([["a", "b", "c", "d"]], "xyxy", "xywh", None), "not an array of numbers"),
        (([[1, 2, 3, 4]], "XYXY", "xywh", None), "unknown bounding_box_format 'XYXY'"),
        (([[1, 2, 3, 4]], "xyxy", "coco", None), "rel_center_xywh"),
    ],
)
def test_inputs_that_cannot_be_converted(
    arguments: tuple[object, str, str, tuple[float, float] | None], message: str
) -> None:
    boxes, source, target, image_size = arguments
    with pytest.raises(UsageError, match=message):
        convert_format(boxes, source, target, image_size=image_size)  # type: ignore[arg-type]


def test_iou_by_hand() -> None:
    first = [(0, 0, 10, 10), (0, 0, 0, 0)]
    second = [(5, 5, 15, 15), (0, 0, 10, 10), (10, 0, 20, 10), (0, 0, 5, 10), (3, 3, 3, 9)]
    expected = np.array([[25 / 175, 1, 0, 0.5, 0], [0, 0, 0, 0, 0]])
    np.testing.assert_allclose(iou(first, second), expected)
    assert iou(np.zeros((0, 4)), second).shape == (0, 5)
    assert iou(first, []).shape == (2, 0)


def test_iou_equals_pycocotools() -> None:
    mask_utils = pytest.importorskip("pycocotools.mask")
    random = np.random.default_rng(8)
    low = random.uniform(0, 50, (40, 2))
    corners = np.concatenate([low, low + random.uniform(0.1, 50, (40, 2))], axis=1)
    as_coco = convert_format(corners, "xyxy", "xywh")
    expected = mask_utils.iou(as_coco[:25].tolist(), as_coco[25:].tolist(), [0] * 15)
    assert (expected > 0).mean() > 0.2
    np.testing.assert_allclose(iou(corners[:25], corners[25:]), expected, rtol=0, atol=1e-12)


def test_iou_of_unsigned_coordinates() -> None:
    """200x200 pixels exceed 8 bits, and so does the difference of coordinates in the wrong order."""
    boxes = np.array([[0, 0, 200, 200]], np.uint8)
    assert iou(boxes, boxes).tolist() == [[1.0]]
    assert area(boxes).tolist() == [40000]
    assert area(np.array([[9, 9, 3, 12]], np.uint8)).tolist() == [0]


def test_clipping() -> None:
    boxes = [(-5, -5, 5, 5), (90, 40, 120, 70), (150, 60, 160, 70), (10, 10, 20, 20)]
    clipped = clip(boxes, 100, 50.5)
    assert clipped.tolist() == [[0, 0, 5, 5], [90, 40, 100, 50.5], [100, 50.5, 100, 50.5], [10, 10, 20, 20]]
    assert clip(np.array(boxes, np.float32), 100, 50).dtype == np.float32
    assert boxes[0] == (-5, -5, 5, 5)


def test_scaling() -> None:
    assert scale([[10, 20, 30, 40]], 0.5, 2).tolist() == [[5, 40, 15, 80]]
