"""The mails, as text and simple HTML. Links that open something have a blank where their code goes when they are sent.

A template is sentences with names in braces; what fills them is escaped in the HTML part. There are no images and
nothing is tracked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from html import escape
from urllib.parse import urlencode

KEPT_TRYING = timedelta(hours=24)
"""News that comes later than this does not help any more."""
BLANK = "\ue000code\ue000"
"""Stands where the code of a link goes; neither an address nor a URL has such letters."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A mail's content; the same words in `text` and `html`."""

    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True)
class Template:
    """Paragraphs before and after one link, which stands alone on its line."""

    subject: str
    before: tuple[str, ...]
    path: str
    """What the link leads to below `base`; empty: the mail has none."""
    after: tuple[str, ...]
    hours: int | None = None
    """How long the link is valid unless the values say otherwise. None: it carries no token, because it opens
    nothing by itself."""


TEMPLATES: Mapping[str, Template] = {
    "register": Template(
        "Confirm your address for FlashCur",
        ("Welcome to FlashCur! To finish your registration, please open this link:",),
        "/confirm",
        (
            "It works once, and for {valid}.",
            "If this wasn’t you, ignore this email: without the link there is no account.",
        ),
        hours=24,
    ),
    "already-registered": Template(
        "You already have a FlashCur account",
        (
            "Somebody, perhaps you, tried to register at FlashCur with this address. It already has an account, and "
            "nothing was changed.",
            "You can sign in here, or choose a new password if you have forgotten yours:",
        ),
        "/login",
        ("If this wasn’t you, ignore this email.",),
    ),
    "reset": Template(
        "Choose a new password for FlashCur",
        (
            "Somebody, hopefully you, asked for a new password for your FlashCur account. To choose one, please open "
            "this link:",
        ),
        "/reset",
        (
            "It works once, and for {valid}.",
            "If this wasn’t you, ignore this email: your password stays as it is.",
        ),
        hours=1,
    ),
    "change-new": Template(
        "Confirm your new address for FlashCur",
        ("This is to become the address of a FlashCur account. To confirm that it is yours, open this link:",),
        "/confirm-change",
        (
            "It works once, and for {valid}. The address changes as soon as the link that was sent to the present "
            "address has been opened too.",
            "If you didn’t ask for this, ignore this email: nothing changes.",
        ),
        hours=24,
    ),
    "change-old": Template(
        "Approve the new address of your FlashCur account",
        ("The address of your FlashCur account is to become {new_email}. To approve this, open this link:",),
        "/confirm-change",
        (
            "It works once, and for {valid}. The address changes as soon as the link that was sent to the new "
            "address has been opened too.",
            "If it was not you who asked for this, do not open the link, and nothing changes. But somebody may be "
            "signed in to your account: please change your password at {base}.",
        ),
        hours=24,
    ),
    "change-taken": Template(
        "This address already has a FlashCur account",
        (
            "Somebody, perhaps you, asked to move another FlashCur account to this address. It already has an account "
            "of its own, and nothing was changed.",
            "If you want to use that one, sign in here:",
        ),
        "/login",
        ("If this wasn’t you, ignore this email.",),
    ),
    "changed": Template(
        "The address of your FlashCur account was changed",
        (
            "The address of your FlashCur account is now {new_email}. It was approved with a link that was sent here, "
            "and this is the last mail to this address.",
            "If it was not you, somebody may be reading your mail: please change the password of this mailbox, and "
            "write to whoever runs {base}.",
        ),
        "",
        (),
    ),
    "password-changed": Template(
        "Your FlashCur password was changed",
        (
            "The password of your FlashCur account was changed.",
            "If it was not you, please choose a new one at once, as if you had forgotten it:",
        ),
        "/login",
        ("If this was you, ignore this email.",),
    ),
    "way-in-added": Template(
        "A wallet or an API key was added to your FlashCur account",
        (
            "A wallet that signs in, or a key for the API, was added to your FlashCur account.",
            "If it was not you, please remove it, change your password and sign out all other devices here:",
        ),
        "/account",
        ("If this was you, ignore this email.",),
    ),
    "account-deleted": Template(
        "Your FlashCur account was deleted",
        (
            "Your FlashCur account was deleted, as asked. Thank you for having been with us.",
            "If it was not you, please write to whoever runs {base}.",
        ),
        "",
        (),
    ),
}
"""By the name that is stored. The purpose of a link with a token is the template's name."""

OPTIONAL = frozenset({"new_email", "hours", "next"})


def check(template: str, values: Mapping[str, object]) -> Template:
    """The template of that name. Raises ValueError unless it exists and `values` are what it needs.

    `base`: origin of the pages, always. `token_id`: 32 hex digits, where the link carries a token. May be left out:
    `new_email`, `hours` for which the link is valid, and `next`: the path of this site that a link without a token
    leads on to.
    """
    found = TEMPLATES.get(template)
    if found is None:
        raise ValueError(f"expected a mail template out of {', '.join(TEMPLATES)}, was {template!r}")
    needed = {"base"} if found.hours is None else {"base", "token_id"}
    if not needed <= values.keys() <= needed | OPTIONAL:
        raise ValueError(f"expected the values {', '.join(sorted(needed))} for {template}, was {sorted(values)}")
    if found.hours is not None and not re.fullmatch("[0-9a-f]{32}", str(values["token_id"])):
        raise ValueError(f"expected 32 hex digits as token_id for {template}")
    hours = _hours(found, values)
    if hours is not None and not 0 < hours < 10_000:
        raise ValueError(f"expected a number of hours for {template}, was {hours}")
    return found


def useful_for(template: str, values: Mapping[str, object]) -> timedelta:
    """How long after it was queued a mail is worth sending: while its link is valid, and at most a day.

    An unknown template, left by another version, counts like news.
    """
    found = TEMPLATES.get(template)
    hours = _hours(found, values) if found else None
    return KEPT_TRYING if hours is None else min(KEPT_TRYING, timedelta(hours=hours))


def render(template: str, values: Mapping[str, object]) -> Rendered:
    """The mail, with `BLANK` for the code of its link. Raises ValueError as `check` does."""
    found = check(template, values)
    hours = _hours(found, values)
    base = str(values["base"])
    link = base + found.path
    if next_path := str(values.get("next") or ""):
        link += f"?{urlencode({'next': next_path})}"
    if hours is not None:
        # Behind the `#` no browser sends it anywhere: no log of a proxy holds it, and no referrer.
        link += f"#token={values['token_id']}{BLANK}"
    words = {
        "base": base,
        "new_email": str(values.get("new_email", "another one")),
        "valid": "" if hours is None else _duration(hours),
    }
    before, after = (_fill(paragraphs, words) for paragraphs in (found.before, found.after))
    lines = [*before, *([link] if found.path else []), *after]
    return Rendered(found.subject, "\n\n".join(lines) + "\n", _html(found, words, link))


def _hours(template: Template, values: Mapping[str, object]) -> float | None:
    return None if template.hours is None else float(str(values.get("hours", template.hours)))


def _duration(hours: float) -> str:
    return f"{hours:g} hours" if hours > 1 else f"{hours * 60:.0f} minutes"


def _fill(paragraphs: tuple[str, ...], words: Mapping[str, str]) -> list[str]:
    return [paragraph.format_map(words) for paragraph in paragraphs]


def _html(template: Template, words: Mapping[str, str], link: str) -> str:
    # The sentences are ours and hold no markup; only what fills them may.
    safe = {name: escape(word) for name, word in words.items()}
    before, after = (_fill(paragraphs, safe) for paragraphs in (template.before, template.after))
    anchor = f'<a href="{escape(link)}">{escape(link)}</a>'
    paragraphs = [*before, *([anchor] if template.path else []), *after]
    body = "\n".join(f"<p>{paragraph}</p>" for paragraph in paragraphs)
    return (
        f'<!doctype html>\n<html lang="en">\n'
        f'<head><meta charset="utf-8"><title>{escape(template.subject)}</title></head>\n'
        f'<body style="font: 16px/1.5 sans-serif">\n{body}\n</body></html>\n'
    )
