"""Signature version 4 as botocore makes it, at a third of its cost."""

from __future__ import annotations

from hashlib import sha256
from hmac import digest
from typing import Any

from botocore import auth

__all__ = ["CONTENT_TYPE", "Signer"]

CONTENT_TYPE = "application/x-amz-json-1.0"

_SERVICE = "states"
_TARGET = "AWSStepFunctions."
# Not typed everywhere: stubs of botocore may or may not be installed.
_SigV4Auth: Any = auth.SigV4Auth


class _Headers(dict[str, str]):
    def get_all(self, name: str) -> list[str]:
        return [self[name]]


class _Request:
    """What the signer reads of a request, without the e-mail message that botocore's own keeps its headers in."""

    method = "POST"
    params = None

    def __init__(self, url: str, headers: _Headers, body: bytes) -> None:
        self.url, self.headers, self.body = url, headers, body
        self.context: dict[str, Any] = {}


class Signer(_SigV4Auth):
    """botocore's signer, with what is the same from call to call made once: the signing key of the day, the host.

    A test compares it with the original, header by header.

    Parameters:
        url: of the endpoint, with its path
        region: AWS region
    """

    def __init__(self, url: str, region: str) -> None:
        super().__init__(None, _SERVICE, region)
        self._url, self._region, self._host = url, region, ""
        self._day: tuple[str, str] | None = None
        self._key = b""

    def headers(self, keys: Any, operation: str, body: bytes) -> dict[str, str]:
        """The headers of a call of Step Functions, signed."""
        self.credentials = keys
        headers = _Headers({"Content-Type": CONTENT_TYPE, "X-Amz-Target": _TARGET + operation})
        self.add_auth(_Request(self._url, headers, body))
        return headers

    def headers_to_sign(self, request: _Request) -> _Headers:
        """All of them: there are no others."""
        if not self._host:
            self._host = super().headers_to_sign(request)["host"]
        signed = _Headers({name.lower(): value for name, value in request.headers.items()})
        signed["host"] = self._host
        return signed

    def payload(self, request: _Request) -> str:
        """The body's hash; over TLS as well, as botocore does for this service."""
        return sha256(request.body).hexdigest()

    def signature(self, string_to_sign: str, request: _Request) -> str:
        """The signature, with a key that changes once a day."""
        day = self.credentials.secret_key, request.context["timestamp"][:8]
        if day != self._day:
            key = b"AWS4" + day[0].encode()
            for part in (day[1], self._region, _SERVICE, "aws4_request"):
                key = digest(key, part.encode(), "sha256")
            self._day, self._key = day, key
        return digest(self._key, string_to_sign.encode(), "sha256").hex()
