"""The calls about versions and aliases of state machines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["VersionCalls"]


class VersionCalls:
    """Versions, which never change, and aliases, which lead to one or two of them; part of the control plane."""

    def publish_version(self, arn: str, *, revision: str | None = None, description: str | None = None) -> str:
        """Freeze a state machine as it is now; again, nothing happens. Returns the version's ARN.

        Parameters:
            arn: the state machine's
            revision: only if this is the current one (``revisionId`` of what described or updated it)
            description: kept with the version
        Raises:
            AlreadyExists: the machine has another revision by now
        """
        request = {"stateMachineArn": arn, "revisionId": revision, "description": description}
        answer = self._call("PublishStateMachineVersion", "stateMachineVersionArn", **_given(request))
        return str(answer["stateMachineVersionArn"])

    def list_versions(self, arn: str, *, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """The versions of a state machine, newest first, read page by page."""
        return self._pages("ListStateMachineVersions", "stateMachineVersions", None, limit, stateMachineArn=arn)

    def delete_version(self, arn: str) -> None:
        """Delete a version; one that does not exist is no error.

        Raises:
            AlreadyExists: an alias leads to it
        """
        self._call("DeleteStateMachineVersion", stateMachineVersionArn=arn)

    def create_alias(self, name: str, routes: Mapping[str, int]) -> str:
        """Make an alias; returns its ARN.

        Parameters:
            name: its name
            routes: a version's ARN to its share of the executions, in percent
        """
        answer = self._call(
            "CreateStateMachineAlias", "stateMachineAliasArn", name=name, routingConfiguration=_routing(routes)
        )
        return str(answer["stateMachineAliasArn"])

    def update_alias(self, arn: str, routes: Mapping[str, int]) -> None:
        """Let an alias lead elsewhere; executions that it has started keep their version."""
        request = {"stateMachineAliasArn": arn, "routingConfiguration": _routing(routes)}
        self._call("UpdateStateMachineAlias", "updateDate", **request)

    def alias(self, arn: str) -> dict[str, int]:
        """Where an alias leads: a version's ARN to its percentage; raises NotFound."""
        answer = self._call("DescribeStateMachineAlias", "routingConfiguration", stateMachineAliasArn=arn)
        return {route["stateMachineVersionArn"]: route["weight"] for route in answer["routingConfiguration"]}

    def list_aliases(self, arn: str) -> Iterator[dict[str, Any]]:
        """The aliases of a state machine, or those that lead to one version, read page by page."""
        return self._pages("ListStateMachineAliases", "stateMachineAliases", None, None, stateMachineArn=arn)

    def delete_alias(self, arn: str) -> None:
        """Delete an alias; its versions stay, and one that does not exist is no error."""
        self._call("DeleteStateMachineAlias", stateMachineAliasArn=arn)

    def _call(self, operation: str, member: str | None = None, **request: Any) -> dict[str, Any]:
        raise NotImplementedError

    def _pages(
        self, operation: str, member: str, arn: str | None, limit: int | None = None, **request: Any
    ) -> Iterator[dict[str, Any]]:
        raise NotImplementedError


def _routing(routes: Mapping[str, int]) -> list[dict[str, Any]]:
    return [{"stateMachineVersionArn": arn, "weight": weight} for arn, weight in routes.items()]


def _given(request: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in request.items() if value is not None}
