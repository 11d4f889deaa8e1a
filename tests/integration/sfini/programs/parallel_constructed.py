"""The same branches as sfini 0.1.0 builds them."""

import datetime
import logging

import sfini_celery as sfini

activities = sfini.ActivityRegistration(prefix="forks")


@activities.activity("noteActivity")
def note_activity(data):
    logging.getLogger("notes").log(data["level"], data["message"])


@activities.activity("laterActivity")
def later_activity(data):
    print("asked at", data["message"])
    moment = datetime.datetime.now(tz=datetime.timezone.utc) + datetime.timedelta(seconds=len(data))
    return moment.isoformat()


both = sfini.Parallel("both", result_path="$.branches", output_path="$.branches")

note = sfini.Task("note", note_activity, result_path=None)
later = sfini.Task("later", later_activity, result_path="$.until")
wait = sfini.Wait("wait", "$.until")
later.goes_to(wait)

both.add(sfini.construct_state_machine("noting", note))
both.add(sfini.construct_state_machine("waiting", later))
sm = sfini.construct_state_machine("forks", both)

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
