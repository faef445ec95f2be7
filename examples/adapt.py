"""Start from a trained model: adapt a translator to other sentences, and see what it forgets.

    python examples/adapt.py [FOLDER]

It takes a minute on a laptop.
"""

import sys
from pathlib import Path

import regard
from regard.samples import demo_corpus

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "example-adapt")
corpus = demo_corpus()
short = [pair for pair in corpus.train if len(pair[0].split()) <= 6]
long = [pair for pair in corpus.train if len(pair[0].split()) > 9]

first = regard.train(
    short[:3000],
    to=folder / "short",
    model="bahdanau",
    preset="demo",
    settings={"training.minutes": 0.3, "training.validation_steps": 100},
)
adapted = regard.train(
    long[:2000],
    to=folder / "long",
    start=first.path,  # its weights, tokenizer and settings
    guard=short[3000:3200],  # measured at every validation; does not affect which model is the best
    settings={"training.minutes": 0.3, "training.validation_steps": 50},
)
for event in adapted.events():
    if event["kind"] == "valid":
        print(f"step {event['step']}: BLEU {event['bleu']:.1f}, on short sentences {event['guard_bleu']:.1f}")
