"""What survives a crash of a batch.

In come announcements, run ids and results of rows; out comes, for the next try, what became of each row.

- ``batch_record``, ``segment_records``: shapes and keys in the task's state store, and how they are read.
- ``journal``, ``journal_writer``: changes of these records, gathered, and written in the background.
- ``sent_log``, ``sent_rows``: a log on disk of each request, written before it leaves, and what it proves.
- ``unsaved_changes``: a file beside the parts, for what the state store does not take.
- ``takeover``: how a new try begins with all that earlier ones left.
- ``segments``: rows in work; a finished segment becomes a part and a summary.
"""
