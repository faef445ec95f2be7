"""Simple clauses that make sense: who does what to what, where and when. Word order comes later, in `grammar`."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from regard.samples import lexicon as words
from regard.samples.grammar import SUBJECT_PRONOUNS, Clause, NounPhrase, Phrase, be, conjugate
from regard.samples.lexicon import Noun, Verb
from regard.samples.parts import actor, inside, land, other_people, out_of, thing, tongues, towards, when

ClauseMaker = Callable[..., Clause]
THINGS = words.SMALL_THINGS + words.LARGE_THINGS + words.CLOTHES
EATEN = words.FOOD + words.BAKED
REPAIRED = words.LARGE_THINGS + [noun for noun in words.SMALL_THINGS if noun.english != "book"]  # nobody repairs a book

# What is done to what: verb, nouns, adjectives, weight.
ACTIONS: list[tuple[Verb, list[Noun], list[str], int]] = [
    (words.BUY, THINGS, words.THING_ADJECTIVES, 4),
    (words.SELL, THINGS, words.THING_ADJECTIVES, 4),
    (words.FIND, THINGS, words.THING_ADJECTIVES, 2),
    (words.SEEK, THINGS, words.THING_ADJECTIVES, 2),
    (words.SEE, THINGS, words.THING_ADJECTIVES, 2),
    (words.FETCH, words.SMALL_THINGS + words.CLOTHES, words.THING_ADJECTIVES, 3),
    (words.DISCARD, words.SMALL_THINGS + words.CLOTHES, words.THING_ADJECTIVES, 3),
    (words.REPAIR, REPAIRED, words.THING_ADJECTIVES, 3),
    (words.TRY_ON, words.CLOTHES, words.THING_ADJECTIVES, 3),
    (words.EAT, EATEN, words.FOOD_ADJECTIVES, 4),
    (words.BUY, EATEN, words.FOOD_ADJECTIVES, 2),
    (words.SEE, words.ANIMALS, words.ANIMAL_ADJECTIVES, 2),
    (words.SELL, words.ANIMALS, words.ANIMAL_ADJECTIVES, 2),
]
MEETINGS = [words.VISIT, words.CALL, words.CALL, words.INVITE, words.FETCH, words.SEE, words.SEEK]
HANDED = [*words.SMALL_THINGS, *words.CLOTHES, *words.LARGE_THINGS]
WHERE_VERBS = [words.SLEEP, words.WORK, words.PLAY]

PRESENT_TENSES = ["present", "present", "present", "future", "can", "must", "wants"]
PAST_TENSES = ["past", "past", "past", "had to", "wanted"]


def tense_of(rng: Random, past: bool | None = None) -> str:
    """Return a tense that is past or not; any if past is None."""
    if past is None:
        past = rng.random() < 0.5
    return rng.choice(PAST_TENSES if past else PRESENT_TENSES)


def doer(rng: Random, tense: str, subject: NounPhrase | None) -> NounPhrase:
    """Return the subject, or draw one; the present of "I" is left to a few verbs, since each has a form of its own."""
    who = subject or actor(rng)
    return SUBJECT_PRONOUNS["we"] if who.person == "I" and tense in ("present", "not") else who


def acting(
    rng: Random,
    tense: str,
    subject: NounPhrase | None = None,
    kind: str = "any",
    time: Phrase | None = None,
    place_rate: float = 0.12,
) -> Clause:
    """Return a clause in which somebody does something to a thing; kind as in `thing`."""
    who = doer(rng, tense, subject)
    verb, nouns, adjectives, _ = rng.choices(ACTIONS, [action[3] for action in ACTIONS])[0]
    what = thing(rng, nouns, adjectives, kind)
    place = inside(rng) if rng.random() < place_rate else None
    predicate = conjugate(verb, tense, who)
    if place is None:
        return Clause(who, predicate, [what.english], [], [what.german["acc"]], time)
    # German has the place before the thing, English after it.
    return Clause(who, predicate, [what.english, place.english], [], [place.german, what.german["acc"]], time)


def meeting(rng: Random, tense: str, subject: NounPhrase | None = None, time: Phrase | None = None) -> Clause:
    """Return a clause in which somebody visits, calls, invites or helps somebody."""
    who = doer(rng, tense, subject)
    dative = rng.random() < 0.3
    whom = other_people(rng, who, dative)
    # helfen takes the dative.
    verb = words.HELP if dative else rng.choice(MEETINGS)
    if verb is words.FETCH and whom.pronoun:  # English would have to split it: "picks him up"
        verb = words.CALL
    predicate = conjugate(verb, tense, who)
    german = whom.german["dat" if dative else "acc"]
    early, late = ([german], []) if whom.pronoun or dative else ([], [german])
    return Clause(who, predicate, [whom.english], early, late, time)


def giving(rng: Random, tense: str, subject: NounPhrase | None = None, time: Phrase | None = None) -> Clause:
    """Return a clause in which somebody gives or shows somebody a thing."""
    who = doer(rng, tense, subject)
    whom = other_people(rng, who, dative=True)
    what = thing(rng, HANDED, words.THING_ADJECTIVES)
    predicate = conjugate(rng.choice([words.GIVE, words.SHOW]), tense, who)
    return Clause(who, predicate, [whom.english, what.english], [whom.german["dat"]], [what.german["acc"]], time)


def being_there(rng: Random, tense: str, subject: NounPhrase | None = None, time: Phrase | None = None) -> Clause:
    """Return a clause in which somebody sleeps, works or plays somewhere."""
    who, place = doer(rng, tense, subject), inside(rng)
    predicate = conjugate(rng.choice(WHERE_VERBS), tense, who)
    return Clause(who, predicate, [place.english], [], [place.german], time)


def moving(rng: Random, tense: str, subject: NounPhrase | None = None, time: Phrase | None = None) -> Clause:
    """Return a clause in which somebody goes somewhere, comes out or travels to a country."""
    who, kind = doer(rng, tense, subject), rng.choices(["walk", "out", "travel"], [3, 2, 4])[0]
    verbs = {"walk": [words.GO], "out": [words.COME], "travel": [words.TRAVEL, words.FLY]}[kind]
    place = {"walk": towards, "out": out_of}[kind](rng) if kind != "travel" else land(rng, "to")
    return Clause(who, conjugate(rng.choice(verbs), tense, who), [place.english], [], [place.german], time)


def speaking(rng: Random, tense: str, subject: NounPhrase | None = None, time: Phrase | None = None) -> Clause:
    """Return a clause in which somebody speaks or learns languages."""
    who, what = doer(rng, tense, subject), tongues(rng)
    return Clause(
        who, conjugate(rng.choice([words.SPEAK, words.LEARN]), tense, who), [what.english], [], [what.german], time
    )


KINDS: list[tuple[ClauseMaker, int]] = [
    (acting, 9),
    (meeting, 4),
    (giving, 4),
    (being_there, 3),
    (moving, 4),
    (speaking, 2),
]


def any_clause(rng: Random, tense: str, subject: NounPhrase | None = None, time: Phrase | None = None) -> Clause:
    """Return a clause of any kind in the tense."""
    make = rng.choices([make for make, _ in KINDS], [weight for _, weight in KINDS])[0]
    return make(rng, tense, subject=subject, time=time)


def timed_clause(rng: Random, tense: str, subject: NounPhrase | None = None) -> Clause:
    """Return a clause of any kind with a time that fits its tense."""
    return any_clause(rng, tense, subject, when(rng, tense))


def mood(rng: Random, past: bool, subject: NounPhrase | None = None) -> Clause:
    """Return "the child is tired"."""
    who = subject or actor(rng)
    english = rng.choice(list(words.MOODS))
    return Clause(who, be("past" if past else "present", who, words.MOODS[english]), [english])


def raining(past: bool) -> Clause:
    """Return "it rains"."""
    it = NounPhrase("it", {"nom": "es"}, "n", pronoun=True)
    return Clause(it, conjugate(words.RAIN, "past" if past else "present", it))


def pronoun_for(who: NounPhrase) -> NounPhrase | None:
    """Return he, she or they for people; none where German speakers would hesitate between es and sie."""
    if who.pronoun:
        return who
    name = {"m": "he", "f": "she", "p": "they"}.get(who.gender)
    return SUBJECT_PRONOUNS[name] if name else None
