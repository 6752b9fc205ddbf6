from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import boxwright
from boxwright import DataError, Sample
from boxwright_testing import labelimg_xml
from boxwright_voc.readers import LabelImgReader

pytestmark = pytest.mark.usefixtures("parser")


def raise_it(error: DataError) -> None:
    raise error


def read(folder: Path | str, **options: Any) -> list[Sample]:
    return list(LabelImgReader(str(folder), **options).read(raise_it))


def read_one(folder: Path, content: str | bytes, **options: Any) -> Sample:
    (folder / "1.xml").write_bytes(content if isinstance(content, bytes) else content.encode())
    (sample,) = read(folder, **options)
    return sample


@pytest.mark.parametrize("part", ["fruits/train", "fruits/test", "bccd/train"])
def test_real_photos_read_as_element_tree_reads_them(real_photos: Path, part: str) -> None:
    samples = read(real_photos / part)
    files = sorted((real_photos / part).glob("*.xml"), key=lambda path: path.name)
    assert len(samples) == len(files) > 0
    for sample, file in zip(samples, files, strict=True):
        root = ElementTree.parse(file).getroot()
        assert sample.source == str(file)
        assert sample.image.name == root.findtext("filename")
        assert sample.image.location == str(file.with_suffix(".jpg"))
        assert sample.image.width == int(root.findtext("size/width") or 0)
        assert sample.image.height == int(root.findtext("size/height") or 0)
        assert sample.attributes == {"folder": root.findtext("folder"), "path": root.findtext("path")}
        objects = root.findall("object")
        assert list(sample.boxes.labels) == [o.findtext("name") for o in objects]
        assert [list(coordinates) for coordinates in sample.boxes.coordinates] == [
            [float(o.findtext(f"bndbox/{edge}") or "nan") for edge in ("xmin", "ymin", "xmax", "ymax")] for o in objects
        ]
        truncated = [int(o.findtext("truncated") or 0) for o in objects]
        assert [a.get("truncated", 0) for a in sample.boxes.attributes] == truncated
    if part.startswith("fruits"):
        assert sum(len(sample.boxes) for sample in samples) == {"fruits/train": 152, "fruits/test": 12}[part]


def test_order_is_plain_string_order_of_the_files(tmp_path: Path) -> None:
    for name in ("2", "10", "b", "B", "1"):
        (tmp_path / f"{name}.xml").write_text(labelimg_xml(f"{name}.jpg"))
    (tmp_path / "Z").mkdir()
    (tmp_path / "Z" / "0.xml").write_text(labelimg_xml("0.jpg"))
    names = [sample.image.name for sample in read(tmp_path)]
    assert names == ["1.jpg", "10.jpg", "2.jpg", "B.jpg", "Z/0.jpg", "b.jpg"]


def test_every_field_of_labelimg_is_read(tmp_path: Path) -> None:
    content = (
        labelimg_xml("1.jpg")
        .replace("<annotation>", '<annotation verified="yes">')
        .replace("Unknown", "my set")
        .replace("<depth>3", "<depth>1")
        .replace("<segmented>0", "<segmented>1")
        .replace("Unspecified", "Left")
        .replace("<truncated>0", "<truncated>1")
        .replace("<difficult>0", "<difficult>1")
    )
    sample = read_one(tmp_path, content)
    assert sample.attributes == {
        "folder": "photos",
        "path": "/home/me/photos/1.jpg",
        "verified": "yes",
        "database": "my set",
        "depth": 1,
        "segmented": 1,
    }
    assert sample.boxes.attributes[0] == {"pose": "Left", "truncated": 1, "difficult": 1}


def test_fields_with_labelimgs_defaults_are_left_out(tmp_path: Path) -> None:
    sample = read_one(tmp_path, labelimg_xml("1.jpg"))
    assert not sample.boxes.has_attributes
    assert sample.attributes.keys() == {"folder", "path"}


def test_unknown_elements_become_attributes(tmp_path: Path) -> None:
    content = (
        labelimg_xml("1.jpg")
        .replace("<database>", "<annotation>VOC</annotation><database>")
        .replace(
            "<difficult>", "<occluded>1</occluded><score>0.5</score><part><name>stem</name></part><note/><difficult>"
        )
        .replace("<object>", '<object id="9">')
        .replace(
            "</segmented>",
            "</segmented><owner><flickrid>7</flickrid><name>Ann</name></owner><tag>a</tag><tag>b</tag><serial>007</serial>",
        )
    )
    sample = read_one(tmp_path, content)
    assert sample.attributes["owner"] == {"flickrid": 7, "name": "Ann"}
    assert sample.attributes["tag"] == ["a", "b"]
    assert sample.attributes["serial"] == "007"
    assert sample.attributes["source"] == {"annotation": "VOC"}
    assert sample.boxes.attributes[0] == {
        "@id": "9",
        "occluded": 1,
        "score": 0.5,
        "part": {"name": "stem"},
        "note": "",
    }


def test_elements_may_be_in_any_order_and_coordinates_may_be_fractions(tmp_path: Path) -> None:
    content = """<?xml version="1.0"?><!-- by another tool --><annotation>
      <object><bndbox><ymax>25.25</ymax><xmax>2e1</xmax><ymin>+4.5</ymin><xmin>.5</xmin></bndbox><name>fig</name></object>
      <size><height>30</height><width>40.0</width></size><filename> 1.jpg </filename></annotation>"""
    sample = read_one(tmp_path, content)
    assert sample.boxes.coordinates == ((0.5, 4.5, 20.0, 25.25),)
    assert (sample.image.name, sample.image.width, sample.image.height) == ("1.jpg", 40, 30)
    assert sample.attributes == {}


@pytest.mark.parametrize("encoding", ["gb2312", "GBK", "big5", "shift_jis", "euc-kr"])
def test_encodings_of_several_bytes_are_read_as_declared(encoding: str, tmp_path: Path) -> None:
    label = {"big5": "蘋果", "shift_jis": "りんご", "euc-kr": "사과"}.get(encoding, "苹果")
    text = f'<?xml version="1.0" encoding="{encoding}"?>\n{labelimg_xml("1.jpg", [label], [(1, 2, 20, 21)])}'
    (tmp_path / "1.xml").write_text(text, encoding=encoding)
    (sample,) = boxwright.open(f"labelimg:{tmp_path}")
    assert sample.boxes.labels == (label,)
    (tmp_path / "1.xml").write_bytes(text.encode(encoding).replace(label.encode(encoding), b"\x81\x7f"))
    with pytest.raises(DataError, match=f"it is not {encoding}"):
        list(boxwright.open(f"labelimg:{tmp_path}"))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "iso-8859-1"])
def test_declared_encodings_are_read(tmp_path: Path, encoding: str) -> None:
    declared = f'<?xml version="1.0" encoding="{encoding.removesuffix("-sig")}"?>\n'
    content = declared + labelimg_xml("1.jpg", ["Mirabelle süß"])
    assert read_one(tmp_path, content.encode(encoding)).boxes.labels == ("Mirabelle süß",)


@pytest.mark.parametrize(
    ("written", "label"),
    [
        ("red, ripe", "red, ripe"),
        ('the "big" one', 'the "big" one'),
        ("a&lt;b &amp; c", "a<b & c"),
        ("вишня", "вишня"),
        ("无花果", "无花果"),
        ("\n  fig\t", "fig"),
        ("\u00a0fig", "\u00a0fig"),
        ("<![CDATA[a&b]]>", "a&b"),
        ("two\nlines", "two\nlines"),
    ],
)
def test_class_names_are_kept_but_for_white_space_around_them(tmp_path: Path, written: str, label: str) -> None:
    assert read_one(tmp_path, labelimg_xml("1.jpg").replace("fig", written)).boxes.labels == (label,)


def test_one_based_coordinates_are_shifted_only_when_asked(tmp_path: Path) -> None:
    assert read_one(tmp_path, labelimg_xml("1.jpg")).boxes.coordinates == ((3, 4, 20, 25),)
    # 1-based with xmax included: columns 3..20 are 18 wide, so 2 to 20 in continuous coordinates.
    assert read_one(tmp_path, labelimg_xml("1.jpg"), one_based=True).boxes.coordinates == ((2, 3, 20, 25),)


def test_inverted_coordinates_are_swapped_only_when_asked(tmp_path: Path) -> None:
    content = labelimg_xml("1.jpg", coordinates=[(39, 4, 20, 25)])
    with pytest.raises(DataError, match=r"1\.xml, object 1 \(fig\): xmin 39 is greater than xmax 20") as caught:
        read_one(tmp_path, content)
    assert "inverted=swap" in caught.value.remedy
    assert read_one(tmp_path, content, inverted="swap").boxes.coordinates == ((20, 4, 39, 25),)


def test_boxes_with_zero_area_and_outside_the_image_are_read(tmp_path: Path) -> None:
    content = labelimg_xml("1.jpg", ["fig", "fig"], [(20, 4, 20, 25), (-7.5, 4, 20, 25)])
    assert read_one(tmp_path, content).boxes.coordinates == ((20, 4, 20, 25), (-7.5, 4, 20, 25))


@pytest.mark.parametrize(
    "content", [labelimg_xml("1.jpg", size=(0, 0)), labelimg_xml("1.jpg").replace("size>", "sizes>")]
)
def test_a_missing_size_is_taken_from_the_upright_image(
    tmp_path: Path, draw: Callable[..., Path], content: str
) -> None:
    with pytest.raises(DataError, match="does not contain the image's size"):
        read_one(tmp_path, content)
    draw("1.jpg", (40, 30), orientation=6)  # to be turned by a quarter
    sample = read_one(tmp_path, content)
    assert (sample.image.width, sample.image.height) == (30, 40)


def test_a_wrong_size_is_found_when_pixels_are_read(tmp_path: Path, draw: Callable[..., Path]) -> None:
    from boxwright.images import decode_sample

    draw("1.jpg", (40, 30))
    sample = read_one(tmp_path, labelimg_xml("1.jpg", size=(400, 300)))
    with pytest.raises(DataError, match=r"1\.xml: the annotated size is 400x300, .* is 40x30"):
        decode_sample(sample)


@pytest.mark.parametrize(
    ("filename", "image"),
    [
        ("1.jpg", "1.jpg"),
        ("1.JPG", "1.jpg"),
        ("1.jpg", "1.JPEG"),
        ("1", "1.png"),
        ("old name.jpg", "1.jpg"),
        ("other.jpg", "other.jpg"),
        ("other", "other.jpg"),
        ("./1.jpg", "1.jpg"),
        ("", "1.jpg"),
        ("cam\\1.jpg", "cam/1.jpg"),
    ],
)
def test_the_image_is_found(tmp_path: Path, draw: Callable[..., Path], filename: str, image: str) -> None:
    path = draw(image)
    sample = read_one(tmp_path, labelimg_xml(filename))
    assert sample.image.location == str(path)
    assert sample.image.name == image
    assert sample.image.read() == path.read_bytes()


def test_the_image_named_is_preferred_to_the_one_with_the_xmls_name(tmp_path: Path, draw: Callable[..., Path]) -> None:
    draw("1.jpg")
    draw("2.jpg")
    assert read_one(tmp_path, labelimg_xml("2.jpg")).image.name == "2.jpg"


def test_two_images_that_fit_equally_well_are_an_error(tmp_path: Path, draw: Callable[..., Path]) -> None:
    draw("1.jpg")
    draw("1.png")
    with pytest.raises(DataError, match=r"1\.xml: it could belong to 1\.jpg or 1\.png"):
        read_one(tmp_path, labelimg_xml("1"))


def test_images_in_another_folder_and_in_sub_folders(tmp_path: Path, draw: Callable[..., Path]) -> None:
    draw("images/1.jpg")
    draw("images/cam/2.jpg")
    labels = tmp_path / "labels"
    (labels / "cam").mkdir(parents=True)
    (labels / "1.xml").write_text(labelimg_xml("1.jpg"))
    (labels / "cam" / "2.xml").write_text(labelimg_xml("2.jpg"))
    samples = read(labels, images=str(tmp_path / "images"))
    assert [sample.image.name for sample in samples] == ["1.jpg", "cam/2.jpg"]
    assert [sample.image.location for sample in samples] == [
        str(tmp_path / "images/1.jpg"),
        str(tmp_path / "images/cam/2.jpg"),
    ]


def test_annotations_are_read_without_images(tmp_path: Path) -> None:
    sample = read_one(tmp_path, labelimg_xml("1.jpg"))
    assert sample.image.location is None
    with pytest.raises(DataError, match=r"1\.jpg") as caught:
        sample.image.read()
    assert "images=FOLDER" in caught.value.remedy


@pytest.mark.parametrize(
    "filename", ["../1.jpg", "a/../../1.jpg", "..\\1.jpg", "/etc/1.jpg", "\\1.jpg", "C:\\1.jpg", "c:1.jpg"]
)
def test_no_image_outside_the_folder_is_reached(tmp_path: Path, draw: Callable[..., Path], filename: str) -> None:
    draw("1.jpg")
    (tmp_path / "in").mkdir()
    with pytest.raises(DataError, match=r"1\.xml: the <filename> is .* leads out of the folder"):
        read_one(tmp_path / "in", labelimg_xml(filename))


@pytest.mark.parametrize(
    "filename",
    ["/home/me/1.jpg", "\\\\server\\photos\\1.jpg", "C:\\1.jpg", "c:1.jpg", "/home/../1.jpg", "..\\..\\upload\\1.jpg"],
)
def test_a_path_of_another_computer_means_the_image_next_to_the_xml(
    tmp_path: Path, draw: Callable[..., Path], filename: str
) -> None:
    draw("1.jpg")
    image = read_one(tmp_path, labelimg_xml(filename)).image
    assert (image.name, image.location) == ("1.jpg", str(tmp_path / "1.jpg"))


@pytest.mark.parametrize("filename", ["/home/../2.jpg", "../../2.jpg", "/", "/..", "C:", "C:\\", "/home/me/"])
def test_a_path_without_the_name_of_an_image_does_not(tmp_path: Path, draw: Callable[..., Path], filename: str) -> None:
    draw("1.jpg")
    with pytest.raises(DataError, match="leads out of the folder"):
        read_one(tmp_path, labelimg_xml(filename))


def test_images_without_xml(tmp_path: Path, draw: Callable[..., Path]) -> None:
    draw("1.jpg")
    extra = draw("2.jpg", (40, 30), orientation=6)
    (tmp_path / "1.xml").write_text(labelimg_xml("1.jpg"))
    reader = LabelImgReader(str(tmp_path))
    assert [sample.image.name for sample in reader.read(raise_it)] == ["1.jpg"]
    assert reader.info.num_samples == 1
    assert "not read: 1 " in reader.info.notes[0]
    one, two = read(tmp_path, unannotated="include")
    assert (one.image.name, len(one.boxes)) == ("1.jpg", 1)
    assert (two.image.name, len(two.boxes), two.image.width, two.image.height) == ("2.jpg", 0, 30, 40)
    assert two.image.read() == extra.read_bytes()


def test_images_and_no_xml_at_all_is_an_error(tmp_path: Path, draw: Callable[..., Path]) -> None:
    draw("1.jpg")
    with pytest.raises(DataError, match=r"it contains images \(1\) and no XML file") as caught:
        LabelImgReader(str(tmp_path))
    assert caught.value.remedy.startswith(f"draw boxes: boxwright annotate {tmp_path}; or name")
    assert "?images=" in caught.value.remedy
    assert len(read(tmp_path, unannotated="include")) == 1


def test_an_empty_folder_is_an_empty_dataset_and_a_missing_one_is_an_error(tmp_path: Path) -> None:
    assert read(tmp_path) == []
    with pytest.raises(DataError, match="folder not found"):
        LabelImgReader(str(tmp_path / "missing"))
    (tmp_path / "file.xml").write_text(labelimg_xml("1.jpg"))
    with pytest.raises(DataError, match="it is a file") as caught:
        LabelImgReader(str(tmp_path / "file.xml"))
    assert "folder" in caught.value.remedy


def test_hidden_files_are_no_part_of_the_dataset(tmp_path: Path) -> None:
    (tmp_path / "._1.xml").write_bytes(b"\0\5\26\7")  # what macOS leaves on other file systems
    assert len(read_one(tmp_path, labelimg_xml("1.jpg")).boxes) == 1


def test_a_link_back_to_the_folder_does_not_repeat_it(tmp_path: Path) -> None:
    (tmp_path / "again").symlink_to(tmp_path, target_is_directory=True)
    assert read_one(tmp_path, labelimg_xml("1.jpg")).image.name == "1.jpg"


def test_remote_folders_are_read(tmp_path: Path, draw: Callable[..., Path]) -> None:
    import fsspec

    content = draw("1.jpg").read_bytes()
    fs = fsspec.filesystem("memory")
    fs.pipe("/labelimg-test/cam/1.xml", labelimg_xml("1.jpg").encode())
    fs.pipe("/labelimg-test/cam/1.jpg", content)
    (sample,) = read("memory://labelimg-test")
    assert sample.image.name == "cam/1.jpg"
    assert sample.image.location == "memory://labelimg-test/cam/1.jpg"
    assert sample.image.read() == content
    with pytest.raises(DataError, match="folder not found"):
        read("memory://labelimg-missing")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems' file names are always Unicode")
def test_file_names_that_are_no_utf8_are_an_error(tmp_path: Path, draw: Callable[..., Path]) -> None:
    image = draw("1.jpg").rename(tmp_path / os.fsdecode(b"\xff.jpg"))
    with pytest.raises(DataError, match=r"\.jpg: its path is not UTF-8") as caught:
        read(tmp_path, unannotated="include")
    assert str(caught.value).encode()  # can be printed
    (tmp_path / os.fsdecode(b"\xff.xml")).write_text(labelimg_xml(""))
    with pytest.raises(DataError, match=r"\.xml: its path is not UTF-8"):
        read(tmp_path)
    assert image.exists()


def test_large_files_are_read_whole(tmp_path: Path) -> None:
    sample = read_one(tmp_path, labelimg_xml("1.jpg", ["fig"] * 1000))
    assert len(sample.boxes) == 1000


@pytest.mark.parametrize(
    ("written", "existing"),
    [
        ("caf\u00e9.jpg", "cafe\u0301.jpg"),  # as macOS unpacks it
        ("cafe\u0301.jpg", "caf\u00e9.jpg"),
        ("CAFE\u0301.JPG", "caf\u00e9.jpg"),
        ("a%20b%C3%A9.jpg", "a bé.jpg"),
        ("100%25.jpg", "100%.jpg"),
        ("50%.jpg", "50%.jpg"),
        ("a%20b.jpg", "a%20b.jpg"),
    ],
)
def test_an_image_is_found_by_another_spelling(
    tmp_path: Path, draw: Callable[..., Path], written: str, existing: str
) -> None:
    draw(existing)
    sample = read_one(tmp_path, labelimg_xml(written))
    assert (sample.image.name, sample.image.location) == (existing, str(tmp_path / existing))


def test_an_escape_does_not_lead_out(tmp_path: Path, draw: Callable[..., Path]) -> None:
    draw("secret.jpg")
    (tmp_path / "in").mkdir()
    assert read_one(tmp_path / "in", labelimg_xml("%2e%2e/secret.jpg")).image.location is None


def test_an_address_is_not_a_file_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"<filename> is 'https://x\.org/1\.jpg', an address on the network"):
        read_one(tmp_path, labelimg_xml("https://x.org/1.jpg"))


def test_a_folder_of_cvats_xml_is_not_taken_for_ones_own(tmp_path: Path) -> None:
    from boxwright_voc.detect import detect_labelimg

    (tmp_path / "annotations.xml").write_text("<?xml version='1.0'?>\n<annotations>\n  <version>1.1</version>")
    assert detect_labelimg(str(tmp_path)).reason == "1 .xml files, and no <annotation> in the first"
    (tmp_path / "annotations.xml").write_text('<annotation verified="yes">')
    assert detect_labelimg(str(tmp_path)).matches


def test_folders_of_folders_are_recognized(tmp_path: Path) -> None:
    """As Roboflow exports Pascal VOC: train/NAME.xml next to its image, and valid, and test."""
    for split in ("train", "valid"):
        (tmp_path / split).mkdir()
        (tmp_path / split / "1.xml").write_text(labelimg_xml("1.jpg"))
    assert repr(boxwright.open(str(tmp_path))).startswith("<Dataset labelimg:")
    (tmp_path / "train" / "1.xml").write_text("<config/>")
    (tmp_path / "valid" / "1.xml").write_text("<config/>")
    from boxwright_voc.detect import detect_labelimg

    assert detect_labelimg(str(tmp_path)).reason == "2 .xml files in its sub-folders, and no <annotation> in the first"


def test_a_folder_is_recognized(tmp_path: Path) -> None:
    from boxwright_voc.detect import detect_labelimg

    (tmp_path / "1.xml").write_text(labelimg_xml("1.jpg"), encoding="utf-16")
    assert detect_labelimg(str(tmp_path)).matches
    assert repr(boxwright.open(str(tmp_path))).startswith("<Dataset labelimg:")
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "JPEGImages").mkdir()
    assert not detect_labelimg(str(tmp_path)).matches
    (tmp_path / "Annotations" / "1.xml").write_text("<config/>")
    assert "no <annotation>" in detect_labelimg(str(tmp_path / "Annotations")).reason


def test_an_image_of_another_xml_is_not_unannotated(tmp_path: Path, draw: Callable[..., Path]) -> None:
    draw("2.jpg")
    draw("3.jpg")
    (tmp_path / "1.xml").write_text(labelimg_xml("2.jpg"))
    names = [(sample.image.name, len(sample.boxes)) for sample in read(tmp_path, unannotated="include")]
    assert names == [("2.jpg", 1), ("3.jpg", 0)]
    assert LabelImgReader(str(tmp_path), unannotated="include").parts == 3


def test_a_declaration_without_end_takes_no_time(tmp_path: Path) -> None:
    """The time of a regular expression grew with the square of its length."""
    (tmp_path / "1.xml").write_bytes(b"<?xml" + b' encoding="a"' * 100_000)
    with pytest.raises(DataError, match="not well-formed"):
        list(boxwright.open(f"labelimg:{tmp_path}"))
