"""demo, info, view, convert and formats."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from PIL import Image

MUG = "a.jpg 40 30 mug 1 2 11 12"
TWO = "b.jpg 80 60 mug 0 0 8 6 key 10 10 20 30"
NONE = "c.jpg 40 30"
BAD = "d.jpg wide"


# demo --------------------------------------------------------------------------------------------------------------


def test_demo_draws_labelimg_folders_with_a_quarter_for_testing(boxwright, tmp_path):
    pytest.importorskip("boxwright_voc")
    report = boxwright.json("demo", tmp_path / "demo", "--images", 8, "--seed", 3, "--size", "96x64")
    assert list(report["samples"].values()) == [8, 2]
    for split, number in (("train", 8), ("test", 2)):
        files = sorted((tmp_path / "demo" / split).glob("*.xml"))
        assert len(files) == number
        for file in files:
            root = ElementTree.parse(file).getroot()
            with Image.open(file.with_name(root.findtext("filename"))) as image:
                assert (image.format, image.size) == ("JPEG", (96, 64))
            names = {item.findtext("name") for item in root.iter("object")}
            assert names
            assert names <= {"key", "leaf", "mug"}


def test_demo_images_depend_on_the_seed_alone(boxwright, tmp_path):
    pytest.importorskip("boxwright_voc")
    for name, images, seed in (("one", 4, 7), ("two", 8, 7), ("other", 4, 8)):
        assert boxwright("demo", tmp_path / name, "--images", images, "--seed", seed).exit_code == 0
    one, two, other = ((tmp_path / n / "train" / "train-0001.jpg").read_bytes() for n in ("one", "two", "other"))
    assert one == two
    assert one != other


def test_demo_keeps_what_is_there_and_says_what_to_type_next(boxwright, tmp_path):
    pytest.importorskip("boxwright_voc")
    target = tmp_path / "demo"
    first = boxwright("demo", target, "--images", 4)
    assert f"boxwright train --data labelimg:{target}/train" in first.stdout
    assert "boxwright train" not in boxwright("demo", tmp_path / "quiet", "--images", 4, "--quiet").stdout
    kept = (target / "train" / "train-0001.jpg").read_bytes()
    second = boxwright("demo", target, "--images", 4, "--seed", 1)
    assert second.exit_code == 1
    assert "exists already" in second.stderr
    assert (target / "train" / "train-0001.jpg").read_bytes() == kept
    assert boxwright("demo", target, "--images", 4, "--seed", 1, "--overwrite").exit_code == 0
    assert (target / "train" / "train-0001.jpg").read_bytes() != kept


def test_demo_without_its_plugin_says_how_to_install_it(boxwright, tmp_path, monkeypatch):
    monkeypatch.setenv("BOXWRIGHT_PLUGINS", "labelimg")
    result = boxwright("demo", tmp_path / "demo")
    assert result.exit_code == 2
    assert "no format named 'demo'" in result.stderr
    assert "python -m pip install boxwright-demo" in result.stderr


# info --------------------------------------------------------------------------------------------------------------


def test_info_counts(boxwright, lines):
    found = boxwright.json("info", lines(MUG, TWO, NONE, "e.jpg 40 30 key 35 5 45 5"))
    assert (found["pictures"], found["boxes"], found["pictures_without_boxes"]) == (4, 4, 1)
    assert found["classes"] == {
        "key": {"id": 1, "boxes": 2, "pictures": 2},
        "mug": {"id": 2, "boxes": 2, "pictures": 2},
    }
    assert found["sizes"] == [
        {"width": 40, "height": 30, "pictures": 3},
        {"width": 80, "height": 60, "pictures": 1},
    ]
    # The box from 35 to 45 extends beyond an image of width 40, and has zero height.
    assert found["flawed_boxes"] == {"without area": 1, "outside the image": 1}
    # sqrt(100 / 1200), the relative size of the largest: 0.2887; of the flawed one: 0.
    assert found["relative_box_size"]["largest"] == pytest.approx((100 / 1200) ** 0.5)
    assert found["relative_box_size"]["smallest"] == 0
    assert found["label_map"] == "made from the data, sorted by name"


def test_info_tells_a_person_the_same(boxwright, lines):
    result = boxwright("info", lines(MUG, TWO, NONE))
    assert result.exit_code == 0
    rows = [line.split() for line in result.stdout.splitlines()]
    assert ["key", "1", "1", "1"] in rows
    assert ["mug", "2", "2", "2"] in rows
    assert ["40x30", "2"] in rows
    assert "3 images, 3 boxes; 1 image without boxes" in result.stdout


def test_info_prints_reasons_without_a_format(boxwright, lines):
    place = lines(MUG).partition(":")[2]
    found = boxwright.json("info", place)
    assert found["format"] == "lines"
    assert found["recognised"]["lines"] == {"matches": True, "near": False, "reason": "its name ends in .lines"}
    assert not any(answer["matches"] for name, answer in found["recognised"].items() if name != "lines")
    assert "yes lines: its name ends in .lines" in boxwright("info", place).stdout
    assert boxwright.json("info", f"lines:{place}")["recognised"] == {}


def test_bad_items_stop_or_are_listed(boxwright, lines):
    uri = lines(MUG, BAD, TWO)
    place = uri.partition(":")[2]
    stopped = boxwright("info", uri)
    assert stopped.exit_code == 1
    assert f"{place}, line 2: this is not an annotation\n  -> correct the line" in stopped.stderr
    listed = boxwright.json("info", uri, "--on-error", "skip")
    assert listed["pictures"] == 2
    assert listed["skipped"] == [
        {"file": place, "place": "line 2", "problem": "this is not an annotation", "remedy": "correct the line"}
    ]


# convert -----------------------------------------------------------------------------------------------------------


def test_convert_writes_and_reports(boxwright, lines, tmp_path):
    target = tmp_path / "out.lines"
    report = boxwright.json("convert", lines(MUG, TWO, NONE), f"lines:{target}")
    assert report["samples"] == {f"lines:{target}": 3}
    assert report["boxes"] == 3
    assert report["classes"] == {"key": 1, "mug": 2}
    assert target.read_text().splitlines() == ["a.jpg 40 30 mug 1 2 11 12", TWO, "c.jpg 40 30 "]


def test_convert_says_what_was_dropped(boxwright, lines, tmp_path):
    uri = lines("a.jpg 40 30 mug 1 2 3 4 difficult=1 key 1 2 3.5 4 difficult=1", "b.jpg 40 30 mug 1.5 2 3 4")
    result = boxwright("convert", uri, f"lines:{tmp_path}/out.lines")
    assert result.exit_code == 0
    words = [line.split() for line in result.stdout.splitlines()]
    assert ["dropped", "difficult", "2", "boxes"] in words
    assert ["changed", "sub-pixel", "coordinates", "2", "boxes"] in words
    assert "--strict" in result.stdout


def test_strict_refuses_before_the_first_byte(boxwright, lines, tmp_path):
    uri = lines("a.jpg 40 30 mug 1 2 3 4 difficult=1")
    folder = tmp_path / "out"
    folder.mkdir()
    result = boxwright("convert", uri, f"lines:{folder}/out.lines", "--strict")
    assert result.exit_code == 1
    assert "difficult: 1 box" in result.stderr
    assert list(folder.iterdir()) == []


def test_convert_refuses_to_overwrite(boxwright, lines, tmp_path):
    target = tmp_path / "out.lines"
    target.write_text("mine\n")
    uri = lines(MUG)
    result = boxwright("convert", uri, f"lines:{target}")
    assert result.exit_code == 1
    assert "exists already" in result.stderr
    assert "--overwrite" in result.stderr
    assert target.read_text() == "mine\n"
    assert boxwright("convert", uri, f"lines:{target}", "--overwrite").exit_code == 0
    assert target.read_text() == MUG + "\n"


def test_convert_lists_ten_skipped_items_and_all_of_them_as_json(boxwright, lines, tmp_path):
    uri = lines(MUG, *(f"bad{n}.jpg wide" for n in range(13)))
    result = boxwright("convert", uri, f"lines:{tmp_path}/a.lines", "--on-error", "skip")
    assert result.exit_code == 0
    assert "Skipped: 13 items" in result.stdout
    assert result.stdout.count("this is not an annotation") == 10
    assert "and 3 more" in result.stdout
    report = boxwright.json("convert", uri, f"lines:{tmp_path}/b.lines", "--on-error", "skip")
    assert [item["place"] for item in report["skipped"]] == [f"line {n}" for n in range(2, 15)]


def test_convert_applies_steps_in_their_order(boxwright, lines, tmp_path):
    target = tmp_path / "out.lines"
    report = boxwright.json("convert", lines(MUG, NONE), f"lines:{target}", "--with", "annotated", "--workers", 2)
    assert report["samples"] == {f"lines:{target}": 1}


def test_convert_of_nothing_is_an_error(boxwright, lines, tmp_path):
    result = boxwright("convert", lines(), f"lines:{tmp_path}/out.lines")
    assert result.exit_code == 1
    assert "no annotated images" in result.stderr
    assert not (tmp_path / "out.lines").exists()


def test_unknown_class_against_a_label_map_file(boxwright, lines, tmp_path):
    label_map = tmp_path / "classes.pbtxt"
    label_map.write_text("item {\n  id: 1\n  name: 'mug'\n}\n")
    result = boxwright("convert", lines(TWO), f"lines:{tmp_path}/out.lines", "--label-map", label_map)
    assert result.exit_code == 1
    assert "'key'" in result.stderr
    assert str(label_map) in result.stderr
    assert not (tmp_path / "out.lines").exists()


def test_demo_to_csv_has_the_rows_of_the_xml(boxwright, tmp_path):
    pytest.importorskip("boxwright_voc")
    pytest.importorskip("boxwright_csv")
    assert boxwright("demo", tmp_path / "demo", "--images", 4).exit_code == 0
    target = tmp_path / "labels.csv"
    report = boxwright.json("convert", f"labelimg:{tmp_path}/demo/train", f"csv:{target}")
    with target.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    expected = []
    for path in sorted((tmp_path / "demo" / "train").glob("*.xml")):
        root = ElementTree.parse(path).getroot()
        for item in root.iter("object"):
            box = [float(item.findtext(f"bndbox/{edge}", "")) for edge in ("xmin", "ymin", "xmax", "ymax")]
            expected.append((root.findtext("filename"), item.findtext("name"), box))
    written = [
        (row["filename"], row["class"], [float(row[edge]) for edge in ("xmin", "ymin", "xmax", "ymax")]) for row in rows
    ]
    assert written == expected
    assert report["boxes"] == len(expected)


# view --------------------------------------------------------------------------------------------------------------


def test_view_writes_a_sheet_to_the_current_folder(boxwright, lines, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    uri = lines(MUG, TWO)
    assert boxwright("view", uri).exit_code == 0
    with Image.open("sheet.png") as sheet:
        assert sheet.format == "PNG"
        assert sheet.width > 2 * 320
    again = boxwright("view", uri)
    assert again.exit_code == 1
    assert "exists already" in again.stderr
    assert boxwright("view", uri, "--overwrite").exit_code == 0


def test_view_writes_a_page_that_loads_nothing(boxwright, lines, tmp_path):
    page = tmp_path / "page.html"
    shown = boxwright.json("view", lines(MUG, TWO, NONE), "--out", page)
    assert shown["shown"] == 3
    text = page.read_text("utf-8")
    assert text.count("<img ") == 3
    assert text.count('src="data:image/jpeg;base64,') == 3
    assert "mug (2)" in text
    assert "http" not in text.replace("http-equiv", "")


def test_view_spreads_its_choice_and_repeats_it(boxwright, lines, tmp_path):
    uri = lines(*(f"p{n:02}.jpg 32 32 mug 1 2 9 9" for n in range(12)))

    def names(*words):
        page = tmp_path / "page.html"
        assert boxwright("view", uri, "--out", page, "--overwrite", "--images", 3, *words).exit_code == 0
        return [f"p{n:02}.jpg" for n in range(12) if f"p{n:02}.jpg" in page.read_text("utf-8")]

    # The middles of three thirds of twelve.
    assert names() == ["p02.jpg", "p06.jpg", "p10.jpg"]
    assert names("--seed", 1) == names("--seed", 1)
    assert len(names("--seed", 1)) == 3
    assert len({tuple(names("--seed", seed)) for seed in range(5)}) > 1


def test_view_shows_images_before_and_after_augmenters(boxwright, lines, tmp_path):
    uri = lines(MUG, TWO)
    plain = boxwright.json("view", uri, "--out", tmp_path / "plain.html")
    words = ["--augment", "flip:probability=1", "--augment", "choice(blur|color)"]
    shown = boxwright.json("view", uri, "--out", tmp_path / "both.html", *words)
    assert shown | {"out": ""} == plain | {"out": ""}
    sizes = []
    for name in ("plain", "both"):
        found = re.findall(r"base64,([\w+/=]+)", (tmp_path / f"{name}.html").read_text("utf-8"))
        sizes.append([Image.open(io.BytesIO(base64.b64decode(text))).width for text in found])
    assert len(sizes[0]) == len(sizes[1]) == 2
    assert all(both > 2 * one for one, both in zip(*sizes, strict=True))
    unknown = boxwright("view", uri, "--out", tmp_path / "other.html", "--augment", "flop")
    assert unknown.exit_code == 2
    assert "did you mean 'flip'?" in unknown.stderr
    assert not (tmp_path / "other.html").exists()


def test_view_of_one_class(boxwright, lines, tmp_path):
    uri = lines(MUG, TWO, NONE)
    shown = boxwright.json("view", uri, "--out", tmp_path / "page.html", "--class", "key")
    assert (shown["shown"], shown["candidates"]) == (1, 1)
    wrong = boxwright("view", uri, "--out", tmp_path / "other.html", "--class", "kay")
    assert wrong.exit_code == 2
    assert "did you mean 'key'?" in wrong.stderr
    assert not (tmp_path / "other.html").exists()


def test_view_of_a_damaged_image(boxwright, lines, tmp_path):
    uri = lines(MUG, TWO)
    image = tmp_path / "photos" / "b.jpg"
    image.write_bytes(image.read_bytes()[:200])
    stopped = boxwright("view", uri, "--out", tmp_path / "sheet.png")
    assert stopped.exit_code == 1
    assert "b.jpg" in stopped.stderr
    assert not list(tmp_path.glob("*sheet*"))
    shown = boxwright.json("view", uri, "--out", tmp_path / "sheet.png", "--on-error", "skip")
    assert shown["shown"] == 1
    assert "b.jpg" in shown["skipped"][0]


def test_view_without_images(boxwright, lines, tmp_path):
    result = boxwright("view", lines(), "--out", tmp_path / "sheet.png")
    assert result.exit_code == 1
    assert "no images to draw" in result.stderr


# formats -----------------------------------------------------------------------------------------------------------


def test_formats_say_what_they_read_write_and_carry(boxwright):
    formats = {f["name"]: f for f in boxwright.json("formats")["formats"]}
    assert formats["lines"] == {
        "name": "lines",
        "summary": "One line per image",
        "reads": True,
        "writes": True,
        "target": "file",
        "suffixes": [".lines"],
        "carries": ["empty"],
        "carries_with": {"captions=true": ["+box.caption", "-empty"]},
        "adds": [],
        "read_options": [
            {
                "name": "chatty",
                "type": "true|false",
                "default": False,
                "required": False,
                "limits": "",
                "help": "whether it prints while it reads",
            }
        ],
        "write_options": [
            {
                "name": "captions",
                "type": "true|false",
                "default": False,
                "required": False,
                "limits": "",
                "help": "whether to write captions after the boxes",
            }
        ],
        "true_size": False,
        "label_map_file": None,
        "distribution": "cli-probe",
        "version": "1.0",
        "missing": [],
        "install": "",
        "docs": None,
    }
    assert (formats["endless"]["reads"], formats["endless"]["writes"]) == (True, False)
    text = boxwright("formats").stdout
    assert ["endless", "yes", "no", "Never", "ends"] in [line.split() for line in text.splitlines()]
    assert "carries:" not in text, "the list would be pages long"
    text = boxwright("formats", *formats).stdout
    assert "carries: images without boxes\n    with captions=true: also caption, not images without boxes" in text
    assert "run: python -m pip install no-such-library" in text
    assert boxwright("formats", "nosuch").exit_code == 2


def test_json_of_a_failed_measurement_is_valid_json(boxwright, lines, tmp_path):
    # NaN is not valid JSON (RFC 8259, section 6).
    uri = lines(MUG)
    assert boxwright("train", "--data", uri, "--out", tmp_path / "run", "--backend", "average").exit_code == 0
    result = boxwright("evaluate", tmp_path / "run", "--data", uri, "--metric", "found", "--json")
    parsed = json.loads(result.stdout, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
    assert parsed["values"] == {"found": 1.0, "nothing": None}


def test_places_may_hold_spaces_and_other_scripts(boxwright, lines, tmp_path):
    target: Path = tmp_path / "größe 大" / "out put.lines"
    assert boxwright("convert", lines(MUG, name="фото списка.lines"), f"lines:{target}").exit_code == 0
    assert target.read_text() == MUG + "\n"
