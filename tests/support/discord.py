"""A server that executes Discord's webhooks, within the limits that Discord documents."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.vendor import Reply, Request, Vendor, json_reply

WEBHOOK_ID, WEBHOOK_TOKEN = "123456789012345678", "t" * 60 + "_-ABCD12"
WEBHOOK = f"https://discord.com/api/webhooks/{WEBHOOK_ID}/{WEBHOOK_TOKEN}"


class DiscordServer(Vendor):
    def __init__(self) -> None:
        super().__init__()
        self.messages: list[dict[str, Any]] = []

    def respond(self, request: Request) -> Reply:
        parts = urlsplit(request.path)
        if parts.path != f"/api/v10/webhooks/{WEBHOOK_ID}/{WEBHOOK_TOKEN}":
            return json_reply({"message": "Unknown Webhook", "code": 10015}, 404)
        body = request.json
        if problem := _problem(body):
            return json_reply({"message": "Invalid Form Body", "code": 50035, "errors": problem}, 400)
        self.messages.append(body)
        if parse_qs(parts.query).get("wait") == ["true"]:
            return json_reply({"id": str(10**18 + len(self.messages)), "content": body["content"]})
        return Reply(204)


def _problem(body: dict[str, Any]) -> dict[str, str]:
    wrong: dict[str, str] = {}
    embeds = body.get("embeds", [])
    if not body.get("content", "").strip() and not embeds:
        wrong["content"] = "Cannot send an empty message"
    if _units(body.get("content", "")) > 2000:
        wrong["content"] = "Must be 2000 or fewer in length."
    if len(embeds) > 10:
        wrong["embeds"] = "Must be 10 or fewer in length."
    for embed in embeds:
        if not 1 <= _units(embed["description"]) <= 4096:
            wrong["description"] = "Must be 4096 or fewer in length."
    if sum(_units(embed.get("title", "") + embed["description"]) for embed in embeds) > 6000:
        wrong["embeds"] = "Embed size exceeds maximum size of 6000"
    if not set(body.get("allowed_mentions", {}).get("parse", ["everyone"])) <= {"roles", "users", "everyone"}:
        wrong["allowed_mentions"] = "unknown kind"
    return wrong


def read_markdown(text: str) -> str:
    """A line as Discord shows it. Raises ValueError where something in it is markup."""
    shown = ""
    for part in re.findall(r"\\[^0-9A-Za-z\s]|.", text, re.DOTALL):
        if len(part) == 2:
            shown += part[1]
        elif part in "*_~`|<>[]()#" or (part in "-+" and not shown):
            raise ValueError(f"markup: {text!r}")
        elif part == "." and shown.isdecimal() and shown.isascii():
            raise ValueError(f"a list: {text!r}")
        else:
            shown += part
    return shown


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def limited(retry_after: float, **more: Any) -> Reply:
    """What Discord says of too many messages; it tells the wait in the body alone."""
    return json_reply(
        {"message": "You are being rate limited.", "retry_after": retry_after, "global": False} | more, 429
    )
