"""One table of settings: name, type, default, unit and what it is for.

Settings live in the Celery app's configuration (``app.conf.sfn_polls = 8``). Environment variables are the names in
capitals (``SFN_POLLS``); they stand in where the app sets nothing. The worker's command line options and the table in
``docs/settings.md`` are made from this one. An ``sfn_*`` setting that is not here is an error, not a silent nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sfini_celery.errors import ConfigurationError, UnknownSetting

__all__ = ["SETTINGS", "Setting", "Settings", "docs_table"]

PREFIX = "sfn_"


@dataclass(frozen=True)
class Setting:
    """One row of the table.

    Attributes:
        name: as in ``app.conf``
        type: ``str``, ``int``, ``float`` or ``bool``
        default: what holds when nobody says otherwise
        unit: of the number, empty for none
        doc: one sentence
        least: the smallest number allowed
        choices: the only values allowed, if there is such a list
        option: whether ``sfini-celery worker`` takes it on the command line
    """

    name: str
    type: type
    default: Any
    unit: str
    doc: str
    least: float | None = None
    choices: tuple[str, ...] = ()
    option: bool = False

    @property
    def env(self) -> str:
        """The environment variable that stands in for the setting."""
        return self.name.upper()

    @property
    def flag(self) -> str:
        """The command line option, where there is one."""
        return "--" + self.name.replace("_", "-")

    def read(self, value: object, where: str) -> Any:
        """The value as the setting's type, or a ConfigurationError that names ``where`` it was set."""
        if value is None:
            return None
        try:
            parsed = _PARSERS[self.type](value)
        except (TypeError, ValueError):
            raise ConfigurationError(f"{where}: {self.name} must be {_WORDS[self.type]}, not {value!r}") from None
        if self.least is not None and parsed < self.least:
            raise ConfigurationError(f"{where}: {self.name} must be at least {self.least:g}, not {parsed!r}")
        if self.choices and parsed not in self.choices:
            raise ConfigurationError(f"{where}: {self.name} must be one of {', '.join(self.choices)}, not {parsed!r}")
        return parsed


def _bool(value: object) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in {"1", "true", "yes", "on"}:
        return True
    if word in {"0", "false", "no", "off", ""}:
        return False
    raise ValueError(value)


def _int(value: object) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError(value)
    return int(value)  # type: ignore[call-overload, no-any-return]


def _float(value: object) -> float:
    number = float(value)  # type: ignore[arg-type]
    if isinstance(value, bool) or number != number:
        raise ValueError(value)
    return number


def _str(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


_PARSERS: dict[type, Callable[[object], Any]] = {bool: _bool, int: _int, float: _float, str: _str}
_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}

_TABLE = (
    Setting("sfn_region", str, None, "", "AWS region; without it, what the AWS configuration says."),
    Setting("sfn_profile", str, None, "", "AWS profile; without it, what the AWS configuration says."),
    Setting(
        "sfn_endpoint_url", str, None, "", "Endpoint of Step Functions; without it, what the AWS configuration says."
    ),
    Setting("sfn_account", str, None, "", "Number of the AWS account; asked of STS without it."),
    Setting("sfn_role_arn", str, None, "", "IAM role that state machines run under."),
    Setting(
        "sfn_log_group", str, None, "", "ARN of the CloudWatch log group for state machines; left as it is without it."
    ),
    Setting(
        "sfn_log_level",
        str,
        "ERROR",
        "",
        "What state machines log there.",
        choices=("ALL", "ERROR", "FATAL", "OFF"),
    ),
    Setting("sfn_log_data", bool, False, "", "Inputs and outputs are logged as well."),
    Setting("sfn_tracing", bool, None, "", "State machines are traced with X-Ray; left as it is without it."),
    Setting("sfn_prefix", str, "", "", "Put before the names of activities and state machines."),
    Setting("sfn_heartbeat", int, 60, "seconds", "HeartbeatSeconds of activities that name none.", least=3),
    Setting("sfn_create_missing_activities", bool, True, "", "A worker creates the activities it serves when missing."),
    Setting("sfn_polls", int, 4, "polls", "Open polls per activity and worker, at most.", least=1, option=True),
    Setting(
        "sfn_poll_rate",
        float,
        50.0,
        "calls per second",
        "Polls a worker makes at most that bring no task, all activities together.",
        least=0.1,
    ),
    Setting(
        "sfn_parked_limit",
        int,
        1000,
        "tasks",
        "Tasks held in a local retry's countdown or rate limit, at most.",
        least=0,
        option=True,
    ),
    Setting(
        "sfn_reserved_share",
        float,
        0.5,
        "share",
        "Share of the pool that broker messages cannot take from activities.",
        least=0,
    ),
    Setting(
        "sfn_report_deadline",
        float,
        3600.0,
        "seconds",
        "How long a report is retried while AWS cannot be reached.",
        least=1,
    ),
    Setting(
        "sfn_drain_timeout",
        float,
        65.0,
        "seconds",
        "How long a stopping worker waits for its open polls.",
        least=0,
        option=True,
    ),
    Setting(
        "sfn_retries",
        str,
        "worker",
        "",
        "Where autoretry_for happens: in the worker, or compiled to the state's Retry (workers refuse that for now).",
        choices=("worker", "states"),
    ),
    Setting("sfn_revoke_terminate", bool, False, "", "Kill the process of a running task whose execution was stopped."),
)

SETTINGS: Mapping[str, Setting] = {setting.name: setting for setting in _TABLE}


class Settings(Mapping[str, Any]):
    """The settings of one app, read when asked for: the app's configuration, then the environment, then the default.

    Parameters:
        conf: any mapping, such as a Celery app's ``conf``
        environ: the environment, ``os.environ`` without it

    Raises:
        ConfigurationError: a value of the wrong type or range
        UnknownSetting: from :meth:`check`, for an ``sfn_*`` key that is not in the table

    Example:
        >>> Settings({"sfn_polls": "8"})["sfn_polls"]
        8
    """

    def __init__(self, conf: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> None:
        self._conf = conf
        self._environ = os.environ if environ is None else environ

    def __getitem__(self, name: str) -> Any:
        try:
            setting = SETTINGS[name]
        except KeyError:
            raise UnknownSetting(name, SETTINGS) from None
        value = self._conf.get(name)
        if value is not None:
            return setting.read(value, "app configuration")
        if (text := self._environ.get(setting.env)) is not None:
            return setting.read(text, f"environment variable {setting.env}")
        return setting.default

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self[PREFIX + name]

    def __iter__(self) -> Iterator[str]:
        return iter(SETTINGS)

    def __len__(self) -> int:
        return len(SETTINGS)

    def check(self) -> None:
        """Read every setting once, so that a mistake is found at start and not at night."""
        for name in self._conf:
            if name.startswith(PREFIX) and name not in SETTINGS:
                raise UnknownSetting(name, SETTINGS)
        for name in SETTINGS:
            self[name]


def docs_table() -> str:
    """The table as Markdown; ``docs/settings.md`` holds it, and a test compares the two."""
    rows = ["| setting | type | default | unit | what it is for |", "|---|---|---|---|---|"]
    for setting in SETTINGS.values():
        default = "" if setting.default is None else f"`{setting.default!r}`"
        flag = f" Option `{setting.flag}`." if setting.option else ""
        rows.append(
            f"| `{setting.name}` | {setting.type.__name__} | {default} | {setting.unit} | {setting.doc}{flag} |"
        )
    return "\n".join(rows) + "\n"
