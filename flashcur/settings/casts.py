"""Turn the text of an environment variable into a value, or say what was expected.

A cast takes the text (never blank) and returns the value; it raises `ValueError` with the words that follow
"expected", for example "a whole number from 1 to 5000". The reader of the settings adds the variable's name and
what came instead.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import ipaddress
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from ada_url import URL

from flashcur.settings.idn import ascii_address
from flashcur.settings.secret import MIN_SECRET_CHARS, P256_ORDER, Secret, weakness


def text(raw: str) -> str:
    """The text as it is."""
    return raw


def path(raw: str) -> Path:
    """A path, `~` expanded; it need not exist."""
    return Path(raw).expanduser()


def choice(*allowed: str) -> Callable[[str], str]:
    """A cast to one of `allowed`, in any case; the value is in lower case."""

    def cast(raw: str) -> str:
        value = raw.lower()
        if value not in allowed:
            raise ValueError(f"one of {', '.join(allowed)}")
        return value

    return cast


def switch(raw: str) -> bool:
    """`on` or `off`, in any case."""
    return choice("on", "off")(raw) == "on"


def integer(low: int, high: int) -> Callable[[str], int]:
    """A cast to a whole number from `low` to `high`, both included; `_` may group digits."""

    def cast(raw: str) -> int:
        try:
            value = int(raw.replace("_", ""))
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return value

    return cast


def number(low: float) -> Callable[[str], float]:
    """A cast to a finite number of at least `low`."""

    def cast(raw: str) -> float:
        try:
            value = float(raw)
        except ValueError:
            value = math.nan
        # NaN compares false with everything, so it fails here too.
        if not (value >= low and math.isfinite(value)):
            raise ValueError(f"a number of at least {low:g}")
        return value

    return cast


def words(allowed: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    """A cast to the words of a comma-separated list: distinct, at least one, out of `allowed`, order kept."""

    def cast(raw: str) -> tuple[str, ...]:
        values = tuple(word.strip().lower() for word in raw.split(",") if word.strip())
        if not values or len(set(values)) != len(values) or not set(values) <= set(allowed):
            raise ValueError(f"a comma-separated list out of {', '.join(allowed)}, each at most once")
        return values

    return cast


def email(raw: str) -> str:
    """An email address in lower case, its domain in ASCII; only its form is looked at."""
    local, at, host = raw.strip().rpartition("@")
    if not (local and at and host) or any(character.isspace() for character in local + host):
        raise ValueError("an email address")
    try:
        return ascii_address(raw.strip().lower())
    except ValueError:
        raise ValueError("an email address") from None


def emails(raw: str) -> tuple[str, ...]:
    """The addresses of a comma-separated list, in lower case."""
    try:
        return tuple(email(address) for address in raw.split(",") if address.strip())
    except ValueError:
        raise ValueError("email addresses separated by commas") from None


def phone(raw: str) -> str:
    """A phone number in E.164 form: `+` and 7 to 15 digits."""
    if not re.fullmatch(r"\+[1-9][0-9]{6,14}", raw):
        raise ValueError("a phone number as + and 7 to 15 digits")
    return raw


def url(*schemes: str) -> Callable[[str], str]:
    """A cast to an absolute URL of one of `schemes`, with a host, without query; trailing slashes are dropped."""

    def cast(raw: str) -> str:
        parts = _split(raw)
        if parts is None or parts.scheme not in schemes or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"a URL starting with {' or '.join(f'{scheme}://' for scheme in schemes)}")
        return raw.rstrip("/")

    return cast


def rpc_url(raw: str) -> str:
    """A URL whose path and query are the operator's own: providers put their keys there."""
    parts = _split(raw)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname or parts.fragment:
        raise ValueError("a URL starting with http:// or https://")
    return raw


def ip_address(raw: str) -> str:
    """An IP address to listen on, in its usual spelling; `localhost` is 127.0.0.1."""
    try:
        return str(ipaddress.ip_address("127.0.0.1" if raw.lower() == "localhost" else raw))
    except ValueError:
        raise ValueError("an IP address of this machine, or 0.0.0.0 for all of them") from None


def random_secret(raw: str) -> Secret:
    """A secret that cannot be guessed."""
    if reason := weakness(raw):
        raise ValueError(f"{MIN_SECRET_CHARS} random characters or more (openssl rand -hex 32), but {reason}")
    return Secret(raw)


def stripe_key(raw: str) -> Secret:
    """A secret or restricted key of Stripe's; it says itself whether its payments are live."""
    if not re.fullmatch(r"(sk|rk)_(test|live)_\w+", raw, re.ASCII):
        raise ValueError("a key starting with sk_test_, sk_live_, rk_test_ or rk_live_")
    return Secret(raw)


def price_ids(raw: str) -> tuple[str, ...]:
    """One or more of Stripe's price ids, separated by commas, each once."""
    found = tuple(part.strip() for part in raw.split(","))
    if not all(re.fullmatch(r"\w+", each, re.ASCII) for each in found) or len(set(found)) < len(found):
        raise ValueError("price ids such as price_1AbC, separated by commas, each at most once")
    return found


def public_key(raw: str) -> str:
    """A public key as its provider shows it: the Base64 of its DER form, without the lines around it."""
    if not re.fullmatch(r"[A-Za-z0-9+/]{80,400}={0,2}", raw):
        raise ValueError("the key in Base64, as it is shown, without BEGIN and END")
    return raw


def vapid_key(raw: str) -> Secret:
    """The private key that signs web push: 32 bytes as URL-safe Base64, which are a number below the curve's order."""
    try:
        value = base64.urlsafe_b64decode(raw + "=" * (-len(raw) % 4)) if re.fullmatch(r"[A-Za-z0-9_-]+=?", raw) else b""
    except binascii.Error:
        value = b""
    if len(value) != 32 or not 0 < int.from_bytes(value) < P256_ORDER:
        raise ValueError("a private key of 32 bytes as URL-safe Base64 (npx web-push generate-vapid-keys)")
    return Secret(raw.rstrip("="))


def vapid_subject(raw: str) -> str:
    """`mailto:` and an address, or an `https://` URL with a host that has a dot, as push services demand."""
    if raw.lower().startswith("mailto:"):
        with contextlib.suppress(ValueError):
            return f"mailto:{email(raw[len('mailto:') :])}"
    else:
        parts = _split(raw)
        if parts is not None and parts.scheme == "https" and "." in (parts.hostname or ""):
            return raw
    raise ValueError("mailto: and an email address, or a URL starting with https://")


def telegram_secret(raw: str) -> Secret:
    """A word that Telegram takes for a webhook's, long enough that nobody guesses it."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{16,256}", raw):
        raise ValueError("16 to 256 letters, digits, _ and - (openssl rand -hex 32)")
    return Secret(raw)


def origin(raw: str) -> str:
    """Scheme, host and optional port, without a path, spelled as browsers send it in `Origin`.

    What browsers take for the same is taken too and spelled their way (WHATWG URL): the host in lower case and ASCII,
    no default port, no zeros before a port. A socket is refused where the two differ by a letter.
    """
    try:
        # Browsers would mend a missing slash and drop spaces; in a setting those are mistakes.
        parsed = URL(raw) if re.match(r"https?://[^\s\\]+\Z", raw, re.IGNORECASE) else None
    except ValueError:
        parsed = None
    if parsed is None or not parsed.hostname or parsed.pathname != "/" or re.search(r"[?#]", raw):
        raise ValueError("scheme://host[:port] without a path, such as https://flashcur.example")
    if parsed.username or parsed.password or "@" in raw:
        raise ValueError("scheme://host[:port] without a user, such as https://flashcur.example")
    if re.fullmatch(r"(?!\[)(.*\.\..*|\..*|.*\.)", parsed.hostname):
        raise ValueError("a host without empty parts, such as https://flashcur.example")
    return parsed.origin


def database_url(raw: str) -> str:
    """An SQLAlchemy URL of SQLite or PostgreSQL; the plain PostgreSQL schemes get the psycopg driver."""
    for plain in ("postgres://", "postgresql://"):
        if raw.startswith(plain):
            raw = "postgresql+psycopg://" + raw.removeprefix(plain)
    parts = _split(raw)
    if raw.startswith("sqlite:///") and raw not in ("sqlite:///", "sqlite:///:memory:"):
        return raw
    if parts is None or parts.scheme != "postgresql+psycopg" or not parts.path.strip("/"):
        raise ValueError("sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE")
    return raw


def redis_url(raw: str) -> str:
    """A URL of Redis: `redis://`, `rediss://` (TLS) or `unix://`."""
    parts = _split(raw)
    if parts is None or parts.scheme not in ("redis", "rediss", "unix") or not (parts.hostname or parts.path):
        raise ValueError("redis://HOST:PORT/NUMBER, rediss://… or unix://PATH")
    return raw


def _split(raw: str) -> SplitResult | None:
    try:
        parts = urlsplit(raw)
        _ = parts.port  # raises on a port that is no number
    except ValueError:
        return None
    return parts
