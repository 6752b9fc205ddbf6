"""Training images among the held-out images: they would make every metric too good."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from boxwright.datasets.dataset import Dataset
from boxwright.datasets.parallel import available_cores, map_samples
from boxwright.datasets.problems import Problems
from boxwright.errors import DataError, UsageError
from boxwright.progress import Reporter
from boxwright.schemas import Sample

_REMEDY = (
    "hold out other images, for example by boxwright convert --with split:train=0.8,val=0.2, or pass --allow-overlap"
)
_MOST_WORKERS = 8


class _Seen(NamedTuple):
    """What identifies an image: its name, the SHA-256 of its bytes, and its difference hash (0 for no contrast)."""

    name: str
    digest: bytes
    look: int


def check_overlap(data: Dataset, val: Dataset, *, allowed: bool, reporter: Reporter) -> int:
    """Compares the held-out images with the training images, by their bytes and by their look.

    Images that cannot be read are not compared. Training images that look like held-out ones are only a warning.

    Args:
        data: The training samples.
        val: The held-out samples.
        allowed: Whether held-out images that are training images are a warning as well.
        reporter: Where progress and warnings go.

    Returns:
        How many held-out images are training images.

    Raises:
        UsageError: One is, and ``allowed`` is false.
    """
    from boxwright.images.similarity import MAX_DISTANCE, SimilarityIndex

    held_out: list[_Seen] = []
    index = SimilarityIndex(MAX_DISTANCE)
    same: dict[bytes, str] = {}
    alike: list[str] = []
    counts = (data.info.num_samples, val.info.num_samples)
    total = None if None in counts else sum(filter(None, counts))
    with reporter.task("Comparing the training images with the held-out images", total) as task:
        for each in _seen(val):
            if each.look:
                index.add(each.look, len(held_out))
            held_out.append(each)
            task.advance()
        copies = Counter(each.digest for each in held_out)
        for each in _seen(data) if held_out else ():
            if each.digest in copies:
                same.setdefault(each.digest, each.name)
            elif each.look and (near := index.find(each.look)) is not None:
                alike.append(f"{each.name}, like {held_out[near].name}")
            task.advance()
    count = sum(copies[digest] for digest in same)
    if same:
        problem = f"{count} of {len(held_out)} held-out images are training images, such as {next(iter(same.values()))}"
        if not allowed:
            raise UsageError(problem, _REMEDY)
        reporter.warning(f"{problem}: metrics on them do not show how the model does on other images")
    if alike:
        verb = "1 training image looks" if len(alike) == 1 else f"{len(alike)} training images look"
        reporter.warning(f"{verb} like held-out images, such as {alike[0]}: the metrics may be too good")
    return count


def _seen(dataset: Dataset) -> Iterator[_Seen]:
    samples = dataset.with_problems(Problems("skip"))
    found = map_samples(_identified, samples, lambda error: None, min(available_cores(), _MOST_WORKERS))
    return (each for each in found if each is not None)


def _identified(sample: Sample) -> _Seen | None:
    from boxwright.images.decode import decode_sample
    from boxwright.images.similarity import MIN_SIZE, difference_hash

    try:
        content = sample.image.read()
        image = sample.image.model_copy(update={"data": content})
        look = difference_hash(decode_sample(sample.replace(image=image, boxes=()), at_least=MIN_SIZE).image)
    except DataError:
        return None
    return _Seen(sample.image.name, hashlib.sha256(content).digest(), look)
