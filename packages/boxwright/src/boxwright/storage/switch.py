"""Puts several files and folders in place together.

A rename is atomic, several are not. So a journal is written next to the targets first (``.boxwright-journal``), when
everything new is complete under temporary names. From then on the new state is the valid one: if the process is
killed, the next command that writes or reads there finishes the renames (:func:`settle`). An error during the renames
reverts them. If the targets are in several folders, one journal has the renames, and the others point to it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import IO, Any, Final, NamedTuple

from boxwright.errors import DataError, OutputError
from boxwright.storage import locks

JOURNAL: Final = ".boxwright-journal"
MARK: Final = ".boxwright-partial-"
OLD: Final = "-old"
"""The ending of the names that replaced files and folders have until they are removed."""
_UNIQUE: Final = r"[0-9a-f]{8}-\d+-\d+"
_PATIENCE: Final = 30.0
"""Seconds to wait for the renames of another process, which take milliseconds."""


class Step(NamedTuple):
    """One change in a folder.

    Attributes:
        new: The temporary name that becomes ``final``; empty if ``final`` is removed.
        final: The path of the target.
        old: The name of what is replaced, until it is removed.
    """

    new: str
    final: str
    old: str


def switch(steps: Sequence[Step], token: str) -> None:
    """Makes all changes, or none.

    Args:
        steps: Their names are those of :func:`temporary_name`, in the folders of the targets.
        token: The same as in the name of one of them.

    Raises:
        OSError: A change cannot be made; nothing was changed.
        OutputError: Another process does not finish its own changes in the same folder.
    """
    steps = [step for step in steps if step.new or os.path.lexists(step.final)]
    if not steps:
        return
    if len(steps) == 1 and not os.path.isdir(steps[0].final):
        (step,) = steps
        os.replace(step.new, step.final) if step.new else os.remove(step.final)
        return
    folders = sorted({os.path.dirname(step.final) for step in steps})
    with _journals(folders, steps, token):
        _apply(steps)
    for step in steps:
        _remove(step.old)


def temporary_name(final: str, token: str) -> str:
    """Returns the path under which a target is written: hidden, in the same folder."""
    name = os.path.basename(final)
    return f"{final.removesuffix(name)}.{name}{token}"


def _apply(steps: Iterable[Step]) -> None:
    """Makes the changes that were not made yet."""
    for step in steps:
        if os.path.lexists(step.new) if step.new else not os.path.lexists(step.old):
            if os.path.lexists(step.final) and not os.path.lexists(step.old):
                os.rename(step.final, step.old)
            if step.new:
                os.rename(step.new, step.final)
        elif step.new and os.path.lexists(step.old) and not os.path.lexists(step.final):
            os.rename(step.old, step.final)  # what was new is gone: better the old than nothing


def _revert(steps: Sequence[Step]) -> bool:
    """Reverts all changes; returns whether that was possible."""
    for step in reversed(steps):
        with contextlib.suppress(OSError):
            if step.new and not os.path.lexists(step.new):
                os.rename(step.final, step.new)
        with contextlib.suppress(OSError):
            if os.path.lexists(step.old) and not os.path.lexists(step.final):
                os.rename(step.old, step.final)
    return not any(os.path.lexists(step.old) or (step.new and not os.path.lexists(step.new)) for step in steps)


@contextlib.contextmanager
def _journals(folders: Sequence[str], steps: Sequence[Step], token: str) -> Iterator[None]:
    """Writes a journal in each folder, the one with the steps last: it makes the new state valid. Removes it first."""
    main = os.path.join(folders[-1], JOURNAL)
    with ExitStack() as held:
        for folder in folders:
            journal = os.path.join(folder, JOURNAL)
            content: dict[str, Any] = {"token": token, "journal": os.path.relpath(main, folder)}
            if journal == main:
                content["steps"] = [[os.path.relpath(path, folder) if path else "" for path in step] for step in steps]
            _create(journal, json.dumps(content).encode(), token, held)
        try:
            yield
        except BaseException:
            if not _revert(steps):
                held.pop_all()  # the next command finishes the changes instead
            raise


def _create(journal: str, content: bytes, token: str, held: ExitStack) -> None:
    temporary = temporary_name(journal, token)
    file = held.enter_context(open(temporary, "xb"))  # noqa: SIM115  # closed by held
    try:
        locks.take(file)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                _move(temporary, journal)
                break
            except FileExistsError:
                settle(os.path.dirname(journal))
                if time.monotonic() > end:
                    problem = f"{journal}: another process is replacing the files of this folder"
                    raise OutputError(problem, "wait for it, and try again; nothing was changed there") from None
                time.sleep(0.01)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.remove(temporary)
    held.callback(os.remove, journal)


def _move(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if os.path.lexists(target):
            raise FileExistsError from None
        os.rename(source, target)


def settle(folder: str, *, wait: bool = False) -> None:
    """Finishes the changes in a folder that a killed process began.

    Args:
        folder: A local folder, which need not exist.
        wait: Whether to wait for a process that is making changes there now.

    Raises:
        DataError: They cannot be finished, or another process does not finish its own.
    """
    journal = os.path.join(folder, JOURNAL)
    end = time.monotonic() + _PATIENCE
    while os.path.lexists(journal):
        with contextlib.suppress(FileNotFoundError), open(journal, "rb") as file:
            if locks.take(file):
                if locks.is_at(file, journal):
                    _finish(journal, file)
                continue
        if not wait:
            return
        if time.monotonic() > end:
            problem = "another process is replacing the files of this folder"
            raise DataError(journal, problem, "wait for it, and try again")
        time.sleep(0.01)


def _finish(journal: str, file: IO[bytes]) -> None:
    """Finishes the changes of a journal whose process is gone, or of the one that it points to."""
    content = _parsed(journal, file)
    folder = os.path.dirname(journal)
    main = os.path.normpath(os.path.join(folder, content["journal"]))
    try:
        if "steps" in content:
            steps = [_step(folder, *paths) for paths in content["steps"]]
            for step in steps:
                _check(step, content["token"], journal)
            _apply(steps)
            for step in steps:
                _remove(step.old)
        elif os.path.lexists(main) and _token(main) == content["token"]:
            settle(os.path.dirname(main), wait=True)
        os.remove(journal)
    except OSError as error:
        problem = f"a command was interrupted while it replaced files, and they cannot be replaced now: {error}"
        raise DataError(journal, problem, "make its folder writable, and try again") from None


def _step(folder: str, *paths: str) -> Step:
    return Step(*[os.path.normpath(os.path.join(folder, path)) if path else "" for path in paths])


def _check(step: Step, token: str, main: str) -> None:
    """Checks that a journal changes only its own files: it may be part of a dataset from elsewhere."""
    pattern = re.compile(re.escape(temporary_name(step.final, MARK)) + _UNIQUE)
    pointer = os.path.join(os.path.dirname(step.final), JOURNAL)
    usual = step.new in ("", f"{step.final}.new") or pattern.fullmatch(step.new)
    if not usual or not pattern.fullmatch(step.old.removesuffix(OLD)):
        raise _damaged(main)
    if pointer != main and _token(pointer) != token:
        raise _damaged(main)


def _token(journal: str) -> str | None:
    try:
        with open(journal, "rb") as file:
            return str(_parsed(journal, file)["token"])
    except FileNotFoundError:
        return None


def _parsed(journal: str, file: IO[bytes]) -> dict[str, Any]:
    try:
        content = json.loads(file.read())
        token, main, steps = content["token"], content["journal"], content.get("steps", [])
        texts = (token, main, *(path for step in steps for path in step))
        if all(isinstance(each, str) for each in texts) and {len(step) for step in steps} <= {len(Step._fields)}:
            return dict(content)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    raise _damaged(journal)


def _damaged(journal: str) -> DataError:
    return DataError(journal, "this is not a journal of boxwright", "remove it")


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            os.remove(path)
