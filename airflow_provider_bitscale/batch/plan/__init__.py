"""Pure decisions of a batch: no clock, no I/O; times come in as arguments.

- ``lifecycle``, ``batch_row``: the states of a row, and every transition between them.
- ``scheduler``: which request leaves next; it asks the others.
- ``poll_schedule``, ``throughput``: when which run is polled.
- ``brake``, ``budget``, ``outage``: how much may be in flight, be spent, or has to wait.
- ``error_policy``, ``ambiguous``: what follows from an answer, or from none.
- ``verdict``: whether the task succeeds.
"""
