"""An activity: its name, how an input becomes a call, how a return value becomes an output; the registry.

An activity is a named queue in AWS that hands out tasks. Here it also is a Celery task (or, in sfini's API, a plain
function). Three conventions say how the input of an activity task becomes a call:

``"auto"``
    an envelope, as compiled machines send it, is unfolded; the members of any other object are matched to parameters
    and unknown ones refused; any other value is the one argument.
``"data"``
    the whole value is the one argument (sfini's ``activity``). Never reads an envelope.
``"kwargs"``
    the members of an object are matched to parameters and unknown ones dropped (sfini's ``smart_activity``).
    Never reads an envelope.

What came in an envelope goes out as Celery's serializer writes it, so that datetimes, UUIDs and decimals survive to the
next task. What came as a raw input goes back to a hand-written machine, whose paths and timestamps are plain JSON:
there a datetime is its ISO 8601 text, a UUID or a decimal its string.
"""

from sfini_celery.activity.call import OPTIONS, Call, Parameters, Position, StateRetries, read_input
from sfini_celery.activity.outcome import failure_of, write_cause, write_output
from sfini_celery.activity.registry import Activity, ActivityRegistry, InputConvention, activity_name
from sfini_celery.activity.routes import queue_of

__all__ = [
    # an activity and the registry
    "Activity",
    "ActivityRegistry",
    "InputConvention",
    "activity_name",
    "queue_of",
    # input to call
    "OPTIONS",
    "Call",
    "Parameters",
    "Position",
    "StateRetries",
    "read_input",
    # outcome to report
    "failure_of",
    "write_cause",
    "write_output",
]
