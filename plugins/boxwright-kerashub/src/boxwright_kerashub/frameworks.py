"""Which framework Keras uses, and its import without another one.

Keras decides by the variable ``KERAS_BACKEND`` when it is imported, for the whole process.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from typing import Any

from boxwright import MissingLibraryError, UsageError
from boxwright_kerashub import FRAMEWORKS

_VARIABLE = "KERAS_BACKEND"
_OPTIONAL = (*FRAMEWORKS, "tensorflow_text")
"""What Keras and KerasHub import if it is installed, whatever the framework."""


def choose_framework(requested: str | None = None, trained: str | None = None) -> str:
    """Returns the framework to use: the first of the following.

    The framework that Keras uses in this process already, the requested one, that of ``KERAS_BACKEND``, the one that a
    run was trained with if it is installed, and the first one of :data:`FRAMEWORKS` that is installed.

    Args:
        requested: The setting of the user, if there is one.
        trained: The framework of the run that is loaded.

    Raises:
        UsageError: Keras uses another framework than the requested one in this process, or ``KERAS_BACKEND`` is not
            supported.
        MissingLibraryError: The framework is not installed.
    """
    if (active := active_framework()) is not None:
        if requested not in (None, active):
            raise UsageError(
                f"framework={requested}, but Keras already uses {active} in this process",
                f"start a new process, or set KERAS_BACKEND={requested} before Keras is imported",
            )
        return active
    named = requested or os.environ.get(_VARIABLE)
    if named is not None:
        if named not in FRAMEWORKS:
            raise UsageError(f"KERAS_BACKEND={named} is not supported", f"set one of: {', '.join(FRAMEWORKS)}")
        if not find_spec(named):
            raise MissingLibraryError(
                f"{named} is not installed", f'run: python -m pip install "boxwright-kerashub[{named}]"'
            )
        return named
    for name in (trained, *FRAMEWORKS):
        if name is not None and find_spec(name):
            return name
    raise MissingLibraryError(
        f"none of {', '.join(FRAMEWORKS)} is installed", 'run: python -m pip install "boxwright-kerashub[jax]"'
    )


def active_framework() -> str | None:
    """Returns the framework that Keras uses in this process, or ``None`` if it has not been imported."""
    keras: Any = sys.modules.get("keras")
    backend = getattr(keras, "backend", None)  # missing while Keras is being imported
    return None if backend is None else str(backend.backend())


@contextmanager
def importing(framework: str) -> Iterator[None]:
    """Makes Keras use a framework when it is imported in the block, and import no other one.

    Keras and KerasHub import others if they are installed, for parts that no detector uses.
    """
    before = os.environ.get(_VARIABLE)
    if framework == "tensorflow":
        from boxwright_tf.quiet import quiet_import

        quiet: Any = quiet_import()
    else:
        quiet = nullcontext()
    others = _Others({name for name in _OPTIONAL if not name.startswith(framework)})
    sys.meta_path.insert(0, others)
    os.environ[_VARIABLE] = framework
    try:
        with quiet:
            yield
        if framework != "tensorflow" and "keras" in sys.modules:
            _decide_without_tensorflow()
    finally:
        sys.meta_path.remove(others)
        if before is None:
            del os.environ[_VARIABLE]
        else:
            os.environ[_VARIABLE] = before


class _Others(MetaPathFinder, Loader):
    """Lets the imports of some modules fail as if they were not installed.

    ``None`` in ``sys.modules`` would do that, too, but SciPy takes it for the module.
    """

    def __init__(self, names: set[str]) -> None:
        self._names = names

    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        return ModuleSpec(name, self) if name in self._names else None

    def create_module(self, spec: ModuleSpec) -> Any:
        raise ModuleNotFoundError(f"{spec.name} is not imported, because Keras uses another framework", name=spec.name)


def _decide_without_tensorflow() -> None:
    """Makes Keras look for TensorFlow, which it does once: later, as in ``set_random_seed``, it would import it."""
    import keras
    import numpy as np

    keras.saving.serialize_keras_object(np.zeros(1))
