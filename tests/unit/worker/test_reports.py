"""Outcomes on their way to AWS, in virtual time."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque

import hypothesis.strategies as st
import pytest
from hypothesis import given

from sfini_celery.errors import Ending, NoCredentials, service_error
from sfini_celery.worker.ledger import Job, Ledger
from sfini_celery.worker.reports import LONGEST_CAUSE, LONGEST_ERROR, LONGEST_OUTPUT, failure, success

SECRET = "SECRET-TOKEN-of-the-test"
PAYLOAD = "payload-of-the-test"


@pytest.fixture
def job() -> Job:
    return Ledger().take(SECRET, "add", f'"{PAYLOAD}"', heartbeat=60)


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    assert SECRET not in caplog.text and PAYLOAD not in caplog.text
    return [record.getMessage().split()[0] for record in caplog.records]


@pytest.fixture(autouse=True)
def _everything_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "sfini_celery")


def test_a_result_and_a_failure_arrive_as_they_were_given(run, plane, parts, job) -> None:
    async def test() -> None:
        world = parts([])
        world.reports.submit(success(job, '{"ü": 1}'))
        await asyncio.sleep(1)
        plane.closed.clear()
        world.reports.submit(failure(job, "ValueError", "because"))
        await asyncio.sleep(1)
        assert plane.sent == [("success", SECRET, '{"ü": 1}'), ("failure", SECRET, "ValueError", "because")]
        assert world.reports.counts == {"succeeded": 1, "failed": 1}
        assert len(world.done) == 2

    run(test)


@pytest.mark.parametrize("sent", [False, True], ids=["not-sent", "maybe-sent"])
def test_a_report_survives_an_outage_of_ten_minutes_and_lands_once(
    run, plane, parts, job, unreachable, caplog, sent
) -> None:
    async def test() -> None:
        plane.faults["success"] = unreachable(sent=sent)
        world = parts([])
        world.reports.submit(success(job, "42"))
        await asyncio.sleep(600)
        assert plane.sent == [] and world.done == []
        assert len(plane.times("success")) < 120
        plane.faults.clear()
        await asyncio.sleep(21)
        assert plane.sent == [("success", SECRET, "42")]
        await asyncio.sleep(600)
        assert plane.sent == [("success", SECRET, "42")]
        assert world.reports.counts == {"succeeded": 1}

    run(test)
    assert said(caplog) == ["sfini_endpoint_unreachable"] * 2 + ["sfini_endpoint_back"]


def test_all_reports_go_out_as_soon_as_one_call_shows_that_the_endpoint_is_back(run, plane, parts, unreachable) -> None:
    async def test() -> None:
        plane.faults["success"] = unreachable()
        world = parts([])
        ledger = Ledger()
        for number in range(200):
            world.reports.submit(success(ledger.take(f"t{number}", "add", "1", heartbeat=60), "1"))
        await asyncio.sleep(300)
        plane.faults.clear()
        plane.closed = {}
        world.endpoint.answered(asyncio.get_running_loop().time())
        await asyncio.sleep(0.5)
        assert len(plane.sent) == 200

    run(test)


def test_a_report_that_was_applied_before_its_answer_got_lost_is_not_called_late(
    run, plane, parts, job, unreachable, caplog
) -> None:
    async def test() -> None:
        def applied_but_reset(token: str) -> None:
            plane.sent.append(("success", token, "42"))
            plane.closed[token] = "TaskTimedOut"
            plane.faults.clear()
            raise unreachable(sent=True)

        plane.faults["success"] = applied_but_reset
        world = parts([])
        world.reports.submit(success(job, "42"))
        await asyncio.sleep(10)
        assert plane.sent == [("success", SECRET, "42")]
        assert world.reports.counts == {"settled": 1}

    run(test)
    assert said(caplog) == ["sfini_report_settled"]


@pytest.mark.parametrize("code", ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"])
def test_result_reported_after_token_closed_is_dropped_and_logged_once(run, plane, parts, job, caplog, code) -> None:
    async def test() -> None:
        plane.closed[SECRET] = code
        world = parts([])
        world.reports.submit(success(job, "42"))
        await asyncio.sleep(4000)
        assert len(plane.times("success")) == 1
        assert plane.sent == [] and len(world.done) == 1
        assert world.reports.counts == {"refused": 1}

    run(test)
    assert said(caplog) == ["sfini_report_refused"]
    assert code in caplog.text and job.id in caplog.text


def test_a_report_never_sent_that_meets_a_closed_token_is_late_not_settled(
    run, plane, parts, job, unreachable, caplog
) -> None:
    async def test() -> None:
        plane.faults["success"] = deque([unreachable(sent=False)])
        plane.closed[SECRET] = "TaskTimedOut"
        world = parts([])
        world.reports.submit(success(job, "42"))
        await asyncio.sleep(10)
        assert world.reports.counts == {"refused": 1}

    run(test)
    assert said(caplog) == ["sfini_report_refused"]


def test_a_report_is_given_up_at_its_deadline_and_that_is_an_error(run, plane, parts, job, unreachable, caplog) -> None:
    async def test() -> None:
        plane.faults["success"] = unreachable()
        world = parts([], deadline=120.0)
        begun = asyncio.get_running_loop().time()
        world.reports.submit(success(job, "42"))
        await asyncio.sleep(300)
        assert world.reports.counts == {"abandoned": 1}
        assert 95 < plane.times("success")[-1] - begun <= 120
        assert len(world.done) == 1

    run(test)
    assert said(caplog) == ["sfini_endpoint_unreachable", "sfini_report_given_up"]
    assert [record.levelname for record in caplog.records] == ["WARNING", "ERROR"]


@pytest.mark.parametrize(
    "error",
    [
        service_error("SendTaskSuccess", "ThrottlingException"),
        service_error("SendTaskSuccess", "KmsThrottlingException"),
        service_error("SendTaskSuccess", "InternalFailure", status=500),
        service_error("SendTaskSuccess", "HTTP502", status=502),
        service_error("SendTaskSuccess", "AccessDeniedException"),
        service_error("SendTaskSuccess", "ExpiredTokenException"),
        service_error("SendTaskSuccess", "NeverHeardOf"),
        NoCredentials("gone"),
        RuntimeError("a bug of ours"),
    ],
    ids=lambda error: getattr(error, "code", type(error).__name__),
)
def test_a_report_is_tried_again_after_any_passing_failure(run, plane, parts, job, error) -> None:
    async def test() -> None:
        plane.faults["success"] = deque([error] * 5)
        world = parts([])
        world.reports.submit(success(job, "42"))
        await asyncio.sleep(60)
        assert plane.sent == [("success", SECRET, "42")]
        assert len(plane.times("success")) == 6

    run(test)


@pytest.mark.parametrize("code", ["InvalidOutput", "ValidationException"])
def test_an_output_that_aws_refuses_becomes_a_failure_that_says_so(run, plane, parts, job, caplog, code) -> None:
    async def test() -> None:
        plane.faults["success"] = service_error("SendTaskSuccess", code, f"Invalid Output: '{PAYLOAD}'")
        world = parts([])
        world.reports.submit(success(job, PAYLOAD))
        await asyncio.sleep(10)
        [(kind, token, error, cause)] = plane.sent
        assert (kind, token, error) == ("failure", SECRET, "sfini.OutputNotSerializable")
        assert code in cause
        assert len(plane.times("success")) == 1

    run(test)
    assert said(caplog) == ["sfini_report_unsendable"]


def test_a_failure_that_aws_refuses_is_reported_without_its_text_and_then_given_up(
    run, plane, parts, job, caplog
) -> None:
    async def test() -> None:
        plane.faults["failure"] = service_error("SendTaskFailure", "ValidationException")
        world = parts([])
        world.reports.submit(failure(job, "ValueError", "why"))
        await asyncio.sleep(100)
        assert len(plane.times("failure")) == 2
        assert world.reports.counts == {"abandoned": 1}

    run(test)
    assert said(caplog) == ["sfini_report_unsendable", "sfini_report_given_up"]


def test_ten_thousand_reports_do_not_open_ten_thousand_connections(run, plane, parts) -> None:
    async def test() -> None:
        under_way, most = 0, 0

        async def slow(token: str) -> None:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(1)
            under_way -= 1

        plane.faults["success"] = slow
        world = parts([])
        ledger = Ledger()
        for number in range(500):
            world.reports.submit(success(ledger.take(f"t{number}", "add", "1", heartbeat=60), "1"))
        await asyncio.sleep(30)
        assert len(plane.sent) == 500
        assert most == 48

    run(test)


def test_reports_that_are_abandoned_at_the_end_are_counted(run, plane, parts, job, unreachable) -> None:
    async def test() -> None:
        plane.faults["success"] = unreachable()
        world = parts([])
        world.reports.submit(success(job, "42"))
        await asyncio.sleep(5)
        assert world.reports.abandon() == 1
        await asyncio.sleep(0.1)
        assert world.reports.counts == {"abandoned": 1} and len(world.done) == 1

    run(test)


# -- limits of the API


@pytest.mark.parametrize("char", ["x", "ü", "🦉", "\ud800"], ids=["ascii", "two-bytes", "four-bytes", "half-a-pair"])
def test_an_output_of_exactly_the_limit_passes_and_one_byte_more_is_a_failure_with_a_remedy(job, char) -> None:
    size = len(char.encode("utf-8", "surrogatepass"))
    fits = char * ((LONGEST_OUTPUT - 2) // size)
    fits = f'"{fits}"' + " " * (LONGEST_OUTPUT - 2 - len(fits.encode("utf-8", "surrogatepass")))
    assert success(job, fits).error is None
    large = success(job, fits + " ")
    assert large.error == Ending.OUTPUT_NOT_SERIALIZABLE
    assert "262145 bytes" in large.cause and "S3" in large.cause
    assert large.output == ""


@given(st.text(max_size=400), st.integers(0, 3 * LONGEST_CAUSE), st.text(max_size=50))
def test_a_failure_always_fits_the_api_and_keeps_the_end_of_its_cause(error, length, end) -> None:
    job = Ledger().take("t", "add", "1", heartbeat=60)
    report = failure(job, error, "x" * length + end)
    assert len(report.error) <= LONGEST_ERROR and error.startswith(report.error)
    assert len(report.cause) <= LONGEST_CAUSE and report.cause.endswith(end)
    if length + len(end) <= LONGEST_CAUSE:
        assert report.cause == "x" * length + end
    else:
        assert len(report.cause) == LONGEST_CAUSE and report.cause.startswith("[...] ")


def test_a_report_shows_neither_token_nor_payload(job) -> None:
    for report in (success(job, json.dumps(PAYLOAD)), failure(job, "ValueError", PAYLOAD)):
        assert SECRET not in repr(report) and PAYLOAD not in repr(report)
        assert job.id in repr(report)
