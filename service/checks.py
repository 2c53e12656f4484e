"""Check digits: the last digit of a number makes a weighted sum of all of them divisible.

Each is described by the weight of a digit at its place, counted from the right, so that a number can be checked
while it is put together from its last digit on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Check:
    """`terms[place % len(terms)][digit]` is what a digit adds to the sum; divided by `modulus` it leaves `remainder`."""

    name: str
    modulus: int
    terms: tuple[tuple[int, ...], ...]
    remainder: int = 0

    def add(self, remainder: int, place: int, digit: int) -> int:
        """The remainder with one more digit to the left, `place` places from the right."""
        return (remainder + self.terms[place % len(self.terms)][digit]) % self.modulus

    def holds(self, text: str) -> bool:
        """Whether a number of digits passes."""
        remainder = 0
        for place, digit in enumerate(reversed(text)):
            remainder = self.add(remainder, place, int(digit))
        return remainder == self.remainder and len(text) > 1


def _weights(*weights: int) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(weight * digit for digit in range(10)) for weight in weights)


_PLAIN = tuple(range(10))
# Twice the digit, its digits added up.
_DOUBLED = tuple(2 * digit // 10 + 2 * digit % 10 for digit in range(10))

CHECKS: Mapping[str, Check] = MappingProxyType(
    {
        # ISO/IEC 7812-1, annex B: every second digit is doubled (H. P. Luhn, 1960).
        "luhn": Check("luhn", 10, (_PLAIN, _DOUBLED)),
        # ISO 2108 as it was for ISBN-10: weights 10 to 1. A check character X, for ten, is no digit and never read.
        "mod11": Check("mod11", 11, _weights(*range(1, 11))),
        # GS1: weights 1 and 3 in turn; GTIN-8, -12, -13, -14, ISBN-13, SSCC.
        "ean": Check("ean", 10, _weights(1, 3)),
    }
)
