"""Chats that are connected by a link, what is written in them, and who may."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from sqlmodel import Session, select

from flashcur.domain.plans import PlanName
from flashcur.domain.rules.condition import PriceCross
from flashcur.domain.rules.rule import Definition, Scope
from flashcur.models import Account, AccountChange, AlertSettings, Destination, ProviderEvent, RuleRecord, Watchlist
from flashcur.services.accounts import sessions
from flashcur.services.kit.clock import to_ms
from flashcur.services.notify import destinations
from flashcur.services.notify.telegram_chat import TelegramChat
from flashcur.services.notify.telegram_links import LIFETIME_MS, Link, begin_link, prune
from flashcur.services.storage.database import Database
from flashcur.settings import Secret
from tests.conftest import SECRET_KEY
from tests.support.accounts import BASE, NOON, add_account
from tests.support.telegram import USERNAME, message

SECRET = Secret(SECRET_KEY)
NOON_MS = to_ms(NOON)
ADA, BOB, GROUP = 7, 8, -100


@dataclass
class World:
    """One database and the bot of one process."""

    database: Database
    chat: TelegramChat = field(default_factory=lambda: TelegramChat(SECRET, BASE))
    now_ms: int = NOON_MS
    updates: int = 0

    def account(self, email: str = "ada@example.com", plan: PlanName = "elite") -> str:
        with self.database.session() as session:
            return add_account(session, email, NOON, plan=plan)

    def begin(self, account_id: str) -> Link:
        def work(session: Session) -> Link:
            sessions.lock(session, account_id)
            return begin_link(session, account_id, SECRET, USERNAME, self.now_ms)

        return self.database.work(work)

    def write(self, text: str, user: int = ADA, chat: int | None = None, **more: Any) -> str:
        """What the bot answers; empty if nothing."""
        kind = "private" if chat is None else "supergroup"
        answer = self.update(message(text, user if chat is None else chat, user, kind, **more))
        assert answer is None or answer["chat_id"] == (user if chat is None else chat)
        return "" if answer is None else answer["text"]

    def update(self, update: dict[str, Any], update_id: int | None = None) -> dict[str, Any] | None:
        self.updates += 1
        numbered = {"update_id": self.updates if update_id is None else update_id, **update}
        return self.database.work(lambda session: self.chat.answer(session, numbered, self.now_ms, bot=USERNAME))

    def connect(self, account_id: str, user: int = ADA, chat: int | None = None) -> Destination:
        answer = self.write(f"/start {code_of(self.begin(account_id))}", user, chat)
        assert answer.startswith("Connected")
        return next(one for one in self.destinations() if one.address == str(user if chat is None else chat))

    def destinations(self) -> list[Destination]:
        return self.database.work(lambda session: list(session.exec(select(Destination))))

    def settings_of(self, account_id: str) -> AlertSettings | None:
        return self.database.work(lambda session: session.get(AlertSettings, account_id))

    def changes(self) -> int:
        return len(self.database.work(lambda session: list(session.exec(select(AccountChange)))))

    def add(self, row: object) -> None:
        self.database.work(lambda session: session.add(row))


def code_of(link: Link) -> str:
    return link.url.partition("?start=")[2]


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


@pytest.fixture
def one(sqlite_database: Database) -> World:
    """For what does not depend on the kind of database."""
    return World(sqlite_database)


def test_a_link_connects_the_chat_in_which_it_is_opened(world: World) -> None:
    account_id = world.account()
    link = world.begin(account_id)
    assert re.fullmatch(rf"https://t\.me/{USERNAME}\?start=[0-9a-f]{{64}}", link.url)
    assert link.group_url == f"https://t.me/{USERNAME}?startgroup={code_of(link)}"
    (pending,) = world.destinations()
    assert (pending.id, pending.state, pending.address) == (link.destination_id, "unconfirmed", "")
    told = world.changes()
    assert world.write(f"/start {code_of(link)}").startswith("Connected. Your alerts now come to this chat")
    (connected,) = world.destinations()
    assert (connected.id, connected.state, connected.address, connected.name) == (pending.id, "on", "7", "@ada")
    assert connected.address_key == destinations.address_key("telegram", "7")
    assert (connected.confirmed_ms, connected.details) == (NOON_MS, {"kind": "private", "user_id": 7})
    assert world.changes() > told


def test_a_group_is_connected_by_the_same_link(one: World) -> None:
    connected = one.connect(one.account(), chat=GROUP)
    assert (connected.name, connected.details) == ("Traders", {"kind": "supergroup", "user_id": ADA})
    assert one.write(f"/start@{USERNAME} {code_of(one.begin(connected.account_id))}", chat=-101).startswith("Connected")


def test_a_link_works_once(world: World) -> None:
    code = code_of(world.begin(world.account()))
    assert world.write(f"/start {code}").startswith("Connected")
    assert world.write(f"/start {code}", BOB).startswith("This link was already used.")
    assert [one.address for one in world.destinations()] == ["7"]


def test_of_two_who_open_a_link_at_once_one_is_connected(world: World) -> None:
    code = code_of(world.begin(world.account()))
    with ThreadPoolExecutor(8) as threads:
        users = range(100, 108)
        said = list(threads.map(lambda user: world.update(message(f"/start {code}", user, user), user), users))
    texts = [answer["text"] for answer in said if answer is not None]
    assert len(texts) == 8
    assert sum(text.startswith("Connected") for text in texts) == 1
    assert len(world.destinations()) == 1


def test_a_link_is_over_after_fifteen_minutes(one: World) -> None:
    link = one.begin(one.account())
    assert link.until_ms == NOON_MS + LIFETIME_MS == NOON_MS + 900_000
    one.now_ms = link.until_ms
    assert one.write(f"/start {code_of(link)}").startswith(
        "This link has expired. Each works for 15 minutes. Make a new one"
    )
    one.now_ms -= 1
    assert one.write(f"/start {code_of(link)}").startswith("Connected")


def test_a_new_link_makes_the_one_before_worthless(one: World) -> None:
    account_id = one.account()
    first, second = one.begin(account_id), one.begin(account_id)
    assert one.write(f"/start {code_of(first)}").startswith("This link")
    assert one.write(f"/start {code_of(second)}").startswith("Connected")
    assert len(one.destinations()) == 1


@pytest.mark.parametrize("code", ["0" * 64, "x", "a" * 32, "' OR 1=1 --", "\u202e" * 5, "f" * 5_000])
def test_a_code_that_is_not_ours_connects_nothing(one: World, code: str) -> None:
    one.begin(one.account())
    assert one.write(f"/start {code}").startswith("This link is incomplete")
    assert [each.state for each in one.destinations()] == ["unconfirmed"]


def test_links_that_connected_nothing_are_deleted(world: World) -> None:
    kept = world.connect(world.account())
    world.begin(kept.account_id)
    for before_ms, left in ((NOON_MS, 2), (NOON_MS + 1, 1)):
        world.database.work(lambda session, before_ms=before_ms: prune(session, before_ms))
        assert len(world.destinations()) == left
    assert world.destinations()[0].id == kept.id


def test_a_chat_that_was_switched_off_is_on_again_after_another_link(one: World) -> None:
    account_id = one.account()
    first = one.connect(account_id)
    one.write("/stop")
    again = one.connect(account_id)
    assert (again.id, again.state, again.why) == (first.id, "on", "")
    assert len(one.destinations()) == 1


def test_a_strangers_chat_is_told_how_to_connect(one: World) -> None:
    one.connect(one.account())
    for text in ("/start", "/help", "/plan", "/list", "/mute 1h", "/stop", "hello"):
        assert one.write(text, BOB).startswith("This chat is not connected to FlashCur."), text
    assert [each.state for each in one.destinations()] == ["on"]


def test_help_names_each_command(one: World) -> None:
    one.connect(one.account())
    for text in ("/help", "/start", "hello"):
        answer = one.write(text)
        assert all(f"/{name}" in answer for name in ("list", "mute", "unmute", "plan", "stop")), text
    assert one.write("/nonsense").startswith("There is no such command.")


def test_the_plan_and_what_it_lacks_are_told(one: World) -> None:
    one.connect(one.account())
    assert one.write("/plan") == "Your plan: Elite. 0 of 500 rules are active."
    one.connect(one.account("free@example.com", plan="free"), BOB)
    assert one.write("/plan", BOB).endswith("It does not include Telegram: your alerts stay in the app.")


def rule(account_id: str, position: int = 0, status: str = "active", **more: Any) -> RuleRecord:
    definition = Definition((PriceCross("above", 65_000.0),), Scope("symbol", symbol="BTCUSDT"), **more)
    return RuleRecord(
        account_id=account_id,
        definition=definition.to_json(),
        status=status,
        position=position,
        created_ms=NOON_MS,
        changed_ms=NOON_MS,
    )


def test_active_rules_are_listed_in_words(one: World) -> None:
    account_id = one.account()
    one.connect(account_id)
    assert one.write("/list") == "You have no active rules."
    one.add(rule(account_id))
    one.add(rule(account_id, 1, name="To the <moon>"))
    one.add(rule(account_id, 2, "paused", name="Paused"))
    first, second = one.write("/list").split("\n")
    assert first.startswith("• Tell me when BTCUSDT trades at or above 65,000 USDT")
    assert second == "• To the <moon>"
    watchlist = Watchlist(account_id=account_id, name="Majors", name_key="majors", position=0, created_at=NOON)
    one.add(watchlist)
    broken = rule(account_id, 3)
    broken.definition = {"conditions": "?"}
    one.add(broken)
    assert one.write("/list").endswith("• a rule from another version")
    for position in range(4, 40):
        one.add(rule(account_id, position, name="n" * 60, note="x" * 300))
    assert one.write("/list").endswith("+19 more")


def test_a_mute_lasts_as_long_as_is_said(one: World) -> None:
    account_id = one.account()
    one.connect(account_id)
    one.database.work(lambda session: setattr(session.get(Account, account_id), "time_zone", "Europe/Berlin"))
    assert one.write("/mute 2h") == (
        "Muted until 15:00 on 25 November (Europe/Berlin). You still see alerts in the app. Send /unmute to end it."
    )
    told = one.changes()
    for text, minutes in (("/mute", 60), ("/mute 30m", 30), ("/mute 1 D", 1_440), ("/mute 5 min", 5)):
        assert one.write(text).startswith("Muted until")
        settings = one.settings_of(account_id)
        assert settings is not None
        assert settings.muted_until_ms == NOON_MS + minutes * 60_000
    assert one.changes() > told
    one.now_ms += 600_000
    assert one.write("/unmute") == "Messages are on again."
    settings = one.settings_of(account_id)
    assert settings is not None
    assert settings.muted_until_ms is None


@pytest.mark.parametrize("span", ["0m", "8d", "99999d", "-1h", "2 weeks", "1h30", "soon", "1e9h", "٣h"])
def test_a_mute_that_cannot_be_is_refused(one: World, span: str) -> None:
    account_id = one.account()
    one.connect(account_id)
    assert one.write(f"/mute {span}").startswith("Say for how long")
    assert one.settings_of(account_id) is None


def test_stop_switches_this_chat_off_and_no_other(world: World) -> None:
    account_id = world.account()
    world.connect(account_id)
    world.connect(account_id, chat=GROUP)
    assert world.write("/stop").startswith("This chat gets no more messages.")
    states = {one.address: (one.state, one.why) for one in world.destinations()}
    assert states == {"7": ("off", "You sent /stop in this chat."), "-100": ("on", "")}
    assert world.write("/plan").startswith("This chat is not connected")


def test_in_a_group_only_who_connected_it_may_ask_and_change(one: World) -> None:
    account_id = one.account()
    one.connect(account_id, chat=GROUP)
    one.add(rule(account_id, name="Secret"))
    for text in ("/list", "/plan", "/mute 2h", "/unmute", "/stop"):
        assert one.write(text, BOB, GROUP) == "Only the person who connected this chat can do that."
    assert one.settings_of(account_id) is None
    assert one.write("hello all", BOB, GROUP) == ""
    assert one.write("/nonsense", ADA, GROUP) == ""
    assert one.write("/list@other_bot", ADA, GROUP) == ""
    assert "Secret" in one.write(f"/list@{USERNAME.upper()}", ADA, GROUP)


def test_a_command_is_about_the_accounts_of_its_chat_alone(one: World) -> None:
    mine, other = one.account(), one.account("bob@example.com")
    one.connect(mine)
    one.connect(other, BOB)
    one.write("/mute 2h")
    assert one.settings_of(other) is None
    one.write("/stop")
    assert {each.address: each.state for each in one.destinations()} == {"7": "off", "8": "on"}


def test_two_accounts_of_one_person_share_a_chat(one: World) -> None:
    first, second = one.account(), one.account("second@example.com")
    one.connect(first)
    one.connect(second)
    one.write("/mute 2h")
    assert None not in (one.settings_of(first), one.settings_of(second))


def test_an_update_that_comes_twice_changes_nothing(world: World) -> None:
    account_id = world.account()
    world.connect(account_id)
    assert world.update(message("/mute 2h"), 900) is not None
    world.write("/unmute")
    assert world.update(message("/mute 2h"), 900) is None
    settings = world.settings_of(account_id)
    assert settings is not None
    assert settings.muted_until_ms is None
    events = world.database.work(lambda session: [one.event_id for one in session.exec(select(ProviderEvent))])
    assert events.count("900") == 1


@pytest.mark.parametrize("status", ["kicked", "left"])
def test_who_blocks_or_removes_the_bot_is_switched_off(one: World, status: str) -> None:
    """Complaint 15: before a message fails."""
    one.connect(one.account())
    one.update({"my_chat_member": {"chat": {"id": ADA}, "new_chat_member": {"status": status}}})
    (connected,) = one.destinations()
    assert (connected.state, connected.why) == ("off", "The bot was blocked or removed in Telegram.")


def test_who_lets_the_bot_in_is_not(one: World) -> None:
    one.connect(one.account())
    one.update({"my_chat_member": {"chat": {"id": ADA}, "new_chat_member": {"status": "member"}}})
    assert [each.state for each in one.destinations()] == ["on"]


@pytest.mark.parametrize("known", [False, True])
def test_a_group_that_became_a_supergroup_is_followed(one: World, known: bool) -> None:
    """Complaint 15."""
    account_id = one.account()
    one.connect(account_id, chat=GROUP)
    if known:
        one.connect(account_id, chat=-1_005)
    one.update({"message": {"chat": {"id": GROUP}, "migrate_to_chat_id": -1_005}})
    assert [each.address for each in one.destinations()] == ["-1005"]


def test_who_writes_without_end_is_not_answered_without_end(one: World) -> None:
    one.connect(one.account())
    said = [one.write("/help") for _ in range(50)]
    assert 8 <= sum(map(bool, said)) <= 10
    one.now_ms += 60_000
    assert one.write("/help")


_json: SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_field = st.sampled_from(["id", "type", "title", "username", "text", "status", "migrate_to_chat_id"])
_object: SearchStrategy[Any] = st.dictionaries(
    _field, _json | st.sampled_from([ADA, "private", "/start x", "/mute 2h", "kicked"])
)
_message: SearchStrategy[Any] = st.fixed_dictionaries(
    {"chat": _object | _json, "from": _object | _json, "text": st.text() | _json}
)


@hypothesis_settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["message", "my_chat_member", "edited_message"]), _message | _object | _json, st.integers(0))
def test_no_update_is_too_strange(one: World, kind: str, content: Any, number: int) -> None:
    answer = one.update({kind: content}, number % 2**53)
    assert answer is None or isinstance(answer["chat_id"], int)
    one.database.work(lambda session: one.chat.answer(session, content, one.now_ms))
