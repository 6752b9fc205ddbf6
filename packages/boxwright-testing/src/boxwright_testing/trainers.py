"""Tests of a trainer: where and how a backend's training runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from boxwright import DataError, Dataset, Run, Sample, load_model, train
from boxwright.datasets import SampleReader
from boxwright.models import WorkerTrainer, make_trainer
from boxwright.plugins import Registered, Registry
from boxwright_testing.probe import PROBE, with_probe
from boxwright_testing.samples import drawn_samples
from boxwright_testing.specs import SpecTests


class TrainerTests(SpecTests):
    """The rules for every trainer. Trains a tiny backend of boxwright-testing on eight drawn images.

    Set in the subclass:

    - ``trainer``: the trainer's name, with its options as after ``--trainer``.
    - ``backend``, ``preset``, ``settings``: what to train with it, where it works with some backends only. The tests of
      failures and resuming need the backend of boxwright-testing and are skipped then.
    - ``same_as_local``: false if the result may differ from that of the trainer ``local``, as sums in another order
      make it.
    """

    kind: ClassVar[str] = "trainer"
    trainer: ClassVar[str] = ""
    backend: ClassVar[str] = PROBE
    preset: ClassVar[str | None] = None
    settings: ClassVar[Mapping[str, object]] = {}
    same_as_local: ClassVar[bool] = True

    @property
    def spec_name(self) -> str:
        """The trainer's name."""
        return self.trainer.partition(":")[0]

    @pytest.fixture
    def plugins(self, registry: Registry, entry: Registered[Any]) -> Registry:
        """The plugins under test, and the tiny backend."""
        return with_probe(registry) if self.backend == PROBE else registry

    def samples(self, folder: Path) -> list[Sample]:
        """What is trained on."""
        return drawn_samples(folder, 8, empty=1)

    def train(self, plugins: Registry, folder: Path, **changes: Any) -> Run:
        """Trains two epochs into ``folder / "run"``."""
        arguments: dict[str, Any] = {
            "out": folder / "run",
            "backend": self.backend,
            "preset": self.preset,
            "trainer": self.trainer,
            "settings": self.settings,
            "epochs": 2,
            "seed": 3,
            "registry": plugins,
        }
        data = Dataset(SampleReader(self.samples(folder / "pictures")))
        return train(data, **(arguments | changes))

    def _need_probe(self) -> None:
        if self.backend != PROBE:
            pytest.skip(f"the trainer {self.trainer} is tested with the backend {self.backend}")

    def test_the_factory_takes_its_options(self, registry: Registry, entry: Registered[Any]) -> None:
        """Every declared option is a parameter of the factory."""
        super().test_the_factory_takes_its_options(registry, entry)
        trainer = make_trainer(self.trainer, registry)
        assert callable(trainer.train), "train is nothing that can be called"
        if isinstance(trainer, WorkerTrainer):
            trainer.close()

    def test_training_leaves_a_whole_run(self, plugins: Registry, tmp_path: Path) -> None:
        """When ``train`` returns, the run is done: one line of metrics an epoch, and a model that finds things."""
        run = self.train(plugins, tmp_path)
        assert run.status == "done", f"the run is {run.status}"
        assert [line["epoch"] for line in run.metrics()] == [1, 2], f"metrics.jsonl has {run.metrics()}"
        images = self.samples(tmp_path / "others")
        found = list(load_model(run, registry=plugins).predict(images))
        assert [detections.image.name for detections in found] == [sample.image.name for sample in images], (
            "not one answer an image, in order"
        )

    def test_training_needs_no_network(self, plugins: Registry, tmp_path: Path) -> None:
        """Other machines are reached only where the user named them; this machine itself may be."""
        with self.offline():
            self.train(plugins, tmp_path)

    def test_the_result_is_that_of_the_local_trainer(self, plugins: Registry, tmp_path: Path) -> None:
        """The same seed produces the same losses and detections wherever the training runs."""
        if not self.same_as_local:
            pytest.skip(f"the trainer {self.trainer} does not promise it")
        mine = self.train(plugins, tmp_path / "mine")
        local = self.train(plugins, tmp_path / "local", trainer="local")
        assert _losses(mine) == _losses(local), "the losses differ from those of the trainer local"
        images = self.samples(tmp_path / "others")
        one, two = (list(load_model(run, registry=plugins).predict(images)) for run in (mine, local))
        assert one == two, "the detections differ from those of the trainer local"

    def test_what_was_asked_for_is_what_is_trained(self, plugins: Registry, tmp_path: Path) -> None:
        """Epochs, seed and settings reach the backend: another seed produces other losses."""
        run = self.train(plugins, tmp_path / "three", epochs=3)
        assert [line["epoch"] for line in run.metrics()] == [1, 2, 3], (
            f"three epochs were asked for; metrics.jsonl has {run.metrics()}"
        )
        self._need_probe()
        assert _losses(self.train(plugins, tmp_path / "seed", epochs=3, seed=4)) != _losses(run), (
            "another seed produces the same losses: job.seed was changed"
        )

    def test_an_error_reaches_the_user(self, plugins: Registry, tmp_path: Path) -> None:
        """``train`` raises the backend's error unchanged: a DataError with file, place and remedy."""
        self._need_probe()
        with pytest.raises(DataError) as caught:
            self.train(plugins, tmp_path, settings={"fail_at": 2})
        assert (caught.value.file, caught.value.place) == ("probe.jpg", "epoch 2"), f"the error became {caught.value}"
        assert caught.value.remedy == "change fail_at", f"the remedy became {caught.value.remedy!r}"
        assert Run(tmp_path / "run").status == "failed", f"the run is {Run(tmp_path / 'run').status}"

    def test_an_interrupted_training_goes_on(self, plugins: Registry, tmp_path: Path) -> None:
        """KeyboardInterrupt is raised unchanged, and ``resume`` does the rest."""
        self._need_probe()
        with pytest.raises(KeyboardInterrupt):
            self.train(plugins, tmp_path, settings={"stop_at": 2})
        assert Run(tmp_path / "run").status == "interrupted", (
            f"the run is {Run(tmp_path / 'run').status}; Ctrl-C must be raised unchanged"
        )
        try:
            run = self.train(plugins, tmp_path, resume=True)
        except KeyboardInterrupt:  # the backend stops again where it does not know that it is resumed
            pytest.fail("the training started from the beginning: job.resume did not reach the backend")
        assert run.status == "done", f"the run is {run.status}"
        assert [line["epoch"] for line in run.metrics()] == [1, 2], f"metrics.jsonl has {run.metrics()}"


def _losses(run: Run) -> list[dict[str, Any]]:
    """Each epoch's numbers that do not depend on the clock."""
    return [{name: value for name, value in line.items() if "loss" in name} for line in run.metrics()]
