"""``boxwright diff``: lists the differences between two datasets, box by box."""

from __future__ import annotations

from enum import StrEnum
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from boxwright_cli.meanings import reads, writes
from boxwright_cli.session import Session, show_skipped
from boxwright_cli.text import amount
from boxwright_cli.values import JsonOption, OnError, OnErrorOption, OverwriteOption, parse_count

if TYPE_CHECKING:
    from boxwright.analysis import Comparison, Difference

_LINES = 10
"""The largest number of lines per image."""
_LONGEST = 40
"""The largest number of characters of a value."""
_STYLES = {"-": "red", "+": "green", "~": "yellow"}

_WORDS = {
    "only_in_first": "images only in the first",
    "only_in_second": "images only in the second",
    "size": "images with another size",
    "split": "images in another split",
    "removed": "boxes only in the first",
    "added": "boxes only in the second",
    "moved": "boxes moved",
    "relabelled": "boxes with another class",
    "box_attribute": "attributes of boxes",
    "image_attribute": "attributes of images",
    "dataset_attribute": "attributes of the dataset",
    "class_number": "class ids",
}


class By(StrEnum):
    """How to recognize the same image in both datasets."""

    NAME = "name"
    STEM = "stem"


def diff(
    context: typer.Context,
    first: Annotated[
        str, typer.Argument(metavar="FIRST", help="A dataset: FORMAT:LOCATION.", autocompletion=reads("dataset"))
    ],
    second: Annotated[
        str,
        typer.Argument(metavar="SECOND", help="Another dataset of the same images.", autocompletion=reads("dataset")),
    ],
    tolerance: Annotated[
        float,
        typer.Option("--tolerance", metavar="PIXELS", min=0.0, help="Coordinates may differ by this."),
    ] = 0.01,
    iou: Annotated[
        float,
        typer.Option("--iou", metavar="SHARE", min=0.001, max=1.0, help="Smallest IoU of a box and the moved one."),
    ] = 0.5,
    ignore: Annotated[
        list[str] | None,
        typer.Option(
            "--ignore",
            metavar="WHAT",
            help="Differences to ignore: attributes, splits, sizes, class-numbers, or one attribute as box.NAME,"
            " image.NAME or dataset.NAME; can be repeated.",
        ),
    ] = None,
    by: Annotated[
        By,
        typer.Option(
            "--by", metavar="name|stem", help="Match images by their whole names, or without folders and suffixes."
        ),
    ] = By.NAME,
    bookkeeping: Annotated[
        bool,
        typer.Option(
            "--bookkeeping",
            help="Also compare attributes with a meaning only in their dataset: folder, path, ids.",
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            autocompletion=writes("file"),
            help="Also draw the images with the most differences, with the boxes of both: a page (.html) or a contact"
            " sheet (.png).",
        ),
    ] = None,
    images: Annotated[
        int, typer.Option("--images", metavar="N", parser=parse_count, help="Largest number of images in --out.")
    ] = 24,
    shown: Annotated[
        int, typer.Option("--shown", metavar="N", parser=parse_count, help="Number of images to list in detail.")
    ] = 10,
    on_error: OnErrorOption = OnError.FAIL,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """List the differences between two datasets, box by box.

    Images are compared by their names, sizes, splits, boxes, classes and attributes; boxes are matched by class and
    IoU. Pixels, and the order of images and boxes, are not compared. The exit status is 1 if there are differences, as
    that of diff.

    Examples:
      boxwright diff labelimg:photos/train coco:train.json
      boxwright diff csv:before.csv csv:after.csv --tolerance 0.5 --ignore attributes
      boxwright diff csv:before.csv csv:after.csv --out differences.html
    """
    session = Session.of(context)
    reporter = session.start(json=as_json)
    session.protects(out) if out else "nothing was written."
    options: dict[str, Any] = {
        "tolerance": tolerance,
        "iou": iou,
        "ignore": ignore or (),
        "by": by.value,
        "bookkeeping": bookkeeping,
        "keep": None if as_json else shown,
        "on_error": on_error.value,
        "reporter": reporter,
    }
    drawn = None
    if out is None:
        import boxwright

        comparison = boxwright.compare(first, second, **options)
    else:
        from boxwright.analysis import compare_with_images

        comparison, drawn = compare_with_images(first, second, out=out, images=images, overwrite=overwrite, **options)
    if as_json:
        session.result(comparison.to_dict() | {"out": str(out) if out is not None else None, "drawn": drawn})
    else:
        _show(session, comparison, by)
        if out is not None:
            session.say()
            session.say(f"{out}: {amount(drawn or 0, 'image')}", style="bold")
    if not comparison.same:
        session.finish()
        raise typer.Exit(1)


def _show(session: Session, comparison: Comparison, by: By) -> None:
    session.say(f"first:  {comparison.first}", style="bold")
    session.say(f"second: {comparison.second}", style="bold")
    session.say(
        f"{amount(comparison.both, 'image')} in both, {comparison.alike:,} of them alike;"
        f" {amount(comparison.boxes, 'box')} in both"
    )
    if comparison.unlisted:
        session.say(f"{amount(comparison.unlisted, 'box')} moved by less than the tolerance")
    if comparison.same:
        session.say("no differences", style="green")
    else:
        _show_counts(session, comparison, by)
        _show_details(session, comparison)
    show_skipped(session, comparison.skipped)


def _show_counts(session: Session, comparison: Comparison, by: By) -> None:
    rows = [(words, f"{comparison.counts[kind]:,}", "") for kind, words in _kinds() if comparison.counts[kind]]
    if comparison.farthest:
        moved = _WORDS["moved"]
        rows = [(*row[:2], f"by up to {comparison.farthest:.6g} px" if row[0] == moved else "") for row in rows]
    rows += [(f"  {name}", f"{number:,}", "") for name, number in sorted(comparison.attributes.items())]
    session.say()
    width = max(len(row[1]) for row in rows)
    session.table(("DIFFERENT", f"{'HOW OFTEN':>{width}}", ""), [(a, f"{b:>9}", c) for a, b, c in rows])
    if comparison.offset is not None:
        session.say()
        session.say(str(comparison.offset), style="yellow")
        for line in (comparison.offset.meaning, comparison.offset.remedy):
            if line:
                session.say(f"  -> {line}")
    if not comparison.both and by is By.NAME:
        session.say("no image is in both: --by stem compares names without folders and suffixes", style="yellow")


def _kinds() -> list[tuple[Any, str]]:
    from boxwright.analysis import Kind

    return [(kind, _WORDS[kind.value]) for kind in Kind]


def _show_details(session: Session, comparison: Comparison) -> None:
    counts = {kind.value: number for kind, number in comparison.counts.items()}
    offset = comparison.offset
    if offset is not None and list(counts) == ["moved"] and offset.boxes >= counts["moved"]:
        return  # the summary contains everything
    shown = 0
    for name, group in groupby(comparison.differences, key=lambda difference: difference.image):
        found = [difference for difference in group if not _explained(comparison, difference)]
        shown += bool(name)
        if not found:
            continue
        session.say()
        session.say(name or "the datasets as a whole", style="bold")
        for difference in found[:_LINES]:
            sign, text = _line(difference)
            session.say(f"  {sign} {text}", style=_STYLES[sign])
        if len(found) > _LINES:
            session.say(f"  ... and {len(found) - _LINES:,} more")
    different = comparison.both - comparison.alike + counts.get("only_in_first", 0) + counts.get("only_in_second", 0)
    if different > shown:
        session.say()
        session.say(f"... and {amount(different - shown, 'image')} more; --json lists all")


def _explained(comparison: Comparison, difference: Difference) -> bool:
    """Returns whether it is one of the moves that the summary contains."""
    offset = comparison.offset
    moved = offset is not None and difference.kind.value == "moved"
    return moved and offset is not None and offset.explains(difference.first, difference.second)


def _line(difference: Difference) -> tuple[str, str]:
    """Returns a sign as in the output of diff, and the difference."""
    before, after = difference.first, difference.second
    box = f"{difference.label} {_numbers(difference.coordinates)}" if difference.coordinates else difference.label
    match difference.kind.value:
        case "only_in_first":
            return "-", "only in the first"
        case "only_in_second":
            return "+", "only in the second"
        case "removed":
            return "-", box
        case "added":
            return "+", box
        case "moved":
            return "~", f"{box} -> {_numbers(after)}"
        case "relabelled":
            return "~", f"{box}: {before} -> {after}"
        case "size":
            return "~", f"size: {before[0]}x{before[1]} -> {after[0]}x{after[1]}"
        case "split":
            return "~", f"split: {_value(before)} -> {_value(after)}"
        case "class_number":
            return "~", f"id of the class {difference.label}: {_value(before)} -> {_value(after)}"
    return "~", f"{box + ': ' if box else ''}{difference.name}: {_value(before)} -> {_value(after)}"


def _numbers(coordinates: Any) -> str:
    return "(" + ", ".join(f"{round(each, 2):.10g}" for each in coordinates) + ")"


def _value(value: Any) -> str:
    if value is None:
        return "none"
    text = str(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
