"""From an Airflow connection to BitScale.

- ``bitscale``: the hook; every method has an async twin.
- ``polling``: its waits for runs and credits.
- ``client_provider``: reads the connection, once and when the key is refused, and makes clients of it.
- ``connection_config``, ``extra_fields``: pure: the fields of a connection as a checked configuration.
- ``metrics``: what clients count, as metrics of Airflow.
- ``connection_check``: what the Test button answers.

A connection id goes in; records of ``api`` come out, or errors that are Airflow exceptions, too.
"""
