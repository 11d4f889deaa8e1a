"""AWS as sfini's objects see it: one boto3 session, its region, its account."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from sfini_celery.errors import NoCredentials

if TYPE_CHECKING:
    from sfini_celery.aws import ControlPlane
    from sfini_celery.dataplane import DataPlane

__all__ = ["AWSSession"]


class AWSSession:
    """The AWS account and region that sfini's objects work in.

    Nothing is looked up before it is needed: making one costs nothing and asks nobody.

    Parameters:
        session: a ``boto3.Session``; without it, one from the ordinary AWS configuration (profile, region and
            endpoint variables)

    Example:
        >>> staging = AWSSession(boto3.Session(profile_name="staging"))
        >>> activities = ActivityRegistration(prefix="staging", session=staging)
    """

    def __init__(self, session: Any = None) -> None:
        self._given = session

    @cached_property
    def control(self) -> ControlPlane:
        """The control plane behind this session."""
        from sfini_celery.aws import ControlPlane

        return ControlPlane(session=self._given)

    @property
    def session(self) -> Any:
        """The ``boto3.Session``."""
        return self._given if self._given is not None else self.control.session

    @property
    def credentials(self) -> Any:
        """The session's ``botocore`` credentials.

        Raises:
            NoCredentials: none are configured
        """
        credentials = self.session.get_credentials()
        if credentials is None:
            raise NoCredentials
        return credentials

    @property
    def sfn(self) -> Any:
        """The boto3 client of Step Functions."""
        return self.control.client

    @property
    def region(self) -> str:
        """The region's name; raises NoRegion where none is configured."""
        return self.control.region

    @property
    def account_id(self) -> str:
        """The account's number, asked of STS once."""
        return self.control.account

    def data_plane(self) -> DataPlane:
        """A new line for polls and reports; the caller opens and closes it.

        Raises:
            NoRegion, NoCredentials: none is configured
        """
        from sfini_celery.dataplane import DataPlane

        return DataPlane.from_session(self.session)

    def __repr__(self) -> str:
        region = getattr(self._given, "region_name", None)
        return f"{type(self).__name__}({f'region={region!r}' if region else ''})"
