"""The logger ``wandb``."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from typing import Any

import wandb
from PIL import Image

from boxwright import Run, hookimpl
from boxwright.models import PrecisionRecallCurve
from boxwright_loggers.content import flat, kept_identity, step_of

_KEPT = "wandb-run.txt"
_POINTS = 101


class WandbLogger:
    """Writes a run of Weights & Biases, without the command line, the code, the repository or the machine.

    Args:
        project: The name of the project.
        entity: The user or team; ``None`` for the one who is logged in.
        name: The name of the run; ``None`` for that of the run folder.
        mode: ``"online"`` or ``"offline"``; ``None`` for ``WANDB_MODE``, or else offline if nobody is logged in.
    """

    def __init__(
        self, project: str = "boxwright", entity: str | None = None, name: str | None = None, mode: str | None = None
    ) -> None:
        self._project, self._entity, self._name, self._mode = project, entity, name, mode
        self._run: Any = None
        self._step = 0

    @hookimpl
    def boxwright_run_started(self, run: Run, config: Mapping[str, Any]) -> None:
        """Creates the run with its settings, or continues that of an interrupted training."""
        # Without a login, it would ask for one, and the training would wait for the answer.
        mode: Any = self._mode or os.environ.get("WANDB_MODE") or ("online" if wandb.api.api_key else "offline")
        settings = wandb.Settings(
            console="off",
            disable_code=True,
            disable_git=True,
            disable_job_creation=True,
            silent=True,
            x_disable_meta=True,
            x_disable_stats=True,
        )
        # A run that replaces another gets the name of that one while this is still written.
        folder = run.path if run.path == run.final_path else run.path.parent
        self._run = wandb.init(
            project=self._project,
            entity=self._entity,
            name=self._name or run.final_path.resolve().name,
            id=kept_identity(run.file(_KEPT)) or None,
            resume="allow",
            reinit="create_new",
            dir=str(folder.resolve()),
            mode=mode,
            config=dict(flat(config)),
            settings=settings,
        )
        run.file(_KEPT).write_text(str(self._run.id), "utf-8")

    @hookimpl
    def boxwright_epoch_ended(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Writes the values of an epoch."""
        self._step = step_of(epoch, metrics)
        self._run.log({"epoch": epoch, **metrics}, step=self._step)

    @hookimpl
    def boxwright_predictions_drawn(self, images: Mapping[str, bytes]) -> None:
        """Writes images."""
        drawn = {name: wandb.Image(Image.open(io.BytesIO(data)), file_type="jpg") for name, data in images.items()}
        self._run.log(drawn, step=self._step)

    @hookimpl
    def boxwright_run_measured(self, values: Mapping[str, float], curves: Mapping[str, PrecisionRecallCurve]) -> None:
        """Writes the final metrics as the summary, and the curve of each class as a chart."""
        self._run.summary.update({f"final_{name}": value for name, value in values.items()})
        for name, curve in curves.items():
            every = max(1, len(curve.scores) // _POINTS)
            points = list(zip(curve.recall[::every].tolist(), curve.precision[::every].tolist(), strict=True))
            table = wandb.Table(columns=["recall", "precision"], data=points)
            title = f"precision and recall: {name}"
            self._run.log({title: wandb.plot.line(table, "recall", "precision", title=title)}, step=self._step)

    @hookimpl
    def boxwright_run_ended(self, status: str) -> None:
        """Ends the run."""
        if self._run is not None:
            self._run.finish(exit_code=0 if status == "done" else 1)
