"""``boxwright serve``: answers requests with the detections of a model."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from boxwright_cli.session import Session
from boxwright_cli.values import BatchSizeOption, ClassesOption, DeviceOption, ModelArgument, parse_count


def serve(
    context: typer.Context,
    model: ModelArgument,
    host: Annotated[
        str, typer.Option("--host", metavar="HOST", help="The address to listen at; 0.0.0.0 for every network.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", metavar="N", min=0, max=65535, help="The port; 0 for a free one.")
    ] = 8000,
    token: Annotated[
        str,
        typer.Option(
            "--token",
            metavar="TEXT",
            envvar="BOXWRIGHT_SERVE_TOKEN",
            show_envvar=True,
            help="What clients must send to use the server; required for hosts other than this machine.",
        ),
    ] = "",
    name: Annotated[
        str,
        typer.Option(
            "--name",
            metavar="NAME",
            help="The name of the model in /v2/models/NAME.",
            show_default="that of the folder",
        ),
    ] = "",
    score: Annotated[
        float | None,
        typer.Option("--score", metavar="X", help="Lowest score of a detection.", show_default="as tuned, or else 0.3"),
    ] = None,
    batch_size: BatchSizeOption = 8,
    batch_wait: Annotated[
        float,
        typer.Option(
            "--batch-wait", metavar="MS", min=0, max=60_000, help="Milliseconds that an image waits for others."
        ),
    ] = 2.0,
    queue: Annotated[
        int,
        typer.Option("--queue", metavar="N", parser=parse_count, help="Images that may wait; more are refused (429)."),
    ] = 64,
    max_bytes: Annotated[
        int,
        typer.Option("--max-bytes", metavar="N", parser=parse_count, help="Bytes of the largest image (else 413)."),
    ] = 20_000_000,
    max_pixels: Annotated[
        int,
        typer.Option("--max-pixels", metavar="N", parser=parse_count, help="Pixels of the largest image (else 413)."),
    ] = 50_000_000,
    label_map: ClassesOption = None,
    device: DeviceOption = "",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one line with the address as JSON when the server is ready.")
    ] = False,
) -> None:
    """Answer requests with the detections of a model; show a page.

    POST an image to /predict. /metrics is for Prometheus, /openapi.json describes everything, and /v2 is the Open
    Inference Protocol. SIGTERM and Ctrl-C finish the requests that are in progress.

    Examples:
      boxwright serve runs/first
      curl --data-binary @photo.jpg http://127.0.0.1:8000/predict
      boxwright serve exported --host 0.0.0.0 --token "$TOKEN"
    """
    session = Session.of(context)
    reporter = session.start(json=as_json)
    session.if_interrupted = "the server was not started."
    from boxwright import UsageError, load_model
    from boxwright.images import MAX_PIXELS
    from boxwright_serve.app import create_app
    from boxwright_serve.limits import Limits
    from boxwright_serve.server import address_of, bound_socket, check_access, run, warm_up

    if score is not None and not 0 <= score <= 1:
        raise UsageError(f"the score is {score:g}", "give a number from 0 to 1")
    if max_pixels > MAX_PIXELS:
        raise UsageError(f"images of more than {MAX_PIXELS:,} pixels are never decoded", "set BOXWRIGHT_MAX_PIXELS")
    if "/" in name:
        raise UsageError(f"--name is {name!r}, and cannot be in an address", "give a name without /")
    check_access(host, token)
    with bound_socket(host, port) as bound:
        with reporter.task("Loading the model", None):
            loaded = load_model(model, label_map=label_map, device=device)
            warm_up(loaded)
        folder = model.resolve()
        called = name or (folder.stem if folder.is_file() else folder.name)
        limits = Limits(max_bytes, max_pixels, queue, batch_size, batch_wait / 1000)
        app = create_app(loaded, name=called, limits=limits, score=score, token=token)
        address = address_of(bound, host)

        def started() -> None:
            if as_json:
                print(json.dumps({"address": address, "model": called}), file=session.stdout, flush=True)
                return
            session.say(f"{called}: {address}", style="bold")
            session.next_steps("Open it in a browser, or send an image:", [_example(address, bool(token))])
            session.finish()

        unfinished = run(app, bound, started, log=session.verbose)
    if not as_json and not session.quiet:
        left = f"{unfinished} of the requests were not" if unfinished else "every request was"
        session.say(f"stopped; {left} answered")


def _example(address: str, token: bool) -> str:
    header = '-H "Authorization: Bearer $BOXWRIGHT_SERVE_TOKEN" ' if token else ""
    return f"curl {header}--data-binary @photo.jpg {address}/predict"
