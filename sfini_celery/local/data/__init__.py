"""Data in states: paths, payload templates, intrinsic functions, choice rules and JSON text.

Pure functions over JSON values: no input or output, no clock, no asyncio. Values are never changed in place.
"""

from __future__ import annotations

from .choice import matches
from .errors import DataError, PathNotFound, StateError
from .jsontext import dumps, loads
from .paths import MISSING, Missing, Scope, apply_input_path, apply_output_path, get_path, is_present, put_path
from .templates import evaluate, render
from .timestamps import parse_timestamp

__all__ = [
    # what an expression sees
    "MISSING",
    "Missing",
    "Scope",
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
    # text
    "dumps",
    "loads",
    "parse_timestamp",
    # what goes wrong
    "DataError",
    "PathNotFound",
    "StateError",
]
