"""validate: what is printed, and the exit code."""

from __future__ import annotations

import json

import pytest

GOOD = [f"g{n}.jpg 40 30 mug 1 2 21 22 key 4 4 30 28" for n in range(5)]
FLAT = "flat.jpg 40 30 mug 5 5 5 20"
OVER = "over.jpg 40 30 mug 20 5 45 20"
BAD = "bad.jpg wide"


@pytest.fixture
def noisy(lines, tmp_path):
    """A dataset whose images are all different; the rows may also name missing images."""
    import numpy as np
    from PIL import Image

    def make(*rows, name="data.lines", seed=0, without=()):
        uri = lines(*rows, name=name)
        for place, row in enumerate(rows):
            name, *_ = row.split()
            path = tmp_path / "photos" / name
            if path.exists():
                values = np.random.default_rng(seed * 100 + place).integers(0, 255, (6, 8, 3), dtype=np.uint8)
                with Image.open(path) as flat:
                    size = flat.size
                Image.fromarray(values).resize(size).save(path)
                if name in without:
                    path.unlink()
        return uri

    return make


def test_a_good_dataset(boxwright, noisy):
    result = boxwright("validate", noisy(*GOOD), "--few", 5)
    assert result.exit_code == 0
    first, blank, last = result.stdout.splitlines()
    assert first.endswith("data.lines: 5 images, 10 boxes")
    assert blank == ""
    assert last.startswith("no problems found in ")


def test_the_page_lists_what_is_printed_and_more(boxwright, noisy, tmp_path):
    page = tmp_path / "problems.html"
    flat = [FLAT.replace("flat", f"flat<b>{number}") for number in range(7)]
    result = boxwright("validate", noisy(*flat), "--pictures", "none", "--out", page, "--shown", 2)
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-1] == f"page: {page}"
    assert result.stdout.count("0 x 15 pixels at 5, 5") == 2
    text = page.read_text("utf-8")
    assert text.count("0 x 15 pixels at 5, 5") == 7
    assert "error: boxes with zero area" in text
    assert "<script" not in text
    assert boxwright("validate", noisy(*GOOD), "--out", page).exit_code == 1  # it exists already
    assert page.read_text("utf-8") == text
    good = tmp_path / "good.html"
    content = boxwright.json("validate", noisy(*GOOD), "--few", 5, "--out", good)
    assert content["page"] == str(good)
    assert "No problems found." in good.read_text("utf-8")


def test_problems_are_grouped_the_worst_first(boxwright, noisy, tmp_path):
    result = boxwright("validate", noisy(*GOOD, FLAT, OVER, BAD, without=["g3.jpg"]), "--few", 0)
    assert result.exit_code == 1
    heads = [line for line in result.stdout.splitlines() if line.startswith(("error: ", "warning: ", "note: "))]
    assert heads == [
        "error: items that cannot be read (1)",
        "error: missing images (1)",
        "error: boxes with zero area (1)",
        "warning: boxes that extend beyond their image (1)",
    ]
    place = tmp_path / "photos" / "data.lines"
    assert f"  {place}, line 8: this is not an annotation\n  -> correct the line" in result.stdout
    assert f"  {place}, line 6, box 1 (mug): 0 x 15 pixels at 5, 5" in result.stdout
    assert f"  {tmp_path / 'photos' / 'g3.jpg'}: file not found" in result.stdout
    assert "3 errors, 1 warning in " in result.stdout.splitlines()[-1]


def test_warnings_fail_only_when_strict(boxwright, noisy):
    uri = noisy(*GOOD, OVER)
    assert boxwright("validate", uri, "--few", 0).exit_code == 0
    assert boxwright("validate", uri, "--few", 0, "--strict").exit_code == 1
    assert boxwright("validate", noisy(*GOOD), "--few", 0, "--strict").exit_code == 0


def test_the_first_of_many_and_all_as_json(boxwright, noisy):
    uri = noisy(*[f"f{n}.jpg 40 30 mug 5 5 5 20" for n in range(9)])
    result = boxwright("validate", uri, "--shown", 2)
    assert result.stdout.count("0 x 15 pixels") == 2
    assert "... and 7 more; --json lists all" in result.stdout
    result = boxwright("validate", uri, "--json")
    assert result.exit_code == 1
    content = json.loads(result.stdout)
    assert content["ok"] is False
    assert content["checks"]["box_without_area"] == {
        "severity": "error",
        "title": "boxes with zero area",
        "count": 9,
    }
    found = [problem for problem in content["problems"] if problem["check"] == "box_without_area"]
    assert [problem["file"].rpartition(", ")[2] for problem in found] == [f"line {n}" for n in range(1, 10)]
    assert all(problem["remedy"] for problem in content["problems"])


def test_one_image_in_train_and_test(boxwright, noisy, tmp_path):
    train = noisy(*GOOD, name="train.lines")
    test = noisy("t.jpg 40 30 mug 1 2 21 22 key 4 4 30 28", name="test.lines", seed=1)
    assert boxwright("validate", train, test, "--few", 0).exit_code == 0
    (tmp_path / "photos" / "t.jpg").write_bytes((tmp_path / "photos" / "g2.jpg").read_bytes())
    result = boxwright("validate", train, test, "--few", 0)
    assert result.exit_code == 1
    photos = tmp_path / "photos"
    assert "error: images that are in several parts of the data (1)" in result.stdout
    assert f"  {photos}/g2.jpg: the same as {photos}/t.jpg" in result.stdout


@pytest.mark.parametrize(("depth", "errors"), [("decode", 1), ("header", 0), ("none", 0)])
def test_depth_of_image_checks(depth, errors, boxwright, noisy, tmp_path):
    uri = noisy(*GOOD)
    image = tmp_path / "photos" / "g1.jpg"
    image.write_bytes(image.read_bytes()[:-100])
    result = boxwright("validate", uri, "--few", 0, "--pictures", depth, "--json")
    content = json.loads(result.stdout)
    assert (content["errors"], content["pictures"], result.exit_code) == (errors, depth, errors)


def test_thresholds(boxwright, noisy):
    uri = noisy("a.jpg 40 30 mug 1 2 6 22")
    assert "tiny boxes" not in boxwright("validate", uri).stdout
    assert "tiny boxes (1)" in boxwright("validate", uri, "--tiny", 6).stdout
    assert "the class 'mug' has 1 box" in boxwright("validate", uri).stdout
    assert "very few" not in boxwright("validate", uri, "--few", 1).stdout


def test_what_does_not_exist_is_an_error_and_no_report(boxwright, lines, tmp_path):
    result = boxwright("validate", lines(*GOOD), f"lines:{tmp_path}/nowhere.lines")
    assert result.exit_code == 1
    assert "file not found" in result.stderr
    assert result.stdout == ""
    assert boxwright("validate").exit_code == 2
    assert boxwright("validate", "lines:x", "--pictures", "all").exit_code == 2
    assert boxwright("validate", "lines:x", "--workers", "0").exit_code == 2


def test_names_cannot_move_the_cursor(boxwright, noisy):
    result = boxwright("validate", noisy("a.jpg 40 30 <ESC>[31mred 5 5 5 20"))
    assert chr(27) not in result.stdout
    assert r"\x1b[31mred" in result.stdout
