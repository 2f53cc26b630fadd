"""Trading hours are asked for now and then, and what goes wrong with them stops nothing."""

from __future__ import annotations

import pytest

from flashcur.domain.ticks import Span
from flashcur.errors import VenueUnavailable
from flashcur.services.market import trading_hours
from flashcur.services.market.trading_hours import ASK_EVERY_S, RETRY_S, TradingHours


class Venue:
    def __init__(self) -> None:
        self.asked = 0
        self.answer: dict[str, tuple[Span, ...]] | None = {"EQUITY": ((1, 2),)}

    async def __call__(self) -> dict[str, tuple[Span, ...]]:
        self.asked += 1
        if self.answer is None:
            raise VenueUnavailable("Binance USD-M answered 404")
        return self.answer


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(trading_hours.time, "monotonic", lambda: now[0])
    return now


async def test_they_are_asked_for_after_the_first_look_and_then_every_hour(clock: list[float]) -> None:
    venue = Venue()
    hours = TradingHours(venue)
    await hours.refresh()
    assert (venue.asked, hours.closed) == (0, {})
    for _ in range(3):
        await hours.refresh()
    assert (venue.asked, hours.closed) == (1, {"EQUITY": ((1, 2),)})
    clock[0] += ASK_EVERY_S
    await hours.refresh()
    assert venue.asked == 2


async def test_an_answer_that_does_not_come_leaves_the_last_and_is_asked_for_again_later(clock: list[float]) -> None:
    venue = Venue()
    hours = TradingHours(venue)
    await hours.refresh()
    await hours.refresh()
    venue.answer = None
    clock[0] += ASK_EVERY_S
    await hours.refresh()
    await hours.refresh()
    assert (venue.asked, hours.closed) == (2, {"EQUITY": ((1, 2),)})
    venue.answer = {}
    clock[0] += RETRY_S
    await hours.refresh()
    assert (venue.asked, hours.closed) == (3, {})
