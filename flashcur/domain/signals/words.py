"""What people call signals: their kinds, which way they point, how strong they are, and what usually follows."""

from __future__ import annotations

from flashcur.domain import formats
from flashcur.domain.signals.evidence import Role
from flashcur.domain.signals.signal import DetectorName, Direction, Kind, Quadrant

DETECTOR_TITLES: dict[DetectorName, str] = {
    "volume_spike": "Volume spike",
    "adaptive_spike": "Unusual volume",
    "open_interest": "Open interest surge",
    "funding": "Extreme funding",
    "listing": "Listings and terms",
}
"""Each family, as filters and statistics name it."""

KIND_TITLES: dict[Kind, str] = {
    "SPIKE": "Volume spike",
    "HALF_UPDATE": "Volume spike, half-hour update",
    "FULL_UPDATE": "Volume spike, full-hour update",
    "ADAPTIVE": "Unusual volume",
    "OI_SURGE": "Open interest surge",
    "FUNDING_EXTREME": "Extreme funding",
    "LISTED": "New listing",
    "DELISTED": "Delisting",
    "TERMS_CHANGED": "Changed terms",
}

DIRECTION_WORDS: dict[Direction, str] = {"bullish": "Bullish", "bearish": "Bearish", "none": ""}

SEVERITY_WORDS: dict[int, str] = {1: "Noticeable", 2: "Strong", 3: "Extreme"}

QUADRANT_TITLES: dict[Quadrant, str] = {
    "long_build_up": "Long build-up",
    "short_build_up": "Short build-up",
    "short_covering": "Short covering",
    "long_unwinding": "Long unwinding",
}

FUNDING_SIGNS: dict[str, str] = {"positive": "Longs pay", "negative": "Shorts pay"}
"""What funding is grouped by where open interest has quadrants."""

QUADRANT_MEANINGS: dict[Quadrant, str] = {
    "long_build_up": "open interest and price rise",
    "short_build_up": "open interest rises, price falls",
    "short_covering": "open interest falls, price rises",
    "long_unwinding": "open interest and price fall",
}

ROLE_TITLES: dict[Role, str] = {
    "input": "Measured",
    "baseline": "Against",
    "deviation": "How far off",
    "sample": "Based on",
    "threshold": "Needed",
}
"""What the numbers of the evidence are for, in the order in which they are read."""

FILTER_TITLES: dict[str, str] = {
    "kind": "Kind",
    "direction": "Direction",
    "severity": "Severity",
    "quadrant": "Quadrant",
    "contract": "Contract",
    "list": "Watchlist",
    "since": "Time",
    "from": "First day",
    "to": "Last day",
    "time": "Time",
}
"""The filters, by the parameters of an address; `time` stands for all that say when."""

WITHOUT_TITLES: dict[str, str] = {
    "kind": "of other kinds",
    "direction": "of either direction",
    "severity": "of lower severity",
    "quadrant": "of other quadrants",
    "contract": "of other contracts",
    "list": "outside this watchlist",
    "time": "at other times",
}
"""What is found without a filter, where nothing is found with it."""

_UNITS = ((86_400_000, "days"), (3_600_000, "h"), (60_000, "min"))


def span_text(ms: int) -> str:
    """A length of time in its two largest units, at most: `40 ms`, `1.2 s`, `3 min`, `2 h 5 min`, `1 day`."""
    if ms < 1000:
        return f"{max(0, ms)} ms"
    if ms < 60_000:
        return f"{ms / 1000:.1f} s"
    parts: list[str] = []
    for size, unit in _UNITS:
        if ms >= size and len(parts) < 2:
            number, ms = divmod(ms, size)
            parts.append("1 day" if unit == "days" and number == 1 else f"{number} {unit}")
        elif parts:
            break
    return " ".join(parts)


def move_text(fraction: float) -> str:
    """A move of the price: 0.0123 is `+1.23 %`."""
    return f"{formats.percent(fraction * 100)} %"


def lift_text(
    lift: float | None,
    low: float | None,
    high: float | None,
    *,
    points: bool = True,
    short: bool = False,
    otherwise: str = "without a signal",
) -> str:
    """How often the price went where signals pointed, or rose after those that point nowhere, against chance: a
    sentence that promises nothing. `short` is for a place that says what is compared; `otherwise`: the hours that it is
    compared with."""
    if lift is None:
        return "Nothing to compare with yet."
    subject = "" if short else "The price went where they pointed " if points else "The price rose "
    times = f"{subject}{lift:.2f} times as often as {otherwise}"
    if low is None or high is None:
        return f"{times}; too little time has passed to tell this from chance."
    interval = f"{times}; 95 % interval {low:.2f} to {high:.2f}"
    if low > 1:
        return f"{interval}: more than chance."
    if high < 1:
        return f"{interval}: less than chance, so the price rather {'went the other way' if points else 'fell'}."
    return f"{interval}: this may be chance."
