"""Where the items of a distributed Map come from, alone or in batches, and where its results go."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sfini_celery.local.data import StateError
from sfini_celery.local.engine import MapRunStatus

READ, WRITE = "arn:aws:states:::s3:getObject", "arn:aws:states:::s3:putObject"


def test_items_come_in_batches_by_their_number_and_size(skipping: Any) -> None:
    async def main() -> None:
        async def batches(batcher: dict[str, Any], items: list[Any]) -> list[Any]:
            state = skipping.distributed({"Type": "Pass"}, ItemBatcher=batcher, ItemsPath="$.items")
            execution = await skipping.start({"M": state}, {"items": items, "n": 2, "text": "3"}).wait()
            assert execution.status == "SUCCEEDED", execution.cause
            return execution.output.value

        assert await batches({"MaxItemsPerBatch": 2}, [1, 2, 3]) == [{"Items": [1, 2]}, {"Items": [3]}]
        assert await batches({"MaxItemsPerBatchPath": "$.n"}, [1, 2, 3]) == [{"Items": [1, 2]}, {"Items": [3]}]
        assert await batches({"MaxItemsPerBatchPath": "$.text"}, [1, 2, 3]) == [{"Items": [1, 2, 3]}]
        assert await batches({"MaxItemsPerBatch": 2, "BatchInput": {"n.$": "$.n"}}, [1]) == [
            {"BatchInput": {"n": 2}, "Items": [1]}
        ]
        # {"Items":["aaaa","aaaa"]} is 25 bytes long.
        assert await batches({"MaxInputBytesPerBatch": 25}, ["aaaa"] * 3) == [
            {"Items": ["aaaa"] * 2},
            {"Items": ["aaaa"]},
        ]
        assert await batches({"MaxInputBytesPerBatch": 24}, ["aaaa"] * 2) == [{"Items": ["aaaa"]}] * 2
        assert await batches({"MaxItemsPerBatch": 9}, []) == []

    asyncio.run(main())


def test_a_failed_batch_counts_with_all_its_items(world: Any) -> None:
    async def main() -> None:
        batcher = {"MaxItemsPerBatch": 4}
        state = world.distributed(world.task(), ItemBatcher=batcher, ToleratedFailureCount=4)
        execution = world.start({"M": state}, list(range(10)))
        await world.answer(None, "1")
        assert execution.status == "RUNNING"
        assert world.map_run.counts(items=True)["failed"] == 4
        assert world.map_run.counts(items=False)["total"] == 3
        await world.answer(None)
        assert execution.error == "States.ExceedToleratedFailureThreshold"

    asyncio.run(main())


def test_an_item_too_large_for_a_batch_fails_the_run(skipping: Any) -> None:
    async def main() -> None:
        state = skipping.distributed({"Type": "Pass"}, ItemBatcher={"MaxInputBytesPerBatch": 20})
        execution = await skipping.start({"M": state}, ["a" * 30]).wait()
        assert execution.error == "States.DataLimitExceeded"

    asyncio.run(main())


def test_items_are_read_and_results_written_through_integrations(skipping: Any) -> None:
    async def main() -> None:
        stored: dict[str, str] = {}

        async def read(call: Any) -> Any:
            assert call.parameters == {"Bucket": "b", "Key": "k"}
            return {"Body": b'{"n": 1}\n{"n": 2}\n\n{"n": 3}'}

        async def write(call: Any) -> Any:
            stored[call.parameters["Key"]] = call.parameters["Body"]
            return {}

        skipping.engine.integrations.register(READ, read)
        skipping.engine.integrations.register(WRITE, write)
        reader = {
            "Resource": READ,
            "ReaderConfig": {"InputType": "JSONL", "MaxItems": 2},
            "Parameters": {"Bucket": "b", "Key.$": "$.key"},
        }
        writer = {"Resource": WRITE, "Parameters": {"Bucket": "out", "Prefix": "p"}}
        state = skipping.distributed({"Type": "Pass"}, ItemReader=reader, ResultWriter=writer)
        execution = await skipping.start({"M": state}, {"key": "k"}).wait()
        run = skipping.map_run
        manifest = f"p/{run.id}/manifest.json"
        assert execution.output.value == {
            "MapRunArn": run.arn,
            "ResultWriterDetails": {"Bucket": "out", "Key": manifest},
        }
        assert set(stored) == {manifest, f"p/{run.id}/SUCCEEDED_0.json"}
        assert run.counts(items=False)["resultsWritten"] == 2

    asyncio.run(main())


@pytest.mark.parametrize(
    ("body", "config", "cause"),
    [
        ("{}", {}, "Attempting to map over non-iterable node."),
        ("a,a\n1,2", {"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW"}, "CSV headers cannot contain duplicates."),
        ('{"a": {"b": [1]}}', {"ItemsPointer": "/a/c"}, "The ItemsPointer /a/c points to nothing."),
        ("[1", {}, "Expecting ',' delimiter: line 1 column 3 (char 2)"),
        ("[1, 2]", {"MaxItemsPath": "$.n"}, "field MaxItems must be positive"),
        (None, {}, "no such key"),
    ],
)
def test_what_cannot_be_read_fails_the_run_by_name(
    skipping: Any, details: Any, body: str | None, config: Any, cause: str
) -> None:
    async def main() -> None:
        async def read(call: Any) -> Any:
            if body is None:
                raise StateError("S3.NoSuchKeyException", "no such key")
            return {"Body": body}

        skipping.engine.integrations.register(READ, read)
        reader = {"Resource": READ, "ReaderConfig": {"InputType": "JSON", **config}}
        states = {"M": skipping.distributed({"Type": "Pass"}, ItemReader=reader)}
        execution = await skipping.start(states, {"n": -1}).wait()
        assert (execution.error, execution.cause) == ("States.ItemReaderFailed", cause)
        assert details(execution, "MapRunFailed")["cause"] == cause

    asyncio.run(main())


def test_a_reader_without_an_integration_is_said_to_be_unsupported(skipping: Any) -> None:
    async def main() -> None:
        execution = await skipping.start(
            {"M": skipping.distributed({"Type": "Pass"}, ItemReader={"Resource": READ})}
        ).wait()
        assert execution.error == "States.Runtime"
        assert f"no integration for the resource '{READ}' of the ItemReader of the state 'M'" in execution.cause

    asyncio.run(main())


def test_a_crash_while_reading_ends_the_run_loudly(skipping: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async def read(call: Any) -> Any:
            raise ZeroDivisionError

        skipping.engine.integrations.register(READ, read)
        execution = await skipping.start(
            {"M": skipping.distributed({"Type": "Pass"}, ItemReader={"Resource": READ})}
        ).wait()
        assert execution.error == "States.Runtime"
        assert skipping.map_run.status is MapRunStatus.FAILED
        assert "ZeroDivisionError" in caplog.text

    asyncio.run(main())
