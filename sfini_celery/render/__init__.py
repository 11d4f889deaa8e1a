"""Text for people: tables, timelines, histories and graphs as plain strings. Colours only where a parameter asks."""

from sfini_celery.render.diff import definition_changes, definition_diff, value_diff
from sfini_celery.render.dot import dot
from sfini_celery.render.history import format_events, format_history
from sfini_celery.render.mermaid import mermaid
from sfini_celery.render.tables import Column, colour, printable, table
from sfini_celery.render.timeline import duration, progress_line, timeline_table

__all__ = [
    # tables
    "Column",
    "colour",
    "printable",
    "table",
    # executions
    "duration",
    "format_events",
    "format_history",
    "progress_line",
    "timeline_table",
    # definitions
    "definition_changes",
    "definition_diff",
    "dot",
    "mermaid",
    "value_diff",
]
