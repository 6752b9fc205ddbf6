"""The backend, imported without TensorFlow's start-up messages; the plugin's spec names this module."""

from __future__ import annotations

from boxwright_tf.quiet import quiet_import

with quiet_import():
    from boxwright_kerascv.backend import KerasCVBackend

__all__ = ["KerasCVBackend"]
