"""Sliced prediction: tiles and merged boxes against numbers computed by hand."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from boxwright import Boxes, DataError, Dataset, Detections, ImageRef, LabelMap, PluginError, Sample, UsageError
from boxwright.datasets.dataset import SampleReader
from boxwright.images.decode import decode_sample
from boxwright.models import SlicedModel, Slicing, evaluate, merge_detections, predict, slicing
from boxwright.plugins.registry import Registry


@pytest.mark.parametrize(
    ("text", "image", "columns", "rows"),
    [
        # A step of 512 - 102 = 410 pixels; the last tile ends at the edge.
        ("512x512", (1024, 512), [(0, 512), (410, 922), (512, 1024)], [(0, 512)]),
        ("100x50:overlap=0", (200, 120), [(0, 100), (100, 200)], [(0, 50), (50, 100), (70, 120)]),
        ("100x100:overlap=0.5", (60, 150), [(0, 60)], [(0, 100), (50, 150)]),
        ("100x100:overlap=0.25", (175, 100), [(0, 100), (75, 175)], [(0, 100)]),
    ],
)
def test_tiles(text: str, image: tuple[int, int], columns: list[Any], rows: list[Any]) -> None:
    tiles = [(left, top, right, bottom) for top, bottom in rows for left, right in columns]
    assert Slicing.of(text).windows(*image) == tiles


def test_an_image_that_is_not_larger_than_a_tile_is_not_cut() -> None:
    assert Slicing.of("512x512").windows(512, 300) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("512", "512"),
        ("0x512", "0x512"),
        ("512x512:overlap=half", "'half' is not a number"),
        ("512x512:overlap=0.95", "overlap by 0.95"),
        ("512x512:overlap=nan", "overlap by nan"),
        ("512x512:merge=wbf", "'wbf'"),
        ("512x512:size=3", "size=3"),
        ("512x512:overlap=0.1,overlap=0.2", "overlap=0.2"),
    ],
)
def test_wrong_slicings(text: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        Slicing.of(text)


BOXES = np.array(
    [
        [10, 10, 30, 30],  # area 400, the best
        [20, 10, 40, 30],  # half of it is inside the best: 200 of 400
        [21, 10, 41, 30],  # 180 of 400 is inside the best, but 380 inside the union of the first two
        [12, 12, 16, 16],  # completely inside, IoU 0.04
        [10, 10, 30, 30],  # another class
        [60, 60, 70, 70],  # elsewhere
    ],
    float,
)
LABELS = ["a", "a", "a", "a", "b", "a"]
SCORES = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])


def test_merging() -> None:
    cut = np.ones(6, bool)
    kept, boxes = merge_detections(BOXES, SCORES, LABELS, "nms", cut)
    assert kept == [0, 2, 4, 5]
    assert boxes.tolist() == BOXES[kept].tolist()
    kept, boxes = merge_detections(BOXES, SCORES, LABELS, "nmm", cut)
    # As in SAHI, what is merged is chosen by the best box alone, before it grows.
    assert kept == [0, 2, 4, 5]
    assert boxes.tolist() == [[10, 10, 40, 30], *BOXES[[2, 4, 5]].tolist()]
    order = [5, 3, 1, 4, 0, 2]  # any order
    kept, boxes = merge_detections(BOXES[order], SCORES[order], [LABELS[each] for each in order], "nmm", cut)
    assert [order[each] for each in kept] == [0, 2, 4, 5]
    assert boxes[0].tolist() == [10, 10, 40, 30]
    assert merge_detections(np.zeros((0, 4)), np.zeros(0), [], "nmm", cut[:0])[0] == []
    # A box without area is inside nothing, and no division by 0.
    lines = np.array([[1.0, 1, 1, 5], [1, 1, 1, 5]])
    assert merge_detections(lines, np.array([0.5, 0.4]), ["a", "a"], "nms", cut[:2])[0] == [0, 1]


@pytest.mark.parametrize(("cut", "right"), [(None, 30), (1, 40), (0, 40), (5, 30)])
def test_a_complete_box_is_enlarged_only_around_parts(cut: int | None, right: int) -> None:
    """The second box, which ends 10 pixels further right, extends the first one if a tile cut one of both off."""
    _, boxes = merge_detections(BOXES, SCORES, LABELS, "nmm", np.arange(6) == (-1 if cut is None else cut))
    assert boxes[0].tolist() == [10, 10, right, 30]


class FindsSmallPatches:
    """Finds white patches, only in images of at most 100 pixels."""

    label_map = LabelMap.from_names(["patch"])

    def __init__(self) -> None:
        self.sizes: list[tuple[int, int]] = []

    def predict(self, samples: Iterable[Sample], *, batch_size: int = 8, score: float = 0.0) -> Iterator[Detections]:
        for sample in samples:
            decoded = decode_sample(sample)
            self.sizes.append(decoded.image.size)
            boxes = np.zeros((0, 4))
            if max(decoded.image.size) <= 100:
                white = np.asarray(decoded.image.convert("L")) > 127
                rows, columns = np.nonzero(white)
                if len(rows):
                    boxes = np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], float)
            found = decoded.to_annotation(boxes)
            yield Detections.from_arrays(sample.image, ["patch"] * len(found), found, [0.5] * len(found))


def encoded(patch: tuple[int, int, int, int], orientation: int = 1) -> bytes:
    image = Image.new("RGB", (180, 80))
    image.paste((255, 255, 255), patch)
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    image.save(buffer, "PNG", exif=exif)
    return buffer.getvalue()


def test_a_patch_across_two_tiles_is_one_detection_in_the_image() -> None:
    model = FindsSmallPatches()
    data = encoded((70, 20, 95, 50))  # tiles 0..100 and 80..180: the second one sees 80..95 of it
    whole = predict(model, data).detections[0]
    assert not whole.boxes
    model.sizes.clear()
    (found,) = predict(model, data, slicing="100x100:overlap=0.2").detections
    assert model.sizes == [(180, 80), (100, 80), (100, 80)]
    assert found.boxes.coordinates == ((70, 20, 95, 50),)
    assert found.scores == (0.5,)


def test_a_turned_photo() -> None:
    # Stored 180x80, upright 80x180 after a rotation by 90 degrees (orientation 6): (x, y) becomes (80 - y, x).
    (found,) = predict(FindsSmallPatches(), encoded((130, 20, 150, 60), 6), slicing="100x100").detections
    assert (found.image.width, found.image.height) == (80, 180)
    assert found.boxes.coordinates == ((20, 130, 60, 150),)


def test_evaluation_in_tiles(plugins: Registry) -> None:
    image = ImageRef(name="a.png", width=180, height=80, data=encoded((70, 20, 95, 50)))
    truth = Dataset(SampleReader([Sample(image=image, boxes=Boxes(["patch"], [(70, 20, 95, 50)]))]))
    values = {
        tiles: evaluate(FindsSmallPatches(), truth, metric="found", slicing=tiles, registry=plugins)
        for tiles in ("", "100x100")
    }
    assert values[""].values == {"found": 0.0}
    assert values["100x100"].values == {"found": 1.0}
    assert [each.to_dict()["slice"] for each in values.values()] == [None, "100x100:overlap=0.2,merge=nmm"]


def test_errors() -> None:
    with pytest.raises(DataError, match="14,400 tiles of 1x1"):
        predict(FindsSmallPatches(), encoded((1, 1, 2, 2)), slicing="1x1:overlap=0", on_error="fail")

    class Short(FindsSmallPatches):
        def predict(self, samples: Iterable[Sample], **options: Any) -> Iterator[Detections]:
            return iter(list(super().predict(samples))[:-1])

    with pytest.raises(PluginError, match="2 answers for 3 images"):
        next(
            SlicedModel(Short(), Slicing(100, 100)).predict(
                [Sample(image=ImageRef(name="a.png", width=180, height=80, data=encoded((1, 1, 9, 9))))]
            )
        )


def test_junk_does_not_enlarge_a_good_box() -> None:
    boxes = np.array([[10, 10, 20, 20], [0, 0, 100, 100], [15, 10, 25, 20]], float)
    labels = ["a", "a", "a"]
    kept, merged = merge_detections(boxes, np.array([0.90, 0.06, 0.45]), labels, "nmm", np.ones(3, bool))
    assert (kept, merged.tolist()) == ([0], [[10, 10, 25, 20]])
    kept, merged = merge_detections(boxes, np.array([0.90, 0.44, 0.44]), labels, "nmm", np.ones(3, bool))
    assert (kept, merged.tolist()) == ([0], [[10, 10, 20, 20]])

    class Junk(FindsSmallPatches):
        def predict(self, samples: Iterable[Sample], **options: Any) -> Iterator[Detections]:
            for found in super().predict(samples):
                whole = np.array([[0, 0, found.image.width, found.image.height]], float)
                both = np.concatenate([found.boxes.xyxy.reshape(-1, 4), whole])
                yield Detections.from_arrays(found.image, ["patch"] * len(both), both, [*found.scores, 0.4])

    data = encoded((20, 20, 40, 50))
    (found,) = predict(Junk(), data, slicing="100x100", score=0.45).detections
    assert found.boxes.coordinates == ((20, 20, 40, 50),)


def test_tiles_are_made_when_the_model_asks_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    made = slicing._tile
    monkeypatch.setattr(slicing, "_tile", lambda *given: events.append("tile") or made(*given))

    class Watched(FindsSmallPatches):
        def predict(self, samples: Iterable[Sample], **options: Any) -> Iterator[Detections]:
            for sample in samples:
                events.append("answer")
                yield from super().predict([sample])

    predict(Watched(), encoded((20, 20, 40, 50)), slicing="100x100")
    assert events == ["answer", "tile", "answer", "tile", "answer"]


def test_sizes_are_checked() -> None:
    for width, height in ((0, 10), (10, -1)):
        with pytest.raises(UsageError, match=f"tiles of {width}x{height}"):
            Slicing(width, height)
