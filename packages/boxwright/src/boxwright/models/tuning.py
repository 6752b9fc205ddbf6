"""Tuning: how detections are best chosen among a model's predictions, without training it again.

The predictions before suppression are computed once. Then every kind of suppression with every IoU threshold is applied
to them, and for each the score is found that serves a goal best. A setting other than the present one is chosen only if
its gain is larger than its standard error, and settings by class only if they are better on images that they were not
chosen on (cross-validation).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from boxwright.datasets.dataset import Data, Dataset, empty_dataset_error, open_dataset
from boxwright.errors import BoxwrightError, DataError, UsageError
from boxwright.label_map import LabelMap
from boxwright.matching import IN_REGION, NOTHING, find_hits
from boxwright.models.decoder import DecoderSettings, Found, choose_detections, raw
from boxwright.models.inference import load_model, predicted_pairs
from boxwright.models.manifest import RECORD
from boxwright.models.overlap import check_overlap
from boxwright.models.protocols import TunableModel
from boxwright.models.resampling import draw_images, interval_of
from boxwright.models.run import STATE, Run
from boxwright.models.scene import Scene
from boxwright.models.tuned import CURVE, DECODER, TUNED, read_original, remove_tuning, tunable, write_tuning
from boxwright.plugins.options import MAX_BAD, Option, convert_options
from boxwright.plugins.registry import Registry, default_registry
from boxwright.progress import LogReporter, Reporter
from boxwright.schemas import Detections, ImageRef, Sample

GOALS = ("f1", "precision", "recall", "count", "map")
_SUPPRESSIONS = ("class", "all", "soft", "fusion")
_IOUS = (0.3, 0.4, 0.5, 0.6, 0.7)
_SIGMAS = (0.3, 0.5, 0.7)
_FOLDS = 5
_METRIC = "coco"
_FEW = 10
"""The number of objects below which a class keeps the common settings."""

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Goal:
    """What a score is chosen for.

    Attributes:
        name: ``f1``, the best mean of precision and recall; ``precision`` and ``recall``, at least ``least`` of it and
            as much as possible of the other; ``count``, the number of objects in an image; ``map``, the mean average
            precision, which no score changes.
        least: The precision or the recall that is required, 0 to 1.
    """

    name: str = "f1"
    least: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Goal:
        """Returns the goal of a text such as ``precision=0.95``.

        Raises:
            UsageError: It is not a goal.
        """
        name, equals, value = text.partition("=")
        try:
            least = float(value) if equals else 0.0
        except ValueError:
            least = math.nan
        if name not in GOALS or (name in ("precision", "recall")) != bool(equals) or not 0 <= least <= 1:
            raise UsageError(f"{text!r} is not a goal", "give f1, precision=0.95, recall=0.9, count or map")
        return cls(name, least)

    def __str__(self) -> str:
        return f"{self.name}={self.least:g}" if self.name in ("precision", "recall") else self.name

    @property
    def measured(self) -> str:
        """The name of the number that is as large as possible."""
        return {"precision": "recall", "recall": "precision", "f1": "F1", "count": "count error", "map": "AP"}[
            self.name
        ]


@dataclass
class Tuning:
    """The result of :func:`tune`.

    Attributes:
        decoder: The settings that were chosen.
        before: The settings before.
        goal: What they were chosen for, such as ``precision=0.95``.
        data: The dataset's URI.
        images: The number of images.
        objects: The number of objects in them.
        found: How many of them are found with at least the chosen score, at an IoU of at least 0.5.
        false_alarms: The number of other detections with at least the chosen score.
        was: The same two numbers with the settings before.
        measure: The name of the number that the settings were chosen by.
        value: That number on all images.
        held_out: The same on images that the settings were not chosen on; ``nan`` if there are too few images.
        interval: Its 95 % interval, by resampling the images.
        tried: The best number with each kind of suppression.
        curve: The precision, recall and F1 at each score.
        label_map: The classes.
        notes: What a reader of the numbers should know.
        files: The files that were written.
    """

    decoder: DecoderSettings
    before: DecoderSettings
    goal: str
    data: str
    images: int
    objects: int
    found: int
    false_alarms: int
    was: tuple[int, int]
    measure: str
    value: float
    held_out: float
    interval: tuple[float, float]
    tried: dict[str, float]
    curve: dict[str, list[float]]
    label_map: LabelMap
    notes: list[str] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)

    @property
    def sentence(self) -> str:
        """The result in one sentence."""
        return (
            f"{self._score()}: of {self.objects:,} objects {self.found:,} found,"
            f" {self.false_alarms:,} false alarm{'' if self.false_alarms == 1 else 's'}"
        )

    def _score(self) -> str:
        score = self.decoder.score
        if not isinstance(score, tuple):
            return f"score {score:g}"
        return "score " + ", ".join(f"{name} {each:g}" for name, each in zip(self.label_map.names, score, strict=True))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; what could not be measured is ``None``."""
        held_out = None if math.isnan(self.held_out) else round(self.held_out, 4)
        return {
            "sentence": self.sentence,
            "decoder": self.decoder.to_dict(),
            "before": self.before.to_dict(),
            "for": self.goal,
            "data": self.data,
            "images": self.images,
            "objects": self.objects,
            "found": self.found,
            "false_alarms": self.false_alarms,
            "was": {"found": self.was[0], "false_alarms": self.was[1]},
            "measure": self.measure,
            "value": round(self.value, 4),
            "held_out": held_out,
            "interval": None if held_out is None else [round(each, 4) for each in self.interval],
            "tried": {name: round(value, 4) for name, value in self.tried.items()},
            "curve": self.curve,
            "notes": self.notes,
            "files": [str(path) for path in self.files],
        }


def tune(
    model: str | Path | Run,
    data: Data,
    *,
    goal: str = "f1",
    suppression: Sequence[str] = _SUPPRESSIONS,
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
        RunError: There is no run, or it has no model.
        PluginError: The metric for ``map`` is not installed.
    """
    plugins, reporter = registry or default_registry(), reporter or LogReporter()
    wanted = Goal.parse(goal)
    if unknown := sorted(set(suppression) - set(_SUPPRESSIONS)):
        raise UsageError(f"{unknown[0]!r} is not a kind of suppression", f"give some of: {', '.join(_SUPPRESSIONS)}")
    average = _average_precision(plugins) if wanted.name == "map" else None
    folder = tuned_folder(model)
    dataset = open_dataset(data, on_error=on_error, registry=plugins)
    if (trained := _training_data(folder, plugins)) is not None:
        check_overlap(trained, dataset, allowed=allow_overlap, reporter=reporter)
    loaded = tunable(load_model(model, registry=plugins))
    before = loaded.decoder
    with reporter.task("Predicting", dataset.info.num_samples) as task:
        images = []
        for pair in predicted_pairs(_raw(loaded), dataset, batch_size=batch_size):
            images.append(_Image.of(*pair, loaded.label_map))
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
    candidates = _candidates(before, () if baked else suppression, loaded.is_raw, int(objects.sum(axis=1).max()))
    search = _Search(images, objects, wanted, candidates, reporter)
    if average is not None:
        tuning = search.by_average_precision(before, lambda decoder: average(images, decoder, loaded.label_map))
    else:
        tuning = search.by_score(before, by_class=by_class, by_iou="class" in suppression and loaded.is_raw)
    tuning.data, tuning.label_map = dataset.uri, loaded.label_map
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


def _training_data(folder: Path, plugins: Registry) -> Dataset | None:
    """Returns what the model of a run or of an export was trained on; ``None`` if it is not there any more."""
    if (folder / STATE).is_file():
        uri = Run(folder).config.get("data")
    else:
        uri = json.loads((folder / RECORD).read_text("utf-8"))["data"]["uri"]
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


def _candidates(before: DecoderSettings, kinds: Sequence[str], is_raw: bool, most: int) -> dict[str, DecoderSettings]:
    """Returns the settings to try by name, in the order of preference: the present ones, then the simplest."""
    base = replace(
        before,
        soft_nms_sigma=0.0,
        max_detections=max(before.max_detections, most),
        pre_nms=max(before.pre_nms, most),
    )
    tried = {"as before": replace(before, max_detections=base.max_detections, pre_nms=base.pre_nms)}
    if not is_raw:  # what the model suppressed is gone; by class, there is nothing left to do
        tried["as before"] = replace(base, iou_threshold=1.0, suppression="class")
        kinds = [kind for kind in kinds if kind != "class"]
    for kind in _SUPPRESSIONS:
        if kind in kinds and kind == "soft":
            for sigma in _SIGMAS:
                tried[f"Soft-NMS, sigma {sigma:g}"] = replace(base, suppression="class", soft_nms_sigma=sigma)
        elif kind in kinds:
            name = {"class": "by class", "all": "over all classes", "fusion": "box fusion"}[kind]
            for least in _IOUS:
                tried[f"{name}, IoU {least:g}"] = replace(base, suppression=kind, iou_threshold=least)
    return tried


class _Image(NamedTuple):
    """The predictions in one image and what is in it, and the sample without its bytes."""

    scene: Scene
    sample: Sample

    @classmethod
    def of(cls, sample: Sample, found: Detections, label_map: LabelMap) -> _Image:
        ref = sample.image.model_copy(update={"data": None})
        return cls(Scene.of(sample, found, label_map), sample.replace(image=ref))

    def chosen(self, decoder: DecoderSettings) -> Found:
        """Returns the detections that a decoder chooses."""
        return choose_detections(self.scene.boxes, self.scene.scores, self.scene.classes, decoder)


class _Table(NamedTuple):
    """The detections in all images, best first, without those in regions."""

    scores: Numbers
    hits: NDArray[np.bool_]
    classes: NDArray[np.int64]
    images: NDArray[np.int64]

    @classmethod
    def of(cls, images: Sequence[_Image], decoder: DecoderSettings) -> _Table:
        rows = []
        for number, image in enumerate(images):
            boxes, scores, classes = image.chosen(decoder)
            scene = image.scene
            hits = find_hits(boxes, classes, scene.truth, scene.truth_classes, scene.regions)
            kept = hits != IN_REGION
            rows.append((scores[kept], hits[kept] != NOTHING, classes[kept], np.full(int(kept.sum()), number)))
        columns = [np.concatenate(column) for column in zip(*rows, strict=True)]
        order = np.argsort(-columns[0], kind="stable")
        return cls(columns[0].astype(np.float64)[order], *(column[order] for column in columns[1:]))

    def select(self, rows: NDArray[np.bool_]) -> _Table:
        """The rows of a mask."""
        return _Table(self.scores[rows], self.hits[rows], self.classes[rows], self.images[rows])


class _Counts(NamedTuple):
    """Numbers of each image, ``(images,)``."""

    found: Numbers
    wrong: Numbers
    objects: Numbers
    error: Numbers

    @classmethod
    def of(cls, table: _Table, least: Numbers, objects: NDArray[np.int64]) -> _Counts:
        """Counts the detections with at least the score of their class."""
        rows = table.select(table.scores >= least[table.classes])
        images, classes = objects.shape
        found = np.bincount(rows.images[rows.hits], minlength=images)
        wrong = np.bincount(rows.images[~rows.hits], minlength=images)
        detected = np.bincount(rows.images * classes + rows.classes, minlength=images * classes)
        error = np.abs(detected.reshape(images, classes) - objects).sum(axis=1)
        return cls(*(each.astype(np.float64) for each in (found, wrong, objects.sum(axis=1), error)))

    def value(self, goal: Goal, weights: Numbers | None = None) -> Any:
        """Returns the number that the goal maximizes, of all images or with the weights ``(draws, images)``."""
        rows = np.ones((1, len(self.found))) if weights is None else weights
        found, wrong, objects = rows @ self.found, rows @ self.wrong, rows @ self.objects
        with np.errstate(invalid="ignore", divide="ignore"):
            if goal.name == "count":
                values = -(rows @ self.error) / rows.sum(axis=1)
            elif goal.name == "precision":
                values = found / objects
            elif goal.name == "recall":
                values = found / (found + wrong)
            else:
                values = 2 * found / (found + wrong + objects)
        values = np.nan_to_num(values)  # nothing was found, and there is nothing to find
        return float(values[0]) if weights is None else values


class _Choice(NamedTuple):
    """Settings by class: the name of a candidate and a score."""

    names: tuple[str, ...]
    scores: Numbers


class _Search:
    """Compares candidates on the predictions in some images."""

    def __init__(
        self,
        images: Sequence[_Image],
        objects: NDArray[np.int64],
        goal: Goal,
        candidates: Mapping[str, DecoderSettings],
        reporter: Reporter,
    ) -> None:
        self.images, self.objects, self.goal, self.candidates = images, objects, goal, candidates
        self.tables: dict[str, _Table] = {}
        with reporter.task("Comparing the settings", len(candidates)) as task:
            for name, decoder in candidates.items():
                self.tables[name] = _Table.of(images, decoder)
                task.advance()
        self.drawn = draw_images(len(images))
        self.everywhere = np.ones(len(images), bool)

    def by_score(self, before: DecoderSettings, *, by_class: bool, by_iou: bool) -> Tuning:
        """Chooses the suppression and the score."""
        common = self._common(self.everywhere)
        held_out, notes = self._held_out(self._common), []
        choice, counts = common, self._counts(common)
        if by_class and self.objects.shape[1] > 1:

            def several(images: NDArray[np.bool_]) -> _Choice:
                return self._several(images, self._common(images), by_iou=by_iou)

            alternative = self._held_out(several)
            if held_out is not None and alternative is not None and self._gain(alternative, held_out) > 0:
                choice, held_out = several(self.everywhere), alternative
                counts = self._counts(choice)
        decoder = self._settings(choice)
        unmet = self._unmet(counts)
        if unmet:
            notes.append(unmet)
        value, interval = math.nan, (math.nan, math.nan)
        if held_out is None:
            notes.append(f"{len(self.images)} images are too few to tell how well the settings fit other images")
        else:
            value = held_out.value(self.goal)
            interval = interval_of(held_out.value(self.goal, self.drawn), value)
            if self.goal.name == "count":
                value, interval = -value, (-interval[1], -interval[0])
        tried = {name: self._counts(self._choice(name, self.everywhere)).value(self.goal) for name in self.candidates}
        return self._tuning(before, decoder, choice, counts, notes, tried, value, interval)

    def by_average_precision(
        self, before: DecoderSettings, measure: Callable[[DecoderSettings], tuple[float, tuple[float, float]]]
    ) -> Tuning:
        """Chooses the suppression by the average precision, and keeps the score."""
        measured = {name: measure(decoder) for name, decoder in self.candidates.items()}
        tried = {name: value for name, (value, _) in measured.items()}
        best = max(tried, key=lambda name: tried[name] + (0.001 if name == "as before" else 0.0))
        classes = self.objects.shape[1]
        choice = _Choice((best,) * classes, np.broadcast_to(before.score, classes).astype(np.float64))
        decoder = replace(self.candidates[best], score=before.score)
        notes = ["the settings were chosen on the same images that the interval is of"]
        counts = self._counts(choice)
        return self._tuning(before, decoder, choice, counts, notes, tried, tried[best], measured[best][1])

    def _tuning(
        self,
        before: DecoderSettings,
        decoder: DecoderSettings,
        choice: _Choice,
        counts: _Counts,
        notes: list[str],
        tried: dict[str, float],
        held_out: float,
        interval: tuple[float, float],
    ) -> Tuning:
        sign = -1.0 if self.goal.name == "count" else 1.0
        classes = self.objects.shape[1]
        old = _Choice(("as before",) * classes, np.broadcast_to(before.score, classes).astype(np.float64))
        was = self._counts(old)
        kinds: dict[str, float] = {}
        for name, value in tried.items():
            kind = name.partition(",")[0]
            kinds[kind] = max(kinds.get(kind, -math.inf), value)
        value = tried[choice.names[0]] if self.goal.name == "map" else counts.value(self.goal)
        return Tuning(
            decoder,
            before,
            str(self.goal),
            "",
            len(self.images),
            int(self.objects.sum()),
            int(counts.found.sum()),
            int(counts.wrong.sum()),
            (int(was.found.sum()), int(was.wrong.sum())),
            self.goal.measured,
            sign * value,
            held_out,
            interval,
            {kind: sign * each for kind, each in kinds.items()},
            self._curve(choice),
            LabelMap(),
            notes,
        )

    def _choice(self, name: str, images: NDArray[np.bool_], number: int | None = None) -> _Choice:
        """Returns the best score with one candidate on some images, for all classes or for one."""
        table = self.tables[name]
        rows = images[table.images]
        objects = self.objects * images[:, None]
        if number is not None:
            rows &= table.classes == number
            objects = objects * (np.arange(objects.shape[1]) == number)
        score = _best_score(table.select(rows), objects, self.goal, self.candidates[name].score_threshold)
        classes = self.objects.shape[1]
        return _Choice((name,) * classes, np.full(classes, score))

    def _common(self, images: NDArray[np.bool_]) -> _Choice:
        """Chooses one candidate and one score: the first whose gain over it is not larger than its standard error."""
        choices = {name: self._choice(name, images) for name in self.candidates}
        counts = {name: self._counts(choice, images) for name, choice in choices.items()}
        return choices[self._preferred(counts)]

    def _several(self, images: NDArray[np.bool_], common: _Choice, *, by_iou: bool) -> _Choice:
        """Chooses a score, and perhaps an IoU threshold, for each class with enough objects."""
        names, scores = list(common.names), common.scores.copy()
        shared = self.candidates[common.names[0]]
        by_iou = by_iou and shared.suppression == "class" and not shared.soft_nms_sigma
        for number in np.flatnonzero((self.objects * images[:, None]).sum(axis=0) >= _FEW):
            of_class = [name for name in self.candidates if name.startswith("by class")] if by_iou else []
            options = {
                name: self._choice(name, images, int(number)) for name in dict.fromkeys([common.names[0], *of_class])
            }
            chosen = self._preferred(
                {name: self._counts(choice, images, int(number)) for name, choice in options.items()}
            )
            names[number], scores[number] = chosen, options[chosen].scores[0]
        return _Choice(tuple(names), scores)

    def _preferred(self, counts: Mapping[str, _Counts]) -> str:
        """Returns the first candidate to which the best one is not better by more than its standard error."""
        met = [name for name in counts if not self._unmet(counts[name])]
        if not met:
            return max(counts, key=lambda name: self._reached(counts[name]))
        best = max(met, key=lambda name: counts[name].value(self.goal))
        return next(name for name in met if name == best or self._gain(counts[best], counts[name]) <= 0)

    def _counts(self, choice: _Choice, images: NDArray[np.bool_] | None = None, number: int | None = None) -> _Counts:
        """Counts what a choice finds, by image; 0 in images, and of classes, that are left out."""
        columns = range(self.objects.shape[1]) if number is None else [number]
        objects = self.objects * np.isin(np.arange(self.objects.shape[1]), list(columns))
        if images is not None:
            objects = objects * images[:, None]
        parts = []
        for name in dict.fromkeys(choice.names[column] for column in columns):
            table = self.tables[name]
            wanted = np.array([column for column in columns if choice.names[column] == name])
            rows = np.isin(table.classes, wanted)
            if images is not None:
                rows &= images[table.images]
            parts.append(table.select(rows))
        merged = _Table(*(np.concatenate(column) for column in zip(*parts, strict=True)))
        return _Counts.of(merged, choice.scores, objects)

    def _held_out(self, choose: Callable[[NDArray[np.bool_]], _Choice]) -> _Counts | None:
        """Counts by cross-validation: in each image, with settings that were chosen on others."""
        folds = min(_FOLDS, len(self.images))
        if folds < 2 or self.goal.name == "map":
            return None
        of_image = np.random.default_rng(0).permutation(np.arange(len(self.images)) % folds)
        total = [np.zeros(len(self.images)) for _ in _Counts._fields]
        for fold in range(folds):
            held_out = of_image == fold
            counts = self._counts(choose(~held_out), held_out)
            for sums, column in zip(total, counts, strict=True):
                sums += column
        return _Counts(*total)

    def _gain(self, better: _Counts, other: _Counts) -> float:
        """Returns by how much more than its standard error a number is larger than another, of the same images."""
        difference = better.value(self.goal) - other.value(self.goal)
        weights = self.drawn[:200]
        return float(difference - np.nanstd(better.value(self.goal, weights) - other.value(self.goal, weights)))

    def _unmet(self, counts: _Counts) -> str:
        """Returns a note if the precision or the recall that the goal requires is not reached."""
        reached = self._reached(counts)
        if reached >= self.goal.least - 1e-12:
            return ""
        return f"a {self.goal.name} of {self.goal.least:g} is not reached: the best is {reached:.3f}"

    def _reached(self, counts: _Counts) -> float:
        found, wrong, objects = counts.found.sum(), counts.wrong.sum(), counts.objects.sum()
        reached = {"precision": found / max(found + wrong, 1), "recall": found / max(objects, 1)}
        return float(reached.get(self.goal.name, 1.0))

    def _settings(self, choice: _Choice) -> DecoderSettings:
        shared = self.candidates[choice.names[0]]
        scores = [float(each) for each in choice.scores]
        if len(set(choice.names)) > 1:
            shared = replace(shared, iou_threshold=tuple(map(self._iou, choice.names, range(len(scores)))))
        return replace(shared, score=scores[0] if len(set(scores)) == 1 else tuple(scores))

    def _iou(self, name: str, number: int) -> float:
        threshold = self.candidates[name].iou_threshold
        return threshold[number] if isinstance(threshold, tuple) else threshold

    def _curve(self, choice: _Choice) -> dict[str, list[float]]:
        steps = np.linspace(0.01, 0.99, 99)
        counts = [self._counts(choice._replace(scores=np.full_like(choice.scores, step))) for step in steps]
        found, wrong = (np.array([getattr(each, name).sum() for each in counts]) for name in ("found", "wrong"))
        objects = self.objects.sum()
        precision = np.divide(found, found + wrong, out=np.ones_like(found), where=found + wrong > 0)
        values = {
            "score": steps,
            "precision": precision,
            "recall": found / objects,
            "F1": 2 * found / (found + wrong + objects),
        }
        return {name: [round(float(each), 4) for each in column] for name, column in values.items()}


def _best_score(table: _Table, objects: NDArray[np.int64], goal: Goal, least: float) -> float:
    """Returns the score from which detections serve a goal best.

    Args:
        table: The detections, best first.
        objects: ``(images, classes)``.
        goal: The goal.
        least: The lowest possible score.
    """
    scores = table.scores
    if not len(scores):
        return max(least, 0.3)
    last = np.append(scores[1:] < scores[:-1], True)  # detections with the same score are kept or dropped together
    found, wrong = np.cumsum(table.hits), np.cumsum(~table.hits)
    total = objects.sum()
    precision, recall = found / (found + wrong), found / max(total, 1)
    if goal.name == "count":
        value = -np.cumsum(np.where(_rank(table, objects.shape[1]) <= objects[table.images, table.classes], -1, 1))
        if value[last].max() <= 0:  # none at all counts best
            return 1.0
    elif goal.name == "precision":
        value = np.where(precision >= goal.least, recall, precision - 2)
    elif goal.name == "recall":
        value = np.where(recall >= goal.least, precision, recall - 2)
    else:
        value = 2 * found / (found + wrong + total)
    places = np.flatnonzero(last)
    place = int(places[np.argmax(value[places])])
    below = float(scores[place + 1]) if place + 1 < len(scores) else min(least, float(scores[place]))
    above = float(scores[place])
    for digits in (2, 3, 4, 5):
        middle = round((above + below) / 2, digits)
        if below < middle <= above:
            return middle
    return above


def _rank(table: _Table, classes: int) -> NDArray[np.int64]:
    """Returns the place of each detection among those of its class in its image, best first, from 1."""
    groups = table.images * classes + table.classes
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    rank = np.empty(len(groups), np.int64)
    rank[order] = np.arange(len(groups)) - np.repeat(starts, np.diff(np.append(starts, len(groups)))) + 1
    return rank


def _average_precision(
    plugins: Registry,
) -> Callable[[Sequence[_Image], DecoderSettings, LabelMap], tuple[float, tuple[float, float]]]:
    options = plugins.get("metric", _METRIC).spec.options
    measure = plugins.resolve("metric", _METRIC)(**convert_options({}, options, _METRIC))

    def average(
        images: Sequence[_Image], decoder: DecoderSettings, label_map: LabelMap
    ) -> tuple[float, tuple[float, float]]:
        names = label_map.names

        def pairs() -> Iterator[tuple[Sample, Detections]]:
            for image in images:
                boxes, scores, classes = image.chosen(decoder)
                labels = [names[number] for number in classes]
                ref: ImageRef = image.sample.image
                yield image.sample, Detections.from_arrays(ref, labels, boxes, scores)

        result = measure(pairs(), label_map)
        return result.values[result.main], result.intervals.get(result.main, (math.nan, math.nan))

    return average
