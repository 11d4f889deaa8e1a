"""An app's activities and state machines as a CloudFormation template, for teams that deploy by other means.

The template fits any account, region and partition: what is named by an ARN of the place it was made for is named by
references and pseudo parameters instead. Definitions are texts in ``DefinitionString``: as objects they could hold no
nulls, which CloudFormation refuses, and their members would be taken for its own functions where they are named so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sfini_celery.errors import ConfigurationError

__all__ = ["Schedule", "template"]

ROLE, SCHEDULER_ROLE = "StateMachineRole", "SchedulerRole"
_MOST_RESOURCES, _MOST_OUTPUTS = 500, 200
_EXPRESSION = re.compile(
    r"rate\([1-9][0-9]* (minutes?|hours?|days?)\)|cron\(([^ ()]+ ){5}[^ ()]+\)|at\(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\)"
)


@dataclass(frozen=True)
class Schedule:
    """When a state machine is started, by EventBridge Scheduler.

    Attributes:
        machine: its name
        expression: ``rate(1 hour)``, ``cron(0 6 * * ? *)`` or ``at(2030-01-31T12:00:00)``
        input: what each execution gets, any JSON
        timezone: of the expression, such as ``Europe/Berlin``; UTC without it

    Raises:
        ConfigurationError: that is no such expression
    """

    machine: str
    expression: str
    input: Any = field(default_factory=dict)
    timezone: str | None = None

    def __post_init__(self) -> None:
        if not _EXPRESSION.fullmatch(self.expression):
            raise ConfigurationError(
                f"{self.expression!r} is no schedule: write rate(1 hour), cron(0 6 * * ? *), six fields of them, or "
                "at(2030-01-31T12:00:00)"
            )


def template(
    machines: Mapping[str, Mapping[str, Any]],
    *,
    activities: Iterable[str],
    made_for: str,
    policy: Mapping[str, Any] | None,
    trust: Mapping[str, Any],
    role_arn: str | None = None,
    logging: Mapping[str, Any] | None = None,
    tracing: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    schedules: Iterable[Schedule] = (),
    description: str = "",
) -> dict[str, Any]:
    """A CloudFormation template.

    Parameters:
        machines: definitions by name in AWS
        activities: names in AWS
        made_for: the ARN of anything of Step Functions in the partition, region and account that the definitions and
            policies were made for; these three give way to pseudo parameters
        policy, trust: of the role that is made for the state machines, see :mod:`sfini_celery.iam`
        role_arn: a role that is there already; none is made then
        logging, tracing: LoggingConfiguration and TracingConfiguration of the API, for all machines
        tags: of everything
        schedules: of the machines
        description: what the template is

    Raises:
        ConfigurationError: more than the 500 resources that CloudFormation allows
    """
    watched = {"LoggingConfiguration": logging, "TracingConfiguration": tracing}
    watched = {name: _capitalised(value) for name, value in watched.items() if value is not None}
    writer = _Writer(made_for, sorted(activities), list(machines), tags or {}, role_arn, watched)
    made = {
        "AWSTemplateFormatVersion": "2010-09-09",
        **({"Description": description} if description else {}),
        "Resources": dict(writer.resources(machines, policy, trust, list(schedules))),
    }
    if len(made["Resources"]) > _MOST_RESOURCES:
        raise ConfigurationError(
            f"the template would have {len(made['Resources'])} resources, CloudFormation allows {_MOST_RESOURCES}: "
            "name some of the workflows"
        )
    if 0 < len(machines) <= _MOST_OUTPUTS:
        made["Outputs"] = {
            f"{id}Arn": {"Description": f"State machine {name}", "Value": {"Ref": id}}
            for name, id in writer.machines.items()
        }
    return made


class _Writer:
    def __init__(
        self,
        made_for: str,
        activities: list[str],
        machines: list[str],
        tags: Mapping[str, str],
        role_arn: str | None,
        watched: Mapping[str, Any],
    ) -> None:
        _, self.partition, _, self.region, self.account, *_ = made_for.split(":")
        taken = {ROLE, SCHEDULER_ROLE}
        self.activities = {name: _logical_id(name, "Activity", taken) for name in activities}
        self.machines = {name: _logical_id(name, "StateMachine", taken) for name in machines}
        self.schedules = {name: _logical_id(name, "Schedule", taken) for name in machines}
        self.tags = [{"Key": key, "Value": value} for key, value in tags.items()]
        self.role_arn, self.watched = role_arn, watched
        partition, region, account = map(re.escape, (self.partition, self.region, self.account))
        self._activity = re.compile(rf'"arn:{partition}:states:{region}:{account}:activity:([^"\\]+)"')
        # of this place, or of no place at all, as arn:aws:states:::sqs:sendMessage and arn:aws:s3:::bucket are
        arn = rf"arn:{partition}:(?P<service>[a-z0-9-]+):(?P<region>{region})?:(?P<account>{account})?:"
        self._arn = re.compile(f"^(?P<before>){arn}")
        self._arn_in_text = re.compile(rf'(?<!\\)(?P<before>"){arn}')

    def resources(
        self,
        machines: Mapping[str, Mapping[str, Any]],
        policy: Mapping[str, Any] | None,
        trust: Mapping[str, Any],
        schedules: list[Schedule],
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        for name, id in self.activities.items():
            yield id, self._resource("StepFunctions::Activity", Name=name)
        if machines and self.role_arn is None:
            yield ROLE, self._role(trust, "StateMachines", policy)
        for name, definition in machines.items():
            yield (
                self.machines[name],
                self._resource(
                    "StepFunctions::StateMachine",
                    StateMachineName=name,
                    StateMachineType="STANDARD",
                    RoleArn=self.role_arn or {"Fn::GetAtt": [ROLE, "Arn"]},
                    DefinitionString=self._text(definition),
                    **self._anywhere(self.watched),
                ),
            )
        if schedules:
            yield SCHEDULER_ROLE, self._scheduler_role(schedules)
        for schedule in schedules:
            yield self.schedules[schedule.machine], self._schedule(schedule)

    def _resource(self, kind: str, **properties: Any) -> dict[str, Any]:
        if self.tags:
            properties["Tags"] = self.tags
        return {"Type": f"AWS::{kind}", "Properties": properties}

    def _role(self, trust: Mapping[str, Any], name: str, policy: Mapping[str, Any] | None) -> dict[str, Any]:
        policies = [] if policy is None else [{"PolicyName": name, "PolicyDocument": self._anywhere(policy)}]
        more = {"Policies": policies} if policies else {}
        return self._resource("IAM::Role", AssumeRolePolicyDocument=self._anywhere(trust), **more)

    def _scheduler_role(self, schedules: list[Schedule]) -> dict[str, Any]:
        trust = {
            "Effect": "Allow",
            "Principal": {"Service": "scheduler.amazonaws.com"},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"aws:SourceAccount": self.account}},
        }
        started = sorted({self.machines[schedule.machine] for schedule in schedules})
        start = {
            "Effect": "Allow",
            "Action": ["states:StartExecution"],
            "Resource": [{"Ref": id} for id in started],
        }
        version = "2012-10-17"
        return self._role(
            {"Version": version, "Statement": [trust]}, "StartStateMachines", {"Version": version, "Statement": [start]}
        )

    def _schedule(self, schedule: Schedule) -> dict[str, Any]:
        timezone = {"ScheduleExpressionTimezone": schedule.timezone} if schedule.timezone else {}
        return {
            "Type": "AWS::Scheduler::Schedule",
            "Properties": {
                "Description": f"Starts {schedule.machine}",
                "ScheduleExpression": schedule.expression,
                **timezone,
                "FlexibleTimeWindow": {"Mode": "OFF"},
                "Target": {
                    "Arn": {"Ref": self.machines[schedule.machine]},
                    "RoleArn": {"Fn::GetAtt": [SCHEDULER_ROLE, "Arn"]},
                    "Input": json.dumps(schedule.input),
                },
            },
        }

    def _text(self, definition: Mapping[str, Any]) -> dict[str, Any]:
        """A definition as CloudFormation's Fn::Sub writes it, indented for the console."""
        text = json.dumps(definition, ensure_ascii=False, indent=2)
        # A "${" that is in the definition, in words that mean the same to whoever reads JSON and nothing to Fn::Sub.
        text = text.replace("${", "\\u0024{")
        text = self._activity.sub(self._reference, text)
        return {"Fn::Sub": self._arn_in_text.sub(self._pseudo_parameters, text)}

    def _reference(self, found: re.Match[str]) -> str:
        id = self.activities.get(found[1])
        return found[0] if id is None else f'"${{{id}}}"'

    def _anywhere(self, value: Any) -> Any:
        """A policy with every text that names a place as a Fn::Sub."""
        if isinstance(value, Mapping):
            return {key: self._anywhere(member) for key, member in value.items()}
        if isinstance(value, list):
            return [self._anywhere(member) for member in value]
        if value == self.account:
            return {"Ref": "AWS::AccountId"}
        if isinstance(value, str) and self._arn.match(value):
            return {"Fn::Sub": self._arn.sub(self._pseudo_parameters, value.replace("${", "${!"))}
        return value

    def _pseudo_parameters(self, found: re.Match[str]) -> str:
        region = "${AWS::Region}" if found["region"] else ""
        account = "${AWS::AccountId}" if found["account"] else ""
        return f"{found['before']}arn:${{AWS::Partition}}:{found['service']}:{region}:{account}:"


def _capitalised(value: Any) -> Any:
    """As CloudFormation writes the members that the API writes ``logGroupArn``."""
    if isinstance(value, Mapping):
        return {key[:1].upper() + key[1:]: _capitalised(member) for key, member in value.items()}
    return [_capitalised(each) for each in value] if isinstance(value, list) else value


def _logical_id(name: str, kind: str, taken: set[str]) -> str:
    """Letters and digits of a name: ``proj.add_all`` is ``ProjAddAllActivity``."""
    words = "".join(word[:1].upper() + word[1:] for word in re.split(r"[^A-Za-z0-9]+", name))
    id, number = f"{words}{kind}", 1
    while id in taken:
        number += 1
        id = f"{words}{kind}{number}"
    taken.add(id)
    return id
