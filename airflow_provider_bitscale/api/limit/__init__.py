"""The rate limit of one API key: when the next request may leave.

- ``headers``: reads what an answer tells: X-RateLimit-*, Retry-After, Date.
- ``clock``: by how much the server's clock is ahead of ours.
- ``window``: what is left of the server's window, and how to spread it.
- ``pace``: the pace that is configured or assumed.
- ``refusals``: how long to pause after a 429, and how much slower to go on.
- ``traffic``: requests under way.
- ``rate_limit``: all of them combined. Pure up to here: time comes in as Unix seconds.
- ``pacer``: books slots for threads and event loops; the one door for clients.

In: requests that leave, answers, failures. Out: seconds to wait; 0 when the slot is booked.
"""
