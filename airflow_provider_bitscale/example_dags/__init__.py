"""DAGs that show what the provider does, one each: to read, and to copy.

Airflow offers them where ``[core] load_examples`` is set, paused. They use the connection
``bitscale_example``, so that none spends by the connection of your own DAGs. No clock starts one.
"""
