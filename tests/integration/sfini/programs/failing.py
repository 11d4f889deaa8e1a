"""Time-out, retry, catch, in the older way. The output that is asked for does not exist: the machine ends in a Fail."""

import time

import sfini_celery as sfini

activities = sfini.ActivityRegistration("hapless")

nap = 4


class MyError(Exception):
    pass


@activities.activity("tryActivity")
def try_activity(data):
    global nap
    time.sleep(nap)
    nap -= 3
    raise MyError("no luck")


sm = sfini.StateMachine("hapless")

attempt = sm.task("attempt", try_activity, timeout=2)
sm.start_at(attempt)
attempt.retry_for("Timeout", interval=1)

fail = sm.fail("fail", error="WorkerError", cause="MyError was raised")
attempt.catch(MyError, fail, result_path="$.error-info")

activities.register()
sm.register()

worker = sfini.Worker(try_activity)
worker.start()

execution = sm.start_execution(execution_input={})
print(execution.name)
execution.wait()
print(execution.output)

worker.end()
worker.join()
activities.deregister()
sm.deregister()
