from __future__ import annotations

import celery
import pytest
from kombu import Exchange, Queue

from sfini_celery.activity import Activity
from sfini_celery.worker.queues import polled_activities, queue_of

pytestmark = pytest.mark.filterwarnings("ignore::celery.exceptions.CDeprecationWarning")  # Celery's, of a task's queue=


def body() -> None:
    pass


def make_app(routes: object) -> celery.Celery:
    app = celery.Celery("queues", broker="memory://", set_as_current=False)
    app.conf.task_queues = [Queue("celery"), Queue("images", Exchange("media"), routing_key="images.#")]
    app.conf.task_routes = routes
    for name, options in {"resize": {}, "crop": {}, "add": {}, "own": {"queue": "images"}}.items():
        app.task(name=name, shared=False, **options)(body)
    app.finalize()
    return app


@pytest.fixture
def app() -> celery.Celery:
    return make_app({"resize": {"queue": "images"}, "crop": {"queue": "undeclared"}})


def activities() -> list[Activity]:
    return [Activity(name=f"a-{task}", task=task) for task in ("resize", "crop", "add", "own")]


def names(app: celery.Celery, found: list[Activity] | None = None) -> list[str]:
    return [each.name for each in polled_activities(app, found or activities(), polls=4)]


def test_without_queues_chosen_every_activity_is_polled(app: celery.Celery) -> None:
    assert names(app) == ["a-add", "a-crop", "a-own", "a-resize"]


def test_only_activities_of_the_chosen_queues_are_polled(app: celery.Celery) -> None:
    app.amqp.queues.select(["images"])
    assert names(app) == ["a-own", "a-resize"]
    app.amqp.queues.select(["celery", "undeclared"])
    assert names(app) == ["a-add", "a-crop"]


def test_activities_of_an_excluded_queue_are_not_polled(app: celery.Celery) -> None:
    app.amqp.queues.deselect(["images"])
    # Celery before 5.7 takes -X for a choice of all the others, which leaves undeclared queues out.
    assert names(app) in (["a-add", "a-crop"], ["a-add"])


def test_declared_queues_have_activities_of_their_own(app: celery.Celery) -> None:
    found = [Activity(name="a-add", task="add", queues=("images", "fast"))]
    assert names(app, found) == ["a-add", "a-add@fast", "a-add@images"]
    app.amqp.queues.select(["images"])
    assert names(app, found) == ["a-add@images"]
    assert polled_activities(app, found, polls=4)[0].queue == "images"


def test_activity_that_tasks_share_is_polled_once_for_all_of_them(app: celery.Celery) -> None:
    found = [Activity(name="both", task=task, shared=True, polls=7) for task in ("add", "resize")]
    app.amqp.queues.select(["images"])
    (polled,) = polled_activities(app, found, polls=4)
    assert (polled.name, polled.polls, [a.task for a in polled.serving]) == ("both", 7, ["add", "resize"])


def test_router_that_fails_without_arguments_leaves_the_task_in_the_default_queue(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = make_app([lambda name, args, kwargs, options, task=None: {"queue": args[0]}])
    assert queue_of(app, "add") == "celery"
    assert "sfini_route_unknown" in caplog.text


def test_task_routed_by_exchange_and_key_is_found_among_the_declared_queues() -> None:
    app = make_app([])
    app.task(name="keyed", shared=False, routing_key="images.#", exchange="media")(body)
    assert queue_of(app, "keyed") == "images"
