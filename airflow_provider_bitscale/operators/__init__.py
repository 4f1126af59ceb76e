"""What DAG authors use to run grids: thin layers between Airflow and ``runs`` and ``batch``.

- ``run_grid``: one row. ``run_session`` is one try; ``submission`` checks and sends the row, ``run_waiter``
  waits for its run.
- ``run_grid_batch``: a table. ``batch_session`` is one try; its parts are ``batch_start``, ``batch_input``,
  ``batch_thread``, ``batch_report`` and ``batch_ending``.
- ``collect_undelivered``: runs whose webhook delivery never came.
- ``task_state``, ``rendered``, ``store_path``, ``hook_mixin``: Airflow's store, templates, paths, hook.

Arguments go in, as frozen options; an XCom comes out, or what the task defers on. The sessions load when a
task runs, not when its DAG file is parsed.
"""
