"""German grammar against forms worked by hand."""

from __future__ import annotations

import pytest

from regard.samples import lexicon as words
from regard.samples.grammar import (
    OBJECT_PRONOUNS,
    SUBJECT_PRONOUNS,
    Clause,
    Phrase,
    conjugate,
    contracted,
    finished,
    noun_phrase,
    owned,
    question,
    statement,
    subordinate,
    to_infinitive,
)
from regard.samples.lexicon import Noun

EVERY_NOUN = {
    noun.english: noun
    for table in vars(words).values()
    if isinstance(table, list)
    for noun in table
    if isinstance(noun, Noun)
}
SHE, WE = SUBJECT_PRONOUNS["she"], SUBJECT_PRONOUNS["we"]
MONDAY = Phrase("on Monday", "am Montag")
SUITCASE = noun_phrase("the", EVERY_NOUN["suitcase"])


@pytest.mark.parametrize(
    ("word", "adjective", "noun", "plural", "english", "german"),
    [
        ("the", "red", "lamp", False, "the red lamp", "die rote Lampe|die rote Lampe|der roten Lampe"),
        ("the", "old", "chair", False, "the old chair", "der alte Stuhl|den alten Stuhl|dem alten Stuhl"),
        ("the", "new", "book", False, "the new book", "das neue Buch|das neue Buch|dem neuen Buch"),
        ("a", "old", "hat", False, "an old hat", "ein alter Hut|einen alten Hut|einem alten Hut"),
        ("a", "expensive", "car", False, "an expensive car", "ein teures Auto|ein teures Auto|einem teuren Auto"),
        ("a", "", "apple", False, "an apple", "ein Apfel|einen Apfel|einem Apfel"),
        ("not a", "blue", "bag", False, "a blue bag", "keine blaue Tasche|keine blaue Tasche|keiner blauen Tasche"),
        ("my", "", "boy", False, "my boy", "mein Junge|meinen Jungen|meinem Jungen"),
        (
            "her",
            "young",
            "neighbor",
            False,
            "her young neighbor",
            "ihr junger Nachbar|ihren jungen Nachbarn|ihrem jungen Nachbarn",
        ),
        (
            "his",
            "big",
            "dress",
            True,
            "his big dresses",
            "seine großen Kleider|seine großen Kleider|seinen großen Kleidern",
        ),
        ("three", "red", "chair", True, "three red chairs", "drei rote Stühle|drei rote Stühle|drei roten Stühlen"),
        (
            "these",
            "green",
            "car",
            True,
            "these green cars",
            "diese grünen Autos|diese grünen Autos|diesen grünen Autos",
        ),
        ("this", "", "neighbor", False, "this neighbor", "dieser Nachbar|diesen Nachbarn|diesem Nachbarn"),
        ("the", "", "child", True, "the children", "die Kinder|die Kinder|den Kindern"),
    ],
)
def test_noun_phrases_are_declined(
    word: str, adjective: str, noun: str, plural: bool, english: str, german: str
) -> None:
    found = noun_phrase(word, EVERY_NOUN[noun], adjective, plural)
    assert found.english == english
    assert "|".join(found.german[case] for case in ("nom", "acc", "dat")) == german


@pytest.mark.parametrize(
    ("owner", "german"),
    [("teacher", "die Tasche der Lehrerin"), ("man", "die Tasche des Mannes"), ("boy", "die Tasche des Jungen")],
)
def test_what_people_own_is_a_genitive(owner: str, german: str) -> None:
    found = owned(noun_phrase("the", EVERY_NOUN[owner]), EVERY_NOUN["bag"])
    assert found.english == f"the {owner}'s bag"
    assert found.german["nom"] == german


@pytest.mark.parametrize(
    ("preposition", "noun", "case", "german"),
    [
        ("in", "garden", "dat", "im Garten"),
        ("in", "garden", "acc", "in den Garten"),
        ("in", "house", "acc", "ins Haus"),
        ("in", "kitchen", "dat", "in der Küche"),
        ("zu", "school", "dat", "zur Schule"),
        ("zu", "market", "dat", "zum Markt"),
        ("aus", "library", "dat", "aus der Bibliothek"),
    ],
)
def test_prepositions_join_their_article(preposition: str, noun: str, case: str, german: str) -> None:
    assert contracted(preposition, noun_phrase("the", EVERY_NOUN[noun]).german[case]) == german


@pytest.mark.parametrize(
    ("tense", "english", "main", "last"),
    [
        ("present", "picks up", "holt den Koffer ab", "den Koffer abholt"),
        ("past", "picked up", "hat den Koffer abgeholt", "den Koffer abgeholt hat"),
        ("already", "has already picked up", "hat den Koffer schon abgeholt", "den Koffer schon abgeholt hat"),
        ("not", "does not pick up", "holt den Koffer nicht ab", "den Koffer nicht abholt"),
        ("did not", "did not pick up", "hat den Koffer nicht abgeholt", "den Koffer nicht abgeholt hat"),
        ("future", "will pick up", "wird den Koffer abholen", "den Koffer abholen wird"),
        ("can", "can pick up", "kann den Koffer abholen", "den Koffer abholen kann"),
        ("must", "must pick up", "muss den Koffer abholen", "den Koffer abholen muss"),
        ("wants", "wants to pick up", "will den Koffer abholen", "den Koffer abholen will"),
        ("had to", "had to pick up", "musste den Koffer abholen", "den Koffer abholen musste"),
        ("wanted", "wanted to pick up", "wollte den Koffer abholen", "den Koffer abholen wollte"),
    ],
)
def test_every_tense_stands_in_its_place(tense: str, english: str, main: str, last: str) -> None:
    clause = Clause(SHE, conjugate(words.FETCH, tense, SHE), ["the suitcase"], [], [SUITCASE.german["acc"]])
    assert statement(clause) == Phrase(f"she {english} the suitcase", f"sie {main}")
    assert subordinate(clause) == Phrase(f"she {english} the suitcase", f"sie {last}")


@pytest.mark.parametrize(
    ("tense", "english", "german"),
    [
        ("past", "did she arrive on Monday", "ist sie am Montag angekommen"),
        ("present", "does she arrive on Monday", "kommt sie am Montag an"),
        ("wants", "does she want to arrive on Monday", "will sie am Montag ankommen"),
        ("had to", "did she have to arrive on Monday", "musste sie am Montag ankommen"),
        ("future", "will she arrive on Monday", "wird sie am Montag ankommen"),
    ],
)
def test_questions_put_the_verb_first(tense: str, english: str, german: str) -> None:
    assert question(Clause(SHE, conjugate(words.ARRIVE, tense, SHE), time=MONDAY)) == Phrase(english, german)


def test_a_time_in_front_turns_subject_and_verb_round() -> None:
    him = OBJECT_PRONOUNS[1]
    clause = Clause(WE, conjugate(words.HELP, "past", WE), [him.english], [him.german["dat"]], time=MONDAY)
    assert statement(clause, time_first=True) == Phrase("on Monday we helped him", "am Montag haben wir ihm geholfen")
    assert statement(clause) == Phrase("we helped him on Monday", "wir haben ihm am Montag geholfen")


@pytest.mark.parametrize(
    ("who", "german"), [("I", "ich werfe weg"), ("she", "sie wirft weg"), ("we", "wir werfen weg")]
)
def test_verbs_agree_with_their_subject(who: str, german: str) -> None:
    subject = SUBJECT_PRONOUNS[who]
    assert statement(Clause(subject, conjugate(words.DISCARD, "present", subject))).german == german


def test_zu_stands_inside_a_separable_verb() -> None:
    assert to_infinitive(words.FETCH, "den Koffer") == "den Koffer abzuholen"
    assert to_infinitive(words.SELL, "den Koffer") == "den Koffer zu verkaufen"


def test_a_comma_gives_way_to_the_mark() -> None:
    assert finished("she came on Friday, May 1,", "sie kam am Freitag, dem 1. Mai,", "?") == (
        "She came on Friday, May 1?",
        "Sie kam am Freitag, dem 1. Mai?",
    )


def test_no_english_word_is_two_nouns_and_no_plural_is_a_singular() -> None:
    tables = [table for table in vars(words).values() if isinstance(table, list) and isinstance(table[0], Noun)]
    nouns = {noun for table in tables for noun in table}
    forms = [form for noun in nouns for form in (noun.english, noun.english_plural)]
    assert len(forms) == len(set(forms))
