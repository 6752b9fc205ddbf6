"""The trainer ``ray`` on a cluster of a head without cores, and two nodes, on this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ray_clusters import NODE, add_node, program

import boxwright
from boxwright import EngineError, Run
from boxwright.plugins import default_registry
from boxwright_testing.probe import PROBE, with_probe

pytest.importorskip("ray", reason='needs Ray: python -m pip install "boxwright-ray[ray]"')
pytest.importorskip("keras_cv")
pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

CORES = (0, 1, 1)
DATA = "demo:train?images=8&seed=4&size=96x80"
TRAIN = (
    f"train --data {DATA} --backend small --preset tiny --image-size 64x64 --batch-size 4 --seed 1 --log csv"
    " --set score_threshold=0.001 --set oversample=1.0 --set steps=20"
).split()
"""Twenty steps: ten epochs of two."""


@pytest.fixture(autouse=True)
def _there(cluster: Any) -> None:
    """Every test has the cluster."""


@pytest.fixture(scope="module")
def local(cluster: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same training in one process, by ``fit`` of Keras."""
    folder = tmp_path_factory.mktemp("local")
    done = program(*TRAIN, "--out", "run", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "run"


def end_state(folder: Path) -> dict[str, np.ndarray]:
    """Returns the weights and the state of the optimizer at the end of a training."""
    with np.load(folder / "checkpoints" / "last.npz", allow_pickle=False) as file:
        return {name: file[name] for name in file.files if name != "state"}


def check_same(one: Path, two: Path, kinds: tuple[str, ...] = ("model",)) -> None:
    """Checks that two trainings ended after 20 steps with the same weights, to 1e-5."""
    first, second = end_state(one), end_state(two)
    assert first.keys() == second.keys()
    assert first["step"] == second["step"] == 20
    for name, value in first.items():
        if name.startswith(kinds):
            np.testing.assert_allclose(second[name], value, rtol=0, atol=1e-5)


def test_two_machines_end_with_the_weights_of_one_process(local: Path, cluster: Any, tmp_path: Path) -> None:
    done = program(*TRAIN, *f"--trainer ray --address {cluster.address} --out run".split(), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Training as worker 0 of 2, with 2 devices in all." in done.stderr
    assert "20 steps of 4 on 2 devices" in done.stderr
    run = Run(tmp_path / "run")
    assert run.status == "done"
    check_same(local, run.path, ("model", "optimizer"))
    losses = [[line["loss"] for line in each.metrics()] for each in (run, Run(local))]
    np.testing.assert_allclose(losses[0], losses[1], atol=1e-4)
    # The logger of the command has had the event of each epoch.
    tables = [(each / "log.csv").read_text("utf-8").splitlines() for each in (run.path, local)]
    assert [line.split(",")[0] for line in tables[0]] == [line.split(",")[0] for line in tables[1]]
    assert len(tables[0]) == 11
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]  # no folder of worker 1


def test_a_killed_worker_ends_the_training_which_can_be_resumed(local: Path, cluster: Any, tmp_path: Path) -> None:
    deaths = str(tmp_path / "deaths")
    done = program(*TRAIN, "--trainer", "ray:2", "--out", "run", cwd=tmp_path, BOXWRIGHT_TEST_DEATHS=deaths)
    assert done.returncode == 1, done.stderr
    assert "Error: worker 1 (" in done.stderr
    assert "was lost" in done.stderr
    assert "--trainer ray:restarts=" in done.stderr
    assert "Traceback" not in done.stderr
    run = Run(tmp_path / "run")
    assert run.status == "failed"
    assert 0 < end_state(run.path)["step"] < 20
    resumed = program("train", "--out", "run", "--resume", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert "Training as worker 0 of 2" in resumed.stderr
    check_same(local, run.path)


def test_a_killed_worker_is_replaced_if_asked(local: Path, cluster: Any, tmp_path: Path) -> None:
    deaths = str(tmp_path / "deaths")
    trainer = "ray:2,restarts=1"
    done = program(*TRAIN, "--trainer", trainer, "--out", "run", cwd=tmp_path, BOXWRIGHT_TEST_DEATHS=deaths)
    assert done.returncode == 0, done.stderr
    assert "worker 1 (" in done.stderr
    assert "continues from its last checkpoint (restart 1 of 1)" in done.stderr
    assert "Resuming after step 6 of 20" in done.stderr
    assert Path(deaths).is_dir()
    run = Run(tmp_path / "run")
    assert run.status == "done"
    assert [line["epoch"] for line in run.metrics()] == [*range(1, 11)]
    check_same(local, run.path)


@pytest.fixture
def begin(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts a slow training in ``tmp_path / "run"``, and returns after its first epoch."""

    def start(trainer: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "boxwright_cli", *TRAIN, "--trainer", trainer, "--out", "run"]
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            env=os.environ | {"BOXWRIGHT_TEST_SECONDS": "0.5", "BOXWRIGHT_TEST_NODE": str(tmp_path / "node")},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        deadline = time.monotonic() + 200
        while not (tmp_path / "run" / "metrics.jsonl").is_file():
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.1)
        return process

    return start


def test_ctrl_c_leaves_a_run_that_can_be_resumed(
    cluster: Any, begin: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = begin("ray:2")
    process.send_signal(signal.SIGINT)
    _, messages = process.communicate(timeout=100)
    assert process.returncode == 130, messages
    assert "--resume" in messages
    assert Run(tmp_path / "run").status == "interrupted"
    done = program("train", "--out", "run", "--resume", "--json", cwd=tmp_path)  # the machines are free again
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["epochs"] == 10


def test_a_cluster_without_room_is_an_error(cluster: Any, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="after 2 seconds, the Ray cluster has no room for 8 workers with 1 CPU each"):
        boxwright.train(
            DATA,
            out=tmp_path / "run",
            backend=PROBE,
            trainer="ray:8,timeout=2",
            batch_size=8,
            log=[],
            registry=with_probe(default_registry()),
        )
    with pytest.raises(EngineError, match="no machine of the Ray cluster has 64 cores and 1 GPUs"):
        boxwright.train(
            DATA,
            out=tmp_path / "run",
            backend=PROBE,
            trainer="ray:cpus=64,gpus=1",
            log=[],
            registry=with_probe(default_registry()),
        )


def test_a_node_that_is_killed_is_replaced_by_another(
    local: Path, cluster: Any, begin: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = begin("ray:2,restarts=1")
    number = (tmp_path / "node").read_text()
    (lost,) = [node for node in cluster.worker_nodes if node.node_id == number]
    add_node(cluster, NODE)
    cluster.remove_node(lost, allow_graceful=False)
    _, messages = process.communicate(timeout=400)
    cluster.wait_for_nodes()  # a command must not find the lost one
    assert process.returncode == 0, messages
    assert "worker 1 (" in messages, messages
    assert "(restart 1 of 1)" in messages
    assert Run(tmp_path / "run").status == "done"
    check_same(local, tmp_path / "run")
