"""Aliases over the API: names for versions, and the executions that start by them."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from sfini_celery.local.service import aliases

SUCCEED = {"Type": "Succeed"}


async def versions(api: Any, count: int = 2, name: str = "machine") -> list[str]:
    """A machine with that many versions, which tell their number as output; returns their ARNs."""
    states = [{"Type": "Pass", "Result": number, "End": True} for number in range(1, count + 1)]
    made = [await api.machine(name, states[0], publish=True)]
    for state in states[1:]:
        await api("UpdateStateMachine", stateMachineArn=made[0], definition=api.definition(state), publish=True)
    return [f"{made[0]}:{number}" for number in range(1, count + 1)]


def routes(*weights: tuple[str, int]) -> list[dict[str, Any]]:
    return [{"stateMachineVersionArn": arn, "weight": weight} for arn, weight in weights]


def test_an_alias_starts_the_version_it_names_and_says_so(api: Any) -> None:
    async def main() -> None:
        first, second = await versions(api)
        made = await api("CreateStateMachineAlias", name="live", routingConfiguration=routes((first, 100)))
        alias = made["stateMachineAliasArn"]
        assert alias == f"{first.removesuffix(':1')}:live"
        execution = (await api("StartExecution", stateMachineArn=alias))["executionArn"]
        await api.settle()
        described = await api("DescribeExecution", executionArn=execution)
        assert described["output"] == "1"
        assert (described["stateMachineAliasArn"], described["stateMachineVersionArn"]) == (alias, first)
        assert described["stateMachineArn"] == first.removesuffix(":1")
        started = (await api("GetExecutionHistory", executionArn=execution))["events"][0]
        assert started["executionStartedEventDetails"]["stateMachineAliasArn"] == alias
        await api("UpdateStateMachineAlias", stateMachineAliasArn=alias, routingConfiguration=routes((second, 100)))
        again = (await api("StartExecution", stateMachineArn=alias))["executionArn"]
        await api.settle()
        assert (await api("DescribeExecution", executionArn=again))["output"] == "2"
        assert (await api("DescribeExecution", executionArn=execution))["stateMachineVersionArn"] == first

    asyncio.run(main())


def test_an_alias_of_two_versions_splits_starts_by_their_weights(api: Any) -> None:
    async def main() -> None:
        api.engine.randomness.seed(1)
        first, second = await versions(api)
        split = routes((first, 80), (second, 20))
        alias = (await api("CreateStateMachineAlias", name="a", routingConfiguration=split))["stateMachineAliasArn"]
        for _ in range(200):
            await api("StartExecution", stateMachineArn=alias)
        listed = (await api("ListExecutions", stateMachineArn=alias, maxResults=1000))["executions"]
        started = Counter(execution["stateMachineVersionArn"] for execution in listed)
        assert len(listed) == 200
        assert 130 < started[first] < 190
        by_version = await api("ListExecutions", stateMachineArn=second, maxResults=1000)
        assert len(by_version["executions"]) == started[second]

    asyncio.run(main())


def test_executions_are_listed_by_the_alias_that_started_them(api: Any) -> None:
    async def main() -> None:
        first, _ = await versions(api)
        machine = first.removesuffix(":1")
        arns = [
            (await api("CreateStateMachineAlias", name=name, routingConfiguration=routes((first, 100))))[
                "stateMachineAliasArn"
            ]
            for name in ("a", "b")
        ]
        for arn, name in ((machine, "m"), (first, "v"), (arns[0], "a"), (arns[1], "b")):
            await api("StartExecution", stateMachineArn=arn, name=name)

        async def names(arn: str) -> list[str]:
            return [one["name"] for one in (await api("ListExecutions", stateMachineArn=arn))["executions"]]

        assert await names(machine) == ["b", "a", "v", "m"]
        assert await names(first) == ["b", "a", "v"]
        assert await names(arns[0]) == ["a"]
        assert await names(arns[1]) == ["b"]

    asyncio.run(main())


def test_creating_an_alias_again_changes_nothing_and_with_other_content_is_a_conflict(api: Any) -> None:
    async def main() -> None:
        first, second = await versions(api)
        request = {"name": "a", "description": "d", "routingConfiguration": routes((first, 100))}
        made = await api("CreateStateMachineAlias", **request)
        await api.clock.advance(10)
        assert await api("CreateStateMachineAlias", **request) == made
        for other in ({"routingConfiguration": routes((second, 100))}, {"description": "e"}):
            assert (await api.refused("CreateStateMachineAlias", **{**request, **other})).code == "ConflictException"
        shown = await api("DescribeStateMachineAlias", stateMachineAliasArn=made["stateMachineAliasArn"])
        assert shown == {
            **made,
            "name": "a",
            "description": "d",
            "routingConfiguration": routes((first, 100)),
            "updateDate": made["creationDate"],
        }

    asyncio.run(main())


def test_an_update_changes_what_it_names_and_nothing_else(api: Any) -> None:
    async def main() -> None:
        first, second = await versions(api)
        request = {"name": "a", "description": "d", "routingConfiguration": routes((first, 100))}
        made = await api("CreateStateMachineAlias", **request)
        alias = made["stateMachineAliasArn"]
        await api.clock.advance(10)
        split = routes((first, 1), (second, 99))
        updated = await api("UpdateStateMachineAlias", stateMachineAliasArn=alias, routingConfiguration=split)
        assert updated["updateDate"] == made["creationDate"] + 10
        shown = await api("DescribeStateMachineAlias", stateMachineAliasArn=alias)
        assert (shown["routingConfiguration"], shown["description"]) == (split, "d")
        assert (shown["creationDate"], shown["updateDate"]) == (made["creationDate"], updated["updateDate"])
        await api("UpdateStateMachineAlias", stateMachineAliasArn=alias, description="e")
        shown = await api("DescribeStateMachineAlias", stateMachineAliasArn=alias)
        assert (shown["routingConfiguration"], shown["description"]) == (split, "e")
        nothing = await api.refused("UpdateStateMachineAlias", stateMachineAliasArn=alias)
        assert nothing.code == "ValidationException"

    asyncio.run(main())


def test_a_version_that_an_alias_uses_cannot_be_deleted(api: Any) -> None:
    async def main() -> None:
        first, second = await versions(api)
        request = {"routingConfiguration": routes((first, 50), (second, 50))}
        alias = (await api("CreateStateMachineAlias", name="live", **request))["stateMachineAliasArn"]
        error = await api.refused("DeleteStateMachineVersion", stateMachineVersionArn=first)
        assert error.code == "ConflictException"
        assert error.message == (
            "Version to be deleted must not be referenced by an alias. "
            "Current list of aliases referencing this version: [live]"
        )
        await api("UpdateStateMachineAlias", stateMachineAliasArn=alias, routingConfiguration=routes((second, 100)))
        await api("DeleteStateMachineVersion", stateMachineVersionArn=first)
        await api("DeleteStateMachineAlias", stateMachineAliasArn=alias)
        await api("DeleteStateMachineVersion", stateMachineVersionArn=second)

    asyncio.run(main())


def test_a_deleted_alias_is_gone_and_may_be_deleted_again(api: Any) -> None:
    async def main() -> None:
        first, _ = await versions(api)
        made = await api("CreateStateMachineAlias", name="a", routingConfiguration=routes((first, 100)))
        alias = made["stateMachineAliasArn"]
        for _ in range(2):
            await api("DeleteStateMachineAlias", stateMachineAliasArn=alias)
        for operation in ("DescribeStateMachineAlias", "UpdateStateMachineAlias"):
            error = await api.refused(operation, stateMachineAliasArn=alias)
            assert (error.code, error.message) == ("ResourceNotFound", f"Resource not found: '{alias}'")
        assert (await api.refused("StartExecution", stateMachineArn=alias)).code == "StateMachineDoesNotExist"
        assert (await api("ListStateMachineVersions", stateMachineArn=first.removesuffix(":1")))["stateMachineVersions"]

    asyncio.run(main())


def test_aliases_are_listed_newest_first_in_pages_and_by_version(api: Any) -> None:
    async def main() -> None:
        first, second = await versions(api)
        for number, arn in enumerate((first, second, first)):
            await api("CreateStateMachineAlias", name=f"a{number}", routingConfiguration=routes((arn, 100)))

        async def names(arn: str) -> list[str]:
            found: list[str] = []
            request = {"stateMachineArn": arn, "maxResults": 2}
            while True:
                page = await api("ListStateMachineAliases", **request)
                found += [alias["stateMachineAliasArn"].rpartition(":")[2] for alias in page["stateMachineAliases"]]
                if "nextToken" not in page:
                    return found
                request["nextToken"] = page["nextToken"]

        assert await names(first.removesuffix(":1")) == ["a2", "a1", "a0"]
        assert await names(first) == ["a2", "a0"]
        assert await names(second) == ["a1"]

    asyncio.run(main())


def test_a_routing_that_is_not_a_whole_of_versions_of_one_machine_is_refused(api: Any) -> None:
    async def main() -> None:
        first, second = await versions(api)
        other = (await versions(api, 1, "other"))[0]
        machine = first.removesuffix(":1")
        for wrong, code, part in (
            (routes((first, 60), (second, 30)), "ValidationException", "must equal 100. Received: [60, 30]"),
            (routes((first, 50), (first, 50)), "ValidationException", "distinct state machine version ARNs"),
            (routes((first, 50), (other, 50)), "ValidationException", "the same state machine"),
            (routes((machine, 100)), "ValidationException", "must contain state machine version ARNs"),
            (routes((f"{machine}:7", 100)), "ResourceNotFound", f"{machine}:7"),
            (routes((f"{machine}nt:1", 100)), "ResourceNotFound", f"{machine}nt:1"),
            ([], "ValidationException", "length greater than or equal to 1"),
            (routes((first, 50), (second, 25), (other, 25)), "ValidationException", "length less than or equal to 2"),
            (routes((first, 101)), "ValidationException", "less than or equal to 100"),
        ):
            error = await api.refused("CreateStateMachineAlias", name="a", routingConfiguration=wrong)
            assert (error.code, part in error.message) == (code, True), error
        assert (await api("ListStateMachineAliases", stateMachineArn=machine))["stateMachineAliases"] == []

    asyncio.run(main())


@pytest.mark.parametrize("name", ["17", "a b", "", "a:b", "x" * 81])
def test_a_name_that_aws_refuses_for_an_alias_is_refused(api: Any, name: str) -> None:
    async def main() -> None:
        first, _ = await versions(api)
        error = await api.refused("CreateStateMachineAlias", name=name, routingConfiguration=routes((first, 100)))
        assert error.code == "ValidationException"

    asyncio.run(main())


def test_a_machine_has_a_hundred_aliases_at_most(api: Any) -> None:
    async def main() -> None:
        first, _ = await versions(api)
        for number in range(aliases.MOST_ALIASES):
            await api("CreateStateMachineAlias", name=f"a{number}", routingConfiguration=routes((first, 100)))
        error = await api.refused("CreateStateMachineAlias", name="more", routingConfiguration=routes((first, 100)))
        assert error.code == "ServiceQuotaExceededException"
        await api("CreateStateMachineAlias", name="a0", routingConfiguration=routes((first, 100)))

    asyncio.run(main())


def test_a_machine_has_a_thousand_versions_at_most(api: Any) -> None:
    async def main() -> None:
        arn = (await versions(api, 1))[0].removesuffix(":1")
        for number in range(2, 1001):
            await api("UpdateStateMachine", stateMachineArn=arn, roleArn=f"arn:aws:iam::1:role/r{number}", publish=True)
        more = {"stateMachineArn": arn, "roleArn": "arn:aws:iam::1:role/more", "publish": True}
        assert (await api.refused("UpdateStateMachine", **more)).code == "ServiceQuotaExceededException"
        await api("DeleteStateMachineVersion", stateMachineVersionArn=f"{arn}:1")
        published = await api("PublishStateMachineVersion", stateMachineArn=arn)
        assert published["stateMachineVersionArn"] == f"{arn}:1001"

    asyncio.run(main())


def test_aliases_go_with_their_machine(api: Any) -> None:
    async def main() -> None:
        first, _ = await versions(api)
        machine = first.removesuffix(":1")
        made = await api("CreateStateMachineAlias", name="a", routingConfiguration=routes((first, 100)))
        alias = made["stateMachineAliasArn"]
        await api("StartExecution", stateMachineArn=await api.machine(state={"Type": "Fail"}, name="other"))
        await api("DeleteStateMachine", stateMachineArn=machine)
        assert (await api.refused("DescribeStateMachineAlias", stateMachineAliasArn=alias)).code == "ResourceNotFound"
        await versions(api)
        assert (await api.refused("StartExecution", stateMachineArn=alias)).code == "StateMachineDoesNotExist"

    asyncio.run(main())


def test_a_state_starts_another_machine_by_its_alias(api: Any) -> None:
    async def main() -> None:
        _, second = await versions(api)
        made = await api("CreateStateMachineAlias", name="a", routingConfiguration=routes((second, 100)))
        state = {
            "Type": "Task",
            "Resource": "arn:aws:states:::states:startExecution.sync:2",
            "Parameters": {"StateMachineArn": made["stateMachineAliasArn"]},
            "OutputPath": "$.Output",
            "End": True,
        }
        parent = await api.machine("parent", state)
        execution = (await api("StartExecution", stateMachineArn=parent))["executionArn"]
        await api.settle()
        assert (await api("DescribeExecution", executionArn=execution))["output"] == "2"

    asyncio.run(main())


def test_a_labelled_machine_arn_is_refused_by_name(api: Any) -> None:
    async def main() -> None:
        arn = await api.machine()
        for operation in ("StartExecution", "DescribeStateMachine", "UpdateStateMachine"):
            request = {"definition": api.definition(SUCCEED)} if operation == "UpdateStateMachine" else {}
            with pytest.raises(Exception, match="ValidationException: Labeled State Machine ARNs"):
                await api.service.call(operation, {"stateMachineArn": f"{arn}/label", **request})

    asyncio.run(main())
