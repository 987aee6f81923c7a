"""A step's graph in, the same with fewer nodes out: what is added to a matrix product is added by the product's own node."""

import onnx_ir as ir
from onnxscript.rewriter import pattern, rewrite


def fuse_sums(model: ir.Model) -> None:
    """Rewrites every c + W x, in place; an LSTM layer's gates are two such sums, one inside the other."""
    rewrite(model, pattern_rewrite_rules=[pattern.RewriteRule(_apart, _at_once)])


def _apart(op, c, x, w):  # type: ignore[no-untyped-def]  # a pattern that is matched, of no type
    return op.Add(c, op.Gemm(x, w, transB=1))


def _at_once(op, c, x, w):  # type: ignore[no-untyped-def]
    return op.Gemm(x, w, c, transB=1)
