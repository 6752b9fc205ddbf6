from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from boxwright_cvat import conformance
from boxwright_testing import BadInput

BOX = '<box label="car" source="manual" occluded="0" xtl="1" ytl="2" xbr="30" ybr="20" z_order="0"></box>'


def image(name: str, *content: str, size: str = 'width="40" height="30"') -> str:
    return f'<image id="0" name="{name}" {size}>{"".join(content)}</image>\n'


class TestCvat(conformance.TestCvat):
    def bad_inputs(self, folder: Path) -> Sequence[BadInput]:
        """Each after one image that is as it should be; the wrong one is in line 2."""
        good = image("a.jpg", BOX)
        wrong = {
            "no name": (image("", BOX), r"x\.xml, line 2, image: it has no name"),
            "no label": (image("b.jpg", BOX.replace("car", "")), r"line 2, image b\.jpg, box 1: it has no label"),
            "a coordinate is missing": (image("b.jpg", BOX.replace("xbr", "x")), r"box 1 \(car\): it has no xbr"),
            "not a number": (image("b.jpg", BOX.replace("30", "3O")), r"box 1 \(car\): xbr is '3O', not a finite"),
            "infinity": (image("b.jpg", BOX.replace("30", "1e999")), r"xbr is '1e999', not a finite number"),
            "an underscore": (image("b.jpg", BOX.replace("30", "3_0")), r"xbr is '3_0', not a finite number"),
            "inverted": (image("b.jpg", BOX, BOX.replace("30", "0")), r"box 2 \(car\): xmin 1 is greater than xmax 0"),
            "no points": (image("b.jpg", '<polygon label="car"/>'), r"polygon 1 \(car\): the polygon has no points"),
            "half a point": (
                image("b.jpg", '<polygon label="car" points="1,2;3"/>'),
                r"a point is '3', not a pair of numbers",
            ),
            "a short mask": (
                image("b.jpg", '<mask label="car" rle="1, 2" left="1" top="2" width="2" height="2"/>'),
                r"mask 1 \(car\): the runs of its mask do not match its width and height",
            ),
            "a huge mask": (
                image("b.jpg", f'<mask label="car" rle="{10**12}" left="1" top="2" width="{10**6}" height="{10**6}"/>'),
                r"the runs of its mask do not match its width and height",
            ),
            "an empty mask": (
                image("b.jpg", '<mask label="car" rle="4" left="1" top="2" width="2" height="2"/>'),
                r"it contains no pixel",
            ),
            "a skeleton outside": (
                image("b.jpg", '<skeleton label="car"><points label="1" outside="1" points="1,2"/></skeleton>'),
                r"skeleton 1 \(car\): it has no points",
            ),
            "a size in words": (image("b.jpg", size='width="wide"'), r"its size is 'wide', not a number of pixels"),
            "no size": (image("c.jpg", size=""), r"image's size, and the image c\.jpg is missing"),
            "outside": (image("../c.jpg"), r"the name is '\.\./c\.jpg', which leads out"),
            "the same image": (good, r"line 2, image a\.jpg: it names the image a\.jpg, as line 1 does"),
            "truncated": (image("b.jpg", BOX)[:-9], r"x\.xml, line 2: it is not well-formed XML"),
            "a wrong end": ("<image></a>", r"x\.xml, line 2: it is not well-formed XML: mismatched tag"),
            "too deep": ("<a>" * 100, r"x\.xml, line 2: it is nested too deeply"),
        }
        inputs = [
            BadInput(what, self._put(folder / what, good + content), message, skipped=1, good=1)
            for what, (content, message) in wrong.items()
        ]
        polygon = image("b.jpg", '<polygon label="car" points="1,2;3,4;5,9"/>')
        place = self._put(folder / "refused", good + polygon)
        message = r"polygon 1 \(car\): it is not an upright box, but a polygon\n.*\?shapes=skip"
        inputs.append(BadInput("refused", place, message, skipped=1, good=1, options={"shapes": "fail"}))
        track = '<track id="3" label="car"><box frame="0" xtl="1" ytl="2" xbr="3"/></track>'
        place = self._put(folder / "a wrong track", good + track)
        message = r"x\.xml, track 3, frame 0 \(car\): it has no ybr"
        inputs.append(BadInput("a wrong track", place, message, skipped=1, good=1))
        entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
        others = {
            "entities": (
                f'<!DOCTYPE a [<!ENTITY e0 "x">{entities}]><annotations>&e9;</annotations>',
                "document type",
            ),
            "another root": ("<annotation/>", r"the root element is <annotation>, not <annotations>"),
            "empty": ("  ", r"x\.xml: the file is empty"),
            "not XML": ("hello", r"it is not well-formed XML"),
            "an unknown encoding": (
                '<?xml version="1.0" encoding="x-klingon"?><annotations/>',
                r"its encoding cannot be read: unknown encoding: x-klingon",
            ),
        }
        for what, (text, message) in others.items():
            place = self._put(folder / what, "")
            place.write_text(text)
            inputs.append(BadInput(what, place, message, skipped=1))
        return inputs

    def _put(self, folder: Path, content: str) -> Path:
        folder.mkdir()
        for name in ("a.jpg", "b.jpg"):
            Image.new("RGB", (40, 30)).save(folder / name)
        (folder / "x.xml").write_text(f"<annotations>{content}</annotations>")
        return folder / "x.xml"
