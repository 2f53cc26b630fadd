"""The market model: a function of seed and clock, consistent with itself, plausible."""

from __future__ import annotations

import statistics
from itertools import pairwise

import pytest

from flashcur.services.simulator import sessions
from flashcur.services.simulator.candles import candles
from flashcur.services.simulator.funding import funding_rate
from flashcur.services.simulator.history import Bar
from flashcur.services.simulator.market import HOUR_MS, PHASES, Market
from flashcur.services.simulator.open_interest import open_interest
from flashcur.services.simulator.universe import build_universe
from flashcur.services.simulator.wire import Rolling
from tests.services.simulator.conftest import OTHERS

NOW_MS = 1_763_903_100_000


def run(market: Market, from_ms: int, to_ms: int) -> None:
    """What the exchange does in that time, without its messages."""
    for tick, now_ms in enumerate(range(from_ms, to_ms, 50)):
        market.roll_hour(now_ms)
        market.step(market.groups[tick % PHASES], now_ms)


@pytest.mark.parametrize("count", [1, 60, 500, 1000])
def test_a_universe_has_distinct_contracts(count: int) -> None:
    specs, reserve = build_universe(count, seed=1)
    assert len(specs) == count
    assert len({spec.symbol for spec in [*specs, *reserve]}) == count + len(reserve)
    assert all(spec.tick_size > 0 and spec.volume_24h > 0 for spec in specs)


@pytest.mark.parametrize("count", [0, 1001])
def test_a_universe_of_an_impossible_size_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="expected 1 to 1000 symbols"):
        build_universe(count, seed=1)


def test_the_universe_spans_prices_volumes_and_funding_intervals() -> None:
    specs, _ = build_universe(500, seed=1)
    symbols = {spec.symbol for spec in specs}
    assert {"BTCUSDT", "ETHUSDT", "1000PEPEUSDT", "币安人生USDT"} <= symbols
    assert max(spec.base_price for spec in specs) > 50_000
    assert min(spec.base_price for spec in specs) < 0.0001
    assert specs[0].volume_24h > 10e9
    assert min(spec.volume_24h for spec in specs) < 1e6
    assert {spec.funding_interval_hours for spec in specs} == {1, 4, 8}


def test_what_is_closed_rests_and_goes_on_from_where_it_stood() -> None:
    """NOW_MS is a Sunday's 13:05 UTC, on which stocks and metals rest; metals go on at 22:00."""
    market = Market(5, 1, NOW_MS)
    gold, apple, coin = (market.contracts[f"{base}USDT"] for base in ("XAU", "AAPL", "BTC"))
    before = [gold.price_text, apple.price_text]
    run(market, NOW_MS, NOW_MS + 5_000)
    assert [gold.price_text, apple.price_text] == before
    assert gold.quote == apple.quote == 0.0 < coin.quote
    sunday = NOW_MS // HOUR_MS
    rested = [bar for _, bar in market.bars(gold, sunday - 24, sunday)]
    assert {(bar.open, bar.high, bar.low, bar.close, bar.quote) for bar in rested} == {(*[float(before[0])] * 4, 0.0)}
    open_ms = (sunday + 9) * HOUR_MS
    run(market, open_ms, open_ms + 30_000)
    assert gold.open == float(before[0])
    assert gold.quote > 0.0 == apple.quote
    # A market that starts then agrees.
    fresh = Market(5, 1, open_ms + 30_000).contracts["XAUUSDT"]
    assert fresh.open == gold.open
    assert fresh.quote == pytest.approx(gold.quote, rel=0.05)


@pytest.mark.parametrize("market", sessions.MARKETS)
def test_a_week_of_sessions_is_the_hours_of_rest(market: str) -> None:
    for day in range(8):
        now_ms = NOW_MS + day * 24 * HOUR_MS
        for begin_ms, end_ms, kind in sessions.week(market, now_ms):
            hours = range(-(-begin_ms // HOUR_MS), end_ms // HOUR_MS)
            assert {sessions.rests(market, hour) for hour in hours} <= {kind == sessions.CLOSED}
    assert not sessions.rests("COIN", NOW_MS // HOUR_MS)


def test_the_same_seed_and_clock_give_the_same_market_and_another_seed_another() -> None:
    def prices(seed: int) -> list[str]:
        market = Market(40, seed, NOW_MS)
        market.step(market.contracts.values(), NOW_MS + 250)
        return [c.price_text for c in market.contracts.values()]

    assert prices(1) == prices(1)
    assert prices(1) != prices(2)


def test_a_market_started_later_agrees_with_one_that_lived_until_then() -> None:
    lived = Market(20, 1, NOW_MS)
    run(lived, NOW_MS, NOW_MS + 120_000)
    fresh = Market(20, 1, NOW_MS + 120_000)
    for symbol, c in lived.contracts.items():
        other = fresh.contracts[symbol]
        assert c.price == pytest.approx(other.price, rel=0.003)
        assert c.quote == pytest.approx(other.quote, rel=0.05)
        assert c.open == other.open


def test_a_bar_contains_its_prices_and_the_minutes_add_up_to_the_hour() -> None:
    market = Market(60, 1, NOW_MS)
    hour = NOW_MS // HOUR_MS - 5
    for c in market.contracts.values():
        (_, whole), *_ = market.bars(c, hour, hour)
        minutes = [bar for _, bar in market.minute_bars(c, hour)]
        assert whole.low <= min(whole.open, whole.close) <= max(whole.open, whole.close) <= whole.high
        assert len(minutes) == 60
        assert minutes[0].open == whole.open
        assert minutes[-1].close == whole.close
        assert max(bar.high for bar in minutes) == whole.high
        assert min(bar.low for bar in minutes) == whole.low
        assert sum(bar.quote for bar in minutes) == pytest.approx(whole.quote)


def test_consecutive_hours_join() -> None:
    market = Market(5, 1, NOW_MS)
    hour = NOW_MS // HOUR_MS
    for c in market.contracts.values():
        bars = [bar for _, bar in market.bars(c, hour - 30, hour)]
        assert [bar.close for bar in bars[:-1]] == [bar.open for bar in bars[1:]]


def test_the_hour_rolls_over_with_a_final_bar_for_every_contract() -> None:
    start_ms = NOW_MS // HOUR_MS * HOUR_MS + HOUR_MS - 5_000
    market = Market(30, 1, start_ms)
    run(market, start_ms, start_ms + 4_900)
    before = {c.symbol: c.hour_bar() for c in market.contracts.values()}
    finals = market.roll_hour(start_ms + 5_000)
    assert len(finals) == 30 + len(OTHERS)
    for c, hour, bar in finals:
        assert hour == start_ms // HOUR_MS
        assert bar.open == before[c.symbol].open
        assert bar.quote >= before[c.symbol].quote
        assert bar.close == c.open
        assert c.quote == 0.0
        assert market.bars(c, hour, hour) == [(hour, bar)]
    assert market.roll_hour(start_ms + 5_100) == []


def test_a_clock_that_jumps_over_hours_leaves_no_gap() -> None:
    market = Market(10, 1, NOW_MS)
    later_ms = NOW_MS + 5 * HOUR_MS
    assert len(market.roll_hour(later_ms)) == 10 + len(OTHERS)
    c = market.contracts["BTCUSDT"]
    hours = [hour for hour, _ in market.bars(c, NOW_MS // HOUR_MS - 3, later_ms // HOUR_MS)]
    assert hours == list(range(NOW_MS // HOUR_MS - 3, later_ms // HOUR_MS + 1))
    assert len(c.window) == 24


def test_a_clock_that_jumps_within_the_hour_leaves_no_minute_out() -> None:
    market = Market(10, 1, NOW_MS)
    run(market, NOW_MS, NOW_MS + 1_000)
    run(market, NOW_MS + 15 * 60_000, NOW_MS + 15 * 60_000 + 1_000)
    for c in market.contracts.values():
        minutes = market.minute_bars(c, c.hour)
        assert [m for m, _ in minutes] == list(range(21))
        assert sum(bar.quote for _, bar in minutes) == pytest.approx(c.quote)
        assert minutes[-1][1].quote < 0.3 * c.quote or c.quote == 0.0


def test_the_rolling_day_agrees_with_the_hours() -> None:
    market = Market(30, 1, NOW_MS)
    run(market, NOW_MS, NOW_MS + 10_000)
    now_ms = NOW_MS + 10_000
    hour = now_ms // HOUR_MS
    for c in market.contracts.values():
        rolling = Rolling(c, now_ms)
        bars = [bar for _, bar in market.bars(c, hour - 24, hour)]
        part = 1 - now_ms % HOUR_MS / HOUR_MS
        assert rolling.quote == pytest.approx(bars[0].quote * part + sum(bar.quote for bar in bars[1:]))
        assert rolling.high >= c.price >= rolling.low


def test_volume_and_price_only_move_as_a_market_can() -> None:
    market = Market(100, 1, NOW_MS)
    last = {c.symbol: (c.quote, c.volume) for c in market.contracts.values()}
    for second in range(5):
        run(market, NOW_MS + second * 1000, NOW_MS + second * 1000 + 1000)
        for c in market.contracts.values():
            quote, volume = last[c.symbol]
            assert c.quote >= quote
            assert c.volume >= volume
            assert c.low <= c.price <= c.high
            assert float(c.price_text) == c.price
            last[c.symbol] = (c.quote, c.volume)


def test_contracts_follow_the_market_and_move_on_their_own() -> None:
    market = Market(80, 1, NOW_MS)
    hour = NOW_MS // HOUR_MS

    def returns(symbol: str) -> list[float]:
        spec = market.contracts[symbol].spec
        logs = [market.history.log_price(spec, h) for h in range(hour - 500, hour)]
        return [b - a for a, b in pairwise(logs)]

    bitcoin = returns("BTCUSDT")
    correlations = [statistics.correlation(bitcoin, returns(s)) for s in market.contracts if s != "BTCUSDT"]
    assert 0.1 < statistics.mean(correlations) < 0.8


def test_a_handful_of_contracts_spikes_within_an_hour() -> None:
    counts: list[int] = []
    for back in range(3):
        market = Market(500, 1, NOW_MS // HOUR_MS * HOUR_MS - 7 * back * HOUR_MS + 45 * 60_000)
        counts.append(sum(c.quote >= 3e6 and c.quote >= 3 * c.window[-1].quote for c in market.contracts.values()))
    assert 1 <= statistics.mean(counts) <= 15
    assert max(counts) <= 30


def test_funding_is_mostly_the_base_rate_with_tails_on_both_sides() -> None:
    specs, _ = build_universe(500, seed=1)
    per_8h = [funding_rate(spec, NOW_MS) * 8 / spec.funding_interval_hours for spec in specs]
    assert sum(rate == pytest.approx(0.0001) for rate in per_8h) > 250
    assert 10 < sum(rate < 0 for rate in per_8h) < 120
    assert 5 < sum(abs(rate) >= 0.0003 for rate in per_8h) < 60


def test_open_interest_moves_little_in_a_minute_and_some_in_a_day() -> None:
    market = Market(100, 1, NOW_MS)
    for c in market.contracts.values():
        now = open_interest(market, c, NOW_MS - HOUR_MS)
        assert now > 0
        assert open_interest(market, c, NOW_MS - HOUR_MS + 30_000) == pytest.approx(now, rel=0.02)
        assert open_interest(market, c, NOW_MS - 25 * HOUR_MS) != pytest.approx(now, rel=0.0001)


def test_a_surge_of_volume_reaches_its_target_within_the_hour() -> None:
    market = Market(30, 1, NOW_MS)
    c = market.contracts["BTCUSDT"]
    target = market.surge_volume(c, ratio=5.0, floor=1e6, over_ms=2_000, now_ms=NOW_MS)
    assert target == pytest.approx(5 * c.window[-1].quote)
    run(market, NOW_MS, NOW_MS + 2_500)
    assert c.quote >= target
    assert c.quote < 1.2 * target


def test_a_price_that_was_set_stays_and_goes_on_from_there() -> None:
    market = Market(30, 1, NOW_MS)
    c = market.contracts["ETHUSDT"]
    c.pinned = 5000.0
    run(market, NOW_MS, NOW_MS + 2_000)
    assert c.price_text == "5000.00"
    assert c.high == 5000.0
    market.release_price(c, NOW_MS + 2_000)
    run(market, NOW_MS + 2_000, NOW_MS + 6_000)
    assert c.price != 5000.0
    assert c.price == pytest.approx(5000.0, rel=0.01)


def test_a_new_contract_has_no_past() -> None:
    market = Market(30, 1, NOW_MS)
    c = market.add(market.reserve[0], NOW_MS, NOW_MS)
    assert market.bars(c, 0, NOW_MS // HOUR_MS) == [(NOW_MS // HOUR_MS, c.hour_bar())]
    assert c.quote == 0.0
    run(market, NOW_MS, NOW_MS + 5_000)
    assert 0 < c.quote < c.spec.volume_24h


@pytest.mark.parametrize(("interval", "minutes"), [("1m", 1), ("5m", 5), ("1h", 60), ("4h", 240), ("1d", 1440)])
def test_candles_of_every_length_follow_each_other(interval: str, minutes: int) -> None:
    market = Market(5, 1, NOW_MS)
    rows = candles(market, market.contracts["BTCUSDT"], interval, NOW_MS, None, None, 50)
    times = [at for at, _ in rows]
    assert len(rows) == 50
    assert times[-1] == NOW_MS // (minutes * 60_000) * minutes * 60_000
    assert {b - a for a, b in pairwise(times)} == {minutes * 60_000}
    assert all(isinstance(bar, Bar) and bar.low <= bar.close <= bar.high for _, bar in rows)


def test_candles_from_a_start_are_the_first_ones() -> None:
    market = Market(5, 1, NOW_MS)
    start_ms = NOW_MS - 100 * HOUR_MS
    rows = candles(market, market.contracts["BTCUSDT"], "1h", NOW_MS, start_ms, None, 10)
    first = -(-start_ms // HOUR_MS) * HOUR_MS
    assert [at for at, _ in rows] == [first + i * HOUR_MS for i in range(10)]
