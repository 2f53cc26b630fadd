"""An account's watchlists, on both kinds of database."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from sqlmodel import Session, col, select

from flashcur.domain.plans import PLANS, Audience
from flashcur.domain.watchlists import ImportPlan, frozen, parse_import
from flashcur.errors import Conflict, NotFound, PlanNeeded, Refusal
from flashcur.models import Account, Watchlist
from flashcur.services.accounts import watchlists
from flashcur.services.storage.database import Database

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
FREE, PRO, ELITE = PLANS["free"], PLANS["pro"], PLANS["elite"]
UNIVERSE = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "币安人生USDT")


@pytest.fixture
def account(database: Database) -> str:
    return new_account(database)


@pytest.fixture
def other(database: Database) -> str:
    return new_account(database)


def new_account(database: Database) -> str:
    with database.session() as session:
        account = Account(created_at=NOW)
        session.add(account)
        return account.id


def held(database: Database, account: str) -> dict[str, tuple[str, ...]]:
    """Name to symbols of all lists, in order."""
    with database.session(readonly=True) as session:
        return {one.name: one.symbols for one in watchlists.lists(session, account)}


def fill(database: Database, account: str, *names: str, symbols: int = 1) -> list[str]:
    """Ids of new lists; each has symbols of its own, `A0USDT`, `A1USDT` for list `A`."""
    with database.session() as session:
        ids = [watchlists.create(session, account, ELITE, name, NOW).id for name in names]
        for name, list_id in zip(names, ids, strict=True):
            for i in range(symbols):
                watchlists.add(session, account, ELITE, list_id, f"{name}{i}USDT")
    return ids


def positions(session: Session, account: str) -> list[int]:
    query = select(Watchlist.position).where(Watchlist.account_id == account).order_by(col(Watchlist.position))
    return list(session.exec(query))


def test_lists_and_symbols_keep_their_order(database: Database, account: str) -> None:
    with database.session() as session:
        first = watchlists.create(session, account, PRO, " Majors ", NOW)
        watchlists.create(session, account, PRO, "我的 🚀", NOW)
        third = watchlists.create(session, account, PRO, "مفضلة", NOW)
        for symbol in ("SOLUSDT", "币安人生USDT", "BTCUSDT", "🙂عUSDT"):
            assert watchlists.add(session, account, PRO, first.id, symbol)
        assert not watchlists.add(session, account, PRO, first.id, "SOLUSDT")
        assert watchlists.add(session, account, PRO, third.id, "SOLUSDT")
        assert watchlists.remove(session, account, PRO, first.id, "币安人生USDT")
        assert not watchlists.remove(session, account, PRO, first.id, "币安人生USDT")
        assert watchlists.add(session, account, PRO, first.id, "币安人生USDT")
    assert held(database, account) == {
        "Majors": ("SOLUSDT", "BTCUSDT", "🙂عUSDT", "币安人生USDT"),
        "我的 🚀": (),
        "مفضلة": ("SOLUSDT",),
    }


def test_a_name_is_unique_for_its_account_whatever_its_case(database: Database, account: str, other: str) -> None:
    majors, minors = fill(database, account, "Majors", "Minors")
    with database.session() as session:
        watchlists.create(session, other, FREE, "majors", NOW)
        with pytest.raises(Conflict, match="MAJORS") as refused:
            watchlists.create(session, account, PRO, " MAJORS", NOW)
        assert refused.value.field == "name"
        with pytest.raises(Conflict):
            watchlists.rename(session, account, PRO, minors, "Ｍajors")
        assert watchlists.rename(session, account, PRO, majors, "MAJORS").name == "MAJORS"
    assert list(held(database, account)) == ["MAJORS", "Minors"]


@pytest.mark.parametrize("name", ["", "x" * 61, "a\x00", "\ud800"])
def test_a_wrong_name_is_refused_at_its_field(database: Database, account: str, name: str) -> None:
    (list_id,) = fill(database, account, "A")
    with database.session() as session:
        for work in (
            lambda: watchlists.create(session, account, PRO, name, NOW),
            lambda: watchlists.rename(session, account, PRO, list_id, name),
        ):
            with pytest.raises(Refusal) as refused:
                work()
            assert refused.value.field == "name"


def test_the_longest_names_and_symbols_fit(database: Database, account: str) -> None:
    name, symbol = "ﷺ" * 60, "币" * 36 + "USDT"
    with database.session() as session:
        created = watchlists.create(session, account, PRO, name, NOW)
        watchlists.add(session, account, PRO, created.id, symbol)
    assert held(database, account) == {name: (symbol,)}


@pytest.mark.parametrize("symbol", ["", "A B", "A\x00", "\ud800", "A|B", "x" * 41])
def test_what_cannot_be_a_symbol_is_refused(database: Database, account: str, symbol: str) -> None:
    (list_id,) = fill(database, account, "A")
    with database.session() as session:
        with pytest.raises(Refusal, match="Expected the symbol"):
            watchlists.add(session, account, PRO, list_id, symbol)
        with pytest.raises(Refusal, match="Expected the symbol"):
            watchlists.toggle(session, account, PRO, "", symbol, NOW)
        assert not watchlists.remove(session, account, PRO, list_id, symbol)


@pytest.mark.parametrize("list_id", ["", "nothing", "a\x00b", "\ud800", "x" * 9999, "other"])
def test_lists_of_others_and_unknown_ones_are_the_same(
    database: Database, account: str, other: str, list_id: str
) -> None:
    fill(database, account, "Mine")
    (others,) = fill(database, other, "Theirs")
    target = others if list_id == "other" else list_id
    messages: set[str] = set()
    with database.session() as session:
        for work in (
            lambda: watchlists.rename(session, account, PRO, target, "X"),
            lambda: watchlists.delete(session, account, target),
            lambda: watchlists.move(session, account, PRO, target, 0),
            lambda: watchlists.add(session, account, PRO, target, "BTCUSDT"),
            lambda: watchlists.remove(session, account, PRO, target, "Theirs0USDT"),
            lambda: watchlists.toggle(session, account, PRO, target or "?", "Theirs0USDT", NOW),
            lambda: watchlists.import_lists(session, account, PRO, ImportPlan((), (), (), 0), target or "?", NOW),
        ):
            with pytest.raises(NotFound) as refused:
                work()
            messages.add(str(refused.value))
    assert len(messages) == 1
    assert held(database, other) == {"Theirs": ("Theirs0USDT",)}


def test_an_account_that_is_gone_has_nothing(database: Database) -> None:
    with database.session() as session:
        assert watchlists.lists(session, "nobody") == []
        with pytest.raises(NotFound, match="account"):
            watchlists.create(session, "nobody", PRO, "A", NOW)


def test_the_number_of_lists_is_the_plans(database: Database, account: str) -> None:
    fill(database, account, "A")
    with database.session() as session:
        with pytest.raises(PlanNeeded, match=r"^Free has 1 watchlist; Pro has 10\.$"):
            watchlists.create(session, account, FREE, "B", NOW)
        watchlists.create(session, account, PRO, "B", NOW)
        with pytest.raises(PlanNeeded, match="no watchlists"):
            watchlists.toggle(session, account, PLANS["guest"], "", "BTCUSDT", NOW)


def test_a_symbol_counts_once_over_all_lists(database: Database, account: str, other: str) -> None:
    fill(database, other, "Z", symbols=20)
    first, second = fill(database, account, "A", "B", symbols=50)
    with database.session() as session:
        for list_id in (first, second):
            with pytest.raises(PlanNeeded, match=r"Pro has room for 100 .*Elite has room for 1,000\."):
                watchlists.add(session, account, PRO, list_id, "NEWUSDT")
        assert watchlists.add(session, account, PRO, second, "A0USDT")
        # It is still in the other list, so there is no room yet.
        assert watchlists.remove(session, account, PRO, second, "A0USDT")
        with pytest.raises(PlanNeeded):
            watchlists.toggle(session, account, PRO, second, "NEWUSDT", NOW)
        assert watchlists.remove(session, account, PRO, first, "A0USDT")
        assert watchlists.toggle(session, account, PRO, second, "NEWUSDT", NOW)


def test_a_downgrade_freezes_the_lists_past_the_plan_and_deletes_nothing(database: Database, account: str) -> None:
    first, second, third = fill(database, account, "A", "B", "C", symbols=5)
    before = held(database, account)
    with database.session() as session:
        assert frozen(watchlists.lists(session, account), FREE) == {second, third}
        for work in (
            lambda: watchlists.rename(session, account, FREE, second, "X"),
            lambda: watchlists.add(session, account, FREE, second, "A0USDT"),
            lambda: watchlists.remove(session, account, FREE, second, "B0USDT"),
            lambda: watchlists.toggle(session, account, FREE, third, "C0USDT", NOW),
            lambda: watchlists.import_lists(session, account, FREE, parse_import("A0USDT", ["A0USDT"]), second, NOW),
        ):
            with pytest.raises(PlanNeeded, match="read-only: Free has 1 watchlist; Pro has 10"):
                work()
    assert held(database, account) == before
    with database.session() as session:
        # What is in the read-only ones takes no room from the one that goes on.
        assert all(watchlists.add(session, account, FREE, first, f"NEW{number}USDT") for number in range(5))
        with pytest.raises(PlanNeeded, match="room for 10"):
            watchlists.add(session, account, FREE, first, "B0USDT")
        # Its owner chooses another one to go on with.
        watchlists.move(session, account, FREE, second, 0)
        assert frozen(watchlists.lists(session, account), FREE) == {first, third}
        assert watchlists.add(session, account, FREE, second, "NEWUSDT")
        with pytest.raises(PlanNeeded, match="read-only"):
            watchlists.add(session, account, FREE, first, "MOREUSDT")
        watchlists.delete(session, account, third)
    assert held(database, account)["B"] == (*before["B"], "NEWUSDT")
    assert set(held(database, account)) == {"A", "B"}


def test_lists_move_and_stay_in_a_row(database: Database, account: str) -> None:
    a, b, c = fill(database, account, "A", "B", "C", symbols=0)
    for list_id, to, order in ((c, 0, "CAB"), (c, 99, "ABC"), (a, 1, "BAC"), (b, -5, "BAC"), (b, 1, "ABC")):
        with database.session() as session:
            watchlists.move(session, account, PRO, list_id, to)
        assert "".join(held(database, account)) == order
    with database.session() as session:
        watchlists.delete(session, account, b)
        watchlists.create(session, account, PRO, "D", NOW)
    assert "".join(held(database, account)) == "ACD"


def test_a_star_creates_the_first_list(database: Database, account: str) -> None:
    with database.session() as session:
        assert watchlists.toggle(session, account, FREE, "", "BTCUSDT", NOW)
        assert watchlists.toggle(session, account, FREE, "", "ETHUSDT", NOW)
        assert not watchlists.toggle(session, account, FREE, "", "BTCUSDT", NOW)
    assert held(database, account) == {"Favourites": ("ETHUSDT",)}


def load(
    database: Database, account: str, text: str, into: str = "", plan: Audience = "pro"
) -> watchlists.ImportResult:
    with database.session() as session:
        parsed = parse_import(text, UNIVERSE, keep_unknown=True)
        return watchlists.import_lists(session, account, PLANS[plan], parsed, into, NOW)


def test_sections_go_into_lists_of_their_name(database: Database, account: str) -> None:
    (first,) = fill(database, account, "A, b", symbols=0)
    with database.session() as session:
        watchlists.add(session, account, PRO, first, "OLDUSDT")
    text = (
        "SOLUSDT\n###a， B\nBTCUSDT\nGONEUSDT\n###New 🚀\nBTCUSDT\nBINANCE:BIANRENSHENGUSDT.P\n###Nothing\nNASDAQ:AAPL"
    )
    done = load(database, account, text)
    assert done == watchlists.ImportResult(("New 🚀",), added=5, already=0, left_out=(), message="")
    lists = {"A, b": ("OLDUSDT", "SOLUSDT", "BTCUSDT", "GONEUSDT"), "New 🚀": ("BTCUSDT", "币安人生USDT")}
    assert held(database, account) == lists
    again = load(database, account, text)
    assert (again.created, again.added, again.already) == ((), 0, 5)
    assert held(database, account) == lists


def test_a_file_without_headers_makes_the_first_list(database: Database, account: str) -> None:
    assert load(database, account, "BTCUSDT\nETHUSDT", plan="free").created == ("Favourites",)
    assert held(database, account) == {"Favourites": ("BTCUSDT", "ETHUSDT")}


def test_everything_goes_into_a_chosen_list(database: Database, account: str) -> None:
    _, second = fill(database, account, "A", "B", symbols=0)
    done = load(database, account, "###X\nBTCUSDT\nETHUSDT\n###Y\nBTCUSDT\nSOLUSDT", into=second)
    assert (done.added, done.already) == (3, 1)
    assert held(database, account) == {"A": (), "B": ("BTCUSDT", "ETHUSDT", "SOLUSDT")}


def test_an_import_takes_what_fits_and_tells_the_rest(database: Database, account: str) -> None:
    symbols = [f"S{i}USDT" for i in range(12)]
    done = load(database, account, "###A\n" + "\n".join(symbols) + "\n###B\nBTCUSDT\nS1USDT", plan="free")
    assert (done.created, done.added, done.left_out) == (("A",), 10, ("BTCUSDT", "S1USDT", "S10USDT", "S11USDT"))
    assert done.message == (
        "2 symbols were left out (BTCUSDT, S1USDT): Free has 1 watchlist; Pro has 10. "
        "2 symbols were left out (S10USDT, S11USDT): "
        "Free has room for 10 different symbols in watchlists; Pro has room for 100."
    )
    assert held(database, account) == {"A": tuple(symbols[:10])}


def test_an_import_creates_no_list_for_what_has_no_room(database: Database, account: str) -> None:
    fill(database, account, "A", symbols=100)
    done = load(database, account, "###B\n" + "\n".join(f"S{i}USDT" for i in range(7)) + "\n###C\nS1USDT\nA5USDT")
    assert done.created == ("C",)
    assert (done.added, len(done.left_out)) == (1, 7)
    assert done.message.startswith("7 symbols were left out (S0USDT, S1USDT, S2USDT, S3USDT, S4USDT and 2 more): Pro")
    assert held(database, account)["C"] == ("A5USDT",)


def test_an_import_leaves_read_only_lists_alone(database: Database, account: str) -> None:
    fill(database, account, "A", "B")
    done = load(database, account, "###B\nB0USDT\nBTCUSDT\n###A\nBTCUSDT", plan="free")
    assert (done.added, done.already, done.left_out) == (1, 1, ("BTCUSDT",))
    assert held(database, account) == {"A": ("A0USDT", "BTCUSDT"), "B": ("B0USDT",)}


def in_two_threads(database: Database, first: Callable[[Session], object], second: Callable[[Session], object]) -> None:
    """`second` starts while `first` is not committed, and must wait for it; what `second` raises is raised."""
    started = threading.Event()

    def other() -> None:
        started.set()
        with database.session() as session:
            second(session)

    with ThreadPoolExecutor(1) as pool:
        with database.session() as session:
            first(session)
            waiting: Future[None] = pool.submit(other)
            assert started.wait(5)
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.3)
        waiting.result(timeout=10)


def test_two_at_once_do_not_pass_the_number_of_symbols(database: Database, account: str) -> None:
    (list_id,) = fill(database, account, "A", symbols=9)
    with pytest.raises(PlanNeeded):
        in_two_threads(
            database,
            lambda session: watchlists.add(session, account, FREE, list_id, "XUSDT"),
            lambda session: watchlists.toggle(session, account, FREE, "", "YUSDT", NOW),
        )
    assert held(database, account)["A"][9:] == ("XUSDT",)


def test_two_at_once_do_not_pass_the_number_of_lists(database: Database, account: str) -> None:
    with pytest.raises(PlanNeeded):
        in_two_threads(
            database,
            lambda session: watchlists.create(session, account, FREE, "A", NOW),
            lambda session: watchlists.create(session, account, FREE, "B", NOW),
        )
    assert list(held(database, account)) == ["A"]


def test_two_at_once_take_different_positions(database: Database, account: str) -> None:
    in_two_threads(
        database,
        lambda session: watchlists.create(session, account, PRO, "A", NOW),
        lambda session: load_into(session, account, "###B\nBTCUSDT"),
    )
    with database.session(readonly=True) as session:
        assert positions(session, account) == [0, 1]


def test_two_stars_at_once_make_one_list(database: Database, account: str) -> None:
    in_two_threads(
        database,
        lambda session: watchlists.toggle(session, account, FREE, "", "BTCUSDT", NOW),
        lambda session: watchlists.toggle(session, account, FREE, "", "ETHUSDT", NOW),
    )
    assert held(database, account) == {"Favourites": ("BTCUSDT", "ETHUSDT")}


def test_what_was_read_before_the_lock_is_read_anew(database: Database, account: str) -> None:
    if database.is_sqlite:
        pytest.skip("nobody else writes between a transaction's reads on SQLite")
    first, _ = fill(database, account, "A", "B", symbols=0)
    with database.session() as session:
        assert [one.name for one in watchlists.lists(session, account)] == ["A", "B"]
        with database.session() as between:
            watchlists.rename(between, account, PRO, first, "C")
        with pytest.raises(Conflict):
            watchlists.create(session, account, PRO, "c", NOW)
        watchlists.create(session, account, PRO, "A", NOW)
    assert list(held(database, account)) == ["C", "B", "A"]


def load_into(session: Session, account: str, text: str) -> None:
    watchlists.import_lists(session, account, PRO, parse_import(text, UNIVERSE), "", NOW)
