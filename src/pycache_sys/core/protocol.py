"""Encode requests to workers and decode their answers.

The protocol is written down in ``pycache_sys_worker/compile.py``. What comes from a worker is not
trusted: a frame that does not add up raises ProtocolError, and the worker is done for.
"""

from struct import Struct, error
from typing import NamedTuple

from pycache_sys.core.model import Reason, Refusal, SourceIdentity

GREETING = b"pycache-sys worker 1"
LONGEST_FRAME = 1 << 30
LENGTH = Struct("<I")
_REQUEST = Struct("<IIBB")
_ANSWER = Struct("<IB")
_IDENTITY = Struct("<QQqqq")
_HASH_LENGTH = 8


class ProtocolError(Exception):
    """A worker sent what the protocol does not allow."""


class Compiled(NamedTuple):
    """What a worker made of a source: a whole pyc file a level, None for "as the level before"."""

    identity: SourceIdentity
    source_hash: bytes
    files: tuple[bytes | None, ...]


def greeting(*, uid: int, magic: bytes, cache_tag: str) -> bytes:
    """Return the handshake that a fitting worker sends."""
    return GREETING + LENGTH.pack(uid) + magic + cache_tag.encode()


def encode_request(number: int, invalidation: int, levels: bytes, path: bytes) -> bytes:
    """Frame a request."""
    length = _REQUEST.size - LENGTH.size + len(levels) + len(path)
    return _REQUEST.pack(length, number, invalidation, len(levels)) + levels + path


def frame_length(prefix: bytes) -> int:
    """Read a frame's length, bounded."""
    length: int = LENGTH.unpack(prefix)[0]
    if length > LONGEST_FRAME:
        raise ProtocolError(f"a frame of {length} bytes")
    return length


def decode_answer(body: bytes) -> tuple[int, Compiled | Refusal]:
    """Take an answer apart into the request's number and its result."""
    try:
        number, status = _ANSWER.unpack_from(body)
        if status:
            reason, _, detail = body[_ANSWER.size :].decode("utf-8").partition("\0")
            return number, Refusal(Reason(reason), detail)
        return number, _decode_compiled(body)
    except (error, ValueError) as problem:
        raise ProtocolError(str(problem)) from problem


def _decode_compiled(body: bytes) -> Compiled:
    offset = _ANSWER.size
    identity = SourceIdentity._make(_IDENTITY.unpack_from(body, offset))
    offset += _IDENTITY.size
    source_hash = body[offset : offset + _HASH_LENGTH]
    offset += _HASH_LENGTH
    files: list[bytes | None] = []
    while offset < len(body):
        (length,) = LENGTH.unpack_from(body, offset)
        offset += LENGTH.size
        if offset + length > len(body):
            raise ProtocolError("a truncated answer")
        files.append(body[offset : offset + length] if length else None)
        offset += length
    if len(source_hash) != _HASH_LENGTH or (files and files[0] is None):
        raise ProtocolError("an answer without its first file")
    return Compiled(identity=identity, source_hash=source_hash, files=tuple(files))
