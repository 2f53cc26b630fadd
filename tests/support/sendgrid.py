"""A server that speaks `POST /v3/mail/send` as SendGrid documents it, on a thread of its own."""

from __future__ import annotations

import contextlib
import json
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

API_KEY = "SG.test-key"
PATH = "/v3/mail/send"


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    message: str = "scripted"
    silent: bool = False
    """Take the request and never answer."""
    flood: Literal["", "drip", "endless"] = ""
    """A body that never ends: a byte now and then, or as much as there is room for."""


@dataclass
class SendGridServer:
    """Takes mail, unless `script` holds replies: those are given first, one a request."""

    url: str = ""
    script: deque[Reply] = field(default_factory=deque[Reply])
    mails: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """The bodies of the requests that were answered 202."""
    requests: int = 0
    keys: list[str | None] = field(default_factory=list[str | None])
    """`Authorization` of each request."""
    flooding: int = 0
    """Bodies without an end that are being sent."""
    hold: threading.Event | None = None
    """While it is not set, mail that was taken is not answered yet."""
    closed: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def recipients(self) -> list[str]:
        return [mail["personalizations"][0]["to"][0]["email"] for mail in self.mails]

    def answer(self, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        with self._lock:
            self.requests += 1
            self.keys.append(headers.get("Authorization"))
            if self.script:
                return self.script.popleft()
            if path != PATH:
                return Reply(404, message=f"no such resource: {path}")
            if headers.get("Authorization") != f"Bearer {API_KEY}":
                return Reply(401, message="The provided authorization grant is invalid, expired, or revoked")
            if headers.get("Content-Type") != "application/json":
                return Reply(415, message="Content-Type should be application/json.")
            try:
                mail = json.loads(body)
            except ValueError:
                return Reply(400, message="Bad Request")
            if problem := _problem(mail):
                return Reply(400, message=problem)
            self.mails.append(mail)
            return Reply(202, {"X-Message-Id": f"message-{len(self.mails)}"})


def _problem(mail: Any) -> str:
    """What SendGrid would find wrong with the body; "" if nothing."""
    known = {"personalizations", "from", "subject", "content", "tracking_settings", "headers", "custom_args"}
    if not isinstance(mail, dict) or not set(mail) <= known:
        return "Bad Request"
    people = mail.get("personalizations")
    if not people or not all(to.get("email", "").count("@") == 1 for person in people for to in person.get("to", [{}])):
        return "Does not contain a valid address."
    if "@" not in mail.get("from", {}).get("email", ""):
        return "The from object must be provided for every email send."
    if not mail.get("subject"):
        return "The subject is required."
    contents = mail.get("content") or [{}]
    if not all(content.get("type") and content.get("value") for content in contents):
        return "The content value must be a string at least one character in length."
    types = [content["type"] for content in contents]
    if "text/plain" in types[1:]:
        return "If present, text/plain must come first, followed by text/html."
    reserved = {"to", "from", "cc", "bcc", "subject", "content-type", "received", "x-sg-id", "reply-to"}
    for name, value in mail.get("headers", {}).items():
        if name.lower() in reserved or not all(" " <= character <= "~" for character in name + value):
            return f"The header {name} is not allowed."
    if not all(isinstance(value, str) for value in mail.get("custom_args", {}).values()):
        return "custom_args must be strings."
    for name, setting in mail.get("tracking_settings", {}).items():
        if not all(isinstance(value, bool) for value in setting.values()):
            return f"The {name} enable parameter is required and must be a boolean."
    return ""


@contextmanager
def sendgrid_server() -> Iterator[SendGridServer]:
    server = SendGridServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            reply = server.answer(self.path, dict(self.headers), body)
            if reply.silent:
                server.closed.wait()
                self.close_connection = True
                return
            if reply.status == 202 and server.hold is not None:
                server.hold.wait(10)
            if reply.flood:
                self.flood(reply)
                return
            ok = reply.status < 300
            content = b"" if ok else json.dumps({"errors": [{"message": reply.message}]}).encode()
            self.send_response(reply.status)
            for name, value in {**reply.headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def flood(self, reply: Reply) -> None:
            self.close_connection = True
            self.send_response(reply.status)
            self.send_header("Content-Length", str(10**12))
            self.end_headers()
            server.flooding += 1
            with contextlib.suppress(OSError):
                while not server.closed.wait(0.05 if reply.flood == "drip" else 0):
                    self.wfile.write(b"x" if reply.flood == "drip" else b"x" * 65_536)
            server.flooding -= 1

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Listening(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

    http = Listening(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    server.url = f"http://127.0.0.1:{http.server_port}"
    try:
        yield server
    finally:
        server.closed.set()
        http.shutdown()
        thread.join()
        http.server_close()
