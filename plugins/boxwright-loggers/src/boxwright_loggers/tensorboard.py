"""The logger ``tensorboard``, which needs TensorBoard alone: it does not import TensorFlow, which takes seconds."""

from __future__ import annotations

import os
import shlex
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.image import metadata as images_metadata
from tensorboard.plugins.pr_curve import metadata as curves_metadata
from tensorboard.plugins.scalar import metadata as scalars_metadata
from tensorboard.plugins.text import metadata as text_metadata
from tensorboard.summary.writer.record_writer import RecordWriter
from tensorboard.util.tensor_util import make_tensor_proto

from boxwright import Run, hookimpl
from boxwright.images import parse_header
from boxwright.models import PrecisionRecallCurve
from boxwright_loggers.content import step_of

_VERSION = "brain.Event:2"
_THRESHOLDS = 101


class TensorBoardLogger:
    """Writes an event file.

    Args:
        path: The folder; ``None`` for ``tensorboard`` in the run folder.
    """

    def __init__(self, path: str | None = None) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self._step = 0

    @hookimpl
    def boxwright_run_started(self, run: Run, config: Mapping[str, Any]) -> None:
        """Opens the file, and writes a page on the run."""
        folder = Path(self._path) if self._path else run.file("tensorboard")
        folder.mkdir(parents=True, exist_ok=True)
        now = time.time()
        name = f"events.out.tfevents.{now:.0f}.{socket.gethostname()}.{os.getpid()}.{time.monotonic_ns()}.v2"
        self._file = (folder / name).open("xb")
        self._write(Event(wall_time=now, file_version=_VERSION))
        place = run.final_path.resolve()
        held_out = config.get("val") or "URI"
        evaluate = shlex.join(["boxwright", "evaluate", str(place), "--data", held_out])
        page = f"[{place.name}]({place.as_uri()}): {place}\n\n`{evaluate} --report report.html` writes its report."
        metadata = text_metadata.create_summary_metadata(display_name="run", description="")
        self._add("run", np.array(page.encode(), dtype=object), metadata, 0)
        self._file.flush()

    @hookimpl
    def boxwright_epoch_ended(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Writes the values of an epoch."""
        self._step = step_of(epoch, metrics)
        self._scalars({name: value for name, value in metrics.items() if name != "step"})

    @hookimpl
    def boxwright_predictions_drawn(self, images: Mapping[str, bytes]) -> None:
        """Writes images, as the JPEG files that they are."""
        metadata = images_metadata.create_summary_metadata(display_name="", description="", converted_to_tensor=True)
        for name, data in images.items():
            header = parse_header(data)
            assert header is not None
            self._add(name, [b"%d" % header.width, b"%d" % header.height, data], metadata, self._step)
        self._flush()

    @hookimpl
    def boxwright_run_measured(self, values: Mapping[str, float], curves: Mapping[str, PrecisionRecallCurve]) -> None:
        """Writes the final metrics, and a curve of each class."""
        self._scalars({f"final/{name}": value for name, value in values.items()})
        metadata = curves_metadata.create_summary_metadata(display_name="", description="", num_thresholds=_THRESHOLDS)
        for name, curve in curves.items():
            self._add(f"precision and recall/{name}", _rows(curve), metadata, self._step)
        self._flush()

    @hookimpl
    def boxwright_run_ended(self) -> None:
        """Closes the file."""
        if self._file is not None:
            self._file.close()

    def _scalars(self, values: Mapping[str, float]) -> None:
        metadata = scalars_metadata.create_summary_metadata(display_name="", description="")
        for name, value in values.items():
            self._add(name, np.float32(value), metadata, self._step)
        self._flush()

    def _add(self, name: str, content: Any, metadata: Any, step: int) -> None:
        value = Summary.Value(tag=name, tensor=make_tensor_proto(content), metadata=metadata)
        self._write(Event(wall_time=time.time(), step=step, summary=Summary(value=[value])))

    def _write(self, event: Any) -> None:
        RecordWriter(self._file).write(event.SerializeToString())

    def _flush(self) -> None:
        assert self._file is not None
        self._file.flush()


def _rows(curve: PrecisionRecallCurve) -> Any:
    """Returns a curve at evenly spaced scores as TensorBoard stores it: counts, precision and recall, ``(6, 101)``."""
    thresholds = np.linspace(0, 1, _THRESHOLDS)
    kept = np.searchsorted(-curve.scores, -thresholds, side="right")
    precision = np.append(1.0, curve.precision)[kept]
    recall = np.append(0.0, curve.recall)[kept]
    found = np.round(recall * curve.objects)
    nothing = np.zeros(_THRESHOLDS)  # everything else in an image is right, and cannot be counted
    rows = [found, kept - found, nothing, curve.objects - found, precision, recall]
    return np.stack(rows).astype(np.float32)
