"""The pixel convention is found from data that was made by each convention's own definition, and on real photos."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest

import boxwright
from boxwright import Boxes, Dataset, FormatSpec, ImageRef, Option, Sample
from boxwright.analysis.conventions import BorderCounts, Convention, one_based_option
from boxwright.analysis.statistics import Statistics
from boxwright.plugins.registry import Registry

SHARED = Path(os.environ.get("BOXWRIGHT_SHARED_DATA", Path(__file__).resolve().parents[4] / "shared" / "data"))
WIDTH, HEIGHT = 500, 375

Pixels = tuple[int, int, int, int]
"""First and last column and row, counted from 0, that an object covers."""


def objects(number: int, seed: int = 1) -> Iterable[Pixels]:
    """Random boxes, some partly outside, clipped to the image."""
    chance = random.Random(seed)
    for _ in range(number):
        x, y = chance.randint(-60, WIDTH - 20), chance.randint(-60, HEIGHT - 20)
        right, low = x + chance.randint(80, 160), y + chance.randint(80, 160)
        yield max(x, 0), max(y, 0), min(right, WIDTH - 1), min(low, HEIGHT - 1)


def zero_based(first: int, top: int, last: int, bottom: int) -> tuple[int, ...]:
    return first, top, last + 1, bottom + 1


def voc(first: int, top: int, last: int, bottom: int) -> tuple[int, ...]:
    return first + 1, top + 1, last + 1, bottom + 1  # the first pixel is (1, 1), and the last is the object's


def inclusive(first: int, top: int, last: int, bottom: int) -> tuple[int, ...]:
    return first, top, last, bottom


def one_based_exclusive(first: int, top: int, last: int, bottom: int) -> tuple[int, ...]:
    return first + 1, top + 1, last + 2, bottom + 2


def labelimg(first: int, top: int, last: int, bottom: int) -> tuple[int, ...]:
    return max(first, 1), max(top, 1), last + 1, bottom + 1


def counted(boxes: Sequence[Sequence[float]]) -> BorderCounts:
    counts = BorderCounts()
    edges = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    counts.add(edges, np.tile([float(WIDTH), float(HEIGHT)], (len(edges), 1)))
    return counts


@pytest.mark.parametrize(
    ("write", "convention"),
    [
        (zero_based, Convention.ZERO_BASED),
        (voc, Convention.ONE_BASED),
        (inclusive, Convention.ZERO_BASED_INCLUSIVE),
        (one_based_exclusive, Convention.ONE_BASED_EXCLUSIVE),
        (labelimg, Convention.ONE_BASED),
    ],
)
@pytest.mark.parametrize("number", [60, 3000])
def test_each_convention_is_found(write: Callable[..., tuple[int, ...]], convention: Convention, number: int) -> None:
    assert counted([write(*each) for each in objects(number)]).convention is convention


@pytest.mark.parametrize("slips", [1, 3])
def test_a_few_slips_do_not_decide(slips: int) -> None:
    boxes = [voc(*each) for each in objects(3000)]
    counts = counted([*boxes, *[(0, 0, 50, 50)] * slips, *[(9, 9, WIDTH - 1, HEIGHT - 1)] * slips])
    assert counts.convention is Convention.ONE_BASED


def test_relative_edges_with_six_decimals_count_as_whole() -> None:
    # As in YOLO's text files: center and size relative to the image's, six decimals.
    def through_text(box: tuple[int, ...]) -> tuple[float, ...]:
        x1, y1, x2, y2 = box
        cx, cy, w, h = (
            float(f"{v:.6f}")
            for v in ((x1 + x2) / 2 / WIDTH, (y1 + y2) / 2 / HEIGHT, (x2 - x1) / WIDTH, (y2 - y1) / HEIGHT)
        )
        return (cx - w / 2) * WIDTH, (cy - h / 2) * HEIGHT, (cx + w / 2) * WIDTH, (cy + h / 2) * HEIGHT

    counts = counted([through_text(zero_based(*each)) for each in objects(500)])
    assert counts.convention is Convention.ZERO_BASED
    assert counts.fractional == 0
    assert counts.low["0"] > 0


def test_what_is_counted_where() -> None:
    counts = counted([(0, 1, 500, 374), (-2, 2, 499, 375), (10.5, 1.004, 501, 376.5)])
    assert counts.low == {"below 0": 1, "0": 1, "1": 2}
    # Right: 500, 499, 501 of 500; below: 374, 375, 376.5 of 375.
    assert counts.high == {"size-1": 2, "size": 2, "size+1": 1, "beyond size": 2}
    assert (counts.fractional, counts.total) == (2, 12)
    assert counts.evidence == "1 at 0, 2 at 1, 2 at size-1, 2 at size"


@pytest.mark.parametrize(
    ("boxes", "conclusion"),
    [
        ([], "cannot tell: too few boxes reach the edges of their image"),
        ([(40, 40, 80, 80)] * 9, "cannot tell: too few boxes reach the edges of their image"),
        ([(1, 1, 500, 375)], "cannot tell: too few boxes reach the edges of their image"),  # two of each
        ([(0, 0, 80, 80)] * 9, "cannot tell: it counts from 0, and too few boxes reach the right or bottom edge"),
        ([(1, 1, 80, 80)] * 9, "cannot tell: it counts from 1, and too few boxes reach the right or bottom edge"),
        ([(9, 9, 500, 375)] * 9, "cannot tell: too few boxes reach the left or top edge"),
        ([(1, 1, 499, 374)] * 9, "cannot tell: the edges contradict each other"),
        ([(0, 0, 500, 375)] * 9, "counts from 0 with the last coordinate exclusive, as boxwright does"),
        ([(1, 1, 500, 375)] * 9, "counts from 1 with the last pixel included, as Pascal VOC does"),
    ],
)
def test_conclusions(boxes: list[tuple[float, ...]], conclusion: str) -> None:
    assert counted(boxes).conclusion == conclusion


def test_advice_names_the_option_and_labelimg() -> None:
    counts = counted([(1, 1, 500, 375)] * 9)
    option, doubt = counts.advice("?one_based=true")
    assert option == "read it with ?one_based=true"
    assert "labelImg" in doubt
    assert counts.advice() == [doubt]  # a format without the option has nothing to offer
    assert counted([(0, 0, 500, 375)] * 9).advice("?one_based=true") == []
    assert counted([]).advice("?one_based=true") == []
    assert "add 1 to xmax" in counted([(0, 0, 499, 374)] * 9).advice()[0]


def test_an_annotation_that_names_its_voc_database_leaves_no_doubt() -> None:
    image = ImageRef(name="a.jpg", width=WIDTH, height=HEIGHT)
    boxes = Boxes(["cat"] * 4, [(1, 1, 500, 375)] * 4)

    def advice(database: object) -> list[str]:
        sample = Sample(image=image, boxes=boxes, attributes={"database": database})
        return Statistics.of([sample]).borders.advice("?one_based=true")

    assert advice("The VOC2007 Database") == ["read it with ?one_based=true"]
    assert len(advice("Unknown")) == 2
    assert len(advice("VOC")) == 2  # not as PASCAL VOC writes it


def test_json_has_the_counts_and_the_words() -> None:
    found = counted([(1, 1, 500, 375)] * 9).to_dict("?one_based=true")
    assert found["convention"] == "one_based"
    assert found["first_edges"] == {"below 0": 0, "0": 0, "1": 18}
    assert found["last_edges"] == {"size-1": 0, "size": 18, "size+1": 0, "beyond size": 0}
    assert found["advice"][0] == "read it with ?one_based=true"


@pytest.mark.parametrize(
    ("options", "expected"),
    [("", "?one_based=true"), ("?images=x", "&one_based=true"), ("?one_based=true", ""), ("?one_based=false", "")],
)
def test_the_option_as_it_goes_into_the_uri(
    options: str,
    expected: str,
    tmp_path: Path,
    make_registry: Callable[..., Registry],
    monkeypatch: pytest.MonkeyPatch,
    dataset: Callable[..., Dataset],
) -> None:
    shifting = FormatSpec(name="shifting", load="x:y", options=(Option("one_based", bool, False), Option("images")))
    monkeypatch.setattr("boxwright.analysis.conventions.default_registry", lambda: make_registry(shifting))
    assert one_based_option(dataset(uri=f"shifting:{tmp_path}{options}")) == expected
    assert one_based_option(dataset(uri=f"lines:{tmp_path}")) == ""  # a format without it
    assert one_based_option(dataset(uri=f"unknown:{tmp_path}")) == ""
    assert one_based_option(dataset()) == ""  # samples in memory


@pytest.mark.skipif(not SHARED.is_dir(), reason="the photos of shared/data are not here")
@pytest.mark.parametrize(
    ("folder", "convention"),
    [
        ("bccd/train", Convention.ONE_BASED),  # drawn with labelImg: no edge at 0, 356 at 1, 306 at the size
        ("bccd/val", Convention.ONE_BASED),
        ("fruits/train", Convention.UNKNOWN),  # two edges in all
    ],
)
def test_real_photos(folder: str, convention: Convention) -> None:
    pytest.importorskip("boxwright_voc")
    borders = Statistics.of(boxwright.open(f"labelimg:{SHARED / folder}")).borders
    assert borders.convention is convention
    if convention is Convention.ONE_BASED:
        assert borders.low["0"] == 0
        assert "labelImg" in borders.advice()[-1]
