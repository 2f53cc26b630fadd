"""Every setting: its environment variable, default, cast and meaning.

The reader and the table in `docs/operations.md` are both drawn from this list, so neither can lag behind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from flashcur.errors import ConfigError
from flashcur.settings import casts
from flashcur.settings.secret import Secret

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

EXCHANGES = ("binanceusdm", "bybit")
"""The ccxt ids of the exchanges FlashCur can read."""

AUDIENCES = ("guest", "free", "pro", "elite")

CHAINS = {1: "Ethereum", 10: "OP Mainnet", 137: "Polygon", 8453: "Base", 42161: "Arbitrum One"}
"""The Ethereum chains a wallet may sign in on, by chain id."""

SETTINGS: list[Setting[object]] = []


@dataclass(frozen=True, slots=True)
class Setting(Generic[T_co]):
    """One environment variable."""

    name: str
    default: str | None
    """Text that is cast like a given value; None: unset."""
    meaning: str
    cast: Callable[[str], T_co]
    default_doc: str = ""
    """What the docs show where the default is not a fixed text."""
    secret: bool = False
    group: str = "Core"

    def read(self, environ: Mapping[str, str], default: str | None = None) -> T_co | None:
        """The value, or None when it and its default are unset. A blank variable counts as unset.

        Raises ConfigError naming the variable, what was expected and what came.
        """
        raw = environ.get(self.name, "").strip() or default or self.default
        if raw is None:
            return None
        try:
            return self.cast(raw)
        except ValueError as error:
            came = "a value that is not shown" if self.secret else repr(raw)
            raise ConfigError(f"{self.name}: expected {error}, was {came}") from None

    def require(self, environ: Mapping[str, str], default: str | None = None) -> T_co:
        """As `read`, for settings that have a default: raises ConfigError instead of returning None."""
        value = self.read(environ, default)
        if value is None:
            raise ConfigError(f"{self.name}: expected a value, was unset")
        return value

    def given(self, environ: Mapping[str, str]) -> bool:
        """Whether the variable is set and not blank."""
        return bool(environ.get(self.name, "").strip())


def _setting(
    name: str,
    default: str | None,
    meaning: str,
    cast: Callable[[str], T],
    *,
    default_doc: str = "",
    secret: bool = False,
    group: str = "Core",
) -> Setting[T]:
    setting = Setting(name, default, meaning, cast, default_doc, secret, group)
    SETTINGS.append(setting)
    return setting


ENV = _setting(
    "FLASHCUR_ENV",
    "dev",
    "`dev` or `prod`; `prod` turns on strictness and stops reading `.env`",
    casts.choice("dev", "prod"),
)
SECRET_KEY = _setting(
    "FLASHCUR_SECRET_KEY",
    None,
    "makes the codes of links in mail; at least 32 random characters (`openssl rand -hex 32`); required in prod",
    Secret,
    default_doc="generated into the data directory in dev",
    secret=True,
)
PUBLIC_URL = _setting(
    "FLASHCUR_PUBLIC_URL",
    None,
    "the one address visitors use, `scheme://host[:port]`; links, CORS and the address the page's socket connects to "
    "follow from it. It is baked into the frontend build: a changed one rebuilds; required in prod, as `https://…`",
    casts.origin,
    default_doc="the address the started command serves",
)
HOST = _setting(
    "FLASHCUR_HOST",
    None,
    "IP address the server listens on: `0.0.0.0` for all of this machine's, `::` for those of IPv6; in dev that of "
    "`make run`'s pages too",
    casts.ip_address,
    default_doc="`127.0.0.1` in dev, `0.0.0.0` in prod",
)
PORT = _setting("PORT", "8000", "port of `make serve` and of the HTTP routes", casts.integer(1, 65535))
WORKERS = _setting(
    "WEB_CONCURRENCY",
    "1",
    "processes of `make serve` that share the port; more than one needs `REDIS_URL`",
    casts.integer(1, 64),
)
DATA_DIR = _setting("FLASHCUR_DATA_DIR", "./data", "SQLite file, development mail, generated secrets", casts.path)
EXCHANGE_IDS = _setting(
    "FLASHCUR_EXCHANGES",
    "binanceusdm,bybit",
    "exchanges in order of preference (ccxt ids: " + ", ".join(f"`{name}`" for name in EXCHANGES) + "); the next one "
    "serves while the first is blocked or silent; only what the first one delists or renames changes rules and "
    "watchlists",
    casts.words(EXCHANGES),
    group="Market data",
)
REST_URLS: dict[str, Setting[str]] = {}
WS_URLS: dict[str, Setting[str]] = {}
for _exchange in EXCHANGES:
    REST_URLS[_exchange] = _setting(
        f"FLASHCUR_{_exchange.upper()}_REST_URL",
        None,
        f"replaces scheme, host and optional path prefix of every public REST endpoint of `{_exchange}`, paths kept "
        "(a proxy against geo-blocks, a local server)",
        casts.url("http", "https"),
        group="Market data",
    )
    WS_URLS[_exchange] = _setting(
        f"FLASHCUR_{_exchange.upper()}_WS_URL",
        None,
        f"the same for the public WebSocket endpoints of `{_exchange}`",
        casts.url("ws", "wss"),
        group="Market data",
    )
DEMO = _setting(
    "FLASHCUR_DEMO",
    None,
    "`on`: the built-in simulated exchange; `auto`: use it when no exchange answers within 10 s and leave it when one "
    "does; `off`. Demo data is labelled on every page and in every answer, and no message leaves the machine",
    casts.choice("on", "auto", "off"),
    default_doc="`auto` in dev, `off` in prod",
    group="Market data",
)
DEMO_SYMBOLS = _setting(
    "FLASHCUR_DEMO_SYMBOLS", "500", "contracts of the simulated exchange", casts.integer(1, 5000), group="Market data"
)
DEMO_SEED = _setting(
    "FLASHCUR_DEMO_SEED", "1", "seed of the simulated exchange", casts.integer(0, 2**63 - 1), group="Market data"
)
SPIKE_MULTIPLE = _setting(
    "FLASHCUR_SPIKE_MULTIPLE",
    "3",
    "volume spike: this hour's quote volume against the hour before",
    casts.number(1),
    group="Market data",
)
SPIKE_FLOOR = _setting(
    "FLASHCUR_SPIKE_FLOOR",
    "3000000",
    "volume spike: least quote volume of this hour, USDT",
    casts.number(0),
    group="Market data",
)
DEV_AUDIENCE = _setting(
    "FLASHCUR_DEV_AUDIENCE",
    "guest",
    "dev only, refused in prod: the plan (`guest`, `free`, `pro`, `elite`) of a visitor without an account",
    casts.choice(*AUDIENCES),
)
ENGINE = _setting(
    "FLASHCUR_ENGINE",
    "embedded",
    "`external`: this web process starts no engine, `python -m flashcur.engine` runs it",
    casts.choice("embedded", "external"),
)
ADMIN_EMAILS = _setting(
    "FLASHCUR_ADMIN_EMAILS", None, "accounts with these verified addresses are administrators", casts.emails
)
DATABASE_URL = _setting(
    "DATABASE_URL",
    None,
    "`postgresql+psycopg://USER:PASSWORD@HOST/DATABASE`, or `sqlite:///FILE`",
    casts.database_url,
    default_doc="SQLite in the data directory",
    secret=True,
)
REDIS_URL = _setting(
    "REDIS_URL", None, "turns on the Redis bus, the Redis lease and Reflex's Redis state", casts.redis_url, secret=True
)
OPERATOR_TOKEN = _setting(
    "FLASHCUR_OPERATOR_TOKEN",
    None,
    "with it as `Authorization: Bearer`, `/health` tells all it knows instead of words only; at least 32 random "
    "characters (`openssl rand -hex 32`)",
    casts.random_secret,
    secret=True,
)
PROXY_HOPS = _setting(
    "FLASHCUR_PROXY_HOPS",
    "0",
    "reverse proxies in front of this process that add to `X-Forwarded-For`; 0: nobody is believed, and limits count "
    "by the address that connects",
    casts.integer(0, 10),
)

_WALLETS = "Wallets"
RPC_URLS: dict[int, Setting[str]] = {
    chain: _setting(
        f"FLASHCUR_RPC_URL_{chain}",
        None,
        f"JSON-RPC endpoint of {name} (chain {chain}); with it, contract wallets on that chain can sign in",
        casts.rpc_url,
        secret=True,
        group=_WALLETS,
    )
    for chain, name in CHAINS.items()
}

_BILLING = "Billing"
STRIPE_SECRET_KEY = _setting(
    "STRIPE_SECRET_KEY",
    None,
    "`sk_…` or `rk_…`; it says whether payments are live, which is refused in dev. Unset: billing is not configured",
    casts.stripe_key,
    secret=True,
    group=_BILLING,
)
STRIPE_WEBHOOK_SECRET = _setting(
    "STRIPE_WEBHOOK_SECRET", None, "unset: the webhook endpoint answers 404", Secret, secret=True, group=_BILLING
)
STRIPE_PRICES: dict[tuple[str, str], Setting[tuple[str, ...]]] = {
    (plan, period): _setting(
        f"STRIPE_PRICE_{plan.upper()}_{period.upper()}",
        None,
        f"Stripe's price id of {plan.capitalize()}, {period}; of several, separated by commas, the first is sold, and "
        "who pays another keeps the plan",
        casts.price_ids,
        group=_BILLING,
    )
    for plan in ("pro", "elite")
    for period in ("monthly", "yearly")
}
STRIPE_API_BASE = _setting(
    "STRIPE_API_BASE", None, "another address of Stripe's API", casts.url("http", "https"), group=_BILLING
)

_CHANNELS = "Channels"
SENDGRID_API_KEY = _setting(
    "SENDGRID_API_KEY",
    None,
    "unset in dev: mail is written to `mail/*.eml` in the data directory",
    Secret,
    secret=True,
    group=_CHANNELS,
)
SENDGRID_API_BASE = _setting(
    "SENDGRID_API_BASE", None, "another address of SendGrid's API", casts.url("http", "https"), group=_CHANNELS
)
SENDGRID_WEBHOOK_PUBLIC_KEY = _setting(
    "SENDGRID_WEBHOOK_PUBLIC_KEY",
    None,
    "the verification key of SendGrid's signed Event Webhook, which posts to `/webhooks/sendgrid`; unset: that answers "
    "404",
    casts.public_key,
    group=_CHANNELS,
)
FROM_EMAIL = _setting("FLASHCUR_FROM_EMAIL", None, "sender of mail", casts.email, group=_CHANNELS)
TWILIO_ACCOUNT_SID = _setting("TWILIO_ACCOUNT_SID", None, "account of Twilio", casts.text, group=_CHANNELS)
TWILIO_AUTH_TOKEN = _setting("TWILIO_AUTH_TOKEN", None, "its token", Secret, secret=True, group=_CHANNELS)
TWILIO_FROM_NUMBER = _setting("TWILIO_FROM_NUMBER", None, "sender of SMS, `+` and digits", casts.phone, group=_CHANNELS)
TWILIO_API_BASE = _setting(
    "TWILIO_API_BASE", None, "another address of Twilio's API", casts.url("http", "https"), group=_CHANNELS
)
VAPID_PRIVATE_KEY = _setting(
    "VAPID_PRIVATE_KEY",
    None,
    "signs web push: a P-256 key, its 32 bytes as URL-safe Base64 (`npx web-push generate-vapid-keys`). With another "
    "one, each browser has to turn web push on again",
    casts.vapid_key,
    default_doc="made from the secret key in dev; in prod there is no web push",
    secret=True,
    group=_CHANNELS,
)
VAPID_SUBJECT = _setting(
    "VAPID_SUBJECT",
    None,
    "whom push services write to about web push: `mailto:…` or `https://…`; Apple refuses others",
    casts.vapid_subject,
    default_doc="`FLASHCUR_FROM_EMAIL`, else `FLASHCUR_PUBLIC_URL`",
    group=_CHANNELS,
)
TELEGRAM_BOT_TOKEN = _setting("TELEGRAM_BOT_TOKEN", None, "token of the bot", Secret, secret=True, group=_CHANNELS)
TELEGRAM_API_BASE = _setting(
    "TELEGRAM_API_BASE", None, "another address of Telegram's API", casts.url("http", "https"), group=_CHANNELS
)
TELEGRAM_WEBHOOK_SECRET = _setting(
    "TELEGRAM_WEBHOOK_SECRET",
    None,
    "with it and an `https://` public address Telegram posts what people write to the bot to `/webhooks/telegram`, and "
    "this word along with it; 16 to 256 letters, digits, `_` and `-` (`openssl rand -hex 32`). Unset: the active "
    "engine asks for it",
    casts.telegram_secret,
    secret=True,
    group=_CHANNELS,
)
DISCORD_API_BASE = _setting(
    "DISCORD_API_BASE", None, "another address of Discord's webhooks", casts.url("http", "https"), group=_CHANNELS
)
SLACK_API_BASE = _setting(
    "SLACK_API_BASE", None, "another address of Slack's webhooks", casts.url("http", "https"), group=_CHANNELS
)
ALLOW_PRIVATE_WEBHOOKS = _setting(
    "FLASHCUR_ALLOW_PRIVATE_WEBHOOKS",
    "off",
    "`on`: webhooks and push addresses may lead to this machine and its network, without TLS too; for development, as "
    "whoever has an account could reach what is inside",
    casts.switch,
    group=_CHANNELS,
)
