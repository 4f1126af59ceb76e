"""A batch: one run for each of many rows of one grid, through crashes, retries and outages.

- ``table``: rows are read, checked and mapped to inputs; parts and the manifest are written.
- ``plan``: pure decisions: the life of a row, and what the next request is best spent on.
- ``store``: what survives a crash: in the task's state store, on the disk, beside the parts.
- ``runner``: the loop. Its helpers share ``running``: ``prefetch`` opens segments, ``submissions`` sends,
  ``polls`` asks for runs, ``inbox`` takes deliveries.
- ``options`` are checked when the DAG is parsed; ``row_result``, ``progress``: what comes out.

Imports go one way: the runner and its helpers use all rooms, store uses table and plan, these use neither.
"""
