"""Signing with a wallet, in a browser without the app: real signatures, checked by the real services."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route

from flashcur.components.account.wallet_buttons import PROBLEMS
from flashcur.errors import Refusal
from flashcur.services.auth import challenges
from flashcur.services.auth.signatures import SignatureChecker
from flashcur.services.kit.clock import utc_now
from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from tests.support.programs import require_program, wait_until
from tests.support.wallet import ICON, InjectedWallet, inject_wallet

KEY = "0x" + "11" * 32
OTHER_KEY = "0x" + "22" * 32
IDLE = {"busy": "", "step": "", "error": "", "text": "", "link": "", "link_text": ""}
ORIGIN = "http://localhost:3000"
ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "assets" / "browser"

# As much of React as the modules use: follow, and take a snapshot.
REACT = """
export const useEffect = () => {};
export const useRef = () => {};
export function useSyncExternalStore(follow, snapshot) {
  const stop = follow(() => globalThis.seen.push(snapshot()));
  globalThis.stops.push(stop);
  return snapshot();
}
"""
PAGE = """<!doctype html>
<script type="importmap" nonce="test">
{"imports": {"react": "/react.js", "react-router": "/router.js", "mipd": "/mipd/index.js"}}
</script>
<script type="module" src="/page.js"></script>
"""
SCRIPT = """
globalThis.seen = [];
globalThis.stops = [];
Promise.all(["wallets", "signing", "server"].map((name) => import(`/browser/${name}.ts`))).then((modules) => {
  const script = Object.assign({}, ...modules);
  script.useWallets();
  script.useWalletProgress();
  globalThis.script = script;
});
"""
POLICY = "default-src 'none'; script-src 'self' 'nonce-test'; connect-src 'self' http://localhost:8000"


# Node takes the types out, as the build does.
STRIP = """
import { stripTypeScriptTypes } from "node:module";
import { readdirSync, readFileSync } from "node:fs";
const [folder] = process.argv.slice(1);
const plain = (name) => stripTypeScriptTypes(readFileSync(`${folder}/${name}`, "utf8"));
process.stdout.write(JSON.stringify(Object.fromEntries(readdirSync(folder).map((name) => [name, plain(name)]))));
"""


@cache
def modules() -> dict[str, str]:
    """Path to JavaScript: the modules and what they import from npm."""
    node = require_program("node", "nodejs", ROOT / ".venv" / "bin")
    command = [node, "--no-warnings", "--input-type=module", "--eval", STRIP, str(SOURCES)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    mipd = ROOT / "node_modules" / "mipd" / "dist" / "esm"
    return {
        **{f"browser/{name}": text for name, text in json.loads(done.stdout).items()},
        **{f"mipd/{file.name}": file.read_text() for file in mipd.glob("*.js")},
        "router.js": "export const useLocation = () => location;",
        "react.js": REACT,
        "page.js": SCRIPT,
    }


class Backend:
    """The routes for wallets, as short as can be."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._checker = SignatureChecker(settings)
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.instead: dict[str, Callable[[Route], object]] = {}
        """Path to what happens instead of the usual."""
        self.next: str = "/account"

    def serve(self, route: Route) -> None:
        path = route.request.url.split("/", 3)[3]
        files = {
            "": ("text/html", PAGE),
            "account": ("text/html", "<p>signed in</p>"),
            **{name: ("text/javascript", text) for name, text in modules().items()},
        }
        if path in self.instead:
            self.instead[path](route)
        elif path in files:
            kind, text = files[path]
            route.fulfill(content_type=kind, body=text, headers={"content-security-policy": POLICY})
        elif path.startswith("auth/wallet/"):
            body: dict[str, Any] = json.loads(route.request.post_data or "{}")
            status, answer = self._answer(path, body)
            self.asked.append((path.removeprefix("auth/wallet/"), body))
            headers = {"access-control-allow-origin": ORIGIN, "access-control-allow-credentials": "true"}
            route.fulfill(status=status, content_type="application/json", body=json.dumps(answer), headers=headers)
        else:
            route.fulfill(status=404, body="")

    def _answer(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        try:
            return 200, self._challenge(**body) if path.endswith("challenge") else self._verify(**body)
        except Refusal as refusal:
            return refusal.status, {"error": str(refusal), "field": refusal.field}

    def _challenge(self, address: str, chain_id: int, purpose: str) -> dict[str, Any]:
        with self._database.session() as session:
            made = challenges.issue(
                session,
                origin=ORIGIN,
                statement="Sign in to FlashCur.",
                address=address,
                chain_id=chain_id,
                purpose="sign-in",
                account_id=None,
                browser_hash="b" * 64,
                now=utc_now() - timedelta(seconds=1),
            )
            return {"nonce": made.nonce, "text": made.text}

    def _verify(
        self, nonce: str, address: str, chain_id: int, signature: str, purpose: str, next: str
    ) -> dict[str, Any]:
        with self._database.session() as session:
            claimed = challenges.claim(
                session,
                nonce=nonce,
                address=address,
                chain_id=chain_id,
                purpose="sign-in",
                account_id=None,
                browser_hash="b" * 64,
                now=utc_now(),
            )
        self._checker.check(claimed.text, claimed.address, claimed.chain_id, signature)
        return {"ok": True, "next": self.next}


@pytest.fixture
def backend(sqlite_database: Database, settings: Settings) -> Backend:
    return Backend(sqlite_database, settings)


@pytest.fixture
def page(browser: Browser, backend: Backend) -> Iterator[Page]:
    """An empty tab; what goes wrong in it, also with the policy, fails the test."""
    context = browser.new_context()
    context.route("**/*", backend.serve)
    page = context.new_page()
    page.set_default_timeout(10_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if "Content Security" in message.text else None)
    yield page
    context.close()
    assert errors == []


def open_page(page: Page) -> None:
    page.goto(f"{ORIGIN}/")
    page.wait_for_function("() => globalThis.script !== undefined")


def listed(page: Page) -> list[dict[str, str]]:
    return page.evaluate("() => script.useWallets()")


def progress(page: Page) -> dict[str, str]:
    return page.evaluate("() => script.useWalletProgress()")


def act(page: Page, wallet: InjectedWallet, purpose: str = "link", port: int = 0) -> dict[str, Any]:
    """Run it to its end."""
    # Waiting for the promise itself would have no time limit.
    page.evaluate(
        "args => { window.done = null; script.walletAct(...args).then((answer) => (window.done = answer)) }",
        [wallet.id, purpose, "/account", port],
    )
    page.wait_for_function("() => window.done")
    return page.evaluate("window.done")


def start(page: Page, wallet: InjectedWallet) -> None:
    """Run it without waiting; its result is `window.result`."""
    page.evaluate("id => { script.walletAct(id, 'link', '', 0).then((r) => (window.result = r)) }", wallet.id)


class TestFinding:
    def test_all_that_are_announced(self, page: Page) -> None:
        one = inject_wallet(page, KEY, name="  One\u202e " + "x" * 60)
        two = inject_wallet(page, OTHER_KEY, name="", icon="https://tracker.example/x.png", legacy=True)
        open_page(page)
        assert listed(page) == [
            {"id": one.id, "name": "One " + "x" * 36, "icon": ICON},
            {"id": two.id, "name": "", "icon": ""},
        ]
        one.announce(page)
        page.evaluate(
            """uuid => window.dispatchEvent(new CustomEvent("eip6963:announceProvider", {
              detail: { info: { uuid, name: "Taken over" }, provider: { request() {} } }
            }))""",
            one.id,
        )
        assert [wallet["name"] for wallet in listed(page)] == ["One " + "x" * 36, ""]

    def test_an_old_one_and_then_its_announcement(self, page: Page) -> None:
        old = inject_wallet(page, KEY, announce=False, legacy=True)
        new = inject_wallet(page, OTHER_KEY, name="New", announce=False)
        open_page(page)
        page.wait_for_function("() => script.useWallets().length === 1")
        assert listed(page) == [{"id": "injected", "name": "", "icon": ""}]
        new.announce(page)
        assert [wallet["name"] for wallet in listed(page)] == ["New", ""]
        old.announce(page)
        assert [wallet["name"] for wallet in listed(page)] == ["New", "Test Wallet"]

    def test_nonsense_is_not_listed(self, page: Page) -> None:
        open_page(page)
        page.evaluate(
            """() => [null, {}, {info: {}}, {info: {uuid: "x", name: "y"}}, {info: {uuid: 7}, provider: {request() {}}}]
            .forEach((detail) => window.dispatchEvent(new CustomEvent("eip6963:announceProvider", { detail })))"""
        )
        assert listed(page) == []


class TestSigning:
    def test_in_leads_on(self, page: Page, backend: Backend) -> None:
        wallet = inject_wallet(page, KEY, chain_id=8453)
        open_page(page)
        page.evaluate("id => { script.walletAct(id, 'sign-in', '/account', 0) }", wallet.id)
        page.wait_for_url(f"{ORIGIN}/account")
        assert wallet.texts[0].startswith("localhost:3000 wants you to sign in with your Ethereum account:\n")
        (_, first), (_, second) = backend.asked
        assert first == {"address": wallet.address.lower(), "chain_id": 8453, "purpose": "sign-in"}
        assert (second["address"], second["chain_id"], second["next"]) == (first["address"], 8453, "/account")

    @pytest.mark.parametrize(
        "elsewhere", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "/\\evil.example"]
    )
    def test_in_never_leads_to_another_site(self, page: Page, backend: Backend, elsewhere: str) -> None:
        wallet = inject_wallet(page, KEY)
        backend.next = elsewhere
        open_page(page)
        page.evaluate("id => { window.before = true; script.walletAct(id, 'sign-in', '', 0) }", wallet.id)
        page.wait_for_function("() => !window.before && globalThis.script !== undefined")
        assert page.url == f"{ORIGIN}/"

    def test_for_an_account_stays(self, page: Page) -> None:
        wallet = inject_wallet(page, KEY, announce=False, legacy=True)
        open_page(page)
        page.wait_for_function("() => script.useWallets().length === 1")
        assert act(page, wallet)["ok"] is True
        steps = page.evaluate("() => seen.filter((state) => 'step' in state).map((state) => state.step)")
        assert [step for index, step in enumerate(steps) if step != steps[index - 1] or not index] == [
            "connect", "sign", "check", "",
        ]  # fmt: skip
        assert progress(page) == IDLE

    def test_with_the_routes_on_another_port(self, page: Page, backend: Backend) -> None:
        wallet = inject_wallet(page, KEY)
        open_page(page)
        origins = page.evaluate("() => [0, 3000, '3000', 8000].map((port) => script.backendOrigin(port))")
        assert origins == ["", "", "", "http://localhost:8000"]
        assert act(page, wallet, port=8000)["ok"] is True

    def test_another_chain_is_left_first(self, page: Page, backend: Backend) -> None:
        wallet = inject_wallet(page, KEY, chain_id=56)
        open_page(page)
        assert act(page, wallet)["ok"] is True
        assert backend.asked[0][1]["chain_id"] == 1

    def test_a_chain_that_cannot_be_left(self, page: Page, backend: Backend) -> None:
        wallet = inject_wallet(page, KEY, chain_id=56)
        wallet.switchable = False
        open_page(page)
        assert act(page, wallet)["error"] == "chain"
        assert backend.asked == []

    @pytest.mark.parametrize("when", ["eth_requestAccounts", "personal_sign"])
    def test_the_account_is_switched(self, page: Page, when: str) -> None:
        wallet = inject_wallet(page, KEY)
        wallet.after[when] = lambda: wallet.switch(key=OTHER_KEY)
        open_page(page)
        error = act(page, wallet)["error"]
        assert error == ("refused" if when == "personal_sign" else "locked")
        assert progress(page)["text"].startswith("Your wallet switched to 0x" if when == "personal_sign" else "")

    def test_the_chain_is_switched(self, page: Page) -> None:
        wallet = inject_wallet(page, KEY)
        wallet.after["personal_sign"] = lambda: wallet.switch(chain_id=137)
        open_page(page)
        answer = act(page, wallet)
        assert answer["error"] == "refused"
        assert progress(page)["text"].startswith("Your wallet switched to Polygon: start again")
        assert answer["field"] == "chain_id"


class TestWhatGoesWrong:
    @pytest.mark.parametrize("method", ["eth_requestAccounts", "wallet_switchEthereumChain", "personal_sign"])
    def test_declined(self, page: Page, method: str) -> None:
        wallet = inject_wallet(page, KEY, chain_id=56)
        wallet.reject.add(method)
        open_page(page)
        assert act(page, wallet) == {"ok": False, "error": "declined"}
        assert progress(page) == IDLE | {"error": "declined"}
        wallet.reject.clear()
        assert act(page, wallet)["ok"] is True
        assert progress(page)["error"] == ""

    @pytest.mark.parametrize(
        ("code", "text", "word"),
        [
            (-32002, "Request already pending", "pending"),
            (4100, "Unauthorized", "locked"),
            (4900, "Disconnected", "offline"),
            (4200, "Unsupported", "unable"),
            (-32603, "User denied message signature", "declined"),
            (-32603, "Ledger is asleep", "said"),
            (-32603, "", "silent"),
        ],
    )
    def test_the_wallet_fails(self, page: Page, code: int, text: str, word: str) -> None:
        wallet = inject_wallet(page, KEY)
        wallet.fail["personal_sign"] = (code, text)
        open_page(page)
        assert act(page, wallet)["error"] == word
        assert progress(page)["text"] == (text if word == "said" else "")

    def test_every_problem_has_a_sentence(self) -> None:
        script = (SOURCES / "signing.ts").read_text()
        table = script[script.index("CODES") : script.index("};", script.index("CODES"))]
        words = {*re.findall(r'Failure\("(\w+)"', script), *re.findall(r': "(\w+)"', table), "silent", "declined"}
        assert words - {"refused"} == PROBLEMS.keys()

    def test_the_wallet_is_locked(self, page: Page) -> None:
        wallet = inject_wallet(page, KEY)
        wallet.locked = True
        open_page(page)
        assert act(page, wallet)["error"] == "locked"

    def test_the_wallet_is_gone(self, page: Page) -> None:
        open_page(page)
        answer = page.evaluate("() => script.walletAct('gone', 'link', '', 0)")
        assert answer["error"] == "gone"

    @pytest.mark.parametrize("path", ["auth/wallet/challenge", "auth/wallet/verify"])
    def test_the_server(self, page: Page, backend: Backend, path: str) -> None:
        wallet = inject_wallet(page, KEY)
        open_page(page)
        too_often = json.dumps({"error": "Too many attempts.", "retry_after": 30})
        for reaction, words in (
            (lambda route: route.abort(), "No connection to FlashCur"),
            (lambda route: route.fulfill(status=502, body="<html>"), "error (502)"),
            (lambda route: route.fulfill(status=200, body="{"), "did not arrive whole"),
            (lambda route: route.fulfill(status=429, body=too_often), "Too many attempts."),
        ):
            backend.instead[path] = reaction
            answer = act(page, wallet)
            assert answer["error"] == progress(page)["error"] == "refused"
            assert words in progress(page)["text"]
        assert answer["retry_after"] == 30


class TestOneAtATime:
    def test_a_second_click_does_nothing(self, page: Page, backend: Backend) -> None:
        wallet = inject_wallet(page, KEY)
        wallet.hang.add("eth_requestAccounts")
        open_page(page)
        start(page, wallet)
        assert act(page, wallet) == {"ok": False, "error": ""}
        assert progress(page) == IDLE | {"busy": wallet.id, "step": "connect"}
        wallet.hang.clear()
        wallet.release(page)
        page.wait_for_function("() => window.result?.ok")
        assert [path for path, _ in backend.asked] == ["challenge", "verify"]

    def test_a_wallet_that_never_answers_can_be_given_up(self, page: Page, backend: Backend) -> None:
        wallet = inject_wallet(page, KEY)
        wallet.hang.add("personal_sign")
        open_page(page)
        start(page, wallet)
        page.wait_for_function("() => script.useWalletProgress().step === 'sign'")
        wait_until(lambda: page.evaluate("1") == 1 and "personal_sign" in wallet.asked, "a request to sign", 5)
        page.evaluate("() => script.cancelWallet()")
        page.wait_for_function("() => window.result !== undefined")
        assert progress(page) == IDLE
        wallet.hang.clear()
        wallet.release(page)
        # The late answer to the first goes nowhere; a second flow goes its own way.
        assert act(page, wallet)["ok"] is True
        assert [path for path, _ in backend.asked] == ["challenge", "challenge", "verify"]
        assert page.evaluate("window.result") == {"ok": False, "error": ""}

    def test_leaving_the_page_gives_up(self, page: Page) -> None:
        wallet = inject_wallet(page, KEY)
        wallet.hang.add("eth_requestAccounts")
        open_page(page)
        start(page, wallet)
        page.evaluate("() => stops.forEach((stop) => stop())")
        page.wait_for_function("() => window.result?.ok === false")
        assert progress(page)["busy"] == ""

    def test_a_page_that_sleeps_sends_when_it_is_seen_again(self, page: Page, backend: Backend) -> None:
        wallet = inject_wallet(page, KEY)
        wallet.hang.add("personal_sign")
        open_page(page)
        start(page, wallet)
        page.wait_for_function("() => script.useWalletProgress().step === 'sign'")
        page.evaluate(
            "() => Object.defineProperty(document, 'visibilityState', { value: 'hidden', configurable: true })"
        )
        wallet.hang.clear()
        wallet.release(page)
        page.wait_for_function("() => script.useWalletProgress().step === 'check'")
        wait_until(
            lambda: page.evaluate("1") == 1 and wallet.asked[-2:] == ["eth_accounts", "eth_chainId"], "all asked", 5
        )
        # What the page would have sent by now has come when this has.
        assert page.evaluate("() => fetch('/after').then((response) => response.status)") == 404
        assert [path for path, _ in backend.asked] == ["challenge"]
        page.evaluate(
            "() => { delete document.visibilityState; document.dispatchEvent(new Event('visibilitychange')) }"
        )
        page.wait_for_function("() => window.result?.ok")
