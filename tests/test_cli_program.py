"""The program as a whole: help, exit codes, errors, streams, interruption."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

OPTIONS = {
    # The command line as designed: the required options of each command.
    "demo": ["--images", "--seed", "--size", "--overwrite"],
    "formats": ["--json"],
    "annotate": ["--model", "--to", "--classes", "--port", "--no-browser", "--simulate", "--with", "--json"],
    "loop": ["--rounds", "--val", "--out", "--json"],
    "info": ["--out", "--json"],
    "validate": ["--pictures", "--out", "--workers", "--json"],
    "diff": ["--tolerance", "--out", "--json"],
    "view": ["--out", "--images", "--class"],
    "convert": ["--with", "--label-map", "--strict", "--sidecar", "--on-error", "--overwrite", "--workers", "--json"],
    "train": [
        *["--data", "--val", "--out", "--backend", "--preset", "--trainer", "--augment", "--epochs", "--batch-size"],
        *["--image-size", "--seed", "--resume", "--overwrite", "--label-map", "--on-error", "--set", "--log", "--json"],
    ],
    "advise": ["--data", "--curve", "--trainings", "--json"],
    "evaluate": [
        "--data",
        "--metric",
        "--report",
        "--csv",
        "--suspects",
        "--slice",
        "--batch-size",
        "--device",
        "--json",
    ],
    "predict": [
        "--out",
        "--to",
        "--only-new",
        "--slice",
        "--frames",
        "--score",
        "--batch-size",
        "--device",
        "--overwrite",
        "--on-error",
        "--json",
    ],
    "export": ["--to", "--out", "--data", "--calibrate", "--set", "--overwrite", "--json"],
    "benchmark": ["--data", "--out", "--threads", "--rounds", "--label-map", "--device", "--overwrite", "--json"],
    "env list": ["--json"],
    "env install": ["--json"],
    "weights list": ["--json"],
    "weights import": ["--npm", "--json"],
    "weights verify": ["--json"],
    "weights remove": ["--json"],
    "plugins list": ["--json"],
    "plugins show": ["--json"],
}


WARNS = """
import warnings

from boxwright import DataError, FormatSpec, hookimpl

boxwright_api = (1, 1)


class Reader:
    def __init__(self, location):
        warnings.warn("the format has gone stale")
        raise DataError(location, "nothing there")


@hookimpl
def boxwright_formats():
    return [FormatSpec(name="stale", summary="Warns", load="cli_warns:Reader")]
"""


@pytest.mark.parametrize("command", OPTIONS)
def test_help_page_has_usage_example_and_every_designed_option(boxwright, command):
    result = boxwright(*command.split(), "--help")
    assert result.exit_code == 0
    first, *lines = result.stdout.splitlines()
    assert first.startswith(f"Usage: boxwright {command}")
    assert "Example" in result.stdout
    assert any(line.strip().startswith(f"boxwright {command.split()[0]}") for line in lines)
    listed = {word for line in lines for word in line.split() if line.startswith("  -")}
    assert not set(OPTIONS[command]) - listed


def test_usage_line_shows_what_has_to_be_given(boxwright):
    assert boxwright("convert", "--help").stdout.startswith("Usage: boxwright convert SRC... DST [OPTIONS]")
    usage = boxwright("predict", "--help").stdout.splitlines()[0]
    assert usage == "Usage: boxwright predict MODEL IMAGE|FOLDER|VIDEO|URI... [OPTIONS]"


def test_every_command_is_listed_with_a_whole_sentence(boxwright):
    text = boxwright("--help").stdout
    for command in OPTIONS:
        assert f"\n  {command.split()[0]} " in text
    assert "..." not in text.partition("Commands:")[2]


def test_version(boxwright):
    from importlib.metadata import version

    result = boxwright("--version")
    assert (result.exit_code, result.stdout) == (0, f"boxwright {version('boxwright')}\n")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["conver", "a", "b"], 2, "convert"),  # a near miss is offered
        (["convert", "lines:a.lines"], 2, "DST"),
        (["convert", "--no-such-option"], 2, "--no-such-option"),
        (["info", "linse:a.lines"], 2, "did you mean 'lines'?"),
        (["info", "lines:a.lines?chaty=1"], 2, "did you mean 'chatty'?"),
        (["info", "lines:a.lines?chatty=perhaps"], 2, "neither true nor false"),
        (["info", "lines:"], 2, "names no place"),
        (["info", "lines:absent.lines"], 1, "absent.lines: file not found\n  -> check the path"),
        (["info", "wanting:x"], 1, "run: python -m pip install no-such-library"),
        (["convert", "endless:x", "lines:x.lines", "--with", "anotated"], 2, "did you mean 'annotated'?"),
        (["convert", "endless:x", "broken:x"], 2, "can be read and not written"),
        (["demo", "d", "--size", "large"], 2, "640x480"),
        (["demo", "d", "--size", "0x10"], 2, "640x480"),
        (["demo", "d", "--size", "20x20"], 2, "at least 48x48"),
        (["demo", "d", "--images", "0"], 2, "at least 1"),
        (["train", "--out", "r"], 2, "--data"),
        (["train", "--data", "endless:x", "--out", "r", "--set", "rate"], 2, "NAME=VALUE"),
        (["predict", "m", "a", "--out", "o", "--conf", "1"], 2, "No such option: --conf (Possible options: --score)"),
        (["train", "--data", "endless:x", "--out", "r", "--lr", "1"], 2, "(Possible options: --set learning_rate=...)"),
        (
            ["train", "--data", "endless:x", "--out", "r", "--backend", "average", "--preset", "fany"],
            2,
            "mean 'fancy'?",
        ),
        (["train", "--out", "no-run", "--resume"], 1, "no-run does not exist"),
        (["view", "endless:x", "--out", "sheet.gif"], 2, ".png, .jpg or .html"),
    ],
)
def test_mistake_gets_its_exit_code_and_a_remedy_and_no_traceback(boxwright, tmp_path, monkeypatch, words, code, said):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    result = boxwright(*words)
    assert result.exit_code == code
    assert said in result.stderr
    assert "Traceback" not in result.output
    assert result.stdout == ""
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("words", [["--debug", "info", "lines:absent"], ["info", "lines:absent", "--debug"]])
def test_debug_shows_the_traceback_in_any_position(boxwright, words):
    result = boxwright(*words)
    assert result.exit_code == 1
    assert "Traceback" in result.stderr
    assert "file not found" in result.stderr


def test_words_after_two_dashes_are_not_options(boxwright, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = boxwright("info", "--", "--debug")
    assert result.exit_code == 1
    assert "--debug: file or folder not found" in result.stderr


def test_programming_error_is_called_a_bug(boxwright):
    result = boxwright("info", "broken:x")
    assert result.exit_code == 1
    assert "bug" in result.stderr
    assert "ZeroDivisionError: a mistake of the programmer" in result.stderr
    assert "Traceback" not in result.output
    assert "Traceback" in boxwright("info", "broken:x", "--debug").stderr


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ["info", "lines:absent"],
            {"exit_code": 1, "problem": "file not found", "remedy": "check the path", "file": "absent", "place": ""},
        ),
        (
            ["info", "linse:x"],
            {"exit_code": 2, "problem": "no format named 'linse'", "file": "", "place": ""},
        ),
        (["info"], {"exit_code": 2, "problem": "Missing argument 'URI'.", "remedy": "", "file": "", "place": ""}),
        (["predict", "m", "a", "--out", "o", "--conf", "1"], {"exit_code": 2}),
        (["info", "broken:x"], {"exit_code": 1}),
    ],
)
def test_an_error_with_json_is_json(boxwright, words, expected):
    result = boxwright(*words, "--json")
    content = json.loads(result.stdout)
    assert list(content) == ["error"]
    assert {name: content["error"][name] for name in expected} == expected
    assert result.exit_code == expected["exit_code"]
    assert content["error"]["problem"] in result.stderr


def test_an_unknown_path_is_one_line(boxwright, tmp_path):
    result = boxwright("info", tmp_path / "absent")
    assert result.exit_code == 1
    assert result.stderr == f"Error: {tmp_path / 'absent'}: file or folder not found\n  -> check the path\n"


@pytest.mark.parametrize("verbose", [False, True])
def test_near_misses_are_shown_and_all_others_only_if_verbose(boxwright, tmp_path, verbose, caplog):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.xml").write_text("<html></html>")
    with caplog.at_level("INFO", logger="boxwright"):
        result = boxwright("info", folder, *["--verbose"] * verbose)
    lines = result.stderr.splitlines()
    assert result.exit_code == 2
    assert lines[0] == f"Error: no format was recognised at {folder}:"
    assert "  labelimg: 1 .xml files, and no <annotation> in the first" in lines
    assert len(lines) < 6
    assert "; --verbose shows why it is none of the others" in lines[-1]
    assert any("is not tfds: it contains no dataset_info.json" in record.getMessage() for record in caplog.records)


def test_a_detected_format_is_shown_without_the_others(boxwright, lines):
    place = lines("a.jpg 40 30 mug 1 2 3 4").removeprefix("lines:")
    result = boxwright("info", place)
    assert "  yes lines: its name ends in .lines\n" in result.stdout
    assert result.stdout.count("\n  no  ") <= 3
    assert boxwright("info", place, "--verbose").stdout.count("\n  no  ") > 10


def test_an_empty_dataset_is_not_a_success(boxwright, tmp_path):
    result = boxwright("info", f"labelimg:{tmp_path}")
    assert result.exit_code == 1
    assert f"{tmp_path}: it contains no images with annotations of this format" in result.stderr


def test_json_is_all_there_is_on_stdout_even_if_a_plugin_prints(boxwright, lines):
    uri = lines("a.jpg 40 30 mug 1 2 3 4")
    result = boxwright("info", f"{uri}?chatty=true", "--json")
    assert json.loads(result.stdout)["boxes"] == 1
    assert "the lines reader is talking" in result.stderr


def test_warning_of_a_plugin_is_one_line(boxwright, install_plugin):
    install_plugin("cli_warns", WARNS)
    process = boxwright.start("info", "stale:x")
    _, errors = process.communicate(timeout=60)
    assert errors.splitlines()[0] == "warning: the format has gone stale"


def test_colour_needs_a_terminal(boxwright, lines, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" in boxwright("info", "lines:absent").stderr
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[31m" not in boxwright("info", "lines:absent").stderr
    monkeypatch.delenv("FORCE_COLOR")
    monkeypatch.delenv("NO_COLOR")
    assert "\x1b" not in boxwright("info", "lines:absent").stderr


def test_control_characters_of_a_dataset_do_not_reach_the_terminal(boxwright, lines):
    result = boxwright("info", lines("a.jpg 40 30 red<ESC>[31m 1 2 3 4"))
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.output
    assert r"red\x1b[31m" in result.stdout


def test_brackets_in_a_class_name_are_no_markup(boxwright, lines):
    assert "[bold]mug[/bold]" in boxwright("info", lines("a.jpg 40 30 [bold]mug[/bold] 1 2 3 4")).stdout


def test_long_lines_are_not_cut_in_a_pipe(boxwright, lines):
    name = "a" * 180
    assert name in boxwright("info", lines(f"a.jpg 40 30 {name} 1 2 3 4")).stdout


def test_names_get_through_a_stream_of_another_encoding(boxwright, lines, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    uri = lines("a.jpg 40 30 größe大 1 2 3 4")
    out, _ = boxwright.start("info", uri, "--json").communicate(timeout=60)
    assert list(json.loads(out)["classes"]) == ["größe大"]
    out, errors = boxwright.start("info", uri).communicate(timeout=60)
    assert r"gr\xf6\xdfe\u5927" in out
    assert errors == ""


def test_closed_pipe_is_quiet(boxwright):
    reader, writer = os.pipe()
    os.close(reader)
    process = boxwright.start("formats", stdout=writer)
    os.close(writer)
    _, errors = process.communicate(timeout=60)
    assert errors == ""
    assert process.returncode == 1


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_interrupted_conversion_leaves_nothing(boxwright, tmp_path, number, code, word):
    folder = tmp_path / "out"
    folder.mkdir()
    target = folder / "all.lines"
    target.write_text("as it was\n")

    def restored() -> None:
        # A shell that starts the tests in the background has SIGINT ignored, and children inherit that.
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    process = boxwright.start("convert", "endless:x", f"lines:{target}", "--overwrite", preexec_fn=restored)
    _wait_for_bytes(folder, process)
    process.send_signal(number)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert out == ""
    assert "Traceback" not in errors
    assert errors == f"{word}; no incomplete output remains, and lines:{target} is unchanged.\n"
    assert [path.name for path in folder.iterdir()] == ["all.lines"]
    assert target.read_text() == "as it was\n"


def _wait_for_bytes(folder: Path, process: subprocess.Popen[str]) -> None:
    """Until a temporary file is being written."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        if any(path.stat().st_size for path in folder.glob(".*partial*")):
            return
        time.sleep(0.02)
    raise AssertionError("nothing was written within a minute")


NOISY = """
import os, sys
from boxwright import FormatSpec, hookimpl
boxwright_api = (1, 1)
os.write(1, b"noise at import\\n")
@hookimpl
def boxwright_formats():
    print("noise in a hook")
    return [FormatSpec(name="noisy", load="json:loads", detect="noisy:detect")]
def detect(location):
    os.write(1, b"noise in detect\\n")
    sys.exit(3)
"""


def test_json_stays_clean_whatever_a_plugin_prints(tmp_path):
    site = tmp_path / "site"
    (site / "noisy-1.0.dist-info").mkdir(parents=True)
    (site / "noisy.py").write_text(NOISY)
    (site / "noisy-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: noisy\nVersion: 1.0\n")
    (site / "noisy-1.0.dist-info/entry_points.txt").write_text("[boxwright]\nnoisy = noisy\n")
    (tmp_path / "a.csv").write_text("filename,width,height,class,xmin,ymin,xmax,ymax\na.jpg,9,9,fig,1,2,3,4\n")
    done = subprocess.run(
        [sys.executable, "-m", "boxwright_cli", "info", str(tmp_path / "a.csv"), "--json"],
        env=os.environ | {"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    assert content["boxes"] == 1
    assert content["recognised"]["noisy"] == {"matches": False, "near": True, "reason": "could not look: SystemExit: 3"}
    for noise in ("noise at import", "noise in a hook", "noise in detect"):
        assert noise in done.stderr


def test_a_name_of_64_kb_is_shortened_in_messages(boxwright):
    result = boxwright("info", f"{'x' * 65_536}:a.csv")
    assert result.exit_code == 2
    assert "xxx ... xxx" in result.stderr
    assert len(result.stderr) < 8_000
