"""The evaluator against a slow and obvious one (`reference`), over random rules and random markets."""

from __future__ import annotations

from random import Random

import orjson
import pytest

from flashcur.domain.book import MarketBook
from flashcur.domain.rules.condition import Condition, FundingLevel, PriceCross, PriceMove, VolumeRatio
from flashcur.domain.rules.evaluator import Evaluator
from flashcur.domain.rules.firing import Firing
from flashcur.domain.rules.rule import Definition, Rule, Scope
from flashcur.domain.spikes import HOUR_MS
from flashcur.domain.ticks import Candle, Funding, Instrument, Tick, Ticker
from tests.domain.rules.reference import Event, Reference

T0 = 1_795_420_800_000
SYMBOLS = ("AUSDT", "BUSDT")


def market(draw: Random, seconds: int) -> list[Tick]:
    """A second-by-second market on a small grid, so that values meet thresholds exactly, and dance on them."""
    ticks: list[Tick] = []
    begin_ms = T0 + HOUR_MS - 60_000
    price = dict.fromkeys(SYMBOLS, 100.0)
    volume = dict.fromkeys(SYMBOLS, 0.0)
    for symbol in SYMBOLS:
        ticks.append(Candle(symbol, T0 - HOUR_MS, 1, 1, 1, 1, 100.0, True, T0, T0))
    for second in range(seconds):
        if second == 60:
            for symbol in SYMBOLS:
                end_ms = T0 + HOUR_MS
                ticks.append(Candle(symbol, T0, 1, 1, 1, 1, volume[symbol] + 1, True, end_ms, end_ms))
                volume[symbol] = 0.0
        for symbol in SYMBOLS:
            now = begin_ms + second * 1000 + draw.randrange(1000)
            # No stream is ever silent for long.
            kind = {0: 0.7, 3: 0.8}.get(second % 7, draw.random())
            if kind < 0.6:
                step = draw.choice((-3.0, -1.0, -0.05, 0.0, 0.05, 1.0, 3.0))
                price[symbol] = min(115.0, max(85.0, round(price[symbol] + step, 2)))
                ticks.append(Ticker(symbol, price[symbol], 1.0, 1e7, now, now))
            elif kind < 0.75:
                rate = draw.choice((-0.002, -0.001, -0.00095, 0.0, 0.00095, 0.001, 0.002))
                ticks.append(Funding(symbol, 1.0, rate, None, now, now))
            elif kind < 0.95:
                opened = now // HOUR_MS * HOUR_MS
                volume[symbol] += draw.choice((0.0, 10.0, 40.0, 150.0))
                ticks.append(Candle(symbol, opened, 1, 1, 1, 1, volume[symbol], False, now, now))
    return ticks


def condition(draw: Random) -> Condition:
    which = draw.random()
    if which < 0.4:
        return PriceCross(draw.choice(("above", "below")), draw.choice((95.0, 98.0, 100.0, 100.05, 103.0)))
    if which < 0.65:
        return PriceMove(draw.choice(("up", "down", "either")), draw.choice((1.0, 2.0, 5.0)), draw.choice((60, 300)))
    if which < 0.8:
        return FundingLevel(draw.choice(("above", "below")), draw.choice((-0.1, 0.0, 0.1)))
    return VolumeRatio(draw.choice((1.0, 3.0)), draw.choice((0.0, 200.0)))


def rules(draw: Random, count: int) -> list[Rule]:
    made: list[Rule] = []
    for number in range(count):
        definition = Definition(
            tuple(condition(draw) for _ in range(draw.choice((1, 1, 2, 2, 3)))),
            Scope("all"),
            mode=draw.choice(("once", "repeat", "repeat")),
            cooldown_s=draw.choice((60, 60, 3_600)),
            hold_s=draw.choice((0, 0, 0, 5, 20)),
        )
        symbols = draw.choice((None, frozenset(SYMBOLS), frozenset(SYMBOLS[:1])))
        since_ms = draw.choice((0, 0, T0 + HOUR_MS))
        snoozed_ms = draw.choice((None, None, T0 + HOUR_MS + 30_000))
        made.append(Rule(f"r{number:03}", "a", 1, definition, symbols, True, since_ms, snoozed_ms))
    return made


class Replay:
    """A market that goes on, whatever becomes of who evaluates it."""

    def __init__(self) -> None:
        self.book = MarketBook()
        self.book.set_instruments([Instrument(symbol, symbol[0], 0.01, 2) for symbol in SYMBOLS])

    def feed(self, evaluator: Evaluator, tick: Tick) -> list[Firing]:
        if not self.book.apply(tick):
            return []
        row = self.book.row(tick.symbol)
        assert row is not None
        return list(evaluator.on_tick(row, tick))


def begun(made: list[Rule]) -> Evaluator:
    evaluator = Evaluator()
    evaluator.set_contracts(frozenset(SYMBOLS))
    evaluator.put(made)
    return evaluator


def event(firing: Firing) -> Event:
    return firing.rule.id, firing.symbol, firing.event_ms


@pytest.mark.parametrize("seed", range(12))
def test_the_same_events_as_the_obvious_way(seed: int):
    draw = Random(seed)
    made = rules(draw, 25)
    replay, evaluator, reference = Replay(), begun(made), Reference(made)
    events: list[Event] = []
    for tick in market(draw, 400):
        firings = replay.feed(evaluator, tick)
        assert not any(firing.missed for firing in firings)
        events += map(event, firings)
        reference.take(tick)
    assert sorted(events) == sorted(reference.events)
    assert len(events) > 10


@pytest.mark.parametrize("seed", range(6))
def test_a_start_in_the_middle_of_a_minute_goes_on_from_the_minutes_of_before(seed: int):
    draw = Random(3000 + seed)
    moves = (
        PriceMove(draw.choice(("up", "down", "either")), draw.choice((1.0, 2.0, 5.0)), draw.choice((60, 300, 900)))
        for _ in range(20)
    )
    made = [
        Rule(f"m{number:03}", "a", 1, Definition((move,), Scope("all"), cooldown_s=60), None, True, 0)
        for number, move in enumerate(moves)
    ]
    ticks = market(draw, 400)
    begin_ms = T0 + HOUR_MS - 60_000 + draw.randrange(1, 59) * 1000 + draw.randrange(1000)
    minutes = range(T0 + HOUR_MS - 16 * 60_000, begin_ms + 60_000, 60_000)
    past = {symbol: [(at_ms, draw.choice((97.0, 99.0, 100.0, 104.0))) for at_ms in minutes] for symbol in SYMBOLS}
    replay, evaluator, reference = Replay(), begun(made), Reference(made)
    events: list[Event] = []
    filled: set[str] = set()
    for tick in ticks:
        if tick.event_ms < begin_ms:
            continue
        events += map(event, replay.feed(evaluator, tick))
        reference.take(tick)
        if isinstance(tick, Ticker) and tick.symbol not in filled:
            filled.add(tick.symbol)
            known = [close for close in past[tick.symbol] if close[0] <= tick.event_ms]
            evaluator.fill_prices(tick.symbol, known)
            reference.contracts[tick.symbol].closes = known
    assert sorted(events) == sorted(reference.events)
    assert any(at < begin_ms + 300_000 for _, _, at in events)


@pytest.mark.parametrize("seed", range(3))
def test_killed_at_any_instant_the_events_are_those_of_an_unbroken_run(seed: int):
    """Complaint 1: killed at 50 random instants of a 60 s replay, none is lost and none comes twice."""
    draw = Random(1000 + seed)
    made = [rule for rule in rules(draw, 60)]
    ticks = [tick for tick in market(draw, 400)]
    last = ticks[-1].event_ms
    begin = next(at for at, tick in enumerate(ticks) if tick.event_ms > last - 60_000)
    unbroken, replay = begun(made), Replay()
    expected = [event(firing) for tick in ticks for firing in replay.feed(unbroken, tick)]
    assert any(at > last - 60_000 for _, _, at in expected)

    kills = set(draw.sample(range(begin, len(ticks)), min(50, len(ticks) - begin)))
    replay, evaluator = Replay(), begun(made)
    told: list[Event] = []
    for at, tick in enumerate(ticks):
        if at in kills:
            # What is stored goes through JSON, as in the database.
            saved = orjson.loads(orjson.dumps(evaluator.checkpoint()))
            evaluator = Evaluator()
            evaluator.set_contracts(frozenset(SYMBOLS))
            evaluator.restore(saved, tick.seen_ms)
            evaluator.put(made)
        told += [event(firing) for firing in replay.feed(evaluator, tick)]
    assert sorted(told) == sorted(expected)


@pytest.mark.parametrize("seed", range(3))
def test_indexes_stay_right_through_edits(seed: int):
    """Rules that come and go while the market moves leave the others as they are."""
    draw = Random(2000 + seed)
    made, others = rules(draw, 20), rules(draw, 20)
    others = [Rule(f"x{rule.id}", *(getattr(rule, name) for name in NAMES)) for rule in others]
    replay, evaluator, reference = Replay(), begun(made), Reference(made)
    events: list[Event] = []
    for number, tick in enumerate(market(draw, 400)):
        if number % 20 == 0:
            evaluator.put(draw.sample(others, 5))
        if number % 20 == 10:
            evaluator.remove(rule.id for rule in draw.sample(others, 10))
        events += [event(each) for each in replay.feed(evaluator, tick) if not each.rule.id.startswith("x")]
        reference.take(tick)
    assert sorted(events) == sorted(reference.events)


NAMES = ("account_id", "version", "definition", "symbols", "open_interest", "since_ms", "snoozed_until_ms")
