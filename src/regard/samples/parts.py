"""Random parts of sentences: people, things, places and times. Everything is drawn from the generator passed in."""

from __future__ import annotations

from random import Random

from regard.samples import lexicon as words
from regard.samples import phrases
from regard.samples.grammar import (
    NUMBER_WORDS,
    OBJECT_PRONOUNS,
    SUBJECT_PRONOUNS,
    NounPhrase,
    Phrase,
    contracted,
    noun_phrase,
    owned,
)
from regard.samples.lexicon import Noun

ALL_PEOPLE = words.PEOPLE + words.FAMILY
# Those whose genitive is known: feminine nouns do not change, others have it in the lexicon.
OWNERS = [noun for noun in words.PEOPLE if noun.gender == "f" or noun.weak or noun.genitive]
POSSESSIVES = ["my", "his", "her"]
PAST_TENSES = ("past", "did not", "had to", "wanted", "already")

EVERY = [
    Phrase("every day", "jeden Tag"),
    Phrase("every week", "jede Woche"),
    Phrase("every year", "jedes Jahr"),
    Phrase("in the morning", "am Morgen"),
    Phrase("in the evening", "am Abend"),
    Phrase("today", "heute"),
]
COMING = [
    Phrase("tomorrow", "morgen"),
    Phrase("next week", "nächste Woche"),
    Phrase("next month", "nächsten Monat"),
    Phrase("next year", "nächstes Jahr"),
    Phrase("today", "heute"),
]
GONE = [
    Phrase("yesterday", "gestern"),
    Phrase("last week", "letzte Woche"),
    Phrase("last month", "letzten Monat"),
    Phrase("last year", "letztes Jahr"),
]


def with_number(rng: Random, word: str, plural: bool) -> str:
    """Return the determiner in its form before a singular or plural noun; "a" becomes a number."""
    if not plural:
        return word
    return {"this": "these", "a": rng.choice(list(NUMBER_WORDS))}.get(word, word)


def people(rng: Random, definite: bool = False) -> NounPhrase:
    """Return people: "the old woman", "my sister", "these boys"; definite: no "a"."""
    noun, plural = rng.choice(ALL_PEOPLE), rng.random() < 0.2
    if noun in words.FAMILY:
        plural = plural and noun.english in ("sister", "brother")  # one has one mother and one father
        return noun_phrase(rng.choice(POSSESSIVES), noun, plural=plural)
    word = rng.choice(
        ["the", "the", "the", "the", *POSSESSIVES, "this", *(["a"] if not definite and not plural else [])]
    )
    # With a possessive they would mean a wife, a husband, a son.
    if noun.english in ("woman", "man", "boy") and word in POSSESSIVES:
        word = "the"
    adjective = rng.choice(words.PERSON_ADJECTIVES) if rng.random() < 0.2 else ""
    # "Old child" is a contradiction, and "young child" is redundant.
    if adjective and noun.english in ("boy", "child"):
        adjective = "friendly"
    return noun_phrase(with_number(rng, word, plural), noun, adjective, plural)


def actor(rng: Random, pronoun_rate: float = 0.3) -> NounPhrase:
    """Return who does something: a pronoun or people."""
    if rng.random() < pronoun_rate:
        return rng.choice(list(SUBJECT_PRONOUNS.values()))
    return people(rng)


def other_people(rng: Random, subject: NounPhrase, dative: bool = False, pronoun_rate: float = 0.25) -> NounPhrase:
    """Return whom somebody meets: neither the subject's own noun nor a pronoun that could refer back to it.

    A dative such as "meiner Schwester" right after a noun would read as its genitive, so none is used there.
    """
    if subject.person == "it" and rng.random() < pronoun_rate:
        return rng.choice(OBJECT_PRONOUNS)
    while True:
        found = people(rng)
        if dative and found.gender == "f" and not subject.pronoun:
            continue
        if found.noun != subject.noun:
            return found


def thing(rng: Random, nouns: list[Noun], adjectives: list[str], kind: str = "any") -> NounPhrase:
    """Return a thing with or without an adjective.

    kind: any, definite (neither "a" nor a number) or "not a" (its German is kein).
    """
    noun = rng.choice(nouns)
    adjective = rng.choice(adjectives) if rng.random() < 0.5 else ""
    if kind == "not a":
        return noun_phrase(kind, noun, adjective)
    word = rng.choice(["the", "the", "the", *POSSESSIVES, "this", *(["a", "a", "a"] if kind == "any" else [])])
    plural = rng.random() < 0.2
    if word == "the" and not plural and rng.random() < 0.2:
        return owned(noun_phrase("the", rng.choice(OWNERS)), noun, adjective)
    return noun_phrase(with_number(rng, word, plural), noun, adjective, plural)


def inside(rng: Random) -> Phrase:
    """Return where something happens: "in the garden", "im Garten", or a country."""
    if rng.random() < 0.3:
        return phrases.country_place(rng.choice(phrases.COUNTRIES), "in")
    place = noun_phrase("the", rng.choice(words.ROOMS))
    return Phrase(f"in {place.english}", contracted("in", place.german["dat"]))


def towards(rng: Random) -> Phrase:
    """Return where somebody walks: "into the garden", "in den Garten"; "to the school", "zur Schule"."""
    if rng.random() < 0.5:
        place = noun_phrase("the", rng.choice(words.ROOMS))
        return Phrase(f"into {place.english}", contracted("in", place.german["acc"]))
    place = noun_phrase("the", rng.choice(words.STOPS))
    return Phrase(f"to {place.english}", contracted("zu", place.german["dat"]))


def out_of(rng: Random) -> Phrase:
    """Return where somebody comes out of: "out of the house", "aus dem Haus"."""
    place = noun_phrase("the", rng.choice(words.ROOMS))
    return Phrase(f"out of {place.english}", contracted("aus", place.german["dat"]))


def land(rng: Random, role: str) -> Phrase:
    """Return a country as the place one lives in, travels to or comes from."""
    return phrases.country_place(rng.choice(phrases.COUNTRIES), role)


def tongues(rng: Random) -> Phrase:
    """Return one to four languages as a list."""
    codes = rng.sample(phrases.LANGUAGES, rng.choices([1, 2, 3, 4], [4, 3, 2, 1])[0])
    return phrases.listed(tuple(phrases.language(code) for code in codes), "standard")


def at_hour(rng: Random, first: int = 6, last: int = 23) -> Phrase:
    """Return "at 2:05 PM" and "um 14:05 Uhr"; first and last: the hours it may be."""
    hour = phrases.hour_phrase(phrases.random_hour(rng, first, last))
    return Phrase(f"at {hour.english}", f"um {hour.german} Uhr")


def on_day(rng: Random) -> Phrase:
    """Return one day: "on Monday", "on August 28", "on Friday, August 28,", with a year or without."""
    kind = rng.choice(["weekday", "weekday", "MMMMd", "full without year", "long"])
    if kind == "weekday":
        name = phrases.weekday(rng.randrange(7))
        return Phrase(f"on {name.english}", f"am {name.german}")
    date = phrases.day_phrase(phrases.random_day(rng), kind)
    if kind == "full without year":  # Freitag, 28. August -> am Freitag, dem 28. August,
        return Phrase(f"on {date.english},", f"am {date.german.replace(', ', ', dem ')},")
    return Phrase(f"on {date.english}" + ("," if kind == "long" else ""), f"am {date.german}")


def when(rng: Random, tense: str) -> Phrase:
    """Return a time that fits the tense."""
    if tense == "present":
        return rng.choice(EVERY) if rng.random() < 0.7 else at_hour(rng)
    kind = rng.choices(["day", "month", "shifted", "near", "year"], [4, 1, 2, 2, 1])[0]
    past = tense in PAST_TENSES
    if kind == "day":
        return on_day(rng)
    if kind == "month":
        name = phrases.month(rng.randint(1, 12))
        return Phrase(f"in {name.english}", f"im {name.german}")
    if kind == "shifted":
        unit = rng.choice(phrases.CALENDAR)
        return phrases.shifted(rng.randint(1, 12), unit, -1 if past else 1)
    if kind == "year" and past:
        year = rng.choice(phrases.YEARS)
        return Phrase(f"in {year}", f"im Jahr {year}")
    return rng.choice(GONE if past else COMING)
