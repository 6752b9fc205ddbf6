"""Checks the forecast of ``boxwright advise --curve`` on the blood cells (BCCD) against a training on all photos.

    python scripts/learning_curve_proof.py ../shared/data/bccd out --steps 200

It trains ``tiny`` on 50, 100, 150 and all 205 photos, forecasts the last from the others, and prints both.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import boxwright
from boxwright.analysis.advice.learning import Learning
from boxwright.analysis.advice.trainings import points_of
from boxwright.models import Run
from boxwright.plugins import default_registry
from boxwright.progress import LogReporter

_SIZES = (50, 100, 150)


def main() -> None:
    """Trains what is not trained yet, and prints forecasts and truth."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="the folder of the blood cells")
    parser.add_argument("out", type=Path, help="the run on all photos")
    parser.add_argument("--steps", type=int, default=200)
    arguments = parser.parse_args()
    training, test = (f"labelimg:{arguments.data / name}" for name in ("train", "val"))
    if (arguments.out / "run.json").is_file() and Run(arguments.out).status == "done":
        run = Run(arguments.out)
    else:
        settings = {"steps": arguments.steps}
        run = boxwright.train(training, out=arguments.out, preset="tiny", settings=settings, log=[], overwrite=True)
    points = points_of(
        run, boxwright.open(training), test, sizes=_SIZES, reporter=LogReporter(), registry=default_registry()
    )
    curve, last = Learning(tuple(points[:-1])), points[-1]
    for name, truth in last.values.items():
        before = ", ".join(f"{point.images}: {point.values[name]:.3f}" for point in curve.points)
        forecast = curve.forecast(last.class_images[name] if name else last.images, name)
        assert forecast is not None
        expected = f"forecast for {last.images} photos {forecast.value:.3f} ± {forecast.error:.3f}"
        difference = f"measured {truth:.3f}, difference {forecast.value - truth:+.3f}"
        print(f"{name or 'all classes'}: {before}; {expected}, {difference}", flush=True)


if __name__ == "__main__":
    main()
