"""The conversion of MediaPipe Objectron's detector: what is read and handed to the API's environment, and the result.

The last test runs where ``boxwright env install tfod`` and ``boxwright weights import objectron`` were run.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")

import keras
import tensorflow as tf

from boxwright import DataError, LabelMap, LogReporter
from boxwright.environments import Environment
from boxwright.models import find_weights
from boxwright_tf.tflite_weights import read_convolutions
from boxwright_tfod import ENVIRONMENT, PRESETS, WEIGHTS
from boxwright_tfod.objectron import PRESET, convert

pytestmark = pytest.mark.tensorflow

CLASSES = ["???", "Bicycle", "Boot", "Computer mouse", "A" * 151]


def packed(model: bytes) -> bytes:
    """A file as in the npm package: 184 bytes with the classes, then the model."""
    classes = "".join(f"{name}\n" for name in CLASSES).encode()
    assert len(classes) == 184
    return classes + model


@pytest.fixture(scope="module")
def network() -> keras.Model:
    layers = [keras.layers.Input((8, 8, 3), batch_size=1), keras.layers.Conv2D(4, 3, bias_initializer="ones")]
    return keras.Sequential(layers)


def test_weights_and_classes_are_handed_over(
    network: keras.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    received: dict[str, Any] = {}

    class FakeWorker:
        def call(self, function: str, arguments: dict[str, Any]) -> float:
            with np.load(arguments["weights"]) as stored:
                arrays = [stored["arr_0"], stored["arr_1"]]
            received.update(arguments, function=function, arrays=arrays, model=Path(arguments["tflite"]).read_bytes())
            return 0.00001

    @contextmanager
    def start(self: Environment, **options: Any) -> Iterator[FakeWorker]:
        yield FakeWorker()

    monkeypatch.setattr(Environment, "worker", start)
    model = tf.lite.TFLiteConverter.from_keras_model(network).convert()
    (tmp_path / "assets.data").write_bytes(packed(model))
    (tmp_path / "out").mkdir()
    convert(tmp_path / "assets.data", tmp_path / "out", LogReporter())
    assert (received["function"], received["model"]) == ("objectron:convert", model)
    kernel, bias = network.layers[0].get_weights()
    assert np.array_equal(received["arrays"][0], kernel.transpose(3, 0, 1, 2))
    assert np.array_equal(received["arrays"][1], bias)
    assert len(received["names"]) == 1
    assert "ssd_mobilenet_v2_keras" in received["text"]
    label_map = LabelMap.from_pbtxt((tmp_path / "out/label_map.pbtxt").read_text())
    assert [(item.id, item.name) for item in label_map.items] == list(enumerate(CLASSES))[1:]


@pytest.mark.parametrize("content", [b"", packed(b"no model"), b"\xff" * 500])
def test_another_file(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "assets.data").write_bytes(content)
    with pytest.raises(DataError, match="it is not the detector"):
        convert(tmp_path / "assets.data", tmp_path, LogReporter())


def test_the_declared_weights_are_for_presets_that_exist() -> None:
    assert {preset for weights in WEIGHTS for preset in weights.presets} == set(PRESETS)
    assert PRESET in WEIGHTS[0].presets
    assert not any(weights.required for weights in WEIGHTS)  # every preset can be trained from scratch


@pytest.mark.tfod
@pytest.mark.skipif(
    Environment(ENVIRONMENT).status != "installed" or find_weights("objectron").path is None,
    reason="run: boxwright env install tfod; boxwright weights import objectron --npm",
)
def test_the_checkpoints_contain_every_kernel_of_the_file(tmp_path: Path) -> None:
    source = find_weights("objectron").require()
    convert(source, tmp_path, LogReporter())
    names = (tmp_path / "label_map.pbtxt").read_text()
    assert all(f"'{name}'" in names for name in ("Bicycle", "Footwear", "Car"))
    convolutions = read_convolutions(source.read_bytes()[184:])
    assert len(convolutions) == 72
    for folder, count in (("checkpoint", 72), ("backbone", 52)):
        reader = tf.train.load_checkpoint(str(tmp_path / folder))
        kernels = [
            reader.get_tensor(name)
            for name, shape in reader.get_variable_to_shape_map().items()
            if len(shape) == 4 and "OPTIMIZER" not in name
        ]
        found = [
            each
            for each in convolutions
            if any(np.array_equal(each.kernel.transpose(1, 2, 3, 0), kernel) for kernel in kernels)
        ]
        assert (len(kernels), len(found)) == (count, count)
