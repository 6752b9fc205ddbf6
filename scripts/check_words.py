"""Checks the words of code and documentation against docs/glossary.md: ``python scripts/check_words.py [FILE]...``.

Prints ``file:line: phrase: suggestion`` for each phrase to replace, and exits with status 1 if there is any. A name
that users type or read in JSON is exempt if it is quoted, an option of a URI or a flag of the command line.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SUFFIXES = (".py", ".pyi", ".md", ".toml", ".c", ".h", ".html", ".jinja", ".in")
EXEMPT = ("docs/glossary.md", "scripts/check_words.py")
DATA = re.compile(r"/tests/(.*/)?data/")

STABLE = re.compile(
    r"""size=picture|pictures_with(out)?|picture_(width|height|aspect)"""  # options of the steps fix and filter
    r"""|(?P<quote>``|["'`])[\w./*-]*(?P=quote)"""  # a quoted name
    r"""|(?<=["'`])[\w.*-]*(?==)"""  # the name of a quoted setting
    r"""|--[\w-]+"""  # a flag
    r"""|pictures:(?=[\w/{ ])|(?<=, )pictures(?=")"""  # the name of a format
    r"""|pictures(?=: bool|: Whether| and | is None)|(?<=output, )pictures|(?<== )pictures\b|(?<=else )pictures"""
    # a writer's parameter, which users set as an option
    r"""|[?&,:]\w+(?==)(=picture\b)?"""  # an option of a URI or a step
)
"""Names that do not change, because users type them or programs read them."""

CODE_SPAN = re.compile(r"(?<!`)`[^`\n]+`(?!`)")
"""Code within the text of a page: it follows the code, which is checked itself."""

WORDS = {
    r"pictures?": "image",
    r"truths|(?<!ground )(?<!ground-)truth boxes": "ground truth",
    r"(?<!there\s)(is|are|was|be) no(?! longer| more| less)": "is not a",
    r"there (is|are|was) no such": "not found, unknown",
    r"stand(s|ing)?(?! for| alone| out)": "is, exists, appears",
    r"(it|he|that|which|file|box|entry|list) (lies|lie)|lies (in|beside|at|next|there|below|outside)|lying": "is in",
    r"lie (in|beside|next|there|below|outside)": "are in",
    r"told": "set, passed, reported",
    r"(is|are|was|were|be|been) said": "is reported, is stated",
    r"mend(s|ed|ing)?": "fix, correct, repair",
    r"twins?": "fallback, Python implementation",
    r"lacking|lacks": "missing, without",
    r"for want of": "for lack of, out of, without",
    r"gives": "returns, yields, produces, has",
    r"comes? (back|of it|out|through|as|to|along)": "is returned, is restored, results in",
    r"go(es|ing)? on": "continue, resume",
    r"gone on": "continued, resumed",
    r"tak(e|es|en|ing) apart": "parse, split",
    r"clear(s|ed|ing)? away": "remove, clean up",
    r"holds": "contains, checks",
    r"has to": "must",
    r"have to(?<!not have to)": "must, need to",
    r"of (its|their) own(?!\s+(?!is|in|for|by|to|and|or|that|which|of|with|at|on|as|so|where)[a-z])": "separate",
    r"(?<!followed )(?<!divided )by (itself|themselves)": "on its own, automatically",
    r"anew": "again, from the start",
    r"who(m)?ever": "any user, any program, or the passive voice",
    r"that which|what is wrong|what comes|what belongs|what was told": "the problem, the result: use a noun",
    r"as (it|they) (is|are|was|were)(?=[\s]*[.,;:)\"])": "unchanged",
    r"beside": "next to, in addition to",
    r"therein|thereof|therefrom|likewise|wherein|whereby|hereby": "in it, of it, the same as",
    r"but for": "except, apart from",
    r"below zero|less than nothing": "negative",
    r"hal(f a|ves of) characters?": "unpaired surrogate",
    r"nothing[_]left": "empty_dataset_error",
    r"in[_]order": "sorted_coordinates",
    r"registry[_]": "registry",
    r"in silence": "silently",
    r"at hand": "available",
    r"(whole or (nothing|not at all))": "completely or not at all",
    r"half-written": "incomplete",
    r"wished": "requested, expected",
    r"knows (no|nothing)": "does not support, has no",
    r"of this machine": "local",
    r"for people": "for readers",
    r"(one|row|line|file|entry|once) an? (image|box|class|line|sample|file|row|split|command|epoch|run)": "per",
    r"(none`*|nothing|empty|error|false|true) where": "if",
}
"""Regular expressions of phrases to replace, each with what to write instead; a space matches any white space."""


def compiled(phrase: str) -> re.Pattern[str]:
    """Returns the expression for a phrase as whole words, also across lines and within identifiers."""
    spaced = phrase if "(?<" in phrase else phrase.replace(" ", r"[\s#*]+")
    return re.compile(rf"(?<![a-z])(?:{spaced})(?![a-z])")


PATTERNS = {compiled(phrase): suggestion for phrase, suggestion in WORDS.items()}


def files() -> list[str]:
    """Returns the files of the repository that contain prose, relative to its root and sorted."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    return sorted(name for name in listed if name.endswith(SUFFIXES) and (ROOT / name).is_file())


def check(name: str) -> list[str]:
    """Returns one line per phrase to replace in a file."""
    text = (ROOT / name).read_text("utf-8")
    for stable in (STABLE, CODE_SPAN) if name.endswith(".md") else (STABLE,):
        text = stable.sub(lambda found: "_" * len(found[0]), text)
    text = text.lower()
    found = {}
    for pattern, suggestion in PATTERNS.items():
        for match in pattern.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            found[match.start()] = f"{name}:{line}: {' '.join(match[0].split())!r}: {suggestion}"
    return [found[start] for start in sorted(found)]


def main(arguments: list[str]) -> int:
    """Checks the files that were passed, or all."""
    names = arguments or files()
    problems = [
        problem for name in names if name not in EXEMPT and not DATA.search(f"/{name}") for problem in check(name)
    ]
    print(*problems, sep="\n", end="\n" if problems else "")
    if problems:
        print(f"{len(problems)} phrases to replace; docs/glossary.md explains them")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
