"""`regard demo`: training, scoring and output on built-in text, in minutes and without a download."""

from pathlib import Path

from regard.cli.saying import display, out, print_text, say
from regard.display import counted
from regard.errors import RunError
from regard.evaluation.language import language_scores
from regard.evaluation.memorisation import longest_copied_span
from regard.evaluation.translation import score_translations
from regard.face import train
from regard.pipeline import TextGenerator, Translator
from regard.runtime import choose_device, described, prepare_process
from regard.samples.corpus import DemoCorpus, demo_corpus
from regard.samples.topics import python_topics
from regard.text.reading.passages import Passages
from regard.text.reading.splitting import split_by_order
from regard.training.run import RunFolder

TRANSLATING = 2 / 3
"""The share of the training time that the translator gets."""

HELD_OUT = 0.1
"""The share of the running text that is not trained on."""

PROMPT = 'The "with" statement'

NEXT = """
Now with text of your own. One line of source.txt is the translation of the same line of target.txt:

  regard train source.txt target.txt --to runs/mine
  regard translate runs/mine new.txt > translated.txt
  regard inspect runs/mine "A sentence of yours." --to attention.html

Or running text, of any kind:

  regard train book.txt --to runs/book
  regard generate runs/book --prompt "It was"
"""


def run_demo(to: Path, minutes: float, fresh: bool) -> None:
    """Train a translator and a language model, and show their results on unseen text."""
    translator, writer = to / "translator", to / "topics"
    out()  # a closed stdout is reported now, not after the first training
    for run in (translator, writer):
        # Both now: otherwise a problem with the second is found only after minutes of training.
        RunFolder(run).check()
    if to.is_file():
        raise RunError(f"{to} is a file; the demo needs a directory. Choose another name.")
    prepare_process()
    translating = round(minutes * TRANSLATING, 3)
    translate_phrases(translator, translating, fresh)
    # Rounded, since 0.03 - 0.02 is 0.009999999999999998, and messages and recipe show the number.
    continue_topics(writer, round(minutes - translating, 3), fresh)
    print_text(NEXT.rstrip())


def translate_phrases(run: Path, minutes: float, fresh: bool) -> None:
    """First part: train on phrases and sentences, score unseen ones, translate a few, and write the page of one."""
    corpus = demo_corpus()
    say(
        f"English to German, generated from CLDR data and a grammar: {len(corpus.train):,} pairs to train on, "
        f"{len(corpus.test):,} unseen ones to test on.\n"
        f"Training the RNN with attention for {minutes:.3g} minutes ({described(choose_device())})."
    )
    train(
        corpus.train,
        to=run,
        valid=corpus.valid,
        model="bahdanau",
        preset="demo",
        settings={"data.source_language": "en", "data.target_language": "de", "training.minutes": minutes},
        fresh=fresh,
        display=display(),
    )
    translator = Translator.load(run)
    print_scores(translator, corpus)
    print_showcase(translator, corpus)
    page = translator.explain(corpus.showcase[0][0]).save(run / "attention.html")
    print_text(f"\nWhat each word attended to while it was written: {page.resolve()}\nOpen it in a browser.")


def continue_topics(run: Path, minutes: float, fresh: bool) -> None:
    """Second part: train a language model on the topics of Python's help, score unseen ones, and continue one."""
    topics = python_topics()
    # The training below splits the topics by the same share, so it validates on `unseen`.
    known, unseen = split_by_order(Passages.of(topics), HELD_OUT)
    say(
        f"\nThe topics of Python's own help: {known.n_characters:,} characters to train on, the last "
        f"{unseen.n_characters:,} to validate on.\n"
        f"Training a GPT-like language model for {minutes:.3g} minutes ({described(choose_device())})."
    )
    settings = {"training.minutes": minutes, "data.validation_share": HELD_OUT}
    train(texts=topics, to=run, preset="demo", settings=settings, fresh=fresh, display=display())
    generator = TextGenerator.load(run)
    cost = generator.score_passages(unseen)
    scores = language_scores(-cost.log_probability, cost.n_tokens, "".join(unseen), "".join(known))
    print_text(f"\nOn {scores.n_characters:,} unseen characters of Python's help, bits per byte (lower is better):")
    print_text(f"  {'this model':<40} {scores.bits_per_byte:.3f}")
    for floor in scores.floors:
        print_text(f"  {floor.name:<40} {floor.bits_per_byte:.3f}")
    print_text(f"\nA continuation of {PROMPT!r}:\n")
    sample = generator.generate(PROMPT, max_tokens=400, temperature=0.7)
    print_text("\n".join(f"  {line}" for line in (PROMPT + sample).split("\n")))
    copied = longest_copied_span(sample, known.apart())
    length = counted(len(copied), "character")
    print_text(f"\nIts longest span that also occurs in the training text has {length}: {copied!r}")


def print_scores(translator: Translator, corpus: DemoCorpus) -> None:
    """Translate the test set, and print the share of exact matches and the scores."""
    translations = [t.text for t in translator.translate([source for source, _ in corpus.test])]
    references = [target for _, target in corpus.test]
    exact = sum(a == b for a, b in zip(translations, references, strict=True))
    scores = score_translations(translations, references, language="de")
    print_text(f"\nOn {len(references)} unseen sentences: {exact / len(references):.1%} match the reference exactly.")
    for score in scores:
        print_text(f"  {score.name:<30} {score.value:6.2f}  {score.signature}")


def print_showcase(translator: Translator, corpus: DemoCorpus) -> None:
    """Print translations of a few unseen sentences, each with the expected one where it differs."""
    print_text("")
    sources = [source for source, _ in corpus.showcase]
    for (source, expected), translation in zip(corpus.showcase, translator.translate(sources), strict=True):
        print_text(f"  {source}\n    {translation.text}")
        if translation.text != expected:
            print_text(f"    (expected: {expected})")
