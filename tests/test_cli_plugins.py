"""plugins list, show, new and check."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from boxwright_speedups import state

SECOND = """
from boxwright import FormatSpec, hookimpl

boxwright_api = (1, 1)


@hookimpl
def boxwright_formats():
    return [FormatSpec(name="lines", summary="The same name again", load="cli_second:Reader")]
"""


def _records(boxwright):
    return {record["name"]: record for record in boxwright.json("plugins", "list")["plugins"]}


def _files(folder):
    return sorted(str(path) for path in folder.rglob("*") if "__pycache__" not in path.parts)


def test_list_says_what_each_brings(boxwright):
    records = _records(boxwright)
    assert records["boxwright"]["brings"] == {
        "format": ["pictures"],
        "metric": ["f1", "count"],
        "loader": ["numpy"],
        "trainer": ["local"],
    }
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


def test_list_says_whether_the_compiled_parts_are_in_use(boxwright):
    assert f"The compiled parts (boxwright-speedups) are {state}." in boxwright("plugins", "list").stdout
    assert boxwright.json("plugins", "list")["speedups"] == state
    off = subprocess.run(
        [sys.executable, "-m", "boxwright_cli", "plugins", "list"],
        env=os.environ | {"BOXWRIGHT_SPEEDUPS": "0"},
        capture_output=True,
        text=True,
    )
    assert "The compiled parts (boxwright-speedups) are switched off by BOXWRIGHT_SPEEDUPS=0." in off.stdout


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
    install_plugin("cli_second", SECOND, version="2.0")
    listed = boxwright.json("plugins", "list")
    assert listed["clashes"] == [
        {"kind": "format", "name": "lines", "distributions": ["cli-probe 1.0", "cli-second 2.0"]},
    ]
    assert "format lines is claimed by cli-probe 1.0 and cli-second 2.0" in boxwright("plugins", "list").stdout
    used = boxwright("info", lines("a.jpg 40 30 mug 1 2 3 4"))
    assert used.exit_code == 1
    assert "cli-probe 1.0 and cli-second 2.0" in used.stderr


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
    assert [option["name"] for option in shown["options"]] == ["stop", "rate", "wait"]
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


@pytest.mark.parametrize("kind", ["backend", "backends", "Backend"])
def test_list_of_one_kind(boxwright, kind):
    listed = boxwright.json("plugins", "list", kind)
    assert listed["kind"] == "backend"
    found = {entry["name"]: entry for entry in listed["plugins"]}
    assert found["average"] == {
        "name": "average",
        "summary": "The average box",
        "distribution": "cli-probe",
        "version": "1.0",
        "missing": [],
        "install": "",
    }
    rows = boxwright("plugins", "list", kind).stdout.splitlines()
    assert rows[0].split() == ["BACKEND", "DISTRIBUTION", "SUMMARY"]
    assert any(row.split() == ["average", "cli-probe", "The", "average", "box"] for row in rows)


def test_list_of_one_kind_says_what_is_missing(boxwright):
    text = boxwright("plugins", "list", "format").stdout
    assert "wanting needs no_such_library, not installed; run: python -m pip install no-such-library" in text


def test_list_of_a_kind_that_there_is_not(boxwright):
    result = boxwright("plugins", "list", "gadget")
    assert result.exit_code == 2
    assert "the kinds are: format" in result.stderr


def test_what_is_suggested_next_works(boxwright):
    for words in (["list"], ["list", "trainer"]):
        hint = boxwright("plugins", *words).stdout.rstrip().splitlines()[-1].split()
        assert hint[:3] == ["boxwright", "plugins", "show"]
        assert boxwright(*hint[1:]).exit_code == 0


def test_show_tells_of_environments_backends_and_precisions(boxwright, install_plugin):
    code = """
from boxwright import ExporterSpec, hookimpl
from boxwright.environments import EnvironmentSpec

boxwright_api = (1, 1)


@hookimpl
def boxwright_exporters():
    environment = EnvironmentSpec(name="cli-room", lock="cli_room:lock.txt")
    return [
        ExporterSpec(
            name="crate", summary="A crate", load="cli_room:X", precisions=("full", "half"), backends=("average",),
            environment=environment,
        )
    ]
"""
    install_plugin("cli_room", code)
    text = boxwright("plugins", "show", "exporter", "crate").stdout
    assert "uses the environment cli-room: NOT installed" in text
    assert "run: boxwright env install cli-room" in text
    assert "for models of: average" in text
    assert "precisions: full, half (the first is the default)" in text
    shown = boxwright.json("plugins", "show", "exporter", "crate")
    assert shown["environment"] == {"name": "cli-room", "installed": False}


def test_new_makes_a_package_that_is_found_and_works(boxwright, install_plugin, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = boxwright("plugins", "new", "cli_sheets")
    assert result.exit_code == 0, result.stderr
    assert "boxwright plugins check boxwright-cli-sheets" in result.stdout
    made = tmp_path / "boxwright-cli-sheets"
    assert not [path for path in made.rglob("*") if "partial" in path.name]
    project = (made / "pyproject.toml").read_text("utf-8")
    assert 'name = "boxwright-cli-sheets"' in project
    assert 'cli_sheets = "boxwright_cli_sheets"' in project
    monkeypatch.syspath_prepend(str(made / "src"))
    install_plugin("cli_sheets", "from boxwright_cli_sheets import *\n", distribution="boxwright-cli-sheets")
    source = tmp_path / "data.lines"
    source.write_text("a.jpg 40 30 mug 1 2 3 4\n", "utf-8")
    converted = boxwright("convert", f"lines:{source}", "cli_sheets:sheets.clisheets")
    assert converted.exit_code == 0, converted.stderr
    assert (tmp_path / "sheets.clisheets").read_text("utf-8") == (
        '{"image": "a.jpg", "width": 40, "height": 30, "boxes": [{"label": "mug", "box": [1.0, 2.0, 3.0, 4.0]}]}\n'
    )


def test_new_says_what_it_made(boxwright, tmp_path):
    out = tmp_path / "deep" / "place"
    made = boxwright.json("plugins", "new", "boxwright-cli-sharp", "--kind", "transform", "--out", out)
    files = made.pop("files")
    assert made == {
        "kind": "transform",
        "name": "cli-sharp",
        "distribution": "boxwright-cli-sharp",
        "package": "boxwright_cli_sharp",
        "folder": str(out),
    }
    assert sorted(files) == sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["lines"], 2, "the format lines exists already, in cli-probe"),
        (["cli_probe", "--kind", "metric"], 2, "the plugin cli_probe exists already, in cli-probe"),
        (["testing"], 2, "boxwright-testing"),
        (["import"], 2, "'import' is a word of Python"),
        (["Upper"], 2, "cannot be called 'Upper'"),
        (["../evil"], 2, "cannot be called '../evil'"),
        (["cli-thing", "--kind", "gadget"], 2, "the kinds are: format"),
        (["cli-thing", "--kind", "loader"], 2, "choose another name, such as cli_thing"),
        (["cli-thing", "--out", "taken"], 1, "taken exists already"),
        (["cli-thing", "--out", "file.txt"], 1, "file.txt exists already"),
    ],
)
def test_new_answers_mistakes(boxwright, tmp_path, monkeypatch, words, code, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "work.py").write_text("mine", "utf-8")
    (tmp_path / "file.txt").write_text("mine", "utf-8")
    before = _files(tmp_path)
    result = boxwright("plugins", "new", *words)
    assert result.exit_code == code
    assert said in result.stderr
    assert "->" in result.stderr
    assert _files(tmp_path) == before


METRIC = """
from boxwright import MetricResult, MetricSpec, hookimpl

boxwright_api = (1, 1)


@hookimpl
def boxwright_metrics():
    return [MetricSpec(name="cli-count", summary="Counts", load="cli_count:Count")]


class Count:
    def __call__(self, pairs, label_map):
        return MetricResult(values={"count": float(len(list(pairs)))}, main="count")
"""


@pytest.fixture(scope="module")
def examinations():
    return {}


@pytest.fixture
def count_plugin(install_plugin, examinations, monkeypatch):
    """The plugin ``cli_count``, examined once for all tests, which print the same examination in several ways."""
    from boxwright_testing import examination

    examine = examination.examine

    def once(registry, record, task):
        if record.name not in examinations:
            examinations[record.name] = examine(registry, record, task)
        return examinations[record.name]

    monkeypatch.setattr(examination, "examine", once)
    install_plugin("cli_count", METRIC)


@pytest.mark.usefixtures("count_plugin")
def test_check_prints_a_report_to_act_on(boxwright):
    result = boxwright("plugins", "check", "cli_count")
    assert result.exit_code == 1
    text = result.stdout
    assert text.startswith("cli-count 1.0: the plugin cli_count\n")
    assert "\nPackage: 2 of 6 passed\n" in text
    assert "FAILED   it says which boxwright it works with\n           its dependencies do not name boxwright" in text
    assert "advice   it has a licence" in text
    assert "metric cli-count: " in text
    assert "  FAILED   perfect detections give the best\n" in text
    assert "Tested: Detections that equal the ground truth return best." in text
    assert "boxwright --debug plugins check cli_count" in text
    assert "Traceback" not in text
    assert "Traceback" not in result.stderr


@pytest.mark.usefixtures("count_plugin")
def test_check_for_machines(boxwright):
    import json

    result = boxwright("plugins", "check", "cli-count", "--json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert report["passed"] is False
    (plugin,) = report["plugins"]
    assert (plugin["plugin"], plugin["distribution"], plugin["module"]) == ("cli_count", "cli-count", "cli_count")
    failed = [finding for finding in plugin["findings"] if finding["outcome"] == "failed"]
    assert plugin["counts"]["failed"] == len(failed) >= 4
    kept = next(finding for finding in failed if finding["what"] == "images are not kept")
    assert kept["part"] == "metric cli-count"
    assert kept["says"] == "40 of 40 samples were still in memory"


@pytest.mark.usefixtures("count_plugin")
def test_check_lists_what_passed_and_what_went_wrong_in_detail(boxwright):
    text = boxwright("--verbose", "--debug", "plugins", "check", "cli_count").stdout
    assert "  passed   measuring again returns the same\n" in text
    assert "def test_images_are_not_kept(" in text


def test_check_of_a_plugin_that_is_broken(boxwright, install_plugin):
    install_plugin("cli_crash", "raise RuntimeError('it cannot start')\n")
    result = boxwright("plugins", "check", "cli_crash")
    assert result.exit_code == 1
    assert "it is failed: RuntimeError: it cannot start" in result.stdout
    assert "cli_crash.py, line 1" in result.stdout


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("cli_prob", "did you mean 'cli_probe'?"),
        ("pytest", "boxwright finds no plugin in it"),
        ("../..", "install it first"),
    ],
)
def test_check_answers_mistakes(boxwright, name, said):
    result = boxwright("plugins", "check", name)
    assert result.exit_code == 2
    assert said in result.stderr


@pytest.mark.parametrize("words", [["new", "cli-thing"], ["check", "cli_probe"]])
def test_without_boxwright_testing_the_install_line_is_said(tmp_path: Path, words: list[str]) -> None:
    code = (
        "import sys; sys.modules['boxwright_testing'] = None; sys.argv = ['boxwright', 'plugins', *sys.argv[1:]]\n"
        "from boxwright_cli.main import main\nmain()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "run: python -m pip install boxwright-testing" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
