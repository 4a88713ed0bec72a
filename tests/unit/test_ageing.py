"""How memories age: relevance fades and is restored, importance has four parts, and a clock that jumps is not believed."""

import math

import pytest

from enhanced_memory.client.errors import Invalid
from enhanced_memory.daemon.ageing import DAY_MS, SHARES, Standing, importance, keeping, relevance
from enhanced_memory.daemon.curation.steadiness import BELIEVED_AFTER_S, Steadiness
from enhanced_memory.daemon.kinds import KINDS
from enhanced_memory.daemon.lifetimes import lifetimes

NOW = 1_800_000_000_000


def days(number: float) -> int:
    return NOW - int(number * DAY_MS)


def test_half_of_the_relevance_is_left_after_a_half_life() -> None:
    assert relevance(1.0, days(90), NOW, 90) == pytest.approx(0.5)
    assert relevance(0.6, days(180), NOW, 90) == pytest.approx(0.15)
    assert relevance(1.0, NOW, NOW, 90) == 1.0


def test_without_a_half_life_nothing_fades() -> None:
    assert relevance(0.7, days(10_000), NOW, 0) == 0.7


def test_a_time_of_the_future_ages_nothing() -> None:
    assert relevance(1.0, days(-400), NOW, 90) == 1.0
    assert sum(importance(Standing(days(-400), 0, days(-400), days(-400)), NOW).values()) <= 1.0


def test_the_parts_of_an_importance_are_a_whole() -> None:
    assert sum(SHARES.values()) == pytest.approx(1.0)
    assert importance(Standing(NOW, 10**9, NOW, NOW, 10**9), NOW) == SHARES
    assert sum(importance(Standing(0), NOW).values()) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    "better",
    [Standing(days(10)), Standing(days(50), 3), Standing(days(50), 0, days(5)), Standing(days(50), 0, 0, days(100)), Standing(days(50), links=1)],
    ids=["recent", "read", "read lately", "confirmed", "linked"],
)  # fmt: skip
def test_recency_reads_confirmation_and_links_each_make_a_memory_more_important(better: Standing) -> None:
    assert sum(importance(better, NOW).values()) > sum(importance(Standing(days(50)), NOW).values())


def test_priority_decides_what_is_kept_before_importance_and_a_rating_before_the_formula() -> None:
    plain, cherished = Standing(NOW, 100, NOW, NOW, 20, priority=4), Standing(days(1000), priority=5)
    assert keeping(plain, NOW) < keeping(cherished, NOW)
    assert keeping(Standing(NOW, 100, NOW, NOW, rated=0.0), NOW) < keeping(Standing(days(1000)), NOW)
    assert keeping(Standing(days(1000), rated=0.9), NOW) > keeping(Standing(NOW), NOW)


# Lifetimes by type


def test_the_setting_gives_types_a_lifetime_over_what_kinds_have() -> None:
    assert lifetimes(" note = 30 ,agent_state=0.5,") == {
        **{name: kind.expires_after_s for name, kind in KINDS.items() if kind.expires_after_s},
        "note": 30 * 86400.0,
        "agent_state": 43200.0,
    }


@pytest.mark.parametrize(
    "wrong", ["note", "note=", "=3", "note=0", "note=-1", "note=nan", "note=inf", "note=1e9", "a=1;"]
)
def test_a_lifetime_that_says_nothing_is_named(wrong: str) -> None:
    with pytest.raises(Invalid, match="expire_after_days"):
        lifetimes(wrong)


# The clock


class Hands:
    """A clock and the time that really passes."""

    def __init__(self) -> None:
        self.wall_s = NOW / 1000
        self.passed_s = 1000.0
        self.steadiness = Steadiness(lambda: int(self.wall_s * 1000), lambda: self.passed_s)

    def go_on(self, seconds: float) -> None:
        self.wall_s += seconds
        self.passed_s += seconds


@pytest.mark.parametrize(("hours", "says"), [(100, "ahead by 100.0 h"), (-100, "back by 100.0 h")])
def test_a_clock_that_jumps_is_not_believed_until_it_is_back_or_has_stayed(hours: int, says: str) -> None:
    hands = Hands()
    hands.go_on(86400 * 30)
    assert hands.steadiness.look() == ""
    hands.wall_s += hours * 3600
    assert says in hands.steadiness.look()
    hands.go_on(7200)
    assert says in hands.steadiness.look()
    hands.wall_s -= hours * 3600
    assert hands.steadiness.look() == ""
    hands.wall_s += hours * 3600
    assert says in hands.steadiness.look()
    hands.go_on(BELIEVED_AFTER_S)
    assert hands.steadiness.look() == ""


def test_a_clock_that_drifts_and_is_corrected_is_believed() -> None:
    hands = Hands()
    for _ in range(100):
        hands.go_on(86400)
        hands.wall_s += 600
        assert hands.steadiness.look() == ""


def test_relevance_is_never_more_than_it_was() -> None:
    for age in (0, 0.001, 1, 1e3, 1e6):
        left = relevance(1.0, days(age), NOW, 30)
        assert 0.0 <= left <= 1.0
        assert not math.isnan(left)
