import pytest

from regard.errors import ConfigError
from regard.text.tokens import learning
from regard.text.tokens.learning import (
    choose_running_vocabulary,
    choose_vocabulary,
    train_running_tokenizer,
    train_tokenizers,
)
from regard.text.tokens.tokenizer import Tokenizer, TokenizerConfig

GERMAN = ["Zwei Männer stehen am Herd.", "Eine Frau läuft über die Straße.", "Männer über Männer: 3,50 €!"] * 4
ENGLISH = ["Two men stand at the stove.", "A woman walks across the street.", "Men above men: 3.50 €!"] * 4
PAIRS = list(zip(ENGLISH, GERMAN, strict=True))
TEXT = [
    "First line.\n\n\tA tab,  two spaces, and a dash — so.\n" * 6,
    "Änderung über alles: 東京, 東京! <s>x</s>\n" * 3,
]


def test_vocabularies_grow_with_the_corpus():
    assert [choose_vocabulary(n) for n in (1, 3_000, 30_000, 2_000_000)] == [1_000, 1_000, 10_000, 32_000]
    sizes = [choose_vocabulary(n) for n in range(0, 2_000_000, 1_000)]
    assert sizes == sorted(sizes)


def test_the_tokenizers_of_both_sides_share_a_joint_vocabulary():
    source, target, why = train_tokenizers(PAIRS, TokenizerConfig(vocabulary=280))
    assert source.shares(target) and source.fingerprint == target.fingerprint
    assert source.vocabulary == 280
    assert why == "280 BPE pieces (as set), for both sides."


def test_separate_tokenizers_each_know_their_own_side():
    source, target, why = train_tokenizers(PAIRS, TokenizerConfig(vocabulary=256, joint=False))
    assert len(source.encode("woman")) < len(target.encode("woman"))
    assert len(target.encode("über")) < len(source.encode("über"))
    assert why == "256 BPE pieces (as set), for the source; 256 BPE pieces (as set), for the target."


def test_the_sentence_says_when_the_text_yields_less_than_allowed():
    _, _, why = train_tokenizers(PAIRS, TokenizerConfig(kind="characters"))
    assert why == "249 characters and bytes (the text yields no more; up to 1,000 were allowed), for both sides."


def test_the_sentence_says_for_how_many_pairs_a_size_was_chosen():
    words = [f"{i:b}".replace("0", "o").replace("1", "l") for i in range(1000, 2000)] * 2
    _, _, why = train_tokenizers([(word, word) for word in words], TokenizerConfig())
    assert why == "1,000 BPE pieces (chosen for 2,000 pairs, so that each piece is frequent enough), for both sides."


def test_a_vocabulary_is_learnt_from_pairs_spread_evenly_over_a_large_corpus(monkeypatch):
    monkeypatch.setattr(learning, "LEARNT_FROM", 6)
    source, _, why = train_tokenizers(PAIRS, TokenizerConfig(vocabulary=280))
    evenly = train_tokenizers(PAIRS[::2], TokenizerConfig(vocabulary=280))[0]
    assert source.fingerprint == evenly.fingerprint != train_tokenizers(PAIRS[:6], TokenizerConfig())[0].fingerprint
    assert why == "280 BPE pieces (as set), for both sides, trained on 6 pairs."


def test_a_vocabulary_is_learnt_from_passages_spread_over_a_text_that_is_very_long(monkeypatch):
    texts = ["ab " * 10, "cd " * 10, "ef " * 10, "gh " * 10, "ij " * 10]
    config = TokenizerConfig(kind="characters")
    _, reason = train_running_tokenizer(texts, config)
    assert "trained on" not in reason
    monkeypatch.setattr(learning, "LEARNT_FROM_CHARACTERS", 75)
    sampled, reason = train_running_tokenizer(texts, config)
    assert reason.endswith("trained on 3 of 5 passages.")
    again = Tokenizer.train_running(texts[::2], "characters", 10_000, config.n_control_ids)
    assert sampled.fingerprint == again.fingerprint


def test_a_vocabulary_is_learnt_from_so_many_different_words_at_most(monkeypatch):
    texts = [f"word{chr(97 + i)} and " * 20 for i in range(26)] + ["word again " * 20] * 26
    monkeypatch.setattr(learning, "MOST_WORD_BYTES", 30)
    sample = learning.Sample(texts, 1000, learning.MOST_WORD_BYTES)
    assert list(sample) == [texts[0], texts[16], texts[32], texts[48], texts[1], texts[17]] and sample.n_used == 6
    config = TokenizerConfig(kind="bpe", vocabulary=300)
    tokenizer, reason = train_running_tokenizer(texts, config)
    assert reason.endswith("trained on 6 of 52 passages.")
    assert tokenizer.fingerprint == train_running_tokenizer(texts, config)[0].fingerprint
    _, reason = train_running_tokenizer(texts, TokenizerConfig(kind="characters"))
    assert "trained on" not in reason


def test_the_kind_is_chosen_by_size_with_the_reason():
    tokenizer, reason = train_running_tokenizer(TEXT, TokenizerConfig())
    n = sum(map(len, TEXT))
    chosen = f"chosen because {n} characters are fewer than 2,000,000: longer pieces would be too rare"
    assert reason == f"{tokenizer.vocabulary - 259 - 32} characters, and bytes for all others ({chosen})."
    assert tokenizer.encode("ab") == [tokenizer.encode(c)[0] for c in "ab"]
    tokenizer, reason = train_running_tokenizer(["to be or not to be " * 110_000], TokenizerConfig())
    assert (
        reason
        == f"{tokenizer.vocabulary} pieces of byte-level BPE (the text yields no more; up to 2,000 were allowed)."
    )


def test_a_kind_that_is_set_is_kept_with_the_reason_for_its_size():
    _, reason = train_running_tokenizer(TEXT, TokenizerConfig(kind="bpe", vocabulary=300))
    assert reason == "300 pieces of byte-level BPE (as set)."
    text = [" ".join(f"{i:b}".replace("0", "o").replace("1", "l") for i in range(1000, 3000))]
    _, reason = train_running_tokenizer(text, TokenizerConfig(kind="bpe"))
    assert reason == f"2,000 pieces of byte-level BPE (chosen for {len(text[0]):,} characters)."
    _, reason = train_running_tokenizer(TEXT, TokenizerConfig(kind="characters"))
    assert "as set" in reason


def test_vocabularies_of_byte_level_bpe_grow_with_the_text():
    sizes = [choose_running_vocabulary(2 * 10**n) for n in (6, 7, 8, 9, 10)]
    assert sizes == [2_000, 4_000, 8_000, 16_000, 32_000]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "unigram"}, "'bpe' or 'characters'"),
        ({"joint": False}, "only one side"),
        ({"kind": "bpe", "vocabulary": 270}, "is 270; for running text, 'bpe' needs at least 300"),
        ({"vocabulary": 300}, "is 300; for running text, 'characters' needs at least 388"),
        ({"vocabulary": 365, "n_control_ids": 10}, "is 365; for running text, 'characters' needs at least 366"),
        ({"kind": "bpe", "vocabulary": 308, "n_control_ids": 50}, "is 308; for running text, 'bpe' needs at least 309"),
    ],
)
def test_settings_that_running_text_has_not_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        train_running_tokenizer(TEXT, TokenizerConfig(**settings))


def test_control_ids_must_leave_room_for_what_every_text_needs():
    least = 3 + 50 + 115 + 95  # marks, control ids, bytes beyond ASCII and ASCII
    message = (
        f"tokenizer.vocabulary is {least - 1}; with 50 control ids it must be at least {least}, so that every text"
    )
    with pytest.raises(ConfigError, match=message):
        train_tokenizers(PAIRS, TokenizerConfig(vocabulary=least - 1, n_control_ids=50))
    tokenizer, _, _ = train_tokenizers(PAIRS, TokenizerConfig(vocabulary=least, n_control_ids=50))
    assert (tokenizer.vocabulary, tokenizer.n_control) == (least, 50)


def test_running_text_has_control_ids_as_set_and_its_characters_are_counted_without_them():
    plain, reason = train_running_tokenizer(TEXT, TokenizerConfig(n_control_ids=0))
    controlled, again = train_running_tokenizer(TEXT, TokenizerConfig(n_control_ids=10))
    assert (controlled.n_control, controlled.vocabulary) == (10, plain.vocabulary + 10)
    assert again == reason
    smallest, _ = train_running_tokenizer(TEXT, TokenizerConfig(vocabulary=366, n_control_ids=10))
    assert smallest.vocabulary == 366
    smallest, _ = train_running_tokenizer(TEXT, TokenizerConfig(kind="bpe", vocabulary=309, n_control_ids=50))
    assert (smallest.vocabulary, smallest.n_control) == (309, 50)
