"""What DAG authors use to wait: ``run_completed`` for a run, ``credits`` for credits.

``outcome`` is their base. ``awaited`` polls and makes the XCom; it loads when a task runs, not when its DAG
file is parsed.
"""
