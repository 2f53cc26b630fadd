"""The texts that wallets sign (EIP-4361): made and stored here, and handed back once."""

from __future__ import annotations

import re
import secrets
import string
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from sqlalchemy import update
from sqlmodel import Session, col

from flashcur.errors import Refusal, SignInNeeded
from flashcur.models import WalletChallenge
from flashcur.services.storage.pruning import delete_unlocked
from flashcur.settings import CHAINS

LIFETIME = timedelta(minutes=5)
KEPT_AFTER_EXPIRY = timedelta(hours=1)
"""Until then an answer that comes late is told that it is late, not that its text is unknown."""
PURPOSES = ("sign-in", "link")
"""What a signature may be for."""

_NONCE_LENGTH = 24
_NONCE_CHARACTERS = string.ascii_letters + string.digits
_NONCE = re.compile(r"[A-Za-z0-9]{8,32}")
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_STATEMENT = re.compile(r"[A-Za-z0-9 \-._~:/?#\[\]@!$&'()*+,;=]+")
"""What EIP-4361 allows: characters of a URI and spaces, on one line."""


def issue(
    session: Session,
    *,
    origin: str,
    statement: str,
    address: str,
    chain_id: int,
    purpose: str,
    account_id: str | None,
    browser_hash: str,
    now: datetime,
) -> WalletChallenge:
    """A stored text for `address` to sign within five minutes.

    `origin` is that of the page (wallets compare it with where they are asked), without a path. `account_id` is the
    account that asks; `link` needs one (SignInNeeded). Raises Refusal for an unknown chain or purpose or a wrong
    address, and ValueError for an origin or statement that EIP-4361 does not allow.
    """
    if purpose not in PURPOSES:
        raise Refusal(f"expected a purpose ({', '.join(PURPOSES)}), was {_shown(purpose)}", field="purpose")
    if account_id is None and purpose != "sign-in":
        raise SignInNeeded
    address = checksummed(address)
    if chain_id not in CHAINS:
        raise Refusal(f"expected one of the chains {_chain_list()}, was {_shown_chain(chain_id)}", field="chain_id")
    # The text has whole seconds, and the row says the same as the text.
    issued_at = now.astimezone(UTC).replace(microsecond=0)
    nonce = "".join(secrets.choice(_NONCE_CHARACTERS) for _ in range(_NONCE_LENGTH))
    challenge = WalletChallenge(
        nonce=nonce,
        text=_text(origin, statement, address, chain_id, nonce, issued_at),
        address=address,
        chain_id=chain_id,
        purpose=purpose,
        account_id=account_id,
        browser_hash=browser_hash,
        issued_at=issued_at,
        expires_at=issued_at + LIFETIME,
    )
    session.add(challenge)
    return challenge


def claim(
    session: Session,
    *,
    nonce: str,
    address: str,
    chain_id: int,
    purpose: str,
    account_id: str | None,
    browser_hash: str,
    now: datetime,
) -> WalletChallenge:
    """The text that was handed out with `nonce`, now used up. Of any number of claims of one nonce one gets it.

    `address` and `chain_id` are what the wallet has now, which may not be what it had when the text was made.
    Raises Refusal for what does not fit. A claim with the right browser, purpose and account uses the text up even when
    it is refused; any other leaves it alone, or strangers could spoil sign-ins. Catch the Refusal inside the
    transaction: one that an exception ends is rolled back, and the text could be claimed again.
    """
    # A database would stumble over some of what can be sent: NUL, half a surrogate pair.
    known = _NONCE.fullmatch(nonce)
    challenge = session.get(WalletChallenge, nonce, populate_existing=True) if known else None
    if challenge is None:
        raise Refusal("This sign-in is not known, or was too long ago: start again.", field="nonce")
    same_browser = challenge.browser_hash == browser_hash
    same_purpose = challenge.purpose == purpose and challenge.account_id == account_id
    used = challenge.used_at is not None
    if same_browser and same_purpose and not used:
        used = not _use_up(session, nonce, now)
    if used:
        raise Refusal("This signature was used already, each works once: start again.", field="nonce")
    if now >= challenge.expires_at:
        minutes = LIFETIME // timedelta(minutes=1)
        raise Refusal(f"This text was to be signed within {minutes} minutes: start again.", field="nonce")
    if not same_browser:
        raise Refusal("This text was made for another browser: start again in this one.", field="nonce")
    if challenge.address.lower() != address.lower():
        raise Refusal(
            f"Your wallet switched to {_shown(address)}: start again. The text was made for {challenge.address}.",
            field="address",
        )
    if challenge.chain_id != chain_id:
        raise Refusal(
            f"Your wallet switched to {_shown_chain(chain_id)}: start again. "
            f"The text was made for {_shown_chain(challenge.chain_id)}.",
            field="chain_id",
        )
    if challenge.purpose != purpose:
        raise Refusal(f"This text was made to {_verb(challenge.purpose)}: start again.", field="purpose")
    if challenge.account_id != account_id:
        raise Refusal("This text was made for another account: start again.", field="nonce")
    return challenge


def prune(session: Session, now: datetime) -> int:
    """Delete texts that expired more than an hour ago; the number of rows."""
    return delete_unlocked(session, WalletChallenge, col(WalletChallenge.expires_at) < now - KEPT_AFTER_EXPIRY)


def checksummed(address: str) -> str:
    """An address in checksum case (EIP-55). Raises Refusal when it is no address, or its own checksum is wrong."""
    if not _ADDRESS.fullmatch(address):
        raise Refusal(f"expected an address, 0x and 40 hex digits, was {_shown(address)}", field="address")
    # Importing it takes a quarter of a second, which only those who use wallets should wait.
    from eth_utils.address import to_checksum_address

    right = str(to_checksum_address(address))
    digits = address[2:]
    if digits not in (digits.lower(), digits.upper()) and address != right:
        raise Refusal(
            f"expected an address with a right checksum, was {address}: look for a typing error", field="address"
        )
    return right


def _use_up(session: Session, nonce: str, now: datetime) -> bool:
    """Whether it was still free: the database decides between callers, also of different processes."""
    free = update(WalletChallenge).where(col(WalletChallenge.nonce) == nonce, col(WalletChallenge.used_at).is_(None))
    return session.exec(free.values(used_at=now)).rowcount == 1


def _text(origin: str, statement: str, address: str, chain_id: int, nonce: str, issued_at: datetime) -> str:
    parts = urlsplit(origin)
    plain = origin == f"{parts.scheme}://{parts.netloc}" and "@" not in parts.netloc
    if parts.scheme not in ("http", "https") or not parts.hostname or not plain:
        raise ValueError(f"expected an origin such as https://example.org:8443, was {origin!r}")
    if not _STATEMENT.fullmatch(statement):
        raise ValueError(f"expected one line of ASCII without quotes and such, was {statement!r}")
    return (
        f"{parts.netloc} wants you to sign in with your Ethereum account:\n"
        f"{address}\n"
        "\n"
        f"{statement}\n"
        "\n"
        f"URI: {origin}\n"
        "Version: 1\n"
        f"Chain ID: {chain_id:d}\n"
        f"Nonce: {nonce}\n"
        f"Issued At: {_moment(issued_at)}\n"
        f"Expiration Time: {_moment(issued_at + LIFETIME)}"
    )


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _verb(purpose: str) -> str:
    return {"sign-in": "sign in", "link": "link a wallet"}[purpose]


def _chain_list() -> str:
    return ", ".join(f"{chain} ({name})" for chain, name in CHAINS.items())


def _shown_chain(chain_id: int) -> str:
    if chain_id in CHAINS:
        return CHAINS[chain_id]
    # Python refuses to write integers of some thousand digits.
    return f"chain {chain_id}" if abs(chain_id) < 1 << 64 else "a chain that cannot be"


def _shown(text: str) -> str:
    """What was sent, fit for a message."""
    shown = "".join(character if character.isprintable() else "?" for character in text[:50])
    return f"{shown}…" if len(text) > 50 else shown or "nothing"
