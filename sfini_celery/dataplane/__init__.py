"""The four hot calls over asyncio: polls, reports and heartbeats."""

from sfini_celery.dataplane.plane import ActivityTask, DataPlane

__all__ = ["ActivityTask", "DataPlane"]
