"""Secrets: values that do not print, where the development key comes from, what production refuses."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import os
import secrets
import tempfile
from pathlib import Path

from flashcur.errors import ConfigError

MIN_SECRET_CHARS = 32
"""256 bits as 64 hex digits is what the docs recommend; 32 characters is the least that is accepted."""

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Private keys of the curve P-256 are the numbers from 1 to one below this."""

_PLACEHOLDER_WORDS = ("change", "placeholder", "example", "secret", "password", "default", "your", "insecure", "dummy")


class Secret:
    """A text that shows as `***` wherever it is printed, logged or formatted; `reveal()` gives it out."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The text itself."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    def __str__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return format("***", spec)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not pickled: pass the settings, not their copy")


def weakness(value: str) -> str | None:
    """Why `value` cannot sign sessions in production, or None when it can."""
    if len(value) < MIN_SECRET_CHARS:
        return f"it has {len(value)} characters"
    if any(word in value.lower() for word in _PLACEHOLDER_WORDS):
        return "it reads like a placeholder"
    if len(set(value)) < 8:
        return "it repeats a few characters"
    return None


def development_secret(data_dir: Path) -> Secret:
    """The key kept in `data_dir/secret_key`, made on first use and readable by its owner only.

    Raises ConfigError when the directory cannot be written.
    """
    target = data_dir / "secret_key"
    try:
        if not target.exists():
            data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            _create_once(target)
        value = target.read_text().strip()
    except OSError as error:
        raise ConfigError(
            f"FLASHCUR_DATA_DIR: expected a writable directory, was {str(data_dir)!r} ({error.strerror})"
        ) from error
    if not value:
        raise ConfigError(f"{target}: expected a generated key, was empty; delete the file and start again")
    return Secret(value)


def development_vapid_key(secret: Secret) -> Secret:
    """The key that signs web push in development, made from the secret key, so that browsers know it after a restart:
    32 bytes as URL-safe Base64."""
    digest = hmac.digest(secret.reveal().encode(), b"vapid", hashlib.sha512)
    value = 1 + int.from_bytes(digest) % (P256_ORDER - 1)
    return Secret(base64.urlsafe_b64encode(value.to_bytes(32)).decode().rstrip("="))


def _create_once(target: Path) -> None:
    """Write a new key whole or not at all: of several processes starting together one wins, the others read its key."""
    # A name of its own for each caller, threads included; mkstemp makes it readable by its owner only.
    descriptor, name = tempfile.mkstemp(prefix=".secret_key.", dir=target.parent)
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32) + "\n")
        with contextlib.suppress(FileExistsError):
            os.link(draft, target)
    finally:
        draft.unlink(missing_ok=True)
