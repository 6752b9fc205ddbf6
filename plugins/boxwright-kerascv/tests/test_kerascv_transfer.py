"""Starting from the weights of another network: what fits is copied, and the rest is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from boxwright_kerascv.layers import Detector, NarrowBackbone
from boxwright_kerascv.network import build_network
from boxwright_kerascv.starting import Start
from boxwright_kerascv.transfer import WeightsError, start_from
from boxwright_retinanet.anchors import AnchorSettings

pytestmark = pytest.mark.tensorflow

SIZE = (64, 64)
ANCHORS = AnchorSettings(sizes=(12, 24), scales=(1, 1.4), aspect_ratios=(1, 2))


def build(classes: int, anchors: AnchorSettings = ANCHORS, seed: int = 0, width: int = 16) -> Detector:
    backbone = NarrowBackbone(channels=[width, 16, 32, 32], depths=[0, 0, 0, 0], input_shape=(*SIZE, 3))
    return build_network("tiny", num_classes=classes, image_size=SIZE, anchors=anchors, backbone=backbone, seed=seed)


def same(one: Any, two: Any) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one.get_weights(), two.get_weights(), strict=True))


def logits(model: Detector) -> Any:
    """Returns ``(anchors, classes)`` for an image of noise."""
    noise = np.random.default_rng(0).integers(0, 256, (1, *SIZE, 3)).astype(np.float32)
    return np.asarray(model(noise, training=False)["classification"])[0]


@pytest.fixture(scope="module")
def source() -> Detector:
    """A network of the classes apple, fig, pear whose weights are all different."""
    model = build(3, seed=1)
    chance = np.random.default_rng(1)
    model.set_weights([value + chance.uniform(0, 0.1, value.shape).astype("f4") for value in model.get_weights()])
    return model


@pytest.fixture(params=["weights.h5", "keras"])
def path(source: Detector, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    path = tmp_path / f"source.{request.param}"
    source.save_weights(path) if request.param == "weights.h5" else source.save(path)
    return str(path)


def test_the_same_classes_start_with_everything(source: Detector, path: str) -> None:
    model = build(3)
    said = start_from(model, Start(path), ("apple", "fig", "pear"))
    assert said == "Starting with the backbone, the pyramid, the box head, all classes."
    assert same(model, source)


def test_other_classes_are_matched_by_name(source: Detector, path: str) -> None:
    """The outputs of a class follow its name, whatever its number in either network is."""
    model = build(4)
    before = logits(model)
    start = Start(path, classes=("apple", "fig", "pear"))
    said = start_from(model, start, ("fig", "grape", "apple", "plum"))
    assert said == (
        "Starting with the backbone, the pyramid, the box head, the classes fig, apple; new: the classes grape, plum."
    )
    assert same(model.backbone, source.backbone)
    assert same(model.box_head, source.box_head)
    expected, found = logits(source), logits(model)
    np.testing.assert_allclose(found[:, 0], expected[:, 1], atol=1e-5)
    np.testing.assert_allclose(found[:, 2], expected[:, 0], atol=1e-5)
    assert not np.allclose(found[:, 1], before[:, 1]), "the features before it are those of the source"
    kernel, other = (np.asarray(each.classification_head.prediction.kernel) for each in (model, build(4)))
    np.testing.assert_array_equal(
        kernel.reshape(3, 3, -1, 4, 4)[..., [1, 3]], other.reshape(3, 3, -1, 4, 4)[..., [1, 3]]
    )


@pytest.mark.parametrize("path", ["weights.h5"], indirect=True)
def test_other_classes_without_names_begin_from_the_start(source: Detector, path: str) -> None:
    model = build(2)
    said = start_from(model, Start(path), ("a", "b"))
    assert said.endswith("the pyramid, the box head; new: the classes a, b.")
    assert same(model.classification_head.hidden[0], source.classification_head.hidden[0])


@pytest.mark.parametrize("path", ["weights.h5"], indirect=True)
def test_another_number_of_anchors_and_levels_keeps_the_layers_that_fit(source: Detector, path: str) -> None:
    anchors = AnchorSettings(sizes=(12, 24, 48), scales=(1,), aspect_ratios=(1,))
    model = build(3, anchors)
    said = start_from(model, Start(path, classes=("a", "b", "c")), ("a", "b", "c"))
    assert said == (
        "Starting with the backbone, a part of the pyramid, a part of the box head;"
        " new: the rest of the pyramid, the rest of the box head, the classes a, b, c."
    )
    assert same(model.box_head.hidden[0], source.box_head.hidden[0])
    assert same(model.feature_pyramid.lateral[2], source.feature_pyramid.lateral[2])


@pytest.mark.parametrize("ending", ["weights.h5", "keras"])
def test_a_backbone_alone_is_enough(source: Detector, tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"backbone.{ending}"
    source.backbone.save_weights(file) if ending == "weights.h5" else source.backbone.save(file)
    model = build(3)
    said = start_from(model, Start(str(file)), ("a", "b", "c"))
    assert said == "Starting with the backbone; new: the pyramid, the box head, the classes a, b, c."
    assert same(model.backbone, source.backbone)


def _text(path: Path) -> None:
    path.write_text("not weights", "utf-8")


def _other_backbone(path: Path) -> None:
    build(3, width=8).save_weights(path) if path.name.endswith(".weights.h5") else build(3, width=8).save(path)


@pytest.mark.parametrize(
    ("name", "write", "problem"),
    [
        ("text.weights.h5", _text, "cannot be read as the weights"),
        ("text.keras", _text, "cannot be read as the weights"),
        ("text.npz", _text, r"ends in \.weights\.h5 or \.keras"),
        ("other.weights.h5", _other_backbone, "is not that of the network; pass the --preset"),
        ("other.keras", _other_backbone, "is not that of the network"),
    ],
)
def test_weights_that_do_not_match_change_nothing(
    tmp_path: Path, name: str, write: Callable[[Path], None], problem: str
) -> None:
    write(tmp_path / name)
    model = build(3)
    before = [value.copy() for value in model.get_weights()]
    with pytest.raises(WeightsError, match=problem) as caught:
        start_from(model, Start(str(tmp_path / name)), ("a", "b", "c"))
    assert str(tmp_path / name) in str(caught.value)
    assert all(map(np.array_equal, before, model.get_weights()))
