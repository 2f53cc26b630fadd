"""The routes that put a session into a browser or take it out, and what leads there.

Each takes JSON or a plain form. A form is answered with a redirect, so that signing in also works where the page's
script does not; scripts get JSON. Only the site's own pages may post here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from flashcur.errors import NotFound, Refusal, SignInNeeded, Unavailable
from flashcur.services.accounts.client import Client
from flashcur.services.accounts.sessions import hash_token, new_token
from flashcur.services.accounts.wallets import Signed
from flashcur.services.accounts.wiring import Accounts
from flashcur.settings.idn import shown_address
from flashcur.web.cookies import Cookies
from flashcur.web.process import WebRuntime
from flashcur.web.routes.base import (
    MAX_BODY,
    Foreign,
    Route,
    RouteGroup,
    client_of_request,
    cookie_header,
    from_our_pages,
    json_answer,
    read_fields,
    refused,
    safe_path,
    text,
    wants_json,
    whole,
)
from flashcur.web.visitors import Visitor

Fields = dict[str, Any]


class AuthRoutes(RouteGroup):
    """See the module."""

    def __init__(self, runtime: WebRuntime) -> None:
        self._runtime = runtime
        self._where = runtime.where

    async def register(self, request: Request) -> Response:
        """Register an address (`email`, `password`; `next`, to which the link leads on): a link is sent there. The same
        answer whether or not it has an account."""

        async def work(fields: Fields, client: Client) -> Response:
            target = _target(fields)
            browser = self._cookies.browser_token(cookie_header(request.scope)) or new_token()
            address = await self._accounts.registration.register(
                text(fields, "email"), text(fields, "password"), client, hash_token(browser), _unless_home(target)
            )
            response = self._done(request, _page_with("/register", target, sent="1"), {"sent": shown_address(address)})
            self._cookies.remember_browser(response, browser)
            return response

        return await self._post(request, work, "/register")

    async def confirm(self, request: Request) -> Response:
        """Open a registration's link (`token`; `password` in another browser than the one that registered): makes the
        account, signs in, and leads to where the registration was begun from."""

        async def work(fields: Fields, client: Client) -> Response:
            browser = self._cookies.browser_token(cookie_header(request.scope)) or new_token()
            token, next_path = await self._accounts.registration.confirm(
                text(fields, "token"), client, hash_token(browser), text(fields, "password")
            )
            # Looked at again: what is stored may have been written by another version.
            return await self._signed_in(request, token, _unless_home(safe_path(next_path)) or "/?welcome=1")

        return await self._post(request, work, "/confirm")

    async def sign_in(self, request: Request) -> Response:
        """Sign in (`email`, `password`, `next`: a path of this site)."""

        async def work(fields: Fields, client: Client) -> Response:
            target = _target(fields)
            token = await self._accounts.registration.sign_in(
                text(fields, "email"), text(fields, "password"), client, self._former(request)
            )
            return await self._signed_in(request, token, target)

        return await self._post(request, work, "/login")

    async def sign_out(self, request: Request) -> Response:
        """Sign out: ends the session and takes the cookie away."""

        async def work(fields: Fields, client: Client) -> Response:
            target = _target(fields)
            await self._end_session(request, client)
            response = self._done(request, target)
            self._cookies.sign_out(response)
            return response

        return await self._post(request, work, "/")

    async def delete_account(self, request: Request) -> Response:
        """Delete the caller's account for good (`password` where there is one, `word`), and take the cookie away."""

        async def work(fields: Fields, client: Client) -> Response:
            caller = (await self._visitor(request)).caller(client)
            if caller is None:
                raise SignInNeeded("Sign in to delete your account.")
            await self._accounts.profile.delete(caller, text(fields, "password"), text(fields, "word", 40))
            response = self._done(request, "/login?done=deleted")
            self._cookies.sign_out(response)
            return response

        return await self._post(request, work, "/account")

    async def forgot(self, request: Request) -> Response:
        """Ask for a link to reset the password (`email`; `next`, to which it leads on). The same answer whether or not
        there is an account."""

        async def work(fields: Fields, client: Client) -> Response:
            target = _target(fields)
            address = await self._accounts.registration.forgot(text(fields, "email"), client, _unless_home(target))
            return self._done(request, _page_with("/forgot", target, sent="1"), {"sent": shown_address(address)})

        return await self._post(request, work, "/forgot")

    async def reset(self, request: Request) -> Response:
        """Set a new password by a link (`token`, `password`): ends all other sessions, signs in, and leads to where the
        link was asked for from."""

        async def work(fields: Fields, client: Client) -> Response:
            token, next_path = await self._accounts.registration.reset(
                text(fields, "token"), text(fields, "password"), client
            )
            # Looked at again, as in `confirm`.
            return await self._signed_in(request, token, _unless_home(safe_path(next_path)) or "/account?done=reset")

        return await self._post(request, work, "/reset")

    async def confirm_address(self, request: Request) -> Response:
        """Open one of the two links of a change of address (`token`)."""

        async def work(fields: Fields, client: Client) -> Response:
            done = await self._accounts.profile.confirm_address(text(fields, "token"), client)
            return self._done(request, f"/confirm-change?done={int(done)}", {"sent": "changed" if done else "half"})

        return await self._post(request, work, "/confirm-change")

    async def wallet_challenge(self, request: Request) -> Response:
        """The text a wallet is to sign (`address`, `chain_id`, `purpose`: `sign-in` or `link`); valid for 5 minutes, in
        this browser."""

        async def work(fields: Fields, client: Client) -> Response:
            browser = self._cookies.browser_token(cookie_header(request.scope)) or new_token()
            visitor = await self._visitor(request)
            challenge = await self._accounts.wallets.challenge(
                self._page(request),
                text(fields, "purpose", 20),
                text(fields, "address", 100),
                whole(fields, "chain_id"),
                hash_token(browser),
                client,
                visitor.caller(client),
            )
            response = json_answer({"nonce": challenge.nonce, "text": challenge.text})
            self._cookies.remember_browser(response, browser)
            return response

        return await self._post(request, work, "/login")

    async def wallet_verify(self, request: Request) -> Response:
        """A wallet's answer (`nonce`, `address`, `chain_id`, `signature`, `purpose`, `next`): signs in, or links the
        wallet to the account."""

        async def work(fields: Fields, client: Client) -> Response:
            browser = self._cookies.browser_token(cookie_header(request.scope))
            if browser is None:
                raise Refusal("This browser did not ask for a text to sign, or does not keep cookies: start again.")
            target = _target(fields)
            signed = Signed(
                text(fields, "nonce", 100),
                text(fields, "address", 100),
                whole(fields, "chain_id"),
                text(fields, "signature", 10_000),
            )
            if text(fields, "purpose", 20) == "link":
                caller = (await self._visitor(request)).caller(client)
                if caller is None:
                    raise SignInNeeded("Sign in before you link a wallet.")
                address = await self._accounts.wallets.link(signed, hash_token(browser), caller)
                said = "The wallet is linked: you can sign in with it from now on."
                return self._done(request, "/account", {"address": address, "said": said})
            token = await self._accounts.wallets.sign_in(signed, hash_token(browser), client, self._former(request))
            return await self._signed_in(request, token, target)

        return await self._post(request, work, "/login")

    ROUTES: ClassVar[tuple[Route, ...]] = (
        Route("POST", "/auth/register", register),
        Route("POST", "/auth/confirm", confirm),
        Route("POST", "/auth/sign-in", sign_in),
        Route("POST", "/auth/sign-out", sign_out),
        Route("POST", "/auth/delete-account", delete_account, "account"),
        Route("POST", "/auth/forgot", forgot),
        Route("POST", "/auth/reset", reset),
        Route("POST", "/auth/confirm-change", confirm_address),
        Route("POST", "/auth/wallet/challenge", wallet_challenge),
        Route("POST", "/auth/wallet/verify", wallet_verify),
    )

    @property
    def _cookies(self) -> Cookies:
        return self._runtime.visitors.cookies

    @property
    def _accounts(self) -> Accounts:
        accounts = self._runtime.accounts
        if accounts is None:
            raise Unavailable("FlashCur is still starting: try again in a moment.")
        return accounts

    async def _visitor(self, request: Request) -> Visitor:
        visitor = await self._runtime.visitors.identify(cookie_header(request.scope), anew=True)
        if visitor.unsure:
            raise Unavailable("Accounts cannot be reached at this moment: try again in a few seconds.")
        return visitor

    async def _post(
        self, request: Request, work: Callable[[Fields, Client], Awaitable[Response]], page: str
    ) -> Response:
        """Do the work of a post from one of our pages; what is refused goes back to the person."""
        if not from_our_pages(request, self._where.allowed_origins):
            return refused(Foreign())
        fields: Fields = {}
        try:
            fields = await read_fields(request)
            return await work(fields, client_of_request(request, self._runtime.settings.proxy_hops))
        except Refusal as refusal:
            if wants_json(request):
                return refused(refusal)
            # A form's fields are texts, whatever else is wrong with them.
            target = safe_path(str(fields.get("next", "/")))
            path = _page_with(page, target, problem=_problem(refusal))
            return RedirectResponse(f"{self._page(request)}{path}", 303, {"Cache-Control": "no-store"})

    def _former(self, request: Request) -> str:
        """Hash of the session's token that the browser has; empty without one."""
        token = self._cookies.session_token(cookie_header(request.scope))
        return "" if token is None else hash_token(token)

    def _page(self, request: Request) -> str:
        """The origin of the page that posts: in development it is reached by more than one name."""
        origin = request.headers.get("origin", "")
        return origin if origin in self._where.allowed_origins else self._where.page

    async def _end_session(self, request: Request, client: Client) -> None:
        caller = (await self._visitor(request)).caller(client)
        if caller is not None:
            # Ended in the meantime, by another tab or device: that is what was wanted.
            with contextlib.suppress(SignInNeeded, NotFound):
                await self._accounts.profile.sign_out(caller)

    async def _signed_in(self, request: Request, token: str, target: str) -> Response:
        """A browser's former session ends with its cookie: nobody stays signed in to what they no longer see."""
        with contextlib.suppress(Unavailable):
            await self._end_session(request, client_of_request(request, self._runtime.settings.proxy_hops))
        response = self._done(request, target)
        self._cookies.sign_in(response, token)
        return response

    def _done(self, request: Request, target: str, extra: dict[str, object] | None = None) -> Response:
        if wants_json(request):
            return json_answer({"ok": True, "next": target, **(extra or {})})
        return RedirectResponse(f"{self._page(request)}{target}", 303, {"Cache-Control": "no-store"})


def _target(fields: Fields) -> str:
    """Where to go afterwards. Read before anything is done: what is wrong with it must not leave a session behind."""
    return safe_path(text(fields, "next", MAX_BODY) or "/")


def _unless_home(target: str) -> str:
    return "" if target == "/" else target


def _page_with(page: str, target: str, **query: str) -> str:
    """One of our pages as it is opened after a form that was posted by itself: it still leads on to `target`."""
    return f"{page}?{urlencode({**query, **({'next': target} if _unless_home(target) else {})})}"


def _problem(refusal: Refusal) -> str:
    """A word for the page's address: never a text that somebody else could put there."""
    return {401: "wrong", 409: "conflict", 429: "throttled", 503: "unavailable"}.get(refusal.status, "invalid")
