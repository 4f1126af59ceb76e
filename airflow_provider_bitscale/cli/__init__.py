"""``airflow bitscale …``: commands that look, run one row, and serve a local BitScale.

- ``definition``: names, arguments and help of all commands. Airflow loads it with every command of its own,
  so it loads nothing else; a new command gets its entry there, and a function in one of the others.
- ``account``: check, credits, grids, columns. ``runs``: run, get-run. ``local``: demo, emulator.
- ``frame``: around each command: the hook of the connection, errors in one line, exit codes.
- ``records``: pure: what a command shows. ``output``: how it is printed.
"""
