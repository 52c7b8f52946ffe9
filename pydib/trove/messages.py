"""What Trove's control plane and a guest agent say to each other, as oslo.messaging puts it on the wire. Pure.

Facts: oslo.messaging's envelope is version 2.0 (`oslo.version`, `oslo.message`); Trove encrypts with AES-CBC under the
MD5 sum of the instance's key in hexadecimal, PKCS#7 padding, the 16 bytes of the initial vector first, all in base64.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from pydib.errors import EngineError, ToolMissing

try:
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.algorithms import AES
    from cryptography.hazmat.primitives.ciphers.modes import CBC
    from cryptography.hazmat.primitives.padding import PKCS7
except ImportError:
    raise ToolMissing("talking with a guest agent needs cryptography, and kombu",
                      hint="install them: pip install 'pydib[trove]'") from None

_VECTOR_BYTES = 16

Json = dict[str, object]


@dataclass(frozen=True, kw_only=True)
class Heard:
    """A message from the guest: the method that it calls, and its arguments in clear."""

    method: str
    args: Json


@dataclass(frozen=True, kw_only=True)
class Reply:
    """The guest's answer to one of our calls; `ending` says that nothing more follows."""

    result: object
    failure: str
    ending: bool


def encrypted(value: object, key: str) -> str:
    """`value` as JSON, encrypted for the holder of `key`."""
    vector = os.urandom(_VECTOR_BYTES)
    padder = PKCS7(AES.block_size).padder()
    padded = padder.update(json.dumps(value).encode()) + padder.finalize()
    encryptor = Cipher(AES(_aes_key(key)), CBC(vector)).encryptor()
    return base64.b64encode(vector + encryptor.update(padded) + encryptor.finalize()).decode()


def decrypted(text: str, key: str) -> object:
    """What `encrypted` was given.

    Raises:
        EngineError: it was encrypted under another key, or is damaged.
    """
    try:
        data = base64.b64decode(text, validate=True)
        decryptor = Cipher(AES(_aes_key(key)), CBC(data[:_VECTOR_BYTES])).decryptor()
        padded = decryptor.update(data[_VECTOR_BYTES:]) + decryptor.finalize()
        unpadder = PKCS7(AES.block_size).unpadder()
        return json.loads(unpadder.update(padded) + unpadder.finalize())
    except ValueError:
        raise EngineError("a message of the guest agent cannot be decrypted",
                          hint="guest_info.conf in the guest holds another instance_rpc_encr_key") from None


def _aes_key(key: str) -> bytes:
    return hashlib.md5(key.encode(), usedforsecurity=False).hexdigest().encode()


def request(method: str, args: Mapping[str, object], *, context: Json, key: str, version: str = "1.0",
            reply_to: str = "") -> tuple[Json, str]:
    """The body of a message to the guest, and the number under which its answer comes (empty for a cast).

    Args:
        method: of the agent's manager.
        args: its arguments.
        context: as `TroveContext` reads it.
        key: instance_rpc_encr_key.
        version: of the agent's interface.
        reply_to: the queue for the answer; without it nobody waits for one.
    """
    inner: Json = {"method": method, "version": version, "_unique_id": uuid.uuid4().hex,
                   "args": {name: encrypted(value, key) for name, value in args.items()},
                   "_context_context": encrypted(context, key)}
    number = uuid.uuid4().hex if reply_to else ""
    if reply_to:
        inner |= {"_msg_id": number, "_reply_q": reply_to, "_timeout": None}
    return {"oslo.version": "2.0", "oslo.message": json.dumps(inner)}, number


def heard(body: object, key: str) -> Heard:
    """A message to the conductor, in clear."""
    inner = _inner(body)
    args = inner.get("args")
    return Heard(method=str(inner.get("method", "")),
                 args={name: _entity(value, key) for name, value in (args if isinstance(args, dict) else {}).items()})


def _entity(value: object, key: str) -> object:
    """An argument: the guest's number travels with it, in clear, so that the conductor knows whose key to take."""
    try:
        outer = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        outer = value
    entity = outer["entity"] if isinstance(outer, dict) and "entity" in outer else value
    return decrypted(entity, key) if isinstance(entity, str) else entity


def reply(body: object, key: str) -> Reply:
    """An answer, in clear."""
    inner = _inner(body)
    failure = inner.get("failure")
    result = inner.get("result")
    return Reply(result=decrypted(result, key) if isinstance(result, str) and not failure else result,
                 failure=str(failure) if failure else "", ending=bool(inner.get("ending")))


def reply_number(body: object) -> str:
    """Which call an answer is for."""
    return str(_inner(body).get("_msg_id", ""))


def _inner(body: object) -> Json:
    document = json.loads(body) if isinstance(body, (str, bytes)) else body
    message = document.get("oslo.message") if isinstance(document, dict) else None
    inner = json.loads(message) if isinstance(message, str) else document
    if not isinstance(inner, dict):
        raise EngineError("the guest agent sent something that is no message of oslo.messaging")
    return inner
