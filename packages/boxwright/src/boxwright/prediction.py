"""Prediction: pictures in, detections and drawn pictures out."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from boxwright.dataset import Dataset, Problems, open_dataset
from boxwright.errors import DataError, UsageError
from boxwright.output import AtomicOutput
from boxwright.progress import LogReporter, Reporter
from boxwright.protocols import Model, OnProblem
from boxwright.registry import Registry, registry, require
from boxwright.run import Run
from boxwright.schemas import DatasetInfo, Detections, LabelMap, Sample
from boxwright.uri import is_remote


@dataclass
class Prediction:
    """What was found.

    Attributes:
        detections: One entry a picture, in order.
        pictures: The drawn pictures, where ``out`` was given.
        files: Other files written: ``detections.json``, or a dataset.
        skipped: Pictures that could not be read.
    """

    detections: list[Detections]
    pictures: list[Path] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    skipped: list[DataError] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: boxes as ``xmin ymin xmax ymax`` in pixels."""
        return {
            "pictures": [_plain(found) for found in self.detections],
            "drawn": [str(path) for path in self.pictures],
            "files": [str(path) for path in self.files],
            "skipped": [str(error) for error in self.skipped],
        }


def load_model(run: str | Path | Run, *, registry_: Registry | None = None) -> Model:
    """Loads the model of a run.

    Raises:
        RunError: There is no run, or it has no model yet.
        PluginError: Its backend is not installed, or lacks a library.
    """
    plugins = registry_ or registry()
    found = run if isinstance(run, Run) else Run(run)
    require("backend", plugins.get("backend", found.backend))
    model: Model = plugins.resolve("backend", found.backend)().load(found)
    return model


def predict(
    model: str | Path | Run | Model,
    inputs: str | Path | Dataset | Sequence[str | Path],
    *,
    out: str | Path | None = None,
    to: str | None = None,
    score: float = 0.3,
    batch_size: int = 8,
    on_error: str = "fail",
    overwrite: bool = False,
    reporter: Reporter | None = None,
    registry_: Registry | None = None,
) -> Prediction:
    """Finds objects in pictures.

    Args:
        model: A run, its folder, or a loaded model.
        inputs: Pictures, folders of pictures, or dataset URIs; one or several.
        out: A folder for the pictures with boxes drawn and for ``detections.json``.
        to: Also write the detections as a dataset of this format (``labelimg``), inside ``out``.
        score: Leave out detections below it, 0..1.
        batch_size: Pictures predicted at once.
        on_error: ``"fail"`` or ``"skip"`` pictures that cannot be read.
        overwrite: Whether an existing ``out`` may be replaced.
        reporter: Where progress goes.
        registry_: The plugins to use, instead of the installed ones.

    Raises:
        UsageError: A score outside 0..1, or ``to`` without ``out``.
        DataError: A picture cannot be read, or there is none.
        RunError: There is no run, or it has no model.
        OutputError: ``out`` exists already.
    """
    plugins, reporter = registry_ or registry(), reporter or LogReporter()
    if not 0 <= score <= 1:
        raise UsageError(f"the score is {score:g}", "give a number from 0 to 1")
    if to is not None and out is None:
        raise UsageError(f"writing {to} needs a place", "give --out DIR")
    data = gather(inputs, on_error=on_error, registry_=plugins)
    loaded = load_model(model, registry_=plugins) if isinstance(model, str | Path | Run) else model
    total = data.info.num_samples
    if out is None:
        with reporter.task("Predicting", total) as task:
            detections = []
            for _, found in _detect(loaded, data, score, batch_size):
                detections.append(found)
                task.advance()
        _check_any(detections, data)
        return Prediction(detections, skipped=data.problems.skipped)
    with AtomicOutput(str(out), "folder", overwrite=overwrite) as output, reporter.task("Predicting", total) as task:
        prediction = Prediction([])
        for sample, found in _detect(loaded, data, score, batch_size):
            prediction.detections.append(found)
            prediction.pictures.append(Path(out) / _draw(output, sample, found, loaded.label_map))
            task.advance()
        _check_any(prediction.detections, data)
        with output.open("detections.json") as file:
            content = {"pictures": [_plain(found) for found in prediction.detections], "score": score}
            file.write((json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())
        prediction.files.append(Path(out) / "detections.json")
        prediction.skipped = data.problems.skipped
    if to is not None:
        prediction.files.append(_write_dataset(prediction.detections, to, Path(out), loaded.label_map, plugins))
    return prediction


def _detect(model: Model, data: Dataset, score: float, batch_size: int) -> Iterator[tuple[Sample, Detections]]:
    from boxwright.evaluation import predicted_pairs

    for sample, found in predicted_pairs(model, data, batch_size=batch_size):
        yield sample, found.above(score)


def _check_any(detections: Sequence[Detections], data: Dataset) -> None:
    if not detections:
        raise DataError(data.info.location, "there is no picture that can be read", "give pictures or a folder of them")


def _draw(output: AtomicOutput, sample: Sample, found: Detections, label_map: LabelMap) -> str:
    from boxwright.drawing import draw_boxes, palette
    from boxwright.images import encode_jpeg, open_picture

    picture = open_picture(sample.replace(boxes=found.boxes))
    colors = palette(label_map.names)
    drawn = draw_boxes(picture.image, picture.boxes.xyxy, found.boxes.labels, found.scores, colors=colors)
    name = str(PurePosixPath(sample.image.name).with_suffix(".jpg"))
    with output.open(name) as file:
        file.write(encode_jpeg(drawn))
    return name


def _plain(found: Detections) -> dict[str, Any]:
    return {
        "picture": found.image.location or found.image.name,
        "width": found.image.width,
        "height": found.image.height,
        "detections": [
            {"label": label, "score": round(score, 4), "box": [round(edge, 2) for edge in edges]}
            for label, score, edges in zip(found.boxes.labels, found.scores, found.boxes.edges, strict=True)
        ],
    }


def _write_dataset(
    detections: Sequence[Detections], to: str, out: Path, label_map: LabelMap, plugins: Registry
) -> Path:
    from boxwright.conversion import convert

    entry = plugins.get("format", to)
    target = out / to if entry.spec.target == "folder" else out / f"detections{(entry.spec.suffixes or ('',))[0]}"
    source = Dataset(SampleReader([found.to_sample() for found in detections], str(out)), label_map=label_map)
    convert(source, f"{to}:{target}", label_map=label_map, registry_=plugins)
    return target


class SampleReader:
    """A reader over samples that are in memory already.

    Args:
        samples: They are given as they are, each time.
        location: For messages.
    """

    def __init__(self, samples: Sequence[Sample], location: str = "memory") -> None:
        self.samples = samples
        self.info = DatasetInfo(format="samples", location=location, num_samples=len(samples))

    def read(self, on_problem: OnProblem) -> Iterator[Sample]:
        """Gives them all."""
        return iter(self.samples)


class PictureReader:
    """A reader over pictures without annotations: files, and folders with everything in them.

    Args:
        paths: Pictures and folders of this machine.

    Raises:
        DataError: One of them does not exist.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self._files: list[tuple[str, str]] = []
        given = list(paths)
        for path in given:
            if os.path.isdir(path):
                self._files += [(file, os.path.relpath(file, path)) for file in _pictures_below(path)]
            elif os.path.exists(path):
                self._files.append((path, os.path.basename(path)))
            else:
                raise DataError(path, "there is no such picture or folder", "check the path")
        self.info = DatasetInfo(format="pictures", location=", ".join(given), num_samples=len(self._files))

    def read(self, on_problem: OnProblem) -> Iterator[Sample]:
        """Gives every picture with its upright size and no boxes."""
        from boxwright.images import picture_ref

        seen: dict[str, int] = {}
        for path, name in self._files:
            try:
                reference = picture_ref(path, _unique(name.replace(os.sep, "/"), seen))
            except DataError as error:
                on_problem(error)
                continue
            yield Sample(image=reference, source=path)


def gather(
    inputs: str | Path | Dataset | Sequence[str | Path], *, on_error: str = "fail", registry_: Registry | None = None
) -> Dataset:
    """Pictures, folders or one dataset URI as a dataset.

    Raises:
        UsageError: URIs and pictures are mixed.
        DataError: Something is not there.
    """
    if isinstance(inputs, Dataset):
        return inputs
    items = [str(item) for item in ([inputs] if isinstance(inputs, str | Path) else inputs)]
    if not items:
        raise UsageError("there is nothing to predict on", "give pictures, a folder, or a dataset URI")
    if all(os.path.exists(item) for item in items):
        return Dataset(PictureReader(items), problems=Problems(on_error))
    if len(items) == 1 and (":" in items[0] or is_remote(items[0])):
        return open_dataset(items[0], on_error=on_error, registry_=registry_)
    missing = next(item for item in items if not os.path.exists(item))
    if ":" in missing:
        raise UsageError(f"{missing}: one dataset URI, or pictures and folders, not both", "run it once for each")
    raise DataError(missing, "there is no such picture or folder", "check the path")


def _pictures_below(folder: str) -> Iterator[str]:
    from boxwright.uri import PICTURE_SUFFIXES

    for base, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if os.path.splitext(name)[1].lower() in PICTURE_SUFFIXES and not name.startswith("."):
                yield os.path.join(base, name)


def _unique(name: str, seen: dict[str, int]) -> str:
    """A name that no other picture's drawing has: ``a.png`` and ``a.jpg`` would both be drawn to ``a.jpg``."""
    path = PurePosixPath(name)
    key = str(path.with_suffix("")).lower()
    seen[key] = seen.get(key, 0) + 1
    return name if seen[key] == 1 else str(path.with_name(f"{path.stem}-{seen[key]}{path.suffix}"))
