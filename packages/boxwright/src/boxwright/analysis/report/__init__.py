"""The report of an evaluation: a page that shows how good a model is and where it is wrong, and the same as data.

:mod:`measures` evaluates and counts once; the other modules add the images, the curves of the training and the
comparison with the training data; :mod:`page` puts all of it on a page.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from boxwright.analysis.report.crops import crops_of
from boxwright.analysis.report.files import ReportFiles
from boxwright.analysis.report.gallery import MOST, shots_of
from boxwright.analysis.report.likeness import Likeness, Look
from boxwright.analysis.report.measures import Measures, as_csv, measure
from boxwright.analysis.report.outcomes import Outcome
from boxwright.analysis.report.page import report_page
from boxwright.analysis.report.suspects import listed, suspect_numbers, suspect_samples, suspects_of
from boxwright.analysis.report.training import manifest_of, training_numbers, training_of
from boxwright.analysis.top import Top
from boxwright.datasets.conversion import convert
from boxwright.datasets.dataset import Data, open_dataset
from boxwright.datasets.destination import Destination
from boxwright.datasets.memory import from_samples
from boxwright.datasets.outputs import refuse_to_swallow
from boxwright.models.protocols import Model
from boxwright.models.run import Run
from boxwright.plugins.registry import Registry, default_registry
from boxwright.progress import LogReporter, Reporter
from boxwright.schemas import Sample
from boxwright.storage.uri import DatasetURI


class Report:
    """An evaluation with everything that its page shows.

    Attributes:
        measures: The numbers.
        likeness: The evaluated data next to the training data.
        suspects: Suspected label errors, the most suspicious first.
        training: The metrics of each epoch of a run, by name.
        manifest: How the model was made.
    """

    def __init__(self, measures: Measures, likeness: Likeness) -> None:
        self.measures, self.likeness = measures, likeness
        found = suspects_of(measures.tally.outcomes, measures.names)
        self.suspects = listed(found)
        self.training = training_of(measures.model)
        self.manifest = manifest_of(measures.model)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: those of the evaluation, and as ``details`` those of the page."""
        details = self.measures.to_dict() | {
            "suspects": [each.to_dict(self.samples[each.image].image.name) for each in self.suspects],
            "data": self.likeness.to_dict(),
            "training": self.training,
            "manifest": self.manifest,
        }
        return self.measures.evaluation.to_dict() | {"details": details}

    def to_csv(self) -> str:
        """The same numbers as CSV, one per line."""
        numbers = [*self.measures.numbers(), *suspect_numbers(self.suspects, self.samples)]
        return as_csv([*numbers, *self.likeness.numbers(), *training_numbers(self.training)])

    @property
    def samples(self) -> list[Sample]:
        """The evaluated images, without their bytes if those are not in files."""
        return [sample for sample, _ in self.measures.pairs]

    def page(self, data: Data, registry: Registry) -> str:
        """Returns the page as HTML text.

        Args:
            data: The evaluated dataset, whose images are read again if they are not files.
            registry: The plugins to use.
        """
        outcomes = zip(self.measures.pairs, self.measures.tally.outcomes, strict=True)
        worst: Top[tuple[int, tuple[Sample, Outcome]]] = Top(MOST)
        for place, ((sample, _), outcome) in enumerate(outcomes):
            worst.add(outcome.cells.mistakes, (place, (sample, outcome)))
        read = partial(_read_again, data, registry, self.samples)
        shots = shots_of(dict(worst), self.measures.names, read)
        crops = crops_of(self.suspects, self.samples, read)
        return report_page(self.measures, shots, crops, len(self.suspects), self.likeness, self.training, self.manifest)

    def write_suspects(self, uri: str, data: Data, registry: Registry, *, overwrite: bool = False) -> None:
        """Writes the suspected label errors as a dataset, for ``boxwright view`` and programs for annotating.

        Args:
            uri: The dataset.
            data: The evaluated dataset, whose images are read again if they are not files.
            registry: The plugins to use.
            overwrite: Whether an existing dataset may be replaced.

        Raises:
            UsageError: The format cannot be written.
            OutputError: The dataset exists and ``overwrite`` is false, or it cannot be written.
        """
        samples = self.samples
        elsewhere = {each.image for each in self.suspects if not samples[each.image].image.location}
        for place, sample in _read_again(data, registry, samples, elsewhere) if elsewhere else ():
            samples[place] = samples[place].replace(image=sample.image)
        samples = suspect_samples(self.suspects, samples)
        convert(from_samples(samples, registry=registry), uri, overwrite=overwrite, registry=registry)


def evaluate_with_report(
    model: str | Path | Run | Model,
    data: Data,
    report: str | os.PathLike[str] | None = None,
    *,
    table: str | os.PathLike[str] | None = None,
    suspects: str = "",
    overwrite: bool = False,
    reporter: Reporter | None = None,
    registry: Registry | None = None,
    **options: Any,
) -> Report:
    """Evaluates a model as :func:`boxwright.evaluate` does, and describes the result on a page.

    Args:
        model: A run, its folder, an exported model, or a loaded one.
        data: The dataset with the ground truth.
        report: The page, ``.html``; ``None`` for none.
        table: A file for the same numbers as CSV; ``None`` for none.
        suspects: A dataset for the suspected label errors, such as ``coco:check.json``; its boxes are to be checked.
            It is not written if there are none.
        overwrite: Whether to replace existing files.
        reporter: Receives the progress.
        registry: The plugins to use, instead of the installed ones.
        options: Further arguments of :func:`boxwright.evaluate`.

    Raises:
        UsageError: ``report`` does not end in ``.html``, ``table`` is the same file, ``suspects`` is the evaluated
            data, or as :func:`boxwright.evaluate`.
        DataError: As :func:`boxwright.evaluate`.
        OutputError: A file exists and ``overwrite`` is false, or it cannot be written.
    """
    plugins, reporter = registry or default_registry(), reporter or LogReporter()
    with ReportFiles(report, table, overwrite=overwrite) as files:
        if suspects:
            target = Destination(DatasetURI.parse(suspects), plugins, overwrite=overwrite)  # checks it before the work
            for source in open_dataset(data, registry=plugins).locations:
                refuse_to_swallow(source, target.uri.location, "choose another --suspects")
        look = Look()
        measures = measure(
            model, data, reporter=reporter, registry=plugins, observe=lambda sample, _: look.add(sample), **options
        )
        made = Report(measures, Likeness.of(look, measures.model, plugins))
        files.write(lambda: made.page(data, plugins), made.to_csv)
    if suspects and made.suspects:
        made.write_suspects(suspects, data, plugins, overwrite=overwrite)
    elif suspects:
        reporter.message(f"No label errors are suspected: {suspects} is not written.")
    return made


def _read_again(
    data: Data, registry: Registry, samples: Sequence[Sample], places: Collection[int]
) -> Iterator[tuple[int, Sample]]:
    """Yields the samples of a dataset at some of the places among the evaluated ones; images may have the same name."""
    place = 0
    for sample in open_dataset(data, on_error="skip", registry=registry):
        if place == len(samples):
            return
        expected = samples[place]
        if (sample.image.name, sample.source) == (expected.image.name, expected.source):  # else it was left out
            if place in places:
                yield place, sample
            place += 1
