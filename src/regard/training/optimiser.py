"""Which parameter is updated by which optimiser."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from regard.training.averaging import MovingAverage
from regard.training.config import TrainingConfig
from regard.training.muon import Muon
from regard.training.processes import ALONE, Processes
from regard.training.sharding import spread_as, unspread


class Optimiser:
    """AdamW, or Muon for the matrices and AdamW for the rest, with one step and one factor on the learning rates.

    With `ema_decay` it also keeps the moving average of the weights.
    """

    def __init__(self, model: nn.Module, config: TrainingConfig, processes: Processes = ALONE) -> None:
        # Each row of these belongs to one token, so Muon does not suit them (Jordan et al. 2024). They are recognised
        # by identity, since they may be tied.
        embeddings = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
        embeddings.add(id(model.output_weight))
        parameters = list(model.parameters())
        matrices = [p for p in parameters if p.ndim >= 2 and id(p) not in embeddings]
        others = [p for p in parameters if p.ndim < 2 or id(p) in embeddings]
        self.parts: list[torch.optim.Optimizer] = []
        decay = config.weight_decay
        if config.optimiser == "muon":
            dtype = torch.bfloat16 if config.precision == "bfloat16" else None
            self.parts.append(Muon(matrices, config.muon_learning_rate, decay=decay, dtype=dtype, processes=processes))
            groups = [{"params": others, "weight_decay": 0.0}]
        else:
            groups = [{"params": matrices, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
        # The betas are those of Vaswani et al. 2017, section 5.3.
        self.parts.append(torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98), fused=True))
        self.average = MovingAverage(model, config.ema_decay) if config.ema_decay else None
        self.rates = [[group["lr"] for group in part.param_groups] for part in self.parts]

    def reserve(self) -> list[Tensor]:
        """Return tensors as large as the optimiser state will be from the first step on.

        What fits into memory while they exist will fit beside the optimiser state.
        """
        momenta = {Muon: 1, torch.optim.AdamW: 2}
        parts = [(part, p) for part in self.parts for group in part.param_groups for p in group["params"]]
        # Linux overcommits memory, so on a CPU this detects little.
        return [torch.empty_like(p) for part, p in parts for _ in range(momenta[type(part)])]

    def step(self, factor: float) -> None:
        """Update the parameters at `factor` times the configured learning rates, and forget the gradients."""
        for part, rates in zip(self.parts, self.rates, strict=True):
            for group, rate in zip(part.param_groups, rates, strict=True):
                group["lr"] = rate * factor  # of the configured rate, so that nothing accumulates
            part.step()
            part.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update()

    def tensors(self) -> dict[str, Tensor]:
        """Return the whole optimiser state by name, in tensors that are not sharded. All processes must call this.

        All gather in the same order, whatever the order of their dictionaries is after a restore.
        """
        average = self.average.tensors() if self.average is not None else {}
        return {f"average.{name}": unspread(tensor) for name, tensor in average.items()} | {
            f"{i}.{index}.{name}": unspread(value)
            for i, part in enumerate(self.parts)
            for index, state in sorted(part.state_dict()["state"].items())
            for name, value in sorted(state.items())
        }

    def remembered(self) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
        """Return the shape and type of everything that `tensors` may return, by name. Parameters must not be sharded.

        A parameter that never had a gradient has no state.
        """
        found = {}
        if self.average is not None:
            found = {f"average.{name}": (tuple(x.shape), x.dtype) for name, x in self.average.tensors().items()}
        for i, part in enumerate(self.parts):
            parameters = [p for group in part.param_groups for p in group["params"]]
            for index, parameter in enumerate(parameters):
                like = tuple(parameter.shape), torch.float32
                names = {"momentum": like} if isinstance(part, Muon) else {"exp_avg": like, "exp_avg_sq": like}
                if not isinstance(part, Muon):
                    names["step"] = (), torch.float32
                found |= {f"{i}.{index}.{name}": value for name, value in names.items()}
        return found

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore what `tensors` returned."""
        mine = {name: value for name, value in tensors.items() if not name.startswith("average.")}
        if self.average is not None:
            self.average.restore({name.removeprefix("average."): value for name, value in tensors.items()})
        states: list[dict[int, dict[str, Tensor]]] = [{} for _ in self.parts]
        for key, value in mine.items():
            i, index, name = key.split(".")
            states[int(i)].setdefault(int(index), {})[name] = value
        for part, state in zip(self.parts, states, strict=True):
            parameters = [p for group in part.param_groups for p in group["params"]]
            state = {i: {k: spread_as(v, parameters[i]) for k, v in of.items()} for i, of in state.items()}
            # The groups stay as they are: rates and decay come from the settings, never from a checkpoint.
            part.load_state_dict({"state": state, "param_groups": part.state_dict()["param_groups"]})
