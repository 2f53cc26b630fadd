"""What a page's message looks like; anything else is refused before Reflex sees it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from socketio.packet import CONNECT, DISCONNECT, EVENT, Packet

NAMESPACE = "/_event"

MAX_MESSAGE = 64 * 1024
"""Characters. The largest that a page of ours sends is its greeting, at some 2 kB."""
MAX_NAME = 200
MAX_PATH = 16 * 1024
"""An address with its query: what somebody typed into the search field is in it."""
MAX_PAGE = 200
"""Characters of a page's path; a longer one is of no page."""
READ_QUERY = frozenset({"welcome"})
"""The parameters of an address that a state reads."""
MAX_DEPTH = 16
MAX_INTEGER = 2**53
"""The largest that JavaScript sends exactly."""

_EVENTS = ("event", "client_error")
_ROUTER_KEYS = {"pathname", "asPath", "query"}


class Malformed(ValueError):
    """A packet that no page of ours sends."""


class CheckedPacket(Packet):
    """A Socket.IO packet; one that comes in is decoded only as far as it is one that a page sends.

    Without attachments: the number that a packet announces is held in memory until they are there.
    """

    def decode(self, encoded_packet: str) -> int:
        if encoded_packet[:1] not in ("0", "1", "2"):
            raise Malformed("a packet of an unused kind")
        try:
            super().decode(encoded_packet)
        except (ValueError, TypeError, IndexError, KeyError, RecursionError) as error:
            raise Malformed(f"a packet that cannot be decoded ({type(error).__name__})") from None
        if fault := _fault_in_packet(self.packet_type, self.namespace, self.data):
            raise Malformed(fault)
        return 0


def _fault_in_packet(kind: int, namespace: str | None, data: Any) -> str | None:
    if namespace != NAMESPACE:
        return "a packet for another namespace"
    if kind == DISCONNECT:
        return None
    if kind == CONNECT:
        return fault_in_value(data) if data is None or isinstance(data, dict) else "a greeting that is no object"
    assert kind == EVENT
    if not isinstance(data, list) or len(data) != 2 or data[0] not in _EVENTS:
        return "an unknown Socket.IO event"
    return fault_in_value(data[1])


def fault_in_value(value: Any) -> str | None:
    """What in a JSON value would break what comes after it (databases, encoders, logs), or None."""
    todo = [(value, 0)]
    while todo:
        item, depth = todo.pop()
        if isinstance(item, str):
            if "\0" in item or not (item.isascii() or _encodes(item)):
                return "a text with characters that are none"
        elif isinstance(item, float):
            if not math.isfinite(item):
                return "a number that is none"
        elif isinstance(item, int):
            if abs(item) > MAX_INTEGER:
                return "a number that is too large"
        elif isinstance(item, (dict, list)):
            if depth == MAX_DEPTH:
                return "values nested too deeply"
            if isinstance(item, dict):
                todo += [(key, depth) for key in item]
                item = item.values()
            todo += [(inner, depth + 1) for inner in item]
    return None


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def fault_in(event: Any) -> str | None:
    """What makes a Reflex event malformed, or None."""
    if not isinstance(event, dict):
        return f"an event that is no object but {type(event).__name__}"
    name, payload, router = event.get("name"), event.get("payload", {}), event.get("router_data", {})
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME:
        return "an event without a fit name"
    if not isinstance(payload, dict):
        return f"a payload that is no object but {type(payload).__name__}"
    if not isinstance(router, dict):
        return f"router data that are no object but {type(router).__name__}"
    return _fault_in_router(router)


def _fault_in_router(router: dict[str, Any]) -> str | None:
    if not router.keys() <= _ROUTER_KEYS:
        return "router data with unknown keys"
    for key in ("pathname", "asPath"):
        path = router.get(key, "")
        if not isinstance(path, str) or len(path) > MAX_PATH or not _splits(path):
            return f"router data with an unfit {key}"
    query = router.get("query", {})
    if not isinstance(query, dict) or not all(isinstance(value, (str, list)) for value in query.values()):
        return "router data with an unfit query"
    return None


def page_of(router: dict[str, Any], is_page: Callable[[str], bool]) -> dict[str, Any]:
    """What Reflex is to know of the address of a page: its path, and of its query what a state reads.

    It keeps the address with a tab's state, several times over and in Redis. The rest of it is a visitor's own: what
    they typed into the search field, the code of a mailed link behind its `#`. A path of no page is that of `/404`.
    """
    if "pathname" not in router:
        return {}
    path: str = router["pathname"]
    # Reflex remembers the answers for thousands of paths.
    if len(path) > MAX_PAGE or not is_page(path):
        path = "/404"
    query: dict[str, Any] = router.get("query", {})
    read = [f"{name}=1" for name in sorted(READ_QUERY) if query.get(name)]
    return {"pathname": path, "asPath": f"{path}?{'&'.join(read)}" if read else path, "query": {}}


def _splits(path: str) -> bool:
    try:
        urlsplit(path)
    except ValueError:
        return False
    return True
