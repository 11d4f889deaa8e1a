"""Everything looked at once: what is asked, of whom, and in which order."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from sfini_celery.doctor.checks import (
    Check,
    check_activities,
    check_budget,
    check_clock,
    check_files,
    check_pollers,
    check_versions,
    check_workflows,
    fail,
    ok,
    warn,
)
from sfini_celery.errors import ConfigurationError, NoCredentials, NoRegion, SfiniError, Unreachable
from sfini_celery.inventory import activity_entries, workflow_entries

if TYPE_CHECKING:
    from sfini_celery.app import StepFunctions
    from sfini_celery.aws import ControlPlane

__all__ = ["ask_workers", "examine", "floors", "installed", "without_passwords"]

_PACKAGE = "sfini_celery"
_BROKER_TIMEOUT = 5.0


def examine(
    sfn: StepFunctions | None, control: ControlPlane, *, workers: int = 1, patience: float = 1.0
) -> Iterator[Check]:
    """Look at everything that has to be right, one thing after the other; changes nothing.

    What cannot be looked at because of what was found before is left out.

    Parameters:
        sfn: the app's, None to look at what needs no app
        control: the account and region
        workers: how many there are or will be
        patience: seconds to wait for workers to answer
    """
    yield from check_versions(installed(), floors())
    usable = True
    if sfn is not None:
        yield from _settings(sfn)
    for check in _aws(control):
        usable = usable and check.verdict != "fail"
        yield check
    if sfn is None:
        yield warn("app", "none was named: its broker, activities and workflows were not looked at", "name it with -A")
        return
    if usable:
        yield from _registered(sfn)
    reachable = _broker(sfn)
    yield reachable
    if reachable.verdict == "ok":
        yield from _workers(sfn, patience)
    yield from _polls(sfn, control, workers)


# -- this machine


def installed() -> dict[str, str | None]:
    """The versions of Python and of every package that is needed; None for what is not there."""
    found: dict[str, str | None] = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in floors():
        if name != "python":
            try:
                found[name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                found[name] = None
    return found


def floors() -> dict[str, str]:
    """The lowest versions that do, as this package's own metadata has them."""
    told = {"python": str(metadata.metadata(_PACKAGE)["Requires-Python"]).lstrip(">=")}
    for line in metadata.requires(_PACKAGE) or ():
        found = re.match(r"([\w.-]+)(?:\[[^\]]*\])?\s*\(?>=\s*([\w.]+)", line)
        if found is not None and "extra ==" not in line:
            told[found[1]] = found[2]
    return told


def _settings(sfn: StepFunctions) -> Iterator[Check]:
    conf = sfn.celery.conf
    try:
        sfn.settings.check()
    except ConfigurationError as error:
        yield fail("settings", str(error), "see docs/settings.md")
        return
    if conf.task_always_eager:
        yield warn("settings", "task_always_eager is on: a worker of activities does not start", "set it to False")
        return
    own = [name for name, value in sfn.settings.items() if value is not None and conf.get(name) is not None]
    yield ok("settings", f"{len(own)} set by the app" if own else "all as they come")


# -- AWS


def _aws(control: ControlPlane) -> Iterator[Check]:
    from sfini_celery.aws import probe

    try:
        region = control.region
        answer = probe(control)
    except NoRegion as error:
        yield fail("region", "none is configured", str(error))
        return
    except Unreachable as error:
        yield ok("region", region)
        advice = "check --endpoint-url, AWS_ENDPOINT_URL, proxies and the network; or start `sfini-celery local` there"
        yield fail("endpoint", f"{error.endpoint} does not answer: {error.detail}", advice)
        return
    except SfiniError as error:
        yield fail("endpoint", str(error), "see AWS_PROFILE, AWS_ENDPOINT_URL, sfn_profile and sfn_endpoint_url")
        return
    yield ok("region", region)
    yield ok("endpoint", f"{answer.url} answers in {1000 * answer.seconds:.0f} ms")
    yield check_clock(answer.ahead)
    yield _credentials(control)


def _credentials(control: ControlPlane) -> Check:
    try:
        control.account  # noqa: B018 - asks STS
        next(control.list_activities(), None)
    except NoCredentials as error:
        return fail("credentials", "none were found", str(error))
    except SfiniError as error:
        return fail("credentials", str(error), "see `sfini-celery iam` for what they must allow")
    return ok("credentials", f"of account {control.account}")


def _registered(sfn: StepFunctions) -> Iterator[Check]:
    created = sfn.settings.create_missing_activities
    yield from _trying(
        "activities",
        lambda: [check_activities(activity_entries(sfn.activities, sfn.control), created_by_workers=created)],
    )
    if sfn.workflows:
        yield from _trying(
            "workflows", lambda: list(check_workflows(workflow_entries(sfn.workflows.values(), sfn.control)))
        )


def _trying(name: str, look: Callable[[], list[Check]]) -> list[Check]:
    try:
        return look()
    except SfiniError as error:
        return [fail(name, str(error), "see `sfini-celery iam operator` for what has to be allowed")]


# -- the broker and the workers


def _broker(sfn: StepFunctions) -> Check:
    app = sfn.celery
    where = "it"
    try:
        with app.connection_for_write(connect_timeout=_BROKER_TIMEOUT) as connection:
            # without its password; a folder has no host, which kombu would make one up for
            kind = connection.transport_cls
            where = f"{kind}:// on this machine" if kind in ("filesystem", "memory") else connection.as_uri()
            connection.ensure_connection(max_retries=1, interval_start=0.1, timeout=_BROKER_TIMEOUT)
    except Exception as error:  # whatever the transport raises
        what = without_passwords(f"{type(error).__name__}: {error}", app.conf.broker_url)
        advice = "check broker_url, and that the broker runs; without any broker_url, none is needed"
        return fail("broker", f"{where} cannot be reached: {what}", advice)
    return ok("broker", f"{where}, reached")


def without_passwords(text: str, urls: object) -> str:
    """A text that may quote a URL, without the passwords in these."""
    given = urls if isinstance(urls, (list, tuple)) else str(urls).split(";")
    for url in given:
        credentials = str(url).partition("://")[2].rpartition("@")[0]
        if password := credentials.partition(":")[2]:
            text = text.replace(password, "**").replace(unquote(password), "**")
    return text


def ask_workers(app: Any, *, patience: float = 1.0) -> Mapping[str, Any]:
    """What the app's workers answer to ``inspect sfn``: figures by worker; empty where none answers.

    Parameters:
        app: the Celery app
        patience: seconds to wait for their answers
    """
    answers: Mapping[str, Any] | None = app.control.inspect(timeout=patience)._request("sfn")
    return {worker: answer for worker, answer in (answers or {}).items() if isinstance(answer, Mapping)}


def _workers(sfn: StepFunctions, patience: float) -> Iterator[Check]:
    try:
        answers = ask_workers(sfn.celery, patience=patience)
    except Exception as error:  # not every transport can ask all workers at once
        why = without_passwords(f"{type(error).__name__}: {error}", sfn.celery.conf.broker_url)
        what = f"they cannot be asked through this broker: {why}"
        yield warn("workers", what, "look at each worker's log instead")
        return
    yield from check_pollers(sfn.activities.names(), answers)


# -- polls


def _polls(sfn: StepFunctions, control: ControlPlane, workers: int) -> Iterator[Check]:
    settings = sfn.settings
    try:
        region = control.region
        each, rate = settings.polls, settings.poll_rate
    except ConfigurationError:
        return  # said before
    polls = sum(sfn.activities.serving(name)[0].polls or each for name in sfn.activities.names())
    soft, hard = _open_files()
    yield check_files(polls, soft=soft, hard=hard)
    yield check_budget(polls, workers=workers, region=region, rate=rate)


def _open_files() -> tuple[float, float]:
    try:
        import resource
    except ImportError:  # not a POSIX system
        return float("inf"), float("inf")
    unlimited = resource.RLIM_INFINITY
    soft, hard = (float("inf") if each == unlimited else each for each in resource.getrlimit(resource.RLIMIT_NOFILE))
    return soft, hard
