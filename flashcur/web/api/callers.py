"""Who calls the API: a program with a key of its account, a page with its session, or a guest."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

from flashcur.domain.plans import PLANS, Audience, Plan
from flashcur.errors import SignInNeeded
from flashcur.web.process import WebRuntime
from flashcur.web.routes.base import cookie_header

WITHOUT_KEY = 60
"""Requests for signals at once from one network without a key; each costs the database a few milliseconds."""
WITHOUT_KEY_RATE = 2.0
"""Requests a second from one network after that, of which each process counts its own."""


@dataclass(frozen=True, slots=True)
class ApiCaller:
    """Who asks, and what they may see."""

    audience: Audience
    account_id: str = ""
    """Empty for a guest."""

    @property
    def plan(self) -> Plan:
        """What they may see and do."""
        return PLANS[self.audience]


async def api_caller(runtime: WebRuntime, request: Request) -> ApiCaller:
    """By the key that came, else by the session; a request with a key is counted.

    Raises SignInNeeded for a key that is none, Throttled after too many requests with it, PlanNeeded while the plan of
    its account has no API, and Unavailable while the database is away.
    """
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme:
        if scheme.lower() != "bearer" or runtime.accounts is None:
            raise SignInNeeded("expected `Authorization: Bearer` and an API key")
        holder = await runtime.accounts.profile.use_api_key(key.strip())
        return ApiCaller(holder.plan.audience, holder.account_id)
    visitors = runtime.visitors
    visitor = await visitors.identify(cookie_header(request.scope), anew=True)
    return ApiCaller(visitors.audience(visitor), visitor.account_id)
