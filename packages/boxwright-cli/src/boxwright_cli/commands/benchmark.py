"""``boxwright benchmark``: measures models side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from boxwright_cli.meanings import reads, writes
from boxwright_cli.session import Session
from boxwright_cli.text import amount
from boxwright_cli.values import ClassesOption, DeviceOption, JsonOption, OverwriteOption, parse_count

if TYPE_CHECKING:
    from boxwright import Benchmark
    from boxwright.models import Speed


def benchmark(
    context: typer.Context,
    models: Annotated[
        list[Path],
        typer.Argument(metavar="MODEL...", help="Run folders, and exported models.", autocompletion=reads("model")),
    ],
    data: Annotated[
        str,
        typer.Option(
            "--data",
            metavar="URI",
            help="Images; with boxes, the AP is measured too.",
            autocompletion=reads("dataset"),
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="Also draw latency against AP, into an .html page or a .png.",
            autocompletion=writes("file"),
        ),
    ] = None,
    threads: Annotated[
        int,
        typer.Option("--threads", metavar="N", parser=parse_count, help="Number of threads, and on Linux of cores."),
    ] = 1,
    rounds: Annotated[
        int, typer.Option("--rounds", metavar="N", parser=parse_count, help="Number of timed calls of each kind.")
    ] = 50,
    label_map: ClassesOption = None,
    device: DeviceOption = "",
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Measure the speed, memory, size and AP of models.

    Each MODEL runs in a separate process, and is compared with its run, in the framework that trained it.
    FORWARD is the network alone, WHOLE is from the bytes of an image file to boxes, in ms at batch 1, after 5 calls to
    warm up. THROUGHPUT is of the whole at the best batch size.

    Examples:
      boxwright benchmark runs/first exported --data labelimg:photos/test
      boxwright benchmark exported small fast --data labelimg:photos/test --out chart.html
    """
    session = Session.of(context)
    reporter = session.start(json=as_json)
    session.if_interrupted = "nothing was written."
    import boxwright

    options: dict[str, Any] = {
        "device": device,
        "label_map": label_map,
        "threads": threads,
        "rounds": rounds,
        "reporter": reporter,
    }
    if out is None:
        result = boxwright.benchmark(models, data, **options)
    else:
        from boxwright.analysis import benchmark_with_chart

        result = benchmark_with_chart(models, data, out, overwrite=overwrite, **options)
    if as_json:
        session.result(result.to_dict() | {"chart": str(out) if out else None})
        return
    _show(session, result)
    if out is not None:
        session.say(f"chart: {out}", style="bold")


def _show(session: Session, result: Benchmark) -> None:
    rows = []
    for row in result.rows:
        cells = [f"{row.model} ({row.kind})"]
        for kind, speed in (("forward", row.forward), ("predict", row.predict)):
            faster = result.faster(row, kind)
            cells += [*_times(speed), "" if faster is None else f"{faster:.1f}x"]
        peak = "-" if row.peak_bytes is None else f"{row.peak_bytes / 1e6:,.0f}"
        ap = "-" if row.ap is None else f"{row.ap:.4f}"
        speed_of_many = f"{row.throughput:,.1f} at {row.batch}"
        rows.append((*cells, speed_of_many, f"{row.load_seconds:.1f}", peak, f"{row.bytes / 1e6:,.1f}", ap))
    session.table(
        (
            *("MODEL", "FORWARD", "P95", "", "WHOLE", "P95", ""),
            *("THROUGHPUT", "LOAD s", "MEMORY MB", "SIZE MB", "AP"),
        ),
        rows,
        numbers=1,
    )
    session.say()
    session.say(f"{result.data}; {result.machine}; {amount(result.threads, 'thread')}")
    session.say(
        f"Medians and 95th percentiles in ms of at most {amount(result.rounds, 'call')} after {result.warmup} to warm"
        " up. FORWARD: the network alone. WHOLE: from the bytes of a file to boxes."
    )
    session.say("2.0x: twice as fast as the run in the framework that trained it.")
    for note in result.notes:
        session.say(note, style="yellow")


def _times(speed: Speed | None) -> tuple[str, str]:
    return ("-", "-") if speed is None else (f"{speed.median * 1000:.1f}", f"{speed.p95 * 1000:.1f}")
