import dataclasses
import json
import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU

from regard.errors import DataError
from regard.evaluation.translation import moses_language, moses_lower, score_translations

MULTI30K = Path(os.environ.get("REGARD_DATA", "data")) / "multi30k"
needs_multi30k = pytest.mark.skipif(not MULTI30K.is_dir(), reason="REGARD_DATA names no folder with multi30k in it")

GERMAN = ["Ein Mann steht vor dem Haus.", "Zwei Kinder spielen im Garten.", "Die Frau liest ein langes Buch."]


def read(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split("\n")[:-1]


def test_a_perfect_translation_has_a_hundred_in_every_score():
    scores = score_translations(GERMAN, GERMAN, language="de")
    assert [score.value for score in scores] == pytest.approx([100, 100, 100])
    assert scores.n_sentences == 3


def test_nothing_in_common_has_zero_in_every_score():
    assert [score.value for score in score_translations(["xyz"] * 3, ["abc"] * 3, language="en")] == [0, 0, 0]


def test_empty_translations_are_scored_and_not_refused():
    assert [score.value for score in score_translations(["", "", ""], GERMAN, language="de")] == [0, 0, 0]


def test_case_counts_in_the_cased_score_only():
    scores = score_translations([sentence.lower() for sentence in GERMAN], GERMAN, language="de")
    assert scores.bleu.value < 90
    assert scores.bleu_literature.value == pytest.approx(100)


def test_bleu_of_a_sentence_worked_by_hand():
    # 5 of 6 words, 3 of 5 pairs, 2 of 4 triples, 1 of 3 quadruples; the lengths are equal
    scores = score_translations(["the cat sat on a mat"], ["the cat sat on the mat"], language="en")
    by_hand = 100 * (5 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** (1 / 4)
    assert scores.bleu.value == pytest.approx(by_hand)
    assert scores.bleu_literature.value == pytest.approx(by_hand)


def test_signatures_say_how_each_score_was_made():
    scores = score_translations(GERMAN, GERMAN, language="de")
    assert "case:mixed" in scores.bleu.signature
    assert "tok:13a" in scores.bleu.signature
    assert "case:lc" in scores.bleu_literature.signature
    assert "tok:none" in scores.bleu_literature.signature
    assert "nc:6|nw:0" in scores.chrf.signature


def test_json_shape_holds_name_value_and_signature():
    written = json.loads(json.dumps(score_translations(GERMAN, GERMAN, language="de").as_dict()))
    assert set(written) == {"bleu", "bleu_literature", "chrf", "n_sentences", "n_numbers", "n_numbers_kept"}
    assert set(written["bleu"]) == {"name", "value", "signature"}
    assert written["bleu_literature"]["name"] == "BLEU, lower-cased, Moses de"


def test_scores_say_how_they_were_found_if_that_is_known():
    scores = dataclasses.replace(score_translations(GERMAN, GERMAN), how="beam 5")
    assert scores.as_dict()["how"] == "beam 5"
    assert [score.name for score in scores] == ["BLEU, cased", "chrF"]


def test_the_literature_has_a_form_for_a_language_that_is_known_and_has_spaces():
    spanish = ["El perro corre por la calle y los niños juegan en el parque con una pelota que es de su hermano."] * 24
    assert [score.name for score in score_translations(spanish, spanish)][1] == "BLEU, lower-cased, Moses es"
    assert score_translations(["a b"], ["a b"]).bleu_literature is None
    assert score_translations(["我 们"], ["我 们"], language="zh").bleu_literature is None


@pytest.mark.parametrize(
    ("reference", "language", "tokenisation"),
    [
        ("我们今天去学校学习。", "zh", "zh"),
        ("今日は学校に行きました。", "ja", "char"),
        ("วันนี้เราไปโรงเรียน", None, "char"),
        ("Wir gehen heute in die Schule.", None, "13a"),
        ("오늘 우리는 학교에 갔습니다.", "ko", "13a"),
    ],
)
def test_a_script_without_spaces_is_scored_by_character(reference, language, tokenisation):
    scores = score_translations([reference] * 40, [reference] * 40, language=language)
    assert f"tok:{tokenisation}|" in scores.bleu.signature and scores.bleu.value == pytest.approx(100)
    expected = BLEU(tokenize=tokenisation).corpus_score([reference[:-2]] * 40, [[reference] * 40]).score
    assert score_translations([reference[:-2]] * 40, [reference] * 40, language=language).bleu.value == expected


def test_accents_count_alike_however_they_are_spelt():
    together = ["Die Tür führt über den schönen Hof."]
    apart = [unicodedata.normalize("NFD", sentence) for sentence in together]
    assert apart != together and score_translations(together, apart, language="de").bleu.value == pytest.approx(100)


def test_numbers_that_are_kept_are_counted():
    scores = score_translations(["Es kostet 1.500 Euro.", "Am 3. Mai"], ["Es kostet 1,500 Euro.", "Am 3. Mai 2024"])
    assert (scores.n_numbers, scores.n_numbers_kept) == (3, 2)


def test_counts_that_differ_are_refused_with_both_counts():
    with pytest.raises(DataError, match="2 translations and 3 references"):
        score_translations(GERMAN[:2], GERMAN)


@pytest.mark.parametrize("nothing", [[], ["", "  "]])
def test_nothing_to_score_against_is_refused(nothing):
    with pytest.raises(DataError, match=f"{len(nothing)} references, all of them empty"):
        score_translations(nothing, nothing)


@pytest.mark.parametrize(
    ("language", "code"),
    [(None, "en"), ("", "en"), ("de", "de"), ("DE", "de"), ("de-AT", "de"), ("pt_BR", "pt"), ("German", "de")],
)
def test_a_language_code_is_reduced_to_what_moses_knows(language, code):
    assert moses_language(language) == code


def test_the_language_chooses_the_rules_of_elision():
    assert moses_lower(["L'homme."], language="fr") == ["l&apos; homme ."]
    assert moses_lower(["L'homme."], language="en") == ["l &apos;homme ."]


def test_a_language_moses_does_not_know_is_scored_by_the_rules_of_english():
    assert moses_lower(["Bir, iki (3)."], language="xx") == ["bir , iki ( 3 ) ."]


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_tokenising_gives_one_line_a_sentence_whatever_is_in_it(sentences):
    tokenised = moses_lower(sentences, language="de")
    assert len(tokenised) == len(sentences)
    assert not any("\n" in line for line in tokenised)


@needs_multi30k
@pytest.mark.parametrize("language", ["cs", "de", "en", "fr"])
def test_tokenising_gives_the_reference_form_of_multi30k(language):
    ours = moses_lower(read(MULTI30K / "raw" / f"test_2016_flickr.{language}"), language=language)
    theirs = read(MULTI30K / "tok" / f"test_2016_flickr.lc.norm.tok.{language}")
    equal = sum(our == their for our, their in zip(ours, theirs, strict=True))
    assert equal >= 0.999 * len(theirs)
