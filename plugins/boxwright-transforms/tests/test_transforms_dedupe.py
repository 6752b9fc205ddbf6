"""The step ``dedupe``: duplicates, near-duplicates, the image that is kept, splits."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageEnhance

import boxwright_transforms.hashes
from boxwright import Boxes, DataError, ImageRef, Sample
from boxwright.images import decode_sample
from boxwright_transforms.dedupe import Dedupe
from boxwright_transforms.hashes import ImageHashes


def photo(seed: int, size: tuple[int, int] = (160, 120)) -> Image.Image:
    """Returns an image with large shapes, as different from others as two photos."""
    blots = Image.frombytes("L", (6, 5), random.Random(seed).randbytes(30))
    return blots.resize(size, Image.Resampling.BICUBIC).convert("RGB")


def encoded(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def sample_of(name: str, data: bytes, boxes: int = 1, split: str | None = None) -> Sample:
    with Image.open(io.BytesIO(data)) as image:
        reference = ImageRef(name=name, width=image.width, height=image.height, data=data)
    edges = [(float(n), 0.0, n + 9.0, 9.0) for n in range(boxes)]
    return Sample(image=reference, boxes=Boxes(["fig"] * boxes, edges), split=split)


def kept(samples: Sequence[Sample], *arguments: Any, **options: Any) -> list[str]:
    return [sample.image.name for sample in Dedupe(*arguments, **options)(samples)]


ONE, TWO = encoded(photo(1)), encoded(photo(2))


def test_the_first_of_identical_images_is_kept() -> None:
    samples = [sample_of("a", ONE), sample_of("b", TWO), sample_of("c", ONE), sample_of("d", TWO), sample_of("e", ONE)]
    assert kept(samples) == ["a", "b"]
    step = Dedupe()
    list(step(samples))
    assert step.notes() == [
        "3 images of 5 dropped in favor of 2 images: c is identical to a; d is identical to b; e is identical to a"
    ]


def test_a_copy_with_other_bytes_is_a_near_duplicate() -> None:
    copies = [
        sample_of("original.png", ONE),
        sample_of("small.png", encoded(photo(1).resize((80, 60)))),
        sample_of("jpeg.jpg", encoded(photo(1), "JPEG", quality=40)),
        sample_of("dark.png", encoded(ImageEnhance.Brightness(photo(1)).enhance(0.8))),
        sample_of("other.png", TWO),
    ]
    assert len(kept(copies)) == 5
    assert kept(copies, "near") == ["original.png", "other.png"]


def test_the_image_with_the_most_boxes_is_kept_in_its_position() -> None:
    samples = [sample_of("a", ONE, 1), sample_of("b", TWO, 0), sample_of("c", ONE, 3), sample_of("d", ONE, 3)]
    assert kept(samples, keep="most_boxes") == ["b", "c"]
    step = Dedupe(keep="first")
    assert [sample.image.name for sample in step(samples)] == ["a", "b"]
    assert step.notes()[1] == "2 of them with other boxes than the image that was kept: c; d"


def test_splits() -> None:
    samples = [
        sample_of("a", ONE, split="train"),
        sample_of("b", ONE, split="train"),
        sample_of("c", ONE, split="test"),
        sample_of("d", TWO, split="test"),
    ]
    step = Dedupe()
    assert [sample.image.name for sample in step(samples)] == ["a", "d"]
    assert step.notes()[1] == "1 of them in another split: c (test), a (train)"
    for how in ("exact", "near"):
        step = Dedupe(how, scope="split")
        assert [sample.image.name for sample in step(samples)] == ["a", "c", "d"]
        assert step.notes()[1] == "1 image kept that another split contains, too: c (test), a (train)"


def test_the_counts_of_duplicates_within_and_across_splits() -> None:
    """Of 8 images, a b e and f h show the same, c d too: 8 - 2 - 1 - 1 remain; two of train and two of val go."""
    three = encoded(photo(3))
    where = {"a": ONE, "b": ONE, "c": TWO, "d": TWO, "e": ONE, "f": three, "g": encoded(photo(4)), "h": three}
    splits = dict(zip("abcdefgh", ("train", "train", "val", "val", "val", "test", "test", "train"), strict=True))
    samples = [sample_of(name, data, split=splits[name]) for name, data in where.items()]
    step = Dedupe()
    assert [sample.image.name for sample in step(samples)] == ["a", "c", "f", "g"]
    assert [note.partition(":")[0] for note in step.notes()] == [
        "4 images of 8 dropped (train 2, val 2) in favor of 3 images",
        "2 of them in another split",
    ]
    step = Dedupe(scope="split")
    assert [sample.image.name for sample in step(samples)] == ["a", "c", "e", "f", "g", "h"]
    assert [note.partition(":")[0] for note in step.notes()] == [
        "2 images of 8 dropped (train 1, val 1) in favor of 2 images",
        "2 images kept that another split contains, too",
    ]


def test_a_chain_is_not_reduced_to_its_first_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each differs in 3 bits from the previous one: every second one is too far from the last that was kept."""
    hashes = {str(n): (1 << 3 * n) - 1 for n in range(7)}
    monkeypatch.setattr(ImageHashes, "difference_hash", lambda self, sample: hashes[sample.image.name])
    samples = [sample_of(name, ONE) for name in hashes]
    assert kept(samples, "near") == ["0", "2", "4", "6"]
    assert kept(samples, "near", bits=6) == ["0", "3", "6"]
    assert kept(samples, "near", bits=2) == list(hashes)


def test_a_note_reports_that_nothing_was_found() -> None:
    samples = [sample_of("a", ONE), sample_of("b", TWO)]
    for how, note in (("exact", "no duplicate images"), ("near", "no near-duplicate images")):
        step = Dedupe(how)
        assert step.notes() == []
        assert list(step(samples)) == samples
        assert step.notes() == [note]


def test_each_image_is_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []
    monkeypatch.setattr(
        boxwright_transforms.hashes,
        "decode_sample",
        lambda sample, **options: decoded.append(sample.image.name) or decode_sample(sample, **options),
    )
    step = Dedupe("near")
    samples = [sample_of("a", ONE), sample_of("b", TWO)]
    assert list(step(samples)) == list(step(samples))
    assert decoded == ["a", "b"]


def test_unreadable_images_are_errors_or_kept(tmp_path: Path) -> None:
    gone = Sample(image=ImageRef(name="gone", width=5, height=5, location=str(tmp_path / "gone.jpg")))
    damaged = sample_of("cut", ONE)
    damaged = damaged.replace(image=damaged.image.model_copy(update={"data": ONE[: len(ONE) // 2]}))
    samples = [sample_of("a", ONE), gone, damaged, sample_of("b", ONE)]
    for how in ("exact", "near"):
        with pytest.raises(DataError, match=r"gone\.jpg") as caught:
            kept(samples, how)
        assert "unreadable=keep" in caught.value.remedy
        step = Dedupe(how, unreadable="keep")
        assert [sample.image.name for sample in step(samples)] == ["a", "gone", "cut"]
    assert step.notes()[-1] == "2 images could not be read: gone; cut"


class Changing:
    """A dataset that changes between two iterations."""

    def __init__(self, *readings: list[Sample]) -> None:
        self.readings = list(readings)

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.readings.pop(0))


def test_a_dataset_that_changes_is_a_data_error() -> None:
    samples = [sample_of("a", ONE), sample_of("b", TWO)]
    with pytest.raises(DataError, match="changed"):
        list(Dedupe()(Changing(samples, samples[::-1])))
