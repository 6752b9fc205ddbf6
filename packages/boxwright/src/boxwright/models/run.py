"""The run folder: everything one training was asked, did and left.

::

    RUN/
        run.json          status, backend, preset, seed, versions, input digests, times
        config.json       every setting of the training, resolved
        manifest.json     the requested settings, and the digest of every image, for ``boxwright reproduce``
        label_map.pbtxt   the classes
        metrics.jsonl     one line per epoch
        checkpoints/      where a resumed training continues
        model/            the trained model, in the backend's own form
        evaluation/       one JSON file a dataset it was evaluated on
        tuned.json        how detections are chosen after ``boxwright tune``
        ``pictures/``     drawn predictions
        tensorboard/      event files

Every file is written completely or not at all, so that a run folder can be read at any time.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import IO, Any

from boxwright.errors import RunError
from boxwright.label_map import LabelMap, read_label_map
from boxwright.storage import locks
from boxwright.storage.output import AtomicOutput, replace_folder, write_atomically
from boxwright.storage.switch import settle
from boxwright.text import HIDDEN

STATE = "run.json"
_LAYOUT = 1
_LOCK = ".in-use"
NEW = ".new"
"""The ending of the folder of a run that replaces another one, until it is done."""
_TRAIN_AGAIN = "train again into another folder"
_RECORDED = ("boxwright", "numpy", "pillow", "pydantic", "tensorflow", "keras", "hotcoco", "protobuf")


class Run:
    """A run folder that exists.

    Args:
        path: The folder.

    Raises:
        RunError: The folder contains no run, or its state cannot be read.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        settle(str(self.path.parent))
        if not (self.path / STATE).is_file():
            what = "has no run in it" if self.path.is_dir() else "does not exist"
            raise RunError(f"{self.path} {what}", "give the folder that `boxwright train --out` named")
        self.state: dict[str, Any] = self._read(STATE)
        if missing := [key for key in ("status", "backend", "inputs") if key not in self.state]:
            raise RunError(f"{self.path / STATE} is damaged: it has no {missing[0]!r}", _TRAIN_AGAIN)
        if self.state.get("boxwright_run", _LAYOUT) > _LAYOUT:
            raise RunError(f"{self.path} was made by a newer boxwright", "update boxwright")

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        *,
        backend: str,
        config: Mapping[str, Any],
        label_map: LabelMap,
        inputs: Mapping[str, Any],
        overwrite: bool = False,
    ) -> Run:
        """Makes a new run folder.

        Args:
            path: The folder; may exist if it is empty.
            backend: The name of the backend, by which the model is loaded again.
            config: Every setting of the training.
            label_map: The classes.
            inputs: What is known of the data: URIs, counts, digests.
            overwrite: Whether to replace an existing run: the new one is next to it, with the ending ``.new``, until
                :meth:`take_place`.

        Raises:
            RunError: The folder exists already, cannot be removed, or a training is running in it.
            OutputError: The folder cannot be written.
        """
        folder = Path(path)
        state: dict[str, Any] = {"boxwright_run": _LAYOUT, "status": "created", "backend": backend}
        cls.check_free(folder, overwrite=overwrite)
        if waiting := cls._replacement(folder):
            cls._remove(waiting.path)
        if (folder / STATE).is_file():
            if cls(folder).is_barren():
                cls._remove(folder)
            else:
                state["replaces"] = folder.name
                folder = folder.with_name(f"{folder.name}{NEW}")
        state |= {"inputs": dict(inputs), "versions": versions(), "created": _now(), "epochs_done": 0}
        files = {"label_map.pbtxt": label_map.to_pbtxt().encode(), "config.json": _json(config), STATE: _json(state)}
        with AtomicOutput(str(folder), "folder") as output:
            for name, content in files.items():
                with output.open(name) as file:
                    file.write(content)
        return cls(folder)

    @classmethod
    def check_free(cls, path: str | os.PathLike[str], *, overwrite: bool) -> None:
        """Checks that :meth:`create` can make a run in a folder, before anything is read for it.

        Raises:
            RunError: The folder exists already, or a training is running in it, or is going to replace the run in it.
        """
        folder = Path(path)
        if waiting := cls._replacement(folder):
            waiting.check_unused()
            if not overwrite:
                raise RunError(
                    f"{waiting.path} is an unfinished run that replaces {folder}",
                    "continue it with --resume, replace both with --overwrite, or choose another --out",
                )
        target = folder
        if (folder / STATE).is_file():
            previous = cls(folder)
            previous.check_unused()
            if previous.is_barren():
                return
            if not overwrite:
                raise RunError(
                    f"{folder} contains a run already ({previous.state['status']})",
                    "continue it with --resume, replace it with --overwrite, or choose another --out",
                )
            if waiting:
                return
            target = folder.with_name(f"{folder.name}{NEW}")
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            what = "exists already and is not a run" if target == folder else "exists already, where to train"
            raise RunError(f"{target} {what}", "choose another --out")

    @classmethod
    def _replacement(cls, folder: Path) -> Run | None:
        """Returns the run that is going to replace the one in a folder."""
        new = folder.with_name(f"{folder.name}{NEW}") if folder.name else None
        if new is None or not (new / STATE).is_file():
            return None
        run = cls(new)
        return run if run.state.get("replaces") == folder.name else None

    @classmethod
    def resumable(cls, path: str | os.PathLike[str]) -> Run:
        """Returns the run that ``--resume`` continues: the one that is going to replace the run in a folder, if any.

        Raises:
            RunError: The folder contains no run, or its state cannot be read.
        """
        return cls._replacement(Path(path)) or cls(path)

    def take_place(self) -> None:
        """Replaces the run for which this one was trained with ``overwrite``; afterwards it has that path.

        Raises:
            RunError: The other run is in use, or cannot be replaced; both are unchanged.
        """
        final = self.final_path
        if final == self.path:
            return
        if (final / STATE).is_file():
            Run(final).check_unused()
        whole = str(Path(os.path.realpath(final)))
        try:
            replace_folder(os.path.realpath(self.path), whole)
        except OSError as error:
            problem = f"{final} cannot be replaced by {self.path}, which is done: {error.strerror}"
            raise RunError(problem, "remove the old folder, and give the new one its name") from None
        self.path = final
        self.update(replaces=None)

    @staticmethod
    def _remove(folder: Path) -> None:
        try:
            shutil.rmtree(folder)
        except OSError as error:
            raise RunError(f"{folder} cannot be removed: {error}", "choose another --out") from None

    @property
    def final_path(self) -> Path:
        """Where the folder will be when the run is done: that of the run which it replaces, or its own."""
        return self.path.with_name(str(self.state.get("replaces") or self.path.name))

    @property
    def backend(self) -> str:
        """The name of the backend that made it."""
        return str(self.state["backend"])

    @property
    def status(self) -> str:
        """``created``, ``running``, ``done``, ``failed`` or ``interrupted``."""
        return str(self.state["status"])

    @property
    def config(self) -> dict[str, Any]:
        """Every setting of the training."""
        return self._read("config.json")

    def uri(self, name: str, option: str = "") -> str | None:
        """The URI of the dataset ``"data"`` or ``"val"``; an empty text if it had none.

        Args:
            name: The dataset.
            option: The option of the command line by which it can be passed again; by default, that of the same name.

        Raises:
            RunError: It had a login or a token, which the run does not keep.
        """
        uri: str | None = self.config.get(name)
        if uri and HIDDEN in uri:
            raise RunError(f"{self.path} does not keep the login of {uri}", f"pass it again: --{option or name} URI")
        return uri

    @property
    def label_map(self) -> LabelMap:
        """The classes.

        Raises:
            RunError: The label map file is gone.
            DataError: It was changed into something else.
        """
        path = self.path / "label_map.pbtxt"
        found = read_label_map(str(path))
        if found is None:
            raise RunError(f"{path} does not exist", _TRAIN_AGAIN)
        return found

    def file(self, name: str) -> Path:
        """A path inside the folder; it need not exist."""
        return self.path / name

    def trained_file(self, name: str) -> Path:
        """A file or folder of the trained model.

        Raises:
            RunError: It does not exist: the run has no trained model yet.
        """
        path = self.file(name)
        if not path.exists():
            raise RunError(
                f"{self.path} has no trained model yet (it is {self.status})",
                f"finish it: boxwright train --resume --out {self.path}",
            )
        return path

    @contextmanager
    def open_write(self, name: str) -> Iterator[IO[bytes]]:
        """Opens a file of the folder for writing; it appears when it is whole, replacing an older one."""
        path = self.path / name
        with AtomicOutput(str(path), overwrite=True) as output, output.open() as file:
            yield file

    def write_json(self, name: str, content: Mapping[str, Any]) -> Path:
        """Writes a JSON file of the folder whole, and returns its path."""
        write_atomically(self.path / name, _json(content))
        return self.path / name

    def update_config(self, changes: Mapping[str, Any]) -> None:
        """Adds settings that the backend resolved."""
        write_atomically(self.path / "config.json", _json(self.config | dict(changes)))

    def update(self, **changes: Any) -> None:
        """Changes the state, on disk as well."""
        self.state = self._read(STATE) | changes
        write_atomically(self.path / STATE, _json(self.state))

    def add_metrics(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Appends an epoch's metrics; an epoch that is done again after a resume replaces its older line."""
        path = self.path / "metrics.jsonl"
        before = self._text(path) if path.is_file() else ""
        # An epoch usually follows the last line; then the others need not be parsed.
        if before and not self._ends_before(before, epoch):
            before = "".join(json.dumps(line) + "\n" for line in self.metrics() if line["epoch"] < epoch)
        line = {"epoch": epoch, **{name: float(value) for name, value in metrics.items()}}
        write_atomically(path, f"{before}{json.dumps(line)}\n".encode())
        self.update(epochs_done=epoch)

    @staticmethod
    def _ends_before(lines: str, epoch: int) -> bool:
        try:
            return bool(json.loads(lines.rstrip("\n").rpartition("\n")[2])["epoch"] < epoch)
        except (ValueError, KeyError, TypeError, RecursionError):
            return False

    def metrics(self) -> list[dict[str, Any]]:
        """The metrics of each epoch, oldest first.

        Raises:
            RunError: The file is damaged.
        """
        path = self.path / "metrics.jsonl"
        if not path.is_file():
            return []
        try:
            lines = [json.loads(line) for line in self._text(path).splitlines()]
            for number, line in enumerate(lines, start=1):
                if not isinstance(line, dict) or "epoch" not in line:
                    raise ValueError(f"line {number} is not an object with an epoch")
        except (ValueError, RecursionError) as error:
            raise RunError(f"{path} is damaged: {error}", "remove that file, or train again") from None
        return lines

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Marks the run as being worked on by this process.

        Raises:
            RunError: Another local process is training in it.
        """
        lock = self.path / _LOCK
        owner = {"pid": os.getpid(), "host": platform.node(), "since": time.time()}
        with ExitStack() as stack:
            try:
                while True:
                    file = stack.enter_context(lock.open("a+", encoding="utf-8"))
                    if not locks.take(file):
                        raise self._used(file)
                    if locks.is_at(file, lock):  # else it was removed by its process, which has just ended
                        break
                file.truncate(0)
                json.dump(owner, file)
                file.flush()
            except OSError as error:
                problem = f"{lock} cannot be written: {error.strerror}"
                raise RunError(problem, "check the folder's permissions") from None
            try:
                yield
            finally:
                with suppress(OSError):
                    (self.path / _LOCK).unlink()

    def is_barren(self) -> bool:
        """Whether it failed before anything was trained, as over a mistyped setting: nothing in it is worth keeping."""
        return self.status in ("created", "failed") and not self.metrics() and not self.file("checkpoints").exists()

    def check_unused(self) -> None:
        """Raises a RunError if another process is training in the folder."""
        with suppress(OSError), (self.path / _LOCK).open("r+", encoding="utf-8") as file:
            if not locks.take(file):
                raise self._used(file)

    def _used(self, file: IO[str]) -> RunError:
        file.seek(0)
        try:
            owner = json.loads(file.read())
            who = f"process {int(owner['pid'])}" + (f" on {owner['host']}" if owner["host"] != platform.node() else "")
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            who = "another process"
        return RunError(f"{who} is training in {self.path}", "wait for it, or choose another --out")

    def _read(self, name: str) -> dict[str, Any]:
        path = self.path / name
        try:
            content = json.loads(self._text(path))
        except (ValueError, RecursionError) as error:
            raise RunError(f"{path} is damaged: {error}", _TRAIN_AGAIN) from None
        if not isinstance(content, dict):
            raise RunError(f"{path} is damaged: it is not an object", _TRAIN_AGAIN)
        return content

    def _text(self, path: Path) -> str:
        try:
            return path.read_text("utf-8")
        except OSError as error:
            raise RunError(f"{path}: {error.strerror}", _TRAIN_AGAIN) from None

    def __repr__(self) -> str:
        return f"<Run {self.path} ({self.status})>"


def versions() -> dict[str, str]:
    """Versions of Python, boxwright's packages and the libraries that decide a result."""
    return dict(_versions())


@cache
def _versions() -> dict[str, str]:
    # Reading the metadata of every distribution takes most of a second.
    found = {"python": platform.python_version()}
    for distribution in distributions():
        name = (distribution.name or "").lower()
        if name.startswith(_RECORDED):
            found[name] = distribution.version
    return dict(sorted(found.items()))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _json(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=2, default=str, ensure_ascii=False) + "\n").encode()
