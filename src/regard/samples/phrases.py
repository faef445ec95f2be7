"""Phrases of both languages from the CLDR data in Babel: dates, times, units, money, names, lists.

Every function returns a `Phrase`. Newer CLDR data uses narrow and no-break spaces; they become plain spaces here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, time, timedelta
from functools import cache
from random import Random
from typing import Literal

from babel import Locale, dates, lists, numbers, units

from regard.samples.grammar import Phrase

Span = Literal["minute", "hour", "day", "week", "month", "year"]
Style = Literal["standard", "or", "unit"]

LANGUAGES = ["de", "en", "fr", "it", "es", "nl", "pl", "sv", "el", "tr", "ru", "ja", "zh", "ar"]
COUNTRIES = ["DE", "FR", "IT", "ES", "GR", "PL", "SE", "NO", "JP", "CN", "IN", "EG", "CA", "BR", "CH", "TR", "NL", "US"]
# German names with an article: its gender, and the article as English writes it.
COUNTRY_GENDER = {"CH": "f", "TR": "f", "NL": "p", "US": "p"}
ENGLISH_ARTICLE = ("NL", "US")
UNITS = ["length-meter", "length-kilometer", "mass-gram", "mass-kilogram", "volume-liter", "temperature-celsius"]
CALENDAR: list[Span] = ["day", "week", "month", "year"]
DURATIONS: list[Span] = ["minute", "hour", "day", "week", "month", "year"]
SPANS: list[tuple[Span, Span]] = [
    ("hour", "minute"),
    ("day", "hour"),
    ("week", "day"),
    ("month", "week"),
    ("year", "month"),
]
CURRENCIES = ["EUR", "USD", "CHF", "GBP"]
TAGGED = ["EUR", "USD", "GBP"]  # CLDR writes them before the amount in English, after it in German
AMOUNTS = [5, 8, 10, 12, 15, 20, 25, 30, 50, 80, 100, 200]
CENTS = [0, 50, 99]
YEARS = range(2011, 2021)
MINUTES = range(0, 60, 15)


def both(render: Callable[[str], str]) -> Phrase:
    """Return what `render` gives for the English and the German locale, with plain single spaces."""
    english, german = (" ".join(re.split(r"\s+", render(locale))) for locale in ("en", "de"))
    return Phrase(english, german)


def random_day(rng: Random) -> date:
    """Return any day of the years that the corpus uses."""
    # The last day of a leap year is never drawn.
    return date(rng.choice(YEARS), 1, 1) + timedelta(days=rng.randrange(365))


def random_hour(rng: Random, first: int = 6, last: int = 23) -> time:
    """Return a time from the first to the last hour of the day, to five minutes."""
    return time(rng.randint(first, last), rng.choice(MINUTES))


@cache
def day_phrase(day: date, pattern: str) -> Phrase:
    """Return a date in CLDR's full, long or short format, by a skeleton such as MMMMd, or full without its year."""
    if pattern == "full without year":
        return both(lambda locale: re.sub(r",? \d{4}$", "", dates.format_date(day, "full", locale=locale)))
    if pattern in ("full", "long", "short"):
        return both(lambda locale: dates.format_date(day, pattern, locale=locale))
    return both(lambda locale: dates.format_skeleton(pattern, day, locale=locale))


@cache
def month(number: int) -> Phrase:
    """Return the name of a month, 1 to 12."""
    return both(lambda locale: dates.get_month_names("wide", locale=locale)[number])


@cache
def weekday(number: int) -> Phrase:
    """Return the name of a day of the week, 0 (Monday) to 6."""
    return both(lambda locale: dates.get_day_names("wide", locale=locale)[number])


@cache
def hour_phrase(hour: time) -> Phrase:
    """Return "2:05 PM" and "14:05"."""
    return both(lambda locale: dates.format_time(hour, "short", locale=locale))


@cache
def unit_phrase(number: int, unit: str) -> Phrase:
    """Return a measure, "12 kilometers" and "12 Kilometer"."""
    return both(lambda locale: units.format_unit(number, unit, "long", locale=locale))


def duration(number: int, unit: Span) -> Phrase:
    """Return "3 weeks" and "3 Wochen"."""
    return unit_phrase(number, f"duration-{unit}")


@cache
def since(number: int, unit: Span) -> Phrase:
    """Return "for 3 weeks" and "seit 3 Wochen", the German in the dative as CLDR's "vor 3 Wochen" has it."""
    return Phrase(
        f"for {duration(number, unit).english}", "seit" + shifted(number, unit, -1).german.removeprefix("vor")
    )


@cache
def shifted(number: int, unit: Span, direction: int) -> Phrase:
    """Return "3 days ago" or, with direction 1, "in 3 days"."""
    step = {"minute": 60, "hour": 3600, "day": 86400, "week": 7 * 86400, "month": 30 * 86400, "year": 365 * 86400}
    delta = direction * number * step[unit]
    return both(  # the threshold keeps "11 days" from turning into "2 weeks"
        lambda locale: dates.format_timedelta(
            delta, granularity=unit, threshold=10**9, add_direction=True, locale=locale
        )
    )


@cache
def price(amount: int, currency: str) -> Phrase:
    """Return "25 euros" and "25 Euro"."""
    # Whole amounts: with currency_digits there would be two decimals.
    return both(
        lambda locale: numbers.format_currency(
            amount, currency, "#,##0", locale=locale, currency_digits=False, format_type="name"
        )
    )


@cache
def price_tag(cents: int, currency: str) -> Phrase:
    """Return "€12.50" and "12,50 €"."""
    return both(lambda locale: numbers.format_currency(cents / 100, currency, locale=locale))


@cache
def listed(names: tuple[Phrase, ...], style: Style) -> Phrase:
    """Return a list joined by CLDR's pattern: standard (and), or, unit."""
    english = lists.format_list([name.english for name in names], style, locale="en")
    german = lists.format_list([name.german for name in names], style, locale="de")
    return Phrase(english, german)


@cache
def language(code: str) -> Phrase:
    """Return the name of a language."""
    return both(lambda locale: Locale.parse(locale).languages[code])


@cache
def country(code: str) -> Phrase:
    """Return the bare name of a country."""
    return both(lambda locale: Locale.parse(locale).territories[code])


@cache
def country_place(code: str, role: str) -> Phrase:
    """Return a country after a preposition; role: in, to or from.

    German says "nach Spanien", but "in die Schweiz", and declines the names in the plural.
    """
    name, gender = country(code), COUNTRY_GENDER.get(code)
    english = f"{role} the {name.english}" if code in ENGLISH_ARTICLE else f"{role} {name.english}"
    if gender is None:
        return Phrase(english, {"in": "in ", "to": "nach ", "from": "aus "}[role] + name.german)
    preposition = "aus" if role == "from" else "in"
    article = "die" if role == "to" else {"f": "der", "p": "den"}[gender]
    german = name.german
    if gender == "p":  # "Vereinigte Staaten" stands without an article, as CLDR lists it
        german = german.replace("Vereinigte ", "Vereinigten ")
    if gender == "p" and role != "to" and german[-1] not in "ns":  # the dative: in den Niederlanden
        german += "n"
    return Phrase(english, f"{preposition} {article} {german}")


# ---- bare phrases: one example each, drawn at random ----


def any_date(rng: Random) -> Phrase:
    """Return a date in one of CLDR's formats."""
    patterns = ["full", "long", "short", "MMMMd", "yMMMM", "full without year"]
    return day_phrase(random_day(rng), rng.choices(patterns, [4, 4, 2, 1, 1, 3])[0])


def any_time(rng: Random) -> Phrase:
    """Return a time of day."""
    return hour_phrase(random_hour(rng))


def any_measure(rng: Random) -> Phrase:
    """Return a measure in metric units."""
    return unit_phrase(rng.choice(AMOUNTS), rng.choice(UNITS))


def any_duration(rng: Random) -> Phrase:
    """Return a duration in one unit or two, or a time so far from now."""
    kind, number = rng.choice(["plain", "two", "ago", "in"]), rng.randint(1, 12)
    unit = rng.choice(DURATIONS)
    if kind == "plain":
        return duration(number, unit)
    if kind == "two":
        larger, smaller = rng.choice(SPANS)
        return listed((duration(number, larger), duration(rng.randint(1, 12), smaller)), "unit")
    return shifted(number, unit, -1 if kind == "ago" else 1)


def any_price(rng: Random) -> Phrase:
    """Return an amount of money, in words or as on a price tag."""
    amount = rng.choice(AMOUNTS)
    if rng.random() < 0.3:
        return price(amount, rng.choice(CURRENCIES))
    return price_tag(100 * amount + rng.choice(CENTS), rng.choice(TAGGED))


def any_list(rng: Random) -> Phrase:
    """Return two to five languages or countries, joined by and or or."""
    style: Style = "standard" if rng.random() < 0.5 else "or"
    size = rng.choices([2, 3, 4, 5], [3, 4, 3, 1])[0]
    if rng.random() < 0.5:
        return listed(tuple(language(code) for code in rng.sample(LANGUAGES, size)), style)
    return listed(tuple(country(code) for code in rng.sample(COUNTRIES, size)), style)


BARE = [(any_date, 6), (any_time, 2), (any_measure, 3), (any_duration, 3), (any_price, 3), (any_list, 5)]


def bare_phrase(rng: Random) -> tuple[str, str]:
    """Return one phrase that is not a sentence."""
    make = rng.choices([make for make, _ in BARE], [weight for _, weight in BARE])[0]
    phrase = make(rng)
    return phrase.english, phrase.german
