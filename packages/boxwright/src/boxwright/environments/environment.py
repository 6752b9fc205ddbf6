r"""Separate environments, for libraries that cannot be installed with the others.

A plugin declares one by an :class:`~boxwright.environments.EnvironmentSpec` on the spec of its backend, and ships two
things: a requirements file that names every package by version and digest, and a package of functions that run in
there (:mod:`boxwright.environments.worker`). ``boxwright env install NAME`` builds it
(:mod:`boxwright.environments.installation`); nothing else does::

    HOME/environments/NAME/
        bin/python                      Scripts\python.exe on Windows
        boxwright-environment.json      what it was made from; written last

It is built under another name next to that one, tested, and renamed if it works, so that it exists complete or not
at all. HOME is ``$BOXWRIGHT_HOME``, else ``$XDG_DATA_HOME/boxwright``, else ``~/.local/share/boxwright``
(``%LOCALAPPDATA%\boxwright`` on Windows); of the standard's user directories it is that for data
(https://specifications.freedesktop.org/basedir-spec/latest/).
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boxwright.environments.spec import EnvironmentSpec
from boxwright.errors import BoxwrightError, MissingLibraryError, PluginError
from boxwright.progress import Reporter

if TYPE_CHECKING:
    from boxwright.environments.worker import Worker

MARKER = "boxwright-environment.json"
LAYOUT = 1
_PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)")
_LIST_PACKAGES = (
    "import importlib.metadata as m, json;print(json.dumps({d.metadata['Name']: d.version for d in m.distributions()}))"
)


def home() -> Path:
    """The folder for what boxwright keeps outside of projects."""
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
        with_gpu: Whether it has the packages for GPUs; ``None`` for those that are installed.
    """

    spec: EnvironmentSpec
    distribution: str = ""
    with_gpu: bool | None = None

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
        return interpreter(self.path)

    @property
    def gpu(self) -> bool:
        """Whether its packages are those for GPUs."""
        return bool(self.made.get("gpu", False)) if self.with_gpu is None else self.with_gpu

    @property
    def lock(self) -> Path:
        """The requirements file that the plugin ships."""
        return _resource(self.spec.gpu_lock if self.gpu and self.spec.gpu_lock else self.spec.lock)

    @property
    def size(self) -> int:
        """Bytes on disk, as the plugin expects."""
        return self.spec.gpu_size if self.gpu else self.spec.size

    @property
    def download(self) -> int:
        """Bytes to fetch, where uv has none of it in its cache."""
        return self.spec.gpu_download if self.gpu else self.spec.download

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
        """The content of the marker file: when it was made, from what, its size; empty if it is not installed."""
        try:
            content = json.loads((self.path / MARKER).read_text("utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return content if isinstance(content, dict) else {}

    @property
    def status(self) -> str:
        """``missing``, ``installed``, ``outdated`` (the plugin asks for other packages by now) or ``broken``."""
        made = self.made
        if not made:
            return "broken" if self.path.exists() else "missing"
        if not self.python.exists() or made.get("layout", LAYOUT) > LAYOUT:
            return "broken"
        return "installed" if made.get("digest") == self.digest else "outdated"

    def require(self) -> None:
        """Checks, in no time, that it can be used.

        Raises:
            MissingLibraryError: It is not installed; the remedy is the one line to type.
            PluginError: It is broken, or older than the plugin; the remedy is the same line.
        """
        status, line = self.status, f"run: boxwright env install {self.name}"
        if status == "missing":
            size = f"   ({describe_size(self.size)} on disk)" if self.size else ""
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
        """Checks everything, which takes seconds, and returns the problems."""
        try:
            self.require()
        except BoxwrightError as error:
            return [error.message]
        return faults(self, self.path)


def describe_size(count: float) -> str:
    """``1.5 GB``, ``12 MB``, ``300 kB``."""
    for unit, name in ((1e9, "GB"), (1e6, "MB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}" if count < 9.95 * unit else f"{count / unit:.0f} {name}"
    return f"{count / 1e3:.0f} kB"


def faults(environment: Environment, folder: Path) -> list[str]:
    """What keeps the environment in a folder, its own or one where it is being built, from working."""
    python, spec = interpreter(folder), environment.spec
    try:
        listed = subprocess.run(
            [python, "-s", "-E", "-c", _LIST_PACKAGES], capture_output=True, text=True, timeout=60, check=True
        )
        there = {_normal(name): version for name, version in json.loads(listed.stdout).items()}
    except (OSError, subprocess.SubprocessError, ValueError, RecursionError) as error:
        return [f"its Python does not run: {error}"]
    found: list[str] = []
    for name, version in environment.pins.items():
        other = there.get(_normal(name))
        if other != version:
            found.append(f"{name} {version} is not in it" if other is None else f"{name} is {other}, not {version}")
    if not found and (spec.worker or spec.imports):
        try:
            with _worker(spec, folder, None, None) as worker:
                worker.call("import_modules", {"names": list(spec.imports)})
        except BoxwrightError as error:
            found.append(error.message)
    return found


def _worker(spec: EnvironmentSpec, folder: Path, log: Path | None, reporter: Reporter | None) -> Worker:
    from boxwright.environments.worker import Worker

    package = _resource(spec.worker) if spec.worker else None
    return Worker(interpreter(folder), package, name=spec.name, log=log, reporter=reporter)


def _resource(target: str) -> Path:
    """The file or folder that ``"package:name"`` means, without importing the package."""
    package, _, name = target.partition(":")
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise PluginError(f"there is no package {package!r}, of which {target!r} speaks", "reinstall the plugin")
    return Path(found.submodule_search_locations[0]) / name


def interpreter(folder: Path) -> Path:
    """The Python of the environment in a folder."""
    return folder / "Scripts" / "python.exe" if os.name == "nt" else folder / "bin" / "python"


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
