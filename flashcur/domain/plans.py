"""The plans: one table, from which every gate, the pricing page, the docs and the API are drawn.

`guest` is a visitor without an account. A plan's table moves at its marks: every `cadence_s` seconds of UTC clock
time, or live, each second, where the cadence is 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, get_args

Audience = Literal["guest", "free", "pro", "elite"]
"""Who is shown a frame: an account's plan, or `guest`."""
AUDIENCES: tuple[Audience, ...] = get_args(Audience)
"""In rising order."""

PlanName = Literal["free", "pro", "elite"]
PLAN_NAMES: tuple[PlanName, ...] = get_args(PlanName)
"""The plans an account can have, in rising order."""

Channel = Literal["in-app", "browser", "email", "web-push", "sms", "telegram", "discord", "slack", "webhook"]
CHANNELS: tuple[Channel, ...] = get_args(Channel)
CHANNEL_NAMES: dict[Channel, str] = {
    "in-app": "In the app",
    "browser": "Browser notification",
    "email": "Email",
    "web-push": "Web push",
    "sms": "SMS",
    "telegram": "Telegram",
    "discord": "Discord",
    "slack": "Slack",
    "webhook": "Webhook",
}
"""What people call them."""


def channel_in_text(channel: Channel) -> str:
    """What a channel is called within a sentence: `email`, `browser notification`, `Telegram`."""
    name = CHANNEL_NAMES[channel]
    return name if channel in ("sms", "telegram", "discord", "slack") else name[0].lower() + name[1:]


ExportFormat = Literal["tradingview", "csv", "json"]
EXPORT_FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)


@dataclass(frozen=True, slots=True)
class Plan:
    """What one audience may see and do. None is no limit."""

    audience: Audience
    title: str
    monthly: Decimal | None
    """US dollars a month; None where nothing can be bought."""
    yearly: Decimal | None
    """US dollars a year, paid at once."""
    cadence_s: int
    """Seconds between marks of the table and of the signals; 1 is live."""
    rows: int | None
    """Contracts shown, the largest by 24 h volume of each half of the universe (`domain.assets`)."""
    open_interest: bool
    """Whether open interest columns and signals are sent at all."""
    history: int | None
    """Newest signals that can be looked up."""
    rules: int
    """Rules of one's own that are active at a time."""
    channels: tuple[Channel, ...]
    own_thresholds: bool
    """Whether the thresholds of the spike feed can be set."""
    watchlists: int
    """Lists that can be changed; more that an account has are read-only."""
    watchlist_symbols: int
    """Different contracts in all watchlists together; one in two lists counts once, one in a read-only list not."""
    exports: tuple[ExportFormat, ...]
    export_rows: int | None
    """Rows of one exported file."""
    api: bool
    """Whether API keys can be made and used."""
    sessions: int
    """Devices signed in at a time; one more ends the oldest."""

    @property
    def live(self) -> bool:
        """Whether the table moves each second instead of at marks."""
        return self.cadence_s == 1


_QUARTER_HOUR = 15 * 60
_FIVE_MINUTES = 5 * 60

PLANS: dict[Audience, Plan] = {
    "guest": Plan(
        "guest",
        "Guest",
        monthly=None,
        yearly=None,
        cadence_s=_QUARTER_HOUR,
        rows=50,
        open_interest=False,
        history=10,
        rules=0,
        channels=(),
        own_thresholds=False,
        watchlists=0,
        watchlist_symbols=0,
        exports=(),
        export_rows=0,
        api=False,
        sessions=0,
    ),
    "free": Plan(
        "free",
        "Free",
        monthly=Decimal(0),
        yearly=Decimal(0),
        cadence_s=_QUARTER_HOUR,
        rows=50,
        open_interest=False,
        history=10,
        rules=3,
        channels=("in-app", "browser"),
        own_thresholds=False,
        watchlists=1,
        watchlist_symbols=10,
        exports=("tradingview",),
        export_rows=50,
        api=False,
        sessions=2,
    ),
    "pro": Plan(
        "pro",
        "Pro",
        monthly=Decimal("9.99"),
        yearly=Decimal("99"),
        cadence_s=_FIVE_MINUTES,
        rows=None,
        open_interest=True,
        history=50,
        rules=25,
        channels=("in-app", "browser", "email", "web-push"),
        own_thresholds=True,
        watchlists=10,
        watchlist_symbols=100,
        exports=EXPORT_FORMATS,
        export_rows=None,
        api=False,
        sessions=5,
    ),
    "elite": Plan(
        "elite",
        "Elite",
        monthly=Decimal("29.99"),
        yearly=Decimal("299"),
        cadence_s=1,
        rows=None,
        open_interest=True,
        history=None,
        rules=500,
        channels=CHANNELS,
        own_thresholds=True,
        watchlists=50,
        watchlist_symbols=1000,
        exports=EXPORT_FORMATS,
        export_rows=None,
        api=True,
        sessions=10,
    ),
}


def plan_name(text: str) -> PlanName:
    """`text` as the name of a plan. Raises ValueError, which names those there are."""
    if text not in PLAN_NAMES:
        raise ValueError(f"expected a plan ({', '.join(PLAN_NAMES)}), was {text!r}")
    return text


def least_plan(allows: str, value: object = True) -> Plan:
    """The cheapest plan an account can have whose field `allows` is `value` or, for a tuple, holds it.

    Raises ValueError where no plan has it.
    """
    for name in PLAN_NAMES:
        has = getattr(PLANS[name], allows)
        if has == value or (isinstance(has, tuple) and value in has):
            return PLANS[name]
    raise ValueError(f"no plan has {allows} {value!r}")


def next_mark_ms(cadence_s: int, now_ms: int) -> int:
    """The first mark after `now_ms`, in Unix ms: a whole multiple of `cadence_s` seconds of the UTC clock."""
    step = cadence_s * 1000
    return (now_ms // step + 1) * step


def last_mark_ms(cadence_s: int, now_ms: int) -> int:
    """The newest mark at or before `now_ms` (Unix ms)."""
    step = cadence_s * 1000
    return now_ms // step * step


def shown_from_ms(cadence_s: int, at_ms: int) -> int:
    """When a plan is shown what was there at `at_ms` (Unix ms): at once if it is live, else at its first mark since."""
    step = cadence_s * 1000
    return at_ms if cadence_s == 1 else -(-at_ms // step) * step


def channel_plan_text(channel: Channel) -> str:
    """Which plan has a channel, for somebody whose plan has not."""
    return f"{CHANNEL_NAMES[channel]} comes with {least_plan('channels', channel).title}."
