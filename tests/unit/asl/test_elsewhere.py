"""Any well-formed definition, as other programs read it: those that draw it and those that check it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfini_celery.cloudformation import template
from sfini_celery.iam import Place, state_machine_policy
from sfini_celery.render import dot, mermaid, printable
from sfini_celery.render.graph import read_graph

Definitions = st.SearchStrategy[dict[str, Any]]
Npm = Callable[..., Path]

# What has to be looked at with care: the ends of strings, tags, comments, Markdown, entities, directions of writing.
TRICKY = [
    '"',
    "]",
    "</b>",
    "`",
    "%%",
    "1. x",
    "- x",
    "_x_",
    "&amp;",
    "#35;",
    "\\",
    "\n",
    "\u202e",
    "\ud83d",
    "end",
    "🐦",
]


def names_in(definition: dict[str, Any]) -> list[str]:
    names = []
    for name, state in definition["States"].items():
        names.append(name)
        inner = [*state.get("Branches", ()), *(state[key] for key in ("ItemProcessor", "Iterator") if key in state)]
        names += [each for machine in inner for each in names_in(machine)]
    return names


def some(definitions: Definitions, count: int) -> list[dict[str, Any]]:
    """The same few definitions in every run, for programs that take too long to start for each."""
    found: list[dict[str, Any]] = []

    @settings(max_examples=count, derandomize=True, database=None)
    @given(definitions)
    def collect(definition: dict[str, Any]) -> None:
        found.append(definition)

    collect()
    return found


def tricky() -> list[dict[str, Any]]:
    states = {f"{text}{number}": {"Type": "Pass", "End": True} for number, text in enumerate(TRICKY)}
    inner = {"StartAt": "self", "States": {"self": {"Type": "Choice", "Choices": [], "Default": "self"}}}
    around = {"Type": "Parallel", "Branches": [inner], "Catch": [{"ErrorEquals": TRICKY, "Next": "me"}], "Next": "me"}
    return [
        *(
            {"StartAt": text, "States": {text: {"Type": kind, "End": True}}}
            for text in TRICKY
            for kind in ("Task", "Wait")
        ),
        {"StartAt": next(iter(states)), "States": states},
        {"StartAt": "me", "States": {"me": around}},
    ]


def run_node(folder: Path, script: str, data: Any, tmp_path: Path) -> Any:
    (tmp_path / "data.json").write_text(json.dumps(data))
    (folder / "check.mjs").write_text(script)
    done = subprocess.run(
        ["node", "check.mjs", str(tmp_path / "data.json")], cwd=folder, capture_output=True, text=True, timeout=250
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("draw", [mermaid, dot])
def test_any_definition_is_drawn_with_every_state_in_it_once(
    definitions: Definitions, draw: Callable[[dict[str, Any]], str]
) -> None:
    @given(definitions)
    def check(definition: dict[str, Any]) -> None:
        lines = draw(definition).splitlines()
        nodes = list(read_graph(definition).nodes())
        assert sorted(node.name for node in nodes) == sorted(names_in(definition))
        for node in nodes:
            drawn = [line for line in lines if re.match(rf" *(subgraph (cluster_)?)?{node.id}[\W]", line)]
            declared = [line for line in drawn if not re.search(r"^ *\w+ -", line)]
            # Graphviz has edges between nodes only: a box stands for its state together with a point inside it.
            assert len(declared) == (2 if node.machines and draw is dot else 1), declared

    check()


def test_a_policy_can_be_computed_for_any_definition(definitions: Definitions) -> None:
    @given(definitions)
    def check(definition: dict[str, Any]) -> None:
        document = state_machine_policy({"machine": definition}, Place("aws", "eu-west-1", "123456789012")).to_dict()
        for statement in (document or {"Statement": []})["Statement"]:
            assert statement["Action"]
            assert all(resource == "*" or resource.startswith("arn:aws:") for resource in statement["Resource"])

    check()


def test_any_definition_comes_out_of_a_cloudformation_template_as_it_went_in(definitions: Definitions) -> None:
    activity = "arn:aws:states:us-east-1:123456789012:activity:add"
    values = {
        "AddActivity": activity,
        "AWS::Partition": "aws",
        "AWS::Region": "us-east-1",
        "AWS::AccountId": "123456789012",
    }

    @given(definitions)
    def check(definition: dict[str, Any]) -> None:
        told = template({"m": definition}, activities=["add"], made_for=activity, policy=None, trust={})
        text = told["Resources"]["MStateMachine"]["Properties"]["DefinitionString"]["Fn::Sub"]
        assert json.loads(re.sub(r"\$\{([^{}]+)\}", lambda found: values[found[1]], text)) == definition

    check()


MERMAID = """
import fs from 'fs';
import { JSDOM } from 'jsdom';
const { window } = new JSDOM('<body></body>');
globalThis.window = window;
globalThis.document = window.document;
// Enough of a browser for Mermaid to lay out: every text is as large as any other.
Object.assign(window.SVGElement.prototype, {
  getBBox: () => ({ x: 0, y: 0, width: 100, height: 20 }),
  getComputedTextLength: () => 50,
});
// A line that meets no border here ends at a node, label and all.
globalThis.btoa = (text) => Buffer.from(text).toString('base64');
for (const name of ['Element', 'SVGElement', 'HTMLElement', 'Node', 'DOMParser', 'XMLSerializer', 'CSSStyleSheet'])
  globalThis[name] ??= window[name];
const mermaid = (await import('mermaid')).default;
mermaid.initialize({ startOnLoad: false });
const told = [];
for (const [index, text] of JSON.parse(fs.readFileSync(process.argv[2])).entries()) {
  try {
    const { svg } = await mermaid.render(`graph${index}`, text);
    const drawn = new window.DOMParser().parseFromString(svg, 'text/html');
    told.push([...drawn.querySelectorAll('.nodeLabel')].map((each) => each.textContent));
  } catch (error) {
    told.push(String(error).slice(0, 500));
  }
}
console.log(JSON.stringify(told));
process.exit(0);
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_mermaid_draws_any_definition_and_its_labels_are_the_names(
    definitions: Definitions, npm: Npm, tmp_path: Path
) -> None:
    if not os.environ.get("SFINI_MERMAID"):
        pytest.skip("SFINI_MERMAID is not set: Mermaid is 200 MB to install")
    folder = npm("mermaid@11", "jsdom@26")
    hard = tricky()
    drawn = run_node(folder, MERMAID, [mermaid(each) for each in (*hard, *some(definitions, 40))], tmp_path)
    assert [each for each in drawn if isinstance(each, str)] == []
    for definition, labels in zip(hard, drawn, strict=False):
        squeezed = {re.sub(r"\s+", "", label) for label in labels}
        for name in definition["States"]:
            expected = re.sub(r"\s+", "", printable(name))
            assert any(label.startswith(expected) for label in squeezed), (name, labels)


VIZ = """
import fs from 'fs';
import { instance } from '@viz-js/viz';
const viz = await instance();
const told = JSON.parse(fs.readFileSync(process.argv[2])).map((text) => {
  const { status, errors } = viz.render(text);
  const wrong = errors.map((each) => each.message).filter((each) => !each.includes('Falling back')); // it has no fonts
  return [status, wrong];
});
console.log(JSON.stringify(told));
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_graphviz_draws_any_definition_without_a_warning(
    definitions: Definitions, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    texts = [dot(each) for each in (*tricky(), *some(definitions, 40))]
    if shutil.which("dot"):
        for text in texts:
            drawn = subprocess.run(["dot", "-Tsvg"], input=text, capture_output=True, text=True, timeout=60)
            assert (drawn.returncode, drawn.stderr) == (0, ""), text
        return
    folder = request.getfixturevalue("npm")("@viz-js/viz@3")
    assert run_node(folder, VIZ, texts, tmp_path) == [["success", []]] * len(texts)


ASL_VALIDATOR = """
import fs from 'fs';
import validate from 'asl-validator';
const told = JSON.parse(fs.readFileSync(process.argv[2])).map((definition) => {
  const { isValid, errors } = validate(definition);
  return isValid ? [] : errors.map((each) => each['Error code'] + ': ' + each.Message);
});
console.log(JSON.stringify(told));
"""

# Where its schema is narrower than AWS, which ran definitions that have these; see the recordings.
NARROWER = re.compile(
    r"""
    /Condition\ is\ invalid.\ must\ be\ string            # true and false are conditions as well
    | /(Output|Assign|Items|Arguments|ItemSelector)[ /]    # lists in lists, in JSONata
    | /States\ is\ invalid.\ must\ NOT\ have\ additional    # a new line in a name
    | ToleratedFailurePercentage\ is\ invalid              # 12.5
    """,
    re.VERBOSE,
)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_asl_validator_accepts_any_definition(definitions: Definitions, npm: Npm, tmp_path: Path) -> None:
    made = some(definitions, 60)
    told = run_node(npm("asl-validator@4"), ASL_VALIDATOR, made, tmp_path)
    refused = [
        (definition, [error for error in errors if not NARROWER.search(error)])
        for definition, errors in zip(made, told, strict=True)
    ]
    assert [errors for _, errors in refused if errors] == []
    assert sum(not errors for errors in told) > len(made) / 2
