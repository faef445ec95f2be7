"""The gated recurrent unit, one step and both directions."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from regard.nn.linear import LowPrecisionLinear, Precision, low_precision


class GatedUnit(nn.Module):
    """The recurrent part of a gated recurrent unit; inputs arrive already projected.

    Cho et al. 2014 and Bahdanau et al. 2014, appendix A.1.1: s' = (1 - z) s + z tanh(x + (r * s) U). PyTorch's GRU
    inverts the update gate and applies the reset gate after the product. With directions=2 two units with separate
    weights run side by side in one product. layer_norm normalises both recurrent products (Ba et al. 2016, section 4,
    without a gain).
    """

    def __init__(self, width: int, directions: int = 1, *, layer_norm: bool = False) -> None:
        super().__init__()
        self.layer_norm = layer_norm
        lead = (directions,) if directions > 1 else ()
        self.gates = nn.Parameter(torch.empty(*lead, width, 2 * width))
        self.candidate = nn.Parameter(torch.empty(*lead, width, width))
        for block in (*self.gates.data.view(-1, width, 2 * width), *self.candidate.data.view(-1, width, width)):
            # Each gate's square matrix by itself, as in appendix B.1 of Bahdanau et al.
            for square in block.split(width, dim=1):
                square.copy_(nn.init.orthogonal_(torch.empty(width, width)))
        # Both products in a lower precision, for decoding only.
        self.low: tuple[LowPrecisionLinear, LowPrecisionLinear] | None = None

    def forward(self, inputs: Float[Tensor, "*lead B G"], state: Float[Tensor, "*lead B H"]) -> Tensor:
        """Return the next state (..., B, H). inputs: update gate, reset gate and candidate side by side."""
        width = state.shape[-1]
        for_gates, for_candidate = inputs.split([2 * width, width], dim=-1)
        by_gates = state @ self.gates if self.low is None else self.low[0](state)
        update, reset = torch.sigmoid(for_gates + self.normed(by_gates)).chunk(2, dim=-1)
        remembered = reset * state
        by_candidate = remembered @ self.candidate if self.low is None else self.low[1](remembered)
        candidate = torch.tanh(for_candidate + self.normed(by_candidate))
        return torch.lerp(state, candidate.to(state.dtype), update.to(state.dtype))  # under autocast they differ

    def lower_precision(self, precision: Precision) -> None:
        """Compute the products of one direction in a lower precision from now on. Two directions stay as they are."""
        if self.gates.dim() == 2:
            self.low = low_precision(self.gates.mT, None, precision), low_precision(self.candidate.mT, None, precision)

    def normed(self, product: Float[Tensor, "*lead G"]) -> Float[Tensor, "*lead G"]:
        """Return a recurrent product, normalised if layer_norm is set."""
        return F.layer_norm(product, product.shape[-1:]) if self.layer_norm else product


class BidirectionalGRU(nn.Module):
    """Two gated recurrent units, one reading forwards and one backwards, advanced together.

    The input products of all steps are one matrix product; only the recurrent part is in the loop. Padding does not
    change a state, so the backward unit starts at the last real position.
    """

    def __init__(self, input_width: int, width: int, layer_norm: bool = False) -> None:
        super().__init__()
        self.inputs = nn.Linear(input_width, 6 * width)  # two directions of two gates and a candidate
        self.unit = GatedUnit(width, directions=2, layer_norm=layer_norm)
        self.width = width

    def forward(
        self, x: Float[Tensor, "B S E"], keep: Bool[Tensor, "B S"]
    ) -> tuple[Float[Tensor, "B S M"], Float[Tensor, "B H"]]:
        """Return the states of both directions side by side, and the backward state at the first position."""
        # Positions first, so that what one step reads is contiguous.
        projected = self.inputs(x.transpose(0, 1)).unflatten(-1, (2, -1))  # (S, B, 2, 3H)
        forwards, backwards = projected.unbind(2)  # (S, B, 3H)
        inputs = torch.stack([forwards, backwards.flip(0)], dim=1)  # (S, 2, B, 3H)
        real = torch.stack([keep.T, keep.T.flip(0)], dim=1)[..., None]  # (S, 2, B, 1)
        state = x.new_zeros(2, len(x), self.width)
        states = []
        for step_inputs, step_real in zip(inputs.unbind(0), real.unbind(0), strict=True):
            state = torch.where(step_real, self.unit(step_inputs, state), state)
            states.append(state)
        forwards, backwards = torch.stack(states, dim=2).unbind(0)  # (B, S, H)
        return torch.cat([forwards, backwards.flip(1)], dim=-1), state[1]


class SteppedCell(nn.Module):
    """PyTorch's GRU or LSTM in one direction, one position after the other, with products in a lower precision.

    For decoding, where a call has one position; it takes and returns what `nn.GRU` and `nn.LSTM` do.
    """

    def __init__(self, cell: nn.GRU | nn.LSTM, precision: Precision) -> None:
        super().__init__()
        self.is_lstm = isinstance(cell, nn.LSTM)

        def low(name: str, layer: int) -> LowPrecisionLinear:
            weight, bias = (getattr(cell, f"{kind}_{name}_l{layer}") for kind in ("weight", "bias"))
            return low_precision(weight, bias, precision)

        self.for_input = nn.ModuleList(low("ih", layer) for layer in range(cell.num_layers))
        self.for_state = nn.ModuleList(low("hh", layer) for layer in range(cell.num_layers))

    def forward(
        self, inputs: Float[Tensor, "R T E"], state: Tensor | tuple[Tensor, Tensor]
    ) -> tuple[Float[Tensor, "R T H"], Tensor | tuple[Tensor, Tensor]]:
        hidden, memory = state if isinstance(state, tuple) else (state, None)
        hiddens = list(hidden.unbind(0))
        memories = list(memory.unbind(0)) if memory is not None else []
        outputs = []
        for x in inputs.unbind(1):
            for i, (for_input, for_state) in enumerate(zip(self.for_input, self.for_state, strict=True)):
                by_input, by_state = for_input(x), for_state(hiddens[i])
                if self.is_lstm:
                    x, memories[i] = lstm_step(by_input + by_state, memories[i])
                else:
                    x = gru_step(by_input, by_state, hiddens[i])
                hiddens[i] = x
            outputs.append(x)
        after = torch.stack(hiddens)
        return torch.stack(outputs, dim=1), (after, torch.stack(memories)) if self.is_lstm else after


def lstm_step(gates: Float[Tensor, "R G"], memory: Float[Tensor, "R H"]) -> tuple[Tensor, Tensor]:
    """Return the hidden state and the cell's memory after a step, as PyTorch's LSTM arranges its gates."""
    take, forget, new, give = gates.chunk(4, dim=-1)
    memory = forget.sigmoid() * memory + take.sigmoid() * new.tanh()
    return give.sigmoid() * memory.tanh(), memory


def gru_step(
    by_input: Float[Tensor, "R G"], by_state: Float[Tensor, "R G"], hidden: Float[Tensor, "R H"]
) -> Float[Tensor, "R H"]:
    """Return the hidden state after a step, as PyTorch's GRU does: the reset gate applies after the product."""
    (reset, update, new), (reset_state, update_state, new_state) = by_input.chunk(3, dim=-1), by_state.chunk(3, dim=-1)
    new = torch.tanh(new + torch.sigmoid(reset + reset_state) * new_state)
    return torch.lerp(new, hidden, torch.sigmoid(update + update_state))
