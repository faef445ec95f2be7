"""Vocabularies of every kind, learnt from the same few lines."""

from regard.text.tokens.tokenizer import Tokenizer, TokenizerConfig
from regard.text.tokens.vocabulary import Vocabulary

SENTENCES = ["Zwei Männer stehen am Herd.", "Männer über Männer: 3,50 €!"] * 4
RUNNING = ["First line.\n\n\tA tab,  two spaces — so.\n" * 6]
KINDS = ["bpe", "unigram", "characters", "running bpe", "running characters"]


def learnt(kind: str, n_control: int = 0) -> Vocabulary:
    """Return a vocabulary for sentences, or for running text."""
    if kind.startswith("running "):
        return Tokenizer.train_running(RUNNING, kind.removeprefix("running "), 400, n_control)._vocabulary
    return Tokenizer.train(SENTENCES, TokenizerConfig(kind=kind, n_control_ids=n_control), 300)._vocabulary
