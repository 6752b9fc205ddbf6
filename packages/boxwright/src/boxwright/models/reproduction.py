"""The repetition of a training from its manifest."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from boxwright.datasets.dataset import open_dataset
from boxwright.errors import RunError
from boxwright.models.fingerprints import LAYOUT, MANIFEST, Fingerprint, Fingerprints, fingerprints
from boxwright.models.inference import load_model
from boxwright.models.run import Run, versions
from boxwright.models.training import train as repeat
from boxwright.models.weights import digest_of
from boxwright.plugins.registry import Registry, default_registry
from boxwright.progress import LogReporter, Reporter
from boxwright.schemas import Sample

ENDING: Final = "-reproduced"
_ARGUMENTS: Final = (
    *("backend", "preset", "trainer", "augment", "epochs", "batch_size", "eval_every", "seed", "settings"),
    *("on_error", "allow_overlap"),
)
_PARTS: Final = ("data", "val")
_IMAGES: Final = 50
"""The number of images on which models are compared if their files differ."""


@dataclass
class Reproduction:
    """The result of repeating a training.

    Attributes:
        run: The run that was repeated.
        changed: What is different before the training: images, annotations, versions, one line each.
        differences: What is different after it; ``None`` if it did not run.
        notes: What does not decide whether they are equal.
        out: The folder of the new run; empty if it did not run.
    """

    run: str
    changed: list[str] = field(default_factory=list)
    differences: list[str] | None = None
    notes: list[str] = field(default_factory=list)
    out: str = ""

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return not self.changed and not self.differences

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "run": self.run,
            "equal": self.equal,
            "changed": self.changed,
            "differences": self.differences,
            "notes": self.notes,
            "out": self.out or None,
        }


def reproduce(
    run: str | Path | Run,
    out: str | Path | None = None,
    *,
    train: bool = True,
    overwrite: bool = False,
    reporter: Reporter | None = None,
    registry: Registry | None = None,
) -> Reproduction:
    """Repeats a training from its manifest, and compares the models.

    With changed images or annotations, nothing is trained. Other versions are reported, and the training is repeated
    with them.

    Args:
        run: The run or its folder.
        out: The folder of the new run; by default that of the run with ``-reproduced`` added to the name.
        train: Whether to train; otherwise only data and versions are compared.
        overwrite: Whether an existing ``out`` may be replaced.
        reporter: Where progress goes.
        registry: The plugins to use, instead of the installed ones.

    Raises:
        RunError: The folder is not a run, the run has no manifest or is not done, or ``out`` exists already.
        DataError: The data cannot be opened.
    """
    plugins, reporter = registry or default_registry(), reporter or LogReporter()
    first = run if isinstance(run, Run) else Run(run)
    config, recorded = _manifest(first)
    result = Reproduction(str(first.path))
    for part in _PARTS:
        uri = config[part]
        if uri is not None:
            found = fingerprints(open_dataset(uri, on_error="skip", registry=plugins), reporter)
            result.changed += _changes(recorded[part], found, uri)
    data_changed = bool(result.changed)
    before, now = first.state.get("versions", {}), versions()
    result.changed += [
        f"{name}: version {before.get(name, 'none')} -> {now.get(name, 'none')}"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]
    if data_changed or not train:
        return result
    if first.status != "done":
        raise RunError(f"{first.path} is {first.status}, not done", "finish it with --resume, and reproduce it then")
    place = first.path.resolve() if first.path.name in ("", "..") else first.path
    target = Path(out) if out is not None else place.with_name(place.name + ENDING)
    arguments: dict[str, Any] = {name: config[name] for name in _ARGUMENTS} | {"preset": config["preset"] or None}
    second = repeat(
        config["data"],
        out=target,
        val=config["val"],
        label_map=first.label_map,
        log=[],  # its loggers would write into the logs of the first run
        image_size=tuple(config["image_size"]) if config["image_size"] else None,
        overwrite=overwrite,
        reporter=reporter,
        registry=registry,
        **arguments,
    )
    result.out = str(second.path)
    result.differences = _model_differences(first, second, config, plugins, result.notes)
    return result


def _manifest(run: Run) -> tuple[dict[str, Any], dict[str, Fingerprints]]:
    """Returns the settings as requested, and the fingerprints of each part of the data."""
    path = run.file(MANIFEST)
    try:
        content = json.loads(path.read_text("utf-8"))
        if content["boxwright_manifest"] > LAYOUT:
            raise RunError(f"{path} was made by a newer boxwright", "update boxwright")
        config = dict(content["config"])
        if config.get("objects"):
            raise RunError(f"{run.path} was trained with Python objects", "repeat it with the program that made it")
        if missing := [name for name in (*_PARTS, "preset", "image_size", *_ARGUMENTS) if name not in config]:
            raise KeyError(missing[0])
        return config, {part: {name: Fingerprint(*each) for name, each in content[part].items()} for part in _PARTS}
    except OSError:
        problem = f"{run.path} has no {MANIFEST}: it is older, or its data has no URI"
        raise RunError(problem, "train again with dataset URIs, and reproduce that run") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RunError(f"{path} is damaged: {error!r}", "train again") from None


def _changes(before: Fingerprints, after: Fingerprints, uri: str) -> list[str]:
    lines = []
    for name in {**before, **after}:
        old, new = before.get(name), after.get(name)
        if old is None or new is None:
            lines.append(f"{uri}: {name} is {'new' if old is None else 'missing'}")
            continue
        if old.image != new.image:
            lines.append(f"{uri}: the image {name} {'changed' if new.image else 'cannot be read'}")
        if old.annotation != new.annotation:
            lines.append(f"{uri}: the annotation of {name} changed")
    return lines


def _model_differences(
    first: Run, second: Run, config: Mapping[str, Any], plugins: Registry, notes: list[str]
) -> list[str]:
    """Returns the differences of two models: none if their files are equal, or else their detections."""
    one, two = dict(_model_files(first)), dict(_model_files(second))
    files = [name for name in {**one, **two} if one.get(name) != two.get(name)]
    if not files:
        return []
    if one.keys() == two.keys():
        images = _some(config["val"] or config["data"], plugins)
        pairs = zip(*(load_model(run, registry=plugins).predict(images) for run in (first, second)), strict=True)
        other = [a.image.name for a, b in pairs if a.boxes != b.boxes]
        if not other:
            notes.append(f"{', '.join(files)}: other bytes, and the same detections on {len(images)} images")
            return []
        files.append(f"the detections on {len(other)} of {len(images)} images, such as {other[0]}")
    differences = [f"{each} differs" if each in {**one, **two} else f"{each} differ" for each in files]
    for mine, new in zip(first.metrics(), second.metrics(), strict=False):
        for name in sorted({*mine} & {*new}):
            if name.endswith("loss") and mine[name] != new[name]:
                differences.append(f"epoch {mine['epoch']}: {name} was {mine[name]:.6g}, and is {new[name]:.6g}")
                return differences
    return differences


def _some(uri: str, plugins: Registry) -> list[Sample]:
    found: list[Sample] = []
    for sample in open_dataset(uri, on_error="skip", registry=plugins):
        found.append(sample)
        if len(found) == _IMAGES:
            break
    return found


def _model_files(run: Run) -> Iterator[tuple[str, str]]:
    for folder, _, names in os.walk(run.file("model")):
        for name in names:
            path = Path(folder) / name
            yield path.relative_to(run.path).as_posix(), digest_of(path)
