"""The conformance tests of the trainers; read by pytest and by ``boxwright plugins check``."""

from __future__ import annotations

import json
import socket

import pytest

from boxwright_testing import TrainerTests
from boxwright_tf.quiet import quiet_import


class TestMirrored(TrainerTests):
    """``mirrored`` on two devices, which a process can make only before TensorFlow starts."""

    trainer = "mirrored:devices=2"

    @pytest.fixture(autouse=True)
    def _two_devices(self) -> None:
        with quiet_import():
            import tensorflow as tf
        if len(tf.config.list_physical_devices("GPU")) == 1:
            pytest.skip("there is only one GPU")
        (processor, *_) = tf.config.list_physical_devices("CPU")
        try:
            tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
        except RuntimeError:
            if len(tf.config.list_logical_devices("CPU")) < 2:
                pytest.skip("TensorFlow has started already: run these tests in a new process")


class TestMultiWorker(TrainerTests):
    """``multiworker`` with a single worker."""

    trainer = "multiworker"

    @pytest.fixture(autouse=True)
    def _alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            address = f"127.0.0.1:{free.getsockname()[1]}"
        content = {"cluster": {"worker": [address]}, "task": {"type": "worker", "index": 0}}
        monkeypatch.setenv("TF_CONFIG", json.dumps(content))
