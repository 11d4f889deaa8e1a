"""Two branches, in the older way: a state named alike in both, and a datetime that a Wait state waits for."""

import datetime
import logging

import sfini_celery as sfini

activities = sfini.ActivityRegistration("fan")


@activities.activity("noteActivity")
def note_activity(data):
    logging.getLogger("notes").log(data["level"], data["message"])


@activities.activity("laterActivity")
def later_activity(data):
    print("asked at", data["message"])
    return datetime.datetime.now(tz=datetime.timezone.utc) + datetime.timedelta(seconds=len(data))


sm = sfini.StateMachine("fanOut")
both = sm.parallel("both", result_path="$.branches", output_path="$.branches")
sm.start_at(both)

noting = sfini.StateMachine("noting")
both.add(noting)
note = noting.task("note", note_activity, result_path=None)
noting.start_at(note)

waiting = sfini.StateMachine("waiting")
both.add(waiting)
later = waiting.task("note", later_activity, result_path="$.until")
waiting.start_at(later)
wait = waiting.wait("wait", "$.until")
later.goes_to(wait)

activities.register()
sm.register()

workers = [sfini.Worker(note_activity), sfini.Worker(later_activity)]
[w.start() for w in workers]

execution = sm.start_execution(execution_input={"level": 20, "message": "noon"})
print(execution.name)
execution.wait()
print(execution.output)

[w.end() for w in workers]
[w.join() for w in workers]
activities.deregister()
sm.deregister()
