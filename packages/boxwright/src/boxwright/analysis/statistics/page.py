"""What is in a dataset, as an HTML page with charts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from boxwright.analysis.statistics import USUAL_ANCHORS, Statistics
from boxwright.analysis.statistics.charts import Row, bars, density
from boxwright.analysis.statistics.histograms import Histogram, bars as lines_of
from boxwright.analysis.statistics.html import document, section, tiles
from boxwright.datasets.scan import Scan
from boxwright.errors import DataError, UsageError
from boxwright.render.boxes import palette
from boxwright.storage.output import AtomicOutput

_CLASSES, _SIZES, _SKIPPED = 40, 10, 10


def page_output(out: str | os.PathLike[str], *, overwrite: bool = False) -> AtomicOutput:
    """The file for a page, before the work for it begins.

    Raises:
        UsageError: The name does not end in ``.html``.
        OutputError: It exists already or cannot be written.
    """
    if Path(out).suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"{os.fspath(out)}: this is written as a page", "give a name that ends in .html")
    return AtomicOutput(os.fspath(out), overwrite=overwrite)


def render(
    title: str, scan: Scan, statistics: Statistics, *, one_based_option: str = "", skipped: Sequence[DataError] = ()
) -> str:
    """The page as HTML text.

    Args:
        title: The dataset's URI.
        scan: Its counts.
        statistics: Its histograms, of the same reading.
        one_based_option: As for :meth:`boxwright.analysis.conventions.BorderCounts.advice`.
        skipped: What was left out.
    """
    numbers = [
        (f"{scan.samples:,}", "pictures"),
        (f"{scan.boxes:,}", "boxes"),
        (f"{len(scan.classes):,}", "classes"),
        (f"{scan.boxes / max(scan.samples, 1):.1f}", "boxes a picture, on average"),
        (f"{scan.empty:,}", "without any box"),
    ]
    splits = ", ".join(f"{name} {number:,}" for name, number in sorted(scan.splits.items()))
    cards = [
        _classes(scan),
        _chart("Box sizes", statistics.sizes, "box", _SIZE, *_sizes_said(statistics)),
        _chart("Box sizes in their pictures", statistics.relative_sizes, "box", _SHARE),
        _chart("Aspect ratios", statistics.ratios, "box", "Width to height of a box."),
        _chart("Boxes in a picture", statistics.boxes_per_picture, "picture"),
        _positions(scan, statistics),
        _pictures(scan),
        _convention(statistics, one_based_option),
    ]
    flaws = [f"{number:,} {'box' if number == 1 else 'boxes'} {what}" for what, number in scan.flawed.items() if number]
    if flaws or skipped:
        left = [f"{error.message}" for error in skipped[:_SKIPPED]]
        more = [f"... and {len(skipped) - _SKIPPED:,} more"] if len(skipped) > _SKIPPED else []
        said = [f"{len(skipped):,} items could not be read and are left out:", *left, *more] if skipped else []
        cards.append(section("Flaws", remarks=["`boxwright validate` lists each one."], alarms=[*flaws, *said]))
    notes = [f"splits: {splits}"] if splits else []
    return document(title, [tiles(numbers), '<div class="cards">', *filter(None, cards), "</div>"], notes)


_SIZE = "The square root of a box's area, in pixels."
_SHARE = "The square root of a box's area over its picture's: 10 % is a box of a tenth of the width and of the height."


def _classes(scan: Scan) -> str:
    colors = palette([*scan.label_map.names, *scan.classes])
    frequent = sorted(scan.classes.items(), key=lambda item: (-item[1], item[0]))
    rows = [
        Row(name, number, f"{number:,}", "rgb({} {} {})".format(*colors[name])) for name, number in frequent[:_CLASSES]
    ]
    rest = frequent[_CLASSES:]
    if rest:
        rows.append(Row(f"{len(rest):,} others", 0, f"{sum(number for _, number in rest):,} together"))
    return section("Classes", bars(rows, "boxes by class"), ["Boxes of each class."]) if rows else ""


def _chart(title: str, histogram: Histogram, what: str, *remarks: str) -> str:
    rows = [
        Row(each.label, each.count, f"{each.count:,} · {each.share:.1%}" if each.label != "…" else "")
        for each in lines_of(histogram.bins)
    ]
    plural = f"{what}es" if what.endswith("x") else f"{what}s"
    return section(title, bars(rows, f"{plural}: {title}"), remarks) if rows else ""


def _sizes_said(statistics: Statistics) -> list[str]:
    typical, coco = statistics.typical_sizes, statistics.by_coco
    low, first, last, high = (f"{typical[share]:.0f}" for share in ("5%", "25%", "75%", "95%"))
    best, fitted = statistics.best_anchors
    other = f"; from {best} px on they would fit {fitted:.1%}" if best != USUAL_ANCHORS else ""
    return [
        f"Half of the boxes are {first} to {last} px large, nine in ten {low} to {high} px.",
        f"As COCO sorts them: {coco['small']:,} small, {coco['medium']:,} medium, {coco['large']:,} large.",
        f"RetinaNet's usual anchors, from {USUAL_ANCHORS} px on, fit {statistics.fitted_by(USUAL_ANCHORS):.1%} of them"
        f" at the pictures' own size{other}.",
    ]


def _positions(scan: Scan, statistics: Statistics) -> str:
    if not scan.boxes:
        return ""
    width, height = max(scan.sizes, key=lambda size: scan.sizes[size])
    chart = density(statistics.positions.tolist(), width / height, "where the boxes' centres lie")
    return section("Positions", chart, ["Where the middles of the boxes lie in their pictures."])


def _pictures(scan: Scan) -> str:
    sizes = sorted(scan.sizes.items(), key=lambda item: (-item[1], item[0]))
    rows = [Row(f"{width}×{height}", number, f"{number:,}") for (width, height), number in sizes[:_SIZES]]
    if len(sizes) > _SIZES:
        rows.append(Row(f"{len(sizes) - _SIZES:,} others", 0, f"{sum(n for _, n in sizes[_SIZES:]):,} together"))
    return section("Picture sizes", bars(rows, "pictures by size"), ["Width and height in pixels."]) if rows else ""


def _convention(statistics: Statistics, option: str) -> str:
    borders = statistics.borders
    if not borders.edges:
        return ""
    rows = [
        *(Row(f"xmin, ymin {_where(name)}", number, f"{number:,}") for name, number in borders.low.items()),
        *(Row(f"xmax, ymax {_where(name)}", number, f"{number:,}") for name, number in borders.high.items()),
    ]
    remarks = [
        f"{text[0].upper()}{text[1:]}."
        for text in (
            borders.conclusion,
            *borders.advice(option),
            f"{borders.fractional:,} of {borders.edges:,} edges are no whole numbers",
        )
    ]
    return section("Pixel convention", bars(rows, "edges at the borders of the pictures"), remarks)


def _where(name: str) -> str:
    return name if name[0] == "b" else f"at {name}"
