"""Compares every value of a recipe with the installed plugins, before anything runs."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import typer

from boxwright import BoxwrightError, DatasetURI, UsageError, __version__, did_you_mean
from boxwright.datasets import engine_options, make_transform, parse_options
from boxwright.models import Goal, Slicing, check_augmenters, check_trainer, check_training
from boxwright.plugins import KINDS, convert_options, default_registry
from boxwright_cli.meanings import Meaning
from boxwright_cli.recipes.contents import overlaps, places, unescaped
from boxwright_cli.recipes.plan import Plan, Step
from boxwright_cli.values import parse_settings, parse_size


def check_plan(plan: Plan) -> None:
    """Checks all steps.

    Raises:
        DataError: A value is wrong, or an input is missing and no earlier step makes it; the error names the line.
    """
    made: list[str] = []
    for step in plan.steps:
        _check_step(plan, step, made)
        for key, meaning in step.command.meanings.items():
            if meaning.role == "writes" and key in step.given:
                made += places(meaning, step.given[key])


def versions_of(step: Step, values: Mapping[str, Any]) -> dict[str, str]:
    """Returns the versions of boxwright and of the plugins that a step names, by distribution."""
    registry = default_registry()
    found = {"boxwright": __version__}
    for kind, name in _plugins(step, values):
        for entry in registry.all(kind):
            if entry.spec.name == name:
                found[entry.distribution] = entry.version
    return found


def _plugins(step: Step, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields the kind and name of the plugins that the values of a step name."""
    for key, meaning in step.command.meanings.items():
        for text in _texts(values.get(key)):
            if meaning.what in ("dataset", "inputs"):
                if name := DatasetURI.parse(text).format:
                    yield "format", name
            elif meaning.what in KINDS:
                yield meaning.what, text.partition(":")[0].partition("(")[0]


def _check_step(plan: Plan, step: Step, made: Sequence[str]) -> None:
    later = [
        key
        for key, meaning in step.command.meanings.items()
        if meaning.role == "reads" and key in step.given and _is_made(meaning, step.given[key], made)
    ]
    # Files that an earlier step makes do not exist yet.
    given = {key: value for key, value in step.given.items() if key not in later or _is_required(step, key)}
    try:
        values = step.command.parse(given)
    except BoxwrightError as error:
        raise plan.error(step, error.message, error.remedy, _key_in(error.message, step)) from None
    for key, meaning in step.command.meanings.items():
        try:
            for text in _texts(step.given.get(key)):
                _check_value(meaning, text)
            if meaning.role in ("reads", "changes") and key in step.given:
                _check_exists(meaning, step.given[key], made)
        except BoxwrightError as error:
            raise plan.error(step, f"{key}: {error.message}", error.remedy, key) from None
    try:
        _check_together(step, values)
    except BoxwrightError as error:
        raise plan.error(step, error.message, error.remedy, _key_in(error.message, step)) from None
    except typer.TyperException as error:
        raise plan.error(step, error.format_message(), f"see `boxwright {step.command.name} --help`") from None


def _check_value(meaning: Meaning, text: str) -> None:
    registry = default_registry()
    if meaning.what == "dataset":
        uri = DatasetURI.parse(text) if ":" in text or meaning.role != "writes" else DatasetURI(text, None)
        if uri.format is None:
            return
        spec = registry.get("format", uri.format).spec
        if not (spec.load if meaning.role == "reads" else spec.write):
            what = "written and not read" if meaning.role == "reads" else "read and not written"
            raise UsageError(f"the format {uri.format!r} can be {what}", "see `boxwright formats`")
        options = spec.options if meaning.role == "reads" else spec.write_options
        convert_options(uri.options, options, f"{uri.format}:{uri.location}")
    elif meaning.what == "transform":
        make_transform(text)
    elif meaning.what == "metric":
        name, _, rest = text.partition(":")
        options = dict(part.partition("=")[::2] for part in rest.split(",") if part)
        convert_options(options, registry.get("metric", name).spec.options, f"the metric {name}")
    elif meaning.what == "exporter":
        name, _, precision = text.partition(":")
        precisions = registry.get("exporter", name).spec.precisions
        if precision and precision not in precisions:
            remedy = f"{did_you_mean(precision, precisions)}use one of: {', '.join(precisions) or 'none'}"
            raise UsageError(f"the exporter {name} has no precision {precision!r}", remedy)
    elif meaning.what == "logger" and text != "none":
        name, _, rest = text.partition(":")
        logger = registry.get("logger", name).spec
        convert_options(parse_options(text, name, rest, logger.positional).given, logger.options, f"the logger {name}")
    elif meaning.what == "backend":
        registry.get("backend", text)
    elif meaning.what == "trainer":
        check_trainer(text, registry)
    elif meaning.what == "engine":
        engine_options(text, registry)


def _check_exists(meaning: Meaning, value: Any, made: Sequence[str]) -> None:
    if meaning.what in ("dataset", "inputs"):
        value = [text for text in _texts(value) if not _is_elsewhere(text)]
    for path in places(meaning, value):
        if meaning.what == "inputs" and path.isdigit():  # a camera
            continue
        if not os.path.exists(path) and not glob.glob(path) and not _is_covered(path, made):
            if meaning.what == "file" and path.endswith(".pbtxt"):  # created if it is missing
                continue
            raise UsageError(f"{unescaped(path)} does not exist, and no step above makes it", "check the path")


def _check_together(step: Step, values: Mapping[str, Any]) -> None:
    """Checks the options that depend on each other."""
    settings = parse_settings(list(values.get("set") or ()))
    if step.command.name == "train":
        size = values["image-size"]
        augment = values["augment"]
        if values["config"] is not None:
            settings["config"] = str(values["config"])
        check_training(
            backend=values["backend"],
            preset=values["preset"],
            trainer=values["trainer"] or "local",
            augment=None if not augment else [] if list(augment) == ["none"] else list(augment),
            epochs=values["epochs"],
            batch_size=values["batch-size"],
            eval_every=values["eval-every"],
            image_size=parse_size(size, "--image-size") if size else None,
            seed=values["seed"],
            settings=settings,
            held_out="val" in step.given,
        )
    elif values.get("augment"):
        check_augmenters(list(values["augment"]))
    if step.command.name == "tune":
        Goal.parse(values["for"])
    if values.get("slice"):
        Slicing.of(values["slice"])
    for key, meaning in step.command.meanings.items():
        if meaning.what == "exporter" and settings:
            name = str(values[key]).partition(":")[0]
            convert_options(settings, default_registry().get("exporter", name).spec.options, f"the exporter {name}")


def _is_elsewhere(text: str) -> bool:
    """Whether a dataset may not be a file or folder, as of TensorFlow Datasets: its format writes none."""
    name = DatasetURI.parse(text).format
    return name is not None and not default_registry().get("format", name).spec.write


def _is_required(step: Step, key: str) -> bool:
    return bool(step.command.parameters[key].required)


def _is_made(meaning: Meaning, value: Any, made: Sequence[str]) -> bool:
    return any(_is_covered(path, made) for path in places(meaning, value))


def _is_covered(path: str, made: Sequence[str]) -> bool:
    return any(overlaps(path, each) for each in made)


def _key_in(message: str, step: Step) -> str:
    """Returns the key whose value or name is the last one in a message, for its line."""
    words = re.findall(r"[^\s':=]+", message)
    found = ("", -1)
    for key in step.text.options:
        given = step.given[key]
        for text in (key, *(given if isinstance(given, Mapping) else _texts(given))):
            if text in words and (place := words.index(text)) > found[1]:
                found = (key, place)
    return found[0]


def _texts(value: Any) -> list[str]:
    if value in (None, "") or isinstance(value, Mapping):
        return []
    return [str(each) for each in (value if isinstance(value, list | tuple) else [value])]
