"""``boxwright info``: counts, classes, sizes and the pixel convention of a dataset."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from boxwright_cli.bars import bar, draws_blocks, show_histogram
from boxwright_cli.session import Session, amount, show_skipped
from boxwright_cli.values import JsonOption, OnError, OnErrorOption, OverwriteOption

if TYPE_CHECKING:
    from boxwright import Reporter
    from boxwright.analysis import Statistics
    from boxwright.datasets import Dataset, Scan

_SIZES_SHOWN = 10
_CLASS_BAR = 24


def info(
    context: typer.Context,
    uri: Annotated[str, typer.Argument(metavar="URI", help="The dataset: FORMAT:PLACE, or PLACE alone.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Also draw it all as charts on a page of its own (.html)."),
    ] = None,
    overwrite: OverwriteOption = False,
    on_error: OnErrorOption = OnError.FAIL,
    as_json: JsonOption = False,
) -> None:
    """Count what is in a dataset: pictures, boxes, classes, sizes.

    Histograms show how large the boxes are, of what shape, and how many there are in a picture; the edges at the
    borders show how pixels are counted. Where FORMAT is left out it is recognised, and the reasons are shown. Only the
    annotations are read.

    Examples:
      boxwright info labelimg:photos/train
      boxwright info labelimg:photos/train --out info.html
      boxwright info photos/train --json
    """
    session = Session.of(context)
    reporter = session.start(json=as_json)
    session.if_interrupted = f"nothing half-written is left, and {out} is as it was." if out else "nothing was written."
    import boxwright
    from boxwright.analysis import one_based_option, statistics_page
    from boxwright.render import page_output

    recognised = _recognise(uri)
    with ExitStack() as stack:
        page = None
        if out is not None:
            page = stack.enter_context(page_output(out, overwrite=overwrite))
        dataset = boxwright.open(uri, on_error=on_error.value)
        scan, statistics = count(dataset, reporter)
        option = one_based_option(dataset)
        if page is not None:
            skipped = dataset.problems.skipped
            with page.open() as file:
                text = statistics_page(dataset.uri, scan, statistics, one_based_option=option, skipped=skipped)
                file.write(text.encode())
    content = _content(dataset, scan, recognised) | {
        "histograms": statistics.to_dict(),
        "pixel_convention": statistics.borders.to_dict(option),
        "page": str(out) if out is not None else None,
    }
    if as_json:
        session.result(content)
        return
    _show(session, content, statistics, option)


def count(dataset: Dataset, reporter: Reporter) -> tuple[Scan, Statistics]:
    """Reads a dataset through, with progress, and keeps its counts and histograms."""
    from boxwright.analysis import Statistics
    from boxwright.datasets import Scan

    statistics = Statistics()
    with reporter.task("Reading the annotations", dataset.info.num_samples) as task:

        def counted() -> Any:
            for sample in statistics.watch(dataset):
                yield sample
                task.advance()

        return Scan.of(counted(), given=dataset.info.label_map), statistics


def _recognise(uri: str) -> dict[str, Any]:
    """Every format's reason for or against, where the URI does not say its format."""
    from boxwright.datasets import detection_reasons
    from boxwright.plugins import default_registry
    from boxwright.storage import DatasetURI

    parsed = DatasetURI.parse(uri)
    if parsed.format is not None:
        return {}
    answers = detection_reasons(parsed.location, default_registry())
    return {name: {"matches": answer.matches, "reason": answer.reason} for name, answer in answers.items()}


def _content(dataset: Dataset, scan: Scan, recognised: dict[str, Any]) -> dict[str, Any]:
    own = dataset.info.label_map is not None
    smallest, mean, largest = scan.relative_size
    label_map = scan.label_map
    return {
        "uri": dataset.uri,
        "format": dataset.info.format,
        "location": dataset.info.location,
        "recognised": recognised,
        "pictures": scan.samples,
        "boxes": scan.boxes,
        "pictures_without_boxes": scan.empty,
        "most_boxes_in_a_picture": scan.most_boxes,
        "classes": {
            name: {
                "id": label_map.id(name) if name in label_map else None,
                "boxes": scan.classes.get(name, 0),
                "pictures": scan.pictures_with.get(name, 0),
            }
            for name in [*label_map.names, *(label for label in scan.classes if label not in label_map)]
        },
        "label_map": "the dataset's own" if own else "made from the data, sorted by name",
        "sizes": [
            {"width": width, "height": height, "pictures": pictures}
            for (width, height), pictures in sorted(scan.sizes.items(), key=lambda item: (-item[1], item[0]))
        ],
        "relative_box_size": {"smallest": smallest, "mean": mean, "largest": largest},
        "flawed_boxes": dict(scan.flawed),
        "splits": dict(sorted(scan.splits.items())),
        "notes": list(dataset.info.notes),
        "digest": scan.digest,
        "skipped": [
            {"file": e.file, "place": e.place, "problem": e.problem, "remedy": e.remedy}
            for e in dataset.problems.skipped
        ],
    }


def _show(session: Session, content: dict[str, Any], statistics: Statistics, option: str) -> None:
    _show_summary(session, content)
    _show_classes(session, content)
    _show_picture_sizes(session, content["sizes"])
    if content["boxes"]:
        _show_boxes(session, content, statistics)
        _show_convention(session, statistics, option)
    flawed = {what: n for what, n in content["flawed_boxes"].items() if n}
    if flawed:
        session.say()
        session.say("flawed: " + ", ".join(f"{amount(n, 'box')} {what}" for what, n in flawed.items()), style="yellow")
        session.say("  -> boxwright validate lists each one")
    from boxwright import DataError

    show_skipped(session, [DataError(s["file"], s["problem"], s["remedy"], s["place"]) for s in content["skipped"]])
    if content["page"]:
        session.say()
        session.say(f"page: {content['page']}", style="bold")


def _show_summary(session: Session, content: dict[str, Any]) -> None:
    session.say(content["uri"], style="bold")
    for name, answer in content["recognised"].items():
        session.say(f"  {'yes' if answer['matches'] else 'no ':3} {name}: {answer['reason']}")
    for note in content["notes"]:
        session.say(f"  {note}")
    boxes = f"{amount(content['pictures'], 'picture')}, {amount(content['boxes'], 'box')}"
    if content["pictures_without_boxes"]:
        boxes += f"; {amount(content['pictures_without_boxes'], 'picture')} without any box"
    session.say(boxes)
    if content["splits"]:
        session.say("splits: " + ", ".join(f"{name} {n:,}" for name, n in content["splits"].items()))


def _show_classes(session: Session, content: dict[str, Any]) -> None:
    classes = content["classes"]
    most = max((c["boxes"] for c in classes.values()), default=0) or 1
    blocks = draws_blocks(session)
    counts = [
        ("-" if c["id"] is None else str(c["id"]), f"{c['boxes']:,}", f"{c['pictures']:,}") for c in classes.values()
    ]
    heads = ("ID", "BOXES", "PICTURES")
    widths = [max(len(head), *(len(row[place]) for row in counts), 0) for place, head in enumerate(heads)]
    rows = []
    for name, row in zip(classes, counts, strict=True):
        numbers = [f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)]
        # In a file or a pipe the numbers are enough, and easier to take apart.
        length = bar(classes[name]["boxes"] / most, blocks=True, width=_CLASS_BAR) if blocks else ""
        rows.append((name, *numbers, length))
    session.say()
    session.table(
        ("CLASS", *(f"{head:>{width}}" for head, width in zip(heads, widths, strict=True)), ""),
        rows,
    )
    session.say(f"label map: {content['label_map']}")
    unknown = [name for name, c in classes.items() if c["id"] is None]
    if unknown:
        session.say(f"not in the label map: {', '.join(unknown)}", style="yellow")


def _show_picture_sizes(session: Session, sizes: list[dict[str, int]]) -> None:
    session.say()
    session.table(
        ("PICTURE SIZE", "PICTURES"),
        [(f"{s['width']}x{s['height']}", f"{s['pictures']:,}") for s in sizes[:_SIZES_SHOWN]],
        numbers=1,
    )
    if len(sizes) > _SIZES_SHOWN:
        session.say(f"... and {amount(len(sizes) - _SIZES_SHOWN, 'size')} more; --json lists all")


def _show_boxes(session: Session, content: dict[str, Any], statistics: Statistics) -> None:
    show_histogram(session, "BOX SIZE, px", "BOXES", statistics.sizes.bins)
    typical, coco = statistics.typical_sizes, statistics.by_coco
    size = content["relative_box_size"]
    session.say(
        f"size is the square root of the area; half of the boxes have {typical['25%']:.0f} to {typical['75%']:.0f} px"
    )
    session.say(
        f"boxes take up {size['smallest']:.1%} to {size['largest']:.1%} of their picture's side, {size['mean']:.1%} on"
        " average"
    )
    session.say(f"as COCO sorts them: {coco['small']:,} small, {coco['medium']:,} medium, {coco['large']:,} large")
    _show_anchors(session, statistics)
    show_histogram(session, "WIDTH:HEIGHT", "BOXES", statistics.ratios.bins)
    show_histogram(session, "BOXES IN A PICTURE", "PICTURES", statistics.boxes_per_image.bins)
    session.say(f"at most {amount(content['most_boxes_in_a_picture'], 'box')} in a picture")


def _show_anchors(session: Session, statistics: Statistics) -> None:
    from boxwright.analysis import USUAL_ANCHORS

    best, fitted = statistics.best_anchors
    other = f"; from {best} px on: {fitted:.1%}" if best != USUAL_ANCHORS else ""
    usual = statistics.fitted_by(USUAL_ANCHORS)
    session.say(f"RetinaNet's usual anchors, from {USUAL_ANCHORS} px on, fit {usual:.1%}{other}")


def _show_convention(session: Session, statistics: Statistics, option: str) -> None:
    borders = statistics.borders
    session.say()
    session.say(f"pixel convention: {borders.conclusion}")
    session.say(f"  edges at the borders: {borders.evidence}")
    if borders.fractional:
        session.say(f"  {borders.fractional / borders.edges:.1%} of the edges are no whole numbers")
    for line in borders.advice(option):
        session.say(f"  -> {line}")
