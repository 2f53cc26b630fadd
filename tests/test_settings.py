"""Reading, checking and documenting the settings."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from flashcur.errors import ConfigError
from flashcur.settings import Secret, Settings, VenueUrls
from flashcur.settings.addresses import addresses, port_of
from flashcur.settings.table import SETTINGS, Setting

ROOT = Path(__file__).parent.parent
GOOD_SECRET = "b81f0e3d5c7a9264" * 4
PROD = {
    "FLASHCUR_ENV": "prod",
    "FLASHCUR_SECRET_KEY": GOOD_SECRET,
    "FLASHCUR_PUBLIC_URL": "https://flashcur.example",
}


def refused(environ: dict[str, str]) -> str:
    with pytest.raises(ConfigError) as caught:
        Settings.load(environ)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.fixture
def prod(environ: dict[str, str]) -> dict[str, str]:
    return {**environ, **PROD}


def test_defaults_of_development(environ: dict[str, str], tmp_path: Path) -> None:
    settings = Settings.load(environ)
    assert settings.env == "dev"
    assert settings.exchanges == ("binanceusdm", "bybit")
    assert settings.venue_urls == {"binanceusdm": VenueUrls(), "bybit": VenueUrls()}
    assert (settings.demo, settings.demo_symbols, settings.demo_seed) == ("auto", 500, 1)
    assert (settings.spike_multiple, settings.spike_floor) == (3, 3_000_000)
    assert (settings.dev_audience, settings.engine, settings.port) == ("guest", "embedded", 8000)
    assert settings.database_url == f"sqlite:///{tmp_path / 'data' / 'flashcur.db'}"
    assert settings.host == "127.0.0.1"
    assert settings.public_url is settings.redis_url is settings.operator_token is settings.stripe.secret_key is None


def test_defaults_of_production(prod: dict[str, str]) -> None:
    settings = Settings.load(prod)
    assert settings.is_prod
    assert settings.demo == "off"
    assert settings.dev_audience == "guest"
    assert settings.host == "0.0.0.0"


def test_values_are_cast(environ: dict[str, str]) -> None:
    settings = Settings.load(
        environ
        | {
            "FLASHCUR_EXCHANGES": " bybit , BINANCEUSDM ",
            "FLASHCUR_BYBIT_REST_URL": "http://127.0.0.1:9000/prefix/",
            "FLASHCUR_BYBIT_WS_URL": "ws://127.0.0.1:9000",
            "FLASHCUR_ADMIN_EMAILS": "Ann@Example.com, bob@example.com",
            "FLASHCUR_PUBLIC_URL": "https://flashcur.example/",
            "DATABASE_URL": "postgres://trader:hunter2@db/flashcur",
            "STRIPE_PRICE_PRO_YEARLY": "price_123, price_12",
            "FLASHCUR_DEMO": " ON ",
            "FLASHCUR_SPIKE_FLOOR": "",
        }
    )
    assert settings.exchanges == ("bybit", "binanceusdm")
    assert settings.venue_urls["bybit"] == VenueUrls("http://127.0.0.1:9000/prefix", "ws://127.0.0.1:9000")
    assert settings.admin_emails == ("ann@example.com", "bob@example.com")
    assert settings.public_url == "https://flashcur.example"
    assert settings.database_url == "postgresql+psycopg://trader:hunter2@db/flashcur"
    assert settings.stripe.prices == {("pro", "yearly"): ("price_123", "price_12")}
    assert settings.demo == "on"
    assert settings.spike_floor == 3_000_000


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("FLASHCUR_ENV", "production", "one of dev, prod"),
        ("FLASHCUR_EXCHANGES", "kraken", "binanceusdm, bybit"),
        ("FLASHCUR_EXCHANGES", "bybit,bybit", "at most once"),
        ("FLASHCUR_EXCHANGES", ",", "binanceusdm, bybit"),
        ("FLASHCUR_DEMO_SYMBOLS", "many", "a whole number from 1 to 5000"),
        ("FLASHCUR_DEMO_SYMBOLS", "0", "a whole number from 1 to 5000"),
        ("FLASHCUR_SPIKE_MULTIPLE", "nan", "a number of at least 1"),
        ("FLASHCUR_SPIKE_FLOOR", "inf", "a number of at least 0"),
        ("FLASHCUR_DEMO", "yes", "one of on, auto, off"),
        ("STRIPE_PRICE_PRO_YEARLY", "price_1,price_1", "each at most once"),
        ("STRIPE_PRICE_PRO_YEARLY", "price_1,", "price ids"),
        ("FLASHCUR_DEV_AUDIENCE", "gold", "one of guest, free, pro, elite"),
        ("FLASHCUR_ENGINE", "none", "one of embedded, external"),
        ("FLASHCUR_PUBLIC_URL", "flashcur.example", "scheme://host"),
        ("FLASHCUR_PUBLIC_URL", "https://flashcur.example/app", "without a path"),
        ("FLASHCUR_PUBLIC_URL", "https://flashcur.example?", "without a path"),
        ("FLASHCUR_PUBLIC_URL", "https:/flashcur.example", "without a path"),
        ("FLASHCUR_PUBLIC_URL", "https://flashcur.example\\", "without a path"),
        ("FLASHCUR_PUBLIC_URL", "https://flash cur.example", "without a path"),
        ("FLASHCUR_PUBLIC_URL", "http://flashcur.example:99999", "without a path"),
        ("FLASHCUR_PUBLIC_URL", "https://ann@flashcur.example", "without a user"),
        ("FLASHCUR_PUBLIC_URL", "https://@flashcur.example", "without a user"),
        ("FLASHCUR_PUBLIC_URL", "https://flashcur..example", "without empty parts"),
        ("FLASHCUR_PUBLIC_URL", "https://flashcur.example.", "without empty parts"),
        ("FLASHCUR_BYBIT_WS_URL", "https://127.0.0.1", "ws:// or wss://"),
        ("FLASHCUR_BYBIT_REST_URL", "http://127.0.0.1:port", "http:// or https://"),
        ("FLASHCUR_ADMIN_EMAILS", "ann", "email addresses"),
        ("FLASHCUR_HOST", "flashcur.example", "an IP address"),
        ("FLASHCUR_HOST", "127.0.0.1:8000", "an IP address"),
        ("FLASHCUR_HOST", "[::1]", "an IP address"),
        ("PORT", "70000", "from 1 to 65535"),
        ("DATABASE_URL", "mysql://u@h/d", "sqlite:///FILE or postgresql"),
        ("DATABASE_URL", "sqlite:///:memory:", "sqlite:///FILE"),
        ("REDIS_URL", "localhost:6379", "redis://HOST"),
        ("TWILIO_FROM_NUMBER", "0800", "a phone number"),
        ("SENDGRID_WEBHOOK_PUBLIC_KEY", "-----BEGIN PUBLIC KEY-----", "without BEGIN and END"),
        ("VAPID_SUBJECT", "mailto:nobody", "mailto: and an email address"),
        ("VAPID_SUBJECT", "https://localhost", "https://"),
        ("VAPID_SUBJECT", "http://flashcur.example", "https://"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_all(
    environ: dict[str, str], name: str, value: str, expected: str
) -> None:
    message = refused(environ | {name: value})
    assert message.startswith(f"{name}: expected ")
    assert expected in message
    setting = next(setting for setting in SETTINGS if setting.name == name)
    assert (repr(value) in message) is not setting.secret


def test_an_override_for_an_unknown_exchange_is_refused(environ: dict[str, str]) -> None:
    assert "binanceusdm, bybit" in refused(environ | {"FLASHCUR_BINANCE_WS_URL": "ws://127.0.0.1"})


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        ("", "was unset"),
        ("short", "it has 5 characters"),
        ("please-change-me-please-change-me-now", "placeholder"),
        ("ab" * 20, "repeats"),
    ],
)
def test_production_refuses_a_weak_secret_without_showing_it(prod: dict[str, str], secret: str, reason: str) -> None:
    message = refused(prod | {"FLASHCUR_SECRET_KEY": secret})
    assert message.startswith("FLASHCUR_SECRET_KEY: ")
    assert reason in message
    assert not secret or secret not in message


@pytest.mark.parametrize(
    ("url", "came"),
    [
        ("", "was unset"),
        ("http://flashcur.example", "was 'http://flashcur.example'"),
        ("HTTP://flashcur.example:443", "was 'http://flashcur.example:443'"),
        ("http://localhost:8000", "was 'http://localhost:8000'"),
    ],
)
def test_production_refuses_a_public_url_that_is_missing_or_not_encrypted(
    prod: dict[str, str], url: str, came: str
) -> None:
    message = refused(prod | {"FLASHCUR_PUBLIC_URL": url})
    assert message.startswith("FLASHCUR_PUBLIC_URL: expected https://… in prod")
    assert message.endswith(came)


@pytest.mark.parametrize("module", ["serve", "migrate", "engine", "accounts"])
def test_every_command_of_production_says_it_in_a_line_and_ends_with_2(prod: dict[str, str], module: str) -> None:
    del prod["FLASHCUR_PUBLIC_URL"]
    command = [sys.executable, "-m", f"flashcur.{module}", *(["sign-out", "--all"] if module == "accounts" else [])]
    done = subprocess.run(command, cwd=ROOT, env=prod, capture_output=True, text=True)
    (line,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (2, "")
    assert line.startswith("flashcur: FLASHCUR_PUBLIC_URL: expected https://")


@pytest.mark.parametrize(
    ("typed", "host"),
    [("0.0.0.0", "0.0.0.0"), ("LOCALHOST", "127.0.0.1"), ("::", "::"), ("FD00:0::1", "fd00::1"), ("", "127.0.0.1")],
)
def test_the_server_listens_where_it_is_told(environ: dict[str, str], typed: str, host: str) -> None:
    assert Settings.load(environ | {"FLASHCUR_HOST": typed}).host == host


@pytest.mark.parametrize("token", ["short", "please-change-me-please-change-me-now", "ab" * 20])
def test_a_token_that_can_be_guessed_is_refused_and_not_shown(environ: dict[str, str], token: str) -> None:
    message = refused(environ | {"FLASHCUR_OPERATOR_TOKEN": token})
    assert message.startswith("FLASHCUR_OPERATOR_TOKEN: expected 32 random characters")
    assert token not in message


@pytest.mark.parametrize("key", ["short", "A" * 43, "_" * 43, "A" * 42 + "!", "ä" * 43, "A" * 44 + "=="])
def test_what_is_no_key_of_web_push_is_refused_and_not_shown(environ: dict[str, str], key: str) -> None:
    said = refused({**environ, "VAPID_PRIVATE_KEY": key})
    assert said.startswith("VAPID_PRIVATE_KEY: expected a private key of 32 bytes")
    assert key not in said


def test_web_push_has_a_key_in_development_and_needs_one_in_production(
    environ: dict[str, str], prod: dict[str, str]
) -> None:
    made = Settings.load(environ).web_push
    assert made == Settings.load(environ).web_push
    assert made.private_key is not None
    assert Settings.load({**environ, "FLASHCUR_SECRET_KEY": "another " * 6}).web_push.private_key != made.private_key
    assert Settings.load(prod).web_push.private_key is None
    # A made one is what the setting takes.
    given = Settings.load({**prod, "VAPID_PRIVATE_KEY": made.private_key.reveal() + "="}).web_push
    assert given.private_key == made.private_key


def test_push_services_are_told_whom_to_write_to(prod: dict[str, str]) -> None:
    assert Settings.load(prod).web_push.subject == prod["FLASHCUR_PUBLIC_URL"]
    assert Settings.load({**prod, "FLASHCUR_FROM_EMAIL": "Post@a.example"}).web_push.subject == "mailto:post@a.example"
    given = {**prod, "FLASHCUR_FROM_EMAIL": "post@a.example", "VAPID_SUBJECT": "https://a.example/contact"}
    assert Settings.load(given).web_push.subject == "https://a.example/contact"


def test_several_workers_need_redis(environ: dict[str, str]) -> None:
    assert refused(environ | {"WEB_CONCURRENCY": "2"}) == "WEB_CONCURRENCY: expected 1 without REDIS_URL, was 2"
    assert Settings.load(environ | {"WEB_CONCURRENCY": "2", "REDIS_URL": "redis://127.0.0.1"}).workers == 2


def test_production_refuses_a_plan_for_everybody(prod: dict[str, str]) -> None:
    assert refused(prod | {"FLASHCUR_DEV_AUDIENCE": "elite"}).startswith("FLASHCUR_DEV_AUDIENCE: ")


def test_development_makes_a_secret_once(tmp_path: Path) -> None:
    environ = {"FLASHCUR_DATA_DIR": str(tmp_path / "data")}
    with ThreadPoolExecutor(8) as threads:
        keys = set(threads.map(lambda _: Settings.load(environ).secret_key, range(16)))
    assert len(keys) == 1
    file = tmp_path / "data" / "secret_key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text().strip() == keys.pop().reveal()
    assert [path.name for path in file.parent.iterdir()] == ["secret_key"]


def test_a_data_directory_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    assert refused({"FLASHCUR_DATA_DIR": str(tmp_path / "data")}).startswith("FLASHCUR_DATA_DIR: expected a writable")


def test_secrets_do_not_print(environ: dict[str, str]) -> None:
    settings = Settings.load(
        environ
        | {
            "STRIPE_SECRET_KEY": "sk_test_hunter2",
            "DATABASE_URL": "postgresql://u:hunter2@h/d",
            "REDIS_URL": "redis://:hunter2@h",
        }
    )
    shown = f"{settings} {settings!r} {settings.stripe.secret_key} {settings.secret_key:>5}"
    assert "hunter2" not in shown
    assert environ["FLASHCUR_SECRET_KEY"] not in shown
    assert settings.stripe.secret_key == Secret("sk_test_hunter2")


@pytest.mark.parametrize(
    ("key", "live"), [("sk_test_1", False), ("rk_test_1", False), ("sk_live_1", True), ("rk_live_1", True), ("", None)]
)
def test_a_key_of_stripe_s_says_whether_payments_are_live(prod: dict[str, str], key: str, live: bool | None) -> None:
    assert Settings.load(prod | {"STRIPE_SECRET_KEY": key}).stripe.live is live


@pytest.mark.parametrize("key", ["sk_live_hunter2", "rk_live_hunter2"])
def test_a_live_key_is_refused_outside_production(environ: dict[str, str], key: str) -> None:
    with pytest.raises(ConfigError, match="STRIPE_SECRET_KEY: expected a test key outside prod") as caught:
        Settings.load(environ | {"STRIPE_SECRET_KEY": key})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("key", ["pk_test_hunter2", "whsec_hunter2", "sk_test_", "sk_test_hunter2 x", "sk_hunter2"])
def test_what_is_no_secret_key_of_stripe_s_is_refused(environ: dict[str, str], key: str) -> None:
    with pytest.raises(ConfigError, match="STRIPE_SECRET_KEY: expected a key starting with sk_test_") as caught:
        Settings.load(environ | {"STRIPE_SECRET_KEY": key})
    assert "hunter2" not in str(caught.value)


def test_a_price_sells_one_thing(environ: dict[str, str]) -> None:
    prices = {"STRIPE_PRICE_PRO_YEARLY": "price_1,price_2", "STRIPE_PRICE_ELITE_MONTHLY": "price_3,price_1"}
    with pytest.raises(ConfigError, match="'price_1', which STRIPE_PRICE_PRO_YEARLY has too"):
        Settings.load(environ | prices)


def test_settings_are_frozen(settings: Settings) -> None:
    with pytest.raises(AttributeError):
        settings.port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("env", "file", "expected"),
    [
        ({}, "PORT=1234\n", 1234),
        ({"PORT": "99"}, "PORT=1234\n", 99),
        (PROD, "PORT=1234\n", 8000),
    ],
)
def test_a_file_completes_the_environment_in_development_only(
    env: dict[str, str], file: str, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for setting in SETTINGS:
        monkeypatch.delenv(setting.name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(file)
    assert Settings.load().port == expected
    assert "PORT" not in os.environ or os.environ["PORT"] == env["PORT"]


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_is_read(setting: Setting[object], environ: dict[str, str]) -> None:
    """A listed setting that nothing reads would be documented and without effect."""
    seen: set[str] = set()

    class Recorder(dict[str, str]):
        def get(self, key: str, default: str = "") -> str:  # type: ignore[override]
            seen.add(key)
            return super().get(key, default)

    Settings.load(Recorder(environ))
    assert setting.name in seen


def test_the_table_is_printed_by_the_module() -> None:
    command = [sys.executable, "-m", "flashcur.settings"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert all(f"| `{setting.name}` |" in shown for setting in SETTINGS)


def test_development_serves_localhost_and_its_number_alike(settings: Settings) -> None:
    found = addresses(settings, page_port=3000, backend_port=8000)
    assert (found.page, found.backend) == ("http://localhost:3000", "http://localhost:8000")
    assert {"http://localhost:3000", "http://127.0.0.1:3000"} <= set(found.allowed_origins)


def test_one_port_serves_page_and_socket(settings: Settings) -> None:
    found = addresses(settings, page_port=9000, backend_port=9000)
    assert found.page == found.backend == "http://localhost:9000"
    assert set(found.allowed_origins) == {"http://localhost:9000", "http://127.0.0.1:9000"}


@pytest.mark.parametrize(
    ("typed", "spelled"),
    [
        ("http://LocalHost:8300", "http://localhost:8300"),
        ("https://flashcur.example:443", "https://flashcur.example"),
        ("http://flashcur.example:80/", "http://flashcur.example"),
        ("http://flashcur.example:08300", "http://flashcur.example:8300"),
        ("HTTPS://Flashcur.Example", "https://flashcur.example"),
        ("https://BÜCHER.example", "https://xn--bcher-kva.example"),
        ("https://例え.テスト:8443", "https://xn--r8jz45g.xn--zckzah:8443"),
        ("http://[FD00:0::1]:3000", "http://[fd00::1]:3000"),
        ("http://127.1:8000", "http://127.0.0.1:8000"),
    ],
)
def test_the_public_url_is_spelled_as_browsers_send_it(environ: dict[str, str], typed: str, spelled: str) -> None:
    settings = Settings.load(environ | {"FLASHCUR_PUBLIC_URL": typed})
    assert settings.public_url == spelled
    assert spelled in addresses(settings, page_port=8000, backend_port=8000).allowed_origins


def test_a_default_port_is_left_out_of_every_origin(settings: Settings) -> None:
    found = addresses(settings, page_port=80, backend_port=8000)
    assert (found.page, found.backend) == ("http://localhost", "http://localhost:8000")
    assert {"http://localhost", "http://127.0.0.1"} <= set(found.allowed_origins)


@pytest.mark.parametrize(
    ("address", "port"),
    [
        ("http://localhost", 80),
        ("https://x.example", 443),
        ("http://localhost:8000", 8000),
        ("http://[fd00::1]:81", 81),
    ],
)
def test_an_address_has_a_port_also_where_it_is_left_out(address: str, port: int) -> None:
    assert port_of(address) == port


def test_the_public_url_decides(environ: dict[str, str], prod: dict[str, str]) -> None:
    public = {"FLASHCUR_PUBLIC_URL": "https://flashcur.example"}
    found = addresses(Settings.load(prod | public), page_port=8000, backend_port=8000)
    assert found.page == found.backend == "https://flashcur.example"
    assert found.allowed_origins == ("https://flashcur.example",)
    lan = addresses(
        Settings.load(environ | {"FLASHCUR_PUBLIC_URL": "http://[fd00::1]:3000"}), page_port=3000, backend_port=8000
    )
    assert lan.backend == "http://[fd00::1]:8000"


def test_the_server_reflex_chooses_is_pinned() -> None:
    """With both uvicorn and gunicorn installed Reflex leaves granian, whose behaviour ours is tested with."""
    with pytest.raises(PackageNotFoundError):
        version("gunicorn")


def test_every_requirement_is_pinned_exactly() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        lines = [line.split("#")[0].strip() for line in (ROOT / name).read_text().splitlines()]
        loose = [line for line in lines if line and not line.startswith("-r ") and "==" not in line]
        assert loose == []


def test_what_the_customer_names_is_required() -> None:
    named = ["reflex", "sqlmodel", "psycopg", "redis", "ccxt", "stripe", "web3", "sendgrid", "twilio", "apscheduler"]
    required = {
        line.split("==")[0].split("[")[0].lower() for line in (ROOT / "requirements.txt").read_text().splitlines()
    }
    assert set(named) <= required
