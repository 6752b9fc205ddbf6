from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from boxwright_coco import conformance
from boxwright_testing import BadInput


def good() -> dict[str, Any]:
    """Two pictures, each with a box; the second of each is what the bad inputs spoil."""
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


Spoil = Callable[[dict[str, Any]], Any]


def image(**changes: Any) -> Spoil:
    return lambda content: content["images"][1].update(changes)


def box(**changes: Any) -> Spoil:
    return lambda content: content["annotations"][1].update(changes)


def without(which: str, key: str) -> Spoil:
    return lambda content: content[which][1].pop(key)


PICTURES: dict[str, tuple[Spoil, str]] = {
    "no file_name": (without("images", "file_name"), r"images\[1\] \(id 2\), line \d+: it has no file_name"),
    "an empty file_name": (image(file_name=""), r"images\[1\] .*file_name is '', not"),
    "half a character": (image(file_name="\ud800.jpg"), r"images\[1\] .*no Unicode text"),
    "outside": (image(file_name="../b.jpg"), r"images\[1\] .*file_name is '\.\./b\.jpg', which leads out"),
    "absolute": (image(file_name="/b.jpg"), r"images\[1\] .*leads out"),
    "drive": (image(file_name="C:\\b.jpg"), r"images\[1\] .*leads out"),
    "the same file_name": (image(file_name="a.jpg"), r"images\[1\] .*file_name is a\.jpg, as that of images\[0\]"),
    "no width": (without("images", "width"), r"images\[1\] .*does not say the picture's size.*\n.*images=FOLDER"),
    "height 0": (image(height=0), r"images\[1\] .*does not say the picture's size"),
    "a negative width": (image(width=-4), r"images\[1\] .*width is -4"),
    "a width in words": (image(width="40"), r"images\[1\] .*width is '40'"),
    "a huge width": (image(width=10**30), r"images\[1\] .*width is 10{30}"),
    "wider than any picture": (image(width=2 * 10**9), r"images\[1\] .*width is 2000000000"),
    "half a pixel": (image(width=40.5), r"images\[1\] .*width is 40\.5"),
    "NaN in a key": (image(license=float("nan")), r"images\[1\] .*license holds NaN"),
    "no category_id": (without("annotations", "category_id"), r"annotations\[1\] \(id 12\), line \d+: it has no cat"),
    "a category_id in words": (box(category_id="1"), r"annotations\[1\] .*category_id is '1', not a whole number"),
    "an unknown category_id": (box(category_id=7), r"annotations\[1\] .*category_id is 7, and the classes are: 1 fig"),
    "no bbox": (without("annotations", "bbox"), r"annotations\[1\] .*it has no bbox \(\[x, y, width, height\]\)"),
    "three numbers": (box(bbox=[1, 2, 3]), r"annotations\[1\] .*bbox is \[1, 2, 3\], not four numbers"),
    "numbers in words": (box(bbox=["1", "2", "3", "4"]), r"annotations\[1\] .*not four numbers"),
    "true for a number": (box(bbox=[True, 2, 3, 4]), r"annotations\[1\] .*not four numbers"),
    "an object for bbox": (box(bbox={"x": 1}), r"annotations\[1\] .*bbox is {'x': 1}, not \[x, y, width, height\]"),
    "NaN": (box(bbox=[1, float("nan"), 3, 4]), r"annotations\[1\] .*which is not finite"),
    "infinity": (box(bbox=[1, 2, float("inf"), 4]), r"annotations\[1\] .*which is not finite"),
    "a number beyond floats": (box(bbox=[1, 2, 10**400, 4]), r"annotations\[1\] .*a number in it is too large"),
    "edges beyond floats": (box(bbox=[1e308, 2, 1e308, 4]), r"annotations\[1\] .*a number in it is too large"),
    "a negative width of a box": (box(bbox=[4, 2, -3, 4]), r"annotations\[1\] .*width is below 0\n.*inverted=swap"),
    "an area in words": (box(area="12"), r"annotations\[1\] .*area is '12'"),
    "an area that is NaN": (box(area=float("nan")), r"annotations\[1\] .*area holds NaN"),
    "iscrowd in words": (box(iscrowd="no"), r"annotations\[1\] .*iscrowd is 'no'"),
    "a list for an id": (box(id=[1]), r"annotations\[1\], line \d+: id is \[1\]"),
    "an id that stands twice": (box(id=11), r"annotations\[1\] .*its id is that of annotations\[0\]\n.*ids=false"),
    "a caption": (
        lambda content: content["annotations"].__setitem__(1, {"id": 12, "image_id": 2, "caption": "figs"}),
        r"annotations\[1\] .*it has caption and no bbox: this is a captions file",
    ),
    "panoptic segments": (
        lambda content: content["annotations"].__setitem__(1, {"image_id": 2, "segments_info": []}),
        r"annotations\[1\], line \d+: it has segments_info and no bbox: this is a panoptic file",
    ),
    "an infinite number written out": (box(segmentation="1e999"), r"annotations\[1\] .*segmentation holds NaN or inf"),
}
"""Faults that cost the second picture."""

STRAYS: dict[str, tuple[Spoil, str]] = {
    "no image_id": (without("annotations", "image_id"), r"annotations\[1\] \(id 12\), line \d+: it has no image_id"),
    "an unknown image_id": (box(image_id=7), r"annotations\[1\] .*image_id is 7, which is the id of no image"),
    "a list for an image_id": (box(image_id=[2]), r"annotations\[1\] .*image_id is \[2\], which is the id of no"),
    "no object": (lambda content: content["annotations"].__setitem__(1, 5), r"annotations\[1\], .*it has no image_id"),
    "no object among the images": (lambda content: content["images"].append("c.jpg"), r"images\[2\], .*it is 'c\.jpg'"),
}
"""Faults that cost something else, so that both pictures are left."""

FILES: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", r": the file is empty"),
    "blank": (" \n ", r", line 2 column 2: it breaks off before its end"),
    "cut": (json.dumps(good(), indent=1)[:-20], r", line \d+ column \d+: it breaks off before its end"),
    "cut in a text": ('{"images": [{"id": 1, "file_na', r", line 1 column 31: it breaks off before its end"),
    "a comma too few": ('{\n"a": 1\n"images": []}', r", line 3 column 1: it is no JSON: expected , or }"),
    "a comma too many": ('{"images": [{"id": 1},]}', r", line 1 column 23: it is no JSON: expected a value"),
    "no quotes": ("{images: []}", r", line 1 column 2: it is no JSON: expected a key in double quotes"),
    "a key twice": ('{"images": [],\n"images": []}', r", line 2: 'images' stands twice in it"),
    "more after the end": ('{"images": []} {}', r", line 1 column 16: it is no JSON: there is more after its end"),
    "a number": ("42", r": it holds no object with images and annotations"),
    "no images": ('{"shapes": [], "version": "5"}', r": it has no images; its keys are: shapes, version"),
    "images that are none": ('{"images": {}}', r": images is no list"),
    "nested deeply": ('{"images": ' + "[" * 100_000, r", line 1 column 13: it is nested too deeply"),
    "nested deeply elsewhere": ('{"x": ' + "[" * 100_000, r", line 1 column 7: it is nested too deeply"),
    "an endless number": ('{"images": [' + "1" * 5000 + "]}", r", line 1 column 13: .*thousands of digits"),
    "not UTF-8": (b'{"images": [], "info": {"by": "J\xfcrgen"}}', r", line 1 column 24: it is not UTF-8 text"),
    "half of UTF-16": ('{"images": []}'.encode("utf-16")[:-1], r": it is not UTF-16 text"),
    "a list of something else": (
        '[{"image": "a.jpg", "annotations": []}]',
        r": it is a list, and its first entry has no image_id",
    ),
    "NaN in info": ('{"images": [], "info": {"a": NaN}}', r": info holds NaN or infinity"),
    "no list of classes": ('{"images": [], "categories": {"1": "fig"}}', r": categories is no list"),
    "a class without id": ('{"images": [], "categories": [{"name": "fig"}]}', r"categories\[0\]: its id is None"),
    "a negative class": ('{"images": [], "categories": [{"id": -1, "name": "a"}]}', r"categories\[0\]: its id is -1"),
    "a class without name": (
        '{"images": [], "categories": [{"id": 1, "name": ""}]}',
        r"categories\[0\]: the name of the class 1",
    ),
    "a class twice": (
        '{"images": [], "categories": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]}',
        r"categories\[1\]: another class has the id 1",
    ),
}
"""Files that cannot be read at all."""


def two_classes_of_a_name(content: dict[str, Any]) -> None:
    content["categories"].append({"id": 2, "name": "fig"})
    content["annotations"][1]["category_id"] = 2


class TestCoco(conformance.TestCoco):
    def bad_inputs(self, folder: Path) -> Sequence[BadInput]:
        inputs: list[BadInput] = []

        def put(what: str, content: str | bytes, says: str, skipped: int, good_ones: int) -> None:
            place = folder / f"{len(inputs)}.json"
            place.write_bytes(content if isinstance(content, bytes) else content.encode())
            inputs.append(BadInput(what, place, rf"{place.name}(, )?" + says, skipped, good_ones))

        def spoiled(spoil: Spoil) -> str:
            content = good()
            spoil(content)
            return json.dumps(content, indent=1).replace('"1e999"', "[[1e999, 2]]")

        for what, (spoil, says) in PICTURES.items():
            put(what, spoiled(spoil), says, 1, 1)
        for what, (spoil, says) in STRAYS.items():
            put(what, spoiled(spoil), says, 1, 2)
        put("the same id", spoiled(image(id=1)), r"images\[0\] .*its id is also that of images\[1\]", 3, 0)
        put("no id", spoiled(without("images", "id")), r"images\[1\], line \d+: it has no id", 2, 1)
        says = r"categories\[1\]: the classes 1 and 2 are both called 'fig'"
        put("two classes of a name", spoiled(two_classes_of_a_name), says, 0, 0)
        for what, (content, says) in FILES.items():
            put(what, content, says, 0, 0)
        return inputs
