"""Definitions to test with: a strategy that makes any well-formed one, of every state type and field, nested."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import strategies as st

Definition = dict[str, Any]
Strategy = st.SearchStrategy[Any]

WORDS = st.text(st.characters(codec="utf-8"), max_size=8)
NUMBERS = st.integers(-(2**40), 2**40) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)
NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,5}", fullmatch=True)
STEPS = NAMES.map(".{}".format) | st.integers(0, 9).map("[{}]".format) | NAMES.map("['{}']".format)
PLAIN_PATHS = st.lists(STEPS, max_size=3).map(lambda steps: "$" + "".join(steps))
VARIABLES = st.sampled_from(["$total", "$order.id", "$x[0]"])
CONTEXT = st.sampled_from(["$$", "$$.Execution.Id", "$$.State.Name"])
REFERENCES = PLAIN_PATHS | VARIABLES
PATHS = REFERENCES | CONTEXT | st.sampled_from(["$..name", "$.a[*].b", "$.a[?(@.b > 1)]", "$.a[0:2]", "$['a b']"])
CALLS = st.sampled_from(["States.UUID()", "States.Format('it\\'s {}', $.name)", "States.Array($.a, $$.Execution.Id)"])
EXPRESSIONS = st.sampled_from(["{% $states.input %}", "{% $sum([1, 2]) %}", "{% $total > 3 %}"])
TIMES = st.sampled_from(["2030-01-31T12:00:00Z", "2016-03-05T21:29:29.243167252Z", "2030-01-31T12:00:00+05:30"])
SECONDS = st.integers(1, 99_999_999)
ARNS = st.sampled_from(
    [
        "arn:aws:states:us-east-1:123456789012:activity:add",
        "arn:aws:lambda:eu-west-1:123456789012:function:resize:3",
        "arn:aws:states:::sqs:sendMessage",
        "${FunctionArn}",
    ]
)
KINDS = ("Null", "Present", "Numeric", "String", "Boolean", "Timestamp")
ERRORS = st.sampled_from(["States.Timeout", "States.TaskFailed", "ValueError", "sfini.WorkerLost", "My.Error"])


def optional(**fields: Strategy) -> Strategy:
    return st.fixed_dictionaries({}, optional=fields)


@functools.cache
def templates(language: str) -> Strategy:
    if language == "JSONata":
        return EXPRESSIONS | st.dictionaries(NAMES, EXPRESSIONS | JSON, max_size=3)
    dynamic = st.dictionaries(NAMES.map("{}.$".format), PATHS | CALLS, max_size=2)
    static = st.dictionaries(NAMES, JSON | dynamic, max_size=2)
    return st.tuples(dynamic, static).map(lambda parts: {**parts[0], **parts[1]})


@functools.cache
def variables(language: str) -> Strategy:
    names = st.from_regex(r"[a-z]{1,9}", fullmatch=True).filter(lambda name: name != "states")
    if language == "JSONata":
        return st.dictionaries(names, EXPRESSIONS | JSON, max_size=2)
    return st.dictionaries(names.map("{}.$".format), PATHS | CALLS, max_size=2)


def either(language: str, literal: Strategy) -> Strategy:
    return literal | EXPRESSIONS if language == "JSONata" else literal


def one_of_each(draw: st.DrawFn, language: str, *names: str, literal: Strategy) -> Definition:
    """For each name: nothing, the number, or in JSONPath the path of it."""
    fields: Definition = {}
    for name in names:
        forms = [None, name] + ([f"{name}Path"] if language == "JSONPath" else [])
        form = draw(st.sampled_from(forms))
        if form is not None:
            fields[form] = draw(REFERENCES if form.endswith("Path") else either(language, literal))
    return fields


@functools.cache
def rules(language: str, *, depth: int = 2) -> Strategy:
    """The tests of choice rules, without where they go."""
    if language == "JSONata":
        return st.fixed_dictionaries({"Condition": EXPRESSIONS | st.booleans()})
    compared = ("Equals", "LessThan", "GreaterThan", "LessThanEquals", "GreaterThanEquals")
    values = {
        **{f"String{how}": WORDS for how in compared},
        **{f"Numeric{how}": NUMBERS for how in compared},
        **{f"Timestamp{how}": TIMES for how in compared},
        "BooleanEquals": st.booleans(),
    }
    values.update({f"{name}Path": REFERENCES | CONTEXT for name in list(values)})
    values["StringMatches"] = WORDS
    values.update({f"Is{kind}": st.booleans() for kind in KINDS})
    comparison = st.sampled_from(sorted(values)).flatmap(
        lambda name: st.fixed_dictionaries({"Variable": REFERENCES | CONTEXT, name: values[name]})
    )
    if depth == 0:
        return comparison
    inner = rules(language, depth=depth - 1)
    joined = st.fixed_dictionaries({"And": st.lists(inner, min_size=1, max_size=2)}) | st.fixed_dictionaries(
        {"Or": st.lists(inner, min_size=1, max_size=2)}
    )
    return comparison | joined | st.fixed_dictionaries({"Not": inner})


class Maker:
    """Draws one definition; names are numbered, so that each is used once."""

    def __init__(self, draw: st.DrawFn, language: str) -> None:
        self.draw = draw
        self.machine_language = language
        self.numbers: Iterator[int] = itertools.count()

    def machine(self, depth: int) -> Definition:
        names = [f"{self.draw(WORDS)}{next(self.numbers)}" for _ in range(self.draw(st.integers(1, 3)))]
        states = {}
        for name, after in zip(names, [*names[1:], None], strict=True):
            kinds = ["Task", "Pass", "Wait", "Choice"] + (["Parallel", "Map"] if depth else [])
            if after is None:
                kinds = ["Succeed", "Fail", *(kind for kind in kinds if kind != "Choice")]
            states[name] = self.state(self.draw(st.sampled_from(kinds)), names, after, depth)
        return {"StartAt": names[0], "States": states, **self.draw(optional(Comment=WORDS))}

    def state(self, kind: str, names: list[str], after: str | None, depth: int) -> Definition:
        language = self.machine_language
        state: Definition = {"Type": kind, **self.draw(optional(Comment=WORDS))}
        if language == "JSONPath" and self.draw(st.booleans()):
            language = self.draw(st.sampled_from(["JSONPath", "JSONata"]))
            state["QueryLanguage"] = language
        state.update(self.common(kind, language))
        state.update(getattr(self, "pass_" if kind == "Pass" else kind.lower())(language, names, after, depth))
        if kind in ("Task", "Parallel", "Map"):
            state.update(self.failing(language, names))
        if kind not in ("Choice", "Succeed", "Fail"):
            state.update({"End": True} if after is None else {"Next": after})
        return state

    def common(self, kind: str, language: str) -> Definition:
        template = templates(language)
        fields: dict[str, Strategy] = {}
        if kind != "Fail":
            if language == "JSONata":
                fields["Output"] = template
            else:
                fields.update(InputPath=PATHS | st.none(), OutputPath=PATHS | st.none())
        if kind in ("Task", "Pass", "Parallel") and language == "JSONPath":
            fields["Parameters"] = template
        if kind in ("Task", "Parallel") and language == "JSONata":
            fields["Arguments"] = template
        if kind in ("Task", "Parallel", "Map") and language == "JSONPath":
            fields["ResultSelector"] = template
        if kind in ("Task", "Pass", "Parallel", "Map") and language == "JSONPath":
            fields["ResultPath"] = PLAIN_PATHS | st.none()
        if kind not in ("Succeed", "Fail"):
            fields["Assign"] = variables(language)
        drawn: Definition = self.draw(optional(**fields))
        return drawn

    def failing(self, language: str, names: list[str]) -> Definition:
        retriers = st.fixed_dictionaries(
            {"ErrorEquals": st.lists(ERRORS, min_size=1, max_size=2, unique=True)},
            optional={
                "IntervalSeconds": st.integers(1, 60),
                "MaxAttempts": st.integers(0, 5),
                "BackoffRate": st.floats(1, 3),
                "MaxDelaySeconds": st.integers(61, 31_622_400),
                "JitterStrategy": st.sampled_from(["FULL", "NONE"]),
                "Comment": WORDS,
            },
        )
        own = {"ResultPath": PLAIN_PATHS | st.none()} if language == "JSONPath" else {"Output": templates(language)}
        catchers = st.fixed_dictionaries(
            {"ErrorEquals": st.just(["States.ALL"]), "Next": st.sampled_from(names)},
            optional={**own, "Assign": variables(language), "Comment": WORDS},
        )
        drawn: Definition = self.draw(
            optional(Retry=st.lists(retriers, max_size=2), Catch=st.lists(catchers, max_size=1))
        )
        return drawn

    def task(self, language: str, *_: Any) -> Definition:
        fields: Definition = {"Resource": self.draw(ARNS)}
        fields.update(one_of_each(self.draw, language, "TimeoutSeconds", literal=st.integers(1000, 99_999_999)))
        fields.update(one_of_each(self.draw, language, "HeartbeatSeconds", literal=st.integers(1, 999)))
        fields.update(self.draw(optional(Credentials=st.just({"RoleArn": "arn:aws:iam::123456789012:role/x"}))))
        return fields

    def pass_(self, language: str, *_: Any) -> Definition:
        drawn: Definition = self.draw(optional(Result=JSON)) if language == "JSONPath" else {}
        return drawn

    def wait(self, language: str, *_: Any) -> Definition:
        ways = {"Seconds": either(language, st.integers(0, 99_999_999)), "Timestamp": either(language, TIMES)}
        if language == "JSONPath":
            ways.update(SecondsPath=REFERENCES, TimestampPath=REFERENCES)
        way = self.draw(st.sampled_from(sorted(ways)))
        return {way: self.draw(ways[way])}

    def choice(self, language: str, names: list[str], after: str | None, depth: int) -> Definition:
        own = {"Assign": variables(language), "Comment": WORDS}
        if language == "JSONata":
            own["Output"] = templates(language)
        choices = [
            {**self.draw(rules(language)), **self.draw(optional(**own)), "Next": target}
            for target in [after, *self.draw(st.lists(st.sampled_from(names), max_size=2))]
        ]
        return {"Choices": choices, **self.draw(optional(Default=st.sampled_from(names)))}

    def parallel(self, language: str, names: list[str], after: str | None, depth: int) -> Definition:
        return {"Branches": [self.machine(depth - 1) for _ in range(self.draw(st.integers(1, 2)))]}

    def map(self, language: str, names: list[str], after: str | None, depth: int) -> Definition:
        template = templates(language)
        processor = self.machine(depth - 1)
        fields: dict[str, Strategy] = {"ItemSelector": template}
        fields.update(
            {"Items": st.lists(JSON, max_size=2) | EXPRESSIONS} if language == "JSONata" else {"ItemsPath": PATHS}
        )
        if language == "JSONPath":
            fields["ItemsPath"] = REFERENCES | CONTEXT
        state: Definition = one_of_each(self.draw, language, "MaxConcurrency", literal=st.integers(0, 40))
        distributed = self.draw(st.booleans())
        if distributed:
            execution_type = self.draw(st.sampled_from(["STANDARD", "EXPRESS"]))
            processor = {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": execution_type}, **processor}
            source = "Arguments" if language == "JSONata" else "Parameters"
            place = st.fixed_dictionaries({"Resource": ARNS, source: template})
            fields.update(ItemReader=place, ResultWriter=place, Label=st.just("run"))
            fields["ItemBatcher"] = optional(MaxItemsPerBatch=st.integers(1, 9), BatchInput=template)
            state.update(one_of_each(self.draw, language, "ToleratedFailureCount", literal=st.integers(0, 9)))
            state.update(one_of_each(self.draw, language, "ToleratedFailurePercentage", literal=st.floats(0, 100)))
        elif self.draw(st.booleans()):
            processor = {"ProcessorConfig": {"Mode": "INLINE"}, **processor}
        legacy = not distributed and self.draw(st.booleans())
        return {**state, **self.draw(optional(**fields)), "Iterator" if legacy else "ItemProcessor": processor}

    def succeed(self, *_: Any) -> Definition:
        return {}

    def fail(self, language: str, *_: Any) -> Definition:
        fields: Definition = {}
        for name in ("Error", "Cause"):
            forms = {
                name: either(language, WORDS),
                **({f"{name}Path": PATHS | CALLS} if language == "JSONPath" else {}),
            }
            form = self.draw(st.sampled_from([None, *forms]))
            if form is not None:
                fields[form] = self.draw(forms[form])
        return fields


@st.composite
def well_formed(draw: st.DrawFn) -> Definition:
    language = draw(st.sampled_from(["JSONPath", "JSONata"]))
    machine = Maker(draw, language).machine(depth=draw(st.sampled_from([0, 1, 1, 2])))
    if language == "JSONata" or draw(st.booleans()):
        machine["QueryLanguage"] = language
    machine.update(draw(optional(Version=st.just("1.0"), TimeoutSeconds=SECONDS)))
    return machine


@pytest.fixture(scope="session")
def definitions() -> st.SearchStrategy[Definition]:
    """Well-formed definitions: every state type and field, machines inside machines, both query languages."""
    return well_formed()


@pytest.fixture(scope="session")
def any_json() -> st.SearchStrategy[Any]:
    """Any JSON value."""
    return JSON
