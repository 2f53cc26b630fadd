"""The newest signals over sockets: to whom, how much of them, and what is read on all tabs of an account."""

from __future__ import annotations

from dataclasses import replace

from flashcur.services.alerts import signals
from flashcur.services.kit.clock import now_ms
from tests.support.app import App
from tests.support.signals import signal
from tests.support.sockets import Tab, tab
from tests.support.waiting import eventually

WITHIN_S = 20
"""The hub reads every five seconds what no engine told it of."""


def put(app: App, number: int, minutes: float = 0.0, *, stored_ms: int | None = None, **other: object) -> str:
    at_ms = now_ms() - int(minutes * 60_000)
    made = replace(signal(number, base="BTC", minutes=minutes, **other), event_ms=at_ms)
    with app.database() as database, database.session() as session:
        (record,) = signals.store(session, [made], at_ms if stored_ms is None else stored_ms)
    return str(record.id)


def ids(page: Tab, column: str = "id") -> list[str]:
    return page.state("signals_state").get(column, "").split("|")


def told_since(page: Tab, start: int) -> set[str]:
    """The vars of signals that a tab was told."""
    updates = page.updates[start:]
    found = [values for update in updates for state, values in update.items() if state.endswith("signals_state")]
    return {name.removesuffix("_rx_state_") for values in found for name in values}


def forget_all(app: App) -> None:
    """A guest is shown the newest ten: those of this market would push out what a test puts into the past."""
    with app.database() as database, database.session() as session:
        signals.prune(session, now_ms() + 60_000)


async def test_signals_come_by_plan_and_by_page_and_are_read_on_all_tabs(app: App, elite: str) -> None:
    forget_all(app)
    # Longer ago than any mark, of one kind that Free does not have.
    past = put(app, 1, minutes=16)
    hidden = put(app, 2, minutes=16, detector="open_interest", kind="OI_SURGE")
    async with (
        tab(app.url, "/", cookie=elite) as table,
        tab(app.url, "/pricing", cookie=elite) as other,
        tab(app.url, "/") as guest,
    ):
        await eventually(lambda: past in ids(guest) and hidden in ids(table), "signals of the past", WITHIN_S)
        assert hidden not in ids(guest)
        starts = len(other.updates), len(guest.updates)
        new = put(app, 3, text="BTC hourly volume | of everything")
        await eventually(lambda: new in ids(table) and new in ids(other, "ids"), "the new signal", WITHIN_S)
        late = put(app, 4, minutes=30, stored_ms=now_ms())
        await eventually(lambda: late in ids(table), "one that is found late", WITHIN_S)
        found_late = dict(zip(ids(table), ids(table, "late"), strict=True))
        assert (found_late[late], found_late[new], found_late[past]) == ("1", "", "")
        place = ids(table).index(new)
        assert table.state("signals_state")["text"].split("|")[place] == "BTC hourly volume / of everything"
        assert ids(table, "symbol")[place] == "BTCUSDT"
        # A page without the table is told no more than it needs to count, and a guest nothing before their mark.
        assert told_since(other, starts[0]) == {"known", "ids"}
        if now_ms() % 900_000 < 870_000:
            assert new not in ids(guest)
        await table.call("signals_state.mark_read", signal_id=new)
        await eventually(lambda: other.account["signals_read"] >= int(new), "what is read in the other tab")
        # A page that loads shows them at once.
        async with tab(app.url, "/", cookie=elite) as later:
            assert new in ids(later)
            assert later.account["signals_read"] >= int(new)


async def test_nonsense_marks_nothing_as_read(app: App, elite: str) -> None:
    async with tab(app.url, "/", cookie=elite) as page:
        for nonsense in ("", "-1", "1.5", "x", "²", "9" * 17, "9" * 5_000):
            await page.call("signals_state.mark_read", signal_id=nonsense)
        assert page.account["signals_read"] == 0
