"""Attention and language cases."""
import numpy as np

from .builder import INT64, attention_core, case, variant

TOKENS, IN = 9, 6


def embedded(c, width="width", tokens=TOKENS, name="x", prefix="embed", inputs=IN):
    """Tokens of an input through a linear layer: the stream starts here."""
    return c.linear(c.input(name, 1, tokens, inputs), prefix, width, inputs)


def finish(c, h, width="width", tokens=TOKENS, outputs=5):
    c.output(c.linear(h, "head", outputs, width), 1, tokens, outputs)


def heads_of(c, x, name, tokens, count, dims):
    """[1, N, H·D] to [1, H, N, D]."""
    return c.transpose(c.reshape(x, [1, tokens, count, dims], out=f"{name}.split"), [0, 2, 1, 3], out=f"{name}.heads")


def merged(c, x, prefix, tokens, total):
    """[1, H, N, D] to [1, N, H·D]."""
    return c.reshape(c.transpose(x, [0, 2, 1, 3], out=f"{prefix}.by_token"), [1, tokens, total], out=f"{prefix}.merged")


def separate_attention(c, h, prefix, heads, dims, value, width="width", tokens=TOKENS, turn=None, scale=4.0, core=attention_core, source=None,
                       source_width=None, source_tokens=None, mask=None):
    """Attention with its own q, k and v projections and a residual sum. dims, value: layouts of one head's axes. turn(x, name) acts on q, k."""
    source, source_width, source_tokens = source or h, source_width or width, source_tokens or tokens
    count, wide, deep = c.extent(heads), c.extent(dims), c.extent(value)
    q = c.linear(h, f"{prefix}.q", f"product({heads}, {dims})", width, bias=False)
    k = c.linear(source, f"{prefix}.k", f"product({heads}, {dims})", source_width, bias=False)
    v = c.linear(source, f"{prefix}.v", f"product({heads}, {value})", source_width, bias=False)
    q, k = heads_of(c, q, f"{prefix}.q", tokens, count, wide), heads_of(c, k, f"{prefix}.k", source_tokens, count, wide)
    v = heads_of(c, v, f"{prefix}.v", source_tokens, count, deep)
    if turn:
        q, k = turn(q, f"{prefix}.q"), turn(k, f"{prefix}.k")
    o = merged(c, core(c, prefix, q, k, v, scale, mask), prefix, tokens, count * deep)
    return c.node("Add", h, c.linear(o, f"{prefix}.o", width, f"product({heads}, {value})", bias=False), out=f"{prefix}.sum")


# ------------------------------------------------------------------------------------------------ fused qkv
def dino(c, how):
    c.groups(width=384, heads=6)
    c.groups(**({"qk": 64, "v": 64} if how == "chunk" else {"dims": 64}))
    rows = {"index": "product(3, heads, dims)", "unbind": "product(3, heads, dims)", "neox": "product(heads, 3, dims)",
            "chunk": "sum(product(heads, qk), product(heads, qk), product(heads, v))"}[how]
    h = embedded(c, tokens=17, inputs=8)
    x = c.linear_transposed(h, "qkv", rows, "width")
    if how == "chunk":
        parts = c.split(x, -1, [384] * 3, ["q.flat", "k.flat", "v.flat"])
        q, k, v = (heads_of(c, p, n, 17, 6, 64) for p, n in zip(parts, "qkv"))
    elif how == "neox":
        x = c.transpose(c.reshape(x, [1, 17, 6, 3, 64], out="qkv5"), [0, 2, 3, 1, 4], out="qkv5_t")
        q, k, v = (c.select(x, 2, i, out=n) for i, n in enumerate("qkv"))
    else:
        x = c.transpose(c.reshape(x, [1, 17, 3, 6, 64], out="qkv5"), [2, 0, 3, 1, 4], out="qkv5_t")
        if how == "index":
            q, k, v = (c.select(x, 0, i, out=n) for i, n in enumerate("qkv"))
        else:
            parts = c.split(x, 0, [1, 1, 1], ["q.part", "k.part", "v.part"])
            q, k, v = (c.node("Squeeze", p, c.constant("first_axis", [0]), out=n) for p, n in zip(parts, "qkv"))
    o = merged(c, attention_core(c, "attention", q, k, v, 8.0), "attention", 17, 384)
    o = c.linear_transposed(o, "proj", "width", "product(heads, v)" if how == "chunk" else "product(heads, dims)")
    finish(c, c.node("Add", h, o, out="sum"), tokens=17, outputs=10)


variant("dino_index", dino, "index")
variant("dino_unbind", dino, "unbind")
variant("dino_chunk", dino, "chunk")
variant("neox_interleaved", dino, "neox")


@case
def gqa(c):
    c.groups(width=40, kv=2, r=4, d=16, dv=16)
    h = embedded(c)
    q = heads_of(c, c.linear(h, "q", "product(kv, r, d)", "width", bias=False), "q", TOKENS, 8, 16)

    def repeated(name, dims):
        x = heads_of(c, c.linear(h, name, f"product(kv, {dims})", "width", bias=False), name, TOKENS, 2, 16)
        x = c.node("Unsqueeze", x, c.constant("repeat_axis", [2]), out=f"{name}.one")
        x = c.node("Expand", x, c.constant(f"{name}.repeat", [1, 2, 4, TOKENS, 16]), out=f"{name}.repeated")
        return c.reshape(x, [1, 8, TOKENS, 16], out=f"{name}.queries")
    k, v = repeated("k", "d"), repeated("v", "dv")
    o = merged(c, attention_core(c, "attention", q, k, v, 4.0), "attention", TOKENS, 128)
    finish(c, c.node("Add", h, c.linear(o, "o", "width", "product(kv, r, dv)", bias=False), out="sum"))


def rotary_tables(c, layout, pairs, shape):
    """cos and sin of position · frequency, as constants."""
    angle = np.arange(TOKENS)[:, None] * 10.0 ** (-np.arange(pairs) / pairs)
    angle = np.concatenate([angle, angle], -1) if layout.startswith("product") else angle
    return [c.given(n, f(angle).astype(np.float32).reshape(shape), *([1] * (len(shape) - 2)), TOKENS, layout)
            for n, f in (("cos", np.cos), ("sin", np.sin))]


def rotate_half(c, cos, sin, pairs):
    """x·cos + cat(−x2, x1)·sin on the last axis."""
    def turn(x, name):
        x1, x2 = c.slice(x, 3, 0, pairs, out=f"{name}.x1"), c.slice(x, 3, pairs, 2 * pairs, out=f"{name}.x2")
        turned = c.node("Concat", c.node("Neg", x2), x1, out=f"{name}.turned", axis=-1)
        return c.node("Add", c.node("Mul", x, cos), c.node("Mul", turned, sin), out=f"{name}.rotated")
    return turn


@case
def mqa(c):
    c.groups(width=44, r=6, p=8)
    h = embedded(c)
    x = c.linear(h, "qkv", "product(sum(r, 2), product(2, p))", "width", bias=False)
    x = c.reshape(x, [1, TOKENS, 8, 16], out="fused")
    q = c.slice(x, 2, 0, -2, out="q.part")
    first = c.transpose(x, [2, 0, 1, 3], out="heads_first")
    # `x[..., [-2], :]`, as exporters write it: the indexed axis first, GatherND, and back.
    k, v = (c.transpose(c.node("GatherND", first, c.constant(f"{n}.index", [[i]]), out=f"{n}.rows"), [1, 2, 0, 3], out=f"{n}.part")
            for n, i in (("k", -2), ("v", -1)))
    q, k, v = (c.transpose(p, [0, 2, 1, 3], out=f"{n}.heads") for p, n in ((q, "q"), (k, "k"), (v, "v")))
    turn = rotate_half(c, *rotary_tables(c, "product(2, p)", 8, (1, 1, TOKENS, 16)), 8)
    o = attention_core(c, "attention", turn(q, "q"), turn(k, "k"), v, 4.0)
    o = merged(c, o, "attention", TOKENS, 96)
    finish(c, c.node("Add", h, c.linear(o, "dense", "width", "product(r, product(2, p))", bias=False), out="sum"))


# ------------------------------------------------------------------------------------------------ rotary
@case
def rope_half(c):
    c.groups(width=20, heads=3, p=8, dv=10)
    turn = rotate_half(c, *rotary_tables(c, "product(2, p)", 8, (TOKENS, 16)), 8)
    finish(c, separate_attention(c, embedded(c), "attention", "heads", "product(2, p)", "dv", turn=turn))


@case
def rope_shared(c):
    c.groups(width=20, heads1=3, heads2=5, p=8, dv1=10, dv2=12)
    turn = rotate_half(c, *rotary_tables(c, "product(2, p)", 8, (TOKENS, 16)), 8)
    h = separate_attention(c, embedded(c), "layer1", "heads1", "product(2, p)", "dv1", turn=turn)
    finish(c, separate_attention(c, h, "layer2", "heads2", "product(2, p)", "dv2", turn=turn))


@case
def rope_interleaved(c):
    c.groups(width=20, heads=3, p=8, dv=10)
    cos, sin = rotary_tables(c, "p", 8, (TOKENS, 8))

    def turn(x, name):
        x1, x2 = (c.slice(x, 3, s, 16, 2, out=f"{name}.{w}") for s, w in ((0, "even"), (1, "odd")))
        y1 = c.node("Sub", c.node("Mul", x1, cos), c.node("Mul", x2, sin))
        y2 = c.node("Add", c.node("Mul", x2, cos), c.node("Mul", x1, sin))
        pairs = [c.node("Unsqueeze", y, c.constant("pair_axis", [4])) for y in (y1, y2)]
        return c.reshape(c.node("Concat", *pairs, axis=4), [1, 3, TOKENS, 16], out=f"{name}.rotated")
    finish(c, separate_attention(c, embedded(c), "attention", "heads", "product(p, 2)", "dv", turn=turn))


@case
def rope_computed(c):
    c.groups(width=20, heads=3, p=8, dv=10)
    frequency = c.given("inv_freq", (np.arange(1, 9) / 8).astype(np.float32), "p")
    positions = c.constant("positions", np.arange(TOKENS, dtype=np.float32)[:, None], np.float32)
    angle = c.node("Mul", positions, frequency, out="angle")
    both = c.node("Concat", angle, angle, out="angles", axis=-1)
    turn = rotate_half(c, c.node("Cos", both, out="cos"), c.node("Sin", both, out="sin"), 8)
    finish(c, separate_attention(c, embedded(c), "attention", "heads", "product(2, p)", "dv", turn=turn))


@case
def qk_norm(c):
    c.opset = 17
    c.groups(width=20, heads=3, d=16, dv=10)

    def turn(x, name):
        squared = c.reduce("ReduceMean", c.node("Mul", x, x), [-1], keep=1, out=f"{name}.mean_square")
        root = c.node("Sqrt", c.node("Add", squared, c.constant("epsilon", 1e-6, np.float32)))
        return c.node("Mul", c.node("Div", x, root), c.param(f"{name}_norm.weight", "d", kind="positive"), out=f"{name}.normed")
    finish(c, separate_attention(c, embedded(c), "attention", "heads", "d", "dv", turn=turn))


# ------------------------------------------------------------------------------------------------ numbers from shapes
def scale_from_shape(c):
    c.groups(width=20, heads=3, d=16, dv=10)

    def core(c, prefix, q, k, v, scale, mask):
        d = c.select(c.node("Shape", q, out="q.shape"), 0, -1, out="q.dim")
        root = c.node("Sqrt", c.node("Cast", d, to=1), out="root")
        scores = c.node("Div", c.node("MatMul", q, c.transpose(k, [0, 1, 3, 2])), root, out=f"{prefix}.scores")
        return c.node("MatMul", c.node("Softmax", scores, axis=-1), v, out=f"{prefix}.context")
    finish(c, separate_attention(c, embedded(c), "attention", "heads", "d", "dv", core=core))


def shape_both_ways(c):
    c.groups(width=20, heads=3, d=16, dv=10)

    def core(c, prefix, q, k, v, scale, mask):
        d = c.select(c.node("Shape", q, out="q.shape"), 0, -1, out="q.dim")
        target = c.node("Concat", c.constant("batch_heads", [3]), c.constant("tokens", [TOKENS]),
                        c.node("Unsqueeze", d, c.constant("first", [0])), out="target", axis=0)
        q, k = (c.node("Reshape", x, target, out=f"{prefix}.{n}3") for x, n in ((q, "q"), (k, "k")))
        scores = c.node("MatMul", q, c.transpose(k, [0, 2, 1]))
        scores = c.node("Div", scores, c.node("Cast", d, to=1), out=f"{prefix}.scores")
        weights = c.node("Unsqueeze", c.node("Softmax", scores, axis=-1), c.constant("first", [0]))
        return c.node("MatMul", weights, v, out=f"{prefix}.context")
    finish(c, separate_attention(c, embedded(c), "attention", "heads", "d", "dv", core=core))


variant("scale_from_shape", scale_from_shape)
variant("shape_both_ways", shape_both_ways)


# ------------------------------------------------------------------------------------------------ streams and tables
@case
def tied_embedding(c):
    c.groups(width=24, hidden=30)
    ids = c.input("ids", 1, TOKENS, kind=INT64, feed=c.random.integers(0, 50, (1, TOKENS)))
    table = c.param("E", 50, "width")
    h = c.node("Gather", table, ids, out="embedded", axis=0)
    m = c.linear(c.node("Relu", c.linear(h, "fc1", "hidden", "width")), "fc2", "width", "hidden")
    h = c.layer_norm(c.node("Add", h, m, out="sum"), "norm", "width")
    c.output(c.node("MatMul", h, c.transpose(table, [1, 0], out="E_t"), out="logits"), 1, TOKENS, 50)


@case
def glu_chunk(c):
    c.groups(hidden=11)
    x = c.gemm(c.input("x", 3, 6), "w1", "product(2, hidden)", 6)
    gate, up = c.split(x, -1, [11, 11], ["gate", "up"])
    c.output(c.gemm(c.node("Mul", c.silu(gate), up, out="gated"), "w2", 5, "hidden"), 3, 5)


@case
def relative_bias(c):
    c.groups(width=20, heads=6, d=7, dv=10)
    place = np.stack(np.divmod(np.arange(16), 4), -1)
    offset = place[:, None] - place[None] + 3
    table = c.param("relative.table", 49, "heads")
    bias = c.node("Gather", table, c.constant("relative.index", offset[..., 0] * 7 + offset[..., 1]), out="relative.gathered", axis=0)
    bias = c.node("Unsqueeze", c.transpose(bias, [2, 0, 1], out="relative.by_head"), c.constant("first", [0]), out="relative.bias")
    h = embedded(c, tokens=16)
    finish(c, separate_attention(c, h, "attention", "heads", "d", "dv", tokens=16, mask=bias), tokens=16)


@case
def window(c):
    c.groups(width=24, heads=6, dims=5)
    h = c.linear(c.input("x", 1, 8, 8, 3), "embed", "width", 3)

    def roll(x, by, name):
        for axis in (1, 2):
            cut = by % 8
            parts = [c.slice(x, axis, cut, 8, out=f"{name}{axis}.tail"), c.slice(x, axis, 0, cut, out=f"{name}{axis}.head")]
            x = c.node("Concat", *parts, out=f"{name}{axis}", axis=axis)
        return x
    x = roll(h, 2, "roll")
    x = c.transpose(c.reshape(x, [1, 2, 4, 2, 4, 24], out="windows6"), [0, 1, 3, 2, 4, 5], out="windows6_t")
    x = c.reshape(x, [4, 16, 24], out="windows")
    x = c.reshape(c.linear(x, "qkv", "product(3, heads, dims)", "width"), [4, 16, 3, 6, 5], out="qkv5")
    x = c.transpose(x, [2, 0, 3, 1, 4], out="qkv5_t")
    q, k, v = (c.select(x, 0, i, out=n) for i, n in enumerate("qkv"))
    o = c.transpose(attention_core(c, "attention", q, k, v, 2.0), [0, 2, 1, 3])
    o = c.linear(c.reshape(o, [4, 16, 30], out="attention.merged"), "proj", "width", "product(heads, dims)")
    o = c.transpose(c.reshape(o, [1, 2, 2, 4, 4, 24], out="back6"), [0, 1, 3, 2, 4, 5], out="back6_t")
    o = roll(c.reshape(o, [1, 8, 8, 24], out="back"), -2, "unroll")
    h = c.node("Add", h, o, out="sum")
    c.output(c.linear(h, "head", 5, "width"), 1, 8, 8, 5)


@case
def patch_merge(c):
    c.groups(c=12, merged=14)
    h = c.linear(c.input("x", 1, 8, 8, 3), "embed", "c", 3)
    corners = []
    for name, row, column in (("x0", 0, 0), ("x1", 1, 0), ("x2", 0, 1), ("x3", 1, 1)):
        corners.append(c.slice(c.slice(h, 1, row, 8, 2, out=f"{name}.rows"), 2, column, 8, 2, out=name))
    x = c.layer_norm(c.node("Concat", *corners, out="cat", axis=-1), "norm", "sum(c, c, c, c)")
    x = c.linear(x, "reduction", "merged", "sum(c, c, c, c)", bias=False)
    c.output(c.linear(c.node("Gelu", x), "head", 5, "merged"), 1, 4, 4, 5)


@case
def cls_position(c):
    c.groups(stream=24)
    h = embedded(c, "stream", tokens=16)
    token = c.node("Expand", c.param("cls", 1, 1, "stream"), c.constant("cls.shape", [1, 1, 24]), out="cls.expanded")
    h = c.node("Add", c.node("Concat", token, h, out="cat", axis=1), c.param("position", 1, 17, "stream"), out="positioned")
    finish(c, c.layer_norm(h, "norm", "stream"), "stream", 17)


@case
def cross_attention(c):
    c.groups(decoder=20, encoder=28, heads=3, d=8, dv=10)
    d = embedded(c, "decoder", tokens=5, name="decoder_x", prefix="decoder_embed")
    e = c.layer_norm(embedded(c, "encoder", name="encoder_x", prefix="encoder_embed", inputs=7), "encoder_norm", "encoder")
    y = separate_attention(c, d, "cross", "heads", "d", "dv", width="decoder", tokens=5, source=e, source_width="encoder", source_tokens=9)
    finish(c, y, "decoder", 5)


@case
def position_rows(c):
    c.groups(width=24, hidden=30, rest=4)
    h = embedded(c, tokens=16)
    rows = c.slice(c.param("P", "sum(16, rest)", "width"), 0, 0, 16, out="P.read")
    h = c.node("Add", h, rows, out="positioned")
    m = c.linear(c.node("Relu", c.linear(h, "fc1", "hidden", "width")), "fc2", "width", "hidden")
    finish(c, c.node("Add", h, m, out="sum"), tokens=16)


# ------------------------------------------------------------------------------------------------ experts, einsum, fused
def moe(c, experts, k):
    c.groups(c=12, f=14, e=experts)
    h = c.gemm(c.input("x", 7, 5), "embed", "c", 5)
    scores = c.node("Softmax", c.gemm(h, "router", "e", "c"), axis=-1, out="scores")
    best, which = c.node("TopK", scores, c.constant("k", [k]), outputs=["best", "which"], axis=-1)
    up = c.node("Gather", c.param("experts.up", "e", "f", "c", fan_in=12), which, out="up", axis=0)
    down = c.node("Gather", c.param("experts.down", "e", "c", "f", fan_in=14), which, out="down", axis=0)
    column = c.node("Unsqueeze", h, c.constant("column", [1, 3]), out="token")
    m = c.node("Relu", c.node("MatMul", up, column, out="hidden"))
    m = c.node("Squeeze", c.node("MatMul", down, m), c.constant("last", [3]), out="answers")
    m = c.node("Mul", m, c.node("Unsqueeze", best, c.constant("weight_axis", [2])), out="weighted")
    m = c.reduce("ReduceSum", m, [1], out="mixed")
    c.output(c.gemm(c.node("Add", h, m, out="sum"), "head", 5, "c"), 7, 5)


variant("moe", moe, 4, 2)
variant("top_k_bound", moe, 8, 3)


@case
def einsum(c):
    c.groups(c=20, h=4, d=6, dv=10)
    x = embedded(c, "c")
    q, k, v = (c.node("Einsum", x, c.param(f"{n}.weight", "c", "h", d, fan_in=20), equation="bnc,chd->bnhd", out=n)
               for n, d in (("q", "d"), ("k", "d"), ("v", "dv")))
    w = c.node("Softmax", c.node("Einsum", q, k, equation="bnhd,bmhd->bhnm", out="scores"), axis=-1)
    o = c.node("Einsum", w, v, equation="bhnm,bmhd->bnhd", out="context")
    o = c.node("Einsum", o, c.param("o.weight", "h", "dv", "c", fan_in=40), equation="bnhd,hdc->bnc", out="o")
    finish(c, c.node("Add", x, o, out="sum"), "c")


@case
def mha_fused(c):
    c.domains = {"com.microsoft": 1}
    c.groups(width=20, heads=6, dims=16, dv=10)
    h = embedded(c)
    q, k, v = (c.linear(h, n, f"product(heads, {d})", "width", bias=False) for n, d in (("q", "dims"), ("k", "dims"), ("v", "dv")))
    o = c.node("MultiHeadAttention", q, k, v, out="attention", domain="com.microsoft", num_heads=6)
    finish(c, c.node("Add", h, c.linear(o, "o", "width", "product(heads, dv)", bias=False), out="sum"))


@case
def dynamic_batch_attention(c):
    """Batch and sequence are symbols; reshape targets come through Shape, Gather and Concat."""
    c.groups(width=24, heads=5, dims=6)
    x = c.input("x", "batch", "seq", 8, feed=c.random.standard_normal((3, 7, 8)).astype(np.float32))
    h = c.linear(x, "embed", "width", 8)
    shape = c.node("Shape", h, out="h.shape")
    batch, seq = (c.node("Unsqueeze", c.select(shape, 0, i, out=n), c.constant("first", [0]), out=f"{n}1")
                  for i, n in enumerate(("batch", "seq")))
    target = c.node("Concat", batch, seq, *(c.constant(f"number_{n}", [n]) for n in (3, 5, 6)), out="qkv.target", axis=0)
    x = c.node("Reshape", c.linear(h, "qkv", "product(3, heads, dims)", "width"), target, out="qkv5")
    parts = c.split(c.transpose(x, [2, 0, 3, 1, 4], out="qkv5_t"), 0, [1, 1, 1], ["q.part", "k.part", "v.part"])
    q, k, v = (c.node("Squeeze", p, c.constant("first", [0]), out=n) for p, n in zip(parts, "qkv"))
    o = c.transpose(attention_core(c, "attention", q, k, v, 2.5), [0, 2, 1, 3], out="attention.by_token")
    target = c.node("Concat", batch, seq, c.constant("number_30", [30]), out="merge.target", axis=0)
    o = c.linear(c.node("Reshape", o, target, out="attention.merged"), "proj", "width", "product(heads, dims)")
    c.output(c.linear(c.node("Add", h, o, out="sum"), "head", 5, "width"), "batch", "seq", 5)
