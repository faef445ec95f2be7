"""The RNN with attention of Bahdanau et al. 2014, which learned to align and translate together.

Knows batches of ids. Knows no text, no loss and no search.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from regard.batch import Batch
from regard.nn.additive import AdditiveAttention
from regard.nn.dropout import Dropout
from regard.nn.embedding import Embeddings
from regard.nn.recurrent import BidirectionalGRU, GatedUnit
from regard.nn.state import State, fold_beams
from regard.nn.trace import Trace


class BahdanauConfig(BaseModel):
    """Settings of the RNN with attention. The paper's sizes: width 1000, embedding_width 620, attention_width 1000."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(256, ge=1)
    embedding_width: int = Field(256, ge=1)
    attention_width: int = Field(256, ge=1)
    dropout_rate: float = Field(0.3, ge=0, lt=1)
    initialisation: Literal["modern", "paper"] = "modern"
    tied: Literal["all", "target", "none"] = "all"


class Bahdanau(nn.Module):
    """A bidirectional encoder, and a decoder that looks back at all of it before every word.

    Bahdanau et al. 2014, appendix A: the attention and the read-out see the decoder's state before the word, s_{i-1}.
    We differ in dropout on embeddings, encoder states and the read-out, and in the read-out's width after maxout,
    which is the width of the embeddings so that they can be shared.
    """

    def __init__(self, config: BahdanauConfig, source_vocabulary: int, target_vocabulary: int) -> None:
        super().__init__()
        self.config = config
        width, embedding = config.width, config.embedding_width
        self.embeddings = Embeddings(source_vocabulary, target_vocabulary, embedding, config.tied)
        self.encoder = BidirectionalGRU(embedding, width)
        self.initial = nn.Linear(width, width)
        self.attention = AdditiveAttention(width, 2 * width, config.attention_width)
        self.decoder = GatedUnit(width)
        self.decoder_inputs = nn.Linear(embedding, 3 * width)
        self.decoder_context = nn.Linear(2 * width, 3 * width, bias=False)
        self.readout = nn.Linear(width + embedding + 2 * width, 2 * embedding)
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
            for table in {self.embeddings.source.weight, self.embeddings.target.weight, self.output_weight}:
                nn.init.normal_(table, std=0.01)
            for linear in (self.attention.query, self.attention.key):
                nn.init.normal_(linear.weight, std=0.001)
            nn.init.zeros_(self.attention.energy)

    def forward(self, batch: Batch, trace: Trace | None = None) -> Float[Tensor, "B T D"]:
        assert batch.target is not None, "a batch without a target can only be begun"
        memory, keys, state = self.encode(batch)
        embedded = self.dropout(self.embeddings.target(batch.target))
        states, contexts, weights = [], [], []
        for inputs in self.decoder_inputs(embedded).unbind(1):
            context, weight = self.attention(state[:, None], keys, memory, batch.source_keep)
            states.append(state)
            contexts.append(context[:, 0])
            weights.append(weight)
            state = self.advance(inputs, context[:, 0], state)
        if trace is not None:
            trace.record("decoder.cross", torch.stack(weights, dim=2))  # (B, 1, T, S)
        return self.read_out(torch.stack(states, dim=1), embedded, torch.stack(contexts, dim=1))

    @property
    def output_weight(self) -> Float[Tensor, "V D"]:
        return self.embeddings.output

    def encode(self, batch: Batch) -> tuple[Float[Tensor, "B S M"], Float[Tensor, "B S A"], Float[Tensor, "B H"]]:
        """Return the encoder's states, the attention's keys made of them, and the decoder's first state."""
        embedded = self.dropout(self.embeddings.source(batch.source))
        memory, first_backward = self.encoder(embedded, batch.source_keep)
        memory = self.dropout(memory)
        return memory, self.attention.key(memory), torch.tanh(self.initial(first_backward))

    def advance(
        self, inputs: Float[Tensor, "R G"], context: Float[Tensor, "R M"], state: Float[Tensor, "R H"]
    ) -> Float[Tensor, "R H"]:
        """Return the decoder's state after a word whose embedding is already projected."""
        return self.decoder(inputs + self.decoder_context(context), state)

    def read_out(
        self, states: Float[Tensor, "*lead H"], embedded: Float[Tensor, "*lead E"], contexts: Float[Tensor, "*lead M"]
    ) -> Float[Tensor, "*lead E"]:
        """Return the hidden states the output layer reads: maxout over pairs (appendix A.2.2)."""
        pairs = self.readout(torch.cat([states, embedded, contexts], dim=-1)).unflatten(-1, (-1, 2))
        return self.dropout(pairs.amax(-1))

    def begin(self, batch: Batch) -> State:
        memory, keys, state = self.encode(batch)
        return State({"memory": memory, "keys": keys, "keep": batch.source_keep}, {"state": state})

    def step(self, last: Int[Tensor, " R"], state: State) -> tuple[Float[Tensor, "R V"], State]:
        source, before = state.sentences, state.rows["state"]
        queries = fold_beams(before[:, None], len(source["keep"]))  # (N, beams, H)
        contexts, _ = self.attention(queries, source["keys"], source["memory"], source["keep"])
        context = contexts.flatten(0, 1)  # (R, M)
        embedded = self.embeddings.target(last)
        logits = F.linear(self.read_out(before, embedded, context), self.output_weight)
        after = self.advance(self.decoder_inputs(embedded), context, before)
        return logits, State(source, {"state": after})
