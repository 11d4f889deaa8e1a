"""The bridge: takes activity tasks, has them run by a Celery worker, reports their outcome.

``ledger`` says what is held, ``loop`` talks to AWS from its own thread; both know nothing of Celery.
"""
