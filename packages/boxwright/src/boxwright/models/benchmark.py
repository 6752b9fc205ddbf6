"""Measures models side by side: speed, memory, size and AP, one process per model."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from boxwright.datasets.dataset import open_dataset
from boxwright.errors import RunError, UsageError
from boxwright.label_map import read_label_map
from boxwright.models.artifact import AROUND
from boxwright.models.inference import unknown_class_error
from boxwright.models.manifest import RECORD, manifest_content, read_manifest
from boxwright.models.network import LABEL_MAP
from boxwright.models.run import STATE, Run
from boxwright.models.trust import models_trusted
from boxwright.plugins.options import MAX_BAD
from boxwright.plugins.registry import default_registry
from boxwright.progress import LogReporter, Reporter
from boxwright.schemas import Sample
from boxwright.storage.links import links_followed

ROUNDS, WARMUP, SECONDS = 50, 5, 20.0
FRAMEWORK = "framework"
_THREADS = (
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"),
    *("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"),
)
_LAST_LINES = 5
_CHECKED = 32
"""The number of images whose classes are compared with those of the models."""


@dataclass(frozen=True)
class Speed:
    """How long one image takes, at batch 1.

    Attributes:
        median: The median in seconds.
        p95: The 95th percentile in seconds.
        calls: The number of timed calls.
    """

    median: float
    p95: float
    calls: int


@dataclass
class Measurement:
    """One model.

    Attributes:
        model: The run folder or artifact.
        kind: ``framework`` for a run in the framework that trained it, ``run`` for a run as every command uses it, the
            target of an artifact such as ``onnx:fp16``, or ``model`` for the model of another program.
        reference: The row with the kind ``framework`` of the same run, as its position.
        load_seconds: From the start of loading, with imports, until the model is ready.
        first_seconds: The first prediction, in which some frameworks compile.
        forward: The network alone: no decoding of images and no suppression, unless the network contains it.
        predict: The whole prediction, from the bytes of an image file to boxes.
        throughput: Images per second of the whole prediction at the best batch size.
        batch: That batch size.
        peak_bytes: The largest memory of the process.
        bytes: The size of the model on disk.
        ap: The AP, 0..1.
        timed_images: The number of different images that were timed.
    """

    model: str
    kind: str
    reference: int | None = None
    load_seconds: float = 0.0
    first_seconds: float = 0.0
    forward: Speed | None = None
    predict: Speed | None = None
    throughput: float = 0.0
    batch: int = 1
    peak_bytes: int | None = None
    bytes: int = 0
    ap: float | None = None
    timed_images: int = 0


@dataclass
class Benchmark:
    """Models on the same images.

    Attributes:
        data: The dataset's URI.
        threads: The number of threads, and of cores where the system can pin them.
        rounds: The number of timed calls of each kind, at most.
        warmup: The number of calls before them, which are not timed.
        device: The device of the exported models; empty for the default of each.
        machine: The processor and the system.
        rows: The models; each ``framework`` is before the models that are compared with it.
        notes: Restrictions of the numbers.
    """

    data: str
    threads: int
    rounds: int
    warmup: int
    device: str = ""
    machine: str = ""
    rows: list[Measurement] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def faster(self, row: Measurement, kind: str) -> float | None:
        """Returns how many times as fast a row is as its reference.

        Args:
            row: One of :attr:`rows`.
            kind: ``forward`` or ``predict``.
        """
        if row.reference is None or self.rows[row.reference] is row:
            return None
        one, other = getattr(self.rows[row.reference], kind), getattr(row, kind)
        return one.median / other.median if one and other else None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        faster = [{f"{kind}_faster": self.faster(row, kind) for kind in ("forward", "predict")} for row in self.rows]
        rows = [asdict(row) | more for row, more in zip(self.rows, faster, strict=True)]
        return {**asdict(self), "rows": rows}


def benchmark(
    models: str | Path | Sequence[str | Path],
    data: str,
    *,
    device: str = "",
    label_map: str | Path | None = None,
    threads: int = 1,
    rounds: int = ROUNDS,
    warmup: int = WARMUP,
    seconds: float = SECONDS,
    reporter: Reporter | None = None,
) -> Benchmark:
    """Measures models side by side, each in a separate process.

    The run that a model was exported from is measured too, in the framework that trained it.

    Args:
        models: Run folders, artifacts, or other exported models.
        data: The URI of the images; with boxes, the AP is measured too. All images are used for the AP, and the first
            32 for times.
        device: The device of exported models; by default, that of their exporter.
        label_map: The label map of models without classes.
        threads: The number of threads; on Linux, the processes also run on so many cores only.
        rounds: The number of timed calls of each kind.
        warmup: The number of calls before them, which are not timed.
        seconds: No more calls of a kind are timed after this time.
        reporter: Where progress goes.

    Raises:
        UsageError: No model, or fewer than one thread or round.
        DataError: The images cannot be read, or an artifact was changed.
        RunError: A model cannot be measured.
    """
    asked = [models] if isinstance(models, str | Path) else list(models)
    if not asked or min(threads, rounds) < 1 or warmup < 0:
        raise UsageError("nothing to measure", "pass a model, and at least 1 thread and 1 round")
    reporter = reporter or LogReporter()
    dataset = open_dataset(data, on_error=MAX_BAD)  # an error in it is found before the first process
    result = Benchmark(dataset.uri, threads, rounds, warmup, device, _machine())
    result.rows = _rows([Path(each) for each in asked])
    _check_classes(result.rows, list(islice(dataset, _CHECKED)))
    if "coco" not in default_registry().names("metric"):
        result.notes.append("the AP was not measured: python -m pip install boxwright-cocoeval")
    settings = {"data": data, "rounds": rounds, "warmup": warmup, "seconds": seconds}
    with reporter.task("Measuring", len(result.rows)) as task:
        for row in result.rows:
            task.update(note=f"{row.model} ({row.kind})")
            own: dict[str, Any] = {"framework": row.kind == FRAMEWORK}
            if row.kind not in (FRAMEWORK, "run"):
                own["device"] = device
            if row.kind == "model" and label_map is not None:
                own["label_map"] = str(label_map)
            found = _measured(row, {**settings, **own}, threads)
            for name in ("forward", "predict"):
                found[name] = None if found[name] is None else Speed(**found[name])
            vars(row).update(found)
            task.advance()
    return result


def _rows(models: Sequence[Path]) -> list[Measurement]:
    """Returns the models, and before them the runs that they are compared with."""
    runs: dict[str, int] = {}
    rows: list[Measurement] = []
    given = [path for path in models if (path / STATE).is_file()]
    for path in models:
        kind, run = _kind(path)
        if run is None:  # that of an artifact may have been moved
            candidates = [each for each in given if _is_from(path, each)]
            run = candidates[0] if len(candidates) == 1 else None
        reference = None
        if run is not None:
            key = str(run.resolve())
            if key not in runs:
                runs[key] = len(rows)
                rows.append(Measurement(str(run), FRAMEWORK, len(rows), bytes=_size(run)))
            reference = runs[key]
        rows.append(Measurement(str(path), kind, reference, bytes=_size(path)))
    return rows


def _check_classes(rows: Sequence[Measurement], samples: Sequence[Sample]) -> None:
    """Refuses a model of other classes before any is measured."""
    for row in rows:
        path = Path(row.model, LABEL_MAP)
        label_map = read_label_map(str(path)) if path.is_file() else None
        error = unknown_class_error(row.model, samples, label_map) if label_map else None
        if error is not None:
            raise error


def _kind(path: Path) -> tuple[str, Path | None]:
    """Returns the kind of a model, and its run if it exists."""
    if (path / STATE).is_file():
        return "run", path
    record = path / RECORD if path.is_dir() else path.with_name(RECORD)
    if not record.is_file():
        return "model", None
    read_manifest(record)
    content = manifest_content(record)
    run = Path(str(content.get("run")))
    return ":".join(filter(None, (content["exporter"], content.get("precision")))), (
        run if (run / STATE).is_file() else None
    )


def _is_from(path: Path, run: Path) -> bool:
    """Returns whether a model can be an artifact of a run: the backend and the data are the same."""
    record = path / RECORD if path.is_dir() else path.with_name(RECORD)
    if not record.is_file():
        return False
    content, found = manifest_content(record), Run(run)
    digest = found.state.get("inputs", {}).get("data", {}).get("digest")
    return bool(digest) and content.get("data", {}).get("digest") == digest and content.get("backend") == found.backend


def _size(path: Path) -> int:
    """Returns the bytes of a model, without the descriptions around it."""
    if (path / STATE).is_file():
        path = Run(path).file("model")
    if path.is_file() and path.with_name(RECORD).is_file():
        path = path.parent
    if path.is_file():
        return path.stat().st_size
    return sum(each.stat().st_size for each in path.rglob("*") if each.is_file() and each.name not in AROUND)


def _measured(row: Measurement, settings: dict[str, Any], threads: int) -> dict[str, Any]:
    cores = sorted(os.sched_getaffinity(0))[:threads] if sys.platform == "linux" else []
    asked = {"model": row.model, **settings, "cores": cores, "trust": models_trusted(), "links": links_followed()}
    program = "from boxwright.models.measuring import main; main()"
    with TemporaryDirectory() as folder:
        out = Path(folder, "result.json")
        done = subprocess.run(
            [sys.executable, "-P", "-c", program, json.dumps(asked), str(out)],
            env=os.environ | dict.fromkeys(_THREADS, str(threads)),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if not out.is_file():
            last = "\n".join(done.stderr.strip().splitlines()[-_LAST_LINES:])
            raise RunError(
                f"the process that measured {row.model} ({row.kind}) ended with exit code {done.returncode}\n{last}",
                "try the model with `boxwright predict`",
            )
        answer = json.loads(out.read_text("utf-8"))
    if "error" in answer:
        raise RunError(answer["error"]["message"], answer["error"]["remedy"])
    result: dict[str, Any] = answer["result"]
    return result


def _machine() -> str:
    """Returns ``Intel(R) Xeon(R) CPU @ 2.80GHz, Linux x86_64, Python 3.11.2``."""
    name = platform.processor()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    system = f"{platform.system()} {platform.machine()}"
    return ", ".join(filter(None, (name, system, f"Python {platform.python_version()}")))
