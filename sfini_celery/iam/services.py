"""What a state-machine role needs for each call: a small table of the services that AWS integrates closely.

Source: 'Integrating other services' in the developer guide, and the Service Authorization Reference. What is not in the
table is never granted by guess alone: it is told, so that somebody looks at it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from urllib.parse import urlsplit

from sfini_celery.iam.calls import Call
from sfini_celery.iam.values import Place, Remark, Statement

__all__ = ["needs_of"]

Needs = Iterator[Statement | Remark]
Rule = Callable[[Call, Place], Needs]
Namer = Callable[[str, Place], str]
"""Makes an ARN of a name; ``*`` for all of the kind."""


def needs_of(call: Call, place: Place) -> Needs:
    """What a call needs of the state-machine role.

    Parameters:
        call: from :func:`~sfini_celery.iam.calls.calls_in`
        place: where what is named without an ARN is taken to be
    """
    if call.role is not None:  # the state runs as that role, so that one needs the rest
        yield from _assume(call)
    elif call.resource == "distributed":
        yield from _distributed(call, place)
    elif ":function:" in call.resource and call.resource.split(":")[2:3] == ["lambda"]:
        yield Statement("Lambda", ("lambda:InvokeFunction",), _with_versions(call.resource))
    elif call.resource.split(":")[2:3] == ["states"] and ":activity:" in call.resource:
        return  # whoever polls an activity has the permission, the state machine needs none
    elif call.service.startswith("aws-sdk:"):
        yield from _sdk(call, place)
    elif (rule := RULES.get(f"{call.service}:{call.action}")) is not None:
        yield from rule(call, place)
    else:
        yield Remark(call.where, f"what {call.resource} needs is not known here; add it to the policy by hand")


def _assume(call: Call) -> Needs:
    if not call.role:
        yield Remark(call.where, "its Credentials are known only at run time; name the roles instead of all of them")
    yield Statement("OtherAccounts", ("sts:AssumeRole",), (call.role or "*",))


def _distributed(call: Call, place: Place) -> Needs:
    name = call.machine
    children = (place.arn("states", f"execution:{name}:*"), place.arn("states", f"execution:{name}/*"))
    yield Statement("MapRuns", ("states:StartExecution",), (place.arn("states", f"stateMachine:{name}"),))
    yield Statement("MapRuns", ("states:DescribeExecution", "states:StopExecution"), children)
    yield Statement("MapRuns", ("states:RedriveExecution",), children[1:])


def _as(service: str, kind: str = "") -> Namer:
    return lambda name, place: place.arn(service, kind + name)


def _any_revision(service: str, kind: str) -> Namer:
    return lambda name, place: place.arn(service, kind + (name if ":" in name or name == "*" else f"{name}:*"))


def _bucket(name: str, place: Place) -> str:
    return place.bucket(name)


def _lambda(call: Call, place: Place) -> Needs:
    name = call.literal("FunctionName")
    if name is None:
        yield _unknown(call, "FunctionName")
        yield Statement("Lambda", ("lambda:InvokeFunction",), (place.arn("lambda", "function:*"),))
        return
    if not name.startswith("arn:"):
        account, found, function = name.partition(":function:")
        # a function's name, ACCOUNT:function:NAME, or either with a version or alias after it
        where = Place(place.partition, place.region, account) if found else place
        name = where.arn("lambda", f"function:{function if found else name}")
    yield Statement("Lambda", ("lambda:InvokeFunction",), _with_versions(name))


def _with_versions(function: str) -> tuple[str, ...]:
    return (function,) if function.count(":") > 6 else (function, f"{function}:*")


def _sqs(call: Call, place: Place) -> Needs:
    yield from _named(call, place, "Sqs", ("sqs:SendMessage",), _queue, "QueueUrl")


def _queue(url: str, place: Place) -> str:
    """``https://sqs.REGION.amazonaws.com/ACCOUNT/NAME`` as an ARN."""
    parts = urlsplit(url)
    path = parts.path.strip("/").split("/")
    host = (parts.hostname or "").split(".")
    if url == "*" or len(path) < 2:
        return place.arn("sqs", path[-1] or "*")
    region = host[1] if len(host) > 2 and host[0] == "sqs" else host[0] if host[1:2] == ["queue"] else place.region
    return f"arn:{place.partition}:sqs:{region}:{path[-2]}:{path[-1]}"


def _sns(call: Call, place: Place) -> Needs:
    if call.literal("PhoneNumber"):
        yield Statement("Sns", ("sns:Publish",))
        return
    yield from _named(call, place, "Sns", ("sns:Publish",), _as("sns"), "TopicArn", "TargetArn")


def _dynamodb(call: Call, place: Place) -> Needs:
    action = f"dynamodb:{_api_name(call.action)}"
    yield from _named(call, place, "DynamoDb", (action,), _as("dynamodb", "table/"), "TableName")


def _events(call: Call, place: Place) -> Needs:
    entries = call.parameters.get("Entries")
    if not isinstance(entries, list):
        yield _unknown(call, "Entries")
        yield Statement("Events", ("events:PutEvents",), (place.arn("events", "event-bus/*"),))
        return
    for entry in entries:
        bus = Call(call.machine, call.state, call.resource, parameters=entry if isinstance(entry, Mapping) else {})
        if "EventBusName" not in bus.parameters and "EventBusName.$" not in bus.parameters:
            yield Statement("Events", ("events:PutEvents",), (place.arn("events", "event-bus/default"),))
        else:
            yield from _named(bus, place, "Events", ("events:PutEvents",), _as("events", "event-bus/"), "EventBusName")


def _nested(call: Call, place: Place) -> Needs:
    arn = call.literal("StateMachineArn")
    if arn is None:
        yield _unknown(call, "StateMachineArn")
    where = Place.of_arn(arn) if arn is not None and arn.count(":") >= 6 else place
    name = arn.split(":")[6] if arn is not None and arn.count(":") >= 6 else "*"
    yield Statement("Nested", ("states:StartExecution",), (where.arn("states", f"stateMachine:{name}"),))
    if call.pattern.startswith("sync"):
        executions = (where.arn("states", f"execution:{name}:*"),)
        yield Statement("NestedWait", ("states:DescribeExecution", "states:StopExecution"), executions)
        yield from _rule("StepFunctionsGetEventsForStepFunctionsExecutionRule", where)


def _ecs(call: Call, place: Place) -> Needs:
    yield from _named(call, place, "Ecs", ("ecs:RunTask",), _any_revision("ecs", "task-definition/"), "TaskDefinition")
    if call.pattern == "sync":
        yield Statement("EcsWait", ("ecs:DescribeTasks", "ecs:StopTask"), (place.arn("ecs", "task/*"),))
        yield from _rule("StepFunctionsGetEventsForECSTaskRule", place)
    yield Remark(call.where, "add iam:PassRole for the task role and the execution role of the task definition")


def _batch(call: Call, place: Place) -> Needs:
    submit = ("batch:SubmitJob",)
    yield from _named(call, place, "Batch", submit, _any_revision("batch", "job-definition/"), "JobDefinition")
    yield from _named(call, place, "Batch", submit, _as("batch", "job-queue/"), "JobQueue")
    if call.pattern == "sync":
        yield Statement("BatchWait", ("batch:DescribeJobs",))
        yield Statement("BatchStop", ("batch:TerminateJob",), (place.arn("batch", "job/*"),))
        yield from _rule("StepFunctionsGetEventsForBatchJobsRule", place)


def _glue(call: Call, place: Place) -> Needs:
    actions = ["glue:StartJobRun"]
    if call.pattern == "sync":
        actions += ["glue:GetJobRun", "glue:GetJobRuns", "glue:BatchStopJobRun"]
    yield from _named(call, place, "Glue", tuple(actions), _as("glue", "job/"), "JobName")


def _codebuild(call: Call, place: Place) -> Needs:
    actions = ["codebuild:StartBuild"]
    if call.pattern == "sync":
        actions += ["codebuild:StopBuild", "codebuild:BatchGetBuilds"]
        yield from _rule("StepFunctionsGetEventForCodeBuildStartBuildRule", place)
    yield from _named(call, place, "CodeBuild", tuple(actions), _as("codebuild", "project/"), "ProjectName")


def _rule(name: str, place: Place) -> Needs:
    """Step Functions learns of a job's end through a rule of EventBridge's that it makes itself."""
    actions = ("events:PutTargets", "events:PutRule", "events:DescribeRule")
    yield Statement("JobEvents", actions, (place.arn("events", f"rule/{name}"),))


def _s3_get(call: Call, place: Place) -> Needs:
    yield from _objects(call, place, ("s3:GetObject",), key="Key")
    if call.member == "ItemReader" and call.config.get("InputType") == "MANIFEST":
        # a manifest names objects of the same bucket
        yield from _objects(call, place, ("s3:GetObject",))


def _s3_list(call: Call, place: Place) -> Needs:
    yield from _named(call, place, "S3", ("s3:ListBucket",), _bucket, "Bucket")
    if call.config.get("Transformation") == "LOAD_AND_FLATTEN":
        yield from _objects(call, place, ("s3:GetObject",))


def _s3_put(call: Call, place: Place) -> Needs:
    actions: tuple[str, ...] = ("s3:PutObject",)
    if call.member == "ResultWriter":
        actions += ("s3:GetObject", "s3:ListMultipartUploadParts", "s3:AbortMultipartUpload")
        yield from _objects(call, place, actions, key="Prefix", below=True)
    else:
        yield from _objects(call, place, actions, key="Key")


def _objects(call: Call, place: Place, actions: tuple[str, ...], *, key: str = "", below: bool = False) -> Needs:
    bucket, path = call.literal("Bucket"), call.literal(key)
    if bucket is None:
        yield _unknown(call, "Bucket")
    tail = "*" if path is None or bucket is None else f"{path.strip('/')}/*" if below else path
    yield Statement("S3", actions, (place.bucket(f"{bucket or '*'}/{tail}"),))


# The prefix of actions is the SDK's name of a service but for these.
_PREFIXES = {
    "bedrockagentruntime": "bedrock",
    "bedrockruntime": "bedrock",
    "cloudwatchlogs": "logs",
    "cognitoidentityprovider": "cognito-idp",
    "elasticloadbalancingv2": "elasticloadbalancing",
    "emrserverless": "emr-serverless",
    "eventbridge": "events",
    "redshiftdata": "redshift-data",
    "rdsdata": "rds-data",
    "sesv2": "ses",
    "sfn": "states",
}
# Actions of S3 that are not named as the call is.
_S3_ACTIONS = {
    "copyObject": ("s3:PutObject",),
    "deleteObjects": ("s3:DeleteObject",),
    "headObject": ("s3:GetObject",),
}


def _sdk(call: Call, place: Place) -> Needs:
    service = call.service.removeprefix("aws-sdk:")
    if service == "s3":
        if call.action in ("listObjectsV2", "listObjects", "headBucket"):
            yield from _s3_list(call, place)
            return
        actions = _S3_ACTIONS.get(call.action, (f"s3:{_api_name(call.action)}",))
        if call.action == "copyObject":
            source = call.literal("CopySource")
            if source is None:
                yield _unknown(call, "CopySource")
            yield Statement("S3", ("s3:GetObject",), (place.bucket((source or "*/*").strip("/")),))
        if "Object" in call.action:
            yield from _objects(call, place, actions, key="Key")
            return
    prefix = _PREFIXES.get(service, service)
    action = f"{prefix}:{_api_name(call.action)}"
    parameter, make = _SDK_RESOURCES.get(service, ("", _bucket))
    if call.literal(parameter):
        yield from _named(call, place, "Sdk", (action,), make, parameter)
        return
    yield Statement("Sdk", (action,))
    yield Remark(
        call.where, f"{action} is guessed from {call.resource} and granted on all resources; check and narrow it"
    )


_SDK_RESOURCES: Mapping[str, tuple[str, Namer]] = {
    "dynamodb": ("TableName", _as("dynamodb", "table/")),
    "sns": ("TopicArn", _as("sns")),
    "sqs": ("QueueUrl", _queue),
}


def _named(call: Call, place: Place, sid: str, actions: tuple[str, ...], make: Namer, *parameters: str) -> Needs:
    """What a parameter names, an ARN or a name to make one of; all of the kind where that is not known yet."""
    found = call.literal(*parameters)
    if found is None:
        yield _unknown(call, *parameters)
    resource = found if found is not None and found.startswith("arn:") else make(found or "*", place)
    yield Statement(sid, actions, (resource,))


def _unknown(call: Call, *parameters: str) -> Remark:
    names = " or ".join(parameters)
    return Remark(call.where, f"its {names} is known only at run time; narrow the policy to what it can be")


def _api_name(action: str) -> str:
    return action[:1].upper() + action[1:]


def _rows(names: Iterable[str], rule: Rule) -> dict[str, Rule]:
    return dict.fromkeys(names, rule)


RULES: Mapping[str, Rule] = {
    "batch:submitJob": _batch,
    "codebuild:startBuild": _codebuild,
    **_rows((f"dynamodb:{verb}Item" for verb in ("get", "put", "update", "delete")), _dynamodb),
    "ecs:runTask": _ecs,
    "events:putEvents": _events,
    "glue:startJobRun": _glue,
    "lambda:invoke": _lambda,
    "s3:getObject": _s3_get,
    "s3:listObjectsV2": _s3_list,
    "s3:putObject": _s3_put,
    "sns:publish": _sns,
    "sqs:sendMessage": _sqs,
    "states:startExecution": _nested,
}
