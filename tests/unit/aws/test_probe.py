from __future__ import annotations

from email.utils import formatdate
from typing import Any

import pytest

from sfini_celery.aws import ControlPlane, probe
from sfini_celery.errors import NoRegion, Unreachable

NOW = 1_900_000_000.0


def plane(endpoint: Any) -> ControlPlane:
    return ControlPlane(endpoint_url=endpoint.url, region="us-east-1")


def test_an_endpoint_is_there_without_credentials(endpoint: Any) -> None:
    endpoint.answers = lambda asked: (200, {"activities": []})
    answer = probe(plane(endpoint))
    assert (answer.url, answer.seconds < 10) == (endpoint.url, True)
    assert "Authorization" not in endpoint.asked[0].headers


def test_a_refusal_for_lack_of_credentials_is_an_answer(endpoint: Any) -> None:
    endpoint.answers = lambda asked: (400, {"__type": "MissingAuthenticationTokenException", "message": "no"})
    assert probe(plane(endpoint)).ahead is not None


@pytest.mark.parametrize("ahead", [0.0, 3600.0, -3600.0])
def test_the_clock_is_compared_with_the_date_of_the_answer(
    endpoint: Any, monkeypatch: pytest.MonkeyPatch, ahead: float
) -> None:
    monkeypatch.setattr(
        "http.server.BaseHTTPRequestHandler.date_time_string", lambda self, timestamp=None: formatdate(NOW, usegmt=True)
    )
    answer = probe(plane(endpoint), now=lambda: NOW + 0.5 + ahead)
    assert answer.ahead == pytest.approx(ahead)


def test_a_date_that_is_none_is_no_error(endpoint: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("http.server.BaseHTTPRequestHandler.date_time_string", lambda self, timestamp=None: "soon")
    assert probe(plane(endpoint)).ahead is None


def test_a_stranger_is_told_from_aws(endpoint: Any) -> None:
    endpoint.answers = lambda asked: (404, "<html></html>")
    with pytest.raises(Unreachable, match="not as AWS does"):
        probe(plane(endpoint))


def test_nobody_there_and_no_region_are_the_errors_of_every_call(free_port: int) -> None:
    with pytest.raises(Unreachable):
        probe(ControlPlane(endpoint_url=f"http://127.0.0.1:{free_port}", region="us-east-1"))
    with pytest.raises(NoRegion):
        probe(ControlPlane())
