"""The examples in the embedded server's docstrings run and print what they say."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = (
    "clock",
    "engine.engine",
    "engine.history",
    "engine.integrations",
    "engine.retry",
    "server",
    "service.errors",
    "service.service",
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_print_what_they_say(name: str) -> None:
    results = doctest.testmod(importlib.import_module(f"sfini_celery.local.{name}"))
    assert results.attempted
    assert not results.failed
