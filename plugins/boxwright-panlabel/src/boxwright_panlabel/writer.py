"""Writes the formats of panlabel through its JSON.

``writer.NAME`` is the writer of the format with that name: a callable ``(output, label_map, **options)``.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import weakref
from collections.abc import Callable
from functools import partial
from typing import IO, Any

from boxwright import Coordinates, DataError, LabelMap, Sample
from boxwright.datasets import Output
from boxwright.storage import safe_name
from boxwright_panlabel.layouts import from_panlabel
from boxwright_panlabel.program import convert
from boxwright_panlabel.table import BRIDGES
from boxwright_panlabel.values import is_plain, write_attributes

_SURROGATE = re.compile("[\ud800-\udfff]")
_RENAME = "rename it in the source, or skip the image with --on-error skip"
_WRITTEN = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp"})
_HABITS = {"": (0, 0), "one_based": (1, 0), "inclusive": (0, -1)}
_USES = {"train": "TRAIN", "val": "VALIDATION", "test": "TEST"}
_CHUNK = 1 << 16
_FIRST_ID = 1_000_000_000
_NAMES: dict[str, tuple[Callable[[str], bool], str]] = {
    "any": (lambda name: True, ""),
    "plain": (lambda name: not re.search(r"[?#]", name), "a name with ? or #, which end it in this format"),
    "spaceless": (lambda name: not re.search(r"[\s,]", name), "a name with white space or a comma"),
    "suffixed": (lambda name: bool(os.path.splitext(name)[1]), "a name without a suffix"),
    "stem": (lambda name: bool(os.path.splitext(name)[1]), "a name without a suffix"),
}


class PanlabelWriter:
    """Collects the samples in temporary files, passes them to panlabel at the end, and copies its output.

    For formats that are folders, images are copied immediately, byte for byte. Memory does not grow with the dataset
    here, but panlabel has all of it in memory while it writes.

    Args:
        name: The name of the format in boxwright.
        output: The output.
        label_map: The classes and their order, for formats with class ids.
        pictures: Whether the images are copied.
        one_based: Adds 1 to xmin and ymin.
        inclusive: Subtracts 1 from xmax and ymax.
        bbox: The meaning of a box's four numbers (``hf``).
    """

    def __init__(
        self,
        name: str,
        output: Output,
        label_map: LabelMap | None = None,
        pictures: bool = True,
        one_based: bool = False,
        inclusive: bool = False,
        bbox: str = "xywh",
    ) -> None:
        self._bridge = BRIDGES[name]
        self._output = output
        self._copies = pictures and self._bridge.image_folder is not None
        self._shift = _HABITS["one_based" if one_based else "inclusive" if inclusive else ""]
        self._options = [f"--hf-bbox-format={bbox}"] if name == "hf" else []
        if label_map is not None and self._bridge.names == "spaceless":  # every class is a line of a file
            self._check_classes(label_map)
        self._classes = {label: i for i, label in enumerate(label_map.names if label_map else (), start=1)}
        self._names: set[str] = set()
        self._boxes = 0
        self._images, self._annotations = _spool(self), _spool(self)

    def write(self, sample: Sample) -> None:
        """Adds one sample.

        Raises:
            DataError: The format cannot represent a name, a label or an attribute, or the image does not exist.
        """
        try:
            self._check(sample)
            image, annotations = self._image(sample), self._annotated(sample)
        except ValueError as error:
            raise DataError(sample.source or sample.image.name, str(error), _RENAME) from None
        if self._copies:
            self._copy(sample)
        self._names.add(self._key(sample.image.name))
        self._images.write((b",\n" if self._images.tell() else b"") + json.dumps(image).encode())
        for annotation in annotations:
            comma = b",\n" if self._annotations.tell() else b""
            self._annotations.write(comma + json.dumps(annotation).encode())
        self._boxes += len(annotations)

    def close(self) -> None:
        """Runs panlabel, and copies its output.

        Raises:
            DataError: panlabel failed.
        """
        location = self._output.location
        ending = next((each for each in self._bridge.endings if location.lower().endswith(each)), "")
        with tempfile.TemporaryDirectory(prefix="boxwright-panlabel-") as folder:
            source, target = os.path.join(folder, "dataset.json"), os.path.join(folder, "out")
            if self._bridge.target == "file" or self._bridge.name == "v7-darwin":
                target += ending or self._bridge.endings[0]
            self._join(source)
            convert(
                ("ir-json", source),
                (self._bridge.program_name, target),
                self._options,
                name=self._bridge.name,
                blamed=location,
                renamed={target: location},
            )
            self._put(target)
        self._images.close()
        self._annotations.close()

    def _check(self, sample: Sample) -> None:
        bridge, name = self._bridge, sample.image.name
        safe_name(name, sample.source or name)
        is_valid, what = _NAMES[bridge.names]
        if not is_valid(name):
            raise ValueError(f"the image is called {name!r}: the format {bridge.name} cannot represent {what}")
        if not is_plain(name) or any(part in ("", ".") for part in name.split("/")):
            raise ValueError(
                f"the name of the image {name!r} has surrounding white space, control characters or empty folders"
            )
        if bridge.name == "oidv4" and "/" in name:
            raise ValueError(f"the image is called {name!r}: the format {bridge.name} has no subfolders")
        if bridge.name == "oidv4" and os.path.splitext(name)[1] not in _WRITTEN:
            raise ValueError(f"the image is called {name!r}: oidv4 finds images by {', '.join(sorted(_WRITTEN))}")
        if self._key(name) in self._names:
            reason = f": the format {bridge.name} does not distinguish suffixes" if bridge.names == "stem" else ""
            raise ValueError(f"duplicate image {name!r}{reason}")
        for label in dict.fromkeys(sample.boxes.labels):
            self._check_label(label)

    def _check_classes(self, label_map: LabelMap) -> None:
        for label in label_map.names:
            try:
                self._check_label(label)
            except ValueError as error:
                raise DataError(self._output.location, str(error), "rename the class: --with remap:OLD=NEW") from None

    def _check_label(self, label: str) -> None:
        bridge = self._bridge
        if _SURROGATE.search(label):
            raise ValueError(f"the class {label!r} cannot be written as UTF-8")
        if bridge.label and label != bridge.label:
            raise ValueError(f"the class is {label!r}, but {bridge.name} has only the class {bridge.label!r}")
        if bridge.name != "ir-json" and not is_plain(label):
            raise ValueError(f"the class {label!r} has surrounding white space or control characters")
        if not bridge.spaces and re.search(r"\s", label):
            raise ValueError(f"the class {label!r} contains white space, which ends a field in {bridge.name}")

    def _key(self, name: str) -> str:
        return os.path.splitext(name)[0] if self._bridge.names == "stem" else name

    def _image(self, sample: Sample) -> dict[str, Any]:
        image = sample.image
        attributes = write_attributes(sample.attributes, self._bridge.image)
        if self._bridge.split and sample.split is not None:
            if sample.split not in _USES:
                raise ValueError(f"the split is {sample.split!r}; the format has {', '.join(_USES)}")
            attributes["automl_ml_use"] = _USES[sample.split]
        found: dict[str, Any] = {"id": len(self._names) + 1, "file_name": image.name}
        return found | {"width": image.width, "height": image.height, "attributes": attributes}

    def _annotated(self, sample: Sample) -> list[dict[str, Any]]:
        boxes = sample.boxes
        annotations = []
        for position, (label, edges) in enumerate(zip(boxes.labels, boxes.coordinates, strict=True)):
            annotation = {
                "id": _FIRST_ID + self._boxes + position if self._bridge.order else self._boxes + position + 1,
                "image_id": len(self._names) + 1,
                "category_id": self._classes.setdefault(label, len(self._classes) + 1),
                "bbox": self._bbox(edges),
            }
            if boxes.has_attributes:
                annotation |= self._described(dict(boxes.attributes[position]))
            annotations.append(annotation)
        return annotations

    def _described(self, attributes: dict[str, Any]) -> dict[str, Any]:
        """Returns panlabel's fields of a box other than class and coordinates."""
        found: dict[str, Any] = {}
        score = attributes.get("score")
        if self._bridge.score and isinstance(score, int | float) and not isinstance(score, bool):
            found["confidence"] = round(attributes.pop("score") * self._bridge.certain, 12)
        written = write_attributes(attributes, self._bridge.box)
        return found | {"attributes": written}

    def _bbox(self, edges: Coordinates) -> dict[str, float]:
        first, last = self._shift
        xmin, ymin, xmax, ymax = edges
        return {"xmin": xmin + first, "ymin": ymin + first, "xmax": xmax + last, "ymax": ymax + last}

    def _copy(self, sample: Sample) -> None:
        image, folder = sample.image, self._bridge.image_folder
        content = image.read()
        with self._output.open(f"{folder}/{image.name}" if folder else image.name) as file:
            file.write(content)

    def _join(self, path: str) -> None:
        """Writes the collected samples as panlabel's JSON."""
        attributes = write_attributes(self._output.dataset_attributes, self._bridge.dataset)
        categories = [{"id": number, "name": label} for label, number in self._classes.items()]
        with open(path, "wb") as file:
            file.write(b'{"info":' + json.dumps({"attributes": attributes}).encode())
            file.write(b',"categories":' + json.dumps(categories).encode())
            for key, spool in ((b"images", self._images), (b"annotations", self._annotations)):
                file.write(b',"' + key + b'":[')
                spool.seek(0)
                shutil.copyfileobj(spool, file, _CHUNK)
                file.write(b"]")
            file.write(b"}")

    def _put(self, target: str) -> None:
        """Copies panlabel's files to the output, in the layout of the format's own tools."""
        for name, chunks in from_panlabel(self._bridge, target):
            with self._output.open(name) as file:
                file.writelines(chunks)


def _spool(owner: object) -> IO[bytes]:
    """Returns a temporary file without a name, which is closed with its owner at the latest."""
    file = tempfile.TemporaryFile()  # noqa: SIM115
    weakref.finalize(owner, file.close)
    return file


def __getattr__(name: str) -> Any:
    if name not in BRIDGES or not BRIDGES[name].writes:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return partial(PanlabelWriter, name)
