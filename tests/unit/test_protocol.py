"""What a worker sends is taken apart exactly, or refused as a whole."""

import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pycache_sys.core import protocol
from pycache_sys.core.model import Reason, Refusal, SourceIdentity

unsigned = st.integers(0, (1 << 64) - 1)
signed = st.integers(-(1 << 63), (1 << 63) - 1)
identities = st.builds(
    SourceIdentity, device=unsigned, inode=unsigned, size=signed, mtime=signed, ctime=signed
)
numbers = st.integers(0, (1 << 32) - 1)
hashes = st.binary(min_size=8, max_size=8)
files = st.one_of(
    st.just(()),
    st.tuples(
        st.binary(min_size=1, max_size=40),
        st.lists(st.one_of(st.none(), st.binary(min_size=1, max_size=40)), max_size=3),
    ).map(lambda pair: (pair[0], *pair[1])),
)


def encode_compiled(number: int, compiled: protocol.Compiled) -> bytes:
    """Encode an answer as the worker's docstring has it."""
    pieces = [struct.pack("<IB", number, 0), struct.pack("<QQqqq", *compiled.identity)]
    pieces.append(compiled.source_hash)
    pieces += [struct.pack("<I", len(file or b"")) + (file or b"") for file in compiled.files]
    return b"".join(pieces)


@given(numbers, st.builds(protocol.Compiled, identity=identities, source_hash=hashes, files=files))
def test_an_answer_comes_through_unchanged(number: int, compiled: protocol.Compiled) -> None:
    assert protocol.decode_answer(encode_compiled(number, compiled)) == (number, compiled)


@given(numbers, st.sampled_from(list(Reason)), st.text())
def test_a_refusal_comes_through_unchanged(number: int, reason: Reason, detail: str) -> None:
    body = struct.pack("<IB", number, 1) + f"{reason}\0{detail}".encode(errors="replace")
    expected = detail.encode(errors="replace").decode()
    assert protocol.decode_answer(body) == (number, Refusal(reason, expected))


def _survives(body: bytes) -> bool:
    try:
        number, result = protocol.decode_answer(body)
    except protocol.ProtocolError:
        return False
    assert 0 <= number < 1 << 32
    if isinstance(result, protocol.Compiled):
        assert len(result.source_hash) == 8
        assert not result.files or result.files[0]
    return True


@given(st.binary(max_size=200))
@example(b"\0\0\0\0\1syntax\0\xff")
@example(b"\0\0\0\0\1nonsense\0")
@example(b"\0\0\0\0\0" + bytes(48) + b"\0\0\0\0")
@example(b"\0\0\0\0\0" + bytes(48) + b"\1\0\0")
@example(b"\0\0\0\0\0" + bytes(48) + b"\2\0\0\0a")
def test_garbage_is_a_protocol_error_and_nothing_else(body: bytes) -> None:
    _survives(body)


@given(
    numbers,
    st.builds(protocol.Compiled, identity=identities, source_hash=hashes, files=files),
    st.data(),
)
def test_a_damaged_answer_is_a_protocol_error_and_nothing_else(
    number: int, compiled: protocol.Compiled, data: st.DataObject
) -> None:
    body = bytearray(encode_compiled(number, compiled))
    _survives(bytes(body[: data.draw(st.integers(0, len(body)))]))
    body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    _survives(bytes(body))


@pytest.mark.parametrize("cut", [1, 4, 5, 44, 52])
def test_a_cut_answer_is_refused(cut: int) -> None:
    whole = encode_compiled(
        1,
        protocol.Compiled(
            identity=SourceIdentity(1, 2, 3, 4, 5), source_hash=b"h" * 8, files=(b"abc",)
        ),
    )
    assert _survives(whole)
    assert not _survives(whole[:cut])
    assert not _survives(whole[:-1])


def test_an_answer_whose_first_file_refers_to_the_one_before_is_refused() -> None:
    assert not _survives(bytes(5 + 40 + 8) + bytes(4))


@given(st.binary(min_size=4, max_size=4))
def test_a_frame_length_is_bounded(prefix: bytes) -> None:
    (length,) = struct.unpack("<I", prefix)
    if length > protocol.LONGEST_FRAME:
        with pytest.raises(protocol.ProtocolError, match=str(length)):
            protocol.frame_length(prefix)
    else:
        assert protocol.frame_length(prefix) == length


@given(
    numbers,
    st.sampled_from([0, 1, 3]),
    st.lists(st.sampled_from([0, 1, 2]), max_size=3).map(bytes),
    st.binary(max_size=60),
)
def test_a_request_is_what_the_worker_reads(
    number: int, invalidation: int, levels: bytes, path: bytes
) -> None:
    frame = protocol.encode_request(number, invalidation, levels, path)
    length, got, mode, count = struct.unpack_from("<IIBB", frame)
    assert (length, got, mode) == (len(frame) - 4, number, invalidation)
    assert frame[10 : 10 + count] == levels
    assert frame[10 + count :] == path


def test_the_handshake_is_what_the_worker_sends() -> None:
    greeting = protocol.greeting(uid=1000, magic=b"\xa7\r\r\n", cache_tag="cpython-311")
    assert greeting == b"pycache-sys worker 1\xe8\x03\0\0\xa7\r\r\ncpython-311"
