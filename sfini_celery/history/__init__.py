"""What happened in an execution, as typed values: AWS's events, and the visits to states made of them.

Pure: it reads what GetExecutionHistory answers (boto3's dictionaries, or the same as JSON) and calls nothing.
"""

from sfini_celery.history.events import Event, execution_status, parse_history, read_events
from sfini_celery.history.timeline import Timeline, timeline
from sfini_celery.history.visits import Attempt, StateVisit, VisitStatus

__all__ = [
    # events
    "Event",
    "execution_status",
    "parse_history",
    "read_events",
    # visits to states
    "Attempt",
    "StateVisit",
    "Timeline",
    "VisitStatus",
    "timeline",
]
