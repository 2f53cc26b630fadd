"""Whether a wallet signed a text: by its key (EIP-191), or by its contract, which its chain is asked.

A deployed contract decides for every byte string, an empty one too (ERC-1271). A signature that carries more than the
signature (ERC-6492) is unwrapped: the contract is asked about what is inside, after what it needs to exist, or to know
its owner, was done within the same simulated call; nothing of that is ever written to a chain.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
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
RPC_AT_ONCE = 4
"""Contract wallets that are asked about at a time; an endpoint that hangs holds up no more than these."""

_HEX = re.compile(r"0x(?:[0-9a-fA-F]{2})*")
_SIGNATURE = re.compile(r"(?:0[xX])?((?:[0-9a-fA-F]{2})*)")
"""Some wallets leave `0x` out, or write it in capitals."""
_KEY_SIGNATURE_BYTES = 65
_COMPACT_BYTES = 64
"""A key's signature with the parity in the highest bit of `s` (EIP-2098)."""
_HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
"""The largest `s` that EIP-2098 allows."""
_IS_VALID_SIGNATURE = bytes.fromhex("1626ba7e")
"""Selector of ERC-1271's function, and the value it returns for yes."""
_WRAPPED = bytes.fromhex("6492" * 16)
"""How a signature ends that carries a call to be made before the contract is asked (ERC-6492)."""
_MULTICALL = "0xcA11bde05977b3631167028862bE2a173976CA11"
"""Multicall3, at the same address on every chain that is asked: it makes both calls in one that is only simulated."""
_AGGREGATE = bytes.fromhex("82ad56cb")
"""Selector of Multicall3's `aggregate3((address,bool,bytes)[])`."""
_CONTRACT_FAILED = re.compile(r"revert|invalid opcode|out of gas|vm execution|stack (?:under|over)flow", re.I)
"""Words of nodes about a contract that gave up, as against a node that did."""
_REVERTED = (3, -32015)
"""Codes for the same: of Geth and its kin, of Nethermind."""


class _NodeFailure(Exception):
    """The endpoint did not answer, or not as one of that chain does. The text names the reason, never the URL."""


class _ContractFailure(Exception):
    """The contract did not return."""


class SignatureChecker:
    """Checks signatures of wallets; blocks, so it is called in a thread. One for the whole process."""

    def __init__(self, settings: Settings) -> None:
        self._rpc_urls = dict(settings.rpc_urls)
        self._confirmed: set[int] = set()
        self._asking = 0
        # Threads of its own: an endpoint that hangs must not hold up what else is done in threads.
        self._threads = ThreadPoolExecutor(RPC_AT_ONCE, thread_name_prefix="rpc")

    def close(self) -> None:
        """Take no more signatures; what is being asked ends with its time limit."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def warm(self) -> None:
        """Import what every check needs, half a second, so that the first person who signs in does not wait for it."""
        from eth_account.messages import encode_defunct

        _recover(encode_defunct(text=""), bytes(_KEY_SIGNATURE_BYTES))

    async def verify(self, text: str, address: str, chain_id: int, signature: str) -> bool:
        """`check`, off the event loop. Keys never wait for an endpoint; Unavailable also when RPC_AT_ONCE contract
        wallets are being asked about."""
        claim = await asyncio.to_thread(self._read, text, address, chain_id, signature)
        if claim.by_key:
            return False
        if self._asking >= RPC_AT_ONCE:
            raise Unavailable("Many contract wallets are signing in right now: try again in a moment.")
        self._asking += 1
        try:
            await asyncio.get_running_loop().run_in_executor(self._threads, self._ask, claim)
        finally:
            self._asking -= 1
        return True

    def check(self, text: str, address: str, chain_id: int, signature: str) -> bool:
        """Return when `address` signed `text`; `signature` is hex digits, with `0x` or without. True: its contract says
        so, on this chain; False: its key did, whatever the chain.

        Raises Refusal (field `signature`) when it did not, or when that cannot be told; Unavailable when the chain's
        RPC endpoint, which is asked about contract wallets, does not answer in time or answers nonsense.
        """
        claim = self._read(text, address, chain_id, signature)
        if not claim.by_key:
            self._ask(claim)
        return not claim.by_key

    def _read(self, text: str, address: str, chain_id: int, signature: str) -> _Claim:
        """What can be told without asking anybody."""
        raw = _bytes_of(signature)
        from eth_account.messages import encode_defunct

        message = encode_defunct(text=text)
        signer = _recover(message, raw)
        claim = _Claim(message, address, chain_id, raw, signer)
        if not claim.by_key and chain_id not in self._rpc_urls:
            raise _refused(f"{_difference(address, signer, raw)} {_cannot_ask(chain_id)}")
        return claim

    def _ask(self, claim: _Claim) -> None:
        try:
            self._ask_contract(claim)
        except _NodeFailure as failure:
            log.warning("the RPC endpoint of %s: %s", CHAINS[claim.chain_id], failure)
            raise Unavailable(
                f"{CHAINS[claim.chain_id]} could not be asked about this wallet: try again in a moment.",
                field="signature",
            ) from None

    def _ask_contract(self, claim: _Claim) -> None:
        from eth_utils.crypto import keccak

        name = CHAINS[claim.chain_id]
        node = _Node(self._rpc_urls[claim.chain_id])
        if claim.chain_id not in self._confirmed:
            answered = _number(node.ask("eth_chainId"))
            if answered != claim.chain_id:
                raise _NodeFailure(f"expected chain {claim.chain_id}, was {answered}")
            self._confirmed.add(claim.chain_id)
        message = claim.message
        digest = keccak(b"\x19" + message.version + message.header + message.body)
        wrapped = _unwrap(claim.raw)
        deployed = bool(_data(node.ask("eth_getCode", claim.address, "latest")))
        if not deployed and wrapped is None:
            raise _refused(
                f"{_difference(claim.address, claim.signer, claim.raw)} There is no contract wallet at it on {name}."
            )
        signature = claim.raw if wrapped is None else wrapped.signature
        if deployed and _says_yes(node, claim.address, digest, signature):
            return
        # Not there yet, or its owners are news to it: what the signature brings along is done first.
        if wrapped is not None and _says_yes_after(node, wrapped, claim.address, digest):
            return
        raise _refused(f"The contract wallet {claim.address} on {name} does not accept it.")


@dataclass(frozen=True, slots=True)
class _Claim:
    """A signature, and who is said to have made it."""

    message: SignableMessage
    address: str
    chain_id: int
    raw: bytes
    signer: str | None
    """Whose key signed; None where these bytes are no key's signature."""

    @property
    def by_key(self) -> bool:
        return self.signer is not None and self.signer.lower() == self.address.lower()


@dataclass(frozen=True, slots=True)
class _Wrapped:
    """What an ERC-6492 signature carries."""

    factory: str
    prepare: bytes
    """Sent to `factory` before the contract is asked."""
    signature: bytes


def _unwrap(raw: bytes) -> _Wrapped | None:
    """None where the signature carries nothing more, or nothing that can be read: that is the contract's to judge."""
    if not raw.endswith(_WRAPPED):
        return None
    from eth_abi.abi import decode
    from eth_abi.exceptions import DecodingError

    try:
        factory, prepare, signature = decode(["address", "bytes", "bytes"], raw[: -len(_WRAPPED)])
    except (DecodingError, OverflowError):
        return None
    return _Wrapped(str(factory), bytes(prepare), bytes(signature))


def _question(digest: bytes, signature: bytes) -> bytes:
    from eth_abi.abi import encode

    return _IS_VALID_SIGNATURE + encode(["bytes32", "bytes"], [digest, signature])


def _is_yes(answer: bytes) -> bool:
    return answer[:32] == _IS_VALID_SIGNATURE.ljust(32, b"\0")


def _says_yes(node: _Node, address: str, digest: bytes, signature: bytes) -> bool:
    """Whether the contract at `address` accepts a signature, as it is now."""
    call = {"to": address, "data": f"0x{_question(digest, signature).hex()}"}
    try:
        return _is_yes(_data(node.ask("eth_call", call, "latest")))
    except _ContractFailure:
        return False


def _says_yes_after(node: _Node, wrapped: _Wrapped, address: str, digest: bytes) -> bool:
    """Whether it would, once the factory was called."""
    from eth_abi.abi import decode, encode
    from eth_abi.exceptions import DecodingError

    # A factory that has nothing left to do may revert: the contract decides.
    calls = [(wrapped.factory, True, wrapped.prepare), (address, True, _question(digest, wrapped.signature))]
    data = _AGGREGATE + encode(["(address,bool,bytes)[]"], [calls])
    try:
        answer = _data(node.ask("eth_call", {"to": _MULTICALL, "data": f"0x{data.hex()}"}, "latest"))
    except _ContractFailure:
        return False
    try:
        (results,) = decode(["(bool,bytes)[]"], answer)
    except (DecodingError, OverflowError):
        raise _NodeFailure("eth_call: expected the two answers of Multicall3") from None
    return len(results) == 2 and bool(results[1][0]) and _is_yes(bytes(results[1][1]))


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
    found = _SIGNATURE.fullmatch(signature)
    if not found:
        raise _refused("expected 0x and an even number of hex digits.")
    return bytes.fromhex(found[1])


def _recover(message: SignableMessage, raw: bytes) -> str | None:
    """The address whose key signed; None where these bytes are no key's signature."""
    from eth_account import Account
    from eth_keys.exceptions import BadSignature
    from eth_utils.exceptions import ValidationError

    if len(raw) == _COMPACT_BYTES:
        parity, s = raw[32] >> 7, int.from_bytes(raw[32:]) & (2**255 - 1)
        if s > _HALF_ORDER:
            return None
        raw = raw[:32] + s.to_bytes(32) + bytes([27 + parity])
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
    if not raw:
        return f"expected a signature of {address}, was empty."
    if len(raw) not in (_KEY_SIGNATURE_BYTES, _COMPACT_BYTES):
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
