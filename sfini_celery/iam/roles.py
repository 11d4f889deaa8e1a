"""Who does what: the policies of those that an app needs around it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sfini_celery.iam.calls import calls_in
from sfini_celery.iam.services import needs_of
from sfini_celery.iam.values import VERSION, Place, Policy, Remark, Statement, policy_of

__all__ = [
    "client_policy",
    "deployer_policy",
    "operator_policy",
    "state_machine_policy",
    "state_machine_trust",
    "worker_policy",
]


def state_machine_trust(place: Place) -> dict[str, Any]:
    """The trust policy of the role that state machines run under.

    Only machines of this account and region may use it, so that nobody else's can be made to.

    Parameters:
        place: of the machines
    """
    return {
        "Version": VERSION,
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "states.amazonaws.com"},
                "Action": "sts:AssumeRole",
                "Condition": {
                    "StringEquals": {"aws:SourceAccount": place.account},
                    "ArnLike": {"aws:SourceArn": place.arn("states", "stateMachine:*")},
                },
            }
        ],
    }


def state_machine_policy(
    machines: Mapping[str, Mapping[str, Any]], place: Place, *, logging: bool = False, tracing: bool = False
) -> Policy:
    """What the role of these state machines must be allowed: what their states call. Activities need nothing.

    Parameters:
        machines: definitions by name in AWS
        place: of the machines, and of what they name without an ARN
        logging: whether they log to CloudWatch
        tracing: whether they are traced by X-Ray
    Example:
        >>> task = {"Type": "Task", "Resource": "arn:aws:lambda:eu-west-1:123456789012:function:resize", "End": True}
        >>> policy = state_machine_policy({"m": {"States": {"a": task}}}, Place("aws", "eu-west-1", "123456789012"))
        >>> policy.statements[0].actions
        ('lambda:InvokeFunction',)
    """
    calls = [call for name, definition in machines.items() for call in calls_in(name, definition)]
    found = [need for call in calls for need in needs_of(call, place)]
    if logging:  # these actions know no resources
        actions = ("Create", "Get", "Update", "Delete")
        deliveries = tuple(f"logs:{verb}LogDelivery" for verb in actions)
        others = ("logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:DescribeResourcePolicies")
        found.append(Statement("Logs", (*deliveries, *others, "logs:DescribeLogGroups")))
    if tracing:
        actions = ("PutTraceSegments", "PutTelemetryRecords", "GetSamplingRules", "GetSamplingTargets")
        found.append(Statement("Traces", tuple(f"xray:{action}" for action in actions)))
    return policy_of(found)


def worker_policy(
    activities: Iterable[str], place: Place, *, create: bool = True, queues: Iterable[str] = ()
) -> Policy:
    """What a worker must be allowed: to poll activities and to report.

    Parameters:
        activities: names in AWS
        place: of the activities
        create: whether workers create those that are missing (``sfn_create_missing_activities``)
        queues: names of SQS queues that are the app's broker
    """
    return policy_of(_worker(list(activities), place, create=create, queues=list(queues)))


def _worker(activities: list[str], place: Place, *, create: bool, queues: list[str]) -> Iterator[Statement | Remark]:
    arns = _arns(place, "activity", activities)
    if arns:
        yield Statement("Poll", ("states:GetActivityTask",), arns)
    reports = ("SendTaskSuccess", "SendTaskFailure", "SendTaskHeartbeat")
    # A task token is all that says which task is meant: IAM knows no resource here.
    yield Statement("Report", tuple(f"states:{each}" for each in reports))
    if create and arns:
        yield Statement("CreateMissing", ("states:CreateActivity",), arns)
        yield Statement("FindMissing", ("states:ListActivities",))
    if queues:
        verbs = ("ReceiveMessage", "SendMessage", "DeleteMessage", "ChangeMessageVisibility")
        actions = (*verbs, "GetQueueUrl", "GetQueueAttributes", "CreateQueue")
        yield Statement("Broker", tuple(f"sqs:{each}" for each in actions), _queues(place, queues))
        yield Statement("FindQueues", ("sqs:ListQueues",))


def _queues(place: Place, names: list[str]) -> tuple[str, ...]:
    return tuple(place.arn("sqs", name) for name in names)


def client_policy(
    machines: Iterable[str],
    place: Place,
    *,
    adhoc: str | None = None,
    activities: Iterable[str] = (),
    role_arn: str = "",
) -> Policy:
    """What a process must be allowed that starts workflows and waits for them: ``orders.delay().get()``.

    Parameters:
        machines: names in AWS
        place: of the machines
        adhoc: what the names of machines begin with that are made for canvases without a name; None if there are none
        activities: names in AWS of those that such canvases use
        role_arn: of the state machines, which ad-hoc ones run under
    """
    names = [*machines, *([f"{adhoc}*"] if adhoc is not None else [])]
    return policy_of(_client(names, place, adhoc, list(activities), role_arn))


def _client(
    names: list[str], place: Place, adhoc: str | None, activities: list[str], role_arn: str
) -> Iterator[Statement | Remark]:
    if names:
        yield Statement("Start", ("states:StartExecution",), _machines(place, names))
        actions = ("DescribeExecution", "GetExecutionHistory", "StopExecution")
        yield Statement("Follow", tuple(f"states:{each}" for each in actions), _executions(place, names))
    if adhoc is not None:
        creating = ("states:CreateStateMachine", "states:TagResource")
        yield Statement("AdHoc", creating, _machines(place, [f"{adhoc}*"]))
        if activities:
            yield Statement("AdHoc", ("states:CreateActivity",), _arns(place, "activity", activities))
        yield from _pass(place, role_arn)


def deployer_policy(
    activities: Iterable[str], machines: Iterable[str], place: Place, *, role_arn: str = "", app: str = ""
) -> Policy:
    """What ``register`` and ``deregister`` must be allowed.

    Parameters:
        activities, machines: names in AWS
        place: of them all
        role_arn: of the state machines
        app: the value of the tag ``sfini:app``; what has it may be removed, also when it is not declared any more
    """
    return policy_of(_deployer(list(activities), list(machines), place, role_arn, app))


def _deployer(
    activities: list[str], machines: list[str], place: Place, role_arn: str, app: str
) -> Iterator[Statement | Remark]:
    tagging = ("states:ListTagsForResource", "states:TagResource", "states:UntagResource")
    if activities:
        whole = ("states:CreateActivity", "states:DeleteActivity", "states:DescribeActivity")
        yield Statement("Activities", (*whole, *tagging), _arns(place, "activity", activities))
    if machines:
        verbs = ("Create", "Delete", "Describe", "Update")
        kinds = tuple(f"states:{verb}StateMachine{kind}" for kind in ("", "Alias") for verb in verbs)
        versions = ("PublishStateMachineVersion", "DeleteStateMachineVersion", "ListStateMachineVersions")
        others = (*versions, "ListStateMachineAliases", "ListExecutions")
        actions = (*kinds, *(f"states:{each}" for each in others), *tagging)
        yield Statement("StateMachines", actions, _machines(place, machines))
        yield Statement("Running", ("states:DescribeStateMachineForExecution",), _executions(place, machines))
    lists = ("ListActivities", "ListStateMachines", "ValidateStateMachineDefinition")
    yield Statement("Look", tuple(f"states:{each}" for each in lists))
    if app:
        everything = (place.arn("states", "activity:*"), place.arn("states", "stateMachine:*"))
        yield Statement("LookForOwned", ("states:ListTagsForResource",), everything)
        yield Statement(
            "RemoveOwned",
            (
                "states:DeleteActivity",
                "states:DeleteStateMachine",
                "states:DescribeStateMachine",
                "states:ListExecutions",
            ),
            everything,
            {"StringEquals": {"aws:ResourceTag/sfini:app": app}},
        )
    if machines:
        yield from _pass(place, role_arn)


def _pass(place: Place, role_arn: str) -> Iterator[Statement | Remark]:
    if not role_arn:
        why = "the state machines' role is not known (sfn_role_arn, --role-arn); iam:PassRole is granted for all roles"
        yield Remark("role", why)
    condition = {"StringEquals": {"iam:PassedToService": "states.amazonaws.com"}}
    yield Statement("PassRole", ("iam:PassRole",), (role_arn or place.role("*"),), condition)


def operator_policy(activities: Iterable[str], machines: Iterable[str], place: Place) -> Policy:
    """What somebody must be allowed who starts, watches, stops and redrives executions.

    Parameters:
        activities, machines: names in AWS
        place: of them all
    """
    return policy_of(_operator(list(activities), list(machines), place))


def _operator(activities: list[str], machines: list[str], place: Place) -> Iterator[Statement | Remark]:
    if machines:
        actions = ("StartExecution", "ListExecutions", "DescribeStateMachine", "DescribeStateMachineAlias")
        lists = ("ListStateMachineVersions", "ListStateMachineAliases", "ListTagsForResource")
        yield Statement("Workflows", tuple(f"states:{each}" for each in (*actions, *lists)), _machines(place, machines))
        runs_of = ("DescribeExecution", "GetExecutionHistory", "StopExecution", "RedriveExecution")
        more = ("DescribeStateMachineForExecution", "ListMapRuns")
        executions = _executions(place, machines)
        yield Statement("Executions", tuple(f"states:{each}" for each in (*runs_of, *more)), executions)
        runs = tuple(place.arn("states", f"mapRun:{name}/*") for name in machines)
        yield Statement("MapRuns", ("states:DescribeMapRun", "states:ListExecutions"), runs)
    if activities:
        arns = _arns(place, "activity", activities)
        yield Statement("Activities", ("states:DescribeActivity", "states:ListTagsForResource"), arns)
    yield Statement("Look", ("states:ListStateMachines", "states:ListActivities"))


def _arns(place: Place, kind: str, names: Iterable[str]) -> tuple[str, ...]:
    return tuple(place.arn("states", f"{kind}:{name}") for name in names)


def _machines(place: Place, names: Iterable[str]) -> tuple[str, ...]:
    """Machines, and their versions and aliases."""
    arns = _arns(place, "stateMachine", names)
    return tuple(each for arn in arns for each in ((arn,) if arn.endswith("*") else (arn, f"{arn}:*")))


def _executions(place: Place, names: Iterable[str]) -> tuple[str, ...]:
    """Executions, and those that a distributed Map starts, which are named after it."""
    arns = _arns(place, "execution", names)
    return tuple(each for arn in arns for each in ((arn,) if arn.endswith("*") else (f"{arn}:*", f"{arn}/*")))
