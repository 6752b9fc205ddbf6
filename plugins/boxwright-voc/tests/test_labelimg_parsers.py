"""The quick parser has to give exactly what the real one gives, or nothing."""

from __future__ import annotations

import random
from xml.etree import ElementTree

import pytest

from boxwright import DataError
from boxwright_voc.xml.annotation import Annotation
from boxwright_voc.xml.patterns import parse_layout, quick_labels
from boxwright_voc.xml.tree import parse_tree

TEXTS = (
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


def labelimg_xml(chance: random.Random) -> str:
    """A random annotation in exactly labelImg's layout."""
    objects = "".join(
        f"\t<object>\n\t\t<name>{chance.choice(TEXTS)}</name>\n"
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
    path = f"\t<path>{chance.choice(TEXTS)}</path>\n" if chance.random() < 0.8 else ""
    return (
        f"<annotation{verified}>\n\t<folder>{chance.choice(TEXTS)}</folder>\n"
        f"\t<filename>{chance.choice(TEXTS)}</filename>\n{path}"
        f"\t<source>\n\t\t<database>{chance.choice(('Unknown', 'mine'))}</database>\n\t</source>\n"
        f"\t<size>\n\t\t<width>{chance.randint(0, 900)}</width>\n\t\t<height>{chance.randint(0, 900)}</height>\n"
        f"\t\t<depth>{chance.choice((1, 3))}</depth>\n\t</size>\n\t<segmented>{chance.choice((0, 1))}</segmented>\n"
        f"{objects}</annotation>\n"
    )


def same(quick: Annotation, complete: Annotation) -> bool:
    return repr(quick) == repr(complete) or (
        quick._replace(box_attributes=None, attributes={}) == complete._replace(box_attributes=None, attributes={})
        and quick.attributes == complete.attributes
        and (quick.box_attributes or []) == (complete.box_attributes or [])
    )


def test_labelimgs_layout_is_read_by_the_quick_parser_as_by_the_real_one() -> None:
    chance = random.Random(1)
    for _ in range(150):
        data = labelimg_xml(chance).encode()
        quick = parse_layout(data)
        assert quick is not None, data.decode()
        assert same(quick, parse_tree(data, "x.xml")), data.decode()


def test_what_the_quick_parser_accepts_after_damage_the_real_one_reads_alike() -> None:
    chance = random.Random(2)
    accepted = 0
    pieces = [b"<", b">", b"&", b"&amp;", b" ", b"\n", b"\t", b"\r", b"\0", b"]]>", b"0", b"9", b"-", b".", b"e", b"x"]
    pieces += [b"</object>", b"<object>", b"<!-- -->", b"\xff", b"\xef\xbf\xbe", b"\xc2\xa0", b"<name>", b"/", b"\x1c"]
    for _ in range(1500):
        data = bytearray(labelimg_xml(chance).encode())
        for _ in range(chance.randint(1, 2)):
            position = chance.randrange(len(data))
            data[position : position + chance.choice((0, 0, 1, 5))] = chance.choice([*pieces, b""])
        quick = parse_layout(bytes(data))
        if quick is not None:
            accepted += 1
            assert same(quick, parse_tree(bytes(data), "x.xml")), bytes(data)
    assert accepted > 50  # else nothing was compared


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
def test_anything_but_labelimgs_layout_is_left_to_the_real_parser(change: tuple[str, str]) -> None:
    whole = (
        "<annotation><folder>f</folder><filename>1.jpg</filename><source><database>Unknown</database></source>"
        "<size><width>4</width><height>3</height><depth>3</depth></size><segmented>0</segmented>"
        "<object><name>fig</name><pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult>"
        "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></object></annotation>"
    )
    assert parse_layout(whole.encode()) is not None
    changed = whole.replace(*change)
    assert changed != whole
    assert parse_layout(changed.encode()) is None


def test_text_that_xml_forbids_is_accepted_by_neither() -> None:
    for bad in ("\x00", "\x0b", "\ufffe", "]]>"):
        data = labelimg_xml(random.Random(3)).replace("</folder>", f"{bad}</folder>").encode()
        assert parse_layout(data) is None
        with pytest.raises(ElementTree.ParseError):
            ElementTree.fromstring(data)
        with pytest.raises(DataError, match="no well-formed XML"):
            parse_tree(data, "x.xml")


def test_nothing_is_fetched_and_nothing_expanded() -> None:
    bomb = '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><annotation><filename>&b;</filename></annotation>'
    outside = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation><filename>&x;</filename></annotation>'
    loaded = '<!DOCTYPE annotation SYSTEM "http://127.0.0.1:9/a.dtd"><annotation/>'
    for content in (bomb, outside, loaded):
        assert parse_layout(content.encode()) is None
        with pytest.raises(DataError, match="document type or entities") as caught:
            parse_tree(content.encode(), "x.xml")
        assert "DOCTYPE" in caught.value.remedy


def test_elements_nested_without_end_are_refused() -> None:
    deep = "<a>" * 5000 + "</a>" * 5000
    with pytest.raises(DataError, match="nested more than 30 deep"):
        parse_tree(f"<annotation>{deep}</annotation>".encode(), "x.xml")


def test_quick_labels_are_those_of_the_real_parser() -> None:
    chance = random.Random(7)
    for _ in range(150):
        data = labelimg_xml(chance).encode()
        assert quick_labels(data) == list(parse_tree(data, "a.xml").labels)


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
def test_quick_labels_leave_the_rest_to_the_real_parser(content: str) -> None:
    assert quick_labels(f"<annotation>{content}</annotation>".encode()) is None
