"""The step ``kfold``: folds of equal size for cross-validation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from boxwright import Sample, UsageError
from boxwright.datasets import OnProblem, Problems
from boxwright_transforms.groups import Grouper
from boxwright_transforms.notes import amount
from boxwright_transforms.split import describe_sizes, describe_splits
from boxwright_transforms.stratification import fractions_to_sizes


class KFold:
    r"""The step ``kfold:5`` or ``kfold:5,fold=0``.

    Every image is in one fold, the sizes of the folds differ by at most one, and every class is distributed evenly.
    The fold of an image depends on the names of the images, their classes and the seed alone, so the folds 0 to 4 of
    five conversions belong together. The images keep their order. The dataset is read twice.

    Args:
        folds: Number of folds, at least 2.
        fold: The fold that becomes the split ``val``, from 0; the others become ``train``. Without it, the splits are
            ``fold0``, ``fold1``, ...
        seed: Another seed produces other folds.
        near_duplicates: Whether to keep images that look alike in one fold. Reads and decodes every image.
        group: What images in one fold have in common: ``"folder"``, ``"image.NAME"`` for an attribute, or a regular
            expression that is searched for in their names, ``^(cam\d+)_``.

    Raises:
        UsageError: There are fewer than two folds, ``fold`` is not one of them, or ``group`` is not a regular
            expression.
    """

    per_sample = False
    keeps_labels = True

    def __init__(
        self, folds: int, fold: int | None = None, seed: int = 0, near_duplicates: bool = False, group: str = ""
    ) -> None:
        if folds < 2:
            raise UsageError(f"kfold: {amount(folds, 'fold')}", "use at least 2, such as kfold:5")
        if fold is not None and not 0 <= fold < folds:
            raise UsageError(f"kfold: fold={fold}", f"use 0 to {folds - 1}, or omit it for all folds")
        self.folds = folds
        self.fold = fold
        self.seed = seed
        self._grouper = Grouper("kfold", group, near_duplicates)
        self._notes: list[str] = []

    def __call__(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Yields each sample with its ``split`` set; see :meth:`apply`."""
        return self.apply(samples, Problems())

    def apply(self, samples: Iterable[Sample], on_problem: OnProblem) -> Iterator[Sample]:
        """Yields each sample with its ``split`` set.

        Args:
            samples: The samples.
            on_problem: Called with the error of an image that cannot be read, for near-duplicates.

        Raises:
            UsageError: There are fewer images, or groups of them, than folds; or no image is in a group.
            DataError: The dataset changed between the two passes.
        """
        images = self._grouper.first_pass(samples, on_problem)
        self._notes = []
        if not images.names:
            return
        if len(images.groups) < self.folds:
            count = (
                f"{amount(len(images.groups), 'group')} of images"
                if images.grouped
                else amount(len(images.names), "image")
            )
            raise UsageError(
                f"kfold: {count} cannot be divided into {self.folds} folds", "use fewer folds, or add images"
            )
        sizes = fractions_to_sizes(len(images.names), [1 / self.folds] * self.folds)
        fold_of = images.distribute(sizes, self.seed)
        names = [f"fold{index}" for index in range(self.folds)]
        size_notes = describe_sizes(names, sizes, fold_of)
        if self.fold is not None:
            fold_of = [int(fold == self.fold) for fold in fold_of]
            names = ["train", "val"]
        self._notes = [*describe_splits(names, images.labels, fold_of), *size_notes, *images.notes]
        yield from images.second_pass(samples, names, fold_of)

    def notes(self) -> list[str]:
        """Returns the folds with their images and classes, and what was not possible."""
        return list(self._notes)
