"""Exported models: made from runs and checked against them, and loaded again wherever a model is meant.

An export is a folder: what the exporter wrote, the classes (``label_map.pbtxt``), and ``artifact.json``, which names
the exporter. A model that somebody else exported has no such file; exporters are asked then whether it is theirs.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from boxwright.datasets.dataset import Dataset, open_dataset
from boxwright.errors import BoxwrightError, ExportError, UsageError
from boxwright.matching import match_detections
from boxwright.models.inference import RECORD, load_model
from boxwright.models.protocols import Exporter, Model
from boxwright.models.run import Run
from boxwright.plugins.registry import Registry, default_registry, require
from boxwright.plugins.specs import ExporterSpec
from boxwright.progress import LogReporter, Reporter
from boxwright.schemas import Detections, Sample
from boxwright.storage.output import AtomicOutput

LABEL_MAP = "label_map.pbtxt"
CHECKED = 8
"""The number of images on which an artifact is compared with its run."""
_SAME_BOX = 0.9
_SURE = 0.3


@dataclass
class Export:
    """The result of an export.

    Attributes:
        artifact: The file or folder to deploy.
        exporter: The exporter's name.
        precision: The requested precision; empty if the exporter has none.
        bytes: The size of everything in the folder.
        images: The number of images on which the artifact was compared with its run.
        compared: Detections of the run with a score of at least 0.3 on them.
        found: How many of those the artifact has too: the same class, boxes with an IoU of at least 0.9.
        largest_difference: Of the scores of these, 0..1.
    """

    artifact: Path
    exporter: str
    precision: str = ""
    bytes: int = 0
    images: int = 0
    compared: int = 0
    found: int = 0
    largest_difference: float = 0.0
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "artifact": str(self.artifact),
            "exporter": self.exporter,
            "precision": self.precision or None,
            "bytes": self.bytes,
            "check": {
                "pictures": self.images,
                "detections": self.compared,
                "found_again": self.found,
                "largest_score_difference": round(self.largest_difference, 6),
            },
            "notes": self.notes,
        }


def export(
    run: str | Path | Run,
    to: str,
    out: str | Path,
    *,
    data: str | Dataset | None = None,
    overwrite: bool = False,
    reporter: Reporter | None = None,
    registry: Registry | None = None,
) -> Export:
    """Turns a run's model into a deployable artifact, and checks that it finds what the run finds.

    Args:
        run: A run or its folder.
        to: ``EXPORTER`` or ``EXPORTER:PRECISION``.
        out: The folder that is made.
        data: Images for the check; the training data of the run by default.
        overwrite: Whether an existing ``out`` may be replaced.
        reporter: Where progress goes.
        registry: The plugins to use, instead of the installed ones.

    Raises:
        UsageError: The exporter does not know that precision, or the run's backend.
        PluginNotFoundError: The exporter is unknown.
        ExportError: The artifact finds fewer than nine tenths of the objects that the run finds; nothing was written.
        RunError: There is no run, or it has no model.
        OutputError: ``out`` exists already, or cannot be written.
    """
    plugins, reporter = registry or default_registry(), reporter or LogReporter()
    found = run if isinstance(run, Run) else Run(run)
    name, _, precision = to.partition(":")
    entry = plugins.get("exporter", name)
    spec: ExporterSpec = entry.spec
    _check_asked(spec, precision, found)
    require("exporter", entry)
    exporter: Exporter = plugins.resolve("exporter", name)()
    with AtomicOutput(str(out), "folder", overwrite=overwrite) as output:
        assert output.workplace is not None
        folder = Path(output.workplace)
        with reporter.task(f"Exporting to {to}"):
            artifact = exporter.export(found, folder, precision or (spec.precisions or ("",))[0])
        result = Export(Path(out) / artifact.relative_to(folder), name, precision)
        if not (folder / LABEL_MAP).exists():
            (folder / LABEL_MAP).write_text(found.label_map.to_pbtxt(), "utf-8")
        with reporter.task("Comparing it with the run"):
            _compare(result, found, exporter.load(artifact), data, plugins)
        record = {"exporter": name, "artifact": str(artifact.relative_to(folder)), "backend": found.backend}
        (folder / RECORD).write_text(json.dumps(record | result.to_dict()["check"], indent=2) + "\n", "utf-8")
        result.bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return result


def _check_asked(spec: ExporterSpec, precision: str, run: Run) -> None:
    if precision and precision not in spec.precisions:
        known = ", ".join(spec.precisions) or "it knows none"
        raise UsageError(f"{spec.name} has no precision {precision!r}", f"give one of: {known}")
    if spec.backends and run.backend not in spec.backends:
        raise UsageError(
            f"{spec.name} exports models of {', '.join(spec.backends)}, and {run.path} was trained with {run.backend}",
            "see `boxwright plugins list exporter`",
        )


def _compare(result: Export, run: Run, model: Model, data: str | Dataset | None, plugins: Registry) -> None:
    samples = _samples(run, data, plugins)
    if not samples:
        result.notes.append("not compared with the run: its data was not found; pass images with --data")
        return
    original = load_model(run, registry=plugins)
    for one, other in zip(original.predict(samples), model.predict(samples), strict=True):
        _count(result, one.above(_SURE), other)
    result.images = len(samples)
    if result.found < 0.9 * result.compared:
        raise ExportError(
            f"the exported model finds {result.found} of the {result.compared} objects that the run finds",
            "nothing was written; try another precision, or another exporter",
        )


def _samples(run: Run, data: str | Dataset | None, plugins: Registry) -> Sequence[Sample]:
    source = data if data is not None else run.config.get("data")
    if source is None:
        return ()
    try:
        return list(islice(open_dataset(source, on_error="skip", registry=plugins), CHECKED))
    except BoxwrightError:
        if data is not None:
            raise
        return ()  # the data has been moved since the training


def _count(result: Export, expected: Detections, other: Detections) -> None:
    """Matches the run's detections, best first, with those of the artifact."""
    matching = match_detections(expected.boxes, other.boxes, _SAME_BOX)
    result.compared += len(expected.boxes)
    result.found += len(matching.pairs)
    differences = (abs(expected.scores[one] - other.scores[two]) for one, two in matching.pairs)
    result.largest_difference = max((result.largest_difference, *differences))
