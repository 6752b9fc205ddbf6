"""Keras: the conformance tests, and what only this exporter has."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")

import tensorflow as tf

from boxwright import BoxwrightError, DataError, Run, Sample
from boxwright.models import trust_models
from boxwright.plugins import Registry
from boxwright_keras.exporter import KerasExporter
from boxwright_testing import NetworkExporterTests
from boxwright_testing.networks import BOXES

pytestmark = pytest.mark.tensorflow

_PLAIN = """
import sys
sys.modules.update(dict.fromkeys(["keras_cv", "boxwright_kerascv", "boxwright_tf"]))
import boxwright_keras.registered
import keras
import numpy as np
model = keras.saving.load_model(sys.argv[1])
images = np.zeros((2, 16, 32, 3), np.float32)
images[1, :, :, 0] = 255
np.savez(sys.argv[2], **model.predict(images, verbose=0))
print(model.get_layer("detector").settings["labels"])
"""


class TestKeras(NetworkExporterTests):
    exporter = "keras"
    any_operation = True

    @pytest.mark.slow
    def test_detect_py_needs_no_boxwright(
        self, plugins: Registry, run: Run, images: list[Sample], photo: Sample, tmp_path: Path
    ) -> None:
        """It imports TensorFlow twice. The export of a tuned run also runs ``detect.py`` alone, once."""
        super().test_detect_py_needs_no_boxwright(plugins, run, images, photo, tmp_path)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network of ``ColorsBackend``, exported."""
    from boxwright import LabelMap
    from boxwright.models import write_settings
    from boxwright_testing.networks import ColorsBackend

    folder = tmp_path_factory.mktemp("keras")
    run: Any = type("Run", (), {"label_map": LabelMap.from_names(["first", "second"], sort=False)})
    network = ColorsBackend().write_network(run, folder / "network")
    KerasExporter().convert(network, folder, "fp32")
    write_settings(network, folder)
    return folder / "model.keras"


@pytest.mark.slow
def test_plain_keras_loads_it_with_this_plugin(artifact: Path, tmp_path: Path) -> None:
    """In safe mode, which is Keras' default; without the code that trained it."""
    command = [sys.executable, "-c", _PLAIN, str(artifact), str(tmp_path / "found.npz")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "['first', 'second']\n"
    found = np.load(tmp_path / "found.npz")
    assert found["num_detections"].tolist() == [0, 2], "the first image is black"
    np.testing.assert_allclose(found["boxes"][1, :2], BOXES[[0, 2]], atol=1e-4)
    np.testing.assert_allclose(found["scores"][1, :3], [1, 0.5, -1], atol=1e-4)
    assert found["classes"][1, :3].tolist() == [0, 0, -1]


def with_layer(config: dict[str, Any], layer: dict[str, Any]) -> None:
    config["config"]["layers"][1] |= layer


def with_lambda(config: dict[str, Any], place: Path) -> None:
    body = {"class_name": "__lambda__", "config": {"code": "4wEAAAA=", "defaults": None, "closure": None}}
    with_layer(config, {"class_name": "Lambda", "module": "keras.layers", "registered_name": None})
    config["config"]["layers"][1]["config"] = {"name": "detector", "function": body}


def with_a_function_of_python(config: dict[str, Any], place: Path) -> None:
    with_layer(config, {"class_name": "mkdir", "module": "os", "registered_name": None})
    config["config"]["layers"][1]["config"] = {"path": str(place)}


def with_a_class_of_a_stranger(config: dict[str, Any], place: Path) -> None:
    with_layer(config, {"class_name": "InputLayer", "module": "keras.layers", "registered_name": "stranger>Layer"})


def with_a_saved_model(config: dict[str, Any], place: Path) -> None:
    with_layer(config, {"class_name": "TFSMLayer", "module": "keras.layers", "registered_name": "TFSMLayer"})
    config["config"]["layers"][1]["config"] = {"filepath": str(place)}


def with_a_graph_that_writes(config: dict[str, Any], place: Path) -> None:
    (layer,) = (each for each in config["config"]["layers"] if each["class_name"] == "Detector")
    graph = tf.compat.v1.GraphDef.FromString(bytes.fromhex(layer["config"]["graph"]))
    graph.node.add(name="file", op="WriteFile")
    layer["config"]["graph"] = graph.SerializeToString().hex()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (with_lambda, "Lambda"),
        (with_a_function_of_python, "os.mkdir"),
        (with_a_class_of_a_stranger, "stranger>Layer"),
        (with_a_saved_model, "TFSMLayer"),
        (with_a_graph_that_writes, "WriteFile"),
    ],
)
def test_programs_in_a_file_are_refused(
    artifact: Path, change: Callable[[dict[str, Any], Path], None], problem: str, tmp_path: Path
) -> None:
    """Before anything of the file is loaded; and Keras' safe mode refuses objects even in a trusted file."""
    for path in artifact.parent.glob("*.*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    place = tmp_path / "made"
    with zipfile.ZipFile(artifact) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(files["config.json"])
    change(config, place)
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        for name, content in (files | {"config.json": json.dumps(config).encode()}).items():
            archive.writestr(name, content)
    with pytest.raises(DataError, match=problem) as caught:
        KerasExporter().load(tmp_path / "model.keras")
    assert "--trust-model" in caught.value.remedy
    with trust_models(), pytest.raises(BoxwrightError, match=r"model\.keras"):
        KerasExporter().load(tmp_path / "model.keras")
    assert not place.exists()
