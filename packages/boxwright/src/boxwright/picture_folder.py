"""The format ``pictures``: a folder of pictures without annotations, to look at, to make smaller, to annotate next."""

from __future__ import annotations

import os

from boxwright.errors import DataError
from boxwright.prediction import PictureReader
from boxwright.protocols import Output
from boxwright.schemas import LabelMap, Sample
from boxwright.specs import Detection
from boxwright.uri import PICTURE_SUFFIXES, is_remote


class FolderReader(PictureReader):
    """Every picture in a folder and its sub-folders, without boxes, in the order of their paths.

    Args:
        location: A folder of this machine.

    Raises:
        DataError: There is no such folder.
    """

    def __init__(self, location: str) -> None:
        if is_remote(location):
            raise DataError(location, "pictures are read from folders of this machine", "copy the folder here")
        super().__init__([location])
        self.info = self.info.model_copy(update={"format": "pictures"})


class FolderWriter:
    """Copies pictures into a folder.

    Args:
        output: The folder.
        label_map: Not used.
    """

    def __init__(self, output: Output, label_map: LabelMap | None = None) -> None:
        self._output = output

    def write(self, sample: Sample) -> None:
        """Adds one picture.

        Raises:
            DataError: It has boxes, for which there is no place, or it cannot be read.
        """
        if sample.boxes:
            raise DataError(
                sample.source or sample.image.name,
                f"its boxes ({len(sample.boxes)}) have no place in a folder of pictures",
                "write a format that holds them, such as labelimg",
            )
        content = sample.image.read()
        with self._output.open(sample.image.name) as file:
            file.write(content)

    def close(self) -> None:
        """There is nothing left to finish."""


def detect(location: str) -> Detection:
    """Says yes to a folder that holds pictures and nothing else."""
    if is_remote(location) or not os.path.isdir(location):
        return Detection(False, "it is no folder of this machine")
    files = [name for _, _, names in os.walk(location) for name in names if not name.startswith(".")]
    others = sorted(name for name in files if os.path.splitext(name)[1].lower() not in PICTURE_SUFFIXES)
    if others:
        return Detection(False, f"it holds other files than pictures, such as {others[0]}")
    if not files:
        return Detection(False, "it holds no picture")
    return Detection(True, f"it holds {len(files)} pictures and nothing else")
