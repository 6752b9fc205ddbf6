"""A model is a program: one that does more than calculate is loaded only if it is trusted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from boxwright import DataError, LabelMap
from boxwright.models import trust_models

tf = pytest.importorskip("tensorflow")
from boxwright_tf.programs import refuse_graph, refuse_saved_model  # noqa: E402  # it imports TensorFlow's protocol buffers
from boxwright_tfod.graph import INPUT, OUTPUTS, FrozenGraphDetector  # noqa: E402

CLASSES = LabelMap.from_names(["fig"])


def frozen(path: Path, written: Path | None = None) -> Path:
    """A detector that finds nothing; with ``written``, it also creates that file."""
    graph = tf.Graph()
    with graph.as_default():
        tf.compat.v1.placeholder(tf.uint8, (1, None, None, 3), name=INPUT)
        before = [] if written is None else [tf.raw_ops.WriteFile(filename=str(written), contents="x")]
        with tf.control_dependencies(before):
            for name, shape in zip(OUTPUTS, ((1, 0, 4), (1, 0), (1, 0), (1,)), strict=True):
                tf.zeros(shape, name=name)
    path.write_bytes(graph.as_graph_def().SerializeToString())
    return path


def test_a_frozen_graph_that_writes_a_file_is_refused(tmp_path: Path) -> None:
    graph = frozen(tmp_path / "frozen_inference_graph.pb", tmp_path / "written")
    with pytest.raises(DataError, match="operations with files, connections or Python code: WriteFile") as caught:
        FrozenGraphDetector(graph, CLASSES)
    assert "--trust-model" in caught.value.remedy
    assert not (tmp_path / "written").exists()
    with trust_models():
        FrozenGraphDetector(graph, CLASSES).output(tf.zeros((4, 4, 3), tf.uint8).numpy())
    assert (tmp_path / "written").read_text() == "x"
    FrozenGraphDetector(frozen(tmp_path / "usual.pb"), CLASSES)


@pytest.mark.parametrize(
    "name", ["PyFunc", "EagerPyFunc", "ReadFile", "SaveV2", "TFRecordDatasetV2", "CSVDatasetV2", "PrintV2", "RpcCall"]
)
def test_operations_that_are_refused(tmp_path: Path, name: str) -> None:
    graph = tf.compat.v1.GraphDef()
    function = graph.library.function.add()
    function.node_def.add(name="a", op=name)
    with pytest.raises(DataError, match=name):
        refuse_graph(tmp_path / "a.pb", graph)


def saved(folder: Path, function: Any) -> Path:
    module = tf.Module()
    module.weight = tf.Variable([1.0, 2.0])
    module.call = tf.function(lambda x: function(x) * module.weight, input_signature=[tf.TensorSpec((2,), tf.float32)])
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.call})
    return folder


def test_a_saved_model_with_variables_is_loaded_and_one_with_python_code_is_not(tmp_path: Path) -> None:
    refuse_saved_model(saved(tmp_path / "usual", lambda x: x))
    for number, function in enumerate(
        (
            lambda x: tf.numpy_function(lambda y: y, [x], tf.float32),
            lambda x: tf.strings.to_number(tf.strings.substr(tf.io.read_file("/etc/hostname"), 0, 0) + "1") * x,
        )
    ):
        folder = saved(tmp_path / str(number), function)
        with pytest.raises(DataError, match="PyFunc|ReadFile"):
            refuse_saved_model(folder)
        with trust_models():
            refuse_saved_model(folder)


def test_checkpoint_operations_outside_of_saving_are_refused(tmp_path: Path) -> None:
    """As if the model itself called the function that writes checkpoints."""
    from tensorflow.core.protobuf import saved_model_pb2

    path = saved(tmp_path / "model", lambda x: x) / "saved_model.pb"
    content = saved_model_pb2.SavedModel()
    content.ParseFromString(path.read_bytes())
    (meta,) = content.meta_graphs
    (saver,) = [each for each in meta.graph_def.library.function if "traced_save" in each.signature.name]
    caller = next(each for each in meta.graph_def.library.function if "traced" not in each.signature.name)
    node = caller.node_def.add(name="evil", op="StatefulPartitionedCall")
    node.attr["f"].func.name = saver.signature.name
    path.write_bytes(content.SerializeToString())
    with pytest.raises(DataError, match="SaveV2"):
        refuse_saved_model(tmp_path / "model")


def test_a_damaged_saved_model_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"\xff" * 40)
    with pytest.raises(DataError, match="not a SavedModel"):
        refuse_saved_model(tmp_path)
    with pytest.raises(DataError, match="No such file"):
        refuse_saved_model(tmp_path / "none")
