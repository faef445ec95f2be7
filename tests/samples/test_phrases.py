"""CLDR phrases against values worked by hand."""

from __future__ import annotations

from datetime import date, time
from random import Random

import pytest

from regard.samples import phrases
from regard.samples.grammar import Phrase

DAY = date(2015, 8, 28)


@pytest.mark.parametrize(
    ("pattern", "english", "german"),
    [
        ("full", "Friday, August 28, 2015", "Freitag, 28. August 2015"),
        ("long", "August 28, 2015", "28. August 2015"),
        ("short", "8/28/15", "28.08.15"),
        ("MMMMd", "August 28", "28. August"),
        ("yMMMM", "August 2015", "August 2015"),
        ("full without year", "Friday, August 28", "Freitag, 28. August"),
    ],
)
def test_dates(pattern: str, english: str, german: str) -> None:
    assert phrases.day_phrase(DAY, pattern) == Phrase(english, german)


@pytest.mark.parametrize(
    ("found", "english", "german"),
    [
        (phrases.hour_phrase(time(14, 5)), "2:05 PM", "14:05"),
        (phrases.hour_phrase(time(9, 30)), "9:30 AM", "09:30"),
        (phrases.unit_phrase(12, "length-kilometer"), "12 kilometers", "12 Kilometer"),
        (phrases.unit_phrase(25, "temperature-celsius"), "25 degrees Celsius", "25 Grad Celsius"),
        (phrases.duration(1, "week"), "1 week", "1 Woche"),
        (phrases.duration(3, "week"), "3 weeks", "3 Wochen"),
        (phrases.since(3, "year"), "for 3 years", "seit 3 Jahren"),
        (phrases.since(1, "month"), "for 1 month", "seit 1 Monat"),
        (phrases.shifted(3, "day", -1), "3 days ago", "vor 3 Tagen"),
        (phrases.shifted(11, "day", 1), "in 11 days", "in 11 Tagen"),
        (phrases.shifted(12, "month", 1), "in 12 months", "in 12 Monaten"),
        (phrases.price(25, "EUR"), "25 euros", "25 Euro"),
        (phrases.price(50, "CHF"), "50 Swiss francs", "50 Schweizer Franken"),
        (phrases.price_tag(1250, "EUR"), "€12.50", "12,50 €"),
        (phrases.month(3), "March", "März"),
        (phrases.weekday(0), "Monday", "Montag"),
    ],
)
def test_times_measures_and_money(found: Phrase, english: str, german: str) -> None:
    assert found == Phrase(english, german)


@pytest.mark.parametrize(
    ("code", "english", "german"),
    [
        ("ES", "in Spain|to Spain|from Spain", "in Spanien|nach Spanien|aus Spanien"),
        (
            "CH",
            "in Switzerland|to Switzerland|from Switzerland",
            "in der Schweiz|in die Schweiz|aus der Schweiz",
        ),
        (
            "NL",
            "in the Netherlands|to the Netherlands|from the Netherlands",
            "in den Niederlanden|in die Niederlande|aus den Niederlanden",
        ),
        (
            "US",
            "in the United States|to the United States|from the United States",
            "in den Vereinigten Staaten|in die Vereinigten Staaten|aus den Vereinigten Staaten",
        ),
    ],
)
def test_countries_take_their_preposition_and_article(code: str, english: str, german: str) -> None:
    found = [phrases.country_place(code, role) for role in ("in", "to", "from")]
    assert "|".join(place.english for place in found) == english
    assert "|".join(place.german for place in found) == german


def test_lists_lose_the_last_comma_in_german() -> None:
    names = tuple(phrases.language(code) for code in ("fr", "it", "de"))
    assert phrases.listed(names, "standard") == Phrase(
        "French, Italian, and German", "Französisch, Italienisch und Deutsch"
    )
    assert phrases.listed(names[:2], "or") == Phrase("French or Italian", "Französisch oder Italienisch")


def test_bare_phrases_have_plain_spaces_only() -> None:
    rng = Random(0)
    for text in (text for _ in range(500) for text in phrases.bare_phrase(rng)):
        assert all(character == " " or not character.isspace() for character in text)
