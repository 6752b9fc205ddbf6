"""Several processes on this computer: the weights of one, and what happens if one of them is lost."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from trainers_tests import Training, end_state, greatest_difference

from boxwright import Run

pytest.importorskip("keras_cv")
pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

Start = Callable[..., Training]


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training of twenty steps in one process, by ``fit`` of Keras."""
    folder = tmp_path_factory.mktemp("local") / "run"
    status, messages = Training.small(out=folder).end()
    assert status == 0, messages
    return folder


def all_end(trainings: list[Training]) -> None:
    ends = [training.end() for training in trainings]
    assert [status for status, _ in ends] == [0] * len(ends), "\n\n".join(messages for _, messages in ends)


def test_two_processes_end_with_the_weights_of_one(
    local: Path, start: Start, addresses: Callable[[int], str], tmp_path: Path
) -> None:
    trainer, out = f"multiworker:workers=[{addresses(2)}]", tmp_path / "run"
    all_end([start(out=out, trainer=trainer), start(out=out, trainer=trainer)])
    assert end_state(out)["step"] == 20
    assert greatest_difference(local, out, ["model", "optimizer"]) < 1e-5
    assert (Run(out).status, Run(f"{out}.worker-1").status) == ("done", "done")
    assert not Run(f"{out}.worker-1").file("model/network.weights.h5").exists()


def test_a_killed_worker_ends_all_and_the_training_can_be_resumed(
    local: Path, start: Start, addresses: Callable[[int], str], tmp_path: Path
) -> None:
    workers, out = addresses(2), tmp_path / "run"
    trainer = f"multiworker:workers=[{workers}],index="
    first = start(out=out, trainer=f"{trainer}0")
    lost = start(out=out, trainer=f"{trainer}1", die_at=7)
    assert lost.process.wait(400) == -9
    died = time.monotonic()
    status, messages = first.end(30)
    assert time.monotonic() - died < 30
    assert status in (1, -14)  # ended by a signal if TensorFlow does not end
    address = workers.split(",")[1]
    assert f"Error: worker 1 ({address}) has ended, or can no longer be reached" in messages
    assert "--resume" in messages.split("Error: ")[1]
    run = Run(out)
    assert run.status == "failed"
    assert address in run.state["error"]
    assert 0 < end_state(out)["step"] < 20
    shutil.copytree(out, tmp_path / "copy")
    trainer = f"multiworker:workers=[{addresses(2)}]"
    all_end([start(out=out, resume=True, trainer=trainer), start(out=out, resume=True, trainer=trainer)])
    all_end([start(out=tmp_path / "copy", resume=True, trainer="local")])
    for folder in (out, tmp_path / "copy"):
        assert Run(folder).status == "done"
        assert end_state(folder)["step"] == 20
        assert greatest_difference(local, folder) < 1e-5


def test_workers_with_other_data_end_before_they_train(
    start: Start, addresses: Callable[[int], str], tmp_path: Path
) -> None:
    trainer, out = f"multiworker:workers=[{addresses(2)}],index=", tmp_path / "run"
    one = start(out=out, trainer=f"{trainer}0")
    two = start(out=out, trainer=f"{trainer}1", data="demo:train?images=8&seed=5&size=96x80")
    (status, messages), (other_status, other_messages) = one.end(), two.end()
    assert (status, other_status) == (1, 1)
    assert "this worker trains something else than worker 0: data is" in other_messages
    assert "has ended: this worker trains something else than worker 0" in messages
    assert not (out / "metrics.jsonl").exists()
