"""Whatever happens in whatever order: one report for each task, at most one attempt at a time, nothing left behind."""

from __future__ import annotations

from typing import Any

from celery.exceptions import Ignore, Reject, TimeLimitExceeded, WorkerLostError
from celery.worker import state
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sfini_celery.worker.ledger import State

FATES = ("return", "raise", "retry", "retry now", "ignore", "reject", "lost", "hard limit", "killed", "not json")


def fated(self: Any, fate: str) -> Any:
    again = self.request.retries
    if fate == "retry" and again < 2:
        raise self.retry(countdown=60)
    if fate == "retry now" and again < 2:
        raise self.retry(countdown=0)
    if fate in ("raise", "ignore", "reject"):
        requeue = not self.request.delivery_info["redelivered"]
        raise {"raise": KeyError("x"), "ignore": Ignore(), "reject": Reject("x", requeue=requeue)}[fate]
    return {1} if fate == "not json" else "value"


steps = st.one_of(
    st.tuples(st.just("take"), st.sampled_from(FATES)),
    st.tuples(st.sampled_from(["accept", "finish", "close", "revoke"]), st.integers(0, 5)),
    st.tuples(st.sampled_from(["pass time", "restart", "settle"]), st.just(0)),
)


class Story:
    """A bench, and which attempts of it are alive."""

    def __init__(self, bench: Any) -> None:
        self.bench = bench
        self.fates: dict[str, str] = {}
        self.accepted: set[int] = set()
        self.over: set[int] = set()

    def alive(self) -> list[tuple[int, Any]]:
        return [(n, attempt) for n, attempt in enumerate(self.bench.attempts) if n not in self.over]

    def step(self, what: str, which: Any) -> None:
        b = self.bench
        if what == "take":
            id = b.take("fated", {"fate": which})
            self.fates[id] = which
        elif what in ("accept", "finish") and self.alive():
            n, attempt = self.alive()[which % len(self.alive())]
            if n not in self.accepted:
                self.accepted.add(n)
                attempt.accept()
            if what == "finish":
                self.over.add(n)
                self.finish(attempt)
        elif what in ("close", "revoke") and self.fates:
            id = sorted(self.fates)[which % len(self.fates)]
            if what == "revoke":
                state.revoked.add(id)
            elif (job := b.ledger.pop(id)) is not None:
                b.dispatcher.closed(job)
        elif what == "pass time":
            b.pass_time()
        elif what == "restart":
            if b.consumer.pool._pool is not None:
                forgotten = {n for n, _ in self.alive()} - self.accepted
                self.over |= forgotten
                for n in forgotten:
                    del b.consumer.pool._pool._cache[b.attempts[n]._job]
            b.restart()
        elif what == "settle":
            b.settle()

    def finish(self, attempt: Any) -> None:
        if (pool := self.bench.consumer.pool._pool) is not None:
            pool._cache.pop(attempt._job, None)
        attempt._ready = True
        fate = self.fates[attempt.work.id]
        if fate == "lost":
            attempt.end(WorkerLostError("signal 9"))
        elif fate == "hard limit":
            attempt.end(TimeLimitExceeded(1))
            attempt.time_out()
        elif fate == "killed":
            attempt.options["callback"]((False, None, None))
        else:
            attempt.options["callback"](attempt.target(*attempt.args))

    def check(self) -> None:
        working = [attempt.work.id for _, attempt in self.alive()]
        assert len(working) == len(set(working)), "a task has two attempts at a time"
        assert self.bench.ledger.count(State.RUNNING) <= len(self.accepted)

    def end(self) -> None:
        """The pool drains, then what is left is handed back."""
        for _ in range(50):
            self.bench.pass_time()
            if not self.alive():
                break
            self.step("finish", 0)
            self.check()
        assert not self.alive()
        self.bench.dispatcher.closing = True
        self.bench.settle()
        self.bench.dispatcher.hand_back()
        self.bench.settle()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(steps, max_size=40), st.booleans())
def test_every_task_is_reported_once_and_nothing_is_left_behind(
    bench: Any, story: list[tuple[str, Any]], asynchronous: bool
) -> None:
    state.reset_state()
    b = bench(fated, slots=2, bind=True, acks_late=True)
    if asynchronous:
        b.consumer.pool.become_asynchronous()
    told = Story(b)
    closed = set()
    for what, which in story:
        before = set(b.ledger.jobs()) if what == "close" else set()
        told.step(what, which)
        told.check()
        closed |= {job.id for job in before} - {job.id for job in b.ledger.jobs()} if what == "close" else set()
    told.end()
    assert len(b.ledger) == 0
    assert set(b.line.sent) | closed == set(told.fates)
    assert not set(b.line.sent) & closed
    assert b.leaks() == 0
    assert b.dispatcher.capacity() == 0
    assert b.consumer.prefetch == []
