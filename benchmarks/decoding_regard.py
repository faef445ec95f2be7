"""regard's own decoding, measured as its peers are: a process of its own, which gets a job and writes a result."""

import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast

import torch
from decoding_jobs import WARM_UP, Ids, Job, main
from decoding_peers import Peer

import regard
from regard.batch import BOS, EOS
from regard.bundle import Bundle, load_bundle
from regard.decoding.engine import CPU, Engine
from regard.decoding.request import Request
from regard.decoding.sampling import SamplingConfig
from regard.decoding.search import DecodingConfig
from regard.decoding.text import text_request
from regard.models.protocol import Model
from regard.pipeline.translator import Translator
from regard.runtime import prepare_process

PATH = "bundle.txt"
"""The file of a converted model: the path of its bundle."""

Decode = Callable[[Sequence[Any], Sequence[int]], Ids]
"""From sources and their maximum lengths to targets; sources are ids, or texts if the job has them."""


class Regard(Peer):
    """regard in the environment that this runs in. A job with texts is done by `Translator`, tokenisation included."""

    name, version, packages = "regard", regard.__version__, ()
    script = "decoding_regard.py"
    kinds = ("pairs", "text")
    precisions = ("float32", "bfloat16", "int8")
    has_workers = True

    def __init__(self) -> None:
        """Need no environment: regard is importable here."""
        self.python = Path(sys.executable)

    def convert(self, bundle: Path, place: Path) -> None:
        """Remember the bundle."""
        place.mkdir(parents=True, exist_ok=True)
        (place / PATH).write_text(str(bundle.resolve()), encoding="utf-8")

    def token_seconds(self, job: Job) -> list[float]:
        """Return how long each token of a text took, in a fresh process."""
        seconds: list[float] = self._answered("tokens", job)
        return seconds

    def variables(self, n_threads: int, n_workers: int) -> dict[str, str]:
        """Return the environment of the process: the tokenizer may use all threads."""
        here = {"TOKENIZERS_PARALLELISM": "true", "RAYON_NUM_THREADS": str(n_threads * n_workers)}
        if path := os.environ.get("PYTHONPATH"):
            here["PYTHONPATH"] = path
        return {**super().variables(n_threads, n_workers), **here}


def bundle_of(job: Job) -> Bundle:
    """Return the model of a job, in a process that is prepared as the command prepares its own."""
    torch.set_num_threads(job.threads)
    prepare_process()
    bundle = load_bundle(Path((Path(job.model) / PATH).read_text(encoding="utf-8")))
    bundle.model.eval()
    return bundle


def decoder(job: Job) -> Decode:
    """Return the function that decodes in this process alone, with one engine for all calls."""
    bundle = bundle_of(job)
    precision = cast(Any, job.precision)
    if job.texts:
        config = DecodingConfig(beam=job.beam, precision=precision, batch_tokens=job.batch_tokens)
        translator = Translator(bundle, CPU, config)
        # It takes the maximum lengths from its settings, as they were taken for the job.
        return lambda texts, _: [translation.ids for translation in translator.translate(list(texts))]
    engine = Engine(cast(Model, bundle.model), CPU, precision, job.batch_tokens)
    if bundle.card.job == "text":

        def requests(ids: Ids, longest: Sequence[int]) -> list[Request]:
            configs = [SamplingConfig(greedy=True, max_tokens=most, precision=precision) for most in longest]
            return [text_request(engine, prompt, config) for prompt, config in zip(ids, configs, strict=True)]

    else:
        # What `search` asks for, with the job's own maximum lengths.
        config = DecodingConfig(beam=job.beam, length_penalty=job.length_penalty)
        least = replace(config.chooser(1, scored=False))

        def requests(ids: Ids, longest: Sequence[int]) -> list[Request]:
            choosers = [replace(least, min_tokens=most if job.forced else 0) for most in longest]
            asked = zip(ids, longest, choosers, strict=True)
            return [Request([*source, EOS], BOS, most, chooser) for source, most, chooser in asked]

    return lambda ids, longest: [hypotheses[0].ids for hypotheses in engine.run(requests(list(ids), longest))]


def load(job: Job) -> Decode:
    """Return the function that decodes, with `workers` processes: this one and others, which wait for their shares."""
    alone = replace(job, ids=[], longest=[], texts=job.texts[:1], workers=1)
    context = multiprocessing.get_context("spawn")
    connections = []
    for _ in range(job.workers - 1):
        here, there = context.Pipe()
        context.Process(target=serve, args=(there, alone), daemon=True).start()
        connections.append(here)
    decode = decoder(alone)
    for connection in connections:
        assert connection.recv() == "ready", "a worker says so when it has loaded the model"

    def shared(sources: Sequence[Any], longest: Sequence[int]) -> Ids:
        order = sorted(range(len(sources)), key=lambda i: -len(sources[i]))
        shares = [order[i :: job.workers] for i in range(job.workers)]
        given = [([sources[i] for i in share], [longest[i] for i in share]) for share in shares]
        for connection, part in zip(connections, given[1:], strict=True):
            connection.send(part)
        found = [decode(*given[0]), *(connection.recv() for connection in connections)]
        targets: Ids = [[] for _ in sources]
        for share, part in zip(shares, found, strict=True):
            for i, target in zip(share, part, strict=True):
                targets[i] = target
        return targets

    return shared if connections else decode


def serve(connection: Connection, job: Job) -> None:
    """Decode the shares that arrive, for as long as the first process lives."""
    decode = decoder(job)
    connection.send("ready")
    while True:
        connection.send(decode(*connection.recv()))


def token_seconds(job: Job) -> list[float]:
    """Return how long each token of the job's only text took, after a few tokens of another that do not count."""
    bundle = bundle_of(job)
    precision = cast(Any, job.precision)
    engine = Engine(cast(Model, bundle.model), CPU, precision)
    (prompt,), (most,) = job.ids, job.longest
    seconds: list[float] = []
    for n in (WARM_UP, most):
        seconds = []
        request = engine.submit(
            text_request(engine, prompt, SamplingConfig(greedy=True, max_tokens=n, precision=precision))
        )
        while not request.finished:
            began = time.perf_counter()
            engine.step()
            seconds.append(time.perf_counter() - began)
    assert len(seconds) == most, "the text does not end before"
    return seconds


if __name__ == "__main__":
    if sys.argv[1] == "tokens":
        asked = Job(**json.loads(Path(sys.argv[2]).read_text(encoding="utf-8")))
        Path(sys.argv[3]).write_text(json.dumps(token_seconds(asked)), encoding="utf-8")
    else:
        main(regard.__version__, lambda _: None, load)
