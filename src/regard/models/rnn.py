"""The RNN encoder-decoder without attention: the whole source goes through one vector.

Cho et al. 2014 and Sutskever et al. 2014; the baseline that shows what attention is for. Knows batches of ids. Knows no
text, no loss and no search.
"""

from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float, Int
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from regard.batch import Batch, control_ids
from regard.nn.dropout import Dropout
from regard.nn.embedding import Embeddings
from regard.nn.linear import Precision
from regard.nn.output import logits_of
from regard.nn.recurrent import SteppedCell
from regard.nn.state import State
from regard.nn.trace import Trace

CELLS: dict[str, type[nn.GRU | nn.LSTM]] = {"gru": nn.GRU, "lstm": nn.LSTM}


class RNNConfig(BaseModel):
    """Settings of the encoder-decoder without attention."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    cell: Literal["gru", "lstm"] = "gru"
    """The recurrent unit."""

    width: int = Field(256, ge=1, le=2**15)
    """The width of a recurrent state, in each direction."""

    embedding_width: int = Field(256, ge=1, le=2**15)
    """The width of the embeddings."""

    n_layers: int = Field(1, ge=1, le=64)
    """How many recurrent layers the encoder has, and the decoder as well."""

    bidirectional: bool = True
    """Whether the encoder reads the source in both directions."""

    summary: Literal["initial", "constant"] = "constant"
    """How the decoder gets the source: "initial" as its first state only (Sutskever et al. 2014), "constant" also as an
    input to every step and to the read-out (Cho et al. 2014).
    """

    reverse_source: bool = False
    """Whether the source is read backwards, as Sutskever et al. 2014 did with an encoder of one direction."""

    dropout_rate: float = Field(0.3, ge=0, lt=1)
    """The dropout rate of embeddings, of the source's summary, of the read-out and between layers."""

    tied: Literal["all", "target", "none"] = "all"
    """Which weights are shared: "all" means source embedding, target embedding and output layer, for which both sides
    need one vocabulary; "target" the last two (Press and Wolf 2017); "none" no weights.
    """

    @classmethod
    def small(cls) -> "RNNConfig":
        """Return the settings of a small, fast model, on which the family is proven."""
        return cls(width=32, embedding_width=32)

    @property
    def one_vocabulary(self) -> bool:
        return self.tied == "all"


class RNN(nn.Module):
    """An encoder that compresses the source into its last states, and a decoder that begins with them.

    With summary="constant" this is RNNencdec, to which Bahdanau et al. 2014 compare. It differs in PyTorch's cells,
    whose GRU applies the reset gate after the product, in a read-out that sees the state after the word, and in
    dropout.
    """

    jobs: ClassVar[frozenset[str]] = frozenset({"pairs"})
    in_one_graph: ClassVar[bool] = False
    n_positions: ClassVar[None] = None
    context_length: ClassVar[None] = None

    def __init__(self, config: RNNConfig, source_vocabulary: int, target_vocabulary: int, n_control: int = 0) -> None:
        super().__init__()
        self.never_written = control_ids(n_control)
        self.config = config
        width, embedding = config.width, config.embedding_width
        cell = CELLS[config.cell]
        n_states = config.n_layers * (2 if config.cell == "lstm" else 1)  # an LSTM has a cell state as well
        n_final = n_states * (2 if config.bidirectional else 1)
        context = width if config.summary == "constant" else 0
        self.embeddings = Embeddings(source_vocabulary, target_vocabulary, embedding, config.tied)
        layers: dict[str, Any] = {"num_layers": config.n_layers, "batch_first": True}
        if config.n_layers > 1:  # PyTorch's dropout is between layers; with one layer it warns
            layers["dropout"] = config.dropout_rate
        self.encoder = cell(embedding, width, bidirectional=config.bidirectional, **layers)
        self.initial = nn.Linear(n_final * width, n_states * width)
        self.context = nn.Linear(n_final * width, context) if context else None
        self.decoder: nn.GRU | nn.LSTM | SteppedCell = cell(embedding + context, width, **layers)
        self.readout = nn.Linear(width + embedding + context, 2 * embedding)
        self.dropout = Dropout(config.dropout_rate)
        self.apply(initialise)

    def forward(self, batch: Batch, trace: Trace | None = None) -> Float[Tensor, "B T D"]:  # noqa: ARG002
        """Return the hidden states. There is no attention, so nothing is recorded."""
        assert batch.target is not None, "forward needs a target"
        context, state = self.encode(batch)
        contexts = context[:, None].expand(-1, batch.target.shape[1], -1)  # (B, T, C)
        embedded = self.dropout(self.embeddings.target(batch.target))
        states, _ = run_cell(self.decoder, torch.cat([embedded, contexts], dim=-1), self.for_cell(state))
        return self.read_out(states, embedded, contexts)

    def logits(self, hidden: Float[Tensor, "*lead D"]) -> Float[Tensor, "*lead V"]:
        return logits_of(hidden, self.output_weight, self.never_written)

    @property
    def output_weight(self) -> Float[Tensor, "V D"]:
        return self.embeddings.output

    def encode(self, batch: Batch) -> tuple[Float[Tensor, "B C"], dict[str, Float[Tensor, "B L H"]]]:
        """Return the constant context (of width 0 with summary="initial") and the decoder's first state."""
        lengths = batch.source_keep.sum(1)
        source = backwards(batch.source, lengths) if self.config.reverse_source else batch.source
        embedded = self.dropout(self.embeddings.source(source))
        # Packed, the backward direction begins at the last real token. PyTorch wants the lengths on the CPU.
        packed = pack_padded_sequence(embedded, lengths.cpu(), batch_first=True, enforce_sorted=False)
        _, final = run_cell(self.encoder, packed)
        final = final if isinstance(final, tuple) else (final,)  # each (layers * directions, B, H)
        summary = self.dropout(torch.cat([x.transpose(0, 1).flatten(1) for x in final], dim=-1))  # (B, n_final * H)
        # A context of width 0 can be concatenated like any other.
        context = torch.tanh(self.context(summary)) if self.context else summary[:, :0]
        initial = self.initial(summary).to(self.initial.weight.dtype)  # under autocast it has another type
        states = initial.unflatten(-1, (len(final), self.config.n_layers, -1)).unbind(1)  # (B, L, H)
        # A hidden state is between -1 and 1; a cell state is not.
        first = {"hidden": torch.tanh(states[0])}
        if len(states) > 1:
            first["cell"] = states[1]
        return context, first

    def for_cell(self, state: dict[str, Float[Tensor, "R L H"]]) -> Tensor | tuple[Tensor, Tensor]:
        """Return the state as PyTorch's cells take it: layers first, and a tuple for an LSTM."""
        # cuDNN refuses states that are not contiguous.
        hidden = state["hidden"].transpose(0, 1).contiguous()
        return (hidden, state["cell"].transpose(0, 1).contiguous()) if "cell" in state else hidden

    def lower_precision(self, precision: Precision) -> None:
        """Compute the products of the decoder's cell in a lower precision from now on."""
        assert isinstance(self.decoder, nn.GRU | nn.LSTM), "it is lowered once"
        self.decoder = SteppedCell(self.decoder, precision)

    def read_out(
        self, states: Float[Tensor, "B T H"], embedded: Float[Tensor, "B T E"], contexts: Float[Tensor, "B T C"]
    ) -> Float[Tensor, "B T E"]:
        """Return the hidden states the output layer reads: maxout over pairs (Cho et al. 2014, appendix A.1)."""
        pairs = self.readout(torch.cat([states, embedded, contexts], dim=-1)).unflatten(-1, (-1, 2))  # (..., D, 2)
        return self.dropout(pairs.amax(-1))

    def begin(self, batch: Batch) -> State:
        context, first = self.encode(batch)
        state = State(len(context), context)
        state.sentences, state.rows = {"context": context}, first
        return state

    def read(self, ids: Int[Tensor, "R T"], state: State) -> Float[Tensor, "R T D"]:
        contexts = state.of_rows(state.sentences["context"])[:, None].expand(-1, ids.shape[1], -1)  # (R, T, C)
        embedded = self.embeddings.target(ids)
        states, after = run_cell(self.decoder, torch.cat([embedded, contexts], dim=-1), self.for_cell(state.rows))
        after = after if isinstance(after, tuple) else (after,)
        # A GRU has no cell, hence not strict. A state's tensors have the batch first: (R, L, H).
        state.rows = {name: x.transpose(0, 1) for name, x in zip(("hidden", "cell"), after, strict=False)}
        state.read = [n + ids.shape[1] for n in state.read]
        return self.read_out(states, embedded, contexts)


def run_cell(cell: nn.Module, inputs: Tensor | PackedSequence, state: Any = None) -> Any:
    """Return the states of all steps and the last ones, on a GPU in float32.

    Autocast gives cuDNN's cells float16, whatever its type is, and the gradients of a mean over thousands of
    tokens are too small for that.
    """
    with torch.autocast("cuda", enabled=False):
        return cell(inputs, state)


def backwards(source: Int[Tensor, "B S"], lengths: Int[Tensor, " B"]) -> Int[Tensor, "B S"]:
    """Return the tokens of each source in reverse; its last token, EOS, and the padding stay where they are."""
    positions = torch.arange(source.shape[1], device=source.device)
    mirrored = lengths[:, None] - 2 - positions  # EOS is at n - 1, the last word at n - 2
    return source.gather(1, torch.where(mirrored >= 0, mirrored, positions))


def initialise(module: nn.Module) -> None:
    """Draw linear weights as in Glorot and Bengio 2010, equation 16, and orthogonal recurrent ones; biases are zero.

    Only the forget gates of an LSTM start open, with a bias of one (Jozefowicz et al. 2015).
    """
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
    if isinstance(module, nn.RNNBase):
        for name, parameter in module.named_parameters():
            for gate, block in enumerate(parameter.data.split(module.hidden_size)):  # LSTM: input, forget, cell, output
                if "bias" in name:
                    # PyTorch adds two biases per gate, so only one of them is one.
                    block.fill_(float(isinstance(module, nn.LSTM) and gate == 1 and name.startswith("bias_ih")))
                else:
                    nn.init.orthogonal_(block) if "weight_hh" in name else nn.init.xavier_uniform_(block)
