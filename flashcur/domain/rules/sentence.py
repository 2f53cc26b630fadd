"""A rule said back as one English sentence, so that its owner sees what was understood."""

from __future__ import annotations

from flashcur.domain.rules.condition import Condition, FundingLevel, InterestMove, OnSignal, PriceCross, PriceMove
from flashcur.domain.rules.firing import WINDOW_WORDS, plain
from flashcur.domain.rules.rule import Definition
from flashcur.domain.signals.signal import Quadrant
from flashcur.domain.signals.words import DETECTOR_TITLES, QUADRANT_TITLES, SEVERITY_WORDS

_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


def sentence(definition: Definition, scope_name: str = "", ends: str = "") -> str:
    """What the rule does.

    `scope_name` is what its owner knows the contract or the watchlist by; empty: the symbol, or "a watchlist". `ends`:
    when it ends, such as `in 7 days`; empty where it does not, or that is said elsewhere.
    """
    conditions = [condition_text(each) for each in definition.conditions]
    what = conditions[0] if len(conditions) == 1 else f"{', '.join(conditions[:-1])} and {conditions[-1]}"
    holds = f", and stays that way for {duration(definition.hold_s)}" if definition.hold_s else ""
    subject = _subject(definition, scope_name)
    if definition.mode == "once":
        often = ", once"
    elif not definition.cooldown_s:
        often = ", every time"
    else:
        each = "" if definition.scope.kind == "symbol" else " per contract"
        often = f", at most once {_rate(definition.cooldown_s)}{each}"
    quiet = ", even in quiet hours and over the daily cap" if definition.urgent else ""
    end = f" It ends {ends}." if ends else ""
    return f"Tell me when {subject} {what}{holds}{often}{quiet}.{end}"


def condition_text(condition: Condition) -> str:
    """One condition as what a contract does: `rises by 5 % or more within 15 minutes`."""
    if isinstance(condition, PriceCross):
        return f"trades at or {condition.side} {plain(condition.price)} USDT"
    if isinstance(condition, PriceMove):
        verb = {"up": "rises by", "down": "falls by", "either": "rises or falls by"}[condition.way]
        return f"{verb} {plain(condition.percent)} % or more within {WINDOW_WORDS[condition.window_s]}"
    if isinstance(condition, FundingLevel):
        more = "more" if condition.side == "above" else "less"
        percent = plain(condition.percent).replace("-", "−")
        return f"has a funding rate of {percent} % per interval or {more}"
    if isinstance(condition, InterestMove):
        verb = {"up": "rise by", "down": "fall by", "either": "rise or fall by"}[condition.way]
        window = WINDOW_WORDS[condition.window_s]
        return f"sees its open interest {verb} {plain(condition.percent)} % or more within {window}"
    if isinstance(condition, OnSignal):
        return f"has {_signal(condition)}"
    floor = f" and at least ${plain(condition.floor)} this hour" if condition.floor > 0 else ""
    times = "" if condition.multiple == 1 else f"{plain(condition.multiple)} times "
    return f"has at least {times}the previous hour’s volume{floor}"


def duration(seconds: int) -> str:
    """A length of time in words: `1 hour`, `90 seconds`, `1 day 12 hours`."""
    if 60 < seconds < 120:
        return f"{seconds} seconds"
    parts: list[str] = []
    for size, unit in _UNITS:
        number, seconds = divmod(seconds, size)
        if number:
            parts.append(f"{number} {unit}{'' if number == 1 else 's'}")
    return " ".join(parts) or "0 seconds"


def _rate(seconds: int) -> str:
    """`an hour`, `every 15 minutes`."""
    alone = {86_400: "a day", 3_600: "an hour", 60: "a minute", 1: "a second"}
    return alone.get(seconds, f"every {duration(seconds)}")


def _subject(definition: Definition, scope_name: str) -> str:
    scope = definition.scope
    if scope.kind == "symbol":
        return scope_name or scope.symbol
    if scope.kind == "watchlist":
        return f"any contract in “{scope_name}”" if scope_name else "any contract in a watchlist"
    return "any contract"


def _signal(condition: OnSignal) -> str:
    """`a bearish volume spike signal (strong or stronger)`."""
    name = "listing or terms" if condition.detector == "listing" else DETECTOR_TITLES[condition.detector].lower()
    details: list[str] = []
    if condition.quadrant in QUADRANT_TITLES:
        quadrant: Quadrant = condition.quadrant
        details.append(QUADRANT_TITLES[quadrant].lower())
    elif condition.direction != "any":
        name = f"{condition.direction} {name}"
    if condition.severity > 1:
        word = SEVERITY_WORDS[condition.severity].lower()
        details.append(word if condition.severity == max(SEVERITY_WORDS) else f"{word} or stronger")
    more = f" ({', '.join(details)})" if details else ""
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name} signal{more}"
