"""A state machine that registers and starts itself."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sfini_celery import asl
from sfini_celery.asl import MISSING
from sfini_celery.errors import AlreadyExists, NotFound
from sfini_celery.names import check_name
from sfini_celery.sfini.session import AWSSession

if TYPE_CHECKING:
    from sfini_celery.asl.fields import Missing
    from sfini_celery.execution import Execution

__all__ = ["StateMachine", "construct_state_machine"]

_log = logging.getLogger(__name__)


class StateMachine(asl.StateMachine):
    """States, where they start, and their life in AWS.

    Built as :class:`sfini_celery.asl.StateMachine` is; the parameters are that class's, and

    Parameters:
        session: the account and region it is in; the ordinary AWS configuration without it

    Example:
        >>> sm = StateMachine("testAdding")
        >>> add = sm.task("add", add_activity)
        >>> sm.start_at(add)
        >>> sm.register()
        >>> sm.start_execution(execution_input={"a": 3, "b": 42}).wait()
    """

    def __init__(
        self,
        name: str,
        states: Mapping[str, asl.State] | None = None,
        start_state: str | asl.State | None = None,
        comment: str | Missing = MISSING,
        timeout: int | Missing = MISSING,
        *,
        session: AWSSession | None = None,
        **fields: Any,
    ) -> None:
        super().__init__(name, states, start_state, comment, timeout, **fields)
        self.session = session or AWSSession()

    @property
    def arn(self) -> str:
        """Its ARN, made of the session's region and account; asks STS for the account once."""
        return self.session.control.arn("stateMachine", self.name)

    @property
    def default_role_arn(self) -> str:
        """The IAM role it runs under where none is given: ``sfiniGenerated``, which you have to create."""
        partition = self.arn.split(":")[1]
        return f"arn:{partition}:iam::{self.session.account_id}:role/sfiniGenerated"

    def is_registered(self) -> bool:
        """Whether AWS has a state machine of this name, and is not about to delete it."""
        try:
            found = self.session.control.describe_state_machine(self.arn)
        except NotFound:
            return False
        return found.get("status") != "DELETING"

    def register(self, role_arn: str | None = None, allow_update: bool = False) -> None:
        """Create the state machine in AWS, once it is found to have no fault that AWS would refuse.

        Where one with the same definition is there already, nothing happens. One that is being deleted is waited for.

        Parameters:
            role_arn: IAM role it runs under; :attr:`default_role_arn` without it, or, when updating, what it has
            allow_update: change a state machine of this name that is there already

        Raises:
            InvalidName: AWS would refuse the name
            DefinitionError: AWS would refuse the definition; the error lists everything that is wrong with it
            AlreadyExists: one of this name, with another definition, is there, and may not be changed
        """
        from sfini_celery import deploy

        control = self.session.control
        check_name("state machine name", self.name)
        role_arn = role_arn or (None if self.is_registered() else self.default_role_arn)
        # By way of its text, so that what is compared with AWS's copy has been through JSON as well.
        machine = deploy.Machine(self.name, json.loads(self.to_json()), role_arn)
        plan = deploy.make_plan(control, machines=[machine])
        for item in plan.changes:
            if item.action is not deploy.Action.UPDATE or allow_update:
                continue
            if "definition" in item.changed:
                detail = f"{item.arn} has another definition; register(allow_update=True) replaces it"
                raise AlreadyExists("CreateStateMachine", "StateMachineAlreadyExists", detail)
            return  # another role is no difference to CreateStateMachine
        deploy.apply(plan, control)
        _log.info("sfini_machine_registered %s", self.arn)

    def deregister(self) -> None:
        """Delete the state machine from AWS; nothing happens where there is none. Its executions go on to their end."""
        self.session.control.delete_state_machine(self.arn)
        _log.info("sfini_machine_deregistered %s", self.arn)

    def start_execution(self, execution_input: Any = MISSING, *, name: str | None = None) -> Execution:
        """Start an execution.

        Parameters:
            execution_input: what the first state gets, any JSON; ``{}`` without it
            name: the execution's name: with the same name and input, a second call finds the execution that the first
                one started. Made of the machine's name, the time and chance without it

        Raises:
            NotFound: the state machine is not registered
            InvalidInput: the input is not JSON
            AlreadyExists: the name was used with another input, or has ended
        """
        from sfini_celery.aws import execution_name
        from sfini_celery.execution import Execution

        given = () if execution_input is MISSING else (execution_input,)
        name = execution_name(self.name) if name is None else name
        execution = Execution(name, self.arn, *given, control=self.session.control).start()
        _log.info("sfini_execution_started %s", execution.arn)
        return execution

    def list_executions(self, status: str | None = None) -> list[Execution]:
        """The executions of this state machine, newest first.

        Parameters:
            status: only those RUNNING, SUCCEEDED, FAILED, TIMED_OUT or ABORTED

        Raises:
            NotFound: the state machine is not registered
        """
        from sfini_celery.execution import Execution

        control = self.session.control
        items = control.list_executions(self.arn, status=status)
        return [Execution.from_list_item(item, control=control) for item in items]


def construct_state_machine(
    name: str,
    start_state: asl.State,
    comment: str | Missing = MISSING,
    timeout: int | Missing = MISSING,
    *,
    session: AWSSession | None = None,
    **fields: Any,
) -> StateMachine:
    """Make a state machine of a state and all that can be reached from it: by next, choices, default and catch.

    Connect the states first: what is connected later has to be added to the machine with its ``add``.

    Parameters:
        name: of the machine
        start_state: the first state
        comment: for people
        timeout: seconds that an execution may take
        session: the account and region it is in; the ordinary AWS configuration without it
        fields: others of :class:`StateMachine`

    Raises:
        DuplicateName: two states that can be reached have one name

    Example:
        >>> add = Task("add", add_activity)
        >>> sm = construct_state_machine("testAdding", add)
    """
    return StateMachine.construct(name, start_state, comment, timeout, session=session, **fields)
