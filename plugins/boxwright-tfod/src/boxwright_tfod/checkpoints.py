"""Pretrained checkpoints: the TensorFlow 2 model zoo's archives, by URL, file or folder.

The zoo (https://github.com/tensorflow/models/blob/master/research/object_detection/g3doc/tf2_detection_zoo.md) packs a
model as ``NAME.tar.gz`` with ``NAME/checkpoint/ckpt-0.index``, ``NAME/checkpoint/ckpt-0.data-00000-of-00001``,
``NAME/pipeline.config`` and ``NAME/saved_model/``. The checkpoint of its classifiers is at the top.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tarfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from boxwright import DataError, Reporter, UsageError
from boxwright.environments import describe_size, home
from boxwright.storage import AtomicOutput

CONFIG = "pipeline.config"
_PART = re.compile(r"(?P<prefix>[A-Za-z0-9][\w.-]*?)\.(index|data-\d{5}-of-\d{5})")
_NUMBER = re.compile(r"-(\d+)$")
_LARGEST = 8_000_000_000
_MOST_MEMBERS = 10_000
_TIMEOUT = 60.0
_BLOCK = 1 << 20
_NOT_FOUND = "set an archive or folder of the TensorFlow 2 model zoo, or a path such as NAME/checkpoint/ckpt-0"


def obtain(source: str, folder: Path, *, sha256: str | None, reporter: Reporter) -> Path:
    """Copies a checkpoint into a folder and returns its prefix, the common beginning of its files' names.

    Args:
        source: The URL or file of an archive, a folder, or a prefix.
        folder: The target folder; emptied first.
        sha256: The expected digest of the archive.
        reporter: Receives the progress.

    Raises:
        DataError: The source is missing, incomplete, has another digest, or contains no checkpoint.
        UsageError: The digest is not a digest, or was passed for a folder.
        OutputError: The files cannot be written.
    """
    digest = _parse_digest(sha256)
    if "://" in source:
        source = str(_download(source, digest, reporter))
    path = Path(source)
    if path.is_file():
        _check_digest(path, digest)
        return _unpack(path, folder)
    if digest is not None:
        raise UsageError(f"{source} is not an archive, so it has no digest", "leave checkpoint_sha256 out")
    return _copy(path, folder)


def newest(names: list[str]) -> str | None:
    """Returns the prefix of the newest checkpoint among files' names; ``None`` if there is none.

    The newest has the highest number at the end, as in ``ckpt-12``.
    """
    matches = [match for name in names if (match := _PART.fullmatch(name))]
    prefixes = {match["prefix"] for match in matches if match[2] == "index"}
    prefixes &= {match["prefix"] for match in matches if match[2] != "index"}

    def number(prefix: str) -> tuple[int, str]:
        found = _NUMBER.search(prefix)
        return (int(found[1]) if found else -1, prefix)

    return max(prefixes, key=number, default=None)


def _parse_digest(sha256: str | None) -> str | None:
    if sha256 is None:
        return None
    digest = sha256.strip().lower()
    if not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise UsageError(
            f"checkpoint_sha256={sha256!r} is not a digest", "set the 64 letters and digits of its SHA-256"
        )
    return digest


def _download(url: str, digest: str | None, reporter: Reporter) -> Path:
    """Downloads an archive, or returns it from the cache."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and digest):
        raise UsageError(f"{url} can be tampered with", "use https://, or set checkpoint_sha256=DIGEST")
    name = PurePosixPath(parts.path).name or "checkpoint.tar.gz"
    target = (
        home()
        / "downloads"
        / f"{hashlib.sha256(url.encode()).hexdigest()[:12]}-{re.sub(r'[^A-Za-z0-9._-]', '-', name)}"
    )
    noted = target.with_name(f"{target.name}.sha256")
    if target.is_file() and noted.is_file():
        _check_digest(target, noted.read_text("ascii").strip())  # the file may have been damaged since
        return target
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as answer:  # noqa: S310 (the scheme was checked)
            length = int(answer.headers.get("Content-Length") or 0)
            size = f", {describe_size(length)}" if length else ""
            reporter.message(f"Downloading {url}{size}.")
            with AtomicOutput(str(target), overwrite=True) as output, output.open() as file:
                found = _copy_all(answer, file, reporter, url, length)
                if digest is not None and found != digest:
                    raise _other_digest(url, found, digest)
    except (urllib.error.URLError, TimeoutError, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise DataError(
            url, f"it cannot be downloaded: {reason}", "check the URL, or download it in another way"
        ) from None
    with AtomicOutput(str(noted), overwrite=True) as output, output.open() as file:
        file.write(found.encode())
    if digest is None:
        reporter.message(f"Its SHA-256 is {found}; pass --set checkpoint_sha256={found} to check it in future.")
    return target


def _copy_all(source: IO[bytes], target: IO[bytes], reporter: Reporter, url: str, length: int) -> str:
    digest, total = hashlib.sha256(), 0
    with reporter.task("Downloading", length or None) as task:
        while block := source.read(_BLOCK):
            total += len(block)
            if total > _LARGEST:
                raise DataError(url, f"it is larger than {describe_size(_LARGEST)}", "check that this is a checkpoint")
            digest.update(block)
            target.write(block)
            task.advance(len(block))
    if length and total != length:
        raise DataError(url, f"only {total} of {length} bytes were received", "try again")
    return digest.hexdigest()


def _check_digest(path: Path, digest: str | None) -> None:
    if digest is None:
        return
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != digest:
        raise _other_digest(str(path), found, digest)


def _other_digest(source: str, found: str, digest: str) -> DataError:
    return DataError(
        source,
        f"its SHA-256 is {found}, not {digest}",
        "the file is damaged or another one: remove it and download it again",
    )


def _unpack(archive: Path, folder: Path) -> Path:
    """Extracts the checkpoint and its configuration from an archive, and nothing else.

    Files are selected by the last part of their names and extracted into one folder, whatever their paths are.
    """
    try:
        with tarfile.open(archive, "r:*") as tar, AtomicOutput(str(folder), "folder", overwrite=True) as output:
            members = dict(_members(str(archive), tar))
            prefix = newest(list(members))
            if prefix is None:
                raise DataError(archive, "no complete checkpoint in it", _NOT_FOUND)
            for name, member in members.items():
                if name != CONFIG and not name.startswith(f"{prefix}."):
                    continue
                content = tar.extractfile(member)
                assert content is not None  # it is a regular file
                with content, output.open(name) as file:
                    shutil.copyfileobj(content, file, _BLOCK)
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise DataError(archive, f"it is not a complete .tar.gz archive: {error}", "download it again") from None
    return folder / prefix


def _members(archive: str, tar: tarfile.TarFile) -> Iterator[tuple[str, tarfile.TarInfo]]:
    """Yields the files of checkpoints by the last part of their name, except those of a SavedModel."""
    names: set[str] = set()
    total = 0
    for count, member in enumerate(tar):
        path = PurePosixPath(member.name)
        if count >= _MOST_MEMBERS:
            raise DataError(archive, f"it has more than {_MOST_MEMBERS:,} entries", "is this a checkpoint?")
        if not member.isreg() or "saved_model" in path.parts or not (_PART.fullmatch(path.name) or path.name == CONFIG):
            continue
        total += member.size
        if total > _LARGEST:
            raise DataError(archive, f"unpacked it is larger than {describe_size(_LARGEST)}", "is this a checkpoint?")
        if path.name in names:
            raise DataError(
                archive, f"two files in it have the name {path.name}", "extract it, and set the folder of one of them"
            )
        names.add(path.name)
        yield path.name, member


def _copy(path: Path, folder: Path) -> Path:
    """Copies a checkpoint from a folder, or by its prefix, so that the run folder is complete."""
    if path.is_dir():
        source = path / "checkpoint" if (path / "checkpoint").is_dir() else path
        prefix = newest([file.name for file in source.iterdir()])
    else:
        source, prefix = path.parent, path.name
        if (
            not source.is_dir()
            or newest([f.name for f in source.iterdir() if f.name.startswith(f"{prefix}.")]) != prefix
        ):
            raise DataError(path, "archive, folder or checkpoint not found", _NOT_FOUND)
    if prefix is None:
        raise DataError(path, "no complete checkpoint in it", _NOT_FOUND)
    with AtomicOutput(str(folder), "folder", overwrite=True) as output:
        for file in sorted(source.iterdir()):
            if file.name.startswith(f"{prefix}.") and _PART.fullmatch(file.name):
                output.copy(file, file.name)
        for config in (source / CONFIG, source.parent / CONFIG):
            if config.is_file():
                output.copy(config, CONFIG)
                break
    return folder / prefix
