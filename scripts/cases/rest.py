"""Recurrent cases, weights behind operators, shape constants, and the layouts that meet badly."""
import numpy as np
from onnx import helper

from .builder import BOOL, FLOAT, FLOAT16, INT64, case, variant


def ids(c, length, vocabulary):
    return c.input("ids", length, 1, kind=INT64, feed=c.random.integers(0, vocabulary, (length, 1)))


def lstm_node(c, x, name, hidden, inputs, directions=1, state=None):
    """An LSTM of one or two directions; returns Y [seq, directions, batch, hidden]."""
    n, h = c.extents[hidden], hidden
    weights = [c.param(f"{name}.W", directions, f"product(4, {h})", inputs, fan_in=4 * c.extent(inputs)),
               c.param(f"{name}.R", directions, f"product(4, {h})", h, fan_in=4 * n),
               c.param(f"{name}.B", directions, f"product(8, {h})", kind="bias")]
    states = ["", state, state] if state else []
    return c.node("LSTM", x, *weights, *states, outputs=[f"{name}.Y", "", ""], hidden_size=n,
                  direction="bidirectional" if directions == 2 else "forward")[0]


@case
def lstm(c):
    c.groups(e=12, h=20)
    x = c.node("Gather", c.param("embedding", 30, "e"), ids(c, 7, 30), out="embedded", axis=0)
    y = c.node("Squeeze", lstm_node(c, x, "lstm", "h", "e"), c.constant("direction_axis", [1]), out="states")
    c.output(c.linear(y, "head", 5, "h"), 7, 1, 5)


@case
def lstm_bidirectional(c):
    c.groups(e=12, h=14)
    x = c.node("Gather", c.param("embedding", 30, "e"), ids(c, 7, 30), out="embedded", axis=0)
    y = c.transpose(lstm_node(c, x, "lstm", "h", "e", 2), [0, 2, 1, 3], out="by_token")
    c.output(c.linear(c.reshape(y, [7, 1, 28], out="both"), "head", 5, "product(2, h)"), 7, 1, 5)


@case
def computed_state(c):
    c.groups(h1=16, h2=16)
    c.descending = {"h2"}
    x = c.input("x", 7, 1, 6)
    state = c.node("Expand", c.constant("zero", 0, np.float32), c.constant("state.shape", [1, 1, 16]), out="state")
    y = c.node("Squeeze", lstm_node(c, x, "lstm1", "h1", 6, state=state), c.constant("direction_axis", [1]), out="states1")
    y = c.node("Squeeze", lstm_node(c, y, "lstm2", "h2", "h1", state=state), c.constant("direction_axis", [1]), out="states2")
    c.output(c.linear(y, "head", 5, "h2"), 7, 1, 5)


# ------------------------------------------------------------------------------------------------ weights behind operators
@case
def weight_transposed(c):
    c.groups(hidden=12)
    x = c.input("x", 3, 6)
    for name, into, outof in (("w1", "hidden", 6), ("w2", 5, "hidden")):
        w = c.param(f"{name}.weight", into, outof, fan_in=c.extent(outof))
        x = c.node("MatMul", x, c.transpose(w, [1, 0], out=f"{name}.weight_t"), out=name)
        x = c.node("Relu", x) if name == "w1" else x
    c.output(x, 3, 5)


@case
def weight_cast(c):
    c.groups(hidden=12)
    x = c.input("x", 3, 6)
    for name, into, outof in (("w1", "hidden", 6), ("w2", 5, "hidden")):
        w = c.param(f"{name}.weight", outof, into, fan_in=c.extent(outof))
        c.constants[w] = c.constants[w].astype(np.float16)
        x = c.node("MatMul", x, c.node("Cast", w, to=FLOAT, out=f"{name}.weight_f32"), out=name)
        x = c.node("Relu", x) if name == "w1" else x
    c.output(x, 3, 5)


@case
def weight_dequantised(c):
    c.groups(hidden=12)
    x = c.input("x", 3, 6)
    for name, into, outof in (("w1", "hidden", 6), ("w2", 5, "hidden")):
        w = c.param(f"{name}.weight", into, outof)
        value = c.constants[w] / np.abs(c.constants[w]).max() * 120
        zero = c.random.integers(-4, 5, c.extent(into)).astype(np.int8)
        c.constants[w] = np.clip(np.rint(value) + zero[:, None], -128, 127).astype(np.int8)
        scale = c.param(f"{name}.scale", into, kind="positive")
        c.constants[scale] *= 0.01
        w = c.node("DequantizeLinear", w, scale, c.given(f"{name}.zero_point", zero, into), out=f"{name}.weight_f32", axis=0)
        x = c.node("Gemm", x, w, c.param(f"{name}.bias", into, kind="bias"), out=name, transB=1)
        x = c.node("Relu", x) if name == "w1" else x
    c.output(x, 3, 5)


@case
def weight_norm(c):
    c.groups(p=10, h=12)
    x = c.node("Relu", c.gemm(c.input("x", 3, 6), "w0", "p", 6))
    v, g = c.param("w1.v", "h", "p"), c.param("w1.g", "h", 1, kind="positive")
    w = c.node("Mul", c.node("Div", v, c.reduce("ReduceL2", v, [1], keep=1, out="norm"), out="direction"), g, out="w1.weight")
    x = c.node("Relu", c.node("Gemm", x, w, c.param("w1.bias", "h", kind="bias"), out="w1", transB=1))
    c.output(c.gemm(x, "w2", 5, "h"), 3, 5)


# ------------------------------------------------------------------------------------------------ shared constants
@case
def shared_shape(c):
    c.groups(k=6)
    x = c.input("x", 1, 7)
    shape = c.constant("shape", [1, 4, 6])
    free = c.node("Reshape", c.gemm(x, "w1", "product(4, k)", 7), shape, out="free")
    held = c.node("Reshape", c.gemm(x, "w2", 24, 7), shape, out="held")
    c.output(c.linear(free, "w3", 5, "k"), 1, 4, 5)
    c.output(held, 1, 4, 6)


def shared_bias(c, values):
    c.groups(h1=12, h2=12)
    c.descending = {"h2"}
    x, b = c.input("x", 3, 6), c.constant("b", values(c), np.float32)
    for name, into, outof in (("w1", "h1", 6), ("w2", "h2", "h1")):
        w = c.param(f"{name}.weight", into, outof, fan_in=c.extent(outof))
        x = c.node("Relu", c.node("Gemm", x, w, b, out=name, transB=1))
    c.output(c.gemm(x, "w3", 5, "h2", bias=False), 3, 5)


variant("shared_zero_bias", shared_bias, lambda c: np.zeros(12))
variant("shared_small_constants", shared_bias, lambda c: c.random.standard_normal(12))


# ------------------------------------------------------------------------------------------------ layouts that meet badly
@case
def no_factor(c):
    c.groups(a=5)
    h = c.gemm(c.input("x", 1, 7), "w1", "product(a, 24)", 7)
    sides = []
    for name, shape in (("six_four", [1, 5, 6, 4]), ("four_six", [1, 5, 4, 6])):
        s = c.node("Softmax", c.reshape(h, shape, out=name), axis=-1)
        sides.append(c.reshape(s, [1, 120], out=f"{name}.flat"))
    c.output(c.gemm(c.node("Add", *sides, out="sum"), "w2", 3, "product(a, 24)"), 1, 3)


@case
def cut_inside(c):
    c.groups(x1=8, x2=8)
    h = c.gemm(c.input("x", 1, 7), "w1", "product(4, sum(x1, x2))", 7)
    h = c.node("Softmax", c.reshape(h, [1, 4, 16], out="heads"), axis=-1)
    h = c.reshape(h, [1, 64], out="flat")
    left = c.gemm(c.slice(h, 1, 0, 24, out="left.part"), "left", 5, "sum(x1, x2, x1)")
    right = c.gemm(c.slice(h, 1, 24, 64, out="right.part"), "right", 5, "sum(x2, product(2, sum(x1, x2)))")
    c.output(c.node("Add", left, right, out="y"), 1, 5)


@case
def run_of_parts(c):
    c.groups(a2=2, b=2, c=2)
    x = c.input("x", 1, 5)
    parts = [c.gemm(x, "a", "sum(a2, b, a2)", 5), c.gemm(x, "b", "b", 5), c.gemm(x, "c", "product(c, sum(a2, b))", 5)]
    h = c.reshape(c.node("Concat", *parts, out="cat", axis=1), [1, 4, 4], out="square")
    h = c.node("Relu", c.linear(h, "inner", 3, "sum(a2, b)"))
    c.output(c.linear(c.transpose(h, [0, 2, 1], out="turned"), "outer", 7, "sum(2, c)"), 1, 3, 7)


# ------------------------------------------------------------------------------------------------ what cannot be followed
@case
def opaque_op(c):
    """The operator of another domain is one that ONNX Runtime can run: ai.onnx.ml's Normalizer over the last axis."""
    c.domains = {"ai.onnx.ml": 3}
    c.groups(before=14, after=10)
    x = c.node("Relu", c.gemm(c.input("x", 3, 6), "w0", "before", 6))
    x = c.node("Relu", c.gemm(x, "w1", 12, "before"))
    x = c.node("Normalizer", x, out="normalizer", domain="ai.onnx.ml", norm="L2")
    x = c.node("Relu", c.gemm(x, "w2", "after", 12))
    c.output(c.gemm(x, "w3", 5, "after"), 3, 5)


@case
def control_flow(c):
    c.groups(before=14, after=10)
    condition = c.input("condition", kind=BOOL, feed=np.array(True))
    x = c.node("Relu", c.gemm(c.input("x", 3, 6, feed=c.random.standard_normal((3, 6)).astype(np.float32)), "w0", "before", 6))
    x = c.node("Relu", c.gemm(x, "w1", 12, "before"), out="h")
    branches = {}
    for name in ("then", "else"):
        w = c.param(f"{name}.weight", 12, 11, fan_in=12)
        inner = helper.make_node("MatMul", [x, w], [f"{name}.y"], name=f"{name}.y")
        value = helper.make_tensor_value_info(f"{name}.y", FLOAT, [3, 11])
        branches[f"{name}_branch"] = helper.make_graph([inner], name, [], [value])
    x = c.node("Relu", c.node("If", condition, out="branch", **branches))
    x = c.node("Relu", c.gemm(x, "w2", "after", 11))
    c.output(c.gemm(x, "w3", 5, "after"), 3, 5)


@case
def unused(c):
    c.groups(hidden=12)
    x = c.node("Relu", c.gemm(c.input("x", 3, 6), "w1", "hidden", 6), out="relu")
    c.node("Sigmoid", x, out="nobody_reads")
    x, _ = c.node("Dropout", x, outputs=["dropout", "dropout.mask"])
    c.param("spare.weight", 3, 4)
    c.output(c.gemm(x, "w2", 5, "hidden"), 3, 5)
