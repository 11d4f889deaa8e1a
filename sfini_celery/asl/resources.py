"""What a Task state can run besides activities: Lambda functions and other AWS services, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field

from sfini_celery.errors import DefinitionError

__all__ = ["Lambda", "activity_arn", "service"]


@dataclass(frozen=True)
class Lambda:
    """A Lambda function as a task's resource.

    Parameters:
        name: of the function
        account: AWS account id, twelve digits
        region: AWS region
        version: version or alias; without it, the latest
        partition: ``"aws"``, ``"aws-cn"`` or ``"aws-us-gov"``

    Example:
        >>> Lambda("resize", account="123456789012", region="eu-west-1").arn
        'arn:aws:lambda:eu-west-1:123456789012:function:resize'
    """

    name: str
    account: str = field(kw_only=True)
    region: str = field(kw_only=True)
    version: str = field(default="", kw_only=True)
    partition: str = field(default="aws", kw_only=True)

    @property
    def arn(self) -> str:
        """The function's ARN; a state that has it as resource calls the function with its input as payload."""
        version = f":{self.version}" if self.version else ""
        return f"arn:{self.partition}:lambda:{self.region}:{self.account}:function:{self.name}{version}"


def activity_arn(name: str, *, account: str, region: str, partition: str = "aws") -> str:
    """The ARN of an activity, prefix included in ``name``.

    Example:
        >>> activity_arn("add", account="123456789012", region="eu-west-1")
        'arn:aws:states:eu-west-1:123456789012:activity:add'
    """
    return f"arn:{partition}:states:{region}:{account}:activity:{name}"


def service(
    name: str, action: str, *, wait_for_token: bool = False, sync: bool | int = False, partition: str = "aws"
) -> str:
    """The ARN of an API call of another AWS service, for a Task's resource.

    Parameters:
        name: of the service, such as ``"sqs"``, or ``"aws-sdk:s3"`` for one that AWS integrates only generically
        action: of the service, such as ``"sendMessage"``
        wait_for_token: the state lasts until its task token (``$$.Task.Token``) is answered
        sync: the state lasts until the job it starts has ended; 2 is the form whose output is JSON
        partition: ``"aws"``, ``"aws-cn"`` or ``"aws-us-gov"``

    Raises:
        DefinitionError: both ``wait_for_token`` and ``sync``

    Example:
        >>> service("sqs", "sendMessage", wait_for_token=True)
        'arn:aws:states:::sqs:sendMessage.waitForTaskToken'
        >>> service("states", "startExecution", sync=2)
        'arn:aws:states:::states:startExecution.sync:2'
    """
    if wait_for_token and sync:
        raise DefinitionError(f"{name}:{action} can wait for a token or for the job to end, not for both")
    pattern = ".waitForTaskToken" if wait_for_token else ""
    if sync:
        pattern = ".sync" if sync is True or sync == 1 else f".sync:{sync}"
    return f"arn:{partition}:states:::{name}:{action}{pattern}"
