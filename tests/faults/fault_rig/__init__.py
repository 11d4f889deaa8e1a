"""What breaks things on purpose: a proxy that misbehaves and processes that are killed, as a seed has it."""
