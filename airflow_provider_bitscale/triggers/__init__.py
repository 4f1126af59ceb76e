"""What waits in the triggerer: ``run_completed`` for a run, ``credits`` for credits.

Arguments are JSON without secrets; the event is a ``runs.outcome``. ``outcome`` is their base.
``awaited_delivery`` listens for the delivery that ends the wait early. Triggers that start together have one
``shared_hook``.
"""
