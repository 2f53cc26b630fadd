"""Email addresses as people type them."""

from __future__ import annotations

from email_validator import EmailNotValidError, validate_email

from flashcur.errors import Refusal
from flashcur.settings.idn import shown_address

_LONGEST = 254
_NAMED = 10


def clean_address(text: str, *, reachable: bool, mailable: bool = True, field: str = "email") -> str:
    """The address in its one form: lower case, with an internationalised domain in ASCII (IDNA 2008).

    `reachable`: refuse what cannot be on the internet, such as `name@host.local`. `mailable`: refuse what our mail
    does not reach, letters before the @ that are not ASCII (RFC 6531, which providers do not carry). Whether the
    mailbox exists is left to the mail that is sent there. Raises Refusal, on `field`, for what is empty, too long or no
    address.
    """
    text = text.strip()
    if not text:
        raise Refusal("Enter your email address.", field=field)
    if len(text) > _LONGEST:
        raise Refusal(f"An email address has at most {_LONGEST} characters: this has {len(text)}.", field=field)
    try:
        found = validate_email(text, check_deliverability=False, globally_deliverable=reachable)
    except EmailNotValidError as error:
        raise Refusal(f"This is not an email address: {_why(error)}.", field=field) from None
    if mailable and not found.local_part.isascii():
        strange = "".join(dict.fromkeys(char for char in found.local_part if not char.isascii()))[:_NAMED]
        raise Refusal(
            f"Mail cannot be sent to this address: “{strange}” stands before the @, where only the letters a to z, "
            "digits and signs such as . and - are carried. Use another address.",
            field=field,
        )
    return f"{found.local_part}@{found.ascii_domain}".lower()


def shortened(address: str) -> str:
    """An address as the audit log shows it, its first two characters and its domain: `ad…@example.com`."""
    local, _, host = shown_address(address).rpartition("@")
    return f"{local[:2]}…@{host}"


def _why(error: EmailNotValidError) -> str:
    """The library's reason as the end of a sentence; of domains it tells what the standard says of a code point."""
    reason = str(error).rstrip(".")
    if "IDNA" in reason:
        return "the part after the @ has a character that no domain can have"
    return reason[:1].lower() + reason[1:]
