"""The second pass of transforms that iterate over a dataset twice: names and classes first, then the samples."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence

from boxwright import DataError, Sample


def second_pass(
    samples: Iterable[Sample], names: Sequence[str], skipped: Container[int] = ()
) -> Iterator[tuple[int, Sample]]:
    """Yields position and sample, in a second iteration.

    Args:
        samples: The samples, from the start.
        names: Names of the images, from the first pass.
        skipped: Indices of the samples that the first pass skipped; they have no position.

    Raises:
        DataError: The dataset has changed since the first pass.
    """
    position = -1
    for index, sample in enumerate(samples):
        if index in skipped:
            continue
        position += 1
        if position >= len(names) or sample.image.name != names[position]:
            raise changed_error(sample.source or sample.image.name)
        yield position, sample
    if position + 1 != len(names):
        raise changed_error(names[position + 1])


def changed_error(place: str) -> DataError:
    """Returns the error for a dataset that differs between the two passes."""
    return DataError(place, "the dataset changed while it was read", "try again when no other program writes to it")
