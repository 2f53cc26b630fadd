"""Accounts for tests: the services with a clock that stands, rows to look at, links out of mail, wallets that sign."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TypeVar

from argon2 import PasswordHasher
from eth_account import Account as EthAccount
from eth_account.messages import encode_defunct
from sqlalchemy import text
from sqlmodel import Session, SQLModel, col, select

from flashcur.domain.plans import PlanName
from flashcur.models import Account, Delivery, LoginSession, Wallet, WalletChallenge, metadata
from flashcur.services.accounts import sessions
from flashcur.services.accounts.channels import Channels, Senders
from flashcur.services.accounts.client import Client
from flashcur.services.accounts.context import Context
from flashcur.services.accounts.entitlement import plan_of, set_plan
from flashcur.services.accounts.passwords import Hasher
from flashcur.services.accounts.profile import Profile
from flashcur.services.accounts.registration import Registration
from flashcur.services.accounts.sessions import Caller
from flashcur.services.accounts.wallets import Signed, WalletAccounts
from flashcur.services.accounts.watchlists import Watchlists
from flashcur.services.alerts.alert_choices import AlertChoices
from flashcur.services.alerts.inbox import Inbox
from flashcur.services.auth.signatures import SignatureChecker
from flashcur.services.notify.account_mail import token_id_of
from flashcur.services.notify.links import make_token
from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from flashcur.settings.addresses import Addresses

NOON = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)
ADDRESS = "ann@example.com"
PASSWORD = "correct horse battery staple"
OTHER_PASSWORD = "seven green ladders outside"
BASE = "https://flashcur.example"
HOME = Client("192.0.2.1", "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0")
ELSEWHERE = Client("198.51.100.7", "curl/8")
BROWSER = "b" * 64
WHERE = Addresses("http://localhost:3000", "http://localhost:8000", ("http://localhost:3000",))
"""Where a web process of a test says that its pages are."""

Row = TypeVar("Row", bound=SQLModel)


@cache
def hashed(password: str = PASSWORD) -> str:
    """As the product hashes it."""
    return PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1).hash(password)


@dataclass
class Clock:
    """Time that moves when a test says so."""

    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **span: float) -> None:
        self.now += timedelta(**span)

    @property
    def ms(self) -> int:
        return int(self.now.timestamp() * 1000)


class CountingHasher(Hasher):
    """Notes what it is asked; an answer's time follows from that."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    async def hash(self, password: str, *, whose: str) -> str:
        self.calls.append("hash")
        return await super().hash(password, whose=whose)

    async def verify(self, known: str | None, password: str, *, whose: str) -> bool:
        self.calls.append("verify")
        return await super().verify(known, password, whose=whose)


class QuickHasher(CountingHasher):
    """For tests of something else than passwords: takes no time, and any password is right."""

    async def check(self, password: str, *about: str, field: str = "password") -> None:
        pass

    async def hash(self, password: str, *, whose: str) -> str:
        return "hashed"

    async def verify(self, known: str | None, password: str, *, whose: str) -> bool:
        return known is not None

    def outdated(self, known: str) -> bool:
        return False


@dataclass
class Person:
    """An account with one session."""

    account_id: str
    token: str
    caller: Caller


@dataclass
class Services:
    """The services of accounts of one process."""

    settings: Settings
    database: Database
    clock: Clock = field(default_factory=Clock)
    told: int = 0
    hasher: CountingHasher = field(default_factory=CountingHasher)
    senders: Senders = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.context = Context(self.settings, self.database, self.hasher, BASE, self.clock, self._count)
        self.registration = Registration(self.context)
        self.profile = Profile(self.context)
        self.lists = Watchlists(self.context)
        self.channels = Channels(self.context, self.senders)
        self.inbox = Inbox(self.context)
        self.alert_choices = AlertChoices(self.context)
        self.wallets = WalletAccounts(self.context, SignatureChecker(self.settings))

    def close(self) -> None:
        self.hasher.close()

    def person(
        self,
        email: str | None = ADDRESS,
        *,
        password: str | None = PASSWORD,
        plan: PlanName = "free",
        client: Client = HOME,
    ) -> Person:
        """An account that has just signed in."""
        with self.database.session() as session:
            account_id = add_account(session, email, self.clock(), password=password, plan=plan)
        return self.sign_in(account_id, client=client)

    def sign_in(self, account_id: str, *, client: Client = HOME) -> Person:
        """Another session of an account, without asking for a password."""
        with self.database.session() as session:
            token, session_id = add_session(session, account_id, self.clock(), client=client)
        return Person(account_id, token, Caller(account_id, session_id, client))

    def give(self, account_id: str, plan: PlanName, until: datetime | None = None) -> None:
        with self.database.session() as session:
            account = session.get_one(Account, account_id)
            set_plan(session, account, plan, self.clock(), source="operator", until=until)

    def rows(self, table: type[Row]) -> list[Row]:
        with self.database.session(readonly=True) as session:
            return list(session.exec(select(table)))

    def account(self, account_id: str) -> Account:
        with self.database.session(readonly=True) as session:
            return session.get_one(Account, account_id)

    def session_ids(self, account_id: str) -> set[str]:
        return {login.id for login in self.rows(LoginSession) if login.account_id == account_id}

    def is_signed_in(self, token: str) -> bool:
        with self.database.session(readonly=True) as session:
            return sessions.find(session, sessions.hash_token(token), self.clock()) is not None

    def mails(self, recipient: str | None = None) -> list[str]:
        """Templates of the mails that were written, in order."""
        return [template_of(mail) for mail in self._mails() if recipient in (None, mail.recipient)]

    def link(self, template: str, recipient: str = ADDRESS, *, number: int = -1) -> str:
        """The token in a mail, the newest one unless `number` says otherwise."""
        found = [mail for mail in self._mails() if (template_of(mail), mail.recipient) == (template, recipient)]
        return make_token(self.settings.secret_key, template, token_id_of(found[number].payload) or "")

    def contents(self) -> str:
        """All that the database holds, as text."""
        with self.database.session(readonly=True) as session:
            found = [session.connection().execute(table.select()).all() for table in metadata.sorted_tables]
        return repr(found)

    def counts(self) -> dict[str, int]:
        """Rows of every table that has any, without those of limits: what is refused is charged, too."""
        with self.database.session(readonly=True) as session:
            found = {
                name: session.connection().execute(text(f'SELECT count(*) FROM "{name}"')).scalar_one()
                for name in metadata.tables
            }
        return {name: number for name, number in found.items() if number and name != "rate_limit"}

    def _mails(self) -> list[Delivery]:
        with self.database.session(readonly=True) as session:
            return mails_in(session)

    def _count(self) -> None:
        self.told += 1


def mails_in(session: Session) -> list[Delivery]:
    """Mail of accounts in the outbox, the oldest first."""
    return list(session.exec(select(Delivery).where(Delivery.kind == "mail").order_by(col(Delivery.id))))


def template_of(mail: Delivery) -> str:
    """What a mail of an account is about."""
    return mail.payload["template"]


def add_account(
    session: Session,
    email: str | None,
    now: datetime,
    *,
    password: str | None = PASSWORD,
    plan: PlanName = "free",
) -> str:
    """A confirmed account; its id."""
    account = Account(
        email=email, password_hash=None if password is None else hashed(password), plan=plan, created_at=now
    )
    session.add(account)
    session.flush()
    return account.id


def add_session(
    session: Session, account_id: str, now: datetime, *, client: Client = HOME, notifies: bool = False
) -> tuple[str, str]:
    """A session's token and its id; `notifies`: in a browser that has allowed notifications."""
    account = session.get_one(Account, account_id)
    token, login = sessions.start(session, account, plan_of(account, now).sessions, "password", client, now)
    login.notifies = notifies
    return token, login.id


@dataclass(frozen=True)
class KeyWallet:
    """A wallet with a key of its own."""

    key: str

    @property
    def address(self) -> str:
        return EthAccount.from_key(self.key).address

    def sign(self, challenge: WalletChallenge, *, chain_id: int | None = None) -> Signed:
        return Signed(challenge.nonce, self.address, chain_id or challenge.chain_id, self.signature(challenge.text))

    def signature(self, words: str) -> str:
        return f"0x{EthAccount.sign_message(encode_defunct(text=words), self.key).signature.hex()}"


def key_wallet(number: int = 1) -> KeyWallet:
    return KeyWallet(f"0x{number:064x}")


async def wallet_sign_in(
    services: Services, wallet: KeyWallet, *, chain_id: int = 1, browser: str = BROWSER, client: Client = HOME
) -> str:
    """The whole way in by wallet; the session's token."""
    challenge = await services.wallets.challenge(BASE, "sign-in", wallet.address, chain_id, browser, client, None)
    return await services.wallets.sign_in(wallet.sign(challenge), browser, client)


async def wallet_person(services: Services, wallet: KeyWallet) -> Person:
    """An account that came by wallet."""
    token = await wallet_sign_in(services, wallet)
    with services.database.session(readonly=True) as session:
        found = sessions.find(session, sessions.hash_token(token), services.clock())
    assert found is not None
    account, login = found
    return Person(account.id, token, Caller(account.id, login.id, HOME))


def wallets_of(services: Services, account_id: str) -> set[str]:
    return {wallet.address for wallet in services.rows(Wallet) if wallet.account_id == account_id}
