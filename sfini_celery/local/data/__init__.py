"""Data in states: paths, payload templates, intrinsic functions, choice rules, JSONata and JSON text.

Pure functions over JSON values: no input or output, no clock, no asyncio. Values are never changed in place.
"""

from __future__ import annotations

from .choice import matches
from .errors import DataError, PathNotFound, QueryError, StateError
from .jsonata import States, evaluate_jsonata, has_jsonata, is_expression, render_jsonata
from .jsontext import dumps, loads
from .paths import MISSING, Missing, Scope, apply_input_path, apply_output_path, get_path, is_present, put_path
from .templates import evaluate, render
from .timestamps import parse_timestamp

__all__ = [
    # what an expression sees
    "MISSING",
    "Missing",
    "Scope",
    "States",
    # reading and writing data
    "apply_input_path",
    "apply_output_path",
    "get_path",
    "is_present",
    "put_path",
    # templates and rules
    "evaluate",
    "matches",
    "render",
    # JSONata
    "evaluate_jsonata",
    "has_jsonata",
    "is_expression",
    "render_jsonata",
    # text
    "dumps",
    "loads",
    "parse_timestamp",
    # what goes wrong
    "DataError",
    "PathNotFound",
    "QueryError",
    "StateError",
]
