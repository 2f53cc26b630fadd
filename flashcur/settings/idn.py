"""Email addresses whose domain is not ASCII: one spelling to keep and to send to, another one to show."""

from __future__ import annotations

import idna


def ascii_address(address: str) -> str:
    """The address with its domain as mail servers know it (IDNA 2008): `user@xn--bcher-kva.de` for `user@bücher.de`.

    Raises ValueError for a domain that cannot be one.
    """
    local, at, host = address.rpartition("@")
    # What is ASCII is left alone: names inside a network have forms that the standard does not know.
    return address if host.isascii() else f"{local}{at}{idna.encode(host, uts46=True).decode()}"


def shown_address(address: str) -> str:
    """The address as its owner writes it, the opposite of `ascii_address`. Never raises."""
    local, at, host = address.rpartition("@")
    if "xn--" not in host:
        return address
    try:
        return f"{local}{at}{idna.decode(host)}"
    except idna.IDNAError:
        return address
