"""The first example of sfini's README: one activity, one state, built with the machine's own methods."""

import sfini_celery as sfini

activities = sfini.ActivityRegistration(prefix="test")


@activities.activity("addActivity")
def add_activity(data):
    return data["a"] + data["b"]


sm = sfini.StateMachine("testAdding")
add = sm.task("add", add_activity)
sm.start_at(add)
activities.register()
sm.register()
worker = sfini.Worker(add_activity)
worker.start()
execution = sm.start_execution(execution_input={"a": 3, "b": 42})
print(execution.name)  # testAdding_2019-05-13T19-07_0354d790
execution.wait()
print(execution.output)  # 45
worker.end()
worker.join()
activities.deregister()
sm.deregister()
