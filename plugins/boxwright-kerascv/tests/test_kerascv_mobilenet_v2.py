"""MobileNetV2 from a TensorFlow Lite model: the features are those of the network before TensorFlow converted it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

import keras  # noqa: E402

from boxwright import DataError  # noqa: E402
from boxwright_kerascv.mobilenet_v2 import LABELS_LENGTH, WEIGHTS_FILE, MobileNetV2, convert  # noqa: E402

pytestmark = pytest.mark.tensorflow


@pytest.mark.slow
def test_a_converted_network_has_the_features_of_the_original(tmp_path: Path, reporter: object) -> None:
    """TensorFlow's converter folds batch normalization and stores float16, as in the package."""
    keras.utils.set_random_seed(1)
    network = keras.applications.MobileNetV2(input_shape=(64, 64, 3), include_top=False, weights=None)
    chance = np.random.default_rng(1)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([chance.uniform(0.5, 1.5, value.shape) for value in layer.get_weights()])
    converter = tf.lite.TFLiteConverter.from_keras_model(network)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    source = tmp_path / "packed.data"
    source.write_bytes(b"\n" * LABELS_LENGTH + converter.convert())
    convert(source, tmp_path, reporter)  # type: ignore[arg-type]
    backbone = MobileNetV2(input_shape=(64, 64, 3))
    backbone.load_weights(tmp_path / WEIGHTS_FILE)
    backbone = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(backbone))
    backbone.load_weights(tmp_path / WEIGHTS_FILE)
    image = chance.integers(0, 256, (1, 64, 64, 3)).astype(np.float32)
    names = list(backbone.pyramid_level_inputs.values())
    expected = keras.Model(network.input, [network.get_layer(name).output for name in names])(image / 127.5 - 1)
    found = keras.Model(backbone.input, [backbone.get_layer(name).output for name in names])(image)
    for one, two, stride in zip(found, expected, (2, 4, 8, 16, 32), strict=True):
        assert one.shape[1] == 64 // stride
        np.testing.assert_allclose(one, two, atol=0.01 * float(np.abs(two).max()))


def test_another_file_is_refused(tmp_path: Path, reporter: object) -> None:
    (tmp_path / "other.data").write_bytes(b"x" * 1000)
    with pytest.raises(DataError, match=r"other\.data: it does not contain the detector"):
        convert(tmp_path / "other.data", tmp_path, reporter)  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["other.data"]
