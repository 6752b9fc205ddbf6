"""The networks: names, sizes, weights and freezing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")

import keras
import keras_cv

import boxwright_kerascv
from boxwright_kerascv import OBJECTRON, PACKAGED, network
from boxwright_kerascv.backend import convolutions_of
from boxwright_kerascv.layers import Detector, NarrowBackbone
from boxwright_kerascv.network import PRESETS, WeightsError, build_network, load_weights
from boxwright_retinanet.anchors import AnchorSettings, published_anchors

pytestmark = pytest.mark.tensorflow

SIZE = (64, 96)
ANCHORS = AnchorSettings(sizes=(12, 24), scales=(1, 1.4), aspect_ratios=(1, 2))
LOCAL = (*PACKAGED, *OBJECTRON.presets)
PRETRAINED = [name for name, preset in PRESETS.items() if preset.pretrained and name not in LOCAL]


def build(preset: str = "tiny", num_classes: int = 2, **options: Any) -> Detector:
    return build_network(preset, num_classes=num_classes, image_size=SIZE, anchors=ANCHORS, **options)


def same(one: list[Any], two: list[Any]) -> bool:
    return len(one) == len(two) and all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


@pytest.fixture(scope="module")
def tiny() -> Detector:
    return build(seed=1)


def test_the_listed_presets_are_those_that_can_be_built() -> None:
    assert list(boxwright_kerascv.PRESETS) == list(PRESETS)
    assert next(iter(PRESETS)) == "efficientnet_lite0_imagenet", "the first is the default"


@pytest.mark.parametrize("name", PRETRAINED)
def test_pretrained_presets_are_in_kerascvs_registry_with_weights(name: str) -> None:
    assert name in keras_cv.models.RetinaNet.presets_with_weights


QUICK = ("resnet50_imagenet", "resnet50_v2_imagenet", "csp_darknet_tiny_imagenet", "yolo_v8_xs_backbone_coco")
"""One of each kind; the others take seconds each."""


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in sorted(network._ARCHITECTURES)],
)
def test_architectures_have_as_many_parameters_as_in_kerascvs_registry(name: str) -> None:
    """KerasCV's registry counts the parameters of each; for a whole detector it counts those of the detector."""
    stated = keras_cv.models.RetinaNet.presets
    key = "resnet50_imagenet" if name == "retinanet_resnet50_pascalvoc" else name
    kind, config = network._ARCHITECTURES[name]
    backbone = getattr(keras_cv.models, kind)(include_rescaling=True, input_shape=(64, 64, 3), **config)
    assert backbone.count_params() == stated[key]["metadata"]["params"]


def test_tiny_has_a_million_parameters_and_one_output_per_anchor(tiny: Detector) -> None:
    assert round(tiny.count_params() / 1e6) == 1
    outputs = tiny(np.zeros((2, *SIZE, 3), np.float32), training=False)
    # Strides of 8 and 16, four anchors per location.
    count = 4 * (8 * 12 + 4 * 6)
    assert outputs["box"].shape == (2, count, 4)
    assert outputs["classification"].shape == (2, count, 2)
    anchors = tiny.anchor_generator(image_shape=(*SIZE, 3))
    assert sum(level.shape[0] for level in anchors.values()) == count


def test_a_pyramid_from_p2_has_anchors_every_4_pixels(tmp_path: Path) -> None:
    anchors = AnchorSettings(sizes=(6, 12, 24, 48), scales=(1,), aspect_ratios=(1, 2), first_level=2)
    backbone = NarrowBackbone(channels=[8, 8, 16, 16], depths=[0, 0, 0, 0], input_shape=(*SIZE, 3))
    fine = build_network("tiny", num_classes=2, image_size=SIZE, anchors=anchors, backbone=backbone)
    # Strides of 4, 8, 16 and 32, two anchors per location.
    count = 2 * (16 * 24 + 8 * 12 + 4 * 6 + 2 * 3)
    image = np.random.default_rng(0).integers(0, 256, (1, *SIZE, 3)).astype(np.float32)
    found = fine(image, training=False)
    assert found["box"].shape == (1, count, 4)
    assert sum(level.shape[0] for level in fine.anchor_generator(image_shape=(*SIZE, 3)).values()) == count
    fine.save(tmp_path / "fine.keras")
    again = keras.saving.load_model(tmp_path / "fine.keras", compile=False)(image, training=False)
    np.testing.assert_allclose(found["box"], again["box"], atol=1e-5)
    backbone.pyramid_level_inputs = {name: backbone.pyramid_level_inputs[name] for name in ("P3", "P4", "P5")}
    with pytest.raises(WeightsError, match="no P2, only P3, P4, P5"):
        build_network("tiny", num_classes=2, image_size=SIZE, anchors=anchors, backbone=backbone)


def test_the_heads_are_those_of_the_paper_and_in_older_runs_those_of_kerascv() -> None:
    """Lin et al. 2017, section 4: four 3x3 convolutions with 256 filters. KerasCV's `num_conv_layers` is 3."""
    backbone = NarrowBackbone(channels=[8, 8, 16, 16], depths=[0, 0, 0, 0], input_shape=(*SIZE, 3))
    model = build("resnet50", backbone=backbone)
    for head in (model.classification_head, model.box_head):
        assert [(layer.filters, layer.kernel_size) for layer in head.hidden] == [(256, (3, 3))] * 4
    older = keras_cv.src.models.object_detection.retinanet.prediction_head.PredictionHead(9, "zeros")
    assert convolutions_of({"preset": "resnet50"}) == older.num_conv_layers
    assert convolutions_of({"preset": "tiny"}) == 1
    assert convolutions_of({"preset": "resnet50", "convolutions": 4}) == 4


def test_an_untrained_network_predicts_background_everywhere(tiny: Detector) -> None:
    """Lin et al. 2017, section 4.1: a prior of 0.01, so that background does not dominate the first steps."""
    images = np.random.default_rng(0).integers(0, 256, (4, *SIZE, 3)).astype(np.float32)
    logits = np.asarray(build(seed=3)(images, training=True)["classification"])
    assert np.median(1 / (1 + np.exp(-logits))) == pytest.approx(0.01, rel=0.2)


def test_the_seed_determines_the_initial_weights(tiny: Detector) -> None:
    assert same(build(seed=1).get_weights(), tiny.get_weights())
    assert not same(build(seed=2).get_weights(), tiny.get_weights())


def test_a_saved_model_is_restored(tiny: Detector, tmp_path: Path) -> None:
    """Pyramid, heads and anchors are restored from Keras' own file."""
    tiny.save(tmp_path / "saved.keras")
    again = keras.saving.load_model(tmp_path / "saved.keras", compile=False)
    image = np.random.default_rng(0).integers(0, 256, (1, *SIZE, 3)).astype(np.float32)
    one, two = tiny(image, training=False), again(image, training=False)
    for name in ("box", "classification"):
        np.testing.assert_allclose(one[name], two[name], atol=1e-5)
    for level, other in zip(
        tiny.anchor_generator(image_shape=(*SIZE, 3)).values(),
        again.anchor_generator(image_shape=(*SIZE, 3)).values(),
        strict=True,
    ):
        np.testing.assert_allclose(level, other, atol=1e-4)


def test_weights_of_another_network_are_not_loaded(tiny: Detector, tmp_path: Path) -> None:
    tiny.save_weights(tmp_path / "two.weights.h5")
    loaded = build(seed=5)
    load_weights(loaded, str(tmp_path / "two.weights.h5"))
    assert same(loaded.get_weights(), tiny.get_weights())
    with pytest.raises(WeightsError, match="does not match the network"):
        load_weights(build(num_classes=5), str(tmp_path / "two.weights.h5"))


@pytest.fixture
def no_internet(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """KerasCV without internet access; the list records the requested presets."""
    requested: list[str] = []

    def refuse(preset: str, **_: Any) -> None:
        requested.append(preset)
        raise ConnectionError("Failed to resolve 'www.kaggle.com'")

    for kind in (keras_cv.models.Backbone, keras_cv.models.RetinaNet):
        monkeypatch.setattr(kind, "from_preset", refuse)
    return requested


@pytest.mark.parametrize("name", ["resnet50_imagenet", "efficientnetv2_b0_imagenet", "retinanet_resnet50_pascalvoc"])
def test_the_error_without_internet_access_contains_the_remedy(no_internet: list[str], name: str) -> None:
    with pytest.raises(WeightsError, match=name) as caught:
        build(name)
    message = str(caught.value)
    assert "Failed to resolve" in message
    assert f"weights={name}." in message
    assert "tiny, resnet18, resnet50" in message
    assert len(no_internet) == 1


def test_kerascv_is_called_with_the_handle_of_its_registry(no_internet: list[str]) -> None:
    """Its base class does not know the names: `Backbone.from_preset("resnet50_imagenet")` fails with a network, too."""
    assert "resnet50_imagenet" not in keras_cv.models.Backbone.presets
    with pytest.raises(WeightsError):
        build("resnet50_imagenet")
    assert no_internet == [keras_cv.models.RetinaNet.presets["resnet50_imagenet"]["kaggle_handle"]]


@pytest.mark.usefixtures("no_internet")
@pytest.mark.parametrize("whole", [True, False])
def test_a_local_keras_file_replaces_the_download(tmp_path: Path, whole: bool) -> None:
    """Any KerasCV backbone works; this test uses a narrow one."""
    backbone = NarrowBackbone(channels=[8, 8, 16, 16], depths=[0, 0, 0, 0], input_shape=(*SIZE, 3))
    source = build(backbone=backbone) if whole else backbone
    source.save(tmp_path / "mine.keras")
    loaded = build("mobilenet_v3_small_imagenet", weights=str(tmp_path / "mine.keras"))
    assert same(loaded.backbone.get_weights(), backbone.get_weights())


@pytest.mark.usefixtures("no_internet")
def test_the_architecture_is_enough_if_the_weights_come_later(tmp_path: Path) -> None:
    kind, config = network._ARCHITECTURES["yolo_v8_xs_backbone_coco"]
    backbone = getattr(keras_cv.models, kind)(include_rescaling=True, input_shape=(*SIZE, 3), **config)
    loaded = build("yolo_v8_xs_backbone_coco", weights=str(tmp_path / "yolo.weights.h5"))
    assert [value.shape for value in loaded.backbone.weights] == [value.shape for value in backbone.weights]


@pytest.mark.usefixtures("no_internet")
def test_a_keras_file_is_required_if_the_architecture_is_unknown(tmp_path: Path) -> None:
    path = tmp_path / "mobile.weights.h5"
    path.write_bytes(b"")
    with pytest.raises(WeightsError, match=r"requires a \.keras file"):
        build("mobilenet_v3_small_imagenet", weights=str(path))


def test_a_frozen_backbone_is_not_trained(tiny: Detector) -> None:
    frozen = build(freeze_backbone=True)
    assert not frozen.backbone.trainable_variables
    heads = len(tiny.trainable_variables) - len(tiny.backbone.trainable_variables)
    assert 0 < len(frozen.trainable_variables) == heads


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"preset": "resnet5"}, "'resnet5'; there are efficientnet_lite0_imagenet"),
        ({"num_classes": 0}, "at least 1 class"),
        ({"image_size": (64, 50)}, "multiples of 32"),
        ({"image_size": (0, 64)}, "multiples of 32"),
    ],
)
def test_invalid_networks_are_errors(arguments: dict[str, Any], named: str) -> None:
    given: dict[str, Any] = {"preset": "tiny", "num_classes": 2, "image_size": SIZE, "anchors": ANCHORS, **arguments}
    with pytest.raises(ValueError, match=named):
        build_network(given.pop("preset"), **given)


def test_the_network_of_kerascv_is_the_same_as_kerascvs_own(tmp_path: Path) -> None:
    """Equal outputs for equal weights, before and after they are saved; the anchors are equal too."""
    backbone = NarrowBackbone(channels=[8, 8, 16, 16], depths=[0, 0, 0, 0], input_shape=(*SIZE, 3))
    ours = build_network(
        "resnet50", num_classes=2, image_size=SIZE, anchors=published_anchors(), backbone=backbone, kerascv_heads=True
    )
    theirs = keras_cv.models.RetinaNet(backbone=backbone, num_classes=2, bounding_box_format="xyxy")
    theirs.set_weights(ours.get_weights())
    images = np.random.default_rng(0).uniform(0, 255, (1, *SIZE, 3)).astype(np.float32)
    expected = theirs({"images": images}, training=False)
    for one, two in (
        (ours.anchor_generator(image_shape=(*SIZE, 3)), theirs.anchor_generator(image_shape=(*SIZE, 3))),
        (ours(images, training=False), expected),
    ):
        assert list(one) == list(two)
        for name in one:
            np.testing.assert_allclose(one[name], two[name], atol=1e-4)
    ours.save_weights(tmp_path / "ours.weights.h5")
    ours.set_weights([value * 0 for value in ours.get_weights()])
    ours.load_weights(tmp_path / "ours.weights.h5")
    np.testing.assert_array_equal(ours(images, training=False)["box"], expected["box"])
