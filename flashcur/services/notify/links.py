"""Links in mail: an id, and a code that only who knows the secret key can compute.

The database holds the id alone, so neither it nor a queued mail opens anything.
"""

from __future__ import annotations

import hashlib
import hmac
import re

from flashcur.settings import Secret

_FORM = re.compile(r"([0-9a-f]{32})([0-9a-f]{32})")


def make_token(secret: Secret, purpose: str, token_id: str) -> str:
    """The token of a link: 64 hex digits, the row's id and its code."""
    return token_id + link_code(secret, purpose, token_id)


def read_token(secret: Secret, purpose: str, token: str) -> str | None:
    """The row's id in a token, or None when it was not made by us for this purpose."""
    match = _FORM.fullmatch(token)
    if match is None or not hmac.compare_digest(match[2], link_code(secret, purpose, match[1])):
        return None
    return match[1]


def link_code(secret: Secret, purpose: str, token_id: str) -> str:
    """The part of a token that is computed, 32 hex digits: the same each time, until there is another key."""
    key = secret.reveal().encode()
    return hmac.new(key, f"mail link\0{purpose}\0{token_id}".encode(), hashlib.sha256).hexdigest()[:32]
