"""``boxwright evaluate``: measures a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from boxwright_cli.meanings import names, writes
from boxwright_cli.session import Session, show_skipped
from boxwright_cli.text import amount, duration
from boxwright_cli.values import (
    AddressOption,
    BatchSizeOption,
    ClassesOption,
    DeviceOption,
    EngineOption,
    HeldOutOption,
    JsonOption,
    MaxBadOption,
    ModelArgument,
    OnErrorOrLimitOption,
    OverwriteOption,
    SliceOption,
    engine_of,
    on_error_of,
)

if TYPE_CHECKING:
    from boxwright.analysis import Compared
    from boxwright.models import Evaluation

_MEANING = {
    "AP": "mean over IoU 0.50 to 0.95: the COCO score, mAP",
    "AP50": "at IoU 0.50: the PASCAL VOC score",
    "AP75": "at IoU 0.75: tight boxes",
    "APsmall": "small objects, under 32x32 pixels",
    "APmedium": "medium objects",
    "APlarge": "large objects, over 96x96 pixels",
    "AR1": "recall with 1 detection per image",
    "AR10": "recall with 10",
    "ARsmall": "recall, small objects",
    "ARmedium": "recall, medium objects",
    "ARlarge": "recall, large objects",
}
_FIRST = ("AP", "AP50")


def evaluate(
    context: typer.Context,
    model: ModelArgument,
    data: HeldOutOption,
    metric: Annotated[
        str,
        typer.Option(
            "--metric",
            metavar="NAME[:OPTION=VALUE,...]",
            help="The metric, with its options.",
            autocompletion=names("metric"),
        ),
    ] = "coco",
    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            metavar="FILE",
            autocompletion=writes("report"),
            help="Also write a .html page: numbers, curves, confusion, kinds of errors, and the images with the most"
            " mistakes.",
        ),
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(
            "--csv",
            metavar="FILE",
            help="Also write all numbers of the page as CSV.",
            autocompletion=writes("csv"),
        ),
    ] = None,
    suspects: Annotated[
        str,
        typer.Option(
            "--suspects",
            metavar="URI",
            autocompletion=writes("dataset"),
            help="Also write suspected label errors as a dataset, such as coco:check.json.",
        ),
    ] = "",
    batch_size: BatchSizeOption = 8,
    tiles: SliceOption = "",
    label_map: ClassesOption = None,
    device: DeviceOption = "",
    engine: EngineOption = "",
    address: AddressOption = "",
    overwrite: OverwriteOption = False,
    on_error: OnErrorOrLimitOption = None,
    max_bad: MaxBadOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a model on annotated images.

    The default metric is COCO's average precision and recall, over all classes and for each class. The results are also
    written to the folder evaluation/ of the run. The models in a folder of runs are compared with each other; with
    --suspects, each image is predicted by a run that was not trained on it. With --report, --csv or --suspects, --json
    contains all numbers of the page.

    Examples:
      boxwright evaluate runs/first --data labelimg:photos/test
      boxwright evaluate runs/first --data labelimg:photos/test --report report.html --csv report.csv
      boxwright evaluate runs --data labelimg:photos/test --report compared.html
    """
    session = Session.of(context)
    reporter = session.start(json=as_json)
    session.if_interrupted = "nothing was written."
    import boxwright
    from boxwright.plugins import MAX_BAD

    name, _, text = metric.partition(":")
    options = dict(part.partition("=")[::2] for part in text.split(",") if part)
    given: dict[str, Any] = {
        "metric": name,
        "metric_options": options,
        "batch_size": batch_size,
        "on_error": on_error_of(on_error, max_bad) or MAX_BAD,
        "slicing": tiles,
        "label_map": label_map,
        "device": device,
        "engine": engine_of(engine, address),
        "reporter": reporter,
    }
    files = {
        "report": str(report) if report else None,
        "csv": str(table) if table else None,
        "suspects": suspects or None,
    }
    from boxwright.analysis import compare_with_report, models_in

    several = bool(models_in(model))
    if several and not suspects:
        compared = compare_with_report(model, data, report, table=table, overwrite=overwrite, **given)
        if as_json:
            session.result(compared.to_dict() | files)
            return
        _show_models(session, compared)
        _show_files(session, files)
        return
    if report is None and table is None and not suspects:
        evaluation = boxwright.evaluate(model, data, **given)
        content = evaluation.to_dict()
    else:
        from boxwright.analysis import evaluate_with_report
        from boxwright.models import CrossValidated

        used = CrossValidated(model) if several else model
        made = evaluate_with_report(used, data, report, table=table, suspects=suspects, overwrite=overwrite, **given)
        evaluation, content = made.measures.evaluation, made.to_dict() if as_json else {}
        if not made.suspects:
            files["suspects"] = None
    if as_json:
        session.result(content | files)
        return
    _show(session, evaluation, model)
    _show_files(session, files)


def _show_files(session: Session, files: dict[str, str | None]) -> None:
    for what, path in files.items():
        if path is not None:
            session.say(f"{what}: {path}", style="bold")


def _show_models(session: Session, compared: Compared) -> None:
    from boxwright.analysis import number

    evaluation = compared.models[0].evaluation
    main = evaluation.result.main
    session.say(f"{compared.folder} on {evaluation.data}", style="bold")
    session.say(f"{amount(evaluation.samples, 'image')}, {amount(evaluation.ground_truth, 'box')} to find")
    session.say()
    rows = []
    for place, measures in enumerate(compared.models):
        value = compared.value(place, main)
        known = value.low is not None and value.high is not None and value.low == value.low
        interval = f"{number(value.low)} to {number(value.high)}" if known else ""
        rows.append((compared.name(place), number(value.value), interval, measures.sentence()))
    session.table(("MODEL", main, "95 % INTERVAL", ""), rows)
    for sentence in compared.sentences():
        session.say(sentence)


def _show(session: Session, evaluation: Evaluation, model: Path) -> None:
    from boxwright.analysis import number

    session.say(f"{model} on {evaluation.data}", style="bold")
    session.say(
        f"{amount(evaluation.samples, 'image')}, {amount(evaluation.ground_truth, 'box')} to find,"
        f" {amount(evaluation.detections, 'detection')}, {duration(evaluation.seconds)}"
    )
    session.say()
    intervals = {
        name: f"{number(low)} to {number(high)}"
        for name, (low, high) in evaluation.result.intervals.items()
        if low == low  # else it could not be measured
    }
    rows = [(name, number(value), intervals.get(name, ""), _meaning(name)) for name, value in evaluation.values.items()]
    session.table((evaluation.metric.upper(), "", "95 % INTERVAL" if intervals else "", ""), rows)
    per_class = evaluation.result.per_class
    names = list(dict.fromkeys(name for values in per_class.values() for name in values))
    columns = [name for name in _FIRST if name in names] or names
    counted = "truths" in names
    session.say()
    nothing = float("nan")
    session.table(
        ("CLASS", *(["BOXES"] if counted else []), *columns),
        [
            (name, *([f"{v['truths']:,.0f}"] if counted else []), *(number(v.get(c, nothing)) for c in columns))
            for name, v in per_class.items()
        ],
        numbers=1,
    )
    for note in evaluation.result.notes:
        session.say(note)
    show_skipped(session, evaluation.skipped)


def _meaning(name: str) -> str:
    if name.startswith("AR") and name[2:].isdigit() and name not in _MEANING:
        return f"recall with {name[2:]}"
    return _MEANING.get(name, "")
