"""Tests of a logger: what sends the events of a training to a file or a service."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest

from boxwright import Dataset, Run, train
from boxwright.datasets import SampleReader
from boxwright.plugins import Registered, Registry
from boxwright_testing.probe import PROBE, with_probe
from boxwright_testing.samples import drawn_samples
from boxwright_testing.specs import SpecTests

_CANARY = "canary-8c1f2e"


class LoggerTests(SpecTests):
    """The rules for every logger. Trains a tiny backend of boxwright-testing on eight drawn images.

    Set in the subclass ``logger``, the logger's name, and if it needs options the method :meth:`step`.
    """

    kind: ClassVar[str] = "logger"
    logger: ClassVar[str] = ""

    @property
    def spec_name(self) -> str:
        """The logger's name."""
        return self.logger

    def step(self, folder: Path) -> str:
        """The logger with its options, as ``--log`` names it; it may write to the folder."""
        return self.logger

    @pytest.fixture(autouse=True)
    def _workplace(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A failure is an error; what a logger writes by default is written to the test's folder."""
        (tmp_path / "here").mkdir()
        monkeypatch.chdir(tmp_path / "here")
        monkeypatch.setenv("BOXWRIGHT_STRICT", "1")

    def train(self, registry: Registry, folder: Path, **changes: Any) -> Run:
        """Trains two epochs into ``folder / "run"``."""
        arguments: dict[str, Any] = {"out": folder / "run", "backend": PROBE, "epochs": 2, "registry": registry}
        data = Dataset(SampleReader(drawn_samples(folder / "pictures", 8, empty=1)))
        return train(data, **(arguments | {"log": [self.step(folder)]} | changes))

    def test_it_logs_a_training(self, registry: Registry, entry: Registered[Any], tmp_path: Path) -> None:
        """No event fails, and something is written that is not written without the logger."""
        plugins = with_probe(registry)
        held_out = Dataset(SampleReader(drawn_samples(tmp_path / "others", 2, seed=5)))
        with self.offline():
            run = self.train(plugins, tmp_path, val=held_out)
            self.train(plugins, tmp_path, val=held_out, out=tmp_path / "plain", log=[])
        assert run.status == "done", f"the run is {run.status}"
        assert run.config["log"] == [self.step(tmp_path)], f"the run keeps the loggers {run.config['log']}"
        assert self._files(tmp_path / "run") - self._files(tmp_path / "plain") or self._files(tmp_path / "here"), (
            "the logger wrote nothing"
        )

    def test_it_continues_with_a_resumed_training(
        self, registry: Registry, entry: Registered[Any], tmp_path: Path
    ) -> None:
        """The logger of the run is used again, also after Ctrl-C."""
        plugins = with_probe(registry)
        with pytest.raises(KeyboardInterrupt):
            self.train(plugins, tmp_path, settings={"stop_at": 2})
        run = self.train(plugins, tmp_path, resume=True, log=None)
        assert run.status == "done", f"the run is {run.status}"
        assert [line["epoch"] for line in run.metrics()] == [1, 2], f"metrics.jsonl has {run.metrics()}"

    def test_a_failed_training_is_logged(self, registry: Registry, entry: Registered[Any], tmp_path: Path) -> None:
        """The error of the training is raised, and not one of the logger."""
        with pytest.raises(Exception, match="the probe was set to fail"):
            self.train(with_probe(registry), tmp_path, settings={"fail_at": 1})

    def test_secrets_stay_secret(
        self, registry: Registry, entry: Registered[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Neither the environment nor the command line is written anywhere."""
        monkeypatch.setenv("BOXWRIGHT_TEST_TOKEN", _CANARY)
        monkeypatch.setattr("sys.argv", ["boxwright", "train", "--data", f"coco:https://me:{_CANARY}@example.org/a"])
        self.train(with_probe(registry), tmp_path)
        found = [path for path in tmp_path.rglob("*") if path.is_file() and _CANARY.encode() in path.read_bytes()]
        assert found == [], f"a secret is in {found}"

    @staticmethod
    def _files(folder: Path) -> set[str]:
        return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
