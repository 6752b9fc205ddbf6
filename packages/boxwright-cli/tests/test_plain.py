"""Tables without rich."""

from __future__ import annotations

from boxwright_cli.plain import table_lines


def test_columns_are_aligned_by_the_width_of_letters() -> None:
    lines = list(table_lines(("CLASS", "BOXES"), [("fig", "5"), ("無花果", "1,200"), ("e\u0301", "7")], 1))
    assert lines == ["CLASS   BOXES", "fig         5", "無花果  1,200", "e\u0301           7"]


def test_no_headings_no_line_of_them() -> None:
    assert list(table_lines(("", ""), [("a", "b")], None)) == ["a  b"]


def test_lines_have_no_trailing_spaces() -> None:
    assert list(table_lines(("NAME", "NOTE"), [("a", ""), ("longer", "x")], None)) == ["NAME    NOTE", "a", "longer  x"]
