from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from boxwright.plugins import FormatSpec
from boxwright_csv import conformance
from boxwright_testing import BadInput


class InvalidRows:
    """Invalid rows, each after one valid image."""

    good = ""
    invalid: Mapping[str, tuple[str, str]] = {}

    def bad_inputs(self, folder: Path) -> Sequence[BadInput]:
        images = folder / "images"
        images.mkdir()
        for name in ("a.jpg", "b.jpg", "c.jpg", "c.png", "d.png", "d.bmp"):
            Image.new("RGB", (40, 30)).save(images / name)
        inputs = []
        for number, (what, (rows, says)) in enumerate(self.invalid.items()):
            place = folder / f"{number}.csv"
            place.write_text(self.good + rows)
            options = {"images": str(images)}
            inputs.append(BadInput(what, place, rf"{number}\.csv, {says}", skipped=1, good=1, options=options))
        return inputs


class TestOpenImages(InvalidRows, conformance.TestOpenImages):
    good = (
        "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside\n"
        "a,,/m/01,1,0.1,0.5,0.2,0.6,0,0,0,0,0\n"
    )
    invalid = {
        "too few fields": ("b,,/m/01,1,0.1,0.5,0.2,0.6\n", r"line 3: it has 8 fields, but the header has 13"),
        "not a number": ("b,,/m/01,1,left,0.5,0.2,0.6,0,0,0,0,0\n", r"line 3 \(/m/01\): XMin is 'left'"),
        "infinite": ("b,,/m/01,1,0,1e999,0.2,0.6,0,0,0,0,0\n", r"line 3 \(/m/01\): XMax is '1e999'"),
        "a missing coordinate": ("b,,/m/01,1,0.1,0.5,,0.6,0,0,0,0,0\n", r"line 3 \(/m/01\): YMin is empty"),
        "inverted": ("b,,/m/01,1,0.6,0.5,0.2,0.6,0,0,0,0,0\n", r"line 3 \(/m/01\): xmin 0.6 is greater .*\n.*swap"),
        "no class": ("b,,,1,0.1,0.5,0.2,0.6,0,0,0,0,0\n", r"line 3: the LabelName is empty"),
        "an odd flag": ("b,,/m/01,1,0.1,0.5,0.2,0.6,2,0,0,0,0\n", r"line 3 \(/m/01\): IsOccluded is '2'"),
        "an odd confidence": ("b,,/m/01,sure,0.1,0.5,0.2,0.6,0,0,0,0,0\n", r"line 3 \(/m/01\): Confidence is 'sure'"),
        "a missing image": (
            "z,,/m/01,1,0.1,0.5,0.2,0.6,0,0,0,0,0\n",
            r"line 3: it does not contain .* z\.jpg is missing",
        ),
        "two images": ("d,,/m/01,1,0.1,0.5,0.2,0.6,0,0,0,0,0\n", r"line 3: image d could be d\.bmp or d\.png"),
        "outside": ("../z,,/m/01,1,0.1,0.5,0.2,0.6,0,0,0,0,0\n", r"line 3: the file name is '\.\./z', which leads out"),
        "no name": (",,/m/01,1,0.1,0.5,0.2,0.6,0,0,0,0,0\n", r"line 3: the file name is empty"),
    }


class TestRetinaNet(InvalidRows, conformance.TestRetinaNet):
    good = "a.jpg,1,2,30,20,fig\n"
    invalid = {
        "too few fields": ("b.jpg,1,2,30,20\n", r"line 2: it has 5 fields, not 6"),
        "not a number": ("b.jpg,left,2,30,20,fig\n", r"line 2 \(fig\): x1 is 'left'"),
        "not finite": ("b.jpg,1,2,30,nan,fig\n", r"line 2 \(fig\): y2 is 'nan'"),
        "a missing coordinate": ("b.jpg,1,,30,20,fig\n", r"line 2 \(fig\): y1 is empty"),
        "no class": ("b.jpg,1,2,30,20,\n", r"line 2: the class is empty"),
        "inverted": ("b.jpg,31,2,30,20,fig\n", r"line 2 \(fig\): xmin 31 is greater than xmax 30\n.*swap"),
        "a missing image": (
            "z.jpg,1,2,30,20,fig\n",
            r"line 2: it does not contain the image's size, and .* z\.jpg is missing",
        ),
        "outside": ("../z.jpg,1,2,30,20,fig\n", r"line 2: the path \.\./z\.jpg leads out .*\n.*\?images="),
        "elsewhere": ("/else/z.jpg,1,2,30,20,fig\n", r"line 2: the path /else/z\.jpg leads out .*\n.*\?images=/else"),
        "no name": (",1,2,30,20,fig\n", r"line 2: the file name is empty"),
    }


def region(shape: str, attributes: str = '{""class"":""fig""}') -> str:
    return f'b.jpg,-1,"{{}}",1,0,"{shape}","{attributes}"\n'


class TestVia(InvalidRows, conformance.TestVia):
    good = (
        "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes\n"
        'a.jpg,-1,"{}",1,0,"{""name"":""rect"",""x"":1,""y"":2,""width"":20,""height"":10}","{""class"":""fig""}"\n'
    )
    invalid = {
        "no shape": (region('{""x"":5}'), r"line 3: the shape is None"),
        "a number missing": (
            region('{""name"":""circle"",""cx"":5,""cy"":6}'),
            r"line 3: r of the circle is 'None', not a finite number",
        ),
        "not finite": (
            region('{""name"":""rect"",""x"":NaN,""y"":2,""width"":20,""height"":10}'),
            r"line 3: region_shape_attributes is not JSON: NaN is not valid",
        ),
        "huge": (
            region(f'{{""name"":""rect"",""x"":1{"0" * 400},""y"":2,""width"":20,""height"":10}}'),
            r"line 3: x of the rect is '10000",
        ),
        "negative": (
            region('{""name"":""rect"",""x"":30,""y"":2,""width"":-20,""height"":10}'),
            r"line 3 \(fig\): xmin 30 is greater than xmax 10\n.*swap",
        ),
        "points that do not match": (
            region('{""name"":""polygon"",""all_points_x"":[1,2,3],""all_points_y"":[1,2]}'),
            r"line 3: the polygon has no points",
        ),
        "not JSON": (region("{rect}"), r"line 3: region_shape_attributes is not JSON: .*"),
        "a list": (region("[1]"), r"line 3: region_shape_attributes is not a JSON object: \[1\]"),
        "nested without end": (region("[" * 100_000), r"line 3: region_shape_attributes is not JSON"),
        "no class": (
            region('{""name"":""rect"",""x"":1,""y"":2,""width"":20,""height"":10}', "{}"),
            r"line 3: the attribute 'class' of the region is None",
        ),
        "two classes": (
            region(
                '{""name"":""rect"",""x"":1,""y"":2,""width"":20,""height"":10}',
                '{""class"":{""fig"":true,""date"":true}}',
            ),
            r"line 3: the attribute 'class' of the region is \{'fig': True, 'date': True\}, not a class",
        ),
        "two values for an image": (
            region('{""name"":""rect"",""x"":1,""y"":2,""width"":20,""height"":10}')
            + 'b.jpg,-1,"{""a"":1}",1,0,"{}","{}"\n',
            r"line 4: the file_attributes of b\.jpg differ from line 3",
        ),
        "a missing image": ('z.jpg,-1,"{}",0,0,"{}","{}"\n', r"line 3: it does not contain the image's size"),
        "outside": (
            '../z.jpg,-1,"{}",0,0,"{}","{}"\n',
            r"line 3: the file name is '\.\./z\.jpg', which leads out",
        ),
    }

    def attributes(self, spec: FormatSpec, prefix: str) -> dict[str, Any]:
        more = {"nested": {"list": [1, 2.5, None, True]}, "empty": ""} if prefix in ("box.", "image.") else {}
        return super().attributes(spec, prefix) | more


class TestViaJson(conformance.TestViaJson):
    def bad_inputs(self, folder: Path) -> Sequence[BadInput]:
        images = folder / "images"
        images.mkdir()
        Image.new("RGB", (40, 30)).save(images / "a.jpg")
        rect, fig = {"name": "rect", "x": 1, "y": 2, "width": 20, "height": 10}, {"class": "fig"}
        good = {"filename": "a.jpg", "regions": [{"shape_attributes": rect, "region_attributes": fig}]}

        def region(shape: Any, attributes: Any = fig) -> dict[str, Any]:
            return {"filename": "b.jpg", "regions": [{"shape_attributes": shape, "region_attributes": attributes}]}

        wrong: dict[str, tuple[Any, str]] = {
            "no object": (3, "it has no filename"),
            "no name": ({"regions": []}, "it has no filename"),
            "no regions": ({"filename": "a.jpg"}, "it has no list of regions"),
            "the same image": (good, "it names the image a.jpg, as line 1 does"),
            "a missing image": ({"filename": "z.jpg", "regions": []}, "the image z.jpg is missing"),
            "outside": ({"filename": "../z.jpg", "regions": []}, r"'\.\./z\.jpg', which leads out"),
            "a list": (region([1]), "region 1: shape_attributes is not an object"),
            "no shape": (region({"x": 5}), "the shape is None"),
            "negative": (region({**rect, "width": -9}), r"\(fig\): xmin 1 is greater than xmax -8\n.*swap"),
            "no class": (region(rect, {}), "the attribute 'class' of the region is None"),
        }
        Image.new("RGB", (40, 30)).save(images / "b.jpg")
        inputs = []
        for number, (what, (entry, says)) in enumerate(wrong.items()):
            place = folder / f"{number}.json"
            place.write_text(json.dumps({"good": good, "wrong": entry}))
            options = {"images": str(images)}
            inputs.append(BadInput(what, place, rf"{number}\.json, line 1.*{says}", skipped=1, good=1, options=options))
        return inputs
