"""Whether everything is in its place: credentials, endpoint, clock, broker, registration, workers, limits.

what is found out (examination) --> judged (checks, pure) --> Check: ok, warn or fail, and what to do
"""

from sfini_celery.doctor.checks import (
    Check,
    Verdict,
    check_activities,
    check_budget,
    check_clock,
    check_files,
    check_pollers,
    check_versions,
    check_workflows,
)
from sfini_celery.doctor.examination import ask_workers, examine, floors, installed, without_passwords

__all__ = [
    # all of it
    "ask_workers",
    "examine",
    "without_passwords",
    # judging
    "Check",
    "Verdict",
    "check_activities",
    "check_budget",
    "check_clock",
    "check_files",
    "check_pollers",
    "check_versions",
    "check_workflows",
    # versions
    "floors",
    "installed",
]
