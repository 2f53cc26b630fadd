"""What there is to say, before any channel has its way with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MessageKind = Literal["alert", "summary", "digest", "notice", "test"]


@dataclass(frozen=True, slots=True)
class FiredRule:
    """A rule as it was when it fired."""

    id: str
    name: str
    """Empty: its sentence stands for it."""
    sentence: str
    """What it does; empty for one that fired before sentences were kept."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message in plain text: no markup of any channel, each of which escapes and cuts it by its own rules."""

    kind: MessageKind
    title: str
    """One line: what happened."""
    lines: tuple[str, ...]
    """What else there is to say, a line each; the most important first, as channels cut from the end."""
    link: str
    """Absolute address of the page that says more."""
    link_text: str
    urgent: bool = False
    symbol: str = ""
    price: float | None = None
    event_ms: int = 0
    """The exchange's time of what it tells, Unix ms; 0 where there is none."""
    seen_ms: int = 0
    stored_ms: int = 0
    more: int = 0
    """Of a summary or digest: how many it leaves out."""
    note: str = ""
    """The owner's own words, not ours: never to be taken for markup."""
    rule: FiredRule | None = None
    """The rule that fired; None where there is none, or more than one."""
