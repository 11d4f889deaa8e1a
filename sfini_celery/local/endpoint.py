"""The API over HTTP: AWS's JSON protocol, and the one call of STS that finds out the account."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from aiohttp import web

from sfini_celery.local.service import ApiError, Service

__all__ = ["Endpoint"]

log = logging.getLogger(__name__)

_TARGET = "AWSStepFunctions."
_JSON = "application/x-amz-json-1.0"
_LARGEST_REQUEST = 4 * 1024 * 1024
"""Bytes; AWS's limit is 1 MiB, some of it spent otherwise than in JSON's escapes."""


class Endpoint:
    """One listening endpoint, on the running event loop.

    Parameters:
        service: what answers
    """

    def __init__(self, service: Service) -> None:
        self.service = service
        self.port = 0
        self._runner: web.AppRunner | None = None

    async def open(self, host: str, port: int) -> None:
        """Listen; port 0 takes a free one, which is then :attr:`port`."""
        app = web.Application(client_max_size=_LARGEST_REQUEST)
        app.router.add_get("/", self._health)
        app.router.add_post("/{tail:.*}", self._post)
        # Cancelling the handler is how a poll learns that its caller has hung up.
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=2.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port, backlog=1024)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Stop listening. Open polls are let go first: they would hold the shutdown up for a minute."""
        self.service.engine.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _health(self, request: web.Request) -> web.Response:
        engine = self.service.engine
        activities, executions = engine.activities.values(), engine.executions.values()
        return web.json_response(
            {
                "service": "stepfunctions",
                "account": engine.account,
                "region": engine.region,
                "stateMachines": len(self.service.store.machines),
                "executions": len(executions),
                "runningExecutions": sum(not execution.is_closed for execution in executions),
                "activities": len(activities),
                "waitingTasks": sum(activity.waiting_tasks for activity in activities),
                "openPolls": sum(activity.open_polls for activity in activities),
            }
        )

    async def _post(self, request: web.Request) -> web.Response:
        identity = str(uuid.uuid4())
        target = request.headers.get("X-Amz-Target")
        if target is None and request.content_type == "application/x-www-form-urlencoded":
            return _sts(self.service.engine.account, await request.text(), identity)
        status, body = 200, b"{}"
        try:
            operation = _operation(target)
            answer = await self.service.call(operation, await _members(request), is_alive=_liveness(request))
            body = json.dumps(answer).encode()
        except ApiError as error:
            status, body = error.status, _error(error.code, error.message)
        except Exception:
            log.exception("local.request_crashed target=%s request_id=%s", target, identity)
            status, body = 500, _error("InternalFailure", "The embedded server has a bug; its log has the traceback")
        headers = {"x-amzn-RequestId": identity}
        return web.Response(status=status, body=body, content_type=_JSON, headers=headers)


def _operation(target: str | None) -> str:
    if target is None or not target.startswith(_TARGET):
        raise ApiError("UnknownOperationException", f"This is Step Functions, and not for {target!r}")
    return target[len(_TARGET) :]


async def _members(request: web.Request) -> Mapping[str, Any]:
    try:
        members = json.loads(await request.read() or b"{}")
    except web.HTTPRequestEntityTooLarge:
        raise ApiError("RequestEntityTooLargeException", "The request is too large", status=413) from None
    except ValueError:
        raise ApiError("SerializationException", "The request is not JSON") from None
    if not isinstance(members, dict):
        raise ApiError("SerializationException", "The request is not a JSON object")
    return members


def _liveness(request: web.Request) -> Callable[[], bool]:
    def is_alive() -> bool:
        transport = request.transport
        return transport is not None and not transport.is_closing()

    return is_alive


def _error(code: str, message: str) -> bytes:
    return json.dumps({"__type": code, "message": message}).encode()


def _sts(account: str, form: str, identity: str) -> web.Response:
    action = parse_qs(form).get("Action", [""])[0]
    space = "https://sts.amazonaws.com/doc/2011-06-15/"
    if action == "GetCallerIdentity":
        status = 200
        text = (
            f'<GetCallerIdentityResponse xmlns="{space}"><GetCallerIdentityResult>'
            f"<Arn>arn:aws:iam::{account}:user/local</Arn><UserId>AIDALOCAL</UserId><Account>{account}</Account>"
            f"</GetCallerIdentityResult><ResponseMetadata><RequestId>{identity}</RequestId></ResponseMetadata>"
            "</GetCallerIdentityResponse>"
        )
    else:
        status = 400
        text = (
            f'<ErrorResponse xmlns="{space}"><Error><Type>Sender</Type><Code>InvalidAction</Code>'
            f"<Message>The embedded server has no action {escape(action)}</Message></Error>"
            f"<RequestId>{identity}</RequestId></ErrorResponse>"
        )
    return web.Response(status=status, text=text, content_type="text/xml", headers={"x-amzn-RequestId": identity})
