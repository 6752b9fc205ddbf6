"""The network and its loss, compared with those of boxwright-kerascv and KerasCV."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from boxwright import DataError
from boxwright_retinanet.anchors import AnchorSettings, all_anchors, published_anchors
from boxwright_retinanet.recipe import Recipe

pytestmark = [pytest.mark.tensorflow, pytest.mark.usefixtures("keras_hub")]

SIZE = (64, 96)
ANCHORS = AnchorSettings(sizes=(16.5, 33, 70), scales=(1, 1.3), aspect_ratios=(0.5, 1, 2))
SMALL: dict[str, Any] = {"channels": [8, 8, 16, 16], "depths": [1, 0, 0, 0]}


@pytest.fixture
def detector() -> Any:
    from boxwright_kerashub.network import NarrowBackbone, build_network, compile_network

    backbone = NarrowBackbone(**SMALL, image_shape=(*SIZE, 3))
    model = build_network("tiny", num_classes=2, image_size=SIZE, anchors=ANCHORS, backbone=backbone)
    compile_network(model, Recipe("tiny", 96, 64, batch_size=2, steps=1, steps_per_epoch=1))
    return model


@pytest.fixture
def peer() -> Any:
    """The same network of boxwright-kerascv, with KerasCV's anchors, encoder and focal loss."""
    pytest.importorskip("keras_cv")
    from boxwright_kerascv.compiling import compile_network
    from boxwright_kerascv.layers import NarrowBackbone
    from boxwright_kerascv.network import build_network

    backbone = NarrowBackbone(**SMALL, input_shape=(*SIZE, 3))
    model = build_network("tiny", num_classes=2, image_size=SIZE, anchors=ANCHORS, backbone=backbone)
    compile_network(model, Recipe("tiny", 96, 64, batch_size=2, steps=1, steps_per_epoch=1))
    return model


def test_with_the_same_weights_it_computes_what_kerascv_computes(detector: Any, peer: Any) -> None:
    detector.set_weights(peer.get_weights())
    images = np.random.default_rng(0).uniform(0, 255, (2, *SIZE, 3)).astype(np.float32)
    outputs, expected = detector(images), peer(images)
    for name in ("box", "classification"):
        np.testing.assert_allclose(outputs[name], expected[name], atol=1e-4)
    boxes = np.array([[(10, 5, 30, 40), (50, 20, 56, 26)], [(-1,) * 4] * 2], np.float32)
    labels = {"boxes": boxes, "classes": np.array([[1, 0], [-1, -1]], np.float32)}
    detector.compute_loss(images, labels, outputs)
    peer.compute_loss(images, labels, expected)
    losses, expected_losses = (
        {metric.name: float(metric.result()) for metric in model.metrics} for model in (detector, peer)
    )
    # Keras averages the focal loss over the classes, and Huber's loss is not divided by the cutoff.
    assert losses["classification_loss"] * 2 == pytest.approx(expected_losses["classification_loss"], rel=1e-4)


@pytest.mark.parametrize("settings", [ANCHORS, published_anchors(), AnchorSettings((7,), (1,), (1, 3), first_level=2)])
def test_anchors_are_those_of_kerascv(settings: AnchorSettings) -> None:
    keras_cv = pytest.importorskip("keras_cv")
    generator = keras_cv.layers.AnchorGenerator(
        "xyxy",
        list(settings.sizes),
        list(settings.scales),
        list(settings.aspect_ratios),
        list(settings.strides),
        clip_boxes=True,
    )
    for size in (SIZE, (96, 160)):
        levels = generator(image_shape=(*size, 3))
        expected = np.concatenate([np.asarray(level) for level in levels.values()])
        np.testing.assert_allclose(all_anchors(settings, size), expected, atol=1e-4)


def test_the_loss_is_the_published_one(detector: Any) -> None:
    """Logits of 0: focal loss is alpha * 0.5**2 * ln 2, with alpha 0.25 for an object and 0.75 for background."""
    count = len(detector.anchors)
    background = 0.75 * 0.25 * math.log(2)
    outputs = {"box": np.zeros((1, count, 4), np.float32), "classification": np.zeros((1, count, 2), np.float32)}
    images = np.zeros((1, *SIZE, 3), np.float32)
    nothing = {"boxes": np.full((1, 3, 4), -1, np.float32), "classes": np.full((1, 3), -1, np.float32)}
    value = float(detector.compute_loss(images, nothing, outputs))
    assert value == pytest.approx(count * 2 * background, rel=1e-5), "background alone teaches, too"
    # An object at the center of one anchor of 16.5, and 1.65 pixels lower: its offset is 0.1 of the anchor, and 1 in
    # units of the variance. Smooth L1 with a cutoff of 0.5 is 1 - 0.25 for one of four numbers.
    anchor = next(row for row in detector.anchors if np.allclose(row[2:] - row[:2], 16.5, atol=1e-3) and row.min() > 2)
    one = {"boxes": nothing["boxes"].copy(), "classes": nothing["classes"].copy()}
    one["boxes"][0, 0], one["classes"][0, 0] = anchor + np.array([0, 1.65, 0, 1.65]), 1
    targets = positives(detector, one)
    expected_box = sum(smooth(row, 0.5) for row in targets) / len(targets)
    detector.reset_metrics()
    total = float(detector.compute_loss(images, one, outputs))
    box_loss = {metric.name: float(metric.result()) for metric in detector.metrics}["box_loss"] / 0.5
    assert box_loss == pytest.approx(expected_box, rel=1e-4)
    assert smooth(np.array([1.0, 0, 0, 0]), 0.5) == pytest.approx(0.75 / 4)
    assert np.isclose(targets, [1, 0, 0, 0], atol=1e-3).all(axis=1).any()
    assert total > box_loss


def smooth(row: Any, cutoff: float) -> float:
    """Smooth L1 (Girshick 2015) with a cutoff: the mean over the coordinates."""
    errors = np.abs(row)
    return float(np.mean(np.where(errors < cutoff, errors**2 / 2 / cutoff, errors - cutoff / 2)))


def positives(detector: Any, labels: dict[str, Any]) -> Any:
    from boxwright_retinanet.targets import match_anchors

    boxes, classes = match_anchors(detector.anchors, labels["boxes"][0], labels["classes"][0].astype(np.int32))
    return np.asarray(boxes)[np.asarray(classes) >= 0]


def test_boxes_are_decoded_to_what_was_encoded() -> None:
    from boxwright_retinanet.targets import decode_boxes, encode_boxes

    anchors = all_anchors(ANCHORS, SIZE)
    random = np.random.default_rng(1)
    corner = random.uniform(0, 40, (len(anchors), 2))
    boxes = np.concatenate([corner, corner + random.uniform(3, 20, corner.shape)], axis=1).astype(np.float32)
    again = decode_boxes(anchors[None], np.asarray(encode_boxes(anchors, boxes))[None])
    np.testing.assert_allclose(np.asarray(again)[0], boxes, atol=1e-3)


def test_padding_does_not_change_the_targets() -> None:
    from boxwright_retinanet.targets import match_anchors

    anchors = all_anchors(ANCHORS, SIZE)
    boxes = np.array([(10, 5, 30, 40), (50, 20, 56, 26)], np.float32)
    classes = np.array([1, 0], np.int32)
    padded = np.concatenate([boxes, np.full((5, 4), -1, np.float32)])
    found = match_anchors(anchors, padded, np.concatenate([classes, np.full(5, -1, np.int32)]))
    for one, two in zip(match_anchors(anchors, boxes, classes), found, strict=True):
        np.testing.assert_array_equal(one, two)


def test_the_prior_of_kerashubs_own_network_is_on_its_class_head(keras_hub: Any) -> None:
    """In KerasHub 0.32, it is on the box head: every class starts at 50 %, and every box far from its anchor."""
    from boxwright_kerashub.network import NarrowBackbone, build_network

    backbone = NarrowBackbone(**SMALL, image_shape=(*SIZE, 3))
    model = build_network(
        "tiny", num_classes=2, image_size=SIZE, anchors=published_anchors(), network="kerashub", backbone=backbone
    )
    outputs = model(np.random.default_rng(0).uniform(0, 255, (1, *SIZE, 3)).astype(np.float32))
    scores = 1 / (1 + np.exp(-np.asarray(outputs["classification"])))
    assert np.median(scores) == pytest.approx(0.01, abs=0.005)
    assert abs(np.median(outputs["box"])) < 0.5
    assert outputs["box"].shape == (1, len(model.anchors), 4)
    # What is corrected.
    encoder = keras_hub.models.RetinaNetBackbone(backbone, 3, 7, use_p5=False, image_shape=(*SIZE, 3))
    wrong = keras_hub.models.RetinaNetObjectDetector(encoder, 2, bounding_box_format="xyxy")
    assert float(wrong.box_head.prediction_layer.bias[0]) == pytest.approx(math.log(0.01 / 0.99), rel=1e-4)
    assert float(wrong.classification_head.prediction_layer.bias[0]) == 0


def test_tiny_is_the_network_of_kerascv() -> None:
    from boxwright_kerascv.network import build_network as build_peer
    from boxwright_kerashub.network import build_network, scratch_backbone

    arguments: dict[str, Any] = {"num_classes": 3, "image_size": SIZE, "anchors": ANCHORS}
    model = build_network("tiny", backbone=scratch_backbone("tiny", SIZE), **arguments)
    peer = build_peer("tiny", **arguments)
    assert [weight.shape for weight in model.weights] == [weight.shape for weight in peer.weights]


def test_a_backbone_from_a_preset_folder(keras_hub: Any, tmp_path: Path) -> None:
    """The folder that KerasHub writes; its pretrained presets are the same, downloaded."""
    from boxwright_kerashub.network import pretrained_backbone

    backbone = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 64, 64, 64],
        stackwise_num_blocks=[1, 1, 1, 1],
        stackwise_num_strides=[1, 2, 2, 2],
        block_type="basic_block",
    )
    backbone.save_to_preset(str(tmp_path / "preset"))
    converter = keras_hub.layers.ResNetImageConverter(scale=[0.017, 0.018, 0.019], offset=[-2.1, -2.0, -1.8])
    converter.save_to_preset(str(tmp_path / "preset"))
    found, (scale, offset) = pretrained_backbone("resnet_18_imagenet", str(tmp_path / "preset"))
    for one, two in zip(found.get_weights(), backbone.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    np.testing.assert_allclose([scale, offset], [[0.017, 0.018, 0.019], [-2.1, -2.0, -1.8]])
    (tmp_path / "preset" / "config.json").write_text("{}")
    with pytest.raises(DataError, match="the pretrained weights could not be loaded"):
        pretrained_backbone("resnet_18_imagenet", str(tmp_path / "preset"))
