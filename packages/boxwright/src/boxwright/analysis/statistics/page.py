"""The statistics of a dataset as an HTML page with charts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from boxwright.analysis.statistics import USUAL_ANCHORS, Statistics
from boxwright.analysis.statistics.charts import Row, bars, density
from boxwright.analysis.statistics.histograms import Histogram, histogram_rows
from boxwright.datasets.scan import Scan
from boxwright.errors import DataError
from boxwright.render.boxes import palette
from boxwright.render.pages import Card, css_color, rendered

if TYPE_CHECKING:
    pass

_CLASSES, _SIZES, _SKIPPED = 40, 10, 10

_SIZE = "The square root of a box's area, in pixels."
_SHARE = (
    "The square root of a box's area divided by its image's: 10 % is a box with a tenth of the width and the height."
)


def statistics_page(
    title: str, scan: Scan, statistics: Statistics, *, one_based_option: str = "", skipped: Sequence[DataError] = ()
) -> str:
    """Returns the page as HTML text.

    Args:
        title: The dataset's URI.
        scan: Its counts.
        statistics: Its histograms, from the same reading.
        one_based_option: As for :meth:`boxwright.analysis.conventions.BorderCounts.advice`.
        skipped: The items that were skipped.
    """
    numbers = [
        (f"{scan.samples:,}", "images"),
        (f"{scan.boxes:,}", "boxes"),
        (f"{len(scan.classes):,}", "classes"),
        (f"{scan.boxes / max(scan.samples, 1):.1f}", "boxes per image on average"),
        (f"{scan.empty:,}", "images without boxes"),
    ]
    cards = [
        _classes(scan),
        _chart("Box sizes", statistics.sizes, "boxes", _SIZE, *_size_remarks(statistics)),
        _chart("Box sizes relative to the image", statistics.relative_sizes, "boxes", _SHARE),
        _chart("Aspect ratios", statistics.ratios, "boxes", "Width to height of a box."),
        _chart("Boxes per image", statistics.boxes_per_image, "images"),
        _positions(scan, statistics),
        _image_sizes(scan),
        _convention(statistics, one_based_option),
        _problems(scan, skipped),
    ]
    splits = ", ".join(f"{name} {number:,}" for name, number in sorted(scan.splits.items()))
    return rendered(
        "statistics.html.jinja",
        title=title,
        notes=[f"splits: {splits}"] if splits else [],
        numbers=numbers,
        cards=[card for card in cards if card is not None],
    )


def _classes(scan: Scan) -> Card | None:
    colors = palette([*scan.label_map.names, *scan.classes])
    frequent = sorted(scan.classes.items(), key=lambda item: (-item[1], item[0]))
    rows = [Row(name, number, f"{number:,}", css_color(colors[name])) for name, number in frequent[:_CLASSES]]
    rest = frequent[_CLASSES:]
    if rest:
        rows.append(Row(f"{len(rest):,} others", 0, f"{sum(number for _, number in rest):,} together"))
    return Card("Classes", bars(rows, "boxes per class"), ["Boxes of each class."]) if rows else None


def _chart(title: str, histogram: Histogram, counted: str, *remarks: str) -> Card | None:
    rows = [
        Row(each.label, each.count, f"{each.count:,} · {each.share:.1%}" if each.label != "…" else "")
        for each in histogram_rows(histogram.bins)
    ]
    return Card(title, bars(rows, f"{counted}: {title}"), remarks) if rows else None


def _size_remarks(statistics: Statistics) -> list[str]:
    typical, coco = statistics.typical_sizes, statistics.by_coco
    low, first, last, high = (f"{typical[share]:.0f}" for share in ("5%", "25%", "75%", "95%"))
    best, fitted = statistics.best_anchors
    other = f"; from {best} px on they would fit {fitted:.1%}" if best != USUAL_ANCHORS else ""
    return [
        f"Half of the boxes are {first} to {last} px large, nine in ten are {low} to {high} px.",
        f"COCO's size classes: {coco['small']:,} small, {coco['medium']:,} medium, {coco['large']:,} large.",
        f"RetinaNet's usual anchors, from {USUAL_ANCHORS} px on, fit {statistics.fitted_by(USUAL_ANCHORS):.1%} of them"
        f" at the images' own size{other}.",
    ]


def _positions(scan: Scan, statistics: Statistics) -> Card | None:
    if not scan.boxes:
        return None
    width, height = max(scan.sizes, key=lambda size: scan.sizes[size])
    chart = density(statistics.positions.tolist(), width / height, "positions of the centers of the boxes")
    return Card("Positions", chart, ["Where the centers of the boxes are in their images."])


def _image_sizes(scan: Scan) -> Card | None:
    sizes = sorted(scan.sizes.items(), key=lambda item: (-item[1], item[0]))
    rows = [Row(f"{width}×{height}", number, f"{number:,}") for (width, height), number in sizes[:_SIZES]]
    if len(sizes) > _SIZES:
        rows.append(Row(f"{len(sizes) - _SIZES:,} others", 0, f"{sum(n for _, n in sizes[_SIZES:]):,} together"))
    return Card("Image sizes", bars(rows, "images by size"), ["Width and height in pixels."]) if rows else None


def _convention(statistics: Statistics, option: str) -> Card | None:
    borders = statistics.borders
    if not borders.total:
        return None
    rows = [
        *(Row(f"xmin, ymin {_position(name)}", number, f"{number:,}") for name, number in borders.low.items()),
        *(Row(f"xmax, ymax {_position(name)}", number, f"{number:,}") for name, number in borders.high.items()),
    ]
    remarks = [
        f"{text[0].upper()}{text[1:]}."
        for text in (
            borders.conclusion,
            *borders.advice(option),
            f"{borders.fractional:,} of {borders.total:,} coordinates are not whole numbers",
        )
    ]
    return Card("Pixel convention", bars(rows, "coordinates at the edges of the images"), remarks)


def _position(name: str) -> str:
    return name if name[0] == "b" else f"at {name}"


def _problems(scan: Scan, skipped: Sequence[DataError]) -> Card | None:
    flawed = {flaw: number for flaw, number in scan.flawed.items() if number}
    alarms = [f"{number:,} {'box' if number == 1 else 'boxes'} {flaw}" for flaw, number in flawed.items()]
    if skipped:
        alarms.append(f"{len(skipped):,} items could not be read and were skipped:")
        alarms += [error.message for error in skipped[:_SKIPPED]]
    if len(skipped) > _SKIPPED:
        alarms.append(f"... and {len(skipped) - _SKIPPED:,} more")
    return Card("Problems", remarks=["`boxwright validate` lists each one."], alarms=alarms) if alarms else None
