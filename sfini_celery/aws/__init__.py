"""The control plane: everything asked of AWS that is not hot, through boto3.

The only room that imports boto3 for Step Functions' sake, and only when the first call is made.
"""

from sfini_celery.aws.control import ControlPlane
from sfini_celery.aws.faults import translated
from sfini_celery.aws.naming import execution_name, generated_role_arn, is_loopback, local_role_arn, name_in
from sfini_celery.aws.probe import Probe, probe
from sfini_celery.aws.waiting import FINISHED, Waiter

__all__ = [
    # calls
    "ControlPlane",
    "translated",
    # is it there
    "Probe",
    "probe",
    # waiting
    "FINISHED",
    "Waiter",
    # names and ARNs
    "execution_name",
    "generated_role_arn",
    "is_loopback",
    "local_role_arn",
    "name_in",
]
