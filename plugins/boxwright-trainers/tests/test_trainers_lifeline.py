"""How workers learn that another one has ended."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from boxwright_trainers.lifeline import Lifeline, Loss

Group = tuple[list[Lifeline], list[list[Loss]]]


@pytest.fixture
def three() -> Iterator[Group]:
    """Worker 0 and two others, and what each received."""
    pairs = [socket.socketpair() for _ in range(2)]
    received: list[list[Loss]] = [[], [], []]
    first = Lifeline(0, {number: pair[0] for number, pair in enumerate(pairs, 1)}, received[0].append, silence=3)
    others = [
        Lifeline(number, {0: pair[1]}, received[number].append, silence=3) for number, pair in enumerate(pairs, 1)
    ]
    yield [first, *others], received
    for each in (first, *others):
        each.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "boxwright-lifeline"]


def test_a_reason_reaches_all(three: Group) -> None:
    (first, second, third), received = three
    third.close("an image is damaged")
    expected = Loss(2, "an image is damaged")
    assert (first.loss(10), second.loss(10)) == (expected, expected)
    first.close()  # ends its thread, which may still be about to tell
    second.close()
    assert received == [[expected], [expected], []]


def test_a_lost_connection_reaches_all(three: Group) -> None:
    """As after a kill: without a word."""
    (first, second, third), _ = three
    third._ended.set()
    third._thread.join()
    for connection in third._connections.values():
        connection.close()
    assert (first.loss(10), second.loss(10)) == (Loss(2), Loss(2))


def test_a_silent_worker_is_lost(three: Group) -> None:
    """As after a power failure: the connection stays open."""
    (first, second, third), _ = three
    third.ready()
    third._ended.set()
    third._thread.join()
    assert (first.loss(10), second.loss(10)) == (Loss(2), Loss(2))


def test_a_worker_that_is_not_ready_may_be_silent(three: Group) -> None:
    """As while TensorFlow connects, which stops all threads."""
    (first, _, third), received = three
    third._ended.set()
    third._thread.join()
    assert first.loss(5) is None
    assert received == [[], [], []]


def test_the_end_of_a_complete_training_is_no_loss(three: Group) -> None:
    (first, second, third), received = three
    third.close()
    second.close()
    first.close()
    assert first.loss() is None
    assert received == [[], [], []]
