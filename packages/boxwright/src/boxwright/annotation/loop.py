"""Annotating and training in turns: each model proposes the boxes of the next round."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from boxwright.annotation.annotating import annotate
from boxwright.annotation.edits import is_verified
from boxwright.datasets.dataset import Dataset, open_dataset
from boxwright.errors import DataError, UsageError
from boxwright.models.evaluation import evaluate
from boxwright.models.run import Run
from boxwright.models.training import train
from boxwright.plugins.registry import Registry, default_registry
from boxwright.progress import LogReporter, Reporter
from boxwright.schemas import Sample
from boxwright.storage.output import write_atomically

ROUNDS = "rounds.json"
"""The file with the figures of all rounds."""
_METRICS = ("AP50", "AP")


@dataclass(frozen=True)
class Round:
    """A round.

    Attributes:
        number: Its number, from 1.
        run: The folder of its run.
        images: The number of images that were trained on: those with boxes, and those marked as checked.
        added: How many of them are new in this round.
        unseen: AP50 and AP of the model before, on the images that this round added; empty in the first round.
        values: AP50 and AP of the model of this round on the validation data; empty without.
    """

    number: int
    run: str
    images: int
    added: int
    unseen: dict[str, float] = field(default_factory=dict)
    values: dict[str, float] = field(default_factory=dict)


class OnlyAnnotated:
    """A step that leaves out images which nobody has annotated: without boxes, and not marked as checked.

    Args:
        names: Only images with one of these names; ``None`` for all.
    """

    per_sample = True
    keeps_labels = True

    def __init__(self, names: frozenset[str] | None = None) -> None:
        self._names = names

    def __call__(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Yields the others."""
        for sample in samples:
            annotated = bool(sample.boxes) or is_verified(sample)
            if annotated and (self._names is None or sample.image.name in self._names):
                yield sample


def annotation_loop(
    uri: str,
    out: str | Path,
    *,
    rounds: int,
    val: str | None = None,
    classes: Sequence[str] = (),
    backend: str | None = None,
    preset: str | None = None,
    settings: Mapping[str, object] | None = None,
    annotator: str = "page",
    options: Mapping[str, Any] | None = None,
    ended: Callable[[Round, Round | None], None] = lambda this, last: None,
    reporter: Reporter | None = None,
    registry: Registry | None = None,
) -> list[Round]:
    """Annotates and trains in turns, and continues after the rounds that are in the folder already.

    Each training starts from the weights of the one before, if the backend has the option ``weights``. The model of a
    round is measured on the validation data, and on the images that the next round adds, before it is trained on them.

    Args:
        uri: The dataset, or a folder of images without annotations.
        out: The folder of the runs: ``round-1``, ``round-2``, and the figures in ``rounds.json``.
        rounds: The number of rounds, including those that are done.
        val: Validation data, which is never trained on.
        classes: More classes than those of the dataset.
        backend: As for :func:`boxwright.train`.
        preset: The same.
        settings: The same.
        annotator: The plugin to annotate with.
        options: Its options.
        ended: Called after each round, with the round before.
        reporter: Where progress and messages go.
        registry: The plugins to use, instead of the installed ones.

    Raises:
        UsageError: An option is wrong.
        DataError: The dataset cannot be read, nothing was annotated, or edits were not saved.
        RunError: The folder of a run exists and is not one of this loop.
    """
    plugins, reporter, folder = registry or default_registry(), reporter or LogReporter(), Path(out)
    if rounds < 1:
        raise UsageError(f"the number of rounds is {rounds}", "set a whole number of at least 1")
    done = read_rounds(folder)
    for number in range(len(done) + 1, rounds + 1):
        last = done[-1] if done else None
        reporter.message(f"Round {number} of {rounds}: annotate, then press Train in the page, or Ctrl-C here.")
        unsaved = annotate(
            uri,
            classes=classes,
            model=None if last is None else last.run,
            annotator=annotator,
            options=options,
            next_step="Train",
            reporter=reporter,
            registry=plugins,
        )
        if unsaved:
            raise DataError(
                uri, f"images with edits that are not saved: {unsaved}", "run the same command again, and save them"
            )
        training = {"val": val, "backend": backend, "preset": preset, "settings": dict(settings or {})}
        this = _train(uri, folder, number, last, training, reporter, plugins)
        done.append(this)
        write_atomically(folder / ROUNDS, (json.dumps([asdict(each) for each in done], indent=2) + "\n").encode())
        ended(this, last)
    return done


def read_rounds(folder: Path) -> list[Round]:
    """Returns the rounds that are done.

    Raises:
        DataError: Their file is damaged.
    """
    path = folder / ROUNDS
    try:
        return [Round(**each) for each in json.loads(path.read_text("utf-8"))] if path.is_file() else []
    except (OSError, ValueError, TypeError) as error:
        raise DataError(path, f"it cannot be read: {error}", "remove it, or use another folder") from None


def _train(
    uri: str,
    folder: Path,
    number: int,
    last: Round | None,
    training: dict[str, Any],
    reporter: Reporter,
    plugins: Registry,
) -> Round:
    data = open_dataset(uri, steps=[OnlyAnnotated()], registry=plugins)
    names = frozenset(sample.image.name for sample in data)
    if not names:
        raise DataError(uri, "nothing is annotated yet", "draw boxes and save them, then run the same command again")
    before = set(_names_of(folder, last))
    added = names - before
    unseen: dict[str, float] = {}
    if last is not None and added:
        fresh = open_dataset(uri, steps=[OnlyAnnotated(frozenset(added))], registry=plugins)
        unseen = _measured(last.run, fresh, reporter, plugins)
    run = folder / f"round-{number}"
    if last is not None and "weights" in _options(last, plugins):
        training["settings"].setdefault("weights", last.run)
    trained = train(data, out=run, overwrite=True, reporter=reporter, registry=plugins, **training)
    write_atomically(run / "annotated.json", json.dumps(sorted(names)).encode())
    val = training["val"]
    values = {} if val is None else _measured(str(trained.path), val, reporter, plugins)
    return Round(number, str(run), len(names), len(added), unseen, values)


def _measured(run: str, data: str | Dataset, reporter: Reporter, plugins: Registry) -> dict[str, float]:
    values = evaluate(run, data, reporter=reporter, registry=plugins).values
    return {name: round(float(values[name]), 4) for name in _METRICS if name in values}


def _names_of(folder: Path, last: Round | None) -> list[str]:
    path = Path(last.run) / "annotated.json" if last is not None else None
    return list(json.loads(path.read_text("utf-8"))) if path is not None and path.is_file() else []


def _options(last: Round, plugins: Registry) -> set[str]:
    return {option.name for option in plugins.get("backend", Run(last.run).backend).spec.options}
