"""info: histograms, the pixel convention and the page; counts are tested with the other commands."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

MUG = "a.jpg 40 30 mug 1 2 11 12"
TWO = "b.jpg 80 60 mug 0 0 8 6 key 10 10 20 30"
NONE = "c.jpg 40 30"
VOC = [f"v{n}.jpg 40 30 mug 1 1 40 30" for n in range(4)]


def test_histograms_as_json(boxwright, lines):
    found = boxwright.json("info", lines(MUG, TWO, NONE))["histograms"]
    # Roots of areas: of 100, 48 and 200 square pixels.
    assert found["box_sizes"] == [
        {"from": 6.0, "to": 8.0, "count": 1},
        {"from": 8.0, "to": 12.0, "count": 1},
        {"from": 12.0, "to": 16.0, "count": 1},
    ]
    assert found["boxes_per_picture"] == [
        {"from": 0.0, "to": 1.0, "count": 1},
        {"from": 1.0, "to": 2.0, "count": 1},
        {"from": 2.0, "to": 3.0, "count": 1},
    ]
    assert sum(each["count"] for each in found["aspect_ratios"]) == 3
    assert found["coco_sizes"] == {"small": 3, "medium": 0, "large": 0}
    assert sum(map(sum, found["centres"])) == 3
    assert found["anchors"]["usual"]["smallest"] == 32


def test_histograms_in_a_pipe(boxwright, lines):
    out = boxwright("info", lines(MUG, TWO, NONE)).stdout
    rows = [line.split() for line in out.splitlines()]
    assert ["8-12", "1", "33.3%", "#" * 32] in rows
    assert ["4:5-5:4", "1", "33.3%", "#" * 32] in rows
    assert ["1:2-2:3", "1", "33.3%", "#" * 32] in rows
    assert "COCO's size classes: 3 small, 0 medium, 0 large" in out
    assert max(map(len, out.splitlines()[1:])) <= 80  # the first line is the URI
    assert out.isascii()


def test_bars_on_a_terminal(boxwright, lines):
    pty = pytest.importorskip("pty")
    uri = lines(MUG, TWO, NONE)
    master, slave = pty.openpty()
    environment = os.environ | {"PYTHONPATH": str(boxwright.site), "TERM": "xterm", "COLUMNS": "80"}
    command = [sys.executable, "-m", "boxwright_cli", "info", uri]
    done = subprocess.Popen(command, stdout=slave, stderr=subprocess.DEVNULL, env=environment | {"PYTHONUTF8": "1"})
    os.close(slave)
    pieces = []
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        pieces.append(piece)
    assert done.wait(60) == 0
    text = b"".join(pieces).decode()
    assert "█" * 32 in text
    mug = next(line for line in text.splitlines() if line.startswith("mug"))
    assert mug.split()[-1] == "█" * 24  # of the two classes the more frequent one


def test_the_pixel_convention(boxwright, lines):
    uri = lines(*VOC)
    found = boxwright.json("info", uri)["pixel_convention"]
    assert found["convention"] == "one_based"
    assert (found["first_edges"]["1"], found["last_edges"]["size"]) == (8, 8)
    out = boxwright("info", uri).stdout
    assert "pixel convention: counts from 1 with the last pixel included, as Pascal VOC does" in out
    assert "coordinates at the edges: none at 0, 8 at 1, none at size-1, 8 at size" in out
    assert "?one_based" not in out  # the format of this test has no such option
    assert "cannot tell: too few boxes" in boxwright("info", lines(MUG)).stdout


def test_a_format_that_can_shift_names_its_option(boxwright, tmp_path):
    pytest.importorskip("boxwright_csv")
    table = tmp_path / "labels.csv"
    rows = "".join(f"{n}.jpg,40,30,mug,1,1,40,30\n" for n in range(4))
    table.write_text(f"filename,width,height,class,xmin,ymin,xmax,ymax\n{rows}", "utf-8")
    assert "-> read it with ?one_based=true" in boxwright("info", f"csv:{table}").stdout
    found = boxwright.json("info", f"csv:{table}?one_based=true")["pixel_convention"]
    assert (found["convention"], found["advice"]) == ("zero_based", [])


def test_the_page(boxwright, lines, tmp_path):
    uri, page = lines(MUG, TWO, NONE), tmp_path / "info.html"
    result = boxwright("info", uri, "--out", page)
    assert result.exit_code == 0
    assert f"page: {page}" in result.stdout
    text = page.read_text("utf-8")
    assert text.startswith("<!DOCTYPE html>")
    assert text.count("<svg ") == 8
    assert "http" not in text.replace("http-equiv", "")
    again = boxwright("info", uri, "--out", page)
    assert again.exit_code == 1
    assert "exists already" in again.stderr
    assert boxwright.json("info", uri, "--out", page, "--overwrite")["page"] == str(page)


def test_no_page_is_left_of_a_failure(boxwright, lines, tmp_path):
    place = tmp_path / "pages"
    place.mkdir()
    assert boxwright("info", lines(MUG, "d.jpg wide"), "--out", place / "info.html").exit_code == 1
    assert boxwright("info", lines(MUG), "--out", place / "info.pdf").exit_code == 2
    assert list(place.iterdir()) == []


def test_nothing_to_count(boxwright, lines):
    result = boxwright("info", lines(NONE))
    assert result.exit_code == 0
    assert "WIDTH:HEIGHT" not in result.stdout
    assert "pixel convention" not in result.stdout


def test_flaws_point_to_validate(boxwright, lines):
    out = boxwright("info", lines("e.jpg 40 30 key 35 5 45 5")).stdout
    assert "flawed: 1 box without area, 1 box outside the image" in out
    assert "boxwright validate lists each one" in out
