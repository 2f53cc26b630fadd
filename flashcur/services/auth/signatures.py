"""Whether a wallet signed a text: by its key (EIP-191), or by its contract, which its chain is asked (ERC-1271)."""

from __future__ import annotations

import logging
import re
import time
from typing import TYPE_CHECKING, cast

from flashcur.errors import Refusal, Unavailable
from flashcur.settings import CHAINS, Settings

if TYPE_CHECKING:
    from eth_account.messages import SignableMessage

log = logging.getLogger(__name__)

MAX_HEX = 8192
"""Hex digits of a signature. A key's has 130; contracts of several owners join theirs."""
RPC_TIMEOUT_S = 5.0
"""For all questions about one signature together: a person waits."""

_HEX = re.compile(r"0x(?:[0-9a-fA-F]{2})*")
_KEY_SIGNATURE_BYTES = 65
_IS_VALID_SIGNATURE = bytes.fromhex("1626ba7e")
"""Selector of ERC-1271's function, and the value it returns for yes."""
_UNDEPLOYED = bytes.fromhex("6492" * 16)
"""How signatures of contracts end that are not on their chain yet (ERC-6492)."""
_CONTRACT_FAILED = re.compile(r"revert|invalid opcode|out of gas|vm execution|stack (?:under|over)flow", re.I)
"""Words of nodes about a contract that gave up, as against a node that did."""
_REVERTED = (3, -32015)
"""Codes for the same: of Geth and its kin, of Nethermind."""


class _NodeFailure(Exception):
    """The endpoint did not answer, or not as one of that chain does. The text names the reason, never the URL."""


class _ContractFailure(Exception):
    """The contract did not return."""


class SignatureChecker:
    """Checks signatures of wallets. Its methods block: call them in a thread. One serves the whole process."""

    def __init__(self, settings: Settings) -> None:
        self._rpc_urls = dict(settings.rpc_urls)
        self._confirmed: set[int] = set()

    def warm(self) -> None:
        """Import what every check needs, half a second, so that the first person who signs in does not wait for it."""
        from eth_account.messages import encode_defunct

        _recover(encode_defunct(text=""), bytes(_KEY_SIGNATURE_BYTES))

    def check(self, text: str, address: str, chain_id: int, signature: str) -> bool:
        """Return if `address` signed `text`, raise if it did not; `signature` is 0x and hex digits.

        Returns True where its contract says so (ERC-1271), which counts on this chain alone, and False where its key
        signed (EIP-191), which counts on every chain.

        Raises Refusal (field `signature`) when it did not sign, or that cannot be told; Unavailable when the chain's
        RPC endpoint, which is asked about contract wallets, answers nonsense or not within `RPC_TIMEOUT_S`.
        """
        raw = _bytes_of(signature)
        from eth_account.messages import encode_defunct

        message = encode_defunct(text=text)
        signer = _recover(message, raw)
        if signer is not None and signer.lower() == address.lower():
            return False
        if chain_id not in self._rpc_urls:
            raise _refused(f"{_difference(address, signer, raw)} {_cannot_ask(chain_id)}")
        try:
            self._ask_contract(message, address, chain_id, raw, signer)
        except _NodeFailure as failure:
            log.warning("the RPC endpoint of %s: %s", CHAINS[chain_id], failure)
            raise Unavailable(
                f"{CHAINS[chain_id]} could not be asked about this wallet: try again in a moment.", field="signature"
            ) from None
        return True

    def _ask_contract(
        self, message: SignableMessage, address: str, chain_id: int, raw: bytes, signer: str | None
    ) -> None:
        from eth_abi.abi import encode
        from eth_utils.crypto import keccak

        name = CHAINS[chain_id]
        node = _Node(self._rpc_urls[chain_id])
        if chain_id not in self._confirmed:
            answered = _number(node.ask("eth_chainId"))
            if answered != chain_id:
                raise _NodeFailure(f"expected chain {chain_id}, was {answered}")
            self._confirmed.add(chain_id)
        if not _data(node.ask("eth_getCode", address, "latest")):
            if raw.endswith(_UNDEPLOYED):
                raise _refused(f"This contract wallet is not on {name} yet: make its first transaction there.")
            raise _refused(f"{_difference(address, signer, raw)} There is no contract wallet at it on {name}.")
        digest = keccak(b"\x19" + message.version + message.header + message.body)
        call = _IS_VALID_SIGNATURE + encode(["bytes32", "bytes"], [digest, raw])
        try:
            answer = _data(node.ask("eth_call", {"to": address, "data": f"0x{call.hex()}"}, "latest"))
        except _ContractFailure:
            answer = b""
        if answer[:32] != _IS_VALID_SIGNATURE.ljust(32, b"\0"):
            raise _refused(f"The contract wallet {address} on {name} does not accept it.")


class _Node:
    """A chain's JSON-RPC endpoint, for the questions about one signature."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._deadline = time.monotonic() + RPC_TIMEOUT_S

    def ask(self, method: str, *params: object) -> object:
        """The result of a call. Raises _ContractFailure where the contract gave up, and _NodeFailure for the rest."""
        import requests
        from web3 import HTTPProvider
        from web3.types import RPCEndpoint

        left = max(self._deadline - time.monotonic(), 0.01)
        with requests.Session() as connection:
            # The provider and not `w3.eth`: that takes rate limits for reverts, and fetches whatever address a contract
            # names (EIP-3668). Streaming, as the timeout is otherwise one between two bytes.
            provider = HTTPProvider(
                self._url,
                request_kwargs={"timeout": left, "stream": True},
                session=connection,
                exception_retry_configuration=None,
            )
            try:
                answer = cast(object, provider.make_request(RPCEndpoint(method), list(params)))
            except Exception as error:
                # Of several libraries, and some of their texts have the URL with its key.
                raise _NodeFailure(f"{method}: {type(error).__name__}") from None
        if not isinstance(answer, dict):
            raise _NodeFailure(f"{method}: expected an object, was {type(answer).__name__}")
        fields = cast(dict[str, object], answer)
        error = fields.get("error")
        if error is None:
            return fields.get("result")
        code, words = _error_of(error)
        if method == "eth_call" and (code in _REVERTED or _CONTRACT_FAILED.search(words)):
            raise _ContractFailure
        raise _NodeFailure(f"{method}: error {code}")


def _error_of(error: object) -> tuple[object, str]:
    if not isinstance(error, dict):
        return None, ""
    fields = cast(dict[str, object], error)
    return fields.get("code"), str(fields.get("message"))


def _bytes_of(signature: str) -> bytes:
    if len(signature) > MAX_HEX + 2:
        raise _refused(f"expected at most {MAX_HEX} hex digits, was {len(signature) - 2}.")
    if not _HEX.fullmatch(signature):
        raise _refused("expected 0x and an even number of hex digits.")
    if len(signature) == 2:
        raise _refused("expected 0x and hex digits, was empty.")
    return bytes.fromhex(signature[2:])


def _recover(message: SignableMessage, raw: bytes) -> str | None:
    """The address whose key signed; None where these bytes are no key's signature."""
    from eth_account import Account
    from eth_keys.exceptions import BadSignature
    from eth_utils.exceptions import ValidationError

    # Other values of the last byte are those of transactions, or of contracts.
    if len(raw) != _KEY_SIGNATURE_BYTES or raw[-1] not in (0, 1, 27, 28):
        return None
    try:
        return str(Account.recover_message(message, signature=raw))
    except (BadSignature, ValidationError, ValueError):
        return None


def _number(value: object) -> int:
    try:
        return int(str(value), 16)
    except ValueError:
        raise _NodeFailure("expected a number in hex") from None


def _data(value: object) -> bytes:
    if not isinstance(value, str) or not _HEX.fullmatch(value):
        raise _NodeFailure("expected data in hex")
    return bytes.fromhex(value[2:])


def _difference(address: str, signer: str | None, raw: bytes) -> str:
    if signer is not None:
        return f"{signer} signed, not {address}."
    if len(raw) != _KEY_SIGNATURE_BYTES:
        return f"expected {_KEY_SIGNATURE_BYTES} bytes signed by {address}, was {len(raw)}."
    return f"expected a signature of {address}, was none of any key."


def _cannot_ask(chain_id: int) -> str:
    name = CHAINS.get(chain_id, f"chain {chain_id}")
    return (
        "Either another account signed, or this is a contract wallet, "
        f"which this service cannot check on {name}: choose the account you started with, and start again."
    )


def _refused(reason: str) -> Refusal:
    return Refusal(f"The signature does not match: {reason}", field="signature")
