"""The same failure as sfini 0.1.0 builds it, with the history printed."""

import time

import sfini_celery as sfini

activities = sfini.ActivityRegistration(prefix="luckless")

nap = 4


class MyError(Exception):
    pass


@activities.activity("tryActivity")
def try_activity(data):
    global nap
    time.sleep(nap)
    nap -= 3
    raise MyError("no luck")


attempt = sfini.Task("attempt", try_activity, timeout=2)
attempt.retry_for(["States.Timeout"], interval=1)
fail = sfini.Fail("fail", error="WorkerError", cause="MyError was raised")
attempt.catch(["MyError"], fail, result_path="$.error-info")
sm = sfini.construct_state_machine("luckless", attempt)

activities.register()
sm.register()

worker = sfini.Worker(try_activity)
worker.start()

execution = sm.start_execution(execution_input={})
print(execution.name)
execution.wait()
print(execution.format_history())

worker.end()
worker.join()
activities.deregister()
sm.deregister()
