"""What a policy is made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

__all__ = ["Place", "Policy", "Remark", "Statement", "policy_of"]

VERSION = "2012-10-17"


@dataclass(frozen=True)
class Place:
    """Where ARNs are: a partition, a region and an account.

    Example:
        >>> Place("aws", "eu-west-1", "123456789012").arn("states", "activity:add")
        'arn:aws:states:eu-west-1:123456789012:activity:add'
    """

    partition: str
    region: str
    account: str

    @classmethod
    def of_arn(cls, arn: str) -> Place:
        """The place that an ARN names."""
        _, partition, _, region, account, *_ = arn.split(":")
        return cls(partition, region, account)

    def arn(self, service: str, resource: str) -> str:
        """The ARN of something in this region and account."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"

    def bucket(self, name: str) -> str:
        """The ARN of a bucket, or of ``bucket/key``: these have neither region nor account."""
        return f"arn:{self.partition}:s3:::{name}"

    def role(self, name: str) -> str:
        """The ARN of a role: these have no region."""
        return f"arn:{self.partition}:iam::{self.account}:role/{name}"


@dataclass(frozen=True)
class Statement:
    """Something that is allowed.

    Attributes:
        sid: what for, letters and digits only
        actions: such as ``states:StartExecution``
        resources: ARNs, maybe with wildcards
        condition: as IAM writes it
    """

    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...] = ("*",)
    condition: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The statement as IAM takes it."""
        written: dict[str, Any] = {
            "Sid": self.sid,
            "Effect": "Allow",
            "Action": list(self.actions),
            "Resource": list(self.resources),
        }
        if self.condition:
            written["Condition"] = dict(self.condition)
        return written


@dataclass(frozen=True)
class Remark:
    """Something that whoever grants a policy should look at.

    Attributes:
        where: ``machine/state``, or the role it is about
        message: what is not known, and what to do
    """

    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


@dataclass(frozen=True)
class Policy:
    """What a role may do.

    Attributes:
        statements: none where it needs no permission at all
        remarks: what could not be computed, or only more widely than needed
    """

    statements: tuple[Statement, ...]
    remarks: tuple[Remark, ...] = ()

    def to_dict(self) -> dict[str, Any] | None:
        """The policy document, or None where there is nothing to allow: IAM takes no empty ones."""
        if not self.statements:
            return None
        return {"Version": VERSION, "Statement": [statement.to_dict() for statement in self.statements]}


def policy_of(found: Iterable[Statement | Remark]) -> Policy:
    """Statements that allow the same become one, and get ids of their own."""
    merged: dict[tuple[Any, ...], Statement] = {}
    remarks: dict[Remark, None] = {}
    for each in found:
        if isinstance(each, Remark):
            remarks[each] = None
            continue
        key = (each.sid, each.actions, repr(each.condition))
        known = merged.get(key)
        resources = {*each.resources, *(known.resources if known else ())}
        merged[key] = replace(each, resources=("*",) if "*" in resources else tuple(sorted(resources)))
    taken: dict[str, int] = {}
    statements = []
    for statement in merged.values():
        taken[statement.sid] = number = taken.get(statement.sid, 0) + 1
        statements.append(statement if number == 1 else replace(statement, sid=f"{statement.sid}{number}"))
    return Policy(tuple(statements), tuple(remarks))
