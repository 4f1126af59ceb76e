"""What DAG authors use to run grids: thin layers between Airflow and ``runs`` and ``batch``.

- ``run_grid``: one row. ``submission`` checks and sends it, ``run_waiter`` waits for it.
- ``run_grid_batch``: a table. ``batch_session`` is one try; its parts are ``batch_start``, ``batch_input``,
  ``batch_thread``, ``batch_report`` and ``batch_ending``.
- ``collect_undelivered``: runs whose webhook delivery never came.
- ``task_state``, ``rendered``, ``store_path``: Airflow's state store, templates and stores.

Arguments go in; an XCom comes out, or a deferral to ``triggers``.
"""
