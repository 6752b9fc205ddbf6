"""The frame of every HTML page that boxwright makes: self-contained, light or dark, nothing loaded and nothing run."""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

from boxwright.render.pages import page_start

_STYLE: Final = """
:root { color-scheme: light dark; --paper: #fafafa; --card: #fff; --ink: #1b1b1f; --faint: #66666e; --line: #e2e2e6;
  --bar: #3b82c4; --alarm: #b3261e; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #16161a; --card: #1f1f25; --ink: #ececf1; --faint: #a0a0ab; --line: #33333b; --bar: #6fb0e6;
    --alarm: #ff8a80; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 80rem; padding: 1.5rem clamp(.75rem, 3vw, 2.5rem) 4rem; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
h1 { font-size: 1.5rem; line-height: 1.2; margin: 0 0 .5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; line-height: 1.3; margin: 0 0 .15rem; }
.notes { color: var(--faint); margin: 0 0 1rem; padding: 0; list-style: none; overflow-wrap: anywhere; }
.tiles { display: flex; flex-wrap: wrap; gap: .75rem; margin: 0 0 1rem; padding: 0; list-style: none; }
.tiles li { padding: .5rem 1rem; border: 1px solid var(--line); border-radius: .6rem; background: var(--card);
  color: var(--faint); font-size: .85rem; }
.tiles b { display: block; color: var(--ink); font-size: 1.35rem; line-height: 1.3;
  font-variant-numeric: tabular-nums; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(30rem, 100%), 1fr)); gap: 1rem;
  align-items: start; }
section { padding: .9rem 1.1rem 1rem; border: 1px solid var(--line); border-radius: .6rem; background: var(--card);
  overflow: hidden; break-inside: avoid; }
section > p { margin: 0 0 .6rem; color: var(--faint); font-size: .9rem; overflow-wrap: anywhere; }
section > p.alarm { color: var(--alarm); }
svg { display: block; width: 100%; height: auto; font-family: inherit; }
svg text { fill: var(--ink); font-size: 13px; }
svg .faint { fill: var(--faint); }
svg .bar { fill: var(--bar); }
svg .track { fill: rgb(128 128 128); }
@media print { .cards { display: block; } section { margin-bottom: 1rem; } }
"""


def document(title: str, parts: Iterable[str], notes: Sequence[str] = ()) -> str:
    """A whole page.

    A content security policy forbids whatever is not in the page itself. Light or dark follows the reader's system.

    Args:
        title: Headline and window title.
        parts: HTML for the body, already escaped.
        notes: Lines of plain text below the headline.

    Returns:
        The page as text, to be written as UTF-8.
    """
    start = page_start(escaped(title), _STYLE, list(map(escaped, notes)))
    return "\n".join([start, *parts, "</body>\n</html>\n"])


def tiles(numbers: Sequence[tuple[str, str]]) -> str:
    """The most important numbers, each with what it counts."""
    items = (f"<li><b>{escaped(number)}</b>{escaped(what)}</li>" for number, what in numbers)
    return f'<ul class="tiles">{"".join(items)}</ul>'


def section(title: str, content: str = "", remarks: Sequence[str] = (), alarms: Sequence[str] = ()) -> str:
    """One card: a title, lines of plain text, and HTML that is already escaped."""
    lines = [f"<p>{escaped(remark)}</p>" for remark in remarks]
    lines += [f'<p class="alarm">{escaped(alarm)}</p>' for alarm in alarms]
    return f"<section><h2>{escaped(title)}</h2>{''.join(lines)}{content}</section>"


def escaped(text: str) -> str:
    """Text from files and arguments for HTML: one line, without control characters and lone surrogates."""
    shown = "".join(" " if unicodedata.category(letter) in ("Cc", "Zl", "Zp") else letter for letter in text)
    return html.escape(shown.encode("utf-8", "replace").decode(), quote=True)
