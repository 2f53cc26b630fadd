"""What rules cost the engine: a second of a market under 100,000 and 1,000,000 of them, a storm, a full re-index, and
how long a preview takes.

Times are of the processor, one core. 500 contracts; of the rules 80 % watch one, 15 % twenty, 5 % all; a fifth have two
conditions. Beside it, in the same run, the naive way: each second every threshold of every contract is compared.
"""

from __future__ import annotations

import random
import time
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.options import Options
from bench.report import Table, median, quantile, ratio
from flashcur.domain.book import MarketBook, Row
from flashcur.domain.rules.condition import Condition, FundingLevel, PriceCross, PriceMove, VolumeRatio
from flashcur.domain.rules.evaluator import Evaluator
from flashcur.domain.rules.followed import followed
from flashcur.domain.rules.past import Series, firings
from flashcur.domain.rules.rule import Definition, Rule, Scope
from flashcur.domain.spikes import HOUR_MS
from flashcur.domain.ticks import Candle, Funding, Instrument, Tick, Ticker

START_MS = 1_795_420_800_000
CONTRACTS, STREAMED = 500, 300
RULES = 100_000
MANY = 1_000_000
PREVIEWED, PREVIEW_HOURS = 300, 31 * 24

SYMBOLS = [f"C{number}USDT" for number in range(CONTRACTS)]


def run(options: Options) -> Table:
    """Measure all of it."""
    sizes = (10_000,) if options.quick else (RULES, MANY)
    rows: list[tuple[str | float | int | None, ...]] = []
    notes: list[str] = []
    for size in sizes:
        measured, note = _measure(size, 60 if size == RULES else 10)
        rows += measured
        notes.append(note)
    took, found = _preview(30 if options.quick else PREVIEWED)
    rows.append(
        (
            f"a preview, {PREVIEWED} contracts × 30 days of hours, {found:,} firings, with what followed",
            took,
            took,
            None,
        )
    )
    return Table("rules", ("what", "p50 ms of one core", "p99", "against the peer"), tuple(rows), tuple(notes))


def _measure(size: int, seconds: int) -> tuple[list[tuple[str | float | int | None, ...]], str]:
    draw = random.Random(1)
    book, evaluator = MarketBook(), Evaluator()
    book.set_instruments([Instrument(symbol, symbol.removesuffix("USDT"), 0.01, 2) for symbol in SYMBOLS])
    evaluator.set_contracts(frozenset(SYMBOLS))
    market = _Market(book, evaluator, draw)
    # Prices of an hour are kept whatever the number of rules.
    market.second(0)
    before_mb = _rss_mb()
    rules = list(_rules(size, draw))
    made_mb = _rss_mb()
    put_ms = _timed(lambda: evaluator.put(rules))
    market.second(1)
    after_mb = _rss_mb()
    dense = _Dense(rules)
    evaluated: list[float] = []
    compared: list[float] = []
    fired = 0
    for second in range(2, 2 + seconds):
        took, found = market.second(second)
        evaluated.append(took)
        fired += found
        compared.append(_timed(lambda: dense.compare(market.prices)))
    storm_ms, storm = market.second(2 + seconds, crash=0.5)
    edited = [
        Rule(each.id, each.account_id, 2, each.definition, each.symbols, each.open_interest, each.since_ms)
        for each in rules
    ]
    edit_ms = _timed(lambda: evaluator.put(edited))
    name = f"{size:,} rules"
    rows: list[tuple[str | float | int | None, ...]] = [
        (
            f"**{name}: one second of the market**",
            median(evaluated),
            quantile(evaluated, 0.99),
            ratio(median(evaluated), median(compared)),
        ),
        (f"{name}: every threshold compared", median(compared), quantile(compared, 0.99), None),
        (f"{name}: a storm, {storm:,} firings in one second", storm_ms, storm_ms, None),
        (f"{name}: all put in", put_ms, put_ms, None),
        (f"{name}: all edited", edit_ms, edit_ms, None),
    ]
    note = (
        f"{name}: {after_mb - before_mb:.0f} MB over none, of which {made_mb - before_mb:.0f} MB are the rules as they"
        f" are read; {fired:,} firings in {seconds} usual seconds."
    )
    return rows, note


class _Market:
    """Prices that wander a little each second, and the messages that tell them."""

    def __init__(self, book: MarketBook, evaluator: Evaluator, draw: random.Random) -> None:
        self._book = book
        self._evaluator = evaluator
        self._draw = draw
        self.prices = dict.fromkeys(SYMBOLS, 100.0)
        self._rates = dict.fromkeys(SYMBOLS, 0.0001)
        self._volumes = dict.fromkeys(SYMBOLS[:STREAMED], 1e6)

    def second(self, second: int, crash: float = 0.0) -> tuple[float, int]:
        """(ms that the evaluation took, firings) of one second."""
        now_ms = START_MS + 1_800_000 + second * 1000
        ticks: list[Tick] = []
        for symbol in SYMBOLS:
            self.prices[symbol] *= (1 - crash) * (1 + self._draw.gauss(0, 0.0003))
            ticks.append(Ticker(symbol, self.prices[symbol], 1.0, 1e7, now_ms, now_ms))
            self._rates[symbol] += self._draw.gauss(0, 1e-7)
            ticks.append(Funding(symbol, 100.0, self._rates[symbol], None, now_ms, now_ms))
        for symbol in SYMBOLS[:STREAMED]:
            if second == 0:
                before_ms = START_MS - HOUR_MS
                ticks.append(Candle(symbol, before_ms, 1, 1, 1, 1, 1e6, True, START_MS, START_MS))
            self._volumes[symbol] += self._draw.random() * 1_000
            ticks.append(Candle(symbol, START_MS, 1, 1, 1, 1, self._volumes[symbol], False, now_ms, now_ms))
        rows: list[tuple[Row, Tick]] = []
        for tick in ticks:
            self._book.apply(tick)
            row = self._book.row(tick.symbol)
            assert row is not None
            rows.append((row, tick))
        evaluator, found = self._evaluator, 0
        began = time.process_time()
        for row, tick in rows:
            found += len(evaluator.on_tick(row, tick))
        found += len(evaluator.step(now_ms))
        return (time.process_time() - began) * 1000, found


class _Dense:
    """The naive way: the thresholds of each contract, all of them compared each second."""

    def __init__(self, rules: list[Rule]) -> None:
        levels = {symbol: array("d") for symbol in SYMBOLS}
        for rule in rules:
            first = rule.definition.conditions[0]
            level = first.price if isinstance(first, PriceCross) else 0.0
            for symbol in SYMBOLS if rule.symbols is None else rule.symbols:
                levels[symbol].append(level)
        self._levels = levels
        self._before = dict.fromkeys(SYMBOLS, 100.0)

    def compare(self, prices: dict[str, float]) -> None:
        for symbol, levels in self._levels.items():
            low, high = sorted((self._before[symbol], prices[symbol]))
            [at for at, level in enumerate(levels) if low < level <= high]
            self._before[symbol] = prices[symbol]


def _rules(size: int, draw: random.Random) -> Iterator[Rule]:
    for number in range(size):
        kind = number % 100
        if kind < 80:
            symbols: frozenset[str] | None = frozenset((draw.choice(SYMBOLS),))
        else:
            symbols = frozenset(draw.sample(SYMBOLS, 20)) if kind < 95 else None
        conditions: list[Condition] = [_condition(draw)]
        if draw.random() < 0.2:
            conditions.append(_condition(draw))
        scope = Scope("all") if symbols is None else Scope("watchlist", "", "list")
        yield Rule(
            f"{number:032x}", f"{number % 5_000:032x}", 1, Definition(tuple(conditions), scope), symbols, True, 0
        )


def _condition(draw: random.Random) -> Condition:
    which = draw.random()
    if which < 0.5:
        return PriceCross(draw.choice(("above", "below")), draw.uniform(10, 190))
    if which < 0.75:
        way = draw.choice(("up", "down", "either"))
        return PriceMove(way, draw.uniform(1, 20), draw.choice((60, 300, 900, 3_600, 14_400, 86_400)))
    if which < 0.9:
        return VolumeRatio(draw.uniform(1.5, 10), draw.choice((0.0, 3e6)))
    return FundingLevel(draw.choice(("above", "below")), draw.uniform(-0.5, 0.5))


def _preview(contracts: int) -> tuple[float, int]:
    """(ms, firings) of a rule's past over so many contracts, once their hours are in memory."""
    draw = random.Random(2)
    hours: dict[str, Series] = {}
    for symbol in SYMBOLS[:contracts]:
        price = 100.0
        rows: list[tuple[int, float, float, float, float]] = []
        for hour in range(PREVIEW_HOURS):
            price *= 1 + draw.gauss(0, 0.01)
            rows.append((START_MS + hour * HOUR_MS, price * 1.01, price * 0.99, price, draw.lognormvariate(14, 1)))
        hours[symbol] = Series(HOUR_MS, rows)
    definition = Definition((PriceMove("either", 2.0, 3_600), VolumeRatio(3.0, 1e6)), Scope("all"))
    found = 0

    def judge() -> None:
        nonlocal found
        firing = [
            each
            for symbol, series in hours.items()
            for each in firings(definition, symbol, series, START_MS + 24 * HOUR_MS)
        ]
        found = len(firing)
        followed(firing, hours)

    return min(_timed(judge) for _ in range(3)), found


def _timed(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return (time.process_time() - began) * 1000


def _rss_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6
