"""A workflow: a named state machine of an app, registered and started."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from sfini_celery.names import check_name

if TYPE_CHECKING:
    from sfini_celery.app import StepFunctions
    from sfini_celery.asl import StateMachine
    from sfini_celery.execution import Execution

__all__ = ["Workflow"]


class Workflow:
    """A named state machine of an app; made by :meth:`StepFunctions.workflow`.

    Attributes:
        name: its name, without the prefix
        machine: its states

    Example:
        >>> orders = app.workflow("orders", machine)
        >>> orders.register(role_arn="arn:aws:iam::123456789012:role/orders")
        >>> execution = orders.start({"order": 7})
        >>> execution.wait()
        'SUCCEEDED'
    """

    def __init__(
        self,
        sfn: StepFunctions,
        name: str,
        machine: StateMachine,
        *,
        comment: str | None = None,
        timeout: int | None = None,
    ) -> None:
        self._sfn = sfn
        self.name = check_name("workflow name", name)
        self.machine = machine
        self.comment = comment
        self.timeout = timeout

    @property
    def full_name(self) -> str:
        """The state machine's name in AWS: the setting ``sfn_prefix`` and the name."""
        prefix = self._sfn.settings.prefix
        return check_name("workflow name", prefix + self.name, remedy=f"prefix {prefix!r} and the name are one")

    @property
    def arn(self) -> str:
        """The state machine's ARN; asks AWS for the account once."""
        return self._sfn.control.arn("stateMachine", self.full_name)

    def definition(self) -> dict[str, Any]:
        """The definition as it is sent to AWS."""
        definition = self.machine.to_dict()
        if self.comment is not None:
            definition["Comment"] = self.comment
        if self.timeout is not None:
            definition["TimeoutSeconds"] = self.timeout
        return definition

    def register(self, role_arn: str | None = None) -> None:
        """Create or update this state machine, and the activities of the app that are missing.

        Parameters:
            role_arn: IAM role the machine runs under; the setting ``sfn_role_arn`` without it
        Raises:
            DefinitionError: the machine would be refused; nothing was changed
            ConfigurationError: there is no role
            ServiceError: AWS refused; the error tells what was done before it
        """
        from sfini_celery.deploy import Machine, apply, make_plan

        plan = make_plan(
            self._sfn.control,
            activities=self._sfn.activities.names(),
            machines=[Machine(self.full_name, self.definition())],
            role_arn=role_arn or self._sfn.settings.role_arn,
        )
        apply(plan, self._sfn.control)

    def deregister(self) -> None:
        """Delete the state machine; running executions go on to their end. The activities stay: others may use them."""
        from sfini_celery.deploy import deregister

        deregister(self._sfn.control, machines=[self.full_name])

    def start(self, input: Any = None, *, name: str | None = None) -> Execution:
        """Start an execution.

        Parameters:
            input: what the first state gets, any JSON; ``{}`` without it
            name: the execution's name, for idempotency: the same name and input return the same running execution. Made
                from the workflow's name and the time without it
        Raises:
            NotFound: the workflow is not registered
            AlreadyExists: the name was used with another input, or by an execution that has ended
            InvalidInput: the input is not JSON
        """
        from sfini_celery.aws import execution_name
        from sfini_celery.execution import Execution

        value = {} if input is None else input
        made = name or execution_name(self.full_name)
        return Execution(made, self.arn, value, control=self._sfn.control).start()

    def executions(self, status: str | None = None) -> Iterator[Execution]:
        """The executions of this workflow, newest first.

        Parameters:
            status: only those RUNNING, SUCCEEDED, FAILED, TIMED_OUT or ABORTED
        """
        from sfini_celery.execution import Execution

        for item in self._sfn.control.list_executions(self.arn, status=status):
            yield Execution.from_list_item(item, control=self._sfn.control)

    def __repr__(self) -> str:
        return f"<Workflow {self.name!r}>"
