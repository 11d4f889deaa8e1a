"""Celery tasks as AWS Step Functions activities: durable, visible, restartable workflows."""
