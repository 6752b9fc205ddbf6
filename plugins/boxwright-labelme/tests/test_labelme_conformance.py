from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from boxwright_labelme import conformance
from boxwright_testing import BadInput

SHAPE: dict[str, Any] = {
    "label": "fig",
    "points": [[1, 2], [30, 20]],
    "group_id": None,
    "shape_type": "rectangle",
    "flags": {},
}


def document(image: str = "b.jpg", *shapes: Any, **other: Any) -> str:
    content: dict[str, Any] = {
        "version": "5.5.0",
        "flags": {},
        "shapes": shapes or [SHAPE],
        "imagePath": image,
        "imageData": None,
    }
    return json.dumps({**content, "imageHeight": 30, "imageWidth": 40, **other})


class TestLabelMe(conformance.TestLabelMe):
    def bad_inputs(self, folder: Path) -> Sequence[BadInput]:
        """Each after one file that is as it should be."""
        good = document("a.jpg")
        wrong: dict[str, tuple[str, str]] = {
            "empty": ("", r"b\.json: the file is empty"),
            "truncated": (document()[:-9], r"b\.json, line 1: it is not valid JSON"),
            "a list": ("[]", r"b\.json: it is not a LabelMe file: it has no list of shapes"),
            "no shapes": ('{"imagePath": "b.jpg"}', r"it has no list of shapes"),
            "NaN": (document("b.jpg", SHAPE | {"points": [[1, 2], [float("nan"), 3]]}), r"NaN is not a JSON number"),
            "no label": (document("b.jpg", {**SHAPE, "label": None}), r"b\.json, shape 1: it has no label"),
            "a word as shape": (document("b.jpg", "fig"), r"shape 1: it has no label"),
            "one point": (
                document("b.jpg", SHAPE, SHAPE | {"points": [[1, 2]]}),
                r"shape 2 \(fig\): a rectangle with 1 points cannot be read",
            ),
            "no points": (document("b.jpg", SHAPE | {"points": None}), r"the rectangle has no points"),
            "a point of three": (document("b.jpg", SHAPE | {"points": [[1, 2, 3]]}), r"not a pair of numbers"),
            "text as coordinate": (
                document("b.jpg", SHAPE | {"points": [["1", 2], [3, 4]]}),
                r"a coordinate is '1', not a finite number of pixels",
            ),
            "infinity": (document().replace("20", "1e999"), r"a coordinate is inf, not a finite number"),
            "an unknown shape": (
                document("b.jpg", SHAPE | {"shape_type": "star"}),
                r"shape 1 \(fig\): its shape_type is 'star', not one of rectangle",
            ),
            "a broken mask": (
                document("b.jpg", SHAPE | {"shape_type": "mask", "mask": "AAAA"}),
                r"its mask is not a PNG image in base64",
            ),
            "a size in words": (document(imageWidth="40"), r"imageWidth is '40', not a number of pixels"),
            "a number as image": (document(7), r"imagePath is 7, not a path"),  # type: ignore[arg-type]
            "the same image": (good, r"b\.json: it names the image a\.jpg, as .*a\.json does"),
            "an address": (document("http://x/gone.jpg"), r'"imagePath" is \'http://x/gone\.jpg\', an address'),
        }
        inputs = [
            BadInput(what, self._put(folder / what, good, content), message, skipped=1, good=1)
            for what, (content, message) in wrong.items()
        ]
        polygon = document("b.jpg", SHAPE | {"shape_type": "polygon", "points": [[1, 2], [3, 4], [5, 9]]})
        place = self._put(folder / "refused", good, polygon)
        message = r"shape 1 \(fig\): it is not an upright box, but a polygon\n.*\?shapes=skip"
        inputs.append(BadInput("refused", place, message, skipped=1, good=1, options={"shapes": "fail"}))
        place = self._put(folder / "no json", good, good)
        for name in ("a.json", "b.json"):
            (place / name).unlink()
        inputs.append(BadInput("no JSON", place, r"it contains images \(2\) and no JSON file", skipped=0))
        return inputs

    def _put(self, folder: Path, one: str, two: str) -> Path:
        folder.mkdir()
        for name, content in (("a", one), ("b", two)):
            Image.new("RGB", (40, 30)).save(folder / f"{name}.jpg")
            (folder / f"{name}.json").write_text(content)
        return folder
