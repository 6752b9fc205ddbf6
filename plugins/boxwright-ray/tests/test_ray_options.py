"""The options and errors of the trainer ``ray``, and what worker 0 reports, without a cluster."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

import boxwright
from boxwright import BackendSpec, EngineError, PluginNotFoundError, Run, UsageError
from boxwright.plugins import Registry, default_registry
from boxwright_cli.commands.train import _trainer
from boxwright_testing.probe import PROBE, ProbeBackend, with_backend, with_probe

pytest.importorskip("ray", reason='needs Ray: python -m pip install "boxwright-ray[ray]"')

DATA = "demo:train?images=4&seed=4&size=64x48"


class OneGo:
    """A backend that cannot be trained step by step."""

    fit = ProbeBackend.fit
    load = ProbeBackend.load


def train(out: Path, registry: Registry | None = None, backend: str = PROBE, **arguments: Any) -> Run:
    plugins = registry or with_probe(default_registry())
    return boxwright.train(DATA, out=out, backend=backend, log=[], registry=plugins, **arguments)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--trainer", "ray:0"], "workers"),
        (["--trainer", "ray:two"], "workers"),
        (["--trainer", "ray:restarts=-1"], "restarts"),
        (["--trainer", "ray:gpus=-1"], "gpus"),
        (["--trainer", "ray:cpus=0"], "cpus"),
        (["--trainer", "ray:nodes=2"], "nodes"),
        (["--address", "10.0.0.1:6379"], "--address without --trainer"),
        (["--trainer", "local", "--address", "10.0.0.1:6379"], "address"),
        (["--trainer", "ray:2", "--workers", "3"], "workers"),
    ],
    ids=str,
)
def test_wrong_options(options: list[str], problem: str, tmp_path: Path) -> None:
    from boxwright_cli.main import app

    command = ["train", "--data", DATA, "--out", str(tmp_path / "run"), "--backend", "kerascv", *options]
    result = CliRunner().invoke(app, command, prog_name="boxwright", env={"COLUMNS": "300"})
    assert result.exit_code == 2, result.output
    assert problem in result.output
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("trainer", "workers", "address", "expected"),
    [
        (None, None, "", None),
        ("ray", None, "", "ray"),
        ("ray", None, "10.0.0.1:6379", "ray:address=10.0.0.1:6379"),
        ("ray:restarts=2", "4", "10.0.0.1:6379", "ray:workers=4,address=10.0.0.1:6379,restarts=2"),
        (None, "a:1,b:2", "", "multiworker:workers=[a:1,b:2]"),
    ],
)
def test_options_of_the_command_are_those_of_the_trainer(
    trainer: str | None, workers: str | None, address: str, expected: str | None
) -> None:
    assert _trainer(trainer, workers, address) == expected


def test_a_batch_that_cannot_be_divided(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a batch of 7 images cannot be divided equally among 2") as caught:
        train(tmp_path / "run", trainer="ray:2", batch_size=7)
    assert caught.value.remedy == "pass --batch-size 6 or 8"


def test_a_backend_without_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("boxwright_testing.probe.OneGo", OneGo, raising=False)
    spec = BackendSpec(name="one-go", load="boxwright_testing.probe:OneGo", presets={"plain": "The only one"})
    with pytest.raises(UsageError, match="one-go cannot be trained by the trainer ray") as caught:
        train(tmp_path / "run", with_backend(default_registry(), spec), "one-go", trainer="ray:2")
    assert "--trainer local" in caught.value.remedy


def test_without_the_trainer_that_it_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("boxwright_ray.trainer.default_registry", lambda: SimpleNamespace(names=lambda kind: ["ray"]))
    with pytest.raises(PluginNotFoundError, match="multiworker is not installed") as caught:
        train(tmp_path / "run", trainer="ray:2")
    assert "boxwright-trainers" in caught.value.remedy


def test_no_cluster_at_an_address(tmp_path: Path) -> None:
    with socket.socket() as taken:  # bound, so that nothing else listens there
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(EngineError, match=f"there is no Ray cluster at {address}") as caught:
            train(tmp_path / "run", trainer=f"ray:address={address}")
    assert "ray start --head" in caught.value.remedy
    assert Run(tmp_path / "run").status == "failed"


class Recorder:
    """A reporter that records its calls, and whether tasks have ended."""

    def __init__(self) -> None:
        self.shown: list[Any] = []
        self.steps = 0

    @contextmanager
    def task(self, description: str, total: int | None = None) -> Iterator[Any]:
        self.shown.append(("begins", description, total))
        yield self
        self.shown.append(("ends", description))

    def advance(self, steps: int = 1) -> None:
        self.steps += steps

    def update(self, *, total: int | None = None, note: str | None = None) -> None:
        self.shown.append((total, note))

    def message(self, text: str) -> None:
        self.shown.append(text)

    def warning(self, text: str) -> None:
        self.shown.append(f"! {text}")


@pytest.fixture
def letters_and_reporter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[tuple[Any, Recorder, list[Any]]]:
    """The reporter of worker 0, and what reaches the reporter and the plugins of the command from it."""
    from boxwright_ray import machine

    mailbox = machine.Mailbox()
    monkeypatch.setattr(machine.ray, "get", lambda reference: None)
    letters = machine._Letters(SimpleNamespace(put=SimpleNamespace(remote=mailbox.put)))
    reporter, events = Recorder(), []
    run = train(tmp_path / "run", trainer="local")
    hook = SimpleNamespace(boxwright_epoch_ended=lambda **content: events.append(content))
    job: Any = SimpleNamespace(reporter=reporter, run=run, plugins=SimpleNamespace(hook=hook))
    with machine.Replay(job) as replay:
        monkeypatch.setattr(letters, "arrive", lambda: replay(mailbox.take()), raising=False)
        yield letters, reporter, events


def test_what_worker_0_reports_is_shown_in_sequence(letters_and_reporter: tuple[Any, Recorder, list[Any]]) -> None:
    letters, reporter, _ = letters_and_reporter
    letters.message("begin")
    with letters.task("Training", 1000) as task:
        for _ in range(1000):
            task.advance()
        task.update(note="loss 1")
    letters.warning("careful")
    letters.close()
    assert reporter.shown == []
    letters.arrive()
    assert reporter.shown == [
        "begin",
        ("begins", "Training", 1000),
        (None, "loss 1"),
        ("ends", "Training"),
        "! careful",
    ]
    assert reporter.steps == 1000


def test_events_reach_the_plugins_of_the_command(letters_and_reporter: tuple[Any, Recorder, list[Any]]) -> None:
    from boxwright.plugins import LoadedPlugins
    from boxwright_ray.machine import _Events

    letters, _, events = letters_and_reporter
    plugins = LoadedPlugins().with_loggers({"ray": _Events(letters)}, letters.warning)
    plugins.hook.boxwright_epoch_ended(run=None, epoch=3, metrics={"loss": 0.5})
    letters.arrive()
    (event,) = events
    assert (event["epoch"], event["metrics"]) == (3, {"loss": 0.5})
    assert event["run"].state["epochs_done"] == 2  # as in the folder


def test_tasks_of_a_lost_worker_are_ended() -> None:
    from boxwright_ray.machine import Replay

    reporter = Recorder()
    job: Any = SimpleNamespace(reporter=reporter)
    with Replay(job) as replay:
        replay([("task", 1, "Reading", 5), ("task", 2, "Training", None)])
    assert reporter.shown[2:] == [("ends", "Training"), ("ends", "Reading")]
