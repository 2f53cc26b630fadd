"""Nothing that opens an account, or belongs to the operator, is left anywhere but with its owner.

The whole product runs on a real Redis and a real PostgreSQL and is used in every way that involves a secret. Then all
that it has written is searched: what Redis holds and every command it was ever sent, every table, the log, every file,
the figures, and what tabs were sent. Databases may hold hashes; a mailed link is in the mail to its owner.
"""

from __future__ import annotations

import asyncio
import base64
import email
import pickle
import re
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import policy
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import httpx
import pytest
import redis
from sqlalchemy import MetaData, create_engine
from sqlmodel import col, select

from flashcur.models import Account
from flashcur.services.accounts.entitlement import set_plan
from flashcur.services.kit.clock import utc_now
from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from tests.support.accounts import key_wallet
from tests.support.app import App, running_app, simulated_exchange
from tests.support.people import mailed_link
from tests.support.programs import PostgresServer, RedisServer, redis_server
from tests.support.sockets import Tab, tab
from tests.support.waiting import eventually

PERSON, NEW_ADDRESS = "ann.secret-keeper@example.com", "ann.elsewhere@example.com"
PASSWORD, NEWER, WRONG, RESET = (f"{words} 2931 unlikely" for words in ("violin", "marble", "harbour", "lantern"))
OPERATORS = {
    "FLASHCUR_SECRET_KEY": "5e" * 10 + "0a1b2c3d4e5f60718293a4b5",
    "FLASHCUR_OPERATOR_TOKEN": "operator-4f9c2d7be1a84d6f93c05b7e",
    "STRIPE_SECRET_KEY": "sk_test_3b1f7c2e9d",
    "TELEGRAM_BOT_TOKEN": "7312:telegram-2c9f01",
}
RPC_KEY = "rpc-9d41c07a6be24f18"
"""Providers of RPC endpoints want theirs in the address."""
REDIS_PASSWORD, DATABASE_PASSWORD = "redis-71e3f60b2d", "postgres-c48a19ef35"


@dataclass
class World:
    app: App
    redis: RedisServer
    database_url: str
    monitor: Monitor
    secrets: dict[str, str] = field(default_factory=dict)
    """What is secret, by what it is."""
    links: dict[str, str] = field(default_factory=dict)
    """Codes of mailed links, by whom they were mailed to and for what."""
    shown: list[tuple[str, str]] = field(default_factory=list)
    """(where, what) that browsers were sent and that is no cookie."""

    def keep(self, what: str, secret: str | None) -> str:
        assert secret is not None, what
        assert len(secret) >= 10, f"{what} could be anywhere"
        self.secrets[what] = secret
        return secret


class Monitor:
    """Every command that a Redis is sent, from when it is made."""

    def __init__(self, server: RedisServer) -> None:
        self._socket = socket.create_connection(("127.0.0.1", server.port))
        self._socket.sendall(f"AUTH {server.password}\r\nMONITOR\r\n".encode())
        self.heard = bytearray()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while chunk := self._socket.recv(1 << 20):
            self.heard += chunk

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture
def world(shared_postgres: PostgresServer, migrated_template: str) -> Iterator[World]:
    database_url = shared_postgres.create_database("live_secrets", template=migrated_template)
    database_url = database_url.replace("flashcur@", f"flashcur:{DATABASE_PASSWORD}@")
    with redis_server(REDIS_PASSWORD) as server, simulated_exchange(symbols=20) as exchange:
        monitor = Monitor(server)
        settings = {
            **OPERATORS,
            "REDIS_URL": server.url,
            "DATABASE_URL": database_url,
            "FLASHCUR_DEV_AUDIENCE": "guest",
            "FLASHCUR_RPC_URL_1": f"http://127.0.0.1:9/v3/{RPC_KEY}",
        }
        with running_app(exchange, **settings) as app:
            world = World(app, server, database_url, monitor)
            for name, value in OPERATORS.items():
                world.keep(name, value)
            world.keep("the key of an RPC endpoint", RPC_KEY)
            world.keep("Redis' password", REDIS_PASSWORD)
            world.keep("the database's password", DATABASE_PASSWORD)
            yield world
        monitor.close()
    shared_postgres.drop_database("live_secrets")


class Browser:
    """Keeps cookies; every one that scripts cannot read is a secret."""

    def __init__(self, world: World, name: str) -> None:
        self._world = world
        self._name = name
        self.client = httpx.AsyncClient(base_url=world.app.url, timeout=30, headers={"Origin": world.app.url})

    @property
    def cookies(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.client.cookies.items())

    async def post(self, path: str, fields: dict[str, Any], expected: int = 200) -> dict[str, Any]:
        answer = await self.client.post(path, json=fields)
        assert answer.status_code == expected, f"{path}: {answer.text}"
        self._note(answer, path)
        return answer.json()

    async def get(self, path: str, **headers: str) -> httpx.Response:
        answer = await self.client.get(path, headers=headers)
        self._note(answer, path)
        return answer

    def _note(self, answer: httpx.Response, path: str) -> None:
        for header in answer.headers.get_list("set-cookie"):
            name, _, rest = header.partition("=")
            if "httponly" in header.lower() and (value := rest.partition(";")[0].strip('"')):
                self._world.keep(f"{name} of {self._name} ({value[:4]})", value)
        headers = [f"{name}: {value}" for name, value in answer.headers.items() if name.lower() != "set-cookie"]
        self._world.shown.append((f"the answer of {path.partition('?')[0]}", "\n".join([*headers, answer.text])))

    @asynccontextmanager
    async def tab(self, path: str) -> AsyncIterator[Tab]:
        async with tab(self._world.app.url, path, cookie=self.cookies) as opened:
            yield opened
            self._world.shown.append((f"a tab at {path.partition('#')[0].partition('?')[0]}", repr(opened.updates)))

    async def link(self, page: str, recipient: str) -> str:
        """The token of a mailed link, after its page was opened in both ways that a browser may."""
        path = await asyncio.to_thread(mailed_link, self._world.app, recipient, page)
        token = path.partition("=")[2]
        self._world.links[f"{page} for {recipient}"] = self._world.keep(f"the link to {page}", token)
        self._world.keep(f"the code in the link to {page}", token[32:])
        for address in (path, path.replace("#", "?")):
            async with self.tab(address):
                pass
        await self.get(path.replace("#", "?"))
        return token


async def test_no_live_secret_is_written_down(world: World) -> None:
    await use_everything(world)
    found = [f"{what} is in {where}" for where, text in everywhere(world) for what in secrets_in(world, text)]
    assert not found, "\n".join(sorted(set(found)))


async def use_everything(world: World) -> None:
    for what, password in {"password": PASSWORD, "newer": NEWER, "wrong": WRONG, "reset": RESET}.items():
        world.keep(f"the password ({what})", password)
    ann = Browser(world, "Ann")
    await ann.get("/")
    await ann.post("/auth/register", {"email": PERSON, "password": PASSWORD})
    await ann.post("/auth/confirm", {"token": await ann.link("/confirm", PERSON)})
    give_everything(world, PERSON)
    phone = Browser(world, "Ann's phone")
    await phone.post("/auth/sign-in", {"email": PERSON, "password": WRONG}, 401)
    await phone.post("/auth/sign-in", {"email": PERSON, "password": PASSWORD})

    # Acts over a socket, with secrets in them, among them calls that are refused.
    async with ann.tab("/account") as page:
        await eventually(lambda: page.account.get("plan") == "elite", "the plan", 20)
        await page.call("profile_state.create_api_key")
        await eventually(lambda: bool(api_keys(page)), "the key", 20)
        key = world.keep("the API key", api_keys(page)[0])
        change = {"password": WRONG, "new": NEWER}
        await page.call("profile_state.change_password", form=change)
        await page.call("profile_state.change_password", form=change | {"password": PASSWORD})
        await page.call("profile_state.change_address", form={"email": NEW_ADDRESS, "password": NEWER})
        await page.call("profile_state.change_password", form=NEWER)
        await page.call("profile_state.set_theme", theme=5, password=NEWER)
        await page.send("frontend_event_exception_state.handle_frontend_exception", {"info": ann.cookies})
        # The one tab that asked may know it.
        page.updates[:] = [{s: v for s, v in update.items() if "profile" not in s} for update in page.updates]
    for headers in ({"Authorization": f"Bearer {key}"}, {"Authorization": f"Bearer {key}", "Cookie": phone.cookies}):
        await phone.get("/api/v1/markets", **headers)
    await phone.get(f"/?token={key}")
    await phone.post("/auth/confirm-change", {"token": await phone.link("/confirm-change", NEW_ADDRESS)})

    await phone.post("/auth/forgot", {"email": PERSON})
    await phone.post("/auth/reset", {"token": await phone.link("/reset", PERSON), "password": RESET})

    # A wallet of a key, and one that may be a contract's, about which an endpoint is asked.
    other, wallet = Browser(world, "the wallet"), key_wallet()
    about = {"address": wallet.address, "chain_id": 1, "purpose": "sign-in"}
    asked = await other.post("/auth/wallet/challenge", about)
    signed = about | {"nonce": asked["nonce"], "signature": wallet.signature(asked["text"])}
    await other.post("/auth/wallet/verify", signed)
    asked = await other.post("/auth/wallet/challenge", about)
    answer = await other.client.post(
        "/auth/wallet/verify", json=about | {"nonce": asked["nonce"], "signature": "0x" + "ab" * 100}
    )
    assert answer.status_code >= 400

    async with phone.tab("/"), other.tab("/account"):
        for token in (world.secrets["FLASHCUR_OPERATOR_TOKEN"], WRONG):
            await ann.get("/health", Authorization=f"Bearer {token}")
        await ann.get("/metrics")
        await other.post("/auth/sign-out", {})
        await phone.get("/export/account.json")
        # While sockets are open.
        world.shown += list(redis_holds(world))


def api_keys(page: Tab) -> list[str]:
    """Keys that a tab was sent."""
    return re.findall(r"'new_key_rx_state_': '([^']+)'", repr(page.updates))


def give_everything(world: World, address: str) -> None:
    database = Database(Settings.load({"DATABASE_URL": world.database_url, "FLASHCUR_SECRET_KEY": "0" * 40}))
    try:
        with database.session() as session:
            account = session.exec(select(Account).where(col(Account.email) == address)).one()
            set_plan(session, account, "elite", utc_now(), source="operator", until=None)
    finally:
        database.close()


def everywhere(world: World) -> Iterator[tuple[str, str]]:
    """(where, text) of all that was written."""
    yield from world.shown
    yield from redis_holds(world)
    assert b"_lock" in world.monitor.heard, "expected Reflex' states in Redis"
    yield "what Redis was told", bytes(world.monitor.heard).decode("latin-1")
    yield from database_holds(world)
    for file in sorted(world.app.log.parent.rglob("*")):
        if not file.is_file():
            continue
        if file.suffix == ".eml":
            yield mail_holds(world, file)
        else:
            yield f"the file {file.name}", file.read_bytes().decode("latin-1")


def redis_holds(world: World) -> Iterator[tuple[str, str]]:
    with redis.Redis.from_url(world.redis.url) as client:
        keys: list[bytes] = list(client.scan_iter(count=1000))
        assert keys
        for key in keys:
            name = key.decode("latin-1")
            where = f"Redis' key {re.sub('[0-9a-f-]{36}', 'TAB', name)}"
            kept = client.get(key) if client.type(key) == b"string" else client.dump(key)
            value = cast("bytes", kept or b"")
            yield where, f"{name} {value.decode('latin-1')} {unpickled(value)}"


def unpickled(value: bytes) -> str:
    """A pickle's texts, wherever in it; of a state its fields."""
    if not value.startswith(b"\x80"):
        return ""
    state: Any = pickle.loads(value)
    if isinstance(state, tuple):
        state = state[-1]
    return f"{state!r} {getattr(state, '__dict__', '')!r}"


def database_holds(world: World) -> Iterator[tuple[str, str]]:
    engine = create_engine(world.database_url)
    tables = MetaData()
    tables.reflect(engine)
    assert len(tables.tables) > 10
    with engine.connect() as connection:
        for table in tables.sorted_tables:
            rows = connection.execute(table.select()).all()
            texts = [v.decode("latin-1") if isinstance(v, bytes) else str(v) for row in rows for v in row]
            yield f"the table {table.name}", "\n".join(texts)
    engine.dispose()


def mail_holds(world: World, file: Path) -> tuple[str, str]:
    """A mail without the link that it is there for, if that is its recipient's."""
    mail = email.message_from_bytes(file.read_bytes(), policy=policy.default)
    texts = [str(mail["to"]), str(mail["subject"])]
    for part in mail.walk():
        if part.get_content_maintype() == "text":
            texts.append(part.get_content())
    text = "\n".join(texts)
    for page, token in re.findall(r"(/[a-z-]+)#token=(\w+)", text):
        if world.links.get(f"{page} for {mail['to']}") == token:
            text = text.replace(token, "")
    return f"the mail {mail['subject']!r} to {mail['to']}", text


def secrets_in(world: World, text: str) -> Iterator[str]:
    for what, secret in world.secrets.items():
        raw = secret.encode()
        forms = {secret, quote(secret, safe=""), raw.hex(), base64.b64encode(raw).decode().rstrip("=")}
        if any(form in text for form in forms):
            yield what
