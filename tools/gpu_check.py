"""Trains and predicts on a GPU in several ways, and compares speed and results with the processor's.

Run it where boxwright and a framework with GPU support are installed::

    python tools/gpu_check.py --out gpu-check
    python tools/gpu_check.py --out gpu-check --image-size 512x512 --batch-size 32 --steps 200 --images 200

Without a GPU, it runs the same checks on the processor and says so. Every training is a separate process. For another
framework, add a function that returns a :class:`Framework` to :data:`FRAMEWORKS`.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

NO_GPU = "no GPU found: ran on the CPU"
HIDDEN = {"CUDA_VISIBLE_DEVICES": "-1", "HIP_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}
"""The environment of a process that sees no GPU."""

LOSS_TOLERANCE = {"float32": 0.05, "mixed_bfloat16": 0.25}
"""The relative difference of the loss of the first epoch from that of the processor; later ones drift apart."""

SCORE_TOLERANCE = 0.01
EDGE_TOLERANCE = 1.0
"""In pixels. Detections with a score of at least `LEAST_SCORE` are compared."""

LEAST_SCORE = 0.1


@dataclass(frozen=True)
class Variant:
    """One way to train.

    Attributes:
        name: Shown in the table.
        arguments: Of ``boxwright train``.
        environment: Variables in addition.
        precision: A key of :data:`LOSS_TOLERANCE`.
    """

    name: str
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    precision: str = "float32"


@dataclass(frozen=True)
class Framework:
    """A framework to check.

    Attributes:
        name: For ``--framework``.
        module: The module that must be installed.
        count: Python code that prints the number of GPUs.
        arguments: Of ``boxwright train``, which choose the backend.
        variants: Returns what to train on a number of GPUs, 0 for the processor.
        environment: Variables in addition.
    """

    name: str
    module: str
    count: str
    arguments: tuple[str, ...]
    variants: Callable[[int], list[Variant]]
    environment: Mapping[str, str] = field(default_factory=dict)


def tensorflow() -> Framework:
    """TensorFlow, with the backend kerascv."""

    def variants(gpus: int) -> list[Variant]:
        xla = "--tf_xla_auto_jit=2" + ("" if gpus else " --tf_xla_cpu_global_jit")
        mirrored = "mirrored" if gpus else "mirrored:2"
        return [
            Variant("float32"),
            Variant("mixed_bfloat16", ("--set", "precision=mixed_bfloat16"), precision="mixed_bfloat16"),
            Variant("float32, XLA", environment={"TF_XLA_FLAGS": xla}),
            Variant(f"float32, --trainer {mirrored}", ("--trainer", mirrored)),
        ]

    return Framework(
        "tensorflow",
        "tensorflow",
        "import tensorflow as tf; print(len(tf.config.list_physical_devices('GPU')))",
        ("--backend", "kerascv", "--preset", "tiny"),
        variants,
    )


FRAMEWORKS: tuple[Callable[[], Framework], ...] = (tensorflow,)


@dataclass
class Result:
    """What one training did.

    Attributes:
        name: Framework, device and variant.
        images_per_second: In the last epoch.
        losses: Of each epoch.
        ap50: On images that were not trained on.
        problem: The problem; empty if there is none.
    """

    name: str
    images_per_second: float = math.nan
    losses: list[float] = field(default_factory=list)
    ap50: float = math.nan
    problem: str = ""


def run(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Runs a program."""
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)


def installed(framework: Framework) -> bool:
    """Whether the framework can be imported."""
    return run([sys.executable, "-c", f"import {framework.module}"], framework.environment).returncode == 0


def gpus_of(framework: Framework) -> int:
    """Returns the number of GPUs that the framework finds."""
    done = run([sys.executable, "-c", framework.count], framework.environment)
    lines = done.stdout.split()
    return int(lines[-1]) if done.returncode == 0 and lines and lines[-1].isdecimal() else 0


def train(framework: Framework, variant: Variant, name: str, out: Path, options: argparse.Namespace) -> Result:
    """Trains on drawn images, and reads the metrics of the run."""
    data = f"demo:train?images={options.images}&size={options.image_size}"
    command = [sys.executable, "-m", "boxwright_cli", "train", "--data", data, "--val", data.replace("train", "test")]
    command += ["--out", str(out), "--overwrite", "--log", "none", "--seed", "1", *framework.arguments]
    command += ["--image-size", options.image_size, "--batch-size", str(options.batch_size)]
    command += ["--set", f"steps={options.steps}", *variant.arguments]
    done = run(command, {**framework.environment, **variant.environment, **(HIDDEN if name.endswith("CPU") else {})})
    if done.returncode:
        messages = done.stderr.strip().splitlines() or ["no message"]
        return Result(name, problem=" ".join(line.strip() for line in messages[-2:]))
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text("utf-8").splitlines()]
    ap50 = next((line["val_AP50"] for line in reversed(lines) if "val_AP50" in line), math.nan)
    return Result(name, lines[-1]["images_per_second"], [line["loss"] for line in lines], ap50)


def compare_losses(result: Result, reference: Result, precision: str) -> None:
    """Writes a problem into a result whose loss is not that of the processor."""
    if result.problem or reference.problem:
        return
    tolerance = LOSS_TOLERANCE[precision]
    first, expected = result.losses[0], reference.losses[0]
    if not all(map(math.isfinite, result.losses)):
        result.problem = "a loss is not finite"
    elif abs(first - expected) > tolerance * expected:
        result.problem = f"the loss of the first epoch is {first:.3f}, and {expected:.3f} on the processor"


PREDICT = """
import json, sys
import boxwright
from boxwright.models import FrameworkBackend
from boxwright.plugins import default_registry

run = boxwright.Run(sys.argv[1])
backend = default_registry().resolve("backend", run.backend)()
model = backend.load_framework(run) if isinstance(backend, FrameworkBackend) else backend.load(run)
found = model.predict(boxwright.open(sys.argv[2]), batch_size=8, score=float(sys.argv[3]))
print(json.dumps([[[b.label, b.attributes["score"], *b.coordinates] for b in each.boxes] for each in found]))
"""


def predict(framework: Framework, run_folder: Path, data: str, least: float, environment: Mapping[str, str]) -> Any:
    """Returns the detections of each image in the framework that trained the run; ``None`` after an error."""
    command = [sys.executable, "-c", PREDICT, str(run_folder), data, str(least)]
    done = run(command, {**framework.environment, **environment})
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None


def unmatched(one: Sequence[Any], two: Sequence[Any], least: float = LEAST_SCORE) -> int:
    """Returns how many detections of ``one`` are missing in ``two``, of those that are not at the limit of the score.

    Args:
        one: For each image a list of detections: label, score, and four edges in pixels.
        two: The same.
        least: The lowest score.
    """
    missing = 0
    for first, second in zip(one, two, strict=True):
        for label, score, *edges in first:
            missing += score >= least + SCORE_TOLERANCE and not any(
                label == other
                and abs(score - other_score) <= SCORE_TOLERANCE
                and max(abs(a - b) for a, b in zip(edges, other_edges, strict=True)) <= EDGE_TOLERANCE
                for other, other_score, *other_edges in second
            )
    return missing


def check(framework: Framework, out: Path, options: argparse.Namespace) -> tuple[list[Result], str]:
    """Checks a framework; returns the results, and a line on its detections."""
    gpus = gpus_of(framework)
    reference_name = f"{framework.name} CPU"
    reference_run = out / f"{framework.name}-cpu"
    print(f"{framework.name}: {f'{gpus} GPU(s)' if gpus else NO_GPU}", flush=True)
    reference = train(framework, framework.variants(0)[0], reference_name, reference_run, options)
    results = [reference]
    show(reference)
    device = "GPU" if gpus else "CPU"
    for number, variant in enumerate(framework.variants(gpus)):
        if not gpus and not number:
            continue  # it is the reference
        name = f"{framework.name} {device}, {variant.name}"
        result = train(framework, variant, name, out / f"{framework.name}-{number}", options)
        compare_losses(result, reference, variant.precision)
        results.append(result)
        show(result)
    if reference.problem:
        return results, "no detections to compare"
    data = f"demo:test?images={options.images}&size={options.image_size}"
    # Of few steps, all scores are low.
    least = min(LEAST_SCORE, 0.01)
    here, there = (predict(framework, reference_run, data, least, each) for each in ({}, HIDDEN))
    if here is None or there is None:
        return results, "problem: the prediction failed"
    missing = unmatched(here, there, least) + unmatched(there, here, least)
    total = sum(map(len, there))
    problem = "problem: " if missing else ""
    return results, f"{problem}{device} and CPU: {missing} of {total} detections differ"


def show(result: Result) -> None:
    """Prints a line of the table."""
    losses = f"loss {result.losses[0]:.4f} to {result.losses[-1]:.4f}" if result.losses else ""
    numbers = "" if result.problem and not losses else f"{result.images_per_second:8.1f} images/s  {losses}"
    ap50 = f"  AP50 {result.ap50:.3f}" if math.isfinite(result.ap50) else ""
    problem = f"  problem: {result.problem}" if result.problem else ""
    print(f"{result.name:50} {numbers}{ap50}{problem}", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the checks; returns 1 after a problem."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    names = {each().name: each() for each in FRAMEWORKS}
    parser.add_argument("--out", type=Path, required=True, help="folder for the runs and report.json")
    parser.add_argument("--framework", action="append", choices=list(names), help="only these; by default all")
    parser.add_argument("--steps", type=int, default=40, help="steps of each training (default: 40)")
    parser.add_argument("--images", type=int, default=40, help="drawn images to train on (default: 40)")
    parser.add_argument("--image-size", default="128x128", help="WxH (default: 128x128)")
    parser.add_argument("--batch-size", type=int, default=8, help="images per step (default: 8)")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    report: dict[str, Any] = {}
    bad = False
    for name in options.framework or names:
        framework = names[name]
        if not installed(framework):
            print(f"{name}: not installed")
            continue
        results, detections = check(framework, options.out, options)
        print(detections, flush=True)
        bad = bad or detections.startswith("problem") or any(result.problem for result in results)
        trained = [asdict(result) for result in results]
        report[name] = {"gpus": gpus_of(framework), "trained": trained, "detections": detections}
    (options.out / "report.json").write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
