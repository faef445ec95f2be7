"""Train a language model on running text in memory, and generate text with it.

    python examples/generate.py [FOLDER]

It takes half a minute on a laptop. The text is the reference behind Python's help("topics").
"""

import sys
from pathlib import Path

import regard
from regard.samples.topics import python_topics

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "example-generate")

run = regard.train(
    texts=python_topics(),  # any iterable of strings, each a document
    to=folder / "run",
    preset="demo",
    settings={"training.minutes": 0.3, "training.validation_steps": 50},
    on_event=lambda event: print(event["kind"], event["step"], event.get("nll")),
)

generator = run.load()
print(generator.generate("The", max_tokens=40, seed=1))
for piece in generator.generate("The", max_tokens=40, seed=2, stream=True):
    print(piece, end="", flush=True)
print()
print(regard.evaluate(run.path, texts=["The with statement is used to wrap a block."]).bits_per_byte)
