"""Builds and removes separate environments, with uv (see :mod:`boxwright.environments`)."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from boxwright.environments.environment import LAYOUT, MARKER, Environment, describe_size, faults, interpreter
from boxwright.errors import MissingLibraryError, OutputError, PluginError, UsageError
from boxwright.progress import LogReporter, Reporter, Task
from boxwright.storage.filesystem import alive

_REPORT = "report this to the plugin's author"


def install(
    environment: Environment, *, again: bool = False, gpu: bool | None = None, reporter: Reporter | None = None
) -> bool:
    """Builds an environment, or replaces one that is outdated or broken.

    Args:
        environment: Which.
        again: Whether an installed environment is built again.
        gpu: Whether it gets the packages for NVIDIA GPUs; ``None`` for the kind that is installed, or without.
        reporter: Where progress goes.

    Returns:
        Whether anything was done; an installed environment that is up to date, and of this kind, is kept.

    Raises:
        UsageError: There are no packages for GPUs, or not for this system.
        MissingLibraryError: uv is not there.
        OutputError: The disk has too little room, or cannot be written.
        PluginError: uv failed, or the environment does not work; nothing was changed.
    """
    reporter = reporter or LogReporter()
    if gpu is not None:
        environment = replace(environment, with_gpu=gpu)
    if environment.gpu:
        _check_gpu(environment)
    if environment.status == "installed" and not again:
        return False
    uv, spec, target = _uv(), environment.spec, environment.path
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(target)
        room = shutil.disk_usage(target.parent).free
    except OSError as error:
        raise OutputError(
            f"{target} cannot be written: {error.strerror}", "set BOXWRIGHT_HOME to another folder"
        ) from None
    if room < environment.size * 1.1:
        raise OutputError(
            f"{target.parent} has room for {describe_size(room)}, and {spec.name} takes"
            f" {describe_size(environment.size)}",
            "free some space there, or set BOXWRIGHT_HOME to a folder on another disk",
        )
    pins = environment.pins
    reporter.message(
        f"Installing the environment {spec.name}{' for GPUs' if environment.gpu else ''}: {len(pins)} packages,"
        f" {describe_size(environment.size)} in {target}. It takes about ten seconds, plus the download of missing"
        f" packages: up to {describe_size(environment.download)}."
    )
    started = time.perf_counter()
    with _built_aside(target) as aside:
        with reporter.task(f"Installing {spec.name}") as task:
            # Relocatable: it is renamed when it is whole.
            _run_uv([uv, "venv", "--relocatable", "--python", spec.python, str(aside)], spec.name, task)
            # No resolving: the lock names everything, and everything has the digest that it says, build tools included.
            lock = ["--no-deps", "--require-hashes", "--build-constraints", str(environment.lock)]
            # Copies: who edits a file that is linked to uv's cache edits that, and every later installation.
            into = ["--link-mode", "copy", "--python", str(interpreter(aside))]
            _run_uv([uv, "pip", "install", *into, *lock, "-r", str(environment.lock)], spec.name, task)
        with reporter.task(f"Trying {spec.name} out"):
            if found := faults(environment, aside):
                raise PluginError(f"the environment {spec.name} was built and does not work: {found[0]}", _REPORT)
        made = {
            "layout": LAYOUT,
            "digest": environment.digest,
            "distribution": environment.distribution,
            "gpu": environment.gpu,
            "packages": len(pins),
            "bytes": _size(aside),
            "seconds": round(time.perf_counter() - started, 1),
            "made": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        (aside / MARKER).write_text(json.dumps(made, indent=2) + "\n", "utf-8")
        _put_in_place(aside, target)
    return True


def _check_gpu(environment: Environment) -> None:
    if not environment.spec.gpu_lock:
        raise UsageError(f"the environment {environment.name} has no packages for GPUs", "install it without --gpu")
    if sys.platform != "linux":
        raise UsageError(
            f"the packages of {environment.name} for GPUs exist only for Linux",
            "install it without --gpu; on Windows, use WSL",
        )


def remove(environment: Environment) -> int:
    """Removes an environment and what attempts to build it have left.

    Returns:
        How many bytes were freed.

    Raises:
        OutputError: It cannot be removed.
    """
    target = environment.path
    try:
        freed = 0
        if target.exists():
            freed = _size(target)
            doomed = _aside(target)
            os.rename(target, doomed)  # half of it must not look like all of it
            shutil.rmtree(doomed)
        _remove_stale(target)
    except OSError as error:
        raise OutputError(f"{target} cannot be removed: {error.strerror}", "check the folder's permissions") from None
    return freed


def _uv() -> str:
    """The program uv: the one installed with boxwright, or the one on the path."""
    with contextlib.suppress(ImportError, FileNotFoundError):
        return str(importlib.import_module("uv").find_uv_bin())
    found = shutil.which("uv")
    if found is None:
        raise MissingLibraryError(
            "uv is needed to install environments, and is not there", "run: python -m pip install uv"
        )
    return found


def _run_uv(command: list[str], name: str, task: Task) -> None:
    """Runs uv and shows its last line next to the progress bar.

    Raises:
        PluginError: It failed; what it said last is in the message.
    """
    settings = {key: value for key, value in os.environ.items() if key not in ("VIRTUAL_ENV", "PYTHONPATH")}
    said: deque[str] = deque(maxlen=12)
    with subprocess.Popen(
        [*command, "--color", "never"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        env=settings,
    ) as process:
        assert process.stdout is not None
        try:
            for line in map(str.strip, process.stdout):
                if line:
                    said.append(line)
                    task.update(note=line[:60])
        except BaseException:
            process.terminate()
            raise
    if process.returncode:
        raise PluginError(
            f"uv could not install the environment {name}:\n    " + "\n    ".join(said),
            "nothing was changed; check the network, and try again",
        )


def _aside(target: Path) -> Path:
    return target.with_name(f".{target.name}.partial-{os.getpid()}")


@contextlib.contextmanager
def _built_aside(target: Path) -> Iterator[Path]:
    """A temporary name next to the target; nothing with that name remains."""
    aside = _aside(target)
    try:
        yield aside
    except OSError as error:
        raise OutputError(f"{target} cannot be written: {error.strerror or error}", "nothing was changed") from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _put_in_place(aside: Path, target: Path) -> None:
    if target.exists():
        # Between the two renames there is none; one that is half of each there never is.
        old = aside.with_name(f"{aside.name}-old")
        os.rename(target, old)
        os.rename(aside, target)
        shutil.rmtree(old, ignore_errors=True)
    else:
        os.rename(aside, target)


def _remove_stale(target: Path) -> None:
    """Removes what killed processes left."""
    pattern = re.compile(rf"\.{re.escape(target.name)}\.partial-(\d+)(-old)?")
    with contextlib.suppress(FileNotFoundError):
        for path in target.parent.iterdir():
            match = pattern.fullmatch(path.name)
            if match and (int(match[1]) == os.getpid() or not alive(int(match[1]))):
                shutil.rmtree(path, ignore_errors=True)


def _size(folder: Path) -> int:
    """Bytes of all files below a folder."""
    total = 0
    for base, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(base, name)).st_size
    return total
