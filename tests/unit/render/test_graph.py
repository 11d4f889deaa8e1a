from __future__ import annotations

from typing import Any

import pytest

from sfini_celery.render import dot, mermaid
from sfini_celery.render.conditions import condition_text
from sfini_celery.render.graph import read_graph

ARN = "arn:aws:states:us-east-1:123456789012:activity:proj.add"
DEFINITION: dict[str, Any] = {
    "StartAt": "big?",
    "States": {
        "big?": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.total", "NumericGreaterThan": 100, "Next": "fan out"}],
            "Default": "small",
        },
        "small": {"Type": "Pass", "End": True},
        "fan out": {
            "Type": "Parallel",
            "Branches": [
                {"StartAt": "add", "States": {"add": {"Type": "Task", "Resource": ARN, "End": True}}},
                {
                    "StartAt": "each",
                    "States": {
                        "each": {
                            "Type": "Map",
                            "ItemProcessor": {
                                "StartAt": "wait",
                                "States": {"wait": {"Type": "Wait", "Seconds": 10, "End": True}},
                            },
                            "End": True,
                        }
                    },
                },
            ],
            "Catch": [{"ErrorEquals": ["ValueError", "States.Timeout"], "Next": "give up"}],
            "Next": "small",
        },
        "give up": {"Type": "Fail", "Error": "Broken"},
    },
}

MERMAID = """\
flowchart TD
  start((" "))
  s_big{"big#63;"}
  s_small("small")
  subgraph s_fan_out["fan out<br/>Parallel"]
    direction TD
    subgraph m_fan_out_1["branch 1"]
      direction TD
      s_add["add<br/>proj.add"]
    end
    subgraph m_fan_out_2["branch 2"]
      direction TD
      subgraph s_each["each<br/>Map"]
        direction TD
        subgraph m_each_1["each item"]
          direction TD
          s_wait[/"wait<br/>wait 10 s"/]
        end
      end
    end
  end
  s_give_up(["give up<br/>Broken"])
  finish(((" ")))
  start --> s_big
  s_big -->|"$.total #62; 100"| s_fan_out
  s_big -->|"otherwise"| s_small
  s_fan_out --> s_small
  s_fan_out -.->|"ValueError, States.Timeout"| s_give_up
  s_small --> finish
  classDef first stroke-width:3px
  class s_add,s_each,s_wait first
  classDef failing stroke:#c33,color:#c33
  class s_give_up failing"""

DOT = """\
digraph {
  compound=true rankdir=TB
  node [shape=box fontname="Helvetica"] edge [fontname="Helvetica"]
  start [shape=circle style=filled fillcolor=black width=0.2 label=""]
  s_big [label="big?" shape=diamond]
  s_small [label="small" shape=box style="rounded"]
  subgraph cluster_s_fan_out {
    label="fan out\\nParallel"
    s_fan_out [shape=point width=0.1]
    subgraph cluster_m_fan_out_1 {
      label="branch 1" style=dotted
      s_add [label="add\\nproj.add" penwidth=3]
    }
    subgraph cluster_m_fan_out_2 {
      label="branch 2" style=dotted
      subgraph cluster_s_each {
        label="each\\nMap" penwidth=3
        s_each [shape=point width=0.1]
        subgraph cluster_m_each_1 {
          label="each item" style=dotted
          s_wait [label="wait\\nwait 10 s" shape=parallelogram penwidth=3]
        }
      }
    }
  }
  s_give_up [label="give up\\nBroken" shape=oval color=red fontcolor=red]
  finish [shape=doublecircle style=filled fillcolor=black width=0.15 label=""]
  start -> s_big
  s_big -> s_fan_out [lhead=cluster_s_fan_out label="$.total > 100"]
  s_big -> s_small [label="otherwise"]
  s_fan_out -> s_small [ltail=cluster_s_fan_out]
  s_fan_out -> s_give_up [ltail=cluster_s_fan_out label="ValueError, States.Timeout" style=dashed]
  s_small -> finish
}"""


def test_a_definition_is_drawn_with_what_is_inside_its_states_inside_them() -> None:
    assert mermaid(DEFINITION) == MERMAID


def test_graphviz_gets_the_same_graph_in_its_own_words() -> None:
    assert dot(DEFINITION) == DOT


def test_one_state_more_is_a_line_more_and_no_other_id_changes() -> None:
    more = {**DEFINITION, "States": {"zero": {"Type": "Pass", "Next": "big?"}, **DEFINITION["States"]}}
    before, after = mermaid(DEFINITION).splitlines(), mermaid(more).splitlines()
    assert [line for line in after if line not in before] == ['  s_zero("zero")', "  s_zero --> s_big"]
    assert [line for line in before if line not in after] == []


def test_names_that_differ_only_in_what_an_id_cannot_have_are_two_nodes() -> None:
    states = {name: {"Type": "Pass", "End": True} for name in ("a b", "a_b", "a-b", "m", "é", "ü")}
    ids = [node.id for node in read_graph({"StartAt": "a b", "States": states}).nodes()]
    assert len(set(ids)) == len(states)


@pytest.mark.parametrize(
    "name",
    [
        'say "hi"',
        "a]b",
        "#35;",
        "<b>&amp;</b>",
        "`x`",
        "**x**",
        "_x_",
        "1. one",
        "- one",
        "x\n  y --> z",
        "\x1b[2J",
        "%%",
    ],
)
def test_a_name_cannot_end_its_label(name: str) -> None:
    drawn = mermaid({"StartAt": name, "States": {name: {"Type": "Task", "End": True}}}).splitlines()
    assert len(drawn) == 6
    label = drawn[2].partition('"')[2].rpartition('"')[0]
    assert not set(label) & set('"]<>&`*\x1b\n')
    quoted = dot({"StartAt": name, "States": {name: {"Type": "Task", "End": True}}}).splitlines()
    assert len(quoted) == 9
    assert "\x1b" not in quoted[4]


def test_a_long_label_is_cut() -> None:
    drawn = mermaid({"StartAt": "f", "States": {"f": {"Type": "Fail", "Error": "x" * 1000}}})
    assert max(map(len, drawn.splitlines())) < 120


@pytest.mark.parametrize(
    "definition",
    [
        {},
        {"States": []},
        {"StartAt": 3, "States": {"a": None, "b": {}, "c": {"Type": "Parallel"}, "d": {"Type": "Map"}}},
        {"States": {"a": {"Type": "Choice", "Choices": [None, {"Next": 7}], "Catch": {}, "Next": "nowhere"}}},
        {"States": {"m": {"Type": "Map", "ItemProcessor": 3}, "p": {"Type": "Parallel", "Branches": [1]}}},
    ],
)
def test_what_makes_no_sense_is_left_out(definition: dict[str, Any]) -> None:
    assert mermaid(definition).startswith("flowchart")
    assert dot(definition).endswith("}")


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ({"Variable": "$.a", "StringEquals": "x"}, '$.a == "x"'),
        ({"Variable": "$.a", "StringMatches": "log-*"}, '$.a matches "log-*"'),
        ({"Variable": "$.a", "NumericLessThanEqualsPath": "$.b"}, "$.a <= $.b"),
        ({"Variable": "$.a", "TimestampGreaterThanEquals": "2030-01-01T00:00:00Z"}, '$.a >= "2030-01-01T00:00:00Z"'),
        ({"Variable": "$.a", "BooleanEquals": True}, "$.a == true"),
        ({"Variable": "$.a", "IsNull": False}, "$.a is not null"),
        ({"Variable": "$.a", "IsTimestamp": True}, "$.a is timestamp"),
        ({"Condition": "{% $x > 3 %}"}, "$x > 3"),
        (
            {"And": [{"Variable": "$.a", "IsPresent": True}, {"Or": [{"Condition": "x"}, {"Condition": "y"}]}]},
            "$.a is present and (x or y)",
        ),
        ({"Not": {"Variable": "$.a", "NumericEquals": 1}}, "not ($.a == 1)"),
        ({"Variable": "$.a", "StringSmells": 1}, ""),
        (None, ""),
    ],
)
def test_a_choice_is_told_in_a_few_words(rule: Any, text: str) -> None:
    assert condition_text(rule) == text
