"""A chart of a benchmark: latency against AP, one bubble per model, whose area is the size on disk."""

from __future__ import annotations

import io
import math
import os
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageDraw

from boxwright.errors import UsageError
from boxwright.models.benchmark import Benchmark, Measurement, benchmark
from boxwright.render.boxes import Color, palette
from boxwright.render.pages import PAGES, rendered
from boxwright.render.text import clean, shortened, text_width, write_line
from boxwright.storage.output import AtomicOutput

_WIDTH, _PLOT = 800, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 24, 20, 56
_LARGEST, _SMALLEST = 32.0, 5.0
_LETTERS, _ROW = 13, 24
_SCALE = 2
"""A PNG has this many pixels for each of the units above."""
_PAPER, _INK, _FAINT, _LINE = (255, 255, 255), (27, 27, 31), (102, 102, 110), (226, 226, 230)


@dataclass(frozen=True)
class Bubble:
    """A model in the chart: its name, numbers and color, and its circle in units of the chart."""

    name: str
    text: str
    color: Color
    x: float
    y: float
    radius: float


@dataclass(frozen=True)
class Chart:
    """The chart: its bubbles, the largest first, and the ticks of both axes with their positions."""

    bubbles: list[Bubble]
    across: list[tuple[float, str]]
    up: list[tuple[float, str]]


def benchmark_with_chart(
    models: Any, data: str, out: str | os.PathLike[str], *, overwrite: bool = False, **options: Any
) -> Benchmark:
    """Measures models side by side, and draws latency against AP.

    Args:
        models: As for :func:`boxwright.benchmark`.
        data: As for :func:`boxwright.benchmark`.
        out: The file to write, ``.html`` or ``.png``.
        overwrite: Whether an existing file may be replaced.
        options: Further arguments of :func:`boxwright.benchmark`.

    Raises:
        UsageError: The name of the file ends differently.
        OutputError: The file exists and ``overwrite`` is false, or it cannot be written.
    """
    suffix = os.path.splitext(out)[1].lower()
    if suffix not in (*PAGES, ".png"):
        raise UsageError(f"{os.fspath(out)} is not a chart", "use a name that ends in .html or .png")
    with AtomicOutput(os.fspath(out), overwrite=overwrite) as output:
        result = benchmark(models, data, **options)
        with output.open() as file:
            file.write(_page(result).encode() if suffix in PAGES else _image(result))
    return result


def name_of(row: Measurement) -> str:
    """Returns ``first, in its framework`` or ``exported (onnx:fp16)``."""
    name = os.path.basename(os.path.normpath(row.model))
    return {"framework": f"{name}, in its framework", "run": name}.get(row.kind, f"{name} ({row.kind})")


def chart_of(result: Benchmark) -> Chart:
    """Returns the chart; models without a measured AP are at 0."""
    latencies = [row.predict.median * 1000 for row in result.rows if row.predict]
    low, high = math.log10(min(latencies)), math.log10(max(latencies))
    low, high = low - max(0.1, (high - low) * 0.1), high + max(0.1, (high - low) * 0.1)
    top = max(0.1, *(row.ap or 0 for row in result.rows)) * 1.12
    most = max(row.bytes for row in result.rows) or 1

    def x_of(milliseconds: float) -> float:
        share = (math.log10(milliseconds) - low) / (high - low)
        return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)

    def y_of(ap: float) -> float:
        return round(_TOP + (1 - ap / top) * (_PLOT - _TOP - _BOTTOM), 1)

    names = [name_of(row) for row in result.rows]
    colors = palette([str(number) for number in range(len(names))])
    bubbles = [
        Bubble(
            name,
            f"{row.predict.median * 1000:.1f} ms, {_ap(row)}, {row.bytes / 1e6:.1f} MB",
            colors[str(number)],
            x_of(row.predict.median * 1000),
            y_of(row.ap or 0),
            round(max(_SMALLEST, _LARGEST * math.sqrt(row.bytes / most)), 1),
        )
        for number, (name, row) in enumerate(zip(names, result.rows, strict=True))
        if row.predict
    ]
    steps = (digit * 10.0**power for power in range(-3, 7) for digit in (1, 2, 5))
    across = [(x_of(step), f"{step:g}") for step in steps if low <= math.log10(step) <= high]
    spacing = next(step for step in (0.02, 0.05, 0.1, 0.2) if top / step <= 8)
    up = [(y_of(number * spacing), f"{number * spacing:.2g}") for number in range(int(top / spacing) + 1)]
    return Chart(bubbles, across, up)


def _ap(row: Measurement) -> str:
    return "AP not measured" if row.ap is None else f"AP {row.ap:.3f}"


def _title(result: Benchmark) -> str:
    return f"Latency and AP on {result.data}"


def _notes(result: Benchmark) -> list[str]:
    return [
        f"{result.machine}; threads: {result.threads}; one image at a time, median of at most {result.rounds} calls"
        f" after {result.warmup} to warm up; the area of a bubble is the size of the model on disk",
        *result.notes,
    ]


def _page(result: Benchmark) -> str:
    return rendered(
        "benchmark.html.jinja",
        title=_title(result),
        notes=_notes(result),
        chart=chart_of(result),
        width=_WIDTH,
        height=_PLOT,
        left=_LEFT,
        right=_WIDTH - _RIGHT,
        top=_TOP,
        bottom=_PLOT - _BOTTOM,
    )


def _image(result: Benchmark) -> bytes:
    chart, margin = chart_of(result), 44
    height = margin + _PLOT + _ROW * (len(chart.bubbles) + 1)
    image = Image.new("RGB", (_WIDTH * _SCALE, height * _SCALE), _PAPER)
    draw = ImageDraw.Draw(image, "RGBA")

    def text(x: float, y: float, content: str, color: Color = _INK, size: int = _LETTERS, align: float = 0) -> None:
        content = shortened(clean(content), size * _SCALE, (_WIDTH - 32) * _SCALE)
        left = x * _SCALE - align * text_width(content, size * _SCALE)
        write_line(draw, left, y * _SCALE, content, size * _SCALE, color)

    def line(*corners: float) -> None:
        draw.line([corner * _SCALE for corner in corners], fill=_LINE, width=_SCALE)

    text(16, 24, _title(result), size=18)
    for x, content in chart.across:
        line(x, margin + _TOP, x, margin + _PLOT - _BOTTOM)
        text(x, margin + _PLOT - _BOTTOM + 14, content, _FAINT, align=0.5)
    for y, content in chart.up:
        line(_LEFT, margin + y, _WIDTH - _RIGHT, margin + y)
        text(_LEFT - 10, margin + y, content, _FAINT, align=1)
    text(_LEFT - 10, margin + 4, "AP", _FAINT, align=1)
    text(_WIDTH - _RIGHT, margin + _PLOT - _BOTTOM + 36, "milliseconds an image", _FAINT, align=1)
    for bubble in sorted(chart.bubbles, key=lambda each: -each.radius):
        x, y, r = bubble.x, margin + bubble.y, bubble.radius
        box = [edge * _SCALE for edge in (x - r, y - r, x + r, y + r)]
        draw.ellipse(box, fill=(*bubble.color, 150), outline=(*bubble.color, 255), width=2 * _SCALE)
    for number, bubble in enumerate(chart.bubbles):
        y = margin + _PLOT + number * _ROW
        draw.ellipse([edge * _SCALE for edge in (18, y - 5, 28, y + 5)], fill=bubble.color)
        text(38, y, f"{bubble.name}: {bubble.text}")
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
