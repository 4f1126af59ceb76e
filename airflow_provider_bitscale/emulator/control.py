"""A synchronous client of the emulator's control interface, for tests in any process."""

from __future__ import annotations

import json
from typing import Any, cast
from urllib.parse import quote

import requests

_TIMEOUT_SECONDS = 30


class EmulatorControl:
    """Steers the emulator at ``url``, such as ``http://127.0.0.1:8765`` (``Emulator.url``).

    Every method raises ``ValueError`` with the emulator's message when it refuses the request, and
    ``requests.RequestException`` when it cannot be reached.
    """

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/") + "/_emulator"

    def state(self) -> dict[str, Any]:
        """Return ``runs``, ``credits``, ``runs_paid``, ``deliveries`` and ``rate_limited`` as they are now.

        Times are Unix seconds. ``runs_paid`` counts accepted runs, ``rate_limited`` the 429s answered.
        """
        return cast("dict[str, Any]", self._ask("GET", "/state"))

    def requests(self) -> list[dict[str, Any]]:
        """Return the recorded requests in order of arrival: at, method, path, headers, body, status, fault.

        ``path`` is raw with its query; header names are lower case, and of a key only the last letters are
        shown; ``status`` is None if no status line was sent. The newest 200,000 requests are kept.
        """
        return cast("list[dict[str, Any]]", self._ask("GET", "/requests"))

    def add_fault(self, kind: str, **fields: Any) -> None:
        """Inject a fault.

        Fields of all kinds: ``on`` (endpoint name of the contract, None: any), ``times`` (how often, None:
        for ever), ``after`` (how many that match to spare first), ``probability`` and ``for_seconds`` (from
        now). Kinds that change fields count successful answers, kinds on runs count accepted runs, all others
        count requests.

        - ``latency``: answer ``seconds`` later; the work is done at once.
        - ``status``: answer ``status`` without the work; ``code`` and ``message``, or a whole ``body``;
          further ``headers``.
        - ``lost_request``: cut the connection before the work.
        - ``storm``: 429 without the work; ``retry_after`` in seconds, or ``"http-date"``.
        - ``redirect``: point to ``location`` with ``status`` (302), without the work.
        - ``lost_answer``: do the work, then cut the connection.
        - ``server_error_after_work``: do the work, then answer ``status`` (500).
        - ``empty``, ``array``: do the work, answer 200 with nothing or with ``[]``.
        - ``half_json``: do the work, answer half of its bytes as if they were all.
        - ``truncated``: do the work, announce all bytes, cut midway.
        - ``extra_fields``: a field no client knows in every object (``outputs`` and other maps excepted).
        - ``null_fields``: null wherever a client can do without, and for what has no value yet.
        - ``unknown_status``: polls answer the status ``value``.
        - ``hostile_poll_url``: the receipt of a run carries the poll_url ``url``.
        - ``reshape``: change the top level of an answer, in this order: ``set`` fields to any JSON (also NaN,
          half surrogates, integers of any size); turn ``outputs`` into a list of cells that name their column
          under ``cells``; ``drop`` fields; ``rename`` them (``{"run_id": "run.id"}``: a dot nests); ``wrap``
          it all in a field; answer a list of one (``as_list=True``). With ``when``, only answers of that
          status.
        - ``read_lag``: polls of an accepted run answer 404 RUN_NOT_FOUND for ``seconds`` from its acceptance
          and the first ``polls`` times; the run goes on.
        - ``run_fails``: accepted runs end failed, with ``message``.
        - ``run_never_ends``: accepted runs stay running until ``finish_run``.
        """
        self._ask("POST", "/faults", {"kind": kind, **fields})

    def clear_faults(self) -> None:
        """Lift all faults; what they did to runs stays."""
        self._ask("DELETE", "/faults")

    def reset(self) -> None:
        """Return to the start state: no runs, no faults, nothing recorded.

        Answers stay the same; run ids only where the emulator was given a seed.
        """
        self._ask("POST", "/reset")

    def set_credits(self, remaining: int, workspace_id: str | None = None) -> None:
        """Leave ``remaining`` credits in the workspace (None: the demo workspace)."""
        self._ask("POST", "/credits", {"remaining": remaining, "workspace_id": workspace_id})

    def finish_run(self, run_id: str, status: str = "completed") -> None:
        """End a run now, as ``completed`` or ``failed``, unless it has ended."""
        self._ask("POST", f"/runs/{quote(run_id, safe='')}/finish", {"status": status})

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        with requests.Session() as session:
            # A proxy of the environment must not stand between a test and its emulator.
            session.trust_env = False
            # Not json=body: requests refuses NaN and infinities, which a fault may have to carry.
            data = None if body is None else json.dumps(body)
            answer = session.request(method, self._url + path, data=data, timeout=_TIMEOUT_SECONDS)
        if answer.status_code in {400, 403, 404}:
            raise ValueError(answer.json()["error"]["message"])
        answer.raise_for_status()
        return answer.json()
