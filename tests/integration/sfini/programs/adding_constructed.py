"""The same as sfini 0.1.0 builds it: states first, then the machine of all that can be reached."""

import sfini_celery as sfini

activities = sfini.ActivityRegistration(prefix="sums")


@activities.smart_activity(name="add")
def add_up(a, b, c=100):
    return a + b + c


add = sfini.Task("add", add_up, input_path="$.numbers", result_path="$.sum")
sm = sfini.construct_state_machine("sums", add, comment="adds two numbers to a hundred", timeout=60)

activities.register()
sm.register()

execution = sm.start_execution(execution_input={"numbers": {"a": 1, "b": 2, "other": 3}})
print(execution.name)

worker = sfini.Worker(add_up, name="adder")
worker.start()
execution.wait()
print(execution.output)
print(execution.format_history())

worker.end()
worker.join()
activities.deregister()
sm.deregister()
