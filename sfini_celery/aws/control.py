"""The calls."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from sfini_celery.aws.faults import translated
from sfini_celery.aws.naming import account_in, execution_name, is_loopback, name_in, without_secrets
from sfini_celery.aws.versions import VersionCalls
from sfini_celery.aws.waiting import Waiter
from sfini_celery.errors import AlreadyExists, ConfigurationError, NoRegion, Unreachable

__all__ = ["ControlPlane"]

_PAGE = 1000
_CONNECT_TIMEOUT = 10
# Above the 60 s that GetActivityTask is held: polls belong to the data plane, but whoever makes one through this client
# should not lose a task to a time-out.
_READ_TIMEOUT = 65
_METHODS = {
    "CreateActivity": "create_activity",
    "CreateStateMachine": "create_state_machine",
    "CreateStateMachineAlias": "create_state_machine_alias",
    "DeleteActivity": "delete_activity",
    "DeleteStateMachine": "delete_state_machine",
    "DeleteStateMachineAlias": "delete_state_machine_alias",
    "DeleteStateMachineVersion": "delete_state_machine_version",
    "DescribeActivity": "describe_activity",
    "DescribeExecution": "describe_execution",
    "DescribeStateMachine": "describe_state_machine",
    "DescribeStateMachineAlias": "describe_state_machine_alias",
    "DescribeStateMachineForExecution": "describe_state_machine_for_execution",
    "GetExecutionHistory": "get_execution_history",
    "ListActivities": "list_activities",
    "ListExecutions": "list_executions",
    "ListStateMachineAliases": "list_state_machine_aliases",
    "ListStateMachineVersions": "list_state_machine_versions",
    "ListStateMachines": "list_state_machines",
    "ListTagsForResource": "list_tags_for_resource",
    "PublishStateMachineVersion": "publish_state_machine_version",
    "RedriveExecution": "redrive_execution",
    "StartExecution": "start_execution",
    "StopExecution": "stop_execution",
    "TagResource": "tag_resource",
    "UpdateStateMachine": "update_state_machine",
    "UpdateStateMachineAlias": "update_state_machine_alias",
    "ValidateStateMachineDefinition": "validate_state_machine_definition",
}


class ControlPlane(VersionCalls):
    """Step Functions through boto3, as the ordinary AWS configuration says: profiles, endpoints, roles to assume.

    Nothing is imported, read or connected before the first call. One session and one client serve all threads; a
    forked child makes its own.

    Parameters:
        session: a ``boto3.Session`` to use instead of a new one
        region: instead of the configured one
        profile: instead of the configured one; not together with ``session``
        endpoint_url: instead of the configured one
        account: the account's number, which STS is then not asked for

    Attributes:
        waiter: waits for executions, for all threads and event loops of the process
        creating: to be held while something is created that another thread may be creating too

    Every call may raise:
        NoRegion, NoCredentials, ConfigurationError: the AWS configuration does not do
        Unreachable: nobody, or nobody who speaks this API, answers there
        ServiceError: AWS refused, see its subclasses

    Example:
        >>> control = ControlPlane(endpoint_url="http://127.0.0.1:8083")
        >>> [machine["name"] for machine in control.list_state_machines()]  # doctest: +SKIP
        ['orders']
    """

    def __init__(
        self,
        *,
        session: Any = None,
        region: str | None = None,
        profile: str | None = None,
        endpoint_url: str | None = None,
        account: str | None = None,
    ) -> None:
        if session is not None and profile is not None:
            raise ConfigurationError("give either a boto3 session or a profile: a session has its profile already")
        self._given_session, self._given_region = session, region
        self._profile, self._given_endpoint = profile, endpoint_url
        self._account = account
        self._forget()
        _PLANES.add(self)

    def __repr__(self) -> str:
        given = {"region": self._given_region, "profile": self._profile, "endpoint_url": self._given_endpoint}
        if given["endpoint_url"] is not None:
            given["endpoint_url"] = without_secrets(given["endpoint_url"])
        return f"ControlPlane({', '.join(f'{key}={value!r}' for key, value in given.items() if value is not None)})"

    def _forget(self) -> None:
        self.waiter = Waiter(self.describe_execution)
        self.creating = threading.Lock()
        self._lock = threading.RLock()
        self._session = self._given_session
        self._client: Any = None

    # what it is built on

    @property
    def session(self) -> Any:
        """The ``boto3.Session``."""
        with self._lock:
            if self._session is None:
                import boto3

                with translated("Configuration", self._endpoint):
                    self._session = boto3.session.Session(region_name=self._given_region, profile_name=self._profile)
            return self._session

    @property
    def client(self) -> Any:
        """boto3's ``stepfunctions`` client."""
        with self._lock:
            if self._client is None:
                self._client = self._new_client("stepfunctions", self._given_endpoint)
            return self._client

    def _new_client(self, service: str, endpoint_url: str | None) -> Any:
        from botocore.config import Config

        # A host that is not there should show in seconds: botocore's own default is a minute for each of the attempts.
        config = Config(
            retries={"mode": "standard"},
            user_agent_extra="sfini-celery",
            connect_timeout=_CONNECT_TIMEOUT,
            read_timeout=_READ_TIMEOUT,
        )
        with translated("Configuration", self._endpoint):
            return self.session.client(
                service, region_name=self._given_region, endpoint_url=endpoint_url, config=config
            )

    @property
    def region(self) -> str:
        """The region calls go to; raises NoRegion where none is configured."""
        region = self._given_region or self.session.region_name
        if not region:
            raise NoRegion
        return str(region)

    @property
    def endpoint_url(self) -> str:
        """Where calls go, as configured or as AWS's rules make it from the region."""
        return str(self.client.meta.endpoint_url)

    @property
    def is_local(self) -> bool:
        """Whether the endpoint is on this machine, as the embedded server is."""
        return is_loopback(self.endpoint_url)

    @property
    def account(self) -> str:
        """The account's number: as given, from an ARN that AWS has returned before, else from STS."""
        if self._account is None:
            client = self._new_client("sts", None)
            if self.is_local and not is_loopback(client.meta.endpoint_url):
                # An emulator was named for Step Functions alone; real STS must not be asked about its accounts.
                client = self._new_client("sts", self.endpoint_url)
            where = str(client.meta.endpoint_url)
            with translated("GetCallerIdentity", lambda: where):
                account = client.get_caller_identity().get("Account")
            if not account:
                detail = "the answer is not one of STS's; is the endpoint right?"
                raise Unreachable("GetCallerIdentity", without_secrets(where), detail)
            self._account = str(account)
        return self._account

    def arn(self, kind: str, name: str) -> str:
        """The ARN of what has this name here.

        Parameters:
            kind: ``activity``, ``stateMachine`` or ``execution``
            name: for an execution, ``machine:execution``
        """
        return f"arn:{self.client.meta.partition}:states:{self.region}:{self.account}:{kind}:{name}"

    # activities

    def create_activity(self, name: str, *, tags: Mapping[str, str] | None = None) -> str:
        """Create an activity, or find that it exists; returns its ARN."""
        request = {"name": name, **_tags(tags)}
        return self._learn(self._call("CreateActivity", "activityArn", **request)["activityArn"])

    def delete_activity(self, arn: str) -> None:
        """Delete an activity; one that does not exist is no error."""
        self._call("DeleteActivity", activityArn=arn)

    def describe_activity(self, arn: str) -> dict[str, Any]:
        """DescribeActivity's answer; raises NotFound."""
        return self._call("DescribeActivity", "activityArn", activityArn=arn)

    def list_activities(self) -> Iterator[dict[str, Any]]:
        """Every activity of the account and region, read page by page."""
        return self._pages("ListActivities", "activities", "activityArn")

    # state machines

    def create_state_machine(
        self,
        name: str,
        definition: str,
        role_arn: str,
        *,
        tags: Mapping[str, str] | None = None,
        publish: bool = False,
        logging: Mapping[str, Any] | None = None,
        tracing: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """CreateStateMachine's answer: ``stateMachineArn`` and, when published, ``stateMachineVersionArn``.

        Parameters:
            logging, tracing: LoggingConfiguration and TracingConfiguration; off without them

        Raises:
            AlreadyExists: a machine of this name has another definition
        """
        given = _given(loggingConfiguration=logging, tracingConfiguration=tracing)
        request = {"name": name, "definition": definition, "roleArn": role_arn, "publish": publish, **_tags(tags)}
        request |= given
        answer = self._call("CreateStateMachine", "stateMachineArn", **request)
        self._learn(answer["stateMachineArn"])
        return answer

    def update_state_machine(
        self,
        arn: str,
        *,
        definition: str | None = None,
        role_arn: str | None = None,
        publish: bool = False,
        logging: Mapping[str, Any] | None = None,
        tracing: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """UpdateStateMachine's answer. On AWS it takes effect a little later: start by version where that matters."""
        given = _given(
            definition=definition, roleArn=role_arn, loggingConfiguration=logging, tracingConfiguration=tracing
        )
        return self._call("UpdateStateMachine", "updateDate", stateMachineArn=arn, publish=publish, **given)

    def delete_state_machine(self, arn: str) -> None:
        """Delete a state machine, once its executions have ended; one that does not exist is no error."""
        self._call("DeleteStateMachine", stateMachineArn=arn)

    def describe_state_machine(self, arn: str) -> dict[str, Any]:
        """DescribeStateMachine's answer; raises NotFound."""
        return self._call("DescribeStateMachine", "stateMachineArn", stateMachineArn=arn)

    def validate_definition(self, definition: str) -> dict[str, Any]:
        """ValidateStateMachineDefinition's answer: ``result`` is OK or FAIL; what else it says may change any day.

        Raises:
            ConfigurationError: this boto3 is too old to know the call
        """
        operation = "ValidateStateMachineDefinition"
        if not hasattr(self.client, _METHODS[operation]):
            raise ConfigurationError(f"this boto3 does not know {operation} yet: `pip install --upgrade boto3`")
        return self._call(operation, "result", definition=definition)

    def list_state_machines(self) -> Iterator[dict[str, Any]]:
        """Every state machine of the account and region, read page by page."""
        return self._pages("ListStateMachines", "stateMachines", "stateMachineArn")

    # tags

    def tags(self, arn: str) -> dict[str, str]:
        """The tags of an activity or state machine."""
        answer = self._call("ListTagsForResource", "tags", resourceArn=arn)
        return {tag["key"]: tag["value"] for tag in answer["tags"]}

    def tag(self, arn: str, tags: Mapping[str, str]) -> None:
        """Add tags to an activity or state machine."""
        self._call("TagResource", resourceArn=arn, **_tags(tags))

    # executions

    def start_execution(self, machine_arn: str, *, input: str, name: str | None = None) -> dict[str, Any]:
        """StartExecution's answer: ``executionArn`` and ``startDate``.

        Parameters:
            machine_arn: of a state machine, a version or an alias
            input: JSON as text
            name: made by :func:`execution_name` when None, so that a call repeated by boto3 starts one execution only
        Raises:
            AlreadyExists: an execution of this name runs with another input, or has ended
        """
        given = name or execution_name(name_in(machine_arn))
        try:
            answer = self._call("StartExecution", "executionArn", stateMachineArn=machine_arn, name=given, input=input)
        except AlreadyExists:
            if name is not None:
                raise
            # Nobody else has this name: an earlier attempt of this call got through and its answer was lost.
            machine = ":".join(machine_arn.split(":")[:7])
            arn = f"{machine.replace(':stateMachine:', ':execution:')}:{given}"
            found = self.describe_execution(arn)
            answer = {"executionArn": found["executionArn"], "startDate": found["startDate"]}
        self._learn(answer["executionArn"])
        return answer

    def stop_execution(self, arn: str, *, error: str | None = None, cause: str | None = None) -> dict[str, Any]:
        """StopExecution's answer: ``stopDate``."""
        return self._call("StopExecution", "stopDate", executionArn=arn, **_given(error=error, cause=cause))

    def redrive_execution(self, arn: str, *, client_token: str | None = None) -> dict[str, Any]:
        """RedriveExecution's answer: ``redriveDate``. The execution goes on where it failed.

        Parameters:
            arn: the execution's
            client_token: the same one again, within 15 minutes, redrives it only once
        Raises:
            ServiceError: AWS does not allow it: it runs, has succeeded, or ended more than 14 days ago
        """
        return self._call("RedriveExecution", "redriveDate", executionArn=arn, **_given(clientToken=client_token))

    def describe_execution(self, arn: str) -> dict[str, Any]:
        """DescribeExecution's answer; raises NotFound."""
        return self._call("DescribeExecution", "status", executionArn=arn)

    def definition_for(self, arn: str) -> str:
        """The definition that an execution started with, as text; raises NotFound."""
        answer = self._call("DescribeStateMachineForExecution", "definition", executionArn=arn)
        return str(answer["definition"])

    def list_executions(
        self,
        machine_arn: str | None = None,
        *,
        map_run: str | None = None,
        status: str | None = None,
        limit: int | None = None,
    ) -> Iterator[dict[str, Any]]:
        """The executions of a state machine, or those of a distributed Map's run, newest first, read page by page.

        Parameters:
            machine_arn: of a state machine, a version or an alias
            map_run: ARN of a run, instead
            status: only those that are RUNNING, SUCCEEDED, FAILED, TIMED_OUT, ABORTED or PENDING_REDRIVE
            limit: no more than so many
        """
        request = _given(stateMachineArn=machine_arn, mapRunArn=map_run, statusFilter=status)
        return self._pages("ListExecutions", "executions", "executionArn", limit, **request)

    def history(self, arn: str, *, reverse: bool = False, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """The events of an execution, oldest first, read page by page; see :mod:`sfini_celery.history`.

        Parameters:
            arn: the execution's
            reverse: newest first
            limit: no more than so many
        """
        request = {"executionArn": arn, "reverseOrder": reverse}
        return self._pages("GetExecutionHistory", "events", None, limit, **request)

    # calling

    def _endpoint(self) -> str:
        if self._client is not None:
            return self.endpoint_url
        return self._given_endpoint or "AWS"

    def _call(self, operation: str, member: str | None = None, **request: Any) -> dict[str, Any]:
        """One call; ``member`` is what an answer must have to be Step Functions' own."""
        client = self.client
        with translated(operation, self._endpoint):
            answer = dict(getattr(client, _METHODS[operation])(**request))
        answer.pop("ResponseMetadata", None)
        if member is not None and member not in answer:
            detail = "the answer is not one of Step Functions'; is the endpoint right?"
            raise Unreachable(operation, without_secrets(self._endpoint()), detail)
        return answer

    def _pages(
        self, operation: str, member: str, arn: str | None, limit: int | None = None, **request: Any
    ) -> Iterator[dict[str, Any]]:
        size = _PAGE if limit is None else max(1, min(_PAGE, limit))
        return islice(self._every(operation, member, arn, {**request, "maxResults": size}), limit)

    def _every(self, operation: str, member: str, arn: str | None, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        while True:
            answer = self._call(operation, member, **request)
            for item in answer[member]:
                if arn is not None:
                    self._learn(item.get(arn))
                yield item
            token = answer.get("nextToken")
            if not token or token == request.get("nextToken"):
                return
            request = {**request, "nextToken": token}

    def _learn(self, arn: Any) -> str:
        if self._account is None:
            self._account = account_in(arn)
        return str(arn)


_PLANES: weakref.WeakSet[ControlPlane] = weakref.WeakSet()


def _after_fork() -> None:
    # A child that used its parent's connections would read its siblings' answers.
    for plane in list(_PLANES):
        plane._forget()


os.register_at_fork(after_in_child=_after_fork)


def _given(**members: Any) -> dict[str, Any]:
    return {key: value for key, value in members.items() if value is not None}


def _tags(tags: Mapping[str, str] | None) -> dict[str, Any]:
    return {"tags": [{"key": key, "value": value} for key, value in tags.items()]} if tags else {}
