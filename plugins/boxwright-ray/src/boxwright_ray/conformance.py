"""The conformance tests of the engine and the trainer; read by pytest and by ``boxwright plugins check``."""

from __future__ import annotations

from boxwright_testing import EngineTests, TrainerTests


class TestRay(EngineTests):
    """The engine ``ray``, with a cluster on this machine that the tests start and end."""

    engine = "ray"
    needs_network = True  # it connects to the address that the user names, and not only to this machine


class TestRayTrainer(TrainerTests):
    """The trainer ``ray`` with a single worker, which needs no TensorFlow."""

    trainer = "ray:1"
    needs_network = True
