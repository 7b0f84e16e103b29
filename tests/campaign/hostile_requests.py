"""Hostile requests: a request, what the server must do with it, and damage to bytes that both transports share."""

import random
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

# What the server must do with a request. Every request gets a status, and none may change a later answer.
REFUSED = "refused"  # a status that blames the request
ANSWERED = "answered"  # finite scores, and the first row, which is valid, has its usual score
ISOLATED = "refused, or answered as above"
ANY = "any status that is not the server's own failure"


class HostileRequest(NamedTuple):
    """One request.

    Attributes:
      case: what repeats it: the name of the attack and its number.
      expected: one of the constants above.
      target: gRPC method; "" for REST.
      content: the serialized message, or all bytes of the HTTP request.
    """

    case: str
    expected: str
    target: str
    content: bytes


def truncated(rng: random.Random, content: bytes) -> bytes:
    return content[:rng.randrange(len(content))]


def flipped(rng: random.Random, content: bytes) -> bytes:
    damaged = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 8])):
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def random_bytes(rng: random.Random, content: bytes) -> bytes:
    return rng.randbytes(rng.choice([0, 1, 7, 300, 70_000]))


def spliced(rng: random.Random, content: bytes) -> bytes:
    """A part of the bytes moved to another place."""
    start, size, place = (rng.randrange(len(content)) for _ in range(3))
    part = content[start:start + size]
    rest = content[:start] + content[start + size:]
    return rest[:place] + part + rest[place:]


def doubled(rng: random.Random, content: bytes) -> bytes:
    return content * rng.choice([2, 3, 50])


DAMAGE: list[Callable[[random.Random, bytes], bytes]] = [truncated, flipped, random_bytes, spliced, doubled]

TEXTS = ["", "\0", "../../etc/passwd", "a" * 100_000, "\u202e😀", "%s%n{}", "'; DROP TABLE", "\n\r\t", "NaN", "null"]
NOT_UTF8 = [b"\xff\xfe", b"\x80" * 1000, b"\xed\xa0\xbd", b"\xc3", bytes(range(256))]
INTEGERS = [0, -1, 2**63 - 1, -2**63, 2**31, 2**53 + 1]
FLOATS = [float("nan"), float("inf"), float("-inf"), 3.4e38, -3.4e38, 1e-45, -0.0]


def text(rng: random.Random) -> str:
    """A text of at least one character that no label, signature or model has as its name."""
    odd = rng.choice([value for value in TEXTS if value])
    characters = [chr(rng.choice([rng.randrange(1, 0x300), rng.randrange(0xE000, 0x110000)])) for _ in range(12)]
    return rng.choice([odd, "".join(characters)])


def integer(rng: random.Random) -> int:
    """64 bits."""
    return rng.choice([*INTEGERS, rng.getrandbits(64) - 2**63, rng.getrandbits(64) - 2**63])


def number(rng: random.Random) -> float:
    """32 bits."""
    return rng.choice([*FLOATS, *struct.unpack("<2f", rng.randbytes(8))])


def two_rows(rng: random.Random, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first row and another one."""
    return [rows[0], rng.choice(rows[1:])]
