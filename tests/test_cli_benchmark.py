"""``boxwright benchmark``, with a backend and an exporter whose times are known."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest
from PIL import Image

from boxwright.models.measuring import _living_peak

TOYS = """
import json
import os
import time
from pathlib import Path

import numpy as np

from boxwright import BackendSpec, Detection, ExporterSpec, hookimpl
from boxwright.models import DecoderSettings, InputSettings, PortableModel, Suppressed

boxwright_api = (1, 1)
INPUTS = InputSettings(8, 8)
LOG = Path(__file__).with_name("calls.jsonl")


def model(label_map, name, seconds, device=""):
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    call = {"name": name, "process": os.getpid(), "device": device, "cores": cores}
    call["omp"] = os.environ["OMP_NUM_THREADS"]
    with LOG.open("a") as file:
        file.write(json.dumps(call) + "\\n")

    calls = []

    def network(images):
        if name == "crash":
            os._exit(7)
        if not calls:
            time.sleep(0.2)  # some frameworks compile
        calls.append(1)
        time.sleep(seconds)
        scores = np.zeros((1, 1, len(label_map)), np.float32)
        scores[0, 0, 0] = 0.9
        return np.array([[[1.6, 2.4, 4.0, 4.8]]], np.float32), scores  # 20..50 and 15..30 of 100x50

    return PortableModel(label_map, INPUTS, Suppressed(network, INPUTS, DecoderSettings()))


class Sleeper:
    def fit(self, job):
        with job.run.open_write("model/weights") as file:
            file.write(b"w" * 3000)
        job.epoch_ended(1, {"loss": 0.0})

    def load(self, run):
        return model(run.label_map, "run", 0.002)

    def load_framework(self, run):
        return model(run.label_map, "framework", 0.02)


class Sleepy:
    def export(self, run, out, precision=""):
        (out / "model.bin").write_bytes(b"m" * 1000)
        return out / "model.bin"

    def load(self, artifact, device=""):
        from boxwright import read_label_map

        os.environ.setdefault("OMP_NUM_THREADS", "")
        crashes = artifact.read_bytes() == b"crash"
        label_map = read_label_map(str(artifact.parent / "label_map.pbtxt"))
        return model(label_map, "crash" if crashes else "artifact", 0.004, device)


@hookimpl
def boxwright_backends():
    return [BackendSpec(name="sleeper", load="cli_toys:Sleeper", presets={"plain": "The only one"})]


@hookimpl
def boxwright_exporters():
    return [ExporterSpec(name="sleepy", load="cli_toys:Sleepy", precisions=("fp32",), devices=("BED",))]
"""


@pytest.fixture
def exported(boxwright, install_plugin, lines, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(boxwright.site))
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    install_plugin("cli_toys", TOYS)
    uri = lines("a.jpg 100 50 mug 20 15 50 30", "b.jpg 100 50 mug 20 15 50 30")
    run, artifact = tmp_path / "run", tmp_path / "small"
    for words in (
        ("train", "--data", uri, "--out", run, "--backend", "sleeper"),
        ("export", run, "--to", "sleepy", "--out", artifact),
    ):
        result = boxwright(*words)
        assert result.exit_code == 0, result.output
    (boxwright.site / "calls.jsonl").unlink()
    return uri, run, artifact


def test_models_and_their_run(boxwright, exported, tmp_path):
    """Each in its own process on one core; an artifact is compared with its run, which was moved here."""
    uri, run, artifact = exported
    run = run.rename(tmp_path / "moved")
    chart = tmp_path / "chart.png"
    words = ("benchmark", artifact, run, "--data", uri, "--rounds", 9, "--out", chart, "--device", "BED")
    content = boxwright.json(*words)
    rows = content["rows"]
    assert [(row["model"], row["kind"], row["reference"]) for row in rows] == [
        (str(run), "framework", 0),
        (str(artifact), "sleepy:fp32", 0),
        (str(run), "run", 0),
    ]
    for row, seconds in zip(rows, (0.02, 0.004, 0.002), strict=True):
        assert seconds <= min(row["forward"]["median"], row["predict"]["median"])
        assert row["forward"]["median"] <= row["forward"]["p95"]
        assert row["forward"]["calls"] == 9
        assert 0 < row["throughput"] < 1 / seconds
        assert row["ap"] == pytest.approx(1.0)
        assert row["peak_bytes"] > 20e6
        assert row["timed_images"] == 2
        assert row["first_seconds"] > 0.2 > row["predict"]["p95"]
        assert row["forward_faster"] == (
            None if seconds == 0.02 else pytest.approx(rows[0]["forward"]["median"] / row["forward"]["median"])
        )
    assert [row["bytes"] for row in rows] == [3000, 1000, 3000], "the descriptions are not counted"
    calls = [json.loads(line) for line in (boxwright.site / "calls.jsonl").read_text().splitlines()]
    assert [(call["name"], call["device"], call["omp"]) for call in calls] == [
        ("framework", "", "1"),
        ("artifact", "BED", "1"),
        ("run", "", "1"),
    ]
    assert len({call["process"] for call in calls} | {os.getpid()}) == 4
    if sys.platform == "linux":
        assert all(len(call["cores"]) == 1 for call in calls)
    with Image.open(chart) as image:
        assert len(image.convert("RGB").getcolors(1 << 24) or ()) > 20, "axes, letters and three colors"


def test_the_table_and_the_page(boxwright, exported, tmp_path):
    """The name of a model may contain anything."""
    uri, run, artifact = exported
    artifact.rename(tmp_path / "<b>small")
    page = tmp_path / "chart.html"
    result = boxwright("benchmark", tmp_path / "<b>small", "--data", uri, "--rounds", 2, "--out", page)
    assert result.exit_code == 0, result.output
    table = result.stdout.splitlines()
    assert table[0].split()[:3] == ["MODEL", "FORWARD", "P95"]
    assert [line.split()[:2] for line in table[1:3]] == [
        [str(run), "(framework)"],
        [str(tmp_path / "<b>small"), "(sleepy:fp32)"],
    ]
    assert (table[1].count("x "), table[2].count("x ")) == (0, 2)
    assert "after 5 to warm up" in result.stdout
    text = page.read_text("utf-8")
    assert text.count("<circle") == 4
    assert "&lt;b&gt;small" in text
    assert "<b>" not in text
    again = boxwright("benchmark", run, "--data", uri, "--out", page)
    assert again.exit_code == 1
    assert "exists already" in again.stderr


def test_what_cannot_be_measured(boxwright, exported, tmp_path):
    uri, _, artifact = exported
    assert boxwright("benchmark", artifact, "--data", uri, "--out", tmp_path / "chart.pdf").exit_code == 2
    shutil.copytree(artifact, tmp_path / "changed")
    (tmp_path / "changed" / "model.bin").write_bytes(b"crash")
    changed = boxwright("benchmark", tmp_path / "changed", "--data", uri)
    assert changed.exit_code == 1
    assert "cut off" in changed.stderr
    manifest = json.loads((tmp_path / "changed" / "artifact.json").read_text())
    manifest["files"] = {}
    (tmp_path / "changed" / "artifact.json").write_text(json.dumps(manifest))
    crashed = boxwright("benchmark", tmp_path / "changed", "--data", uri, "--out", tmp_path / "chart.html")
    assert crashed.exit_code == 1
    assert "ended with exit code 7" in crashed.stderr
    assert not (tmp_path / "chart.html").exists()


def test_other_classes_are_found_before_anything_is_measured(boxwright, exported, lines):
    _, run, artifact = exported
    result = boxwright("benchmark", artifact, "--data", lines("a.jpg 100 50 mug 20 15 50 30", "b.jpg 9 9 jug 2 1 5 3"))
    assert result.exit_code == 1
    assert f"{run}: the model does not know the class 'jug'" in result.stderr
    assert not (boxwright.site / "calls.jsonl").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of other processes is only known on Linux")
def test_the_memory_of_a_worker_counts() -> None:
    program = "held = b'x' * 100_000_000; print('ready', flush=True); input()"
    before = _living_peak()  # other tests may have left a worker, whose peak can still grow
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdout.readline()
        peak = _living_peak() - before
        worker.stdin.write(b"\n")
    assert 100_000_000 < peak < 200_000_000
