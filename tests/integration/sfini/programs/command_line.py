"""sfini's command line, around one machine and its activity."""

import sfini_celery as sfini

activities = sfini.ActivityRegistration(prefix="cli")


@activities.activity("double")
def double(data):
    return data * 2


machine = sfini.construct_state_machine("doubling", sfini.Task("double", double))

if __name__ == "__main__":
    sfini.CLI(machine, activities, role_arn="arn:aws:iam::123456789012:role/any", version="1.0").parse_args()
