"""Importing TensorFlow without its start-up lines.

TensorFlow's C++ code writes about itself to file descriptor 2 while it loads, whatever the log level is, and warns of
Keras' own calls later on. None of it is news to somebody who trains a detector. Set ``BOXWRIGHT_TF_LOG=1`` to see it.
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
    """Holds back what is written to stderr, below Python, while TensorFlow is imported; an error shows it all."""
    if "tensorflow" in sys.modules or os.environ.get("BOXWRIGHT_TF_LOG"):
        yield
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with quiet_stderr():
        yield


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Holds back what is written to stderr, below Python, and warnings; an error shows it all."""
    try:
        saved = None if os.environ.get("BOXWRIGHT_TF_LOG") else os.dup(2)
    except OSError:  # there is no stderr at all
        saved = None
    if saved is None:
        yield
        return
    with tempfile.TemporaryFile() as held:
        sys.stderr.flush()
        os.dup2(held.fileno(), 2)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        except BaseException:
            os.dup2(saved, 2)
            held.seek(0)
            os.write(2, held.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)
