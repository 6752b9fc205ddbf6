"""VGG Image Annotator's JSON: exported annotations, and projects.

Annotations are an object with an entry for each image, ``{"a.jpg1234": {"filename", "size", "regions",
"file_attributes"}}``; a project has them in ``_via_img_metadata``. In version 1, the regions are an object as well. See
``via.js`` of version 2 at https://gitlab.com/vgg/via, :mod:`.regions`, and :mod:`.via3` for projects of version 3.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from boxwright import (
    Boxes,
    Coordinates,
    DataError,
    DatasetInfo,
    ImageRef,
    LabelMap,
    Sample,
    SwappedCoordinates,
    check_coordinates,
    find_label_map,
)
from boxwright.datasets import ItemError, OnProblem, Output, ShapeRule
from boxwright.images import lookup_of_file, measured_size
from boxwright.plugins import Detection
from boxwright.storage import check_unicode, json_members, open_binary, parent
from boxwright_csv import via3
from boxwright_csv.regions import Regions, checked, file_size, region_of
from boxwright_csv.rows import SKIP
from boxwright_csv.texts import unsupported

_METADATA: Final = "_via_img_metadata"
_OBJECT: Final = "name a JSON file of VGG Image Annotator: exported annotations, or a project"
_SOME: Final = 20


def is_json(location: str) -> bool:
    """Returns whether a file begins like a JSON object.

    Raises:
        DataError: The file does not exist, or cannot be read.
    """
    with open_binary(location) as file:
        return file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{")


class ViaJsonReader:
    """Yields one sample per image, in the order of the file. The sizes of images are measured.

    Args:
        location: The JSON file; a path, or a URL that fsspec opens.
        shapes: What happens to shapes that are not upright boxes: ``"box"``, ``"skip"`` or ``"fail"``.
        images: The folder of the images, if it is not that of the JSON file.
        label_map: A label map file; the default is ``label_map.pbtxt`` next to the JSON file, if it exists.
        inverted: ``"error"``, or ``"swap"`` to swap coordinates that are in the wrong order.
        label: The attribute of a region that contains its class.

    Attributes:
        shapes: The rule for shapes.
        swapped: Counts the boxes whose coordinates were swapped.

    Raises:
        DataError: The file does not exist, or the label map is invalid.
    """

    def __init__(
        self,
        location: str,
        shapes: str = "box",
        images: str | None = None,
        label_map: str | None = None,
        inverted: str = "error",
        label: str | None = None,
    ) -> None:
        self._location = location
        self._swap = inverted == "swap"
        self._label = label
        self.shapes = ShapeRule(shapes)
        self.swapped = SwappedCoordinates()
        with open_binary(location):  # raises the error if it does not exist
            numbers, _ = find_label_map(label_map, parent(location))
        self._images = lookup_of_file(location, images, self._named(), uri=f"via:{location}", field="filename")
        self.info = DatasetInfo(format="via-json", location=location, label_map=numbers, notes=self._images.notes)

    def read(self, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields the samples; see :class:`boxwright.datasets.Reader`."""
        regions = Regions(self.shapes, self._label)
        line_of: dict[str, int] = {}
        try:
            for line, key, entry in self._entries():
                try:
                    sample = self._sample(entry, f"line {line}, {key[:200]}", regions)
                    if other := line_of.get(sample.image.name):
                        raise self._error(
                            f"it names the image {sample.image.name}, as line {other} does",
                            "remove one",
                            f"line {line}",
                        )
                except DataError as error:
                    on_problem(error)
                    continue
                line_of[sample.image.name] = line
                yield sample
        except DataError as error:  # the rest of the file cannot be read
            on_problem(error)

    def _entries(self) -> Iterator[tuple[int, str, Any]]:
        """Yields the line, the key and the content of each image."""
        for member in json_members(self._location, _OBJECT, into=(_METADATA,)):
            if via3.is_project(self._location, member, _OBJECT):
                yield from via3.entries(self._location, _OBJECT)
                return
            if member.key == _METADATA:
                yield member.line, member.name, member.value
            elif not member.key.startswith("_via_"):
                yield member.line, member.key, member.value

    def _named(self) -> list[str]:
        names = []
        try:
            for _, _, entry in self._entries():
                if isinstance(entry, dict) and isinstance(entry.get("filename"), str):
                    names.append(entry["filename"])
                if len(names) == _SOME:
                    break
        except DataError:  # reading reports it
            pass
        return names

    def _sample(self, entry: Any, place: str, regions: Regions) -> Sample:
        if entry is None:
            raise self._error(
                "it shows a video, a sound or several files, not one image",
                "save the frames of a video as images",
                place,
            )
        filename = entry.get("filename") if isinstance(entry, dict) else None
        if not isinstance(filename, str) or not filename:
            raise self._error("it has no filename", 'write "filename": "1.jpg"', place)
        check_unicode(filename)
        name, location = self._images.find_written(filename, self._location, place)
        width, height = measured_size(name, location, self._location, place)
        labels: list[str] = []
        edges: list[Coordinates] = []
        attributes: list[dict[str, Any]] = []
        for number, region in enumerate(self._regions(entry, place), start=1):
            where = f"{place}, region {number}"
            shape, of_region = (self._object(region, key, where) for key in ("shape_attributes", "region_attributes"))
            try:
                found = regions(shape, dict(of_region))
            except ItemError as error:
                raise self._error(error.problem, error.remedy, where) from None
            if found is not None:
                labels.append(found[0])
                edges.append(self._ordered(found[1], f"{where} ({found[0]})"))
                attributes.append(found[2])
        try:
            return Sample(
                image=ImageRef(name=name, width=width, height=height, location=location),
                boxes=Boxes(labels, edges, attributes),
                attributes=dict(self._object(entry, "file_attributes", place)),
                source=f"{self._location}, {place}",
            )
        except ValueError as error:
            raise self._error(str(error).partition("\n")[0], "correct it", place) from None

    def _regions(self, entry: Mapping[str, Any], place: str) -> list[Any]:
        regions = entry.get("regions")
        if isinstance(regions, dict):  # version 1
            return list(regions.values())
        if not isinstance(regions, list):
            raise self._error("it has no list of regions", 'write "regions": []', place)
        return regions

    def _object(self, content: Any, key: str, place: str) -> dict[str, Any]:
        value = content.get(key, {}) if isinstance(content, dict) else None
        if not isinstance(value, dict):
            raise self._error(f"{key} is not an object", "export it again", place)
        return value

    def _ordered(self, coordinates: Coordinates, place: str) -> Coordinates:
        problem = check_coordinates(coordinates)
        if not problem:
            return coordinates
        if self._swap and not check_coordinates(ordered := self.swapped.sort(coordinates)):
            return ordered
        raise self._error(problem, "correct it, swap the coordinates (?inverted=swap)", place)

    def _error(self, problem: str, remedy: str, place: str) -> DataError:
        return DataError(self._location, problem, f"{remedy}, {SKIP}", place)


class ViaJsonWriter:
    """Writes annotations that VGG Image Annotator imports, or a project that it opens.

    Args:
        output: The file.
        label_map: Not used; the file contains names.
        label: The attribute of the region that contains the class.
        project: Whether to write a project.
    """

    def __init__(
        self, output: Output, label_map: LabelMap | None = None, label: str = "class", project: bool = False
    ) -> None:
        self._file = output.open()
        self._label = label
        self._project = project
        self._keys: list[str] = []
        self._names: set[str] = set()
        self._classes: dict[str, str] = {}
        if project:
            self._file.write(b'{"_via_settings":{"project":{"name":"boxwright"}},"_via_img_metadata":')
        self._file.write(b"{")

    def write(self, sample: Sample) -> None:
        """Adds the entry of one image.

        Raises:
            DataError: JSON cannot represent an attribute, or it has the name of the class attribute; or the image has
                the name of another one.
        """
        boxes, name, size = sample.boxes, sample.image.name, file_size(sample)
        try:
            if name in self._names:
                raise ValueError(f"duplicate image {name!r}")
            regions = []
            for box in zip(boxes.labels, boxes.coordinates, boxes.attributes, strict=True):
                shape, attributes = region_of(*box, self._label)
                regions.append(f'{{"shape_attributes":{checked(shape)},"region_attributes":{checked(attributes)}}}')
            head = checked({"filename": name, "size": size})[:-1]
            entry = f'{head},"regions":[{",".join(regions)}],"file_attributes":{checked(sample.attributes)}}}'
        except (ValueError, TypeError, RecursionError) as error:
            raise unsupported(sample, error) from None
        key = f"{name}{size}"
        comma = ",\n" if self._names else "\n"
        self._file.write(f"{comma}{json.dumps(key, ensure_ascii=False)}:{entry}".encode())
        self._names.add(name)
        if self._project:
            self._keys.append(key)
            self._classes.update(dict.fromkeys(boxes.labels, ""))

    def close(self) -> None:
        """Finishes the file."""
        self._file.write(b"\n}")
        if self._project:
            options = {"type": "dropdown", "description": "", "options": self._classes, "default_options": {}}
            rest = {
                "_via_attributes": {"region": {self._label: options}, "file": {}},
                "_via_data_format_version": "2.0.10",
                "_via_image_id_list": self._keys,
            }
            self._file.write(b"," + json.dumps(rest, ensure_ascii=False).encode()[1:])
        self._file.write(b"\n")
        self._file.close()


def detect_json(location: str) -> Detection:
    """Detects a project, or an entry with a file name and regions."""
    try:
        for member in json_members(location, _OBJECT, into=(_METADATA,)):
            if member.key == _METADATA:
                return Detection(True, f"an object with {_METADATA}")
            if via3.is_project(location, member, _OBJECT):
                return Detection(True, "a project of version 3, with vid_list")
            if member.key.startswith("_via_"):
                continue
            entry = member.value
            if isinstance(entry, dict) and {"filename", "regions"} <= entry.keys():
                return Detection(True, "an object whose members have filename and regions")
            return Detection(False, f"its member {member.key[:40]!r} has no filename and regions")
    except DataError as error:
        return Detection(False, error.problem)
    return Detection(False, "it is an empty object")
