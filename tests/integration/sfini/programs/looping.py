"""A loop, in the older way: a Pass sets a counter, a Task raises it, a Choice goes back until it is high enough."""

import sfini_celery as sfini

activities = sfini.ActivityRegistration("loop")


@activities.activity("step")
def step(data):
    return data["height"] + data["stride"]


sm = sfini.StateMachine("climb")

ground = sm.pass_("ground", result=0, result_path="$.height")
sm.start_at(ground)

climb = sm.task("climb", step, result_path="$.height")
ground.goes_to(climb)

look = sm.choice("look")
climb.goes_to(look)
look.add(sfini.NumericLessThan("$.height", 10, climb))

top = sm.succeed("top", output_path="$.height")
look.set_default(top)

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
