"""E-mail addresses as people type them."""

from __future__ import annotations

from email_validator import EmailNotValidError, validate_email

from flashcur.errors import Refusal

_LONGEST = 254


def clean_address(text: str, *, reachable: bool, field: str = "email") -> str:
    """The address in its one form: lower case, with an internationalised domain in Unicode.

    `reachable`: refuse what cannot be on the internet, such as `name@host.local`. Whether the mailbox exists is left
    to the mail that is sent there. Raises Refusal, on `field`, for what is empty, too long or no address.
    """
    text = text.strip()
    if not text:
        raise Refusal("Enter your e-mail address.", field=field)
    if len(text) > _LONGEST:
        raise Refusal(f"An e-mail address has at most {_LONGEST} characters: this has {len(text)}.", field=field)
    try:
        address = validate_email(text, check_deliverability=False, globally_deliverable=reachable).normalized
    except EmailNotValidError as error:
        raise Refusal(f"This is not an e-mail address: {str(error).rstrip('.')}.", field=field) from None
    return address.lower()


def shortened(address: str) -> str:
    """An address as the audit log shows it, its first two characters and its domain: `ad…@example.com`."""
    local, _, host = address.partition("@")
    return f"{local[:2]}…@{host}"
