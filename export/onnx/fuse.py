"""Fuses additions into matrix products in the graph of one decoder step."""

import onnx_ir as ir
from onnxscript.rewriter import pattern, rewrite


def fuse_sums(model: ir.Model) -> None:
    """Rewrites every c + W x as one Gemm, in place; the gates of an LSTM layer are two such sums, one inside the other."""
    rewrite(model, pattern_rewrite_rules=[pattern.RewriteRule(_separate, _fused)])


def _separate(op, c, x, w):  # type: ignore[no-untyped-def]  # a pattern of untyped values
    return op.Add(c, op.Gemm(x, w, transB=1))


def _fused(op, c, x, w):  # type: ignore[no-untyped-def]
    return op.Gemm(x, w, c, transB=1)
