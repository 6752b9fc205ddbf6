"""Exported models: made from runs and checked against them, and loaded again wherever a model is meant.

An export is a folder, which :mod:`boxwright.models.artifact` describes. A model that somebody else exported has no
manifest; exporters are asked then whether it is theirs.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from boxwright.datasets.dataset import Data, Dataset, SampleReader, open_dataset
from boxwright.datasets.problems import Problems
from boxwright.errors import BoxwrightError, DataError, ExportError, RunError, UsageError
from boxwright.images.decode import decode_sample
from boxwright.models.artifact import write_description, write_golden
from boxwright.models.calibration import calibration_samples
from boxwright.models.causes import invalid_output, likely_cause, sample_of
from boxwright.models.evaluation import without_draws
from boxwright.models.inference import load_model
from boxwright.models.manifest import RECORD
from boxwright.models.network import NetworkExporter, read_settings
from boxwright.models.parity import (
    EXACT,
    LIMITS,
    Pair,
    Parity,
    average_precision,
    compare,
    difference_of_ap,
    paired,
)
from boxwright.models.protocols import Exporter, Model
from boxwright.models.run import Run
from boxwright.models.tuned import apply_tuning, copy_tuning
from boxwright.plugins.options import convert_options
from boxwright.plugins.registry import Registry, default_registry, require
from boxwright.plugins.specs import ExporterSpec
from boxwright.progress import LogReporter, Reporter
from boxwright.schemas import Detections, Sample
from boxwright.storage.output import AtomicOutput

LABEL_MAP = "label_map.pbtxt"
CHECKED = 16
"""The number of images on which an artifact is compared with its run, unless a dataset is passed."""
_RESIZED = 4
_METRIC = "coco"


@dataclass
class Export:
    """The result of an export.

    Attributes:
        artifact: The file or folder to deploy.
        exporter: The exporter's name.
        precision: The requested precision; empty if the exporter has none.
        bytes: The size of everything in the folder.
        parity: The comparison with the run.
        notes: Restrictions of the comparison.
    """

    artifact: Path
    exporter: str
    precision: str = ""
    bytes: int = 0
    parity: Parity = field(default_factory=Parity)
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "artifact": str(self.artifact),
            "exporter": self.exporter,
            "precision": self.precision or None,
            "bytes": self.bytes,
            "check": self.parity.to_dict(),
            "notes": self.notes,
        }


def export(
    run: str | Path | Run,
    to: str,
    out: str | Path,
    *,
    data: Data | None = None,
    calibrate: Data | None = None,
    settings: Mapping[str, object] | None = None,
    overwrite: bool = False,
    reporter: Reporter | None = None,
    registry: Registry | None = None,
) -> Export:
    """Turns a run's model into a deployable artifact, and checks that it detects what the run detects.

    Args:
        run: A run or its folder.
        to: ``EXPORTER`` or ``EXPORTER:PRECISION``.
        out: The folder that is made.
        data: Images for the check, all of which are used; with ground truth, the AP is compared too. By default
            some images of the run's validation data, or of its training data.
        calibrate: Images for a precision that must be calibrated, such as ``int8``; by default the training data.
        settings: The exporter's own options, such as ``{"target": "rk3566"}``.
        overwrite: Whether an existing ``out`` may be replaced.
        reporter: Where progress goes.
        registry: The plugins to use, instead of the installed ones.

    Raises:
        UsageError: The exporter does not know that precision, an option or the run's backend, or no images are left to
            check with.
        PluginNotFoundError: The exporter is unknown.
        DataError: The images to calibrate with are missing, or contain other classes.
        ExportError: The artifact does not detect what the run detects. It is in the folder ``out`` with
            ``-rejected`` added to the name.
        RunError: The folder is not a run, or the run has no model.
        OutputError: ``out`` exists already, or cannot be written.
    """
    plugins, reporter = registry or default_registry(), reporter or LogReporter()
    found = run if isinstance(run, Run) else Run(run)
    name, _, precision = to.partition(":")
    entry = plugins.get("exporter", name)
    spec: ExporterSpec = entry.spec
    _check_asked(spec, precision, found)
    options = convert_options(settings or {}, spec.options, f"the exporter {name}")
    require("exporter", entry)
    exporter: Exporter = plugins.resolve("exporter", name)(**options)
    with AtomicOutput(str(out), "folder", overwrite=overwrite) as output:
        assert output.workplace is not None
        folder = Path(output.workplace)
        images = _images(found, data, plugins)
        precision = precision or (spec.precisions or ("",))[0]
        samples, calibration = calibration_samples(spec, precision, found, calibrate, plugins)
        if isinstance(exporter, NetworkExporter):
            exporter.calibration = samples
        with reporter.task(f"Exporting to {to}"):
            artifact = exporter.export(found, folder, precision)
        if not isinstance(exporter, NetworkExporter):
            copy_tuning(found.path, folder)
        result = Export(Path(out) / artifact.relative_to(folder), name, precision)
        if not (folder / LABEL_MAP).exists():
            (folder / LABEL_MAP).write_text(found.label_map.to_pbtxt(), "utf-8")
        with reporter.task("Comparing it with the run", images.info.num_samples):
            original = load_model(found, registry=plugins)
            _check(result, original, exporter, artifact, folder, images, plugins, data is not None)
        write_description(
            folder,
            exporter,
            artifact,
            name=name,
            precision=precision,
            run=found,
            parity=result.parity,
            calibration=calibration,
            plugins=plugins,
        )
        if result.parity.problems:
            raise _rejection(result, folder, Path(out))
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


def _images(run: Run, data: Data | None, plugins: Registry) -> Dataset:
    """Returns the images of the check: those passed, or some of the run's validation or training data."""
    if data is not None:
        return open_dataset(data, registry=plugins)
    for source in (run.config.get("val"), run.config.get("data")):
        if not source:
            continue
        try:
            samples = list(islice(open_dataset(source, on_error="skip", registry=plugins), CHECKED))
        except BoxwrightError:
            continue  # the data has been moved since the training
        if samples:
            return Dataset(SampleReader(samples), uri=source, problems=Problems("skip"))
    raise UsageError(f"the data of {run.path} was not found, so the export could not be checked", "pass images: --data")


def _check(
    result: Export,
    run: Model,
    exporter: Exporter,
    artifact: Path,
    folder: Path,
    images: Dataset,
    plugins: Registry,
    measured: bool,
) -> None:
    """Compares an artifact with the model of its run."""
    own = exporter.limits if isinstance(exporter, NetworkExporter) else {}
    limits = own.get(result.precision) or LIMITS.get(result.precision, EXACT)
    try:
        model = apply_tuning(exporter.load(artifact), folder)
        if (
            isinstance(exporter, NetworkExporter)
            and not exporter.prepares
            and read_settings(folder).inputs.jpeg == "fast"
        ):
            images = images.through(_Decoded())
            result.notes.append(
                "compared on decoded images: the run decodes JPEG files with TensorFlow, faster and less exactly than"
                " Pillow, so its scores for these differ a little"
            )
        pairs = list(_light(paired(run, model, images)))
        if not pairs:
            raise DataError(images.info.location, "it contains no images", "pass other images: --data")
        resized = list(paired(run, model, _resized(pairs)))
        write_golden(folder, pairs[:CHECKED], model)
    except RunError as error:
        result.parity = Parity(limits, failure=error.message, cause=invalid_output(error.message))
        return
    result.parity = parity = compare([*resized, *pairs], limits)
    if isinstance(exporter, NetworkExporter) and exporter.unchecked:
        parity.unchecked = exporter.unchecked
        result.notes.append(f"not checked: {exporter.unchecked}")
    if measured and _METRIC in plugins.names("metric"):
        parity.ap = average_precision(pairs, run, plugins.resolve("metric", _METRIC)(**without_draws(_METRIC, plugins)))
    elif measured:
        result.notes.append("the AP was not compared: python -m pip install boxwright-cocoeval")
    if not parity.total.compared:
        result.notes.append("the run detects nothing in these images: pass others with --data, or train it longer")
    if parity.problems:
        difference = None
        if parity.ap is not None:
            difference = difference_of_ap(pairs, run, plugins.resolve("metric", _METRIC)())
        parity.cause = likely_cause(parity, [*resized, *pairs], run, model, difference)


class _Decoded:
    """Stores images without loss, so that every decoder returns the same pixels."""

    per_sample = True

    def __call__(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        for sample in samples:
            decoded = decode_sample(sample)
            image = sample_of(decoded.image).image.model_copy(update={"name": sample.image.name})
            yield sample.replace(image=image, boxes=decoded.boxes)


def _resized(pairs: Sequence[Pair]) -> Dataset:
    """Returns some images at another size: photos of the network's size do not show how others are resized."""
    decoded = (decode_sample(pair.sample.replace(boxes=())).image for pair in pairs[:_RESIZED])
    samples = [
        sample_of(image.resize((max(1, image.width * 4 // 3), max(1, image.height * 4 // 5)))) for image in decoded
    ]
    return Dataset(SampleReader(samples))


def _light(pairs: Iterator[Pair]) -> Iterator[Pair]:
    """Yields pairs, and leaves out the bytes of all images but the first ones: memory would grow with the dataset."""
    for number, pair in enumerate(pairs):
        image = pair.sample.image
        if number >= CHECKED and image.data is not None:
            image = image.model_copy(update={"data": None})
        yield Pair(
            pair.sample.replace(image=image),
            *(Detections(image=image, boxes=each.boxes) for each in (pair.expected, pair.found)),
        )


def _rejection(result: Export, folder: Path, out: Path) -> ExportError:
    """Keeps a rejected artifact, and returns the error that describes it."""
    kept, number = out.with_name(f"{out.name}-rejected"), 1
    while kept.exists() and not (kept / RECORD).is_file():  # only an earlier artifact is replaced
        number += 1
        kept = out.with_name(f"{out.name}-rejected-{number}")
    with AtomicOutput(str(kept), "folder", overwrite=True) as output:
        assert output.workplace is not None
        shutil.copytree(folder, output.workplace, dirs_exist_ok=True)
    target = f"{result.exporter}:{result.precision}".rstrip(":")
    return ExportError(
        f"the {target} export does not detect what the run detects\n{result.parity.describe()}",
        f"try another precision or another exporter; the rejected artifact is in {kept}",
    )
