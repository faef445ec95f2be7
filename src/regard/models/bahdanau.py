"""The RNN with attention of Bahdanau et al. 2014, which learned to align and translate together.

Knows batches of ids. Knows no text, no loss and no search.
"""

from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from regard.batch import Batch, control_ids
from regard.nn.additive import AdditiveAttention
from regard.nn.dropout import Dropout
from regard.nn.embedding import Embeddings
from regard.nn.multiplicative import MultiplicativeAttention
from regard.nn.output import logits_of
from regard.nn.precision import for_products
from regard.nn.recurrent import BidirectionalGRU, GatedUnit
from regard.nn.state import State
from regard.nn.trace import Trace


class BahdanauConfig(BaseModel):
    """Settings of the RNN with attention. The preset "paper" has the paper's."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    width: int = Field(256, ge=1, le=2**15)
    """The width of a recurrent state (of the encoder, per direction); it must be even with `score` "dot"."""

    embedding_width: int = Field(256, ge=1, le=2**15)
    """The width of the embeddings."""

    attention_width: int = Field(256, ge=1, le=2**15)
    """The width of the hidden layer that compares two states with `score` "additive"."""

    readout_width: int | None = Field(None, ge=1, le=2**15)
    """The width of the maxout; not set, that of the embeddings, which is required if they are tied to the output."""

    score: Literal["additive", "general", "dot"] = "additive"
    """How a state is compared with an encoder state: "additive" as in the paper, or "general" or "dot" of Luong et al.
    2015. "dot" halves the encoder's units, so that both have the same width, and needs no `attention_width`.
    """

    layer_norm: bool = False
    """Whether the products inside the recurrent units are normalised (Ba et al. 2016)."""

    dropout_rate: float = Field(0.3, ge=0, lt=1)
    """The dropout rate of embeddings, encoder states and the read-out."""

    initialisation: Literal["modern", "paper"] = "modern"
    """How weights are initialised: "modern" draws linear ones as in Glorot and Bengio 2010, "paper" all as in Bahdanau
    et al. 2014, appendix B.1.
    """

    tied: Literal["all", "target", "none"] = "all"
    """Which weights are shared: "all" means source embedding, target embedding and output layer, for which both sides
    need one vocabulary; "target" the last two (Press and Wolf 2017); "none" no weights.
    """

    @classmethod
    def small(cls) -> "BahdanauConfig":
        """Return the settings of a small, fast model, on which the family is proven."""
        return cls(width=32, embedding_width=32, attention_width=32)

    @property
    def one_vocabulary(self) -> bool:
        return self.tied == "all"

    @model_validator(mode="after")
    def widths_fit(self) -> "BahdanauConfig":
        if self.score == "dot" and self.width % 2:
            raise ValueError(f"width is {self.width}; with score 'dot' it must be even. Try {self.width + 1}.")
        if self.tied != "none" and self.readout_width not in (None, self.embedding_width):
            raise ValueError(
                f"readout_width is {self.readout_width}; with tied '{self.tied}' the output layer shares the table of "
                f"the embeddings, so it must be embedding_width ({self.embedding_width}). Or set tied=none."
            )
        return self


class Bahdanau(nn.Module):
    """A bidirectional encoder, and a decoder that attends to all of its states before every word.

    Bahdanau et al. 2014, appendix A: the attention and the read-out see the decoder's state before the word, s_{i-1}.
    The preset "paper" is RNNsearch as described there. The defaults differ in dropout on embeddings, encoder states and
    the read-out, in initial weights, and in one table for embeddings and output layer.
    """

    jobs: ClassVar[frozenset[str]] = frozenset({"pairs"})
    in_one_graph: ClassVar[bool] = False  # the decoder's loop runs over positions
    n_positions: ClassVar[None] = None
    context_length: ClassVar[None] = None

    def __init__(
        self, config: BahdanauConfig, source_vocabulary: int, target_vocabulary: int, n_control: int = 0
    ) -> None:
        super().__init__()
        self.never_written = control_ids(n_control)
        self.config = config
        width, embedding = config.width, config.embedding_width
        direction = width // 2 if config.score == "dot" else width
        readout = config.readout_width or embedding
        self.embeddings = Embeddings(source_vocabulary, target_vocabulary, embedding, config.tied, readout)
        self.encoder = BidirectionalGRU(embedding, direction, config.layer_norm)
        self.initial = nn.Linear(direction, width)  # reads the backward state at the first word (appendix A.2.2)
        self.attention = make_attention(config, 2 * direction)
        self.decoder = GatedUnit(width, layer_norm=config.layer_norm)
        # The words of all positions are projected in one product before the loop; contexts are known only inside it.
        self.decoder_inputs = nn.Linear(embedding, 3 * width)
        self.decoder_context = nn.Linear(2 * direction, 3 * width, bias=False)  # the bias is decoder_inputs'
        self.readout = nn.Linear(width + embedding + 2 * direction, 2 * readout)
        self.dropout = Dropout(config.dropout_rate)
        self.initialise()

    def initialise(self) -> None:
        """Draw the weights; recurrent matrices are orthogonal already. "paper": appendix B.1."""
        paper = self.config.initialisation == "paper"
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.01) if paper else nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        if paper:
            tables = (self.embeddings.source.weight, self.embeddings.target.weight, self.output_weight)
            for table in dict.fromkeys(tables):  # tied ones are drawn once, and always in this order
                nn.init.normal_(table, std=0.01)
            # Appendix B.1: W_a and U_a are ten times smaller and v_a is zero, so all words weigh the same at first.
            for linear in (m for m in self.attention.modules() if isinstance(m, nn.Linear)):
                nn.init.normal_(linear.weight, std=0.001)
            if isinstance(self.attention, AdditiveAttention):
                nn.init.zeros_(self.attention.energy)

    def forward(self, batch: Batch, trace: Trace | None = None) -> Float[Tensor, "B T D"]:
        assert batch.target is not None, "forward needs a target"
        memory, keys, state = self.encode(batch)
        embedded = self.dropout(self.embeddings.target(batch.target))
        states, contexts, weights = [], [], []
        for inputs in self.decoder_inputs(embedded).unbind(1):
            context, weight = self.attention(state[:, None], keys, memory, batch.source_keep)
            states.append(state)  # before it reads the word: the read-out needs s_{i-1}
            contexts.append(context[:, 0])
            weights.append(weight)
            state = self.advance(inputs, context[:, 0], state)
        if trace is not None:
            trace.record("decoder.cross", torch.stack(weights, dim=2))  # (B, 1, T, S)
        return self.read_out(torch.stack(states, dim=1), embedded, torch.stack(contexts, dim=1))

    def logits(self, hidden: Float[Tensor, "*lead D"]) -> Float[Tensor, "*lead V"]:
        return logits_of(hidden, self.output_weight, self.never_written)

    @property
    def output_weight(self) -> Float[Tensor, "V D"]:
        return self.embeddings.output

    def encode(self, batch: Batch) -> tuple[Float[Tensor, "B S M"], Float[Tensor, "B S A"], Float[Tensor, "B H"]]:
        """Return the encoder's states, the attention's keys made of them, and the decoder's first state."""
        embedded = self.dropout(self.embeddings.source(batch.source))
        memory, first_backward = self.encoder(embedded, batch.source_keep)
        # Under autocast every step of the loop would convert it again: 3 % of the time (docs/recipes.md).
        memory = for_products(self.dropout(memory))
        return memory, self.attention.key(memory), torch.tanh(self.initial(first_backward))

    def advance(
        self, inputs: Float[Tensor, "R G"], context: Float[Tensor, "R M"], state: Float[Tensor, "R H"]
    ) -> Float[Tensor, "R H"]:
        """Return the decoder's state after a word whose embedding is already projected."""
        return self.decoder(inputs + self.decoder_context(context), state)

    def read_out(
        self, states: Float[Tensor, "*lead H"], embedded: Float[Tensor, "*lead E"], contexts: Float[Tensor, "*lead M"]
    ) -> Float[Tensor, "*lead D"]:
        """Return the hidden states the output layer reads: maxout over pairs (appendix A.2.2)."""
        pairs = self.readout(torch.cat([states, embedded, contexts], dim=-1)).unflatten(-1, (-1, 2))  # (..., D, 2)
        return self.dropout(pairs.amax(-1))

    def begin(self, batch: Batch) -> State:
        memory, keys, first = self.encode(batch)
        state = State(len(memory), memory)
        state.sentences = {"memory": memory, "keys": keys, "keep": batch.source_keep}
        state.rows = {"state": first}
        return state

    def read(self, ids: Int[Tensor, "R T"], state: State) -> Float[Tensor, "R T D"]:
        embedded = self.embeddings.target(ids)
        source, before = state.sentences, state.rows["state"]
        states, contexts = [], []
        for inputs in self.decoder_inputs(embedded).unbind(1):
            queries = before.unflatten(0, (-1, state.n_rows))  # the rows of a sentence are its queries
            context, _ = self.attention(queries, source["keys"], source["memory"], source["keep"])
            states.append(before)  # before it reads the word, as in `forward`
            contexts.append(context.flatten(0, 1))  # (R, M)
            before = self.advance(inputs, contexts[-1], before)
        state.rows = {"state": before}
        state.read = [n + ids.shape[1] for n in state.read]
        return self.read_out(torch.stack(states, dim=1), embedded, torch.stack(contexts, dim=1))


def make_attention(config: BahdanauConfig, memory_width: int) -> AdditiveAttention | MultiplicativeAttention:
    """Return the attention whose energies are those of the configured score."""
    if config.score == "additive":
        return AdditiveAttention(config.width, memory_width, config.attention_width)
    return MultiplicativeAttention(config.width, memory_width, project=config.score == "general")
