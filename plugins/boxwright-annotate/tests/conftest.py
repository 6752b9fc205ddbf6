"""The program with a page, and a browser that drives it."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Any, NamedTuple

import pytest


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Program:
    """``boxwright annotate`` in another process.

    Attributes:
        address: The address that it has printed.
    """

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "boxwright_cli", "annotate", *arguments, "--no-browser"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert self.process.stdout is not None
        self.printed = ""
        self.address = ""
        for line in self.process.stdout:
            self.printed += line
            if found := re.search(r"http://127\.0\.0\.1:(\d+)/([\w-]+)/", line):
                self.address, self.port, self.token = found[0], int(found[1]), found[2]
                break
        assert self.address, self.printed

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """Sends a request; underscores in the names of headers become hyphens."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        with closing(connection):
            connection.request(method, path, body, given)
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())

    def call(self, name: str, body: Any = None, **headers: str) -> Answer:
        """Calls a function of the page's API."""
        given = {"Content_Type": "application/json", **headers}
        return self.ask("POST", f"/{self.token}/api/{name}", json.dumps(body or {}).encode(), **given)

    def end(self, number: int = signal.SIGINT) -> int:
        """Sends a signal, and returns the exit status."""
        self.process.send_signal(number)
        output, _ = self.process.communicate(timeout=20)
        self.printed += output
        return self.process.returncode


@pytest.fixture
def start() -> Iterator[Any]:
    """Starts the program; it is killed at the end of the test."""
    pytest.importorskip("boxwright_cli")
    started: list[Program] = []

    def begin(*arguments: str) -> Program:
        started.append(Program(*arguments))
        return started[-1]

    yield begin
    for program in started:
        program.process.kill()
        program.process.communicate()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium without a window; while Playwright runs, no other event loop can run in the thread of the tests."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no browser is installed")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()
