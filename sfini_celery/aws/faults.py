"""botocore's errors become ours: whose fault it is, and what to do.

They are told apart by the names of their classes, so that this needs no botocore and does not break on a release that
lacks one of them.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sfini_celery.aws.naming import without_secrets
from sfini_celery.errors import (
    ConfigurationError,
    NoCredentials,
    NoRegion,
    ServiceError,
    SfiniError,
    Unreachable,
    service_error,
)

__all__ = ["translated"]

# What botocore raises before anything went over the wire.
_NEVER_SENT = {"EndpointConnectionError", "ConnectTimeoutError", "ProxyConnectionError", "SSLError"}
_MAYBE_SENT = {"HTTPClientError", "ConnectionError", "IncompleteReadError", "ChecksumError"}
_NO_CREDENTIALS = {
    "NoCredentialsError",
    "PartialCredentialsError",
    "CredentialRetrievalError",
    "TokenRetrievalError",
    "NoAuthTokenError",
    "MetadataRetrievalError",
    "RefreshWithMFAUnsupportedError",
    "SSOError",
    "LoginError",
    "UnknownCredentialError",
}
_VALUE = re.compile(r", value: .*?(?=, (?:type|valid)\b)", re.DOTALL)


@contextmanager
def translated(operation: str, endpoint: Callable[[], str]) -> Iterator[None]:
    """Raise what botocore raises inside as an error of our tree, with botocore's chained to it.

    Parameters:
        operation: the API operation, for the message
        endpoint: gives the URL that was called, asked only when a message needs it
    """
    try:
        yield
    except SfiniError:
        raise
    except Exception as exc:
        error = _translate(exc, operation, endpoint)
        if error is None:
            raise
        raise error from exc


def _translate(exc: Exception, operation: str, endpoint: Callable[[], str]) -> SfiniError | None:
    names = {base.__name__ for base in type(exc).__mro__ if base.__module__.startswith("botocore.")}
    if "ClientError" in names:
        return _refusal(exc, operation, endpoint)
    if names & _NEVER_SENT:
        return _unreachable(exc, operation, endpoint, sent=False)
    if names & _MAYBE_SENT:
        return _unreachable(exc, operation, endpoint, sent=True)
    if "NoRegionError" in names:
        return NoRegion()
    if names & _NO_CREDENTIALS:
        return NoCredentials("" if type(exc).__name__ == "NoCredentialsError" else str(exc))
    if "ProfileNotFound" in names:
        return ConfigurationError(
            f"{exc}: see `aws configure list-profiles`, and AWS_PROFILE, sfn_profile or --profile"
        )
    if "ParamValidationError" in names:
        return ConfigurationError(f"{operation}: {_parameters(exc)}")
    if "BotoCoreError" in names and "StubResponseError" not in names:
        return ConfigurationError(f"{operation}: {exc}")
    if isinstance(exc, ValueError) and str(exc).startswith("Invalid endpoint"):
        return ConfigurationError(
            f"{without_secrets(str(exc))}: an endpoint is a URL such as http://127.0.0.1:8083; "
            "see AWS_ENDPOINT_URL, sfn_endpoint_url or --endpoint-url"
        )
    if _raised_in(exc) == "botocore.parsers":
        # JSON, but of another shape than botocore reads: it stumbles with whatever Python says then
        return _stranger(operation, endpoint, "its answer is not one of AWS's")
    return None


def _raised_in(exc: Exception) -> str:
    frames = [frame for frame, _ in traceback.walk_tb(exc.__traceback__)]
    return str(frames[-1].f_globals.get("__name__", "")) if frames else ""


def _stranger(operation: str, endpoint: Callable[[], str], why: str) -> Unreachable:
    return Unreachable(operation, without_secrets(endpoint()), f"{why}; is the endpoint right?", sent=True)


def _refusal(exc: Any, operation: str, endpoint: Callable[[], str]) -> SfiniError:
    error = exc.response.get("Error", {})
    status = exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
    code, detail = str(error.get("Code") or ""), str(error.get("Message") or "")
    operation = getattr(exc, "operation_name", None) or operation
    if not code or code == str(status):
        # botocore puts the HTTP status there when the answer has no error of AWS's
        return _stranger(operation, endpoint, f"it answers with HTTP status {status} and not as AWS does")
    if code == "InvalidToken" and not operation.startswith("SendTask"):
        # here it is a page's token, not a task's
        return ServiceError(operation, code, detail, status)
    return service_error(operation, code, detail, status)


def _unreachable(exc: Any, operation: str, endpoint: Callable[[], str], *, sent: bool) -> Unreachable:
    where = getattr(exc, "kwargs", {}).get("endpoint_url") or endpoint()
    detail = str(getattr(exc, "kwargs", {}).get("error") or type(exc).__name__)
    return Unreachable(operation, without_secrets(str(where)), detail, sent=sent)


def _parameters(exc: Any) -> str:
    """Which parameters are wrong and why, without the values: they are users' data."""
    report = str(exc.kwargs.get("report", exc))
    lines = (_VALUE.sub("", line).strip() for line in report.splitlines())
    return "; ".join(line for line in lines if line)
