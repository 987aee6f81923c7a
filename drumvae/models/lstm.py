"""What encoder and decoder share: LSTM layers that start as MusicVAE's do, one step of such a layer, dropout on inputs."""

import torch
from torch import Tensor, nn


def new_lstm(size: int, units: int, bidirectional: bool = False) -> nn.LSTM:
    """Returns one LSTM layer, batch first: Glorot-uniform weights, zero biases, forget bias 1."""
    lstm = nn.LSTM(size, units, batch_first=True, bidirectional=bidirectional)
    for name, parameter in lstm.named_parameters():
        if name.startswith("weight"):
            nn.init.xavier_uniform_(parameter)
        else:
            nn.init.zeros_(parameter)
        if name.startswith("bias_ih"):
            nn.init.ones_(parameter.data[units : 2 * units])  # gates lie in the order input, forget, cell, output
    return lstm


def run_lstm(layer: nn.Module, inputs: Tensor, hidden: Tensor | None = None, cell: Tensor | None = None) -> Tensor:
    """Returns a layer's outputs (B, S, units) of its inputs (B, S, size), from states (B, units) or from zeros; in float32.

    Under autocast cuDNN would run it in half precision, whose range its gradients can leave; matrix products gain, an LSTM hardly.
    """
    with torch.autocast(inputs.device.type, enabled=False):
        if hidden is None or cell is None:
            outputs, _ = layer(inputs.float())
        else:
            outputs, _ = layer(inputs.float(), (hidden.float()[None].contiguous(), cell.float()[None].contiguous()))
    result: Tensor = outputs
    return result


def lstm_step(gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the new hidden and cell state, each (B, units), from the summed gate inputs (B, 4 units)."""
    units = cell.shape[-1]
    doors, g, o = torch.split(gates, [2 * units, units, units], dim=-1)
    i, f = torch.sigmoid(doors).chunk(2, dim=-1)  # at once: on one loop, an operation costs more than what it computes
    cell = f * cell + i * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(cell), cell


def lstm_weights(layer: nn.Module) -> tuple[Tensor, Tensor, Tensor]:
    """Returns what one direction of a layer multiplies its input (4 units, size) and its state (4 units, units) with, and the bias."""
    weights = dict(layer.named_parameters())
    return weights["weight_ih_l0"], weights["weight_hh_l0"], weights["bias_ih_l0"] + weights["bias_hh_l0"]


class InputDropout(nn.Module):
    """Keeps a share of its input in training, drawn anew for every element, and scales it up to the same mean."""

    def __init__(self, keep: float) -> None:
        super().__init__()
        self.drop = 1.0 - keep

    def forward(self, inputs: Tensor) -> Tensor:
        return nn.functional.dropout(inputs, self.drop, self.training) if self.drop else inputs
