"""The format ``pictures``: a folder of images without annotations."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import PurePosixPath

from boxwright.datasets.protocols import OnProblem, Output
from boxwright.errors import DataError
from boxwright.label_map import LabelMap
from boxwright.plugins.specs import Detection
from boxwright.schemas import DatasetInfo, Sample
from boxwright.storage.uri import HEIC_SUFFIXES, IMAGE_SUFFIXES, is_remote


class PictureReader:
    """Reads images without annotations: files, and folders with their sub-folders.

    Args:
        paths: Local images and folders.

    Attributes:
        locations: The same paths.

    Raises:
        DataError: One of them does not exist.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self._files: list[tuple[str, str]] = []
        self.locations = given = tuple(paths)
        for path in given:
            if os.path.isdir(path):
                self._files += [(file, os.path.relpath(file, path)) for file in _images_below(path)]
            elif os.path.exists(path):
                self._files.append((path, os.path.basename(path)))
            else:
                raise DataError(path, "image or folder not found", "check the path")
        self.info = DatasetInfo(format="pictures", location=", ".join(given), num_samples=len(self._files))
        self.parts = len(self._files)

    @cached_property
    def _names(self) -> list[str]:
        """The name of each image; empty if its kind cannot be read here."""
        from boxwright.images.decode import reads_heic

        taken: set[str] = set()
        heic = tuple(HEIC_SUFFIXES)
        unread = heic if any(path.lower().endswith(heic) for path, _ in self._files) and not reads_heic() else ()
        return [
            "" if unread and path.lower().endswith(unread) else unique_name(name.replace(os.sep, "/"), taken)
            for path, name in self._files
        ]

    def read(self, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields every image with its upright size and no boxes."""
        return self.read_part(0, self.parts, on_problem)

    def read_part(self, start: int, stop: int, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields the images from ``start`` to ``stop``."""
        from boxwright.images.decode import HEIC_REMEDY, image_ref

        pairs = zip(self._files, self._names, strict=True) if start == 0 else ()
        if unread := [path for (path, _), name in pairs if not name]:
            count = f"{len(unread)} images are" if len(unread) > 1 else "it is a"
            on_problem(DataError(unread[0], f"{count} HEIC, which needs the library pi-heif", HEIC_REMEDY))
        for (path, _), name in zip(self._files[start:stop], self._names[start:stop], strict=True):
            if not name:
                continue
            try:
                reference = image_ref(path, name)
            except DataError as error:
                on_problem(error)
                continue
            yield Sample(image=reference, source=path)


class FolderReader(PictureReader):
    """Reads every image in a folder and its sub-folders, without boxes, in the order of their paths.

    Args:
        location: A local folder.

    Raises:
        DataError: The folder does not exist.
    """

    def __init__(self, location: str) -> None:
        if is_remote(location):
            raise DataError(location, "images are read from local folders", "copy the folder to this machine")
        super().__init__([location])
        self.info = self.info.model_copy(update={"format": "pictures"})


class FolderWriter:
    """Copies images into a folder.

    Args:
        output: The folder.
        label_map: Not used.
    """

    def __init__(self, output: Output, label_map: LabelMap | None = None) -> None:
        self._output = output

    def write(self, sample: Sample) -> None:
        """Adds one image.

        Raises:
            DataError: It has boxes, which cannot be stored, or it cannot be read.
        """
        if sample.boxes:
            raise DataError(
                sample.source or sample.image.name,
                f"its boxes ({len(sample.boxes)}) cannot be stored in a folder of images",
                "write a format that stores boxes, such as labelimg",
            )
        content = sample.image.read()
        with self._output.open(sample.image.name) as file:
            file.write(content)

    def close(self) -> None:
        """Does nothing: every file is complete already."""


def detect(location: str) -> Detection:
    """Detects a folder that contains only images."""
    if is_remote(location) or not os.path.isdir(location):
        return Detection(False, "it is not a local folder")
    files = [name for _, _, names in os.walk(location) for name in names if not name.startswith(".")]
    others = sorted(name for name in files if os.path.splitext(name)[1].lower() not in IMAGE_SUFFIXES)
    if others:
        return Detection(False, f"not only images, but also {others[0]}")
    if not files:
        return Detection(False, "it contains no images")
    return Detection(True, f"it contains {len(files)} images and nothing else")


def _images_below(folder: str) -> Iterator[str]:
    for base, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES and not name.startswith("."):
                yield os.path.join(base, name)


def unique_name(name: str, taken: set[str]) -> str:
    """Returns a name that no other drawing has: ``a.png`` and ``a.jpg`` would both be drawn to ``a.jpg``."""
    path = candidate = PurePosixPath(name)
    number = 1
    while (key := str(candidate.with_suffix("")).lower()) in taken:
        number += 1
        candidate = path.with_name(f"{path.stem}-{number}{path.suffix}")
    taken.add(key)
    return str(candidate)
