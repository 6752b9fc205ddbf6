"""What loggers write, read again with the library of each."""

from __future__ import annotations

import csv
import json
import math
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from boxwright import Dataset, OutputError, Run, train
from boxwright.datasets import SampleReader
from boxwright.plugins import default_registry
from boxwright_testing import drawn_samples
from boxwright_testing.probe import PROBE, with_probe

LOSSES = [1.0, 0.5, 1 / 3]


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Run]:
    """Trains three epochs on drawn images, with two held-out images."""
    monkeypatch.setenv("BOXWRIGHT_STRICT", "1")
    data, held_out = (
        Dataset(SampleReader(drawn_samples(tmp_path / name, count, seed=count))) for name, count in (("a", 4), ("b", 6))
    )

    def start(*log: str, **changes: Any) -> Run:
        arguments: dict[str, Any] = {"out": tmp_path / "run", "backend": PROBE, "epochs": 3, "log": list(log)}
        plugins = with_probe(default_registry())
        return train(data, val=held_out, registry=plugins, **(arguments | changes))

    return start


def test_csv_has_a_row_per_epoch(trained: Callable[..., Run]) -> None:
    run = trained("csv")
    with run.file("log.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(int(row["epoch"]), float(row["loss"])) for row in rows] == list(enumerate(LOSSES, 1))


def test_csv_adds_columns_of_later_epochs(tmp_path: Path, trained: Callable[..., Run]) -> None:
    from boxwright_loggers.files import CsvLogger

    run = trained()
    run.add_metrics(4, {"loss": 0.25, "val_AP": 0.5})
    CsvLogger(str(tmp_path / "new" / "log.csv")).boxwright_epoch_ended(run)
    lines = (tmp_path / "new" / "log.csv").read_text("utf-8").splitlines()
    assert lines[0] == "epoch,loss,boxes,val_AP"
    assert lines[1].startswith("1,1.0,")
    assert lines[1].endswith(",")
    assert lines[4] == "4,0.25,,0.5"


def test_jsonl_has_a_line_per_event_and_training(tmp_path: Path, trained: Callable[..., Run]) -> None:
    path = tmp_path / "all.jsonl"
    trained(f"jsonl:{path}")
    with pytest.raises(Exception, match="set to fail"):
        trained(f"jsonl:{path}", out=tmp_path / "other", settings={"fail_at": 2})
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    first, second = ([line for line in lines if line["run"] == str(tmp_path / name)] for name in ("run", "other"))
    assert [line["event"] for line in first] == ["started", "epoch", "epoch", "epoch", "measured", "ended"]
    assert [line["event"] for line in second] == ["started", "epoch", "ended"]
    assert first[0]["config"]["backend"] == PROBE
    assert [line["metrics"]["loss"] for line in first if line["event"] == "epoch"] == LOSSES
    assert set(first[4]["values"]) >= {"AP", "AP50"}
    assert (second[-1]["status"], second[-1]["error"]) == ("failed", "DataError")


def test_csv_replaces_no_other_file(tmp_path: Path, trained: Callable[..., Run]) -> None:
    path = tmp_path / "precious.csv"
    path.write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        trained(f"csv:{path}")
    assert path.read_text() == "mine"


def test_csv_continues_its_own_file(tmp_path: Path, trained: Callable[..., Run]) -> None:
    path = tmp_path / "log.csv"
    with pytest.raises(KeyboardInterrupt):
        trained(f"csv:{path}", settings={"stop_at": 2})
    trained(resume=True, log=None)
    assert len(path.read_text("utf-8").splitlines()) == 4


def test_jsonl_is_json_after_a_training_that_diverged(trained: Callable[..., Run]) -> None:
    from boxwright_loggers.files import JsonLinesLogger

    run = trained()
    JsonLinesLogger().boxwright_epoch_ended(run, 4, {"loss": math.nan, "val_loss": 0.5})
    text = run.file("log.jsonl").read_text("utf-8")
    assert json.loads(text, parse_constant=pytest.fail)["metrics"] == {"loss": None, "val_loss": 0.5}


def test_a_run_that_replaces_another_is_logged_under_its_name(tmp_path: Path, trained: Callable[..., Run]) -> None:
    trained()
    path = tmp_path / "all.jsonl"
    run = trained(f"jsonl:{path}", overwrite=True)
    assert run.path == tmp_path / "run"
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert {line["run"] for line in lines} == {str(run.path)}


def test_tensorboard_has_curves_images_and_the_run(tmp_path: Path, trained: Callable[..., Run]) -> None:
    pytest.importorskip("tensorboard", reason="the library of the logger")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util import tensor_util

    run = trained("tensorboard")
    events = EventAccumulator(str(run.file("tensorboard")), size_guidance={"tensors": 0})
    events.Reload()

    def arrays(tag: str) -> list[tuple[int, Any]]:
        return [(event.step, tensor_util.make_ndarray(event.tensor_proto)) for event in events.Tensors(tag)]

    assert [(step, pytest.approx(float(value))) for step, value in arrays("loss")] == list(enumerate(LOSSES, 1))
    assert [step for step, _ in arrays("prediction 1")] == [1, 2, 3]
    assert bytes(arrays("prediction 1")[0][1][0]) == b"16"
    assert float(arrays("final/AP50")[0][1]) == pytest.approx(trained_value(run), abs=1e-6)
    (curve,) = (value for _, value in arrays("precision and recall/square"))
    assert curve.shape == (6, 101)
    true_positives, _, _, false_negatives, precision, recall = curve
    assert (true_positives + false_negatives == true_positives[0] + false_negatives[0]).all()
    assert (precision[-1], recall[-1]) == (1, 0), "no detection has a score of 1"
    page = arrays("run")[0][1].item().decode()
    assert run.path.resolve().as_uri() in page
    plugins = {name: set(events.PluginTagToContent(name)) for name in ("scalars", "images", "pr_curves", "text")}
    assert "loss" in plugins["scalars"]
    assert "precision and recall/square" in plugins["pr_curves"]
    assert plugins["text"] == {"run"}


def trained_value(run: Run) -> float:
    (path,) = run.file("evaluation").glob("*.json")
    return float(json.loads(path.read_text("utf-8"))["values"]["AP50"])


def check_mlflow(uri: str, run: Run) -> None:
    """Checks a run with MLflow's own client."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("mugs")
    (found,) = client.search_runs([experiment.experiment_id])
    assert (found.info.status, found.info.run_name) == ("FINISHED", "run")
    history = client.get_metric_history(found.info.run_id, "loss")
    assert [(each.step, each.value) for each in history] == list(enumerate(LOSSES, 1))
    assert found.data.params["backend"] == PROBE
    assert found.data.metrics["final_AP50"] == pytest.approx(trained_value(run))
    artifacts = [each.path for each in client.list_artifacts(found.info.run_id, "predictions")]
    assert artifacts == [f"predictions/epoch-{epoch}" for epoch in (1, 2, 3)]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_mlflow_in_a_local_database(
    tmp_path: Path, trained: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow", reason="the library of the logger")
    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    with pytest.raises(KeyboardInterrupt):
        trained(f"mlflow:{uri},experiment=mugs", settings={"stop_at": 2})
    check_mlflow(uri, trained(resume=True, log=None))


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_mlflow_with_a_server(tmp_path: Path, trained: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    """``BOXWRIGHT_MLFLOW`` is the ``mlflow`` of an environment with the whole of MLflow."""
    pytest.importorskip("mlflow", reason="the library of the logger")
    program = os.environ.get("BOXWRIGHT_MLFLOW")
    if not program:
        pytest.skip("BOXWRIGHT_MLFLOW does not name a program that is a server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    uri = f"http://127.0.0.1:{port}"
    arguments = ["server", "--port", str(port), "--backend-store-uri", f"sqlite:///{tmp_path}/server.db"]
    with subprocess.Popen([program, *arguments, "--workers", "1"], cwd=tmp_path, stdout=subprocess.DEVNULL) as server:
        try:
            for _ in range(1500):
                try:
                    urllib.request.urlopen(f"{uri}/health").close()
                    break
                except OSError:
                    assert server.poll() is None, "the server ended"
                    time.sleep(0.2)
            check_mlflow(uri, trained(f"mlflow:uri={uri},experiment=mugs"))
        finally:
            server.terminate()


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_mlflow_without_its_server_ends_no_training(
    trained: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("mlflow", reason="the library of the logger")
    monkeypatch.delenv("BOXWRIGHT_STRICT")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    run = trained("mlflow:http://127.0.0.1:9")
    assert (run.status, len(run.metrics())) == ("done", 3)
    warned = [record.getMessage() for record in caplog.records if "the logger mlflow" in record.getMessage()]
    assert len(warned) == 1


def wandb_content(log: Path) -> bytes:
    """Protocol buffers with values as JSON, which another process writes, also shortly after the end of the run."""
    for _ in range(100):
        if b"final_AP50" in log.read_bytes():
            break
        time.sleep(0.1)
    return log.read_bytes()


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_wandb_offline(trained: Callable[..., Run]) -> None:
    pytest.importorskip("wandb", reason="the library of the logger")
    run = trained("wandb:project=mugs,mode=offline")
    (folder,) = run.file("wandb").glob("offline-run-*")
    (log,) = folder.glob("*.wandb")
    content = wandb_content(log)
    for loss in LOSSES:
        assert json.dumps(loss).encode() in content
    assert b"final_AP50" in content
    assert not (folder / "files" / "wandb-metadata.json").exists(), "it has the command line"


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_wandb_of_a_run_that_replaces_another(tmp_path: Path, trained: Callable[..., Run]) -> None:
    pytest.importorskip("wandb", reason="the library of the logger")
    trained()
    run = trained("wandb:mode=offline", overwrite=True)
    assert not run.file("wandb").exists()
    assert not (tmp_path / "run.new").exists()
    (log,) = (tmp_path / "wandb").glob("offline-run-*/*.wandb")
    assert b"final_AP50" in wandb_content(log), "it was measured after the move"
