"""An app's database with one account of every kind, for tests that call everything as everybody."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import text as sql
from sqlmodel import Session

from flashcur.domain.plans import PLANS, PlanName
from flashcur.domain.rules.condition import PriceCross
from flashcur.domain.rules.rule import Definition, Scope
from flashcur.models import (
    Account,
    ApiKey,
    LoginSession,
    RuleRecord,
    Wallet,
    Watchlist,
    WatchlistItem,
    metadata,
    new_id,
)
from flashcur.services.accounts import sessions
from flashcur.services.accounts.sessions import hash_token
from flashcur.services.kit.clock import to_ms
from flashcur.services.notify import destinations, webhook
from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from tests.support.accounts import HOME, hashed
from tests.support.ledger import add_alert, add_delivery

ACCOUNT_TABLES = frozenset(metadata.tables) - {
    *("mark_frame", "instrument_event", "job_run"),
    # What the engine writes of the market, at any time.
    *("signal_record", "signal_episode", "signal_outcome", "signal_statistics", "hour_candle", "funding_payment"),
    *("instrument_set", "silence_day", "input_checkpoint", "rule_day", "past_series"),
}
UNCOUNTED = frozenset({"rate_limit", "account_change"})
"""What any caller uses up or leaves behind."""


@dataclass
class Role:
    """Who calls, and the ids of what is theirs (or, for `other`, of what is somebody else's)."""

    name: str
    account_id: str = ""
    cookie: str = ""
    ids: dict[str, str] = field(default_factory=dict)


class World:
    """The app's database, filled anew for each call."""

    def __init__(self, data: Path) -> None:
        """`data` is the app's data directory."""
        self.database = Database(Settings.load({"FLASHCUR_DATA_DIR": str(data), "FLASHCUR_SECRET_KEY": "0" * 40}))

    def people(self) -> dict[str, Role]:
        """Every role with an account of its own, and `owner`, whose ids `other` uses."""
        now = datetime.now(UTC)
        with self.database.session() as session:
            for table in reversed(metadata.sorted_tables):
                # Changes stay, as they do in the product: a number that is given anew is one that the app has seen.
                if table.name in ACCOUNT_TABLES - {"account_change"}:
                    session.connection().execute(table.delete())
            owner = self._person(session, "owner", "elite", now)
            roles = {
                "free": self._person(session, "free", "free", now),
                "pro": self._person(session, "pro", "pro", now),
                "elite": self._person(session, "elite", "elite", now),
                "other": self._person(session, "other", "elite", now),
                "admin": self._person(session, "admin", "free", now),
            }
        roles["other"].ids = owner.ids
        return {"guest": Role("guest", ids=owner.ids), **roles}

    def _person(self, session: Session, name: str, plan: PlanName, now: datetime) -> Role:
        account = Account(email=f"{name}@example.com", password_hash=hashed(), plan=plan, created_at=now)
        session.add(account)
        session.flush()
        token, _ = sessions.start(session, account, 10, "password", HOME, now)
        device = LoginSession(
            account_id=account.id,
            token_hash=hash_token(new_id()),
            method="password",
            created_at=now,
            seen_at=now,
            expires_at=now + sessions.LIFETIME,
            ip="192.0.2.9",
            user_agent="another device",
        )
        lists = [
            Watchlist(account_id=account.id, name=title, name_key=title.lower(), position=at, created_at=now)
            for at, title in enumerate(("First", "Second") if PLANS[plan].watchlists > 1 else ("First",))
        ]
        wallet = Wallet(
            address="0x" + new_id()[:40].ljust(40, "0"), account_id=account.id, chain_id=1, linked_at=now, used_at=now
        )
        key = ApiKey(account_id=account.id, key_hash=hash_token(new_id()), hint="abcd", created_at=now)
        rules = [
            RuleRecord(
                account_id=account.id,
                definition=Definition((PriceCross("above", 1e6),), Scope("symbol", symbol="BTCUSDT")).to_json(),
                channels=["in-app"],
                status=status,
                why="" if status == "active" else "owner",
                position=at,
                created_ms=1,
                changed_ms=1,
            )
            for at, status in enumerate(("active", "paused"))
        ]
        session.add_all([device, *lists, wallet, key, *rules])
        session.flush()
        session.add_all([WatchlistItem(watchlist_id=each.id, symbol="BTCUSDT", position=0) for each in lists])
        now_ms = to_ms(now)
        place = destinations.keep(
            session,
            account.id,
            "webhook",
            f"https://{name}.example.com/hook",
            now_ms,
            name="Hook",
            details=webhook.new_details(),
            confirmed=True,
        )
        alert = add_alert(session, account.id, now_ms)
        add_delivery(session, alert, "browser", now_ms)
        session.flush()
        ids = {
            "place": place.id,
            "alert": str(alert.id),
            "list": lists[0].id,
            "second": lists[-1].id,
            "session": device.id,
            "wallet": wallet.address,
            "key": key.id,
            "rule": rules[0].id,
            "paused": rules[1].id,
            "owner": account.id,
        }
        return Role(name, account.id, f"flashcur_session={token}", ids)

    def contents(self) -> dict[str, set[str]]:
        """Every row of every table of accounts, but for what any caller uses up or leaves behind."""
        with self.database.session(readonly=True) as session:
            return {
                name: {repr(row) for row in session.connection().execute(sql(f'SELECT * FROM "{name}"'))}
                for name in ACCOUNT_TABLES - UNCOUNTED
            }

    def of(self, account_id: str) -> set[str]:
        """The rows that are an account's or name it."""
        return {row for rows in self.contents().values() for row in rows if account_id in row}
