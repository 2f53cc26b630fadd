"""Nonsense for every event handler and every route: nothing breaks, nothing changes, nothing leaks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from random import Random
from typing import Any

import aiohttp
import pytest

import flashcur.flashcur  # noqa: F401  all states
from flashcur.state.wire.access import ACCESS, entrances
from flashcur.web.routes.table import ALL_ROUTES
from tests.support.app import App
from tests.support.sockets import STATE, tab
from tests.support.waiting import eventually
from tests.support.world import World

VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        0,
        -1,
        2**31,
        2**53,
        1.5,
        -0.0,
        "",
        " ",
        "0",
        "null",
        "\u202e\u2066",
        "🙂" * 40,
        "ı" * 300,
        "'; DROP TABLE",
    ),
    *("<script>alert(1)</script>", "../../etc/passwd", "%00%0d%0a", "\r\nSet-Cookie: a=b", "{{7*7}}", "a" * 5_000),
    *(
        [],
        {},
        [[]],
        {"a": {"b": []}},
        ["x"] * 50,
        {"name": 1},
        {"id": None, "name": "\x00"},
        {"email": ["a"], "password": {}},
    ),
)
ROUNDS = 25
ARGUMENTS = {each.name: sorted(each.hints) for each in entrances().values()}


@pytest.fixture
def world(app: App) -> Iterator[World]:
    world = World(app.log.parent / "data")
    yield world
    world.database.close()


@pytest.mark.parametrize("role", ["guest", "elite"])
async def test_handlers_survive_nonsense(role: str, app: App, world: World) -> None:
    people = await asyncio.to_thread(world.people)
    caller, owner = people[role], people["free"].ids["owner"]
    before = await asyncio.to_thread(world.of, owner)
    chance = Random(20261125)
    calls = [
        (
            handler,
            {name: chance.choice((*VALUES, *owner_ids(people))) for name in chosen(chance, ARGUMENTS[handler])},
        )
        for handler in ACCESS
        for _ in range(ROUNDS)
        # Handlers without arguments do what they do.
        if ARGUMENTS[handler]
    ]
    chance.shuffle(calls)
    # A socket may be refused 200 times, and send 60 messages at once: so each gets a few.
    for start in range(0, len(calls), 40):
        async with tab(app.url, path="/account", cookie=caller.cookie) as page:
            states = {name.rsplit("____", 1)[1]: name for name in page.vars if "____" in name}
            for handler, arguments in calls[start : start + 40]:
                state, _, name = handler.rpartition(".")
                await page.send(f"{states[state].removeprefix(STATE + '.')}.{name}", arguments)
            await page.call("feed_state.watch_feed")
            assert page.account["name"] == ("" if role == "guest" else "elite@example.com")
            assert owner not in repr(page.updates)
    assert await asyncio.to_thread(world.of, owner) == before
    assert app.get("/health")[0] == 200
    assert "Traceback" not in app.log.read_text()


def owner_ids(people: dict[str, Any]) -> list[str]:
    return list(people["other"].ids.values())


def chosen(chance: Random, names: list[str]) -> list[str]:
    """Mostly the right names; sometimes one is missing, sometimes there is one too many."""
    picked = [name for name in names if chance.random() < 0.9]
    return picked + (["self"] if chance.random() < 0.1 else [])


@pytest.mark.parametrize("route", [f"{route.method} {route.path}" for route in ALL_ROUTES])
async def test_routes_survive_nonsense(route: str, app: App, world: World) -> None:
    method, path = route.split()
    people = await asyncio.to_thread(world.people)
    owner = people["free"].ids["owner"]
    before = await asyncio.to_thread(world.of, owner)
    chance = Random(route)
    names = (
        "email",
        "password",
        "token",
        "next",
        "nonce",
        "address",
        "chain_id",
        "signature",
        "purpose",
        "text",
        "list",
    )
    bodies: list[tuple[bytes, str]] = [
        (b"", "application/json"),
        (b"{", "application/json"),
        (b"[1]", "application/json"),
        (b"\xff\xfe", "application/x-www-form-urlencoded"),
        (b"a=b&" * 500, "application/x-www-form-urlencoded"),
        (b"x", "text/plain"),
        (b"x", ""),
        (b'{"text": "\\ud800", "email": "\\ud800@example.com", "token": "\\u0000"}', "application/json"),
        (b"[" * 10_000, "application/json"),
        (json.dumps({"text": "x" * 700_000}).encode(), "application/json"),
    ]
    bodies += [
        (json.dumps({name: chance.choice(VALUES) for name in names}).encode(), "application/json")
        for _ in range(ROUNDS)
    ]
    queries = ["list=" + ids for ids in owner_ids(people)] + [
        *("sort=%00&q=%ff", "list=%f0%9f%99%82", "min=1e999&show=constructor", "list=" + "a" * 3000)
    ]
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        for role in ("guest", "elite"):
            headers = {"Origin": app.url, "Accept": "application/json"}
            if people[role].cookie:
                headers["Cookie"] = people[role].cookie
            for body, kind in bodies if method == "POST" else [(b"", "")]:
                for query in queries if method == "GET" else [""]:
                    async with session.request(
                        method,
                        f"{app.url}{path}?{query}",
                        data=body if method == "POST" else None,
                        headers=headers | ({"Content-Type": kind} if kind else {}),
                    ) as answer:
                        told = await answer.text()
                    assert answer.status < 500, f"{answer.status} {told[:200]} for {body[:200]!r}?{query}"
                    assert owner not in told
    assert await asyncio.to_thread(world.of, owner) == before
    assert "Traceback" not in app.log.read_text()
    await eventually(lambda: app.get("/health")[0] == 200, "a healthy app")
