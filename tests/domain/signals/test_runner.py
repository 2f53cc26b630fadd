"""The runner: all detectors on one book, live or replayed, one exchange each."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from flashcur.domain.assets import AssetClass
from flashcur.domain.book import MarketBook, remember_open_interest
from flashcur.domain.signals.runner import Runner
from flashcur.domain.signals.signal import DETECTOR_NAMES, KINDS, Signal
from flashcur.domain.spikes import HOUR_MS
from flashcur.domain.ticks import Candle, OpenInterest, Tick, Ticker
from tests.domain.signals.market import (
    MINUTE_MS,
    ORIGIN,
    T0,
    A,
    B,
    at,
    close,
    feed,
    funding,
    instrument,
    interest,
    past_hours,
    runner,
    ticker,
    update,
)


def busy_hours(seed: int, hours: int = 3, symbols: tuple[str, ...] = (A, B)) -> list[Tick]:
    """Each minute a price, a rate, an open interest and a candle of each contract, with bursts of all kinds."""
    draw = random.Random(seed)
    ticks: list[Tick] = []
    price = dict.fromkeys(symbols, 10.0)
    open_contracts = dict.fromkeys(symbols, 1e6)
    for hour in range(hours):
        volume = dict.fromkeys(symbols, 0.0)
        pace = {symbol: draw.choice([1e4, 1e5, 1e6]) for symbol in symbols}
        for minute in range(60):
            now_ms = at(hour) + minute * MINUTE_MS
            for symbol in symbols:
                price[symbol] *= 1 + draw.gauss(0, 0.01)
                open_contracts[symbol] *= 1 + draw.gauss(0, 0.01) * draw.choice([0, 0, 1, 2])
                volume[symbol] += pace[symbol] * draw.random()
                rate = draw.choice([0.0001, 0.0002, 0.00032, 0.0012, -0.0004])
                ticks += [
                    ticker(now_ms, price[symbol], draw.choice([1e6, 3e6, 1e7]), symbol),
                    funding(now_ms, rate, (now_ms // (8 * HOUR_MS) + 1) * 8 * HOUR_MS, symbol),
                    interest(now_ms, open_contracts[symbol], symbol),
                    update(hour, minute, volume[symbol], up=draw.random() < 0.5, symbol=symbol),
                ]
        ticks += [close(hour, volume[symbol], symbol=symbol) for symbol in symbols]
    return ticks


def known(made: Runner) -> Runner:
    for symbol in (A, B):
        made.fill(symbol, past_hours([1e6 + 1e5 * (hour % 3) for hour in range(30)], symbol))
    return made


def test_a_busy_market_gives_signals_of_every_detector() -> None:
    kinds = {signal.kind for seed in range(5) for signal in feed(known(runner()), busy_hours(seed))}
    assert kinds == {"SPIKE", "HALF_UPDATE", "FULL_UPDATE", "ADAPTIVE", "OI_SURGE", "FUNDING_EXTREME"}


@given(st.integers(0, 2**32), st.integers(0, 2**32))
def test_no_key_comes_twice_whatever_is_repeated_or_late(seed: int, noise: int) -> None:
    draw = random.Random(noise)
    ticks = busy_hours(seed, hours=2)
    for _ in range(30):
        ticks.insert(draw.randrange(len(ticks)), draw.choice(ticks))
    signals = feed(known(runner()), ticks)
    assert len({signal.key for signal in signals}) == len(signals)


@given(st.integers(0, 2**32), st.integers(0, 2**32))
def test_live_and_replay_are_the_same(seed: int, noise: int) -> None:
    """Live, others feed the book and the runner is told what it took; and it sees every second besides."""
    ticks = busy_hours(seed, hours=2)
    book = MarketBook()
    live = known(Runner(ORIGIN, book))
    book.set_instruments([instrument(A), instrument(B)])
    live.observe_instruments([instrument(A), instrument(B)], T0)
    seen: list[Signal] = []
    for tick in ticks:
        if book.apply(tick):
            seen += live.observe(tick)
            seen += live.step(tick.event_ms + 50)
    replayed = feed(known(runner()), ticks)
    assert sorted(signal.key for signal in seen) == sorted(signal.key for signal in replayed)


@given(st.integers(0, 2**32), st.data())
def test_a_restart_in_a_busy_market(seed: int, data: st.DataObject) -> None:
    """What was stored and what the next engine tells are what one engine tells, under the same keys.

    The next one reads the past and begins with the minute in which the other ended.
    """
    ticks = busy_hours(seed, hours=2)
    expected = [signal.key for signal in feed(known(runner()), ticks)]
    cut = data.draw(st.integers(0, len(ticks)))
    before, it = known(runner()), known(runner())
    stored = feed(before, ticks[:cut])
    it.resume(stored, before.take_turned())
    for tick in ticks[:cut]:
        if type(tick) is OpenInterest and (row := it.book.row(tick.symbol)) is not None:
            remember_open_interest(row, tick)
        if type(tick) is Candle and tick.closed:
            stored += it.fill(tick.symbol, [tick])
        if type(tick) is Ticker:
            it.open_interest.fill_prices(tick.symbol, [(tick.event_ms, tick.price)])
    told = stored + feed(it, ticks[max(0, cut - 8) :])
    assert len({signal.key for signal in told}) == len(told)

    def but_surges(keys: list[str]) -> list[str]:
        # The next one has only the values and prices of whole minutes, and test_episodes.py has what is told of surges.
        return sorted(key for key in keys if "OI_SURGE" not in key)

    assert but_surges([signal.key for signal in told]) == but_surges(expected)


def test_books_of_two_exchanges_never_mix() -> None:
    """Exchange B trades fifty times as much; a switch to it in the middle of an hour is no spike."""
    small, large = known(runner()), runner()
    feed(small, [close(0, 1e6), update(1, 10, 2e5)])
    large.fill(A, past_hours([5e7] * 30))
    assert feed(large, [close(0, 5e7), update(1, 20, 2e7), update(1, 40, 4e7), close(1, 5e7)]) == []
    assert feed(small, [update(1, 59, 1e6)]) == []


def test_only_contracts_on_coins() -> None:
    it = runner()
    it.take_instruments([instrument(A), instrument(B, asset_class=AssetClass.STOCK)], T0)
    assert feed(it, [close(0, 1e6, symbol=B), close(1, 9e6, symbol=B)]) == []
    assert not it.fill(B, [close(0, 1e6, symbol=B)])
    assert it.why_not(B, T0) == []
    assert [s.symbol for s in feed(it, [close(0, 1e6), close(1, 9e6)])] == [A]
    assert it.take_instruments([instrument(A)], at(1)) == []


def test_unknown_contracts_and_chosen_detectors() -> None:
    it = runner(only=["funding", "listing"])
    assert [detector.name for detector in it.detectors] == ["funding", "listing"]
    assert feed(it, [close(0, 1e6), close(1, 9e6)]) == []
    assert it.take(ticker(T0, symbol="ZUSDT")) == ()
    assert [d.detector for d in runner().why_not(A, T0)] == [
        "volume_spike",
        "adaptive_spike",
        "open_interest",
        "open_interest",
        "open_interest",
        "funding",
    ]


def test_what_leaves_for_a_day_is_forgotten_and_comes_back_without_a_past() -> None:
    it = known(runner())
    feed(it, [update(0, 10, 9e6)])
    assert it.is_ready(A, at(0))
    it.take_instruments([instrument(B)], at(0.2))
    it.take_instruments([instrument(B)], at(24.2) - 1)
    assert it.is_ready(A, at(0))
    it.take_instruments([instrument(B)], at(24.2))
    assert A not in it.volumes
    it.take_instruments([instrument(A), instrument(B)], at(24.3))
    assert not it.is_ready(A, at(0))
    assert it.is_ready(B, at(0))
    assert feed(it, [update(0, 20, 9e7)]) == []


def test_what_was_told_of_contracts_that_ended_is_forgotten_too() -> None:
    stored = feed(known(runner()), busy_hours(3, hours=1))
    it = runner()
    it.resume([replace(signal, symbol="OLDUSDT") for signal in stored])
    it.take_instruments([instrument(A), instrument(B)], at(1))
    it.take_instruments([instrument(A), instrument(B)], at(25))
    again = runner()
    again.resume(stored)
    again.take_instruments([instrument(A), instrument(B)], at(1))
    again.take_instruments([instrument(A), instrument(B)], at(25))
    assert known_symbols(it) == set()
    assert known_symbols(again) >= {A, B}


def known_symbols(of: Runner) -> set[str]:
    """The contracts that the detectors hold anything of."""
    held = (of.spikes._hours, of.adaptive._states, of.open_interest._states, of.funding._states)
    return {symbol for states in held for symbol in states}


@given(st.integers(0, 2**32), st.data())
def test_an_answer_that_leaves_a_contract_out_changes_nothing(seed: int, data: st.DataObject) -> None:
    """It comes back within a minute, with a new row that its past is read into."""
    ticks = busy_hours(seed, hours=2)
    expected = [signal.key for signal in feed(known(runner()), ticks)]
    it = known(runner())
    cut = data.draw(st.integers(0, len(ticks) // 8)) * 8
    seen = feed(it, ticks[:cut])
    now_ms = ticks[max(0, cut - 1)].event_ms
    it.take_instruments([instrument(B)], now_ms)
    it.take_instruments([instrument(A), instrument(B)], now_ms + 15_000)
    for tick in ticks[:cut]:
        if tick.symbol == A:
            it.book.apply(tick)
    seen += feed(it, ticks[cut:])
    assert sorted(signal.key for signal in seen) == sorted(expected)


def test_stored_volumes_are_as_good_as_candles() -> None:
    it = runner()
    feed(it, [update(0, 10, 9e6)])
    signals = it.fill_volumes(A, [(at(hour), 1e6) for hour in range(-30, 0)])
    assert [signal.kind for signal in signals] == ["SPIKE", "ADAPTIVE"]
    assert it.is_ready(A, at(0))


def test_a_history_that_was_refused_half_way_gives_nothing_false() -> None:
    it = runner()
    it.fill(A, past_hours([1e6] * 24)[:8])
    assert not it.is_ready(A, at(0))
    assert feed(it, [update(0, 10, 9e7)]) == []
    # The rest comes: the hour before is known, and the spikes that were there all along are told.
    assert [signal.kind for signal in it.fill(A, past_hours([1e6] * 24)[8:])] == ["SPIKE", "ADAPTIVE"]
    assert it.is_ready(A, at(0))
    assert feed(it, [update(0, 11, 9e7)]) == []


def test_a_timer_says_how_long_each_detector_took() -> None:
    ticks = iter(range(100))
    it = Runner(ORIGIN, timer=lambda: float(next(ticks)))
    it.take_instruments([instrument(A)], T0)
    feed(it, [update(0, 10, 9e6), update(0, 11, 9e6)])
    assert it.seconds == {
        "volume_spike": 2.0,
        "adaptive_spike": 2.0,
        "open_interest": 0.0,
        "funding": 0.0,
        "listing": 0.0,
    }


def test_a_new_listing_has_no_hour_before() -> None:
    it = runner(A)
    it.take_instruments([instrument(A), instrument(B, listed_ms=at(0))], at(0.1))
    assert feed(it, [update(0, 10, 9e7, symbol=B), close(0, 9e7, symbol=B)]) == []
    assert [s.symbol for s in feed(it, [close(1, 3e8, symbol=B)])] == [B]


def test_a_contract_that_is_renamed_while_it_is_hot() -> None:
    """1000SHIB becomes SHIB: one notice, no update of the old name, and no spike from prices and amounts rescaled."""
    old, new = "1000SHIBUSDT", "SHIBUSDT"
    it = runner(A, old)
    assert [s.kind for s in feed(it, [close(0, 1e6, symbol=old), update(1, 5, 4e6, symbol=old)])] == ["SPIKE"]
    signals = list(it.take_instruments([instrument(A), instrument(new)], at(1.2)))
    assert [(s.kind, s.symbol) for s in signals] == [("TERMS_CHANGED", new)]
    it.book.set_streamed_candles([A, new])
    assert feed(it, [update(1, 30, 4e9, symbol=new), update(1, 31, 9e6, symbol=old)]) == []
    assert it.step(at(1.5) + 1_000) == []


def test_a_missed_close_is_an_hour_that_is_nearly_whole() -> None:
    it = runner(only=["adaptive_spike"])
    for hour in range(13):
        feed(it, [update(hour, 59.95, 1e6), update(hour + 1, 1, 1.0)])
    assert it.is_ready(A, at(13))
    it = runner(only=["adaptive_spike"])
    for hour in range(13):
        feed(it, [update(hour, 50, 1e6), update(hour + 1, 1, 1.0)])
    assert not it.is_ready(A, at(13))


def test_what_was_counted() -> None:
    it = known(runner())
    signals = feed(it, busy_hours(3))
    fired = sum((detector.counters.fired for detector in it.detectors), start=type(it.spikes.counters.fired)())
    assert fired.total() == len(signals)
    assert set(fired) <= set(KINDS)
    assert {detector.name for detector in it.detectors} == set(DETECTOR_NAMES)
    assert all(detector.counters.evaluated > 0 for detector in it.detectors)


def test_daylight_saving_is_no_event() -> None:
    """Hours are of UTC: the night in which Europe and America turn their clocks is like any other."""
    night = 1_806_192_000_000
    hours = [
        replace(close(0, 1e6), open_ms=night + n * HOUR_MS, event_ms=night + (n + 1) * HOUR_MS, seen_ms=night)
        for n in range(12)
    ]
    assert feed(runner(), hours) == []
