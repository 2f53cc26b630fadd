"""What the server refuses, in the words and codes of Stripe's own errors."""

from __future__ import annotations

from typing import Any


class ApiRefusal(Exception):
    """A request that is answered with `{"error": …}`."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str = "",
        param: str = "",
        decline_code: str = "",
        extra: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.kind = kind
        self.code = code
        self.param = param
        self.decline_code = decline_code
        self.extra = extra or {}

    def body(self) -> dict[str, Any]:
        """The JSON that tells it."""
        error: dict[str, Any] = {"type": self.kind, "message": self.message, **self.extra}
        for name in ("code", "param", "decline_code"):
            if value := getattr(self, name):
                error[name] = value
        return {"error": error}


def missing(what: str, object_id: str, param: str = "id") -> ApiRefusal:
    """No such object."""
    return ApiRefusal(f"No such {what}: '{object_id}'", status=404, code="resource_missing", param=param)


def unknown_route(method: str, path: str) -> ApiRefusal:
    """An address that is not served here, so that a call which Stripe would refuse fails here as well."""
    return ApiRefusal(f"Unrecognized request URL ({method}: {path}).", status=404)


def parameter(message: str, param: str, code: str = "parameter_invalid_empty") -> ApiRefusal:
    """A value that is missing or of no use."""
    return ApiRefusal(message, code=code, param=param)


def declined(decline_code: str, message: str) -> ApiRefusal:
    """A card that does not pay."""
    return ApiRefusal(message, status=402, kind="card_error", code="card_declined", decline_code=decline_code)
