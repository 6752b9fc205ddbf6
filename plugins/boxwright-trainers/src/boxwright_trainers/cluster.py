"""The workers of a training: their addresses, and how they find each other before TensorFlow starts.

TensorFlow waits for ever for a worker that is not there, and ends the process if its port is in use. So each worker
takes its port first, and worker 0 waits until all others have connected; then all free their ports for TensorFlow.
"""

from __future__ import annotations

import errno
import json
import os
import re
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Any

from boxwright import Reporter, RunError, UsageError

VARIABLE = "TF_CONFIG"
_ADDRESS = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\s:\[\],/]+):([0-9]{1,5})")
_EXAMPLE = "host1:3000,host2:3000"
_ANSWER_TIMEOUT = 5.0
_LONGEST = 100_000


def parse_workers(text: str) -> tuple[str, ...]:
    """Returns the addresses in ``host1:port,host2:port``, with or without brackets around them.

    Raises:
        UsageError: One is not an address, or is there twice.
    """
    text = text.strip()
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    return _checked([part.strip() for part in text.split(",")], "--workers", f"write --workers {_EXAMPLE}")


def _checked(addresses: Sequence[Any], where: str, remedy: str) -> tuple[str, ...]:
    for address in addresses:
        found = _ADDRESS.fullmatch(address) if isinstance(address, str) else None
        if found is None or not 0 < int(found[2]) < 65536:
            raise UsageError(f"{where}: {address!r} is not HOST:PORT", remedy)
    if twice := [address for address in addresses if list(addresses).count(address) > 1]:
        raise UsageError(f"{where}: {twice[0]} appears twice", remedy)
    return tuple(addresses)


def parse_tf_config(environment: Mapping[str, str] = os.environ) -> tuple[tuple[str, ...], int]:
    """Returns the addresses and the number of this worker, from the variable ``TF_CONFIG``.

    A ``chief`` is worker 0. The format is that of ``tf.distribute.cluster_resolver.TFConfigClusterResolver``.

    Raises:
        UsageError: The variable is not set, or wrong.
    """
    example = (
        """write TF_CONFIG='{"cluster": {"worker": ["host1:3000", "host2:3000"]}, """
        """"task": {"type": "worker", "index": 0}}'"""
    )
    text = environment.get(VARIABLE)
    if not text:
        raise UsageError("the workers are not known", f"pass --workers {_EXAMPLE}, or set {VARIABLE}")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{VARIABLE} is not JSON: {error}", example) from None
    cluster = content.get("cluster") if isinstance(content, dict) else None
    task = content.get("task") if isinstance(content, dict) else None
    if not isinstance(cluster, dict) or not isinstance(task, dict):
        raise UsageError(f"{VARIABLE} has no {'task' if isinstance(cluster, dict) else 'cluster'}", example)
    if other := sorted(set(cluster) - {"chief", "worker"}):
        raise UsageError(f"{VARIABLE}: there is no task for a {other[0]}", f"use only chief and worker: {example}")
    lists = [cluster.get(kind, []) for kind in ("chief", "worker")]
    if not all(isinstance(addresses, list) for addresses in lists) or not any(lists):
        raise UsageError(f"{VARIABLE}: cluster has no list of workers", example)
    kind, index = task.get("type"), task.get("index")
    if kind not in cluster:
        raise UsageError(f"{VARIABLE}: the task type {kind!r} is not in the cluster", example)
    if isinstance(index, str) and index.isdecimal():  # as some launchers write it
        index = int(index)
    if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < len(cluster[kind]):
        raise UsageError(
            f"{VARIABLE}: the task index {index!r} is not one of the {len(cluster[kind])} of {kind}", example
        )
    return _checked([*lists[0], *lists[1]], VARIABLE, example), index + (len(lists[0]) if kind == "worker" else 0)


def take_port(addresses: Sequence[str], index: int | None) -> tuple[int, socket.socket]:
    """Binds the port of this worker.

    Args:
        addresses: Those of all workers.
        index: The number of this worker; ``None`` for the first whose address is of this computer and free.

    Returns:
        The number, and the listening socket.

    Raises:
        UsageError: The number is too large, the port is in use, or no address is of this computer.
    """
    if index is not None and index >= len(addresses):
        raise UsageError(f"there is no worker {index} among {len(addresses)}", "the numbers begin with 0")
    problems = []
    for number in range(len(addresses)) if index is None else [index]:
        host, port = _split(addresses[number])
        # Its own address may not be known to a computer behind a router, or in a container.
        try:
            return number, _listening(host if index is None else "", port)
        except OSError as error:
            used = error.errno == errno.EADDRINUSE
            problems.append(f"{addresses[number]} ({'in use' if used else 'not of this computer'})")
    if index is not None:
        raise UsageError(f"worker {index} cannot use its port: {problems[0]}", "end what uses it, or use another port")
    raise UsageError(
        f"none of the workers can be this one: {', '.join(problems)}",
        "check the addresses, end what uses the ports, or pass the number of this worker: "
        "--trainer multiworker:index=0",
    )


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _listening(host: str, port: int) -> socket.socket:
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0] if host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # TensorFlow binds the port again at once
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(64)
    except OSError:
        made.close()
        raise
    return made


def meet(
    addresses: Sequence[str], index: int, listener: socket.socket, timeout: float, reporter: Reporter
) -> dict[int, socket.socket]:
    """Returns when all workers are there, and closes the listening socket.

    Returns:
        The connections: of worker 0 to all others, and of the others to worker 0, by the numbers of the workers.

    Raises:
        RunError: One is not there in time, or was started with other addresses.
    """
    with listener:
        if index == 0:
            return _wait_for_others(addresses, listener, timeout, reporter)
        return {0: _report_to_first(addresses, index, timeout, reporter)}


def _name(addresses: Sequence[str], index: int) -> str:
    return f"worker {index} ({addresses[index]})"


def _wait_for_others(
    addresses: Sequence[str], listener: socket.socket, timeout: float, reporter: Reporter
) -> dict[int, socket.socket]:
    ends = time.monotonic() + timeout
    missing = set(range(1, len(addresses)))
    problem = ""
    with ExitStack() as stack, reporter.task("Waiting for the other workers", len(missing)) as task:
        there: dict[int, socket.socket] = {}
        while missing and not problem:
            listener.settimeout(max(0.01, ends - time.monotonic()))
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                names = ", ".join(_name(addresses, number) for number in sorted(missing))
                problem = f"after {timeout:g} seconds, {names} {'is' if len(missing) == 1 else 'are'} not there"
                break
            stack.enter_context(connection)
            hello = _received(connection)
            if not isinstance(hello, dict) or hello.get("worker") not in range(1, len(addresses)):
                continue  # another program
            number = hello["worker"]
            if hello.get("workers") != list(addresses):
                problem = f"{_name(addresses, number)} was started with other addresses: {hello.get('workers')}"
            elif number not in missing:
                problem = f"two processes are {_name(addresses, number)}"
            there[number] = connection
            missing.discard(number)
            task.advance()
        for connection in there.values():
            with suppress(OSError):
                connection.sendall(json.dumps({"problem": problem}).encode() + b"\n")
        if problem:
            raise RunError(problem, "start the same command on every computer, and check that each reaches the others")
        stack.pop_all()
    return there


def _report_to_first(addresses: Sequence[str], index: int, timeout: float, reporter: Reporter) -> socket.socket:
    ends = time.monotonic() + timeout
    absent = f"after {timeout:g} seconds, {_name(addresses, 0)} is not there"
    with reporter.task("Waiting for worker 0"):
        while True:
            if time.monotonic() > ends:
                raise RunError(absent, "start the same command there, and check that it can be reached")
            with suppress(OSError), ExitStack() as stack:
                connection = stack.enter_context(
                    socket.create_connection(_split(addresses[0]), timeout=_ANSWER_TIMEOUT)
                )
                connection.sendall(json.dumps({"worker": index, "workers": list(addresses)}).encode() + b"\n")
                answer = _received(connection, max(_ANSWER_TIMEOUT, ends - time.monotonic() + _ANSWER_TIMEOUT))
                if isinstance(answer, dict):
                    if problem := answer.get("problem"):
                        raise RunError(
                            str(problem),
                            "start the same command on every computer, and check that each reaches the others",
                        )
                    stack.pop_all()
                    return connection
            time.sleep(0.2)


def _received(connection: socket.socket, timeout: float = _ANSWER_TIMEOUT) -> Any:
    """Returns a line of JSON; ``None`` if none comes."""
    connection.settimeout(timeout)
    line = b""
    try:
        while not line.endswith(b"\n") and len(line) < _LONGEST:
            part = connection.recv(4096)
            if not part:
                return None
            line += part
        return json.loads(line)
    except (OSError, ValueError, RecursionError):
        return None
