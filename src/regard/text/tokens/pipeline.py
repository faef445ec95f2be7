"""The steps between text and pieces, rebuilt from a vocabulary each time, as a pipeline of the library `tokenizers`.

Three things make `decode(encode(text)) == text` hold for every normalised sentence:

* A space stays a space and belongs to the word after it (" the"), so no character has to stand for it, and none that
  the user may write (U+2581) is mistaken for one. A space is added before the text, and the decoder removes it.
* A character that is not a piece becomes its UTF-8 bytes, "<0xE2>" and so on. Normalised text needs only some of them:
  printable ASCII is always in the alphabet, controls are removed, and UTF-8 never uses the others.
* No piece contains "<" and anything after it, because the text is split after each mark. So "</s>" or "<0xE2>" written
  by the user can never be mistaken for a piece of that name.

A newline is not a piece of a sentence either: whatever a model writes is one line. Running text keeps line ends, tabs
and runs of spaces; its pieces are characters, or runs of bytes as in GPT-2.
"""

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from regard.text.tokens.vocabulary import Vocabulary

_LETTERS = r"\p{L}\p{M}\x{200C}\x{200D}"  # with the joiners that Persian needs inside words
# What is not a letter is split off, digits too: the file of a vocabulary calls that "apart".
_WORD_OR_MARK = Regex(f" ?[{_LETTERS}]+| ?[^{_LETTERS}]")


def pipeline_of(vocabulary: Vocabulary) -> Tokenizer:
    """Return the pipeline of a vocabulary."""
    ids = {name: i for i, name in enumerate(vocabulary.names)}
    merges = [(left, right) for left, right in vocabulary.merges]
    if vocabulary.byte_level:
        return around_bytes(models.BPE(ids, merges))
    if vocabulary.kind == "characters":
        # Without merges every character is a piece, or its bytes are.
        tokenizer = Tokenizer(models.BPE(ids, [], byte_fallback=True))
        tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
        return tokenizer
    if vocabulary.kind == "bpe":
        return around_words(models.BPE(ids, merges, byte_fallback=True))
    lowest = min(vocabulary.scores)
    scores = [lowest] * vocabulary.first_piece + list(vocabulary.scores)
    # The id of the unknown piece is required but never used: every byte that can occur is a piece.
    pieces = list(zip(vocabulary.names, scores, strict=True))
    return around_words(models.Unigram(pieces, unk_id=0, byte_fallback=True))


def around_words(model: models.Model) -> Tokenizer:
    """Return a pipeline for sentences, whose pieces lie within words, around a model of pieces."""
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Prepend(" ")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(_WORD_OR_MARK, "isolated")
    # Fused first; otherwise the space before every piece would be removed, not only the one before the text.
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    return tokenizer


def around_bytes(model: models.Model) -> Tokenizer:
    """Return a pipeline for running text, whose pieces are runs of bytes, around a model of pieces."""
    tokenizer = Tokenizer(model)
    # GPT-2's own pattern; where a passage may end (`passages.CUTS`) follows from it.
    words = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split("<", "isolated"), words])
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer
