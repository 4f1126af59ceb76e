"""Rows in, parts out.

In comes a list or a file; out come rows with their inputs in segments, then parts and a manifest.

- ``readers`` (``file_format``, ``csv_rows``, ``json_rows``, ``raw_rows``): rows with their places.
- ``earlier_rows``: rows of an earlier batch, by its manifest.
- ``mapping``, ``coercion``: from the fields of a row to the inputs of its run.
- ``survey``, ``data_quality``, ``row_errors``: all rows are checked before any is paid for.
- ``writers``, ``manifest``: parts, and the file that lists them and says how their rows were read.
- ``storage``: paths, whole writes and errors of disks and object stores.
"""
