from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from boxwright_coco import conformance
from boxwright_testing import BadInput


def good() -> dict[str, Any]:
    """Two images, each with a box; the invalid inputs change the second of each."""
    return {
        "images": [
            {"id": 1, "file_name": "a.jpg", "width": 40, "height": 30},
            {"id": 2, "file_name": "b.jpg", "width": 40, "height": 30},
        ],
        "annotations": [
            {"id": 11, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "area": 12, "iscrowd": 0},
            {"id": 12, "image_id": 2, "category_id": 1, "bbox": [1, 2, 3, 4], "area": 12, "iscrowd": 0},
        ],
        "categories": [{"id": 1, "name": "fig"}],
    }


Change = Callable[[dict[str, Any]], Any]


def image(**changes: Any) -> Change:
    return lambda content: content["images"][1].update(changes)


def box(**changes: Any) -> Change:
    return lambda content: content["annotations"][1].update(changes)


def without(which: str, key: str) -> Change:
    return lambda content: content[which][1].pop(key)


IMAGES: dict[str, tuple[Change, str]] = {
    "no file_name": (without("images", "file_name"), r"images\[1\] \(id 2\), line \d+: file_name is missing"),
    "an empty file_name": (image(file_name=""), r"images\[1\] .*file_name is '', not"),
    "an unpaired surrogate": (image(file_name="\ud800.jpg"), r"images\[1\] .*unpaired surrogate"),
    "outside": (image(file_name="../b.jpg"), r"images\[1\] .*file_name is '\.\./b\.jpg', which leads out"),
    "absolute": (image(file_name="/b.jpg"), r"images\[1\] .*leads out"),
    "drive": (image(file_name="C:\\b.jpg"), r"images\[1\] .*leads out"),
    "the same file_name": (
        image(file_name="a.jpg"),
        r"images\[1\] .*duplicate file_name a\.jpg, the same as images\[0\]",
    ),
    "no width": (without("images", "width"), r"images\[1\] .*does not contain the image's size.*\n.*images=FOLDER"),
    "height 0": (image(height=0), r"images\[1\] .*does not contain the image's size"),
    "a negative width": (image(width=-4), r"images\[1\] .*width is -4"),
    "a width in words": (image(width="40"), r"images\[1\] .*width is '40'"),
    "a huge width": (image(width=10**30), r"images\[1\] .*width is 10{30}"),
    "too wide": (image(width=2 * 10**9), r"images\[1\] .*width is 2000000000"),
    "half a pixel": (image(width=40.5), r"images\[1\] .*width is 40\.5"),
    "NaN in a key": (image(license=float("nan")), r"images\[1\] .*license contains NaN"),
    "no category_id": (without("annotations", "category_id"), r"annotations\[1\] \(id 12\), line \d+: category_id"),
    "a category_id as text": (box(category_id="1"), r"annotations\[1\] .*category_id is '1', not an integer"),
    "an unknown category_id": (box(category_id=7), r"annotations\[1\] .*category_id is 7, but the classes are: 1 fig"),
    "no bbox": (without("annotations", "bbox"), r"annotations\[1\] .*bbox is missing: \[x, y, width, height\]"),
    "three numbers": (box(bbox=[1, 2, 3]), r"annotations\[1\] .*bbox is \[1, 2, 3\], not four numbers"),
    "numbers in words": (box(bbox=["1", "2", "3", "4"]), r"annotations\[1\] .*not four numbers"),
    "true for a number": (box(bbox=[True, 2, 3, 4]), r"annotations\[1\] .*not four numbers"),
    "an object for bbox": (box(bbox={"x": 1}), r"annotations\[1\] .*bbox is {'x': 1}, not \[x, y, width, height\]"),
    "NaN": (box(bbox=[1, float("nan"), 3, 4]), r"annotations\[1\] .*not finite"),
    "infinity": (box(bbox=[1, 2, float("inf"), 4]), r"annotations\[1\] .*not finite"),
    "a number beyond floats": (box(bbox=[1, 2, 10**400, 4]), r"annotations\[1\] .*a number in it is too large"),
    "coordinates beyond floats": (box(bbox=[1e308, 2, 1e308, 4]), r"annotations\[1\] .*a number in it is too large"),
    "a negative width of a box": (box(bbox=[4, 2, -3, 4]), r"annotations\[1\] .*width is negative\n.*inverted=swap"),
    "an area in words": (box(area="12"), r"annotations\[1\] .*area is '12'"),
    "an area that is NaN": (box(area=float("nan")), r"annotations\[1\] .*area contains NaN"),
    "iscrowd in words": (box(iscrowd="no"), r"annotations\[1\] .*iscrowd is 'no'"),
    "a list for an id": (box(id=[1]), r"annotations\[1\], line \d+: id is \[1\]"),
    "a duplicate id": (box(id=11), r"annotations\[1\] .*duplicate id, the same as annotations\[0\]\n.*ids=false"),
    "a caption": (
        lambda content: content["annotations"].__setitem__(1, {"id": 12, "image_id": 2, "caption": "figs"}),
        r"annotations\[1\] .*it has caption instead of bbox: this is a captions file",
    ),
    "panoptic segments": (
        lambda content: content["annotations"].__setitem__(1, {"image_id": 2, "segments_info": []}),
        r"annotations\[1\], line \d+: it has segments_info instead of bbox: this is a panoptic file",
    ),
    "an infinite number written out": (
        box(keypoints="1e999"),
        r"annotations\[1\] .*keypoints contains NaN or inf",
    ),
}
"""Mistakes for which the second image is skipped."""

STRAYS: dict[str, tuple[Change, str]] = {
    "no image_id": (without("annotations", "image_id"), r"annotations\[1\] \(id 12\), line \d+: image_id is missing"),
    "an unknown image_id": (box(image_id=7), r"annotations\[1\] .*image_id is 7, but no image has this id"),
    "a list for an image_id": (box(image_id=[2]), r"annotations\[1\] .*image_id is \[2\], but no image"),
    "not an object": (
        lambda content: content["annotations"].__setitem__(1, 5),
        r"annotations\[1\], .*image_id is missing",
    ),
    "an image that is not an object": (
        lambda content: content["images"].append("c.jpg"),
        r"images\[2\], .*it is 'c\.jpg'",
    ),
}
"""Mistakes for which something else is skipped, so both images remain."""

FILES: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", r": the file is empty"),
    "blank": (" \n ", r", line 2 column 2: the file is truncated"),
    "cut": (json.dumps(good(), indent=1)[:-20], r", line \d+ column \d+: the file is truncated"),
    "cut in a text": ('{"images": [{"id": 1, "file_na', r", line 1 column 31: the file is truncated"),
    "a comma too few": ('{\n"a": 1\n"images": []}', r", line 3 column 1: it is not JSON: expected , or }"),
    "a comma too many": ('{"images": [{"id": 1},]}', r", line 1 column 23: it is not JSON: expected a value"),
    "no quotes": ("{images: []}", r", line 1 column 2: it is not JSON: expected a key in double quotes"),
    "a duplicate key": ('{"images": [],\n"images": []}', r", line 2: duplicate key 'images'"),
    "more after the end": ('{"images": []} {}', r", line 1 column 16: it is not JSON: there is text after its end"),
    "a number": ("42", r": it is not an object with images and annotations"),
    "no images": ('{"shapes": [], "version": "5"}', r": images is missing; its keys are: shapes, version"),
    "images that are not a list": ('{"images": {}}', r": images is not a list"),
    "nested deeply": ('{"images": ' + "[" * 100_000, r", line 1 column 13: it is nested too deeply"),
    "nested deeply elsewhere": ('{"x": ' + "[" * 100_000, r", line 1 column 7: it is nested too deeply"),
    "an endless number": ('{"images": [' + "1" * 5000 + "]}", r", line 1 column 13: .*thousands of digits"),
    "not UTF-8": (b'{"images": [], "info": {"by": "J\xfcrgen"}}', r", line 1 column 24: it is not UTF-8"),
    "half of UTF-16": ('{"images": []}'.encode("utf-16")[:-1], r": it is not UTF-16"),
    "a list of something else": (
        '[{"image": "a.jpg", "annotations": []}]',
        r": it is a list whose first entry has no image_id",
    ),
    "NaN in info": ('{"images": [], "info": {"a": NaN}}', r": info contains NaN or infinity"),
    "classes that are not a list": ('{"images": [], "categories": {"1": "fig"}}', r": categories is not a list"),
    "a class without id": ('{"images": [], "categories": [{"name": "fig"}]}', r"categories\[0\]: the id is None"),
    "a negative class": ('{"images": [], "categories": [{"id": -1, "name": "a"}]}', r"categories\[0\]: the id is -1"),
    "a class without name": (
        '{"images": [], "categories": [{"id": 1, "name": ""}]}',
        r"categories\[0\]: the name of the class 1",
    ),
    "a duplicate class": (
        '{"images": [], "categories": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]}',
        r"categories\[1\]: duplicate id 1",
    ),
}
"""Files that cannot be read at all."""


def two_classes_with_the_same_name(content: dict[str, Any]) -> None:
    content["categories"].append({"id": 2, "name": "fig"})
    content["annotations"][1]["category_id"] = 2


class TestCoco(conformance.TestCoco):
    def bad_inputs(self, folder: Path) -> Sequence[BadInput]:
        inputs: list[BadInput] = []

        def put(what: str, content: str | bytes, message: str, skipped: int, good_ones: int) -> None:
            place = folder / f"{len(inputs)}.json"
            place.write_bytes(content if isinstance(content, bytes) else content.encode())
            inputs.append(BadInput(what, place, rf"{place.name}(, )?" + message, skipped, good_ones))

        def changed(change: Change) -> str:
            content = good()
            change(content)
            return json.dumps(content, indent=1).replace('"1e999"', "[[1e999, 2]]")

        for what, (change, message) in IMAGES.items():
            put(what, changed(change), message, 1, 1)
        for what, (change, message) in STRAYS.items():
            put(what, changed(change), message, 1, 2)
        put("the same id", changed(image(id=1)), r"images\[0\] .*duplicate id, the same as images\[1\]", 3, 0)
        put("no id", changed(without("images", "id")), r"images\[1\], line \d+: id is missing", 2, 1)
        message = r"categories\[1\]: the classes 1 and 2 are both called 'fig'"
        put("two classes with the same name", changed(two_classes_with_the_same_name), message, 0, 0)
        for what, (content, message) in FILES.items():
            put(what, content, message, 0, 0)
        return inputs
