"""Ethereum wallets: those that belong to accounts, and the texts they are asked to sign."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Text
from sqlmodel import Field

from flashcur.models.base import Table, UtcDateTime


class Wallet(Table, table=True):
    """An address signs in to one account, whatever chain it is on."""

    address: str = Field(primary_key=True, max_length=42)
    """`0x` and 40 hex digits, in checksum case (EIP-55)."""
    account_id: str = Field(foreign_key="account.id", ondelete="CASCADE", index=True, max_length=32)
    chain_id: int
    """EIP-155 id of the chain of the last signature; for a contract, the only one on which it signs in."""
    contract: bool = False
    """Whether a contract signs (ERC-1271). The same address on another chain may be somebody else's contract."""
    linked_at: datetime = Field(sa_type=UtcDateTime)
    used_at: datetime = Field(sa_type=UtcDateTime)


class WalletChallenge(Table, table=True):
    """An EIP-4361 text that was handed out to be signed, once."""

    nonce: str = Field(primary_key=True, max_length=32)
    text: str = Field(sa_type=Text)
    """Exactly what must be signed (`personal_sign`, EIP-191)."""
    address: str = Field(max_length=42)
    chain_id: int
    purpose: str = Field(max_length=16)
    """`sign-in` or `link`."""
    account_id: str | None = Field(
        default=None, foreign_key="account.id", ondelete="CASCADE", index=True, max_length=32
    )
    """The account that asked, for `link`."""
    browser_hash: str = Field(max_length=64)
    """SHA-256, hex, of the cookie of the browser that asked: no other browser can use the signature."""
    issued_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)
    used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
