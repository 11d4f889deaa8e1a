"""The data plane against a real HTTP server on loopback."""

from __future__ import annotations

import asyncio
import asyncio.sslproto
import json
import logging
import socket
import ssl
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import botocore.session
import hypothesis.strategies as st
import pytest
import trustme
from aiohttp import web
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials, ReadOnlyCredentials, RefreshableCredentials
from botocore.exceptions import CredentialRetrievalError
from hypothesis import given

from sfini_celery.dataplane import ActivityTask, DataPlane
from sfini_celery.dataplane.keys import Keys
from sfini_celery.dataplane.signer import Signer
from sfini_celery.errors import (
    AccessDenied,
    ConfigurationError,
    LimitExceeded,
    NoCredentials,
    NoRegion,
    NotFound,
    ServiceError,
    Throttled,
    TokenClosed,
    Unreachable,
)

ARN = "arn:aws:states:us-east-1:123456789012:activity:add"
TOKEN = "AQCEAAAAKgAAAAMAAAAA-the-secret-token/with+odd=chars"
Handler = Callable[[str, dict[str, Any], web.Request], Awaitable[web.StreamResponse]]


class Stub:
    """A server that answers as ``handler`` says and remembers what it was asked."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.asked: list[tuple[str, dict[str, Any], dict[str, str]]] = []
        self.connections: set[tuple[str, int]] = set()
        self.handler: Handler | None = None
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._context = context
        self._stop: asyncio.Event
        self.port = 0
        self._thread = threading.Thread(target=self._run, name="stub")

    @property
    def url(self) -> str:
        return f"{'https' if self._context else 'http'}://localhost:{self.port}"

    def __enter__(self) -> Stub:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        self._loop.close()

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        application = web.Application(client_max_size=2**21)
        application.router.add_post("/", self._answer)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1, handle_signals=False)
        await runner.setup()
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        await web.SockSite(runner, listener, ssl_context=self._context).start()
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        operation = request.headers["X-Amz-Target"].partition(".")[2]
        body = json.loads(await request.read())
        self.asked.append((operation, body, dict(request.headers)))
        self.connections.add(request.transport.get_extra_info("peername"))
        if self.handler is None:
            return web.json_response({})
        return await self.handler(operation, body, request)

    def answer(self, status: int = 200, document: Any = None, *, text: str | None = None, **headers: str) -> None:
        async def handler(operation: str, body: dict[str, Any], request: web.Request) -> web.StreamResponse:
            payload = json.dumps(document if document is not None else {}) if text is None else text
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            return web.Response(status=status, text=payload, headers=names)

        self.handler = handler


@pytest.fixture
def stub() -> Iterator[Stub]:
    with Stub() as server:
        yield server


def plane_for(url: str, **options: Any) -> DataPlane:
    settings = {"credentials": Credentials("AKID", "secret"), "region": "us-east-1", "connect_timeout": 5.0}
    return DataPlane(**{**settings, "endpoint_url": url, **options})


def call(plane: DataPlane, use: Callable[[DataPlane], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        async with plane:
            return await use(plane)

    return asyncio.run(main())


# -- the four calls


def test_a_poll_brings_a_task_with_its_input_unread(stub) -> None:
    text = '{"ü": [1,  2], "nested": "\\u20ac"}'
    stub.answer(document={"taskToken": TOKEN, "input": text})
    task = call(plane_for(stub.url), lambda plane: plane.get_activity_task(ARN, "me"))
    assert task == ActivityTask(TOKEN, text)
    [(operation, body, headers)] = stub.asked
    assert (operation, body) == ("GetActivityTask", {"activityArn": ARN, "workerName": "me"})
    assert headers["Content-Type"] == "application/x-amz-json-1.0"
    assert headers["User-Agent"].startswith("sfini-celery/")
    assert "Accept-Encoding" not in headers


@pytest.mark.parametrize("empty", [{}, {"taskToken": None}, {"taskToken": None, "input": None}, {"taskToken": ""}])
def test_a_poll_without_a_task_is_none_however_the_server_says_so(stub, empty) -> None:
    stub.answer(document=empty)
    assert call(plane_for(stub.url), lambda plane: plane.get_activity_task(ARN, "me")) is None


def test_reports_and_heartbeats_carry_what_they_should(stub) -> None:
    async def use(plane: DataPlane) -> None:
        await plane.send_success(TOKEN, '{"ü": "\\ud800"}')
        await plane.send_success(TOKEN, '"\ud800"')
        await plane.send_failure(TOKEN, "ValueError", "because of 🦉")
        await plane.send_heartbeat(TOKEN)

    call(plane_for(stub.url), use)
    assert [(operation, body) for operation, body, _ in stub.asked] == [
        ("SendTaskSuccess", {"taskToken": TOKEN, "output": '{"ü": "\\ud800"}'}),
        ("SendTaskSuccess", {"taskToken": TOKEN, "output": '"\ud800"'}),
        ("SendTaskFailure", {"taskToken": TOKEN, "error": "ValueError", "cause": "because of 🦉"}),
        ("SendTaskHeartbeat", {"taskToken": TOKEN}),
    ]


def test_a_large_payload_passes_both_ways(stub) -> None:
    large = json.dumps("x" * 262_000)
    stub.answer(document={"taskToken": TOKEN, "input": large})

    async def use(plane: DataPlane) -> None:
        task = await plane.get_activity_task(ARN, "me")
        assert task is not None and task.input == large
        await plane.send_success(task.token, task.input)

    call(plane_for(stub.url), use)
    assert stub.asked[1][1]["output"] == large


def test_reports_do_not_wait_behind_a_hundred_open_polls(stub) -> None:
    async def handler(operation: str, body: dict[str, Any], request: web.Request) -> web.Response:
        if operation == "GetActivityTask":
            await held.wait()
        return web.json_response({})

    stub.handler = handler

    async def use(plane: DataPlane) -> None:
        polls = [asyncio.ensure_future(plane.get_activity_task(ARN, "me")) for _ in range(100)]
        while sum(operation == "GetActivityTask" for operation, *_ in stub.asked) < 100:
            await asyncio.sleep(0.01)
        await asyncio.wait_for(plane.send_success(TOKEN, "1"), 5)
        await asyncio.wait_for(plane.send_heartbeat(TOKEN), 5)
        assert not any(poll.done() for poll in polls)
        stub._loop.call_soon_threadsafe(held.set)
        assert await asyncio.gather(*polls) == [None] * 100

    held = asyncio.Event()
    call(plane_for(stub.url, connections=1), use)
    # The report's connection served the heartbeat too.
    assert len(stub.connections) == 101


def test_using_a_plane_that_is_not_open_says_so() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        asyncio.run(plane_for("http://localhost:1").send_heartbeat(TOKEN))


@pytest.mark.parametrize("url", ["localhost:4566", "ftp://x", "http://", ""])
def test_an_endpoint_that_is_no_http_url_is_refused_at_once(url) -> None:
    with pytest.raises(ValueError, match="endpoint_url"):
        plane_for(url)


def test_the_embedded_server_is_asked_to_end_idle_polls_and_aws_is_not(stub) -> None:
    assert call(plane_for(stub.url), lambda plane: plane.release_polls("me")) is True
    stub.answer(400, {"__type": "com.amazon.coral.service#UnknownOperationException"})
    assert call(plane_for(stub.url), lambda plane: plane.release_polls("me")) is False
    assert [(operation, body) for operation, body, _ in stub.asked] == [("SfiniReleasePolls", {"workerName": "me"})] * 2
    for host in ("states.us-east-1.amazonaws.com", "vpce-1.states.eu-west-1.vpce.amazonaws.com", "states.x.api.aws"):
        # Nothing listens there: an attempt would be a False after a failure to connect, and take its time.
        begun = time.monotonic()
        assert call(plane_for(f"http://{host}"), lambda plane: plane.release_polls("me")) is False
        assert time.monotonic() - begun < 1


# -- errors


@pytest.mark.parametrize(
    ("status", "document", "headers", "kind", "code"),
    [
        (400, {"__type": "com.amazonaws.swf.service.v2.model#TaskTimedOut", "message": "m"}, {}, TokenClosed,
         "TaskTimedOut"),
        (400, {"__type": "TaskDoesNotExist", "Message": "m"}, {}, TokenClosed, "TaskDoesNotExist"),
        (400, {"message": "m"}, {"x_amzn_errortype": "InvalidToken:http://internal.amazon.com/coral/"}, TokenClosed,
         "InvalidToken"),
        (400, {"__type": "a#ActivityDoesNotExist", "message": "m"}, {}, NotFound, "ActivityDoesNotExist"),
        (400, {"__type": "a#ActivityWorkerLimitExceeded", "message": "m"}, {}, LimitExceeded,
         "ActivityWorkerLimitExceeded"),
        (400, {"__type": "a#ThrottlingException", "message": "m"}, {}, Throttled, "ThrottlingException"),
        (400, {"__type": "a#AccessDeniedException", "Message": "m"}, {}, AccessDenied, "AccessDeniedException"),
        (400, {"__type": "a#InvalidOutput", "message": "m"}, {}, ServiceError, "InvalidOutput"),
        (500, {"__type": "a#InternalFailure", "message": "m"}, {}, ServiceError, "InternalFailure"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_aws_says_becomes_the_right_class_of_the_tree(stub, status, document, headers, kind, code) -> None:
    stub.answer(status, document, **headers)
    with pytest.raises(kind) as caught:
        call(plane_for(stub.url), lambda plane: plane.send_success(TOKEN, "1"))
    error = caught.value
    assert type(error) is kind
    assert (error.operation, error.code, error.status, error.detail) == ("SendTaskSuccess", code, status, "m")


@pytest.mark.parametrize(
    ("status", "text", "kind", "code"),
    [
        (502, "<html>Bad Gateway</html>", ServiceError, "HTTP502"),
        (503, "", ServiceError, "HTTP503"),
        (504, "[1, 2]", ServiceError, "HTTP504"),
        (429, "slow down", Throttled, "TooManyRequestsException"),
        (403, "<html>WAF</html>", ServiceError, "HTTP403"),
    ],
)
def test_an_error_page_of_a_proxy_is_an_error_and_not_a_crash(stub, status, text, kind, code) -> None:
    stub.answer(status, text=text)
    with pytest.raises(kind) as caught:
        call(plane_for(stub.url), lambda plane: plane.send_success(TOKEN, "1"))
    assert (caught.value.code, caught.value.status) == (code, status)


@pytest.mark.parametrize(("status", "text"), [(200, "<html>log in</html>"), (200, ""), (200, "[]"), (302, "")])
def test_an_answer_that_is_not_step_functions_may_have_been_applied(stub, status, text) -> None:
    stub.answer(status, text=text, Location="/elsewhere")
    with pytest.raises(Unreachable) as caught:
        call(plane_for(stub.url), lambda plane: plane.send_success(TOKEN, "1"))
    assert caught.value.sent is True


def test_a_port_where_nobody_listens_is_surely_not_sent(free_port) -> None:
    with pytest.raises(Unreachable) as caught:
        call(plane_for(f"http://127.0.0.1:{free_port}"), lambda plane: plane.send_success(TOKEN, "1"))
    assert caught.value.sent is False and caught.value.operation == "SendTaskSuccess"


def test_a_name_that_does_not_resolve_is_surely_not_sent() -> None:
    with pytest.raises(Unreachable) as caught:
        call(plane_for("http://no-such-host.invalid"), lambda plane: plane.send_success(TOKEN, "1"))
    assert caught.value.sent is False


def test_a_server_that_never_shakes_hands_is_surely_not_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        plane = plane_for(f"https://127.0.0.1:{silent.getsockname()[1]}", connect_timeout=0.1)
        with pytest.raises(Unreachable) as caught:
            call(plane, lambda plane: plane.send_success(TOKEN, "1"))
    assert caught.value.sent is False


@pytest.mark.parametrize("how", ["reset", "silence", "cut", "cut-in-the-answer"])
def test_a_connection_lost_after_sending_may_have_been_applied(stub, how) -> None:
    async def handler(operation: str, body: dict[str, Any], request: web.Request) -> web.StreamResponse:
        transport = request.transport
        assert transport is not None
        if how == "silence":
            await asyncio.sleep(1)
        elif how == "cut-in-the-answer":
            response = web.StreamResponse(headers={"Content-Length": "1000"})
            await response.prepare(request)
            await response.write(b'{"a": ')
            transport.close()
            return response
        elif how == "reset":
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            transport.abort()
        else:
            transport.close()
        return web.Response()

    stub.handler = handler
    with pytest.raises(Unreachable) as caught:
        call(plane_for(stub.url, call_timeout=0.2), lambda plane: plane.send_success(TOKEN, "1"))
    assert caught.value.sent is True
    assert TOKEN not in str(caught.value) and TOKEN not in repr(caught.value.__cause__)


def test_a_poll_is_given_more_time_than_a_report(stub) -> None:
    async def handler(operation: str, body: dict[str, Any], request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.3)
        return web.json_response({})

    stub.handler = handler
    plane = plane_for(stub.url, call_timeout=0.1, poll_timeout=5.0)
    assert call(plane, lambda plane: plane.get_activity_task(ARN, "me")) is None
    with pytest.raises(Unreachable):
        call(plane, lambda plane: plane.send_heartbeat(TOKEN))


def test_a_task_that_came_while_the_process_stood_still_is_not_given_up(stub) -> None:
    async def handler(operation: str, body: dict[str, Any], request: web.Request) -> web.StreamResponse:
        asked.set()
        await asyncio.sleep(0.05)
        return web.json_response({"taskToken": TOKEN, "input": "1"})

    asked = threading.Event()
    stub.handler = handler

    async def use(plane: DataPlane) -> ActivityTask | None:
        poll = asyncio.ensure_future(plane.get_activity_task(ARN, "me"))
        while not asked.is_set():
            await asyncio.sleep(0.001)
        time.sleep(0.4)  # SIGSTOP, or a laptop's lid: every timer is overdue when it goes on
        return await poll

    plane = plane_for(stub.url, poll_timeout=0.2, connect_timeout=0.1)
    assert call(plane, use) == ActivityTask(TOKEN, "1")


def test_the_default_poll_outlasts_the_minute_that_the_service_holds_it() -> None:
    assert 65 <= plane_for("http://localhost:1")._poll_timeout <= 70


# -- secrets


@pytest.mark.parametrize(
    "detail",
    [
        f"Invalid Token: '{TOKEN}'",
        f"1 validation error detected: Value '{TOKEN}' at 'taskToken' failed to satisfy constraint",
        f"Invalid Token: {TOKEN[:40]}...",
        f"{TOKEN}{TOKEN}",
    ],
)
def test_a_token_that_aws_quotes_back_is_not_in_the_error(stub, detail) -> None:
    stub.answer(400, {"__type": "a#InvalidToken", "message": detail})
    with pytest.raises(TokenClosed) as caught:
        call(plane_for(stub.url), lambda plane: plane.send_success(TOKEN, "1"))
    assert TOKEN[:16] not in str(caught.value) and "<task token>" in caught.value.detail


def test_a_long_error_page_is_cut(stub) -> None:
    stub.answer(400, {"__type": "a#ValidationException", "message": "x" * 100_000})
    with pytest.raises(ServiceError) as caught:
        call(plane_for(stub.url), lambda plane: plane.send_success(TOKEN, "1"))
    assert len(str(caught.value)) < 500


def test_neither_token_nor_payload_nor_keys_are_shown_or_logged_at_debug_level(stub, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    stub.answer(document={"taskToken": TOKEN, "input": '"the-payload"'})
    plane = plane_for(stub.url, credentials=Credentials("AKID", "the-secret-key"))

    async def use(plane: DataPlane) -> ActivityTask:
        task = await plane.get_activity_task(ARN, "me")
        assert task is not None
        await plane.send_success(task.token, task.input)
        await plane.send_failure(task.token, "E", task.input)
        return task

    task = call(plane, use)
    shown = " ".join([repr(task), str(task), repr(plane), caplog.text])
    assert TOKEN not in shown and "the-payload" not in shown and "the-secret-key" not in shown


# -- the signature


@given(
    body=st.binary(max_size=300),
    operation=st.sampled_from(["GetActivityTask", "SendTaskSuccess", "SendTaskFailure", "SendTaskHeartbeat"]),
    url=st.sampled_from(
        [
            "http://127.0.0.1:8083/",
            "https://states.us-east-1.amazonaws.com/",
            "https://x.example:443/",
            "http://h:80/p/",
        ]
    ),
    region=st.sampled_from(["us-east-1", "cn-north-1"]),
    token=st.none() | st.text("abc/+=", min_size=1, max_size=40),
)
def test_the_signature_is_botocores_own_header_by_header(body, operation, url, region, token) -> None:
    keys = ReadOnlyCredentials("AKID", "se/cret+", token)
    signer = Signer(url, region)
    signer.headers(keys, "GetActivityTask", b"{}")
    ours = signer.headers(keys, operation, body)
    base = {"Content-Type": ours["Content-Type"], "X-Amz-Target": ours["X-Amz-Target"]}
    theirs = AWSRequest("POST", url, base, body)
    theirs.context["timestamp"] = ours["X-Amz-Date"]
    original = SigV4Auth(keys, "states", region)
    original._modify_request_before_signing(theirs)
    text = original.string_to_sign(theirs, original.canonical_request(theirs))
    original._inject_signature_to_request(theirs, original.signature(text, theirs))
    assert ours == dict(theirs.headers.items())


def test_the_server_finds_the_signature_right(stub) -> None:
    async def use(plane: DataPlane) -> None:
        await plane.send_success(TOKEN, '"ü"')

    keys = Credentials("AKID", "secret", "session-token")
    call(plane_for(stub.url, credentials=keys), use)
    [(_, body, headers)] = stub.asked
    signed = {name: headers[name] for name in ("Content-Type", "X-Amz-Target")}
    request = AWSRequest("POST", stub.url + "/", signed, json.dumps(body, ensure_ascii=False, separators=(",", ":")))
    request.data = request.data.encode()
    request.context["timestamp"] = headers["X-Amz-Date"]
    signer = SigV4Auth(keys.get_frozen_credentials(), "states", "us-east-1")
    signer._modify_request_before_signing(request)
    text = signer.string_to_sign(request, signer.canonical_request(request))
    assert headers["Authorization"].endswith(f"Signature={signer.signature(text, request)}")
    assert headers["Host"] == f"localhost:{stub.port}"


def test_a_new_day_or_new_keys_get_a_new_signing_key() -> None:
    signer = Signer("http://h/", "us-east-1")
    signatures = set()
    for secret in ("a", "b"):
        for day in ("20261122T000000Z", "20261123T000000Z"):
            signer.credentials = ReadOnlyCredentials("AKID", secret, None)
            signatures.add(signer.signature("text", SimpleNamespace(context={"timestamp": day})))
    assert len(signatures) == 4


# -- credentials


class Refreshable:
    """Credentials that expire when told, and note which thread refreshes them."""

    method = "assume-role"

    def __init__(self) -> None:
        self.remaining = 10_000.0
        self.threads: list[str] = []
        self.serial = 0
        self.error: Exception | None = None

    def refresh_needed(self, refresh_in: float = 900) -> bool:
        return self.remaining < refresh_in

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        self.threads.append(threading.current_thread().name)
        time.sleep(0.02)
        if self.error is not None:
            raise self.error
        if self.remaining < 900:
            self.remaining, self.serial = 10_000.0, self.serial + 1
        return ReadOnlyCredentials(f"AKID{self.serial}", "secret", None)


def used_keys(stub: Stub) -> list[str]:
    return [headers["Authorization"].split("Credential=")[1].split("/")[0] for _, _, headers in stub.asked]


def test_credentials_are_fetched_and_refreshed_off_the_loop_once_for_all_callers(stub) -> None:
    source = Refreshable()

    async def use(plane: DataPlane) -> None:
        await asyncio.gather(*(plane.send_heartbeat(TOKEN) for _ in range(20)))
        source.remaining = 0
        await asyncio.gather(*(plane.send_heartbeat(TOKEN) for _ in range(20)))

    call(plane_for(stub.url, credentials=source), use)
    assert len(source.threads) == 2 and threading.current_thread().name not in source.threads
    assert used_keys(stub) == ["AKID0"] * 20 + ["AKID1"] * 20


def test_the_loop_goes_on_while_credentials_are_refreshed() -> None:
    source = Refreshable()

    async def main() -> None:
        keys = Keys(source)
        begun = asyncio.ensure_future(keys.get())
        ticks = 0
        while not begun.done():
            await asyncio.sleep(0.001)
            ticks += 1
        assert ticks >= 5

    asyncio.run(main())


def test_keys_that_still_hold_are_used_while_they_are_refreshed() -> None:
    source, now = Refreshable(), [100.0]

    async def main() -> None:
        keys = Keys(source, clock=lambda: now[0])
        assert (await keys.get()).access_key == "AKID0"
        source.remaining = 600
        now[0] += Keys.PAUSE
        assert (await keys.get()).access_key == "AKID0"
        while source.serial == 0:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.03)
        assert (await keys.get()).access_key == "AKID1"
        source.remaining, source.error = 600, CredentialRetrievalError(provider="sts", error_msg="down")
        for _ in range(10):
            assert (await keys.get()).access_key == "AKID1"
        await asyncio.sleep(0.05)
        # The refresh failed; within the pause it is not tried with every call.
        assert len(source.threads) == 2
        now[0] += Keys.PAUSE
        assert (await keys.get()).access_key == "AKID1"
        await asyncio.sleep(0.05)
        assert len(source.threads) == 3

    asyncio.run(main())


def test_keys_that_have_run_out_and_cannot_be_refreshed_are_no_credentials(stub) -> None:
    source = Refreshable()
    source.error = CredentialRetrievalError(provider="sts", error_msg="the role is gone")
    with pytest.raises(NoCredentials, match="the role is gone"):
        call(plane_for(stub.url, credentials=source), lambda plane: plane.send_heartbeat(TOKEN))
    assert stub.asked == []


def test_botocores_own_refreshable_credentials_work(stub) -> None:
    fetched = []

    def fetch() -> dict[str, str]:
        fetched.append(threading.current_thread().name)
        expiry = datetime.now(timezone.utc) + timedelta(hours=1)
        return {"access_key": f"K{len(fetched)}", "secret_key": "s", "token": "t", "expiry_time": expiry.isoformat()}

    expired = {"access_key": "K0", "secret_key": "s", "token": "t", "expiry_time": "2020-01-01T00:00:00Z"}
    source = RefreshableCredentials.create_from_metadata(expired, refresh_using=fetch, method="sts-assume-role")
    call(plane_for(stub.url, credentials=source), lambda plane: plane.send_heartbeat(TOKEN))
    assert used_keys(stub) == ["K1"]
    assert fetched and fetched[0] != threading.current_thread().name


@pytest.mark.parametrize("code", ["ExpiredTokenException", "UnrecognizedClientException", "InvalidSignatureException"])
def test_keys_that_aws_refuses_are_looked_up_anew(stub, code) -> None:
    async def handler(operation: str, body: dict[str, Any], request: web.Request) -> web.StreamResponse:
        if "OLD" in request.headers["Authorization"]:
            return web.json_response({"__type": f"a#{code}", "message": "no"}, status=400)
        return web.json_response({})

    stub.handler = handler
    reloaded = []

    def reload() -> Credentials:
        reloaded.append(threading.current_thread().name)
        return Credentials("NEW", "secret", method="shared-credentials-file")

    async def use(plane: DataPlane) -> None:
        with pytest.raises(AccessDenied):
            await plane.send_heartbeat(TOKEN)
        await asyncio.gather(*(plane.send_heartbeat(TOKEN) for _ in range(5)))

    now = [100.0]
    plane = plane_for(stub.url, credentials=Credentials("OLD", "s", method="shared-credentials-file"))
    plane._keys = Keys(plane._keys._credentials, reload, clock=lambda: now.__setitem__(0, now[0] + 60) or now[0])
    call(plane, use)
    assert used_keys(stub) == ["OLD"] + ["NEW"] * 5
    assert len(reloaded) == 1 and reloaded[0] != threading.current_thread().name


def test_keys_written_into_the_program_are_never_exchanged_for_others() -> None:
    async def main() -> None:
        clock = iter(range(0, 999, 99)).__next__
        keys = Keys(Credentials("MINE", "s"), lambda: pytest.fail("looked elsewhere"), clock=clock)
        frozen = await keys.get()
        keys.refused(frozen)
        assert (await keys.get()).access_key == "MINE"

    asyncio.run(main())


# -- TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls_stub(authority: trustme.CA) -> Iterator[Stub]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with Stub(context) as server:
        yield server


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


def test_a_certificate_of_a_known_authority_is_accepted(tls_stub, bundle) -> None:
    call(plane_for(tls_stub.url, verify=bundle), lambda plane: plane.send_heartbeat(TOKEN))
    assert len(tls_stub.asked) == 1


def test_a_certificate_of_a_stranger_is_refused_and_nothing_was_sent(tls_stub) -> None:
    with pytest.raises(Unreachable) as caught:
        call(plane_for(tls_stub.url), lambda plane: plane.send_heartbeat(TOKEN))
    assert caught.value.sent is False and "ertificate" in caught.value.detail
    assert tls_stub.asked == []


def test_a_certificate_for_another_name_is_refused(tls_stub, bundle) -> None:
    url = tls_stub.url.replace("localhost", "127.0.0.1")
    with pytest.raises(Unreachable) as caught:
        call(plane_for(url, verify=bundle), lambda plane: plane.send_heartbeat(TOKEN))
    assert caught.value.sent is False and tls_stub.asked == []


def test_verification_can_be_turned_off_on_purpose(tls_stub) -> None:
    call(plane_for(tls_stub.url, verify=False), lambda plane: plane.send_heartbeat(TOKEN))
    assert len(tls_stub.asked) == 1


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio of Python 3.10 has no such buffer")
def test_idle_tls_connections_do_not_hold_large_buffers(tls_stub, bundle) -> None:
    protocol = asyncio.sslproto.SSLProtocol
    assert isinstance(protocol.max_size, int), "asyncio has changed: find the new place of its TLS buffer"

    async def use(plane: DataPlane) -> int:
        await plane.send_heartbeat(TOKEN)
        [connections] = plane._calls.connector._conns.values()
        return len(connections[0][0].transport._ssl_protocol._ssl_buffer)

    assert call(plane_for(tls_stub.url, verify=bundle), use) == 16 * 1024


def test_an_asyncio_without_that_buffer_is_left_alone(tls_stub, bundle, monkeypatch) -> None:
    class Other(asyncio.sslproto.SSLProtocol):
        max_size = None

    monkeypatch.setattr(asyncio.sslproto, "SSLProtocol", SimpleNamespace())
    from sfini_celery.dataplane import plane as module

    module._keep_tls_buffers_small()
    monkeypatch.setattr(asyncio.sslproto, "SSLProtocol", Other)
    module._keep_tls_buffers_small()
    assert Other.max_size is None


def test_a_large_answer_passes_through_small_buffers(tls_stub, bundle) -> None:
    large = json.dumps("x" * 1_000_000)
    tls_stub.answer(document={"taskToken": TOKEN, "input": large})
    task = call(plane_for(tls_stub.url, verify=bundle), lambda plane: plane.get_activity_task(ARN, "me"))
    assert task.input == large


# -- proxies


@pytest.mark.parametrize("prefix", ["http://", ""])
def test_calls_go_through_the_proxy_with_its_password_and_show_it_to_nobody(prefix, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    seen: list[tuple[str, str | None]] = []

    async def proxy(request: web.BaseRequest) -> web.StreamResponse:
        seen.append((str(request.url), request.headers.get("Proxy-Authorization")))
        return web.json_response({})

    async def main() -> None:
        server = web.ServerRunner(web.Server(proxy, access_log=None))
        await server.setup()
        listener = socket.create_server(("127.0.0.1", 0))
        await web.SockSite(server, listener).start()
        login = f"{prefix}user:pass%40word@127.0.0.1:{listener.getsockname()[1]}"
        plane = plane_for("http://states.example", proxies={"http": login, "https": "http://other"})
        async with plane:
            await plane.send_heartbeat(TOKEN)
        await server.cleanup()
        assert "word" not in repr(plane)

    asyncio.run(main())
    assert seen == [("http://states.example", "Basic dXNlcjpwYXNzQHdvcmQ=")]
    assert "pass" not in caplog.text


def test_a_proxy_that_refuses_the_tunnel_is_surely_not_sent() -> None:
    asked = b""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async def main() -> None:
        async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            plane = plane_for("https://states.example", proxies={"https": f"http://me:pw@127.0.0.1:{port}"})
            async with plane:
                with pytest.raises(Unreachable) as caught:
                    await plane.send_heartbeat(TOKEN)
            assert caught.value.sent is False and "407" in caught.value.detail
            assert "me:pw" not in str(caught.value)

    asyncio.run(main())
    assert asked.startswith(b"CONNECT states.example:443") and b"Proxy-Authorization: Basic bWU6cHc=" in asked
    assert TOKEN.encode() not in asked and b"X-Amz" not in asked


# -- from a session's configuration


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., botocore.session.Session]:
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy", "AWS_CA_BUNDLE",
                 "REQUESTS_CA_BUNDLE"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)

    def configure(config: str = "", **environment: str) -> botocore.session.Session:
        path = tmp_path / "config"
        path.write_text(config)
        keys = {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "eu-west-1"}
        for name, value in {"AWS_CONFIG_FILE": str(path), **keys, **environment}.items():
            monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, raising=False)
        return botocore.session.Session()

    return configure


LOCAL = "http://localhost:8083"
PROFILE = f"[profile dev]\nregion = eu-west-3\nendpoint_url = {LOCAL}/profile\n"
SERVICES = f"[profile dev]\nregion = eu-west-3\nservices = mine\n[services mine]\nsfn =\n  endpoint_url = {LOCAL}/sfn\n"


@pytest.mark.parametrize(
    ("config", "environment", "options", "endpoint", "region"),
    [
        ("", {}, {}, "https://states.eu-west-1.amazonaws.com", "eu-west-1"),
        ("", {}, {"region": "cn-north-1"}, "https://states.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("", {"AWS_ENDPOINT_URL": LOCAL}, {}, LOCAL, "eu-west-1"),
        ("", {"AWS_ENDPOINT_URL": "http://no", "AWS_ENDPOINT_URL_SFN": LOCAL}, {}, LOCAL, "eu-west-1"),
        ("", {"AWS_ENDPOINT_URL": "http://no"}, {"endpoint_url": LOCAL}, LOCAL, "eu-west-1"),
        (PROFILE, {"AWS_PROFILE": "dev", "AWS_DEFAULT_REGION": ""}, {}, LOCAL + "/profile", "eu-west-3"),
        (SERVICES, {"AWS_PROFILE": "dev", "AWS_DEFAULT_REGION": ""}, {}, LOCAL + "/sfn", "eu-west-3"),
        (SERVICES, {"AWS_PROFILE": "dev", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, {},
         "https://states.eu-west-1.amazonaws.com", "eu-west-1"),
        ("", {"AWS_USE_FIPS_ENDPOINT": "true", "AWS_DEFAULT_REGION": "us-east-1"}, {},
         "https://states-fips.us-east-1.amazonaws.com", "us-east-1"),
    ],
    ids=["plain", "region", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SFN", "argument", "profile", "services", "ignored",
         "fips"],
)  # fmt: skip
def test_the_endpoint_is_the_one_that_boto3_would_use(
    configured, config, environment, options, endpoint, region
) -> None:
    plane = DataPlane.from_session(configured(config, **environment), **options)
    assert (plane.endpoint_url, plane.region) == (endpoint, region)


def test_a_boto3_session_is_taken_too(configured, stub) -> None:
    import boto3

    configured(AWS_ENDPOINT_URL=stub.url)
    plane = DataPlane.from_session(boto3.Session(region_name="us-west-2"))
    call(plane, lambda plane: plane.send_heartbeat(TOKEN))
    assert used_keys(stub) == ["AKID"] and plane.region == "us-west-2"


def test_no_region_no_credentials_and_no_profile_each_have_their_own_error(configured) -> None:
    with pytest.raises(NoRegion, match="AWS_DEFAULT_REGION"):
        DataPlane.from_session(configured(AWS_DEFAULT_REGION=""))
    with pytest.raises(NoCredentials, match="AWS_ACCESS_KEY_ID"):
        DataPlane.from_session(configured(AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY=""))
    with pytest.raises(NoCredentials):
        DataPlane.from_session(configured(AWS_SECRET_ACCESS_KEY=""))
    with pytest.raises(ConfigurationError, match="nowhere"):
        DataPlane.from_session(configured(AWS_PROFILE="nowhere"))


def test_the_certificates_are_the_ones_that_boto3_would_use(configured, tls_stub, bundle) -> None:
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        session = configured(**{"AWS_CA_BUNDLE": "", "REQUESTS_CA_BUNDLE": "", name: bundle})
        plane = DataPlane.from_session(session, endpoint_url=tls_stub.url)
        call(plane, lambda plane: plane.send_heartbeat(TOKEN))
    session = configured(f"[default]\nca_bundle = {bundle}\n", AWS_CA_BUNDLE="", REQUESTS_CA_BUNDLE="")
    call(DataPlane.from_session(session, endpoint_url=tls_stub.url), lambda plane: plane.send_heartbeat(TOKEN))
    assert len(tls_stub.asked) == 3


def test_the_proxy_is_the_one_that_boto3_would_use(configured) -> None:
    proxied = DataPlane.from_session(configured(HTTPS_PROXY="http://proxy:3128"))
    assert str(proxied._proxy) == "http://proxy:3128"
    excepted = DataPlane.from_session(configured(HTTPS_PROXY="http://proxy:3128", NO_PROXY=".amazonaws.com"))
    assert excepted._proxy is None
    local = DataPlane.from_session(configured(HTTPS_PROXY="http://proxy:3128", NO_PROXY=""), endpoint_url=LOCAL)
    assert local._proxy is None


def test_a_rotated_credentials_file_is_read_again_when_aws_refuses_the_old_keys(configured, stub, tmp_path) -> None:
    path = tmp_path / "credentials"
    path.write_text("[default]\naws_access_key_id = OLD\naws_secret_access_key = s\n")
    session = configured(
        AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="", AWS_SHARED_CREDENTIALS_FILE=str(path), AWS_ENDPOINT_URL=stub.url
    )

    async def handler(operation: str, body: dict[str, Any], request: web.Request) -> web.StreamResponse:
        if "OLD" in request.headers["Authorization"]:
            return web.json_response({"__type": "ExpiredTokenException"}, status=400)
        return web.json_response({})

    stub.handler = handler
    plane = DataPlane.from_session(session)
    plane._keys._last_try -= 1000

    async def use(plane: DataPlane) -> None:
        with pytest.raises(AccessDenied):
            await plane.send_heartbeat(TOKEN)
        plane._keys._last_try -= 1000
        with pytest.raises(AccessDenied):
            await plane.send_heartbeat(TOKEN)
        path.write_text("[default]\naws_access_key_id = NEW\naws_secret_access_key = s\n")
        plane._keys._last_try -= 1000
        await plane.send_heartbeat(TOKEN)

    call(plane, use)
    assert used_keys(stub)[-1] == "NEW"
