"""The page with charts: well-formed, self-contained, escaped, and with the right numbers."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from boxwright import DataError, OutputError, Sample, UsageError
from boxwright.analysis.statistics import Statistics
from boxwright.analysis.statistics.charts import Row, bars, density
from boxwright.analysis.statistics.page import statistics_page
from boxwright.datasets.scan import Scan
from boxwright.render import page_output

_VOID = {"meta"}
_EVIL = '<script>alert("&")</script>'


class Checker(HTMLParser):
    """Fails where a tag is not closed in its turn; keeps the text, and what could load or run something."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.text: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attributes

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def page_of(*samples: Sample, **options: object) -> tuple[str, Checker]:
    statistics = Statistics()
    scan = Scan.of(statistics.watch(samples))
    text = statistics_page("labelimg:photos", scan, statistics, **options)  # type: ignore[arg-type]
    return text, Checker(text)


@pytest.fixture
def three(sample: Callable[..., Sample]) -> list[Sample]:
    return [
        sample("a.jpg", ("fig", 0, 0, 50, 40), ("date", 10, 10, 10, 20), split="train"),
        sample("b.jpg", ("fig", 1, 1, 100, 80), split="test"),
        sample("c.jpg", size=(200, 100), split="train"),
    ]


def test_it_contains_the_numbers(three: list[Sample]) -> None:
    _, page = page_of(*three)
    text = " ".join(page.text)
    for expected in ("labelimg:photos", "splits: test 1, train 2", "100×80", "200×100", "1 box without area"):
        assert expected in text
    assert page.tags.count("svg") == 8
    numbers = re.findall(r"<b>([^<]*)</b>([^<]*)", page_of(*three)[0])
    assert numbers == [
        ("3", "images"),
        ("3", "boxes"),
        ("2", "classes"),
        ("1.0", "boxes per image on average"),
        ("1", "images without boxes"),
    ]


def test_it_loads_and_runs_nothing(three: list[Sample]) -> None:
    text, page = page_of(*three)
    assert not {"script", "link", "img", "iframe", "object", "foreignobject", "use", "a", "image"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on") or name in ("src", "href", "xlink:href")]
    assert "default-src 'none'" in text
    assert "url(" not in text
    assert "@import" not in text
    assert "prefers-color-scheme: dark" in text


def test_names_from_files_are_escaped(sample: Callable[..., Sample]) -> None:
    bad = sample("a.jpg", (_EVIL, 1, 1, 9, 9), split=_EVIL)
    skipped = [DataError(_EVIL, "it is not an image", "replace it")]
    text, page = page_of(bad, skipped=skipped)
    assert "<script" not in text
    assert "script" not in page.tags
    assert f"splits: {_EVIL} 1" in "".join(page.text)
    assert any(_EVIL in piece and "not an image" in piece for piece in page.text)


def test_a_dataset_without_boxes_or_without_anything(sample: Callable[..., Sample]) -> None:
    _, page = page_of(sample("a.jpg"))
    assert page.tags.count("svg") == 2  # boxes per image, image sizes
    _, page = page_of()
    assert page.tags.count("svg") == 0


def test_rare_classes_and_sizes_are_summed_up(sample: Callable[..., Sample]) -> None:
    many = [sample(f"{i}", *[(f"class {i:02}", 1, 1, 9, 9)] * (60 - i), size=(100 + i, 80)) for i in range(50)]
    _, page = page_of(*many)
    text = "".join(page.text)
    assert "class 39" in text
    assert "class 40" not in text
    assert "10 others" in text
    assert "40 others" in text  # sizes
    assert f"{sum(60 - i for i in range(40, 50))} together" in text


def test_it_describes_the_convention(sample: Callable[..., Sample]) -> None:
    text, _ = page_of(sample("a", *[("fig", 1, 1, 100, 80)] * 4), one_based_option="?one_based=true")
    assert "Counts from 1 with the last pixel included, as Pascal VOC does." in text
    assert "Read it with ?one_based=true." in text


def test_the_page_is_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="ends in .html"):
        page_output(tmp_path / "page.png")
    (tmp_path / "page.html").write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        page_output(tmp_path / "page.html")


def lengths(svg: str) -> list[float]:
    return [float(width) for width in re.findall(r'class="bar"[^>]*width="([\d.]+)"', svg)]


def test_bars_are_as_long_as_their_values() -> None:
    svg = bars([Row("a", 10, "10"), Row("b", 5, "5"), Row("c", 0, "0"), Row("d", 0.001, "1")], "numbers")
    Checker(svg)
    whole, half, least = lengths(svg)
    assert half == pytest.approx(whole / 2, abs=0.1)
    assert least == 1.5  # what is there can be seen
    assert svg.count('class="track"') == 4
    assert svg.count("<title>") == 4


def test_long_labels_are_cut_and_said_whole_in_the_title() -> None:
    label = "a very long name of a class, longer than any label"
    svg = bars([Row(label, 1, "1", "rgb(1 2 3)")], "x")
    assert f"<title>{label}: 1</title>" in svg
    assert "a very long name of a c…</text>" in svg
    assert 'style="fill: rgb(1 2 3)"' in svg


def test_the_map_of_densities_shows_the_root_and_keeps_the_shape() -> None:
    svg = density([[4, 0], [1, 0]], aspect=1.0, description="places")
    Checker(svg)
    assert re.findall(r'opacity="([\d.]+)"', svg.replace("fill-opacity", "")) == ["1.00", "0.50"]
    assert lengths(svg) == [160.0, 160.0]
    assert svg.count("<title>4</title>") == 1


def test_labels_of_a_chart_are_escaped_and_cleaned() -> None:
    svg = bars([Row("<b>\x00\n\u2028b\ud800", 1, "&", '"')], "<a>")
    Checker(svg)
    assert "<title>&lt;b&gt; b?: &amp;</title>" in svg
    assert 'aria-label="&lt;a&gt;"' in svg
    assert 'style="fill: &#34;"' in svg
