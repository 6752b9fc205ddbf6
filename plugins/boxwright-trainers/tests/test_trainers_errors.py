"""What a user gets wrong is answered before TensorFlow is imported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from trainers_tests import free_ports
from typer.testing import CliRunner

import boxwright
from boxwright import BackendSpec, Run, UsageError
from boxwright.plugins import Registry, default_registry
from boxwright_testing.probe import PROBE, ProbeBackend, with_backend, with_probe

DATA = "demo:train?images=4&seed=4&size=64x48"


class OneGo:
    """A backend that cannot be trained step by step."""

    fit = ProbeBackend.fit
    load = ProbeBackend.load


def with_one_go() -> Registry:
    spec = BackendSpec(name="one-go", load=f"{__name__}:OneGo", presets={"plain": "The only one"})
    return with_backend(default_registry(), spec)


@pytest.mark.parametrize("trainer", ["mirrored:2", "multiworker:workers=[127.0.0.1:{},127.0.0.1:{}],index=0"])
def test_a_backend_without_steps(trainer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or type(sys)(__name__))
    monkeypatch.setattr(sys.modules[__name__], "OneGo", OneGo, raising=False)
    trainer = trainer.format(*free_ports(2))
    with pytest.raises(UsageError, match="one-go cannot be trained by the trainer m") as caught:
        boxwright.train(DATA, out=tmp_path / "run", backend="one-go", trainer=trainer, log=[], registry=with_one_go())
    assert "--trainer local" in caught.value.remedy


@pytest.mark.parametrize(("batch_size", "sizes"), [(7, "6 or 9"), (2, "3")])
def test_a_batch_that_cannot_be_divided(batch_size: int, sizes: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"a batch of {batch_size} images cannot be divided equally among 3") as caught:
        boxwright.train(
            DATA,
            out=tmp_path / "run",
            backend=PROBE,
            batch_size=batch_size,
            trainer="mirrored:3",
            log=[],
            registry=with_probe(default_registry()),
        )
    assert caught.value.remedy == f"pass --batch-size {sizes}"
    assert Run(tmp_path / "run").status == "failed"


@pytest.mark.parametrize(
    ("options", "environment", "problem"),
    [
        (["--trainer", "mirrored:0"], None, "devices"),
        (["--trainer", "mirrored:all"], None, "devices"),
        (["--trainer", "mirrored:gpus=2"], None, "gpus"),
        (["--workers", "one,two"], None, "'one' is not HOST:PORT"),
        (["--workers", "198.51.100.1:3000,203.0.113.1:3000"], None, "203.0.113.1:3000 (not of this computer)"),
        (["--workers", "a:1,b:1", "--trainer", "multiworker:index=2"], None, "there is no worker 2"),
        (["--trainer", "multiworker"], None, "--workers host1:3000,host2:3000"),
        (["--trainer", "multiworker"], "{", "TF_CONFIG is not JSON"),
        (["--trainer", "local", "--workers", "a:1"], None, "workers"),
    ],
    ids=str,
)
def test_wrong_options(
    options: list[str], environment: str | None, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from boxwright_cli.main import app

    monkeypatch.delenv("TF_CONFIG", raising=False)
    if environment is not None:
        monkeypatch.setenv("TF_CONFIG", environment)
    command = ["train", "--data", DATA, "--out", str(tmp_path / "run"), "--backend", "kerascv", *options]
    result = CliRunner().invoke(app, command, prog_name="boxwright", env={"COLUMNS": "300"})
    assert result.exit_code == 2, result.output
    assert problem in result.output
    assert not (tmp_path / "run").exists()


def test_a_single_worker_needs_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Worker 0 makes the run, also by ``TF_CONFIG``, and its port is free afterwards."""
    (port,) = free_ports(1)
    cluster: dict[str, Any] = {"cluster": {"worker": [f"127.0.0.1:{port}"]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(cluster))
    for name in ("one", "two"):
        run = boxwright.train(
            DATA,
            out=tmp_path / name,
            backend=PROBE,
            trainer="multiworker",
            log=[],
            registry=with_probe(default_registry()),
        )
        assert run.status == "done"
