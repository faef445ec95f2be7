"""The decoder-only Transformer: a language model, and a translator that reads the source as the beginning of its text.

Radford et al. 2019 (GPT-2), and by default the architecture that is common today. Knows batches of ids. Knows no text,
no loss and no search.
"""

from typing import ClassVar, Literal, cast

import torch
from jaxtyping import Bool, Float, Int
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from regard.batch import Batch, control_ids
from regard.errors import DataError
from regard.nn.causal import CausalAttention, KeysValues, Turns
from regard.nn.dropout import Dropout
from regard.nn.embedding import Embeddings
from regard.nn.feed_forward import FeedForward
from regard.nn.ngrams import NgramEmbeddings
from regard.nn.output import logits_of
from regard.nn.positions import tabulated_turns, turns
from regard.nn.state import Reading, State
from regard.nn.trace import Trace


class GPTConfig(BaseModel):
    """Settings of the decoder-only Transformer. The defaults are current practice, the presets "gpt2..." GPT-2."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    width: int = Field(128, ge=1, le=2**15)
    """The width of embeddings and layers."""

    n_layers: int = Field(4, ge=1, le=256)
    """How many layers there are."""

    n_heads: int = Field(4, ge=1, le=2**10)
    """The number of attention heads; it must divide `width`, and with rotary positions a head's width must be even."""

    n_kv_heads: int | None = Field(None, ge=1, le=2**10)
    """The number of heads of keys and values, each shared by a group of query heads (Ainslie et al. 2023). It must
    divide `n_heads`; not set, it equals `n_heads`.
    """

    feed_forward: int | None = Field(None, ge=1, le=2**17)
    """The inner width of a feed-forward layer; not set, four times `width`, or 8/3 of it with `activation` "swiglu"."""

    context: int = Field(128, ge=2, le=2**20)
    """The number of tokens in a window of running text, and the maximum that is attended to when text is continued. For
    pairs it is only the number of learned positions.
    """

    # The first format of bundles called it "window".
    attention_span: int | None = Field(None, ge=1, le=2**20, validation_alias=AliasChoices("attention_span", "window"))
    """How many tokens, its own included, a position attends to; not set, all."""

    ngrams: int = Field(1, ge=1, le=8)
    """The maximum length of the n-grams that are embedded, too: the last 2, 3 .. `ngrams` tokens together, each length
    in a hashed table of its own (Pagnoni et al. 2024); 1 means none.
    """

    ngram_buckets: int = Field(8192, ge=1, le=2**26)
    """The number of entries in the table of each n-gram length."""

    ngram_dropout: float = Field(0.5, ge=0, lt=1)
    """The share of the n-grams that are left out in training; without this the tables overfit."""

    positions: Literal["rotary", "learned"] = "rotary"
    """How positions are encoded: "rotary" rotates queries and keys (Su et al. 2021), "learned" adds an embedding."""

    norm: Literal["rms", "layer"] = "rms"
    """The kind of norm before each sub-layer: "rms" is RMSNorm (Zhang and Sennrich 2019), "layer" LayerNorm."""

    activation: Literal["squared_relu", "swiglu", "gelu"] = "squared_relu"
    """The nonlinearity of the feed-forward layers, which with "swiglu" have a third matrix (Shazeer 2020)."""

    qk_norm: bool = True
    """Whether queries and keys are normalised (Henry et al. 2020)."""

    bias: bool = False
    """Whether linear layers, and layer norms, have a bias."""

    mix: bool = True
    """Whether the embedding is added again before each layer, weighted by two learned numbers."""

    initialisation: Literal["zero", "gpt2"] = "zero"
    """How weights are initialised: "zero" so that no layer adds anything at first; "gpt2" from N(0, .02^2), scaled down
    with depth for what is added.
    """

    dropout_rate: float = Field(0.1, ge=0, lt=1)
    """The dropout rate of embeddings, and of what sub-layers add."""

    tied: bool = False
    """Whether input and output share one table; otherwise the output starts at zero."""

    @classmethod
    def small(cls) -> "GPTConfig":
        """Return the settings of a small, fast model, on which the family is proven."""
        return cls(width=32, n_layers=2, n_kv_heads=2)

    @property
    def one_vocabulary(self) -> bool:
        return True

    @model_validator(mode="after")
    def heads_fit(self) -> "GPTConfig":
        if self.width % self.n_heads:
            raise ValueError(f"n_heads is {self.n_heads}; it must divide width ({self.width}).")
        if self.positions == "rotary" and self.head_width % 2:
            raise ValueError(
                f"n_heads is {self.n_heads}, which leaves heads of width {self.head_width}; rotary positions need an "
                "even one. Change n_heads, or set positions=learned."
            )
        if self.n_heads % self.kv_heads:
            raise ValueError(f"n_kv_heads is {self.kv_heads}; it must divide n_heads ({self.n_heads}).")
        return self

    @property
    def head_width(self) -> int:
        return self.width // self.n_heads

    @property
    def kv_heads(self) -> int:
        return self.n_kv_heads or self.n_heads

    @property
    def inner_width(self) -> int:
        narrow = -(-8 * self.width // 24) * 8  # 8/3 of the width, rounded up to a multiple of 8
        return self.feed_forward or (narrow if self.activation == "swiglu" else 4 * self.width)


class GPT(nn.Module):
    """A stack of causal self-attention and feed-forward layers over one sequence: the source, if any, then the target.

    Pairs are read as source, EOS, BOS, target, where BOS separates the two; only the target is predicted. Running text
    has no source. There may be padding between the two, so positions are counted over real tokens.
    """

    jobs: ClassVar[frozenset[str]] = frozenset({"pairs", "text"})
    in_one_graph: ClassVar[bool] = True

    def __init__(self, config: GPTConfig, source_vocabulary: int, target_vocabulary: int, n_control: int = 0) -> None:
        super().__init__()
        self.never_written = control_ids(n_control)
        assert source_vocabulary == target_vocabulary, "one sequence has one vocabulary"
        self.config = config
        # Source and target share one table in any case; config.tied says whether the output shares it, too.
        self.embeddings = Embeddings(source_vocabulary, target_vocabulary, config.width, "all")
        ngrams = config.ngrams, config.ngram_buckets, config.width, config.ngram_dropout
        self.ngrams = NgramEmbeddings(*ngrams) if config.ngrams > 1 else None
        self.context_length = config.context
        self.n_positions = config.context if config.positions == "learned" else None
        self.positions = nn.Embedding(self.n_positions, config.width) if self.n_positions else None
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.n_layers))
        self.norm = make_norm(config)
        # With zeros, training starts at a loss of log V. A tied output at first predicts the token that was just read,
        # which costs 11 nats with 356 pieces.
        self.separate_output = None if config.tied else nn.Parameter(torch.zeros(target_vocabulary, config.width))
        self.dropout = Dropout(config.dropout_rate)
        self.initialise()

    def initialise(self) -> None:
        """Draw the weights as the settings say. Radford et al. 2019, section 2.3."""
        gpt2 = self.config.initialisation == "gpt2"
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.02) if gpt2 else nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=0.02 if gpt2 else self.config.width**-0.5)
        if self.ngrams is not None:
            self.ngrams.initialise()  # the loop above has initialised its tables, too
        for layer in cast(list[Layer], self.layers):
            for added in (layer.attention.output, layer.feed_forward.outer):  # two per layer, hence 2 n_layers
                nn.init.normal_(added.weight, std=0.02 * (2 * self.config.n_layers) ** -0.5 if gpt2 else 0.0)

    def forward(self, batch: Batch, trace: Trace | None = None) -> Float[Tensor, "B T D"]:
        assert batch.target is not None and batch.target_keep is not None, "forward needs a target"
        n_source = batch.source.shape[1]
        parts = [self.embed(batch.source)] if n_source else []  # an empty one would have a gradient of the tables' size
        # The first n-grams of the target begin in the source.
        embedded = torch.cat([*parts, self.embed(batch.target, self.recent(batch.source, batch.source_keep))], dim=1)
        keep = torch.cat([batch.source_keep, batch.target_keep], dim=1)  # (B, S + T)
        return self.norm(self.through(embedded, keep, n_source, trace)[0][:, n_source:])

    def embed(self, ids: Int[Tensor, "B L"], before: Int[Tensor, "B N"] | None = None) -> Float[Tensor, "B L D"]:
        """Return the embeddings of tokens; before: the tokens in front of them, None for no tokens."""
        embedded = self.embeddings.target(ids)
        if self.ngrams is None:
            return embedded
        return embedded + self.ngrams(ids, ids.new_zeros(len(ids), self.ngrams.n_before) if before is None else before)

    def recent(self, ids: Int[Tensor, "B L"], keep: Bool[Tensor, "B L"]) -> Int[Tensor, "B N"] | None:
        """Return the last of the given tokens, as many as the n-grams of the next token need."""
        return None if self.ngrams is None else self.ngrams.last_of(ids, keep)

    def logits(self, hidden: Float[Tensor, "*lead D"]) -> Float[Tensor, "*lead V"]:
        return logits_of(hidden, self.output_weight, self.never_written)

    @property
    def output_weight(self) -> Float[Tensor, "V D"]:
        return self.embeddings.output if self.separate_output is None else self.separate_output

    def through(
        self, embedded: Float[Tensor, "B L D"], keep: Bool[Tensor, "B L"], n_source: int, trace: Trace | None = None
    ) -> tuple[Float[Tensor, "B L D"], list[KeysValues]]:
        """Return the last layer's output, and the keys and values of every layer.

        Padding at the end needs no mask, since nothing real comes after it; padding between source and target does.
        """
        length = keep.shape[1]
        gap = 0 < n_source < length
        positions = (keep.cumsum(1) - 1).clamp(min=0) if gap else torch.arange(length, device=keep.device)[None]
        # None lets the kernel use its own causal mask, which halves the work; `attend`, which fills a trace, has none.
        visible = self.visible(keep, positions) if gap or trace is not None or self.config.attention_span else None
        x = start = self.place(embedded, positions, length if self.positions is None else int(positions.max()) + 1)
        turning = turns(positions, self.config.head_width) if self.positions is None else None
        caches = []
        for i, layer in enumerate(cast(list[Layer], self.layers)):
            x, cache = layer(x, start, turning, visible, trace, f"decoder.{i}", n_source)
            caches.append(cache)
        return x, caches

    def visible(self, keep: Bool[Tensor, "B L"], positions: Int[Tensor, "#B L"]) -> Bool[Tensor, "B 1 L L"]:
        """Return which positions each position may attend to: real ones, not later ones, none beyond the span."""
        length = keep.shape[1]
        earlier = torch.ones(length, length, dtype=torch.bool, device=keep.device).tril() & keep[:, None]  # (B, L, L)
        if self.config.attention_span is not None:
            # A span counts real tokens, not cells.
            earlier = earlier & (positions[:, :, None] - positions[:, None] < self.config.attention_span)
        return earlier[:, None]

    def place(
        self, embedded: Float[Tensor, "B L D"], positions: Int[Tensor, "#B L"], n_tokens: int
    ) -> Float[Tensor, "B L D"]:
        """Return embeddings as the first layer reads them: with learned positions added, or scaled to unit variance.

        n_tokens: of the longest sequence. Raises DataError if there is no learned position for some of them.
        """
        if self.positions is None:
            return self.dropout(embedded * self.config.width**0.5)
        if n_tokens > self.config.context:
            raise DataError(
                f"A sequence has {n_tokens:,} tokens, source and target together; this model has learned "
                f"{self.config.context:,} positions. Shorten it, or train with model.positions=rotary or a larger "
                "model.context."
            )
        return self.dropout(embedded + self.positions(positions))

    def begin(self, batch: Batch) -> State:
        state = State(len(batch.source), self.output_weight, self.config.attention_span)
        if (recent := self.recent(batch.source, batch.source_keep)) is not None:
            state.rows["recent"] = recent
        n, n_source = batch.source.shape
        empty = self.output_weight.new_empty(n, self.config.kv_heads, 0, self.config.head_width)
        caches = [(empty, empty)] * self.config.n_layers
        if n_source:
            _, caches = self.through(self.embed(batch.source), batch.source_keep, n_source)
        stored: dict[str, Tensor] = {}
        for i, (keys, values) in enumerate(caches):
            stored |= {f"{i}.keys": keys, f"{i}.values": values}
        # Padding has keys as well, but it is at the end: the next token takes its cell.
        state.fill(stored, batch.source_keep.sum(1).tolist())
        return state

    def read(self, ids: Int[Tensor, "R T"], state: State) -> Float[Tensor, "R T D"]:
        reading = state.advance(ids.shape[1])
        recent, n_read = state.rows.get("recent"), max(state.read)
        x = start = self.place(self.embed(ids, recent), reading.positions, n_read)
        if recent is not None:
            state.rows["recent"] = torch.cat([recent, ids], dim=1)[:, -recent.shape[1] :]
        turning = tabulated_turns(reading.positions, n_read, self.config.head_width) if self.positions is None else None
        for i, layer in enumerate(cast(list[Layer], self.layers)):
            x = layer.read(x, start, turning, reading, str(i))
        return self.norm(x)


class Layer(nn.Module):
    """Causal self-attention, then a feed-forward layer; each reads a normalised input, and its output is added."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.attention = CausalAttention(
            config.width,
            config.n_heads,
            config.kv_heads,
            bias=config.bias,
            qk_norm=config.qk_norm,
        )
        self.attention_norm = make_norm(config)
        self.feed_forward = FeedForward(config.width, config.inner_width, config.activation, bias=config.bias)
        self.feed_forward_norm = make_norm(config)
        self.mix = nn.Parameter(torch.tensor([1.0, 0.0])) if config.mix else None  # starts as x alone
        self.dropout = Dropout(config.dropout_rate)

    def forward(
        self,
        x: Float[Tensor, "B L D"],
        start: Float[Tensor, "B L D"],
        turning: Turns | None,
        visible: Bool[Tensor, "B 1 L L"] | None,
        trace: Trace | None,
        name: str,
        n_source: int,
    ) -> tuple[Float[Tensor, "B L D"], KeysValues]:
        """Return the output, and the keys and values that later positions attend to."""
        x = self.mixed(x, start)
        attended, cache = self.attention(self.attention_norm(x), turning, visible, trace, name, n_source)
        x = x + self.dropout(attended)
        return x + self.dropout(self.feed_forward(self.feed_forward_norm(x))), cache

    def read(
        self,
        x: Float[Tensor, "R T D"],
        start: Float[Tensor, "R T D"],
        turning: Turns | None,
        reading: Reading,
        name: str,
    ) -> Float[Tensor, "R T D"]:
        """Return the output for the tokens that are being read."""
        x = self.mixed(x, start)
        # No dropout: reading is for a model in evaluation mode.
        x = x + self.attention.read(self.attention_norm(x), turning, reading, name)
        return x + self.feed_forward(self.feed_forward_norm(x))

    def mixed(self, x: Float[Tensor, "B L D"], start: Float[Tensor, "B L D"]) -> Float[Tensor, "B L D"]:
        """Return x with the first layer's input added again, with learned weights."""
        return x if self.mix is None else self.mix[0] * x + self.mix[1] * start


def make_norm(config: GPTConfig) -> nn.Module:
    """Return a norm over the width: LayerNorm, or RMSNorm of Zhang and Sennrich 2019."""
    if config.norm == "layer":
        return nn.LayerNorm(config.width, bias=config.bias)
    return nn.RMSNorm(config.width)
