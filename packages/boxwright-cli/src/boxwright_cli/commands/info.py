"""``boxwright info``: counts, classes, sizes and the pixel convention of a dataset."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from boxwright_cli.bars import bar, draws_blocks, show_histogram
from boxwright_cli.meanings import writes
from boxwright_cli.session import Session, show_skipped
from boxwright_cli.text import amount
from boxwright_cli.values import (
    AddressOption,
    EngineOption,
    JsonOption,
    OnError,
    OnErrorOption,
    OverwriteOption,
    UriArgument,
    engine_of,
)

if TYPE_CHECKING:
    from boxwright import Reporter
    from boxwright.analysis import Statistics
    from boxwright.datasets import Dataset, Scan

_SIZES_SHOWN = 10
_CLASS_BAR = 24


def info(
    context: typer.Context,
    uri: UriArgument,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE", help="Also write charts to a page (.html).", autocompletion=writes("file")
        ),
    ] = None,
    overwrite: OverwriteOption = False,
    on_error: OnErrorOption = OnError.FAIL,
    engine: EngineOption = "",
    address: AddressOption = "",
    as_json: JsonOption = False,
) -> None:
    """Count images, boxes, classes and sizes of a dataset.

    Histograms show the sizes and shapes of the boxes, and their number per image; the coordinates at the edges of the
    images show how pixels are counted. Without FORMAT, the format is detected, and the reason is printed;
    --verbose prints why it is none of the others. Only the
    annotations are read.

    Examples:
      boxwright info labelimg:photos/train
      boxwright info labelimg:photos/train --out info.html
      boxwright info photos/train --json
    """
    session = Session.of(context)
    reporter = session.start(json=as_json)
    if out is not None:
        session.protects(out)
    import boxwright
    from boxwright.analysis import one_based_option, statistics_page
    from boxwright.datasets import empty_dataset_error
    from boxwright.render import page_output

    detected = _detect(uri)
    with ExitStack() as stack:
        page = None
        if out is not None:
            page = stack.enter_context(page_output(out, overwrite=overwrite))
        dataset = boxwright.open(uri, on_error=on_error.value)
        scan, statistics = count(dataset, reporter, engine_of(engine, address))
        if not scan.samples:
            raise empty_dataset_error(dataset, "it contains no images with annotations of this format")
        option = one_based_option(dataset)
        if page is not None:
            skipped = dataset.problems.skipped
            with page.open() as file:
                text = statistics_page(dataset.uri, scan, statistics, one_based_option=option, skipped=skipped)
                file.write(text.encode())
    content = _content(dataset, scan, detected) | {
        "histograms": statistics.to_dict(),
        "pixel_convention": statistics.borders.to_dict(option),
        "page": str(out) if out is not None else None,
    }
    if as_json:
        session.result(content)
        return
    _show(session, content, statistics, option)


def count(dataset: Dataset, reporter: Reporter, engine: str = "") -> tuple[Scan, Statistics]:
    """Reads a dataset, with progress, and returns its counts and histograms."""
    from boxwright.analysis import Statistics
    from boxwright.datasets import Dataset, Scan, in_parts, opened_engine
    from boxwright.plugins import default_registry

    statistics = Statistics()
    with (
        opened_engine(engine, default_registry()) as machines,
        reporter.task("Reading the annotations", dataset.info.num_samples) as task,
    ):

        def counted() -> Any:
            for columns in in_parts(dataset, Dataset.columns, machines, reporter):
                statistics.add(columns)
                yield columns
                task.advance(len(columns))

        return Scan.of_columns(counted(), given=dataset.info.label_map), statistics


def _detect(uri: str) -> dict[str, Any]:
    """Returns every format's reason for or against, if the URI does not contain a format."""
    from boxwright.datasets import detection_reasons, near_misses
    from boxwright.plugins import default_registry
    from boxwright.storage import DatasetURI

    parsed = DatasetURI.parse(uri)
    if parsed.format is not None:
        return {}
    answers = detection_reasons(parsed.location, default_registry())
    near = near_misses(answers)
    return {
        name: {"matches": answer.matches, "near": name in near, "reason": answer.reason}
        for name, answer in answers.items()
    }


def _content(dataset: Dataset, scan: Scan, detected: dict[str, Any]) -> dict[str, Any]:
    own = dataset.info.label_map is not None
    smallest, mean, largest = scan.relative_size
    label_map = scan.label_map
    return {
        "uri": dataset.uri,
        "format": dataset.info.format,
        "location": dataset.info.location,
        "recognised": detected,
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
        "regions": dict(scan.regions),
        "label_map": "the dataset's own" if own else "made from the data, sorted by name",
        "sizes": [
            {"width": width, "height": height, "pictures": count}
            for (width, height), count in sorted(scan.sizes.items(), key=lambda item: (-item[1], item[0]))
        ],
        "relative_box_size": {"smallest": smallest, "mean": mean, "largest": largest},
        "flawed_boxes": dict(scan.flawed),
        "splits": dict(sorted(scan.splits.items())),
        "notes": [*dataset.info.notes, *dataset.shape_notes],
        "digest": scan.digest,
        "skipped": [
            {"file": e.file, "place": e.place, "problem": e.problem, "remedy": e.remedy}
            for e in dataset.problems.skipped
        ],
    }


def _show(session: Session, content: dict[str, Any], statistics: Statistics, option: str) -> None:
    _show_summary(session, content)
    _show_classes(session, content)
    _show_image_sizes(session, content["sizes"])
    if content["boxes"]:
        _show_boxes(session, content, statistics)
        _show_convention(session, statistics, option)
    if content["regions"]:
        found = ", ".join(f"{name} {n:,}" for name, n in content["regions"].items())
        session.say()
        session.say(f"regions that are not single objects, not trained on and ignored in evaluation: {found}")
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
        if answer["matches"] or answer["near"] or session.verbose:
            session.say(f"  {'yes' if answer['matches'] else 'no ':3} {name}: {answer['reason']}")
    for note in content["notes"]:
        session.say(f"  {note}")
    boxes = f"{amount(content['pictures'], 'image')}, {amount(content['boxes'], 'box')}"
    if content["pictures_without_boxes"]:
        boxes += f"; {amount(content['pictures_without_boxes'], 'image')} without boxes"
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
    heads = ("ID", "BOXES", "IMAGES")
    widths = [max(len(head), *(len(row[column]) for row in counts), 0) for column, head in enumerate(heads)]
    rows = []
    for name, row in zip(classes, counts, strict=True):
        numbers = [f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)]
        # In a file or a pipe, lines without bars are easier to parse.
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


def _show_image_sizes(session: Session, sizes: list[dict[str, int]]) -> None:
    session.say()
    session.table(
        ("IMAGE SIZE", "IMAGES"),
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
        f"boxes take up {size['smallest']:.1%} to {size['largest']:.1%} of the sides of their image, {size['mean']:.1%}"
        " on average"
    )
    session.say(f"COCO's size classes: {coco['small']:,} small, {coco['medium']:,} medium, {coco['large']:,} large")
    _show_anchors(session, statistics)
    show_histogram(session, "WIDTH:HEIGHT", "BOXES", statistics.ratios.bins)
    show_histogram(session, "BOXES PER IMAGE", "IMAGES", statistics.boxes_per_image.bins)
    session.say(f"at most {amount(content['most_boxes_in_a_picture'], 'box')} per image")


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
    session.say(f"  coordinates at the edges: {borders.evidence}")
    if borders.fractional:
        session.say(f"  {borders.fractional / borders.total:.1%} of the coordinates are not whole numbers")
    for line in borders.advice(option):
        session.say(f"  -> {line}")
