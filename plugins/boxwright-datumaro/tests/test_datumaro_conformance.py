from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from boxwright_datumaro import conformance
from boxwright_testing import BadInput

HEAD = '{"categories": {"label": {"labels": [{"name": "car", "parent": ""}]}}, "items": [\n'


def box(**changes: Any) -> dict[str, Any]:
    return {"id": 1, "type": "bbox", "label_id": 0, "bbox": [1, 2, 29, 18], "attributes": {}, **changes}


def item(*annotations: Any, **changes: Any) -> dict[str, Any]:
    return {"id": "b", "annotations": annotations, "image": {"path": "b.jpg", "size": [30, 40]}, **changes}


class TestDatumaro(conformance.TestDatumaro):
    def bad_inputs(self, folder: Path) -> Sequence[BadInput]:
        """Each after one item that is as it should be; the wrong one is the second, in line 3."""
        good = item(box(), id="a", image={"path": "a.jpg", "size": [30, 40]})
        wrong: dict[str, tuple[Any, str]] = {
            "a number": (7, r"t\.json, item 2 \(line 3\): it is not an object"),
            "no id": (item() | {"id": ""}, r"item 2 \(line 3\): it has no id"),
            "a number as path": (item(image={"path": 3}), r"the path of the image is 3"),
            "a size of one": (item(image={"path": "b.jpg", "size": [30]}), r"the size of the image is \[30\]"),
            "no size": (item(image={"path": "c.jpg"}), r"the image's size, and the image c\.jpg is missing"),
            "annotations in words": (item(annotations="x"), r"its annotations are not a list"),
            "an annotation in words": (item("x"), r"annotation 1: it is not an object"),
            "no label": (item(box(label_id=None)), r"annotation 1: it has no label_id"),
            "another label": (item(box(label_id=1)), r"annotation 1: label_id 1 is not one of the categories"),
            "three numbers": (
                item(box(bbox=[1, 2, 3])),
                r"annotation 1 \(car\): its bbox are \[1, 2, 3\], not 4 numbers",
            ),
            "text": (item(box(bbox=[1, 2, "3", 4])), r"a coordinate is '3', not a finite number"),
            "negative": (item(box(bbox=[1, 2, -3, 4])), r"its width or height is negative"),
            "no points": (item(box(type="polygon", points=[])), r"its points are \[\], not pairs of numbers"),
            "a broken mask": (item(box(type="mask", rle={"counts": "!", "size": [1, 2]})), r"its rle cannot be read"),
            "a cuboid": (item(box(type="cuboid_3d", points=[1, 2])), r"its type is 'cuboid_3d', which has no box"),
            "attributes in words": (item(box(attributes="x")), r"its attributes are not an object"),
            "the same image": (good, r"it names the image a\.jpg, as line 2 does"),
            "outside": (item(image={"path": "../../c.jpg", "size": [1, 2]}), r"which leads out"),
        }
        inputs = []
        for what, (content, message) in wrong.items():
            text = f"{HEAD}{json.dumps(good)},\n{json.dumps(content)}\n]}}"
            inputs.append(BadInput(what, self._put(folder / what, text), message, good=1))
        cut = f"{HEAD}{json.dumps(good)},\n" + json.dumps(good)[:40]
        inputs.append(
            BadInput("cut off", self._put(folder / "cut", cut), r"t\.json, line 3: it is not valid JSON", good=1)
        )
        polygon = f"{HEAD}{json.dumps(good)},\n{json.dumps(item(box(type='polygon', points=[1, 2, 3, 4, 5, 9])))}]}}"
        message = r"annotation 1 \(car\): it is not an upright box, but a polygon\n.*\?shapes=skip"
        place = self._put(folder / "refused", polygon)
        inputs.append(BadInput("refused", place, message, good=1, options={"shapes": "fail"}))
        others = {
            "a list": ("[]", r"it is not an object: it begins with '\['"),
            "empty": ("", r"t\.json, line 1: it is empty"),
            "no names": (
                '{"categories": {"label": {"labels": [{}]}}, "items": []}',
                r"a label of its categories has no name",
            ),
        }
        for what, (text, message) in others.items():
            inputs.append(BadInput(what, self._put(folder / what, text), message, skipped=0))
        return inputs

    def _put(self, folder: Path, content: str) -> Path:
        folder.mkdir()
        for name in ("a.jpg", "b.jpg"):
            Image.new("RGB", (40, 30)).save(folder / name)
        (folder / "t.json").write_text(content)
        return folder / "t.json"
