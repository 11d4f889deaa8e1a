from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import celery
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sfini_celery.app  # noqa: F401  (what gives a request its .sfn)
from sfini_celery.activity import Activity, Call, Position
from sfini_celery.errors import InvalidInput
from sfini_celery.worker.inject import Held, Retry, build_message, hold

NOW = datetime(2024, 3, 1, tzinfo=timezone.utc)
ENTERED = Position(execution="arn:one", name="one", state="Work", entered="2024-02-29T12:00:00.000Z", attempt=1)


def body(*args: Any, **kwargs: Any) -> None:
    pass


@pytest.fixture
def app() -> celery.Celery:
    app = celery.Celery("inject", broker="memory://", set_as_current=False)
    for name in ("work", "errback"):
        app.task(name=name, shared=False)(body)
    app.finalize()
    return app


def held(options: dict[str, Any] | None = None, *, sensitive: bool = False, **call: Any) -> Held:
    activity = Activity(name="work", task="work", sensitive=sensitive)
    return hold("the-id", Call("work", options=options or {}, **{"at": ENTERED, **call}), activity, "queue", now=NOW)


def test_message_is_one_that_celery_would_have_made(app: celery.Celery) -> None:
    message = build_message(app, held(args=(1,), kwargs={"x": 2}), origin="worker@host")
    made = app.amqp.as_task_v2("the-id", "work", (1,), {"x": 2}, root_id=ENTERED.root_id, origin="worker@host")
    assert {**made.headers, "headers": {}, "sfn": ENTERED} == message.headers
    assert message.body == message.payload == ((1,), {"x": 2}, made.body[2])
    assert message.content_type is None
    assert message.delivery_info == {"exchange": "", "routing_key": "queue", "redelivered": False}


def test_tasks_of_one_execution_have_one_root(app: celery.Celery) -> None:
    first, second = (build_message(app, held(), origin="w").headers["root_id"] for _ in range(2))
    assert first == second == ENTERED.root_id
    assert build_message(app, held(at=Position()), origin="w").headers["root_id"] == "the-id"


def test_options_of_the_envelope_reach_the_request(app: celery.Celery) -> None:
    options = {
        "priority": 7,
        "time_limit": 30,
        "soft_time_limit": 20.5,
        "expires": 60,
        "headers": {"trace": "abc"},
        "stamps": {"customer": "x"},
    }
    message = build_message(app, held(options), origin="w")
    assert message.properties["priority"] == 7
    assert message.headers["timelimit"] == [30, 20.5]
    assert message.headers["headers"] == {"trace": "abc"}
    assert message.headers["trace"] == "abc"
    assert (message.headers["stamped_headers"], message.headers["stamps"]) == (["customer"], {"customer": "x"})


def test_expiry_counts_from_when_the_state_was_entered(app: celery.Celery) -> None:
    message = build_message(app, held({"expires": 60}), origin="w")
    assert message.headers["expires"] == "2024-02-29T12:01:00+00:00"
    message = build_message(app, held({"expires": "2030-01-01T00:00:00Z"}), origin="w")
    assert message.headers["expires"] == "2030-01-01T00:00:00+00:00"
    nowhere = held({"expires": 60}, at=Position())
    assert nowhere.options["expires"] == NOW + timedelta(seconds=60)


def test_tasks_own_expiry_and_priority_hold_where_the_envelope_is_silent(app: celery.Celery) -> None:
    app.tasks["work"].expires, app.tasks["work"].priority = 10, 3
    message = build_message(app, held(), origin="w")
    assert message.headers["expires"] == "2024-02-29T12:00:10+00:00"
    assert message.properties["priority"] == 3


@pytest.mark.parametrize("name", ["id", "task", "sfn", "args", "update", "retries", "called_directly", "_children"])
def test_headers_of_the_envelope_cannot_replace_what_the_request_is_made_of(app: celery.Celery, name: str) -> None:
    plain = build_message(app, held(), origin="w").headers
    forged = build_message(app, held({"headers": {name: "forged"}}), origin="w").headers

    assert forged == plain


@pytest.mark.parametrize(
    "options",
    [
        {"priority": "high"},
        {"priority": True},
        {"time_limit": "1"},
        {"soft_time_limit": [1]},
        {"expires": "tomorrow"},
        {"expires": {}},
        {"expires": 1e300},
        {"headers": ["a"]},
        {"stamps": "x"},
    ],
)
def test_option_of_a_wrong_kind_is_the_inputs_fault(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="option"):
        held(options)


@given(
    st.dictionaries(
        st.sampled_from(["priority", "time_limit", "soft_time_limit", "expires", "headers", "stamps", "link_error"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
            max_leaves=5,
        ),
    )
)
def test_no_json_in_the_options_stops_the_worker(options: dict[str, Any]) -> None:
    app = celery.Celery("fuzzed", broker="memory://", set_as_current=False)
    app.task(name="work", shared=False)(body)
    try:
        job = held(options)
    except InvalidInput:
        return
    build_message(app, job, origin="w")


def test_nothing_of_a_sensitive_call_is_shown(app: celery.Celery) -> None:
    secret = held(sensitive=True, args=("hunter2",), kwargs={"password": "hunter2"})
    message = build_message(app, secret, origin="w")
    assert message.headers["argsrepr"] == message.headers["kwargsrepr"] == "<hidden>"
    assert message.headers["ignore_result"] is True
    assert "hunter2" not in repr(secret) + repr(message)


def test_control_characters_of_the_input_do_not_reach_a_terminal(app: celery.Celery) -> None:
    message = build_message(app, held(args=("\x1b[31mred\x07",), kwargs={"é": "ü"}), origin="w")
    assert message.headers["argsrepr"] == r"('\x1b[31mred\x07',)"
    assert message.headers["kwargsrepr"] == "{'é': 'ü'}"


class TestErrbacks:
    def embedded(self, app: celery.Celery, link_error: Any, attempt: int = 0) -> list[str]:
        at = Position(execution="arn:one", attempt=attempt)
        errbacks = build_message(app, held({"link_error": link_error}, at=at), origin="w").body[2]["errbacks"]
        return [errback["task"] for errback in errbacks or []]

    def test_tasks_of_the_app_are_linked_by_name(self, app: celery.Celery) -> None:
        assert self.embedded(app, ["errback", {"task": "errback", "args": [1]}]) == ["errback", "errback"]
        assert self.embedded(app, "errback") == ["errback"]

    @pytest.mark.parametrize(
        "name", ["os.system", "celery.backend_cleanup", 7, None, {"task": ["x"]}, {"task": "errback", "args": 5}]
    )
    def test_nothing_else_is_called_because_an_envelope_says_so(
        self, app: celery.Celery, name: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert self.embedded(app, [name]) == []
        assert "sfini_link_error_unknown" in caplog.text

    def test_immutable_one_gets_no_arguments_and_goes_where_it_is_routed(self, app: celery.Celery) -> None:
        entry = {"task": "errback", "args": [1], "immutable": True, "options": {"queue": "q", "serializer": "pickle"}}
        (errback,) = build_message(app, held({"link_error": [entry]}), origin="w").body[2]["errbacks"]
        assert (errback["immutable"], errback["options"], list(errback["args"])) == (True, {"queue": "q"}, [1])

    def test_attempts_that_the_state_machine_retries_run_none(self, app: celery.Celery) -> None:
        entry = [{"task": "errback", "attempt": 2}]
        assert self.embedded(app, entry, attempt=1) == []
        assert self.embedded(app, entry, attempt=2) == ["errback"]


class TestRetry:
    def test_is_read_from_what_the_task_asked(self) -> None:
        asked = {"args": [1], "kwargs": {"x": 2}, "countdown": 5, "retries": 2, "time_limit": 9, "expires": 30}
        retry = Retry.read(asked, NOW)
        assert (retry.args, retry.kwargs, retry.retries) == ((1,), {"x": 2}, 2)
        assert retry.eta == NOW + timedelta(seconds=5)
        assert retry.options == {"time_limit": 9, "expires": NOW + timedelta(seconds=30)}

    @pytest.mark.parametrize("countdown", [0, None, -0.0])
    def test_without_a_countdown_it_is_at_once(self, countdown: Any) -> None:
        assert Retry.read({"args": [], "kwargs": {}, "countdown": countdown, "retries": 1}, NOW).eta is None

    @pytest.mark.parametrize("eta", [NOW, NOW.isoformat(), NOW.replace(tzinfo=None), "2024-03-01T00:00:00Z"])
    def test_eta_is_a_time_or_its_text(self, eta: Any) -> None:
        asked = {"args": [], "kwargs": {}, "eta": eta, "countdown": 99, "retries": 1}
        assert Retry.read(asked, NOW - timedelta(days=1)).eta == NOW

    def test_makes_the_next_attempt_and_keeps_what_it_does_not_change(self, app: celery.Celery) -> None:
        job = held({"priority": 5, "time_limit": 30}, args=(1,))
        job.request, job.in_pool = object(), True
        job.retry(Retry((2,), {}, 1, None, {"time_limit": 60}))
        message = build_message(app, job, origin="w")
        assert (message.headers["retries"], message.headers["timelimit"], message.body[0]) == (1, [60, None], (2,))
        assert message.properties["priority"] == 5
        assert (job.request, job.in_pool) == (None, False)
