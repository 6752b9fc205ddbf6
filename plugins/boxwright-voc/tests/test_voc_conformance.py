from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from boxwright_testing import BadInput, ReaderTests, WriterTests

OBJECT = "<object><name>fig</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>20</ymax></bndbox></object>"
SIZE = "<size><width>40</width><height>30</height><depth>3</depth></size>"


def xml(filename: str = "b.jpg", objects: str = OBJECT) -> str:
    return f"<annotation>\n<filename>{filename}</filename>\n{SIZE}\n{objects}\n</annotation>"


class TestVoc(ReaderTests, WriterTests):
    format = "voc"

    def bad_inputs(self, folder: Path) -> Sequence[BadInput]:
        """Each beside one annotation that is as it should be."""
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
        for what, (one, two, listed, says) in wrong.items():
            place = folder / what
            (place / "Annotations").mkdir(parents=True)
            (place / "ImageSets" / "Main").mkdir(parents=True)
            (place / "Annotations" / "a.xml").write_text(one)
            if two is not None:
                (place / "Annotations" / "b.xml").write_text(two)
            (place / "ImageSets" / "Main" / "train.txt").write_text(listed)
            inputs.append(BadInput(what, place, says, skipped=1, good=1))
        place = folder / "two splits"
        for name in ("Annotations", "ImageSets/Main"):
            (place / name).mkdir(parents=True)
        (place / "Annotations" / "a.xml").write_text(good)
        (place / "Annotations" / "b.xml").write_text(xml())
        (place / "ImageSets" / "Main" / "train.txt").write_text("a\nb\n")
        (place / "ImageSets" / "Main" / "test.txt").write_text("\nb\n")
        says = r"train\.txt, line 2: the image b is also in line 2 of test\.txt\n.*\?split=train"
        inputs.append(BadInput("two splits", place, says, skipped=1, good=1))
        return inputs


class TestVocCountedFromOne(ReaderTests, WriterTests):
    format = "voc"
    tolerance = 64 * 2**-52  # adding 1 and taking it off again rounds twice

    def write_options(self, pictures: Path) -> dict[str, str]:
        return {"one_based": "true", "class_lists": "false"}

    def read_options(self, pictures: Path) -> dict[str, str]:
        return {"one_based": "true"}
