"""GetActivityTask, SendTaskSuccess, SendTaskFailure, SendTaskHeartbeat: botocore's configuration, aiohttp's wire.

botocore finds the credentials, the region, the endpoint, the proxy and the certificates, and signs. Nothing is retried
here: who polls or reports knows best what a failure means. What fails is a :class:`~sfini_celery.errors.ServiceError`
when AWS answered, :class:`~sfini_celery.errors.Unreachable` when nobody did.
"""

from __future__ import annotations

import asyncio
import asyncio.sslproto
import json
import os
import re
import ssl
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

import aiohttp
from botocore import exceptions as boto_errors
from botocore.httpsession import get_cert_path
from botocore.utils import get_environ_proxies
from yarl import URL

from sfini_celery.dataplane.keys import Keys
from sfini_celery.dataplane.signer import CONTENT_TYPE, Signer
from sfini_celery.errors import ConfigurationError, NoCredentials, NoRegion, ServiceError, Unreachable, service_error

__all__ = ["ActivityTask", "DataPlane"]

USER_AGENT = f"sfini-celery/{metadata.version('sfini_celery')} aiohttp/{aiohttp.__version__}"

# The service holds a poll for 60 s: a socket that gives up at 60 s loses the task that comes in the last moment.
POLL_TIMEOUT = 70.0
CALL_TIMEOUT = 15.0
CONNECT_TIMEOUT = 10.0

_BOTO_NAME = "stepfunctions"
# Source: the partitions of botocore's endpoints.json.
_OF_AWS = (
    ".amazonaws.com",
    ".amazonaws.com.cn",
    ".amazonaws.eu",
    ".api.aws",
    ".api.amazonwebservices.com.cn",
    ".api.amazonwebservices.eu",
    ".ic.gov",
    ".scloud",
    ".sgov.gov",
    ".adc-e.uk",
)
# What says that the keys are wrong or old, not that they may not do this.
_STALE_KEYS = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_DETAIL_LIMIT = 300
# TLS records hold no more, and asyncio allots a buffer of this size to every connection (256 KiB of its own accord).
_TLS_BUFFER = 16 * 1024


@dataclass(frozen=True)
class ActivityTask:
    """What a poll brought.

    Attributes:
        token: the task token, a bearer secret: not in the repr
        input: JSON text, passed through unread, not in the repr
    """

    token: str = field(repr=False)
    input: str = field(repr=False)


class DataPlane:
    """GetActivityTask, SendTaskSuccess, SendTaskFailure and SendTaskHeartbeat on an asyncio loop.

    Making one opens nothing and needs no loop; ``async with`` opens the connections on the loop that runs it.

    Parameters:
        credentials: botocore credentials, or anything with ``get_frozen_credentials()``
        endpoint_url: where Step Functions is
        region: AWS region, for the signature
        verify: check the server's certificate; a path is a file of CA certificates
        proxies: proxy URL by scheme, ``{"https": "http://proxy:3128"}``; none by default, whatever the environment says
        user_agent: sent as it is
        poll_timeout: seconds of silence after which a poll is given up; the service answers within 60
        call_timeout: seconds, the same for reports and heartbeats
        connect_timeout: seconds to look up, connect and shake hands
        connections: reports and heartbeats under way at once; polls are not limited
        reload_credentials: called off the loop when AWS refuses the keys as expired or unknown; returns other ones

    Example:
        async with DataPlane.from_session(botocore.session.get_session()) as plane:
            task = await plane.get_activity_task(arn, "worker-1")
            if task is not None:
                await plane.send_success(task.token, "42")
    """

    def __init__(
        self,
        *,
        credentials: Any,
        endpoint_url: str,
        region: str,
        verify: bool | str = True,
        proxies: Mapping[str, str] | None = None,
        user_agent: str = USER_AGENT,
        poll_timeout: float = POLL_TIMEOUT,
        call_timeout: float = CALL_TIMEOUT,
        connect_timeout: float = CONNECT_TIMEOUT,
        connections: int = 64,
        reload_credentials: Callable[[], Any] | None = None,
    ) -> None:
        url = URL(endpoint_url)
        if url.scheme not in ("http", "https") or not url.host:
            raise ValueError(f"endpoint_url must be an http or https URL, not {endpoint_url!r}")
        self.endpoint_url, self.region = endpoint_url, region
        self._url = url if url.path.endswith("/") else url.with_path(url.path + "/")
        self._signer = Signer(str(self._url), region)
        self._keys = Keys(credentials, reload_credentials)
        self._verify = verify
        self._proxy, self._proxy_headers = _proxy(url.scheme, proxies or {})
        self._headers = {"User-Agent": user_agent, "Content-Type": CONTENT_TYPE}
        if url.scheme == "http" and self._proxy_headers:
            # There is no tunnel to open: the proxy reads the login from the call itself.
            self._headers.update(self._proxy_headers)
        self._connections = connections
        self._connect_timeout = connect_timeout
        self._poll_timeout, self._call_timeout = poll_timeout, call_timeout
        self._polls: aiohttp.ClientSession | None = None
        self._calls: aiohttp.ClientSession | None = None

    @classmethod
    def from_session(
        cls, session: Any, *, region: str | None = None, endpoint_url: str | None = None, **options: Any
    ) -> DataPlane:
        """A data plane for what a botocore or boto3 session is configured to reach.

        A client is made and asked where it would go: the rules for endpoints (environment, profile, services section,
        FIPS, dual stack, partitions) have one implementation, botocore's. This reads files and may call a metadata
        service, so not on an event loop.

        Parameters:
            session: ``botocore.session.Session`` or ``boto3.Session``
            region: instead of the configured one
            endpoint_url: instead of the configured one
            options: any keyword of :class:`DataPlane`

        Raises:
            NoRegion, NoCredentials: none is configured
            ConfigurationError: the AWS configuration cannot be used, as with a profile that does not exist
        """
        session = getattr(session, "_session", session)
        try:
            region = region or session.get_config_variable("region")
            if not region:
                raise NoRegion
            client = session.create_client(_BOTO_NAME, region_name=region, endpoint_url=endpoint_url)
            credentials = session.get_credentials()
        except (boto_errors.ProfileNotFound, boto_errors.ConfigParseError, ValueError) as exc:
            raise ConfigurationError(str(exc)) from exc
        except boto_errors.BotoCoreError as exc:
            raise NoCredentials(str(exc)) from exc
        if credentials is None:
            raise NoCredentials
        meta = client.meta
        options.setdefault("proxies", meta.config.proxies or get_environ_proxies(meta.endpoint_url))
        options.setdefault("verify", _verify(session))
        options.setdefault("reload_credentials", session.get_component("credential_provider").load_credentials)
        return cls(credentials=credentials, endpoint_url=meta.endpoint_url, region=meta.region_name, **options)

    def __repr__(self) -> str:
        return f"<DataPlane {self.endpoint_url} {self.region}>"

    async def __aenter__(self) -> DataPlane:
        context: ssl.SSLContext | bool = True
        if self._url.scheme == "https":
            _keep_tls_buffers_small()
            # Reads the CA file: tens of milliseconds, once for both kinds of connection.
            context = await asyncio.get_running_loop().run_in_executor(None, _tls, self._verify)
        # A poll holds its connection for a minute: reports must never wait behind them. A limit on the whole of a poll
        # would make a process that stood still give it up though its task has come; one on silence sees the data first.
        self._polls = self._session(context, limit=0, read=self._poll_timeout, total=None)
        total = self._connect_timeout + self._call_timeout
        self._calls = self._session(context, limit=self._connections, read=self._call_timeout, total=total)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        for session in (self._polls, self._calls):
            if session is not None:
                await session.close()
        self._polls = self._calls = None

    def _session(
        self, context: ssl.SSLContext | bool, *, limit: int, read: float, total: float | None
    ) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=limit, ssl=context, ttl_dns_cache=60, keepalive_timeout=30),
            timeout=aiohttp.ClientTimeout(total=total, connect=self._connect_timeout, sock_read=read),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("Accept", "Accept-Encoding"),
            headers=self._headers,
            trust_env=False,
        )

    async def get_activity_task(self, activity_arn: str, worker_name: str) -> ActivityTask | None:
        """Wait for a task of an activity; None when there was none for a minute. Never cancel it: it may hold a task.

        Parameters:
            activity_arn: the activity's ARN
            worker_name: shown in the execution's history, 80 characters at most

        Raises:
            NotFound, Throttled, LimitExceeded, AccessDenied, ServiceError, Unreachable, NoCredentials
        """
        answer = await self._call(
            "GetActivityTask", {"activityArn": activity_arn, "workerName": worker_name}, self._polls
        )
        token = answer.get("taskToken")
        return ActivityTask(token, answer.get("input") or "null") if token else None

    async def send_success(self, token: str, output: str) -> None:
        """Report a result. ``output`` is JSON text of 262,144 bytes at most.

        Raises:
            TokenClosed: nobody waits for it any more
            Throttled, AccessDenied, ServiceError, Unreachable, NoCredentials
        """
        await self._call("SendTaskSuccess", {"taskToken": token, "output": output}, self._calls)

    async def send_failure(self, token: str, error: str, cause: str) -> None:
        """Report a failure: ``error`` of 256 characters, ``cause`` of 32,768. Raises as :meth:`send_success`."""
        await self._call("SendTaskFailure", {"taskToken": token, "error": error, "cause": cause}, self._calls)

    async def send_heartbeat(self, token: str) -> None:
        """Say that the task is being worked on. Raises as :meth:`send_success`."""
        await self._call("SendTaskHeartbeat", {"taskToken": token}, self._calls)

    async def release_polls(self, worker_name: str) -> bool:
        """Have a server that knows how answer this worker's idle polls now, so that it may stop at once.

        The embedded server does. AWS does not and is not asked; an idle poll then ends by itself within a minute.

        Returns:
            whether the server did
        """
        if (self._url.host or "").endswith(_OF_AWS):
            return False
        try:
            await self._call("SfiniReleasePolls", {"workerName": worker_name}, self._calls)
        except (ServiceError, Unreachable):
            return False
        return True

    async def _call(
        self, operation: str, parameters: dict[str, str], session: aiohttp.ClientSession | None
    ) -> dict[str, Any]:
        if session is None:
            raise RuntimeError("the data plane is not open: use it in `async with`")
        keys = await self._keys.get()
        body = _encode(parameters)
        headers = self._signer.headers(keys, operation, body)
        try:
            async with session.post(
                self._url, data=body, headers=headers, proxy=self._proxy, proxy_headers=self._proxy_headers,
                allow_redirects=False,
            ) as response:  # fmt: skip
                status, raw, error_type = (
                    response.status, await response.read(), response.headers.get("x-amzn-errortype", ""),
                )  # fmt: skip
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as exc:
            # The exceptions of aiohttp name the host, never the body: it holds the token.
            detail = f"{type(exc).__name__}: {exc}" if str(exc) else type(exc).__name__
            raise Unreachable(operation, self.endpoint_url, detail, sent=not isinstance(exc, _NEVER_SENT)) from exc
        answer = _decode(raw)
        if status == 200 and answer is not None:
            return answer
        if 200 <= status < 400:
            raise Unreachable(operation, self.endpoint_url, f"HTTP {status} with an answer that is not Step Functions'")
        error = _refusal(operation, status, error_type, answer, parameters.get("taskToken"))
        if error.code in _STALE_KEYS:
            self._keys.refused(keys)
        raise error


_NEVER_SENT = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientHttpProxyError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
)
_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def _encode(parameters: dict[str, str]) -> bytes:
    try:
        return _to_json(parameters).encode()
    except UnicodeEncodeError:  # half a surrogate pair: legal in JSON only as an escape
        return json.dumps(parameters).encode()


def _decode(raw: bytes) -> dict[str, Any] | None:
    try:
        answer = json.loads(raw)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def _refusal(
    operation: str, status: int, error_type: str, answer: dict[str, Any] | None, token: str | None
) -> ServiceError:
    document = answer or {}
    code = str(document.get("__type") or error_type.partition(":")[0]).rpartition("#")[2]
    if not code:  # a proxy or load balancer, not Step Functions
        code = "TooManyRequestsException" if status == 429 else f"HTTP{status}"
    detail = str(document.get("message") or document.get("Message") or "")
    if token:
        # AWS quotes a token that it does not like, in part or whole.
        detail = re.sub(re.escape(token[:16]) + r"[^\s'\"]*", "<task token>", detail)
    return service_error(operation, code, detail[:_DETAIL_LIMIT], status)


def _proxy(scheme: str, proxies: Mapping[str, str]) -> tuple[URL | None, dict[str, str] | None]:
    text = proxies.get(scheme)
    if not text:
        return None, None
    url = URL(text if "://" in text else f"http://{text}")
    if url.user is None:
        return url, None
    login = b64encode(f"{url.user}:{url.password or ''}".encode()).decode()
    return url.with_user(None), {"Proxy-Authorization": f"Basic {login}"}


def _verify(session: Any) -> bool | str:
    """As botocore does: AWS_CA_BUNDLE or ``ca_bundle``, then the variable of the requests library."""
    bundle: str | None = session.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE")
    return bundle or True


def _tls(verify: bool | str) -> ssl.SSLContext:
    if verify is False:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    path = str(verify if isinstance(verify, str) else get_cert_path(True))  # the CAs that boto3 trusts, unless told
    if os.path.isdir(path):  # noqa: PTH112  # a string from the AWS configuration
        return ssl.create_default_context(capath=path)
    return ssl.create_default_context(cafile=path)


def _keep_tls_buffers_small() -> None:
    # Private to asyncio, and shared with every other TLS user of the process, to whom it only means smaller reads.
    # Without it 5000 idle polls hold 1.3 GB of empty buffers.
    protocol: Any = getattr(asyncio.sslproto, "SSLProtocol", None)
    size = getattr(protocol, "max_size", None)
    if isinstance(size, int) and size > _TLS_BUFFER:
        protocol.max_size = _TLS_BUFFER
