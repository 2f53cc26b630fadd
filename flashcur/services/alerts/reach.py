"""Whom a rule's alerts reach, in words: what dispatching them would do now (`services.alerts.places`), said beforehand.

A rule that would reach nobody says so while it is written and wherever it is listed, not when it was needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlmodel import Session

from flashcur.domain.plans import CHANNELS, Channel, Plan, channel_in_text
from flashcur.models import Account
from flashcur.services.alerts import places
from flashcur.services.notify.channel import Channel as Sender

State = Literal["on", "owner", "plan", "server"]
"""Who can do something about it: `owner` where nothing is connected, confirmed, allowed or switched on; `plan` where
another plan has it; `server` where nothing is configured to send by it."""


@dataclass(frozen=True, slots=True)
class Way:
    """One channel as an account has it now."""

    channel: Channel
    state: State
    why: str
    """Why nothing arrives by it, or not everywhere: part of a sentence; empty where all is well."""


def ways(
    session: Session, account: Account, plan: Plan, senders: Mapping[str, Sender], now: datetime
) -> dict[Channel, Way]:
    """Every channel, in the order of `CHANNELS`. `senders`: the channels that this server has, by name."""
    known = places.read_addresses(session, [account], now)
    told: dict[Channel, Way] = {}
    for channel in CHANNELS:
        found = places.ways(account, plan, channel, senders, known)
        told[channel] = Way(channel, _state(channel, plan, senders, found), found.why_not)
    return told


def _state(channel: Channel, plan: Plan, senders: Mapping[str, Sender], found: places.Ways) -> State:
    if found.places:
        return "on"
    if channel not in plan.channels:
        return "plan"
    if channel == "browser":
        return "owner"
    return "owner" if channel in senders and not senders[channel].problem else "server"


@dataclass(frozen=True, slots=True)
class Reach:
    """The sentence that a rule says about its channels."""

    text: str
    warning: bool
    """Whether something that its owner chose does not arrive."""


def reach(
    wanted: Sequence[str], known: Mapping[Channel, Way], *, stopped: str = "", muted: str = "", quiet: str = ""
) -> Reach:
    """What becomes of a rule's alerts. `stopped`: why it gives none, such as `it is paused`; `muted`: until when its
    owner has nothing leave, in words; `quiet`: the hours in which its messages wait, such as `from 22:00 to 07:00`."""
    app = known["in-app"]
    if stopped or app.state != "on":
        return Reach(f"Reaches nobody, because {stopped or app.why}.", True)
    chosen = [known[channel] for channel in CHANNELS if channel in wanted and channel != "in-app"]
    on = [channel_in_text(way.channel) for way in chosen if way.state == "on"]
    failing = [places.left_out(way.channel, way.why) for way in chosen if way.state != "on"]
    whom = f"Reaches you by {_joined(on)}, and in the app." if on else "Reaches you only in the app."
    held = bool(on and muted)
    if held:
        whom = f"Muted until {muted}: only in the app until then, then by {_joined(on)}, too."
    if on and quiet:
        whom += f" Only in the app {quiet}."
    return Reach(" ".join([whom, *(f"Not by {each}." for each in failing)]), held or bool(failing))


def _joined(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
