"""Trainings with a model, an optimizer, losses and callbacks of the user, and from pretrained weights."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

import keras  # noqa: E402
import keras_cv  # noqa: E402

from boxwright import (  # noqa: E402
    Dataset,
    TrainJob,
    UsageError,
    load_model,
    train,
)
from boxwright.datasets import SampleReader  # noqa: E402
from boxwright_kerascv import backend as backend_module  # noqa: E402
from boxwright_kerascv.layers import Detector, NarrowBackbone  # noqa: E402
from boxwright_kerascv.objects import check_objects  # noqa: E402
from boxwright_kerascv.own import plain_inputs  # noqa: E402
from boxwright_retinanet.layers import Head, Pyramid  # noqa: E402

pytestmark = pytest.mark.tensorflow


class Recorded(keras.losses.BinaryFocalCrossentropy):  # type: ignore[misc]
    """A loss of the user."""

    shapes: ClassVar[set[tuple[int, ...]]] = set()

    def call(self, y_true: Any, y_pred: Any) -> Any:
        self.shapes.add(tuple(y_pred.shape))
        return super().call(y_true, y_pred)


@pytest.mark.slow
def test_a_pretrained_backbone_is_downloaded_once_frozen_and_saved(
    drawn: Dataset, small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """KerasCV's download is a narrow backbone here; afterwards, the network is unreachable. The optimizer and losses
    are the user's. Two steps take less time than tracing them."""
    monkeypatch.setattr(Detector, "run_eagerly", property(lambda model: True, lambda model, value: None))
    pretrained = NarrowBackbone(channels=[8, 8, 16, 16], depths=[0, 0, 0, 0], input_shape=(None, None, 3))
    chance = np.random.default_rng(0)
    pretrained.set_weights([value + chance.uniform(0, 0.1, value.shape) for value in pretrained.get_weights()])
    before = [value.copy() for value in pretrained.get_weights()]
    requested: list[str] = []

    def fetch(preset: str, **_: Any) -> Any:
        requested.append(preset)
        if len(requested) > 1:
            raise ConnectionError("the network is unreachable")
        return pretrained

    monkeypatch.setattr(keras_cv.models.Backbone, "from_preset", fetch)
    settings = {"freeze_backbone": True, "precision": "mixed_bfloat16", "score_threshold": 0.001}
    changes = {"preset": "mobilenet_v3_small_imagenet", "epochs": 1, "settings": settings}
    objects: dict[str, Any] = {
        "optimizer": keras.optimizers.SGD(learning_rate=0.01, momentum=0.5),
        "box_loss": keras.losses.Huber(reduction="sum"),
        "classification_loss": Recorded(from_logits=True, reduction="sum"),
    }
    run = train(drawn, out=tmp_path / "run", augment=[], objects=objects, **small | changes)
    assert objects["optimizer"].iterations == 2, "eight images in steps of four"
    assert {shape[-1] for shape in Recorded.shapes} == {3}, "one logit per class"
    assert run.metrics()[0]["learning_rate"] == pytest.approx(0.01)
    assert keras.config.dtype_policy().name == "float32", "the precision applies only to the training"
    model = load_model(run)
    assert len(requested) == 1, "the trained model requires no download"
    for one, two in zip(before, model.network.backbone.get_weights(), strict=True):  # type: ignore[attr-defined]
        np.testing.assert_array_equal(one, two)
    (found,) = model.predict(list(drawn)[:1])
    assert len(found.boxes) > 0
    assert np.isfinite(found.boxes.xyxy).all()


def own_model(num_classes: int = 3, **arguments: Any) -> Any:
    """Returns KerasCV's RetinaNet as a user builds it, with other coordinates and a decoder of the user's."""
    backbone = NarrowBackbone(channels=[8, 8, 16, 16], depths=[0, 0, 0, 0], input_shape=(64, 96, 3))
    decoder = keras_cv.layers.NonMaxSuppression("yxyx", from_logits=True, confidence_threshold=0.0, max_detections=7)
    return keras_cv.models.RetinaNet(
        backbone, num_classes=num_classes, bounding_box_format="yxyx", prediction_decoder=decoder, **arguments
    )


def own_hub_model() -> Any:
    """Returns KerasHub's RetinaNet with an input of any size, which its preprocessor resizes and rescales."""
    keras_hub = pytest.importorskip("keras_hub", reason="a KerasHub model needs keras-hub, which is not installed")
    encoder = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 64, 64, 64],
        stackwise_num_blocks=[1, 1, 1, 1],
        stackwise_num_strides=[1, 2, 2, 2],
        block_type="basic_block",
    )
    backbone = keras_hub.models.RetinaNetBackbone(encoder, min_level=3, max_level=6, use_p5=True)
    converter = keras_hub.layers.RetinaNetImageConverter(
        image_size=(64, 96), scale=1 / 127.5, offset=-1.0, bounding_box_format="yxyx"
    )
    model = keras_hub.models.RetinaNetObjectDetector(
        backbone,
        num_classes=3,
        bounding_box_format="yxyx",
        pre_logits_num_conv_layers=1,
        preprocessor=keras_hub.models.RetinaNetObjectDetectorPreprocessor(image_converter=converter),
        prediction_decoder=keras_hub.layers.NonMaxSuppression(
            "yxyx", from_logits=True, confidence_threshold=0.0, max_detections=7
        ),
    )
    # In KerasHub the box head has the bias that means a class score of 1%: all boxes would be outside the image.
    for weight in model.box_head.weights:
        if weight.name == "bias":
            weight.assign(keras.ops.zeros_like(weight))
    return model


@pytest.mark.parametrize("own_model", [own_model, own_hub_model])
@pytest.mark.slow
def test_a_model_of_the_user_is_trained_resumed_and_loaded(
    own_model: Any, drawn: Dataset, validation: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted after the first epoch of two, with one image per step."""
    val = Dataset(SampleReader(list(validation)[:2]))
    epoch_ended = TrainJob.epoch_ended

    def stop(job: TrainJob, epoch: int, metrics: Any) -> None:
        epoch_ended(job, epoch, metrics)
        raise KeyboardInterrupt

    arguments: dict[str, Any] = {"val": val, "out": tmp_path / "run", "augment": [], "batch_size": 1, "epochs": 2}
    arguments["settings"] = {"score_threshold": 0.0}
    data = Dataset(SampleReader([*drawn][:2]))
    monkeypatch.setattr(TrainJob, "epoch_ended", stop)
    with pytest.raises(KeyboardInterrupt):
        train(data, backend="kerascv", model=own_model(), **arguments)
    monkeypatch.undo()
    with pytest.raises(UsageError, match=r"trained with objects=\['model'\]"):
        train(data, **arguments, resume=True)
    model = own_model()
    run = train(data, **arguments, resume=True, model=model)
    assert isinstance(model.optimizer, keras.optimizers.AdamW)  # of the settings, not KerasHub's default
    assert (run.config["preset"], run.config["recipe"]["width"], run.config["recipe"]["height"]) == ("", 96, 64)
    lines = run.metrics()
    assert [line["epoch"] for line in lines] == [1, 2]
    assert all(line["loss"] > 0 for line in lines)
    assert "val_AP" in lines[-1]
    # The same detections as the model's own predict, in pixels of the image instead of the input's 96x64.
    (found,) = load_model(run).predict([*val][:1])
    loaded = backend_module.KerasCVBackend().load(run)
    inputs, _ = loaded._prepare(next(iter(val)))
    with plain_inputs():
        expected = loaded.network.predict(np.asarray(inputs)[None], verbose=0)
    scores = expected["confidence"][0]
    ymin, xmin, ymax, xmax = expected["boxes"][0].T
    scale = np.array([96, 80, 96, 80]) / [96, 64, 96, 64]
    boxes = np.clip(np.stack([xmin, ymin, xmax, ymax], axis=1), 0, [96, 64, 96, 64]) * scale
    inside = (scores >= 0) & (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    assert 0 < inside.sum() == len(found.boxes)
    np.testing.assert_allclose(found.boxes.xyxy, boxes[inside], atol=1e-2)
    np.testing.assert_allclose(found.scores, scores[inside], atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "train_arguments", "named"),
    [
        ({"num_classes": 2}, {}, "the model has 2 classes, and the data has 3"),
        ({}, {"image_size": (64, 64)}, "the model's input is 96x64, and the image size 64x64"),
        ({}, {"settings": {"freeze_backbone": True}}, "the setting freeze_backbone"),
        (
            {"feature_pyramid": Pyramid(16, 5), "classification_head": Head(27), "box_head": Head(36)},
            {},
            "other weights",
        ),
    ],
)
def test_a_model_of_the_user_that_cannot_be_trained(
    drawn: Dataset, tmp_path: Path, arguments: dict[str, Any], train_arguments: dict[str, Any], named: str
) -> None:
    with pytest.raises(UsageError, match=named):
        train(drawn, out=tmp_path / "run", backend="kerascv", model=own_model(**arguments), **train_arguments)


USED = keras.optimizers.SGD(0.1)
USED.build([])


@pytest.mark.parametrize(
    ("objects", "settings", "named"),
    [
        ({"callbacks": keras.callbacks.Callback()}, {}, "pass a list of keras.callbacks.Callback"),
        ({"callbacks": [print]}, {}, "pass a list of keras.callbacks.Callback"),
        ({"box_loss": "huber"}, {}, "pass a keras.losses.Loss"),
        ({"classification_loss": keras.losses.BinaryFocalCrossentropy()}, {}, "reduction='sum'"),
        ({"model": keras.Sequential()}, {}, "pass a keras_cv.models.RetinaNet or a keras_hub"),
        ({"optimizer": "sgd"}, {}, "pass a keras.optimizers.Optimizer"),
        ({"optimizer": USED}, {}, "pass a new one"),
        ({"optimizer": keras.optimizers.SGD(0.1)}, {"learning_rate": 0.1}, "and the setting learning_rate"),
        ({"optimizer": keras.optimizers.SGD(0.1)}, {"schedule": "step"}, "give the optimizer a schedule"),
        (
            {"optimizer": keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.1, 5))},
            {"schedule": "plateau"},
            "whose learning rate is a number",
        ),
    ],
)
def test_objects_that_cannot_be_used(objects: dict[str, Any], settings: dict[str, Any], named: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_objects(objects, settings)
    assert named in str(caught.value)


@pytest.mark.parametrize(
    ("objects", "settings", "problem"),
    [({"model": None}, {}, "model was made for one device"), ({}, {"accumulate": 2}, "steps are not accumulated")],
)
def test_what_several_devices_cannot_train(objects: dict[str, Any], settings: dict[str, Any], problem: str) -> None:
    job, replicas = SimpleNamespace(objects=objects, settings=settings, resume=False), SimpleNamespace(count=2)
    training = backend_module.KerasCVBackend().start(job, replicas)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=problem), training:
        pass
