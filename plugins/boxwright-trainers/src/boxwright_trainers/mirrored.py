"""Trains on all GPUs of this computer, or on logical devices of its processor."""

from __future__ import annotations

from typing import Any

from boxwright import TrainJob, UsageError
from boxwright.models import Backend, OneReplica, check_replicas, train_replicas
from boxwright_tf.quiet import quiet_import


class MirroredTrainer:
    """Trains one replica of the model on each device.

    Args:
        devices: The number of GPUs; all by default. Without a GPU, the number of logical devices of the processor,
            which are not faster than one, and useful for a trial.
    """

    def __init__(self, devices: int | None = None) -> None:
        self._devices = devices

    def train(self, backend: Backend, job: TrainJob) -> None:
        """Trains, and returns when the run contains the model.

        Raises:
            UsageError: There are not enough devices, the batches cannot be divided among them, or the backend is not
                a ``ReplicatedBackend``.
        """
        check_replicas(backend, job, "mirrored", self._devices or 1)
        with quiet_import():
            import tensorflow as tf

            from boxwright_trainers.replicas import StrategyReplicas
        names = _devices(tf, self._devices)
        check_replicas(backend, job, "mirrored", len(names))
        job.reporter.message(f"Training on {', '.join(names)}.")
        if len(names) == 1:
            with tf.device(names[0]):
                train_replicas(backend, job, OneReplica())  # type: ignore[arg-type] # checked above
            return
        strategy = tf.distribute.MirroredStrategy(names)
        train_replicas(backend, job, StrategyReplicas(strategy))  # type: ignore[arg-type]


def _devices(tf: Any, count: int | None) -> list[str]:
    """Returns the names of the devices, such as ``GPU:0``."""
    found = len(tf.config.list_physical_devices("GPU"))
    if found:
        if count is not None and count > found:
            raise UsageError(f"there are {found} GPUs, not {count}", f"use --trainer mirrored:devices={found}")
        return [f"GPU:{number}" for number in range(count or found)]
    if count is None:
        raise UsageError(
            "TensorFlow finds no GPU",
            "use --trainer local, or for a trial on logical devices of the processor --trainer mirrored:devices=2; "
            "`boxwright env` shows what TensorFlow finds",
        )
    (processor, *_) = tf.config.list_physical_devices("CPU")
    logical = tf.config.get_logical_device_configuration(processor)
    if logical is None or len(logical) < count:
        try:
            tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * count)
        except RuntimeError:
            raise UsageError(
                f"TensorFlow has started already, and can no longer make {count} logical devices",
                "train in a new process",
            ) from None
    return [f"CPU:{number}" for number in range(count)]
