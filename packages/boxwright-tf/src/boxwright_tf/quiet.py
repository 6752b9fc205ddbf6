"""Imports of TensorFlow without its start-up messages.

TensorFlow's C++ code writes to file descriptor 2 while it loads, at any log level, and later warns about calls of
Keras. None of this matters to a user who trains a detector. ``BOXWRIGHT_TF_LOG=1`` shows it.
"""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_import() -> Iterator[None]:
    """Suppresses output to file descriptor 2 while TensorFlow is imported; if an error is raised, shows it."""
    if "tensorflow" in sys.modules or os.environ.get("BOXWRIGHT_TF_LOG"):
        yield
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with quiet_stderr():
        yield


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Suppresses output to file descriptor 2, and warnings; if an error is raised, shows the output."""
    try:
        saved = None if os.environ.get("BOXWRIGHT_TF_LOG") else os.dup(2)
    except OSError:  # stderr is closed
        saved = None
    if saved is None:
        yield
        return
    with tempfile.TemporaryFile() as output:
        sys.stderr.flush()
        os.dup2(output.fileno(), 2)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        except BaseException:
            os.dup2(saved, 2)
            output.seek(0)
            os.write(2, output.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)
