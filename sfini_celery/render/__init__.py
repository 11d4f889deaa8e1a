"""Text for people: tables, timelines and histories as plain strings. Colours only where a parameter asks for them."""

from sfini_celery.render.history import format_events, format_history
from sfini_celery.render.tables import Column, printable, table
from sfini_celery.render.timeline import duration, progress_line, timeline_table

__all__ = [
    # tables
    "Column",
    "printable",
    "table",
    # executions
    "duration",
    "format_events",
    "format_history",
    "progress_line",
    "timeline_table",
]
