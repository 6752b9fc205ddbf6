"""Folded batch normalizations of a pretrained model, in the environment of the API."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from boxwright.environments import Environment
from boxwright_tfod import ENVIRONMENT, backend

pytestmark = [
    pytest.mark.tfod,
    pytest.mark.skipif(
        Environment(ENVIRONMENT).status != "installed", reason="run: boxwright env install tfod   (1.6 GB)"
    ),
]

PACKAGE = Path(backend.__file__).parent
PROGRAM = """
import json, sys
sys.path.insert(0, sys.argv[1])
from worker import normalization, pipeline, training
import numpy as np
import tensorflow as tf

text = open(sys.argv[1] + "/presets/ssd_mobilenet_v2.config").read().replace("300", "96")
config = pipeline.parse(None, text.replace("depth_multiplier: 1.0", "depth_multiplier: 0.35"), "")
model = training.build(None, config.model, is_training=True)
images = tf.constant(np.random.default_rng(0).uniform(-1, 1, (6, 96, 96, 3)).astype("float32")) ** 3
extractor = model._feature_extractor
extractor(images[:2])
layers = [part for part in extractor._flatten_layers() if type(part).__name__ == "FreezableBatchNorm"]
for number, layer in enumerate(layers[:-1]):
    normalization.fold(layer, np.random.default_rng(number).normal(0, 1, layer.gamma.shape).astype("float32"))

def features(training):
    tf.keras.backend.set_learning_phase(training)
    before = extractor.get_weights()
    found = extractor(images[4:])[0].numpy()
    extractor.set_weights(before)
    return found

before, trained_before = features(False), features(True)
new = layers[-1].get_weights()
normalization.put_statistics(model, [images[:2], images[2:4]])
after, trained_after = features(False), features(True)
print(json.dumps({
    "changed": float(np.abs(after - before).max() / np.abs(before).max()),
    "before": float(np.corrcoef(before.ravel(), trained_before.ravel())[0, 1]),
    "after": float(np.corrcoef(after.ravel(), trained_after.ravel())[0, 1]),
    "statistics": all(np.any(layer.moving_mean.numpy()) for layer in layers[:-1]),
    "others_kept": all(np.array_equal(a, b) for a, b in zip(new, layers[-1].get_weights())),
}))
"""


def test_statistics_change_training_and_not_inference() -> None:
    python = Environment(ENVIRONMENT).python
    done = subprocess.run([python, "-c", PROGRAM, PACKAGE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["changed"] < 1e-4
    assert found["before"] < 0.8 < 0.9 < found["after"]
    assert found["statistics"]
    assert found["others_kept"]
