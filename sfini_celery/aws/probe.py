"""Whether an endpoint is there and what time it has, found out without credentials."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from sfini_celery.aws.faults import translated
from sfini_celery.aws.naming import without_secrets
from sfini_celery.errors import ServiceError

if TYPE_CHECKING:
    from sfini_celery.aws.control import ControlPlane

__all__ = ["Probe", "probe"]


@dataclass(frozen=True)
class Probe:
    """What an endpoint's answer tells.

    Attributes:
        url: of the endpoint
        seconds: it took to answer, the connection being made included
        ahead: seconds that this machine's clock is ahead of the endpoint's, to about one; None where it tells no time
    """

    url: str
    seconds: float
    ahead: float | None


def probe(control: ControlPlane, *, timeout: float = 5.0, now: Callable[[], float] = time.time) -> Probe:
    """Ask the endpoint something, unsigned: a refusal is an answer too.

    Parameters:
        control: whose endpoint
        timeout: seconds to connect, and again to be answered
        now: this machine's clock, seconds since the epoch
    Raises:
        NoRegion, ConfigurationError: the AWS configuration does not do
        Unreachable: nobody, or nobody who speaks AWS's protocol, answers there
    """
    from botocore import UNSIGNED
    from botocore.config import Config

    url = control.endpoint_url
    config = Config(
        signature_version=UNSIGNED,
        retries={"total_max_attempts": 1},
        connect_timeout=timeout,
        read_timeout=timeout,
    )
    client = control.session.client("stepfunctions", region_name=control.region, endpoint_url=url, config=config)
    dates: list[str] = []
    client.meta.events.register("after-call", lambda http_response, **_: dates.append(_date_of(http_response)))
    begun = now()
    try:
        with translated("ListActivities", lambda: url):
            client.list_activities(maxResults=1)
    except ServiceError:
        pass  # it wants credentials, as AWS does
    finally:
        client.close()
    ended = now()
    return Probe(without_secrets(url), ended - begun, _ahead((begun + ended) / 2, "".join(dates)))


def _date_of(response: Any) -> str:
    return str(response.headers.get("date") or "")


def _ahead(middle: float, date: str) -> float | None:
    try:
        # the header has whole seconds, the rest is left off
        return middle - (parsedate_to_datetime(date).timestamp() + 0.5)
    except (ValueError, TypeError):
        return None
