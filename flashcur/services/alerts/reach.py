"""Whom a rule's alerts reach: its channels against the plan, what is configured, and where the account is found.

A rule that would reach nobody says so while it is written and wherever it is listed, not when it was needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlmodel import Session

from flashcur.domain.plans import CHANNEL_NAMES, CHANNELS, Channel, Plan, least_plan
from flashcur.models import Account
from flashcur.services.notify import destinations

State = Literal["on", "connect", "off", "plan", "missing"]
"""`connect`: the owner has no place for it yet; `off`: each was switched off, or is not confirmed; `missing`: nothing
is configured to send by it."""

_CONNECT: Mapping[Channel, str] = {
    "email": "your account has no address",
    "web-push": "no browser is registered",
    "sms": "no number is confirmed",
    "telegram": "no chat is linked",
    "discord": "no webhook is set",
    "slack": "no webhook is set",
    "webhook": "no address is set",
}


@dataclass(frozen=True, slots=True)
class Way:
    """One channel as an account has it now."""

    channel: Channel
    state: State
    why: str
    """Why nothing arrives by it, in words that follow its name; empty where it is on."""


def ways(session: Session, account: Account, plan: Plan, problems: Mapping[str, str]) -> dict[Channel, Way]:
    """Every channel, in the order of `CHANNELS`. `problems`: why a channel is not configured, by its name."""
    found: dict[str, list[tuple[str, str]]] = {}
    for each in destinations.of_account(session, account.id):
        found.setdefault(each.channel, []).append((each.state, each.why))
    suppressed = account.email is not None and destinations.suppressed(session, "email", account.email) is not None
    told: dict[Channel, Way] = {}
    for channel in CHANNELS:
        state, why = _state(channel, plan, problems.get(channel, ""), found.get(channel, []))
        if channel == "email" and state in ("connect", "on"):
            # The account's own address needs no row.
            state, why = ("on", "") if account.email is not None else ("connect", _CONNECT["email"])
            if suppressed:
                state, why = "off", "our mail to your address is stopped"
        told[channel] = Way(channel, state, why)
    return told


def _state(channel: Channel, plan: Plan, problem: str, places: Sequence[tuple[str, str]]) -> tuple[State, str]:
    if channel not in plan.channels:
        return "plan", f"it comes with {least_plan('channels', channel).title}"
    if channel in ("in-app", "browser"):
        return "on", ""
    if problem:
        return "missing", "this FlashCur cannot send by it"
    if any(state == "on" for state, _ in places):
        return "on", ""
    if not places:
        return "connect", _CONNECT[channel]
    if any(state == "unconfirmed" for state, _ in places):
        return "off", "it is not confirmed yet"
    return "off", "it is switched off"


@dataclass(frozen=True, slots=True)
class Reach:
    """The sentence that a rule says about its channels."""

    text: str
    nobody: bool
    """Whether nothing leaves the app: the sentence is then a warning."""


def reach(wanted: Sequence[str], known: Mapping[Channel, Way], *, stopped: str = "") -> Reach:
    """What becomes of a rule's alerts. `stopped`: why it gives none, such as `it is paused`."""
    if stopped:
        return Reach(f"Reaches nobody, because {stopped}.", True)
    chosen = [known[channel] for channel in CHANNELS if channel in wanted and channel != "in-app"]
    on = [_name(way.channel) for way in chosen if way.state == "on"]
    failing = [f"{_name(way.channel)}: {way.why}" for way in chosen if way.state != "on"]
    rest = f" Not by {'; nor by '.join(failing)}." if failing else ""
    if known["in-app"].state != "on":
        return Reach(f"Reaches nobody, because {known['in-app'].why}.", True)
    if not on:
        return Reach(f"Reaches you only in the app.{rest}", True)
    return Reach(f"Reaches you by {_joined(on)}, and in the app.{rest}", False)


def _name(channel: Channel) -> str:
    name = CHANNEL_NAMES[channel]
    own = channel in ("sms", "telegram", "discord", "slack")
    return name if own else name.lower()


def _joined(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
