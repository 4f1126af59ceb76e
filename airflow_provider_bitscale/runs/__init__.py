"""The life of one run, without Airflow. Worker, triggerer and batch decide by the same modules.

- ``request``, ``inputs``, ``grid_schema``, ``grid_cache``, ``column_values``, ``field_names``, ``undefined``:
  inputs, checked before they cost anything.
- ``run_record``, ``state_store``, ``resume``, ``adoption``: what survives a crash, and what a new try does.
- ``polling``, ``poll_loop``, ``poll_history``, ``undelivered``: when to poll, and when waiting is over.
- ``run_times``, ``run_lengths``, ``planned_polls``: how long runs take, and polls planned by that.
- ``outcome``: how a wait has ended, and the trigger event that says so.
- ``result``, ``outputs``, ``failures``: what a task makes of a run that has ended.
- ``options``: of a single run, checked when its DAG is parsed, and checks that batches and sensors share.
"""
