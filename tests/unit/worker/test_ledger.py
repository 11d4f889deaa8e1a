"""The ledger: every move the table has, no other, and one owner for every outcome."""

from __future__ import annotations

import copy
import pickle
import threading
from collections import Counter

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from sfini_celery.errors import IllegalMove
from sfini_celery.worker.ledger import MOVES, Job, Ledger, State, Token, diagram, task_id

TOKEN = "AQCEAAAAKgAAAAMAAAAA-a-secret"


class LedgerMachine(RuleBasedStateMachine):
    """The ledger beside a dictionary that does the same the simple way."""

    jobs = Bundle("jobs")

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.ledger = Ledger(lambda: self.now)
        self.model: dict[str, tuple[str, State, int]] = {}
        self.numbers = iter(range(10**6))

    @rule(target=jobs, activity=st.sampled_from(["add", "resize"]), heartbeat=st.integers(3, 100))
    def take(self, activity: str, heartbeat: int) -> str:
        token = f"token-{next(self.numbers)}"
        job = self.ledger.take(token, activity, "{}", heartbeat=heartbeat)
        assert (job.state, job.attempts, job.taken_at) == (State.TAKEN, 0, self.now)
        assert job.id == task_id(token)
        self.model[job.id] = activity, State.TAKEN, 0
        with pytest.raises(IllegalMove):
            self.ledger.take(token, activity, "{}", heartbeat=heartbeat)
        return job.id

    @rule(id=jobs, state=st.sampled_from(State))
    def move(self, id: str, state: State) -> None:
        before = self.ledger.get(id)
        if id not in self.model:
            assert self.ledger.move(id, state) is None
            return
        activity, was, attempts = self.model[id]
        if state in MOVES[was] and state is not State.ENDED:
            after = self.ledger.move(id, state)
            self.model[id] = activity, state, attempts + (state is State.RUNNING)
            assert after is self.ledger.get(id)
            assert (after.state, after.attempts, after.since) == (*self.model[id][1:], self.now)
        else:
            with pytest.raises(IllegalMove) as caught:
                self.ledger.move(id, state)
            assert (caught.value.job, caught.value.state, caught.value.wanted) == (id, was, state)
            assert self.ledger.get(id) is before

    @rule(id=jobs)
    def pop(self, id: str) -> None:
        held = self.model.pop(id, None)
        job = self.ledger.pop(id)
        assert (job is None) == (held is None)
        if job is not None:
            assert (job.activity, job.state, job.attempts) == held

    @rule(ids=st.lists(consumes(jobs), max_size=3))
    def end_several(self, ids: list[str]) -> None:
        for id in ids:
            self.model.pop(id, None)
            self.ledger.pop(id)
            assert self.ledger.pop(id) is None

    @rule(seconds=st.floats(0.1, 100))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(target=jobs)
    def unknown(self) -> object:
        return multiple(task_id("never taken"))

    @invariant()
    def counts_agree(self) -> None:
        states = Counter(state for _, state, _ in self.model.values())
        assert self.ledger.counts() == {state: states[state] for state in State if state is not State.ENDED}
        assert len(self.ledger) == self.ledger.count() == len(self.model) == len(self.ledger.jobs())
        assert self.ledger.waiting == states[State.TAKEN]
        assert self.ledger.parked == states[State.PARKED]
        assert self.ledger.busy == len(self.model) - states[State.PARKED]
        for activity in ("add", "resize"):
            for state in State:
                number = sum((name, where) == (activity, state) for name, where, _ in self.model.values())
                assert self.ledger.count(state, activity) == number == len(self.ledger.jobs(state, activity))
                assert self.ledger.activities().get(activity, {}).get(state, 0) == number
        assert [job.id for job in self.ledger.jobs()] == list(self.model)
        assert all(id in self.ledger for id in self.model)


TestLedgerMachine = LedgerMachine.TestCase


def test_two_threads_that_both_saw_the_end_do_not_both_report() -> None:
    ledger = Ledger()
    ids = [ledger.take(f"t{number}", "add", "1", heartbeat=60).id for number in range(500)]
    won: list[str] = []
    barrier = threading.Barrier(4)

    def end_all() -> None:
        barrier.wait()
        won.extend(id for id in ids if ledger.pop(id) is not None)

    threads = [threading.Thread(target=end_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == sorted(ids)
    assert ledger.counts() == dict.fromkeys((State.TAKEN, State.RESERVED, State.RUNNING, State.PARKED), 0)


def test_a_token_is_not_shown_by_a_job_or_itself_in_any_format() -> None:
    job = Ledger().take(TOKEN, "add", '"a secret payload"', heartbeat=60)
    shown = [
        repr(job),
        str(job),
        f"{job}",
        f"{job.token}",
        f"{job.token!r}",
        f"{[job.token, job]}",
        job.id,
    ]
    assert not [text for text in shown if TOKEN in text or "AQCE" in text or "payload" in text]
    assert job.token.reveal() == TOKEN


@pytest.mark.parametrize("carry", [pickle.dumps, copy.deepcopy, copy.copy])
def test_a_token_does_not_travel_to_a_pool_process(carry: object) -> None:
    job = Ledger().take(TOKEN, "add", "1", heartbeat=60)
    with pytest.raises(TypeError, match="does not leave the process") as caught:
        carry(job.token)
    assert TOKEN not in str(caught.value)


def test_the_celery_task_id_is_the_same_for_the_same_token_and_no_other() -> None:
    assert task_id(TOKEN) == task_id(TOKEN) != task_id(TOKEN + "x")
    assert Token(TOKEN) == Token(TOKEN) != Token("x")
    assert len({Token(TOKEN), Token(TOKEN)}) == 1


def test_no_job_is_stuck_in_a_state_without_a_way_out() -> None:
    for state in State:
        assert (State.ENDED in MOVES[state]) == (state is not State.ENDED)
        assert state not in MOVES[state]


def test_the_diagram_in_the_docs_shows_every_move_of_the_table_and_none_else() -> None:
    drawn = diagram().splitlines()
    assert drawn[:2] == ["stateDiagram-v2", "    [*] --> taken: GetActivityTask"]
    assert len(drawn[2:]) == sum(len(followers) for followers in MOVES.values())
    assert "    running --> [*]: an outcome, or its token closed" in drawn
    assert all(line.count(":") == 1 for line in drawn[1:])


def test_a_job_is_a_value() -> None:
    ledger = Ledger(lambda: 5.0)
    job = ledger.take("t", "add", "1", heartbeat=60)
    ledger.move(job.id, State.RUNNING)
    assert job.state is State.TAKEN and isinstance(ledger.get(job.id), Job) and ledger.get(job.id) != job
