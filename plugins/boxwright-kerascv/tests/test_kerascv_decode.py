"""The decoder, compared with KerasCV's own on the same predictions, and with boxes computed manually."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

import keras_cv  # noqa: E402
from PIL import Image  # noqa: E402

from boxwright.models import DecoderSettings, InputSettings, select_detections, shrink  # noqa: E402
from boxwright_kerascv.decode import all_anchors, decode, make_detector  # noqa: E402
from boxwright_kerascv.layers import Detector, NarrowBackbone  # noqa: E402
from boxwright_kerascv.network import build_network  # noqa: E402
from boxwright_kerascv.predictor import network_input  # noqa: E402
from boxwright_retinanet.anchors import AnchorSettings  # noqa: E402
from boxwright_retinanet.targets import decode_boxes  # noqa: E402

pytestmark = pytest.mark.tensorflow

SIZE = (96, 128)
CLASSES = 3
ANCHORS = AnchorSettings(sizes=(12, 24), scales=(1, 1.4), aspect_ratios=(0.5, 1, 2))
OFF = -12.0
"""A logit whose score, 6e-6, is below every threshold used here."""


@pytest.fixture(scope="module")
def model() -> Detector:
    backbone = NarrowBackbone(channels=[8, 8, 16, 16], depths=[0, 0, 0, 0], input_shape=(*SIZE, 3))
    return build_network("tiny", num_classes=CLASSES, image_size=SIZE, anchors=ANCHORS, backbone=backbone)


@pytest.fixture(scope="module")
def anchors(model: Detector) -> np.ndarray:
    """``xyxy`` in pixels, in the order of the network's output."""
    levels = model.anchor_generator(image_shape=(*SIZE, 3))
    return np.concatenate([np.asarray(level) for level in levels.values()])


@pytest.fixture(scope="module")
def predictions(anchors: np.ndarray) -> dict[str, Any]:
    """Random predictions of two images, with scores in one of ten anchors, none near the edge of the image."""
    chance = np.random.default_rng(5)
    logits = np.full((2, len(anchors), CLASSES), OFF, np.float32)
    height, width = SIZE
    inner = (anchors[:, :2] > 10).all(axis=1) & (anchors[:, 2] < width - 10) & (anchors[:, 3] < height - 10)
    on = inner & (chance.random((2, len(anchors))) < 0.1)
    logits[on] = chance.normal(-1, 2, (int(on.sum()), CLASSES))
    deltas = chance.normal(0, 0.4, (2, len(anchors), 4)).astype(np.float32)
    return {"box": tf.constant(deltas), "classification": tf.constant(logits)}


def rows(found: dict[str, Any], image: int, scores: str) -> list[tuple[float, ...]]:
    """Returns the detections of an image, best first: class, score, coordinates."""
    classes, values, boxes = (np.asarray(found[name])[image] for name in ("classes", scores, "boxes"))
    kept = [place for place in range(len(values)) if classes[place] >= 0]
    ordered = sorted(kept, key=lambda place: -values[place])
    return [(float(classes[p]), float(values[p]), *map(float, boxes[p])) for p in ordered]


@pytest.mark.parametrize("iou", [0.3, 0.5, 0.8])
@pytest.mark.parametrize(("score", "most"), [(0.05, 100), (0.4, 100), (0.05, 7)])
def test_detections_are_those_of_kerascvs_multi_class_decoder(
    model: Detector, predictions: dict[str, Any], iou: float, score: float, most: int
) -> None:
    settings = DecoderSettings(score_threshold=score, iou_threshold=iou, max_detections=most, pre_nms=100_000)
    ours = decode(model, predictions, SIZE, settings)
    model.prediction_decoder = keras_cv.layers.MultiClassNonMaxSuppression(
        "xyxy",
        from_logits=True,
        iou_threshold=iou,
        confidence_threshold=score,
        max_detections=most,
        max_detections_per_class=most,
    )
    theirs = model.decode_predictions(predictions, tf.zeros((2, *SIZE, 3)))
    for image in range(2):
        one, two = rows(ours, image, "scores"), rows(theirs, image, "confidence")
        assert len(one) == int(ours["num"][image])
        assert len(one) > 5
        np.testing.assert_allclose(one, two, atol=2e-3)


@pytest.mark.parametrize("suppression", ["class", "all"])
def test_detections_are_those_of_kerascvs_decoder_for_all_classes(
    model: Detector, predictions: dict[str, Any], suppression: str
) -> None:
    """With one class, both kinds of suppression are the same."""
    shown = predictions["classification"] if suppression == "all" else predictions["classification"][..., :1]
    one_class = {**predictions, "classification": shown}
    settings = DecoderSettings(
        score_threshold=0.1, iou_threshold=0.4, max_detections=50, pre_nms=100_000, suppression=suppression
    )
    ours = decode(model, one_class, SIZE, settings)
    model.prediction_decoder = keras_cv.layers.NonMaxSuppression(
        "xyxy", from_logits=True, iou_threshold=0.4, confidence_threshold=0.1, max_detections=50
    )
    theirs = model.decode_predictions(one_class, tf.zeros((2, *SIZE, 3)))
    for image in range(2):
        one, two = rows(ours, image, "scores"), rows(theirs, image, "confidence")
        assert len(one) > 5
        np.testing.assert_allclose(one, two, atol=2e-3)


@pytest.mark.parametrize("sigma", [0.0, 0.4])
@pytest.mark.parametrize(("score", "most", "pre_nms"), [(0.05, 100, 1000), (0.3, 7, 1000), (0.05, 100, 40)])
def test_detections_without_tensorflow_are_the_same(
    model: Detector, predictions: dict[str, Any], sigma: float, score: float, most: int, pre_nms: int
) -> None:
    settings = DecoderSettings(
        score_threshold=score, max_detections=most, pre_nms=pre_nms, iou_threshold=0.5, soft_nms_sigma=sigma
    )
    expected = decode(model, predictions, SIZE, settings)
    boxes = decode_boxes(all_anchors(model, SIZE)[None], predictions["box"]).numpy()
    scores = tf.sigmoid(predictions["classification"]).numpy()
    for image in range(2):
        found = select_detections(boxes[image], scores[image], InputSettings(SIZE[1], SIZE[0]), settings)
        number = int(expected["num"][image])
        assert number > 5
        for name, ours in found._asdict().items():
            np.testing.assert_allclose(ours, np.asarray(expected[name])[image, :number], atol=1e-4)


@pytest.mark.parametrize("size", [(150, 110), (90, 71), (97, 200)])
def test_the_input_without_tensorflow_is_the_same(size: tuple[int, int]) -> None:
    """Up to 1% of a gray level: Pillow rounds the weights of a pixel less than TensorFlow does."""
    noise = np.random.default_rng(3).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    inputs = InputSettings(SIZE[1], SIZE[0], 2.0)
    assert inputs.reduced_size is not None
    assert shrink(image, inputs.reduced_size) is image
    np.testing.assert_allclose(inputs(image), network_input(image, SIZE), atol=0.01)


def test_the_best_predictions_are_enough(model: Detector, predictions: dict[str, Any]) -> None:
    """Choosing before suppression changes nothing if the omitted predictions have lower scores than the detections."""
    every = decode(model, predictions, SIZE, DecoderSettings(max_detections=10, pre_nms=100_000))
    best = decode(model, predictions, SIZE, DecoderSettings(max_detections=10, pre_nms=300))
    for name in every:
        np.testing.assert_array_equal(every[name], best[name])


def prediction(anchors: np.ndarray, on: dict[tuple[int, int], float]) -> dict[str, Any]:
    """Returns predictions of one image whose boxes are the anchors; ``on`` is the score by anchor and class."""
    logits = np.full((1, len(anchors), CLASSES), OFF, np.float32)
    for (anchor, number), score in on.items():
        logits[0, anchor, number] = math.log(score / (1 - score))
    return {"box": tf.zeros((1, len(anchors), 4)), "classification": tf.constant(logits)}


@pytest.fixture(scope="module")
def neighbors(anchors: np.ndarray) -> tuple[int, int, int, float]:
    """Two anchors in the middle of the image that overlap, one far from both, and the IoU of the two."""
    size = anchors[:, 2:] - anchors[:, :2]
    square = np.flatnonzero((np.abs(size - 24) < 0.01).all(axis=1) & (anchors[:, :2] > 10).all(axis=1))
    first = square[0]
    second = next(place for place in square if anchors[place][0] == anchors[first][0] + 16)
    far = square[-1]
    # Two squares of 24 at a distance of 16 share 8 columns of 24 rows.
    iou = 8 * 24 / (2 * 24 * 24 - 8 * 24)
    return int(first), int(second), int(far), iou


def test_suppression_computed_manually(
    model: Detector, anchors: np.ndarray, neighbors: tuple[int, int, int, float]
) -> None:
    first, second, far, iou = neighbors
    assert iou == pytest.approx(0.2)
    on = {(first, 0): 0.9, (second, 0): 0.8, (second, 2): 0.7, (far, 0): 0.6, (far, 1): 0.04}
    found = decode(model, prediction(anchors, on), SIZE, DecoderSettings(iou_threshold=0.15))
    # The second box of class 0 overlaps a better one; that of class 2 is alone in its class; 0.04 is below 0.05.
    expected = [(0, 0.9, *anchors[first]), (2, 0.7, *anchors[second]), (0, 0.6, *anchors[far])]
    np.testing.assert_allclose(rows(found, 0, "scores"), expected, atol=1e-4)
    assert int(found["num"][0]) == 3
    for name in ("boxes", "scores", "classes"):
        assert found[name].shape[:2] == (1, 100)
        assert (found[name][0, 3:].numpy() == -1).all(), f"{name} are padded with -1"
    both = decode(model, prediction(anchors, on), SIZE, DecoderSettings(iou_threshold=0.25))
    assert int(both["num"][0]) == 4


def test_soft_suppression_computed_manually(
    model: Detector, anchors: np.ndarray, neighbors: tuple[int, int, int, float]
) -> None:
    """Bodla et al. 2017, equation 3: the score of the worse box times exp(-iou**2 / sigma), and no box is dropped."""
    first, second, far, iou = neighbors
    on = {(first, 0): 0.9, (second, 0): 0.8, (far, 0): 0.6}
    found = decode(model, prediction(anchors, on), SIZE, DecoderSettings(iou_threshold=0.1, soft_nms_sigma=0.3))
    expected = [
        (0, 0.9, *anchors[first]),
        (0, 0.8 * math.exp(-(iou**2) / 0.3), *anchors[second]),
        (0, 0.6, *anchors[far]),
    ]
    np.testing.assert_allclose(rows(found, 0, "scores"), expected, atol=1e-4)


def test_a_box_is_decoded_as_faster_r_cnn_encodes_it(
    model: Detector, anchors: np.ndarray, neighbors: tuple[int, int, int, float]
) -> None:
    """Ren et al. 2015, equation 2, with variances of 0.1 for the center and 0.2 for the sides; y before x.

    The anchor is a square of 24: the center moves by 0.1 * 24 times the first two, the sides grow by exp(0.2 times).
    """
    first = neighbors[0]
    outputs = prediction(anchors, {(first, 1): 0.5})
    deltas = np.zeros((1, len(anchors), 4), np.float32)
    deltas[0, first] = (1.0, -0.5, math.log(1.5) / 0.2, math.log(0.5) / 0.2)
    found = decode(model, {**outputs, "box": tf.constant(deltas)}, SIZE, DecoderSettings())
    xmin, ymin, xmax, ymax = anchors[first]
    center_x, center_y = (xmin + xmax) / 2 - 0.5 * 2.4, (ymin + ymax) / 2 + 2.4
    expected = (center_x - 6, center_y - 18, center_x + 6, center_y + 18)
    np.testing.assert_allclose(rows(found, 0, "scores"), [(1, 0.5, *expected)], atol=1e-4)


def test_extreme_predictions_stay_finite_and_inside(model: Detector, anchors: np.ndarray) -> None:
    extreme = {
        "box": tf.fill((1, len(anchors), 4), 1e6),
        "classification": tf.fill((1, len(anchors), CLASSES), 50.0),
    }
    found = decode(model, extreme, SIZE, DecoderSettings())
    boxes = found["boxes"].numpy()[0, : int(found["num"][0])]
    assert np.isfinite(boxes).all()
    assert (boxes >= 0).all()
    assert (boxes <= [128, 96, 128, 96]).all()


def test_predictions_below_the_threshold_are_no_detections(model: Detector, anchors: np.ndarray) -> None:
    found = decode(model, prediction(anchors, {}), SIZE, DecoderSettings())
    assert found["num"].numpy().tolist() == [0]
    assert all((found[name].numpy() == -1).all() for name in ("boxes", "scores", "classes"))


def test_more_detections_than_predictions_can_be_requested(model: Detector, anchors: np.ndarray) -> None:
    settings = DecoderSettings(max_detections=60, pre_nms=20)
    found = decode(model, prediction(anchors, {(0, 0): 0.9}), SIZE, settings)
    assert found["boxes"].shape == (1, 60, 4)
    assert found["num"].numpy().tolist() == [1]


def test_the_detections_of_an_image_do_not_depend_on_its_batch(model: Detector) -> None:
    chance = np.random.default_rng(1)
    images = chance.integers(0, 256, (3, *SIZE, 3), dtype=np.uint8)
    detect = make_detector(model, DecoderSettings(score_threshold=0.0, max_detections=5))
    together = detect(tf.constant(images))
    alone = detect(tf.constant(images[1:2]))
    np.testing.assert_allclose(together["scores"][1], alone["scores"][0], atol=1e-5)
    # Untrained scores are almost equal, so the order may differ; the shape is as requested.
    assert together["boxes"].shape == (3, 5, 4)
    assert together["num"].numpy().tolist() == [5, 5, 5]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("score_threshold", 1.5),
        ("score_threshold", float("nan")),
        ("iou_threshold", -0.1),
        ("max_detections", 0),
        ("pre_nms", 0),
        ("soft_nms_sigma", -1.0),
    ],
)
def test_settings_out_of_range_are_reported_by_name(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        DecoderSettings(**{name: value})  # type: ignore[arg-type]


def test_settings_are_restored_from_json() -> None:
    settings = DecoderSettings(iou_threshold=0.3, soft_nms_sigma=0.5)
    assert DecoderSettings.from_dict(settings.to_dict()) == settings
