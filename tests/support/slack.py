"""A server that takes what Slack's incoming webhooks take, and says what they say."""

from __future__ import annotations

import html
from typing import Any

from tests.support.vendor import Reply, Request, Vendor

WEBHOOK_PATH = "/services/T0123ABCD/B0123ABCD/abcdefghijklmnopqrstuvwx"
WEBHOOK = f"https://hooks.slack.com{WEBHOOK_PATH}"


class SlackServer(Vendor):
    def __init__(self) -> None:
        super().__init__()
        self.messages: list[dict[str, Any]] = []

    def respond(self, request: Request) -> Reply:
        if request.path != WEBHOOK_PATH:
            return Reply(404, body=b"no_service")
        try:
            body = request.json
            shown(body)
        except (ValueError, KeyError, TypeError):
            return Reply(400, body=b"invalid_payload")
        self.messages.append(body)
        return Reply(200, {"Content-Type": "text/html"}, b"ok")


def shown(body: dict[str, Any]) -> tuple[str, str, list[tuple[str, str]]]:
    """(notification, text, links) as people see them. Raises ValueError for what Slack would refuse, or take for
    markup."""
    text = body["text"]
    if any(char in html.unescape(text.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "")) for char in "<>&"):
        raise ValueError(f"expected & < > to be escaped, was {text!r}")
    if body["mrkdwn"] is not False or body["unfurl_links"] or body["unfurl_media"]:
        raise ValueError("expected no markup and no previews")
    told, links = "", list[tuple[str, str]]()
    for block in body["blocks"]:
        if block["type"] != "rich_text":
            raise ValueError(block["type"])
        for section in block["elements"]:
            if section["type"] != "rich_text_section":
                raise ValueError(section["type"])
            for element in section["elements"]:
                if not element["text"]:
                    raise ValueError("must be more than 0 characters")
                told += element["text"]
                if element["type"] == "link":
                    links.append((element["text"], element["url"]))
    if len(told) > 3000:
        raise ValueError("must be less than 3001 characters")
    return html.unescape(text), told, links
