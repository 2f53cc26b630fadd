"""Faults on command: what the exchange does wrong, for how long, and to which contract.

The rest of the exchange asks this object at the few places where a fault can bite. Durations are in seconds of the
exchange's clock; None lasts until `clear`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, Protocol, get_args

from flashcur.services.simulator.contract import LiveContract
from flashcur.services.simulator.market import Market
from flashcur.services.simulator.recorder import KINDS, Kind
from flashcur.services.simulator.refusals import Refusal
from flashcur.services.simulator.universe import ContractSpec

Target = Literal["ticker", "mark", "kline", "oi", "ticker_rest", "mark_rest", "instrument"]
"""What can be spoiled: the streams, and the answers of `ticker/24hr`, `premiumIndex` and `exchangeInfo`."""
TARGETS: Final[tuple[Target, ...]] = get_args(Target)
Garbage = Literal[
    "invalid_json", "missing_field", "nan", "negative", "blank", "crossed", "absurd", "null", "wrong_type"
]
GARBAGE: Final[tuple[Garbage, ...]] = get_args(Garbage)
FOREVER_MS: Final = 1 << 62
_MAIN_FIELD: Final[dict[Target, str]] = {
    "ticker": "c",
    "mark": "p",
    "kline": "c",
    "oi": "openInterest",
    "ticker_rest": "lastPrice",
    "mark_rest": "markPrice",
    "instrument": "tickSize",
}


@dataclass(slots=True)
class _Spoil:
    variety: Garbage
    targets: tuple[Target, ...]
    field: str | None
    left: int | None


class Breakable(Protocol):
    """What faults need of the exchange they break."""

    @property
    def market(self) -> Market:
        """Its contracts."""
        ...

    def contract(self, symbol: str) -> LiveContract:
        """The live contract of that name; ValueError for one that is not listed."""
        ...

    def disconnect_all(self) -> int:
        """Cut every connection; how many there were."""
        ...

    def delist(self, symbol: str, settling_s: float) -> None:
        """Stop a contract's trading now and forget it after `settling_s` seconds."""
        ...

    def list_new(self, base: str | None = None, price: float | None = None) -> ContractSpec:
        """List a contract now, from the reserve unless a base is given; `price` in USDT."""
        ...


class Faults:
    """Everything that can be broken. Methods return at once; effects begin with the next message or request."""

    def __init__(self, exchange: Breakable, now_ms: Callable[[], int]) -> None:
        self._exchange = exchange
        self._now_ms = now_ms
        self._silent: dict[Kind, int] = {}
        self._spoils: dict[str, list[_Spoil]] = {}
        self._duplicate: dict[Kind, int] = {}
        self._reorder: dict[Kind, int] = {}
        self._held: dict[str, str] = {}
        self._refusal: Refusal | None = None
        self._latency: tuple[float, int] = (0.0, 0)

    # Connection and transport

    def silence(self, kind: Kind, seconds: float | None = None) -> None:
        """Send nothing of one kind while sockets stay open; for `oi`, requests hang without an answer."""
        self._silent[_kind(kind)] = self._until(seconds)

    def speak(self, kind: Kind) -> None:
        """End a silence."""
        self._silent.pop(_kind(kind), None)

    def disconnect_all(self) -> int:
        """Cut every WebSocket without a closing handshake; returns how many there were."""
        return self._exchange.disconnect_all()

    def refuse(self, status: int = 451, seconds: float | None = None) -> None:
        """Answer every request and every WebSocket handshake with 451 or 403, as a blocked address gets it.

        Sockets that are open stay open: see `disconnect_all`.
        """
        if status not in (403, 451):
            raise ValueError(f"expected status 403 or 451, was {status}")
        self._refusal = Refusal(status, self._until(seconds), None, handshakes=True)

    def rate_limit(
        self, seconds: float | None = None, retry_after: int = 5, status: int = 429, header: bool = True
    ) -> None:
        """Answer every request with 429 (or 418) and Retry-After in seconds; without `header` a 418's text alone says
        until when, as the real one's sometimes does."""
        if status not in (418, 429):
            raise ValueError(f"expected status 418 or 429, was {status}")
        self._refusal = Refusal(status, self._until(seconds), retry_after, handshakes=False, header=header)

    def server_error(self, seconds: float | None = None, status: int = 503) -> None:
        """Answer every request and handshake with a 5xx status."""
        if status not in (500, 502, 503, 504):
            raise ValueError(f"expected status 500, 502, 503 or 504, was {status}")
        self._refusal = Refusal(status, self._until(seconds), None, handshakes=True)

    def latency(self, delay_s: float, seconds: float | None = None) -> None:
        """Answer every request `delay_s` seconds late."""
        _number("a delay in seconds", delay_s, 0, 600)
        self._latency = (delay_s, self._until(seconds))

    # Messages

    def garbage(
        self,
        symbol: str,
        variety: Garbage,
        target: Target | None = None,
        count: int | None = 1,
        field: str | None = None,
    ) -> None:
        """Spoil the next `count` messages about a contract (None: all), in the main field or in the one named.

        Without a target the three streams and open interest are meant. `crossed` swaps high and low, so it does
        nothing where there are none.
        """
        if variety not in GARBAGE:
            raise ValueError(f"expected one of {', '.join(GARBAGE)}, was {variety!r}")
        self._exchange.contract(symbol)
        if target is not None and target not in TARGETS:
            raise ValueError(f"expected one of {', '.join(TARGETS)}, was {target!r}")
        left = None if count is None else _count(count)
        targets: tuple[Target, ...] = KINDS if target is None else (target,)
        self._spoils.setdefault(symbol, []).append(_Spoil(variety, targets, field, left))

    def duplicate(self, kind: Kind, count: int = 1) -> None:
        """Send the next `count` messages of a kind twice."""
        self._duplicate[_kind(kind)] = _count(count)

    def reorder(self, kind: Kind, count: int = 1) -> None:
        """Hold back the next `count` messages of a kind until after the message that follows on the same stream."""
        self._reorder[_kind(kind)] = _count(count)

    # Market

    def volume_spike(self, symbol: str, ratio: float = 5.0, floor: float = 3_000_000.0, over_s: float = 5.0) -> float:
        """Raise this hour's quote volume to `ratio` times last hour's, at least `floor`, within `over_s`; returns it.

        The target is on top of the past volume only: what trades otherwise is added to it.
        """
        c = self._exchange.contract(symbol)
        _number("a ratio", ratio, 0, 1e6)
        _number("a floor", floor, 0, 1e12)
        _number("seconds", over_s, 0, 3600)
        return self._exchange.market.surge_volume(c, ratio, floor, int(over_s * 1000), self._now_ms())

    def price_jump(self, symbol: str, percent: float) -> None:
        """Move the price by `percent` at once and for good."""
        _number("percent", percent, -99.9, 1e5)
        self._exchange.market.shift_price(self._exchange.contract(symbol), 1.0 + percent / 100.0)

    def set_price(self, symbol: str, price: float) -> None:
        """Trade at exactly this price until `release_price`."""
        c = self._exchange.contract(symbol)
        _number("a price", price, c.spec.tick_size, 1e9)
        c.pinned = round(float(price), c.spec.price_decimals)

    def release_price(self, symbol: str) -> None:
        """Let a price that was set move again, from where it stands."""
        self._exchange.market.release_price(self._exchange.contract(symbol), self._now_ms())

    def oi_jump(self, symbol: str, percent: float) -> None:
        """Change the open interest by `percent` at once and for good."""
        _number("percent", percent, -99.9, 1e5)
        self._exchange.contract(symbol).oi_scale *= 1.0 + percent / 100.0

    def set_funding(self, symbol: str, rate: float | None) -> None:
        """Fix the funding rate of a contract (a fraction per its interval); None lets it move again."""
        c = self._exchange.contract(symbol)
        if rate is not None:
            _number("a rate", rate, -1, 1)
        c.fixed_rate = rate
        c.rate_until_ms = 0

    def delist(self, symbol: str, settling_s: float = 5.0) -> None:
        """Stop trading: status SETTLING at once, gone from the list after `settling_s` seconds."""
        _number("seconds", settling_s, 0, 86_400)
        self._exchange.delist(symbol, settling_s)

    def list_new(self, base: str | None = None, price: float | None = None) -> ContractSpec:
        """List a new USDT perpetual now; a name and a price from the reserve unless given."""
        if price is not None:
            _number("a price", price, 1e-6, 1e6)
        return self._exchange.list_new(base, price)

    def clear(self) -> None:
        """End every fault of connection and messages; what the market became stays."""
        self._silent.clear()
        self._spoils.clear()
        self._duplicate.clear()
        self._reorder.clear()
        self._held.clear()
        self._refusal = None
        self._latency = (0.0, 0)

    def active(self) -> dict[str, object]:
        """What is broken now, for people."""
        refusal = self.refusal()
        return {
            "silent": [kind for kind in KINDS if self.is_silent(kind)],
            "garbage": sorted(self._spoils),
            "refusal": refusal.status if refusal else None,
            "latency_s": self.delay_s(),
        }

    # Asked by the rest of the exchange

    def is_silent(self, kind: Kind) -> bool:
        """Whether nothing of this kind is to be sent."""
        return self._now_ms() < self._silent.get(kind, 0)

    def refusal(self) -> Refusal | None:
        """The refusal in force."""
        refusal = self._refusal
        if refusal is not None and self._now_ms() >= refusal.until_ms:
            refusal = self._refusal = None
        return refusal

    def delay_s(self) -> float:
        """By how much answers are late."""
        delay, until_ms = self._latency
        return delay if self._now_ms() < until_ms else 0.0

    def spoils(self, target: Target) -> bool:
        """Whether anything of this sort is to be spoiled."""
        return any(target in spoil.targets for spoils in self._spoils.values() for spoil in spoils)

    def spoil(self, symbol: str, target: Target, text: str) -> str:
        """The text of a message about a contract, spoiled if that was ordered."""
        spoils = self._spoils.get(symbol)
        if not spoils:
            return text
        for spoil in list(spoils):
            if target not in spoil.targets:
                continue
            text = spoil_text(text, spoil.variety, spoil.field or _MAIN_FIELD[target])
            if spoil.left is not None:
                spoil.left -= 1
                if spoil.left <= 0:
                    spoils.remove(spoil)
        return text

    def arrange(self, stream: str, kind: Kind, text: str) -> list[str]:
        """The messages to send on a stream in place of this one: doubled, held back, or behind a later one."""
        held = self._held.pop(stream, None)
        if held is not None:
            return [text, held]
        if self._reorder.get(kind, 0) > 0:
            self._reorder[kind] -= 1
            self._held[stream] = text
            return []
        if self._duplicate.get(kind, 0) > 0:
            self._duplicate[kind] -= 1
            return [text, text]
        return [text]

    def _until(self, seconds: float | None) -> int:
        if seconds is None:
            return FOREVER_MS
        _number("seconds", seconds, 0, 1e9)
        return self._now_ms() + int(seconds * 1000)


def spoil_text(text: str, variety: Garbage, field: str) -> str:
    """A message text with one kind of damage; unchanged where the field does not occur."""
    if variety == "invalid_json":
        return text[: len(text) // 2]
    if variety == "crossed":
        high, low = re.search(r'"h":"([^"]*)"', text), re.search(r'"l":"([^"]*)"', text)
        if high is None or low is None:
            return text
        text = text.replace(high[0], '"h":"\0"').replace(low[0], f'"l":"{high[1]}"')
        return text.replace('"h":"\0"', f'"h":"{low[1]}"')
    pattern = re.compile(rf'"{re.escape(field)}":("[^"]*"|[^,}}\]]+)')
    if variety == "missing_field":
        return re.sub(rf"{pattern.pattern},|,{pattern.pattern}", "", text)
    replacements: dict[str, Callable[[str], str]] = {
        "nan": lambda value: '"NaN"',
        "negative": lambda value: f'"-{value}"',
        "blank": lambda value: '""',
        "absurd": lambda value: f'"{value}000000000000"' if "." not in value else f'"9999999999{value}"',
        "null": lambda value: "null",
        "wrong_type": lambda value: '{"value":1}',
    }
    make = replacements[variety]
    return pattern.sub(lambda match: f'"{field}":{make(match[1].strip(chr(34)))}', text)


def _number(what: str, value: float, lowest: float, highest: float) -> None:
    # Also refuses NaN, which compares false; a wrong type raises TypeError.
    if not lowest <= value <= highest:
        raise ValueError(f"expected {what} from {lowest:g} to {highest:g}, was {value}")


def _count(value: int) -> int:
    if value < 1 or int(value) != value:
        raise ValueError(f"expected a count of 1 or more, was {value}")
    return int(value)


def _kind(kind: str) -> Kind:
    for known in KINDS:
        if kind == known:
            return known
    raise ValueError(f"expected one of {', '.join(KINDS)}, was {kind!r}")
