"""The report of an evaluation: outcomes, curves, images that fit on a page, and the page itself."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from boxwright import (
    Boxes,
    BoxwrightError,
    Dataset,
    Detections,
    ImageRef,
    LabelMap,
    MetricResult,
    OutputError,
    RunError,
    Sample,
    UsageError,
)
from boxwright.analysis import compare_with_report, evaluate_with_report
from boxwright.analysis.report.curves import curves_of
from boxwright.analysis.report.gallery import caption_of, shots_of
from boxwright.analysis.report.likeness import Likeness, Look
from boxwright.analysis.report.measures import Measures
from boxwright.analysis.report.outcomes import Outcome, Tally
from boxwright.analysis.report.page import _matrix, number
from boxwright.analysis.report.runs import _compared
from boxwright.analysis.report.suspects import _falling, listed, suspect_samples, suspects_of
from boxwright.analysis.report.training import training_of
from boxwright.analysis.top import Top
from boxwright.datasets.dataset import SampleReader
from boxwright.models import DecoderSettings
from boxwright.models.counting import F1Metric
from boxwright.models.evaluation import Evaluation
from boxwright.models.run import Run
from boxwright.plugins.registry import Registry
from boxwright.render.lines import Axis, Line, line_chart

A = (0.0, 0.0, 10.0, 10.0)
NEAR_A = (0.0, 0.0, 10.0, 9.0)  # IoU with A: 0.9
HALF_A = (0.0, 0.0, 10.0, 5.0)  # 0.5 exactly
LESS_A = (0.0, 0.0, 10.0, 4.9)  # 0.49
FAR = (50.0, 50.0, 60.0, 60.0)
LABELS = LabelMap.from_names(["key", "mug"])
KEY, MUG, NONE = 0, 1, 2
_VOID = {"meta", "img", "input"}


def _pair(annotated, found, name="a.jpg"):
    image = ImageRef(name=name, width=100, height=100)
    sample = Sample(image=image, boxes=Boxes([label for label, _ in annotated], [edges for _, edges in annotated]))
    boxes = Boxes([f[0] for f in found], [f[1] for f in found], [{"score": f[2]} for f in found])
    return sample, Detections(image=image, boxes=boxes)


def _outcome(annotated, found, least=0.3):
    sample, boxes = _pair(annotated, found)
    return Outcome.of(sample, boxes, LABELS, np.full(2, least))


@pytest.mark.parametrize(
    ("annotated", "found", "cells"),
    [
        ([], [], []),
        ([("mug", A)], [], [(MUG, NONE)]),
        ([], [("mug", A, 0.9)], [(NONE, MUG)]),
        ([("mug", A)], [("mug", NEAR_A, 0.9)], [(MUG, MUG)]),
        ([("mug", A)], [("mug", HALF_A, 0.9)], [(MUG, MUG)]),
        ([("mug", A)], [("mug", LESS_A, 0.9)], [(MUG, NONE), (NONE, MUG)]),
        ([("mug", A)], [("key", A, 0.9)], [(MUG, KEY)]),
        # The right class counts first, whatever the scores.
        ([("mug", A)], [("key", A, 0.9), ("mug", NEAR_A, 0.4)], [(MUG, MUG), (NONE, KEY)]),
        # One box is found once: its second detection is wrong.
        ([("mug", A)], [("mug", A, 0.9), ("mug", NEAR_A, 0.8)], [(MUG, MUG), (NONE, MUG)]),
        ([("mug", A), ("mug", FAR)], [("mug", A, 0.9)], [(MUG, MUG), (MUG, NONE)]),
        # A low score counts as nothing.
        ([("mug", A)], [("mug", A, 0.29)], [(MUG, NONE)]),
    ],
)
def test_outcomes(annotated, found, cells):
    outcome = _outcome(annotated, found)
    assert sorted(zip(outcome.cells.truth.tolist(), outcome.cells.predicted.tolist(), strict=True)) == sorted(cells)
    assert outcome.cells.mistakes == sum(truth != predicted for truth, predicted in cells)


def test_a_crowd_is_neither_missed_nor_a_mistake():
    sample, found = _pair([("mug", A)], [("mug", A, 0.9)])
    crowd = sample.replace(boxes=Boxes(["mug"], [A], [{"iscrowd": 1}]))
    assert Outcome.of(crowd, found, LABELS, np.full(2, 0.3)).cells.mistakes == 0
    assert len(Outcome.of(crowd, found, LABELS, np.full(2, 0.3)).cells.truth) == 0


def test_caption():
    outcome = _outcome([("mug", A), ("mug", FAR)], [("key", A, 0.9), ("key", FAR, 0.1), ("key", (20, 20, 30, 30), 0.8)])
    assert caption_of(outcome, 2) == "2 objects: 0 found, 1 missed, 1 of another class, 1 false alarm"


def test_the_tally_counts_as_the_metric_f1():
    random = np.random.default_rng(5)
    pairs = []
    for number_of in range(40):
        places = random.permutation(16)[:6]
        boxes = [(label, _cell(place)) for label, place in zip(random.choice(["key", "mug"], 6), places, strict=True)]
        found = [
            (random.choice(["key", "mug"]), _cell(place), float(score))
            for place, score in zip(random.permutation(16)[:8], sorted(random.random(8), reverse=True), strict=True)
        ]
        pairs.append(_pair(boxes, found, f"{number_of}.jpg"))
    tally = Tally.of(pairs, LABELS, np.array([0.5, 0.2]))
    values = F1Metric((0.5, 0.2))(pairs, LABELS).values
    assert tally.objects.sum() == values["objects"] == 240
    assert tally.found.sum() == values["found"]
    assert tally.false_alarms.sum() == values["false alarms"]
    assert tally.confusion[:-1].sum(axis=1).tolist() == tally.objects.tolist()
    assert tally.by_size.sum(axis=0).tolist() == [values["objects"], values["found"], values["false alarms"]]


def _cell(place: int) -> tuple[float, float, float, float]:
    left, top = place % 4 * 25.0, place // 4 * 25.0
    return left, top, left + 20, top + 20


def test_sizes_are_those_of_coco():
    image = ImageRef(name="a.jpg", width=200, height=200)
    edges = [(0, 0, 31, 32), (0, 0, 32, 32), (0, 0, 95, 96), (0, 0, 96, 96)]
    sample = Sample(image=image, boxes=Boxes(["mug"] * 4, edges))
    tally = Tally.of([(sample, Detections(image=image))], LABELS, np.full(2, 0.3))
    assert tally.by_size[:, 0].tolist() == [1, 2, 1]


def test_curves():
    pairs = [
        _pair([("mug", A), ("mug", FAR)], [("mug", A, 0.9), ("mug", (20, 20, 30, 30), 0.8), ("mug", FAR, 0.4)]),
        _pair([("key", A), ("key", FAR)], [("key", A, 0.8)]),
    ]
    every, key, mug = curves_of(Tally.of(pairs, LABELS, np.full(2, 0.5)))
    assert (key.name, mug.name) == ("key", "mug")
    assert mug.scores.tolist() == [0.9, 0.8, 0.4]
    assert mug.precision.tolist() == pytest.approx([1, 1 / 2, 2 / 3])
    assert mug.recall.tolist() == pytest.approx([1 / 2, 1 / 2, 1])
    assert mug.f1.tolist() == pytest.approx([2 / 3, 1 / 2, 4 / 5])
    # Two detections with a score of 0.8 are one point.
    assert every.scores.tolist() == [0.9, 0.8, 0.4]
    assert every.precision.tolist() == pytest.approx([1, 2 / 3, 3 / 4])
    assert every.recall.tolist() == pytest.approx([1 / 4, 2 / 4, 3 / 4])
    assert (every.chosen, mug.chosen, key.chosen) == (1, 1, 0)
    assert every.score == 0.5


def test_a_long_curve_keeps_its_ends_and_the_chosen_score():
    scores = np.linspace(0.999, 0.001, 2000)
    found = [("mug", A if number == 1000 else FAR, float(score)) for number, score in enumerate(scores)]
    every, _ = curves_of(Tally.of([_pair([("mug", A)], found)], LABELS, np.full(2, 0.3)))
    assert len(every.scores) < 200
    assert (every.scores[0], every.scores[-1]) == (scores[0], scores[-1])
    assert every.chosen is not None
    assert every.scores[every.chosen] == scores[scores >= 0.3].min()


def test_curves_of_different_scores_have_no_common_one():
    every, mug = curves_of(Tally.of([_pair([("mug", A)], [("mug", A, 0.9)])], LABELS, np.array([0.2, 0.4])))
    assert (every.score, every.chosen) == (None, None)
    assert (mug.score, mug.chosen) == (0.4, 0)


def test_the_highest_counts_are_kept_the_earlier_of_equal_ones_first():
    top: Top[str] = Top(3)
    for name, count in (("one", 1), ("none", 0), ("three", 3), ("two", 2), ("one more", 1)):
        top.add(count, name)
    assert list(top) == ["three", "two", "one"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5234, "0.523"), (1.0, "1.000"), (0.0, "0.000"), (float("nan"), "-"), (None, "-"), (1234.0, "1,234")],
)
def test_number(value, text):
    assert number(value) == text


def test_ticks_are_round_and_lines_are_within_them():
    chart = line_chart([Line("a", [0, 7], [0.013, 0.094])], Axis("x"), Axis("y"), "a chart")
    assert re.findall(r">([\d.]+)</text>", chart) == [
        "0",
        "2",
        "4",
        "6",
        "8",
        "0",
        "0.02",
        "0.04",
        "0.06",
        "0.08",
        "0.1",
    ]
    with pytest.raises(ValueError, match="at most 8"):
        line_chart([Line("a", [0], [0])] * 9, Axis("x"), Axis("y"), "a chart")


# The images ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "axis"),
    [
        ([1e-13, 3e-13], Axis("y")),
        ([-2.0, 1.0], Axis("y", low=0)),
        ([0.5, 7.0], Axis("y", low=0, high=1)),
        ([0, 0], Axis("y", low=0)),
    ],
)
def test_no_value_leaves_a_chart(values: list[float], axis: Axis) -> None:
    chart = line_chart([Line("a", [0, 1], values)], Axis("x"), axis, "a chart")
    (path,) = set(re.findall(r' d="(M[-\d.]+ [-\d.]+L[^"]+)"', chart))
    across, up = zip(*((float(x), float(y)) for x, y in re.findall(r"([-\d.]+) ([-\d.]+)", path)), strict=True)
    assert min(across) >= 0
    assert 14 <= min(up) <= max(up) <= 320 - 44
    assert up[1] < up[0] or values == [0, 0]


def test_many_classes_have_a_short_matrix() -> None:
    labels = LabelMap.from_names([f"c{place:03}" for place in range(100)])
    wrong = [(number_of, f"c{number_of:03}", f"c{number_of + 1:03}") for number_of in range(20, 99)]
    pairs = [_pair([(label, A)], [(other, A, 0.9)], f"{number_of}.jpg") for number_of, label, other in wrong]
    tally = Tally.of(pairs, labels, np.full(100, 0.3))
    evaluation = Evaluation("f1", MetricResult({}), "", 79, 79, 79, 0.0, label_map=labels)
    measures = Measures("model", evaluation, {}, pairs, tally, [])
    matrix = _matrix(measures)
    # The first and the last one have one mistake each, the others between them two.
    assert matrix["names"] == [*(f"c{place:03}" for place in range(21, 81)), "background"]
    assert [len(row["cells"]) for row in matrix["rows"]] == [61] * 61
    assert matrix["rows"][0]["cells"][1]["text"] == "c021 found as c022"
    assert matrix["remark"] == "Of 100 classes, the 60 with the most mistakes are shown."
    assert len([each for each in measures.numbers() if each.section == "confusion"]) == 79


@pytest.mark.parametrize(("lower", "best"), [(True, "a"), (False, "b")])
def test_the_metric_says_which_of_two_models_is_better(lower: bool, best: str) -> None:
    tally = Tally.of([], LABELS, np.full(2, 0.3))
    measured = [
        Measures(
            name,
            Evaluation("m", MetricResult({"E": value}, main="E", lower_is_better=lower), "", 1, 1, 1, 0.0),
            {},
            [],
            tally,
            [],
        )
        for name, value in (("none", np.nan), ("b", 0.4), ("a", 0.1))
    ]
    compared = _compared("runs", measured, [])
    assert compared.models[0].model == best
    assert compared.models[2].model == "none"


@pytest.mark.parametrize(("data", "metric", "problem"), [("nowhere.lines", "f1", "nowhere"), ("a.lines", "f2", "f2")])
def test_no_model_is_blamed_for_the_data_or_the_metric(
    data: str, metric: str, problem: str, tmp_path: Path, plugins: Registry
) -> None:
    (tmp_path / "runs" / "one").mkdir(parents=True)
    (tmp_path / "runs" / "one" / "run.json").write_text("{}", "utf-8")
    (tmp_path / "a.lines").write_text("", "utf-8")
    with pytest.raises(BoxwrightError, match=problem) as caught:
        compare_with_report(tmp_path / "runs", f"lines:{tmp_path}/{data}", metric=metric, registry=plugins)
    assert "no model in" not in str(caught.value)


def _photo(name: str, seed: int, size: tuple[int, int] = (640, 480)) -> ImageRef:
    """A photo with so much detail that it is hard to compress."""
    noise = np.random.default_rng(seed).integers(0, 255, (size[1] // 4, size[0] // 4, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC).save(buffer, "PNG")
    return ImageRef(name=name, width=size[0], height=size[1], data=buffer.getvalue())


@pytest.mark.parametrize("most", [40_000, 200_000])
def test_images_fit_the_size_of_the_page(most):
    samples = [Sample(image=_photo(f"{n}.png", n), boxes=Boxes(["mug"], [(64, 48, 320, 240)])) for n in range(8)]
    chosen = [
        (sample.replace(image=sample.image.model_copy(update={"data": None})), outcome)
        for sample in samples
        for outcome in [Outcome.of(sample, Detections(image=sample.image), LABELS, np.full(2, 0.3))]
    ]
    worst_first = dict(reversed(list(enumerate(chosen))))
    shots = shots_of(worst_first, LABELS.names, lambda places: [(each, samples[each]) for each in places], most=most)
    assert [shot.name for shot in shots] == [f"{n}.png" for n in range(7, -1, -1)]
    assert most / 4 < sum(len(base64.b64encode(shot.image)) for shot in shots) < most
    # A box from a tenth to half of the width, in thousandths of it.
    assert [(shape.kind, shape.path) for shape in shots[0].shapes] == [("missed", "M100 75H500V375H100z")]
    assert shots[0].cells == {"1-b": 1}


def test_the_training_data_is_compared():
    def look(side: float, gray: int, seed: int) -> Look:
        random = np.random.default_rng(seed)
        image = Image.new("RGB", (100, 100), (gray, gray, gray))
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        ref = ImageRef(name="a.png", width=100, height=100, data=buffer.getvalue())
        sides = random.normal(side, 5, 60).clip(1, 99)
        return Look.of(Sample(image=ref, boxes=Boxes(["mug"], [(0, 0, each, each)])) for each in sides)

    same = Likeness(look(30, 100, 1), look(30, 100, 2))
    assert same.remarks() == ["No clear difference between these images and the training images."]
    other = Likeness(look(60, 100, 1), look(30, 200, 2))
    assert [each.name for each in other.features() if each.differs] == ["Box sizes", "Brightness"]
    assert other.features()[2].medians == (100, 200)
    assert other.remarks()[1] == (
        "Brightness: clearly different, with a median of 100 of 255, and of 200 in the training data."
    )
    assert "not found" in Likeness(look(60, 100, 1), None).remarks()[0]


def _grid(number_of: int) -> Any:
    """Sixteen mugs in a grid, all found; the scores rise with the number."""
    boxes = [("mug", _cell(place)) for place in range(16)]
    return _pair(boxes, [("mug", edges, 0.9 + number_of / 1000) for _, edges in boxes], f"{number_of}.jpg")


def _changed(pair: tuple[Sample, Detections], place: int, *box: Any, **attributes: Any) -> tuple[Sample, Detections]:
    sample, found = pair
    labels, edges = list(sample.boxes.labels), list(sample.boxes.coordinates)
    labels[place : place + 1], edges[place : place + 1] = [each[0] for each in box], [each[1] for each in box]
    fields = [attributes if number_of == place else {} for number_of in range(len(labels))]
    return sample.replace(boxes=Boxes(labels, edges, fields)), found


def test_suspected_label_errors() -> None:
    pairs = [_grid(number_of) for number_of in range(20)]
    left, top, right, bottom = _cell(6)
    pairs[3] = _changed(pairs[3], 5)  # a mug without a box
    pairs[7] = _changed(pairs[7], 6, ("key", _cell(6)))
    pairs[9] = _changed(pairs[9], 6, ("mug", (left + 10, top + 5, right + 10, bottom + 5)))
    nowhere = (98.0, 98.0, 100.0, 100.0)
    pairs[12] = _changed(pairs[12], 6, ("mug", _cell(6)), ("mug", nowhere))
    pairs[13] = _changed(pairs[13], 6, ("mug", _cell(6)), ("mug", nowhere), iscrowd=0)
    pairs[15] = _changed(pairs[15], 6, ("mug", (0, 0, 100, 100)), iscrowd=1)
    suspects = suspects_of(Tally.of(pairs, LABELS, np.full(2, 0.3)).outcomes, LABELS.names)
    assert {(each.image, each.kind, each.position) for each in suspects[:5]} == {
        (3, "missing", -1),
        (7, "class", 6),
        (9, "place", 6),
        (12, "not found", 7),
        (13, "not found", 7),
    }
    assert [each.text() for each in sorted(suspects[:4], key=lambda each: each.image)] == [
        "mug without a box?",
        "key, or mug?",
        "mug in another place?",
        "mug? Nothing finds it.",
    ]
    # A detection next to a box that nothing finds is as suspicious as one of another class at it, or without a box.
    of_kind = {each.kind: each.suspicion for each in suspects[:5]}
    assert of_kind["place"] == pytest.approx(of_kind["missing"], abs=0.05)
    assert of_kind["place"] > 0.8
    assert suspects[5].suspicion < 0.1 < 0.35 < suspects[4].suspicion
    assert [each.suspicion for each in suspects] == sorted((each.suspicion for each in suspects), reverse=True)
    assert len(listed(suspects)) == 5
    samples = suspect_samples(listed(suspects), [sample for sample, _ in pairs])
    assert {sample.image.name: sample.boxes.labels for sample in samples} == {
        "3.jpg": ("missing: mug",),
        "7.jpg": ("class: key",),
        "9.jpg": ("place: mug",),
        "12.jpg": ("not found: mug",),
        "13.jpg": ("not found: mug",),
    }
    (of_place,) = (sample for sample in samples if sample.image.name == "9.jpg")
    assert of_place.boxes.coordinates == (_cell(6),)  # where the detection is


def test_shares_are_pooled_where_they_would_rise() -> None:
    shares, counts = _falling(np.array([1, 0, 1, 1, 0, 0, 1], bool))
    assert shares.tolist() == pytest.approx([1, 2 / 3, 2 / 3, 2 / 3, 1 / 3, 1 / 3, 1 / 3])
    assert counts.tolist() == [1, 3, 3, 3, 3, 3, 3]


# The page --------------------------------------------------------------------------------------------------------


class Checker(HTMLParser):
    """Fails where a tag is not closed in its turn; keeps the text, and what could load something."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.loaded: list[str] = []
        self.policy = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        if "http-equiv" in values:
            self.policy = values["content"] or ""
        self.loaded += [value or "" for name, value in attributes if name in ("src", "href", "xlink:href", "srcset")]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


EVIL = '</script><img src=x onerror=alert("&")>'


class Finder:
    """A model that finds a mug in every image, and a key with a low score."""

    label_map = LabelMap.from_names(["key", "mug", EVIL])
    is_raw = False

    def __init__(self, decoder: DecoderSettings | None = None) -> None:
        self.decoder = decoder or DecoderSettings(score=0.6)

    def with_decoder(self, decoder: DecoderSettings) -> Finder:
        return Finder(decoder)

    def predict(self, samples: Iterable[Sample], *, batch_size: int = 8, score: float = 0.0) -> Iterator[Detections]:
        for sample in samples:
            boxes = np.array([[64, 48, 320, 240], [400, 200, 500, 300]])
            yield Detections.from_arrays(sample.image, ["mug", "key"], boxes, [0.9, 0.5])


@pytest.fixture
def data() -> Dataset:
    return Dataset(
        SampleReader(
            [
                Sample(image=_photo("right.png", 1), boxes=Boxes(["mug"], [(64, 48, 320, 240)])),
                Sample(
                    image=_photo(f"{EVIL}.png", 2), boxes=Boxes([EVIL, "key"], [(64, 48, 320, 240), (0, 0, 50, 50)])
                ),
            ]
        )
    )


def test_page(data: Dataset, tmp_path: Path, plugins: Registry) -> None:
    page, table = tmp_path / "page.html", tmp_path / "page.csv"
    made = evaluate_with_report(Finder(), data, page, table=table, metric="f1", registry=plugins)
    text = page.read_text("utf-8")
    checked = Checker(text)
    # Worst image first, at the score of the model: the key with a score of 0.5 is not shown.
    assert text.index("onerror=alert") < text.index('data-name="right.png"')
    assert "2 objects: 0 found, 1 missed, 1 of another class" in "".join(checked.text)
    assert "At a score of 0.6, of 3 objects 1 is found, with 1 false alarm." in "".join(checked.text)
    # Nothing is loaded, and the policy allows the page's own script alone.
    assert all(each.startswith(("data:image/", "#")) for each in checked.loaded)
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in checked.policy
    assert checked.policy.startswith("default-src 'none'; img-src data:;")
    # JSON and CSV contain the same numbers.
    content = json.loads(json.dumps(made.to_dict(), allow_nan=False))["details"]
    rows = list(csv.DictReader(io.StringIO(table.read_text("utf-8"))))
    found = {(row["section"], row["item"], row["name"]): row["value"] for row in rows}
    assert content["confusion"]["matrix"] == [[0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 1, 0], [0, 0, 0, 0]]
    assert found["confusion", EVIL, "mug"] == "1"
    assert float(found["f1", "", "precision"]) == content["metrics"]["f1"]["values"]["precision"] == 0.5
    assert float(found["size", "large", "objects"]) == content["sizes"][2]["objects"] == 2
    assert made.measures.evaluation.to_dict()["score"] == 0.6
    with pytest.raises(OutputError, match="exists already"):
        evaluate_with_report(Finder(), data, page, registry=plugins)


def test_nothing_is_written_if_the_page_has_another_name(data: Dataset, tmp_path: Path, plugins: Registry) -> None:
    with pytest.raises(UsageError, match="is not an HTML page"):
        evaluate_with_report(Finder(), data, tmp_path / "page.pdf", table=tmp_path / "page.csv", registry=plugins)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suspects", ["truth.lines", "./link.lines"])
def test_suspects_never_replace_the_evaluated_data(suspects: str, tmp_path: Path, plugins: Registry) -> None:
    truth = tmp_path / "truth.lines"
    truth.write_text("a.png 100 100 mug 0 0 10 10\n", "utf-8")
    (tmp_path / "link.lines").symlink_to(truth)
    with pytest.raises(UsageError, match="is the source, which would be replaced"):
        evaluate_with_report(
            Finder(),
            f"lines:{truth}",
            suspects=f"lines:{tmp_path}/{suspects}",
            metric="f1",
            overwrite=True,
            registry=plugins,
        )
    assert truth.read_text("utf-8") == "a.png 100 100 mug 0 0 10 10\n"


def test_the_page_of_a_model_without_suspects_is_written(tmp_path: Path, plugins: Registry) -> None:
    boxes = Boxes(["mug", "key"], [(64, 48, 320, 240), (400, 200, 500, 300)])
    right = Dataset(SampleReader([Sample(image=_photo("right.png", 1), boxes=boxes)]))
    page, suspects = tmp_path / "page.html", tmp_path / "suspects.lines"
    made = evaluate_with_report(Finder(), right, page, suspects=f"lines:{suspects}", metric="f1", registry=plugins)
    assert made.suspects == []
    assert page.is_file()
    assert not suspects.exists()


@pytest.mark.parametrize("write", [evaluate_with_report, compare_with_report])
def test_the_page_and_the_table_are_different_files(write: Any, tmp_path: Path, plugins: Registry) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{}", "utf-8")
    with pytest.raises(UsageError, match="both the page and the CSV file"):
        write(tmp_path, "a.json", tmp_path / "a.html", table=f"{tmp_path}/./a.html", registry=plugins)


@pytest.mark.parametrize("line", ['{"epoch": 2, "lo', "[1]", "{}"])
def test_damaged_metrics_leave_the_curves_out(line: str, tmp_path: Path) -> None:
    labels = LabelMap.from_names(["mug"])
    run = Run.create(tmp_path / "run", backend="any", config={}, label_map=labels, inputs={})
    run.file("metrics.jsonl").write_text(f'{{"epoch": 1, "loss": 2}}\n{line}\n', "utf-8")
    with pytest.raises(RunError, match=r"metrics\.jsonl is damaged"):
        run.metrics()
    assert training_of(str(run.path)) == {}


def test_images_of_the_same_name_keep_their_outcomes(tmp_path: Path, plugins: Registry) -> None:
    found = Boxes(["mug", "key"], [(64, 48, 320, 240), (400, 200, 500, 300)])
    samples = [Sample(image=_photo("a.png", 1), boxes=found), Sample(image=_photo("a.png", 2), boxes=Boxes())]
    page = tmp_path / "page.html"
    evaluate_with_report(Finder(), Dataset(SampleReader(samples)), page, metric="f1", registry=plugins)
    text = page.read_text("utf-8")
    assert re.findall(r"<small>(\d objects?: [^<]*)</small>", text) == [
        "2 objects: 1 found, 1 missed",
        "0 objects: 0 found, 1 false alarm",
    ]
    encoded = re.findall(r'<span class="frame"[^>]*><img src="([^"]+)"', text)
    assert encoded[0] != encoded[1]


def test_images_without_boxes_have_a_report(tmp_path: Path, plugins: Registry) -> None:
    empty = Dataset(SampleReader([Sample(image=_photo("a.png", 1))]))
    page = tmp_path / "page.html"
    evaluate_with_report(Finder(), empty, page, metric="f1", registry=plugins)
    assert "of 0 objects 0 are found, with 1 false alarm." in "".join(Checker(page.read_text("utf-8")).text)
