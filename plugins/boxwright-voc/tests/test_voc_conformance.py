from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from boxwright_testing import BadInput, ReaderTests, WriterTests

OBJECT = "<object><name>fig</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>20</ymax></bndbox></object>"
SIZE = "<size><width>40</width><height>30</height><depth>3</depth></size>"


def xml(filename: str = "b.jpg", objects: str = OBJECT, size: str = SIZE) -> str:
    return f"<annotation>\n<filename>{filename}</filename>\n{size}\n{objects}\n</annotation>"


@pytest.mark.usefixtures("parser")
class TestLabelImg(ReaderTests, WriterTests):
    format = "labelimg"

    def bad_inputs(self, folder: Path) -> Sequence[BadInput]:
        """Each next to one good annotation."""
        wrong = {
            "truncated": (xml()[:-5], r"b\.xml, line 5: it is not well-formed XML"),
            "malformed": (xml().replace("</object>", "</objekt>"), r"b\.xml, line 4: .*mismatched tag"),
            "empty file": ("", r"b\.xml: the file is empty"),
            "another root": ("<config><a/></config>", r"b\.xml: it is not an annotation: .* <config>"),
            "entities": (f'<!DOCTYPE a [<!ENTITY a "b">]>{xml()}', r"b\.xml: it has a document type or entities"),
            "no size": (xml(size=""), r"b\.xml: it does not contain the image's size"),
            "size 0": (xml(size=SIZE.replace("40", "0")), r"b\.xml: it does not contain the image's size"),
            "size in words": (xml(size=SIZE.replace("40", "wide")), r"<width> is 'wide'"),
            "negative size": (xml(size=SIZE.replace("40", "-40")), r"<width> is '-40'"),
            "no name": (xml(objects=OBJECT.replace("fig", " ")), r"b\.xml, object 1: the object has no <name>"),
            "no box": (
                xml(objects="<object><name>fig</name></object>"),
                r"object 1 \(fig\): the object has no <bndbox>",
            ),
            "no edge": (xml(objects=OBJECT + OBJECT.replace("ymin", "y")), r"object 2 \(fig\): the box has no <ymin>"),
            "not a number": (xml(objects=OBJECT.replace(">1<", ">nan<")), r"object 1 \(fig\): <xmin> is 'nan'"),
            "infinity": (xml(objects=OBJECT.replace(">30<", ">1e999<")), r"<xmax> is '1e999'"),
            "letters": (xml(objects=OBJECT.replace(">1<", ">1_0<")), r"<xmin> is '1_0'"),
            "inverted": (
                xml(objects=OBJECT.replace(">2<", ">22<")),
                r"object 1 \(fig\): ymin 22 is greater than ymax 20",
            ),
            "two names": (
                xml(objects=OBJECT.replace("<name>", "<name>a</name><name>")),
                r"duplicate <name> in <object>: 2 times",
            ),
            "an odd flag": (
                xml(objects=OBJECT.replace("<bndbox>", "<difficult>maybe</difficult><bndbox>")),
                r"object 1 \(fig\): <difficult> is 'maybe'",
            ),
            "outside": (xml("../../secret.jpg"), r"b\.xml: the <filename> is '\.\./\.\./secret\.jpg', which leads out"),
            "the same image": (xml("a.jpg"), r"b\.xml: it names the image a\.jpg, as .*a\.xml does"),
            "no file name": (xml(""), r"b\.xml: it has no <filename>"),
        }
        inputs = []
        for what, (content, message) in wrong.items():
            place = folder / what
            place.mkdir()
            (place / "a.xml").write_text(xml("a.jpg"))
            (place / "b.xml").write_text(content)
            inputs.append(BadInput(what, place, message, skipped=1, good=1))
        place = folder / "latin"
        place.mkdir()
        (place / "b.xml").write_bytes(xml(objects=OBJECT.replace("fig", "Nüsse")).encode("latin-1"))
        inputs.append(BadInput("not UTF-8 and no declaration", place, r"b\.xml, line 4: .*\n.*save it as UTF-8"))
        return inputs


@pytest.mark.usefixtures("parser")
class TestVoc(ReaderTests, WriterTests):
    format = "voc"

    def bad_inputs(self, folder: Path) -> Sequence[BadInput]:
        """Each next to one good annotation."""
        good, part = xml("a.jpg"), OBJECT.replace("</object>", "<part><name>stalk</name><bndbox/></part></object>")
        wrong = {
            "truncated": (good, xml()[:-5], "a\nb\n", r"b\.xml, line 5: it is not well-formed XML"),
            "entities": (good, f"<!DOCTYPE a>{xml()}", "a\nb\n", r"b\.xml: it has a document type or entities"),
            "outside": (good, xml("../b.jpg"), "a\nb\n", r"b\.xml: the <filename> is '\.\./b\.jpg', which leads out"),
            "the same image": (good, xml("a.jpg"), "a\nb\n", r"b\.xml: it names the image a\.jpg, as .*a\.xml"),
            "not a number": (good, xml(objects=part.replace(">1<", ">nan<")), "a\nb\n", r"object 1 \(fig\): <xmin>"),
            "no annotation": (
                *(good, None, "a\nb\n"),
                r"train\.txt, line 2: it lists b, and Annotations/b\.xml is missing\n.*unannotated=include",
            ),
        }
        inputs = []
        for what, (one, two, listed, message) in wrong.items():
            place = folder / what
            (place / "Annotations").mkdir(parents=True)
            (place / "ImageSets" / "Main").mkdir(parents=True)
            (place / "Annotations" / "a.xml").write_text(one)
            if two is not None:
                (place / "Annotations" / "b.xml").write_text(two)
            (place / "ImageSets" / "Main" / "train.txt").write_text(listed)
            inputs.append(BadInput(what, place, message, skipped=1, good=1))
        place = folder / "two splits"
        for name in ("Annotations", "ImageSets/Main"):
            (place / name).mkdir(parents=True)
        (place / "Annotations" / "a.xml").write_text(good)
        (place / "Annotations" / "b.xml").write_text(xml())
        (place / "ImageSets" / "Main" / "train.txt").write_text("a\nb\n")
        (place / "ImageSets" / "Main" / "test.txt").write_text("\nb\n")
        message = r"train\.txt, line 2: the image b is also in line 2 of test\.txt\n.*\?split=train"
        inputs.append(BadInput("two splits", place, message, skipped=1, good=1))
        return inputs


class TestVocCountedFromOne(ReaderTests, WriterTests):
    format = "voc"
    tolerance = 64 * 2**-52  # adding 1 and taking it off again rounds twice

    def write_options(self, pictures: Path) -> dict[str, str]:
        return {"one_based": "true", "class_lists": "false"}

    def read_options(self, pictures: Path) -> dict[str, str]:
        return {"one_based": "true"}
