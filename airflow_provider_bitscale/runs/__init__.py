"""The life of one run, without Airflow. Worker, triggerer and batch decide by the same modules.

- ``request``, ``inputs``, ``grid_schema``, ``column_values``, ``field_names``, ``undefined``: inputs, checked
  before they cost anything.
- ``run_record``, ``state_store``, ``resume``, ``adoption``: what survives a crash, and what a new try does.
- ``polling``, ``poll_loop``, ``sights``, ``undelivered``: when to poll, and when waiting is over.
- ``result``, ``outputs``, ``failures``: what a task makes of a run that has ended.
- ``options``: the options of operators and sensors, checked when a DAG is parsed.
"""
