"""Lets rknn-toolkit2 be imported without PyTorch, which takes five gigabytes; imported before ``rknn.api``.

The toolkit names parts of PyTorch while it is imported, and uses it only for models of PyTorch and for quantization by
gradient descent. ONNX models need neither. Modules ``torch...`` that can be imported and do nothing take its place.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
import types
from typing import Any


class _Absent:
    """Anything of PyTorch: a base class, a decorator, a value."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        pass

    def __call__(self, function: Any = None, *arguments: Any, **options: Any) -> Any:
        return function

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Absent()


class _Module(types.ModuleType):
    __version__ = "0"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Absent


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if name.partition(".")[0] != "torch":
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return _Module(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        pass


if importlib.util.find_spec("torch") is None:
    sys.meta_path.insert(0, _Finder())
