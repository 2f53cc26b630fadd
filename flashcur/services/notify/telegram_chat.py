"""What people write to the Telegram bot, and what it answers from the database.

A chat's commands are about the accounts that are connected to it. In a group only who connected it may ask and change:
the others are not to read somebody's rules, nor to silence them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from sqlmodel import Session, col, select

from flashcur.domain.delivery.text_fit import cut, one_line, utf16_units
from flashcur.domain.rules.condition import Fault
from flashcur.domain.rules.rule import Definition
from flashcur.domain.rules.sentence import sentence
from flashcur.errors import Refusal
from flashcur.models import Account, Destination, RuleRecord, Watchlist
from flashcur.services.accounts import changes
from flashcur.services.accounts.entitlement import plan_of
from flashcur.services.alerts import alert_settings
from flashcur.services.kit.budgets import Budgets
from flashcur.services.kit.clock import from_ms
from flashcur.services.kit.time_zones import zone_of
from flashcur.services.notify import destinations
from flashcur.services.notify.provider_events import is_new
from flashcur.services.notify.telegram_links import Chat, finish_link
from flashcur.settings import Secret

SOURCE = "telegram"
"""Of `ProviderEvent`."""
UPDATES = ("message", "my_chat_member")
"""The kinds of updates that we ask Telegram for."""
LISTED = 20
"""Rules that `/list` names."""
LEAST_MUTE_S, MOST_MUTE_S = 60, 7 * 86_400

_ANSWERS, _ANSWERS_RATE = 10.0, 0.2
"""Answers to one chat at once, and a second: who writes more is not answered."""
_COMMAND = re.compile(r"/([a-z_]{1,32})(?:@(\w{1,64}))?(?:\s+(.*))?", re.DOTALL | re.IGNORECASE)
_SPAN = re.compile(r"([0-9]{1,5})\s*(m|min|h|d)", re.IGNORECASE)
_SECONDS = {"m": 60, "min": 60, "h": 3_600, "d": 86_400}

HELP = (
    "You can send:\n"
    "/list – the rules that are active\n"
    "/mute 2h – mute every channel but the app for 2 hours (or 30m, 1d)\n"
    "/unmute – messages again\n"
    "/plan – your plan\n"
    "/stop – no more messages to this chat"
)


@dataclass(frozen=True, slots=True)
class _Command:
    """A command that somebody wrote."""

    chat: Chat
    name: str
    argument: str


class TelegramChat:
    """Answers updates; one for each process."""

    def __init__(self, secret: Secret, base: str) -> None:
        """`base`: the origin of the pages."""
        self._secret = secret
        self._base = base
        self._budgets = Budgets(_ANSWERS, _ANSWERS_RATE)

    def answer(self, session: Session, update: object, now_ms: int, *, bot: str = "") -> dict[str, Any] | None:
        """Do what an update says, in the caller's transaction; what is to be sent in answer (values of `sendMessage`),
        or None. An update that came before changes nothing. Never raises for any update.

        `now_ms`: Unix ms. `bot`: the bot's name, where it is known; commands for another are none of ours.
        """
        fields = _mapping(update)
        update_id = fields.get("update_id")
        if not isinstance(update_id, int) or not is_new(session, SOURCE, str(update_id), now_ms):
            return None
        _note_chat(session, fields, now_ms)
        command = _command(_mapping(fields.get("message")), bot)
        if command is None or not self._budgets.take(str(command.chat.id), now_ms / 1000):
            return None
        text = self._text(session, command, now_ms)
        if not text:
            return None
        return {
            "chat_id": command.chat.id,
            "text": cut(text, 4_000, utf16_units),
            "link_preview_options": {"is_disabled": True},
        }

    def _text(self, session: Session, command: _Command, now_ms: int) -> str:
        if command.name == "start" and command.argument:
            return self._connect(session, command, now_ms)
        connected = [one for one in _connected(session, command.chat.id) if one.state == "on"]
        if not connected:
            return f"This chat is not connected to FlashCur. Connect it at {self._base}/alerts (Channels, Telegram)."
        if command.name in ("start", "help"):
            return f"This chat is connected to FlashCur.\n\n{HELP}"
        if command.name not in _ACTS:
            return f"There is no such command.\n\n{HELP}" if command.chat.kind == "private" else ""

        def is_own(one: Destination) -> bool:
            return one.state == "on" and one.details.get("user_id") == command.chat.user_id

        if not any(map(is_own, connected)):
            return "Only the person who connected this chat can do that."
        answers: dict[str, None] = {}
        for destination in sorted(filter(is_own, _owned(session, command.chat.id)), key=lambda one: one.account_id):
            account = session.get_one(Account, destination.account_id)
            answers[_ACTS[command.name](session, account, destination, command.argument, now_ms)] = None
        return "\n\n".join(answers)

    def _connect(self, session: Session, command: _Command, now_ms: int) -> str:
        try:
            finish_link(session, self._secret, command.argument.strip(), command.chat, now_ms)
        except Refusal as refusal:
            return f"{refusal} Make a new one at {self._base}/alerts (Channels, Telegram)."
        return f"Connected. Your alerts now come to this chat.\n\n{HELP}"


_Act = Callable[[Session, Account, Destination, str, int], str]
"""What a command does for one account, and its answer; `now_ms` comes last."""


def _plan(session: Session, account: Account, destination: Destination, argument: str, now_ms: int) -> str:
    plan = plan_of(account, from_ms(now_ms))
    active = len(_active(session, account.id))
    text = f"Your plan: {plan.title}. {active:,} of {plan.rules:,} rules {'is' if active == 1 else 'are'} active."
    if "telegram" not in plan.channels:
        text += " It does not include Telegram: your alerts stay in the app."
    return text


def _list(session: Session, account: Account, destination: Destination, argument: str, now_ms: int) -> str:
    rules = _active(session, account.id)
    if not rules:
        return "You have no active rules."
    lists = {each.id: each.name for each in session.exec(select(Watchlist).where(Watchlist.account_id == account.id))}
    lines = [f"• {_name_of(rule, lists)}" for rule in rules[:LISTED]]
    if len(rules) > LISTED:
        lines.append(f"+{len(rules) - LISTED:,} more")
    return "\n".join(lines)


def _mute(session: Session, account: Account, destination: Destination, argument: str, now_ms: int) -> str:
    match = _SPAN.fullmatch(argument.strip() or "1h")
    seconds = int(match[1]) * _SECONDS[match[2].lower()] if match else 0
    if not LEAST_MUTE_S <= seconds <= MOST_MUTE_S:
        return "Say for how long, 7 days at most: /mute 30m, /mute 2h or /mute 1d."
    until_ms = now_ms + seconds * 1000
    _set_mute(session, account, until_ms, now_ms)
    zone = zone_of(account.time_zone)
    until = datetime.fromtimestamp(until_ms / 1000, UTC).astimezone(zone)
    return (
        f"Muted until {until:%H:%M} on {until.day} {until:%B} ({account.time_zone}). You still see alerts in the app. "
        "Send /unmute to end it."
    )


def _unmute(session: Session, account: Account, destination: Destination, argument: str, now_ms: int) -> str:
    _set_mute(session, account, None, now_ms)
    return "Messages are on again."


def _stop(session: Session, account: Account, destination: Destination, argument: str, now_ms: int) -> str:
    destinations.switch_off(session, destination, "You sent /stop in this chat.")
    changes.tell(session, account.id, from_ms(now_ms))
    return "This chat gets no more messages. You can switch it on again in FlashCur, under Channels."


_ACTS: dict[str, _Act] = {"plan": _plan, "list": _list, "mute": _mute, "unmute": _unmute, "stop": _stop}


def _set_mute(session: Session, account: Account, until_ms: int | None, now_ms: int) -> None:
    alert_settings.mute(session, account, until_ms, now_ms)
    changes.tell(session, account.id, from_ms(now_ms))


def _active(session: Session, account_id: str) -> Sequence[RuleRecord]:
    query = select(RuleRecord).where(RuleRecord.account_id == account_id, RuleRecord.status == "active")
    return session.exec(query.order_by(col(RuleRecord.position), col(RuleRecord.id))).all()


def _name_of(rule: RuleRecord, lists: dict[str, str]) -> str:
    try:
        definition = Definition.from_json(rule.definition)
    except Fault:
        return "a rule from another version"
    return definition.name or sentence(definition, lists.get(definition.scope.watchlist_id, ""))


def _connected(session: Session, chat_id: int) -> Sequence[Destination]:
    return destinations.at_address(session, "telegram", str(chat_id))


def _owned(session: Session, chat_id: int) -> Sequence[Destination]:
    return destinations.owned_at(session, "telegram", str(chat_id))


def _note_chat(session: Session, update: dict[str, Any], now_ms: int) -> None:
    """Where the bot was blocked or removed, or a group became a supergroup, its destinations follow."""
    member = _mapping(update.get("my_chat_member"))
    chat_id = _mapping(member.get("chat")).get("id")
    status = _mapping(member.get("new_chat_member")).get("status")
    if isinstance(chat_id, int) and status in ("kicked", "left"):
        for one in _owned(session, chat_id):
            if one.state == "on":
                destinations.switch_off(session, one, "The bot was blocked or removed in Telegram.")
                changes.tell(session, one.account_id, from_ms(now_ms))
    message = _mapping(update.get("message"))
    chat_id, moved = _mapping(message.get("chat")).get("id"), message.get("migrate_to_chat_id")
    if isinstance(chat_id, int) and isinstance(moved, int):
        for one in _owned(session, chat_id):
            destinations.move(session, one, str(moved))
            changes.tell(session, one.account_id, from_ms(now_ms))


def _command(message: dict[str, Any], bot: str) -> _Command | None:
    chat, sender, text = _mapping(message.get("chat")), _mapping(message.get("from")), message.get("text")
    chat_id, user_id, kind = chat.get("id"), sender.get("id"), chat.get("type")
    if not isinstance(chat_id, int) or not isinstance(user_id, int) or not isinstance(text, str):
        return None
    match = _COMMAND.fullmatch(text.strip())
    if match is None:
        name, argument = ("help", "") if kind == "private" else ("", "")
    elif match[2] and bot and match[2].lower() != bot.lower():
        return None
    else:
        name, argument = match[1].lower(), match[3] or ""
    if not name:
        return None
    named = chat.get("title") or sender.get("username") or sender.get("first_name") or ""
    shown = cut(one_line(str(named)), 60, len)
    if kind == "private" and sender.get("username"):
        shown = f"@{shown}"
    return _Command(Chat(chat_id, str(kind), shown, user_id), name, argument)


def _mapping(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
