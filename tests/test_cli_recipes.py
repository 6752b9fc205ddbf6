"""``boxwright run``: recipes with the backend ``average`` and the metric ``found`` of the tests."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from boxwright.storage import take

Lines = Callable[..., str]
Program = Any

RECIPE = """\
variables:
  preset: [plain, fancy]
  seed: [0, 1]

steps:
  check:
    command: validate
    uris: [lines:photos/train.lines, lines:photos/test.lines]
    few: 0
    pictures: none
  train:
    data: lines:photos/train.lines
    backend: average
    preset: ${preset}
    seed: ${seed}
    set:
      rate: 0.25
    out: runs/${preset}-${seed}
  evaluate:
    model: ${train.run}
    data: lines:photos/test.lines
    metric: found
"""


@pytest.fixture
def ran(boxwright: Program, lines: Lines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The words of each command that recipes have run, in this process, in a folder with two datasets."""
    monkeypatch.chdir(tmp_path)
    lines("a.png 64 48 mug 8 8 32 40", "b.png 64 48 mug 8 8 40 40", name="train.lines")
    lines("c.png 64 48 mug 8 8 32 40", name="test.lines")
    done: list[str] = []

    def execute_here(flags: Any, lock: Any) -> Any:
        from boxwright_cli.recipes.running import Finished

        def execute(words: list[str]) -> Finished:
            done.append(" ".join(words))
            result = boxwright(words[0], "--json", *words[1:])
            if result.exit_code == 130:
                raise KeyboardInterrupt
            return Finished(result.exit_code, json.loads(result.stdout))

        return execute

    monkeypatch.setattr("boxwright_cli.recipes.running.execute_apart", execute_here)
    (tmp_path / "r.yaml").write_text(RECIPE, "utf-8")
    return done


def actions(content: dict[str, Any]) -> dict[str, str]:
    return {" ".join([s["step"], *map(str, s["matrix"].values())]): s["action"] for s in content["steps"]}


def change(path: str, old: str, new: str) -> None:
    text = Path(path).read_text("utf-8")
    assert text.count(old) == 1
    Path(path).write_text(text.replace(old, new), "utf-8")


def test_a_matrix_runs_each_combination_once_and_makes_one_table(boxwright: Program, ran: list[str]) -> None:
    result = boxwright("run", "r.yaml", "--report", "results.html")
    assert result.exit_code == 0, result.output
    assert [words.split()[0] for words in ran] == ["validate", *["train"] * 4, *["evaluate"] * 4]
    assert ran[2] == (
        "train --out=runs/plain-1 --data=lines:photos/train.lines --backend=average --preset=plain --seed=1"
        " --set=rate=0.25"
    )
    table = result.stdout.partition("PRESET")[2].splitlines()
    assert [line.split() for line in table[1:5]] == [
        ["plain", "0", "1.0000", "-"], ["plain", "1", "1.0000", "-"],
        ["fancy", "0", "1.0000", "-"], ["fancy", "1", "1.0000", "-"],
    ]  # fmt: skip
    assert "1.0000 (1.0000 to 1.0000)" in result.stdout
    page = Path("results.html").read_text("utf-8")
    assert page.count("<td>plain</td>") == 3
    assert page.count('class="line s') == 4  # two lines in the chart and in its legend
    ran.clear()
    assert boxwright("run", "r.yaml").exit_code == 0
    assert ran == []


def test_a_step_that_uses_no_variable_of_the_matrix_is_one_row(boxwright: Program, ran: list[str]) -> None:
    change("r.yaml", "model: ${train.run}", "model: runs/plain-1")
    content = boxwright.json("run", "r.yaml")
    assert [words.split()[0] for words in ran] == ["validate", *["train"] * 4, "evaluate"]
    assert content["results"]["rows"] == [{"numbers": {"found": 1.0, "nothing": None}}]


def test_only_what_follows_from_a_change_runs_again(boxwright: Program, ran: list[str]) -> None:
    boxwright("run", "r.yaml", "--set", "preset=plain", "--set", "seed=0")
    ran.clear()
    Image.new("RGB", (64, 48), "red").save("photos/c.png")
    words = ("run", "r.yaml", "--set", "preset=plain", "--set", "seed=0")
    dry = boxwright(*words, "--dry-run")
    assert "evaluate: runs: data: 1 file changed: photos/c.png" in dry.stdout
    assert "train: is done" in dry.stdout
    assert ran == []
    boxwright(*words)
    assert [line.split()[0] for line in ran] == ["validate", "evaluate"]
    # The training runs, but its model is the same, so that it need not be evaluated again.
    ran.clear()
    Image.new("RGB", (64, 48), "blue").save("photos/b.png")
    assert actions(boxwright.json(*words, "--dry-run")) == {"check": "run", "train": "run", "evaluate": "run"}
    boxwright(*words)
    assert [line.split()[0] for line in ran] == ["validate", "train"]
    assert "--overwrite" in ran[1].split()


def test_other_values_of_the_matrix_do_not_run_what_is_done(boxwright: Program, ran: list[str]) -> None:
    """Each combination leaves its result, whatever the matrix around it is."""
    for changes, trained in (
        (("preset=plain", "seed=0"), ["plain-0"]),
        (("preset=plain", "seed=[0, 1]"), ["plain-1"]),
        (("preset=[plain, fancy]", "seed=1"), ["fancy-1"]),
        (("preset=plain", "seed=0"), []),
        (("preset=[plain, fancy]", "seed=[0, 1]"), ["fancy-0"]),
    ):
        ran.clear()
        content = boxwright.json("run", "r.yaml", *(word for each in changes for word in ("--set", each)))
        assert [words.split()[1] for words in ran if words.startswith("train")] == [f"--out=runs/{n}" for n in trained]
        assert [words.split()[-1] for words in ran if words.startswith("evaluate")] == [f"runs/{n}" for n in trained]
        assert all(row["numbers"] for row in content["results"]["rows"])
    # What all of them read is compared for each.
    change("photos/train.lines", "8 8 40 40", "8 8 40 41")
    dry = boxwright.json("run", "r.yaml", "--dry-run")
    assert [step["action"] for step in dry["steps"] if step["step"] == "train"] == ["run"] * 4
    assert boxwright("run", "r.yaml").exit_code == 0


def test_the_reasons_name_options_versions_and_outputs(
    boxwright: Program, ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("run", "r.yaml", "--set", "preset=plain", "--set", "seed=0")
    boxwright(*words)
    change("r.yaml", "rate: 0.25", "rate: 0.75")
    metadata = next(path for path in boxwright.site.glob("*.dist-info"))
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: cli-probe\nVersion: 1.1\n", "utf-8")
    from boxwright.plugins import default_registry, load_plugins

    default_registry.cache_clear()
    load_plugins.cache_clear()
    Path("runs/plain-0/model/average.json").unlink()
    shown = boxwright(*words, "--dry-run").stdout
    assert 'set: ["rate=0.25"] -> ["rate=0.75"]' in shown
    assert "cli-probe: version 1.0 -> 1.1" in shown
    assert "out: 1 file is missing: runs/plain-0/model/average.json" in shown
    evaluate = next(line for line in shown.splitlines() if line.startswith("evaluate: runs: "))
    assert "cli-probe: version 1.0 -> 1.1; " in evaluate
    assert evaluate.endswith("; train runs before it")


@pytest.mark.parametrize(
    ("old", "new", "message", "remedy"),
    [
        ("  seed: [0, 1]", "  seed: [0, 1", "line 5: it is not valid YAML", "quote"),
        ("  seed: [0, 1]", "  seed: []", "line 3: the variable 'seed' is an empty list", "at least one"),
        ("steps:\n", "stepps:\n", "line 6: 'stepps' is not part of a recipe", "`variables` and `steps`"),
        ("command: validate", "command: valdate", "line 7, step check: 'valdate' is not a command", "validate"),
        ("few: 0", "few: many", "line 9, step check: ", "--help"),
        ("few: 0", "fewest: 0", "line 9, step check: validate has no option 'fewest'", "few"),
        ("lines:photos/test.lines]", "lines:photos/no.lines]", "line 8, step check: uris: photos/no.lines", "path"),
        ("uris: [lines", "uris: [linse", "line 8, step check: uris: no format named 'linse'", "lines"),
        ("rate: 0.25", "rates: 0.25", "step train: the backend average has no option 'rates'", "rate"),
        ("rate: 0.25", "rate: fast", "step train: the backend average: rate='fast' is not a number", ""),
        ("preset: ${preset}", "preset: ${prest}", "line 14, step train: there is no variable 'prest'", "preset"),
        ("out: runs/${preset}-${seed}", "out: runs/${seed}", "out is runs/0 for preset=plain, seed=0 and", "${preset}"),
        ("out: runs/${preset}-${seed}", "resume: true", "'resume' cannot be set in a recipe", "sets --resume itself"),
        ("model: ${train.run}", "model: ${train.model}", "line 20, step evaluate: the step 'train' has no", "run"),
        ("model: ${train.run}", "model: ${later.run}", "${later.run} refers to no step", "train"),
        ("metric: found", "metric: find", "line 22, step evaluate: metric: no metric named 'find'", "found"),
        ("metric: found", "metric: found\n    metric: coco", "line 23: 'metric' appears twice", "remove"),
        ("rate: 0.25", "rate: 2020-99-99", "it is not valid YAML", "correct it"),
        ("rate: 0.25", "rate: !!bool maybe", "it is not valid YAML", "correct it"),
        ("rate: 0.25", "rate: \x01", "it is not valid YAML", "correct it"),
        ("rate: 0.25", "rate: ${seed", "line 17, step train: '${seed' has", "close it"),
        ("rate: 0.25", "rate: 0.25\n    log: nope", "line 18, step train: log: no logger named 'nope'", ""),
        ("  evaluate:", "  tune:\n    model: ${train.run}\n    for: x=7\n  evaluate:", "'x=7' is not a goal", "f1"),
        ("metric: found", "metric: [found, coco]", "step evaluate: metric is a list", "variables"),
    ],
)  # fmt: skip
def test_every_mistake_is_found_before_anything_runs(
    boxwright: Program, ran: list[str], old: str, new: str, message: str, remedy: str
) -> None:
    change("r.yaml", old, new)
    result = boxwright("run", "r.yaml")
    assert result.exit_code in (1, 2)
    assert message in result.stderr
    assert result.stderr.startswith("Error: r.yaml")
    assert remedy in result.stderr.partition("->")[2]
    assert ran == []


def test_a_preset_that_does_not_exist_names_the_line(boxwright: Program, ran: list[str]) -> None:
    result = boxwright("run", "r.yaml", "--set", "preset=[plain, plane]")
    assert "line 14, step train" in result.stderr
    assert "has no preset 'plane'" in result.stderr
    assert "no variable 'sed'" in boxwright("run", "r.yaml", "--set", "sed=1").stderr


def test_steps_can_be_selected(boxwright: Program, ran: list[str]) -> None:
    words = ("run", "r.yaml", "--set", "preset=plain", "--set", "seed=0")
    boxwright(*words, "--only", "train")
    boxwright(*words, "--from", "evaluate")
    assert [line.split()[0] for line in ran] == ["train", "evaluate"]
    assert "did you mean 'train'" in boxwright(*words, "--only", "trian").stderr.lower()


def test_what_the_recipe_did_not_make_is_not_replaced(boxwright: Program, ran: list[str]) -> None:
    boxwright("train", "--backend", "average", "--data", "lines:photos/train.lines", "--out", "runs/plain-0")
    before = Path("runs/plain-0/run.json").read_text("utf-8")
    for _ in range(2):
        result = boxwright("run", "r.yaml", "--set", "preset=plain", "--set", "seed=0")
        assert result.exit_code == 1
        assert "r.yaml, line 11, step train: runs/plain-0 contains a run already" in result.stderr
    assert Path("runs/plain-0/run.json").read_text("utf-8") == before


CONVERT = """\
variables:
  name: a

steps:
  convert:
    sources: lines:photos/train.lines
    target: lines:out/${name}.lines
"""


def test_what_another_value_of_a_variable_leads_to_is_not_replaced(boxwright: Program, ran: list[str]) -> None:
    """The step has made out/a.lines, not out/mine.lines."""
    Path("s.yaml").write_text(CONVERT, "utf-8")
    assert boxwright("run", "s.yaml").exit_code == 0
    Path("out/mine.lines").write_text("my own", "utf-8")
    result = boxwright("run", "s.yaml", "--set", "name=mine")
    assert result.exit_code == 1
    assert "out/mine.lines" in result.stderr
    assert Path("out/mine.lines").read_text("utf-8") == "my own"
    # What it has made once, it may replace, as single run or within a matrix.
    assert boxwright("run", "s.yaml", "--set", "name=b").exit_code == 0
    change("photos/train.lines", "8 8 40 40", "8 8 40 41")
    assert boxwright("run", "s.yaml").exit_code == 0
    assert boxwright("run", "./s.yaml", "--set", "name=[a, b]").exit_code == 0
    assert boxwright("run", str(Path("s.yaml").resolve()), "--set", "name=[a, b]", "--dry-run").stdout.count("is done")


def test_overwrite_replaces_what_is_not_known_to_be_of_the_recipe(boxwright: Program, ran: list[str]) -> None:
    Path("s.yaml").write_text(CONVERT, "utf-8")
    assert boxwright("run", "s.yaml").exit_code == 0
    Path(".boxwright/cache.json").unlink()
    assert boxwright("run", "s.yaml").exit_code == 1
    assert boxwright("run", "s.yaml", "--overwrite").exit_code == 0
    change("photos/train.lines", "8 8 40 40", "8 8 40 41")
    assert boxwright("run", "s.yaml").exit_code == 0


def test_a_changed_image_runs_what_reads_it_through_a_converted_dataset(boxwright: Program, ran: list[str]) -> None:
    pytest.importorskip("boxwright_coco")
    Path("s.yaml").write_text(
        """\
steps:
  convert:
    sources: lines:photos/train.lines
    target: coco:out/{split}.json
    with: split:train=0.5,val=0.5
  info:
    uri: ${convert.dataset[train]}
""",
        "utf-8",
    )
    assert boxwright("run", "s.yaml").exit_code == 0
    assert boxwright("run", "s.yaml").exit_code == 0
    assert len(ran) == 2
    for name in "ab":
        Image.new("RGB", (64, 48), "red").save(f"photos/{name}.png")
    assert actions(boxwright.json("run", "s.yaml")) == {"convert": "run", "info": "run"}
    assert actions(boxwright.json("run", "s.yaml")) == {"convert": "done", "info": "done"}


def test_the_number_of_workers_does_not_change_a_result(boxwright: Program, ran: list[str]) -> None:
    Path("s.yaml").write_text(CONVERT, "utf-8")
    assert boxwright("run", "s.yaml").exit_code == 0
    Path("s.yaml").write_text(f"{CONVERT}    workers: 1\n", "utf-8")
    assert actions(boxwright.json("run", "s.yaml", "--dry-run")) == {"convert": "done"}


def test_names_with_brackets_are_not_patterns(boxwright: Program, ran: list[str]) -> None:
    Path("photos").rename("p[1]")
    Path("s.yaml").write_text(CONVERT.replace("photos", "p[1]").replace("out/$", "o[x]/$"), "utf-8")
    for _ in range(2):
        assert boxwright("run", "s.yaml").exit_code == 0
    assert len(ran) == 1
    change("p[1]/train.lines", "8 8 40 40", "8 8 40 41")
    assert boxwright("run", "s.yaml").exit_code == 0
    Path("o[x]/a.lines").unlink()
    assert boxwright("run", "s.yaml").exit_code == 0
    assert len(ran) == 3


def test_a_matrix_that_changes_one_model_is_refused(boxwright: Program, ran: list[str]) -> None:
    """Otherwise both evaluations would measure the last tuning."""
    change("r.yaml", "  seed: [0, 1]\n", "  seed: 0\n  goal: [f1, recall=0.9]\n")
    change("r.yaml", "  evaluate:\n", "  tune:\n    model: ${train.run}\n    data: lines:photos/test.lines\n"
           "    for: ${goal}\n  evaluate:\n")  # fmt: skip
    result = boxwright("run", "r.yaml")
    assert "step tune: model is runs/plain-0 for preset=plain, goal=f1 and" in result.stderr
    assert "add ${goal} to the step that makes it" in result.stderr
    assert ran == []


def test_a_camera_and_a_url_are_never_done() -> None:
    from boxwright_cli.meanings import Meaning
    from boxwright_cli.recipes.contents import is_compared

    assert not is_compared(Meaning("dataset", "reads"), "https://x.org/a.csv")
    assert not is_compared(Meaning("dataset", "reads"), ["csv:https://x.org/a.csv"])
    assert not is_compared(Meaning("inputs", "reads"), ["0"])
    assert is_compared(Meaning("inputs", "reads"), ["photos", "lines:photos/test.lines"])


def test_one_and_true_are_different_values(boxwright: Program, ran: list[str]) -> None:
    Path("s.yaml").write_text(CONVERT.replace("name: a", "name: a\n  x: [1, true]") + "    with: ${x}\n", "utf-8")
    assert "add ${x} to it" in boxwright("run", "s.yaml").stderr


def test_nested_variables_are_resolved_once(boxwright: Program, ran: list[str]) -> None:
    names = "".join(f"  v{number}: ${{v{number + 1}}}${{v{number + 1}}}\n" for number in range(40))
    for last, code in (('""', 0), ("x", 1)):  # the second one would have 2 ** 40 characters
        Path("s.yaml").write_text(
            f"variables:\n{names}  v40: {last}\nsteps:\n  info:\n    uri: lines:photos/${{v0}}train.lines\n", "utf-8"
        )
        assert boxwright("run", "s.yaml", "--dry-run").exit_code == code


def test_a_cache_with_other_types_counts_as_empty(boxwright: Program, ran: list[str]) -> None:
    Path("s.yaml").write_text(CONVERT, "utf-8")
    boxwright("run", "s.yaml")
    cache = Path(".boxwright/cache.json")
    content = json.loads(cache.read_text("utf-8"))
    next(iter(content["steps"].values()))["outputs"] = [1]
    cache.write_text(json.dumps(content), "utf-8")
    assert "it has not run yet" in boxwright("run", "s.yaml", "--dry-run").stdout


def test_a_step_that_finds_problems_names_the_command_that_shows_them(boxwright: Program, ran: list[str]) -> None:
    change("photos/test.lines", "8 8 32 40", "8 8 32 forty")
    result = boxwright("run", "r.yaml", "--only", "check")
    assert result.exit_code == 1
    assert "see what it found: boxwright validate --pictures=none --few=0 -- lines:" in result.stderr


STOPPING = """
from boxwright import BackendSpec, hookimpl

boxwright_api = (1, 1)


class Stopping:
    def fit(self, job):
        job.epoch_ended(1, {"loss": 1.0})
        if not job.resume:
            raise KeyboardInterrupt
        with job.run.open_write("model/resumed") as file:
            file.write(b"yes")

    def load(self, run):
        raise NotImplementedError


@hookimpl
def boxwright_backends():
    return [BackendSpec(name="stopping", load="cli_stopping:Stopping", presets={"plain": ""})]
"""


def test_an_interrupted_training_resumes(boxwright: Program, ran: list[str], install_plugin: Any) -> None:
    install_plugin("cli_stopping", STOPPING)
    Path("s.yaml").write_text(
        "steps:\n  train:\n    backend: stopping\n    data: lines:photos/train.lines\n    out: run\n", "utf-8"
    )
    result = boxwright("run", "s.yaml")
    assert result.exit_code == 130
    assert "run the recipe again to continue" in result.stderr
    assert actions(boxwright.json("run", "s.yaml", "--dry-run")) == {"train": "resume"}
    assert "boxwright train --resume --out=run" in boxwright("run", "s.yaml", "--dry-run").stdout
    assert boxwright("run", "s.yaml").exit_code == 0
    assert ran[1].split()[:2] == ["train", "--resume"]
    assert Path("run/model/resumed").is_file()


def test_a_target_with_splits_is_the_input_of_later_steps(boxwright: Program, ran: list[str]) -> None:
    Path("s.yaml").write_text(
        """\
steps:
  split:
    command: convert
    sources: lines:photos/train.lines
    target: coco:{split}.json?images=copy
    with: split:train=0.5,val=0.5
  check:
    command: validate
    uris: ["${split.dataset[train]}"]
""",
        "utf-8",
    )
    pytest.importorskip("boxwright_coco")
    assert boxwright("run", "s.yaml").exit_code == 0
    assert ran[1] == "validate -- coco:train.json"
    change("s.yaml", "train=0.5,val=0.5", "val=0.5,train=0.5")
    assert actions(boxwright.json("run", "s.yaml", "--dry-run")) == {"split": "run", "check": "run"}


def test_a_second_run_waits_for_the_first(boxwright: Program, tmp_path: Path, lines: Lines) -> None:
    """In a separate process, with a step in another one."""
    lines("a.png 64 48 mug 8 8 32 40", name="train.lines")
    (tmp_path / "r.yaml").write_text(
        "steps:\n  convert:\n    sources: lines:photos/train.lines\n    target: lines:out.lines\n", "utf-8"
    )
    (tmp_path / ".boxwright").mkdir()
    with (tmp_path / ".boxwright" / "lock").open("w", encoding="utf-8") as lock:
        assert take(lock)
        lock.write("Process 12 on there")
        lock.flush()
        process = boxwright.start("run", "r.yaml", "--json", cwd=tmp_path)
        line = process.stderr.readline()
        assert line == "Process 12 on there runs a recipe in this folder; waiting for it.\n"
        assert not (tmp_path / "out.lines").exists()
    printed, messages = process.communicate(timeout=60)
    assert process.returncode == 0, messages
    assert actions(json.loads(printed)) == {"convert": "run"}
    assert (tmp_path / "out.lines").read_text("utf-8").startswith("a.png 64 48")


SLEEPING = """
import os
import sys
import time

from boxwright import DatasetInfo, FormatSpec, hookimpl
from boxwright.storage import write_atomically

boxwright_api = (1, 1)


class Sleeping:
    def __init__(self, location):
        self.info = DatasetInfo(format="sleeping", location=location)

    def read(self, on_problem):
        if "info" in sys.argv:  # and not the process that runs the recipe, which reads the dataset as well
            write_atomically("pid", str(os.getpid()).encode())
            time.sleep(60)
        return iter(())


@hookimpl
def boxwright_formats():
    return [FormatSpec(name="sleeping", load="cli_sleeping:Sleeping")]
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs signals")
def test_the_step_of_a_killed_run_keeps_the_lock(boxwright: Program, tmp_path: Path, install_plugin: Any) -> None:
    install_plugin("cli_sleeping", SLEEPING)
    (tmp_path / "r.yaml").write_text("steps:\n  info:\n    uri: sleeping:x\n", "utf-8")
    (tmp_path / "x").mkdir()
    process = boxwright.start("run", "r.yaml", cwd=tmp_path)
    deadline = time.monotonic() + 60
    while not (tmp_path / "pid").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    process.wait()
    try:
        with (tmp_path / ".boxwright" / "lock").open("r+", encoding="utf-8") as lock:
            assert not take(lock)
    finally:
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
        process.communicate()


def test_the_schema_accepts_recipes_and_finds_mistakes(boxwright: Program, ran: list[str]) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    import yaml

    schema = json.loads(boxwright("run", "--schema").stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)

    def problems(old: str = "", new: str = "") -> int:
        assert old in RECIPE
        return len(list(validator.iter_errors(yaml.safe_load(RECIPE.replace(old, new)))))

    assert problems() == 0
    for good in ("metric: coco", "metric: coco:draws=10", "data: x\n    metric: ${seed}"):
        assert problems("metric: found", good) == 0
    for bad in ("metric: find", "metrics: found", "batch-size: many"):
        assert problems("metric: found", bad) == 1
    for old, new in (
        ("command: validate", "command: valdate"),
        ("backend: average", "backend: avrage"),
        ("model: ${train.run}\n", "device: CPU\n"),
        ("few: 0", "few: true"),
    ):
        assert problems(old, new) == 1


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("train --backend av", ["average"]),
        ("train --backend average --preset ", ["plain", "fancy"]),
        ("train --backend average --set ra", ["rate="]),
        ("train --backend average --set stop = t", ["true"]),
        ("evaluate x --metric fou", ["found"]),
        ("convert a b --with annot", ["annotated"]),
        ("convert lin", ["lines:"]),
        ("train --data = lines : x?ch", ["lines:x?chatty="]),
        ("convert lines : x?ch", ["lines:x?chatty="]),
        ("export run --to lite", []),
        ("formats li", ["lines"]),
        ("plugins list back", ["backend"]),
        ("plugins show ave", ["average"]),
        ("plugins show backend ", ["average"]),
        ("env install ", []),
    ],
)
def test_shells_complete_names_and_options_of_plugins(
    boxwright: Program, typed: str, expected: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Words as bash passes them, split at colons and equals signs."""
    from boxwright_cli.completion import complete_in_bash
    from boxwright_cli.main import app

    words = ["boxwright", *typed.split(" ")]
    monkeypatch.setenv("_BOXWRIGHT_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "\n".join(words))
    monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
    monkeypatch.setenv("BOXWRIGHT_PLUGINS", "cli_probe")
    with pytest.raises(SystemExit):
        complete_in_bash(lambda: app(prog_name="boxwright"))
    cut = expected[0].partition(":")[2] if ":" in typed else ""
    assert capsys.readouterr().out.split() == ([cut] if cut else expected)


def test_commands_are_saved_as_the_steps_that_they_were(boxwright: Program, ran: list[str]) -> None:
    for words in (
        ("convert", "lines:photos/train.lines", "lines:photos/copy.lines", "--with", "annotated", "--save", "s.yaml"),
        ("--save=s.yaml", "train", "--backend", "average", "--data", "lines:photos/copy.lines", "--out", "run",
         "--set", "rate=0.25", "--seed", "4"),
        ("evaluate", "run", "--data", "lines:photos/test.lines", "--metric", "found", "--save", "s.yaml", "--json"),
        ("evaluate", "run", "--data", "lines:photos/copy.lines", "--metric", "found", "--save", "s.yaml"),
    ):  # fmt: skip
        result = boxwright(*words)
        assert result.exit_code == 0, result.output
        assert "s.yaml: added the step " in result.stderr
    assert (
        Path("s.yaml").read_text("utf-8")
        == """\
steps:
  convert:
    sources: lines:photos/train.lines
    target: lines:photos/copy.lines
    with: annotated
  train:
    out: ${convert.dataset}
    data: ${convert.dataset}
    backend: average
    seed: 4
    set:
      rate: '0.25'
  evaluate:
    model: ${train.run}
    data: lines:photos/test.lines
    metric: found
  evaluate-2:
    command: evaluate
    model: ${train.run}
    data: ${convert.dataset}
    metric: found
""".replace("out: ${convert.dataset}", "out: run")
    )
    # What has run is done, except for measuring, whose numbers the table needs.
    todo = {"convert": "done", "train": "done", "evaluate": "run", "evaluate-2": "run"}
    assert actions(boxwright.json("run", "s.yaml", "--dry-run")) == todo
    assert boxwright("run", "s.yaml").exit_code == 0
    assert [words.split()[0] for words in ran] == ["evaluate", "evaluate"]
    change("s.yaml", "rate: '0.25'", "rate: '0.5'")
    assert boxwright("run", "s.yaml").exit_code == 0  # it may replace what the saved commands made


def test_a_command_is_saved_while_a_recipe_runs(boxwright: Program, ran: list[str]) -> None:
    Path(".boxwright").mkdir()
    with Path(".boxwright/lock").open("w", encoding="utf-8") as lock:
        assert take(lock)
        result = boxwright("convert", "lines:photos/train.lines", "lines:copy.lines", "--save", "s.yaml")
        assert result.exit_code == 0, result.output
    assert actions(boxwright.json("run", "s.yaml", "--dry-run")) == {"convert": "run"}


def test_what_cannot_be_saved_does_not_run(boxwright: Program, ran: list[str]) -> None:
    Path("s.yaml").write_text("steps:\n  info:\n    uri: lines:photos/train.lines\nvariables: {}\n", "utf-8")
    convert = ("convert", "lines:photos/train.lines", "lines:copy.lines")
    assert "write `steps` last" in boxwright(*convert, "--save", "s.yaml").stderr
    assert "formats cannot be a step" in boxwright("formats", "--save", "new.yaml").stderr
    assert not Path("copy.lines").exists()
    assert not Path("new.yaml").exists()
    assert "pass a recipe" in boxwright("formats", "--save").stderr
    for content, problem in ((b"steps:\n  nope:\n    x: 1\n", "'nope' is not a command"), (b"# \xe9\n", "not UTF-8")):
        Path("bad.yaml").write_bytes(content)
        assert problem in boxwright(*convert, "--save", "bad.yaml").stderr
        assert not Path("copy.lines").exists()
    assert boxwright("convert", "nothing", "lines:copy.lines", "--save", "new.yaml").exit_code == 1
    assert not Path("new.yaml").exists()


def test_init_writes_a_recipe_that_is_accepted(boxwright: Program, tmp_path: Path, monkeypatch: Any) -> None:
    for library in ("boxwright_kerascv", "boxwright_demo", "boxwright_voc", "boxwright_coco", "boxwright_transforms"):
        pytest.importorskip(library)
    monkeypatch.chdir(tmp_path)
    boxwright("demo", "photos", "--images", "4", "--size", "96x64")
    content = boxwright.json("init", "--photos", "photos/train", "--for", "phone", "--minutes", "2")
    assert content["steps"][:5] == ["validate", "split", "train", "tune", "evaluate"]
    steps = boxwright.json("run", "recipe.yaml", "--dry-run")["steps"]
    assert steps[0]["command"] == ["validate", "--", "labelimg:photos/train"]
    assert "--set=steps=800" in steps[2]["command"]
    assert boxwright("init", "--photos", "photos/train").exit_code == 1  # it exists
    other = ("init", "two.yaml", "--photos", "photos/train", "--format", "labelimg", "--test", "photos/test")
    assert boxwright.json(*other)["steps"][:4] == ["validate", "split", "train", "tune"]
    assert "pass --photos" in boxwright("init", "three.yaml").stderr


DEVICES = {
    "cpu": ("boxwright_openvino", "openvino"),
    "phone": ("boxwright_litert", "litert:fp16"),
    "gpu": ("boxwright_tensorrt", "tensorrt:fp16"),
    "npu": ("boxwright_openvino", "openvino:int8"),
    "browser": ("boxwright_page", "page"),
}


def test_init_writes_a_recipe_that_would_run_for_each_device(
    boxwright: Program, tmp_path: Path, monkeypatch: Any
) -> None:
    for library in ("boxwright_kerascv", "boxwright_demo", "boxwright_voc", "boxwright_coco", "boxwright_transforms"):
        pytest.importorskip(library)
    from boxwright_cli.commands.init import Device

    monkeypatch.chdir(tmp_path)
    boxwright("demo", "photos", "--images", "4", "--size", "96x64")
    assert set(DEVICES) == set(Device)
    for device, (library, exporter) in DEVICES.items():
        pytest.importorskip(library)
        # The photos are in a folder with train and test, or some of one folder are held out.
        for photos, tested in (("photos", "labelimg:photos/test"), ("photos/train", "coco:data/test.json")):
            name = f"{device}-{Path(photos).name}.yaml"
            result = boxwright("init", name, "--photos", photos, "--for", device)
            assert result.exit_code == 0, result.output
            assert f"boxwright run {name}" in Path(name).read_text("utf-8")
            steps = {step["step"]: step for step in boxwright.json("run", name, "--dry-run")["steps"]}
            assert {step["action"] for step in steps.values()} == {"run"}
            assert steps["split"]["command"][-2] == "labelimg:photos/train"
            assert f"--to={exporter}" in steps["export"]["command"]
            assert f"--data={tested}" in steps["evaluate"]["command"]


def test_every_place_of_every_command_has_a_meaning() -> None:
    """Otherwise a recipe would not notice that its content changed."""
    from typer.main import get_command

    from boxwright_cli.main import app
    from boxwright_cli.meanings import types_of
    from boxwright_cli.recipes.commands import StepCommand, step_names

    program: Any = get_command(app)
    commands = [StepCommand(name, program.commands[name]) for name in step_names(program)]
    found = [
        f"{command.name} {key}"
        for command in commands
        for key, parameter in command.parameters.items()
        if types_of(command.command).get(parameter.name) is Path or "URI" in (parameter.metavar or "")
    ]
    marked = [f"{command.name} {key}" for command in commands for key in command.meanings]
    assert len(found) > 30
    assert set(found) <= set(marked)


def test_the_images_of_a_dataset_for_predict_are_compared(boxwright: Program, ran: list[str]) -> None:
    change("r.yaml", "  evaluate:\n", "  predict:\n    model: ${train.run}\n    inputs: lines:photos/test.lines\n"
           "    out: found/${preset}-${seed}\n  evaluate:\n")  # fmt: skip
    words = ("run", "r.yaml", "--set", "preset=plain", "--set", "seed=0")
    assert boxwright(*words).exit_code == 0
    Image.new("RGB", (64, 48), "red").save("photos/c.png")
    assert "predict: runs: inputs: 1 file changed: photos/c.png" in boxwright(*words, "--dry-run").stdout


def test_numbers_of_other_options_are_not_shown(boxwright: Program, ran: list[str]) -> None:
    words = ("run", "r.yaml", "--set", "preset=plain", "--set", "seed=0")
    boxwright(*words)
    assert boxwright.json(*words, "--only", "check")["steps"][2]["result"]
    change("r.yaml", "test.lines\n    metric", "train.lines\n    metric")
    assert boxwright.json(*words, "--only", "check")["steps"][2]["result"] is None


def test_init_asks_for_one_of_its_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    from boxwright import UsageError
    from boxwright_cli.commands import init

    monkeypatch.setattr(init, "_ask", lambda question, default: "laptop")
    with pytest.raises(UsageError, match="no device 'laptop'"):
        init._ask_device()
