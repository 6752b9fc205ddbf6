"""Fixtures of the benchmarks, which run only on request: ``pytest tests/benchmarks --benchmark-only``.

Every job is a whole process, started as users start it. boxwright and its peer take turns. The first turn, which fills
caches, is not counted, and the best CPU time of each is used, because other work on a shared machine only adds time.
The peers may be installed in a separate environment, whose Python is set as ``BOXWRIGHT_PEERS_PYTHON``.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
PEERS_PYTHON = os.environ.get("BOXWRIGHT_PEERS_PYTHON", sys.executable)
ROUNDS = 3
_TABLE = pytest.StashKey[list[str]]()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leaves the benchmarks out unless their folder, or one of its files, was named."""
    for argument in config.invocation_params.args:
        path = Path(config.invocation_params.dir, str(argument).partition("::")[0])
        if path.exists() and (path.resolve() == HERE or HERE in path.resolve().parents):
            return None
    return True


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves the slow ones out unless they are asked for by ``-m slow``."""
    if "slow" in str(config.getoption("-m")):
        return
    for item in items:
        if HERE in item.path.parents and item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.skip(reason="takes long, or writes GB; ask for it by -m slow"))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Prints what was measured."""
    if lines := config.stash.get(_TABLE, []):
        terminalreporter.section("boxwright and its peers")
        for line in lines:
            terminalreporter.write_line(line)


@dataclass(frozen=True)
class Usage:
    """What one process took: CPU seconds (user and system), wall seconds, peak resident memory in MB."""

    cpu_s: float
    wall_s: float
    peak_mb: float


class Job:
    """One or more commands, and the outputs to remove before each run."""

    def __init__(self, name: str, commands: list[list[str]], outputs: list[Path], environment: dict[str, str]) -> None:
        self.name = name
        self.commands = commands
        self.outputs = outputs
        self.usages: list[Usage] = []
        self._environment = environment

    def then(self, other: Job) -> Job:
        """This job and another one after it."""
        commands, outputs = self.commands + other.commands, self.outputs + other.outputs
        return Job(f"{self.name}, {other.name}", commands, outputs, self._environment)

    def run(self) -> Usage:
        """Runs the commands once, one after the other, their outputs removed before."""
        for path in self.outputs:
            if path.is_dir():
                shutil.rmtree(path)
            path.unlink(missing_ok=True)
        usages = [self._run(command) for command in self.commands]
        return Usage(
            cpu_s=sum(usage.cpu_s for usage in usages),
            wall_s=sum(usage.wall_s for usage in usages),
            peak_mb=max(usage.peak_mb for usage in usages),
        )

    def _run(self, command: list[str]) -> Usage:
        measure = [sys.executable, "-I", "-S", str(HERE / "measure.py")]
        done = subprocess.run(measure + command, capture_output=True, text=True, env=self._environment, check=True)
        answer = json.loads(done.stdout)
        assert answer.pop("status") == 0, f"{self.name} failed:\n{done.stderr}"
        return Usage(**answer)

    @property
    def best(self) -> Usage:
        """The turn that took the least CPU time."""
        return min(self.usages, key=lambda usage: usage.cpu_s)

    @property
    def quickest(self) -> float:
        """The wall time of the turn that took the least, in seconds."""
        return min(usage.wall_s for usage in self.usages)


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The processes' environment: compiled modules are kept, as they are for a user."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPYCACHEPREFIX": str(tmp_path_factory.mktemp("pycache")), "TF_CPP_MIN_LOG_LEVEL": "3"}


@pytest.fixture
def boxwright(environment: dict[str, str]) -> Callable[..., Job]:
    """``boxwright(outputs, *arguments)``: a run of the command line."""
    program = shutil.which("boxwright", path=str(Path(sys.executable).parent))
    assert program, "boxwright-cli is not installed"
    return lambda outputs, *arguments: Job("boxwright", [[program, *map(str, arguments)]], outputs, environment)


@pytest.fixture
def peer(environment: dict[str, str]) -> Callable[..., Job]:
    """``peer(script, libraries, outputs, *arguments)``: a run of a file of ``peers/``; skips without its libraries."""

    def make(script: str, libraries: tuple[str, ...], outputs: list[Path], *arguments: object) -> Job:
        for library in libraries:
            if not _installed(library):
                pytest.skip(f"the peer needs {library}, which is not installed for {PEERS_PYTHON}")
        command = [PEERS_PYTHON, str(HERE / "peers" / script), *map(str, arguments)]
        return Job(script.removesuffix(".py"), [command], outputs, environment)

    return make


@functools.cache
def _installed(library: str) -> bool:
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({library!r}) is None)"
    return subprocess.run([PEERS_PYTHON, "-c", code], check=False).returncode == 0


@pytest.fixture
def in_memory(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, if the system has one, for jobs that write thousands of files.

    On a disk, creating a file takes from 0.03 to 0.8 ms of CPU time for allocating space (measured on ext4, depending
    on how full the block groups are). This does not depend on the tools, and would dominate the results.
    """
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="boxwright-bench-", dir=memory) as folder:
        yield Path(folder)


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Adds a line to the table that is printed at the end."""
    lines = request.config.stash.setdefault(_TABLE, [])
    lines.append(request.node.name)
    return lines.append


@pytest.fixture
def compare(benchmark: Any, request: pytest.FixtureRequest) -> Callable[..., None]:
    """``compare(ours, theirs)``: runs both in turns, records both and their ratio."""

    def run(ours: Job, *peers: Job, rounds: int = ROUNDS) -> None:
        def their_turn() -> None:
            for job in peers:
                job.usages.append(job.run())

        for job in (ours, *peers):
            job.run()
        benchmark.pedantic(lambda: ours.usages.append(ours.run()), setup=their_turn, rounds=rounds)
        lines = request.config.stash.setdefault(_TABLE, [])
        lines.append(request.node.name)
        for job in (*peers, ours):
            best = job.best
            benchmark.extra_info[job.name] = asdict(best)
            line = f"  {job.name:32} {best.cpu_s:7.2f} CPU s {job.quickest:7.2f} s {best.peak_mb:7.0f} MB"
            if job is not ours:
                ratio, wall = best.cpu_s / ours.best.cpu_s, job.quickest / ours.quickest
                benchmark.extra_info[f"{job.name} / boxwright"] = {"cpu": ratio, "wall": wall}
                line += f"   {ratio:.2f} times the CPU time of boxwright, {wall:.2f} times its wall time"
            lines.append(line)

    return run


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[int], Path]]:
    """``photos(5000)``: a folder with that many annotated images, generated once."""
    made: dict[int, Path] = {}

    def make(count: int) -> Path:
        if count not in made:
            made[count] = tmp_path_factory.mktemp("photos") / f"photos-{count}"
            subprocess.run([sys.executable, str(HERE / "voc_data.py"), str(made[count]), str(count)], check=True)
        return made[count]

    yield make
    for folder in made.values():
        shutil.rmtree(folder.parent)


@pytest.fixture(scope="session")
def voc(photos: Callable[[int], Path]) -> Callable[[int], Path]:
    """``voc(5000)``: the same in the folders of a Pascal VOC dataset, ``Annotations`` and ``JPEGImages``."""

    def make(count: int) -> Path:
        source = photos(count)
        root = source.with_name(f"voc-{count}")
        if not root.exists():
            for folder, suffix in (("Annotations", ".xml"), ("JPEGImages", ".jpg")):
                (root / folder).mkdir(parents=True)
                for path in source.glob(f"*{suffix}"):
                    os.link(path, root / folder / path.name)
        return root

    return make
