"""Provides LSTM layers with MusicVAE's initial weights, single steps of them, and input dropout. B batch, S steps."""

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
            nn.init.ones_(parameter.data[units : 2 * units])  # gates are in the order input, forget, cell, output
    return lstm


def run_lstm(layer: nn.Module, inputs: Tensor, hidden: Tensor | None = None, cell: Tensor | None = None) -> Tensor:
    """Runs a layer in float32: returns outputs (B, S, units) for inputs (B, S, size), from states (B, units) or from zeros.

    Under autocast cuDNN would run it in half precision, where gradients can overflow, and which hardly makes an LSTM faster.
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
    input_forget_gates, g, o = torch.split(gates, [2 * units, units, units], dim=-1)
    i, f = torch.sigmoid(input_forget_gates).chunk(2, dim=-1)  # one call: for a single loop, the overhead of a call exceeds its arithmetic
    cell = f * cell + i * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(cell), cell


def lstm_weights(layer: nn.Module) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the input weights (4 units, size), the state weights (4 units, units) and the bias (4 units,) of one direction of a layer."""
    weights = dict(layer.named_parameters())
    return weights["weight_ih_l0"], weights["weight_hh_l0"], weights["bias_ih_l0"] + weights["bias_hh_l0"]


class InputDropout(nn.Module):
    """Keeps a share of the elements of its input in training, and scales them up to the same mean."""

    def __init__(self, keep: float) -> None:
        super().__init__()
        self.drop = 1.0 - keep

    def forward(self, inputs: Tensor) -> Tensor:
        return nn.functional.dropout(inputs, self.drop, self.training) if self.drop else inputs
