"""The texts that wallets sign: exactly as EIP-4361 says, once, for who asked, on both kinds of database."""

from __future__ import annotations

import re
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session, select

from flashcur.errors import Refusal, SignInNeeded
from flashcur.models import Account, WalletChallenge
from flashcur.services.auth import challenges
from flashcur.services.storage.database import Database
from flashcur.settings import Settings

NOON = datetime(2026, 11, 25, 12, 0, 0, 654_321, tzinfo=UTC)
ADDRESS = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
OTHER = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"
BROWSER = "b" * 64
REQUEST: dict[str, Any] = {
    "origin": "https://flashcur.example",
    "statement": "Sign in to FlashCur.",
    "address": ADDRESS,
    "chain_id": 1,
    "purpose": "sign-in",
    "account_id": None,
    "browser_hash": BROWSER,
    "now": NOON,
}
CLAIM: dict[str, Any] = {
    "address": ADDRESS,
    "chain_id": 1,
    "purpose": "sign-in",
    "account_id": None,
    "browser_hash": BROWSER,
    "now": NOON + timedelta(seconds=30),
}

_UNRESERVED = r"[A-Za-z0-9\-._~]"
_PCHAR = r"[A-Za-z0-9\-._~%!$&'()*+,;=:@]"
ABNF = re.compile(
    rf"(?P<domain>(?:\[[0-9a-f:]+\]|{_UNRESERVED}+)(?::[0-9]+)?) wants you to sign in with your Ethereum account:\n"
    r"(?P<address>0x[0-9A-Fa-f]{40})\n"
    r"\n"
    r"(?:(?P<statement>[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;= ]+)\n)?"
    r"\n"
    rf"URI: (?P<uri>[a-z][a-z0-9+.\-]*://(?:\[[0-9a-f:]+\]|{_UNRESERVED}+)(?::[0-9]+)?(?:/{_PCHAR}*)*)\n"
    r"Version: 1\n"
    r"Chain ID: (?P<chain>[0-9]+)\n"
    r"Nonce: (?P<nonce>[A-Za-z0-9]{8,})\n"
    r"Issued At: (?P<issued>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+\-]\d\d:\d\d))\n"
    r"Expiration Time: (?P<expires>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+\-]\d\d:\d\d))"
)
"""The grammar of EIP-4361, without its optional parts that we do not use."""


def issue(database: Database, **changes: Any) -> WalletChallenge:
    with database.session() as session:
        return challenges.issue(session, **(REQUEST | changes))


def claim(database: Database, nonce: str, **changes: Any) -> WalletChallenge | Refusal:
    """As callers do it: a refusal does not undo that the text was used up."""
    with database.session() as session:
        try:
            return challenges.claim(session, nonce=nonce, **(CLAIM | changes))
        except Refusal as refusal:
            return refusal


def refusal(answer: WalletChallenge | Refusal) -> str:
    assert isinstance(answer, Refusal)
    return str(answer)


def accounts(database: Database) -> tuple[str, str]:
    with database.session() as session:
        made = [Account(email=f"{name}@example.org", created_at=NOON) for name in ("one", "two")]
        session.add_all(made)
        return made[0].id, made[1].id


class TestTheText:
    def test_to_the_letter(self, sqlite_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("flashcur.services.auth.challenges.secrets.choice", lambda characters: characters[-1])
        made = issue(sqlite_database, origin="https://flashcur.example:8443", chain_id=42161)
        assert made.text == (
            "flashcur.example:8443 wants you to sign in with your Ethereum account:\n"
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed\n"
            "\n"
            "Sign in to FlashCur.\n"
            "\n"
            "URI: https://flashcur.example:8443\n"
            "Version: 1\n"
            "Chain ID: 42161\n"
            "Nonce: 999999999999999999999999\n"
            "Issued At: 2026-11-25T12:00:00Z\n"
            "Expiration Time: 2026-11-25T12:05:00Z"
        )

    @pytest.mark.parametrize(
        ("origin", "domain"),
        [
            ("https://flashcur.example", "flashcur.example"),
            ("https://flashcur.example:8443", "flashcur.example:8443"),
            ("http://localhost:3000", "localhost:3000"),
            ("http://127.0.0.1:8765", "127.0.0.1:8765"),
            ("http://[::1]:3000", "[::1]:3000"),
        ],
    )
    def test_is_in_the_grammar(self, sqlite_database: Database, origin: str, domain: str) -> None:
        made = issue(sqlite_database, origin=origin)
        parsed = ABNF.fullmatch(made.text)
        assert parsed is not None
        assert (parsed["domain"], parsed["uri"], parsed["address"]) == (domain, origin, ADDRESS)
        assert (parsed["statement"], parsed["chain"], parsed["nonce"]) == ("Sign in to FlashCur.", "1", made.nonce)
        assert datetime.fromisoformat(parsed["issued"]) == made.issued_at
        assert datetime.fromisoformat(parsed["expires"]) == made.expires_at == made.issued_at + timedelta(minutes=5)

    def test_says_its_time_in_utc(self, sqlite_database: Database) -> None:
        made = issue(sqlite_database, now=NOON.astimezone(timezone(timedelta(hours=-7))))
        assert "Issued At: 2026-11-25T12:00:00Z\n" in made.text

    def test_nonces_are_alphanumeric_and_differ(self, sqlite_database: Database) -> None:
        nonces = {issue(sqlite_database).nonce for _ in range(20)}
        assert len(nonces) == 20
        assert all(re.fullmatch("[A-Za-z0-9]{24}", nonce) for nonce in nonces)

    @pytest.mark.parametrize(
        "origin",
        [
            "",
            "flashcur.example",
            "https://",
            "https://a.example/",
            "https://a.example/x",
            "https://u@a.example",
            "ftp://a",
        ],
    )
    def test_needs_an_origin(self, sqlite_database: Database, origin: str) -> None:
        with pytest.raises(ValueError, match="expected an origin"):
            issue(sqlite_database, origin=origin)

    @pytest.mark.parametrize("statement", ["", "two\nlines", 'a "quote"', "grüezi"])
    def test_needs_a_statement_of_one_line(self, sqlite_database: Database, statement: str) -> None:
        with pytest.raises(ValueError, match="expected one line"):
            issue(sqlite_database, statement=statement)


class TestWhoMayAsk:
    @pytest.mark.parametrize("written", [ADDRESS, ADDRESS.lower(), "0x" + ADDRESS[2:].upper()])
    def test_an_address_in_any_case(self, sqlite_database: Database, written: str) -> None:
        assert issue(sqlite_database, address=written).address == ADDRESS

    @pytest.mark.parametrize(
        ("address", "words"),
        [
            (ADDRESS.replace("5aA", "5aa"), "right checksum"),
            ("", "was nothing"),
            (ADDRESS[:-1], "40 hex digits"),
            (ADDRESS + "0", "40 hex digits"),
            (ADDRESS + "\n", "40 hex digits"),
            (ADDRESS[2:], "40 hex digits"),
            ("0x" + "g" * 40, "40 hex digits"),
            ("0x" + "٣" * 40, "40 hex digits"),
            pytest.param("\x00\ud800" * 9_000, "40 hex digits", id="huge"),
        ],
    )
    def test_a_wrong_address(self, sqlite_database: Database, address: str, words: str) -> None:
        with pytest.raises(Refusal, match=words) as caught:
            issue(sqlite_database, address=address)
        assert caught.value.field == "address"
        assert len(str(caught.value).encode()) < 200

    @pytest.mark.parametrize("chain_id", [0, -1, 5, 56, pytest.param(10**5000, id="huge")])
    def test_a_wrong_chain(self, sqlite_database: Database, chain_id: int) -> None:
        with pytest.raises(Refusal) as caught:
            issue(sqlite_database, chain_id=chain_id)
        was = "a chain that cannot be" if chain_id > 1 << 64 else f"chain {chain_id}"
        assert str(caught.value) == (
            "expected one of the chains 1 (Ethereum), 10 (OP Mainnet), 137 (Polygon), 8453 (Base), "
            f"42161 (Arbitrum One), was {was}"
        )
        assert caught.value.field == "chain_id"

    def test_a_wrong_purpose(self, sqlite_database: Database) -> None:
        with pytest.raises(Refusal, match="expected a purpose"):
            issue(sqlite_database, purpose="steal\x00")

    def test_an_account_is_needed_to_link(self, sqlite_database: Database) -> None:
        with pytest.raises(SignInNeeded):
            issue(sqlite_database, purpose="link")


class TestClaiming:
    def test_gives_the_stored_text(self, database: Database) -> None:
        made = issue(database)
        claimed = claim(database, made.nonce)
        assert isinstance(claimed, WalletChallenge)
        assert (claimed.text, claimed.address, claimed.used_at) == (made.text, ADDRESS, CLAIM["now"])

    def test_for_an_account(self, database: Database) -> None:
        account, _ = accounts(database)
        made = issue(database, purpose="link", account_id=account)
        assert isinstance(claim(database, made.nonce, purpose="link", account_id=account), WalletChallenge)

    def test_takes_the_address_in_any_case(self, sqlite_database: Database) -> None:
        made = issue(sqlite_database)
        assert isinstance(claim(sqlite_database, made.nonce, address=ADDRESS.lower()), WalletChallenge)

    def test_works_once(self, database: Database) -> None:
        made = issue(database)
        claim(database, made.nonce)
        assert "used already" in refusal(claim(database, made.nonce))

    def test_of_two_at_once_one_gets_it(self, database: Database) -> None:
        made = issue(database)
        together = threading.Barrier(2, timeout=10)

        def try_it(_: int) -> WalletChallenge | Refusal:
            together.wait()
            return claim(database, made.nonce)

        with ThreadPoolExecutor(2) as threads:
            answers = list(threads.map(try_it, range(2)))
        assert sum(isinstance(answer, WalletChallenge) for answer in answers) == 1
        assert sum("used already" in str(answer) for answer in answers if isinstance(answer, Refusal)) == 1

    def test_who_waits_for_the_other_sees_that_it_is_used(self, postgres_url: str, environ: dict[str, str]) -> None:
        """Both have read the row as free before either marks it, which SQLite does not let happen."""
        database = Database(Settings.load({**environ, "DATABASE_URL": postgres_url}))
        database.migrate()
        made = issue(database)
        with ThreadPoolExecutor(1) as threads:
            with database.session() as first:
                challenges.claim(first, nonce=made.nonce, **CLAIM)
                other = threads.submit(claim, database, made.nonce)
                wait_for_a_lock(database, other)
            assert "used already" in refusal(other.result(10))
        database.close()

    def test_a_garbage_nonce_is_unknown(self, database: Database) -> None:
        for nonce in (
            "",
            "x",
            "A" * 24,
            "A" * 100_000,
            "\x00" * 24,
            "\ud800" * 24,
            "' OR 1=1 --",
            "٣" * 24,
            "A" * 24 + "\n",
        ):
            assert "not known" in refusal(claim(database, nonce))

    @pytest.mark.parametrize(("after", "works"), [(-120, True), (299, True), (300, False), (3600, False)])
    def test_has_five_minutes(self, database: Database, after: int, works: bool) -> None:
        """Also when the clock of the process that claims is behind that of the one that issued."""
        made = issue(database)
        answer = claim(database, made.nonce, now=made.issued_at + timedelta(seconds=after))
        assert isinstance(answer, WalletChallenge) is works
        if not works:
            assert "within 5 minutes" in refusal(answer)

    @pytest.mark.parametrize(
        ("changes", "words", "field"),
        [
            (
                {"address": OTHER},
                f"Your wallet switched to {OTHER}: start again. The text was made for {ADDRESS}.",
                "address",
            ),
            (
                {"chain_id": 137},
                "Your wallet switched to Polygon: start again. The text was made for Ethereum.",
                "chain_id",
            ),
            (
                {"chain_id": 5},
                "Your wallet switched to chain 5: start again. The text was made for Ethereum.",
                "chain_id",
            ),
            (
                {"now": NOON + timedelta(minutes=6)},
                "This text was to be signed within 5 minutes: start again.",
                "nonce",
            ),
        ],
    )
    def test_a_mistake_of_the_right_browser_uses_it_up(
        self, database: Database, changes: dict[str, Any], words: str, field: str
    ) -> None:
        made = issue(database)
        answer = claim(database, made.nonce, **changes)
        assert refusal(answer) == words
        assert isinstance(answer, Refusal)
        assert answer.field == field
        assert "used already" in refusal(claim(database, made.nonce))

    def test_others_cannot_use_it_up(self, database: Database) -> None:
        mine, others = accounts(database)
        made = issue(database, purpose="link", account_id=mine)
        right = {"purpose": "link", "account_id": mine}
        for changes, words in (
            ({"browser_hash": "c" * 64}, "another browser"),
            ({"browser_hash": "\x00"}, "another browser"),
            ({"browser_hash": "c" * 64, "address": OTHER}, "another browser"),
            ({"purpose": "sign-in"}, "made to link a wallet"),
            ({"purpose": "\ud800" * 1000}, "made to link a wallet"),
            ({"account_id": others}, "another account"),
            ({"account_id": None}, "another account"),
            ({"account_id": others, "address": OTHER}, "switched"),
        ):
            assert words in refusal(claim(database, made.nonce, **(right | changes)))
        assert isinstance(claim(database, made.nonce, **right), WalletChallenge)

    def test_messages_stay_short_and_printable(self, sqlite_database: Database) -> None:
        for changes in ({"address": "\ud800\x00" * 50_000}, {"chain_id": 10**5000}, {"address": ""}):
            words = refusal(claim(sqlite_database, issue(sqlite_database).nonce, **changes))
            assert len(words.encode()) < 250
            assert words.isprintable()


def test_prune_keeps_what_may_still_be_asked_about(database: Database) -> None:
    old, late, fresh = (
        issue(database, now=NOON - age).nonce
        for age in (timedelta(minutes=66), timedelta(minutes=64), timedelta(minutes=1))
    )
    with database.session() as session:
        assert challenges.prune(session, NOON) == 1
    with database.session(readonly=True) as session:
        assert nonces(session) == {late, fresh}
    assert "not known" in refusal(claim(database, old))


def nonces(session: Session) -> set[str]:
    return set(session.exec(select(WalletChallenge.nonce)))


def wait_for_a_lock(database: Database, other: Future[WalletChallenge | Refusal]) -> None:
    """Until a statement waits for another's row."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    for _ in range(2_000):
        with database.session(readonly=True) as session:
            if session.connection().scalar(text(waiting)):
                return
        assert not other.done(), f"expected it to wait, was {other.result()}"
    raise AssertionError("expected a statement that waits for a lock")
