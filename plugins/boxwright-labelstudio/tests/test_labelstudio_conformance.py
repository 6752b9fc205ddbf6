from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from boxwright_labelstudio import conformance
from boxwright_testing import BadInput

VALUE = {"x": 10, "y": 10, "width": 20, "height": 20, "rotation": 0, "rectanglelabels": ["a"]}


def result(value: Any = VALUE, **other: Any) -> dict[str, Any]:
    size = {"original_width": 40, "original_height": 30, "image_rotation": 0}
    return {**size, "value": value, "id": "r", "from_name": "label", "type": "rectanglelabels", **other}


def task(*results: Any, image: str = "b.jpg", **other: Any) -> dict[str, Any]:
    return {"id": 2, "data": {"image": image}, "annotations": [{"id": 1, "result": results}], **other}


class TestLabelStudio(conformance.TestLabelStudio):
    def bad_inputs(self, folder: Path) -> Sequence[BadInput]:
        """Each after one task that is as it should be; the wrong one is the second, in line 3."""
        good = task(result(), image="a.jpg")
        wrong: dict[str, tuple[Any, str]] = {
            "a number": (7, r"task 2 \(line 3\): it is not an object"),
            "no data": ({"id": 3, "note": "x"}, r"task 2 \(line 3\): it has no data"),
            "data as text": (task() | {"data": "b.jpg"}, r"its data is not an object"),
            "no image": (task() | {"data": {"text": 3}}, r"its data contains no image, but text\n.*\?image=KEY"),
            "annotations in words": (task(annotations="none"), r"its annotations are not a list"),
            "an annotation in words": (task(annotations=["x"]), r"annotations, 1: it has no list of results"),
            "a result in words": (task("x"), r"task 2 \(line 3\), result 1: it is not an object with a value"),
            "no label": (task(result(VALUE | {"rectanglelabels": []})), r"region 1: the region has no label"),
            "a number as label": (task(result(VALUE | {"rectanglelabels": [3]})), r"the region has no label"),
            "no width": (task(result({**VALUE, "width": None})), r"region 1 \(a\): it has no width"),
            "text": (task(result(), result(VALUE | {"x": "1"}, id="s")), r"region 2 \(a\): x is '1', not a finite"),
            "negative": (task(result(VALUE | {"height": -1})), r"its width or height is negative"),
            "no points": (
                task(result({"points": [], "polygonlabels": ["a"]}, type="polygonlabels")),
                r"region 1 \(a\): it has no points",
            ),
            "half a point": (
                task(result({"points": [[1]], "polygonlabels": ["a"]}, type="polygonlabels")),
                r"a point is \[1\], not a pair of numbers",
            ),
            "a brush of another size": (
                task(result({"format": "rle", "rle": [0, 0, 0, 9], "brushlabels": ["a"]}, type="brushlabels")),
                r"its run lengths are not those of an image of this size",
            ),
            "an incomplete brush": (
                task(result({"format": "rle", "rle": [0, 0], "brushlabels": ["a"]}, type="brushlabels")),
                r"its run lengths are incomplete",
            ),
            "no bytes": (
                task(result({"format": "rle", "rle": [999], "brushlabels": ["a"]}, type="brushlabels")),
                r"its run lengths cannot be read",
            ),
            "another mask": (
                task(result({"format": "png", "rle": [], "brushlabels": ["a"]}, type="brushlabels")),
                r"its format is not 'rle'",
            ),
            "an unknown shape": (
                task(result({"x": 1, "starlabels": ["a"], "points": [1]}, type="starlabels")),
                r"region 1 \(a\): a point is 1, not a pair of numbers",
            ),
            "a rotated image": (task(result(image_rotation=90)), r"the image was rotated by 90 degrees"),
            "a size in words": (task(result(original_width="40")), r"the image's size is '40', not a number of pixels"),
            "two sizes": (
                task(result(), result(original_width=41, id="s")),
                r"result 2: the image's size is 41x30 here, and 40x30 before",
            ),
            "no size": (task(image="c.jpg"), r"it does not contain the image's size, and the image c\.jpg is missing"),
            "the same image": (good, r"task 2 \(line 3\): it has the image a\.jpg, as task 1 does"),
            "the same file": (
                task(result(), image="/data/upload/1/a.jpg"),
                r"task 2 \(line 3\): it has the image a\.jpg, as task 1 does",
            ),
        }
        inputs = []
        for what, (content, message) in wrong.items():
            text = f"[\n{json.dumps(good)},\n{json.dumps(content)}\n]"
            inputs.append(BadInput(what, self._put(folder / what, text), message, good=1))
        one = json.dumps(good)
        broken = {
            "a comma too many": (f"[\n{one},\n]", r"a\.json, line 3: it is not valid JSON", 1),
            "cut off": (f"[\n{one},\n" + one[:50], r"a\.json, line 3: it is not valid JSON", 1),
            "NaN": (f"[\n{one},\n{one.replace('10', 'NaN')}]", r"line 3: .*NaN is not a JSON number", 1),
            "an object": ('{"data": {}}', r"line 1: it is not a list: it begins with '\{'\n.*a list of tasks", 0),
            "empty": ("", r"a\.json, line 1: it is empty", 0),
        }
        for what, (text, message, read) in broken.items():
            inputs.append(BadInput(what, self._put(folder / what, text), message, good=read))
        ellipse = {"x": 50, "y": 50, "radiusX": 5, "radiusY": 9, "ellipselabels": ["a"]}
        refused = json.dumps(task(result(ellipse, type="ellipselabels")))
        place = self._put(folder / "refused", f"[\n{one},\n{refused}]")
        message = r"region 1 \(a\): it is not an upright box, but an ellipse\n.*\?shapes=skip"
        inputs.append(BadInput("refused", place, message, good=1, options={"shapes": "fail"}))
        return inputs

    def _put(self, folder: Path, content: str) -> Path:
        folder.mkdir()
        for name in ("a.jpg", "b.jpg"):
            Image.new("RGB", (40, 30)).save(folder / name)
        (folder / "a.json").write_text(content)
        return folder / "a.json"
