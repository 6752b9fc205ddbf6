"""``boxwright init``: writes a recipe for your photos."""

from __future__ import annotations

import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from boxwright_cli.meanings import names, reads
from boxwright_cli.session import Session
from boxwright_cli.values import JsonOption, OverwriteOption, parse_count


class Device(StrEnum):
    """The device that a model is for."""

    CPU = "cpu"
    PHONE = "phone"
    GPU = "gpu"
    NPU = "npu"
    BROWSER = "browser"


_EXPORTERS = {
    Device.CPU: ("openvino", "onnx", "litert"),
    Device.PHONE: ("litert:fp16",),
    Device.GPU: ("tensorrt:fp16", "onnx:fp16"),
    Device.NPU: ("openvino:int8", "rknn:int8", "litert:int8"),
    Device.BROWSER: ("page",),
}
"""The exporters for a device, the best first."""
_STEPS_PER_MINUTE = 400
"""Steps of the default preset on two cores: 400 in a minute of wall time, as the README measures."""
_FEWEST_STEPS, _MOST_STEPS = 100, 20_000


def init(
    context: typer.Context,
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="The file to write.")] = Path("recipe.yaml"),
    photos: Annotated[
        str | None,
        typer.Option(
            "--photos", metavar="DIR", help="The annotated photos to train on.", autocompletion=reads("folder")
        ),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format", metavar="NAME", help="Their format.", show_default="detected", autocompletion=names("format")
        ),
    ] = None,
    test: Annotated[
        str | None,
        typer.Option(
            "--test",
            metavar="DIR",
            help="Annotated photos to test on.",
            show_default="the folder test in --photos, or a fifth",
            autocompletion=reads("folder"),
        ),
    ] = None,
    device: Annotated[
        Device | None,
        typer.Option("--for", metavar="cpu|phone|gpu|npu|browser", help="The device of the model.", show_default="cpu"),
    ] = None,
    minutes: Annotated[
        int | None,
        typer.Option(
            "--minutes", metavar="N", parser=parse_count, help="Minutes that the training may take.", show_default="5"
        ),
    ] = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write a recipe for your photos, from validate to predict.

    On a terminal, five questions are asked, except those that the options answer. The minutes are an estimate for two
    cores.

    Examples:
      boxwright init
      boxwright init --photos photos/train --test photos/test --for phone --minutes 20
    """
    session = Session.of(context)
    session.start(json=as_json)
    from boxwright import OutputError, UsageError
    from boxwright.storage import write_atomically
    from boxwright_cli.recipes.checks import check_plan
    from boxwright_cli.recipes.commands import step_commands
    from boxwright_cli.recipes.document import parse_recipe
    from boxwright_cli.recipes.plan import make_plan

    if recipe.exists() and not overwrite:
        raise OutputError(f"{recipe} exists already", "choose another name, or pass --overwrite")
    asks = sys.stdin.isatty() and not as_json
    place = photos or (_ask("Where are the annotated photos?", "photos") if asks else "")
    if not place:
        raise UsageError("it is not known where the photos are", "pass --photos DIR")
    if test is None and _has_parts(place, form):
        place, there = str(Path(place) / "train"), str(Path(place) / "test")
    else:
        there = ""
    found = form or _format(place)
    if asks and form is None:
        found = _ask("What is their format?", found)
    if test is None:
        test = _ask("Where are the photos to test on? Without any, a fifth is held out.", there) if asks else there
    chosen = device or (_ask_device() if asks else None)
    time = minutes or (parse_count(_ask("How many minutes may the training take?", "5")) if asks else 5)
    content = _recipe(found, place, test, chosen or Device.CPU, time)
    text = _text(content, recipe)
    check_plan(make_plan(parse_recipe(text, str(recipe)), step_commands(context.find_root().command)))
    write_atomically(recipe, text.encode())
    if as_json:
        session.result({"recipe": str(recipe), "steps": list(content["steps"])})
        return
    session.say(f"{recipe}: {', '.join(content['steps'])}", style="bold")
    path = shlex.quote(str(recipe))
    session.next_steps("See what it does, and run it:", [f"boxwright run {path} --dry-run", f"boxwright run {path}"])


def _format(place: str) -> str:
    from boxwright.datasets import detect_format
    from boxwright.plugins import default_registry

    return str(detect_format(place, default_registry()))


def _has_parts(place: str, form: str | None) -> bool:
    """Whether a folder consists of the datasets ``train`` and ``test``."""
    from boxwright import BoxwrightError

    parts = [Path(place) / name for name in ("train", "test")]
    if not all(map(Path.is_dir, parts)):
        return False
    try:
        return form is not None or len({_format(str(part)) for part in parts}) == 1
    except BoxwrightError:
        return False


def _ask(question: str, default: str) -> str:
    return str(typer.prompt(question, default=default, err=True))


def _ask_device() -> Device:
    from boxwright import UsageError

    answer = _ask("Where will the model run: " + ", ".join(Device) + "?", "cpu").strip().lower()
    if answer not in list(Device):
        raise UsageError(f"there is no device {answer!r}", f"answer one of: {', '.join(Device)}")
    return Device(answer)


def _recipe(form: str, photos: str, test: str, device: Device, minutes: int) -> dict[str, Any]:
    uri = f"{form}:{photos}"
    train_uri, val_uri = "${split.dataset[train]}", "${split.dataset[val]}"
    test_uri = f"{form}:{test}" if test else "${split.dataset[test]}"
    steps: dict[str, Any] = {
        "validate": {"uris": [uri, test_uri] if test else uri},
        "split": {
            "command": "convert",
            "sources": uri,
            "target": "coco:data/{split}.json?images=copy",
            # The tuning must not see the images that the model is measured on.
            "with": f"split:{'train=0.85,val=0.15' if test else 'train=0.7,val=0.1,test=0.2'},seed=1",
        },
    }
    steps["train"] = {
        "data": train_uri,
        "val": val_uri,
        "seed": "${seed}",
        "set": {"steps": min(max(minutes * _STEPS_PER_MINUTE, _FEWEST_STEPS), _MOST_STEPS)},
        "out": "runs/seed-${seed}",
    }
    steps["tune"] = {"model": "${train.run}", "data": val_uri}
    steps["evaluate"] = {"model": "${train.run}", "data": test_uri, "report": "report-${seed}.html"}
    if exporter := _exporter(device):
        steps["export"] = {
            "run": "${train.run}",
            "to": exporter,
            "data": test_uri,
            "out": f"exported/{device.value}-${{seed}}",
        }
    steps["predict"] = {"model": "${train.run}", "inputs": test or test_uri, "out": "found/seed-${seed}"}
    return {"variables": {"seed": 0}, "steps": steps}


def _exporter(device: Device) -> str:
    """Returns the best exporter for a device that is installed; empty if there is none."""
    from boxwright.plugins import default_registry

    registry = default_registry()
    for text in _EXPORTERS[device]:
        name, _, precision = text.partition(":")
        for entry in registry.all("exporter"):
            if entry.spec.name == name and not entry.missing and (not precision or precision in entry.spec.precisions):
                return text
    return ""


def _text(content: dict[str, Any], recipe: Path) -> str:
    from boxwright_cli.recipes.saving import yaml_text

    return (
        f"# Written by `boxwright init`. Run it with: boxwright run {recipe.name}\n"
        f"# Several seeds show how much the result depends on chance: boxwright run {recipe.name} --set seed=[0,1,2]\n"
        + yaml_text(content)
    )
