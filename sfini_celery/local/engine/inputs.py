"""What the child executions of a Map run get: an item each, or a batch of items each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sfini_celery.local.data import DataError
from sfini_celery.local.engine.failure import DATA_LIMIT_EXCEEDED, too_large
from sfini_celery.local.engine.maprun import Inputs
from sfini_celery.local.engine.payload import LARGEST_PAYLOAD, Payload, is_too_large, joined
from sfini_celery.local.engine.visit import Visit

__all__ = ["inputs_of"]


def inputs_of(visit: Visit, effective: Payload, items: Sequence[Any]) -> Inputs:
    """What a distributed Map's children get.

    Raises:
        StateError: a batch cannot be made
    """
    if "ItemBatcher" in visit.state:
        return _Batches(visit, effective, items)
    return _Items(effective, items)


class _Items:
    """An item each, made when its child starts: there may be thousands that wait."""

    def __init__(self, effective: Payload, items: Sequence[Any]) -> None:
        self.total = len(items)
        self._effective, self._items = effective, items

    def __len__(self) -> int:
        return self.total

    def weight(self, place: int) -> int:
        return 1

    def make(self, visit: Visit, place: int) -> Payload:
        return _selected(visit, self._effective, place, self._items[place])


class _Batches:
    """Batches, all made at once: how many there are depends on how large the items are."""

    def __init__(self, visit: Visit, effective: Payload, items: Sequence[Any]) -> None:
        self.total = len(items)
        self._batches = list(_batches(visit, effective, items))

    def __len__(self) -> int:
        return len(self._batches)

    def weight(self, place: int) -> int:
        return self._batches[place][1]

    def make(self, visit: Visit, place: int) -> Payload:
        return self._batches[place][0]


def _batches(visit: Visit, effective: Payload, items: Sequence[Any]) -> Iterator[tuple[Payload, int]]:
    batcher = visit.state["ItemBatcher"]
    most = visit.nested_number("ItemBatcher", batcher, "MaxItemsPerBatch", effective) or len(items)
    most_bytes = visit.nested_number("ItemBatcher", batcher, "MaxInputBytesPerBatch", effective) or LARGEST_PAYLOAD
    shared = visit.batch_input(effective)
    head = f'{{"BatchInput":{shared.text},"Items":' if shared is not None else '{"Items":'
    empty = _size(head) + len("[]}") - len(",")
    batch: list[Payload] = []
    size = empty
    for index, item in enumerate(items):
        selected = _selected(visit, effective, index, item)
        length = _size(selected.text) + len(",")
        if batch and (len(batch) == most or size + length > most_bytes):
            yield _batch(head, batch), len(batch)
            batch, size = [], empty
        if size + length > most_bytes:
            raise DataError(DATA_LIMIT_EXCEEDED, f"The item {index} is too large for a batch of {most_bytes} bytes.")
        batch.append(selected)
        size += length
    if batch:
        yield _batch(head, batch), len(batch)


def _batch(head: str, items: Sequence[Payload]) -> Payload:
    return Payload(f"{head}{joined(items).text}}}")


def _selected(visit: Visit, effective: Payload, index: int, item: Any) -> Payload:
    selected = visit.item(effective, index, item)
    if is_too_large(selected.text):
        raise too_large(visit.name)
    return selected


def _size(text: str) -> int:
    return len(text.encode())
