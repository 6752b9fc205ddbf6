"""The fast parsers return exactly what the tree returns, or nothing; documents are restored."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from boxwright import Boxes, DataError, ImageRef, Sample
from boxwright.datasets import ShapeRule
from boxwright.images import ImageLookup
from boxwright.storage import Folder
from boxwright_voc.samples import XmlSamples
from boxwright_voc.xml.annotation import Annotation
from boxwright_voc.xml.document import XmlDocument
from boxwright_voc.xml.parsing import parse_known_layout
from boxwright_voc.xml.patterns import find_labels
from boxwright_voc.xml.tree import parse_tree

pytestmark = pytest.mark.usefixtures("parser")

TEXTS = ("fig", "red, ripe", "вишня", "?", "'q'", "a\u00a0b", "-1", "07", "341012865", "1.50")
LABELIMG_TEXTS = (
    "fig",
    "red, ripe",
    "вишня",
    "a b",
    "'q'",
    '"q"',
    "(x) {y}",
    "a\u00a0b",
    "\U0001f34e",
    "\x7f",
    "a/b.jpg",
    "-1",
    "07",
)
ACTIONS = ("jumping", "other", "phoning", "playinginstrument", "reading", "ridingbike", "ridinghorse", "running")


def edge(chance: random.Random) -> str:
    return str(chance.choice((chance.randint(-5, 900), chance.randint(0, 9000) / 10, "4.50")))


def bndbox(chance: random.Random, *coordinates: str) -> str:
    return "<bndbox>\n" + "".join(f"\t<{name}>{edge(chance)}</{name}>\n" for name in coordinates) + "</bndbox>\n"


def flag(chance: random.Random, tag: str) -> str:
    return f"<{tag}>{chance.choice((0, 0, 1))}</{tag}>\n"


def parts(chance: random.Random) -> str:
    box = bndbox(chance, "xmin", "ymin", "xmax", "ymax")
    return "".join(
        f"<part>\n<name>{chance.choice(TEXTS)}</name>\n{box}</part>\n" for _ in range(chance.choice((0, 1, 2)))
    )


def objects(chance: random.Random, content: Callable[[], str]) -> str:
    found = ""
    for _ in range(chance.randint(0, 4)):
        found += f"<object>\n<name>{chance.choice(TEXTS)}</name>\n{content()}</object>\n"
    return found


def pose(chance: random.Random) -> str:
    return f"<pose>{chance.choice(('Unspecified', 'Left', '', 'Unspecified2'))}</pose>\n"


def head(chance: random.Random, source: str = "", owner: bool = False) -> str:
    path = f"<path>{chance.choice(TEXTS)}</path>\n" if chance.random() < 0.5 else ""
    names = f"<flickrid>{chance.choice(TEXTS)}</flickrid><name>{chance.choice(TEXTS)}</name>"
    return (
        f"<annotation>\n<folder>{chance.choice(('', 'VOC2007'))}</folder>\n"
        f"<filename>{chance.choice(TEXTS)}</filename>\n{path}"
        f"<source>\n<database>{chance.choice(('Unknown', 'The VOC2007 Database'))}</database>\n{source}</source>\n"
        + (f"<owner>\n{names}\n</owner>\n" if owner else "")
        + f"<size>\n<width>{chance.randint(0, 900)}</width>\n<height>{chance.randint(0, 900)}</height>\n"
        f"<depth>{chance.choice((1, 3))}</depth>\n</size>\n{flag(chance, 'segmented')}"
    )


def labelimg(chance: random.Random) -> str:
    """A random annotation in exactly labelImg's layout."""
    objects = "".join(
        f"\t<object>\n\t\t<name>{chance.choice(LABELIMG_TEXTS)}</name>\n"
        f"\t\t<pose>{chance.choice(('Unspecified', 'Left', 'Unspecified2'))}</pose>\n"
        f"\t\t<truncated>{chance.choice((0, 0, 1))}</truncated>\n"
        f"\t\t<difficult>{chance.choice((0, 0, 1))}</difficult>\n"
        "\t\t<bndbox>\n"
        + "".join(
            f"\t\t\t<{edge}>{chance.choice((chance.randint(-5, 900), chance.uniform(0, 900)))}</{edge}>\n"
            for edge in ("xmin", "ymin", "xmax", "ymax")
        )
        + "\t\t</bndbox>\n\t</object>\n"
        for _ in range(chance.randint(0, 4))
    )
    verified = chance.choice(("", ' verified="yes"'))
    path = f"\t<path>{chance.choice(LABELIMG_TEXTS)}</path>\n" if chance.random() < 0.8 else ""
    return (
        f"<annotation{verified}>\n\t<folder>{chance.choice(LABELIMG_TEXTS)}</folder>\n"
        f"\t<filename>{chance.choice(LABELIMG_TEXTS)}</filename>\n{path}"
        f"\t<source>\n\t\t<database>{chance.choice(('Unknown', 'mine'))}</database>\n\t</source>\n"
        f"\t<size>\n\t\t<width>{chance.randint(0, 900)}</width>\n\t\t<height>{chance.randint(0, 900)}</height>\n"
        f"\t\t<depth>{chance.choice((1, 3))}</depth>\n\t</size>\n\t<segmented>{chance.choice((0, 1))}</segmented>\n"
        f"{objects}"
    )


def voc_2007(chance: random.Random) -> str:
    ids = "<annotation>PASCAL VOC2007</annotation>\n<image>flickr</image>\n<flickrid>341012865</flickrid>\n"
    box = ("xmin", "ymin", "xmax", "ymax")
    return head(chance, ids, True) + objects(
        chance,
        lambda: (
            pose(chance) + flag(chance, "truncated") + flag(chance, "difficult") + bndbox(chance, *box) + parts(chance)
        ),
    )


def voc_2008(chance: random.Random) -> str:
    box = ("xmin", "ymin", "xmax", "ymax")
    return head(chance, "<annotation>PASCAL VOC2008</annotation>\n<image>flickr</image>\n") + objects(
        chance,
        lambda: (
            pose(chance)
            + flag(chance, "truncated")
            + flag(chance, "occluded")
            + bndbox(chance, *box)
            + flag(chance, "difficult")
            + parts(chance)
        ),
    )


def voc_2009(chance: random.Random) -> str:
    def content() -> str:
        each = "".join(flag(chance, action) for action in ACTIONS)
        return (
            chance.choice(("", f"<actions>\n{each}</actions>\n", "<actions>\n</actions>\n"))
            + bndbox(chance, "xmax", "xmin", "ymax", "ymin")
            + flag(chance, "difficult")
            + chance.choice(("", flag(chance, "occluded")))
            + pose(chance)
            + chance.choice(("", f"<point>\n<x>{edge(chance)}</x>\n<y>{edge(chance)}</y>\n</point>\n"))
            + chance.choice(("", flag(chance, "truncated")))
        )

    return (
        f"<annotation>\n<filename>{chance.choice(TEXTS)}</filename>\n<folder>VOC2012</folder>\n"
        f"{objects(chance, content)}{flag(chance, 'segmented')}"
        f"<size>\n<depth>3</depth>\n<height>375</height>\n<width>{chance.randint(0, 900)}</width>\n</size>\n"
        "<source>\n<annotation>PASCAL VOC2009</annotation>\n<database>The VOC2009 Database</database>\n"
        "<image>flickr</image>\n</source>\n"
    )


def roboflow(chance: random.Random) -> str:
    flags = ("truncated", "difficult", "occluded")
    box = ("xmin", "xmax", "ymin", "ymax")
    return head(chance) + objects(
        chance, lambda: pose(chance) + "".join(flag(chance, tag) for tag in flags) + bndbox(chance, *box)
    )


END = "</annotation>\n"
LAYOUTS = (labelimg, voc_2007, voc_2008, voc_2009, roboflow)


def same(quick: Annotation, complete: Annotation) -> bool:
    alike = quick._replace(box_attributes=None, attributes={}) == complete._replace(box_attributes=None, attributes={})
    types = [repr(sorted(one.items())) for one in quick.box_attributes or ()]
    others = [repr(sorted(one.items())) for one in complete.box_attributes or ()]
    return alike and quick.attributes == complete.attributes and types == others


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_read_by_the_fast_parsers_as_by_the_tree(layout: Callable[[random.Random], str]) -> None:
    chance = random.Random(1)
    for _ in range(100):
        data = (layout(chance) + END).encode()
        quick = parse_known_layout(data)
        assert quick is not None, data.decode()
        complete = parse_tree(data, "x.xml")
        assert same(quick, complete), f"{data.decode()}\n{quick}\n{complete}"
        assert find_labels(data) in (None, quick.labels)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_the_fast_parsers_accept_after_damage_the_tree_reads_the_same(
    layout: Callable[[random.Random], str],
) -> None:
    chance = random.Random(2)
    accepted = 0
    pieces = [b"<", b">", b"&", b"&amp;", b" ", b"\n", b"\t", b"\r", b"\0", b"]]>", b"0", b"9", b"-", b".", b"e", b"x"]
    pieces += [b"</object>", b"<object>", b"<!-- -->", b"\xff", b"\xef\xbf\xbe", b"\xc2\xa0", b"<name>", b"/", b"\x1c"]
    pieces += [b"<part>", b"</part>", b""]
    for _ in range(1200):
        data = bytearray((layout(chance) + "</annotation>").encode())
        for _ in range(chance.randint(1, 2)):
            position = chance.randrange(len(data))
            data[position : position + chance.choice((0, 0, 1, 5))] = chance.choice(pieces)
        quick = parse_known_layout(bytes(data))
        if quick is not None:
            accepted += 1
            assert same(quick, parse_tree(bytes(data), "x.xml")), bytes(data)
    assert accepted > 15  # else nothing was compared


@pytest.mark.parametrize(
    "change",
    [
        ("<difficult>0</difficult>", ""),
        ("</part>", "</part><part><name>hand</name></part>"),
        ("<pose>Left</pose>", "<pose>Left</pose><pose>Left</pose>"),
        ("<jumping>1</jumping>", "<jumping>1</jumping><jumping>0</jumping>"),
        ("<jumping>1</jumping>", "<swimming>1</swimming>"),
        ("<jumping>1</jumping>", "<jumping>2</jumping>"),
        ("<x>3</x>", "<x>3</x><z>4</z>"),
        ("<image>flickr</image>", "<image></image>"),
    ],
)
def test_anything_but_a_known_layout_is_left_to_the_tree(change: tuple[str, str]) -> None:
    box = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox>"
    turned = "<bndbox><xmax>2</xmax><xmin>1</xmin><ymax>2</ymax><ymin>1</ymin></bndbox>"
    size, segmented = "<size><width>4</width><height>3</height><depth>3</depth></size>", "<segmented>0</segmented>"
    source = "<source><database>Unknown</database><annotation>a</annotation><image>flickr</image></source>"
    early = (
        f"<annotation><folder>f</folder><filename>1.jpg</filename>{source}{size}{segmented}"
        "<object><name>fig</name><pose>Left</pose><truncated>0</truncated><difficult>0</difficult>"
        f"{box}<part><name>head</name>{box}</part></object></annotation>"
    )
    late = (
        "<annotation><filename>1.jpg</filename><folder>f</folder><object><name>fig</name>"
        f"<actions><jumping>1</jumping></actions>{turned}<difficult>0</difficult><pose>Left</pose>"
        f"<point><x>3</x><y>4</y></point></object>{segmented}"
        "<size><depth>3</depth><height>3</height><width>4</width></size>"
        "<source><annotation>a</annotation><database>b</database><image>flickr</image></source></annotation>"
    )
    changed = 0
    for whole in (early, late):
        assert parse_known_layout(whole.encode()) is not None
        if change[0] in whole:
            changed += 1
            assert parse_known_layout(whole.replace(*change).encode()) is None
    assert changed


def test_the_labels_of_owners_and_parts_are_distinguished() -> None:
    chance = random.Random(3)
    found = 0
    for _ in range(50):
        data = (voc_2007(chance) + "</annotation>").encode()
        labels = find_labels(data)
        found += labels is not None
        assert labels in (None, parse_tree(data, "x.xml").labels)
    assert found > 40
    two = "<object><name>fig</name><name>date</name><bndbox/></object>"
    assert find_labels(f"<annotation><owner/>{two}</annotation>".encode()) is None


ODD: dict[str, list[Any]] = {
    "part": [
        {"name": "head", "bndbox": {"xmin": 1, "ymin": 2, "xmax": 3.5, "ymax": 4}},
        [{"name": "head"}, {"name": "hand", "bndbox": {"xmin": 1}}],
        [{"name": "007", "bndbox": {"xmin": 1}}],
        [],
        [{"name": "head"}],
        "head",
        7,
        {"bndbox": {"xmin": "1"}},
        {"bndbox": {"xmin": "1.50", "ymin": "left"}},
        {"bndbox": "1 2 3 4"},
        [[1, 2], [3]],
        None,
    ],
    "point": [{"x": 1.25, "y": 2}, {"x": "1.50"}, [{"x": 1}, {"x": 2}], [{"x": 1}], 3, "1.50", True],
    "actions": [{"jumping": 1, "other": 0}, [], "jumping", {"jumping": "0"}],
    "occluded": [1, 2, -1, "maybe", 0.5, None],
    "owner": [{"name": "Ann", "flickrid": 7}, "Ann", ["Ann"], {"name": "007"}],
}


@pytest.mark.parametrize("one_based", [False, True])
@pytest.mark.parametrize("key", ODD)
def test_fields_of_the_voc_database_are_restored_with_any_content(tmp_path: Path, key: str, one_based: bool) -> None:
    image = ImageRef(name="1.jpg", width=40, height=30)
    for value in ODD[key]:
        attributes = {key: value}
        boxes = Boxes(["fig"], [(1.0, 2.0, 3.0, 4.0)], [attributes])
        sample = Sample(image=image, boxes=boxes, attributes=attributes if key == "owner" else {})
        (tmp_path / "1.xml").write_bytes(XmlDocument(one_based).encoded(sample))
        folder = Folder.at(str(tmp_path))
        read = XmlSamples(folder, ImageLookup(folder, besides=folder.names), one_based=one_based).annotated("1.xml")
        assert repr(dict(read.boxes.attributes[0])) == repr(attributes)
        assert read.boxes.coordinates == boxes.coordinates
        assert repr(read.attributes) == repr(sample.attributes)


def test_parts_and_points_are_moved_as_the_box_is(tmp_path: Path) -> None:
    part = {"name": "head", "bndbox": {"xmin": 1, "ymin": 2.5, "xmax": 3, "ymax": 4}}
    boxes = Boxes(["fig"], [(0.0, 0.0, 40.0, 30.0)], [{"part": [part, part], "point": {"x": 0, "y": 29}}])
    sample = Sample(image=ImageRef(name="1.jpg", width=40, height=30), boxes=boxes)
    written = XmlDocument(one_based=True).encoded(sample).decode()
    for text in ("<xmin>1</xmin>", "<xmax>40</xmax>", "<xmin>2</xmin>", "<ymin>3.5</ymin>", "<xmax>3</xmax>"):
        assert text in written
    assert "<x>1</x>\n\t\t\t<y>30</y>" in written
    assert sample.boxes.attributes[0]["part"][0] == part  # what was written has not changed


ROTATED = "<robndbox><cx>30</cx><cy>22</cy><w>40</w><h>4</h><angle>1.570796</angle></robndbox>"
POLYGONS = (
    "<polygon><x1>1</x1><y1>2</y1><x2>20</x2><y2>3</y2><x3>9</x3><y3>30</y3></polygon>",
    "<polygon><pt><x>1</x><y>2</y></pt><pt><x>20</x><y>3</y></pt><pt><x>9</x><y>30</y></pt></polygon>",
)


def of_shape(shape: str) -> bytes:
    return f"<annotation><object><type>x</type><name>fig</name>{shape}</object></annotation>".encode()


def test_a_rotated_box_of_rolabelimg() -> None:
    """40 x 4 about (30, 22), by 90 degrees, which roLabelImg writes in radians."""
    annotation = parse_tree(of_shape(ROTATED), "x.xml")
    assert annotation.coordinates[0] == pytest.approx((28, 2, 32, 42), abs=1e-4)
    (attributes,) = annotation.box_attributes or ()
    assert attributes["rotation"] == pytest.approx(90, abs=1e-4)
    assert (attributes["type"], "robndbox" in attributes) == ("x", False)


@pytest.mark.parametrize("polygon", POLYGONS)
def test_a_polygon_of_roboflow_or_labelme(polygon: str) -> None:
    annotation = parse_tree(of_shape(polygon), "x.xml")
    assert annotation.coordinates == [(1, 2, 20, 30)]
    assert dict((annotation.box_attributes or ())[0]) == {"type": "x", "segmentation": [[1, 2, 20, 3, 9, 30]]}


def test_shapes_that_are_left_out_or_refused() -> None:
    rule = ShapeRule("skip")
    assert parse_tree(of_shape(ROTATED), "x.xml", rule).labels == []
    assert rule.left_out == {"rotated rectangle": 1}
    with pytest.raises(DataError, match=r"object 1 \(fig\): it is not an upright box, but a polygon"):
        parse_tree(of_shape(POLYGONS[0]), "x.xml", ShapeRule("fail"))
    with pytest.raises(DataError, match=r"<polygon>: it has no points"):
        parse_tree(of_shape("<polygon/>"), "x.xml")
    with pytest.raises(DataError, match="the object has no <bndbox>"):
        parse_tree(of_shape(""), "x.xml")


def test_an_unknown_flag_names_its_object() -> None:
    data = b"<annotation><object><name>fig</name><occluded>maybe</occluded><bndbox/></object></annotation>"
    with pytest.raises(DataError, match=r"object 1 \(fig\): <occluded> is 'maybe', not 0 or 1"):
        parse_tree(data, "x.xml")


@pytest.mark.parametrize(
    "change",
    [
        ("<annotation>", "<annotation><!-- a comment -->"),
        ("<annotation>", "<?xml version='1.0'?><annotation>"),
        ("<annotation>", "\ufeff<annotation>"),
        ("<name>", "<name> "),
        ("fig</name>", "fig </name>"),
        ("<folder>", "<folder> "),
        ("</folder>", " </folder>"),
        ("1.jpg<", "1.jpg <"),
        ("Unspecified<", "Left <"),
        ("<name>fig", "<name>a&amp;b"),
        ("<name>fig", "<name>a]b"),
        ("<difficult>0", "<difficult>00"),
        ("<xmin>1<", "<xmin>1e0<"),
        ("<xmin>1<", "<xmin>\u0661<"),
        ("</annotation>", "<extra>1</extra></annotation>"),
        ("</annotation>", "</annotation><!-- the end -->"),
        ("</object>", "</object>junk"),
        ("<bndbox>", "<bndbox><angle>3</angle>"),
    ],
)
def test_anything_but_labelimgs_layout_is_left_to_the_tree(change: tuple[str, str]) -> None:
    whole = (
        "<annotation><folder>f</folder><filename>1.jpg</filename><source><database>Unknown</database></source>"
        "<size><width>4</width><height>3</height><depth>3</depth></size><segmented>0</segmented>"
        "<object><name>fig</name><pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult>"
        "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></object></annotation>"
    )
    assert parse_known_layout(whole.encode()) is not None
    changed = whole.replace(*change)
    assert changed != whole
    assert parse_known_layout(changed.encode()) is None


def test_text_that_xml_forbids_is_accepted_by_neither() -> None:
    for bad in ("\x00", "\x0b", "\ufffe", "]]>"):
        data = (labelimg(random.Random(3)) + END).replace("</folder>", f"{bad}</folder>").encode()
        assert parse_known_layout(data) is None
        with pytest.raises(ElementTree.ParseError):
            ElementTree.fromstring(data)
        with pytest.raises(DataError, match="not well-formed XML"):
            parse_tree(data, "x.xml")


def test_nothing_is_fetched_and_nothing_expanded() -> None:
    bomb = '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><annotation><filename>&b;</filename></annotation>'
    outside = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation><filename>&x;</filename></annotation>'
    loaded = '<!DOCTYPE annotation SYSTEM "http://127.0.0.1:9/a.dtd"><annotation/>'
    for content in (bomb, outside, loaded):
        assert parse_known_layout(content.encode()) is None
        with pytest.raises(DataError, match="document type or entities") as caught:
            parse_tree(content.encode(), "x.xml")
        assert "DOCTYPE" in caught.value.remedy


def test_elements_nested_without_end_are_refused() -> None:
    deep = "<a>" * 5000 + "</a>" * 5000
    with pytest.raises(DataError, match="nested more than 30 deep"):
        parse_tree(f"<annotation>{deep}</annotation>".encode(), "x.xml")


def test_quick_labels_are_those_of_the_tree() -> None:
    chance = random.Random(7)
    for _ in range(150):
        data = (labelimg(chance) + END).encode()
        assert find_labels(data) == list(parse_tree(data, "a.xml").labels)


@pytest.mark.parametrize(
    "content",
    [
        "<object><name>fig</name><part><name>stalk</name></part></object>",
        "<owner><name>me</name></owner><object><name>fig</name></object>",
        "<!-- <object><name>old</name></object> -->",
        "<object><name>a &amp; b</name></object>",
        "<object><name lang='en'>fig</name></object>",
        "<object>fig</object>",
    ],
)
def test_quick_labels_leave_the_rest_to_the_tree(content: str) -> None:
    assert find_labels(f"<annotation>{content}</annotation>".encode()) is None
