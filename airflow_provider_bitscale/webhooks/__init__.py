"""Deliveries: results of runs that BitScale sends to a webhook URL, and Airflow's receiver of them.

Out: ``callback_url`` puts a ``callback_token`` into the URL of a submission, which names the task instance.
In, on the API server: ``plugin`` mounts the ``receiver``. It reads ``bodies``, verifies them with the secrets
of the ``served_connections``, and groups deliveries (``coalescing``). ``notify_tasks`` stores one for the
task instance that waits (``awaited``), for a batch in its ``delivery_queue``; ``notify_dags`` makes an event
of its asset (``assets``). Both give one of the ``outcomes``. ``airflow_internals`` has what they use of
Airflow that is not public; ``quiet_log`` limits the log.
Lost ones: ``submission_events`` records what was submitted, ``redelivery`` delivers a run from a worker.
Only the receiver and what it alone uses load FastAPI or SQLAlchemy; DAG files import ``assets``.
"""
