"""The format ``pictures``: a folder of pictures without annotations, to look at, to make smaller, to annotate next."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from boxwright.datasets.protocols import OnProblem, Output
from boxwright.errors import DataError
from boxwright.label_map import LabelMap
from boxwright.plugins.specs import Detection
from boxwright.schemas import DatasetInfo, Sample
from boxwright.storage.uri import IMAGE_SUFFIXES, is_remote


class PictureReader:
    """A reader over pictures without annotations: files, and folders with everything in them.

    Args:
        paths: Pictures and folders of this machine.

    Raises:
        DataError: One of them does not exist.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self._files: list[tuple[str, str]] = []
        given = list(paths)
        for path in given:
            if os.path.isdir(path):
                self._files += [(file, os.path.relpath(file, path)) for file in _pictures_below(path)]
            elif os.path.exists(path):
                self._files.append((path, os.path.basename(path)))
            else:
                raise DataError(path, "there is no such picture or folder", "check the path")
        self.info = DatasetInfo(format="pictures", location=", ".join(given), num_samples=len(self._files))

    def read(self, on_problem: OnProblem) -> Iterator[Sample]:
        """Gives every picture with its upright size and no boxes."""
        from boxwright.images.decode import image_ref

        taken: set[str] = set()
        for path, name in self._files:
            try:
                reference = image_ref(path, _unique(name.replace(os.sep, "/"), taken))
            except DataError as error:
                on_problem(error)
                continue
            yield Sample(image=reference, source=path)


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
    others = sorted(name for name in files if os.path.splitext(name)[1].lower() not in IMAGE_SUFFIXES)
    if others:
        return Detection(False, f"it holds other files than pictures, such as {others[0]}")
    if not files:
        return Detection(False, "it holds no picture")
    return Detection(True, f"it holds {len(files)} pictures and nothing else")


def _pictures_below(folder: str) -> Iterator[str]:
    for base, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES and not name.startswith("."):
                yield os.path.join(base, name)


def _unique(name: str, taken: set[str]) -> str:
    """A name that no other picture's drawing has: ``a.png`` and ``a.jpg`` would both be drawn to ``a.jpg``."""
    path = candidate = PurePosixPath(name)
    number = 1
    while (key := str(candidate.with_suffix("")).lower()) in taken:
        number += 1
        candidate = path.with_name(f"{path.stem}-{number}{path.suffix}")
    taken.add(key)
    return str(candidate)
