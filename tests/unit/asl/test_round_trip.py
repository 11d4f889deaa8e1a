"""Reading and writing change nothing, whatever the definition."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sfini_celery.asl import StateMachine, lint
from sfini_celery.errors import SfiniError


def exact(value: object) -> str:
    """As text, in which 1, 1.0 and true differ."""
    return json.dumps(value, sort_keys=True)


@given(data=st.data())
def test_a_well_formed_definition_is_written_as_it_was_read(
    data: st.DataObject, definitions: st.SearchStrategy[Any]
) -> None:
    definition = data.draw(definitions)
    before = exact(definition)
    machine = StateMachine.from_dict("machine", definition)
    assert exact(machine.to_dict()) == before
    assert exact(StateMachine.from_json("machine", machine.to_json(indent=2)).to_dict()) == before
    assert exact(definition) == before


@given(data=st.data())
def test_what_lint_accepts_can_be_read_and_what_cannot_be_read_lint_refuses(
    data: st.DataObject, definitions: st.SearchStrategy[Any], any_json: st.SearchStrategy[Any]
) -> None:
    definition = data.draw(definitions)
    places = list(_places(definition))
    for _ in range(data.draw(st.integers(1, 2))):
        *way, last = data.draw(st.sampled_from(places))
        _change(definition, way, last, data.draw(any_json | st.just(...)))
    errors = [finding for finding in lint(definition) if finding.severity == "error"]
    try:
        written = StateMachine.from_dict("machine", definition).to_dict()
    except SfiniError as error:
        assert errors, f"lint accepts what cannot be read: {error}"
    else:
        assert errors or exact(written) == exact(definition)


def _places(value: Any, way: tuple[Any, ...] = ()) -> Any:
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        yield (*way, step)
        yield from _places(inner, (*way, step))


def _change(definition: Any, way: list[Any], last: Any, value: Any) -> None:
    """Set or (for an ellipsis) remove what is there; an earlier change may have removed the place itself."""
    try:
        for step in way:
            definition = definition[step]
        if value is ...:
            del definition[last]
        elif not isinstance(definition, str):
            definition[last] = value
    except (KeyError, IndexError, TypeError):
        return


def test_every_definition_aws_accepted_is_written_as_it_was_read(shared: Path) -> None:
    cases = json.loads((shared / "aws-recordings" / "cases.json").read_text())
    assert len(cases) > 300
    for case in cases:
        definition = json.loads(case["definition_text"])
        assert exact(StateMachine.from_dict("machine", definition).to_dict()) == exact(definition), case["id"]
