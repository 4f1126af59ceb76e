"""What more than one folder of tests uses; imports nothing from them.

A task without Airflow: ``task_runs`` (tries, deferral, a state store in memory), ``batches`` (the same for a
batch), ``batch_process`` (one in a process of its own), ``hooks``, ``json_store``, ``state_store``,
``object_stores``, ``receiver`` and ``deliveries`` (what is delivered), ``simulation`` (a virtual clock).
The API: ``clients`` (both behind one call), ``fixtures``, ``servers`` and ``scripted`` (exact answers),
``documents`` (what the API's document says), ``certificates``.
A real Airflow: ``local_airflow``, ``airflow_api``, ``processes``, ``waiting``, and beside it ``postgres`` and
``redis``, each a ``service``. The DAGs that users get: ``examples``.
"""
