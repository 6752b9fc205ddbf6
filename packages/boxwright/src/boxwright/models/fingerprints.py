"""The manifest of a training: its settings as requested, and the digests of all images and annotations."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from boxwright.datasets.dataset import Dataset
from boxwright.datasets.parallel import available_cores, map_samples
from boxwright.datasets.problems import Problems
from boxwright.errors import DataError, RunError
from boxwright.models.run import Run
from boxwright.progress import Reporter
from boxwright.schemas import Sample

MANIFEST: Final = "manifest.json"
"""The file of a run with the manifest."""
LAYOUT: Final = 1
_MOST_WORKERS: Final = 8
_DIGITS: Final = 64
"""The length of a digest in hexadecimal digits; those of images with the same name follow each other."""


@dataclass(frozen=True)
class Fingerprint:
    """The digests of one image: of its bytes, empty if it cannot be read, and of its size and boxes."""

    image: str
    annotation: str


Fingerprints = dict[str, Fingerprint]


def write_manifest(run: Run, config: Mapping[str, Any], data: Dataset, val: Dataset | None, reporter: Reporter) -> None:
    """Writes the manifest of a run: its settings as requested, and the digests of its images.

    Nothing is written for data without a URI, which could not be opened again.
    """
    if config["data"] == "" or config["val"] == "":
        return
    content: dict[str, Any] = {"boxwright_manifest": LAYOUT, "config": dict(config)}
    for part, dataset in (("data", data), ("val", val)):
        found = {} if dataset is None else fingerprints(dataset, reporter)
        content[part] = {name: [each.image, each.annotation] for name, each in found.items()}
    run.write_json(MANIFEST, content)


def read_images(run: Run) -> frozenset[str]:
    """Returns the digests of the images that a run was trained on, from its manifest.

    Raises:
        RunError: The run has no manifest, or it is damaged.
    """
    try:
        content = json.loads(run.file(MANIFEST).read_text("utf-8"))
        joined = [image for image, _ in content["data"].values()]
        return frozenset(each[start : start + _DIGITS] for each in joined for start in range(0, len(each), _DIGITS))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RunError(
            f"{run.path} does not say which images it was trained on: {MANIFEST} cannot be read: {error!r}",
            "train again, from a dataset with a URI",
        ) from None


def fingerprints(dataset: Dataset, reporter: Reporter) -> Fingerprints:
    """Returns the digests of the images of a dataset by name; those of images with the same name are joined."""
    samples = dataset.with_problems(Problems("skip"))
    found: Fingerprints = {}
    with reporter.task(f"Recording the images of {dataset.uri}", samples.info.num_samples) as task:
        workers = min(available_cores(), _MOST_WORKERS)
        for name, each in map_samples(_fingerprint, samples, lambda error: None, workers):
            task.advance()
            before = found.get(name)
            found[name] = (
                each if before is None else Fingerprint(before.image + each.image, before.annotation + each.annotation)
            )
    return found


def _fingerprint(sample: Sample) -> tuple[str, Fingerprint]:
    try:
        image = hashlib.sha256(sample.image.read()).hexdigest()
    except DataError:
        image = ""
    boxes = sample.boxes
    size = (sample.image.width, sample.image.height)
    described = repr((*size, tuple(boxes.labels), [tuple(map(float, each)) for each in boxes.coordinates]))
    if any(boxes.attributes):  # such as iscrowd, whose boxes are not trained on
        described += json.dumps([dict(each) for each in boxes.attributes], sort_keys=True, default=str)
    return sample.image.name, Fingerprint(image, hashlib.sha256(described.encode()).hexdigest())
