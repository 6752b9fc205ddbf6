"""The step ``kfold``: as many parts of one size, each of which is held out once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from boxwright import Sample, UsageError
from boxwright.datasets import OnProblem
from boxwright_transforms.notes import amount
from boxwright_transforms.readings import Gatherer, again, raised
from boxwright_transforms.split import describe_parts, missing_sizes
from boxwright_transforms.stratify import shares_to_sizes


class KFold:
    r"""The step ``kfold:5`` or ``kfold:5,fold=0``.

    Every picture is in exactly one of the folds, whose sizes differ by one at most, and every class is spread evenly
    over them. Which picture is in which fold depends on the pictures' names, their classes and the seed alone, so that
    the folds 0 to 4 of five conversions belong together. The stream keeps its order; it is read twice.

    Args:
        folds: How many, at least 2.
        fold: The number of the one that becomes the split ``val``, from 0; the others become ``train``. Without it,
            the splits are ``fold0``, ``fold1``, ...
        seed: Another seed gives other folds.
        near_duplicates: Whether pictures that look alike are kept in one fold. Reads and decodes every picture.
        group: What pictures must have in common to be kept in one fold: ``"folder"``, ``"image.NAME"`` for an
            attribute, or a regular expression that is looked for in their names, ``^(cam\d+)_``.

    Raises:
        UsageError: Fewer than two folds, a fold that is not among them, a ``group`` that is no regular expression.
    """

    per_sample = False
    keeps_labels = True

    def __init__(
        self, folds: int, fold: int | None = None, seed: int = 0, near_duplicates: bool = False, group: str = ""
    ) -> None:
        if folds < 2:
            raise UsageError(f"kfold: {amount(folds, 'fold')}", "give at least 2, such as kfold:5")
        if fold is not None and not 0 <= fold < folds:
            raise UsageError(f"kfold: fold={fold}", f"give one of 0 to {folds - 1}, or leave it out for all")
        self.folds = folds
        self.fold = fold
        self.seed = seed
        self._gatherer = Gatherer("kfold", group, near_duplicates)
        self._notes: list[str] = []

    def __call__(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Yields each sample with its ``split`` set; see :meth:`apply`."""
        return self.apply(samples, raised)

    def apply(self, samples: Iterable[Sample], on_problem: OnProblem) -> Iterator[Sample]:
        """Yields each sample with its ``split`` set.

        Args:
            samples: The samples.
            on_problem: Gets the error of a picture that cannot be read, for near-duplicates.

        Raises:
            UsageError: There are fewer pictures, or groups of them, than folds; or none has what tells its group.
            DataError: The dataset changed between the two readings.
        """
        found = self._gatherer.gather(samples, on_problem)
        self._notes = []
        if not found.names:
            return
        if len(found.groups) < self.folds:
            of = (
                amount(len(found.groups), "group") + " of pictures"
                if found.grouped
                else amount(len(found.names), "picture")
            )
            raise UsageError(f"kfold: {of} cannot be in {self.folds} folds", "ask for fewer folds, or add pictures")
        sizes = shares_to_sizes(len(found.names), [1 / self.folds] * self.folds)
        fold_of = found.share_out(sizes, self.seed)
        names = [f"fold{number}" for number in range(self.folds)]
        self._notes = missing_sizes(names, sizes, fold_of)
        if self.fold is not None:
            fold_of = [int(fold == self.fold) for fold in fold_of]
            names = ["train", "val"]
        self._notes = [*describe_parts(names, found.labels, fold_of), *self._notes, *found.notes]
        if found.before:
            self._notes.append(f"{amount(found.before, 'picture')} belonged to a split before, which was replaced")
        for position, sample in again(samples, found.names, found.left_out):
            yield sample.replace(split=names[fold_of[position]])

    def notes(self) -> list[str]:
        """The folds with their pictures and classes, and what could not be had."""
        return list(self._notes)
