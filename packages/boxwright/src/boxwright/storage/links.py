"""Symbolic links that lead out of a dataset: they are refused unless the user follows them.

A dataset from the internet may contain a link to any local file, which a conversion would copy.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from boxwright.errors import DataError
from boxwright.storage.uri import is_remote

_FOLLOWED: ContextVar[bool] = ContextVar("follow_links", default=False)


@contextmanager
def follow_links(followed: bool = True) -> Iterator[None]:
    """Sets whether datasets that are opened in this block may contain links that lead out of them.

    Args:
        followed: Whether they may.
    """
    token = _FOLLOWED.set(followed)
    try:
        yield
    finally:
        _FOLLOWED.reset(token)


def links_followed() -> bool:
    """Returns whether links may lead out of a dataset that is opened now."""
    return _FOLLOWED.get()


def link_error(path: str, target: str) -> DataError:
    """Returns the error for a link that leads out of its dataset."""
    return DataError(
        path,
        f"it is a link out of the dataset, to {target}",
        "replace it by what it links to, or pass --follow-links if you trust the dataset",
    )


def leads_inside(path: str, folder: str) -> bool:
    """Returns whether a local path is in a folder, also after links are followed, or the user follows all links."""
    return links_followed() or _below(os.path.realpath(path)).startswith(_below(os.path.realpath(folder)))


class Boundary:
    """The folders of a dataset, which no symbolic link may leave.

    Args:
        roots: Local paths; URLs, and paths that are not folders, are ignored.

    Attributes:
        roots: The folders.
    """

    def __init__(self, roots: Iterable[str]) -> None:
        folders = [root for root in roots if not is_remote(root) and os.path.isdir(root)]
        self.roots = tuple(folders)
        self._roots = tuple(_below(os.path.abspath(root)) for root in folders)
        self._real_roots = tuple(_below(os.path.realpath(root)) for root in folders)
        self._followed = links_followed() or not folders
        self._known: dict[str, tuple[bool, str]] = {}

    def check(self, path: str | None) -> None:
        """Checks a file.

        One next to the dataset, such as in ``images`` next to ``annotations``, may not be behind a link that leads out
        of the folder of both, and may only be a link within its own folder.

        Args:
            path: A path or URL; ``None`` is ignored.

        Raises:
            DataError: A link leads out of the dataset.
        """
        if path is None or self._followed or is_remote(path):
            return
        folder = os.path.dirname(path)
        if folder not in self._known:
            inside = _below(os.path.abspath(folder)).startswith(self._roots)
            real = os.path.realpath(folder)
            around = self._real_roots if inside else self._around(folder)
            self._known[folder] = inside, "" if _below(real).startswith(around) else real
        inside, outside = self._known[folder]
        if outside:
            raise link_error(folder, outside)
        if not inside:
            if os.path.islink(path) and not (target := os.path.realpath(path)).startswith(
                _below(os.path.realpath(folder))
            ):
                raise link_error(path, target)
            return
        if os.path.islink(path) and not (real := os.path.realpath(path)).startswith(self._real_roots):
            raise link_error(path, real)

    def _around(self, folder: str) -> str:
        """Returns the beginning of the real paths in the folder that contains a folder and the dataset."""
        try:
            common = os.path.commonpath([os.path.abspath(folder), self._roots[0]])
        except ValueError:  # on different drives
            return ""
        return _below(os.path.realpath(common))


def _below(folder: str) -> str:
    """Returns the beginning of the paths in a folder."""
    return folder if folder.endswith(os.sep) else folder + os.sep
