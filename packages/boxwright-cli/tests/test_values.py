"""Values of options; counts and durations in words."""

from __future__ import annotations

import pytest
import typer

from boxwright_cli.text import amount, duration, printable
from boxwright_cli.values import parse_settings, parse_size


@pytest.mark.parametrize("text", ["640x480", "640X480", " 640 x 480 ", "640×480"])
def test_size(text):
    assert parse_size(text, "--size") == (640, 480)


@pytest.mark.parametrize(
    "text", ["", "640", "640x", "x480", "640x480x3", "-640x480", "6.5x4", "0x480", "640x00", "a x b"]
)
def test_invalid_size(text):
    with pytest.raises(typer.BadParameter, match="640x480"):
        parse_size(text, "--size")


def test_settings_keep_everything_behind_the_first_equals_sign():
    assert parse_settings(["weights=a=b.h5", " rate = 0.5", "empty="]) == {
        "weights": "a=b.h5",
        "rate": " 0.5",
        "empty": "",
    }


@pytest.mark.parametrize("pairs", [["rate"], ["=1"], [" =1"], ["a=1", "a=2"]])
def test_invalid_setting(pairs):
    with pytest.raises(typer.BadParameter):
        parse_settings(pairs)


@pytest.mark.parametrize(
    ("count", "thing", "text"),
    [
        (1, "box", "1 box"),
        (0, "box", "0 boxes"),
        (1234, "image", "1,234 images"),
        (2, "class", "2 classes"),
    ],
)
def test_amount(count, thing, text):
    assert amount(count, thing) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (119.4, "119 s"),
        (119.6, "2 min 0 s"),
        (3599, "59 min 59 s"),
        (3600, "1 h 0 min"),
        (7500, "2 h 5 min"),
    ],
)
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_printable_shows_control_characters_and_keeps_scripts():
    assert printable("größe 大 fig") == "größe 大 fig"
    assert printable("a\x1b[31mb\rc\x00d\x9be") == r"a\x1b[31mb\rc\x00d\x9be"
    assert printable("right\u202eleft\ud800") == r"right\u202eleft\ud800"
    assert printable("two\nlines") == "two\nlines"
