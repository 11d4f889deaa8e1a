"""The same loop as sfini 0.1.0 builds it."""

import sfini_celery as sfini

activities = sfini.ActivityRegistration(prefix="spin")


@activities.activity("step")
def step(data):
    return data["height"] + data["stride"]


ground = sfini.Pass("ground", result=0, result_path="$.height")
climb = sfini.Task("climb", step, result_path="$.height")
ground.goes_to(climb)
look = sfini.Choice("look")
climb.goes_to(look)
look.add(sfini.NumericLessThan("$.height", 10, climb))
top = sfini.Succeed("top", output_path="$.height")
look.set_default(top)
sm = sfini.construct_state_machine("spin", ground)

activities.register()
sm.register()

worker = sfini.Worker(step)
worker.start()

execution = sm.start_execution(execution_input={"stride": 3})
print(execution.name)
execution.wait()
print(execution.output)

worker.end()
worker.join()
activities.deregister()
sm.deregister()
