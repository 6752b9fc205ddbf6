"""Bars made of characters."""

from __future__ import annotations

import io

import pytest

from boxwright.analysis import counts
from boxwright_cli.bars import bar, draws_blocks, show_histogram
from boxwright_cli.session import Session


@pytest.mark.parametrize(
    ("share", "blocks", "text"),
    [
        (1.0, False, "########"),
        (0.5, False, "####"),
        (0.001, False, "#"),  # a share above 0 is visible
        (0.0, False, ""),
        (1.0, True, "████████"),
        (0.5, True, "████"),
        (0.5625, True, "████▌"),
        (0.001, True, "▏"),
        (0.0, True, ""),
    ],
)
def test_bars(share, blocks, text):
    assert bar(share, blocks=blocks, width=8) == text


@pytest.mark.parametrize("blocks", [True, False])
def test_no_bar_is_wider_than_requested(blocks):
    assert max(len(bar(share / 100, blocks=blocks, width=20)) for share in range(101)) == 20


def test_a_histogram_without_a_terminal():
    histogram = counts()
    histogram.add([0] * 12 + [5] * 3 + [6])
    session = Session()
    session.stdout = io.StringIO()
    show_histogram(session, "BOXES", "IMAGES", histogram.bins)
    assert session.stdout.getvalue().splitlines() == [
        "",
        "BOXES  IMAGES",
        "0          12   75.0%  ################################",
        "...",
        "5           3   18.8%  ########",
        "6-7         1    6.2%  ###",
    ]


def test_an_empty_histogram():
    session = Session()
    session.stdout = io.StringIO()
    show_histogram(session, "BOXES", "IMAGES", counts().bins)
    assert session.stdout.getvalue() == ""


@pytest.mark.parametrize(("encoding", "blocks"), [("utf-8", True), ("ascii", False), ("cp1252", False)])
def test_blocks_are_for_terminals_that_can_show_them(encoding, blocks, monkeypatch):
    class Terminal(io.TextIOWrapper):
        def isatty(self):
            return True

    monkeypatch.setenv("TERM", "xterm")
    session = Session()
    session.stdout = Terminal(io.BytesIO(), encoding=encoding)
    assert draws_blocks(session) is blocks
    session = Session()
    session.stdout = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    assert not draws_blocks(session)
