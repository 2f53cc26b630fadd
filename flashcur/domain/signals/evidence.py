"""Why a signal fired: the numbers it was judged by, as they are stored, shown and read back.

A detector names each number by a word of `LABELS`, which is stable: it is what the database holds, what the API calls
it and what a detector looks up when it resumes after a restart.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, Self, cast, get_args

from flashcur.domain import formats

Unit = Literal["usd", "price", "multiple", "percent", "rate", "contracts", "score", "count", "hours", "minutes", "text"]
"""What a number counts: `usd` an amount in USDT, `price` USDT for one, `rate` a fraction per 8 hours."""
Role = Literal["input", "baseline", "deviation", "sample", "threshold"]
"""What a number is for: what was measured, what with, how far it was off, out of how many, the limit."""
Chart = Literal["volume", "open_interest", "funding", "price"]
"""What the small picture beside the evidence shows."""

UNITS: tuple[Unit, ...] = get_args(Unit)
ROLES: tuple[Role, ...] = get_args(Role)

LABELS: dict[str, str] = {
    "volume": "Volume this hour",
    "volume_before": "Volume of the hour before",
    "ratio": "This hour against the hour before",
    "hour_passed": "Share of the hour that had passed",
    "open": "Price at the beginning of the hour",
    "price": "Price",
    "expected": "Usual volume by this time of the hour",
    "recent_median": "Median of the last hours",
    "season_median": "Median of this hour of the week",
    "spread": "Usual spread of a whole hour’s volume",
    "spread_so_far": "Usual spread by this time of the hour",
    "score": "Spreads above the usual",
    "recent_hours": "Last hours compared with",
    "season_hours": "Same hours of past weeks compared with",
    "least_multiple": "Fires from",
    "least_volume": "Fires from a volume of",
    "least_score": "Fires from a score of",
    "strong_score": "Strong from a score of",
    "extreme_score": "Extreme from a score of",
    "oi_contracts": "Open contracts",
    "oi_contracts_before": "Open contracts at the beginning of the window",
    "oi_change": "Change of open interest",
    "oi_change_usd": "Change of open interest in USD",
    "price_change": "Change of price in the window",
    "window": "Window",
    "least_change": "Fires from a change of",
    "least_change_usd": "Fires from a change in USD of",
    "rate": "Funding rate per 8 h",
    "interval": "Paid every",
    "percentile": "Share of past payments that were smaller",
    "payments": "Past payments compared with",
    "least_rate": "Fires from a rate of",
    "strong_rate": "Strong from a rate of",
    "extreme_rate": "Extreme from a rate of",
    "term": "What changed",
    "was": "Before",
    "now": "Now",
    "listed": "Listed at",
    "tick_size": "Price step",
    "contract_size": "Contract size",
    "funding_interval": "Funding is paid every",
    "delivery": "Delivered at",
    "contracts": "Contracts in the list before",
    "compared": "Compared with",
}
"""The stable name of every number, and what a person reads."""

_SHARES = frozenset({"hour_passed", "percentile"})
"""Percent that are a part of a whole: no change, so without a sign."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One number of the evidence, or a word where the unit is `text`."""

    name: str
    """A key of `LABELS`."""
    value: float | str
    unit: Unit
    role: Role = "input"

    @property
    def label(self) -> str:
        """What a person calls it."""
        return LABELS.get(self.name, self.name)

    @property
    def text(self) -> str:
        """The value as a person reads it, with its unit."""
        if self.name in _SHARES and not isinstance(self.value, str):
            # What rounds to all is not all.
            return f"{self.value if self.value >= 100 else min(99, round(self.value)):.0f} %"
        if self.role == "threshold":
            return limit_text(self.value, self.unit)
        return measure_text(self.value, self.unit)


@dataclass(frozen=True, slots=True)
class Evidence:
    """The receipt of one signal."""

    rule_version: str
    """The detector and the version of its rule, which rises with every change of what it finds: `volume_spike/1`."""
    measures: tuple[Measure, ...]
    chart: Chart = "price"
    line: float | None = None
    """Where the threshold lies in the chart, in the chart's unit; None where it has none."""

    def value(self, name: str) -> float | None:
        """The number of that name; None if there is none or it is a word."""
        found = next((measure.value for measure in self.measures if measure.name == name), None)
        return None if isinstance(found, str) else found

    @property
    def line_is(self) -> str:
        """What the line in the chart is, after "The line is"."""
        names = {measure.name for measure in self.measures}
        for step in ("extreme", "strong"):
            if names & {f"{step}_score", f"{step}_rate"}:
                return f"what it takes to be {step}"
        return "what it took to fire"

    def to_json(self) -> dict[str, object]:
        """As JSON knows it; `from_json` is the way back."""
        return {
            "rule_version": self.rule_version,
            "measures": [
                {"name": each.name, "value": each.value, "unit": each.unit, "role": each.role} for each in self.measures
            ],
            "chart": self.chart,
            "line": self.line,
        }

    @classmethod
    def from_json(cls, raw: object) -> Self:
        """What `to_json` gave. Raises ValueError for anything else."""
        try:
            fields = cast("dict[str, object]", raw)
            measures = tuple(_measure(each) for each in cast("list[object]", fields["measures"]))
            chart, line = fields["chart"], fields["line"]
            if chart not in get_args(Chart):
                raise ValueError(f"expected chart as one of {', '.join(get_args(Chart))}, was {chart!r}")
            return cls(
                str(fields["rule_version"]), measures, cast(Chart, chart), None if line is None else _float(line)
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"expected evidence, was {type(raw).__name__} ({error})") from None


def measure_text(value: float | str, unit: Unit) -> str:
    """A value with its unit, as a person reads it: `$10.50B`, `3.50×`, `+0.0300 %`, `15 min`."""
    if isinstance(value, str):
        return value
    match unit:
        case "usd":
            return f"{'-' if value < 0 else ''}${formats.compact(abs(value))}"
        case "price":
            return f"${Decimal(f'{value:.10g}'):,f}"
        case "multiple":
            return f"{formats.multiple(value)}×"
        case "percent":
            return f"{formats.percent(value)} %"
        case "rate":
            return f"{formats.rate_percent(value)} %"
        case "contracts":
            return formats.compact(value)
        case "score":
            return f"{value:.1f}"
        case "hours":
            return f"{value:g} h"
        case "minutes":
            return f"{value:g} min"
        case "count" | "text":
            return f"{value:g}"


def limit_text(value: float | str, unit: Unit) -> str:
    """A limit that holds both ways, so without a sign: `7.00 %`."""
    return measure_text(value, unit).removeprefix("+")


def _measure(raw: object) -> Measure:
    fields = cast("dict[str, object]", raw)
    name, value, unit, role = fields["name"], fields["value"], fields["unit"], fields["role"]
    if not isinstance(name, str) or unit not in UNITS or role not in ROLES:
        raise ValueError(f"expected a measure with a name, a known unit and role, was {fields!r}")
    return Measure(name, value if isinstance(value, str) else _float(value), unit, role)


def _float(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"expected a number, was {value!r}")
    return float(value)
