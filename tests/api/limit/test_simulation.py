"""The pace as a whole: many clients, a server with a fixed window and a network, under a virtual clock."""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections import Counter, deque
from dataclasses import dataclass, field
from email.utils import formatdate

import pytest

from airflow_provider_bitscale.api.limit.rate_limit import RateLimit

# A whole minute, so that windows of any length begin with it.
EPOCH = 1_800_000_000.0


@dataclass
class Server:
    """Counts requests in windows of Unix time, and tells of it in the documented headers.

    :param skew: seconds by which its clock is ahead.
    :param silent: whether it tells nothing of its limit.
    """

    limit: int
    window: float
    skew: float = 0.0
    silent: bool = False
    served: Counter[int] = field(default_factory=Counter)
    refused: list[float] = field(default_factory=list)

    def answer(self, now: float) -> tuple[int, dict[str, str]]:
        now += self.skew
        window = math.floor(now / self.window)
        allowed = self.served[window] < self.limit
        if allowed:
            self.served[window] += 1
        else:
            self.refused.append(now - self.skew)
        headers = {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.limit - self.served[window]),
            "X-RateLimit-Reset": str(math.ceil((window + 1) * self.window)),
            "Date": formatdate(int(now), usegmt=True),
        }
        return (200 if allowed else 429), {} if self.silent else headers

    def utilisation(self, skip: int = 2) -> float:
        """The share of the limit that was served, in all windows but the first ones and the last."""
        windows = sorted(self.served)[skip:-1]
        return sum(self.served[window] for window in windows) / (len(windows) * self.limit)


@dataclass
class Network:
    """How long an answer takes, half of it each way; up to ``spread`` more, so that some are overtaken.

    :param lost: the share of requests without an answer.
    :param held: seconds, from and to, that the server takes for an answer, having counted the request.
    """

    latency: float
    spread: float = 0.5
    lost: float = 0.0
    held: tuple[float, float] = (0.0, 0.0)


def simulate(
    limits: list[RateLimit],
    server: Server,
    network: Network,
    *,
    start: float,
    jobs: int,
    patience: float = 600,
) -> list[list[int]]:
    """Send so many requests by each limit; those that were served.

    A request that is refused or lost is sent again at once, ahead of the others.
    """
    dice = random.Random(7)
    waiting = [deque(range(jobs)) for _ in limits]
    done: list[list[int]] = [[] for _ in limits]
    number = itertools.count()
    under_way: set[tuple[int, int]] = set()
    late: set[tuple[int, int]] = set()
    events: list[tuple[float, int, str, int, int, tuple[int, dict[str, str]] | None]] = []

    def plan(
        at: float, kind: str, client: int, job: int = -1, answer: tuple[int, dict[str, str]] | None = None
    ) -> None:
        heapq.heappush(events, (at, next(number), kind, client, job, answer))

    def send_again(client: int, job: int, now: float) -> None:
        if not waiting[client]:
            plan(now, "ask", client)
        waiting[client].appendleft(job)

    for client in range(len(limits)):
        plan(start, "ask", client)
    while events:
        now, _, kind, client, job, answer = heapq.heappop(events)
        assert now < start + patience, "somebody waits for ever"
        limit = limits[client]
        if kind == "ask" and waiting[client]:
            delay = limit.delay(now)
            if delay > 0:
                plan(now + delay, "ask", client)
                continue
            limit.sent(now)
            there = network.latency / 2 * (1 + network.spread * dice.random())
            job = waiting[client].popleft()
            plan(now + there, "arrive", client, job)
            if network.held[1]:
                under_way.add((client, job))
                plan(now + limit.counted_after, "late", client, job)
            plan(now, "ask", client)
        elif kind == "arrive":
            back = now + network.latency / 2 * (1 + network.spread * dice.random())
            if dice.random() < network.lost:
                plan(back, "lost", client, job)
            else:
                answer = server.answer(now)
                if answer[0] == 200 and network.held[1]:
                    # All that is told, the date too, is as it was when the request was counted.
                    back += dice.uniform(*network.held)
                plan(back, "answer", client, job, answer)
        elif kind == "late" and (client, job) in under_way:
            limit.counted()
            late.add((client, job))
        elif kind == "lost":
            limit.failed()
            send_again(client, job, now)
        elif kind == "answer" and answer is not None:
            limit.answered(now, *answer, jitter=dice.random(), counted=(client, job) in late)
            under_way.discard((client, job))
            late.discard((client, job))
            if answer[0] == 429:
                send_again(client, job, now)
            else:
                done[client].append(job)
    return done


WINDOWS = [(60, 1.0), (600, 60.0), (100, 10.0), (1, 1.0)]


@pytest.mark.parametrize(("requests", "window"), WINDOWS)
@pytest.mark.parametrize("latency", [0.002, 0.02, 0.3])
@pytest.mark.parametrize("begun", [0.0, 0.5, 0.97])
def test_no_429_and_hardly_a_request_wasted(
    requests: int, window: float, latency: float, begun: float
) -> None:
    server = Server(requests, window)
    (done,) = simulate(
        [RateLimit()], server, Network(latency), start=EPOCH + begun * window, jobs=8 * requests
    )
    first_window = EPOCH + begun * window + window + latency
    assert [at for at in server.refused if at > first_window] == []
    assert sorted(done) == list(range(8 * requests))
    if requests > 1:
        assert server.refused == []
        assert server.utilisation() >= 0.95


@pytest.mark.parametrize("skew", [-1.9, -0.6, 0.6, 1.9, -100.3, 100.3, 5000.0, -5000.0])
@pytest.mark.parametrize(("requests", "window"), [(600, 60.0), (60, 10.0)])
def test_clocks_that_differ_delay_but_never_block(requests: int, window: float, skew: float) -> None:
    for begun in (0.1, 0.97, 0.999):
        server = Server(requests, window, skew)
        (done,) = simulate(
            [RateLimit()], server, Network(0.05), start=EPOCH + begun * window, jobs=6 * requests
        )
        assert sorted(done) == list(range(6 * requests))
        assert server.utilisation() >= 0.8


@pytest.mark.parametrize(("processes", "refused_share"), [(2, 0.01), (4, 0.06)])
def test_windows_of_a_second_are_shared_too(processes: int, refused_share: float) -> None:
    server = Server(40, 1.0)
    limits = [RateLimit() for _ in range(processes)]
    served = simulate(limits, server, Network(0.03), start=EPOCH + 0.3, jobs=480 // processes)
    assert all(sorted(done) == list(range(480 // processes)) for done in served)
    assert server.utilisation() >= 0.95
    assert len(server.refused) <= refused_share * 480


@pytest.mark.parametrize("processes", [2, 5])
def test_processes_that_share_a_key_share_the_limit(processes: int) -> None:
    server = Server(600, 60.0)
    limits = [RateLimit() for _ in range(processes)]
    served = simulate(limits, server, Network(0.05), start=EPOCH + 5, jobs=3000 // processes)
    assert all(sorted(done) == list(range(3000 // processes)) for done in served)
    assert server.utilisation() >= 0.95
    # A process learns of the others by an answer: what left before it may be refused, nothing after it.
    for _, refused in itertools.groupby(server.refused, key=lambda at: at // 60.0):
        times = list(refused)
        assert times[-1] - times[0] < 0.1


@pytest.mark.parametrize(("requests", "window"), [(50, 1.0), (100, 60.0)])
@pytest.mark.parametrize("held", [(2.0, 10.0), (20.0, 90.0)])
def test_answers_that_come_windows_later_hold_nothing_up(
    requests: int, window: float, held: tuple[float, float]
) -> None:
    server = Server(requests, window)
    (done,) = simulate(
        [RateLimit()],
        server,
        Network(0.01, held=held),
        start=EPOCH + 0.4,
        jobs=20 * requests,
        patience=30 * window + 200,
    )
    assert sorted(done) == list(range(20 * requests))
    assert len(server.refused) <= 2
    # By then it is known how long a window is.
    assert server.utilisation(skip=-13) >= 0.95


@pytest.mark.parametrize(("requests", "window"), [(50, 1.0), (20, 1.0), (100, 10.0)])
def test_late_answers_after_a_long_time_at_the_limit_stall_nothing(requests: int, window: float) -> None:
    limit, server = RateLimit(), Server(requests, window)
    simulate([limit], server, Network(0.01), start=EPOCH, jobs=300 * requests, patience=400 * window)
    now = EPOCH + (max(server.served) + 1.5) * window
    limit.delay(now)
    limit.sent(now)
    limit.counted()
    assert limit.delay(now) <= 2 * window / requests


@pytest.mark.parametrize("lost", [0.1, 0.9])
def test_requests_without_an_answer_do_not_block_others(lost: float) -> None:
    server = Server(60, 1.0)
    (done,) = simulate([RateLimit()], server, Network(0.02, lost=lost), start=EPOCH, jobs=300)
    assert sorted(done) == list(range(300))
    assert server.refused == []


@pytest.mark.parametrize("begun", [0.0, 0.5, 0.97])
@pytest.mark.parametrize("latency", [0.002, 0.05, 0.3])
def test_a_server_that_tells_nothing_is_met_at_the_assumed_rate(latency: float, begun: float) -> None:
    server = Server(5, 1.0, silent=True)
    (done,) = simulate(
        [RateLimit(assumed_per_second=5.0)], server, Network(latency, 0.2), start=EPOCH + begun, jobs=150
    )
    assert sorted(done) == list(range(150))
    assert server.refused == []
    assert server.utilisation() >= 0.9


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_that_are_told_nothing_find_a_pace_without_a_storm(processes: int) -> None:
    server = Server(5, 1.0, silent=True)
    limits = [RateLimit(assumed_per_second=5.0) for _ in range(processes)]
    served = simulate(limits, server, Network(0.05), start=EPOCH, jobs=400 // processes)
    assert all(sorted(done) == list(range(400 // processes)) for done in served)
    assert server.utilisation() >= 0.5
    assert len(server.refused) < 0.15 * 400
