"""An even pace: configured, assumed, or that of a window."""

from __future__ import annotations

import pytest

from airflow_provider_bitscale.api.limit.pace import BURST_SECONDS, NO_PACE, Pace, Slots, evenly, pace_of

NOW = 1_800_000_000.0

# Configured a minute, assumed a second, share, whether the window is known; then the pace.
PACES: dict[str, tuple[float | None, float | None, float, bool, Pace]] = {
    "nothing known": (None, None, 1.0, False, NO_PACE),
    "configured": (60, None, 1.0, False, Pace(1.0, BURST_SECONDS)),
    "configured, shared": (60, None, 0.5, False, Pace(2.0, BURST_SECONDS)),
    "configured, and the window is what is shared": (60, None, 0.5, True, Pace(1.0, BURST_SECONDS)),
    "configured, where no bursts are allowed": (60, 5.0, 1.0, False, Pace(1.0, 0.0)),
    "assumed": (None, 5.0, 1.0, False, evenly(5.0, 1.0)),
    "assumed, shared": (None, 5.0, 0.5, False, evenly(2.5, 1.0)),
    "assumed, and the server tells better": (None, 5.0, 1.0, True, NO_PACE),
}


@pytest.mark.parametrize(
    ("per_minute", "assumed", "share", "known", "pace"), PACES.values(), ids=PACES.keys()
)
def test_which_pace(
    per_minute: float | None, assumed: float | None, share: float, known: bool, pace: Pace
) -> None:
    assert pace_of(per_minute, assumed, share, window_is_known=known) == pace


@pytest.mark.parametrize("seconds", [1.0, 60.0])
@pytest.mark.parametrize("requests", [1, 2, 5, 100, 1000])
def test_at_an_even_pace_no_window_sees_more_whenever_it_begins(requests: int, seconds: float) -> None:
    pace = evenly(requests, seconds)
    slots, now, sent = Slots(), NOW, []
    for number in range(4 * requests + 10):
        # Late now and then, as a busy event loop is.
        now += slots.delay(now) + (pace.behind / 2 if number % 3 else 0.0)
        slots.sent(now, pace)
        sent.append(now)
    assert all(later - first > seconds for first, later in zip(sent, sent[requests:], strict=False))


def test_who_is_behind_catches_up_but_saves_no_more_than_a_burst() -> None:
    slots, pace = Slots(), Pace(1.0, 5.0)
    slots.sent(NOW, pace)
    now = NOW + 100
    burst = 0
    while not slots.delay(now):
        slots.sent(now, pace)
        burst += 1
    assert burst == 6
    assert slots.delay(now) == pytest.approx(1.0)
