"""The requests under way."""

from __future__ import annotations

from airflow_provider_bitscale.api.limit.traffic import UNLEARNED_IN_FLIGHT, UNTIL_AN_ANSWER, Traffic

NOW = 1_800_000_000.0


def crowded() -> Traffic:
    traffic = Traffic()
    for _ in range(UNLEARNED_IN_FLIGHT):
        assert traffic.delay(NOW) == 0
        traffic.sent(NOW)
    assert traffic.delay(NOW) == UNTIL_AN_ANSWER
    return traffic


def test_until_the_first_answer_only_a_few_are_under_way() -> None:
    traffic = crowded()
    traffic.over(counted=False, answered=True)
    for _ in range(100):
        traffic.sent(NOW)
        assert traffic.delay(NOW) == 0


def test_one_that_got_no_answer_makes_room_for_one() -> None:
    traffic = crowded()
    traffic.over(counted=False, answered=False)
    assert traffic.delay(NOW) == 0
    traffic.sent(NOW)
    assert traffic.delay(NOW) == UNTIL_AN_ANSWER


def test_while_the_first_answers_are_long_in_coming_one_leaves_each_second() -> None:
    traffic = crowded()
    assert traffic.delay(NOW + 0.9) == UNTIL_AN_ANSWER
    assert traffic.delay(NOW + 1.0) == 0


def test_those_that_the_server_has_counted_are_told_apart() -> None:
    traffic = crowded()
    traffic.counted()
    assert (traffic.in_flight, traffic.late) == (UNLEARNED_IN_FLIGHT - 1, 1)
    traffic.over(counted=True, answered=True)
    traffic.over(counted=False, answered=True)
    assert (traffic.in_flight, traffic.late) == (UNLEARNED_IN_FLIGHT - 2, 0)
