"""``boxwright serve`` as a process: its start, its messages, and its end by a signal."""

from __future__ import annotations

import http.client
import io
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
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
def run(boxwright: Any, lines: Callable[..., str], tmp_path: Path) -> Path:
    """A run of the backend ``average``: one box of a quarter of the image, with the score 0.5."""
    data = lines("a.jpg 40 40 mug 10 10 30 30", "b.jpg 40 40 mug 10 10 30 30")
    done = boxwright("train", "--data", data, "--out", tmp_path / "run", "--backend", "average")
    assert done.exit_code == 0, done.stderr
    return tmp_path / "run"


@contextmanager
def served(boxwright: Any, run: Path, *words: object) -> Iterator[tuple[subprocess.Popen[str], Any]]:
    """Yields the process and the object that it prints when it is ready."""
    process = boxwright.start("serve", run, "--port", 0, "--json", *words)
    try:
        yield process, json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


def post(address: str, body: bytes, **headers: str) -> tuple[int, Any]:
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=30)
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
    with served(boxwright, run, "--batch-wait", 4000) as (process, ready):
        answers: list[tuple[int, Any]] = []
        threads = [
            threading.Thread(target=lambda: answers.append(post(ready["address"], jpeg(80, 60)))) for _ in range(5)
        ]
        for thread in threads:
            thread.start()
        end = time.monotonic() + 20
        while metric(ready["address"], "boxwright_queue_images") < 5:
            assert time.monotonic() < end
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


def test_the_name_is_that_of_the_folder(boxwright, run):
    folder = run.rename(run.with_name("yolo-1.5"))
    with served(boxwright, folder) as (_, ready):
        assert ready["model"] == "yolo-1.5"


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
        (["{run}", "--batch-wait", "inf"], 2, "less than or equal to 60000"),
        (["{run}", "--name", "a/b"], 2, "without /"),
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


def test_the_examples_of_the_page_run(boxwright, run, tmp_path, monkeypatch, capsys):
    """The shell commands and the code of docs/serving.md, with another port."""
    page = (Path(__file__).resolve().parents[1] / "docs" / "serving.md").read_text("utf-8")
    folder = tmp_path / "examples"
    folder.mkdir()
    (folder / "photo.jpg").write_bytes(jpeg(80, 60) + bytes(200_000))  # longer than an argument can be
    monkeypatch.chdir(folder)
    python = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    curls = [
        line for line in page.splitlines() if line.startswith(("curl", "echo")) and "127.0.0.1:8000/predict" in line
    ]
    assert (len(python), len(curls)) == (2, 3)
    with served(boxwright, run, "--name", "first") as (_, ready):
        port = str(urlsplit(ready["address"]).port)
        if shutil.which("curl"):
            for line in curls:
                command = ["bash", "-c", line.replace("8000", port)]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                assert json.loads(done.stdout)["width"] == 80, line
        exec(compile(python[0].replace("8000", port), "docs/serving.md", "exec"), {})  # the page's own code
        assert "'label': 'mug'" in capsys.readouterr().out
        pytest.importorskip("tritonclient.http", reason='needs "tritonclient[http]"')
        names: dict[str, Any] = {}
        exec(compile(python[1].replace("8000", port), "docs/serving.md", "exec"), names)
        assert capsys.readouterr().out.split() == ["b'mug'", "0.5", "[20.", "15.", "60.", "45.]"]
        names["client"].close()


@pytest.mark.slow
def test_under_load_nothing_is_lost_and_memory_stays_flat(boxwright, run):
    """Bad images among good ones, from eight clients that also leave in the middle."""
    probe = boxwright.site / "cli_probe.py"  # its model reads only headers
    probe.write_text(probe.read_text("utf-8").replace("read_header", "decode_image"), "utf-8")
    photo, huge = jpeg(800, 600), jpeg(3000, 2000)
    kinds = [
        (photo, 200),
        (jpeg(640, 480), 200),
        (photo[:-300], 422),
        (b"not an image" * 500, 415),
        (huge, 413),  # pixels
        (photo + bytes(200_000), 413),
        (b"", 400),
        (None, 0),
    ]
    with served(boxwright, run, "--max-pixels", 1_000_000, "--max-bytes", 100_000, "--queue", 64) as (process, ready):
        address = urlsplit(ready["address"])
        ends: list[float] = []

        def send(number: int) -> bool:
            body, expected = kinds[number % len(kinds)]
            if body is None:  # leaves before its image is complete
                with socket.create_connection((address.hostname, address.port)) as gone:
                    head = f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(photo)}\r\n\r\n"
                    gone.sendall(head.encode() + photo[:1000])
                return True
            status, answer = post(ready["address"], body)
            assert status == expected, answer
            if status == 200:
                width, height = answer["width"], answer["height"]
                assert answer["detections"][0]["box"] == [width / 4, height / 4, 3 * width / 4, 3 * height / 4]
            return True

        with ThreadPoolExecutor(8) as pool:
            for part in range(3):
                assert all(pool.map(send, range(part * 1000, part * 1000 + 1000)))
                ends.append(metric(ready["address"], "process_resident_memory_bytes"))
        assert metric(ready["address"], "boxwright_queue_images") == 0
        assert metric(ready["address"], "process_open_fds") < 60
        assert ends[-1] - ends[0] < 10e6, ends
        process.send_signal(signal.SIGTERM)
        _, messages = process.communicate(timeout=30)
        assert (process.returncode, messages) == (0, "")


def metric(address: str, name: str) -> float:
    lines = urlopen(f"{address}/metrics").read().decode().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(f"{name} ")))
