"""Errors of the API, with AWS's codes and sentences."""

from __future__ import annotations

__all__ = ["ApiError"]

_SENTENCES = {
    "ActivityDoesNotExist": "Activity Does Not Exist: '{}'",
    "ExecutionAlreadyExists": "Execution Already Exists: '{}'",
    "ExecutionDoesNotExist": "Execution Does Not Exist: '{}'",
    "InvalidArn": "Invalid Arn: '{}'",
    "InvalidDefinition": "Invalid State Machine Definition: '{}'",
    "InvalidExecutionInput": "Invalid State Machine Execution Input: '{}'",
    "InvalidName": "Invalid Name: '{}'",
    "InvalidOutput": "Invalid Output: '{}'",
    "InvalidToken": "Invalid Token: '{}'",
    "ResourceNotFound": "Resource not found: '{}'",
    "StateMachineAlreadyExists": "State Machine Already Exists: '{}'",
    "StateMachineDeleting": "State Machine is being deleted: '{}'",
    "StateMachineDoesNotExist": "State Machine Does Not Exist: '{}'",
    "TaskTimedOut": "Task Timed Out: '{}'",
}


class ApiError(Exception):
    """A call that is refused.

    Parameters:
        code: AWS's error code
        detail: what AWS puts into the code's sentence, or the whole message where the code has none

    Attributes:
        code: as given
        message: what the caller reads
        status: the HTTP status

    Example:
        >>> ApiError("ActivityDoesNotExist", "arn").message
        "Activity Does Not Exist: 'arn'"
    """

    def __init__(self, code: str, detail: str = "", *, status: int = 400) -> None:
        self.code, self.status = code, status
        sentence = _SENTENCES.get(code)
        self.message = sentence.format(detail) if sentence else detail
        super().__init__(f"{code}: {self.message}")
