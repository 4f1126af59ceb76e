"""What the processes of a deployment know together about a limit. All of it is a hint, and none of it secret.

- ``address``: what URLs of shared state mean, and what a client's limit is called there. Pure.
- ``backend``: what a place must offer that holds shared state: ``file_backend``, ``redis_backend``.
- ``private_folder``: the folder of the files. ``file_content``: what stands in them. Pure.
- ``shared_state``: asks a backend, for threads and event loops; goes without it while it is away.
- ``hints``: values about grids, as JSON.
- ``location``: from a URL to the state behind it.

In: bookings of slots, and values with a lifetime. Out: turns and values, or None where there is no answer.
"""
