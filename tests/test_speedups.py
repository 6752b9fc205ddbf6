"""What is compiled has to answer as its twin in Python does, or leave the work to it; and must not keep memory."""

from __future__ import annotations

import copy
import gc
import json
import math
import os
import random
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from itertools import count, pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import boxwright
from boxwright import Boxes, DataError, ImageRef, Sample, speedups
from boxwright.datasets import plain
from boxwright_coco import annotations, boxes, texts, writer
from boxwright_coco.categories import ClassNumbers
from boxwright_coco.values import BOX_KEYS
from boxwright_voc.readers import LabelImgReader
from boxwright_voc.xml import document, parsing
from boxwright_voc.xml.patterns import match_layout

pytestmark = pytest.mark.skipif(speedups is None, reason="boxwright-speedups was built without a C compiler")

SHARED = Path(os.environ.get("BOXWRIGHT_SHARED_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
QUICKLY = settings(deadline=None, suppress_health_check=list(HealthCheck))

TEXTS = st.one_of(
    st.sampled_from(
        ["fig", "red, ripe", "вишня", "a\u00a0b", "'q'", '"q"', "\U0001f34e", "\x7f", "a&b", " a", "\ud800"]
    ),
    st.text(min_size=1, max_size=8),
)
ATTRIBUTES = st.dictionaries(
    st.sampled_from(["truncated", "difficult", "occluded", "pose", "id", "score", "iscrowd", "area", "segmentation"]),
    st.one_of(st.sampled_from([0, 1, 7, True, False, None, 2**53, -1, 0.5, "Left", "", " x", "<"]), st.integers()),
    max_size=3,
)
EDGES = st.one_of(
    st.integers(-5, 900).map(float),
    st.floats(-10, 1000),
    st.sampled_from([0.0, -0.0, 2.0**52, 2.0**53, 1e22, 1e300, 0.1, 60.3]),
)


@st.composite
def some_boxes(draw: st.DrawFn) -> Boxes:
    number = draw(st.integers(0, 4))
    edges = []
    for _ in range(number):
        (left, right), (top, bottom) = (sorted(draw(st.tuples(EDGES, EDGES))) for _ in "xy")
        edges.append((left, top, right, bottom))
    attributes = draw(st.lists(ATTRIBUTES, min_size=number, max_size=number))
    return Boxes(draw(st.lists(TEXTS, min_size=number, max_size=number)), edges, attributes)


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing compiled is used in this process."""
    for module in (parsing, plain, document, boxes, texts, annotations):
        monkeypatch.setattr(module, "_compiled", None)
    monkeypatch.setattr(writer, "_fill_in", None)
    monkeypatch.setattr("boxwright.schemas._columns", None)


def outcome(work: Callable[[], Any]) -> tuple[str, str]:
    """What comes of it, an error as well."""
    try:
        return "answer", repr(work())
    except (ValueError, DataError) as error:
        return type(error).__name__, str(error)


# ---------------------------------------------------------------------------------------------- Pascal VOC XML

HEAD = (
    "<annotation>\n\t<folder>train</folder>\n\t<filename>1.jpg</filename>\n\t<path>/a/1.jpg</path>\n"
    "\t<source>\n\t\t<database>Unknown</database>\n\t</source>\n"
    "\t<size>\n\t\t<width>500</width>\n\t\t<height>375</height>\n\t\t<depth>3</depth>\n\t</size>\n"
    "\t<segmented>0</segmented>\n"
)
BOX = "<bndbox>\n<xmin>1</xmin>\n<ymin>2.5</ymin>\n<xmax>30</xmax>\n<ymax>40</ymax>\n</bndbox>\n"
OBJECTS = {
    "labelImg": "<object>\n<name>fig</name>\n<pose>Left</pose><truncated>1</truncated><difficult>0</difficult>"
    f"{BOX}</object>",
    "VOC 2008": "<object><name>fig</name><pose></pose><truncated>0</truncated><occluded>1</occluded>"
    f"{BOX}<difficult>1</difficult></object>",
    "Roboflow": "<object><name>fig</name><pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult>"
    "<occluded>0</occluded><bndbox><xmin>1</xmin><xmax>30</xmax><ymin>2</ymin><ymax>40</ymax></bndbox></object>",
}
XML = [
    f"{HEAD}{OBJECTS['labelImg']}\n{OBJECTS['labelImg']}</annotation>\n",
    f"{HEAD}{OBJECTS['VOC 2008']}</annotation>",
    f"{HEAD}{OBJECTS['Roboflow']}{OBJECTS['Roboflow']}</annotation>",
    f"{HEAD}</annotation>",
    HEAD.replace("<annotation>", '<annotation verified="yes">').replace("<folder>train</folder>", "<folder/>")
    + f"{OBJECTS['labelImg']}</annotation>",
    HEAD.replace("<depth>3</depth>", "<depth>1</depth>").replace("Unknown", "mine").replace("ted>0", "ted>1")
    + "</annotation>",
]


@pytest.mark.parametrize("xml", XML)
def test_usual_xml_is_read_by_the_compiled_parser(xml: str) -> None:
    answer = speedups.parse_layout(xml.encode())
    assert answer is not None
    assert repr(parsing.Annotation._make(answer)) == repr(match_layout(xml.encode()))


@pytest.mark.skipif(not SHARED.is_dir(), reason="the photos of shared/data are not here")
def test_xml_of_real_photos_is_read_by_the_compiled_parser() -> None:
    files = sorted(SHARED.rglob("*.xml"))
    answers = [speedups.parse_layout(file.read_bytes()) for file in files]
    assert sum(answer is not None for answer in answers) >= 0.95 * len(files) > 200
    for file, answer in zip(files, answers, strict=True):
        if answer is not None:
            assert repr(parsing.Annotation._make(answer)) == repr(match_layout(file.read_bytes()))


PIECES = [
    *("", " ", "\n", "\t", "\x00", "\x0b", "é", "\ufffe", "\uffff"),
    *[
        "<",
        ">",
        "&",
        "&amp;",
        "]",
        "-",
        ".",
        "0",
        "00",
        "1e3",
        "007",
        "Unspecified",
        "Unknown",
        "999999999999",
        "9999999999999",
        "0.12345678901234567",
    ],
    *["0.123456789012345678", "<!---->", "<difficult>1</difficult>", "<occluded>1</occluded>", "<name>x</name>"],
    *["<object>", "</object>", "<folder/>", "</annotation>"],
]


def damaged(chance: random.Random) -> bytes:
    """XML as programs write it, with a few pieces left out, put in, or exchanged with others of its own."""
    text = chance.choice(XML)
    if chance.random() < 0.3:
        text = HEAD + "".join(chance.choices(list(OBJECTS.values()), k=chance.randint(1, 3))) + "</annotation>"
    for _ in range(chance.randint(0, 3)):
        start = chance.randrange(len(text) + 1)
        if chance.random() < 0.5 and ">" in text[start:]:  # where a text begins
            start = text.index(">", start) + 1
        stop = start + chance.choice((0, 0, 1, 1, 2, 5, 20))
        text = text[:start] + chance.choice(PIECES) + text[stop:]
    data = text.encode("utf-8", "surrogatepass")
    if chance.random() < 0.1:
        place = chance.randrange(len(data) + 1)
        data = data[:place] + bytes([chance.randrange(256)]) + data[place + chance.randint(0, 1) :]
    return data


def test_damaged_xml_is_read_the_same_or_left_to_the_twin() -> None:
    chance = random.Random(0)
    read = 0
    for _ in range(20_000):
        data = damaged(chance)
        answer = speedups.parse_layout(data)
        if answer is not None:
            read += 1
            assert repr(parsing.Annotation._make(answer)) == repr(match_layout(data)), data
    assert read > 3_000


@QUICKLY
@given(boxes=some_boxes(), shift=st.booleans())
def test_objects_are_written_as_the_twin_writes_them(boxes: Boxes, shift: bool) -> None:
    sample = Sample(image=ImageRef(name="a.jpg", width=4, height=3), boxes=boxes)
    compiled, twin = document.XmlDocument(one_based=shift), document.XmlDocument(one_based=shift)
    twin._usual_objects = lambda boxes: None  # type: ignore[method-assign]
    outcome(lambda: compiled.encoded(sample))  # the names are known from now on
    assert outcome(lambda: compiled.encoded(sample)) == outcome(lambda: twin.encoded(sample))


def test_usual_objects_are_written_by_the_compiled_part() -> None:
    attributes = [{"id": 4, "difficult": 1, "pose": "Left"}, {"occluded": 0}, {}]
    boxes = Boxes(["a&b", "c", "c"], [(1.0, 2.5, 3.0, 4.0)] * 3, attributes)
    known = {"a&b": "a&amp;b", "c": "c", "Left": "Left"}
    text = speedups.voc_objects(boxes.labels, boxes.edges, boxes.attributes, known, 1)
    assert text.count("<object>") == 3
    assert "<name>a&amp;b</name>\n\t\t<pose>Left</pose>" in text
    assert "<xmin>2</xmin>\n\t\t\t<ymin>3.5</ymin>\n\t\t\t<xmax>3</xmax>" in text
    assert "<id>4</id>" in text
    assert speedups.voc_objects(boxes.labels, boxes.edges, boxes.attributes, {"c": "c"}, 1) is None


# ---------------------------------------------------------------------------------------------- boxes and samples


@QUICKLY
@given(
    labels=st.lists(st.one_of(TEXTS, st.sampled_from(["", 7, None])), max_size=3),
    edges=st.lists(st.tuples(*[st.one_of(EDGES, st.sampled_from([math.nan, math.inf, 3, "4"]))] * 4), max_size=3),
    attributes=st.one_of(st.none(), st.lists(ATTRIBUTES.map(MappingProxyType), max_size=3)),
)
def test_boxes_are_checked_the_same(labels: Any, edges: Any, attributes: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("boxwright.schemas._columns", None)
        try:
            expected: Boxes | None = Boxes(labels, edges, attributes)
        except (TypeError, ValueError):
            expected = None
    answer = speedups.columns(labels, edges, attributes)
    if answer is not None:
        assert expected is not None
        assert repr(answer) == repr((expected.labels, expected.edges, expected._attributes))


def test_usual_boxes_are_checked_by_the_compiled_part() -> None:
    nothing: MappingProxyType[str, Any] = MappingProxyType({})
    one = MappingProxyType({"difficult": 1})
    box = (0.0, 1.0, 2.0, 3.0)
    assert speedups.columns(["a"], [box], None) == (("a",), (box,), None)
    assert speedups.columns(("a", "b"), (box, box), [nothing, one]) == (("a", "b"), (box, box), (nothing, one))
    assert speedups.columns(["a"], [box], [nothing]) == (("a",), (box,), None)
    for wrong in ((2.0, 1.0, 0.0, 3.0), (0.0, math.nan, 2.0, 3.0), (0.0, 1.0, math.inf, 3.0), (0.0, 1.0, 2.0)):
        assert speedups.columns(["a"], [wrong], None) is None
    assert speedups.columns([""], [box], None) is None
    assert speedups.columns(["a", "b"], [box], None) is None


def test_samples_are_those_of_the_classes() -> None:
    boxes = Boxes(["fig"], [(0.0, 0.0, 3.0, 4.5)])
    values: dict[str, Any] = {"name": "größe.jpg", "width": 40, "height": 30, "location": None, "boxes": boxes}
    values |= {"split": "train", "attributes": {"folder": "a"}, "source": "1.xml"}
    made = speedups.plain_sample(ImageRef, Sample, Boxes, *values.values())
    image = ImageRef(name="größe.jpg", width=40, height=30, location=None)
    expected = Sample(image=image, boxes=boxes, split="train", attributes={"folder": "a"}, source="1.xml")
    assert made == expected
    assert made.model_dump() == expected.model_dump()
    assert made.model_fields_set == expected.model_fields_set
    assert made.image.model_fields_set == image.model_fields_set
    assert copy.deepcopy(made) == made
    assert repr(made) == repr(expected)
    for name, wrong in {"name": "", "width": 0, "height": True, "split": 7, "source": "\ud800", "boxes": []}.items():
        assert speedups.plain_sample(ImageRef, Sample, Boxes, *(values | {name: wrong}).values()) is None


def test_small_files_are_read_whole(tmp_path: Path) -> None:
    for size in (0, 1, 65_535, 65_536, 65_537):
        content = os.urandom(size)
        (tmp_path / "größe").write_bytes(content)
        assert speedups.read_small(str(tmp_path / "größe")) == (content if size < 65_536 else None)
    assert speedups.read_small(str(tmp_path / "none")) is None
    assert speedups.read_small(str(tmp_path)) is None
    assert speedups.read_small("a\0b") is None


# ---------------------------------------------------------------------------------------------- COCO's JSON


@QUICKLY
@given(boxes=some_boxes(), known=st.booleans())
def test_annotations_are_written_as_the_twin_writes_them(boxes: Boxes, known: bool) -> None:
    def written() -> Any:
        label_map = boxwright.LabelMap.from_names(["fig", "вишня"]) if known else None
        return writer.BoxTexts(ClassNumbers(label_map), ids=True).annotations(boxes)

    compiled = outcome(written)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("boxwright_coco.boxes._compiled", None)
        patch.setattr("boxwright_coco.texts._compiled", None)
        assert compiled == outcome(written)


def test_usual_annotations_are_written_by_the_compiled_part() -> None:
    made = Boxes(["fig", "fig"], [(1.0, 2.0, 4.0, 6.0)] * 2, [{"difficult": 1}, {}])
    texts = speedups.coco_annotations(
        made.labels, made.edges, made.attributes, {"fig": "3"}, {}, lambda attributes: '"iscrowd":0,"difficult":1}'
    )
    start = '"category_id":3,"bbox":[1,2,3,4],"area":12,'
    assert texts == [f'{start}"iscrowd":0,"difficult":1}}', f'{start}"iscrowd":0,"segmentation":[]}}']


@QUICKLY
@given(attributes=st.dictionaries(TEXTS, st.one_of(TEXTS, st.integers(), st.floats(), st.booleans()), max_size=4))
def test_members_are_those_of_the_json_module(attributes: dict[str, Any]) -> None:
    answer = speedups.json_members(attributes, BOX_KEYS)
    if answer is not None:
        expected = json.dumps(attributes, ensure_ascii=False, separators=(",", ":"))
        assert f"{{{answer[1:]}}}" == expected


def test_usual_members_are_written_by_the_compiled_part() -> None:
    usual = {"folder": "größe", "n": -7, 'a"b\\': "\n\t\x01\x7f"}
    expected = json.dumps(usual, ensure_ascii=False, separators=(",", ":"))
    assert f"{{{speedups.json_members(usual, BOX_KEYS)[1:]}}}" == expected
    assert speedups.json_members({}, BOX_KEYS) == ""
    for unusual in ({"bbox": 1}, {"a": 1.5}, {"a": True}, {"a": "\ud800"}, {"\ud800": 1}, {"a": 2**60}):
        assert speedups.json_members(unusual, BOX_KEYS) is None


@given(counts=st.lists(st.integers(0, 4), max_size=6), first=st.integers(0, 10**12), owner=st.integers(0, 10**12))
def test_numbers_are_filled_in(counts: list[int], first: int, owner: int) -> None:
    rows = [f"<{i}:\0:\0>" for i in range(sum(counts))]
    owners = [owner + place for place, each in enumerate(counts) for _ in range(each)]
    numbers = iter(range(first, first + len(rows)))
    expected = [f"<{i}:{next(numbers)}:{each}>" for i, each in enumerate(owners)]
    assert speedups.fill_in("".join(rows).encode(), first, counts, owner).decode() == "".join(expected)
    assert speedups.fill_in(b"a\0b\0", first, None, 0).decode() == f"a{first}b{first + 1}"
    with pytest.raises((IndexError, ValueError)):
        speedups.fill_in(b"\0\0\0", first, [1], 0)


NUMBERS = st.one_of(
    st.integers(-3, 900),
    st.floats(0, 900).map(lambda number: round(number, 3)),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0, 2**53, 2**60, 10**30, 1e300, 0.1, 7.0, -0.0]),
)
ODD = st.sampled_from([None, True, "x", "é", [], [1], {}, {"a": [1, {"b": None}]}, 0, 1, 0.0, 2.5, "\ud83c", 'a"\\b'])


@st.composite
def an_annotation(draw: st.DrawFn) -> dict[str, Any]:
    def seldom() -> bool:
        return draw(st.integers(0, 9)) == 0

    row: dict[str, Any] = {
        "id": draw(st.one_of(st.integers(), ODD) if seldom() else st.integers(1, 9)),
        "image_id": draw(st.one_of(st.integers(), ODD) if seldom() else st.integers(1, 3)),
        "category_id": draw(st.integers(1, 3)),
        "bbox": draw(st.lists(NUMBERS, min_size=4, max_size=4)) if draw(st.booleans()) else [1, 2, 3, 4],
    }
    if draw(st.booleans()):
        row["area"] = draw(st.one_of(NUMBERS, ODD)) if draw(st.booleans()) else row["bbox"][2] * row["bbox"][3]
    for key in ("iscrowd", "segmentation", "difficult", "pose", "score", "größe", "boxwright"):
        if draw(st.integers(0, 5)) == 0:
            row[key] = draw(ODD)
    if seldom():
        row.pop(draw(st.sampled_from(sorted(row))))
    return dict(draw(st.permutations(list(row.items()))))


def with_escaped_keys(text: str, chance: int) -> str:
    """The same JSON with some of its keys written otherwise: ``"\\u0069mage_id"``."""
    for number, key in enumerate(("image_id", "id", "bbox", "area", "difficult")):
        if chance >> number & 1:
            text = text.replace(f'"{key}"', f'"\\u{ord(key[0]):04x}{key[1:]}"', 1 + (chance >> 5))
    return text


@QUICKLY
@given(
    rows=st.lists(an_annotation(), max_size=6),
    indent=st.sampled_from([None, 1]),
    ascii_only=st.booleans(),
    escaped=st.one_of(st.just(0), st.integers(0, 127)),
)
def test_a_coco_file_is_read_the_same(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], indent: int | None, ascii_only: bool, escaped: int
) -> None:
    file = tmp_path_factory.getbasetemp() / "instances.json"
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 40, "height": 30} for i in (1, 2, 3)]
    content = {"images": images, "annotations": rows, "categories": [{"id": i, "name": f"class {i}"} for i in (1, 2)]}
    text = with_escaped_keys(json.dumps(content, indent=indent, ensure_ascii=ascii_only), escaped)
    file.write_bytes(text.encode("utf-8", "surrogatepass"))

    def read() -> list[str]:
        errors: list[str] = []
        samples = boxwright.open(f"coco:{file}?inverted=swap").reader.read(lambda error: errors.append(str(error)))
        return [*map(repr, samples), *errors]

    compiled = outcome(read)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(annotations, "_compiled", None)
        patch.setattr("boxwright.schemas._columns", None)
        patch.setattr(plain, "_compiled", None)
        assert compiled == outcome(read)


@pytest.mark.parametrize("by", ["the compiled part", "hand"])
def test_attributes_stay_with_their_boxes_in_a_long_file(
    by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files are read in windows of 64 KiB, whose last rows and odd ones take another way than the rest."""
    chance = random.Random(5)
    rows: list[dict[str, Any]] = []
    for number in range(1, 4_001):
        row: dict[str, Any] = {"id": number, "image_id": 1, "category_id": 1, "bbox": [number, 2, 3, 4]}
        if chance.random() < 0.6:
            row["pose"] = f"pose {chance.randrange(50)}"
        if chance.random() < 0.01:
            row["bbox"] = [number, 2, 3.5, -4]  # left to the twin, and to reading again
        rows.append(row)
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 5_000, "height": 30}],
        "annotations": rows,
        "categories": [{"id": 1, "name": "fig"}],
    }
    (tmp_path / "long.json").write_text(json.dumps(content))
    if by == "hand":
        monkeypatch.setattr(annotations, "_compiled", None)
    (sample,) = boxwright.open(f"coco:{tmp_path / 'long.json'}?inverted=swap")
    found = [(box.xmin, box.attributes.get("id"), box.attributes.get("pose")) for box in sample.boxes]
    assert found == [(float(row["id"]), row["id"], row.get("pose")) for row in rows]


BROKEN = [
    *('"\n"', '"a\\x"', '"\\u12g4"', '"', "[" * 500),
    *["01", "1.", ".5", "1e", "-", "+1", "tru", "[1,]", "{,}", '{"a"}', "NaN", "["],
]


@pytest.mark.parametrize("value", BROKEN)
def test_what_is_no_json_is_left_to_the_twin(value: str) -> None:
    row = f'{{"image_id":1,"category_id":1,"bbox":[1,2,3,4],"more":{value}}},'.encode()
    place, *columns = speedups.coco_rows(row + row, 0, 0, {}, lambda members: 0)
    assert place == 0
    assert not any(columns)


@pytest.mark.parametrize(
    "row",
    [
        r'{"id":1,"image_id":1,"\u0069mage_id":2,"category_id":1,"bbox":[1,2,3,4]}',
        r'{"\u0069d":5,"image_id":1,"category_id":1,"bbox":[1,2,3,4]}',
        r'{"id":1,"\u0069d":2,"image_id":1,"category_id":1,"bbox":[1,2,3,4]}',
    ],
)
def test_a_key_with_an_escape_is_left_to_the_twin(row: str) -> None:
    assert speedups.coco_rows(f"{row},".encode(), 0, 0, {}, lambda members: 0)[0] == 0


class Odd(dict[str, Any]):
    """A mapping that makes its values when asked for them, and does other things then."""

    def __init__(self, pose: Callable[[], str]) -> None:
        super().__init__(pose="x")
        self.pose = pose

    def __getitem__(self, key: str) -> Any:
        return self.pose()


def test_mappings_that_run_code_do_no_harm() -> None:
    known = {"c": "c", "L" * 3_000_000: "L"}

    def forget() -> str:
        known.clear()
        return "c"

    def interrupt() -> str:
        raise KeyboardInterrupt

    def written(pose: Callable[[], str]) -> Any:
        attributes = (MappingProxyType(Odd(pose)),)
        return speedups.voc_objects(("c",), ((1.0, 2.0, 3.0, 4.0),), attributes, known, 0)

    assert "<pose>L</pose>" in written(lambda: "".join(["L"] * 3_000_000))
    assert written(lambda: "".join(["M"] * 3_000_000)) is None
    with pytest.raises(KeyboardInterrupt):
        written(interrupt)
    assert written(forget) is None


def test_usual_annotations_are_read_by_the_compiled_part() -> None:
    row = b'{"id":5,"image_id":7,"category_id":3,"bbox":[1,2.5,3,4],"area":12,"iscrowd":0,"segmentation":[],"d":1}'
    said = []
    place, images, categories, ids, edges, starts, again, kinds = speedups.coco_rows(
        b"[" + row + b" ,\n" + row, 1, 100, {}, lambda members: said.append(members) or 9
    )
    assert place == len(row) + 4
    as_numbers = [memoryview(each).cast("q").tolist() for each in (images, categories, ids, starts)]
    assert as_numbers == [[7], [3], [5], [101]]
    assert memoryview(edges).cast("d").tolist() == [1, 2.5, 4, 6.5]
    assert (again, memoryview(kinds).cast("H").tolist(), said) == (b"\0", [9], [b',"d":1'])


# ---------------------------------------------------------------------------------------------- all of it together


def everything(folder: Path, seed: int) -> Iterator[Sample]:
    chance = random.Random(seed)
    for number in range(40):
        how_many = chance.randint(0, 5)
        edges = []
        for _ in range(how_many):
            left, top = chance.choice((chance.randint(0, 40), chance.uniform(0, 40))), chance.randint(0, 40)
            edges.append((float(left), float(top), left + chance.randint(0, 50), top + chance.uniform(0, 50)))
        attributes = [
            {key: 1 for key in ("difficult", "truncated", "occluded") if chance.random() < 0.3}
            | ({"pose": chance.choice(("Left", "a&b"))} if chance.random() < 0.2 else {})
            for _ in range(how_many)
        ]
        labels = chance.choices(["fig", "вишня", "red, ripe", "a&b"], k=how_many)
        image = ImageRef(name=f"{number}.jpg", width=100, height=100)
        yield Sample(image=image, boxes=Boxes(labels, edges, attributes), attributes={"folder": "f", "n": number % 2})


@pytest.mark.parametrize("target", ["coco", "csv", "voc", "labelimg", "yolo"])
def test_conversions_write_the_same_bytes(target: str, tmp_path: Path) -> None:
    folder = tmp_path / "xml"
    folder.mkdir()
    writing = document.XmlDocument()
    for sample in everything(tmp_path, 1):
        (folder / sample.image.name.replace("jpg", "xml")).write_bytes(writing.encoded(sample))
    suffix = {"coco": ".json", "csv": ".csv"}.get(target, "?pictures=false")
    written = []
    for switch in ("1", "0"):
        out = tmp_path / f"out{switch}"
        out.mkdir()
        jobs = [(f"labelimg:{folder}", f"coco:{out / 'all.json'}")]
        jobs += [
            (source, f"{target}:{out / name}{suffix}") for source, name in zip(jobs[0], ("one", "two"), strict=True)
        ]
        code = f"import boxwright\nfor job in {jobs!r}: boxwright.convert(*job, workers=1)"
        subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"BOXWRIGHT_SPEEDUPS": switch})
        written.append({str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()})
    assert written[0] == written[1]
    assert len(written[0]) >= 3


def test_the_switch_leaves_it_unused() -> None:
    code = "from boxwright.compiled import speedups; print(speedups)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"BOXWRIGHT_SPEEDUPS": "0"}, capture_output=True, text=True
    )
    assert done.stdout == "None\n"


def test_another_version_is_left_unused(tmp_path: Path) -> None:
    (tmp_path / "boxwright_speedups.py").write_text("VERSION = 0\ncompiled = 'old'\n")
    code = "from boxwright.compiled import speedups; print(speedups)"
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True
    )
    assert done.stdout == "None\n"


def test_nothing_is_kept_in_memory(tmp_path: Path, by_hand: None) -> None:
    chance = random.Random(3)
    files = [damaged(chance) for _ in range(300)] + [xml.encode() for xml in XML]
    made = [sample.boxes for sample in everything(tmp_path, 2)]
    row = b'{"id":5,"image_id":7,"category_id":3,"bbox":[1,2.5,3,4],"d":1},'
    broken = [b'{"image_id":1,"category_id":1,"bbox":[1,2,3,4],"d":' + value.encode() + b"}," for value in BROKEN]
    (tmp_path / "small").write_bytes(b"x" * 1000)
    numbers = count(100)
    classes, unknown = ClassNumbers(None), ClassNumbers(boxwright.LabelMap())

    def all_once() -> None:
        for data in files:
            speedups.parse_layout(data)
        for each in made:
            labels, edges, attributes = each.labels, each.edges, each.attributes
            speedups.columns(labels, edges, attributes)
            speedups.columns(labels, edges, [])
            speedups.coco_annotations(labels, edges, attributes, classes, {}, lambda given: "}")
            speedups.coco_annotations(labels, edges, attributes, unknown, {}, lambda given: None)
            speedups.voc_objects(labels, edges, attributes, {"fig": "fig"}, 0)
            speedups.plain_sample(ImageRef, Sample, Boxes, "a", 1, 2, None, each, None, {}, "b")
            speedups.plain_sample(ImageRef, Sample, Boxes, "a", 1, 2, None, each, "\ud800", {}, "b")
            speedups.lacking("difficult", attributes)
        speedups.json_members({"a": "b\n", "c": 1}, BOX_KEYS)
        speedups.json_members({"a": "\ud800", "c": 1.5}, BOX_KEYS)
        speedups.fill_in(b"a\0\0", 1, [0, 1], 1)
        for text in (row * 3, *broken):
            speedups.coco_rows(text, 0, 0, {}, lambda members: 1)
            with pytest.raises(ZeroDivisionError):
                speedups.coco_rows(row, 0, 0, {}, lambda members: 1 // 0)
        speedups.read_small(str(tmp_path / "small"))
        speedups.read_small(str(tmp_path / "none"))
        # Names that no other file has, and that are too long to be kept.
        name = f"{next(numbers)}" * 1000
        speedups.parse_layout(
            XML[0].replace("<name>fig", f"<name>{name}").replace("<pose>Left", f"<pose>{name}").encode()
        )

    for _ in range(3):
        all_once()
    gc.collect()
    tracemalloc.start()
    try:
        sizes = []
        for _ in range(4):
            for _ in range(5):
                all_once()
            gc.collect()
            sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert min(after - before for before, after in pairwise(sizes)) < 2_000


def test_the_reader_uses_it(tmp_path: Path) -> None:
    (tmp_path / "1.xml").write_text(XML[0])
    calls = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parsing, "_compiled", lambda data: calls.append(data) or speedups.parse_layout(data))
        (sample,) = LabelImgReader(str(tmp_path)).read(pytest.fail)
    assert len(calls) == 1
    assert sample.boxes.labels == ("fig", "fig")
