"""Builds one small ONNX model whose parameters know their layouts.

Every parameter is declared with one layout per axis (text, see layouts.py). Its values grow with the index of every group it
carries: index i of each group scales its slice by i + 1, so a magnitude criterion keeps the upper half (the lower half of a group
marked `descending`). Signs are random and magnitudes differ by a thousandth, so no two numbers agree.
"""
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import layouts as L

FLOAT, INT64, BOOL, FLOAT16, INT8 = (TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL, TensorProto.FLOAT16, TensorProto.INT8)
REGISTRY = {}


def case(function):
    """Register a builder under its name: `def name(c)` receives an empty Case."""
    REGISTRY[function.__name__] = function
    return function


def variant(name, function, *arguments, **options):
    """Register `function(c, *arguments)` as the case `name`."""
    REGISTRY[name] = lambda c: function(c, *arguments, **options)


class Case:
    """A graph under construction. Methods that add nodes return the names of their results."""

    def __init__(self, name):
        self.name, self.opset, self.domains = name, 20, {}
        self.nodes, self.constants, self.inputs, self.outputs = [], {}, [], []
        self.extents, self.layouts, self.descending, self.feeds = {}, {}, set(), {}
        self.random = np.random.default_rng(sum(name.encode()))

    def groups(self, **extents):
        """Declare groups and their extents."""
        self.extents.update(extents)

    # -------------------------------------------------------------------------------------------- interface
    def input(self, name, *shape, kind=FLOAT, feed=None):
        """A graph input; `feed` goes into the npz beside the model."""
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        if feed is not None:
            self.feeds[f"in.{name}"] = np.asarray(feed)
        return name

    def output(self, value, *shape, kind=FLOAT):
        """Declare a value as a graph output."""
        self.outputs.append(helper.make_tensor_value_info(value, kind, shape))

    # -------------------------------------------------------------------------------------------- constants
    def constant(self, name, values, dtype=np.int64):
        """A constant that carries no group; floats only when `dtype` says so."""
        if name not in self.constants:
            self.constants[name] = np.array(values, dtype=dtype)
        return name

    def scale(self, layout, extent):
        """The factor of each position of an axis: the product of (index + 1) over the groups there, with mean 1."""
        result = np.ones(extent)
        for position, label in enumerate(L.labels(layout, extent, self.extents)):
            for group, index in label:
                rank = self.extents[group] - 1 - index if group in self.descending else index
                result[position] *= rank + 1
        return result / result.mean()

    def param(self, name, *axes, fan_in=None, kind="weight"):
        """A parameter with one layout per axis. kind: weight (random signs), bias (smaller), positive (scales, variances)."""
        spelt = [L.parse(a, self.extents) for a in axes]
        shape = [L.size(l, self.extents) for l in spelt]
        self.layouts[name] = [L.text(l) for l in spelt]
        value = 1 + 0.001 * self.random.random(shape)
        for axis, layout in enumerate(spelt):
            value = value * self.scale(layout, shape[axis]).reshape([-1 if a == axis else 1 for a in range(len(shape))])
        if kind != "positive":
            value = value * self.random.choice([-1.0, 1.0], shape)
        gain = 1 / np.sqrt(fan_in) if fan_in else 0.2 if kind == "bias" else 1.0
        self.constants[name] = (gain * value).astype(np.float32)
        return name

    def given(self, name, values, *axes):
        """A parameter with layouts, whose values are given (rotary tables, zero states)."""
        self.layouts[name] = [L.text(L.parse(a, self.extents)) for a in axes]
        self.constants[name] = np.asarray(values)
        return name

    def extent(self, axis):
        """The extent of a layout given as text."""
        return L.size(L.parse(axis, self.extents), self.extents)

    # -------------------------------------------------------------------------------------------- nodes
    def node(self, op, *inputs, out=None, outputs=None, domain="", **attributes):
        """Add a node; its name is its first result's. `outputs`: several results, returned as a list."""
        names = outputs or [out or f"{op.lower()}_{len(self.nodes)}"]
        self.nodes.append(helper.make_node(op, list(inputs), names, name=next(n for n in names if n), domain=domain, **attributes))
        return names if outputs else names[0]

    def reshape(self, x, shape, out=None):
        out = out or f"reshape_{len(self.nodes)}"
        return self.node("Reshape", x, self.constant(f"{out}.shape", shape), out=out)

    def transpose(self, x, perm, out=None):
        return self.node("Transpose", x, perm=perm, out=out)

    def slice(self, x, axis, start, end, step=1, out=None):
        out = out or f"slice_{len(self.nodes)}"
        parts = [self.constant(f"{out}.{k}", [v]) for k, v in (("starts", start), ("ends", end), ("axes", axis), ("steps", step))]
        return self.node("Slice", x, *parts, out=out)

    def split(self, x, axis, sizes, outputs):
        return self.node("Split", x, self.constant(f"{outputs[0]}.split", sizes), outputs=outputs, axis=axis)

    def select(self, x, axis, index, out=None):
        """x[..., index, ...]: a Gather by a scalar."""
        out = out or f"select_{len(self.nodes)}"
        return self.node("Gather", x, self.constant(f"{out}.index", index), out=out, axis=axis)

    def reduce(self, op, x, axes, keep=0, out=None):
        out = out or f"{op.lower()}_{len(self.nodes)}"
        if self.opset < 18 and op != "ReduceSum":
            return self.node(op, x, out=out, axes=axes, keepdims=keep)
        return self.node(op, x, self.constant(f"{out}.axes", axes), out=out, keepdims=keep)

    def gemm(self, x, name, into, outof, bias=True):
        """Linear layer on a matrix: weight [out, in]."""
        w = self.param(f"{name}.weight", into, outof, fan_in=self.extent(outof))
        b = [self.param(f"{name}.bias", into, kind="bias")] if bias else []
        return self.node("Gemm", x, w, *b, out=name, transB=1)

    def linear(self, x, name, into, outof, bias=True):
        """Linear layer on a tensor of any rank, as exporters write it: MatMul with weight [in, out], Add."""
        self.extent(into), self.extent(outof)
        w = self.param(f"{name}.weight", outof, into, fan_in=self.extent(outof))
        y = self.node("MatMul", x, w, out=f"{name}.matmul" if bias else name)
        return self.node("Add", y, self.param(f"{name}.bias", into, kind="bias"), out=name) if bias else y

    def linear_transposed(self, x, name, into, outof):
        """The same with weight [out, in] behind a Transpose."""
        w = self.param(f"{name}.weight", into, outof, fan_in=self.extent(outof))
        y = self.node("MatMul", x, self.transpose(w, [1, 0], out=f"{name}.weight_t"), out=f"{name}.matmul")
        return self.node("Add", y, self.param(f"{name}.bias", into, kind="bias"), out=name)

    def conv(self, x, name, into, outof, size=3, bias=True, stride=1, group=1, pad=None):
        """2-d convolution with padding that keeps the size: weight [out, in / group, size, size]."""
        w = self.param(f"{name}.weight", into, outof, size, size, fan_in=self.extent(outof) * size * size)
        b = [self.param(f"{name}.bias", into, kind="bias")] if bias else []
        extra = {"group": group} if group != 1 else {}
        return self.node("Conv", x, w, *b, out=name, kernel_shape=[size, size], strides=[stride, stride],
                         pads=[size // 2 if pad is None else pad] * 4, **extra)

    def batch_norm(self, x, name, channel):
        parts = [self.param(f"{name}.{k}", channel, kind=s) for k, s in (("weight", "positive"), ("bias", "bias"),
                                                                         ("running_mean", "bias"), ("running_var", "positive"))]
        return self.node("BatchNormalization", x, *parts, out=name)

    def layer_norm(self, x, name, width):
        parts = [self.param(f"{name}.weight", width, kind="positive"), self.param(f"{name}.bias", width, kind="bias")]
        return self.node("LayerNormalization", x, *parts, out=name, axis=-1)

    def pool_to_matrix(self, x, channels):
        """Mean over the spatial axes of [1, C, H, W]: [1, C]."""
        pooled = self.reduce("ReduceMean", x, [2, 3], out="pool")
        return pooled

    def silu(self, x):
        return self.node("Mul", x, self.node("Sigmoid", x))

    # -------------------------------------------------------------------------------------------- the model
    def model(self):
        """The finished ModelProto; every constant is read, every name used once."""
        graph = helper.make_graph(self.nodes, self.name, self.inputs, self.outputs,
                                  [numpy_helper.from_array(np.ascontiguousarray(v), k) if v.ndim else numpy_helper.from_array(v, k)
                                   for k, v in self.constants.items()])
        opsets = [helper.make_opsetid("", self.opset)] + [helper.make_opsetid(d, v) for d, v in self.domains.items()]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10, producer_name="prunec-cases")


def attention_core(c, prefix, q, k, v, scale=None, mask=None):
    """softmax(q·kᵀ·scale)·v on [.., H, N, D] each."""
    rank4 = [0, 1, 3, 2]
    scores = c.node("MatMul", q, c.transpose(k, rank4, out=f"{prefix}.k_t"), out=f"{prefix}.scores")
    if scale is not None:
        scores = c.node("Div", scores, c.constant(f"{prefix}.divisor", scale, np.float32), out=f"{prefix}.scaled")
    if mask is not None:
        scores = c.node("Add", scores, mask, out=f"{prefix}.biased")
    return c.node("MatMul", c.node("Softmax", scores, axis=-1, out=f"{prefix}.weights"), v, out=f"{prefix}.context")
