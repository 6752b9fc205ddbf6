"""Locks on open files, which end with the process that has them."""

from __future__ import annotations

import os
import sys
from typing import IO, Any

if sys.platform == "win32":
    import msvcrt

    _FAR = 1 << 30  # a byte that no file has, because others could not read a locked one

    def take(file: IO[Any]) -> bool:
        """Locks a file; returns false if another process, or another open file of this one, has it locked."""
        position = file.tell()
        file.seek(_FAR)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            file.seek(position)
        return True

else:
    import fcntl

    def take(file: IO[Any]) -> bool:
        """Locks a file; returns false if another process, or another open file of this one, has it locked."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def is_at(file: IO[Any], path: str | os.PathLike[str]) -> bool:
    """Whether an open file is still the one with this path."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False
