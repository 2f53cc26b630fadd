"""Which way mail goes out, as the settings say."""

from __future__ import annotations

import re
from pathlib import Path

from flashcur.errors import ConfigError
from flashcur.services.notify.dialling import Dialler
from flashcur.services.notify.file_sender import FileSender
from flashcur.services.notify.port import MailSender
from flashcur.settings import Settings

DEV_FROM = "flashcur@localhost.localdomain"


def make_sender(settings: Settings, dialler: Dialler) -> MailSender | None:
    """SendGrid if its key is set, else files in dev; None in prod: mail waits in the outbox.

    Raises ConfigError when the key is set and the sender's address is not, or when it cannot be a key.
    """
    key = settings.sendgrid.api_key
    if key is None:
        return None if settings.is_prod else FileSender(mail_folder(settings), settings.from_email or DEV_FROM)
    if settings.from_email is None:
        raise ConfigError("FLASHCUR_FROM_EMAIL: expected the sender's address (SENDGRID_API_KEY is set), was unset")
    # The library would name the key in its complaint about such a header.
    if not re.fullmatch(r"[!-~]+", key.reveal()):
        raise ConfigError("SENDGRID_API_KEY: expected letters, digits and signs without blanks, was something else")
    # Processes that send no mail do without the library.
    from flashcur.services.notify.sendgrid_sender import SendGridSender

    return SendGridSender(dialler, key, settings.from_email, settings.sendgrid.api_base)


def mail_folder(settings: Settings) -> Path:
    """Where mail is written in development."""
    return settings.data_dir / "mail"


def describe(settings: Settings) -> str:
    """For pages that send people to their mailbox: where the mail is in development; "" where it is really sent."""
    if settings.is_prod or settings.sendgrid.api_key is not None:
        return ""
    return f"Mail is written to {mail_folder(settings)}"
