from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import boxwright
from boxwright import DataError, Sample
from boxwright_csv.reader import CsvReader

HEADER = "filename,width,height,class,xmin,ymin,xmax,ymax\n"


def raise_it(error: DataError) -> None:
    raise error


def read(path: Path | str, **options: Any) -> list[Sample]:
    return list(CsvReader(str(path), **options).read(raise_it))


def read_text(folder: Path, content: str | bytes, **options: Any) -> list[Sample]:
    path = folder / "labels.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read(path, **options)


@pytest.mark.parametrize("said", ["/home/me/a.jpg", "D:\\photos\\a.jpg"])
def test_an_absolute_path_means_the_image_with_its_last_part(tmp_path: Path, said: str) -> None:
    row = f"{HEADER}{said},40,30,fig,1,2,30,20\n"
    with pytest.raises(DataError, match="leads out of the folder"):
        read_text(tmp_path, row)
    (tmp_path / "a.jpg").write_bytes(b"")
    (sample,) = read_text(tmp_path, row)
    assert (sample.image.name, sample.image.location) == ("a.jpg", str(tmp_path / "a.jpg"))


def test_rows_become_samples(tmp_path: Path) -> None:
    one, two = read_text(
        tmp_path, HEADER + "a.jpg,40,30,fig,1,2,30,20\na.jpg,40,30,date,0.5,2,3e1,20.25\nb.jpg,4,3,fig,-1,0,5,0\n"
    )
    assert (one.image.name, one.image.width, one.image.height, one.image.location) == ("a.jpg", 40, 30, None)
    assert one.boxes.labels == ("fig", "date")
    assert one.boxes.coordinates == ((1, 2, 30, 20), (0.5, 2, 30, 20.25))
    assert not one.boxes.has_attributes
    assert two.boxes.coordinates == ((-1, 0, 5, 0),)
    assert two.source.endswith("labels.csv, line 4")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_what_spreadsheets_save(tmp_path: Path, delimiter: str, line_end: str, encoding: str) -> None:
    rows = [
        ["Class", "xmin", "ymin", "xmax", "ymax", "Filename", "height", "width"],
        ['"red, ""ripe""; вишня"', "1", "2", "30", "20", '"a, b.jpg"', "30", "40"],
        [],
        [""] * 8,
    ]
    content = "".join(delimiter.join(row) + line_end for row in rows)
    (sample,) = read_text(tmp_path, content.encode(encoding))
    assert sample.image.name == "a, b.jpg"
    assert (sample.image.width, sample.image.height) == (40, 30)
    assert sample.boxes.labels == ('red, "ripe"; вишня',)
    assert sample.boxes.coordinates == ((1, 2, 30, 20),)


def test_other_columns_become_attributes(tmp_path: Path) -> None:
    (sample,) = read_text(
        tmp_path,
        ",filename,class,xmin,ymin,xmax,ymax,width,height,difficult,score,remark\n"
        "0,a.jpg,fig,1,2,30,20,40,30,1,0.5,left over\n"
        "1,a.jpg,fig,1,2,30,20,40,30,,,\n",
    )
    assert sample.boxes.attributes[0] == {"difficult": 1, "score": 0.5, "remark": "left over"}
    assert type(sample.boxes.attributes[0]["difficult"]) is int
    assert sample.boxes.attributes[1] == {}


def test_names_over_several_lines_keep_the_line_numbers_right(tmp_path: Path) -> None:
    content = HEADER + 'a.jpg,40,30,"two\nlines",1,2,30,20\n\nb.jpg,40,30,fig,x,2,30,20\n'
    with pytest.raises(DataError, match=r"labels\.csv, line 5 \(fig\): xmin is 'x'"):
        read_text(tmp_path, content)
    assert content.splitlines()[4].startswith("b.jpg")


def test_a_name_without_class_and_coordinates_is_an_image_without_boxes(tmp_path: Path) -> None:
    (sample,) = read_text(tmp_path, HEADER + "a.jpg,40,30,,,,,\n")
    assert (sample.image.name, len(sample.boxes)) == ("a.jpg", 0)


def test_rows_of_an_image_are_combined_on_request(tmp_path: Path) -> None:
    content = HEADER + "a.jpg,40,30,fig,1,2,30,20\nb.jpg,40,30,fig,1,2,30,20\na.jpg,40,30,date,1,2,30,20\n"
    a, b = read_text(tmp_path, content, grouped=False)
    assert (a.image.name, a.boxes.labels) == ("a.jpg", ("fig", "date"))
    assert (b.image.name, b.boxes.labels) == ("b.jpg", ("fig",))


def test_one_based_and_inverted(tmp_path: Path) -> None:
    content = HEADER + "a.jpg,40,30,fig,30,2,1,20\n"
    assert read_text(tmp_path, content, inverted="swap")[0].boxes.coordinates == ((1, 2, 30, 20),)
    # 1-based with xmax included: columns 1..40 are all 40 of the image.
    content = HEADER + "a.jpg,40,30,fig,1,1,40,30\n"
    assert read_text(tmp_path, content, one_based=True)[0].boxes.coordinates == ((0, 0, 40, 30),)
    assert read_text(tmp_path, content)[0].boxes.coordinates == ((1, 1, 40, 30),)


def test_images_are_found_next_to_the_file_or_in_a_folder(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated by 90 degrees: 30 wide, 40 high
    for place in ("a.jpg", "images/cam/b.jpg"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30)).save(tmp_path / place, exif=exif)
    no_size = "filename,class,xmin,ymin,xmax,ymax\n"
    (here,) = read_text(tmp_path, no_size + "a.jpg,fig,1,2,30,20\n")
    assert here.image.location == str(tmp_path / "a.jpg")
    assert (here.image.width, here.image.height) == (30, 40)
    (elsewhere,) = read_text(tmp_path, no_size + "cam\\b.jpg,fig,1,2,30,20\n", images=str(tmp_path / "images"))
    assert elsewhere.image.name == "cam/b.jpg"
    assert elsewhere.image.location == f"{tmp_path}/images/cam/b.jpg"
    assert (elsewhere.image.width, elsewhere.image.height) == (30, 40)


def test_the_label_map_next_to_it_defines_the_class_ids(tmp_path: Path) -> None:
    (tmp_path / "label_map.pbtxt").write_text("item { id: 1 name: 'fig' }\nitem { id: 2 name: 'date' }")
    (tmp_path / "other.pbtxt").write_text("item { id: 7 name: 'fig' }")
    (tmp_path / "labels.csv").write_text(HEADER + "a.jpg,40,30,fig,1,2,30,20\n")
    assert boxwright.open(f"csv:{tmp_path}/labels.csv").label_map.names == ("fig", "date")
    given = boxwright.open(f"csv:{tmp_path}/labels.csv?label_map={tmp_path}/other.pbtxt")
    assert given.label_map.id("fig") == 7
    with pytest.raises(DataError, match="file not found"):
        CsvReader(str(tmp_path / "labels.csv"), label_map="missing.pbtxt")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", r"labels\.csv: the file is empty"),
        (b"\nfilename", r"labels\.csv: its first line is blank"),
        (b"filename,class,xmin,ymin\n", r"line 1: the header has no column xmax, ymax; it has: filename, class"),
        (b"a.jpg,40,30,fig,1,2,30,20\n", r"line 1: the header has no column filename, class, xmin"),
        (HEADER.replace("width", "class").encode(), r"line 1: duplicate column 'class'"),
        (HEADER.encode() + b"a.jpg,40,30,fig,1,2,30,20\n\xff.jpg,1,1,fig,0,0,1,1\n", r"line 3: it is not UTF-8"),
        (b"PK\3\4\x14\0\x08\0\xff\xfe", r"line 1: it is not UTF-8"),
    ],
)
def test_files_that_are_not_a_table_of_boxes(tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(DataError, match=says) as caught:
        read_text(tmp_path, content)
    assert caught.value.remedy


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"missing\.csv: file not found"):
        CsvReader(str(tmp_path / "missing.csv"))


def test_remote_files_are_read() -> None:
    import fsspec

    fs = fsspec.filesystem("memory")
    fs.pipe("/csv-test/labels.csv", (HEADER + "a.jpg,40,30,fig,1,2,30,20\n").encode())
    fs.pipe("/csv-test/a.jpg", b"bytes")
    fs.pipe("/csv-test/label_map.pbtxt", b"item { id: 3 name: 'fig' }")
    dataset = boxwright.open("csv:memory://csv-test/labels.csv")
    (sample,) = dataset
    assert sample.image.location == "memory://csv-test/a.jpg"
    assert sample.image.read() == b"bytes"
    assert dataset.label_map.id("fig") == 3


def test_a_file_is_recognized_by_its_header(tmp_path: Path) -> None:
    from boxwright_csv.detect import detect

    (tmp_path / "labels.csv").write_text(HEADER)
    (tmp_path / "other.csv").write_text("a,b\n")
    assert detect(str(tmp_path / "labels.csv")).matches
    assert "no column filename" in detect(str(tmp_path / "other.csv")).reason


@pytest.mark.parametrize(("said", "there"), [("caf\u00e9.jpg", "cafe\u0301.jpg"), ("a%20b.jpg", "a b.jpg")])
def test_an_image_is_found_by_another_spelling(tmp_path: Path, said: str, there: str) -> None:
    (tmp_path / there).write_bytes(b"")
    (sample,) = read_text(tmp_path, f"{HEADER}{said},40,30,fig,1,2,30,20\n")
    assert (sample.image.name, sample.image.location) == (said, str(tmp_path / there))
