"""Check digits, with numbers from the standards and their users."""

import pytest

from service.checks import CHECKS


@pytest.mark.parametrize(
    ("check", "number"),
    [
        ("luhn", "4111111111111111"),
        ("luhn", "79927398713"),
        ("mod11", "0306406152"),
        ("mod11", "0198538642"),
        ("ean", "4006381333931"),
        ("ean", "9780306406157"),
        ("ean", "73513537"),
    ],
)
def test_a_valid_number_passes_and_every_single_mistake_fails(check: str, number: str) -> None:
    assert CHECKS[check].holds(number)
    for place in range(len(number)):
        wrong = number[:place] + str((int(number[place]) + 1) % 10) + number[place + 1 :]
        assert not CHECKS[check].holds(wrong)


def test_nothing_and_a_single_digit_have_no_check_digit() -> None:
    assert not any(check.holds(text) for check in CHECKS.values() for text in ("", "0"))
