"""Imports a plugin in a fresh process and writes down what that did; run as a script, by :mod:`observation`.

``python observer.py ANSWER MODULE [ROLE TARGET]...`` imports ``MODULE``, calls its hooks, imports each
``"module:attribute"`` target, and writes a JSON object to the file ``ANSWER``. Nothing of boxwright-testing is imported
here, since that would hide what the plugin imports.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import signal
import sys
import threading
import time
import traceback
import warnings
from types import ModuleType
from typing import Any

import pluggy

import boxwright

# Whatever every start of the program has imported already.
from boxwright.plugins import hookspecs, manager, options, registry, specs

_WRITING = ("w", "a", "x", "+")
_MEDDLING = {
    "os.mkdir": "made the folder {0}",
    "os.remove": "removed {0}",
    "os.rename": "renamed {0}",
    "os.rmdir": "removed the folder {0}",
    "os.system": "ran {0}",
    "shutil.rmtree": "removed the folder {0}",
    "socket.connect": "connected to {1}",
    "socket.getaddrinfo": "looked up {0}",
    "subprocess.Popen": "ran {0}",
}
"""Audit events (https://docs.python.org/3.11/library/audit_events.html) that listing a plugin has no use for."""


class Watch:
    """What happens in this process while it is on."""

    def __init__(self) -> None:
        self.on = False
        self.seen: list[str] = []
        sys.addaudithook(self._note)

    def _note(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event == "open":
            path, mode, flags = arguments
            writes = any(letter in mode for letter in _WRITING) if mode else flags & (os.O_WRONLY | os.O_RDWR)
            if writes and not _is_cache(path):
                self.seen.append(f"opened {path} for writing")
        elif event in _MEDDLING and not _is_cache(arguments[0]):
            self.seen.append(_MEDDLING[event].format(*arguments))


def _is_cache(path: object) -> bool:
    return "__pycache__" in str(path) or str(path).endswith(".pyc")


def surroundings() -> dict[str, Any]:
    """What an import must leave unchanged, by name."""
    found: dict[str, Any] = {
        "the working folder": os.getcwd(),
        "sys.path": list(sys.path),
        "the warning filters": [repr(entry) for entry in warnings.filters],
        "the root logger": (logging.root.level, [repr(handler) for handler in logging.root.handlers]),
        "sys.excepthook": id(sys.excepthook),
        "sys.stdout": id(sys.stdout),
        "the threads": [thread.name for thread in threading.enumerate()],
        "the handler of SIGINT": repr(signal.getsignal(signal.SIGINT)),
        "the handler of SIGTERM": repr(signal.getsignal(signal.SIGTERM)),
    }
    found |= {f"the environment variable {name}": value for name, value in os.environ.items()}
    for module in (boxwright, hookspecs, manager, options, registry, specs, pluggy, json, os):
        found |= {f"{module.__name__}.{name}": id(value) for name, value in _own(module).items()}
    return found


def _own(module: ModuleType) -> dict[str, Any]:
    return {name: value for name, value in vars(module).items() if not isinstance(value, (ModuleType, dict, list, set))}


def _changes(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Names whose value is another, and environment variables that came or went."""
    variable = "the environment variable "
    names = {name for name in (*before, *after) if name in before or name.startswith(variable)}
    return sorted(name for name in names if before.get(name) != after.get(name))


def _failure(error: BaseException) -> dict[str, str]:
    frames = traceback.extract_tb(error.__traceback__)
    outside = [frame for frame in frames if frame.filename != __file__ and "importlib" not in frame.filename]
    place = f"{outside[-1].filename}, line {outside[-1].lineno}" if outside else ""
    if isinstance(error, SyntaxError):
        place = f"{error.filename}, line {error.lineno}"
    return {
        "error": f"{type(error).__name__}: {error}",
        "place": place,
        "traceback": "".join(traceback.format_exception(error)),
    }


def _names(before: set[str]) -> list[str]:
    """The top-level modules that were imported since, without Python's own."""
    found = {name.partition(".")[0] for name in set(sys.modules) - before}
    return sorted(name for name in found - set(sys.stdlib_module_names) if not name.startswith("_"))


def _hush() -> None:
    """From here on, what is printed goes nowhere: frameworks greet everybody who imports them."""
    sys.stdout.flush()
    sys.stderr.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def observe(module_name: str, targets: list[tuple[str, str]]) -> dict[str, Any]:
    """Imports the module, calls its hooks, and imports the targets, each with what came in by it."""
    answer: dict[str, Any] = {"failure": None, "specs": 0, "targets": {}}
    watch, around, modules = Watch(), surroundings(), set(sys.modules)
    wall, cpu = time.perf_counter(), time.process_time()
    watch.on = True
    try:
        module = importlib.import_module(module_name)
        for name in dir(module):
            hook = getattr(module, name)
            if name in {f"boxwright_{kind}s" for kind in specs.KINDS} and callable(hook):
                answer["specs"] += len(hook())
    except BaseException as error:
        answer["failure"] = _failure(error)
    watch.on = False
    answer |= {
        "wall_ms": round(1000 * (time.perf_counter() - wall), 1),
        "cpu_ms": round(1000 * (time.process_time() - cpu), 1),
        "imported": _names(modules),
        "changed": _changes(around, surroundings()),
        "did": list(dict.fromkeys(watch.seen)),
    }
    _hush()
    for role, target in targets:
        modules = set(sys.modules)
        place, _, attribute = target.partition(":")
        failure = None
        try:
            if not callable(getattr(importlib.import_module(place), attribute)):
                raise TypeError(f"{attribute} of {place} is nothing that can be called")
        except BaseException as error:
            failure = _failure(error)
        answer["targets"][role] = {"imported": _names(modules), "failure": failure}
    return answer


if __name__ == "__main__":
    path, name, *words = sys.argv[1:]
    del sys.path[0]  # the folder of this file, whose modules a plugin cannot import by their bare names either
    result = observe(name, list(zip(words[::2], words[1::2], strict=True)))
    with open(path, "w", encoding="utf-8") as file:
        json.dump(result, file)
