"""State machines, versions and tags over the API."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from sfini_celery.local.service import definitions

ROLE = "arn:aws:iam::123456789012:role/states"
OTHER_ROLE = "arn:aws:iam::123456789012:role/other"
SUCCEED = {"Type": "Succeed"}
ARN = "arn:aws:states:us-east-1:123456789012:stateMachine:"


def test_creating_the_same_machine_again_answers_as_the_first_time(api: Any, definition: Any) -> None:
    async def main() -> None:
        first = await api("CreateStateMachine", name="m", definition=definition(), roleArn=ROLE)
        await api.clock.advance(100)
        spaced = json.dumps(json.loads(definition()), indent=4)
        again = await api("CreateStateMachine", name="m", definition=spaced, roleArn=OTHER_ROLE, tags=[{"key": "a"}])
        assert again == first == {"stateMachineArn": ARN + "m", "creationDate": 1_700_000_000.0}
        described = await api("DescribeStateMachine", stateMachineArn=ARN + "m")
        assert described["roleArn"] == ROLE
        assert (await api("ListTagsForResource", resourceArn=ARN + "m"))["tags"] == []

    asyncio.run(main())


@pytest.mark.parametrize(
    "changes",
    [
        {"definition": '{"StartAt": "S", "States": {"S": {"Type": "Succeed"}}}'},
        {"tracingConfiguration": {"enabled": True}},
        {"publish": True},
    ],
)
def test_a_used_name_with_other_content_is_refused(api: Any, definition: Any, changes: Any) -> None:
    async def main() -> None:
        await api.machine("m")
        request = {"name": "m", "definition": definition(), "roleArn": ROLE, **changes}
        error = await api.refused("CreateStateMachine", **request)
        assert (error.code, error.message) == ("StateMachineAlreadyExists", f"State Machine Already Exists: '{ARN}m'")

    asyncio.run(main())


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"name": "with space"}, "InvalidName"),
        ({"name": "a/b"}, "InvalidName"),
        ({"name": ""}, "ValidationException"),
        ({"name": "x" * 81}, "ValidationException"),
        ({"roleArn": "nonsense"}, "InvalidArn"),
        ({"definition": "{"}, "InvalidDefinition"),
        ({"definition": '{"StartAt": "A", "States": {"B": {"Type": "Succeed"}}}'}, "InvalidDefinition"),
        ({"type": "EXPRESS"}, "StateMachineTypeNotSupported"),
        ({"type": "OTHER"}, "ValidationException"),
        ({"versionDescription": "v"}, "ValidationException"),
        ({"roleArn": None}, "ValidationException"),
    ],
)
def test_a_machine_that_aws_would_refuse_is_refused_with_aws_code(
    api: Any, definition: Any, changes: Any, code: str
) -> None:
    async def main() -> None:
        request = {"name": "m", "definition": definition(), "roleArn": ROLE, **changes}
        assert (await api.refused("CreateStateMachine", **request)).code == code
        assert (await api("ListStateMachines"))["stateMachines"] == []

    asyncio.run(main())


def test_an_invalid_definition_says_everything_that_is_wrong_and_where(api: Any) -> None:
    async def main() -> None:
        states = {"A": {"Type": "Pass", "Next": "Nowhere"}, "B b": {"Type": "Pass"}}
        text = json.dumps({"StartAt": "A", "States": states})
        error = await api.refused("CreateStateMachine", name="m", definition=text, roleArn=ROLE)
        assert error.message.startswith("Invalid State Machine Definition: '")
        assert "MISSING_TRANSITION_TARGET: " in error.message
        assert " at /States/A/Next" in error.message
        assert "SCHEMA_VALIDATION_FAILED: " in error.message
        assert " at /States/B b" in error.message

    asyncio.run(main())


def distributed(**fields: Any) -> dict[str, Any]:
    config = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    processor = {"ProcessorConfig": config, "StartAt": "S", "States": {"S": SUCCEED}}
    return {"StartAt": "M", "States": {"M": {"Type": "Map", "End": True, "ItemProcessor": processor, **fields}}}


_READER = {"Resource": "arn:aws:states:::s3:getObject", "ReaderConfig": {"InputType": "PARQUET"}}
_WRITER = {"WriterConfig": {"OutputType": "JSON", "Transformation": "FLATTEN"}}


@pytest.mark.parametrize(
    ("definition", "place"),
    [
        (distributed(ItemReader=_READER), "/States/M/ItemReader/ReaderConfig/InputType"),
        (distributed(ResultWriter=_WRITER), "/States/M/ResultWriter/WriterConfig"),
    ],
)
def test_what_the_server_cannot_run_yet_is_refused_on_creation(api: Any, definition: Any, place: str) -> None:
    async def main() -> None:
        error = await api.refused("CreateStateMachine", name="m", definition=json.dumps(definition), roleArn=ROLE)
        assert error.code == "InvalidDefinition"
        assert "does not run" in error.message
        assert place in error.message

    asyncio.run(main())


_WHOLE = {"QueryLanguage": "JSONata", "StartAt": "S", "States": {"S": SUCCEED}}
_ONE_STATE = {"StartAt": "S", "States": {"S": {"Type": "Succeed", "QueryLanguage": "JSONata"}}}


@pytest.mark.parametrize(("definition", "place"), [(_WHOLE, "/QueryLanguage"), (_ONE_STATE, "/States/S/QueryLanguage")])
def test_jsonata_is_refused_on_creation_only_where_its_extra_is_missing(
    api: Any, definition: Any, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        request = {"name": "m", "definition": json.dumps(definition), "roleArn": ROLE}
        monkeypatch.setattr(definitions, "has_jsonata", lambda: False)
        error = await api.refused("CreateStateMachine", **request)
        assert error.code == "InvalidDefinition"
        assert f"pip install 'sfini_celery[jsonata]' at {place}" in error.message
        monkeypatch.setattr(definitions, "has_jsonata", lambda: True)
        await api("CreateStateMachine", **request)

    asyncio.run(main())


def test_an_update_changes_what_new_executions_run_and_not_what_runs(api: Any, definition: Any) -> None:
    async def main() -> None:
        arn = await api.machine()
        running = (await api("StartExecution", stateMachineArn=arn))["executionArn"]
        new = definition(SUCCEED)
        updated = await api("UpdateStateMachine", stateMachineArn=arn, definition=new, roleArn=OTHER_ROLE)
        assert updated["revisionId"]
        assert (await api("DescribeStateMachine", stateMachineArn=arn))["definition"] == new
        shown = await api("DescribeStateMachineForExecution", executionArn=running)
        assert (shown["definition"], shown["roleArn"]) == (definition(), ROLE)
        after = (await api("StartExecution", stateMachineArn=arn))["executionArn"]
        shown = await api("DescribeStateMachineForExecution", executionArn=after)
        assert (shown["definition"], shown["revisionId"]) == (new, updated["revisionId"])

    asyncio.run(main())


def test_an_update_without_a_change_keeps_the_revision(api: Any, definition: Any) -> None:
    async def main() -> None:
        arn = await api.machine()
        first = await api("UpdateStateMachine", stateMachineArn=arn, roleArn=OTHER_ROLE)
        second = await api("UpdateStateMachine", stateMachineArn=arn, roleArn=OTHER_ROLE, definition=definition())
        assert second["revisionId"] == first["revisionId"]
        error = await api.refused("UpdateStateMachine", stateMachineArn=arn)
        assert error.code == "MissingRequiredParameter"
        error = await api.refused("UpdateStateMachine", stateMachineArn=arn, definition="{}")
        assert error.code == "InvalidDefinition"
        assert (await api.refused("UpdateStateMachine", stateMachineArn=ARN + "no", definition=definition())).code == (
            "StateMachineDoesNotExist"
        )

    asyncio.run(main())


def test_an_execution_of_a_version_runs_what_was_published(api: Any, definition: Any) -> None:
    async def main() -> None:
        arn = await api.machine(publish=True, versionDescription="first")
        published = await api("UpdateStateMachine", stateMachineArn=arn, definition=definition(SUCCEED), publish=True)
        assert published["stateMachineVersionArn"] == f"{arn}:2"
        started = await api("StartExecution", stateMachineArn=f"{arn}:1", name="old")
        await api.settle()
        described = await api("DescribeExecution", executionArn=started["executionArn"])
        assert (described["status"], described["stateMachineVersionArn"]) == ("RUNNING", f"{arn}:1")
        assert described["executionArn"].endswith(":execution:machine:old")
        shown = await api("DescribeStateMachine", stateMachineArn=f"{arn}:1")
        assert (shown["definition"], shown["description"]) == (definition(), "first")
        listed = await api("ListExecutions", stateMachineArn=f"{arn}:2")
        assert listed["executions"] == []
        listed = await api("ListExecutions", stateMachineArn=f"{arn}:1")
        assert [execution["name"] for execution in listed["executions"]] == ["old"]

    asyncio.run(main())


def test_publishing_a_revision_twice_gives_one_version_and_numbers_are_not_used_again(api: Any) -> None:
    async def main() -> None:
        arn = await api.machine()
        first = await api("PublishStateMachineVersion", stateMachineArn=arn, description="one")
        assert first["stateMachineVersionArn"] == f"{arn}:1"
        assert await api("PublishStateMachineVersion", stateMachineArn=arn) == first
        await api("DeleteStateMachineVersion", stateMachineVersionArn=f"{arn}:1")
        again = await api("PublishStateMachineVersion", stateMachineArn=arn)
        assert again["stateMachineVersionArn"] == f"{arn}:2"
        error = await api.refused("PublishStateMachineVersion", stateMachineArn=arn, revisionId="other")
        assert error.code == "ConflictException"
        assert (await api.refused("StartExecution", stateMachineArn=f"{arn}:1")).code == "StateMachineDoesNotExist"

    asyncio.run(main())


def test_versions_are_listed_newest_first_in_pages(api: Any) -> None:
    async def main() -> None:
        arn = await api.machine()
        for number in range(3):
            role = f"arn:aws:iam::123456789012:role/r{number}"
            await api("UpdateStateMachine", stateMachineArn=arn, roleArn=role, publish=True)
        page = await api("ListStateMachineVersions", stateMachineArn=arn, maxResults=2)
        rest = await api("ListStateMachineVersions", stateMachineArn=arn, nextToken=page["nextToken"])
        listed = [*page["stateMachineVersions"], *rest["stateMachineVersions"]]
        assert [version["stateMachineVersionArn"][-2:] for version in listed] == [":3", ":2", ":1"]
        assert "nextToken" not in rest

    asyncio.run(main())


def test_a_deleted_machine_is_gone_and_its_name_free(api: Any, definition: Any) -> None:
    async def main() -> None:
        arn = await api.machine()
        await api("DeleteStateMachine", stateMachineArn=arn)
        await api("DeleteStateMachine", stateMachineArn=arn)
        assert (await api.refused("DescribeStateMachine", stateMachineArn=arn)).code == "StateMachineDoesNotExist"
        assert (await api.refused("StartExecution", stateMachineArn=arn)).code == "StateMachineDoesNotExist"
        await api.machine(state=SUCCEED)

    asyncio.run(main())


def test_deleting_a_machine_ends_its_executions_at_their_next_state(api: Any) -> None:
    async def main() -> None:
        states = {"W": {"Type": "Wait", "Seconds": 60, "Next": "P"}, "P": {"Type": "Pass", "End": True}}
        text = json.dumps({"StartAt": "W", "States": states})
        arn = (await api("CreateStateMachine", name="m", definition=text, roleArn=ROLE))["stateMachineArn"]
        execution = (await api("StartExecution", stateMachineArn=arn))["executionArn"]
        await api.settle()
        await api("DeleteStateMachine", stateMachineArn=arn)
        assert (await api("DescribeStateMachine", stateMachineArn=arn))["status"] == "DELETING"
        assert (await api.refused("StartExecution", stateMachineArn=arn)).code == "StateMachineDeleting"
        await api.clock.advance(60)
        assert (await api("DescribeExecution", executionArn=execution))["status"] == "ABORTED"
        assert (await api.refused("DescribeStateMachine", stateMachineArn=arn)).code == "StateMachineDoesNotExist"

    asyncio.run(main())


@pytest.mark.parametrize(
    "arn",
    [
        "nonsense",
        "arn:aws:s3:::bucket",
        "arn:aws:states:us-east-1:123456789012:activity:a",
        "arn:aws:states:us-east-1:123456789012:execution:m:e",
    ],
)
def test_an_arn_of_something_else_is_invalid_and_not_unknown(api: Any, arn: str) -> None:
    async def main() -> None:
        for operation in ("DescribeStateMachine", "StartExecution", "DeleteStateMachine", "ListStateMachineVersions"):
            assert (await api.refused(operation, stateMachineArn=arn)).code == "InvalidArn"

    asyncio.run(main())


def test_definitions_are_validated_without_being_registered(api: Any, definition: Any) -> None:
    async def main() -> None:
        good = await api("ValidateStateMachineDefinition", definition=definition())
        assert (good["result"], good["diagnostics"]) == ("OK", [])
        bad = json.dumps({"StartAt": "S", "States": {"S": {"Type": "Pass", "Next": "Nowhere"}}})
        answer = await api("ValidateStateMachineDefinition", definition=bad, maxResults=1)
        assert answer["result"] == "FAIL"
        assert answer["diagnostics"][0]["location"].startswith("/States/S")
        assert (await api("ValidateStateMachineDefinition", definition="nonsense"))["result"] == "FAIL"

    asyncio.run(main())


def test_tags_are_added_changed_listed_and_taken_away(api: Any) -> None:
    async def main() -> None:
        machine = await api.machine(tags=[{"key": "team", "value": "a"}])
        activity = await api.activity()
        for arn in (machine, activity):
            await api("TagResource", resourceArn=arn, tags=[{"key": "team", "value": "b"}, {"key": "x"}])
            listed = (await api("ListTagsForResource", resourceArn=arn))["tags"]
            assert listed == [{"key": "team", "value": "b"}, {"key": "x", "value": ""}]
            await api("UntagResource", resourceArn=arn, tagKeys=["x", "never"])
            assert len((await api("ListTagsForResource", resourceArn=arn))["tags"]) == 1
        many = [{"key": f"k{number}"} for number in range(51)]
        assert (await api.refused("TagResource", resourceArn=machine, tags=many)).code == "TooManyTags"
        missing = await api.refused("ListTagsForResource", resourceArn=machine + "-missing")
        assert missing.code == "ResourceNotFound"

    asyncio.run(main())


def test_lists_of_machines_survive_changes_between_pages(api: Any) -> None:
    async def main() -> None:
        for number in range(5):
            await api.machine(f"m{number}")
        page = await api("ListStateMachines", maxResults=2)
        await api("DeleteStateMachine", stateMachineArn=ARN + "m0")
        await api.machine("m5")
        rest = await api("ListStateMachines", nextToken=page["nextToken"])
        names = [machine["name"] for machine in (*page["stateMachines"], *rest["stateMachines"])]
        assert names == ["m0", "m1", "m2", "m3", "m4", "m5"]

    asyncio.run(main())


@pytest.mark.parametrize("token", ["nonsense", "bnVsbA==", "WzEsMl0=", "é"])
def test_a_made_up_page_token_is_refused(api: Any, token: str) -> None:
    async def main() -> None:
        await api.machine()
        assert (await api.refused("ListStateMachines", nextToken=token)).code == "InvalidToken"

    asyncio.run(main())


def test_a_page_token_of_another_list_is_refused(api: Any) -> None:
    async def main() -> None:
        await api.machine("a")
        await api.machine("b")
        token = (await api("ListStateMachines", maxResults=1))["nextToken"]
        assert (await api.refused("ListActivities", nextToken=token)).code == "InvalidToken"

    asyncio.run(main())


def test_a_machine_that_is_being_deleted_takes_no_changes(api: Any, definition: Any) -> None:
    async def main() -> None:
        arn = await api.machine("m")
        await api("StartExecution", stateMachineArn=arn)
        await api("DeleteStateMachine", stateMachineArn=arn)
        create = {"name": "m", "definition": definition(), "roleArn": ROLE}
        for operation, request in (
            ("CreateStateMachine", create),
            ("UpdateStateMachine", {"stateMachineArn": arn, "roleArn": OTHER_ROLE}),
            ("PublishStateMachineVersion", {"stateMachineArn": arn}),
        ):
            assert (await api.refused(operation, **request)).code == "StateMachineDeleting"

    asyncio.run(main())


def test_an_alias_is_unknown_and_a_version_is_not_updated(api: Any) -> None:
    async def main() -> None:
        arn = await api.machine(publish=True)
        assert (await api.refused("StartExecution", stateMachineArn=f"{arn}:PROD")).code == "StateMachineDoesNotExist"
        changed = {"stateMachineArn": f"{arn}:1", "roleArn": OTHER_ROLE}
        assert (await api.refused("UpdateStateMachine", **changed)).code == "InvalidArn"
        unversioned = await api.refused("DeleteStateMachineVersion", stateMachineVersionArn=arn)
        assert unversioned.code == "ValidationException"

    asyncio.run(main())
