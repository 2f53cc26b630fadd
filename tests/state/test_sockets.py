"""What travels over a real socket, and what a socket can make the server do."""

from __future__ import annotations

import uuid

import aiohttp
import pytest

from tests.support.app import App, Exchange
from tests.support.sockets import STATE, tab
from tests.support.waiting import eventually

MARKET = f"{STATE}.flashcur___state___market____market_state"


async def test_the_page_s_state_comes_with_the_current_frame(app: App) -> None:
    async with tab(app.url) as page:
        first = page.updates[0]
        assert page.market["symbol"].count("|") == 119
        assert any(name.endswith("market_state") for name in first)
        assert page.feed["state"] == "live"


async def test_frames_arrive_each_second_and_carry_only_what_changed(app: App) -> None:
    async with tab(app.url) as page:
        await eventually(lambda: len(market_updates(page.updates)) >= 5, "five frames", 10)
        later = market_updates(page.updates)[2:]
        assert all("symbol_rx_state_" not in update for update in later)
        assert all("price_rx_state_" in update for update in later)
        beats = [update["beat_rx_state_"] for update in later]
        assert beats == sorted(set(beats))


async def test_a_reconnecting_tab_is_sent_the_frame_and_not_its_own_empty_state(app: App) -> None:
    token = str(uuid.uuid4())
    async with tab(app.url, token=token) as page:
        await eventually(lambda: len(page.updates) >= 4, "frames", 10)
    async with tab(app.url, token=token) as again:
        for update in market_updates(again.updates):
            assert update.get("price_rx_state_", "|") != ""
            assert update.get("symbol_rx_state_", "|") != ""
        assert again.market["price"].count("|") == 119


async def test_a_page_without_the_table_gets_the_feed_and_no_frames(app: App) -> None:
    async with tab(app.url, path="/nowhere") as page:
        start = len(page.updates)
        await eventually(lambda: len(page.updates) >= start + 4, "the feed's status", 10)
        assert market_updates(page.updates[start + 1 :]) == []
        assert page.feed["strip"].count(";") == 4


async def test_leaving_for_another_page_ends_the_frames(app: App) -> None:
    async with tab(app.url) as page:
        await eventually(lambda: len(market_updates(page.updates)) >= 3, "frames", 10)
        await page.send("reflex___state____on_load_internal_state.on_load_internal", path="/nowhere")
        await eventually(lambda: market_updates(page.updates[-3:]) == [], "no more frames", 10)


async def test_a_socket_from_another_site_is_refused(app: App) -> None:
    async with aiohttp.ClientSession() as session:
        url = f"{app.url}/_event/?token={uuid.uuid4()}&EIO=4&transport=websocket"
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(url, headers={"Origin": "https://elsewhere.example"})
        async with session.ws_connect(url, headers={"Origin": app.url}) as socket:
            assert (await socket.receive()).data.startswith("0{")


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("flashcur___state___market____feed_state.watch_table", {"audience": "elite"}),
        ("flashcur___state___market____feed_state.watch_table", {"self": 1}),
        ("flashcur___state___market____feed_state._watch", {"table": True}),
        ("flashcur___state___market____market_state.set_price", {"value": "1"}),
        ("flashcur___state___market____market_state.setvar", {"var_name": "price", "value": "1"}),
        ("flashcur___state___market____feed_state.no_such_handler", {}),
        ("no_such_state.handler", {}),
        ("", {}),
    ],
)
async def test_calls_that_a_page_never_makes_change_nothing(app: App, name: str, payload: object) -> None:
    async with tab(app.url) as page:
        await page.send(name, payload)
        await eventually(lambda: len(market_updates(page.updates)) >= 3, "frames as before", 10)
        assert page.market["price"] != "1"
    assert app.get("/health")[0] == 200


async def test_many_tabs_get_the_same_bytes(app: App, exchange: Exchange) -> None:
    async with tab(app.url) as one, tab(app.url) as other:
        await eventually(lambda: min(len(market_updates(t.updates)) for t in (one, other)) >= 4, "frames", 10)
        beat = min(one.market["beat"], other.market["beat"])

        def frame(updates: list[dict[str, str]]) -> dict[str, str] | None:
            return next((update for update in updates if update.get("beat_rx_state_") == beat), None)

        first, second = frame(market_updates(one.updates)), frame(market_updates(other.updates))
        assert first is not None
        assert second is not None
        shared = first.keys() & second.keys()
        assert {key: first[key] for key in shared} == {key: second[key] for key in shared}


def market_updates(updates: list[dict]) -> list[dict]:
    return [changes for update in updates for state, changes in update.items() if state == MARKET]
