"""The run folder: made once, complete at any moment, and used by one process at a time."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest

from boxwright import LabelMap, OutputError, RunError
from boxwright.models.run import Run, versions
from boxwright.storage import locks

CLASSES = LabelMap.from_names(["fig", "date"])


def make(path: Path, **changes: Any) -> Run:
    options: dict[str, Any] = {"backend": "average", "config": {"epochs": 3}, "label_map": CLASSES, "inputs": {"n": 2}}
    return Run.create(path, **(options | changes))


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return make(tmp_path / "run")


WORKING = """
import sys
from boxwright import Run
with Run(sys.argv[1]).in_use():
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def worker(run: Run) -> Iterator[subprocess.Popen[str]]:
    """Another process that uses the run."""
    command = [sys.executable, "-c", WORKING, str(run.path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.communicate()


class TestCreate:
    def test_the_files_on_disk(self, run: Run) -> None:
        assert json.loads(run.file("config.json").read_text("utf-8")) == {"epochs": 3}
        assert run.file("label_map.pbtxt").read_text("utf-8") == CLASSES.to_pbtxt()
        state = json.loads(run.file("run.json").read_text("utf-8"))
        assert (state["status"], state["backend"], state["inputs"]) == ("created", "average", {"n": 2})
        assert state["epochs_done"] == 0
        assert state["versions"]["python"] == platform.python_version()
        assert state["versions"]["numpy"] == np.__version__

    def test_it_is_the_same_when_opened_again(self, run: Run) -> None:
        again = Run(str(run.path))
        assert (again.backend, again.status, again.config) == ("average", "created", {"epochs": 3})
        assert again.label_map == CLASSES
        assert again.metrics() == []
        assert "created" in repr(again)

    def test_an_empty_folder_is_used(self, tmp_path: Path) -> None:
        assert make(tmp_path).status == "created"

    def test_missing_parents_are_made(self, tmp_path: Path) -> None:
        assert make(tmp_path / "a" / "b").status == "created"

    def test_class_names_of_other_scripts(self, tmp_path: Path) -> None:
        names = ["Käse", "苹果", 'a "b"']
        assert make(tmp_path, label_map=LabelMap.from_names(names)).label_map.names == tuple(sorted(names))

    @pytest.mark.parametrize("overwrite", [False, True])
    def test_a_folder_of_something_else_is_left_alone(self, tmp_path: Path, overwrite: bool) -> None:
        (tmp_path / "thesis.txt").write_text("all of it")
        with pytest.raises(RunError, match="is not a run") as caught:
            make(tmp_path, overwrite=overwrite)
        assert str(tmp_path) in caught.value.message
        assert os.listdir(tmp_path) == ["thesis.txt"]

    @pytest.mark.parametrize("overwrite", [False, True])
    def test_a_file_is_left_alone(self, tmp_path: Path, overwrite: bool) -> None:
        path = tmp_path / "run"
        path.write_text("mine")
        with pytest.raises(RunError, match="is not a run"):
            make(path, overwrite=overwrite)
        assert path.read_text() == "mine"

    def test_a_run_is_kept(self, run: Run) -> None:
        with run.open_write("model/weights") as file:
            file.write(b"dear")
        run.update(status="done")
        with pytest.raises(RunError, match=r"contains a run already \(done\)") as caught:
            make(run.path)
        assert "--resume" in caught.value.remedy
        assert "--overwrite" in caught.value.remedy
        assert run.file("model/weights").read_bytes() == b"dear"

    def test_a_run_that_failed_before_training_is_replaced(self, run: Run) -> None:
        run.update(status="failed")
        assert make(run.path, backend="other").backend == "other"

    @pytest.mark.parametrize("left", ["metrics.jsonl", "checkpoints/last.npz"])
    def test_a_failed_run_with_something_in_it_is_kept(self, run: Run, left: str) -> None:
        run.update(status="failed")
        with run.open_write(left) as file:
            file.write(b'{"epoch": 1}\n')
        with pytest.raises(RunError, match="contains a run already"):
            make(run.path)
        assert run.file(left).exists()

    def test_a_run_that_replaces_another_is_next_to_it_until_it_is_done(self, run: Run) -> None:
        run.write_json("evaluation/old.json", {})
        run.add_metrics(1, {"loss": 1})
        before = everything(run.path)
        make(run.path, overwrite=True, config={"epochs": 8})  # one that was killed
        new = make(run.path, overwrite=True, config={"epochs": 9})
        assert new.path == run.path.with_name("run.new")
        assert sorted(os.listdir(new.path)) == ["config.json", "label_map.pbtxt", "run.json"]
        assert everything(run.path) == before
        new.add_metrics(1, {"loss": 2})
        assert Run.resumable(run.path).path == new.path
        Run(new.path).take_place()
        new = Run(run.path)
        assert (new.config, new.metrics()) == ({"epochs": 9}, [{"epoch": 1, "loss": 2.0}])
        assert os.listdir(run.path.parent) == ["run"]
        new.take_place()
        assert os.listdir(run.path.parent) == ["run"]
        assert Run.resumable(run.path).path == run.path

    def test_an_unfinished_replacement_is_neither_hidden_nor_resumed_by_chance(self, run: Run) -> None:
        """Without the run that it was to replace, resuming would continue it instead of a newer run."""
        run.add_metrics(1, {"loss": 1})
        new = make(run.path, overwrite=True)
        shutil.rmtree(run.path)
        with pytest.raises(RunError, match=r"run\.new is an unfinished run that replaces .*run"):
            make(run.path)
        assert make(run.path, overwrite=True).path == run.path
        assert not new.path.exists()
        assert Run.resumable(run.path).path == run.path

    def test_another_folder_with_that_ending_is_left_alone(self, run: Run) -> None:
        run.add_metrics(1, {"loss": 1})
        other = make(run.path.with_name("run.new"))
        with pytest.raises(RunError, match=r"run\.new exists already"):
            make(run.path, overwrite=True)
        assert other.path.is_dir()

    def test_a_run_in_use_is_not_replaced_at_the_end(self, run: Run) -> None:
        run.add_metrics(1, {"loss": 1})
        new = make(run.path, overwrite=True)
        before = everything(run.path)
        with run.in_use(), pytest.raises(RunError, match="is training in"):
            new.take_place()
        assert everything(run.path) == before
        assert new.path.is_dir()

    @pytest.mark.parametrize("overwrite", [False, True])
    def test_a_run_at_work_is_not_replaced(self, run: Run, overwrite: bool, worker: subprocess.Popen[str]) -> None:
        before = run.file("run.json").read_bytes()
        with pytest.raises(RunError, match=f"process {worker.pid} is training"):
            make(run.path, overwrite=overwrite)
        assert run.file("run.json").read_bytes() == before

    def test_below_a_file_no_folder_can_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(OutputError) as caught:
            make(tmp_path / "file" / "run")
        assert "file" in caught.value.message


class TestOpen:
    def test_a_missing_folder(self, tmp_path: Path) -> None:
        with pytest.raises(RunError, match="gone does not exist") as caught:
            Run(tmp_path / "gone")
        assert "boxwright train" in caught.value.remedy

    def test_another_folder(self, tmp_path: Path) -> None:
        with pytest.raises(RunError, match="has no run in it"):
            Run(tmp_path)

    @pytest.mark.parametrize(
        "content",
        [b"", b"{", b"[]", b"null", b"3", b"\xff\xfe", b'{"status": "done", "backend": "x"}', b"{}", b"[" * 10_000],
    )
    def test_a_damaged_state(self, run: Run, content: bytes) -> None:
        run.file("run.json").write_bytes(content)
        with pytest.raises(RunError, match=r"run\.json is damaged") as caught:
            Run(run.path)
        assert caught.value.remedy

    def test_a_damaged_config(self, run: Run) -> None:
        run.file("config.json").write_bytes(b"{oh")
        with pytest.raises(RunError, match=r"config\.json is damaged"):
            _ = run.config

    def test_a_missing_config(self, run: Run) -> None:
        run.file("config.json").unlink()
        with pytest.raises(RunError, match=r"config\.json: No such file"):
            _ = run.config

    def test_a_missing_label_map(self, run: Run) -> None:
        run.file("label_map.pbtxt").unlink()
        with pytest.raises(RunError, match=r"label_map\.pbtxt does not exist"):
            _ = run.label_map

    def test_a_newer_layout(self, run: Run) -> None:
        run.update(boxwright_run=2)
        with pytest.raises(RunError, match="newer boxwright"):
            Run(run.path)


class TestWriting:
    def test_update_keeps_what_others_wrote(self, run: Run) -> None:
        Run(run.path).update(status="running", extra=1)
        run.update(status="done")
        assert Run(run.path).state["extra"] == 1
        assert (run.status, Run(run.path).status) == ("done", "done")

    def test_update_config_adds_and_replaces(self, run: Run) -> None:
        run.update_config({"epochs": 5, "anchors": [1, 2]})
        assert run.config == {"epochs": 5, "anchors": [1, 2]}
        assert Run(run.path).config == {"epochs": 5, "anchors": [1, 2]}

    def test_a_file_appears_when_it_is_complete(self, run: Run) -> None:
        with run.open_write("model/deep/weights") as file:
            file.write(b"half")
            file.flush()
            assert not run.file("model/deep/weights").exists()
        assert run.file("model/deep/weights").read_bytes() == b"half"
        assert os.listdir(run.file("model/deep")) == ["weights"]

    def test_a_failure_keeps_the_older_file(self, run: Run) -> None:
        def half() -> None:
            with run.open_write("weights") as file:
                file.write(b"new")
                raise KeyboardInterrupt

        with run.open_write("weights") as file:
            file.write(b"old")
        before = sorted(os.listdir(run.path))
        with pytest.raises(KeyboardInterrupt):
            half()
        assert run.file("weights").read_bytes() == b"old"
        assert sorted(os.listdir(run.path)) == before

    def test_json(self, run: Run) -> None:
        path = run.write_json("evaluation/a.json", {"Käse": Path("x")})
        assert path == run.path / "evaluation" / "a.json"
        assert json.loads(path.read_text("utf-8")) == {"Käse": "x"}


class TestMetrics:
    def test_one_line_per_epoch(self, run: Run) -> None:
        run.add_metrics(1, {"loss": 2})
        run.add_metrics(2, {"loss": np.float32(0.5), "AP": 0.25})  # type: ignore[dict-item]
        lines = run.file("metrics.jsonl").read_text("utf-8").splitlines()
        expected = [{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 0.5, "AP": 0.25}]
        assert [json.loads(line) for line in lines] == expected
        assert Run(run.path).metrics() == expected
        assert Run(run.path).state["epochs_done"] == 2

    def test_repeating_an_epoch_drops_later_ones(self, run: Run) -> None:
        for epoch in (1, 2, 3):
            run.add_metrics(epoch, {"loss": epoch})
        run.add_metrics(2, {"loss": 20})
        assert run.metrics() == [{"epoch": 1, "loss": 1.0}, {"epoch": 2, "loss": 20.0}]
        assert run.state["epochs_done"] == 2

    def test_a_damaged_file(self, run: Run) -> None:
        run.file("metrics.jsonl").write_text('{"epoch": 1}\n{"epo', "utf-8")
        with pytest.raises(RunError, match=r"metrics\.jsonl is damaged"):
            run.metrics()

    def test_a_loss_that_is_not_a_number_is_kept(self, run: Run) -> None:
        run.add_metrics(1, {"loss": float("nan")})
        assert str(run.metrics()[0]["loss"]) == "nan"


class TestLock:
    def test_it_names_this_process_and_goes(self, run: Run) -> None:
        lock = run.file(".in-use")
        with run.in_use():
            owner = json.loads(lock.read_text("utf-8"))
            assert (owner["pid"], owner["host"]) == (os.getpid(), platform.node())
        assert not lock.exists()

    def test_it_goes_after_a_failure(self, run: Run) -> None:
        with pytest.raises(ZeroDivisionError), run.in_use():
            _ = 1 / 0
        assert not run.file(".in-use").exists()

    def test_a_living_process_keeps_others_out(self, run: Run, worker: subprocess.Popen[str]) -> None:
        before = run.file(".in-use").read_bytes()
        with pytest.raises(RunError, match=f"process {worker.pid} is training in"), run.in_use():
            pytest.fail("two processes work in one run")
        with pytest.raises(RunError, match=f"process {worker.pid} is training in"):
            run.check_unused()
        assert run.file(".in-use").read_bytes() == before

    def test_a_killed_process_does_not(self, run: Run, worker: subprocess.Popen[str]) -> None:
        worker.kill()
        worker.wait()
        assert run.file(".in-use").exists()
        run.check_unused()
        with run.in_use():
            assert json.loads(run.file(".in-use").read_text("utf-8"))["pid"] == os.getpid()

    @pytest.mark.parametrize("content", ["", "[]", "{}", '{"pid": "x", "host": null}', "null", "[" * 10_000])
    def test_a_damaged_lock_does_not(self, run: Run, content: str) -> None:
        run.file(".in-use").write_text(content, "utf-8")
        with run.in_use():
            assert json.loads(run.file(".in-use").read_text("utf-8"))["pid"] == os.getpid()
            with pytest.raises(RunError, match=f"process {os.getpid()} is training"):
                run.check_unused()

    def test_a_lock_that_is_removed_while_it_is_taken_is_not_used(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its process has just ended, and another one may create a new file."""
        take = locks.take
        files: list[IO[Any]] = []

        def taken(file: IO[Any]) -> bool:
            if not files:
                run.file(".in-use").unlink()
            files.append(file)
            return take(file)

        monkeypatch.setattr(locks, "take", taken)
        with run.in_use():
            assert len(files) == 2
            assert json.loads(run.file(".in-use").read_text("utf-8"))["pid"] == os.getpid()

    def test_of_many_at_once_one_gets_it(self, run: Run) -> None:
        inside, most, got = [0], [0], [0]

        def use(_: int) -> None:
            with suppress(RunError), run.in_use():
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                got[0] += 1
                time.sleep(0.0005)
                inside[0] -= 1

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(use, range(200)))
        assert most == [1]
        assert got[0] > 1


def test_versions_contain_only_relevant_distributions() -> None:
    found = versions()
    assert "boxwright" in found
    assert "pytest" not in found
    assert list(found) == sorted(found)
