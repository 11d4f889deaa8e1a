from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from celery.worker import state
from kombu.asynchronous import Hub

from sfini_celery.worker.mailbox import Mailbox


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    mailbox = Mailbox()
    yield mailbox
    mailbox.close()


def test_call_posted_from_another_thread_wakes_a_sleeping_hub(mailbox: Mailbox) -> None:
    hub, called = Hub(), threading.Event()
    mailbox.attach_hub(hub)
    where: list[int] = []

    def call() -> None:
        where.append(threading.get_ident())
        called.set()

    poster = threading.Timer(0.1, mailbox.post, (call,))
    poster.start()
    loop = hub.create_loop()
    began = time.monotonic()
    while not called.is_set() and time.monotonic() - began < 5:
        next(loop)
    poster.join()
    hub.close()
    assert where == [threading.get_ident()]
    assert time.monotonic() - began < 0.8  # the hub itself would have slept a second


def test_calls_posted_while_no_hub_listened_are_made_when_one_does(mailbox: Mailbox) -> None:
    done: list[str] = []
    mailbox.post(done.append, "early")
    hub = Hub()
    mailbox.attach_hub(hub)
    loop = hub.create_loop()
    deadline = time.monotonic() + 5
    while not done and time.monotonic() < deadline:
        next(loop)
    hub.close()
    assert done == ["early"]


def test_hub_that_was_reset_by_a_reconnect_is_woken_again(mailbox: Mailbox) -> None:
    hub, done = Hub(), []
    mailbox.attach_hub(hub)
    hub.reset()
    mailbox.attach_hub(hub)
    mailbox.post(done.append, 1)
    loop = hub.create_loop()
    deadline = time.monotonic() + 5
    while not done and time.monotonic() < deadline:
        next(loop)
    hub.close()
    assert done == [1]


def test_a_call_that_fails_does_not_keep_the_next_from_being_made(
    mailbox: Mailbox, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[int] = []
    mailbox.post(lambda: 1 / 0)
    mailbox.post(done.append, 1)
    mailbox.run()
    assert done == [1]
    assert "sfini_call_failed" in caplog.text


def test_calls_that_post_themselves_again_do_not_hold_up_the_event_loop(mailbox: Mailbox) -> None:
    made: list[int] = []

    def again() -> None:
        made.append(1)
        mailbox.post(again)

    mailbox.post(again)
    mailbox.run()
    assert len(made) == 1
    mailbox.run()
    assert len(made) == 2


def test_pipe_is_not_filled_by_many_posts(mailbox: Mailbox) -> None:
    mailbox.attach_hub(SimpleNamespace(add_reader=lambda *a: None, remove=lambda fd: None))
    for _ in range(100_000):
        mailbox.post(int)
    assert mailbox._pipe is not None
    assert len(os.read(mailbox._pipe[0], 100_000)) <= 2


class Transport:
    def __init__(self, polling_interval: float | None) -> None:
        self.polling_interval = polling_interval


class Connection:
    """One that sleeps as its transport would, and brings a message when there is one."""

    def __init__(self, polling_interval: float | None) -> None:
        self.transport = Transport(polling_interval)
        self.messages: list[str] = []
        self.slept: list[float] = []

    def drain_events(self, timeout: float) -> str:
        self.slept.append(timeout)
        if self.messages:
            return self.messages.pop()
        time.sleep(timeout)
        raise TimeoutError


@pytest.mark.parametrize("polling_interval", [1.0, None])
def test_synchronous_loop_makes_posted_calls_long_before_its_two_seconds_are_over(
    mailbox: Mailbox, polling_interval: float | None
) -> None:
    connection, made = Connection(polling_interval), threading.Event()
    mailbox.attach_connection(connection)
    poster = threading.Timer(0.15, mailbox.post, (made.set,))
    poster.start()
    with pytest.raises(TimeoutError):
        began = time.monotonic()
        connection.drain_events(timeout=0.6)
    poster.join()
    assert made.is_set()
    assert 0.55 < time.monotonic() - began < 1.5
    # A transport that polls is asked and not slept with; one that selects sleeps in short slices.
    assert set(connection.slept) == ({0} if polling_interval else {0.1})


def test_synchronous_loop_hands_on_a_message_and_other_errors(mailbox: Mailbox) -> None:
    connection = Connection(1.0)
    mailbox.attach_connection(connection)
    connection.messages.append("message")
    assert connection.drain_events(timeout=2) == "message"

    class Lost(Connection):
        def drain_events(self, timeout: float) -> str:
            raise ConnectionResetError

    lost = Lost(1.0)
    mailbox.attach_connection(lost)
    with pytest.raises(ConnectionResetError):
        lost.drain_events(timeout=2)


@pytest.mark.parametrize("flag", [0, True])
def test_synchronous_loop_returns_at_once_when_asked_to_stop(
    mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch, flag: object
) -> None:
    connection = Connection(1.0)
    mailbox.attach_connection(connection)
    monkeypatch.setattr(state, "should_stop", flag)  # exit code 0 is a request to stop, too
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        connection.drain_events(timeout=30)
    assert time.monotonic() - began < 1


def test_closed_mailbox_takes_posts_without_complaint(mailbox: Mailbox) -> None:
    mailbox.attach_hub(SimpleNamespace(add_reader=lambda *a: None, remove=lambda fd: None))
    mailbox.close()
    mailbox.post(int)
    mailbox.close()
    assert not select.select([], [], [], 0)[0]
