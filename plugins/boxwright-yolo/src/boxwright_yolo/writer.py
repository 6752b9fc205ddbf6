"""Writes YOLO label files: Ultralytics' layout, or labelImg's."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import IO, Any

from boxwright import DataError, LabelMap, OutputError, Sample
from boxwright.datasets import FolderFiles, Output
from boxwright.storage import IMAGE_SUFFIXES, base_name, safe_name
from boxwright_yolo.description import NOT_SPLITS, ORDER, UNSPLIT
from boxwright_yolo.labels import LineFormat
from boxwright_yolo.paths import label_file_of, stem_of

_NO_SPLIT = (
    "# The images have no split, so this file names no train and no val.",
    "# Hold out some of them: boxwright convert ... --with split:train=0.8,val=0.2",
)
_SKIP = "or leave it out with --on-error skip"
_READ = (IMAGE_SUFFIXES - {".gif"}) | {".dng"}
"""What Ultralytics reads: https://docs.ultralytics.com/modes/predict/#images."""
_ODD = re.compile(r"(?:^|/)\.|^/|[\0\r\n:\\]")
_HIDDEN = re.compile(r"(?:^|/)\.|//|[\r\n]")
_SPLIT = re.compile(r"[^./\\:\0-\x1f\s\ud800-\udfff][^/\\:\0-\x1f\ud800-\udfff]*(?<!\s)")
# Characters that must be escaped in a double-quoted text of YAML 1.1: https://yaml.org/spec/1.1/#id892089.
_ESCAPED = re.compile('[\\\\"\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]')


class YoloWriter:
    """Writes each image and its label file, and at the end the file with the class names.

    Ultralytics' layout has ``images/SPLIT/NAME``, ``labels/SPLIT/NAME.txt`` and ``data.yaml``. Images without a split
    are in ``unsplit``, which data.yaml never names as ``train`` or ``val``: Ultralytics would measure a model on the
    images that it was trained on. Without the images, data.yaml names lists of them, which keep their names.

    labelImg's layout has the label files next to the images, and ``classes.txt``.

    Classes are numbered from 0 in the order of the label map.

    Args:
        output: The folder.
        label_map: The classes.
        layout: ``"ultralytics"`` or ``"labelimg"``.
        pictures: Whether to copy the images; without them the samples need none.
        scores: Whether to write a box's ``score`` as a sixth column, which Ultralytics writes but cannot train on.
    """

    def __init__(
        self,
        output: Output,
        label_map: LabelMap,
        layout: str = "ultralytics",
        pictures: bool = True,
        scores: bool = False,
    ) -> None:
        self._output = output
        self._files = FolderFiles(output)
        self._names = label_map.names
        self._classes = {name: number for number, name in enumerate(label_map.names)}
        self._flat = layout == "labelimg"
        if self._flat:
            _check_lines(self._names, output.location)
        self._copies_images = pictures
        self._scores = scores
        self._lines = LineFormat()
        self._image_of: dict[str, str] = {"classes.txt": "the file of the class names"} if self._flat else {}
        self._splits: dict[str, IO[bytes] | None] = {}

    def write(self, sample: Sample) -> None:
        """Adds one image and its label file.

        Raises:
            DataError: The image cannot be read, its label file would replace another's, its name or split could not be
                read back, or a box extends too far beyond it.
            OutputError: The image's name leads out of the folder.
        """
        split = self._split(sample)
        name = sample.image.name
        image = name if self._flat else f"images/{split}/{name}"
        label = f"{stem_of(image)}.txt" if self._flat else label_file_of(image)
        self._check_names(sample, label)
        content = self._content(sample).encode()
        if self._copies_images:
            self._files.copy(image, sample.image)
        self._image_of[label] = name
        self._files.put(label, content)
        if not self._flat:
            self._list(split, image)

    def close(self) -> None:
        """Writes the file with the class names."""
        for file in self._splits.values():
            if file is not None:
                file.close()
        if self._flat:
            self._files.put("classes.txt", "".join(f"{name}\n" for name in self._names).encode())
        else:
            self._files.put("data.yaml", self._yaml().encode())

    def _split(self, sample: Sample) -> str:
        split = sample.split
        if self._flat:
            if split is not None and not _is_in_name(split, base_name(self._output.location.rstrip("/"))):
                raise DataError(
                    sample.source or sample.image.name,
                    f"it belongs to the split {split!r}, and labelImg's layout has no splits",
                    "write each split to a separate folder, yolo:FOLDER/{split}?layout=labelimg,"
                    " or use layout=ultralytics",
                )
            return ""
        if split is None:
            return UNSPLIT
        if split == UNSPLIT or split in NOT_SPLITS or not _SPLIT.fullmatch(split):
            raise DataError(
                sample.source or sample.image.name,
                f"the split {split!r} cannot be the name of a folder and of a key of data.yaml",
                "rename the split",
            )
        return split

    def _check_names(self, sample: Sample, label: str) -> None:
        name = sample.image.name
        place = sample.source or name
        if _ODD.search(name):
            safe_name(name, place)
        suffix, known = os.path.splitext(name)[1].lower(), IMAGE_SUFFIXES if self._flat else _READ
        if suffix == ".gif" and not self._flat:
            remedy = f"write the images as JPEG: --with resize:{sample.image.width}x{sample.image.height},fit=inside"
            raise DataError(place, f"Ultralytics does not read GIF images, such as {name}", remedy)
        if suffix not in known or _HIDDEN.search(name):
            problem = f"YOLO would not find an image with the name {name!r}"
            suffixes = ", ".join(sorted(known))
            raise DataError(place, problem, f"use one of the suffixes {suffixes} and no leading dot, {_SKIP}")
        other = self._image_of.get(label)
        if other is not None:
            remedy = f"rename one of them: YOLO has one label file for each name without suffix; {_SKIP}"
            raise DataError(place, f"{other} and {name} would share the label file {label}", remedy)

    def _content(self, sample: Sample) -> str:
        image, boxes = sample.image, sample.boxes
        classes, line, width, height = self._classes, self._lines.line, image.width, image.height
        try:
            if not self._scores:
                rows = [
                    line(classes[label], box, width, height)
                    for label, box in zip(boxes.labels, boxes.coordinates, strict=True)
                ]
            else:
                rows = [
                    line(classes[label], box, width, height, _score(attributes))
                    for label, box, attributes in zip(boxes.labels, boxes.coordinates, boxes.attributes, strict=True)
                ]
        except ValueError as error:
            raise DataError(sample.source or image.name, f"a box {error}", f"correct it, {_SKIP}") from None
        return "\n".join([*rows, ""]) if rows else ""

    def _list(self, split: str, image: str) -> None:
        if split not in self._splits:
            self._splits[split] = None if self._copies_images else self._output.open(f"{split}.txt")
        file = self._splits[split]
        if file is not None:
            file.write(f"./{image}\n".encode())

    def _yaml(self) -> str:
        pattern = "images/{}" if self._copies_images else "{}.txt"
        paths = {split: pattern.format(split) for split in self._splits}
        keys = sorted(paths, key=lambda key: (ORDER.index(key) if key in ORDER else len(ORDER), key))
        lines = list(_NO_SPLIT) if keys == [UNSPLIT] else []
        lines += [f"{key if key in ORDER else quoted(key)}: {quoted(paths[key])}" for key in keys]
        lines += [f"nc: {len(self._names)}", "names:" if self._names else "names: {}"]
        lines += [f"  {number}: {quoted(name)}" for number, name in enumerate(self._names)]
        return "\n".join([*lines, ""])


def _is_in_name(split: str, folder: str) -> bool:
    """Whether a folder's name contains the split, as in FOLDER/{split} or data_{split}, so it is not lost."""
    return re.search(rf"(?<![^\W_]){re.escape(split)}(?![^\W_])", folder) is not None


def _score(attributes: Mapping[str, Any]) -> float | None:
    score = attributes.get("score")
    if not isinstance(score, int | float):
        return None
    if not 0 <= score <= 1:
        raise ValueError(f"has the score {score!r}, not between 0 and 1")
    return float(score)


def quoted(text: str) -> str:
    """Returns a text in double quotes, which YAML never reads as a number, a boolean or null."""
    return '"' + _ESCAPED.sub(_escape, text) + '"'


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\{match[0]}" if match[0] in '"\\' else f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _check_lines(names: Sequence[str], place: str) -> None:
    for name in names:
        if name.strip() != name or len(name.splitlines()) != 1:
            raise OutputError(
                f"{place}: the class {name!r} cannot be a line of classes.txt",
                "rename it (--with remap), or use layout=ultralytics",
            )
