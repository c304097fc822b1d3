#!/usr/bin/env python3
"""What ../shared/CASES.md expects of each case, as hand-written tables; writes Tests/PassesTests/Cases/expected.json.

    cases_expected.py [--out FILE] [--check]

Per case: `groups` (placeholder -> extent), `kinds` where the row states them or they follow directly, `layouts` of every parameter
(those its values were made from, make_cases.py), and `runs`. A run has
  options      of the command line, after `prunec CASE.onnx -o S.onnx --plan P.json`
  pruned       placeholders that lose indices; all others keep all
  kept         placeholder -> kept indices; or a number, where the score does not say which
  shapes       tensor -> shape in S.onnx, as the row states it
  positions    tensor -> {axis: [first, last]} of the original's positions that stay
  attributes   node -> {attribute: value in S.onnx}
  inputs       node -> {input number: the constant it reads in S.onnx}
  resize       placeholder -> how many stay: the run's plan is edited so and run again with --apply
  share_at_most, identical_nodes, stored_once: bounds and bytes
With --check the stated shapes are proved to follow from layouts and kept indices.
"""
import argparse
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import layouts as L
from make_cases import REGISTRY, build

BASE = "--ratio 0.5 --round-to 1"
ALL = f"{BASE} --kinds all"
FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Tests", "PassesTests", "Cases", "expected.json")


def run(options=ALL, pruned="*", **expected):
    return dict(options=options, pruned=pruned, **expected)


def kinds(names):
    return f"{BASE} --kinds {names}"


HEADS = dict(heads="heads", dims="head-dims", width="width")
SEPARATE = dict(heads="heads", d="head-dims", dv="head-dims", width="width")
ROTARY = dict(heads="heads", p="head-dims", dv="head-dims", width="width")


def dino(rows, positions):
    return dict(kinds=HEADS, runs=[
        run(kinds("heads"), ["heads"], kept=dict(heads=[3, 4, 5]), shapes={"qkv.weight": rows, "proj.weight": [384, 192]}, **positions),
        run(BASE, ["heads", "width"], shapes={"qkv.weight": [576, 192], "proj.weight": [192, 192]}),
        run(shapes={"qkv.weight": [288, 192], "proj.weight": [192, 96]})])


FIVE = dict(inputs={"qkv5": {"1": [1, 17, 3, 3, 64]}, "attention.scaled": {"1": 8.0}})

CASES = {
    # ---------------------------------------------------------------------------------------- from the seeds
    "dino_index": dino([576, 384], FIVE),
    "dino_unbind": dino([576, 384], FIVE),
    "dino_chunk": dict(kinds=dict(heads="heads", qk="head-dims", v="head-dims", width="width"), runs=[
        run(kinds("head-dims"), ["qk", "v"], resize=dict(qk=16, v=32), kept=dict(qk=list(range(48, 64)), v=list(range(32, 64))),
            shapes={"qkv.weight": [384, 384], "proj.weight": [384, 192]}),
        run(BASE, ["heads", "width"], shapes={"qkv.weight": [576, 192], "proj.weight": [192, 192]}),
        run(shapes={"qkv.weight": [288, 192], "proj.weight": [192, 96]})]),
    "neox_interleaved": dino([576, 384], dict(positions={"qkv.weight": {"0": [576, 1151]}})),
    "lenet": dict(runs=[run(positions={"fc1.weight": {"1": [200, 399]}}, shapes={
        "conv1.weight": [3, 1, 3, 3], "conv2.weight": [8, 3, 3, 3], "fc1.weight": [60, 200], "fc2.weight": [42, 60], "fc3.weight": [10, 42]})]),

    # ---------------------------------------------------------------------------------------- convolutional
    "residual": dict(kinds=dict(a="width"), runs=[run(shapes={
        "conv.weight": [6, 3, 3, 3], "conv1.weight": [5, 6, 3, 3], "conv2.weight": [6, 5, 3, 3], "head.weight": [5, 6]})]),
    "downsample": dict(runs=[run(shapes={
        "conv2.weight": [10, 5, 3, 3], "shortcut.weight": [10, 7, 1, 1], "bn2.running_var": [10], "shortcut_bn.weight": [10], "stem.bias": [7]})]),
    "shortcut_pad": dict(runs=[run(inputs={"pad": {"1": [0, 2, 0, 0, 0, 2, 0, 0]}}, shapes={
        "conv2.weight": [8, 4, 3, 3], "stem.weight": [4, 3, 3, 3], "head.weight": [5, 8]})]),
    "preact": dict(kinds=dict(stream="width"), runs=[run(shapes={
        "stem.weight": [6, 3, 3, 3], "bn1.weight": [6], "conv1.weight": [5, 6, 3, 3], "bn2.bias": [5], "conv2.weight": [6, 5, 3, 3]})]),
    "conv_bn_bias": dict(kinds=dict(channel="channels"), runs=[run(shapes={
        "conv.weight": [6, 3, 3, 3], "bn.weight": [6], "bn.bias": [6], "bn.running_mean": [6], "bn.running_var": [6]})]),
    "depthwise": dict(runs=[run(attributes={"depthwise": {"group": 9}}, shapes={
        "expand.weight": [9, 5, 1, 1], "depthwise.weight": [9, 1, 3, 3], "project.weight": [7, 9, 1, 1]})]),
    "depthwise_multiplier": dict(runs=[
        run(BASE, ["g"], attributes={"depthwise": {"group": 3}}, shapes={"depthwise.weight": [6, 1, 3, 3]}),
        run(attributes={"depthwise": {"group": 3}}, shapes={"depthwise.weight": [3, 1, 3, 3]})]),
    "grouped": dict(kinds=dict(g="groups", ki="channels", ko="channels"), runs=[
        run(BASE, ["ki", "ko"], attributes={"grouped": {"group": 4}}, shapes={"grouped.weight": [12, 3, 3, 3]}),
        run(kinds("groups"), ["g"], attributes={"grouped": {"group": 2}}, shapes={"grouped.weight": [12, 6, 3, 3]}),
        run(attributes={"grouped": {"group": 2}}, shapes={"grouped.weight": [6, 3, 3, 3]})]),
    "squeeze_excite": dict(runs=[run(shapes={"conv.weight": [8, 3, 3, 3], "w1.weight": [2, 8, 1, 1], "w2.weight": [8, 2, 1, 1]})]),
    "dense_concat": dict(runs=[run(shapes={"conv3.weight": [2, 5, 3, 3], "conv4.weight": [7, 7, 3, 3]})]),
    "concat_with_input": dict(runs=[run(shapes={"conv2.weight": [5, 7, 3, 3]})]),
    "shuffle": dict(runs=[run(share_at_most=0.35, shapes={"stem.weight": [57, 3, 3, 3], "head.weight": [10, 56]})]),
    "c2f_plain": dict(runs=[run(shapes={"conv1.weight": [8, 3, 3, 3], "conv2.weight": [5, 11, 3, 3]})]),
    "c2f_residual": dict(runs=[run(shapes={"conv1.weight": [8, 3, 3, 3], "conv2.weight": [5, 12, 3, 3]})]),
    "unet": dict(runs=[run(shapes={"up.weight": [8, 5, 2, 2], "decoder.weight": [6, 9, 3, 3], "encoder2.weight": [8, 4, 3, 3]})]),
    "groupnorm": dict(kinds=dict(g="norm-groups", k="channels"), runs=[
        run(BASE, ["g"], shapes={"conv.weight": [12, 3, 3, 3], "norm.ones": [2]}),
        run(kinds("channels"), ["k"], shapes={"conv.weight": [12, 3, 3, 3], "norm.ones": [4]}),
        run(shapes={"conv.weight": [6, 3, 3, 3]})]),
    "pixel_shuffle": dict(runs=[run(shapes={"conv1.weight": [18, 3, 3, 3], "conv2.weight": [5, 2, 3, 3]})]),
    "flatten_multi_flatten": dict(runs=[run(positions={"head.weight": {"1": [60, 119]}}, shapes={"head.weight": [7, 60]})]),
    "flatten_multi_reshape": dict(runs=[run(positions={"head.weight": {"1": [60, 119]}}, shapes={"head.weight": [7, 60]})]),
    "one_channel": dict(runs=[run(shapes={"gate.weight": [1, 3, 3, 3], "map.weight": [4, 3, 3, 3], "out.weight": [5, 4, 3, 3]})]),
    "siamese": dict(runs=[run(stored_once=["conv.weight"], shapes={"conv.weight": [6, 3, 3, 3]})]),
    "spatial_attention": dict(runs=[run(shapes={"conv.weight": [5, 3, 3, 3], "spatial.weight": [1, 2, 3, 3]})]),
    "lrn": dict(reasons={"conv1.weight": {"0": ["LRN"]}}, runs=[run()]),
    "transpose_norm": dict(kinds=dict(stream="width", hidden="hidden"), runs=[run(shapes={
        "fc1.weight": [6, 24], "fc2.weight": [24, 6], "norm.weight": [6], "layer_scale": [6], "depthwise.weight": [6, 1, 7, 7]})]),
    "as_strided": dict(runs=[run(inputs={"as_strided": {"1": [[[[0]], [[1]], [[2]], [[3]], [[4]], [[5]]]]}}, shapes={"out.weight": [5, 6, 1, 1]})]),
    "step_slice": dict(runs=[run(positions={"conv1.weight": {"0": [6, 9]}}, shapes={"conv1.weight": [4, 3, 3, 3], "conv2.weight": [5, 2, 3, 3]})]),
    "gather_permutation": dict(free=True, runs=[run()]),
    "codomain_elsewhere": dict(reasons={"conv.weight": {"0": ["class", "output"]}}, runs=[run()]),
    "dynamic_batch_conv": dict(runs=[run(batches=[1, 5], shapes={"fc1.weight": [5, 64], "conv2.weight": [4, 3, 3, 3]})]),

    # ---------------------------------------------------------------------------------------- attention and language
    "gqa": dict(kinds=dict(kv="heads", r="queries", d="head-dims", dv="head-dims", width="width"), runs=[
        run(BASE, ["kv", "width"], inputs={"k.repeated": {"1": [1, 1, 4, 9, 16]}},
            shapes={"q.weight": [20, 64], "k.weight": [20, 16], "v.weight": [20, 16], "o.weight": [64, 20]}),
        run(inputs={"k.repeated": {"1": [1, 1, 2, 9, 8]}}, shapes={"q.weight": [20, 16], "k.weight": [20, 8], "o.weight": [16, 20]})]),
    "mqa": dict(kinds=dict(r="heads", p="head-dims", width="width"), runs=[
        run(options, kept=dict(r=[3, 4, 5], p=[4, 5, 6, 7]), shapes={"qkv.weight": [22, 40], "dense.weight": [24, 22]})
        for options in (BASE, ALL)]),
    "rope_half": dict(kinds=ROTARY, runs=[
        run(kinds("head-dims"), ["p", "dv"], shapes={"attention.q.weight": [20, 24], "cos": [9, 8], "sin": [9, 8]}), run()]),
    "rope_shared": dict(runs=[run(shapes={"layer1.q.weight": [10, 8], "layer2.q.weight": [10, 16], "cos": [9, 8]})]),
    "rope_interleaved": dict(kinds=ROTARY, runs=[run(shapes={"attention.q.weight": [10, 8], "cos": [9, 4]})]),
    "rope_computed": dict(runs=[run(shapes={"attention.q.weight": [10, 8], "inv_freq": [4]})]),
    "qk_norm": dict(kinds=SEPARATE, runs=[run(shapes={"attention.q_norm.weight": [8], "attention.k_norm.weight": [8]})]),
    "tied_embedding": dict(kinds=dict(width="width", hidden="hidden"), runs=[run(stored_once=["E"], shapes={"E": [50, 12]})]),
    "scale_from_shape": dict(kinds=SEPARATE, runs=[run(shapes={"attention.q.weight": [10, 8]})]),
    "shape_both_ways": dict(runs=[run(shapes={"attention.q.weight": [10, 8]})]),
    "glu_chunk": dict(runs=[run(shapes={"w1.weight": [10, 6], "w2.weight": [5, 5]})]),
    "relative_bias": dict(kinds=SEPARATE, runs=[run(kinds("heads"), ["heads"], shapes={"relative.table": [49, 3]}), run()]),
    "window": dict(kinds=HEADS, runs=[run(shapes={"qkv.weight": [12, 18], "proj.weight": [6, 12]})]),
    "patch_merge": dict(runs=[run(shapes={"norm.weight": [24], "reduction.weight": [24, 7]})]),
    "cls_position": dict(runs=[run(shapes={"cls": [1, 1, 12], "position": [1, 17, 12]})]),
    "cross_attention": dict(runs=[run(shapes={"cross.q.weight": [10, 4], "cross.k.weight": [14, 4], "cross.v.weight": [14, 5]})]),
    "moe": dict(kinds=dict(e="experts"), runs=[
        run(BASE, ["c", "f"], shapes={"experts.up": [4, 7, 6], "experts.down": [4, 6, 7], "router.weight": [4, 6]}),
        run(kinds("experts"), ["e"], kept=dict(e=[2, 3]), shapes={
            "experts.up": [2, 14, 12], "experts.down": [2, 12, 14], "router.weight": [2, 12], "router.bias": [2]}),
        run()]),
    "top_k_bound": dict(kinds=dict(e="experts"), runs=[
        run(kinds("experts"), ["e"], shapes={"router.weight": [4, 12]}),
        run("--ratio 0.9 --round-to 1 --kinds experts", ["e"], kept=dict(e=[5, 6, 7]), shapes={"router.weight": [3, 12]})]),
    "einsum": dict(kinds=dict(h="heads", d="head-dims", dv="head-dims", c="width"), runs=[
        run(kinds("heads"), ["h"], shapes={"q.weight": [20, 2, 6], "v.weight": [20, 2, 10]}),
        run(shapes={"q.weight": [10, 2, 3], "k.weight": [10, 2, 3], "v.weight": [10, 2, 5]})]),
    "mha_fused": dict(kinds=dict(heads="heads", width="width"), runs=[
        run(kinds("heads"), ["heads"], attributes={"attention": {"num_heads": 3}}, shapes={"q.weight": [20, 48]}),
        run(attributes={"attention": {"num_heads": 3, "scale": 0.25}}, shapes={"q.weight": [10, 24], "v.weight": [10, 15]})]),
    "position_rows": dict(kinds=dict(rest="tokens", width="width"), runs=[
        run(BASE, ["width", "hidden"], shapes={"P": [20, 12]}),
        run(kinds("tokens"), ["rest"], kept=dict(rest=2), shapes={"P": [18, 24]}),
        run(kept=dict(rest=2), shapes={"P": [18, 12]})]),
    "dynamic_batch_attention": dict(kinds=HEADS, runs=[
        run(kinds("heads"), ["heads"], batches=[1, 5], shapes={"qkv.weight": [24, 36]}),
        run(batches=[1, 5], shapes={"qkv.weight": [12, 18], "proj.weight": [6, 12]})]),

    # ---------------------------------------------------------------------------------------- recurrent and the rest
    "lstm": dict(runs=[run(attributes={"lstm.Y": {"hidden_size": 10}}, shapes={
        "lstm.W": [1, 40, 6], "lstm.R": [1, 40, 10], "lstm.B": [1, 80], "head.weight": [10, 5]})]),
    "lstm_bidirectional": dict(runs=[run(attributes={"lstm.Y": {"hidden_size": 7}}, shapes={"lstm.W": [2, 28, 6], "head.weight": [14, 5]})]),
    "weight_transposed": dict(runs=[run(shapes={"w1.weight": [6, 6], "w2.weight": [5, 6]})]),
    "weight_cast": dict(runs=[run(shapes={"w1.weight": [6, 6], "w2.weight": [6, 5]})]),
    "weight_dequantised": dict(runs=[run(shapes={"w1.weight": [6, 6], "w1.scale": [6], "w1.zero_point": [6],
                                               "w2.weight": [5, 6], "w2.scale": [5]})]),
    "weight_norm": dict(runs=[run(shapes={"w1.v": [6, 5], "w1.g": [6, 1]})]),
    "shared_shape": dict(runs=[run(inputs={"free": {"1": [1, 4, 3]}, "held": {"1": [1, 4, 6]}},
                                   shapes={"w1.weight": [12, 7], "w2.weight": [24, 7]})]),
    "shared_zero_bias": dict(runs=[run(shapes={"w1.weight": [6, 6], "w2.weight": [6, 6], "w3.weight": [5, 6]})]),
    "shared_small_constants": dict(runs=[run(shapes={"w1.weight": [6, 6], "w2.weight": [6, 6], "w3.weight": [5, 6]})]),
    "computed_state": dict(runs=[run(attributes={"lstm1.Y": {"hidden_size": 8}, "lstm2.Y": {"hidden_size": 8}}, shapes={"lstm2.W": [1, 32, 8]})]),
    "no_factor": dict(reasons={"w1.weight": {"0": ["does not factor"]}}, runs=[
        run(kept=dict(a=[3, 4]), shapes={"w1.weight": [48, 7], "w2.weight": [3, 48]})]),
    "cut_inside": dict(reasons={"w1.weight": {"0": ["cut inside a block"]}}, runs=[
        run(shapes={"w1.weight": [32, 7], "left.weight": [5, 12], "right.weight": [5, 20]})]),
    "run_of_parts": dict(runs=[run(inputs={"square": {"1": [1, 3, 2]}}, shapes={
        "a.weight": [3, 5], "b.weight": [1, 5], "c.weight": [2, 5], "inner.weight": [2, 3], "outer.weight": [3, 7]})]),
    "opaque_op": dict(runs=[run(identical_nodes=["normalizer"], shapes={"w0.weight": [7, 6], "w1.weight": [12, 7], "w2.weight": [5, 12]})]),
    "control_flow": dict(runs=[run(identical_nodes=["branch"], shapes={"w0.weight": [7, 6], "then.weight": [12, 11], "w2.weight": [5, 11]})]),
    "unused": dict(runs=[run(identical_nodes=["nobody_reads", "dropout"], shapes={"w1.weight": [6, 6], "spare.weight": [3, 4]})]),
}


def table():
    """The whole of expected.json."""
    result = {}
    for name in REGISTRY:
        c, raw = build(name), CASES[name]
        runs = []
        for r in raw["runs"]:
            r = dict(r, pruned=list(c.extents) if r["pruned"] == "*" else r["pruned"])
            ratio = float(r["options"].split()[1])
            r["kept"] = dict(r.get("kept", {}))
            for g in r["pruned"]:
                n = c.extents[g]
                k = r.get("resize", {}).get(g, max(1, int(n * (1 - ratio) + 1e-9)))
                r["kept"].setdefault(g, list(range(k)) if g in c.descending else list(range(n - k, n)))
            runs.append(r)
        result[name] = dict(groups=c.extents, **{k: v for k, v in raw.items() if k != "runs"},
                            layouts={} if raw.get("free") else c.layouts, runs=runs)
    return result


def disagreements(expected):
    """Stated shapes and positions that do not follow from layouts and kept indices."""
    for name, case in expected.items():
        for r in case["runs"]:
            kept = {g: list(range(k)) if isinstance(k, int) else k for g, k in r["kept"].items() if g in r["pruned"]}
            for tensor, shape in r.get("shapes", {}).items():
                layouts = [L.parse(t) for t in case["layouts"][tensor]]
                positions = [L.kept_positions(l, L.size(l, case["groups"]), case["groups"], kept) for l in layouts]
                if [len(p) for p in positions] != shape:
                    yield f"{name} ({r['options']}): {tensor} is stated {shape}, follows {[len(p) for p in positions]}"
            for tensor, axes in r.get("positions", {}).items():
                for axis, (first, last) in axes.items():
                    layout = L.parse(case["layouts"][tensor][int(axis)])
                    if L.kept_positions(layout, L.size(layout, case["groups"]), case["groups"], kept) != list(range(first, last + 1)):
                        yield f"{name} ({r['options']}): {tensor} axis {axis} does not keep {first}…{last}"
    for name in CASES.keys() ^ REGISTRY.keys():
        yield f"{name} stands in one table only"


def main(argv=None):
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--out", default=os.path.normpath(FILE))
    ap.add_argument("--check", action="store_true", help="write nothing; prove the table and compare it with the file")
    o = ap.parse_args(argv)
    expected = table()
    faults = list(disagreements(expected))
    compact = lambda v: json.dumps(v, ensure_ascii=False)
    lines = []
    for name, case in expected.items():
        fields = [f'  {compact(k)}: {compact(v)}' for k, v in case.items() if k not in ("runs", "layouts")]
        fields.append('  "layouts": {\n' + ",\n".join(f"   {compact(k)}: {compact(v)}" for k, v in case["layouts"].items()) + "}")
        fields.append('  "runs": [\n' + ",\n".join(f"   {compact(r)}" for r in case["runs"]) + "]")
        lines.append(f" {compact(name)}: {{\n" + ",\n".join(fields) + "}")
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    if o.check:
        with open(o.out) as f:
            if f.read() != text:
                faults.append(f"{o.out} is not what the tables say: run without --check")
    else:
        with open(o.out, "w") as f:
            f.write(text)
    for fault in faults:
        print("FAULT", fault)
    print(f"{len(expected)} cases, {sum(len(c['runs']) for c in expected.values())} runs, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
