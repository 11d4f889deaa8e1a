"""An ordinary Celery canvas of ten tasks: what a text is made of.

    clean | split | group(count, commonest, longest, vowels, chord(starting_with x 4, most)) | collect | headline

Celery runs it on its broker, Step Functions as a state machine: the same tasks, the same canvas, the same result.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

from celery import chord, group

from sfini_celery import SfiniCelery

app = SfiniCelery("canvas")
app.conf.update(
    result_backend=os.environ.get("CANVAS_RESULTS"),
    sfn_drain_timeout=1.0,  # an example is not kept waiting for open polls at its end
)

TEXT = ["It was the best of times", "it was the worst of times", "it was the age of wisdom"]


@app.activity
def clean(lines: list[str]) -> list[str]:
    """Lower case, no blanks around."""
    return [line.strip().lower() for line in lines]


@app.activity
def split(lines: list[str]) -> list[str]:
    """The words of all lines."""
    return [word for line in lines for word in line.split()]


@app.activity
def count(words: list[str]) -> dict[str, int]:
    """How many words there are, and how many different ones."""
    return {"words": len(words), "different": len(set(words))}


@app.activity
def commonest(words: list[str], top: int) -> dict[str, Any]:
    """The words that occur most often."""
    ranked = sorted(Counter(words).items(), key=lambda pair: (-pair[1], pair[0]))
    return {"commonest": [list(pair) for pair in ranked[:top]]}


@app.activity
def longest(words: list[str]) -> dict[str, Any]:
    """The longest word."""
    return {"longest": max(words, key=lambda word: (len(word), word))}


@app.activity
def vowels(words: list[str], letters: str = "aeiou") -> dict[str, Any]:
    """How many vowels there are."""
    return {"vowels": sum(letter in letters for word in words for letter in word)}


@app.activity
def starting_with(words: list[str], letter: str) -> int:
    """How many words start with a letter."""
    return sum(word.startswith(letter) for word in words)


@app.activity
def most(counts: list[int], letters: str) -> dict[str, Any]:
    """The letter that most words start with."""
    number, letter = max(zip(counts, letters, strict=True))
    return {"start": letter, "started": number}


@app.activity
def collect(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """All of it in one."""
    return {key: value for part in parts for key, value in part.items()}


@app.activity
def headline(found: dict[str, Any], title: str) -> dict[str, Any]:
    """A sentence about it."""
    said = f"{found['words']} words, most often {found['commonest'][0][0]!r}, longest {found['longest']!r}"
    return {**found, "headline": f"{title}: {said}"}


LETTERS = "itbw"

report = (
    clean.s()
    | split.s()
    | group(
        count.s(),
        commonest.s(top=3),
        longest.s(),
        vowels.s(),
        chord([starting_with.s(letter) for letter in LETTERS], most.s(LETTERS)),
    )
    | collect.s()
    | headline.s(title="A tale")
)
