"""When messages leave for a place: three within any minute, so many a day, none in quiet hours, and nothing is lost."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from flashcur.domain.delivery.batching import LEAST_MS, MOST_A_MINUTE, WINDOW_MS, hold_until_ms
from flashcur.domain.delivery.planning import Hold, Verdict, Wishes, silence, verdict
from flashcur.domain.delivery.quiet_hours import QuietHours

HOUR_MS = 3_600_000
NOON_MS = 1_795_780_800_000
PLAIN = Wishes(UTC)


def test_the_fourth_in_a_minute_waits_until_the_first_is_a_minute_ago() -> None:
    """Complaint 6 (part)."""
    assert hold_until_ms([], NOON_MS) is None
    assert hold_until_ms([NOON_MS - 59_999] * 2, NOON_MS) is None
    assert hold_until_ms([NOON_MS - 40_000, NOON_MS, NOON_MS], NOON_MS) == NOON_MS + 20_000
    assert hold_until_ms([NOON_MS - 60_000, NOON_MS, NOON_MS], NOON_MS) is None
    # At least ten seconds' worth of a storm is gathered.
    assert hold_until_ms([NOON_MS - 59_000, NOON_MS, NOON_MS], NOON_MS) == NOON_MS + LEAST_MS
    # The clock was set back by an hour: nothing is held for longer than a minute.
    assert hold_until_ms([NOON_MS + HOUR_MS] * 3, NOON_MS) == NOON_MS + WINDOW_MS


def judged(wishes: Wishes = PLAIN, now_ms: int = NOON_MS, **changes: object) -> Verdict:
    fields = {"urgent": False, "counted": True, "sent_today": 0, "left_ms": (), "gathered_ms": None} | changes
    return verdict(wishes, now_ms, **fields)  # pyright: ignore[reportArgumentType]


def test_wishes_are_asked_in_order() -> None:
    quiet = Wishes(UTC, QuietHours(11 * 60, 13 * 60), cap=1, muted_until_ms=NOON_MS + 5)
    many = (NOON_MS,) * 3
    assert judged(quiet, urgent=True) == Hold(NOON_MS + 5, "muted")
    assert judged(quiet, NOON_MS + 5, sent_today=1, left_ms=many) == Hold(NOON_MS + HOUR_MS, "quiet")
    loud = Wishes(UTC, cap=1)
    assert judged(loud, sent_today=1, left_ms=many) == "capped"
    assert judged(loud, counted=False, sent_today=1, left_ms=many) == Hold(NOON_MS + 60_000, "many")
    assert judged(quiet, NOON_MS + 5, sent_today=1, left_ms=many, urgent=True) == Hold(NOON_MS + 60_000, "many")
    assert judged(quiet, NOON_MS + 5, urgent=True) == "send"
    assert judged(gathered_ms=NOON_MS) == Hold(NOON_MS, "many")
    assert judged(gathered_ms=NOON_MS + 1) == "send"


@dataclass
class Phone:
    """One place over a day, as dispatch and gathering treat it, the clock in seconds."""

    wishes: Wishes
    left: list[tuple[int, list[int]]] = field(default_factory=list[tuple[int, list[int]]])
    """(when, which alerts it told) of each message."""
    held: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    """(due, alert)."""
    capped: list[int] = field(default_factory=list[int])

    def verdict(self, now_ms: int, *, gathering: bool) -> Verdict:
        return verdict(
            self.wishes,
            now_ms,
            urgent=False,
            counted=True,
            sent_today=len(self.left),
            left_ms=[at for at, _ in self.left],
            gathered_ms=None if gathering or not self.held else min(due for due, _ in self.held),
        )

    def tell(self, now_ms: int, number: int) -> None:
        found = self.verdict(now_ms, gathering=False)
        if isinstance(found, Hold):
            self.held.append((found.until_ms, number))
        else:
            self.settle(found, now_ms, [number])

    def gather(self, now_ms: int) -> None:
        due = [number for at, number in self.held if at <= now_ms]
        if not due:
            return
        found = self.verdict(now_ms, gathering=True)
        self.held = [each for each in self.held if each[0] > now_ms]
        if isinstance(found, Hold):
            self.held += [(found.until_ms, number) for number in due]
        else:
            self.settle(found, now_ms, due)

    def settle(self, found: Verdict, now_ms: int, numbers: list[int]) -> None:
        if found == "send":
            self.left.append((now_ms, numbers))
        else:
            self.capped += numbers


@given(
    st.lists(st.tuples(st.integers(0, 3 * 3600), st.integers(1, 30)), max_size=25),
    st.integers(1, 40),
    st.one_of(st.none(), st.tuples(st.integers(0, 1439), st.integers(0, 1439))),
)
def test_whatever_comes_each_alert_is_told_once_or_capped(
    bursts: list[tuple[int, int]], cap: int, quiet: tuple[int, int] | None
) -> None:
    """Complaint 6: no more than three messages in any minute, none in quiet hours, none over the cap, none lost."""
    zone = ZoneInfo("Europe/London")
    phone = Phone(Wishes(zone, None if quiet is None else QuietHours(*quiet), cap=cap))
    at = {second: number for second, number in sorted(bursts)}
    number = 0
    for second in range(3 * 3600 + 120):
        now_ms = NOON_MS + second * 1000
        for _ in range(at.get(second, 0)):
            phone.tell(now_ms, number)
            number += 1
        phone.gather(now_ms)
    now_ms = NOON_MS + (3 * 3600 + 120) * 1000
    while phone.held:
        now_ms = max(now_ms, min(due for due, _ in phone.held))
        assert now_ms < NOON_MS + 30 * HOUR_MS
        phone.gather(now_ms)
    told = [each for _, numbers in phone.left for each in numbers]
    assert sorted(told + phone.capped) == list(range(number))
    assert len(phone.left) <= cap
    assert not phone.capped or len(phone.left) == cap
    times = [when for when, _ in phone.left]
    for index, when in enumerate(times):
        assert sum(when - WINDOW_MS < other <= when for other in times[: index + 1]) <= MOST_A_MINUTE
        assert silence(phone.wishes, when, urgent=False) is None
