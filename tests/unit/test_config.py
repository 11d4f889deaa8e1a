"""The table of settings."""

from __future__ import annotations

import pytest

from sfini_celery.config import SETTINGS, Settings, docs_table
from sfini_celery.errors import ConfigurationError, UnknownSetting


def test_configuration_wins_over_the_environment_and_that_over_the_default() -> None:
    assert Settings({"sfn_polls": 3}, {"SFN_POLLS": "7"}).polls == 3
    assert Settings({}, {"SFN_POLLS": "7"}).polls == 7
    assert Settings({}, {}).polls == SETTINGS["sfn_polls"].default


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("sfn_polls", "many", "whole number"),
        ("sfn_polls", 0, "at least 1"),
        ("sfn_polls", True, "whole number"),
        ("sfn_polls", 1.5, "whole number"),
        ("sfn_drain_timeout", "nan", "a number"),
        ("sfn_create_missing_activities", "perhaps", "true or false"),
        ("sfn_retries", "nowhere", "worker, states"),
        ("sfn_prefix", 7, "text"),
    ],
)
def test_a_wrong_value_names_the_setting_the_rule_and_where_it_was_set(name: str, value: object, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as caught:
        Settings({name: value}, {})[name]
    assert name in str(caught.value)
    assert "app configuration" in str(caught.value)


def test_a_wrong_environment_variable_is_named_as_such() -> None:
    with pytest.raises(ConfigurationError, match="environment variable SFN_POLLS"):
        Settings({}, {"SFN_POLLS": "x"}).polls


def test_a_misspelt_setting_is_found_at_start_and_the_right_one_offered() -> None:
    with pytest.raises(UnknownSetting, match="did you mean 'sfn_polls'"):
        Settings({"sfn_pols": 3}, {}).check()


def test_check_reads_every_setting() -> None:
    with pytest.raises(ConfigurationError):
        Settings({}, {"SFN_REPORT_DEADLINE": "soon"}).check()
    Settings({"broker_url": "redis://"}, {}).check()


@pytest.mark.parametrize(("text", "value"), [("1", True), ("off", False), ("YES", True), ("false", False)])
def test_booleans_are_read_as_people_write_them(text: str, value: bool) -> None:
    assert Settings({}, {"SFN_CREATE_MISSING_ACTIVITIES": text}).create_missing_activities is value


def test_the_documented_table_has_a_row_for_each_setting() -> None:
    table = docs_table()
    for setting in SETTINGS.values():
        assert f"| `{setting.name}` |" in table
        assert setting.doc.endswith(".")
