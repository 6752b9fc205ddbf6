r"""Environments of their own, for libraries that cannot live beside the others.

A plugin declares one by an :class:`~boxwright.specs.EnvironmentSpec` on the spec of its backend, and ships two things:
a requirements file that names every package by version and digest, and a package of functions that run in there
(:mod:`boxwright.worker`). ``boxwright env install NAME`` builds it with uv; nothing else ever does::

    HOME/environments/NAME/
        bin/python                      Scripts\python.exe on Windows
        boxwright-environment.json      what it was made from; written last

It is built under another name beside that one, tried out, and renamed when it works, so that it is there whole or not
at all. HOME is ``$BOXWRIGHT_HOME``, else ``$XDG_DATA_HOME/boxwright``, else ``~/.local/share/boxwright``
(``%LOCALAPPDATA%\boxwright`` on Windows); of the standard's user directories it is that for data
(https://specifications.freedesktop.org/basedir-spec/latest/).
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boxwright.errors import BoxwrightError, MissingLibraryError, OutputError, PluginError, PluginNotFoundError
from boxwright.output import alive
from boxwright.progress import LogReporter, Reporter
from boxwright.registry import KINDS, Registry, registry
from boxwright.specs import EnvironmentSpec

if TYPE_CHECKING:
    from boxwright.worker import Worker

MARKER = "boxwright-environment.json"
_LAYOUT = 1
_PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)")
_LIST_PACKAGES = (
    "import importlib.metadata as m, json;print(json.dumps({d.metadata['Name']: d.version for d in m.distributions()}))"
)


def home() -> Path:
    """The folder in which boxwright keeps what belongs to no project."""
    if given := os.environ.get("BOXWRIGHT_HOME"):
        return Path(given).absolute()
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "boxwright"
    data = os.environ.get("XDG_DATA_HOME", "")
    # A relative path is to be ignored, says the standard.
    return (Path(data) if os.path.isabs(data) else Path.home() / ".local" / "share") / "boxwright"


@dataclass(frozen=True)
class Environment:
    """One declared environment, installed or not.

    Args:
        spec: What the plugin says of it.
        distribution: The plugin's distribution, for lists.
    """

    spec: EnvironmentSpec
    distribution: str = ""

    @property
    def name(self) -> str:
        """What the user types."""
        return self.spec.name

    @property
    def path(self) -> Path:
        """Its folder; it need not exist."""
        return home() / "environments" / self.name

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return _python(self.path)

    @property
    def lock(self) -> Path:
        """The requirements file that the plugin ships."""
        return _resource(self.spec.lock)

    @property
    def pins(self) -> dict[str, str]:
        """Version by package name, as the lock has them."""
        lines = self.lock.read_text("utf-8").splitlines()
        return {match[1]: match[2] for line in lines if (match := _PIN.match(line))}

    @property
    def digest(self) -> str:
        """SHA-256 of what it is made from: the lock and the version of Python."""
        return hashlib.sha256(self.lock.read_bytes() + self.spec.python.encode()).hexdigest()

    @property
    def made(self) -> dict[str, Any]:
        """What the marker says: when it was made, from what, its size; empty where it is not installed."""
        try:
            content = json.loads((self.path / MARKER).read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    @property
    def status(self) -> str:
        """``missing``, ``installed``, ``outdated`` (the plugin asks for other packages by now) or ``broken``."""
        made = self.made
        if not made:
            return "broken" if self.path.exists() else "missing"
        if not self.python.exists() or made.get("layout", _LAYOUT) > _LAYOUT:
            return "broken"
        return "installed" if made.get("digest") == self.digest else "outdated"

    def require(self) -> None:
        """Checks, in no time, that it can be used.

        Raises:
            MissingLibraryError: It is not installed; the remedy is the one line to type.
            PluginError: It is broken, or older than the plugin; likewise.
        """
        status, line = self.status, f"run: boxwright env install {self.name}"
        if status == "missing":
            size = f"   ({describe_size(self.spec.size)} on disk)" if self.spec.size else ""
            raise MissingLibraryError(f"the environment {self.name} is not installed", line + size)
        if status == "broken":
            raise PluginError(f"the environment {self.name} in {self.path} is broken", line)
        if status == "outdated":
            raise PluginError(f"the environment {self.name} is older than the plugin that uses it", line)

    def worker(self, *, log: Path | None = None, reporter: Reporter | None = None) -> Worker:
        """Starts a process in it that waits for calls.

        Args:
            log: The file that gets what the process prints; a temporary one by default.
            reporter: Where its messages go.

        Raises:
            MissingLibraryError: As :meth:`require`.
            PluginError: As :meth:`require`.
        """
        self.require()
        return _worker(self.spec, self.path, log, reporter)

    def check(self) -> list[str]:
        """Looks closely, which takes seconds, and returns what is wrong; nothing where all is right."""
        try:
            self.require()
        except BoxwrightError as error:
            return [error.message]
        return _faults(self, self.path)


def environments(registry_: Registry | None = None) -> dict[str, Environment]:
    """Every environment that a plugin declares, by name, sorted.

    Raises:
        PluginError: Two plugins declare different ones of one name.
    """
    found: dict[str, Environment] = {}
    plugins = registry_ or registry()
    for entry in (entry for kind in KINDS for entry in plugins.all(kind)):
        spec: EnvironmentSpec | None = entry.spec.environment
        if spec is None:
            continue
        other = found.setdefault(spec.name, Environment(spec, entry.distribution))
        if other.spec != spec:
            raise PluginError(
                f"the environment {spec.name!r} is claimed by {other.distribution} and {entry.distribution}",
                "uninstall one of them, or name the plugins to use in BOXWRIGHT_PLUGINS",
            )
    return dict(sorted(found.items()))


def find(name: str, registry_: Registry | None = None) -> Environment:
    """The environment of a name.

    Raises:
        PluginNotFoundError: No plugin declares it.
    """
    declared = environments(registry_)
    if name not in declared:
        there = f"there is: {', '.join(declared)}" if declared else "no installed plugin needs one"
        raise PluginNotFoundError(f"no plugin has an environment named {name!r}", there)
    return declared[name]


def install(environment: Environment, *, again: bool = False, reporter: Reporter | None = None) -> bool:
    """Builds an environment, or replaces one that is outdated or broken.

    Args:
        environment: Which.
        again: Whether one that is as it should be is built anew.
        reporter: Where progress goes.

    Returns:
        Whether anything was done: one that is installed and fits is left as it is.

    Raises:
        MissingLibraryError: uv is not there.
        OutputError: The disk has too little room, or cannot be written.
        PluginError: uv failed, or the environment does not work; nothing was changed.
    """
    reporter = reporter or LogReporter()
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
    if room < spec.size * 1.1:
        raise OutputError(
            f"{target.parent} has room for {describe_size(room)}, and {spec.name} takes {describe_size(spec.size)}",
            "free some space there, or set BOXWRIGHT_HOME to a folder on another disk",
        )
    pins = environment.pins
    reporter.message(
        f"Installing the environment {spec.name}: {len(pins)} packages, {describe_size(spec.size)} in {target}."
        f" It takes some ten seconds, and what uv has to fetch first: up to {describe_size(spec.download)}."
    )
    started = time.perf_counter()
    with _built_aside(target) as aside:
        with reporter.task(f"Installing {spec.name}") as task:
            # Relocatable: it is renamed when it is whole.
            _run_uv([uv, "venv", "--relocatable", "--python", spec.python, str(aside)], spec.name, task)
            # No resolving: the lock names everything, and everything has the digest that it says, build tools included.
            lock = ["--no-deps", "--require-hashes", "--build-constraints", str(environment.lock)]
            # Copies: who edits a file that is linked to uv's cache edits that, and every later installation.
            into = ["--link-mode", "copy", "--python", str(_python(aside))]
            _run_uv([uv, "pip", "install", *into, *lock, "-r", str(environment.lock)], spec.name, task)
        with reporter.task(f"Trying {spec.name} out"):
            if faults := _faults(environment, aside):
                raise PluginError(f"the environment {spec.name} was built and does not work: {faults[0]}", _REPORT)
        made = {
            "layout": _LAYOUT,
            "digest": environment.digest,
            "distribution": environment.distribution,
            "packages": len(pins),
            "bytes": _size(aside),
            "seconds": round(time.perf_counter() - started, 1),
            "made": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        (aside / MARKER).write_text(json.dumps(made, indent=2) + "\n", "utf-8")
        _put_in_place(aside, target)
    return True


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


def describe_size(count: float) -> str:
    """``1.5 GB``, ``12 MB``, ``300 kB``."""
    for unit, name in ((1e9, "GB"), (1e6, "MB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}" if count < 9.95 * unit else f"{count / unit:.0f} {name}"
    return f"{count / 1e3:.0f} kB"


_REPORT = "report this to the plugin's author, with what `boxwright --verbose env install ...` prints"


def _faults(environment: Environment, folder: Path) -> list[str]:
    """What keeps the environment in a folder from working."""
    python, spec = _python(folder), environment.spec
    try:
        listed = subprocess.run(
            [python, "-s", "-E", "-c", _LIST_PACKAGES], capture_output=True, text=True, timeout=60, check=True
        )
        there = {_normal(name): version for name, version in json.loads(listed.stdout).items()}
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        return [f"its Python does not run: {error}"]
    faults = []
    for name, version in environment.pins.items():
        found = there.get(_normal(name))
        if found != version:
            faults.append(f"{name} {version} is not in it" if found is None else f"{name} is {found}, not {version}")
    if not faults and (spec.worker or spec.imports):
        try:
            with _worker(spec, folder, None, None) as worker:
                worker.call("import_modules", {"names": list(spec.imports)})
        except BoxwrightError as error:
            faults.append(error.message)
    return faults


def _worker(spec: EnvironmentSpec, folder: Path, log: Path | None, reporter: Reporter | None) -> Worker:
    from boxwright.worker import Worker

    package = _resource(spec.worker) if spec.worker else None
    return Worker(_python(folder), package, name=spec.name, log=log, reporter=reporter)


def _resource(target: str) -> Path:
    """The file or folder that ``"package:name"`` means, without importing the package."""
    package, _, name = target.partition(":")
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise PluginError(f"there is no package {package!r}, of which {target!r} speaks", "reinstall the plugin")
    return Path(found.submodule_search_locations[0]) / name


def _python(folder: Path) -> Path:
    return folder / "Scripts" / "python.exe" if os.name == "nt" else folder / "bin" / "python"


def _uv() -> str:
    """The program uv: the one that was installed beside boxwright, or the one on the path."""
    with contextlib.suppress(ImportError, FileNotFoundError):
        return str(importlib.import_module("uv").find_uv_bin())
    found = shutil.which("uv")
    if found is None:
        raise MissingLibraryError(
            "uv is needed to install environments, and is not there", "run: python -m pip install uv"
        )
    return found


def _run_uv(command: list[str], name: str, task: Any) -> None:
    """Runs uv and shows its last line beside the bar.

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
    """A name beside the target; nothing of that name is left in the end."""
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
    """Clears away what killed processes left."""
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


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
