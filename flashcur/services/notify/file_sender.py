"""Mail of a developer's machine: one file a mail, which any mail program opens."""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from datetime import datetime
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime
from itertools import count
from pathlib import Path

from flashcur.errors import DeliveryError, Refused
from flashcur.services.kit.clock import utc_now
from flashcur.services.notify.templates import Rendered

_POLICY = policy.default.clone(max_line_length=998)
"""The longest line of RFC 5322: a header that is folded sooner may come apart in a link, or become encoded words."""
MAX_NAME_CHARS = 100
"""Of the recipient in a file's name; file systems take 255 bytes in all."""


class FileSender:
    """Writes `<folder>/<UTC time>-<number>-<recipient>.eml`."""

    def __init__(self, folder: Path, from_email: str, clock: Callable[[], datetime] = utc_now) -> None:
        self._folder = folder
        self._from_email = from_email
        self._clock = clock

    async def send(
        self, recipient: str, rendered: Rendered, *, headers: Mapping[str, str] | None = None, key: str = ""
    ) -> str:
        """Write the mail, `headers` and all; returns the file's name. A file needs no `key`.

        Raises DeliveryError, and Refused for what is no address.
        """
        now = self._clock()
        try:
            content = _message(self._from_email, recipient, rendered, now, headers or {}).as_bytes()
        except (ValueError, IndexError) as error:
            # The standard library's parser of addresses has both for texts that are none.
            raise Refused(f"{recipient!r} is no address that mail can be written to") from error
        try:
            return await asyncio.to_thread(
                _write, self._folder, f"{now:%Y%m%dT%H%M%SZ}", _file_part(recipient), content
            )
        except OSError as error:
            raise DeliveryError(f"{self._folder}: {error.strerror}") from error


def _message(
    from_email: str, recipient: str, rendered: Rendered, now: datetime, headers: Mapping[str, str]
) -> EmailMessage:
    message = EmailMessage(policy=_POLICY)
    message["From"] = f"FlashCur <{from_email}>"
    message["To"] = recipient
    message["Subject"] = rendered.subject
    message["Date"] = format_datetime(now)
    for name, value in headers.items():
        message[name] = value
    message.set_content(rendered.text)
    message.add_alternative(rendered.html, subtype="html")
    return message


def _file_part(recipient: str) -> str:
    return re.sub(r"[^A-Za-z0-9@._+-]", "_", recipient)[:MAX_NAME_CHARS]


def _write(folder: Path, time: str, name: str, content: bytes) -> str:
    """Whoever lists `*.eml` sees whole files only; processes that write at the same time get different numbers."""
    # The mails open accounts: only the developer reads them.
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(prefix=".", suffix=".part", dir=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        for number in count(1):
            target = f"{time}-{number}-{name}.eml"
            try:
                os.link(draft, folder / target)
            except FileExistsError:
                continue
            return target
    finally:
        os.unlink(draft)
    raise AssertionError("unreachable: numbers do not end")
