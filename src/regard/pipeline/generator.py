"""Text generation with models that were trained on running text: a prompt in, its continuation out."""

from collections.abc import Iterable, Iterator, Sequence
from os import PathLike
from typing import Any, Literal, Self, cast, overload

import torch

from regard.arguments import path_of, string_of, strings_of
from regard.batch import BOS, EOS, collate_text, to_device
from regard.bundle import Bundle
from regard.decoding.engine import Engine
from regard.decoding.request import Request
from regard.decoding.sampling import MOST_SAMPLES, SamplingConfig, reseeded
from regard.decoding.scoring import TextScore, windows_nll
from regard.decoding.text import stream, text_request
from regard.errors import ConfigError, DataError, shown
from regard.inspection.capture import EXPLAIN_BYTES, capture, refuse_large
from regard.inspection.explanation import Explanation, explanation_of
from regard.models.protocol import Model
from regard.pipeline.loading import changed, device_of, load_for, n_parameters, settings_of
from regard.pipeline.spans import in_words
from regard.pipeline.writing import Writing
from regard.text.batching.windows import scoring_windows
from regard.text.encoded.documents import encode_passages
from regard.text.reading.passages import Passages
from regard.text.tokens.words import words


class TextGenerator:
    """A language model on a device: a prompt in, its continuation out."""

    def __init__(self, bundle: Bundle, device: torch.device | str = "auto") -> None:
        """Raises BundleError if the bundle's sampling settings cannot be used."""
        self.bundle, self.device = bundle, device_of(device)
        bundle.model.to(self.device).eval()
        self.tokenizer = bundle.target_tokenizer
        self.sampling = settings_of(bundle, SamplingConfig)

    @classmethod
    def load(cls, path: str | PathLike[str], device: torch.device | str = "auto") -> Self:
        """Return the generator of a run or a bundle directory. Raises BundleError, or ConfigError for a translator."""
        return cls(load_for("text", path_of(path, "path")), device)

    def __repr__(self) -> str:
        return f"TextGenerator({self.bundle.family}, {n_parameters(self.bundle)} on {self.device})"

    @property
    def model(self) -> Model:
        return cast(Model, self.bundle.model)

    @property
    def context(self) -> int:
        """The maximum number of tokens that the model attends to."""
        context = self.model.context_length
        assert context is not None, "only a model with a context is trained on running text"
        return context

    @overload
    def generate(
        self,
        prompt: str | None = None,
        *,
        stream: Literal[False] = False,
        stop: str | Sequence[str] = (),
        samples: None = None,
        **options: Any,
    ) -> str: ...
    @overload
    def generate(
        self, prompt: str | None = None, *, stream: Literal[True], stop: str | Sequence[str] = (), **options: Any
    ) -> Iterator[str]: ...
    @overload
    def generate(
        self,
        prompt: Iterable[str],
        *,
        stream: Literal[False] = False,
        stop: str | Sequence[str] = (),
        samples: None = None,
        **options: Any,
    ) -> list[str]: ...
    @overload
    def generate(
        self, prompt: str | None = None, *, samples: int, stop: str | Sequence[str] = (), **options: Any
    ) -> list[str]: ...
    @overload
    def generate(
        self, prompt: Iterable[str], *, samples: int, stop: str | Sequence[str] = (), **options: Any
    ) -> list[list[str]]: ...
    def generate(
        self,
        prompt: str | Iterable[str] | None = None,
        *,
        stream: bool = False,
        stop: str | Sequence[str] = (),
        samples: int | None = None,
        **options: Any,
    ) -> str | Iterator[str] | list[str] | list[list[str]]:
        """Return the continuation of a prompt, or of nothing, or of each of several; the prompt is not repeated.

        It ends at the end of the document, after max_tokens, or before the first of the `stop` strings. If the model
        was trained on several documents, a prompt begins one; otherwise it is in the middle of one. stream: yield
        pieces of the text as they are generated, none of which ends inside a character. samples: return a list of this
        many continuations of each prompt; the seed of the first is `seed`, that of the next one more, and so on.
        options: settings of `SamplingConfig` by name (max_tokens, greedy, temperature, top_k, top_p, ...) that override
        those of the run. Several texts are generated side by side, each as if it were alone.
        Raises ConfigError for an option that is unknown or out of range, and DataError if a prompt is empty or longer
        than the model's context; with stream, too, this call raises them.
        """
        if not isinstance(stream, bool):
            raise ConfigError(f"stream is {type(stream).__name__}; expected True or False.")
        if samples is not None and (type(samples) is not int or not 1 <= samples <= MOST_SAMPLES):
            raise ConfigError(f"samples is {shown(ascii(samples))}; expected a number from 1 to {MOST_SAMPLES:,}.")
        several = prompt is not None and not isinstance(prompt, str)
        if stream and (several or samples is not None):
            raise ConfigError("stream is for one text, and several were requested.")
        stops = [stop] if isinstance(stop, str) else strings_of(stop, "stop")
        if "" in stops:
            raise ConfigError("A stop string is empty, so nothing would be written. Give the text to stop before.")
        config = changed(self.sampling, options)
        prompts: Sequence[str | None]
        prompts = [prompt] if prompt is None or isinstance(prompt, str) else strings_of(prompt, "prompt")
        engine = self._engine(config)
        # Made here and not in a generator below, so that errors are raised at the call.
        requests = [
            text_request(engine, ids, reseeded(config, i))
            for ids in map(self._prompt_ids, prompts)
            for i in range(samples or 1)
        ]
        if stream:
            return self._stream(engine, requests[0], stops)
        texts = self._together(engine, requests, stops)
        if samples is not None:
            groups = [texts[i : i + samples] for i in range(0, len(texts), samples)]
            return groups if several else groups[0]
        return texts if several else texts[0]

    def _engine(self, config: SamplingConfig) -> Engine:
        return Engine(self.model, self.device, config.precision)

    def _prompt_ids(self, prompt: str | None) -> list[int]:
        if prompt == "":
            raise DataError("The prompt is empty. Give some text to continue, or no prompt to begin a document.")
        begins = prompt is None or (self.bundle.card.data.documents or 1) > 1
        return [*([BOS] if begins else []), *self.tokenizer.encode(prompt or "")]

    def _stream(self, engine: Engine, request: Request, stops: Sequence[str]) -> Iterator[str]:
        writing = Writing(self.tokenizer, stops)
        engine.submit(request)
        for token, _ in stream(engine, request):
            if piece := writing.add([token]):
                yield piece
            if writing.stopped:
                return
        if rest := writing.end():
            yield rest

    def _together(self, engine: Engine, requests: Sequence[Request], stops: Sequence[str]) -> list[str]:
        """Return the texts of requests, which are generated side by side."""
        writings = [Writing(self.tokenizer, stops) for _ in requests]
        texts = [""] * len(requests)
        n_read = [0] * len(requests)
        open_ones = list(range(len(requests)))
        for request in requests:
            engine.submit(request)
        while open_ones:
            engine.step()
            for i in open_ones:
                request, writing = requests[i], writings[i]
                texts[i] += writing.add(request.written[n_read[i] :])
                n_read[i] = len(request.written)
                if writing.stopped:
                    engine.cancel(request)
                elif request.finished:
                    texts[i] += writing.end()
            open_ones = [i for i in open_ones if not (requests[i].finished or writings[i].stopped)]
        return texts

    def score(self, texts: str | Iterable[str], batch_tokens: int = 4096) -> TextScore:
        """Return the log-probability of all documents together, the end of each counted.

        Windows of the model's context advance by half of it, so a token has at least that much text before it, if its
        document has. Raises DataError if there is no text.
        """
        return self.score_passages(
            Passages.of([texts] if isinstance(texts, str) else strings_of(texts, "texts")), batch_tokens
        )

    def score_passages(self, text: Passages, batch_tokens: int = 4096) -> TextScore:
        """Return the log-probability of a text that was read, as `score` does."""
        ids = encode_passages(text, self.tokenizer)
        windows = list(scoring_windows(ids, self.context, self.context // 2))
        return TextScore(-windows_nll(self.model, windows, batch_tokens, self.device), sum(n for _, n in windows))

    def explain(self, text: str, *, max_bytes: int = EXPLAIN_BYTES) -> Explanation:
        """Return how each word of a text attended to the ones before it.

        max_bytes: the memory limit for the attention weights. Raises DataError if the text is empty or does not fit.
        """
        text = self.tokenizer.normalise(string_of(text, "text"))
        if not words(text):
            raise DataError("The text is empty, so there is no attention to show. Give at least one word.")
        ids, offsets = self.tokenizer.encode_with_offsets(text)
        if len(ids) >= self.context:  # BOS takes a position; EOS is never read
            raise DataError(
                f"The text has {len(ids):,} tokens; the model's context has {self.context:,}, including the "
                "mark of the beginning. Shorten it."
            )
        target, index = in_words(text, offsets)
        batch = to_device(collate_text([[BOS, *ids, EOS]]), self.device)
        refuse_large(self.model, batch, max_bytes)
        return explanation_of(capture(self.model, batch), [], [], target, index, text)
