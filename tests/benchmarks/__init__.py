"""How this provider fares against its targets and its peers: ``python -m tests.benchmarks``.

Every figure is a ratio or a bound, measured in this run on this machine, so that it holds on another
machine too. CPU time, not wall time, wherever the question allows it. Loopback only; nothing is left running.
"""
