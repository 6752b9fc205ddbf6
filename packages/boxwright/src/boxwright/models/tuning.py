"""Tuning: how detections are best chosen among a model's predictions, without training it again.

The predictions before suppression are computed once. Then every kind of suppression with every IoU threshold is applied
to them, and for each the score is found that serves a goal best (:mod:`boxwright.models.search`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from boxwright.datasets.dataset import Data, Dataset, empty_dataset_error, open_dataset
from boxwright.errors import BoxwrightError, DataError, UsageError
from boxwright.label_map import LabelMap
from boxwright.models.choices import Goal, PredictedImage
from boxwright.models.decoder import DecoderSettings, raw
from boxwright.models.evaluation import without_draws
from boxwright.models.inference import load_model, predicted_pairs
from boxwright.models.manifest import RECORD, manifest_content
from boxwright.models.overlap import check_overlap
from boxwright.models.protocols import TunableModel
from boxwright.models.run import STATE, Run
from boxwright.models.search import KINDS, Search, Tuning, candidates_for
from boxwright.models.tuned import CURVE, DECODER, TUNED, read_original, remove_tuning, tunable, write_tuning
from boxwright.plugins.options import MAX_BAD, Option, convert_options
from boxwright.plugins.registry import Registry, default_registry
from boxwright.progress import LogReporter, Reporter
from boxwright.schemas import Detections, ImageRef, Sample
from boxwright.text import without_secrets

_METRIC = "coco"


def tune(
    model: str | Path | Run,
    data: Data,
    *,
    goal: str = "f1",
    suppression: Sequence[str] = KINDS,
    by_class: bool = True,
    batch_size: int = 8,
    on_error: str = MAX_BAD,
    allow_overlap: bool = False,
    write: bool = True,
    reporter: Reporter | None = None,
    registry: Registry | None = None,
) -> Tuning:
    """Chooses the settings of a model's decoder by its detections in annotated images, without training it again.

    The settings are written into the folder as ``tuned.json``, with those before. :func:`boxwright.load_model` applies
    them, and so do predictions, evaluations and exports.

    Args:
        model: A run, its folder, or the folder of an export.
        data: Annotated images that the model was not trained on.
        goal: ``f1``, ``precision=0.95``, ``recall=0.9``, ``count`` or ``map``; see :class:`Goal`.
        suppression: The kinds of suppression that are tried: ``class``, ``all``, ``soft``, ``fusion``.
        by_class: Whether classes may get different scores and IoU thresholds.
        batch_size: The number of images predicted at once.
        on_error: ``"fail"`` or ``"skip"`` images that cannot be read, or a limit such as ``"1%"`` or ``"3"``.
        allow_overlap: Whether images that the model was trained on are a warning instead of an error.
        write: Whether the settings are written.
        reporter: Where progress goes.
        registry: The plugins to use, instead of the installed ones.

    Raises:
        UsageError: The goal or a kind of suppression is unknown, the model is not a run or an export of boxwright, or
            it was trained on one of the images.
        DataError: The dataset is empty, has no boxes, or has classes that the model does not know.
        RunError: The folder is not a run, or the run has no model.
        PluginError: The metric for ``map`` is not installed.
    """
    plugins, reporter = registry or default_registry(), reporter or LogReporter()
    wanted = Goal.parse(goal)
    if unknown := sorted(set(suppression) - set(KINDS)):
        raise UsageError(f"{unknown[0]!r} is not a kind of suppression", f"give some of: {', '.join(KINDS)}")
    average = _average_precision(plugins) if wanted.name == "map" else None
    folder = tuned_folder(model)
    dataset = open_dataset(data, on_error=on_error, registry=plugins)
    if (trained := training_data(folder, plugins)) is not None:
        check_overlap(trained, dataset, allowed=allow_overlap, reporter=reporter)
    loaded = tunable(load_model(model, registry=plugins))
    before = loaded.decoder
    with reporter.task("Predicting", dataset.info.num_samples) as task:
        images = []
        for pair in predicted_pairs(_raw(loaded), dataset, batch_size=batch_size):
            images.append(PredictedImage.of(*pair, loaded.label_map))
            task.advance()
    if not images:
        raise empty_dataset_error(dataset, "it contains no images")
    dataset.problems.finish(len(images))
    objects = np.stack([image.scene.objects for image in images])
    if not objects.sum():
        raise DataError(dataset.uri, "it contains no boxes", "tune on annotated images")
    baked = not loaded.is_raw and (folder / DECODER).is_file()
    if (folder / RECORD).is_file():  # its detect.py does not fuse boxes
        suppression = [kind for kind in suppression if kind != "fusion"]
    candidates = candidates_for(before, () if baked else suppression, loaded.is_raw, int(objects.sum(axis=1).max()))
    search = Search(images, objects, wanted, candidates, reporter)
    if average is not None:
        tuning = search.by_average_precision(
            before, lambda decoder, interval: average(images, decoder, loaded.label_map, interval)
        )
    else:
        tuning = search.by_score(before, by_class=by_class, by_iou="class" in suppression and loaded.is_raw)
    tuning.data, tuning.label_map = without_secrets(dataset.uri), loaded.label_map
    if not loaded.is_raw:
        remedy = "; to change its suppression, tune the run, and export it again" if baked else ""
        tuning.notes.append(f"the model suppresses detections on its own: only those that it keeps count{remedy}")
    if write:
        tuning.files = [folder / TUNED, folder / CURVE]
        _write(folder, tuning)
    return tuning


def set_decoder(model: str | Path | Run, changes: Mapping[str, Any], *, registry: Registry | None = None) -> Path:
    """Changes settings of a model's decoder, as :func:`tune` does, without a search.

    Args:
        model: A run, its folder, or the folder of an export.
        changes: Fields of :class:`DecoderSettings`; strings are converted.
        registry: The plugins to use, instead of the installed ones.

    Returns:
        The file that was written.

    Raises:
        UsageError: A setting is unknown or has an impossible value, or the model is neither a run nor an export.
    """
    folder = tuned_folder(model)
    options = tuple(
        Option(each.name, type(each.default), each.default)  # type: ignore[arg-type]
        for each in fields(DecoderSettings)
    )
    given = convert_options(changes, options, "the decoder")
    before = tunable(load_model(model, registry=registry)).decoder
    try:
        decoder = replace(before, **given)
    except ValueError as error:
        raise UsageError(str(error), "see the settings of boxwright.models.DecoderSettings") from None
    original = read_original(folder) or before
    if decoder.suppression == "fusion" and (folder / RECORD).is_file():
        raise UsageError("exports do not support box fusion", "set suppression to class or all")
    content = {"original": original.to_dict(), "decoder": decoder.to_dict(), "before": before.to_dict()}
    write_tuning(folder, content)
    return folder / TUNED


def reset_tuning(model: str | Path | Run) -> bool:
    """Restores the settings from before :func:`tune`; returns whether there was a tuning.

    Raises:
        UsageError: The model is not a run or an export of boxwright.
        DataError: The file with them is damaged.
        OutputError: They cannot be restored.
    """
    return remove_tuning(tuned_folder(model))


def tuned_folder(model: str | Path | Run) -> Path:
    """Returns the folder of a run or an export.

    Raises:
        UsageError: It is neither.
    """
    path = model.path if isinstance(model, Run) else Path(model)
    if path.exists() and not ((path / STATE).is_file() or (path / RECORD).is_file()):
        raise UsageError(
            f"{path} is neither a run nor the folder of an export", "give the folder of a run or an export"
        )
    return path


def training_data(model: str | Path, plugins: Registry) -> Dataset | None:
    """Returns what the model of a run or of an export was trained on; ``None`` if it is not there any more."""
    folder = Path(model)
    if not ((folder / STATE).is_file() or (folder / RECORD).is_file()):
        return None
    if (folder / STATE).is_file():
        uri = Run(folder).config.get("data")
    else:
        uri = (manifest_content(folder / RECORD).get("data") or {}).get("uri")
    try:
        return open_dataset(uri, on_error="skip", registry=plugins) if uri else None
    except BoxwrightError:
        return None


def _write(folder: Path, tuning: Tuning) -> None:
    from boxwright.render.curves import svg_curves

    created = datetime.now(UTC).isoformat(timespec="seconds")
    original = read_original(folder) or tuning.before
    curves = {name: tuning.curve[name] for name in ("precision", "recall", "F1")}
    score = tuning.decoder.score
    marks = dict(zip(tuning.label_map.names, score, strict=True)) if isinstance(score, tuple) else {"": score}
    svg = svg_curves(tuning.curve["score"], curves, title=tuning.sentence, x_name="score", marks=marks)
    content = {"original": original.to_dict(), "created": created} | tuning.to_dict()
    write_tuning(folder, content, svg.encode())


def _raw(model: TunableModel) -> TunableModel:
    return model.with_decoder(raw(model.decoder)) if model.is_raw else model


def _average_precision(
    plugins: Registry,
) -> Callable[[Sequence[PredictedImage], DecoderSettings, LabelMap, bool], tuple[float, tuple[float, float]]]:
    make = plugins.resolve("metric", _METRIC)
    with_interval, value_alone = make(), make(**without_draws(_METRIC, plugins))

    def average(
        images: Sequence[PredictedImage], decoder: DecoderSettings, label_map: LabelMap, interval: bool
    ) -> tuple[float, tuple[float, float]]:
        names = label_map.names

        def pairs() -> Iterator[tuple[Sample, Detections]]:
            for image in images:
                boxes, scores, classes = image.chosen(decoder)
                labels = [names[number] for number in classes]
                ref: ImageRef = image.sample.image
                yield image.sample, Detections.from_arrays(ref, labels, boxes, scores)

        result = (with_interval if interval else value_alone)(pairs(), label_map)
        return result.values[result.main], result.intervals.get(result.main, (math.nan, math.nan))

    return average
