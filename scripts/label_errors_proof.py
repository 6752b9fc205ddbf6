"""Measures how many planted label errors are among the suspects: 5 % of the boxes missing, shifted or of another class.

    python scripts/label_errors_proof.py folder --each
    python scripts/label_errors_proof.py folder --each --fold 0 2
    python scripts/label_errors_proof.py folder --share 0.05 --seed 0 1 2
    python scripts/label_errors_proof.py folder --set fruits --shift 0.3 --folds 5 --plantings 20

A third of the faults is of each kind, unless ``--each`` plants the whole share of every kind. The photos of a set, by
default bccd, are split into folds. The detections in each come from a model that was trained on the others, faults
included, and are kept in the folder: a call continues where the last one ended. It prints the share of the faults that
are found among twice as many suspects as faults, by kind. bccd has label errors itself, which count as wrong suspects.
``--plantings`` measures the same models with other faults, too, because few photos have few.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import boxwright
from boxwright import Boxes, Detections, LabelMap, Sample, iou
from boxwright.analysis.report.outcomes import Tally
from boxwright.analysis.report.suspects import Suspect, suspects_of

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("BOXWRIGHT_SHARED_DATA", ROOT.parent / "shared" / "data"))
KINDS = ("missing", "shifted", "swapped")


@dataclass(frozen=True)
class Fault:
    """A planted fault: the box before it, and its position after it, -1 if the box is missing."""

    kind: str
    image: int
    box: tuple[float, float, float, float]
    position: int


def main() -> None:
    """Trains what is missing in the folder, and prints the shares."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--set", default="bccd", help="A folder of the shared data with train and val or test")
    parser.add_argument("--share", type=float, default=0.05, help="Share of the boxes with a fault")
    parser.add_argument("--shift", type=float, default=0.0, help="Share of the sides; by default more than half")
    parser.add_argument("--each", action="store_true", help="Plant the share of each kind, not of all together")
    parser.add_argument("--seed", type=int, nargs="+", default=[0])
    parser.add_argument("--plantings", type=int, default=1, help="How often faults are planted for each seed")
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--fold", type=int, nargs="+", help="Train and measure these alone")
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--steps", type=int, default=300)
    arguments = parser.parse_args()
    folder = SHARED / arguments.set
    clean = [
        sample
        for part in ("train", "val", "test")
        if (folder / part).is_dir()
        for sample in boxwright.open(f"labelimg:{folder / part}", on_error="skip")
    ]
    for seed in arguments.seed:
        how = {"each": arguments.each, "shift": arguments.shift}
        samples, _ = plant(clean, arguments.share, seed, **how)
        planted = f"{arguments.set}-{'each-' if arguments.each else ''}{arguments.share:g}-{arguments.shift:g}-{seed}"
        name = f"{planted}-{arguments.preset}-{arguments.steps}-{arguments.folds}"
        settings = {"preset": arguments.preset, "settings": {"steps": arguments.steps}, "seed": seed}
        wanted = arguments.fold if arguments.fold is not None else range(arguments.folds)
        found = detect(samples, arguments.folder / name, arguments.folds, wanted, settings)
        for planting in range(arguments.plantings):
            samples, faults = plant(clean, arguments.share, seed + 1000 * planting, **how)
            measured = [fault for fault in faults if fault.image in found]
            if measured:  # few photos may have none
                print(name, json.dumps(measure(samples, found, measured)), flush=True)


def plant(
    clean: list[Sample], share: float, seed: int, *, each: bool, shift: float = 0.0
) -> tuple[list[Sample], list[Fault]]:
    """Returns the samples with faults, and the faults; ``shift`` is a share of the sides, by default more than half."""
    random = np.random.default_rng(seed)
    names = sorted({label for sample in clean for label in sample.boxes.labels})
    solid = [
        (image, position)
        for image, sample in enumerate(clean)
        for position, box in enumerate(sample.boxes)
        if box.width > 0 and box.height > 0
    ]
    of_kind = max(1, round(share * len(solid) / (1 if each else len(KINDS))))
    chosen = random.permutation(len(solid))[: of_kind * len(KINDS)]
    kinds = {solid[place]: KINDS[number // of_kind] for number, place in enumerate(chosen)}
    samples, faults = [], []
    for image, sample in enumerate(clean):
        labels, rows = [], []
        for position, box in enumerate(sample.boxes):
            kind, label, edges = kinds.get((image, position), ""), box.label, box.coordinates
            if kind == "swapped":
                label = str(random.choice([name for name in names if name != label]))
            if kind == "shifted":
                # Half of a side in one direction or more: the IoU with the object is below 0.5.
                angle, far = random.uniform(0, 2 * np.pi), random.uniform(0.5, 0.8)
                step = (shift or far) * np.array([np.cos(angle) * box.width, np.sin(angle) * box.height])
                if not shift:
                    step += 0.25 * np.sign(step) * np.array([box.width, box.height])
                edges = tuple((np.array(edges) + np.tile(step, 2)).tolist())
            if kind:
                faults.append(Fault(kind, image, box.coordinates, -1 if kind == "missing" else len(labels)))
            if kind != "missing":
                labels.append(label)
                rows.append(edges)
        samples.append(sample.replace(boxes=Boxes(labels, rows)))
    return samples, faults


def detect(
    samples: list[Sample], folder: Path, folds: int, wanted: Iterable[int], settings: dict[str, Any]
) -> dict[int, Detections]:
    """Returns the detections in the images of some folds, by position, by models that were trained without them."""
    label_map = LabelMap.from_names(sorted({label for sample in samples for label in sample.boxes.labels}))
    of_fold = np.random.default_rng(settings["seed"]).permutation(len(samples)) % folds
    found: dict[int, Any] = {}
    for fold in wanted:
        path = folder / f"fold-{fold}.json"
        part = [int(number) for number in np.flatnonzero(of_fold == fold)]
        if not path.exists():
            others = [sample for number, sample in enumerate(samples) if of_fold[number] != fold]
            data = boxwright.from_samples(others, label_map=label_map)
            run = boxwright.train(data, out=folder / f"run-{fold}", overwrite=True, **settings)
            rows = boxwright.load_model(run).predict([samples[number] for number in part])
            content = [[each.boxes.labels, each.boxes.coordinates, each.scores] for each in rows]
            path.write_text(json.dumps(content), encoding="utf-8")
        found |= dict(zip(part, json.loads(path.read_text("utf-8")), strict=True))
    return {
        number: Detections.from_arrays(samples[number].image, labels, np.array(boxes).reshape(-1, 4), scores)
        for number, (labels, boxes, scores) in sorted(found.items())
    }


def measure(samples: list[Sample], found: dict[int, Detections], faults: list[Fault]) -> dict[str, Any]:
    """Returns the share of the faults that are among twice as many suspects, by kind."""
    label_map = LabelMap.from_names(sorted({label for sample in samples for label in sample.boxes.labels}))
    pairs = ((samples[image], detections) for image, detections in found.items())
    tally = Tally.of(pairs, label_map, np.full(len(label_map), 0.3))
    places = list(found)
    proposed = [
        replace(each, image=places[each.image])
        for each in suspects_of(tally.outcomes, label_map.names)[: 2 * len(faults)]
    ]
    hit = {number for number, fault in enumerate(faults) for suspect in proposed if is_hit(fault, suspect)}
    shares = {
        kind: round(float(np.mean([number in hit for number, fault in enumerate(faults) if fault.kind == kind])), 3)
        for kind in KINDS
        if any(fault.kind == kind for fault in faults)
    }
    numbers = {"images": len(found), "faults": len(faults), "suspects": len(proposed)}
    return numbers | {"found": round(len(hit) / len(faults), 3)} | shares


def is_hit(fault: Fault, suspect: Suspect) -> bool:
    """Returns whether a suspect shows a person the fault: it is the same box, or is where the box should be."""
    if fault.image != suspect.image:
        return False
    if suspect.position >= 0:
        return suspect.position == fault.position
    return fault.kind != "swapped" and bool(iou(np.array([suspect.box]), np.array([fault.box]))[0, 0] >= 0.5)


if __name__ == "__main__":
    main()
