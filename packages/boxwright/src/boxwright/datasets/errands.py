"""Work that is sent to other machines, with what it needs there."""

from __future__ import annotations

import hashlib
import os
import pickle
import socket
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from boxwright._version import __version__
from boxwright.errors import BoxwrightError, EngineError, UsageError
from boxwright.storage.links import follow_links, links_followed
from boxwright.storage.uri import is_remote

_SETTINGS = "BOXWRIGHT_"
_INSTALL = "install the same versions of boxwright, its plugins and their libraries on every machine"
_loaded = threading.local()


@dataclass(frozen=True)
class Errand:
    """Work for other machines.

    Called there, it returns whether the work was done, and its result or else its error: as values, because an
    exception of an unknown class cannot be unpickled everywhere.

    Attributes:
        content: The work, pickled.
        digest: Identifies it, so that each process unpickles it once.
        places: Files and folders that it reads.
        folder: The working directory, to which relative paths refer.
        settings: The environment variables of boxwright.
        links: Whether datasets may contain links that lead out of them.
        version: The version of boxwright that sends it.
    """

    content: bytes
    digest: bytes
    places: tuple[str, ...]
    folder: str
    settings: dict[str, str]
    links: bool
    version: str

    @classmethod
    def of(cls, work: Callable[[int, int], Any], places: Iterable[str] = ()) -> Errand:
        """Prepares work.

        Args:
            work: What to do.
            places: Paths that it reads; URLs, and what does not exist here, are ignored.

        Raises:
            UsageError: It cannot be pickled.
        """
        try:
            content = pickle.dumps(work)
        except (AttributeError, TypeError, pickle.PicklingError) as error:
            raise UsageError(
                f"this work cannot be sent to other machines ({type(error).__name__}: {error})", "omit the engine"
            ) from None
        local = [os.path.abspath(place) for place in places if not is_remote(place) and os.path.exists(place)]
        settings = {name: value for name, value in os.environ.items() if name.startswith(_SETTINGS)}
        digest = hashlib.sha256(content).digest()
        return cls(content, digest, tuple(local), os.getcwd(), settings, links_followed(), __version__)

    def __call__(self, start: int, stop: int) -> tuple[bool, Any]:
        """Does a part of the work."""
        try:
            with follow_links(self.links):
                return True, self._work()(start, stop)
        except Exception as error:
            return False, _travelling(error)

    def _work(self) -> Callable[[int, int], Any]:
        """Returns the work, which this thread unpickles once: threads must not share what it counts.

        Raises:
            EngineError: This machine does not have the files, the same version of boxwright, or a plugin.
        """
        if getattr(_loaded, "digest", None) != self.digest:
            machine = socket.gethostname()
            if self.version != __version__:
                raise EngineError(f"{machine} has boxwright {__version__}, not {self.version}", _INSTALL)
            if os.getcwd() != self.folder:
                with suppress(OSError):  # paths may be absolute
                    os.chdir(self.folder)
            os.environ.update(self.settings)
            if missing := next((place for place in self.places if not os.path.exists(place)), None):
                raise EngineError(
                    f"{machine} does not have {missing}",
                    "every machine reads the files itself: use storage that all of them share, at the same path, or a"
                    " URL such as s3://bucket/folder",
                )
            try:
                work = pickle.loads(self.content)  # noqa: S301 (pickled by the process that started the work)
            except (ImportError, AttributeError) as error:
                raise EngineError(f"{machine} cannot load the work: {error}", _INSTALL) from None
            _loaded.digest, _loaded.work = self.digest, work
        return _loaded.work  # type: ignore[no-any-return]

    @staticmethod
    def value(outcome: tuple[bool, Any]) -> Any:
        """Returns the result of a part of the work, or raises its error."""
        done, value = outcome
        if not done:
            raise value
        return value


def _travelling(error: Exception) -> Exception:
    """Returns an error that another process can unpickle."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 (an exception may fail to be unpickled)
    except Exception:
        return BoxwrightError(f"{type(error).__name__}: {error}")
    return error
