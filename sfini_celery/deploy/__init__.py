"""From what an app declares to what AWS has: compare, show, then change.

Everything is read and checked before anything is changed. What AWS refuses half-way is said with what was done before
it; doing the same again finishes the job, since what is there already is left alone.
"""

from sfini_celery.deploy.applying import apply, deregister
from sfini_celery.deploy.ownership import Owner
from sfini_celery.deploy.patience import patiently
from sfini_celery.deploy.planning import make_plan, role_for
from sfini_celery.deploy.removal import plan_removal
from sfini_celery.deploy.running import needed_by_running
from sfini_celery.deploy.values import Action, Item, Kind, Machine, Plan
from sfini_celery.deploy.versions import Rollback, Version, delete_versions, list_versions, roll_back

__all__ = [
    # what there should be
    "Machine",
    "Owner",
    # plans
    "Action",
    "Item",
    "Kind",
    "Plan",
    "make_plan",
    "needed_by_running",
    "plan_removal",
    "role_for",
    # changes
    "apply",
    "deregister",
    "patiently",
    # versions
    "Rollback",
    "Version",
    "delete_versions",
    "list_versions",
    "roll_back",
]
