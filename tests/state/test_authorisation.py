"""Everything that can be called from outside, called by everybody.

One table for event handlers and one for HTTP routes. Each entry is called as a guest, as a Free, a Pro and an Elite
account, by another account with the first one's ids, and by an administrator, over a real socket or connection; what
it changed is read from the database. A handler or a route that is in no table fails the test, and so does one that
changes something for somebody it is not for.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from flashcur.domain.plans import PLANS
from flashcur.domain.rules.condition import PriceCross
from flashcur.domain.rules.rule import Definition, Scope
from flashcur.models import RuleRecord
from flashcur.services.alerts.rules import revision
from flashcur.services.simulator.universe_data import TRADFI
from flashcur.state.wire.access import ACCESS
from flashcur.web.routes.table import ALL_ROUTES
from tests.support.accounts import PASSWORD
from tests.support.app import App
from tests.support.push_service import PushBrowser
from tests.support.sockets import tab
from tests.support.world import Role, World

ROLES = ("guest", "free", "pro", "elite", "other", "admin")
"""`other` is signed in and uses the ids of `owner`, whom no role signs in as."""
SIGNED_IN = frozenset({"free", "pro", "elite", "other", "admin"})
OWN = SIGNED_IN - {"other"}
EVERYBODY = frozenset(ROLES)
NOBODY: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Call:
    """A handler's arguments from a role's ids, and for whom it changes something in the database."""

    arguments: Callable[[dict[str, str]], dict[str, Any]]
    changes: frozenset[str]


def form(**fields: str) -> Callable[[dict[str, str]], dict[str, Any]]:
    """Arguments of a submitted form; a field's text may name an id."""
    return lambda ids: {"form": {name: text.format(**ids) for name, text in fields.items()}}


def plain(**arguments: Any) -> Callable[[dict[str, str]], dict[str, Any]]:
    return lambda ids: {k: v.format(**ids) if isinstance(v, str) else v for k, v in arguments.items()}


def rule_form(ids: dict[str, str]) -> str:
    """The form in which a role's rule is written anew, with a watchlist of theirs."""
    definition = Definition((PriceCross("below", 1.0),), Scope("watchlist", watchlist_id=ids["list"]))
    begun = revision(RuleRecord(account_id="", channels=["in-app"], created_ms=1, changed_ms=1))
    return json.dumps({"number": 1, "rule": ids["rule"], "version": begun, "definition": definition.to_json()})


CALLS: dict[str, Call] = {
    "feed_state.watch_table": Call(plain(), NOBODY),
    "feed_state.watch_feed": Call(plain(), NOBODY),
    "signal_state.open_signal": Call(plain(signal_id=1), NOBODY),
    "signal_state.read_signal": Call(plain(signal_id=1), NOBODY),
    "signal_list_state.show": Call(plain(query="kind=funding&list={list}"), NOBODY),
    "signal_list_state.count_arrived": Call(plain(query="newer=0&list={list}"), NOBODY),
    "signal_list_state.show_statistics": Call(plain(), NOBODY),
    "watchlist_state.star": Call(plain(symbol="ETHUSDT", list_id="{list}"), OWN),
    # Free has one list only, and has it already.
    "watchlist_state.create": Call(form(name="Another"), SIGNED_IN - {"free", "admin"}),
    "watchlist_state.rename": Call(form(id="{list}", name="Renamed"), OWN),
    "watchlist_state.delete": Call(plain(list_id="{list}"), OWN),
    "watchlist_state.move": Call(plain(list_id="{second}", to_position=0), frozenset({"pro", "elite"})),
    "watchlist_state.add": Call(form(id="{list}", symbol="eth"), OWN),
    "watchlist_state.remove": Call(plain(list_id="{list}", symbol="BTCUSDT"), OWN),
    # What has not been stored cannot have been read.
    "signals_state.mark_read": Call(plain(signal_id="0"), NOBODY),
    "rules_state.show": Call(plain(), NOBODY),
    "rules_state.open_form": Call(plain(asked="rule={rule}"), NOBODY),
    "rules_state.show_shared": Call(plain(link="1{rule}"), NOBODY),
    "rules_state.check": Call(lambda ids: {"draft": rule_form(ids)}, NOBODY),
    "rules_state.preview": Call(lambda ids: {"draft": rule_form(ids)}, NOBODY),
    "rules_state.cancel_preview": Call(plain(), NOBODY),
    "rules_state.save": Call(lambda ids: {"draft": rule_form(ids)}, OWN),
    "rules_state.pause": Call(plain(rule_id="{rule}"), OWN),
    "rules_state.resume": Call(plain(rule_id="{paused}"), OWN),
    "rules_state.snooze": Call(plain(rule_id="{rule}", hours=1), OWN),
    "rules_state.delete": Call(plain(rule_id="{rule}"), OWN),
    "alerts_state.look": Call(plain(why="page"), NOBODY),
    # Who names another's alert has read their own up to its number.
    "alerts_state.mark_read": Call(plain(alert_id="{alert}"), SIGNED_IN),
    "alerts_state.acknowledge": Call(plain(alert_id="{alert}"), OWN),
    "alerts_state.tell_permission": Call(plain(permission="granted"), SIGNED_IN),
    "ledger_state.show": Call(plain(query="alert={alert}"), NOBODY),
    "channels_state.connect_url": Call(
        form(channel="webhook", url="https://hooks.example.com/new", name="New"), frozenset({"elite", "other"})
    ),
    "channels_state.begin_telegram": Call(plain(), NOBODY),
    "channels_state.put_away": Call(plain(), NOBODY),
    "channels_state.begin_sms": Call(form(number="+447700900123"), NOBODY),
    "channels_state.confirm_sms": Call(form(id="{place}", code="123456"), NOBODY),
    "channels_state.save_hours": Call(
        form(quiet="1", **{"from": "23:00"}, until="06:30", urgent="1", cap="50"), SIGNED_IN
    ),
    "channels_state.mute": Call(plain(hours="8"), SIGNED_IN),
    "channels_state.new_secret": Call(plain(place_id="{place}"), OWN),
    "channels_state.rename": Call(form(id="{place}", name="Mine"), OWN),
    "channels_state.remove": Call(plain(place_id="{place}"), OWN),
    "channels_state.switch_on": Call(plain(place_id="{place}"), frozenset({"elite"})),
    "channels_state.switch_off": Call(plain(place_id="{place}"), OWN),
    "channels_state.test": Call(plain(place_id="{place}"), frozenset({"elite"})),
    "profile_state.change_address": Call(form(email="new@example.com", password=PASSWORD), SIGNED_IN),
    "profile_state.change_password": Call(form(password=PASSWORD, new="nine purple teapots sing"), SIGNED_IN),
    "profile_state.set_theme": Call(plain(theme="light"), SIGNED_IN),
    "profile_state.set_time_zone": Call(plain(time_zone="Europe/Berlin"), SIGNED_IN),
    "profile_state.keep_view": Call(plain(query="sort=price&dir=asc"), SIGNED_IN),
    "profile_state.end_session": Call(plain(session_id="{session}"), OWN),
    "profile_state.end_other_sessions": Call(plain(), SIGNED_IN),
    "profile_state.unlink_wallet": Call(plain(address="{wallet}"), OWN),
    "profile_state.create_api_key": Call(plain(), frozenset({"elite", "other"})),
    "profile_state.delete_api_key": Call(plain(key_id="{key}"), OWN),
}

OK, NEEDS_SIGN_IN, FORBIDDEN, MISSING, BAD = 200, 401, 403, 404, 400


def statuses(guest: int, free: int, pro: int, elite: int, other: int | None = None) -> dict[str, int]:
    """`other` is an Elite account, the administrator a Free one."""
    return {
        "guest": guest,
        "free": free,
        "pro": pro,
        "elite": elite,
        "other": elite if other is None else other,
        "admin": free,
    }


@dataclass(frozen=True)
class Request:
    """A request to a route, and the status that each role gets."""

    expected: dict[str, int]
    query: str = ""
    fields: Callable[[dict[str, str]], dict[str, Any]] = lambda ids: {}
    changes: frozenset[str] = NOBODY


ALL_OK = statuses(OK, OK, OK, OK)
ALL_BAD = statuses(BAD, BAD, BAD, BAD)
ALL_MISSING = statuses(MISSING, MISSING, MISSING, MISSING)

REQUESTS: dict[tuple[str, str], Request] = {
    ("GET", "/health"): Request(ALL_OK),
    ("GET", "/metrics"): Request(ALL_OK),
    ("GET", "/api/v1/markets"): Request(ALL_OK),
    ("GET", "/api/v1/openapi.json"): Request(ALL_OK),
    ("GET", "/api/v1/signals"): Request(statuses(NEEDS_SIGN_IN, OK, OK, OK, other=MISSING), query="list={list}"),
    # Called without a number, which names no signal.
    ("GET", "/api/v1/signals/{id}"): Request(statuses(MISSING, MISSING, MISSING, MISSING)),
    ("POST", "/auth/register"): Request(ALL_BAD, fields=plain(email="nobody", password="x")),
    ("POST", "/auth/confirm"): Request(ALL_BAD, fields=plain(token="f" * 64)),
    ("POST", "/auth/sign-in"): Request(ALL_BAD, fields=plain(email="nobody", password="x")),
    ("POST", "/auth/sign-out"): Request(ALL_OK, changes=SIGNED_IN),
    ("POST", "/auth/delete-account"): Request(
        statuses(NEEDS_SIGN_IN, OK, OK, OK),
        fields=plain(password=PASSWORD, word="DELETE"),
        changes=SIGNED_IN,
    ),
    ("POST", "/auth/forgot"): Request(ALL_BAD, fields=plain(email="nobody")),
    ("POST", "/auth/reset"): Request(ALL_BAD, fields=plain(token="f" * 64, password=PASSWORD)),
    ("POST", "/auth/confirm-change"): Request(ALL_BAD, fields=plain(token="f" * 64)),
    ("POST", "/auth/wallet/challenge"): Request(
        statuses(NEEDS_SIGN_IN, OK, OK, OK),
        fields=plain(address="0x" + "1" * 40, chain_id=1, purpose="link"),
        changes=SIGNED_IN,
    ),
    ("POST", "/auth/wallet/verify"): Request(
        ALL_BAD, fields=plain(nonce="n" * 24, address="0x" + "1" * 40, chain_id=1, signature="0x", purpose="link")
    ),
    ("GET", "/export/markets.txt"): Request(statuses(NEEDS_SIGN_IN, OK, OK, OK, other=MISSING), query="list={list}"),
    ("GET", "/export/markets.csv"): Request(statuses(NEEDS_SIGN_IN, FORBIDDEN, OK, OK)),
    ("GET", "/export/markets.json"): Request(statuses(NEEDS_SIGN_IN, FORBIDDEN, OK, OK)),
    ("GET", "/export/watchlists.txt"): Request(statuses(NEEDS_SIGN_IN, OK, OK, OK, other=MISSING), query="list={list}"),
    ("GET", "/export/account.json"): Request(statuses(NEEDS_SIGN_IN, OK, OK, OK), changes=SIGNED_IN),
    # Nobody but Telegram knows its word, and here there is none.
    ("POST", "/webhooks/telegram"): Request(statuses(MISSING, MISSING, MISSING, MISSING)),
    ("POST", "/import/watchlists"): Request(
        statuses(NEEDS_SIGN_IN, OK, OK, OK, other=MISSING),
        fields=plain(text="BINANCE:ETHUSDT.P", list="{list}"),
        changes=OWN,
    ),
    # A link that we did not make, and call-backs of providers that are not configured.
    ("GET", "/unsubscribe"): Request(ALL_MISSING, query="t={owner}"),
    ("POST", "/unsubscribe"): Request(ALL_MISSING, query="t={owner}"),
    ("POST", "/webhooks/sendgrid"): Request(ALL_MISSING),
    ("POST", "/webhooks/twilio/status"): Request(ALL_MISSING),
    ("POST", "/webhooks/twilio/inbound"): Request(ALL_MISSING),
    ("GET", "/api/v1/push/key"): Request(ALL_OK),
    ("POST", "/api/v1/push"): Request(
        statuses(NEEDS_SIGN_IN, FORBIDDEN, OK, OK),
        fields=plain(endpoint="https://push.example/send", keys=PushBrowser().keys),
        changes=frozenset({"pro", "elite", "other"}),
    ),
    # Nothing is on, so nothing is turned off.
    ("POST", "/api/v1/push/off"): Request(
        statuses(NEEDS_SIGN_IN, OK, OK, OK), fields=plain(endpoint="https://push.example/send")
    ),
}


@pytest.fixture(scope="module")
def world(app: App) -> Iterator[World]:
    world = World(app.log.parent / "data")
    yield world
    world.database.close()


def test_the_tables_name_everything_there_is() -> None:
    assert CALLS.keys() == ACCESS.keys()
    assert REQUESTS.keys() == {(route.method, route.path) for route in ALL_ROUTES}
    for name, call in CALLS.items():
        assert ACCESS[name] != "account" or "guest" not in call.changes


@pytest.mark.parametrize("name", CALLS)
async def test_an_event_handler_does_for_each_what_is_his(name: str, app: App, world: World) -> None:
    call = CALLS[name]
    for role in ROLES:
        people = await asyncio.to_thread(world.people)
        caller = people[role]
        before = await asyncio.to_thread(world.contents)
        foreign = {person.account_id for person in people.values() if person is not caller} | {caller.ids["owner"]}
        foreign -= {caller.account_id, ""}
        others = {account_id: await asyncio.to_thread(world.of, account_id) for account_id in foreign}
        async with tab(app.url, path="/account", cookie=caller.cookie) as page:
            assert page.account.get("signed_in", False) is (role != "guest"), role
            await page.call(name, **call.arguments(caller.ids))
            said = page.state("profile_state").get("problem", "")
        after = await asyncio.to_thread(world.contents)
        changed = [table for table in before if before[table] != after[table]]
        assert bool(changed) is (role in call.changes), f"{role} changed {changed}; {said}"
        for account_id, rows in others.items():
            assert rows == await asyncio.to_thread(world.of, account_id), f"{role} changed another account"


@pytest.mark.parametrize(("method", "path"), REQUESTS)
async def test_a_route_answers_each_as_it_should(method: str, path: str, app: App, world: World) -> None:
    request = REQUESTS[method, path]
    for role in ROLES:
        people = await asyncio.to_thread(world.people)
        caller = people[role]
        before = await asyncio.to_thread(world.contents)
        async with client(app, caller) as session:
            query = request.query.format(**caller.ids)
            options: dict[str, Any] = {"json": request.fields(caller.ids)} if method == "POST" else {}
            async with session.request(method, f"{app.url}{path}?{query}", **options) as answer:
                body = await answer.text()
        assert answer.status == request.expected[role], f"{role}: {body[:300]}"
        after = await asyncio.to_thread(world.contents)
        changed = [table for table in before if before[table] != after[table]]
        assert bool(changed) is (role in request.changes), f"{role} changed {changed}"
        if role == "other" and answer.status >= 400:
            assert caller.ids["owner"] not in body


@pytest.mark.parametrize("role", ROLES)
async def test_a_socket_is_sent_what_its_plan_may_see_and_nobody_else_s(role: str, app: App, world: World) -> None:
    people = await asyncio.to_thread(world.people)
    caller = people[role]
    plan = PLANS["guest" if role == "guest" else "free" if role == "admin" else "elite" if role == "other" else role]  # type: ignore[index]
    async with tab(app.url, cookie=caller.cookie) as page:
        await page.call("feed_state.watch_table")
        assert page.market["asset"].count("c") == (plan.rows or 120)
        assert page.market["symbol"].count("|") + 1 == (plan.rows or 120) + len(TRADFI)
        assert bool(page.market.get("oi")) is plan.open_interest
        assert page.account["plan"] == plan.audience
        assert page.account["admin"] is (role == "admin")
        everything = repr(page.updates)
    own = f"{role}@example.com"
    for name in ("owner", *ROLES[1:]):
        assert (f"{name}@example.com" in everything) is (f"{name}@example.com" == own), name
    assert "password_hash" not in everything
    assert "token_hash" not in everything


@asynccontextmanager
async def client(app: App, role: Role) -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"Origin": app.url, "Accept": "application/json"} | ({"Cookie": role.cookie} if role.cookie else {})
    async with aiohttp.ClientSession(headers=headers, cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield session
