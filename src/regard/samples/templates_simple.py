"""Sentences of one clause. Each template draws one pair, English and German, from the generator."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from regard.samples import lexicon as words
from regard.samples import phrases
from regard.samples.clauses import THINGS, acting, any_clause, mood, tense_of, timed_clause
from regard.samples.grammar import (
    NUMBER_WORDS,
    Clause,
    Phrase,
    be,
    conjugate,
    contracted,
    finished,
    join,
    noun_phrase,
    question,
    statement,
)
from regard.samples.parts import actor, at_hour, land, on_day, people, thing, when

Pair = tuple[str, str]
HOUSES = [words.ROOMS[3], words.STOPS[0], words.STOPS[3]]  # library, market, museum: they open and close
FOUND = [  # what there is in which places
    (words.ROOMS[1:4], words.SMALL_THINGS + words.CLOTHES, words.THING_ADJECTIVES),  # kitchen, house, library
    ([words.ROOMS[0], words.ROOMS[4]], words.ANIMALS, words.ANIMAL_ADJECTIVES),  # garden, park
    ([words.ROOMS[1]], words.FOOD, words.FOOD_ADJECTIVES),  # kitchen
]
QUESTION_WORDS = [Phrase("when", "wann"), Phrase("why", "warum")]
DEGREES = [Phrase("too", "zu"), Phrase("very", "sehr")]
COLOURS = ["red", "green", "blue"]
BY_LAND = ["DE", "FR", "IT", "ES", "PL", "SE", "CH", "NL"]
BY_SEA = ["SE", "NO", "GR", "IT", "JP", "CN", "IN", "EG", "BR", "CA", "TR", "US"]


def told(phrase: Phrase, mark: str = ".") -> Pair:
    """Return the phrase as a finished sentence."""
    return finished(phrase.english, phrase.german, mark)


def happening(rng: Random) -> Pair:
    """Return "On Monday the teacher bought a red lamp.", the time in front or at the end, or without one."""
    tense = tense_of(rng)
    if rng.random() < 0.25:
        return told(statement(any_clause(rng, tense)))
    return told(statement(timed_clause(rng, tense), time_first=rng.random() < 0.6))


def done_already(rng: Random) -> Pair:
    """Return "My brother has already repaired the car."."""
    return told(statement(acting(rng, "already", kind="definite", place_rate=0)))


def denied(rng: Random) -> Pair:
    """Return "The girl did not eat an apple." (kein) or "She does not sell the lamp." (nicht)."""
    tense = rng.choice(["not", "did not"])
    time = when(rng, tense) if tense == "did not" and rng.random() < 0.4 else None
    kind = rng.choice(["not a", "definite"])
    clause = acting(rng, tense, kind=kind, time=time, place_rate=0)
    if kind == "not a":
        clause = replace(clause, predicate=replace(clause.predicate, late=""))  # kein denies it, without nicht
    return told(statement(clause, time_first=True))


def asked(rng: Random) -> Pair:
    """Return a question: "Did the doctor help the boy yesterday?", "Why must we sell the car?"."""
    tense = tense_of(rng)
    if tense != "present" and rng.random() < 0.5:  # in the present every verb would need its capital form
        return told(question(timed_clause(rng, tense) if rng.random() < 0.5 else any_clause(rng, tense)), "?")
    word, rest = rng.choice(QUESTION_WORDS), question(any_clause(rng, tense))
    return finished(f"{word.english} {rest.english}", f"{word.german} {rest.german}", "?")


def feeling(rng: Random) -> Pair:
    """Return "Yesterday the children were tired."."""
    past = rng.random() < 0.6
    clause = replace(mood(rng, past), time=when(rng, "past") if past else Phrase("today", "heute"))
    return told(statement(clause, time_first=rng.random() < 0.6))


def described(rng: Random) -> Pair:
    """Return "These green chairs are too expensive."."""
    what = thing(rng, THINGS, COLOURS, "definite")
    degree, english = rng.choice(DEGREES), rng.choice(["old", "small", "big", "expensive"])
    if degree.english == "very":  # nothing is too new, too beautiful or too cheap
        english = rng.choice([english, "new", "beautiful", "cheap"])
    german = words.PREDICATES.get(english, words.ADJECTIVES[english])
    predicate = be(rng.choice(["present", "past"]), what, f"{degree.german} {german}")
    return told(statement(Clause(what, predicate, [f"{degree.english} {english}"])))


def priced(rng: Random) -> Pair:
    """Return what a thing costs: "The red lamp costs 25 euros."."""
    what = thing(rng, words.SMALL_THINGS + words.CLOTHES, words.THING_ADJECTIVES, "definite")
    amount = phrases.price(rng.choice(phrases.AMOUNTS), rng.choice(["EUR", "USD", "CHF"]))
    return told(statement(Clause(what, conjugate(words.COST, "present", what), [amount.english], [], [amount.german])))


def compared(rng: Random) -> Pair:
    """Return "The blue chair is cheaper than the red table."."""
    first, second = (noun_phrase("the", noun, rng.choice(COLOURS)) for noun in rng.choices(THINGS, k=2))
    if first.english == second.english:
        return compared(rng)
    english, german = rng.choice(list(words.COMPARATIVES.items()))
    predicate = be(rng.choice(["present", "past"]), first, f"{german} als {second.german['nom']}")
    return told(statement(Clause(first, predicate, [f"{english} than {second.english}"])))


def existing(rng: Random) -> Pair:
    """Return "In the kitchen there are three red chairs."."""
    rooms, nouns, adjectives = rng.choice(FOUND)
    room = noun_phrase("the", rng.choice(rooms))
    place = Phrase(f"in {room.english}", contracted("in", room.german["dat"]))
    plural = rng.random() < 0.6
    word = rng.choice(list(NUMBER_WORDS)) if plural else "a"
    what = noun_phrase(word, rng.choice(nouns), rng.choice(["", *adjectives]), plural)
    there = "there are" if plural else "there is"
    return finished(join(place.english, there, what.english), join(place.german, "gibt es", what.german["acc"]))


def living(rng: Random) -> Pair:
    """Return "My sister has lived in the Netherlands for 3 years." (wohnt seit 3 Jahren)."""
    who, place = actor(rng), land(rng, "in")
    length = phrases.since(rng.randint(1, 12), rng.choice(phrases.CALENDAR))
    verb = rng.choice([words.LIVE, words.WORK])
    have = "has" if who.person == "it" else "have"
    german = conjugate(verb, "present", who).finite
    english = join(who.english, have, verb.participle, place.english, length.english)
    return finished(english, join(who.german["nom"], german, length.german, place.german))


def coming_from(rng: Random) -> Pair:
    """Return "The student comes from Switzerland and speaks German, French, and Italian."."""
    who, home = actor(rng), land(rng, "from")
    come = conjugate(words.COME, "present", who)
    if rng.random() < 0.5:
        here, there = rng.sample(phrases.COUNTRIES, 2)
        home, verb, second = phrases.country_place(here, "from"), words.LIVE, phrases.country_place(there, "in")
    else:
        codes = rng.sample(phrases.LANGUAGES, rng.randint(1, 3))
        verb, second = words.SPEAK, phrases.listed(tuple(map(phrases.language, codes)), "standard")
    also = conjugate(verb, "present", who)
    english = join(who.english, come.english, home.english, "and", also.english, second.english)
    return finished(english, join(who.german["nom"], come.finite, home.german, "und", also.finite, second.german))


def timetable(rng: Random) -> Pair:
    """Return when something begins, opens, departs or arrives: "The train to Spain departs at 2:05 PM."."""
    time, kind = at_hour(rng), rng.choice(["event", "event", "house", "vehicle", "vehicle"])
    if kind == "event":
        what, verb = noun_phrase("the", rng.choice(words.EVENTS)), rng.choice([words.BEGIN, words.END])
        day = on_day(rng)
        time = Phrase(f"{day.english} {time.english}", f"{day.german} {time.german}")
    elif kind == "house":
        what, verb = noun_phrase("the", rng.choice(HOUSES)), rng.choice([words.OPEN, words.CLOSE])
        time = at_hour(rng, 7, 11) if verb is words.OPEN else at_hour(rng, 16, 23)
    else:
        what, verb = noun_phrase("the", rng.choice(words.VEHICLES)), rng.choice([words.DEPART, words.ARRIVE])
        code = rng.choice(BY_SEA if what.noun == "ship" else BY_LAND)
        place = phrases.country_place(code, "to" if verb is words.DEPART else "from")
        forms = {case: f"{form} {place.german}" for case, form in what.german.items()}
        what = replace(what, english=f"{what.english} {place.english}", german=forms)
    tense = rng.choice(["present", "present", "future"])
    return told(statement(Clause(what, conjugate(verb, tense, what), time=time)))


def visiting_often(rng: Random) -> Pair:
    """Return "The neighbor often calls my father." (ruft meinen Vater oft an)."""
    who, whom = people(rng), people(rng, definite=True)
    if who.noun == whom.noun:
        return visiting_often(rng)
    often = rng.choice([Phrase("often", "oft"), Phrase("always", "immer"), Phrase("never", "nie")])
    verb = rng.choice([words.VISIT, words.CALL, words.INVITE, words.HELP, words.FETCH])
    german = whom.german["dat" if verb is words.HELP else "acc"]
    predicate = conjugate(verb, "present", who)
    clause = Clause(who, replace(predicate, english=f"{often.english} {predicate.english}"), [whom.english])
    return told(statement(replace(clause, late=[german, often.german])))


SIMPLE = [
    (happening, 16),
    (done_already, 3),
    (denied, 4),
    (asked, 6),
    (feeling, 2),
    (described, 2),
    (priced, 3),
    (compared, 3),
    (existing, 3),
    (living, 3),
    (coming_from, 3),
    (timetable, 5),
    (visiting_often, 3),
]
