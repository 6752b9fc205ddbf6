"""The manifest of an artifact, by which it is loaded: complete, unchanged, and of a version that is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from boxwright.errors import DataError
from boxwright.models.weights import digest_of
from boxwright.storage.output import is_safe_name

RECORD = "artifact.json"
"""The file of an export that names its exporter."""
LAYOUT = 1
_EXPORT_AGAIN = "export the model again"


def manifest_content(record: Path) -> dict[str, Any]:
    """Reads a manifest.

    Raises:
        DataError: It is damaged or of another version.
    """
    try:
        content: dict[str, Any] = json.loads(record.read_text("utf-8"))
        layout = content.get("boxwright_artifact")
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise _damaged(record, error) from None
    if layout != LAYOUT:
        problem = f"it is an artifact of version {layout or 0}, and this boxwright reads version {LAYOUT}"
        raise DataError(record, problem, f"{_EXPORT_AGAIN}, or use the boxwright that made it")
    return content


def read_manifest(record: Path) -> tuple[str, Path]:
    """Reads a manifest, and checks the digest of every file.

    Returns:
        The name of the exporter and the path of the model.

    Raises:
        DataError: The manifest is damaged or of another version, or a file is missing, cut off or changed.
    """
    content = manifest_content(record)
    try:
        name, model = str(content["exporter"]), str(content["artifact"])
        files = {str(each): (int(about["bytes"]), str(about["sha256"])) for each, about in content["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(record, error) from None
    for each in (model, *files):
        if not is_safe_name(each):
            raise DataError(record, f"the file {each!r} is outside the folder", _EXPORT_AGAIN)
    for each, (size, digest) in files.items():
        _check_file(record.parent / each, size, digest)
    return name, record.parent / model


def _damaged(record: Path, error: Exception) -> DataError:
    return DataError(record, f"it is damaged: {error!r}", _EXPORT_AGAIN)


def _check_file(path: Path, size: int, digest: str) -> None:
    try:
        found = path.stat().st_size
        if found < size:
            raise DataError(path, f"it is cut off: {found:,} of {size:,} bytes", f"copy it again, or {_EXPORT_AGAIN}")
        changed = found > size or digest_of(path) != digest
    except OSError as error:
        raise DataError(path, error.strerror or str(error), f"copy it again, or {_EXPORT_AGAIN}") from None
    if changed:
        raise DataError(path, f"it was changed after the export: its SHA-256 is not {digest}", _EXPORT_AGAIN)
