"""The Transformer of Vaswani et al. 2017: an encoder and a decoder made of attention and feed-forward layers.

Knows batches of ids. Knows no text, no loss and no search.
"""

from typing import ClassVar, Literal, cast

import torch
from jaxtyping import Bool, Float, Int
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from regard.batch import Batch, control_ids
from regard.nn.attention import CrossAttention, SelfAttention
from regard.nn.cache import bias_of
from regard.nn.dropout import Dropout
from regard.nn.embedding import Embeddings
from regard.nn.feed_forward import Activation, FeedForward
from regard.nn.output import logits_of
from regard.nn.positions import sinusoids, tabulated_sinusoids
from regard.nn.state import FEWEST, Reading, State, at_least
from regard.nn.trace import Trace


class TransformerConfig(BaseModel):
    """Settings of the Transformer; the defaults are the Tiny model of Wu et al. 2021, for about 30,000 pairs."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    width: int = Field(128, ge=2, le=2**15, multiple_of=2)
    """The width of embeddings and layers; it must be even, since half of a position is sines and half cosines."""

    n_heads: int = Field(4, ge=1, le=2**10)
    """The number of attention heads; it must divide `width`."""

    n_encoder_layers: int = Field(4, ge=1, le=256)
    """How many layers the encoder has."""

    n_decoder_layers: int = Field(4, ge=1, le=256)
    """How many layers the decoder has."""

    feed_forward: int = Field(256, ge=1, le=2**17)
    """The inner width of a feed-forward layer."""

    dropout_rate: float = Field(0.3, ge=0, lt=1)
    """The dropout rate of embeddings, of what sub-layers add, and inside feed-forward layers."""

    activation: Activation = "relu"
    """The nonlinearity of the feed-forward layers, which with "swiglu" have a third matrix (Shazeer 2020)."""

    qk_norm: bool = False
    """Whether queries and keys are normalised (Henry et al. 2020)."""

    norm: Literal["pre", "post"] = "pre"
    """What is normalised: "pre" the input of each sub-layer, "post" the sum after it (Vaswani et al. 2017)."""

    tied: Literal["all", "target", "none"] = "all"
    """Which weights are shared: "all" means source embedding, target embedding and output layer, for which both sides
    need one vocabulary; "target" the last two (Press and Wolf 2017); "none" no weights.
    """

    initialisation: Literal["zero", "glorot"] = "zero"
    """How weights are initialised: "zero" so that no sub-layer adds anything at first, which trains faster with
    pre-norm (docs/recipes.md); "glorot" draws all linear weights (Glorot and Bengio 2010).
    """

    @classmethod
    def small(cls) -> "TransformerConfig":
        """Return the settings of a small, fast model, on which the family is proven."""
        return cls(width=32, n_encoder_layers=2, n_decoder_layers=2, feed_forward=64)

    @property
    def one_vocabulary(self) -> bool:
        return self.tied == "all"

    @model_validator(mode="after")
    def heads_divide_the_width(self) -> "TransformerConfig":
        if self.width % self.n_heads:
            nearest = min((n for n in range(1, self.width + 1) if self.width % n == 0), key=self._distance)
            raise ValueError(f"n_heads is {self.n_heads}; it must divide width ({self.width}). Try {nearest}.")
        return self

    def _distance(self, n_heads: int) -> int:
        return abs(n_heads - self.n_heads)


class Transformer(nn.Module):
    """An encoder-decoder whose only memory is attention. Vaswani et al. 2017, figure 1.

    With norm="pre" (the default) each sub-layer reads a normalised input and each stack ends in a norm, where the
    paper normalises the sum after each sub-layer (norm="post").
    """

    jobs: ClassVar[frozenset[str]] = frozenset({"pairs"})
    in_one_graph: ClassVar[bool] = True
    n_positions: ClassVar[None] = None
    context_length: ClassVar[None] = None

    def __init__(
        self, config: TransformerConfig, source_vocabulary: int, target_vocabulary: int, n_control: int = 0
    ) -> None:
        super().__init__()
        self.never_written = control_ids(n_control)
        self.config = config
        self.embeddings = Embeddings(source_vocabulary, target_vocabulary, config.width, config.tied)
        self.encoder = nn.ModuleList(EncoderLayer(config) for _ in range(config.n_encoder_layers))
        self.decoder = nn.ModuleList(DecoderLayer(config) for _ in range(config.n_decoder_layers))
        self.encoder_norm = nn.LayerNorm(config.width) if config.norm == "pre" else nn.Identity()
        self.decoder_norm = nn.LayerNorm(config.width) if config.norm == "pre" else nn.Identity()
        self.dropout = Dropout(config.dropout_rate)
        self.apply(initialise)  # linear layers only: the embeddings are initialised already
        if config.initialisation == "zero":
            for layer in cast(list[EncoderLayer | DecoderLayer], [*self.encoder, *self.decoder]):
                for added in layer.added:
                    nn.init.zeros_(added.weight)

    def forward(self, batch: Batch, trace: Trace | None = None) -> Float[Tensor, "B T D"]:
        assert batch.target is not None, "forward needs a target"
        memory = self.encode(batch, trace)
        n = batch.target.shape[1]
        # A target's padding comes after all real tokens, so the causal mask hides it, too.
        causal = torch.ones(n, n, dtype=torch.bool, device=batch.target.device).tril()
        places = sinusoids(torch.arange(n, device=batch.target.device), self.config.width)
        x = self.place(self.embeddings.target(batch.target), places)
        for i, layer in enumerate(self.decoder):
            x = layer(x, causal, memory, batch.source_keep[:, None, None], trace, f"decoder.{i}")
        return self.decoder_norm(x)

    def logits(self, hidden: Float[Tensor, "*lead D"]) -> Float[Tensor, "*lead V"]:
        return logits_of(hidden, self.output_weight, self.never_written)

    @property
    def output_weight(self) -> Float[Tensor, "V D"]:
        return self.embeddings.output

    def encode(self, batch: Batch, trace: Trace | None = None) -> Float[Tensor, "B S D"]:
        """Return the encoder's last states."""
        places = sinusoids(torch.arange(batch.source.shape[1], device=batch.source.device), self.config.width)
        x = self.place(self.embeddings.source(batch.source), places)
        keep = batch.source_keep[:, None, None]  # (B, 1, 1, S)
        for i, layer in enumerate(self.encoder):
            x = layer(x, keep, trace, f"encoder.{i}.self")
        return self.encoder_norm(x)

    def place(self, embedded: Float[Tensor, "B T D"], places: Float[Tensor, "*#B T D"]) -> Float[Tensor, "B T D"]:
        """Return scaled embeddings with their positions added. Vaswani et al. 2017, sections 3.4 and 3.5."""
        return self.dropout(embedded * self.config.width**0.5 + places.to(embedded.dtype))

    def begin(self, batch: Batch) -> State:
        memory = self.encode(batch)
        state = State(len(memory), memory)
        state.sentences["keep"] = at_least(batch.source_keep, 1, FEWEST)
        for i, layer in enumerate(self.decoder_layers):
            keys, values = layer.cross.keys_values(memory)
            # Contiguous, since every step multiplies by them.
            state.sentences[f"{i}.keys"] = at_least(keys, 2, FEWEST).contiguous()
            state.sentences[f"{i}.values"] = at_least(values, 2, FEWEST).contiguous()
            state.caches[f"{i}.keys"] = state.caches[f"{i}.values"] = keys[:, :, :0]
        return state

    def read(self, ids: Int[Tensor, "R T"], state: State) -> Float[Tensor, "R T D"]:
        reading = state.advance(ids.shape[1])
        places = tabulated_sinusoids(reading.positions, max(state.read), self.config.width)
        x = self.place(self.embeddings.target(ids), places)
        n_queries = state.n_rows * ids.shape[1]
        source_bias = bias_of(state.sentences["keep"], n_queries, self.config.n_heads, x.dtype)
        for i, layer in enumerate(self.decoder_layers):
            x = layer.read(x, reading, str(i), source_bias)
        return self.decoder_norm(x)

    @property
    def decoder_layers(self) -> list["DecoderLayer"]:
        return cast(list[DecoderLayer], self.decoder)


class EncoderLayer(nn.Module):
    """Self-attention, then a feed-forward layer."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.attention = SelfAttention(config.width, config.n_heads, qk_norm=config.qk_norm)
        self.attention_frame = Residual(config)
        self.feed_forward, self.feed_forward_frame = make_feed_forward(config), Residual(config)

    @property
    def added(self) -> list[nn.Linear]:
        """The linear layers at the ends of the sub-layers."""
        return [self.attention.output, self.feed_forward.outer]

    def forward(
        self, x: Float[Tensor, "B S D"], keep: Bool[Tensor, "B 1 1 S"], trace: Trace | None, name: str
    ) -> Float[Tensor, "B S D"]:
        frame = self.attention_frame
        x = frame.close(x, self.attention(frame.open(x), keep, trace, name))
        frame = self.feed_forward_frame
        return frame.close(x, self.feed_forward(frame.open(x)))


class DecoderLayer(nn.Module):
    """Causal self-attention, attention to the source, then a feed-forward layer."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.attention = SelfAttention(config.width, config.n_heads, qk_norm=config.qk_norm)
        self.attention_frame = Residual(config)
        self.cross = CrossAttention(config.width, config.n_heads, qk_norm=config.qk_norm)
        self.cross_frame = Residual(config)
        self.feed_forward, self.feed_forward_frame = make_feed_forward(config), Residual(config)

    @property
    def added(self) -> list[nn.Linear]:
        """The linear layers at the ends of the sub-layers."""
        return [self.attention.output, self.cross.output, self.feed_forward.outer]

    def forward(
        self,
        x: Float[Tensor, "B T D"],
        causal: Bool[Tensor, "T T"],
        memory: Float[Tensor, "B S D"],
        source_keep: Bool[Tensor, "B 1 1 S"],
        trace: Trace | None,
        name: str,
    ) -> Float[Tensor, "B T D"]:
        frame = self.attention_frame
        x = frame.close(x, self.attention(frame.open(x), causal, trace, f"{name}.self"))
        keys, values = self.cross.keys_values(memory)
        frame = self.cross_frame
        x = frame.close(x, self.cross(frame.open(x), keys, values, source_keep, trace, f"{name}.cross"))
        frame = self.feed_forward_frame
        return frame.close(x, self.feed_forward(frame.open(x)))

    def read(
        self, x: Float[Tensor, "R T D"], reading: Reading, name: str, source_bias: Float[Tensor, "N H Q S"]
    ) -> Float[Tensor, "R T D"]:
        """Return the output for the tokens that are being read. source_bias: what may be attended to in the source."""
        frame = self.attention_frame
        x = frame.close(x, self.attention.read(frame.open(x), reading, name))
        frame = self.cross_frame
        x = frame.close(x, self.cross.read(frame.open(x), reading, name, source_bias))
        frame = self.feed_forward_frame
        return frame.close(x, self.feed_forward(frame.open(x)))


class Residual(nn.Module):
    """The frame around a sub-layer: norm before or after it, dropout on what it adds."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.before = config.norm == "pre"
        self.norm = nn.LayerNorm(config.width)
        self.dropout = Dropout(config.dropout_rate)

    def open(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """Return what the sub-layer reads."""
        return self.norm(x) if self.before else x

    def close(self, x: Float[Tensor, "B T D"], added: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """Return x with the sub-layer's output added."""
        x = x + self.dropout(added)
        return x if self.before else self.norm(x)


def make_feed_forward(config: TransformerConfig) -> FeedForward:
    """Return the feed-forward layer of the settings."""
    return FeedForward(config.width, config.feed_forward, config.activation, dropout_rate=config.dropout_rate)


def initialise(module: nn.Module) -> None:
    """Draw linear weights uniformly as in Glorot and Bengio 2010, equation 16; biases start at zero."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
