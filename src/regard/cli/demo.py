"""`regard demo`: the whole road on embedded text, in minutes and without a download."""

import sys
from pathlib import Path

from regard.cli import say
from regard.cli.inspect import write
from regard.cli.train import train_job
from regard.cli.train_pairs import PairsJob
from regard.cli.train_text import TextJob
from regard.decoding.sampling import SamplingConfig
from regard.errors import RunError
from regard.evaluation.language import language_scores
from regard.evaluation.memorisation import longest_copied_span
from regard.evaluation.translation import score_translations
from regard.inspection.page import render_page
from regard.pipeline import TextGenerator, Translator
from regard.presets import PRESETS
from regard.recipe import Recipe, Settings, make_recipe
from regard.runtime import Runtime, prepare_runtime
from regard.samples.corpus import DemoCorpus, demo_corpus
from regard.samples.topics import python_topics
from regard.text.reading.passages import Passages
from regard.text.reading.splitting import split_by_order
from regard.training.run import RunFolder

TRANSLATING = 2 / 3
"""The share of the time that the first act gets."""

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
    """Train a translator and a language model, and show what they do with what they never saw."""
    translator, writer = RunFolder(to / "translator"), RunFolder(to / "topics")
    if to.is_file():
        raise RunError(f"{to} is a file; --to needs a directory. Choose another name.")
    for run in (translator, writer):
        run.check()
    runtime = prepare_runtime()
    translating = round(minutes * TRANSLATING, 3)
    translate_phrases(translator, translating, runtime, fresh)
    continue_topics(writer, minutes - translating, runtime, fresh)
    print(NEXT.rstrip())


def translate_phrases(run: RunFolder, minutes: float, runtime: Runtime, fresh: bool) -> None:
    """First act: train on phrases and sentences, score unseen ones, translate a handful, and write the page of one."""
    corpus = demo_corpus()
    say(
        f"English to German, made on the spot from CLDR data and grammar: {len(corpus.train):,} pairs to train on, "
        f"{len(corpus.test):,} unseen ones to test on.\n"
        f"Training the RNN with attention for {minutes:.3g} minutes ({runtime})."
    )
    languages: Settings = {"data": {"source_language": "en", "target_language": "de"}}
    recipe = demo_recipe("pairs", "bahdanau", minutes, languages)
    train_job(run, recipe, PairsJob(corpus.train, corpus.valid), runtime, fresh)
    translator = Translator.load(run.path, runtime.device)
    print_scores(translator, corpus)
    print_showcase(translator, corpus)
    page = run.path / "attention.html"
    write(page, render_page(translator.explain(corpus.showcase[0][0])))
    print(f"\nWhat each word looked at while it was written: {page.resolve()}\nOpen it in a browser.", flush=True)


def continue_topics(run: RunFolder, minutes: float, runtime: Runtime, fresh: bool) -> None:
    """Second act: train a language model on the topics of Python's help, score unseen ones, and let it go on."""
    train, valid = split_by_order(Passages.of(python_topics()), 0.1)
    say(
        f"\nThe topics of Python's own help: {train.n_characters:,} characters to train on, the last "
        f"{valid.n_characters:,} to validate on.\n"
        f"Training a GPT-like language model for {minutes:.3g} minutes ({runtime})."
    )
    train_job(run, demo_recipe("text", "gpt", minutes, {}), TextJob(train, valid), runtime, fresh)
    generator = TextGenerator.load(run.path, runtime.device)
    nats, n_tokens = generator.nll(valid.documents())
    scores = language_scores(nats, n_tokens, "".join(valid), "".join(train))
    print(f"\nOn {scores.n_characters:,} unseen characters of Python's help, bits a byte (less is better):")
    print(f"  {'this model':<40} {scores.bits_per_byte:.3f}")
    for floor in scores.floors:
        print(f"  {floor.name:<40} {floor.bits_per_byte:.3f}")
    print(f"\nA text that goes on from {PROMPT!r}:\n")
    sample = "".join(generator.generate(PROMPT, SamplingConfig(max_tokens=400, temperature=0.7)))
    print("\n".join(f"  {line}" for line in (PROMPT + sample).split("\n")))
    copied = longest_copied_span(sample, train.apart())
    print(f"\nThe longest piece of it that stands in the training text has {len(copied)} characters: {copied!r}")
    sys.stdout.flush()


def demo_recipe(job: str, family: str, minutes: float, more: Settings) -> Recipe:
    """Return the recipe of one act."""
    return make_recipe(job, family, "demo", [PRESETS[job]["demo"][family], more, {"training": {"minutes": minutes}}])


def print_scores(translator: Translator, corpus: DemoCorpus) -> None:
    """Translate the test set and print how much of it is right to the letter, and BLEU."""
    translations = [t.text for t in translator.translate([source for source, _ in corpus.test])]
    references = [target for _, target in corpus.test]
    exact = sum(a == b for a, b in zip(translations, references, strict=True))
    scores = score_translations(translations, references, language="de")
    print(f"\nOn {len(references)} unseen sentences: {exact / len(references):.1%} right to the letter.")
    for score in scores:
        print(f"  {score.name:<30} {score.value:6.2f}  {score.signature}")


def print_showcase(translator: Translator, corpus: DemoCorpus) -> None:
    """Print translations of a handful of unseen sentences; one that is not what we expected says so."""
    print()
    sources = [source for source, _ in corpus.showcase]
    for (source, expected), translation in zip(corpus.showcase, translator.translate(sources), strict=True):
        print(f"  {source}\n    {translation.text}")
        if translation.text != expected:
            print(f"    (expected: {expected})")
