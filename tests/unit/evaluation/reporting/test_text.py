"""Numbers and text are written the same way everywhere, and text cannot act."""

from __future__ import annotations

import pytest

from inter2former.evaluation.reporting.text import clean, count, escape, interval, milliseconds, number, signed

NAN = float("nan")


@pytest.mark.parametrize(
    ("value", "digits", "shown"), [(0.91249, 3, "0.912"), (12.0, 2, "12.00"), (NAN, 3, "–"), (-0.5, 1, "-0.5")]
)
def test_number(value, digits, shown):
    assert number(value, digits) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0621, "+0.062"), (-0.0621, "−0.062"), (0.0, "0.000"), (-0.0001, "0.000"), (0.0001, "0.000"), (NAN, "–")],
)
def test_signed(value, shown):
    assert signed(value) == shown


def test_interval():
    assert interval(0.5, 0.75) == "0.500 to 0.750"
    assert interval(-0.5, 0.25, 2, sign=True) == "−0.50 to +0.25"
    assert interval(NAN, NAN) == "–"


@pytest.mark.parametrize(("seconds", "shown"), [(0.1234, "123"), (0.0056, "5.6"), (1.5, "1500"), (NAN, "–")])
def test_milliseconds(seconds, shown):
    assert milliseconds(seconds) == shown


@pytest.mark.parametrize(("amount", "shown"), [(0, "no problems"), (1, "1 problem"), (3, "3 problems")])
def test_count(amount, shown):
    assert count(amount, "problem") == shown


def test_text_cannot_act():
    assert clean("a\x00b\nc\u202ed\ud800e") == "a�b�c�d�e"
    assert escape("<img src=x onerror=\"a('b')\">&") == "&lt;img src=x onerror=&quot;a(&#x27;b&#x27;)&quot;&gt;&amp;"
    clean("\ud800").encode("utf-8")


def test_other_scripts_stay():
    assert clean("écluse 鴨 бык") == "écluse 鴨 бык"
