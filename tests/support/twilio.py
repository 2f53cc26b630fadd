"""A server that speaks `POST /2010-04-01/Accounts/{sid}/Messages.json` as Twilio documents it."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import dataclass
from urllib.parse import parse_qsl

from tests.support.vendor import Reply, Request, Vendor, json_reply

SID = "AC" + "0" * 32
TOKEN = "twilio-auth-token"
FROM = "+15005550006"
PATH = f"/2010-04-01/Accounts/{SID}/Messages.json"

ENVIRON = {"TWILIO_ACCOUNT_SID": SID, "TWILIO_AUTH_TOKEN": TOKEN, "TWILIO_FROM_NUMBER": FROM}


@dataclass(frozen=True)
class Sms:
    sid: str
    to: str
    body: str
    status_callback: str
    validity_s: int


def problem(status: int, code: int, message: str) -> Reply:
    more = f"https://www.twilio.com/docs/errors/{code}"
    return json_reply({"code": code, "message": message, "more_info": more, "status": status}, status)


class TwilioServer(Vendor):
    """Takes messages from `FROM`, unless `script` holds replies."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[Sms] = []

    def respond(self, request: Request) -> Reply:
        if request.path != PATH:
            return problem(404, 20404, f"The requested resource {request.path} was not found")
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Basic" or b64decode(given).decode() != f"{SID}:{TOKEN}":
            return problem(401, 20003, "Authenticate")
        if request.headers.get("Content-Type") != "application/x-www-form-urlencoded":
            return problem(400, 21602, "Message body is required.")
        fields = dict(parse_qsl(request.body.decode(), strict_parsing=True))
        if fields.get("From") != FROM:
            return problem(400, 21606, "The 'From' phone number provided is not a valid message-capable number.")
        if not fields.get("Body"):
            return problem(400, 21602, "Message body is required.")
        if not fields.get("To", "").startswith("+"):
            return problem(400, 21211, f"Invalid 'To' Phone Number: {fields.get('To')}")
        if not 1 <= int(fields.get("ValidityPeriod", "36000")) <= 36000:
            return problem(400, 21698, "ValidityPeriod is invalid")
        sid = f"SM{len(self.messages):032x}"
        self.messages.append(
            Sms(sid, fields["To"], fields["Body"], fields.get("StatusCallback", ""), int(fields["ValidityPeriod"]))
        )
        return json_reply({"sid": sid, "status": "queued", "to": fields["To"], "body": fields["Body"]}, 201)
