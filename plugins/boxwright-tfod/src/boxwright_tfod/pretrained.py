"""The checkpoint that a training starts from: one that the user names, or imported weights of the preset."""

from __future__ import annotations

from pathlib import Path

from boxwright import TrainJob
from boxwright.models import Weights, find_all_weights
from boxwright_tfod.checkpoints import obtain
from boxwright_tfod.objectron import PRESET

NONE = "none"
"""The value of the setting ``checkpoint`` for training from scratch."""

FOLDER = "pretrained"
"""The folder of a run with the checkpoint that it started from."""

_BACKBONE = "backbone"
_ZOO = "https://download.tensorflow.org/models/object_detection/tf2/20200711/{}.tar.gz"


def starting_point(job: TrainJob) -> Path | None:
    """Copies the checkpoint that a training starts from into its run.

    Returns:
        The prefix of its files' names; ``None`` to train from scratch.

    Raises:
        DataError: The checkpoint is missing, incomplete or has another digest.
        MissingLibraryError: The weights are not imported.
    """
    declared = {name: weights for name, weights in find_all_weights().items() if "tfod" in weights.specs}
    source = job.settings.get("checkpoint")
    if source is None:
        source = _imported(job, declared)
    if source in (None, NONE):
        return None
    if source in declared:
        source = _location(job, declared[source])
    folder = job.run.file(FOLDER).absolute()
    return obtain(source, folder, sha256=job.settings.get("checkpoint_sha256"), reporter=job.reporter)


def _imported(job: TrainJob, declared: dict[str, Weights]) -> str | None:
    """Returns the name of imported weights for the preset, unless the user chose another network or checkpoint."""
    if "config" in job.settings or any(
        ".feature_extractor." in name or name.endswith(".fine_tune_checkpoint") for name in job.settings
    ):
        return None
    for name, weights in declared.items():
        spec = weights.specs["tfod"]
        if spec.origin != "import" or job.preset not in spec.presets:
            continue
        if (weights.folder / "tfod").is_dir():
            job.reporter.message(
                f"Starting from the imported weights {name} ({spec.trained_on}); --set checkpoint={NONE} does not."
            )
            return name
        job.reporter.message(
            f"Training from scratch. Pretrained weights for this preset ({spec.license}): "
            f"boxwright weights import {name} --npm"
        )
    return None


def _location(job: TrainJob, weights: Weights) -> str:
    """Returns the folder of imported weights, or the URL of an archive of the model zoo."""
    if weights.spec.origin != "import":
        return _ZOO.format(weights.name)
    folder = weights.converted("tfod")
    whole = job.preset == PRESET and "config" not in job.settings
    return str(folder if whole else folder / _BACKBONE)
