"""SavedModels and frozen graphs as models, judged by one another and by graphs as TensorFlow 1 wrote them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import boxwright
from boxwright import DataError, LabelMap, RunError
from boxwright_tfod.recognise import frozen_graph, saved_model

pytestmark = pytest.mark.tensorflow
tf: Any = pytest.importorskip("tensorflow")

CLASSES = LabelMap.from_names(["date", "fig"])


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A black image of 200x100 with a white rectangle from (20, 10) to (120, 60)."""
    image = Image.new("RGB", (200, 100))
    image.paste((255, 255, 255), (20, 10, 120, 60))
    image.save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def found_white(image: Any) -> dict[str, Any]:
    """A detector in a few operations: the extent of what is white, as class 2; the rest is padding."""
    white = tf.reduce_all(image[0] > 127, axis=-1)
    size = tf.cast(tf.shape(white), tf.float32)
    places = tf.cast(tf.where(white), tf.float32)
    low, high = tf.reduce_min(places, axis=0) / size, (tf.reduce_max(places, axis=0) + 1.0) / size
    box = tf.concat([low, high], axis=0)[None]
    boxes = tf.concat([box, tf.zeros((2, 4))], axis=0)[None]
    return {
        "detection_boxes": boxes,
        "detection_scores": tf.constant([[0.9, 0.0, 0.0]]),
        "detection_classes": tf.constant([[2.0, 1.0, 1.0]]),
        "num_detections": tf.constant([3.0]),
        "raw_detection_boxes": boxes,
    }


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """A SavedModel with the signature of ``exporter_main_v2``, with a variable, and its label map next to it."""

    class Detector(tf.Module):
        def __init__(self) -> None:
            self.one = tf.Variable(1.0)

        @tf.function(input_signature=[tf.TensorSpec((1, None, None, 3), tf.uint8, name="input_tensor")])
        def __call__(self, input_tensor: Any) -> dict[str, Any]:
            found = found_white(input_tensor)
            return {name: value * self.one for name, value in found.items()}

    module = Detector()
    folder = tmp_path / "model" / "saved_model"
    tf.saved_model.save(module, str(folder), signatures=module.__call__)
    (folder.parent / "label_map.pbtxt").write_text(CLASSES.to_pbtxt(), "utf-8")
    return folder


def test_a_saved_model_is_a_model(exported: Path, photo: Path) -> None:
    (found,) = boxwright.predict(exported, photo).detections
    assert found.boxes.labels == ("fig",)
    assert found.boxes.coordinates[0] == pytest.approx((20, 10, 120, 60), abs=1e-4)
    assert found.scores == pytest.approx((0.9,))


def test_a_frozen_graph_finds_the_same(exported: Path, photo: Path, tmp_path: Path) -> None:
    from boxwright_tfod.graph import freeze

    graph = exported.parent / "frozen_inference_graph.pb"
    freeze(exported, graph)
    definition = tf.compat.v1.GraphDef.FromString(graph.read_bytes())
    assert not [node.name for node in definition.node if "Variable" in node.op or node.op == "ReadVariableOp"]
    assert {"image_tensor", "detection_boxes", "detection_scores", "detection_classes", "num_detections"} <= {
        node.name for node in definition.node
    }
    one, two = (boxwright.predict(place, photo).detections[0] for place in (exported, graph))
    assert one.boxes.coordinates == two.boxes.coordinates
    assert one.scores == two.scores
    # As the first tutorial's notebook runs it: a TensorFlow 1 session, by tensor names.
    with tf.Graph().as_default():
        tf.graph_util.import_graph_def(definition, name="")
        with tf.compat.v1.Session() as session:
            boxes, scores = session.run(
                ["detection_boxes:0", "detection_scores:0"], {"image_tensor:0": np.asarray(Image.open(photo))[None]}
            )
    assert boxes[0, 0] == pytest.approx((0.1, 0.1, 0.6, 0.6))
    assert scores[0] == pytest.approx((0.9, 0, 0))


def test_a_graph_as_tensorflow_1_wrote_it(photo: Path, tmp_path: Path) -> None:
    with tf.Graph().as_default() as built:
        image = tf.compat.v1.placeholder(tf.uint8, (None, None, None, 3), name="image_tensor")
        for name, tensor in found_white(image).items():
            tf.identity(tensor, name=name)
    place = tmp_path / "years_ago.pb"
    place.write_bytes(built.as_graph_def().SerializeToString())
    with pytest.raises(DataError, match=r"only class ids[\s\S]*--label-map"):
        boxwright.predict(place, photo)
    classes = tmp_path / "classes.pbtxt"
    classes.write_text(CLASSES.to_pbtxt(), "utf-8")
    (found,) = boxwright.predict(place, photo, label_map=classes).detections
    assert found.boxes.labels == ("fig",)
    assert found.boxes.coordinates[0] == pytest.approx((20, 10, 120, 60), abs=1e-4)


def test_what_is_no_detector_is_said(tmp_path: Path, photo: Path) -> None:
    from boxwright_tfod.graph import FrozenGraphDetector

    broken, other = tmp_path / "broken.pb", tmp_path / "other.pb"
    broken.write_bytes(b"image_tensor detection_boxes detection_classes")
    with tf.Graph().as_default() as built:
        tf.compat.v1.placeholder(tf.float32, (1,), name="x")
    other.write_bytes(built.as_graph_def().SerializeToString())
    with pytest.raises(DataError, match="not a TensorFlow graph, or damaged"):
        FrozenGraphDetector(broken, CLASSES)
    with pytest.raises(DataError, match="has no image_tensor, detection_boxes"):
        FrozenGraphDetector(other, CLASSES)
    with pytest.raises(RunError, match=r"\.pb (?s:.*)does not contain image_tensor"):
        boxwright.predict(other, photo)


def test_they_are_recognised_without_tensorflow(exported: Path, tmp_path: Path) -> None:
    assert saved_model(str(exported)).matches
    assert not frozen_graph(str(exported)).matches
    assert frozen_graph(str(exported / "saved_model.pb")).reason == "it belongs to a SavedModel: pass its folder"
    assert not saved_model(str(tmp_path)).matches
    (tmp_path / "empty.pb").write_bytes(b"")
    assert not frozen_graph(str(tmp_path / "empty.pb")).matches
