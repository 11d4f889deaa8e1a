"""Remote control of the bridge: ``inspect sfn``, ``control sfn_pause``, ``control sfn_resume``."""

from __future__ import annotations

from typing import Any

from celery.worker.control import Panel, control_command, inspect_command

from sfini_celery.errors import WorkerError

__all__ = ["register"]

NO_BRIDGE = {"error": "this worker serves no activities"}


def register() -> None:
    """Make the commands known to workers and to ``celery inspect`` and ``celery control``."""
    if "sfn" in Panel.data:
        return
    inspect_command(name="sfn", help="What is polled, taken, running and reported of Step Functions' activities.")(_sfn)
    control_command(
        name="sfn_pause",
        args=[("activity", str)],
        signature="[activity]",
        help="Open no more polls, of one activity or of all.",
    )(_pause)
    control_command(
        name="sfn_resume",
        args=[("activity", str)],
        signature="[activity]",
        help="Open polls again, of one activity or of all.",
    )(_resume)


def _loop(state: Any) -> Any:
    return getattr(getattr(state.consumer, "sfini_bridge", None), "loop", None)


def _sfn(state: Any, **_: Any) -> dict[str, Any]:
    bridge = getattr(state.consumer, "sfini_bridge", None)
    return NO_BRIDGE if bridge is None else bridge.info(state.consumer)["stepfunctions"]


def _pause(state: Any, activity: str | None = None, **_: Any) -> dict[str, str]:
    return _switch(state, "pause", activity)


def _resume(state: Any, activity: str | None = None, **_: Any) -> dict[str, str]:
    return _switch(state, "resume", activity)


def _switch(state: Any, how: str, activity: str | None) -> dict[str, str]:
    loop = _loop(state)
    if loop is None:
        return NO_BRIDGE
    try:
        getattr(loop, how)(activity)
    except WorkerError as exc:
        return {"error": str(exc)}
    return {"ok": f"{how}d {activity or 'every activity'}"}
