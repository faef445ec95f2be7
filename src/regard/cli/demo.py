"""`regard demo`: the whole road on an embedded corpus, in minutes and without a download."""

from pathlib import Path

from regard.cli import say
from regard.cli.inspect import write
from regard.cli.train import train_translator
from regard.evaluation.translation import score_translations
from regard.inspection.page import render_page
from regard.pipeline import Translator
from regard.presets import DEMO
from regard.recipe import Recipe, make_recipe
from regard.runtime import prepare_runtime
from regard.samples.corpus import DemoCorpus, demo_corpus
from regard.training.run import RunFolder

FAMILY = "bahdanau"

NEXT = """
Now with text of your own. One line of source.txt is the translation of the same line of target.txt:

  regard train source.txt target.txt --to runs/mine
  regard translate runs/mine new.txt > translated.txt
  regard inspect runs/mine "A sentence of yours." --to attention.html
"""


def run_demo(to: Path, minutes: float) -> None:
    """Train on phrases and sentences, score unseen ones, translate a handful, and write the page of one."""
    run = RunFolder(to)
    run.check()
    runtime = prepare_runtime()
    corpus = demo_corpus()
    say(
        f"English to German, made on the spot from CLDR data and grammar: {len(corpus.train):,} pairs to train on, "
        f"{len(corpus.test):,} unseen ones to test on.\n"
        f"Training the RNN with attention for {minutes:g} minutes ({runtime})."
    )
    train_translator(run, demo_recipe(minutes), corpus.train, corpus.valid, runtime, fresh=False)
    translator = Translator.load(run.path, runtime.device)
    print_scores(translator, corpus)
    print_showcase(translator, corpus)
    page = run.path / "attention.html"
    write(page, render_page(translator.explain(corpus.showcase[0][0])))
    print(f"\nWhat each word looked at while it was written: {page.resolve()}\nOpen it in a browser.")
    print(NEXT.rstrip())


def demo_recipe(minutes: float) -> Recipe:
    """Return the recipe of the demo."""
    languages = {"data": {"source_language": "en", "target_language": "de"}}
    return make_recipe(FAMILY, "demo", [DEMO, languages, {"training": {"minutes": minutes}}])


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
