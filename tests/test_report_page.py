"""The page of an evaluation in a browser: filters, enlarged images, the keyboard, narrow screens; and its matrix."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import boxwright
from boxwright import Boxes, Detections, ImageRef, LabelMap, Sample
from boxwright.analysis import evaluate_with_report
from boxwright.analysis.report.outcomes import Tally

LABELS = LabelMap.from_names([f"class {number:02}" for number in range(40)])


def cell(place: int) -> tuple[float, float, float, float]:
    """Returns one of 16 places that do not overlap, in an image of 200 x 200 pixels."""
    left, top = place % 4 * 50.0, place // 4 * 50.0
    return left, top, left + 40, top + 40


def drawn(images: int, classes: int, seed: int = 0) -> list[tuple[Sample, Detections]]:
    """Returns images of noise with random classes in a grid, and detections of which a part is right."""
    random = np.random.default_rng(seed)
    names = LABELS.names[:classes]
    pairs = []
    for number in range(images):
        buffer = io.BytesIO()
        Image.fromarray(random.integers(0, 255, (50, 50, 3), np.uint8)).resize((200, 200)).save(buffer, "JPEG")
        ref = ImageRef(name=f"{number:03}.jpg", width=200, height=200, data=buffer.getvalue())
        places = random.permutation(16)
        labels = random.choice(names, 8).tolist()
        sample = Sample(image=ref, boxes=Boxes(labels, [cell(place) for place in places[:8]]))
        guesses = [
            label if random.random() < 0.8 else str(random.choice(names)) for label in (*labels[1:], *labels[:2])
        ]
        boxes = np.array([cell(place) for place in places[1:10]]) + random.normal(0, 1, (9, 4))
        pairs.append((sample, Detections.from_arrays(ref, guesses, boxes, random.uniform(0.05, 1, 9))))
    return pairs


class Replay:
    """A model whose detections are known."""

    label_map = LABELS

    def __init__(self, pairs: list[tuple[Sample, Detections]]) -> None:
        self.found = {sample.image.name: found for sample, found in pairs}

    def predict(self, samples: Iterable[Sample], *, batch_size: int = 8, score: float = 0.0) -> Iterator[Detections]:
        for sample in samples:
            yield self.found[sample.image.name]


def test_the_confusion_matrix_is_that_of_hotcoco() -> None:
    """In places that do not overlap, so that the order of matching does not matter."""
    columns = pytest.importorskip("boxwright_cocoeval.columns")
    pairs = drawn(60, 5)
    measured, _ = columns.evaluation(pairs, LABELS, 100)
    expected = measured.confusion_matrix(iou_thr=0.5, max_det=100, min_score=0.3)["matrix"]
    tally = Tally.of(pairs, LABELS, np.full(40, 0.3))
    assert tally.confusion.tolist() == np.asarray(expected, np.int64).tolist()
    assert tally.confusion.sum() > 500


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    pairs = drawn(24, 40)
    path = tmp_path_factory.mktemp("report") / "page.html"
    data = boxwright.from_samples([sample for sample, _ in pairs], label_map=LABELS)
    return path, evaluate_with_report(Replay(pairs), data, path, metric="f1")  # type: ignore[arg-type]


def check(path: Path, act: Any, **options: Any) -> Any:
    """Opens the page in a browser, if one is installed, and returns what a function finds there."""
    pytest.importorskip("playwright")
    browser = pytest.importorskip("boxwright_page.browser")
    if browser.find_browser() is None:
        pytest.skip("no browser is installed")

    def opened() -> Any:
        page = browser.open_page(path, **options)
        problems: list[str] = []
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        try:
            page.reload()
            result = act(page)
        finally:
            page.context.close()
        assert problems == []
        return result

    return browser.call(opened)


def test_a_cell_of_the_matrix_filters_the_images(made: tuple[Path, Any]) -> None:
    path, report = made
    confusion = report.measures.tally.confusion
    wrong = [(t, p) for t, p in zip(*np.nonzero(confusion[:40, :40]), strict=True) if t != p]
    truth, predicted = (int(each) for each in wrong[0])
    expected = sum(
        bool(((each.cells.truth == truth) & (each.cells.predicted == predicted)).any())
        for each in report.measures.tally.outcomes
    )

    def act(page: Any) -> Any:
        page.click(f"table button[data-cell='{truth}-{predicted}']")
        shown = page.locator("figure:visible").count()
        lit = page.evaluate(
            "[...document.querySelectorAll('figure:not([hidden]) [data-cell]:not(.dim)')].map(e => e.dataset.cell)"
        )
        page.click("#only")
        return shown, set(lit), page.locator("figure:visible").count()

    assert check(path, act) == (expected, {f"{truth}-{predicted}"}, 24)


def test_images_are_sorted_also_those_that_were_hidden(made: tuple[Path, Any]) -> None:
    def act(page: Any) -> Any:
        names = "[...document.querySelectorAll('figure:not([hidden])')].map(e => e.dataset.name)"
        worst = page.evaluate(names)
        page.select_option("#label", label="class 07")
        page.select_option("#order", "name")
        some = page.evaluate(names)
        page.select_option("#label", "")
        every = page.evaluate(names)
        page.select_option("#order", "worst")
        again = page.evaluate(names)
        return (
            worst == again,
            0 < len(some) < 24,
            some == sorted(some),
            every == sorted(worst),
            page.locator(".dim").count(),
        )

    assert check(made[0], act) == (True, True, True, True, 0)


def test_an_image_is_enlarged_and_closed_by_the_keyboard(made: tuple[Path, Any]) -> None:
    def act(page: Any) -> Any:
        page.focus("figure .open")
        page.keyboard.press("Enter")
        first = page.inner_text("dialog p")
        page.keyboard.press("ArrowRight")
        second = page.inner_text("dialog p")
        width = page.evaluate("document.querySelector('dialog .frame').getBoundingClientRect().width")
        page.keyboard.press("Escape")
        closed = page.evaluate("!document.querySelector('dialog').open && !document.querySelector('dialog .frame')")
        return first != second, width > 600, closed, page.locator("figure .frame").count()

    assert check(made[0], act, viewport={"width": 1000, "height": 800}) == (True, True, True, 24)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_forty_classes_fit_on_a_phone(made: tuple[Path, Any], scheme: str) -> None:
    def act(page: Any) -> Any:
        width = page.evaluate("document.documentElement.scrollWidth")
        colors = page.evaluate(
            "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
        )
        return width, colors

    width, (paper, ink) = check(made[0], act, viewport={"width": 390, "height": 844}, color_scheme=scheme)
    assert width == 390
    assert (sum(map(int, paper[4:-1].split(","))) < sum(map(int, ink[4:-1].split(",")))) == (scheme == "dark")


def test_the_page_is_complete_without_its_script(made: tuple[Path, Any]) -> None:
    def act(page: Any) -> Any:
        return page.locator("figure:visible").count(), page.locator(".filters:visible").count()

    assert check(made[0], act, java_script_enabled=False) == (24, 0)
