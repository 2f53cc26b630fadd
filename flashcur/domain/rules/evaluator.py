"""When rules fire: the ticks that a book took go in, firings come out. One evaluator belongs to one book.

**What fires.** A rule fires for a contract when one of its conditions becomes met (the value before was on the other
side of its threshold, the value now is not) while all others are met by current values. What was true when a rule was
first looked at never fires. After that it is *spent* for the contract until one of its conditions has gone back behind
its threshold by a band (`atoms.BANDS`), so a value that dances on a threshold fires once. What is older than its
allowance, or not a number, says neither that a condition is met nor that it is not.

**Time** is the exchange's: of windows, holds, cooldowns and silences. Only `since_ms`, a snooze and an expiry are of
our clock, and are compared with when the exchange told a value by our clock.

**Silence.** Where the stream was down between the value before and the value now, nobody knows when a condition became
met, nor whether it did more than once: the firing says that it was missed. After a short silence it is as if there had
been none. Nothing else tells a restart from a silence: `restore` puts back the values of before.

**Cost.** For each source (`atoms`) of a contract the nearest thresholds on both sides are kept, so a tick that passes
none costs two comparisons a source, whatever the number of rules. Those of rules for all contracts stand in one list
for all of them. No rule keeps anything a contract but where it has fired, waits, or lies in its band.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import inf, isfinite
from typing import Any, Final, cast

from flashcur.domain.ages import allowance
from flashcur.domain.book import CLOSE_GRACE_MS, Row, is_overdue, stands_in
from flashcur.domain.rules.atoms import (
    AS_IS,
    FIRST_INTEREST,
    FIRST_MOVE,
    FUNDING,
    KIND_OF,
    PRICE,
    RATIO,
    SIZE,
    SOURCES,
    TURNED,
    VOLUME,
    Atom,
    atoms_of,
    band,
    seen,
)
from flashcur.domain.rules.condition import INTEREST_WINDOWS_S, MOVE_WINDOWS_S, Condition, OnSignal
from flashcur.domain.rules.firing import Firing, Nearest, Reading, reading_text
from flashcur.domain.rules.interest import Interest
from flashcur.domain.rules.measured import UNMEASURED, Measured, interest_known_ms
from flashcur.domain.rules.prices import Gap, Prices
from flashcur.domain.rules.rule import Definition, Rule
from flashcur.domain.rules.thresholds import Thresholds
from flashcur.domain.signals.freshness import is_stale_candle, is_stale_funding, is_stale_open_interest
from flashcur.domain.signals.signal import FOLLOW_UPS, Signal
from flashcur.domain.spikes import HOUR_MS, volume_ratio
from flashcur.domain.ticks import (
    TICK_KINDS,
    Candle,
    Funding,
    OpenInterest,
    Tick,
    Ticker,
    TickKind,
    told_ms,
)

SHORT_MS = 10_000
"""A silence of so long is as none."""
DAY_MS = 24 * HOUR_MS
KEPT_S = 300
"""Prices of so long are put into a checkpoint, where a rule looks at a window that is not longer."""

NOTHING: Final[tuple[Firing, ...]] = ()
_NO_VALUES: Final[Mapping[int, float | None]] = {}

_TICKER_MS = allowance("ticker").ms
_ALLOWANCE = {kind: allowance(kind) for kind in TICK_KINDS}
_SHORT_WINDOWS = tuple(FIRST_MOVE + at for at, window_s in enumerate(MOVE_WINDOWS_S) if window_s <= KEPT_S)


class _Watch:
    """One rule and what became of it."""

    __slots__ = ("atoms", "done", "fired", "holds", "rule", "signal", "spent")

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        conditions = rule.definition.conditions
        self.atoms = tuple(atom for condition in conditions for atom in atoms_of(condition))
        self.signal = next((each for each in conditions if isinstance(each, OnSignal)), None)
        self.done = False
        self.spent: set[str] | None = None
        self.fired: dict[str, int] | None = None
        self.holds: dict[str, int] | None = None
        """Symbol to the exchange's time since which all has been met."""

    @property
    def plan_allows(self) -> bool:
        """Whether its owner's plan knows of all that it looks at."""
        if self.rule.open_interest:
            return True
        of_interest = any(KIND_OF[atom.source] == "open_interest" for atom in self.atoms)
        return not of_interest and (self.signal is None or self.signal.detector != "open_interest")


_Waiters = Thresholds[_Watch]


class _Cursor:
    """One source of one contract: where it stands among the thresholds."""

    __slots__ = (
        "banded",
        "event_ms",
        "former",
        "former_ms",
        "high",
        "high_ms",
        "low",
        "low_ms",
        "over",
        "source",
        "turn",
        "under",
        "value",
        "views",
    )

    def __init__(self, source: int) -> None:
        self.source = source
        self.turn = 0
        """The number of the tick that told `value`."""
        self.value: float | None = None
        self.event_ms = 0
        """When `value` was told; without one, when it was first looked for."""
        self.former: float | None = None
        """The value before the newest tick."""
        self.former_ms = 0
        self.under, self.over = inf, -inf
        """As long as the value lies between these nothing happens; never, while it is to be looked at."""
        self.views: tuple[tuple[int, tuple[_Waiters, ...]], ...] = ()
        self.banded: dict[tuple[_Watch, Atom], None] | None = None
        """Spent rules whose value is in the band behind a threshold."""
        self.high = self.low = 0.0
        self.high_ms = self.low_ms = 0
        """When the day's extremes were; 0 before the first value of the day."""


class _Contract:
    """What is known of one contract."""

    __slots__ = (
        "cursors",
        "day",
        "holding",
        "hour_ms",
        "interest",
        "interests",
        "lists",
        "moves",
        "prices",
        "row",
        "symbol",
    )

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.cursors: list[_Cursor | None] = [None] * SOURCES
        self.lists: dict[tuple[int, int], _Waiters] = {}
        """Thresholds of rules that name the contract, by source and view."""
        self.moves: tuple[tuple[int, _Cursor], ...] | None = None
        """(window in seconds, cursor) of the moves that a rule looks at; None where that has changed."""
        self.interests: tuple[tuple[int, _Cursor], ...] | None = None
        """The same of open interest."""
        self.prices: Prices | None = None
        self.interest: Interest | None = None
        self.holding: set[_Watch] = set()
        self.hour_ms = 0
        """Beginning of the hour that the volume is of."""
        self.day = 0
        self.row: Row | None = None


class Evaluator:
    """See the module."""

    def __init__(self) -> None:
        self._traded: frozenset[str] = frozenset()
        self._watches: dict[str, _Watch] = {}
        self._contracts: dict[str, _Contract] = {}
        self._shared: dict[tuple[int, int], _Waiters] = {}
        """Thresholds of rules for all contracts."""
        self._by_signal: dict[str, dict[str, _Watch]] = {}
        """Rules that wait for a signal: symbol (empty for all) to rules by id."""
        self._holding: set[str] = set()
        """Contracts for which a rule holds."""
        self._beat_ms: dict[TickKind, int] = dict.fromkeys(TICK_KINDS, 0)
        """The exchange's time of the newest fresh message of each stream."""
        self._resumed_ms: dict[TickKind, int] = dict.fromkeys(TICK_KINDS, 0)
        """When each stream spoke again after its last silence."""
        self._gaps: deque[Gap] = deque(maxlen=512)
        """Silences of the prices."""
        self._kept: dict[str, dict[str, Any]] = {}
        """What a checkpoint says of rules that have not been put yet."""
        self._turn = 0
        """Counts ticks, to know which values came with the newest."""

    def set_contracts(self, symbols: frozenset[str]) -> None:
        """The contracts on crypto that trade now: those that a rule for all contracts watches."""
        changed = symbols ^ self._traded
        self._traded = symbols
        for symbol in changed:
            if (contract := self._contracts.get(symbol)) is not None:
                self._look_again(contract)
                if symbol not in symbols:
                    for watch in list(contract.holding):
                        self._drop_hold(contract, watch)

    def put(self, rules: Iterable[Rule]) -> None:
        """Add rules, or replace them by id; one with a higher version or a later `since_ms` starts anew.

        One with a lower version than is known is out of date, and does nothing.
        """
        touched: set[tuple[str, int]] = set()
        for rule in rules:
            known = self._watches.get(rule.id)
            if known is not None:
                if known.rule == rule or rule.version < known.rule.version:
                    continue
                self._leave(known, touched)
                if rule.version == known.rule.version and rule.since_ms <= known.rule.since_ms:
                    known.rule = rule
                    self._enter(known, touched)
                    self._keep_holds(known)
                    continue
                self._forget(known)
            watch = self._watches[rule.id] = _Watch(rule)
            self._enter(watch, touched)
            self._adopt(watch)
        self._look_again_at(touched)

    def remove(self, rule_ids: Iterable[str]) -> None:
        """Rules that are no longer evaluated; those that are not known do nothing."""
        touched: set[tuple[str, int]] = set()
        for rule_id in rule_ids:
            watch = self._watches.pop(rule_id, None)
            self._kept.pop(rule_id, None)
            if watch is not None:
                self._leave(watch, touched)
                self._forget(watch)
        self._look_again_at(touched)

    def on_tick(self, row: Row, tick: Tick) -> Sequence[Firing]:
        """Evaluate a tick that the book has taken just now; `row` is its contract's."""
        contract = self._contracts.get(tick.symbol)
        if contract is None:
            contract = self._contracts[tick.symbol] = _Contract(tick.symbol)
        contract.row = row
        self._turn += 1
        day = tick.event_ms // DAY_MS
        if day != contract.day:
            self._turn_day(contract, day)
        kind = type(tick)
        if kind is Ticker:
            return self._on_ticker(contract, row, cast("Ticker", tick))
        if kind is Candle:
            return self._on_candle(contract, row, cast("Candle", tick))
        if kind is Funding:
            return self._on_funding(contract, row, cast("Funding", tick))
        return self._on_interest(contract, row, cast("OpenInterest", tick))

    def on_signal(self, signal: Signal, row: Row | None) -> Sequence[Firing]:
        """Evaluate a signal that was found just now; `row` is its contract's, None where there is none."""
        if signal.kind in FOLLOW_UPS:
            return NOTHING
        waiting = list(self._by_signal.get(signal.symbol, {}).values())
        if signal.symbol in self._traded or signal.detector == "listing":
            waiting += self._by_signal.get("", {}).values()
        if not waiting:
            return NOTHING
        contract = self._contracts.setdefault(signal.symbol, _Contract(signal.symbol))
        if row is not None:
            contract.row = row
        found: list[Firing] = []
        for watch in waiting:
            wanted = watch.signal
            if wanted is None or not _is_wanted(wanted, signal):
                continue
            if watch.atoms and not (contract.row is not None and self._all_met(contract, watch, signal.event_ms)):
                continue
            if signal.seen_ms >= watch.rule.since_ms:
                self._begin(contract, watch, signal.event_ms, signal.seen_ms, signal.seen_ms, False, found, signal)
        return found

    def step(self, now_ms: int) -> Sequence[Firing]:
        """Time has passed, to `now_ms` (Unix ms, our clock): what has held for long enough fires.

        How much has passed is told by the exchange's messages alone.
        """
        if not self._holding:
            return NOTHING
        found: list[Firing] = []
        newest_ms = max(self._beat_ms.values())
        for symbol in sorted(self._holding):
            self._end_holds(self._contracts[symbol], newest_ms, now_ms, found)
        return found

    def fired(self, rule_id: str, symbol: str, event_ms: int) -> None:
        """A rule is known to have fired for a contract at `event_ms` (the exchange's time, Unix ms)."""
        watch = self._watches.get(rule_id)
        if watch is None:
            return
        watch.fired = watch.fired or {}
        watch.fired[symbol] = max(event_ms, watch.fired.get(symbol, 0))
        if watch.rule.definition.mode == "once":
            watch.done = True
        contract = self._contracts.get(symbol)
        newest_ms = max((each.event_ms for each in contract.cursors if each is not None), default=0) if contract else 0
        if event_ms >= newest_ms:
            # What is remembered of the contract is of before: it is spent until it is seen to have gone back.
            self._spend(self._contracts.setdefault(symbol, _Contract(symbol)), watch)

    def refused(self, rule_id: str, symbol: str, event_ms: int) -> None:
        """What a rule fired for a contract at `event_ms` (the exchange's time, Unix ms) was told to nobody.

        It is neither the one firing of a rule that fires once, nor the beginning of a cooldown.
        """
        watch = self._watches.get(rule_id)
        # Where it has begun anew, or has fired again, nothing is left of it.
        if watch is None or watch.fired is None or watch.fired.get(symbol) != event_ms:
            return
        del watch.fired[symbol]
        watch.done = watch.done and bool(watch.fired)

    def readings(self, rule: Rule | Definition, row: Row, now_ms: int) -> tuple[Reading, ...]:
        """What each condition measures at a contract at `now_ms` (Unix ms, our clock)."""
        definition = rule.definition if isinstance(rule, Rule) else rule
        contract = self._contracts.get(row.instrument.symbol)
        if contract is None:
            contract = _Contract(row.instrument.symbol)
        contract.row = row
        at_ms = now_ms + _skew_ms(row)
        return tuple(self._reading(contract, condition, at_ms) for condition in definition.conditions)

    def measured(self, row: Row, now_ms: int) -> Measured:
        """What any rule on a contract is judged by at `now_ms` (Unix ms, our clock), of each window that there is."""
        contract = self._contracts.get(row.instrument.symbol)
        if contract is None:
            return UNMEASURED
        contract.row = row
        skew_ms = _skew_ms(row)
        at_ms = now_ms + skew_ms
        fresh = {kind: self._is_fresh(contract, kind, at_ms) for kind in TICK_KINDS}
        values: list[float | None] = []
        known_ms: dict[int, int] = {}
        for source, kind in enumerate(KIND_OF):
            value = self._fresh_value(contract, row, source, at_ms) if fresh[kind] else None
            values.append(value)
            if value is None and fresh[kind] and (known := _known_ms(contract, row, source)) is not None:
                known_ms[source] = known and known - skew_ms
        return Measured(values, known_ms)

    def fill_prices(self, symbol: str, prices: Sequence[tuple[int, float]]) -> None:
        """Past prices of a contract, (Unix ms by the exchange, USDT) in order of time, for windows after a restart.

        The close of a minute is the price at its end.
        """
        contract = self._contracts.setdefault(symbol, _Contract(symbol))
        if contract.prices is None:
            contract.prices = Prices()
        contract.prices.fill(prices)
        for window_s, cursor in contract.moves or ():
            if cursor.value is None and cursor.event_ms:
                # It is judged from where it was first looked at: what became met since then fires.
                then = contract.prices.base(0, cursor.event_ms)
                base = contract.prices.base(window_s, cursor.event_ms)
                if base is not None and then is not None:
                    cursor.value = (then - base) * 100 / base

    def moves_known(self, symbol: str) -> Iterator[tuple[int, bool]]:
        """(window in seconds, whether the price at its beginning is known) of a contract's moves that a rule looks at.

        As of the newest price of any contract.
        """
        contract = self._contracts.get(symbol)
        if contract is None:
            return
        if contract.moves is None:
            contract.moves = self._windows(contract, FIRST_MOVE, MOVE_WINDOWS_S)
        prices, newest_ms = contract.prices, self._beat_ms["ticker"]
        for window_s, _ in contract.moves:
            yield window_s, prices is not None and prices.base(window_s, newest_ms) is not None

    def fill_interest(self, symbol: str, values: Sequence[tuple[int, float]]) -> None:
        """Past open interest of a contract, (Unix ms by the exchange, contracts) in order of time, of up to 4 h."""
        contract = self._contracts.setdefault(symbol, _Contract(symbol))
        if contract.interest is None:
            contract.interest = Interest()
        contract.interest.fill(values)

    def checkpoint(self, *, prices: bool = True) -> dict[str, Any]:
        """What `restore` needs, as JSON knows it: the last values of each contract, and where rules are under way.

        Without `prices`, which are by far the most of it, short windows begin empty.
        """
        contracts: dict[str, Any] = {}
        for symbol, contract in self._contracts.items():
            known = {
                str(source): [cursor.value, cursor.event_ms]
                for source, cursor in enumerate(contract.cursors)
                if cursor is not None and cursor.value is not None
            }
            if not known:
                continue
            saved: dict[str, Any] = {"values": known, "hour_ms": contract.hour_ms}
            if prices and contract.prices is not None and any(contract.cursors[source] for source in _SHORT_WINDOWS):
                saved["prices"] = contract.prices.newest(KEPT_S + 2)
            contracts[symbol] = saved
        rules: dict[str, Any] = {}
        for rule_id, watch in self._watches.items():
            if watch.spent or watch.holds or watch.fired:
                rules[rule_id] = {
                    "version": watch.rule.version,
                    "since_ms": watch.rule.since_ms,
                    "spent": sorted(watch.spent or ()),
                    "holds": watch.holds or {},
                    "fired": watch.fired or {},
                }
        return {"beats": dict(self._beat_ms), "contracts": contracts, "rules": {**self._kept, **rules}}

    def restore(self, values: Mapping[str, Any], as_of_ms: int) -> None:
        """Go on from a checkpoint of `as_of_ms` (Unix ms), before the first tick; rules may be put before or after.

        What became met meanwhile is given at the first ticks: as missed, unless the silence was short.
        Raises ValueError for what is no checkpoint.
        """
        try:
            beats = cast("Mapping[TickKind, int]", values["beats"])
            self._beat_ms.update(
                {kind: beats[kind] for kind in self._beat_ms if beats.get(kind, 0) <= as_of_ms + DAY_MS}
            )
            for symbol, saved in cast("Mapping[str, Any]", values["contracts"]).items():
                self._restore(self._contracts.setdefault(symbol, _Contract(symbol)), saved)
            self._kept = dict(values["rules"])
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"expected a checkpoint: {error!r}") from None
        for watch in self._watches.values():
            self._adopt(watch)

    def nearest(self, rule: Rule) -> Nearest | None:
        """The nearest miss of a rule since the UTC day began, by the exchange's time; None where nothing was measured.

        Contracts for which the rule's conditions were each met at some time of the day are left out: that was no miss.
        Extremes of before the rule was made do not count.
        """
        best: Nearest | None = None
        for symbol in self._traded if rule.symbols is None else rule.symbols:
            contract = self._contracts.get(symbol)
            near = None if contract is None else _nearest_of(contract, rule)
            if near is not None and (best is None or (near.missing, near.symbol) < (best.missing, best.symbol)):
                best = near
        return best

    # Ticks.

    def _on_ticker(self, contract: _Contract, row: Row, tick: Ticker) -> Sequence[Firing]:
        price, event_ms = tick.price, tick.event_ms
        if tick is not row.ticker or not 0 < price < inf:
            return NOTHING
        prices = contract.prices
        if prices is None:
            prices = contract.prices = Prices()
        if tick.seen_ms - told_ms(tick) > _TICKER_MS:
            prices.put(event_ms, price, alive=False)
            return NOTHING
        self._beat("ticker", event_ms)
        prices.put(event_ms, price, self._gaps)
        moved: list[_Cursor] | None = None
        cursor = contract.cursors[PRICE] or self._cursor(contract, PRICE)
        if self._take(cursor, price, event_ms):
            moved = [cursor]
        moves = contract.moves
        if moves is None:
            moves = contract.moves = self._windows(contract, FIRST_MOVE, MOVE_WINDOWS_S)
        for window_s, each in moves:
            base = prices.base(window_s, event_ms)
            if base is None:
                if each.value is None and not each.event_ms:
                    each.event_ms = event_ms
            elif self._take(each, (price - base) * 100 / base, event_ms):
                moved = [each] if moved is None else [*moved, each]
        if moved is None and not contract.holding:
            return NOTHING
        return self._judge(contract, moved or (), tick)

    def _on_candle(self, contract: _Contract, row: Row, tick: Candle) -> Sequence[Firing]:
        newest = row.candle
        if newest is None or is_stale_candle(newest, row.candle_streamed) or is_stale_candle(tick, row.candle_streamed):
            return NOTHING
        self._beat("candle", tick.event_ms)
        moved: list[_Cursor] = []
        began = newest.open_ms != contract.hour_ms and contract.hour_ms > 0
        contract.hour_ms = newest.open_ms
        found: list[Firing] = []
        if began and contract.holding:
            # What had held by the end of the hour before.
            self._end_holds(contract, newest.open_ms, tick.seen_ms, found)
        event_ms = max(tick.event_ms, newest.event_ms)
        for source, value in zip((RATIO, VOLUME), _volumes(row, event_ms), strict=True):
            if value is None or not isfinite(value):
                continue
            cursor = contract.cursors[source] or self._cursor(contract, source)
            if began and cursor.value is not None:
                # An hour begins with nothing.
                self._take(cursor, 0.0, cursor.event_ms)
                self._settle(contract, (cursor,), cursor.event_ms)
            if self._take(cursor, value, event_ms):
                moved.append(cursor)
        if not moved and not contract.holding:
            return found or NOTHING
        return [*found, *self._judge(contract, moved, tick)]

    def _on_funding(self, contract: _Contract, row: Row, tick: Funding) -> Sequence[Firing]:
        if tick is not row.funding or not isfinite(tick.rate) or is_stale_funding(tick):
            return NOTHING
        self._beat("funding", tick.event_ms)
        cursor = contract.cursors[FUNDING] or self._cursor(contract, FUNDING)
        moved = (cursor,) if self._take(cursor, _rate(tick), tick.event_ms) else ()
        return self._judge(contract, moved, tick) if moved or contract.holding else NOTHING

    def _on_interest(self, contract: _Contract, row: Row, tick: OpenInterest) -> Sequence[Firing]:
        interest = contract.interest
        if interest is None:
            interest = contract.interest = Interest()
        if not 0 < tick.contracts < inf:
            return NOTHING
        if tick is not row.open_interest or is_stale_open_interest(tick, row.liquid):
            interest.put(tick.event_ms, tick.contracts)
            return NOTHING
        self._beat("open_interest", tick.event_ms)
        interest.put(tick.event_ms, tick.contracts)
        moved: list[_Cursor] = []
        if contract.interests is None:
            contract.interests = self._windows(contract, FIRST_INTEREST, INTEREST_WINDOWS_S)
        for window_s, cursor in contract.interests:
            value = _interest_change(contract, row, window_s)
            if value is not None and self._take(cursor, value, tick.event_ms):
                moved.append(cursor)
        return self._judge(contract, moved, tick)

    def _beat(self, kind: TickKind, event_ms: int) -> None:
        before_ms = self._beat_ms[kind]
        if event_ms <= before_ms:
            return
        if event_ms - before_ms > SHORT_MS:
            self._resumed_ms[kind] = event_ms
            if kind == "ticker":
                self._gaps.append((before_ms, event_ms))
        self._beat_ms[kind] = event_ms

    def _take(self, cursor: _Cursor, value: float, event_ms: int) -> bool:
        """Keep a value; whether it has passed a threshold, or may have."""
        cursor.turn = self._turn
        cursor.former, cursor.former_ms = cursor.value, cursor.event_ms
        cursor.value, cursor.event_ms = value, event_ms
        if value > cursor.high or not cursor.high_ms:
            cursor.high, cursor.high_ms = value, event_ms
        if value < cursor.low or not cursor.low_ms:
            cursor.low, cursor.low_ms = value, event_ms
        return not cursor.under < value < cursor.over

    def _judge(self, contract: _Contract, moved: Sequence[_Cursor], tick: Tick) -> Sequence[Firing]:
        found: list[Firing] = []
        event_ms = tick.event_ms
        if contract.holding:
            # What had held for long enough before this tick fires, whatever the tick says.
            self._end_holds(contract, event_ms, tick.seen_ms, found, self._turn)
        if not moved:
            return found or NOTHING
        risen = self._settle(contract, moved, event_ms)
        if not risen:
            return found or NOTHING
        told = told_ms(tick)
        for watch, missed in risen:
            if watch.done or told < watch.rule.since_ms or (watch.spent and contract.symbol in watch.spent):
                continue
            if len(watch.atoms) > 1 and not self._all_met(contract, watch, event_ms):
                continue
            self._begin(contract, watch, event_ms, tick.seen_ms, told, missed, found)
        return found or NOTHING

    def _settle(self, contract: _Contract, moved: Sequence[_Cursor], event_ms: int) -> list[tuple[_Watch, bool]]:
        """Turn what depends on these sources to their new values; which rules' conditions became met, and whether
        nobody saw it."""
        risen: list[tuple[_Watch, bool]] = []
        for cursor in moved:
            value, former = cursor.value, cursor.former
            if value is None:
                continue
            if cursor.banded:
                self._release(contract, cursor, value)
            under, over = -inf, inf
            for view, lists in cursor.views:
                now = seen(view, value)
                for waiters in lists:
                    if former is not None:
                        before = seen(view, former)
                        if before < now:
                            missed = self._is_missed(contract, cursor)
                            risen += [(watch, missed) for _, watch in waiters.between(before, now)]
                        elif now < before:
                            for level, watch in waiters.between(now, before):
                                self._fall(contract, cursor, watch, Atom(cursor.source, view, level), now)
                    below, above = waiters.around(now)
                    low, high = _bounds(view, value, below, above)
                    under, over = max(under, low), min(over, high)
            cursor.under, cursor.over = (inf, -inf) if cursor.banded else (under, over)
        return risen

    def _fall(self, contract: _Contract, cursor: _Cursor, watch: _Watch, atom: Atom, now: float) -> None:
        """A condition is no longer met."""
        symbol = contract.symbol
        if watch.holds is not None and symbol in watch.holds:
            self._drop_hold(contract, watch)
        elif watch.spent is None or symbol not in watch.spent:
            if not self._was_met(contract, watch, cursor) or self._has_left(contract, watch, cursor.turn):
                return
            watch.spent = watch.spent or set()
            watch.spent.add(symbol)
        spent = watch.spent
        if spent is None or symbol not in spent:
            return
        if now < atom.release:
            spent.discard(symbol)
            return
        if cursor.banded is None:
            cursor.banded = {}
        cursor.banded[watch, atom] = None

    def _release(self, contract: _Contract, cursor: _Cursor, value: float) -> None:
        """What was in its band has left it, or is still there."""
        banded = cursor.banded or {}
        for watch, atom in list(banded):
            now = seen(atom.view, value)
            if now < atom.release:
                if watch.spent is not None:
                    watch.spent.discard(contract.symbol)
            elif now < atom.threshold and watch.spent and contract.symbol in watch.spent:
                continue
            del banded[watch, atom]
        cursor.banded = banded or None

    def _begin(
        self,
        contract: _Contract,
        watch: _Watch,
        event_ms: int,
        seen_ms: int,
        told: int,
        missed: bool,
        found: list[Firing],
        signal: Signal | None = None,
    ) -> None:
        """All has become met: fire, or wait until it has held."""
        if not self._may_fire(contract, watch, event_ms, told):
            if len(watch.atoms) > 1:
                self._spend(contract, watch)
            return
        hold_ms = watch.rule.definition.hold_s * 1000
        if hold_ms and watch.atoms:
            watch.holds = watch.holds or {}
            watch.holds.setdefault(contract.symbol, event_ms)
            contract.holding.add(watch)
            self._holding.add(contract.symbol)
            return
        self._fire(contract, watch, event_ms, seen_ms, missed, found, signal)

    @staticmethod
    def _may_fire(contract: _Contract, watch: _Watch, event_ms: int, told: int) -> bool:
        rule = watch.rule
        if watch.done or (rule.expires_ms is not None and told >= rule.expires_ms):
            return False
        if rule.snoozed_until_ms is not None and told < rule.snoozed_until_ms:
            return False
        before = None if watch.fired is None else watch.fired.get(contract.symbol)
        return before is None or event_ms >= before + rule.definition.cooldown_s * 1000

    def _fire(
        self,
        contract: _Contract,
        watch: _Watch,
        event_ms: int,
        seen_ms: int,
        missed: bool,
        found: list[Firing],
        signal: Signal | None = None,
        former: Mapping[int, float | None] = _NO_VALUES,
    ) -> None:
        symbol, row = contract.symbol, contract.row
        if watch.rule.definition.mode == "once":
            watch.done = True
        watch.fired = watch.fired or {}
        watch.fired[symbol] = event_ms
        if len(watch.atoms) > 1 or watch.holds is not None:
            self._spend(contract, watch)
        readings = tuple(
            self._reading(contract, each, event_ms, signal, former) for each in watch.rule.definition.conditions
        )
        price = former.get(PRICE, None if row is None else row.price)
        if price is None and signal is not None:
            price = signal.price
        found.append(Firing(watch.rule, symbol, event_ms, seen_ms, price, readings, missed))

    def _spend(self, contract: _Contract, watch: _Watch) -> None:
        """It does not fire for the contract before one of its conditions has gone back."""
        watch.spent = watch.spent or set()
        watch.spent.add(contract.symbol)
        for atom in watch.atoms:
            cursor = contract.cursors[atom.source]
            if cursor is None or cursor.value is None or seen(atom.view, cursor.value) < atom.threshold:
                cursor = cursor or self._cursor(contract, atom.source)
                if cursor.banded is None:
                    cursor.banded = {}
                cursor.banded[watch, atom] = None
                cursor.under, cursor.over = inf, -inf

    # Holds.

    def _keep_holds(self, watch: _Watch) -> None:
        """Those of contracts that the rule still watches."""
        symbols = watch.rule.symbols
        for symbol in list(watch.holds or ()):
            if not watch.plan_allows or (symbols is not None and symbol not in symbols):
                self._drop_hold(self._contracts[symbol], watch)

    def _drop_hold(self, contract: _Contract, watch: _Watch) -> None:
        if watch.holds is not None:
            watch.holds.pop(contract.symbol, None)
        contract.holding.discard(watch)
        if not contract.holding:
            self._holding.discard(contract.symbol)

    def _end_holds(
        self,
        contract: _Contract,
        event_ms: int,
        seen_ms: int,
        found: list[Firing],
        turn: int | None = None,
    ) -> None:
        """Fire what has held by `event_ms` (the exchange's time), by the values before tick `turn`."""
        former = {
            cursor.source: cursor.former for cursor in contract.cursors if cursor is not None and cursor.turn == turn
        }
        for watch in sorted(contract.holding, key=lambda each: each.rule.id):
            began_ms = 0 if watch.holds is None else watch.holds.get(contract.symbol, 0)
            resumed_ms = max((self._resumed_ms[KIND_OF[atom.source]] for atom in watch.atoms), default=0)
            if watch.holds is not None and resumed_ms > began_ms:
                # Whether it held while nothing was known cannot be said.
                began_ms = watch.holds[contract.symbol] = resumed_ms
            end_ms = began_ms + watch.rule.definition.hold_s * 1000
            if end_ms > event_ms or not all(
                self._is_fresh(contract, KIND_OF[each.source], end_ms) for each in watch.atoms
            ):
                continue
            values = [
                former[atom.source] if atom.source in former else self._value(contract, atom.source, end_ms)
                for atom in watch.atoms
            ]
            if None in values:
                continue
            self._drop_hold(contract, watch)
            if any(
                value is None or seen(atom.view, value) < atom.threshold
                for atom, value in zip(watch.atoms, values, strict=True)
            ):
                continue
            if self._may_fire(contract, watch, end_ms, seen_ms):
                self._fire(contract, watch, end_ms, seen_ms, False, found, former=former)

    # Values.

    def _all_met(self, contract: _Contract, watch: _Watch, at_ms: int) -> bool:
        """Whether all conditions are met by values that are known and fresh at `at_ms` (the exchange's time)."""
        for atom in watch.atoms:
            value = self._value(contract, atom.source, at_ms)
            if value is None or seen(atom.view, value) < atom.threshold:
                return False
        return True

    def _was_met(self, contract: _Contract, watch: _Watch, moved: _Cursor) -> bool:
        """Whether all conditions were met before the tick that `moved` is of."""
        for atom in watch.atoms:
            cursor = contract.cursors[atom.source]
            if cursor is None:
                return False
            value = cursor.former if cursor.turn == moved.turn else cursor.value
            if value is None or seen(atom.view, value) < atom.threshold:
                return False
        return True

    @staticmethod
    def _has_left(contract: _Contract, watch: _Watch, turn: int) -> bool:
        """Whether one of the values that came with tick `turn` has gone back behind its band."""
        for atom in watch.atoms:
            cursor = contract.cursors[atom.source]
            if cursor is None or cursor.turn != turn or cursor.value is None:
                continue
            if seen(atom.view, cursor.value) < atom.release:
                return True
        return False

    def _value(self, contract: _Contract, source: int, at_ms: int) -> float | None:
        """A source's value at `at_ms` (the exchange's time); None where it is not known or too old."""
        row = contract.row
        if row is None or not self._is_fresh(contract, KIND_OF[source], at_ms):
            return None
        return self._fresh_value(contract, row, source, at_ms)

    @staticmethod
    def _fresh_value(contract: _Contract, row: Row, source: int, at_ms: int) -> float | None:
        """The value of a source that is fresh; None where it is not known all the same."""
        kind = KIND_OF[source]
        if source == PRICE:
            return row.price
        cursor = contract.cursors[source]
        if cursor is not None and cursor.views and kind in ("ticker", "open_interest"):
            # As of its newest message, so that one rule is judged by one value whichever message asks.
            tick: Tick | None = getattr(row, kind)
            return cursor.value if tick is not None and cursor.event_ms == tick.event_ms else None
        if kind == "ticker":
            price = row.price
            window_s = MOVE_WINDOWS_S[source - FIRST_MOVE]
            base = None if contract.prices is None else contract.prices.base(window_s, at_ms)
            return None if base is None or price is None else (price - base) * 100 / base
        if source == FUNDING:
            return None if row.funding is None else _rate(row.funding)
        if kind == "candle":
            return _volumes(row, at_ms)[source - RATIO]
        return _interest_change(contract, row, INTEREST_WINDOWS_S[source - FIRST_INTEREST])

    def _is_fresh(self, contract: _Contract, kind: TickKind, at_ms: int) -> bool:
        """Whether a contract's value of a kind is known and tells of `at_ms` (the exchange's time)."""
        row = contract.row
        tick: Tick | None = None if row is None else getattr(row, kind)
        if row is None or tick is None:
            return False
        streamed = kind in ("ticker", "funding")
        close = row.liquid if kind == "open_interest" else row.candle_streamed
        if type(tick) is Candle:
            streamed = row.candle_streamed
            if is_overdue(tick, at_ms) or is_stale_candle(tick, streamed):
                return False
        elif tick.seen_ms - told_ms(tick) > _ALLOWANCE[kind].limit_ms(close):
            return False
        newest_ms = tick.event_ms
        if streamed and kind not in row.refused:
            newest_ms = max(newest_ms, self._beat_ms[kind])
        return at_ms - newest_ms <= _ALLOWANCE[kind].limit_ms(close)

    def _is_missed(self, contract: _Contract, cursor: _Cursor) -> bool:
        """Whether there was a silence between a source's value before and its value now."""
        kind = KIND_OF[cursor.source]
        if self._resumed_ms[kind] <= cursor.former_ms:
            return False
        row = contract.row
        usual_ms = 0
        if row is not None and kind != "ticker":
            usual_ms = _ALLOWANCE[kind].limit_ms(row.liquid if kind == "open_interest" else row.candle_streamed)
        return cursor.event_ms - cursor.former_ms > usual_ms + SHORT_MS

    def _reading(
        self,
        contract: _Contract,
        condition: Condition,
        at_ms: int,
        signal: Signal | None = None,
        former: Mapping[int, float | None] = _NO_VALUES,
    ) -> Reading:
        row = contract.row
        if isinstance(condition, OnSignal):
            text = reading_text(condition, None, None, None) if signal is None else signal.text
            return Reading(condition, None, None, signal is not None, text)
        atoms = atoms_of(condition)
        values = [
            former[atom.source] if atom.source in former else self._value(contract, atom.source, at_ms)
            for atom in atoms
        ]
        met = all(
            value is not None and seen(atom.view, value) >= atom.threshold
            for atom, value in zip(atoms, values, strict=True)
        )
        value = values[0]
        volume = values[1] if len(values) > 1 else None
        decimals = None if row is None else row.instrument.price_decimals
        text = reading_text(condition, value, volume, decimals)
        return Reading(condition, value, _level(atoms[0], value), met, text)

    # What is looked at.

    def _enter(self, watch: _Watch, touched: set[tuple[str, int]]) -> None:
        """Wait for what a rule wants; `touched` learns of (symbol, source), with an empty symbol for all.

        One that is done waits, too: its firing may still be refused.
        """
        if not watch.plan_allows:
            return
        rule = watch.rule
        symbols: Iterable[str] = ("",) if rule.symbols is None else rule.symbols
        for symbol in symbols:
            if watch.signal is not None:
                self._by_signal.setdefault(symbol, {})[rule.id] = watch
                continue
            lists = self._shared if not symbol else self._contracts.setdefault(symbol, _Contract(symbol)).lists
            for atom in watch.atoms:
                key = (atom.source, atom.view)
                waiters = lists.get(key)
                if waiters is None:
                    waiters = lists[key] = Thresholds()
                waiters.add(atom.threshold, watch)
                touched.add((symbol, atom.source))

    def _leave(self, watch: _Watch, touched: set[tuple[str, int]]) -> None:
        rule = watch.rule
        symbols: Iterable[str] = ("",) if rule.symbols is None else rule.symbols
        for symbol in symbols:
            if watch.signal is not None:
                self._by_signal.get(symbol, {}).pop(rule.id, None)
                continue
            contract = self._contracts.get(symbol)
            lists = self._shared if not symbol else {} if contract is None else contract.lists
            for atom in watch.atoms:
                waiters = lists.get((atom.source, atom.view))
                if waiters is not None:
                    waiters.discard(atom.threshold, watch)
                    touched.add((symbol, atom.source))

    def _forget(self, watch: _Watch) -> None:
        """Nothing is left of where a rule stood."""
        for symbol in list(watch.holds or ()):
            self._drop_hold(self._contracts[symbol], watch)
        watch.spent = None

    def _look_again_at(self, touched: Iterable[tuple[str, int]]) -> None:
        for symbol, source in touched:
            contracts: Iterable[_Contract] = (
                (self._contracts[symbol],) if symbol in self._contracts else () if symbol else self._contracts.values()
            )
            for contract in contracts:
                self._look_again(contract, source)

    def _look_again(self, contract: _Contract, source: int | None = None) -> None:
        """What waits for a contract's source (or for any) has changed."""
        for each in range(SOURCES) if source is None else (source,):
            cursor = contract.cursors[each]
            if cursor is not None:
                cursor.views = self._views(contract, each)
                cursor.under, cursor.over = inf, -inf
                if cursor.value is None:
                    cursor.event_ms = 0
        contract.moves = contract.interests = None

    def _views(self, contract: _Contract, source: int) -> tuple[tuple[int, tuple[_Waiters, ...]], ...]:
        shared = self._shared if contract.symbol in self._traded else {}
        found: list[tuple[int, tuple[_Waiters, ...]]] = []
        for view in (AS_IS, TURNED, SIZE):
            lists = (contract.lists.get((source, view)), shared.get((source, view)))
            filled = tuple(each for each in lists if each)
            if filled:
                found.append((view, filled))
        return tuple(found)

    def _windows(self, contract: _Contract, first: int, windows_s: Sequence[int]) -> tuple[tuple[int, _Cursor], ...]:
        """(window in seconds, cursor) of the sources from `first` on that a rule looks at."""
        return tuple(
            (window_s, self._cursor(contract, source))
            for source, window_s in enumerate(windows_s, first)
            if self._views(contract, source)
        )

    def _cursor(self, contract: _Contract, source: int) -> _Cursor:
        cursor = contract.cursors[source]
        if cursor is None:
            cursor = contract.cursors[source] = _Cursor(source)
            cursor.views = self._views(contract, source)
        return cursor

    @staticmethod
    def _turn_day(contract: _Contract, day: int) -> None:
        contract.day = day
        for cursor in contract.cursors:
            if cursor is not None:
                cursor.high_ms = cursor.low_ms = 0

    # Checkpoints.

    def _restore(self, contract: _Contract, saved: Mapping[str, Any]) -> None:
        contract.hour_ms = int(saved["hour_ms"])
        for source, (value, event_ms) in saved["values"].items():
            cursor = self._cursor(contract, int(source))
            cursor.value, cursor.event_ms = float(value), int(event_ms)
        if "prices" in saved:
            contract.prices = contract.prices or Prices()
            contract.prices.restore(*saved["prices"])

    def _adopt(self, watch: _Watch) -> None:
        """Go on where a checkpoint left the rule, unless it starts anew."""
        rule = watch.rule
        kept = self._kept.get(rule.id)
        if kept is None:
            return
        del self._kept[rule.id]
        if (kept["version"], kept["since_ms"]) != (rule.version, rule.since_ms):
            return
        watch.fired = {**kept["fired"], **(watch.fired or {})} or None
        if watch.fired and rule.definition.mode == "once":
            watch.done = True
        for symbol in kept["spent"]:
            self._spend(self._contracts.setdefault(symbol, _Contract(symbol)), watch)
        for symbol, began_ms in kept["holds"].items():
            watch.holds = watch.holds or {}
            watch.holds[symbol] = began_ms
            self._contracts.setdefault(symbol, _Contract(symbol)).holding.add(watch)
            self._holding.add(symbol)


def _skew_ms(row: Row) -> int:
    """How far the exchange's clock is ahead of ours, in ms."""
    told = next((each for each in (row.ticker, row.funding, row.candle) if each is not None), None)
    return 0 if told is None else told.skew_ms


def _known_ms(contract: _Contract, row: Row, source: int) -> int | None:
    """By when a source is known that waits for its window, Unix ms by the exchange; see `Measured.known_ms`."""
    if KIND_OF[source] == "ticker":
        return None if contract.prices is None else contract.prices.known_ms(MOVE_WINDOWS_S[source - FIRST_MOVE])
    if KIND_OF[source] == "open_interest":
        return interest_known_ms(row, contract.interest, INTEREST_WINDOWS_S[source - FIRST_INTEREST])
    # The hour that is under way is whole then, and the one before it no longer matters.
    return None if row.candle is None else row.candle.open_ms + HOUR_MS


def _rate(tick: Funding) -> float:
    """Percent an interval; rounded, since 0.0007 × 100 is less than 0.07."""
    return round(tick.rate * 100, 10)


def _volumes(row: Row, at_ms: int) -> tuple[float | None, float | None]:
    """(this hour's quote volume over that of the hour before, this hour's in USDT), as the table has them.

    An hour's last word counts for it; after that the next one is under way, with nothing yet.
    """
    candle, before = row.candle, row.previous_hour
    if candle is None:
        return None, None
    if candle.closed and at_ms >= candle.open_ms + HOUR_MS + CLOSE_GRACE_MS:
        return volume_ratio(candle.volume_quote, 0.0), 0.0
    previous = before.volume_quote if before is not None and stands_in(before, candle) else None
    return volume_ratio(previous, candle.volume_quote), candle.volume_quote


def _interest_change(contract: _Contract, row: Row, window_s: int) -> float | None:
    """Change of the open contracts over a window in percent."""
    now = row.open_interest
    if now is None or now.contracts <= 0:
        return None
    if window_s * 1000 <= HOUR_MS:
        return row.open_interest_change_pct(window_s * 1000)
    base = None if contract.interest is None else contract.interest.at(now.event_ms - window_s * 1000)
    return None if base is None else (now.contracts - base) * 100 / base


def _bounds(view: int, value: float, below: float, above: float) -> tuple[float, float]:
    """Where a view's nearest thresholds, below (or at) and above its value, lie for the value itself."""
    if view == AS_IS:
        return below, above
    if view == TURNED:
        return -above, -below
    if value >= 0:
        return (below if below > 0 else -above), above
    return -above, (-below if below > 0 else above)


def _level(atom: Atom, value: float | None) -> float:
    """The threshold as a condition has it: with the sign of the value where either way is meant."""
    if atom.view == TURNED or (atom.view == SIZE and value is not None and value < 0):
        return -atom.threshold
    return atom.threshold


def _is_wanted(wanted: OnSignal, signal: Signal) -> bool:
    return (
        signal.detector == wanted.detector
        and signal.severity >= wanted.severity
        and wanted.direction in ("any", signal.direction)
        and wanted.quadrant in ("", signal.quadrant)
    )


def _nearest_of(contract: _Contract, rule: Rule) -> Nearest | None:
    """The condition that was furthest from being met in the day, at one contract."""
    furthest: Nearest | None = None
    for condition in rule.definition.conditions:
        for atom in atoms_of(condition):
            cursor = contract.cursors[atom.source]
            if cursor is None or not cursor.high_ms:
                return None
            use_low = atom.view == TURNED or (atom.view == SIZE and -cursor.low > cursor.high)
            value, at_ms = (cursor.low, cursor.low_ms) if use_low else (cursor.high, cursor.high_ms)
            if at_ms < rule.since_ms:
                return None
            missing = (atom.threshold - seen(atom.view, value)) / (abs(atom.threshold) or band(atom.source, 0.0) or 1.0)
            if missing > 0 and (furthest is None or missing > furthest.missing):
                level = _level(atom, value)
                furthest = Nearest(contract.symbol, condition, value, level, at_ms, missing, atom.source == VOLUME)
    return furthest
