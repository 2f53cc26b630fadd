"""Rules: what an account wants to be told, where each stands, and what else its messages go by."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Index
from sqlmodel import Field

from flashcur.models.account import new_id
from flashcur.models.base import Table


class RuleRecord(Table, table=True):
    """One rule of an account. What it says is `definition`; the rest is what became of it."""

    __tablename__ = "rule"  # pyright: ignore[reportAssignmentType, reportIncompatibleVariableOverride]

    id: str = Field(default_factory=new_id, primary_key=True, max_length=32)
    account_id: str = Field(foreign_key="account.id", ondelete="CASCADE", index=True, max_length=32)
    version: int = 1
    """Grows with each edit of `definition`: an edited rule starts anew."""
    definition: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    """`domain.rules.rule.Definition`."""
    channels: list[str] = Field(default_factory=list, sa_type=JSON)
    """Names of channels (`domain.plans`) that its alerts go to; in-app is one of them."""
    status: str = Field(default="active", max_length=8)
    """`active`, `paused`, or `done`: a rule that fires once has fired, or its time is over."""
    why: str = Field(default="", max_length=16)
    """Why it is not active: `owner`, `plan`, `delisted`, `watchlist`, `fired`, `expired`; empty while it is."""
    snoozed_until_ms: int | None = Field(default=None, sa_type=BigInteger)
    """It fires nothing before this, Unix ms."""
    expires_ms: int | None = Field(default=None, sa_type=BigInteger)
    """From this moment on it is done, Unix ms."""
    fires: int = 0
    """Alerts since it was made."""
    fired_ms: int | None = Field(default=None, sa_type=BigInteger)
    """When it fired last, by the exchange's time, Unix ms."""
    position: int = 0
    """Rises in the order in which the account made its rules: over the plan's number the newest are paused."""
    created_ms: int = Field(sa_type=BigInteger)
    changed_ms: int = Field(sa_type=BigInteger)
    """When the owner, the plan or the market last changed it, Unix ms."""


class RuleDay(Table, table=True):
    """The silence certificate of a rule's day (UTC): how long it watched, how long it could not, and what came near."""

    rule_id: str = Field(primary_key=True, foreign_key="rule.id", ondelete="CASCADE", max_length=32)
    day: int = Field(primary_key=True)
    """Days since 1970."""
    watched_s: float = 0.0
    """Seconds in which all that it needs was known of its contracts; each of several counts for its share."""
    idle_s: float = 0.0
    """Seconds in which it was paused, snoozed or did not exist yet."""
    blind: dict[str, float] = Field(default_factory=dict, sa_type=JSON)
    """Seconds in which it could not be evaluated, by cause."""
    nearest: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    """The nearest miss: symbol, value, threshold, when; empty where nothing was measured."""
    until_ms: int = Field(sa_type=BigInteger)
    """As of when, Unix ms."""


class InputCheckpoint(Table, table=True):
    """What was known of each contract when rules were last evaluated: a start compares what is now with it."""

    exchange: str = Field(primary_key=True, max_length=32)
    demo: bool = Field(primary_key=True)
    as_of_ms: int = Field(sa_type=BigInteger)
    values: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    """Symbol to what `engine.evaluation` keeps of it."""


class AlertSettings(Table, table=True):
    """How an account wants its alerts; without a row all is as in the defaults."""

    account_id: str = Field(primary_key=True, foreign_key="account.id", ondelete="CASCADE", max_length=32)
    quiet: bool = False
    """Whether there are quiet hours."""
    quiet_from_min: int = 22 * 60
    """Minutes after midnight in the account's time zone."""
    quiet_until_min: int = 7 * 60
    """Before `quiet_from_min` they end on the next day."""
    urgent_passes: bool = True
    """Whether urgent rules are told in quiet hours."""
    daily_cap: int = 200
    """Messages a local day outside the app; a notice says when it is reached."""
    muted_until_ms: int | None = Field(default=None, sa_type=BigInteger)
    """Nothing leaves before this, Unix ms (`/mute`)."""
    alerts_read: int = Field(default=0, sa_type=BigInteger)
    """`id` of the newest alert that the owner has been shown."""


class PastRequest(Table, table=True):
    """Past values that a preview needs and only the engine can ask the exchange for."""

    __table_args__ = (Index("ix_past_request_state", "state", "created_ms"),)

    id: str = Field(default_factory=new_id, primary_key=True, max_length=32)
    account_id: str = Field(foreign_key="account.id", ondelete="CASCADE", index=True, max_length=32)
    exchange: str = Field(max_length=32)
    demo: bool
    symbol: str = Field(max_length=64)
    kind: str = Field(max_length=16)
    """`minutes` (candles) or `interest` (open interest each five minutes)."""
    first_ms: int = Field(sa_type=BigInteger)
    until_ms: int = Field(sa_type=BigInteger)
    state: str = Field(default="asked", max_length=16)
    """`asked`, `reading`, `done`, `cancelled` or `failed`."""
    share: float = 0.0
    """How much of it is there, 0 to 1."""
    problem: str = Field(default="", max_length=300)
    created_ms: int = Field(sa_type=BigInteger)


class PastSeries(Table, table=True):
    """Past values of a contract that were asked for: kept for a day, so that the next preview has them at once."""

    exchange: str = Field(primary_key=True, max_length=32)
    demo: bool = Field(primary_key=True)
    symbol: str = Field(primary_key=True, max_length=64)
    kind: str = Field(primary_key=True, max_length=16)
    """As in `PastRequest`."""
    first_ms: int = Field(sa_type=BigInteger)
    until_ms: int = Field(sa_type=BigInteger)
    payload: bytes
    """Compressed columns (`services.records.past_series`)."""
    stored_ms: int = Field(sa_type=BigInteger)
