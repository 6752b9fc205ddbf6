"""Trains and predicts with KerasCV's RetinaNet and with boxwright's ``network=kerascv``, in turns in one process.

Both have the same architecture, weights, optimizer, losses and images. Prints the CPU milliseconds per image of every
turn as JSON: ``python train_kerascv.py``. One thread; the first turn, which traces, is not counted.
"""

import json
import tempfile
import time
from pathlib import Path

import keras
import keras_cv
import numpy as np
import tensorflow as tf
from PIL import Image

from boxwright import LabelMap, Sample
from boxwright.models import DecoderSettings
from boxwright.schemas import ImageRef
from boxwright_kerascv.augmentation import Augmentation
from boxwright_kerascv.compiling import compile_network
from boxwright_kerascv.defaults import default_recipe
from boxwright_kerascv.inputs import training_batches
from boxwright_kerascv.network import build_network
from boxwright_kerascv.predictor import KerasCVModel
from boxwright_retinanet.anchors import published_anchors
from boxwright_retinanet.images import ImageCache

tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)

SIDE, BATCH, STEPS, ROUNDS = 256, 4, 2, 6
CLASSES = 3
RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (BATCH, SIDE // 16, SIDE // 16, 3), dtype=np.uint8)
IMAGES = [np.asarray(Image.fromarray(each).resize((SIDE, SIDE), Image.Resampling.BICUBIC)) for each in PIXELS]
BOXES = np.array([[10, 20, 100, 200], [150, 100, 240, 240], [5, 150, 90, 250]], np.float32)
LABELS = np.arange(CLASSES, dtype=np.float32)
SETTINGS = {"network": "kerascv", "optimizer": "sgd", "learning_rate": 1e-3, "schedule": "constant", "weight_decay": 0}
RECIPE = default_recipe(
    "resnet18", num_images=BATCH, image_sizes=[(SIDE, SIDE)], batch_size=BATCH, image_size=(SIDE, SIDE)
).with_settings(SETTINGS)


def ours():
    """Returns boxwright's network, in the precision of Keras' policy, compiled by the recipe."""
    model = build_network(
        "resnet18",
        num_classes=CLASSES,
        image_size=(SIDE, SIDE),
        anchors=published_anchors(),
        kerascv_heads=True,
    )
    compile_network(model, RECIPE)
    return model


def theirs():
    """Returns KerasCV's RetinaNet with ResNet18, compiled as in its guide, with the numbers of the recipe."""
    backbone = keras_cv.models.ResNetV2Backbone(
        stackwise_filters=[64, 128, 256, 512],
        stackwise_blocks=[2, 2, 2, 2],
        stackwise_strides=[1, 2, 2, 2],
        block_type="basic_block",
        include_rescaling=True,
        input_shape=(SIDE, SIDE, 3),
    )
    model = keras_cv.models.RetinaNet(backbone=backbone, num_classes=CLASSES, bounding_box_format="xyxy")
    model.compile(
        box_loss="smoothl1",
        classification_loss="focal",
        optimizer=keras.optimizers.SGD(
            learning_rate=RECIPE.learning_rate, momentum=RECIPE.momentum, global_clipnorm=RECIPE.clipnorm
        ),
        jit_compile=False,
    )
    return model


def our_batches():
    """Returns the images as boxwright's training reads them, without augmentation."""
    cache = ImageCache(IMAGES, [BOXES] * BATCH, [LABELS] * BATCH)
    return training_batches(cache, BATCH, RECIPE, Augmentation((), (SIDE, SIDE)), seed=0)


def their_batches():
    """Returns the images as a plain dataset of tensors."""
    labels = {"boxes": np.stack([BOXES] * BATCH), "classes": np.stack([LABELS] * BATCH)}
    images = tf.data.Dataset.from_tensor_slices((np.stack(IMAGES), labels)).repeat()
    return images.map(lambda image, labels: (tf.cast(image, tf.float32), labels)).batch(BATCH).prefetch(2)


def turns(jobs):
    """Runs the jobs in turns, forwards and backwards; returns the CPU milliseconds per image, except the first."""
    found: dict[str, list[float]] = {name: [] for name in jobs}
    for turn in range(ROUNDS + 1):
        for name, job in list(jobs.items())[:: 1 if turn % 2 else -1]:
            started = time.process_time()
            count = job()
            if turn:
                found[name].append((time.process_time() - started) * 1000 / count)
    return found


def training(model, batches, policy):
    """Returns a job that trains for a few steps."""

    def train():
        keras.config.set_dtype_policy(policy)
        model.fit(batches, steps_per_epoch=STEPS, verbose=0)
        keras.config.set_dtype_policy("float32")
        return BATCH * STEPS

    return train


def our_prediction(model, files, threshold):
    """Returns a job that predicts as a run of boxwright does."""
    label_map = LabelMap.from_names([f"class{number}" for number in range(CLASSES)])
    decoder = DecoderSettings(score_threshold=threshold)
    predictor = KerasCVModel(model, label_map, (SIDE, SIDE), decoder, RECIPE.oversample)
    samples = [Sample(image=ImageRef(name=path.name, width=SIDE, height=SIDE, location=str(path))) for path in files]

    def predict():
        found = list(predictor.predict(samples, batch_size=BATCH))
        assert sum(len(each.boxes) for each in found) > 0
        return len(found)

    return predict


def their_prediction(model, files, threshold):
    """Returns a job that predicts as in KerasCV's guide: files, a dataset, `predict`."""
    model.prediction_decoder = keras_cv.layers.NonMaxSuppression(
        bounding_box_format="xyxy", from_logits=True, confidence_threshold=threshold
    )

    def read(path):
        image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        return tf.ensure_shape(tf.cast(image, tf.float32), (SIDE, SIDE, 3))

    images = tf.data.Dataset.from_tensor_slices([str(path) for path in files]).map(read).batch(BATCH).prefetch(2)

    def predict():
        found = model.predict(images, verbose=0)
        assert found["num_detections"].sum() > 0
        return len(found["boxes"])

    return predict


def measured(folder):
    """Returns the turns of training and of prediction."""
    our, their = ours(), theirs()
    keras.config.set_dtype_policy("mixed_bfloat16")
    fast = ours()
    keras.config.set_dtype_policy("float32")
    for network in (their, fast):
        network.set_weights(our.get_weights())
    images = np.stack(IMAGES).astype(np.float32)
    outputs = our({"images": images}, training=False)
    for name, value in their({"images": images}, training=False).items():
        np.testing.assert_allclose(value, outputs[name], atol=1e-4)
    files = []
    for number, image in enumerate(IMAGES):
        files.append(folder / f"{number}.jpg")
        Image.fromarray(image).save(files[-1], quality=95)
    # The scores of an untrained network are all nearly the same: 200 of each image are above the threshold.
    scores = tf.sigmoid(outputs["classification"]).numpy().max(axis=-1)
    threshold = float(np.sort(scores, axis=1)[:, -200].min())
    predictions = {
        "kerascv": their_prediction(their, files, threshold),
        "boxwright": our_prediction(our, files, threshold),
    }
    found = {"prediction": turns(predictions)}
    trainings = {
        "kerascv": training(their, their_batches(), "float32"),
        "boxwright": training(our, our_batches(), "float32"),
        "boxwright in bfloat16": training(fast, our_batches(), "mixed_bfloat16"),
    }
    return found | {"training": turns(trainings)}


with tempfile.TemporaryDirectory(prefix="boxwright-bench-") as made:
    print(json.dumps(measured(Path(made))))
