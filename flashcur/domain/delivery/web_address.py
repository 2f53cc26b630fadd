"""Addresses on the web that people give us: which may be called from our network, and which lead into it.

`ipaddress.is_global` takes NAT64, 6to4, multicast and some more for global, so networks are named one by one here.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from ada_url import URL

MAX_CHARS = 2000
PORTS = (443, 8443)
"""Ports that others' servers are called at: those of HTTPS. Anything else would make us a scanner of their ports."""

_SHUT = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's virtual host
        "169.254.0.0/16",  # link-local, metadata of clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
        "2001::/23",  # protocol assignments, Teredo
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: any IPv4 address inside
        "3fff::/20",  # documentation
    )
)
_GLOBAL_IPV6 = ipaddress.ip_network("2000::/3")
"""Outside of it is loopback, private, link-local, multicast, NAT64 (`64:ff9b::/96`), mapped IPv4, or not assigned."""
_LOCAL_NAMES = ("localhost", "local", "localdomain", "internal", "intranet", "lan", "home.arpa", "onion")


@dataclass(frozen=True, slots=True)
class WebAddress:
    """An address that may be called, as far as its spelling tells: where its name leads is checked when dialling."""

    url: str
    """Spelled as browsers do (WHATWG): host in lower case and ASCII, path and query escaped."""
    host: str
    """Without brackets."""


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet. False for what is none; a zone (`%eth0`) makes it none."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and (parsed.scope_id is not None or parsed not in _GLOBAL_IPV6):
        return False
    return not any(parsed in network for network in _SHUT)


def read_web_address(text: str, *, private: bool = False) -> WebAddress:
    """The address in `text`. `private`: for development, with `http:`, any port and any host too.

    Raises ValueError with the words that follow "expected" and what came.
    """
    text = text.strip()
    if len(text) > MAX_CHARS:
        raise ValueError(f"an address of at most {MAX_CHARS:,} characters, was {len(text):,}")
    # Browsers drop tabs and line ends and turn backslashes round; in an address that somebody pastes they are mistakes.
    scheme = "https?" if private else "https"
    parsed = None
    if re.fullmatch(scheme + r"://[^\s\\\x00-\x20\x7f]+", text, re.IGNORECASE):
        try:
            parsed = URL(text)
        except ValueError:
            parsed = None
    if parsed is None or not parsed.hostname or not parsed.href.isascii():
        raise ValueError(f"an address that begins with https://, was {_shown(text)}")
    if parsed.username or parsed.password:
        raise ValueError("an address without a user name and password in it")
    if parsed.hash or text.endswith("#"):
        raise ValueError("an address without #")
    host = parsed.hostname.removeprefix("[").removesuffix("]")
    if not private:
        _check_host(host, _written_host(text))
        if int(parsed.port or 443) not in PORTS:
            raise ValueError(f"an address with port {' or '.join(map(str, PORTS))}, was {parsed.port}")
    return WebAddress(parsed.href, host)


def _check_host(host: str, written: str) -> None:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        labels = host.split(".")
        local = any(host == name or host.endswith("." + name) for name in _LOCAL_NAMES)
        if len(labels) < 2 or "" in labels or local:
            raise ValueError(f"the address of a server on the public internet, was {_shown(host)}") from None
        return
    # 0x7f.1, 2130706433 and 0177.0.0.1 are all read as 127.0.0.1: nobody means well who writes an address like that.
    plain = written.removeprefix("[").removesuffix("]").lower()
    if not is_public(host) or (":" not in host and plain != host):
        raise ValueError(f"the address of a server on the public internet, was {_shown(written)}")


def _written_host(text: str) -> str:
    """The host as it was typed."""
    authority = re.split(r"[/?#]", text.partition("://")[2], maxsplit=1)[0].rpartition("@")[2]
    return re.sub(r":[0-9]*\Z", "", authority)


def _shown(text: str) -> str:
    """Enough of it to be recognised; what follows may be secret."""
    return repr(text if len(text) <= 40 else f"{text[:40]}…")
