"""Train a translator on pairs in memory, translate with it, and save the attention of a sentence as a page.

    python examples/translate.py [FOLDER]

It takes a minute on a laptop. The pairs are those of `regard demo`; any iterable of pairs will do.
"""

import sys
from pathlib import Path

import regard
from regard.samples import demo_corpus

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "example-translate")
corpus = demo_corpus()  # pairs of strings: ("On Monday ...", "Am Montag ...")

run = regard.train(
    corpus.train[:4000],
    to=folder / "run",
    valid=corpus.valid,
    model="bahdanau",
    preset="demo",
    settings={"training.minutes": 0.4, "training.validation_steps": 50, "data.target_language": "de"},
    display=regard.display.on_stderr(),
)
print(run)

translator = run.load()
sentence = "The teacher bought three red chairs."
print(translator.translate(sentence))
for translation in translator.n_best(sentence, 3):
    print(f"{translation.score:7.3f}  {translation.text}")

scores = regard.evaluate(run.path, corpus.test[:100])
print(f"BLEU {scores.bleu.value:.1f}  {scores.bleu.signature}")

print(translator.explain(sentence).save(folder / "attention.html"))
