"""Who must be allowed what: least-privilege policies, computed from what an app declares.

    definitions --calls_in--> what states call --services' table--> statements --> Policy

Nothing here talks to AWS.
"""

from sfini_celery.iam.roles import (
    client_policy,
    deployer_policy,
    operator_policy,
    state_machine_policy,
    state_machine_trust,
    worker_policy,
)
from sfini_celery.iam.values import Place, Policy, Remark, Statement

__all__ = [
    # where
    "Place",
    # who
    "client_policy",
    "deployer_policy",
    "operator_policy",
    "state_machine_policy",
    "state_machine_trust",
    "worker_policy",
    # what
    "Policy",
    "Remark",
    "Statement",
]
