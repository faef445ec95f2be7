"""How a sentence of the embedded corpus is put together in English and in German.

Knows declension, conjugation and word order; the words are in `lexicon`, the sentences in the `templates_...`.
Gender is m, f, n or p (plural of any gender); case is nom, acc, dat or gen; person is I, it or they (also for we).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

from regard.samples.lexicon import ADJECTIVES, Noun, Verb

CASES = ("nom", "acc", "dat", "gen")
# Endings by gender, in the order of CASES.
STRONG_WORD = {"m": "er en em es", "f": "e e er er", "n": "es es em es", "p": "e e en er"}  # dieser
EIN_WORD = {"m": "- en em es", "f": "e e er er", "n": "- - em es", "p": "e e en er"}  # mein, kein
# Weak where the determiner shows gender and case, strong after ein without an ending and after a number.
AFTER_DER = {"m": "e en en en", "f": "e e en en", "n": "e e en en", "p": "en en en en"}
AFTER_EIN = {"m": "er en en en", "f": "e e en en", "n": "es es en en", "p": "en en en en"}
AFTER_NUMBER = {"p": "e e en er"}
ARTICLE = {"m": "der den dem des", "f": "die die der der", "n": "das das dem des", "p": "die die den der"}
RELATIVE = {"m": "der den dem", "f": "die die der", "n": "das das dem", "p": "die die denen"}
EIN_STEMS = {"a": "ein", "not a": "kein", "my": "mein", "his": "sein", "her": "ihr"}
NUMBER_WORDS = {
    "two": "zwei",
    "three": "drei",
    "four": "vier",
    "five": "fünf",
    "six": "sechs",
}
CONTRACTIONS = {"in dem": "im", "in das": "ins", "an dem": "am", "zu dem": "zum", "zu der": "zur"}


@dataclass(frozen=True)
class Phrase:
    """A piece of a sentence that does not change: a time, a place, a list of languages."""

    english: str
    german: str


@dataclass(frozen=True)
class NounPhrase:
    """A noun with its determiner, or a pronoun: the English, the German by case, its gender and person.

    noun: the English singular, which tells whether two phrases are about the same kind; empty for pronouns.
    """

    english: str
    german: dict[str, str]
    gender: str
    person: str = "it"
    pronoun: bool = False
    noun: str = ""


SUBJECT_PRONOUNS = {
    "I": NounPhrase("I", {"nom": "ich"}, "m", "I", pronoun=True),
    "he": NounPhrase("he", {"nom": "er"}, "m", pronoun=True),
    "she": NounPhrase("she", {"nom": "sie"}, "f", pronoun=True),
    "we": NounPhrase("we", {"nom": "wir"}, "p", "they", pronoun=True),
    "they": NounPhrase("they", {"nom": "sie"}, "p", "they", pronoun=True),
}
OBJECT_PRONOUNS = [
    NounPhrase("me", {"acc": "mich", "dat": "mir"}, "m", pronoun=True),
    NounPhrase("him", {"acc": "ihn", "dat": "ihm"}, "m", pronoun=True),
    NounPhrase("us", {"acc": "uns", "dat": "uns"}, "p", pronoun=True),
    NounPhrase("them", {"acc": "sie", "dat": "ihnen"}, "p", pronoun=True),
]
IT = {
    "m": NounPhrase("it", {"nom": "er"}, "m", pronoun=True),
    "f": NounPhrase("it", {"nom": "sie"}, "f", pronoun=True),
    "n": NounPhrase("it", {"nom": "es"}, "n", pronoun=True),
    "p": NounPhrase("they", {"nom": "sie"}, "p", "they", pronoun=True),
}


def ending(table: dict[str, str], gender: str, case: str) -> str:
    """Return the ending that a table gives for a gender and a case."""
    return table[gender].split()[CASES.index(case)].replace("-", "")


def noun_form(noun: Noun, plural: bool, case: str) -> str:
    """Return the German noun in one case."""
    if not plural:
        genitive = noun.genitive if case == "gen" else ""
        return genitive or (noun.weak if case != "nom" else "") or noun.german
    # den Kindern, but den Frauen and den Autos.
    return noun.german_plural + ("n" if case == "dat" and noun.german_plural[-1] not in "ns" else "")


def determiner(word: str, gender: str, case: str) -> tuple[str, dict[str, str]]:
    """Return the German determiner in one case, and the endings of an adjective that follows it."""
    if word == "the":
        return ending(ARTICLE, gender, case), AFTER_DER
    if word in ("this", "these"):
        return "dies" + ending(STRONG_WORD, gender, case), AFTER_DER
    if word in NUMBER_WORDS:
        return NUMBER_WORDS[word], AFTER_NUMBER
    return EIN_STEMS[word] + ending(EIN_WORD, gender, case), AFTER_EIN


@cache
def noun_phrase(word: str, noun: Noun, adjective: str = "", plural: bool = False) -> NounPhrase:
    """Return determiner, adjective and noun, declined.

    word: the English determiner, or a number word; `plural` must fit it. "not a" is kein; its "not" goes to the verb.
    """
    gender = "p" if plural else noun.gender
    forms = {}
    for case in CASES:
        german_word, endings = determiner(word, gender, case)
        middle = ADJECTIVES[adjective] + ending(endings, gender, case) if adjective else ""
        forms[case] = " ".join(filter(None, [german_word, middle, noun_form(noun, plural, case)]))
    name = noun.english_plural if plural else noun.english
    english = " ".join(filter(None, [word.removeprefix("not "), adjective, name]))
    # By the letter, not by the sound: the lexicon has no hour and no university.
    if english.startswith("a ") and english[2] in "aeiou":
        english = "an" + english[1:]
    return NounPhrase(english, forms, gender, "they" if plural else "it", noun=noun.english)


def owned(owner: NounPhrase, noun: Noun, adjective: str = "") -> NounPhrase:
    """Return "the teacher's red bag", which in German is "die rote Tasche der Lehrerin"."""
    thing = noun_phrase("the", noun, adjective)
    english = f"{owner.english}'s " + thing.english.removeprefix("the ")
    return NounPhrase(
        english, {case: f"{form} {owner.german['gen']}" for case, form in thing.german.items()}, thing.gender
    )


def contracted(preposition: str, words: str) -> str:
    """Return preposition and noun phrase with im, ins, am, zum or zur where German joins them."""
    first, _, rest = words.partition(" ")
    joined = CONTRACTIONS.get(f"{preposition} {first}")
    return f"{joined} {rest}" if joined else f"{preposition} {words}"


@dataclass(frozen=True)
class Predicate:
    """A verb in one tense: its parts in the two languages.

    english: the whole verb of a statement. helper, rest: how a question splits it ("Did", "buy").
    finite: the German verb in second place. tail: what closes the main clause. last: what closes a subordinate clause.
    late: schon or nicht, directly before the tail.
    """

    english: str
    helper: str
    rest: str
    finite: str
    tail: str
    last: str
    late: str = ""


# tense -> English helper of I, it, they; German helper of ich, er, wir
HELPERS = {
    "future": ("will will will", "werde wird werden"),
    "can": ("can can can", "kann kann können"),
    "must": ("must must must", "muss muss müssen"),
    "wants": ("want wants want", "will will wollen"),
    "had to": ("had had had", "musste musste mussten"),
    "wanted": ("wanted wanted wanted", "wollte wollte wollten"),
}
AUXILIARIES = {"haben": "habe hat haben", "sein": "bin ist sind"}
PERSONS = ("I", "it", "they")


def by_person(forms: str, subject: NounPhrase) -> str:
    """Return the form for the subject out of "I it they"."""
    return forms.split()[PERSONS.index(subject.person)]


def conjugate(verb: Verb, tense: str, subject: NounPhrase) -> Predicate:
    """Return the predicate of a verb.

    tense: present, past, already (has already bought), not (does not buy), did not, or one of HELPERS.
    English past is German perfect throughout, as people speak.
    """
    if tense in HELPERS:
        return with_helper(verb, tense, subject)
    do = by_person("do does do", subject)
    if tense in ("present", "not"):
        finite = by_person(f"{verb.first} {verb.er} {verb.infinitive}", subject)
        late = "nicht" if tense == "not" else ""
        english = f"{do} not {verb.english}" if late else verb.third if subject.person == "it" else verb.english
        return Predicate(english, do, verb.english, finite, verb.prefix, verb.prefix + finite, late)
    finite = by_person(AUXILIARIES[verb.auxiliary], subject)
    tail = verb.prefix + verb.german_participle
    late = {"past": "", "already": "schon", "did not": "nicht"}[tense]
    have = by_person("have has have", subject)
    english = {"past": verb.past, "already": f"{have} already {verb.participle}"}.get(tense, f"did not {verb.english}")
    helper, rest = (have, f"already {verb.participle}") if tense == "already" else ("did", verb.english)
    return Predicate(english, helper, rest, finite, tail, f"{tail} {finite}", late)


def with_helper(verb: Verb, tense: str, subject: NounPhrase) -> Predicate:
    """Return the predicate of a verb under will, can, must, want to and had to."""
    english_forms, german_forms = HELPERS[tense]
    english, finite = by_person(english_forms, subject), by_person(german_forms, subject)
    infinitive = verb.prefix + verb.infinitive
    to = "to " if tense in ("wants", "wanted", "had to") else ""
    helper, rest = english, verb.english
    if to:  # "does she want to buy", "did she have to buy"
        helper = by_person("do does do", subject) if tense == "wants" else "did"
        rest = ("have to " if tense == "had to" else "want to ") + verb.english
    return Predicate(f"{english} {to}{verb.english}", helper, rest, finite, infinitive, f"{infinitive} {finite}")


def be(tense: str, subject: NounPhrase, german: str = "") -> Predicate:
    """Return the predicate of to be, present or past; german: an adjective or other word at the end of the clause."""
    english = by_person("am is are" if tense == "present" else "was was were", subject)
    finite = by_person("bin ist sind" if tense == "present" else "war war waren", subject)
    return Predicate(english, english, "", finite, german, f"{german} {finite}".strip())


@dataclass(frozen=True)
class Clause:
    """One clause before its words are put in order.

    rest: the English after the verb, without the time. early: German pronouns and datives, before the time.
    late: German after the time. In both languages the time is separate, since it may come first.
    """

    subject: NounPhrase
    predicate: Predicate
    rest: list[str] = field(default_factory=list)
    early: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    time: Phrase | None = None


def join(*words: str) -> str:
    """Return the words that are not empty, with single spaces."""
    return " ".join(filter(None, words))


def middle(clause: Clause, time: bool = True) -> str:
    """Return the part between the finite verb (or the subject) and the end of the German clause."""
    when = clause.time.german if clause.time and time else ""
    return join(*clause.early, when, *clause.late, clause.predicate.late)


def plain(clause: Clause, time: bool = True) -> str:
    """Return the English clause in its one order: subject, verb, the rest, time."""
    when = clause.time.english if clause.time and time else ""
    return join(clause.subject.english, clause.predicate.english, *clause.rest, when)


def statement(clause: Clause, time_first: bool = False) -> Phrase:
    """Return the clause as a main clause: the German verb is second, whatever comes first."""
    subject, predicate = clause.subject.german["nom"], clause.predicate
    if not time_first or clause.time is None:
        return Phrase(plain(clause), join(subject, predicate.finite, middle(clause), predicate.tail))
    german = join(clause.time.german, inverted(clause, time=False))
    return Phrase(f"{clause.time.english} {plain(clause, time=False)}", german)


def inverted(clause: Clause, time: bool = True) -> str:
    """Return the German clause with its verb first: after something in front, or as a question."""
    return join(clause.predicate.finite, clause.subject.german["nom"], middle(clause, time), clause.predicate.tail)


def subordinate(clause: Clause) -> Phrase:
    """Return the clause with its German verb at the end."""
    return Phrase(plain(clause), join(clause.subject.german["nom"], middle(clause), clause.predicate.last))


def question(clause: Clause) -> Phrase:
    """Return the clause as a question without question word or mark."""
    when = clause.time.english if clause.time else ""
    predicate = clause.predicate
    english = join(predicate.helper, clause.subject.english, predicate.rest, *clause.rest, when)
    return Phrase(english, inverted(clause))


def to_infinitive(verb: Verb, obj: str) -> str:
    """Return "den Koffer abzuholen": object and infinitive with zu, inside a separable verb."""
    return f"{obj} {verb.prefix}zu{verb.infinitive}" if verb.prefix else f"{obj} zu {verb.infinitive}"


def finished(english: str, german: str, mark: str = ".") -> tuple[str, str]:
    """Return both sentences with a capital letter and a closing mark; a comma before any other mark is removed."""
    pair = []
    for text in (english, german):
        text = f"{text[0].upper()}{text[1:]}{mark}"
        for wrong, right in ((",.", "."), (",?", "?"), (",,", ",")):
            text = text.replace(wrong, right)
        pair.append(text)
    return pair[0], pair[1]
