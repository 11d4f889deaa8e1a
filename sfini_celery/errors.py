"""Every error this package raises, in one tree.

The branch says whose fault it is; the facts are attributes, not only text.

    SfiniError
    |-- ConfigurationError            your settings, names or decoration
    |   |-- InvalidName               a name AWS would refuse (also a ValueError)
    |   |-- DuplicateName             two things of one name (also a ValueError)
    |   |-- UnknownSetting            an ``sfn_*`` setting that does not exist
    |   |-- NoRegion                  no AWS region is configured
    |   `-- NoCredentials             no AWS credentials are configured
    |-- DefinitionError               your state machine (also a ValueError)
    |   `-- WrongType                 a value of a type its field cannot have (also a TypeError)
    |-- CompileError                  your canvas (also a ValueError)
    |-- ActivityNotFound              a task that is not a registered activity
    |-- InvalidInput                  an activity task's input does not fit its task
    |-- OutputNotSerializable         a return value that is not JSON
    |-- LoopExhausted                 a loop ran as often as it may, and its condition still does not hold
    |-- ServiceError                  AWS answered with an error
    |   |-- NotFound                  the activity, machine or execution does not exist
    |   |-- AlreadyExists             the name is taken, with other content
    |   |-- AccessDenied              the credentials may not do this
    |   |-- Throttled                 too many calls; try later
    |   |-- LimitExceeded             an account quota is used up
    |   `-- TokenClosed               nobody waits for this task any more
    |-- Unreachable                   the endpoint did not answer
    |-- ExecutionError                an execution did not succeed (also a RuntimeError)
    |   |-- ExecutionFailed
    |   |   `-- ActivityError         ... because of a task whose own class is not at hand
    |   |-- ExecutionTimedOut
    |   `-- ExecutionAborted
    |-- NothingToRollBack             an alias has no earlier version to lead to
    |-- NotFinished                   a result was asked for too early (also a RuntimeError)
    |-- WaitTimeout                   waiting took longer than allowed (also a TimeoutError and a RuntimeError)
    `-- WorkerError                   the worker cannot run as asked
        `-- IllegalMove               a job was moved to a state it cannot go to

The names below ``sfini.`` are what the bridge itself reports to a state machine as ``Error``; see
:class:`Ending`.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from enum import Enum
from typing import Any


class Ending(str, Enum):
    """Error names that the bridge itself reports; a state machine may retry or catch them by name.

    Source: ``docs/endings.md``.
    """

    WORKER_LOST = "sfini.WorkerLost"
    WORKER_SHUTDOWN = "sfini.WorkerShutdown"
    NOT_STARTED = "sfini.NotStarted"
    TASK_REVOKED = "sfini.TaskRevoked"
    TASK_EXPIRED = "sfini.TaskExpired"
    TIME_LIMIT_EXCEEDED = "sfini.TimeLimitExceeded"
    IGNORED = "sfini.Ignored"
    REJECTED = "sfini.Rejected"
    INVALID_INPUT = "sfini.InvalidInput"
    OUTPUT_NOT_SERIALIZABLE = "sfini.OutputNotSerializable"
    LOOP_EXHAUSTED = "sfini.LoopExhausted"

    def __str__(self) -> str:
        return self.value


class SfiniError(Exception):
    """The root: ``except SfiniError`` catches all that this package raises on purpose."""


class ConfigurationError(SfiniError):
    """Settings, names or decoration are wrong; the message says what to change."""


class InvalidName(ConfigurationError, ValueError):
    """A name that AWS would refuse.

    Attributes:
        name: the name as given
        why: what is wrong with it
    """

    def __init__(self, what: str, name: object, why: str) -> None:
        super().__init__(f"{what} {name!r}: {why}")
        self.what, self.name, self.why = what, name, why


class DuplicateName(ConfigurationError, ValueError):
    """Two things of one name where names must differ.

    Attributes:
        name: the name
        first, second: what holds it already, and what asked for it
    """

    def __init__(self, what: str, name: str, *, first: str, second: str, remedy: str) -> None:
        super().__init__(f"{what} {name!r} is already taken by {first}, so {second} cannot have it: {remedy}")
        self.what, self.name, self.first, self.second = what, name, first, second


class UnknownSetting(ConfigurationError):
    """An ``sfn_*`` setting that does not exist.

    Attributes:
        name: the setting as given
        known: the settings there are
    """

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name, self.known = name, tuple(known)
        near = difflib.get_close_matches(name, self.known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known settings: {', '.join(sorted(self.known))}"
        super().__init__(f"there is no setting {name!r}; {hint}")


class NoRegion(ConfigurationError):
    """No AWS region is configured: set AWS_DEFAULT_REGION, a profile's region, sfn_region or --region."""

    def __init__(self) -> None:
        super().__init__(str(self.__doc__))


class NoCredentials(ConfigurationError):
    """No AWS credentials were found: set AWS_PROFILE or AWS_ACCESS_KEY_ID, or run `aws configure`."""

    def __init__(self, detail: str = "") -> None:
        super().__init__(f"{self.__doc__}{f' ({detail})' if detail else ''}")


class DefinitionError(SfiniError, ValueError):
    """A state machine that AWS would refuse.

    Attributes:
        findings: what lint found, worst first; each has ``path``, ``code`` and ``message``
    """

    def __init__(self, message: str, findings: Iterable[Any] = ()) -> None:
        self.findings = tuple(findings)
        super().__init__("\n".join([message, *(f"  {finding}" for finding in self.findings)]))


class WrongType(DefinitionError, TypeError):
    """A value of a type that its field in the states language cannot have."""


class CompileError(SfiniError, ValueError):
    """A canvas that cannot become a state machine.

    Attributes:
        path: where in the canvas, as in ``chain[2].group[0]``
        why: what cannot be expressed
        remedy: what to write instead
    """

    def __init__(self, path: str, why: str, remedy: str = "") -> None:
        super().__init__(f"{path}: {why}{f' ({remedy})' if remedy else ''}")
        self.path, self.why, self.remedy = path, why, remedy


class ActivityNotFound(SfiniError, LookupError):
    """A task that is not registered as an activity on this app.

    Attributes:
        name: the task or activity asked for
        known: the names there are
    """

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name, self.known = name, tuple(sorted(known))
        near = difflib.get_close_matches(name, self.known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(self.known) or 'none'}"
        super().__init__(f"{name!r} is not an activity of this app; {hint}")


class InvalidInput(SfiniError, ValueError):
    """An activity task's input does not fit its task. Reported as ``sfini.InvalidInput``."""


class OutputNotSerializable(SfiniError, TypeError):
    """A return value that is not JSON (NaN included). Reported as ``sfini.OutputNotSerializable``."""


class LoopExhausted(SfiniError):
    """A loop ran as often as it may, and its condition still does not hold. Known as ``sfini.LoopExhausted``.

    Attributes:
        rounds: how often it ran
    """

    def __init__(self, rounds: int) -> None:
        super().__init__(f"the condition did not hold after {rounds} rounds")
        self.rounds = rounds

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.rounds,)


class ServiceError(SfiniError):
    """AWS answered a call with an error.

    Attributes:
        operation: the API operation, as in ``StartExecution``
        code: AWS's error code, as in ``StateMachineDoesNotExist``
        detail: AWS's message
        status: the HTTP status
    """

    def __init__(self, operation: str, code: str, detail: str = "", status: int = 400) -> None:
        super().__init__(f"{operation} was refused with {code}{f': {detail}' if detail else ''}")
        self.operation, self.code, self.detail, self.status = operation, code, detail, status

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.operation, self.code, self.detail, self.status)


class NotFound(ServiceError):
    """The activity, state machine, version, alias or execution does not exist."""


class AlreadyExists(ServiceError):
    """The name is taken, with other content."""


class AccessDenied(ServiceError):
    """The credentials are expired, unknown, or may not do this."""


class Throttled(ServiceError):
    """Too many calls: worth trying later."""


class LimitExceeded(ServiceError):
    """A quota of the account is used up."""


class TokenClosed(ServiceError):
    """Nobody waits for this task any more: it timed out, was stopped, or was answered before."""


_CODES: dict[str, type[ServiceError]] = {
    **dict.fromkeys(
        (
            "ActivityDoesNotExist",
            "StateMachineDoesNotExist",
            "ExecutionDoesNotExist",
            "ResourceNotFound",
            "StateMachineDeleting",
        ),
        NotFound,
    ),
    **dict.fromkeys(
        ("ActivityAlreadyExists", "StateMachineAlreadyExists", "ExecutionAlreadyExists", "ConflictException"),
        AlreadyExists,
    ),
    **dict.fromkeys(
        (
            "AccessDeniedException",
            "AccessDenied",
            "ExpiredTokenException",
            "ExpiredToken",
            "IncompleteSignatureException",
            "InvalidClientTokenId",
            "KmsAccessDeniedException",
            "InvalidSignatureException",
            "MissingAuthenticationToken",
            "MissingAuthenticationTokenException",
            "NotAuthorized",
            "OptInRequired",
            "KmsAccessDeniedException",
            "SignatureDoesNotMatch",
            "UnrecognizedClientException",
        ),
        AccessDenied,
    ),
    **dict.fromkeys(
        (
            "ThrottlingException",
            "KmsThrottlingException",
            "Throttling",
            "ThrottledException",
            "TooManyRequestsException",
            "RequestLimitExceeded",
            "KmsThrottlingException",
            "SlowDown",
        ),
        Throttled,
    ),
    **dict.fromkeys(
        (
            "ActivityLimitExceeded",
            "ActivityWorkerLimitExceeded",
            "ExecutionLimitExceeded",
            "StateMachineLimitExceeded",
            "ServiceQuotaExceededException",
            "TooManyTags",
        ),
        LimitExceeded,
    ),
    **dict.fromkeys(("TaskTimedOut", "TaskDoesNotExist", "InvalidToken"), TokenClosed),
}


def service_error(operation: str, code: str, detail: str = "", status: int = 400) -> ServiceError:
    """The right class of the tree for an error code of AWS's."""
    return _CODES.get(code, ServiceError)(operation, code, detail, status)


class Unreachable(SfiniError, ConnectionError):
    """The endpoint did not answer.

    Attributes:
        endpoint: where the call went
        sent: False when the request surely never reached the service, True when it may have been applied
    """

    def __init__(self, operation: str, endpoint: str, detail: str, *, sent: bool = True) -> None:
        super().__init__(f"{operation}: no answer from {endpoint}: {detail}")
        self.operation, self.endpoint, self.detail, self.sent = operation, endpoint, detail, sent


class ExecutionError(SfiniError, RuntimeError):
    """An execution ended without success.

    Attributes:
        execution: its ARN
        status: FAILED, TIMED_OUT or ABORTED
        error, cause: as AWS reports them
    """

    def __init__(self, execution: str, status: str, error: str | None = None, cause: str | None = None) -> None:
        name, told = execution.rpartition(":")[2], _message_in(cause)
        super().__init__(f"execution {name!r} {status}{f': {error}' if error else ''}{f': {told}' if told else ''}")
        self.execution, self.status, self.error, self.cause = execution, status, error, cause

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.execution, self.status, self.error, self.cause)


def _message_in(cause: str | None) -> str | None:
    """What to show of a cause: of a worker's, which is JSON with a whole traceback, the message alone."""
    try:
        return str(json.loads(cause or "")["errorMessage"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return cause


class ExecutionFailed(ExecutionError):
    """An execution reached an error that nothing caught, or a Fail state."""


class ActivityError(ExecutionFailed):
    """A task's exception whose own class is not at hand in this process."""


class ExecutionTimedOut(ExecutionError):
    """An execution ran longer than its machine's TimeoutSeconds."""


class ExecutionAborted(ExecutionError):
    """An execution was stopped."""


class NothingToRollBack(SfiniError):
    """An alias leads to the wanted version already, or there is no earlier one."""


class NotFinished(SfiniError, RuntimeError):
    """A result was asked for before the execution ended."""


class WaitTimeout(SfiniError, TimeoutError, RuntimeError):
    """Waiting took longer than allowed; what was waited for goes on."""


class WorkerError(SfiniError):
    """The worker cannot run as asked."""


class IllegalMove(WorkerError):
    """A job was moved to a state that the ledger's table does not lead to; nothing was changed.

    Attributes:
        job: its id
        state: where the job is, None when it is not held
        wanted: where it was to go
    """

    def __init__(self, job: str, state: str | None, wanted: str) -> None:
        super().__init__(f"job {job} cannot go from {state or 'nowhere'} to {wanted}")
        self.job, self.state, self.wanted = job, state, wanted
