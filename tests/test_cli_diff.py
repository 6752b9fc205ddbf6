"""diff: what is printed, what is drawn, and the exit code."""

from __future__ import annotations

import json

from PIL import Image

A = "a.jpg 40 30 mug 1 2 21 22 key 4 4 30 28"
B = "b.jpg 40 30 mug 1 2 21 22"
C = "c.jpg 40 30"


def test_the_same(boxwright, lines):
    uri = lines(A, B, C)
    result = boxwright("diff", uri, lines(C, A, B, name="other.lines"))
    assert result.exit_code == 0
    assert "3 images in both, 3 of them alike; 3 boxes in both" in result.stdout
    assert result.stdout.splitlines()[-1] == "no differences"
    assert boxwright.json("diff", uri, uri)["same"] is True


def test_what_differs_is_counted_and_shown(boxwright, lines):
    first = lines(A, B, C, "d.jpg 40 30 key 1 1 9 9 mug 2 20 8 29")
    second = lines(
        "a.jpg 40 30 mug 1 2 23 22 key 4 4 30 28 pose=Left",
        "b.jpg 80 60 cup 2 4 42 44",
        "d.jpg 40 30 key 1 1 9 9 mug 20 2 29 8",
        "e.jpg 40 30",
        name="other.lines",
    )
    result = boxwright("diff", first, second)
    assert result.exit_code == 1
    out = result.stdout
    rows = [line.split() for line in out.splitlines()]
    assert ["images", "with", "another", "size", "1"] in rows
    assert ["boxes", "moved", "1", "by", "up", "to", "2", "px"] in rows
    assert ["box.pose", "1"] in rows
    expected = """
a.jpg
  ~ mug (1, 2, 21, 22) -> (1, 2, 23, 22)
  ~ key (4, 4, 30, 28): pose: none -> Left

b.jpg
  ~ size: 40x30 -> 80x60
  ~ mug (1, 2, 21, 22): mug -> cup

d.jpg
  - mug (2, 20, 8, 29)
  + mug (20, 2, 29, 8)

c.jpg
  - only in the first

e.jpg
  + only in the second
"""
    assert out.endswith(expected)


def test_json_has_all_and_only_json(boxwright, lines):
    first = lines(*[f"p{n:02}.jpg 40 30 mug 1 2 21 22" for n in range(15)])
    second = lines(*[f"p{n:02}.jpg 40 30" for n in range(15)], name="other.lines")
    result = boxwright("diff", first, second, "--shown", 3)
    assert result.stdout.count("- mug (1, 2, 21, 22)") == 3
    assert "... and 12 images more; --json lists all" in result.stdout
    result = boxwright("diff", first, second, "--json")
    assert result.exit_code == 1
    content = json.loads(result.stdout)
    assert content["counts"] == {"removed": 15}
    assert len(content["differences"]) == 15


def test_another_pixel_convention_is_said_once(boxwright, lines):
    first = lines(*[f"p{n}.jpg 40 30 mug {n} {n} 21 22" for n in range(5)])
    second = lines(*[f"p{n}.jpg 40 30 mug {n + 1} {n + 1} 21 22" for n in range(5)], name="other.lines")
    out = boxwright("diff", first, second).stdout
    assert "the second looks shifted by (+1, +1, 0, 0) in all boxes: another pixel convention" in out
    assert "-> the second counts from 1 with the last pixel included, as Pascal VOC does" in out
    assert "p0.jpg" not in out  # five times the same would say nothing more
    content = json.loads(boxwright("diff", first, second, "--json").stdout)
    assert content["offset"]["edges"] == [1.0, 1.0, 0.0, 0.0]
    assert len(content["differences"]) == 5


def test_what_an_offset_does_not_explain_is_shown(boxwright, lines):
    first = lines(*[f"p{n}.jpg 40 30 mug {n} {n} 21 22" for n in range(20)], "q.jpg 40 30 key 1 1 20 20")
    moved = [f"p{n}.jpg 40 30 mug {n + 1} {n + 1} 21 22" for n in range(20)]
    second = lines(*moved, "q.jpg 40 30 key 1 1 25 20", name="other.lines")
    out = boxwright("diff", first, second, "--shown", 30).stdout
    assert "in 20 of 21 boxes" in out
    assert out.endswith("\nq.jpg\n  ~ key (1, 1, 20, 20) -> (1, 1, 25, 20)\n")


def test_options(boxwright, lines):
    first = lines("a.jpg 40 30 mug 1 2 21 22 pose=Left")
    second = lines("a.jpg 40 30 mug 1 2 21.4 22", name="other.lines")
    assert boxwright("diff", first, second, "--tolerance", 0.5, "--ignore", "box.pose").exit_code == 0
    assert boxwright("diff", first, second, "--tolerance", 0.5, "--ignore", "attributes").exit_code == 0
    assert boxwright("diff", first, second, "--tolerance", 0.5).exit_code == 1
    result = boxwright("diff", first, second, "--tolerance", 0.5, "--ignore", "attributes")
    assert "1 box moved by less than the tolerance" in result.stdout
    assert boxwright("diff", first, second, "--ignore", "pose").exit_code == 2
    assert boxwright("diff", first, second, "--by", "place").exit_code == 2
    assert boxwright("diff", first).exit_code == 2


def test_names_in_other_folders(boxwright, lines, tmp_path):
    (tmp_path / "photos" / "train").mkdir(parents=True)
    first, second = lines("train/a.jpg 40 30 mug 1 2 21 22"), lines("a.jpg 40 30 mug 1 2 21 22", name="other.lines")
    result = boxwright("diff", first, second)
    assert result.exit_code == 1
    assert "--by stem compares names without folders" in result.stdout
    assert boxwright("diff", first, second, "--by", "stem").exit_code == 0


def test_images_of_the_differences(boxwright, lines, tmp_path):
    first, second = lines(A, B, C), lines("a.jpg 40 30 mug 1 2 21 22", B, C, name="other.lines")
    sheet, page = tmp_path / "sheet.png", tmp_path / "page.html"
    result = boxwright("diff", first, second, "--out", sheet)
    assert result.exit_code == 1
    assert f"{sheet}: 1 image" in result.stdout
    with Image.open(sheet) as image:
        assert image.format == "PNG"
    content = json.loads(boxwright("diff", first, second, "--out", page, "--json").stdout)
    assert (content["out"], content["drawn"]) == (str(page), 1)
    assert "a.jpg · removed 1" in page.read_text("utf-8")
    assert "exists already" in boxwright("diff", first, second, "--out", page).stderr
    assert boxwright("diff", first, second, "--out", page, "--overwrite").exit_code == 1
    assert boxwright("diff", first, second, "--out", tmp_path / "page.pdf").exit_code == 2


def test_items_that_cannot_be_read(boxwright, lines):
    first, second = lines(A, "bad.jpg wide"), lines(A, name="other.lines")
    stopped = boxwright("diff", first, second)
    assert stopped.exit_code == 1
    assert "line 2: this is not an annotation" in stopped.stderr
    assert stopped.stdout == ""
    listed = boxwright("diff", first, second, "--on-error", "skip")
    assert listed.exit_code == 0
    assert "Skipped: 1 item" in listed.stdout


def test_names_cannot_move_the_cursor(boxwright, lines):
    first, second = lines("a.jpg 40 30 <ESC>[31mred 5 5 15 20"), lines("a.jpg 40 30", name="other.lines")
    out = boxwright("diff", first, second).stdout
    assert chr(27) not in out
    assert r"- \x1b[31mred (5, 5, 15, 20)" in out
