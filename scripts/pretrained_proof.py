"""Compares pretrained weights with training from scratch: the same CPU time, several seeds.

    python scripts/pretrained_proof.py proof.jsonl
    python scripts/pretrained_proof.py proof.jsonl --data bccd bccd-20 --network tiny lite0 --seed 0 --seconds 480

Per dataset and network, short trainings measure the CPU time of the start and of a step. Each training then has as
many steps as fit into the time. Every result is a line of the file; a call continues where the last one ended, and
prints the table. ``--steps tiny=343 lite0=164`` sets the steps instead, where an idle machine measured them before.
The photos are those of ``../shared/data`` (or ``BOXWRIGHT_SHARED_DATA``). The time is CPU time: run it on an idle
machine, pinned to one core.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import mean
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("BOXWRIGHT_SHARED_DATA", ROOT.parent / "shared" / "data"))

NETWORKS: dict[str, list[str]] = {
    "tiny": ["--preset", "tiny"],
    "lite0": ["--preset", "efficientnet_lite0_imagenet"],
    "lite0-random": ["--preset", "efficientnet_lite0_imagenet", "--set", "weights=none"],
}
SECONDS = {"fruits": 240, "bccd": 480, "bccd-20": 480, "demo": 240}
"""The datasets, and the CPU seconds of a training on each."""
_SHORT, _LONGER = 10, 80


def main() -> None:
    """Measures what is missing in the file, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--data", nargs="+", choices=SECONDS, default=list(SECONDS))
    parser.add_argument("--network", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--seed", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--seconds", type=float, help="CPU seconds per training, instead of those of each dataset")
    parser.add_argument(
        "--steps", nargs="+", type=steps_of, default=[], metavar="NETWORK=STEPS", help="Steps, instead of measuring"
    )
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="Passed to every training")
    arguments = parser.parse_args()
    found = read(arguments.results)
    with tempfile.TemporaryDirectory(prefix="boxwright-proof-") as folder:
        for seed in arguments.seed:
            for data in arguments.data:
                for network in arguments.network:
                    seconds = arguments.seconds or SECONDS[data]
                    key = {"data": data, "network": network, "seed": seed, "seconds": seconds, "set": arguments.set}
                    if network in (steps := dict(arguments.steps)):
                        key["steps"] = steps[network]
                    if any(key.items() <= line.items() for line in found):
                        continue
                    line = key | measure(key, found, arguments.results, Path(folder))
                    append(arguments.results, line, found)
    table(found)


def steps_of(text: str) -> tuple[str, int]:
    """Returns the network and the number of steps that `NETWORK=STEPS` names."""
    name, _, steps = text.partition("=")
    if name not in NETWORKS:
        raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(NETWORKS)}")
    return name, int(steps)


def measure(key: dict[str, Any], found: list[dict[str, Any]], results: Path, folder: Path) -> dict[str, Any]:
    """Trains once for the given time, and returns the steps, the time and the metrics on images held out."""
    train, test = dataset(key["data"], folder)
    options = [*NETWORKS[key["network"]], *(word for each in key["set"] for word in ("--set", each))]
    if "steps" in key:
        steps = key["steps"]
    else:
        start, step = cost(key, options, train, found, results, folder)
        steps = max(1, round((key["seconds"] - start) / step))
    run = folder / "run"
    used = training(train, run, options, steps, key["seed"])
    values = boxwright("evaluate", str(run), "--data", test, "--json")["values"]
    return {"steps": steps, "cpu_seconds": round(used, 1), "AP50": values["AP50"], "AP": values["AP"]}


def cost(
    key: dict[str, Any], options: list[str], train: str, found: list[dict[str, Any]], results: Path, folder: Path
) -> tuple[float, float]:
    """Returns the CPU seconds of a training without its steps, and of one step; measured once."""
    wanted = {"cost_of": key["network"], "data": key["data"], "set": key["set"]}
    for line in found:
        if wanted.items() <= line.items():
            return line["start"], line["step"]
    # The first of them also fills the caches of the file system.
    short = min(training(train, folder / "run", options, _SHORT, 0) for _ in range(2))
    longer = training(train, folder / "run", options, _LONGER, 0)
    step = (longer - short) / (_LONGER - _SHORT)
    append(results, wanted | {"start": round(short - _SHORT * step, 2), "step": round(step, 3)}, found)
    return short - _SHORT * step, step


def training(data: str, run: Path, options: list[str], steps: int, seed: int) -> float:
    """Trains in a process and returns its CPU seconds, including the start and the loading of images."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    words = ["train", "--data", data, "--out", str(run), "--overwrite", "--seed", str(seed), *options]
    boxwright(*words, "--set", f"steps={steps}", "--json")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def dataset(name: str, folder: Path) -> tuple[str, str]:
    """Returns the URIs of the training and test images of a dataset, after making it if it is drawn or a sample."""
    if name == "fruits":
        return f"labelimg:{SHARED / 'fruits' / 'train'}", f"labelimg:{SHARED / 'fruits' / 'test'}"
    test = f"labelimg:{SHARED / 'bccd' / 'val'}"
    if name == "bccd":
        return f"labelimg:{SHARED / 'bccd' / 'train'}", test
    made = folder / name
    if name == "demo":
        if not made.exists():
            boxwright("demo", str(made), "--json")
        return f"labelimg:{made / 'train'}", f"labelimg:{made / 'test'}"
    if not made.exists():
        whole = f"labelimg:{SHARED / 'bccd' / 'train'}"
        boxwright("convert", whole, f"labelimg:{made}", "--with", "sample:20,seed=1", "--json")
    return f"labelimg:{made}", test


def boxwright(*words: str) -> dict[str, Any]:
    """Runs the program of this environment, and returns the JSON object that it prints."""
    done = subprocess.run([sys.executable, "-m", "boxwright_cli", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}\n{done.stderr[-2000:]}")
    content: dict[str, Any] = json.loads(done.stdout)
    return content


def read(path: Path) -> list[dict[str, Any]]:
    """Returns the lines of a file of results; none if it does not exist."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def append(path: Path, line: dict[str, Any], found: list[dict[str, Any]]) -> None:
    """Adds a line to the file and to the results."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    found.append(line)
    print(line, file=sys.stderr, flush=True)


def table(found: list[dict[str, Any]]) -> None:
    """Prints the means over the seeds as a Markdown table."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for line in found:
        if "AP" in line:
            groups[line["data"], line["seconds"], line["network"], " ".join(line["set"])].append(line)
    print("| Data | CPU s | Network | Settings | Steps | AP50 | AP | Seeds |\n|---|---|---|---|---|---|---|---|")
    for (data, _, network, settings), lines in groups.items():
        used, steps = mean(line["cpu_seconds"] for line in lines), mean(line["steps"] for line in lines)
        every = " | ".join(
            f"{mean(line[name] for line in lines):.3f} ({', '.join(f'{line[name]:.3f}' for line in lines)})"
            for name in ("AP50", "AP")
        )
        print(f"| {data} | {used:.0f} | {network} | {settings} | {steps:.0f} | {every} | {len(lines)} |")


if __name__ == "__main__":
    main()
