"""Sentences of two clauses: weil, dass, wenn, obwohl, relative clauses and infinitives with zu."""

from __future__ import annotations

from random import Random

from regard.samples import lexicon as words
from regard.samples.clauses import (
    HANDED,
    REPAIRED,
    THINGS,
    ClauseMaker,
    acting,
    any_clause,
    meeting,
    mood,
    moving,
    pronoun_for,
    raining,
    speaking,
    tense_of,
    timed_clause,
)
from regard.samples.grammar import (
    IT,
    RELATIVE,
    Clause,
    NounPhrase,
    Phrase,
    be,
    conjugate,
    contracted,
    finished,
    inverted,
    noun_phrase,
    plain,
    statement,
    subordinate,
    to_infinitive,
)
from regard.samples.lexicon import Noun, Verb
from regard.samples.parts import actor, land, thing

Pair = tuple[str, str]
TOLD = [words.KNOW, words.SAY, words.BELIEVE, words.HOPE]
REASONS = {  # what makes one do it to a thing
    words.BUY: ["new", "beautiful", "cheap", "big"],
    words.SELL: ["old", "expensive", "small", "big"],
    words.DISCARD: ["old", "small"],
}
QUALITIES = ["old", "new", "small", "big", "beautiful", "expensive", "cheap"]
Wish = tuple[Verb, list[Noun], list[str]]
PURPOSES: list[Wish] = [
    (words.BUY, words.FOOD + words.BAKED, words.FOOD_ADJECTIVES),
    (words.FETCH, words.SMALL_THINGS, words.THING_ADJECTIVES),
    (words.SELL, HANDED, words.THING_ADJECTIVES),
    (words.SEEK, HANDED, words.THING_ADJECTIVES),
]
ATTEMPTS: list[Wish] = [
    (words.REPAIR, REPAIRED, words.THING_ADJECTIVES),
    (words.SELL, THINGS, words.THING_ADJECTIVES),
    (words.FIND, THINGS, words.THING_ADJECTIVES),
    (words.FETCH, words.SMALL_THINGS, words.THING_ADJECTIVES),
    (words.TRY_ON, words.CLOTHES, words.THING_ADJECTIVES),
]


def condition(rng: Random, past: bool, subject: NounPhrase | None = None) -> Clause:
    """Return what may stand in a clause with weil, wenn or obwohl: a mood, the rain, something done."""
    kind = rng.choice(["mood", "mood", "rain", "wish", "wish", "done"])
    # "It rains" cannot take a given subject: then it is a mood.
    if kind == "rain" and subject is None:
        return raining(past)
    if kind == "wish":
        tense = rng.choice(["wanted", "had to"] if past else ["wants", "must"])
        makers: list[ClauseMaker] = [moving, moving, meeting, speaking, acting]
        return rng.choice(makers)(rng, tense, subject)
    if kind == "done":
        return any_clause(rng, "past" if past else "present", subject)
    return mood(rng, past, subject)


def after_conjunction(rng: Random, joining: Phrase, main: Clause, side: Clause) -> Pair:
    """Return both clauses with the conjunction, either one first; a fronted clause inverts the other."""
    said = subordinate(side)
    if rng.random() < 0.5:
        english = f"{joining.english} {said.english}, {plain(main)}"
        return finished(english, f"{joining.german} {said.german}, {inverted(main)}")
    first = statement(main)
    return finished(
        f"{first.english} {joining.english} {said.english}", f"{first.german}, {joining.german} {said.german}"
    )


def because(rng: Random) -> Pair:
    """Return "The boy ate two apples because he was hungry."; also with because in front."""
    past = rng.random() < 0.5
    main = any_clause(rng, tense_of(rng, past))
    same = pronoun_for(main.subject) if rng.random() < 0.4 else None
    if same is not None:  # the pronoun follows its noun, so the reason comes last
        said, first = subordinate(condition(rng, past, same)), statement(main)
        return finished(f"{first.english} because {said.english}", f"{first.german}, weil {said.german}")
    return after_conjunction(rng, Phrase("because", "weil"), main, condition(rng, past))


def because_of_it(rng: Random) -> Pair:
    """Return "She sold the lamp because it was old."; German it follows the gender of the thing."""
    past = rng.random() < 0.5
    who = actor(rng)
    what = thing(rng, HANDED, ["red", "green", "blue"])
    verb = rng.choice(list(REASONS))
    main = Clause(who, conjugate(verb, tense_of(rng, past), who), [what.english], [], [what.german["acc"]])
    english = rng.choice(REASONS[verb])
    german = words.PREDICATES.get(english, words.ADJECTIVES[english])
    it = IT[what.gender]
    said = subordinate(Clause(it, be("past" if past else "present", it, german), [english]))
    first = statement(main)
    return finished(f"{first.english} because {said.english}", f"{first.german}, weil {said.german}")


def if_so(rng: Random) -> Pair:
    """Return "If it rains, we must wait in the hotel."; also with if in second place."""
    main = any_clause(rng, rng.choice(["future", "can", "must"]))
    return after_conjunction(rng, Phrase("if", "wenn"), main, condition(rng, past=False))


def although(rng: Random) -> Pair:
    """Return "Although the woman was sick, she worked in the garden."."""
    past = rng.random() < 0.6
    main = any_clause(rng, tense_of(rng, past))
    return after_conjunction(rng, Phrase("although", "obwohl"), main, condition(rng, past))


def that(rng: Random) -> Pair:
    """Return "The doctor knows that the girl wants to travel to Japan tomorrow."."""
    who = actor(rng, 0.5)
    telling = rng.choice(TOLD)
    verb = conjugate(telling, "present", who)
    tense = tense_of(rng, past=False if telling is words.HOPE else None)  # one hopes for nothing past
    inner = subordinate(timed_clause(rng, tense) if rng.random() < 0.4 else any_clause(rng, tense))
    return finished(
        f"{who.english} {verb.english} that {inner.english}", f"{who.german['nom']} {verb.finite}, dass {inner.german}"
    )


def relative(who: NounPhrase) -> NounPhrase:
    """Return the relative pronoun as a subject, for a clause whose English who stands before it."""
    # Its noun keeps `other_people` from choosing the same; since it is a pronoun, a feminine dative may follow.
    forms = {"nom": RELATIVE[who.gender].split()[0]}
    return NounPhrase("", forms, who.gender, who.person, pronoun=True, noun=who.noun)


def who_did(rng: Random) -> Pair:
    """Return "The man who sold the red car comes from Greece."; the German verb closes the relative clause."""
    noun, plural = rng.choice(words.PEOPLE), rng.random() < 0.2
    who = noun_phrase("the", noun, plural=plural)
    pronoun = relative(who)
    tense = rng.choice(["past", "past", "present", "wants", "must"])
    makers: list[ClauseMaker] = [acting, meeting]
    inner = rng.choice(makers)(rng, tense, subject=pronoun)
    said = subordinate(inner)
    if rng.random() < 0.6:
        verb, place = rng.choice([(words.COME, "from"), (words.LIVE, "in")])
        home = land(rng, place)
        predicate = conjugate(verb, "present", who)
        end, german_end = f"{predicate.english} {home.english}", f"{predicate.finite} {home.german}"
    else:
        english = rng.choice(list(words.MOODS))
        predicate = be("present", who, words.MOODS[english])
        end, german_end = f"{predicate.english} {english}", f"{predicate.finite} {predicate.tail}"
    return finished(f"{who.english} who {said.english} {end}", f"{who.german['nom']}, {said.german}, {german_end}")


def that_was(rng: Random) -> Pair:
    """Return "The lamp that my sister bought is beautiful."."""
    noun, plural = rng.choice(THINGS), rng.random() < 0.2
    what = noun_phrase("the", noun, rng.choice(["", "", "red", "green", "blue"]), plural)
    who = actor(rng, 0.4)
    verb = conjugate(rng.choice([words.BUY, words.SELL, words.FIND, words.SEEK]), tense_of(rng), who)
    english = rng.choice(QUALITIES)
    is_so = be("present", what, words.PREDICATES.get(english, words.ADJECTIVES[english]))
    pronoun = RELATIVE[what.gender].split()[1]  # the accusative: what somebody bought
    return finished(
        f"{what.english} that {who.english} {verb.english} {is_so.english} {english}",
        f"{what.german['nom']}, {pronoun} {who.german['nom']} {verb.last}, {is_so.finite} {is_so.tail}",
    )


def in_order_to(rng: Random) -> Pair:
    """Return "The baker goes to the market to buy fresh eggs." (um ... zu kaufen)."""
    who, place = actor(rng), noun_phrase("the", rng.choice(words.STOPS))
    verb, nouns, adjectives = rng.choice(PURPOSES)
    what = thing(rng, nouns, adjectives)
    go = conjugate(words.GO, rng.choice(["present", "past", "future", "wants", "had to"]), who)
    main = Clause(who, go, [f"to {place.english}"], [], [contracted("zu", place.german["dat"])])
    first = statement(main)
    return finished(
        f"{first.english} to {verb.english} {what.english}",
        f"{first.german}, um {to_infinitive(verb, what.german['acc'])}",
    )


def attempting(rng: Random) -> Pair:
    """Return "The student tries to repair the clock." (zu reparieren)."""
    who = actor(rng)
    verb, nouns, adjectives = rng.choice(ATTEMPTS)
    what = thing(rng, nouns, adjectives)
    attempt, past = rng.choice([(words.TRY, False), (words.TRY, True), (words.HOPE, False), (words.HOPE, False)])
    first = statement(Clause(who, conjugate(attempt, "past" if past else "present", who)))
    return finished(
        f"{first.english} to {verb.english} {what.english}",
        f"{first.german}, {to_infinitive(verb, what.german['acc'])}",
    )


JOINED = [
    (because, 6),
    (because_of_it, 4),
    (if_so, 5),
    (although, 4),
    (that, 6),
    (who_did, 5),
    (that_was, 5),
    (in_order_to, 4),
    (attempting, 4),
]
