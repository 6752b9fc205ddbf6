"""``boxwright info``: counts, classes and sizes of a dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from boxwright_cli.session import Session, amount
from boxwright_cli.values import JsonOption, OnError, OnErrorOption

if TYPE_CHECKING:
    from boxwright.dataset import Dataset, Scan
    from boxwright.progress import Reporter

_SIZES_SHOWN = 10
_SKIPPED_SHOWN = 10


def info(
    context: typer.Context,
    uri: Annotated[str, typer.Argument(metavar="URI", help="The dataset: FORMAT:PLACE, or PLACE alone.")],
    on_error: OnErrorOption = OnError.FAIL,
    as_json: JsonOption = False,
) -> None:
    """Count what is in a dataset: pictures, boxes, classes, sizes.

    Where FORMAT is left out it is recognised, and the reasons are shown.

    Examples:
      boxwright info labelimg:photos/train
      boxwright info photos/train --json
    """
    session = Session.of(context)
    reporter = session.start(json=as_json)
    import boxwright

    recognised = _recognise(uri)
    dataset = boxwright.open(uri, on_error=on_error.value)
    scan = count(dataset, reporter)
    content = _content(dataset, scan, recognised)
    if as_json:
        session.result(content)
        return
    _show(session, content)


def count(dataset: Dataset, reporter: Reporter) -> Scan:
    """Reads a dataset through, with progress, and keeps its counts."""
    from boxwright.dataset import Scan

    with reporter.task("Reading the annotations", dataset.info.num_samples) as task:

        def counted() -> Any:
            for sample in dataset:
                yield sample
                task.advance()

        return Scan.of(counted(), given=dataset.info.label_map)


def show_skipped(session: Session, skipped: list[Any]) -> None:
    """Lists what was left out: the first ten with their reasons, and how many more there are."""
    if not skipped:
        return
    session.say()
    session.say(f"Left out: {amount(len(skipped), 'item')}", style="yellow")
    for error in skipped[:_SKIPPED_SHOWN]:
        session.say(f"  {error}".replace("\n", "\n  "))
    if len(skipped) > _SKIPPED_SHOWN:
        session.say(f"  ... and {len(skipped) - _SKIPPED_SHOWN:,} more; --json lists all")


def _recognise(uri: str) -> dict[str, Any]:
    """Every format's reason for or against, where the URI does not say its format."""
    from boxwright.dataset import detection_reasons
    from boxwright.registry import registry
    from boxwright.uri import DatasetURI

    parsed = DatasetURI.parse(uri)
    if parsed.format is not None:
        return {}
    answers = detection_reasons(parsed.location, registry())
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


def _show(session: Session, content: dict[str, Any]) -> None:
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
    session.say()
    session.table(
        ("CLASS", "ID", "BOXES", "PICTURES"),
        [
            (name, "-" if c["id"] is None else c["id"], f"{c['boxes']:,}", f"{c['pictures']:,}")
            for name, c in content["classes"].items()
        ],
        numbers=1,
    )
    session.say(f"label map: {content['label_map']}")
    unknown = [name for name, c in content["classes"].items() if c["id"] is None]
    if unknown:
        session.say(f"not in the label map: {', '.join(unknown)}", style="yellow")
    session.say()
    sizes = content["sizes"]
    session.table(
        ("PICTURE SIZE", "PICTURES"),
        [(f"{s['width']}x{s['height']}", f"{s['pictures']:,}") for s in sizes[:_SIZES_SHOWN]],
        numbers=1,
    )
    if len(sizes) > _SIZES_SHOWN:
        session.say(f"... and {amount(len(sizes) - _SIZES_SHOWN, 'size')} more; --json lists all")
    if content["boxes"]:
        size = content["relative_box_size"]
        session.say(
            f"boxes take up {size['smallest']:.1%} to {size['largest']:.1%} of their picture's side"
            f" (square root of the area; {size['mean']:.1%} on average); at most"
            f" {amount(content['most_boxes_in_a_picture'], 'box')} in a picture"
        )
    flawed = {what: n for what, n in content["flawed_boxes"].items() if n}
    if flawed:
        session.say("flawed: " + ", ".join(f"{amount(n, 'box')} {what}" for what, n in flawed.items()), style="yellow")
    from boxwright.errors import DataError

    show_skipped(session, [DataError(s["file"], s["problem"], s["remedy"], s["place"]) for s in content["skipped"]])
