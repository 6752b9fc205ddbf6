"""plugins list and plugins show."""

from __future__ import annotations

import pytest

TWIN = """
from boxwright import FormatSpec, hookimpl

boxwright_api = (1, 1)


@hookimpl
def boxwright_formats():
    return [FormatSpec(name="lines", summary="The same name again", load="cli_twin:Reader")]
"""


def _records(boxwright):
    return {record["name"]: record for record in boxwright.json("plugins", "list")["plugins"]}


def test_list_says_what_each_brings(boxwright):
    records = _records(boxwright)
    assert records["boxwright"]["brings"] == {"format": ["pictures"], "trainer": ["local"]}
    assert records["cli_probe"] == {
        "name": "cli_probe",
        "distribution": "cli-probe",
        "version": "1.0",
        "status": "ok",
        "cause": "",
        "brings": {
            "format": ["lines", "endless", "broken", "wanting"],
            "transform": ["annotated"],
            "backend": ["average"],
            "metric": ["found"],
        },
        "unavailable": [
            {
                "kind": "format",
                "name": "wanting",
                "missing": ["no_such_library"],
                "install": "python -m pip install no-such-library",
            }
        ],
    }
    text = boxwright("plugins", "list").stdout
    assert "run: python -m pip install no-such-library" in text


def test_failed_plugins_are_listed_with_their_cause_and_the_others_go_on(boxwright, install_plugin, lines):
    install_plugin("cli_crash", "raise RuntimeError('it cannot start')\n", version="0.7")
    install_plugin("cli_exits", "import sys; sys.exit('gone')\n")
    install_plugin("cli_old", "boxwright_api = (0, 0)\n")
    install_plugin("cli_mute", "x = 1\n")
    records = _records(boxwright)
    assert (records["cli_crash"]["status"], records["cli_crash"]["version"]) == ("failed", "0.7")
    assert records["cli_crash"]["cause"] == "RuntimeError: it cannot start"
    assert records["cli_exits"]["status"] == "failed"
    assert records["cli_old"]["status"] == "incompatible"
    assert records["cli_mute"]["status"] == "incompatible"
    assert "cli_crash (cli-crash 0.7) is failed: RuntimeError: it cannot start" in boxwright("plugins", "list").stdout
    assert boxwright("info", lines("a.jpg 40 30 mug 1 2 3 4")).exit_code == 0


def test_a_name_claimed_twice_names_both_distributions(boxwright, install_plugin, lines):
    install_plugin("cli_twin", TWIN, version="2.0")
    listed = boxwright.json("plugins", "list")
    assert listed["clashes"] == [
        {"kind": "format", "name": "lines", "distributions": ["cli-probe 1.0", "cli-twin 2.0"]},
    ]
    assert "format lines is claimed by cli-probe 1.0 and cli-twin 2.0" in boxwright("plugins", "list").stdout
    used = boxwright("info", lines("a.jpg 40 30 mug 1 2 3 4"))
    assert used.exit_code == 1
    assert "cli-probe 1.0 and cli-twin 2.0" in used.stderr


def test_the_environment_chooses_plugins(boxwright, monkeypatch):
    monkeypatch.setenv("BOXWRIGHT_PLUGINS", "cli_probe")
    others = {name: record["status"] for name, record in _records(boxwright).items() if name != "boxwright"}
    assert others.pop("cli_probe") == "ok"
    assert set(others.values()) <= {"disabled"}


@pytest.mark.parametrize("words", [["backend", "average"], ["backends", "average"], ["average"]])
def test_show(boxwright, words):
    shown = boxwright.json("plugins", "show", *words)
    assert (shown["kind"], shown["name"], shown["summary"]) == ("backend", "average", "The average box")
    assert shown["presets"] == {"plain": "nothing special", "fancy": "nothing special either"}
    assert [option["name"] for option in shown["options"]] == ["stop", "rate"]
    rows = [line.split() for line in boxwright("plugins", "show", *words).stdout.splitlines()]
    assert ["rate", "number", "=", "0.5", "a", "number"] in rows
    assert ["plain", "nothing", "special", "(default)"] in rows


def test_show_says_what_is_missing_and_how_to_get_it(boxwright):
    text = boxwright("plugins", "show", "format", "wanting").stdout
    assert "needs no_such_library: NOT installed" in text
    assert "run: python -m pip install no-such-library" in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["averge"], "did you mean 'average'?"),
        (["backend", "averge"], "did you mean 'average'?"),
        (["gadget", "average"], "the kinds are: format"),
        (["a", "b", "c"], "KIND NAME"),
    ],
)
def test_show_answers_mistakes(boxwright, words, said):
    result = boxwright("plugins", "show", *words)
    assert result.exit_code == 2
    assert said in result.stderr
