"""A wallet in the browser (EIP-1193) that really signs, announced to pages as extensions do it (EIP-6963)."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from eth_account import Account
from eth_account.messages import encode_defunct
from playwright.sync_api import BrowserContext, Page

ICON = "data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIHdpZHRoPSI4IiBoZWlnaHQ9IjgiLz4="

_numbers = itertools.count(1)

_PROVIDER = """(({ ask, info, announce, legacy }) => {
  const hung = [];
  const provider = {
    async request({ method, params }) {
      for (;;) {
        const answer = await window[ask](method, params ?? []);
        if (answer.error) throw Object.assign(new Error(answer.error.message), { code: answer.error.code });
        if (!answer.hang) return answer.result;
        await new Promise((resolve) => hung.push(resolve));
      }
    },
    on() { return provider; },
    removeListener() { return provider; },
  };
  const tell = () => window.dispatchEvent(
    new CustomEvent("eip6963:announceProvider", { detail: Object.freeze({ info: Object.freeze(info), provider }) })
  );
  window[ask + "Announce"] = tell;
  window[ask + "Release"] = () => hung.splice(0).forEach((resolve) => resolve());
  if (legacy) window.ethereum = provider;
  if (!announce) return;
  window.addEventListener("eip6963:requestProvider", tell);
  tell();
})"""


@dataclass
class InjectedWallet:
    """Its state and its moods; tests change them at any time."""

    key: str
    """Private key of the account that is chosen, hex."""
    chain_id: int
    id: str
    """EIP-6963 uuid, by which pages know it."""
    ask: str
    """Name of the function that its half in the page calls."""
    connected: bool = False
    locked: bool = False
    """Has no accounts to show."""
    switchable: bool = True
    """Whether it changes to a chain that a page asks for."""
    reject: set[str] = field(default_factory=set[str])
    """Methods that the person declines (4001)."""
    fail: dict[str, tuple[int, str]] = field(default_factory=dict[str, tuple[int, str]])
    """Method to the code and text of an error."""
    hang: set[str] = field(default_factory=set[str])
    """Methods that get no answer until `release`."""
    after: dict[str, Callable[[], object]] = field(default_factory=dict[str, Callable[[], object]])
    """Method to what happens, once, right after it was answered: `wallet.after["personal_sign"] = lambda: …`."""
    asked: list[str] = field(default_factory=list[str])
    """Methods, in order."""
    texts: list[str] = field(default_factory=list[str])
    """What was signed."""

    @property
    def address(self) -> str:
        return Account.from_key(self.key).address

    def switch(self, *, key: str | None = None, chain_id: int | None = None) -> None:
        """As the person does it in the wallet's own window."""
        self.key, self.chain_id = key or self.key, chain_id or self.chain_id

    def release(self, page: Page) -> None:
        """Answer what hangs, unless it is still in `hang`."""
        page.evaluate(f"window.{self.ask}Release()")

    def announce(self, page: Page) -> None:
        """Announce it now, also if it was injected with `announce=False`."""
        page.evaluate(f"window.{self.ask}Announce()")

    def answer(self, method: str, params: list[Any]) -> dict[str, Any]:
        """What the page's half passes on: `result`, `error` or `hang`."""
        self.asked.append(method)
        if method in self.hang:
            return {"hang": True}
        if method in self.reject:
            return _error(4001, "User rejected the request.")
        if method in self.fail:
            return _error(*self.fail[method])
        answer = self._do(method, params)
        self.after.pop(method, lambda: None)()
        return answer

    def _do(self, method: str, params: list[Any]) -> dict[str, Any]:
        # Wallets other than those in Python give addresses in lower case.
        accounts = [] if self.locked else [self.address.lower()]
        match method:
            case "eth_requestAccounts":
                self.connected = not self.locked
                return {"result": accounts}
            case "eth_accounts":
                return {"result": accounts if self.connected else []}
            case "eth_chainId":
                return {"result": hex(self.chain_id)}
            case "wallet_switchEthereumChain":
                if not self.switchable:
                    return _error(4902, "Unrecognized chain ID. Try adding the chain first.")
                self.chain_id = int(params[0]["chainId"], 16)
                return {"result": None}
            case "personal_sign":
                return self._sign(*params)
            case _:
                return _error(4200, f"The wallet does not support {method}.")

    def _sign(self, data: str, address: str) -> dict[str, Any]:
        if not self.connected or address.lower() != self.address.lower():
            return _error(4100, "The requested account has not been authorized by the user.")
        message = bytes.fromhex(data.removeprefix("0x"))
        self.texts.append(message.decode())
        return {"result": f"0x{Account.sign_message(encode_defunct(message), self.key).signature.hex()}"}


def inject_wallet(
    context_or_page: BrowserContext | Page,
    key: str,
    *,
    name: str = "Test Wallet",
    announce: bool = True,
    legacy: bool = False,
    chain_id: int = 1,
    icon: str = ICON,
) -> InjectedWallet:
    """A wallet in every page loaded from now on; call it several times for several wallets.

    `announce`: through EIP-6963; `legacy`: as `window.ethereum`. `key`: private key, 0x and 64 hex digits.
    """
    number = next(_numbers)
    uuid = f"00000000-0000-4000-8000-{number:012d}"
    wallet = InjectedWallet(key, chain_id, uuid if announce or not legacy else "injected", f"testWallet{number}")
    context_or_page.expose_function(wallet.ask, wallet.answer)
    info = {"uuid": uuid, "name": name, "icon": icon, "rdns": f"test.wallet{number}"}
    setup = json.dumps({"ask": wallet.ask, "info": info, "announce": announce, "legacy": legacy})
    context_or_page.add_init_script(f"{_PROVIDER}({setup})")
    return wallet


def _error(code: int, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}
