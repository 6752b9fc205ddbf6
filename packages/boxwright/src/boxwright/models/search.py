"""The search for the settings of a decoder, and its result.

A setting other than the present one is chosen only if its gain is larger than its standard error, and settings by class
only if they are better on images that they were not chosen on (cross-validation).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boxwright.label_map import LabelMap
from boxwright.models.choices import Choice, Counts, Goal, PredictedImage, Table, best_score
from boxwright.models.decoder import DecoderSettings
from boxwright.models.resampling import draw_images, interval_of
from boxwright.progress import Reporter

KINDS = ("class", "all", "soft", "fusion")
_IOUS = (0.3, 0.4, 0.5, 0.6, 0.7)
_SIGMAS = (0.3, 0.5, 0.7)
_FOLDS = 5
_FEW = 10
"""The number of objects below which a class keeps the common settings."""


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


def candidates_for(
    before: DecoderSettings, kinds: Sequence[str], is_raw: bool, most: int
) -> dict[str, DecoderSettings]:
    """Returns the settings to try by name, in the order of preference: the present ones, then the simplest.

    Args:
        before: The present settings.
        kinds: The kinds of suppression to try.
        is_raw: Whether the predictions are those before suppression.
        most: The largest number of objects in an image; fewer detections are never tried.
    """
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
    for kind in KINDS:
        if kind in kinds and kind == "soft":
            for sigma in _SIGMAS:
                tried[f"Soft-NMS, sigma {sigma:g}"] = replace(base, suppression="class", soft_nms_sigma=sigma)
        elif kind in kinds:
            name = {"class": "by class", "all": "over all classes", "fusion": "box fusion"}[kind]
            for least in _IOUS:
                tried[f"{name}, IoU {least:g}"] = replace(base, suppression=kind, iou_threshold=least)
    for number in sorted({most, 2 * most, 4 * most}, reverse=True):
        if 0 < number < base.max_detections:
            name = f"at most {number} detection{'' if number == 1 else 's'}"
            tried[name] = replace(tried["as before"], max_detections=number)
    return tried


class Search:
    """Compares candidates on the predictions in some images."""

    def __init__(
        self,
        images: Sequence[PredictedImage],
        objects: NDArray[np.int64],
        goal: Goal,
        candidates: Mapping[str, DecoderSettings],
        reporter: Reporter,
    ) -> None:
        self.images, self.objects, self.goal, self.candidates = images, objects, goal, candidates
        self.reporter = reporter
        self.tables: dict[str, Table] = {}
        self.commons: dict[bytes, Choice] = {}
        self.drawn = draw_images(len(images))
        self.everywhere = np.ones(len(images), bool)

    def by_score(self, before: DecoderSettings, *, by_class: bool, by_iou: bool) -> Tuning:
        """Chooses the suppression and the score."""
        with self.reporter.task("Comparing the settings", len(self.candidates)) as task:
            for name in self.candidates:
                self._table(name)
                task.advance()
        common = self._common(self.everywhere)
        held_out, notes = self._held_out(self._common), []
        choice, counts = common, self._counts(common)
        if by_class and self.objects.shape[1] > 1:

            def several(images: NDArray[np.bool_]) -> Choice:
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
        self, before: DecoderSettings, measure: Callable[[DecoderSettings, bool], tuple[float, tuple[float, float]]]
    ) -> Tuning:
        """Chooses the suppression by the average precision, and keeps the score.

        Args:
            before: The present settings.
            measure: Returns the average precision with some settings and, if asked, its interval.
        """
        tried = {}
        with self.reporter.task("Comparing the settings", len(self.candidates)) as task:
            for name, candidate in self.candidates.items():
                tried[name], _ = measure(candidate, False)
                task.advance()
        best = max(tried, key=lambda name: tried[name] + (0.001 if name == "as before" else 0.0))
        classes = self.objects.shape[1]
        choice = Choice((best,) * classes, np.broadcast_to(before.score, classes).astype(np.float64))
        decoder = replace(self.candidates[best], score=before.score)
        notes = ["the settings were chosen on the same images that the interval is of"]
        counts = self._counts(choice)
        return self._tuning(
            before, decoder, choice, counts, notes, tried, tried[best], measure(self.candidates[best], True)[1]
        )

    def _tuning(
        self,
        before: DecoderSettings,
        decoder: DecoderSettings,
        choice: Choice,
        counts: Counts,
        notes: list[str],
        tried: dict[str, float],
        held_out: float,
        interval: tuple[float, float],
    ) -> Tuning:
        sign = -1.0 if self.goal.name == "count" else 1.0
        classes = self.objects.shape[1]
        old = Choice(("as before",) * classes, np.broadcast_to(before.score, classes).astype(np.float64))
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

    def _choice(self, name: str, images: NDArray[np.bool_], number: int | None = None) -> Choice:
        """Returns the best score with one candidate on some images, for all classes or for one."""
        table = self._table(name)
        rows = images[table.images]
        objects = self.objects * images[:, None]
        if number is not None:
            rows &= table.classes == number
            objects = objects * (np.arange(objects.shape[1]) == number)
        score = best_score(table.select(rows), objects, self.goal, self.candidates[name].score_threshold)
        classes = self.objects.shape[1]
        return Choice((name,) * classes, np.full(classes, score))

    def _common(self, images: NDArray[np.bool_]) -> Choice:
        """Chooses one candidate and one score: the first whose gain over it is not larger than its standard error."""
        key = images.tobytes()
        if key not in self.commons:
            choices = {name: self._choice(name, images) for name in self.candidates}
            counts = {name: self._counts(choice, images) for name, choice in choices.items()}
            self.commons[key] = choices[self._preferred(counts)]
        return self.commons[key]

    def _table(self, name: str) -> Table:
        if name not in self.tables:
            self.tables[name] = Table.of(self.images, self.candidates[name])
        return self.tables[name]

    def _several(self, images: NDArray[np.bool_], common: Choice, *, by_iou: bool) -> Choice:
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
        return Choice(tuple(names), scores)

    def _preferred(self, counts: Mapping[str, Counts]) -> str:
        """Returns the first candidate to which the best one is not better by more than its standard error."""
        met = [name for name in counts if not self._unmet(counts[name])]
        if not met:
            return max(counts, key=lambda name: self._reached(counts[name]))
        best = max(met, key=lambda name: counts[name].value(self.goal))
        return next(name for name in met if name == best or self._gain(counts[best], counts[name]) <= 0)

    def _counts(self, choice: Choice, images: NDArray[np.bool_] | None = None, number: int | None = None) -> Counts:
        """Counts what a choice finds, by image; 0 in images, and of classes, that are left out."""
        columns = range(self.objects.shape[1]) if number is None else [number]
        objects = self.objects * np.isin(np.arange(self.objects.shape[1]), list(columns))
        if images is not None:
            objects = objects * images[:, None]
        parts = []
        for name in dict.fromkeys(choice.names[column] for column in columns):
            table = self._table(name)
            wanted = np.array([column for column in columns if choice.names[column] == name])
            rows = np.isin(table.classes, wanted)
            if images is not None:
                rows &= images[table.images]
            parts.append(table.select(rows))
        merged = Table(*(np.concatenate(column) for column in zip(*parts, strict=True)))
        return Counts.of(merged, choice.scores, objects)

    def _held_out(self, choose: Callable[[NDArray[np.bool_]], Choice]) -> Counts | None:
        """Counts by cross-validation: in each image, with settings that were chosen on others."""
        folds = min(_FOLDS, len(self.images))
        if folds < 2 or self.goal.name == "map":
            return None
        of_image = np.random.default_rng(0).permutation(np.arange(len(self.images)) % folds)
        total = [np.zeros(len(self.images)) for _ in Counts._fields]
        for fold in range(folds):
            held_out = of_image == fold
            counts = self._counts(choose(~held_out), held_out)
            for sums, column in zip(total, counts, strict=True):
                sums += column
        return Counts(*total)

    def _gain(self, better: Counts, other: Counts) -> float:
        """Returns by how much more than its standard error a number is larger than another, of the same images."""
        difference = better.value(self.goal) - other.value(self.goal)
        weights = self.drawn[:200]
        return float(difference - np.nanstd(better.value(self.goal, weights) - other.value(self.goal, weights)))

    def _unmet(self, counts: Counts) -> str:
        """Returns a note if the precision or the recall that the goal requires is not reached."""
        reached = self._reached(counts)
        if reached >= self.goal.least - 1e-12:
            return ""
        return f"a {self.goal.name} of {self.goal.least:g} is not reached: the best is {reached:.3f}"

    def _reached(self, counts: Counts) -> float:
        found, wrong, objects = counts.found.sum(), counts.wrong.sum(), counts.objects.sum()
        reached = {"precision": found / max(found + wrong, 1), "recall": found / max(objects, 1)}
        return float(reached.get(self.goal.name, 1.0))

    def _settings(self, choice: Choice) -> DecoderSettings:
        shared = self.candidates[choice.names[0]]
        scores = [float(each) for each in choice.scores]
        if len(set(choice.names)) > 1:
            shared = replace(shared, iou_threshold=tuple(map(self._iou, choice.names, range(len(scores)))))
        return replace(shared, score=scores[0] if len(set(scores)) == 1 else tuple(scores))

    def _iou(self, name: str, number: int) -> float:
        threshold = self.candidates[name].iou_threshold
        return threshold[number] if isinstance(threshold, tuple) else threshold

    def _curve(self, choice: Choice) -> dict[str, list[float]]:
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
