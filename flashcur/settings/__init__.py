"""The settings of a FlashCur process: read from the environment once, cast, checked, frozen.

Nothing else in the package reads the environment. `python -m flashcur.settings` prints the table of all settings.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dotenv import dotenv_values

from flashcur.errors import ConfigError
from flashcur.settings import table
from flashcur.settings.secret import (
    MIN_SECRET_CHARS,
    Secret,
    development_secret,
    development_vapid_key,
    weakness,
)
from flashcur.settings.table import AUDIENCES, CHAINS, EXCHANGES

__all__ = [
    "AUDIENCES",
    "CHAINS",
    "EXCHANGES",
    "Secret",
    "SendGridSettings",
    "Settings",
    "StripeSettings",
    "TelegramSettings",
    "TwilioSettings",
    "VenueUrls",
    "WebPushSettings",
]


@dataclass(frozen=True, slots=True)
class VenueUrls:
    """Where an exchange is reached instead of its own addresses; None: its own."""

    rest: str | None = None
    """`http://…` or `https://…`, without a trailing slash."""
    ws: str | None = None
    """`ws://…` or `wss://…`, without a trailing slash."""


@dataclass(frozen=True, slots=True)
class StripeSettings:
    """Payments; None where a variable is not set. `api_base` replaces Stripe's own address."""

    secret_key: Secret | None
    webhook_secret: Secret | None
    prices: Mapping[tuple[str, str], tuple[str, ...]]
    """(plan, `monthly` or `yearly`) to price ids, of which the first is sold; only those that are set."""
    api_base: str | None

    @property
    def live(self) -> bool | None:
        """Whether payments are live ones; None without a key."""
        return None if self.secret_key is None else self.secret_key.reveal()[2:].startswith("_live_")


@dataclass(frozen=True, slots=True)
class SendGridSettings:
    """Mail; None where a variable is not set. `api_base` replaces SendGrid's own address."""

    api_key: Secret | None
    api_base: str | None
    webhook_public_key: str | None
    """Checks the signatures of SendGrid's events; Base64 of the key in DER form."""


@dataclass(frozen=True, slots=True)
class TwilioSettings:
    """Text messages; None where a variable is not set. `api_base` replaces Twilio's own address."""

    account_sid: str | None
    auth_token: Secret | None
    from_number: str | None
    api_base: str | None


@dataclass(frozen=True, slots=True)
class WebPushSettings:
    """Web push (VAPID)."""

    private_key: Secret | None
    """32 bytes as URL-safe Base64; None: there is no web push."""
    subject: str
    """`mailto:…` or `https://…`."""


@dataclass(frozen=True, slots=True)
class TelegramSettings:
    """Telegram's bot; None where a variable is not set. `api_base` replaces Telegram's own address."""

    bot_token: Secret | None
    api_base: str | None
    webhook_secret: Secret | None


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings. URLs that may carry a password are kept out of `repr`."""

    env: str
    """`dev` or `prod`."""
    secret_key: Secret
    public_url: str | None
    """Origin without a trailing slash; None: the address the started command serves."""
    host: str
    """IP address that the server listens on."""
    port: int
    workers: int
    """Processes of the production server; 1 without Redis, which they would need to share anything."""
    data_dir: Path
    exchanges: tuple[str, ...]
    """ccxt ids in order of preference, at least one."""
    venue_urls: Mapping[str, VenueUrls]
    """ccxt id to overrides; every known exchange is a key."""
    demo: str
    """`on`, `auto` or `off`."""
    demo_symbols: int
    """Contracts of the simulated exchange."""
    demo_seed: int
    dev_audience: str
    """The plan of a visitor without an account: as configured in dev, always `guest` in prod."""
    spike_multiple: float
    """Least multiple of the hour before (`domain.spikes`)."""
    spike_floor: float
    """Least quote volume of the hour, USDT."""
    engine: str
    """`embedded` or `external`."""
    admin_emails: tuple[str, ...]
    """In lower case."""
    operator_token: Secret | None
    """What opens all of `/health`; None: nothing does."""
    proxy_hops: int
    """Trusted entries at the end of `X-Forwarded-For`."""
    rpc_urls: Mapping[int, str] = field(repr=False)
    """Chain id to JSON-RPC endpoint; only those that are set."""
    database_url: str = field(repr=False)
    """An SQLAlchemy URL of SQLite or PostgreSQL (psycopg)."""
    redis_url: str | None = field(repr=False)
    from_email: str | None
    stripe: StripeSettings
    sendgrid: SendGridSettings
    twilio: TwilioSettings
    web_push: WebPushSettings
    telegram: TelegramSettings
    discord_api_base: str | None
    """Replaces scheme and host of Discord's webhooks."""
    slack_api_base: str | None
    """Replaces scheme and host of Slack's webhooks."""
    allow_private_webhooks: bool
    """Whether what users give may be called on this machine and its network."""

    @property
    def is_prod(self) -> bool:
        """Whether `env` is `prod`."""
        return self.env == "prod"

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read `environ`; without it the process environment, which in dev is completed from the file `.env`.

        In dev a missing secret key is generated into the data directory. Raises ConfigError, one line.
        """
        if environ is None:
            environ = _process_environ()
        prod = table.ENV.require(environ) == "prod"
        _refuse_unknown_exchange_urls(environ)
        if prod and table.DEV_AUDIENCE.given(environ):
            raise ConfigError("FLASHCUR_DEV_AUDIENCE: expected to be unset in prod, where plans come from accounts")
        if table.SENDGRID_API_KEY.given(environ) and not table.FROM_EMAIL.given(environ):
            raise ConfigError(
                "FLASHCUR_FROM_EMAIL: expected the sender of mail, was unset while SENDGRID_API_KEY is set"
            )
        data_dir = table.DATA_DIR.require(environ)
        redis_url = table.REDIS_URL.read(environ)
        workers = table.WORKERS.require(environ)
        if workers > 1 and redis_url is None:
            raise ConfigError(f"WEB_CONCURRENCY: expected 1 without REDIS_URL, was {workers}")
        secret_key = _secret_key(environ, data_dir, prod=prod)
        return cls(
            env="prod" if prod else "dev",
            secret_key=secret_key,
            public_url=_public_url(environ, prod=prod),
            host=table.HOST.require(environ, "0.0.0.0" if prod else "127.0.0.1"),
            port=table.PORT.require(environ),
            workers=workers,
            data_dir=data_dir,
            exchanges=table.EXCHANGE_IDS.require(environ),
            venue_urls={
                name: VenueUrls(table.REST_URLS[name].read(environ), table.WS_URLS[name].read(environ))
                for name in EXCHANGES
            },
            demo=table.DEMO.require(environ, "off" if prod else "auto"),
            demo_symbols=table.DEMO_SYMBOLS.require(environ),
            demo_seed=table.DEMO_SEED.require(environ),
            dev_audience="guest" if prod else table.DEV_AUDIENCE.require(environ),
            spike_multiple=table.SPIKE_MULTIPLE.require(environ),
            spike_floor=table.SPIKE_FLOOR.require(environ),
            engine=table.ENGINE.require(environ),
            admin_emails=table.ADMIN_EMAILS.read(environ) or (),
            operator_token=table.OPERATOR_TOKEN.read(environ),
            proxy_hops=table.PROXY_HOPS.require(environ),
            rpc_urls={chain: url for chain, setting in table.RPC_URLS.items() if (url := setting.read(environ))},
            database_url=table.DATABASE_URL.require(environ, f"sqlite:///{data_dir / 'flashcur.db'}"),
            redis_url=redis_url,
            from_email=table.FROM_EMAIL.read(environ),
            stripe=_stripe(environ, prod=prod),
            sendgrid=SendGridSettings(
                api_key=table.SENDGRID_API_KEY.read(environ),
                api_base=table.SENDGRID_API_BASE.read(environ),
                webhook_public_key=table.SENDGRID_WEBHOOK_PUBLIC_KEY.read(environ),
            ),
            twilio=TwilioSettings(
                account_sid=table.TWILIO_ACCOUNT_SID.read(environ),
                auth_token=table.TWILIO_AUTH_TOKEN.read(environ),
                from_number=table.TWILIO_FROM_NUMBER.read(environ),
                api_base=table.TWILIO_API_BASE.read(environ),
            ),
            web_push=_web_push(environ, secret_key, prod=prod),
            telegram=TelegramSettings(
                bot_token=table.TELEGRAM_BOT_TOKEN.read(environ),
                api_base=table.TELEGRAM_API_BASE.read(environ),
                webhook_secret=table.TELEGRAM_WEBHOOK_SECRET.read(environ),
            ),
            discord_api_base=table.DISCORD_API_BASE.read(environ),
            slack_api_base=table.SLACK_API_BASE.read(environ),
            allow_private_webhooks=table.ALLOW_PRIVATE_WEBHOOKS.require(environ),
        )


def _process_environ() -> Mapping[str, str]:
    if table.ENV.require(os.environ) == "prod":
        return os.environ
    from_file = {name: value for name, value in dotenv_values(".env").items() if value is not None}
    return {**from_file, **os.environ}


def _refuse_unknown_exchange_urls(environ: Mapping[str, str]) -> None:
    """A misspelt exchange in an override would otherwise be ignored, and the real one contacted."""
    known = {setting.name for setting in (*table.REST_URLS.values(), *table.WS_URLS.values())}
    for name in environ:
        if re.fullmatch(r"FLASHCUR_[A-Z0-9]+_(REST|WS)_URL", name) and name not in known:
            raise ConfigError(f"{name}: expected the exchange to be one of {', '.join(EXCHANGES)} (in capitals)")


def _public_url(environ: Mapping[str, str], *, prod: bool) -> str | None:
    url = table.PUBLIC_URL.read(environ)
    if prod and not (url or "").startswith("https:"):
        came = "unset" if url is None else repr(url)
        raise ConfigError(
            f"FLASHCUR_PUBLIC_URL: expected https://… in prod, such as https://flashcur.example, was {came}"
        )
    return url


def _secret_key(environ: Mapping[str, str], data_dir: Path, *, prod: bool) -> Secret:
    secret = table.SECRET_KEY.read(environ)
    if not prod:
        return secret or development_secret(data_dir)
    expected = f"FLASHCUR_SECRET_KEY: expected at least {MIN_SECRET_CHARS} random characters (openssl rand -hex 32)"
    if secret is None:
        raise ConfigError(f"{expected}, was unset")
    if reason := weakness(secret.reveal()):
        raise ConfigError(f"{expected}, but {reason}")
    return secret


def _stripe(environ: Mapping[str, str], *, prod: bool) -> StripeSettings:
    stripe = StripeSettings(
        secret_key=table.STRIPE_SECRET_KEY.read(environ),
        webhook_secret=table.STRIPE_WEBHOOK_SECRET.read(environ),
        prices={key: ids for key, setting in table.STRIPE_PRICES.items() if (ids := setting.read(environ))},
        api_base=table.STRIPE_API_BASE.read(environ),
    )
    if stripe.live and not prod:
        raise ConfigError("STRIPE_SECRET_KEY: expected a test key outside prod, was a live one: it moves money")
    homes: dict[str, str] = {}
    for key, ids in stripe.prices.items():
        name = table.STRIPE_PRICES[key].name
        for price_id in ids:
            if (other := homes.setdefault(price_id, name)) != name:
                raise ConfigError(f"{name}: expected prices of its own, was {price_id!r}, which {other} has too")
    return stripe


def _web_push(environ: Mapping[str, str], secret_key: Secret, *, prod: bool) -> WebPushSettings:
    key = table.VAPID_PRIVATE_KEY.read(environ)
    subject = table.VAPID_SUBJECT.read(environ)
    if subject is None:
        address, url = table.FROM_EMAIL.read(environ), table.PUBLIC_URL.read(environ)
        subject = f"mailto:{address}" if address else url if (url or "").startswith("https:") else None
    return WebPushSettings(
        private_key=key if key is not None or prod else development_vapid_key(secret_key),
        # Nobody is reached by it; but in prod there is always a public URL.
        subject=subject or "mailto:flashcur@localhost.localdomain",
    )
