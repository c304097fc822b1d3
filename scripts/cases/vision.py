"""Convolutional cases."""
import numpy as np

from .builder import INT64, case, variant


def head(c, x, channels, outputs=5):
    """Mean over space and a linear layer: the usual end."""
    pooled = c.pool_to_matrix(x, channels)
    y = c.gemm(pooled, "head", outputs, channels)
    c.output(y, 1, outputs)


@case
def lenet(c):
    c.groups(conv1=6, conv2=16, fc1=120, fc2=84)
    x = c.input("x", 1, 1, 28, 28)
    for name, into, outof in (("conv1", "conv1", 1), ("conv2", "conv2", "conv1")):
        x = c.node("Relu", c.conv(x, name, into, outof, pad=0), out=f"{name}.relu")
        x = c.node("MaxPool", x, out=f"{name}.pool", kernel_shape=[2, 2], strides=[2, 2])
    x = c.node("Flatten", x, out="flatten", axis=1)
    x = c.node("Relu", c.gemm(x, "fc1", "fc1", "product(conv2, 25)"))
    x = c.node("Relu", c.gemm(x, "fc2", "fc2", "fc1"))
    c.output(c.gemm(x, "fc3", 10, "fc2"), 1, 10)


@case
def residual(c):
    c.groups(a=12, mid=10)
    a = c.conv(c.input("x", 1, 3, 8, 8), "conv", "a", 3)
    m = c.node("Relu", c.conv(a, "conv1", "mid", "a"))
    b = c.node("Add", a, c.conv(m, "conv2", "a", "mid"), out="sum")
    head(c, b, "a")


@case
def downsample(c):
    c.groups(before=14, mid=11, after=20)
    s = c.node("Relu", c.conv(c.input("x", 1, 3, 8, 8), "stem", "before", 3))
    m = c.node("Relu", c.batch_norm(c.conv(s, "conv1", "mid", "before", bias=False, stride=2), "bn1", "mid"))
    m = c.batch_norm(c.conv(m, "conv2", "after", "mid", bias=False), "bn2", "after")
    short = c.batch_norm(c.conv(s, "shortcut", "after", "before", size=1, bias=False, stride=2), "shortcut_bn", "after")
    head(c, c.node("Relu", c.node("Add", m, short, out="sum")), "after")


@case
def shortcut_pad(c):
    c.groups(stream=8, z1=4, z2=4, mid=9)
    s = c.node("Relu", c.conv(c.input("x", 1, 3, 8, 8), "stem", "stream", 3))
    m = c.node("Relu", c.conv(s, "conv1", "mid", "stream", stride=2))
    m = c.conv(m, "conv2", "sum(z1, stream, z2)", "mid")
    parts = [c.constant(f"strided.{k}", v) for k, v in (("starts", [0, 0]), ("ends", [8, 8]), ("axes", [2, 3]), ("steps", [2, 2]))]
    short = c.node("Slice", s, *parts, out="strided")
    short = c.node("Pad", short, c.constant("pad.pads", [0, 4, 0, 0, 0, 4, 0, 0]), out="pad")
    head(c, c.node("Relu", c.node("Add", m, short, out="sum")), "sum(z1, stream, z2)")


@case
def preact(c):
    c.groups(stream=12, mid=10)
    s = c.conv(c.input("x", 1, 3, 8, 8), "stem", "stream", 3)
    m = c.node("Relu", c.batch_norm(s, "bn1", "stream"))
    m = c.node("Relu", c.batch_norm(c.conv(m, "conv1", "mid", "stream"), "bn2", "mid"))
    head(c, c.node("Add", s, c.conv(m, "conv2", "stream", "mid"), out="sum"), "stream")


@case
def conv_bn_bias(c):
    c.groups(channel=12)
    x = c.batch_norm(c.conv(c.input("x", 1, 3, 8, 8), "conv", "channel", 3, bias=False), "bn", "channel")
    x = c.node("Clip", x, c.constant("zero", 0, np.float32), c.constant("six", 6, np.float32), out="relu6")
    head(c, x, "channel")


@case
def depthwise(c):
    c.groups(channel=18)
    x = c.node("Relu", c.conv(c.input("x", 1, 5, 8, 8), "expand", "channel", 5, size=1))
    x = c.node("Relu", c.conv(x, "depthwise", "channel", 1, group=18))
    c.output(c.conv(x, "project", 7, "channel", size=1), 1, 7, 8, 8)


@case
def depthwise_multiplier(c):
    c.groups(g=6, ko=2)
    x = c.node("Relu", c.conv(c.input("x", 1, 5, 8, 8), "expand", "g", 5, size=1))
    x = c.node("Relu", c.conv(x, "depthwise", "product(g, ko)", 1, group=6))
    c.output(c.conv(x, "project", 7, "product(g, ko)", size=1), 1, 7, 8, 8)


@case
def grouped(c):
    c.groups(g=4, ki=6, ko=6)
    x = c.node("Relu", c.conv(c.input("x", 1, 5, 8, 8), "reduce", "product(g, ki)", 5, size=1))
    x = c.node("Relu", c.conv(x, "grouped", "product(g, ko)", "ki", group=4))
    c.output(c.conv(x, "project", 7, "product(g, ko)", size=1), 1, 7, 8, 8)


@case
def squeeze_excite(c):
    c.groups(channel=16, bottleneck=5)
    x = c.node("Relu", c.conv(c.input("x", 1, 3, 8, 8), "conv", "channel", 3))
    s = c.node("GlobalAveragePool", x, out="squeeze")
    s = c.node("Relu", c.conv(s, "w1", "bottleneck", "channel", size=1))
    s = c.node("Sigmoid", c.conv(s, "w2", "channel", "bottleneck", size=1))
    head(c, c.node("Mul", x, s, out="scaled"), "channel")


@case
def dense_concat(c):
    c.groups(c1=6, c2=4, c3=5)
    c1 = c.node("Relu", c.conv(c.input("x", 1, 3, 8, 8), "conv1", "c1", 3))
    c2 = c.node("Relu", c.conv(c1, "conv2", "c2", "c1"))
    c3 = c.node("Relu", c.conv(c.node("Concat", c1, c2, out="cat1", axis=1), "conv3", "c3", "sum(c1, c2)"))
    y = c.conv(c.node("Concat", c1, c2, c3, out="cat2", axis=1), "conv4", 7, "sum(c1, c2, c3)")
    c.output(y, 1, 7, 8, 8)


@case
def concat_with_input(c):
    c.groups(c=8)
    x = c.input("x", 1, 3, 8, 8)
    m = c.node("Relu", c.conv(x, "conv1", "c", 3))
    c.output(c.conv(c.node("Concat", x, m, out="cat", axis=1), "conv2", 5, "sum(3, c)"), 1, 5, 8, 8)


@case
def shuffle(c):
    c.groups(a1=29, a2=29, b=58, mid1=40, mid2=44)
    s = c.node("Relu", c.conv(c.input("x", 1, 3, 8, 8), "stem", "sum(a1, a2, b)", 3, stride=2))

    def unit(s, number, middle, reads, writes):
        x1, x2 = c.split(s, 1, [58, 58], [f"unit{number}.x1", f"unit{number}.x2"])
        m = c.node("Relu", c.conv(x2, f"unit{number}.conv1", middle, reads, size=1))
        m = c.conv(m, f"unit{number}.conv2", middle, 1, group=c.extents[middle])
        m = c.node("Relu", c.conv(m, f"unit{number}.conv3", writes, middle, size=1))
        m = c.node("Concat", x1, m, out=f"unit{number}.cat", axis=1)
        m = c.transpose(c.reshape(m, [1, 2, 58, 4, 4], out=f"unit{number}.pairs"), [0, 2, 1, 3, 4], out=f"unit{number}.shuffled")
        return c.reshape(m, [1, 116, 4, 4], out=f"unit{number}.flat")
    s = unit(s, 1, "mid1", "b", "sum(a1, a2)")
    s = unit(s, 2, "mid2", "product(a2, 2)", "product(a1, 2)")
    head(c, s, "product(a1, 4)", 10)


def c2f(c, shortcut):
    c.groups(a=8, b=8, mid=6)
    if not shortcut:
        c.groups(m=7)
    last = "b" if shortcut else "m"
    z = c.node("Relu", c.conv(c.input("x", 1, 3, 8, 8), "conv1", "sum(a, b)", 3))
    a, b = c.split(z, 1, [8, 8], ["chunk_a", "chunk_b"])
    m = c.node("Relu", c.conv(b, "m.conv1", "mid", "b"))
    m = c.node("Relu", c.conv(m, "m.conv2", last, "mid"))
    if shortcut:
        m = c.node("Add", b, m, out="m.sum")
    y = c.conv(c.node("Concat", a, b, m, out="cat", axis=1), "conv2", 5, f"sum(a, b, {last})")
    c.output(y, 1, 5, 8, 8)


variant("c2f_plain", c2f, False)
variant("c2f_residual", c2f, True)


@case
def unet(c):
    c.groups(skip=8, down=16, up=10, last=12)
    skip = c.node("Relu", c.conv(c.input("x", 1, 3, 8, 8), "encoder1", "skip", 3))
    d = c.node("MaxPool", skip, out="down", kernel_shape=[2, 2], strides=[2, 2])
    d = c.node("Relu", c.conv(d, "encoder2", "down", "skip"))
    w = c.param("up.weight", "down", "up", 2, 2, fan_in=64)
    u = c.node("ConvTranspose", d, w, c.param("up.bias", "up", kind="bias"), out="up", kernel_shape=[2, 2], strides=[2, 2])
    m = c.node("Relu", c.conv(c.node("Concat", skip, u, out="cat", axis=1), "decoder", "last", "sum(skip, up)"))
    c.output(c.conv(m, "out", 2, "last", size=1), 1, 2, 8, 8)


@case
def groupnorm(c):
    c.groups(g=4, k=6)
    x = c.conv(c.input("x", 1, 3, 8, 8), "conv", "product(g, k)", 3)
    flat = c.reshape(x, [1, 4, -1], out="norm.groups")
    ones, zeros = c.given("norm.ones", np.ones(4, np.float32), "g"), c.given("norm.zeros", np.zeros(4, np.float32), "g")
    flat = c.node("InstanceNormalization", flat, ones, zeros, out="norm.normalised")
    x = c.reshape(flat, [1, 24, 8, 8], out="norm.channels")
    x = c.node("Mul", x, c.param("norm.weight", "product(g, k)", 1, 1, kind="positive"), out="norm.scaled")
    x = c.node("Relu", c.node("Add", x, c.param("norm.bias", "product(g, k)", 1, 1, kind="bias"), out="norm"))
    head(c, x, "product(g, k)")


@case
def pixel_shuffle(c):
    c.groups(c=4)
    x = c.conv(c.input("x", 1, 3, 4, 4), "conv1", "product(c, 9)", 3)
    x = c.node("Relu", c.node("DepthToSpace", x, out="shuffle", blocksize=3, mode="CRD"))
    c.output(c.conv(x, "conv2", 5, "c"), 1, 5, 12, 12)


def flatten_multi(c, by_reshape):
    c.groups(c=6)
    x = c.node("Relu", c.conv(c.input("x", 1, 3, 4, 5), "conv", "c", 3))
    x = c.reshape(x, [-1, 120], out="flatten") if by_reshape else c.node("Flatten", x, out="flatten", axis=1)
    c.output(c.gemm(x, "head", 7, "product(c, 20)"), 1, 7)


variant("flatten_multi_flatten", flatten_multi, False)
variant("flatten_multi_reshape", flatten_multi, True)


@case
def one_channel(c):
    c.groups(map=9)
    x = c.input("x", 1, 3, 8, 8)
    gate = c.node("Sigmoid", c.conv(x, "gate", 1, 3), out="gated")
    m = c.node("Relu", c.conv(x, "map", "map", 3))
    c.output(c.conv(c.node("Mul", gate, m, out="product"), "out", 5, "map"), 1, 5, 8, 8)


@case
def siamese(c):
    c.groups(channel=12)
    c.input("x1", 1, 3, 8, 8)
    c.input("x2", 1, 3, 8, 8)
    w, b = c.param("conv.weight", "channel", 3, 3, 3, fan_in=27), c.param("conv.bias", "channel", kind="bias")
    sides = [c.node("Relu", c.node("Conv", f"x{i}", w, b, out=f"conv_{i}", kernel_shape=[3, 3], pads=[1] * 4)) for i in (1, 2)]
    head(c, c.node("Sub", *sides, out="difference"), "channel")


@case
def spatial_attention(c):
    c.groups(channel=10)
    x = c.node("Relu", c.conv(c.input("x", 1, 3, 8, 8), "conv", "channel", 3))
    both = [c.reduce(f"Reduce{op}", x, [1], keep=1, out=op.lower()) for op in ("Mean", "Max")]
    s = c.node("Sigmoid", c.conv(c.node("Concat", *both, out="cat", axis=1), "spatial", 1, 2))
    head(c, c.node("Mul", x, s, out="scaled"), "channel")


@case
def lrn(c):
    x = c.node("Relu", c.conv(c.input("x", 1, 3, 8, 8), "conv1", 12, 3))
    x = c.node("LRN", x, out="lrn", size=3)
    c.output(c.conv(x, "conv2", 5, 12), 1, 5, 8, 8)


@case
def transpose_norm(c):
    c.groups(stream=12, hidden=48)
    s = c.conv(c.input("x", 1, 3, 8, 8), "stem", "stream", 3)
    m = c.transpose(c.conv(s, "depthwise", "stream", 1, size=7, group=12), [0, 2, 3, 1], out="to_last")
    m = c.layer_norm(m, "norm", "stream")
    m = c.node("Gelu", c.linear(m, "fc1", "hidden", "stream"))
    m = c.node("Mul", c.linear(m, "fc2", "stream", "hidden"), c.param("layer_scale", "stream", kind="positive"), out="scaled")
    head(c, c.node("Add", s, c.transpose(m, [0, 3, 1, 2], out="to_first"), out="sum"), "stream")


@case
def as_strided(c):
    c.groups(channel=12)
    x = c.node("Relu", c.conv(c.input("x", 1, 3, 8, 8), "conv", "channel", 3))
    x = c.reshape(c.node("GlobalAveragePool", x, out="pooled"), [-1], out="flat")
    x = c.node("Gather", x, c.constant("as_strided.indices", np.arange(12).reshape(1, 12, 1, 1)), out="as_strided", axis=0)
    c.output(c.conv(x, "out", 5, "channel", size=1), 1, 5, 1, 1)


@case
def step_slice(c):
    c.groups(c=5)
    x = c.conv(c.input("x", 1, 3, 8, 8), "conv1", "product(c, 2)", 3)
    even, odd = (c.slice(x, 1, start, 10, 2, out=word) for start, word in ((0, "even"), (1, "odd")))
    x = c.node("Mul", even, c.node("Sigmoid", odd), out="gated")
    c.output(c.conv(x, "conv2", 5, "c"), 1, 5, 8, 8)


@case
def gather_permutation(c):
    c.groups(channel=12)
    x = c.node("Relu", c.conv(c.input("x", 1, 3, 8, 8), "conv1", "channel", 3))
    order = c.constant("order", [5, 2, 9, 0, 11, 7, 3, 10, 1, 8, 4, 6])
    x = c.node("Gather", x, order, out="permuted", axis=1)
    c.output(c.conv(x, "conv2", 5, 12), 1, 5, 8, 8)


@case
def codomain_elsewhere(c):
    x = c.node("Relu", c.conv(c.input("x", 1, 3, 8, 8), "conv", 12, 3))
    c.output(c.node("ArgMax", x, out="class", axis=1, keepdims=0), 1, 8, 8, kind=INT64)


@case
def dynamic_batch_conv(c):
    """Flattened through Shape, Gather and Concat, as the legacy exporter writes `x.view(x.shape[0], -1)`."""
    c.groups(conv1=6, conv2=8, fc=11)
    x = c.input("x", "batch", 3, 8, 8, feed=c.random.standard_normal((3, 3, 8, 8)).astype(np.float32))
    x = c.node("Relu", c.conv(x, "conv1", "conv1", 3))
    x = c.node("Relu", c.conv(x, "conv2", "conv2", "conv1", stride=2))
    batch = c.select(c.node("Shape", x, out="shape"), 0, 0, out="batch")
    target = c.node("Concat", c.node("Unsqueeze", batch, c.constant("first", [0])), c.constant("rest", [-1]), out="target", axis=0)
    x = c.node("Relu", c.gemm(c.node("Reshape", x, target, out="flatten"), "fc1", "fc", "product(conv2, 16)"))
    c.output(c.gemm(x, "fc2", 5, "fc"), "batch", 5)
