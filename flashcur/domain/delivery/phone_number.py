"""Phone numbers that alerts go to: one form (E.164), and which are refused. Pure."""

from __future__ import annotations

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberType

from flashcur.domain.texts import checked_text
from flashcur.errors import Refusal

FIELD = "number"
"""The form's field that a refusal names."""
MOST_CHARACTERS = 40
_EXAMPLE = "+ and the country code, such as +44 7400 123456"
_NO_REGION = "001"
"""What the library calls numbers of no country: satellites and services that are billed worldwide."""

_REFUSED = {
    PhoneNumberType.FIXED_LINE: "This is a landline, which gets no text messages: give a mobile number.",
    PhoneNumberType.TOLL_FREE: "This is a toll-free number: give the number of your own mobile.",
    PhoneNumberType.PREMIUM_RATE: "Premium numbers are not sent to: give the number of your own mobile.",
    PhoneNumberType.SHARED_COST: "Shared-cost numbers are not sent to: give the number of your own mobile.",
    PhoneNumberType.VOIP: "Numbers of internet phones are not sent to: give the number of your own mobile.",
    PhoneNumberType.PERSONAL_NUMBER: "Forwarding numbers are not sent to: give the number of your own mobile.",
    PhoneNumberType.PAGER: "This is a pager: give a mobile number.",
    PhoneNumberType.UAN: "This is a company's shared number: give the number of your own mobile.",
    PhoneNumberType.VOICEMAIL: "This is a mailbox: give a mobile number.",
}


def mobile_number(text: object) -> str:
    """What somebody typed as a mobile number in E.164: `+` and digits.

    Raises Refusal, which names `FIELD`, for what is no number, and for numbers that are not sent to: landlines where
    the country's plan tells them, premium and service numbers.
    """
    typed = checked_text(text, MOST_CHARACTERS, FIELD).strip()
    if not typed:
        raise Refusal(f"Give a number: {_EXAMPLE}.", field=FIELD)
    # Some write the international prefix of their own country.
    typed = "+" + typed[2:] if typed.startswith("00") else typed
    if not typed.startswith("+"):
        raise Refusal(f"Start with {_EXAMPLE}.", field=FIELD)
    number = _parsed(typed)
    reason = phonenumbers.is_possible_number_with_reason(number)
    if reason in (phonenumbers.ValidationResult.TOO_SHORT, phonenumbers.ValidationResult.TOO_LONG):
        length = "few" if reason == phonenumbers.ValidationResult.TOO_SHORT else "many"
        raise Refusal(f"This number has too {length} digits for its country: look again.", field=FIELD)
    if phonenumbers.region_code_for_number(number) == _NO_REGION:
        raise Refusal("Satellite and worldwide service numbers are not sent to: give a mobile number.", field=FIELD)
    if not phonenumbers.is_valid_number(number):
        raise Refusal(f"There is no such number in its country: look again ({_EXAMPLE}).", field=FIELD)
    kind = phonenumbers.number_type(number)
    if kind in _REFUSED:
        raise Refusal(_REFUSED[kind], field=FIELD)
    if kind not in (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE):
        raise Refusal("This is not known to be a mobile number: give a mobile number.", field=FIELD)
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def region_of(number: str) -> str:
    """The country of a number in E.164, in two letters; empty for what is no country's number."""
    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(number)) or ""
    except NumberParseException:
        return ""


def masked(number: str) -> str:
    """A number in E.164 as its owner knows it and nobody else learns it: `+44 …3456`."""
    try:
        return f"+{phonenumbers.parse(number).country_code} …{number[-4:]}"
    except NumberParseException:
        return f"…{number[-4:]}"


def _parsed(typed: str) -> PhoneNumber:
    try:
        number = phonenumbers.parse(typed)
    except NumberParseException as problem:
        if problem.error_type == NumberParseException.INVALID_COUNTRY_CODE:
            raise Refusal(f"No country has this code: write {_EXAMPLE}.", field=FIELD) from None
        raise Refusal(f"Expected a phone number: {_EXAMPLE}.", field=FIELD) from None
    # An extension is dialled by people, and would be lost in silence.
    if number.extension:
        raise Refusal("Expected a number without an extension.", field=FIELD)
    return number
