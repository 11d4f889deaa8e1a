"""The bridge as a step of Celery's consumer: what starts and ends the parts, and in which order.

Celery stops and starts a consumer's steps at every reconnect to the broker. The loop, the ledger and the dispatcher
are made once and outlive that; a step's ``start`` only puts the dispatcher in touch with the consumer again.
"""

from __future__ import annotations

import threading
from typing import Any

from celery import bootsteps, signals
from celery.utils.log import get_logger
from celery.worker import state

from sfini_celery.app import StepFunctions
from sfini_celery.errors import ConfigurationError
from sfini_celery.quotas import POLL_SECONDS, poll_calls_allowed
from sfini_celery.worker import remote
from sfini_celery.worker.dispatcher import Dispatcher
from sfini_celery.worker.ledger import Ledger, State
from sfini_celery.worker.mailbox import Mailbox
from sfini_celery.worker.provision import find_activities, persist
from sfini_celery.worker.queues import Polled, polled_activities

__all__ = ["Bridge"]

logger = get_logger(__name__)

FLUSH_SECONDS = 30.0
HURRIED_FLUSH_SECONDS = 2.0


class Bridge(bootsteps.StartStopStep):
    """Serves the app's activities on this worker.

    Attributes:
        loop: the line to AWS; None until the activities are known to exist
        dispatcher: what runs the tasks

    Raises:
        ConfigurationError: from the constructor's :meth:`create`, when the settings cannot be meant
    """

    label = "StepFunctions"
    conditional = True
    requires = ("celery.worker.consumer.tasks:Tasks",)  # the task consumer, its QoS and the event dispatcher

    def __init__(self, c: Any, **options: Any) -> None:
        super().__init__(c, **options)
        self.loop: Any = None
        self.dispatcher: Dispatcher | None = None
        self.polled: list[Polled] = []
        self._ledger, self._mailbox = Ledger(), Mailbox()
        self._lock = threading.Lock()  # guards the loop's making against the shutdown
        self._stop = threading.Event()
        self._setup: threading.Thread | None = None
        self._sfn: StepFunctions | None = None

    # -- before the pool

    def include_if(self, c: Any) -> bool:
        """Only where the app has activities."""
        sfn = getattr(c.app, "sfn", None)
        return isinstance(sfn, StepFunctions) and len(sfn.activities) > 0

    def create(self, c: Any) -> None:
        """Check what can be checked before anything runs."""
        self._sfn = sfn = c.app.sfn
        sfn.settings.check()
        if c.app.conf.task_always_eager:
            raise ConfigurationError(
                "task_always_eager runs retries and callbacks inside the task that calls them, which a worker of "
                "activities cannot report; set it to False"
            )
        if sfn.settings.retries == "states":
            raise ConfigurationError(
                "sfn_retries='states' compiles autoretry_for to the states' Retry, but this worker would retry as "
                "well; leave it at 'worker'"
            )
        self.polled = polled_activities(c.app, sfn.activities, polls=sfn.settings.polls)
        self.dispatcher = Dispatcher(
            app=c.app,
            ledger=self._ledger,
            mailbox=self._mailbox,
            polled=self.polled,
            parameters=sfn.parameters,
            settings=sfn.settings,
        )
        c.sfini_bridge = self
        remote.register()

    # -- up and down with the broker

    def start(self, c: Any) -> None:
        """The consumer is up, for the first time or again."""
        assert self.dispatcher is not None
        if c.hub is None:
            self._mailbox.attach_connection(c.connection)
        self.dispatcher.attach(c)
        if self._setup is None:
            self._warn_of_limits(c)
            signals.worker_shutting_down.connect(self._on_shutting_down, sender=c.hostname, dispatch_uid=self._uid)
            # Owned by this step, ends by itself: finds or creates the activities, then starts the loop. A thread,
            # since AWS may be slow or away, and what comes from the broker shall not wait for it.
            self._setup = threading.Thread(target=self._set_up, args=(c,), name="sfini-setup", daemon=True)
            self._setup.start()

    def register_with_event_loop(self, c: Any, hub: Any) -> None:
        """Celery's hub is about to run, for the first time or again."""
        self._mailbox.attach_hub(hub)

    def stop(self, c: Any) -> None:
        """The consumer is going down, maybe only until the broker is back: heartbeats and reports go on."""
        if self.dispatcher is not None:
            self.dispatcher.detach()

    # -- the end
    #
    # Celery's order is close, stop, then the pool drains, then shutdown. What each of them does here, and why:
    #   signal    no new polls, at once: the main thread may be busy for long (the solo pool runs tasks in it)
    #   close     polling ends for good; what has not begun is handed back now, since running tasks may take hours
    #   (pool)    running tasks finish and are reported as always, heartbeats go on
    #   shutdown  the open polls are waited for, since a poll that is cut off swallows the next task; what is left is
    #             handed back; reports are flushed, since an unsent one is lost; then the loop ends
    # Only shutdown is sure to be called: with the broker away Celery skips close and stop. So it does all of it.

    def _on_shutting_down(self, **_: Any) -> None:
        # In a signal handler: a flag, and no lock that the interrupted code may hold.
        if self.dispatcher is not None:
            self.dispatcher.closing = True

    def close(self, c: Any) -> None:
        """The worker stops, and its pool is about to."""
        self._end_polling()
        if self.dispatcher is not None and self.loop is not None:
            self.dispatcher.hand_back(State.TAKEN, State.PARKED)

    def terminate(self, c: Any) -> None:
        """A cold shutdown's stop."""
        self.stop(c)

    def shutdown(self, c: Any) -> None:
        """The pool is gone; called once, last."""
        try:
            self._end_polling()
            if self.loop is not None and self.dispatcher is not None:
                self._wind_up(self.loop, self.dispatcher)
        finally:
            signals.worker_shutting_down.disconnect(sender=c.hostname, dispatch_uid=self._uid)
            self._mailbox.close()
            if getattr(c, "sfini_bridge", None) is self:
                del c.sfini_bridge

    def _end_polling(self) -> None:
        with self._lock:
            self._stop.set()
        if self.dispatcher is not None:
            self.dispatcher.closing = True
        if self.loop is not None:
            self.loop.stop_polling()

    def _wind_up(self, loop: Any, dispatcher: Dispatcher) -> None:
        assert self._sfn is not None
        flush = FLUSH_SECONDS
        try:
            if handed_back := dispatcher.hand_back():
                logger.info("sfini_handed_back count=%d: not run to an end here, left to others", handed_back)
            if not loop.drain(self._sfn.settings.drain_timeout):
                logger.warning("sfini_drain_timeout: a task given to an open poll waits for its heartbeat time-out")
        except BaseException:  # a second signal: no more waiting for polls, but reports still go out
            flush = HURRIED_FLUSH_SECONDS
            raise
        finally:
            dispatcher.hand_back()
            if not loop.flush(flush):
                logger.error("sfini_reports_unsent: AWS could not be reached; the tasks wait for their time-outs")
            loop.close()

    # -- the setup thread

    def _set_up(self, c: Any) -> None:
        if not self.polled:
            logger.info("sfini_idle: no activity's task routes to a queue of this worker")
            return
        assert self._sfn is not None and self.dispatcher is not None
        sfn, dispatcher = self._sfn, self.dispatcher
        found = persist("polling cannot start", self._find, self._stop)
        if found is None:
            return
        plane, arns = found
        from sfini_celery.worker.loop import ActivityPoll, Loop  # aiohttp: only in a process that polls

        settings = sfn.settings
        with self._lock:
            if self._stop.is_set():
                return
            dispatcher.line = self.loop = Loop(
                connect=lambda: plane,
                ledger=self._ledger,
                activities=[
                    ActivityPoll(each.name, arns[each.name], each.polls, each.heartbeat) for each in self.polled
                ],
                worker=c.hostname,
                capacity=dispatcher.capacity,
                deliver=dispatcher.deliver,
                closed=dispatcher.closed,
                missing=self._create if settings.create_missing_activities else None,
                on_crash=self._on_crash,
                poll_rate=settings.poll_rate,
                report_deadline=settings.report_deadline,
            )
            self.loop.start()
        self._announce(plane.region)

    def _find(self) -> tuple[Any, dict[str, str]]:
        assert self._sfn is not None
        from sfini_celery.dataplane import DataPlane

        settings, control = self._sfn.settings, self._sfn.control
        plane = DataPlane.from_session(control.session, region=settings.region, endpoint_url=settings.endpoint_url)
        names = [each.name for each in self.polled]
        return plane, find_activities(control, names, create=settings.create_missing_activities)

    def _create(self, name: str) -> str:
        assert self._sfn is not None
        return str(self._sfn.control.create_activity(name))

    def _announce(self, region: str) -> None:
        polls = sum(each.polls for each in self.polled)
        quota = poll_calls_allowed(region)
        logger.info(
            "sfini_serving: %d activities with up to %d polls: %.2f GetActivityTask calls a second while idle, %.2f %% "
            "of the account's %d in %s; each further worker like this one adds as much: %s",
            len(self.polled),
            polls,
            polls / POLL_SECONDS,
            100 * polls / POLL_SECONDS / quota,
            quota,
            region,
            ", ".join(each.name for each in self.polled),
        )

    def _warn_of_limits(self, c: Any) -> None:
        pool = type(c.pool).__module__.rpartition(".")[2]
        if pool in ("prefork", "asynpool"):
            return
        limited = [
            activity.task
            for each in self.polled
            for activity in each.serving
            if c.app.tasks[activity.task].time_limit or c.app.tasks[activity.task].soft_time_limit
        ]
        if limited or c.controller.time_limit or c.controller.soft_time_limit:
            logger.warning(
                "sfini_limits_unenforced: the %s pool does not enforce %s; the state's TimeoutSeconds does",
                pool,
                "soft time limits" if pool in ("gevent", "eventlet") else "time limits",
            )

    def _on_crash(self, exc: BaseException) -> None:
        # Without its loop the worker can report nothing: it ends, warmly, and a supervisor starts another.
        if state.should_stop is None or state.should_stop is False:
            state.should_stop = 1

    # -- what others see

    def info(self, c: Any) -> dict[str, Any]:
        """For ``inspect stats``."""
        return {"stepfunctions": self.loop.stats() if self.loop is not None else {"state": "starting"}}

    @property
    def _uid(self) -> str:
        return f"sfini-celery-{id(self)}"
