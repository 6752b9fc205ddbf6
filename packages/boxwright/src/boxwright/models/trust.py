"""Whether models may run as any program: only if the user trusts them.

A model of TensorFlow may contain operations that read and write files, start connections or run Python code.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from boxwright.errors import DataError

_TRUSTED: ContextVar[bool] = ContextVar("trust_models", default=False)


@contextmanager
def trust_models(trusted: bool = True) -> Iterator[None]:
    """Sets whether models that are loaded in this block may contain operations of any kind.

    Args:
        trusted: Whether they may.
    """
    token = _TRUSTED.set(trusted)
    try:
        yield
    finally:
        _TRUSTED.reset(token)


def models_trusted() -> bool:
    """Returns whether a model that is loaded now may contain operations of any kind."""
    return _TRUSTED.get()


def untrusted_model(path: object, problem: str) -> DataError:
    """Returns the error for a model that needs to be trusted; ``problem`` describes what it contains."""
    return DataError(
        path, problem, "a model is a program: pass --trust-model (trust_models) only if you trust its author"
    )
