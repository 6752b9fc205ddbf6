"""``boxwright serve`` as a process: its start, its messages, and its end by a signal."""

from __future__ import annotations

import http.client
import io
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from PIL import Image

pytest.importorskip("boxwright_serve")

TOKEN = "a-token-of-this-test"


@pytest.fixture
def run(boxwright, lines: Callable[..., str], tmp_path: Path) -> Path:
    """A run of the backend ``average``: one box of a quarter of the image, with the score 0.5."""
    data = lines("a.jpg 40 40 mug 10 10 30 30", "b.jpg 40 40 mug 10 10 30 30")
    done = boxwright("train", "--data", data, "--out", tmp_path / "run", "--backend", "average")
    assert done.exit_code == 0, done.stderr
    return tmp_path / "run"


@contextmanager
def served(boxwright, run: Path, *words: object) -> Iterator[tuple[subprocess.Popen[str], Any]]:
    """Yields the process and the object that it prints when it is ready."""
    process = boxwright.start("serve", run, "--port", 0, "--json", *words)
    try:
        yield process, json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


def post(address: str, body: bytes, **headers: str) -> tuple[int, Any]:
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    with closing(connection):
        connection.request("POST", "/predict", body, headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())


def jpeg(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_starts_answers_and_ends(boxwright, run, number):
    with served(boxwright, run) as (process, ready):
        assert set(ready) == {"address", "model"}
        assert ready["model"] == "run"
        status, answer = post(ready["address"], jpeg(80, 60))
        assert status == 200
        assert answer["detections"] == [{"label": "mug", "score": 0.5, "box": [20.0, 15.0, 60.0, 45.0]}]
        process.send_signal(number)
        assert process.wait(20) == 0
        assert process.stdout.read() == ""
        assert process.stderr.read() == ""


def test_tuned_settings_are_used(boxwright, run):
    decoder = {"score": 0.75}
    (run / "tuned.json").write_text(json.dumps({"decoder": decoder}), "utf-8")
    with served(boxwright, run) as (_, ready):
        assert post(ready["address"], jpeg(80, 60))[1]["detections"] == []
        assert post(ready["address"], jpeg(80, 60))[1]["score"] == 0.75
    with served(boxwright, run, "--score", "0.4") as (_, ready):
        assert len(post(ready["address"], jpeg(80, 60))[1]["detections"]) == 1


def test_requests_in_progress_are_answered_before_the_end(boxwright, run):
    with served(boxwright, run, "--batch-wait", 2000) as (process, ready):
        answers: list[tuple[int, Any]] = []
        threads = [
            threading.Thread(target=lambda: answers.append(post(ready["address"], jpeg(80, 60)))) for _ in range(5)
        ]
        for thread in threads:
            thread.start()
        while b"boxwright_queue_images 5.0" not in urlopen(f"{ready['address']}/metrics").read():
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join()
        assert [status for status, _ in answers] == [200] * 5
        assert process.wait(20) == 0


def test_no_token_is_written_anywhere(boxwright, run, tmp_path):
    with served(boxwright, run, "--token", TOKEN, "--verbose") as (process, ready):
        assert post(ready["address"], jpeg(80, 60))[0] == 401
        assert post(ready["address"], jpeg(80, 60), Authorization=f"Bearer {TOKEN}")[0] == 200
        process.send_signal(signal.SIGTERM)
        output, messages = process.communicate(timeout=20)
        assert "POST /predict" in messages
        assert TOKEN not in output + messages


def test_people_read_where_it_is(boxwright, run):
    process = boxwright.start("serve", run, "--port", 0, "--token", TOKEN)
    try:
        lines = [process.stdout.readline() for _ in range(4)]
        assert lines[0].startswith("run: http://127.0.0.1:")
        assert lines[3].startswith('  curl -H "Authorization: Bearer $BOXWRIGHT_SERVE_TOKEN" --data-binary @photo.jpg')
        process.send_signal(signal.SIGINT)
        output, messages = process.communicate(timeout=20)
        assert process.returncode == 0
        assert output == "stopped; every request was answered\n"
        assert TOKEN not in "".join(lines) + output + messages
    finally:
        process.kill()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["{tmp}/nothing"], 1, "nothing"),
        (["{run}", "--host", "0.0.0.0"], 2, "secrets.token_urlsafe()"),
        (["{run}", "--token", "short"], 2, "16 printable ASCII characters"),
        (["{run}", "--score", "2"], 2, "from 0 to 1"),
        (["{run}", "--max-pixels", "999999999999"], 2, "BOXWRIGHT_MAX_PIXELS"),
        (["{run}", "--port", "{taken}"], 2, "--port 0 chooses a free one"),
        (["{run}", "--device", "GPU"], 2, "export the run"),
        (["{run}", "--save", "{tmp}/recipe.yaml"], 2, "cannot be a step of a recipe"),
    ],
)
def test_mistakes_name_the_remedy(boxwright, run, tmp_path, words, code, said):
    with socket.create_server(("127.0.0.1", 0)) as other:
        places = {"run": run, "tmp": tmp_path, "taken": other.getsockname()[1]}
        failed = boxwright("serve", *(word.format_map(places) for word in words))
    assert failed.exit_code == code
    assert said in failed.stderr
    assert "Traceback" not in failed.stderr


def test_a_missing_library_is_named(boxwright, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    failed = boxwright("serve", "run", "--port", "0")
    assert failed.exit_code == 1
    assert "needs uvicorn, which is not installed" in failed.stderr
    assert "python -m pip install boxwright-serve" in failed.stderr
