"""When each input of each contract could not be judged, and so for how long a rule was blind, and why.

An input is blind from the last moment at which its value was known to be true, as in `domain.signals.silence`: until a
value is too old the time since then is undecided, and after that it was blind all along. What was decided is kept as
stretches of time of each contract and input, so that a rule on many of them adds up no second twice; what hides all of
them (no engine, another exchange) is one stretch for all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from flashcur.domain.book import MarketBook, Row
from flashcur.domain.rules.condition import Condition, Input, needs_open_interest
from flashcur.domain.rules.rule import Rule
from flashcur.domain.signals.silence import ASLEEP_MS, DAY_MS, Cause, input_age
from flashcur.domain.ticks import TickKind

Span = tuple[int, int, Cause]
"""From when until when, Unix ms, and why."""
Key = tuple[str, Input]
"""A contract and what is looked at of it."""

_INPUT_OF: dict[TickKind, Input] = {
    "ticker": "price",
    "funding": "funding",
    "candle": "candle",
    "open_interest": "open_interest",
}


@dataclass(frozen=True, slots=True)
class InputSight:
    """What is known of one input of a contract now."""

    confirmed_ms: int
    """Until when it was known to be true, Unix ms."""
    cause: Cause | None
    """Why it cannot be judged; None if it can."""
    open_ms: int = 0
    """If not: for how long back from now the value that is missing may yet come, in ms."""


@dataclass(slots=True)
class DayPart:
    """What became of some of a rule's day; all in ms."""

    day: int
    """Days since 1970."""
    watched: int = 0
    idle: int = 0
    blind: dict[Cause, int] = field(default_factory=dict["Cause", int])


def needs_of(conditions: Iterable[Condition]) -> frozenset[Input]:
    """What these conditions look at."""
    return frozenset(need for condition in conditions for need in condition.needs)


def may_never_fire(rule: Rule) -> bool:
    """Whether its owner's plan does not let a rule know what it needs."""
    return not rule.open_interest and needs_open_interest(rule.definition.conditions)


def look_at(book: MarketBook, row: Row, now_ms: int, ready: bool) -> Iterator[tuple[Input, InputSight]]:
    """What is known of each input of a contract at `now_ms` (Unix ms); `ready`: whether its detectors have a
    baseline."""
    worst: InputSight | None = None
    for kind, name in _INPUT_OF.items():
        age = input_age(book, row, kind, now_ms)
        if age is None:
            sight = InputSight(0, "stale")
        elif age.stale:
            sight = InputSight(now_ms - age.overdue_ms, "stale", age.cadence_ms)
        else:
            sight = InputSight(now_ms - age.overdue_ms, None)
        if (kind != "open_interest" or row.liquid) and (worst is None or _is_worse(sight, worst)):
            worst = sight
        if kind == "candle" and sight.cause is None and None in row.hour_volumes():
            sight = InputSight(0, "no_baseline")
        yield name, sight
    if worst is not None:
        yield "signals", worst if ready or worst.cause is not None else InputSight(0, "no_baseline")


def _is_worse(one: InputSight, other: InputSight) -> bool:
    if (one.cause is None) != (other.cause is None):
        return one.cause is not None
    return one.confirmed_ms < other.confirmed_ms


class WatchLedger:
    """See the module; fed by steps of about a second."""

    def __init__(self, now_ms: int) -> None:
        """Nothing is watched before `now_ms`, Unix ms."""
        self._until: dict[Key, int] = {}
        """Up to when each input's time is decided, Unix ms."""
        self._spans: dict[Key, list[Span]] = {}
        self._everything: list[Span] = []
        self._decided: dict[frozenset[Input], int] = {}
        """Up to when these inputs of all contracts are decided, as of the last step."""
        self._known: dict[frozenset[Input], frozenset[str]] = {}
        """The contracts that have these inputs, as of the last step."""
        self._stepped_ms = now_ms

    @property
    def until_ms(self) -> int:
        """When it was stepped last, Unix ms."""
        return self._stepped_ms

    def step(self, now_ms: int, sights: Iterable[tuple[str, Input, InputSight]]) -> None:
        """Time has passed to `now_ms` (Unix ms). Contracts of which nothing is said are no longer watched."""
        if now_ms - self._stepped_ms > ASLEEP_MS:
            self.away(now_ms, "engine_away")
        self._stepped_ms = max(self._stepped_ms, now_ms)
        until: dict[Key, int] = {}
        for symbol, name, sight in sights:
            key = (symbol, name)
            decided = max(self._until.get(key, now_ms), min(sight.confirmed_ms, now_ms))
            if sight.cause is not None and (to_ms := now_ms - sight.open_ms) > decided:
                _add(self._spans.setdefault(key, []), (decided, to_ms, sight.cause))
                decided = to_ms
            until[key] = decided
        self._until = until
        self._decided, self._known = {}, {}

    def away(self, now_ms: int, cause: Cause) -> None:
        """Since the last step, or the beginning, nothing was watched at all, up to `now_ms` (Unix ms)."""
        self.blind(self._stepped_ms, now_ms, cause)
        self._until, self._known = {}, {}
        self._stepped_ms = max(self._stepped_ms, now_ms)

    def blind(self, from_ms: int, to_ms: int, cause: Cause) -> None:
        """Nothing at all could be judged from one moment to another (Unix ms)."""
        if to_ms > from_ms:
            _add(self._everything, (from_ms, to_ms, cause))

    def decided_ms(self, symbols: Collection[str] | None, needs: frozenset[Input]) -> int:
        """Up to when all inputs of these contracts (None: of all) are decided, Unix ms."""
        if symbols is not None:
            keys: Iterator[Key] = ((symbol, name) for symbol in symbols for name in needs)
            return min((self._until[key] for key in keys if key in self._until), default=self._stepped_ms)
        if needs not in self._decided:
            decided = (until_ms for (_, name), until_ms in self._until.items() if name in needs)
            self._decided[needs] = min(decided, default=self._stepped_ms)
        return self._decided[needs]

    def blind_between(
        self, symbols: Collection[str] | None, needs: Collection[Input], from_ms: int, to_ms: int
    ) -> dict[Cause, int]:
        """For how long, in ms, not all inputs of these contracts (None: of all) could be judged, by cause.

        Of several contracts each counts for its share: a moment that hid one of 150 is a 150th of it. A moment counts
        once, for what hid it first. Contracts that are not traded here count for nothing, unless none of them is.
        """
        if symbols is None:
            spanned = {symbol for (symbol, name) in self._spans if name in needs}
            count = max(len(self._traded(needs) | spanned), 1)
        else:
            traded = [symbol for symbol in symbols if any((symbol, name) in self._until for name in needs)]
            if not traded:
                return _length([*self._everything, (from_ms, to_ms, "switch")], from_ms, to_ms)
            count = len(traded)
            spanned = {symbol for symbol in traded if any((symbol, name) in self._spans for name in needs)}
        hidden = _length(self._everything, from_ms, to_ms)
        found: dict[Cause, int] = {cause: ms * (count - len(spanned)) for cause, ms in hidden.items()}
        for symbol in spanned:
            spans = [span for name in needs for span in self._spans.get((symbol, name), ())]
            for cause, ms in _length([*self._everything, *spans], from_ms, to_ms).items():
                found[cause] = found.get(cause, 0) + ms
        return {cause: ms // count for cause, ms in found.items() if ms >= count}

    def _traded(self, needs: Collection[Input]) -> frozenset[str]:
        """The contracts of which something is known of these inputs, as of the last step."""
        wanted = frozenset(needs)
        if wanted not in self._known:
            self._known[wanted] = frozenset(symbol for symbol, name in self._until if name in wanted)
        return self._known[wanted]

    def forget(self, before_ms: int) -> None:
        """Nobody asks for what was over before a moment (Unix ms)."""
        self._everything = [span for span in self._everything if span[1] > before_ms]
        kept = {key: [span for span in spans if span[1] > before_ms] for key, spans in self._spans.items()}
        self._spans = {key: spans for key, spans in kept.items() if spans}


def account(ledger: WatchLedger, rule: Rule, from_ms: int, to_ms: int) -> list[DayPart]:
    """What a rule did from one moment to another (Unix ms), day by day (UTC): all of it is watched, idle or blind.

    It is idle before it was made, changed or set going, while it is snoozed, once its time is over, and where its plan
    does not let it know what it needs.
    """
    begins_ms = max(rule.since_ms, rule.snoozed_until_ms or 0)
    ends_ms = to_ms if rule.expires_ms is None else rule.expires_ms
    if may_never_fire(rule):
        begins_ms = to_ms
    needs = needs_of(rule.definition.conditions)
    parts: list[DayPart] = []
    while from_ms < to_ms:
        day = from_ms // DAY_MS
        until_ms = min(to_ms, (day + 1) * DAY_MS)
        first_ms = min(max(begins_ms, from_ms), until_ms)
        last_ms = max(min(ends_ms, until_ms), first_ms)
        blind = ledger.blind_between(rule.symbols, needs, first_ms, last_ms)
        watched = last_ms - first_ms - sum(blind.values())
        parts.append(DayPart(day, watched, until_ms - from_ms - (last_ms - first_ms), blind))
        from_ms = until_ms
    return parts


def _length(spans: Iterable[Span], from_ms: int, to_ms: int) -> dict[Cause, int]:
    """How much of the time between two moments (Unix ms) these stretches hide, in ms, by what hid it first."""
    found: dict[Cause, int] = {}
    at_ms = from_ms
    for begin_ms, end_ms, cause in sorted(spans):
        begin_ms, end_ms = max(begin_ms, at_ms), min(end_ms, to_ms)
        if end_ms > begin_ms:
            found[cause] = found.get(cause, 0) + end_ms - begin_ms
            at_ms = end_ms
    return found


def _add(spans: list[Span], span: Span) -> None:
    """Append a stretch, or make the last one longer."""
    if spans and spans[-1][2] == span[2] and spans[-1][0] <= span[0] <= spans[-1][1]:
        spans[-1] = (spans[-1][0], max(spans[-1][1], span[1]), span[2])
    else:
        spans.append(span)
