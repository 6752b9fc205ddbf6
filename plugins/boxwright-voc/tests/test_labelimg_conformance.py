from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from boxwright_testing import BadInput, ReaderTests, WriterTests

OBJECT = "<object><name>fig</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>20</ymax></bndbox></object>"
SIZE = "<size><width>40</width><height>30</height><depth>3</depth></size>"


def xml(filename: str = "b.jpg", objects: str = OBJECT, size: str = SIZE) -> str:
    return f"<annotation>\n<filename>{filename}</filename>\n{size}\n{objects}\n</annotation>"


class TestLabelImg(ReaderTests, WriterTests):
    format = "labelimg"

    def bad_inputs(self, folder: Path) -> Sequence[BadInput]:
        """Each beside one annotation that is as it should be."""
        wrong = {
            "truncated": (xml()[:-5], r"b\.xml, line 5: it is not well-formed XML"),
            "malformed": (xml().replace("</object>", "</objekt>"), r"b\.xml, line 4: .*mismatched tag"),
            "empty file": ("", r"b\.xml: the file is empty"),
            "another root": ("<config><a/></config>", r"b\.xml: it is not an annotation: .* <config>"),
            "entities": (f'<!DOCTYPE a [<!ENTITY a "b">]>{xml()}', r"b\.xml: it has a document type or entities"),
            "no size": (xml(size=""), r"b\.xml: it does not say the picture's size"),
            "size 0": (xml(size=SIZE.replace("40", "0")), r"b\.xml: it does not say the picture's size"),
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
        for what, (content, says) in wrong.items():
            place = folder / what
            place.mkdir()
            (place / "a.xml").write_text(xml("a.jpg"))
            (place / "b.xml").write_text(content)
            inputs.append(BadInput(what, place, says, skipped=1, good=1))
        place = folder / "latin"
        place.mkdir()
        (place / "b.xml").write_bytes(xml(objects=OBJECT.replace("fig", "Nüsse")).encode("latin-1"))
        inputs.append(BadInput("not UTF-8 and no declaration", place, r"b\.xml, line 4: .*\n.*save it as UTF-8"))
        return inputs
