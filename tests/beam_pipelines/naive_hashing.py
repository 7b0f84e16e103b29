"""The hashes of the dataset in plain Python integers."""

MASK = 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15


def mix(value: int) -> int:
    """SplitMix64 (Steele, Lea and Flood, OOPSLA 2014)."""
    value = (value + GOLDEN) & MASK
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB & MASK
    return value ^ (value >> 31)


def hash_id(value: int | str) -> int:
    """Hash of an id or a time."""
    if isinstance(value, int):
        return mix(value & MASK)
    encoded = value.encode()
    return mix((len(encoded) + sum((byte + 1) * pow(0x100000001B3, place, 2**64)
                                   for place, byte in enumerate(encoded))) & MASK)


def combine(first: int, second: int) -> int:
    """Hash of a pair."""
    return mix((first * GOLDEN + second) & MASK)


def event(user: int | str, item: int | str, time: int) -> int:
    """Hash of an event without context features."""
    return combine(combine(hash_id(user), hash_id(item)), hash_id(time))


def fraction(value: int) -> float:
    """The top 53 bits as a number in [0, 1)."""
    return (value >> 11) / 2**53


def signed(value: int) -> int:
    """The same 64 bits as a signed integer."""
    return value if value < 2**63 else value - 2**64
