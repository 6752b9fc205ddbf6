"""Reads a PyTorch state dict without PyTorch.

The format of ``torch.save`` before PyTorch 1.6 (``torch/serialization.py``, ``_legacy_load``): four pickles (a magic
number, the version of the protocol, properties of the system, the dict), a pickle with the keys of the storages, and
per storage its number of elements as int64 and the elements. In the pickles, a storage is a persistent id, and a tensor
a call of ``torch._utils._rebuild_tensor_v2``. The unpickler constructs tensors and dicts, and refuses everything else.
"""

from __future__ import annotations

import pickle
import struct
from collections import OrderedDict
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from boxwright import DataError

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_DTYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


class _Storage(NamedTuple):
    key: str
    dtype: np.dtype[Any]
    length: int


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _rebuild_tensor(
    storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any
) -> _Tensor:
    return _Tensor(storage, offset, shape, strides)


class _Unpickler(pickle.Unpickler):
    """An unpickler that finds only the names that a state dict of plain tensors needs."""

    def find_class(self, module: str, name: str) -> Any:
        """Returns the object that a name means here.

        Raises:
            pickle.UnpicklingError: The name is another one.
        """
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        raise pickle.UnpicklingError(f"it refers to {module}.{name}")

    def persistent_load(self, pid: Any) -> _Storage:
        """Returns the storage of a persistent id: ``("storage", type, key, device, count, view)``."""
        kind, dtype, key, _, length, view = pid
        if kind != "storage" or view is not None:
            raise pickle.UnpicklingError(f"it refers to {kind!r}")
        return _Storage(str(key), np.dtype(dtype), int(length))


def read_state_dict(path: Path) -> dict[str, NDArray[Any]]:
    """Returns the tensors of a state dict by name, with their own shapes and dtypes (float32 or int64).

    Args:
        path: A file of ``torch.save`` before PyTorch 1.6.

    Raises:
        DataError: The file is not such a state dict, is incomplete, or refers to anything except tensors.
    """
    try:
        with path.open("rb") as file:
            return _read(file)
    except Exception as error:  # a damaged pickle raises whatever its opcodes run into
        raise DataError(path, f"it is not a PyTorch state dict: {error}", "install its package again") from error


def _read(file: IO[bytes]) -> dict[str, NDArray[Any]]:
    if _Unpickler(file).load() != _MAGIC or _Unpickler(file).load() != _PROTOCOL:
        raise ValueError("the magic number or the protocol is another one")
    if not _Unpickler(file).load()["little_endian"]:
        raise ValueError("it is big-endian")
    tensors: dict[str, _Tensor] = _Unpickler(file).load()
    keys: list[str] = _Unpickler(file).load()
    storages = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
    if sorted(keys) != sorted(storages):
        raise ValueError("its storages are not those of its tensors")
    contents = {key: _elements(file, storages[key]) for key in keys}
    return {str(name): _view(contents[tensor.storage.key], tensor) for name, tensor in tensors.items()}


def _elements(file: IO[bytes], storage: _Storage) -> NDArray[Any]:
    (length,) = struct.unpack("<q", file.read(8))
    content = file.read(storage.length * storage.dtype.itemsize)
    if length != storage.length or len(content) != storage.length * storage.dtype.itemsize:
        raise ValueError(f"the storage {storage.key} is incomplete")
    return np.frombuffer(content, storage.dtype)


def _view(elements: NDArray[Any], tensor: _Tensor) -> NDArray[Any]:
    """Returns a tensor, which may be a transposed part of its storage."""
    shape, strides = tuple(tensor.shape), tuple(tensor.strides)
    last = tensor.offset + sum((side - 1) * stride for side, stride in zip(shape, strides, strict=True))
    if min((tensor.offset, *strides, *(side - 1 for side in shape))) < 0 or last >= len(elements):
        raise ValueError("a tensor extends beyond its storage")
    in_bytes = [stride * elements.itemsize for stride in strides]
    return np.lib.stride_tricks.as_strided(elements[tensor.offset :], shape, in_bytes, writeable=False)
