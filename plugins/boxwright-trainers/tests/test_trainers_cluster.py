"""How workers are named and find each other, without TensorFlow."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest
from trainers_tests import free_ports

from boxwright import LogReporter, RunError, UsageError
from boxwright_trainers.cluster import meet, parse_tf_config, parse_workers, take_port


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a:1,b:65535", ("a:1", "b:65535")),
        (" [10.0.0.1:3000, host-2.example:3000] ", ("10.0.0.1:3000", "host-2.example:3000")),
        ("[::1]:3000,[fe80::1]:3000", ("[::1]:3000", "[fe80::1]:3000")),
        ("[[::1]:3000,[::1]:3001]", ("[::1]:3000", "[::1]:3001")),
        ("[10.0.0.1:3000]", ("10.0.0.1:3000",)),
        ("[[::1]:3000]", ("[::1]:3000",)),
    ],
)
def test_addresses(text: str, expected: tuple[str, ...]) -> None:
    assert parse_workers(text) == expected


@pytest.mark.parametrize("text", ["", "host", "a:1,,b:2", "a:0", "a:65536", "a:x", "http://a:1", "a b:1", "a:1,a:1"])
def test_wrong_addresses(text: str) -> None:
    with pytest.raises(UsageError, match=r"--workers") as caught:
        parse_workers(text)
    assert "host1:3000,host2:3000" in caught.value.remedy


def tf_config(cluster: Any, task: Any) -> dict[str, str]:
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})}


@pytest.mark.parametrize(
    ("cluster", "task", "expected"),
    [
        ({"worker": ["a:1", "b:2"]}, {"type": "worker", "index": 1}, (("a:1", "b:2"), 1)),
        ({"chief": ["a:1"], "worker": ["b:2", "c:3"]}, {"type": "worker", "index": 1}, (("a:1", "b:2", "c:3"), 2)),
        ({"chief": ["a:1"], "worker": ["b:2"]}, {"type": "chief", "index": 0}, (("a:1", "b:2"), 0)),
        ({"worker": ["a:1", "b:2"]}, {"type": "worker", "index": "1"}, (("a:1", "b:2"), 1)),
    ],
)
def test_tf_config(cluster: Any, task: Any, expected: Any) -> None:
    """As in TensorFlow's documentation of ``TFConfigClusterResolver``: the chief is worker 0."""
    assert parse_tf_config(tf_config(cluster, task)) == expected


WORKER = {"type": "worker", "index": 0}


@pytest.mark.parametrize(
    ("environment", "problem"),
    [
        ({}, "workers are not known"),
        ({"TF_CONFIG": "{"}, "not JSON"),
        ({"TF_CONFIG": "[]"}, "no cluster"),
        ({"TF_CONFIG": '{"cluster": {"worker": ["a:1"]}}'}, "no task"),
        (tf_config({"worker": ["a:1"], "ps": ["b:2"]}, WORKER), "there is no task for a ps"),
        (tf_config({"worker": []}, WORKER), "no list of workers"),
        (tf_config({"worker": "a:1"}, WORKER), "no list of workers"),
        (tf_config({"worker": ["a:1"]}, {"type": "chief", "index": 0}), "'chief' is not in the cluster"),
        (tf_config({"worker": ["a:1"]}, {"type": "worker", "index": 1}), "index 1 is not one of the 1"),
        (tf_config({"worker": ["a:1"]}, {"type": "worker", "index": -1}), "index -1"),
        (tf_config({"worker": ["a:1"]}, {"type": "worker"}), "index None"),
        (tf_config({"worker": ["a"]}, WORKER), "'a' is not HOST:PORT"),
        (tf_config({"worker": [1]}, WORKER), "1 is not HOST:PORT"),
    ],
)
def test_wrong_tf_config(environment: dict[str, str], problem: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_tf_config(environment)
    assert problem in caught.value.message
    assert "TF_CONFIG" in str(caught.value)
    assert caught.value.remedy


def test_a_worker_takes_the_first_free_address_of_this_computer(addresses: Callable[[int], str]) -> None:
    first, second = parse_workers(addresses(2))
    workers = ["198.51.100.1:3000", first, second]  # the first is reserved for documentation by RFC 5737
    one, listener = take_port(workers, None)
    two, other = take_port(workers, None)
    with listener, other:
        assert (one, two) == (1, 2)
        with pytest.raises(UsageError) as caught:
            take_port(workers, None)
    message = str(caught.value)
    assert f"198.51.100.1:3000 (not of this computer), {first} (in use), {second} (in use)" in message


def test_a_port_in_use_is_named() -> None:
    with socket.create_server(("0.0.0.0", 0)) as used:
        port = used.getsockname()[1]
        with pytest.raises(UsageError, match=rf"worker 1 cannot use its port: here:{port} \(in use\)"):
            take_port(["there:1", f"here:{port}"], 1)


def test_a_number_that_is_too_large() -> None:
    with pytest.raises(UsageError, match="worker 2"):
        take_port(["a:1", "b:1"], 2)


def together(workers: list[list[str]], numbers: list[int], timeout: float) -> list[BaseException | None]:
    """Lets workers meet, each with the addresses that it was started with; returns how it ended for each."""
    results: list[BaseException | None] = [None] * len(numbers)
    listeners = [take_port(workers[place], number)[1] for place, number in enumerate(numbers)]

    def run(place: int) -> None:
        try:
            for connection in meet(workers[place], numbers[place], listeners[place], timeout, LogReporter()).values():
                connection.close()
        except BaseException as error:
            results[place] = error

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(numbers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_workers_meet_and_free_their_ports() -> None:
    workers = [f"127.0.0.1:{port}" for port in free_ports(3)]
    assert together([workers] * 3, [2, 0, 1], timeout=20) == [None] * 3
    for number in range(3):
        take_port(workers, number)[1].close()


@pytest.mark.parametrize(("there", "missing"), [([0, 2], "worker 1"), ([1, 2], "worker 0")])
def test_a_worker_that_is_not_there_is_named_everywhere(there: list[int], missing: str) -> None:
    workers = [f"127.0.0.1:{port}" for port in free_ports(3)]
    for error in together([workers] * 3, there, timeout=1):
        assert isinstance(error, RunError)
        assert missing in error.message
        assert "after 1 seconds" in error.message


def test_other_addresses_and_other_programs() -> None:
    ports = free_ports(2)
    workers = [f"127.0.0.1:{port}" for port in ports]
    errors = together([workers, [workers[0], workers[1], "c:1"]], [0, 1], timeout=20)
    for error in errors:
        assert isinstance(error, RunError)
        assert "was started with other addresses" in error.message
    listener = take_port(workers, 0)[1]
    strangers = [socket.create_connection(("127.0.0.1", ports[0])) for _ in range(2)]
    strangers[0].sendall(b"GET / HTTP/1.1\r\n\r\n")
    strangers[1].sendall(b'{"worker": 7}\n')
    with pytest.raises(RunError, match="worker 1"):
        meet(workers, 0, listener, 1, LogReporter())
    for stranger in strangers:
        stranger.close()
