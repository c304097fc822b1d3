#!/usr/bin/env python3
"""Drops residual blocks with prunec and compares, in ONNX Runtime, with the original in which these blocks are bypassed.

    check_depth.py PRUNEC [MODEL.onnx ...] [--tol 1e-4]

Without models: vit_tiny, gpt2 and llama_gqa of ../shared/models. The bypassed original is made here, by multiplying what f gives with zero;
which operand of a sum is x and which is f(x) is found here too. For each model every block goes by itself, then every layer, all attention,
all but one layer, and a layer together with half of the width. Of the smaller file: the checker and strict shape inference accept it, its
interface is the original's, it mentions no value that nothing makes, every weight is the original's bit for bit, and no weight stays that
nobody reads. Needs an .npz beside each model (arrays in.NAME). With --keep-depth, influences are computed here again from ONNX Runtime's
own intermediate values. One line per model; exit 1 when anything differs.
"""
import argparse
import json
import os
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness as H

MODELS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "shared", "models")


def run(model, inputs):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return dict(zip([o.name for o in session.get_outputs()], session.run(None, inputs)))


def error(have, want):
    if have.shape != want.shape:
        return float("inf")
    a, b = have.astype(np.float64), want.astype(np.float64)
    return float(np.abs(a - b).max() / max(1e-6, np.abs(b).max())) if b.size else 0.0


def makers(model):
    return {output: node for node in model.graph.node for output in node.output if output}


def follows(value, source, made):
    """True where `value` is computed from `source`."""
    seen, todo = set(), [value]
    while todo:
        name = todo.pop()
        if name == source:
            return True
        if name not in seen and name in made:
            seen.add(name)
            todo += list(made[name].input)
    return False


def parts(model, total):
    """(x, f(x)) of the sum that makes `total`."""
    made = makers(model)
    a, b = made[total].input
    if follows(b, a, made):
        return a, b
    if follows(a, b, made):
        return b, a
    raise H.Failed(f"{total} is no residual sum: neither operand follows from the other")


def bypassed(original, totals):
    model = onnx.ModelProto()
    model.CopyFrom(original)
    nodes = []
    for node in model.graph.node:
        if node.output[0] in totals:
            _, branch = parts(original, node.output[0])
            zero, nothing = branch + "/zero", branch + "/nothing"
            model.graph.initializer.append(numpy_helper.from_array(np.zeros((), np.float32), zero))
            nodes.append(helper.make_node("Mul", [branch, zero], [nothing]))
            for at, name in enumerate(node.input):
                if name == branch:
                    node.input[at] = nothing
        nodes.append(node)
    kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    return model


def structure(original, small):
    """What is wrong with the smaller file."""
    faults = []
    onnx.checker.check_model(small, full_check=True)
    onnx.shape_inference.infer_shapes(small, strict_mode=True, data_prop=True)
    for kind in ("input", "output"):
        old, new = ([v.SerializeToString() for v in getattr(m.graph, kind)] for m in (original, small))
        if old != new:
            faults.append(f"{kind}s are not the original's")
    weights = {t.name: numpy_helper.to_array(t) for t in original.graph.initializer}
    read = {name for node in small.graph.node for name in node.input} | {o.name for o in small.graph.output}
    for tensor in small.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if tensor.name not in weights or weights[tensor.name].tobytes() != array.tobytes():
            faults.append(f"{tensor.name} is not the original's")
        if tensor.name not in read:
            faults.append(f"{tensor.name} is left, and nobody reads it")
    known = set(makers(small)) | {t.name for t in small.graph.initializer} | {i.name for i in small.graph.input}
    faults += [f"value_info names {v.name}, which nothing makes" for v in small.graph.value_info if v.name not in known]
    order = [node.name for node in original.graph.node]
    left = [node.name for node in small.graph.node]
    if [name for name in order if name in set(left)] != left:
        faults.append("nodes are in another order, or have other names")
    return faults


def influences(model, blocks, units, inputs):
    """1 - mean cosine of the stream before and after each unit."""
    wanted = sorted({v for unit in units for v in (blocks[unit[0]]["stream"], blocks[unit[-1]]["sum"])})
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    shown = {o.name for o in probe.graph.output}
    probe.graph.output.extend(helper.make_tensor_value_info(n, 1, None) for n in wanted if n not in shown)
    values = run(probe, inputs)
    result = []
    for unit in units:
        a, b = values[blocks[unit[0]]["stream"]], values[blocks[unit[-1]]["sum"]]
        if any(blocks[i]["kind"] == "convolution" for i in unit) and a.ndim == 4:
            a, b = np.moveaxis(a, 1, -1), np.moveaxis(b, 1, -1)
        a, b = a.reshape(-1, a.shape[-1]), b.reshape(-1, b.shape[-1])
        cosine = (a * b).sum(-1) / (np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1))
        result.append(1 - float(cosine.mean()))
    return result


def judge(prunec, path, tol, folder):
    """(comparisons, worst error, faults) of one model."""
    recorded = np.load(os.path.splitext(path)[0] + ".npz")
    inputs = {name[3:]: recorded[name] for name in recorded.files if name.startswith("in.")}
    original = onnx.load(path)
    listed, _ = H.call(prunec, ["groups", path, "--blocks", "--json"], 300)
    listed = json.loads(listed)
    blocks, layers = listed["blocks"], [layer["blocks"] for layer in listed["layers"]]
    if not blocks:
        return 0, 0.0, ["no blocks were found"]
    whole = run(original, inputs)
    calls = [([str(b["id"])], [b["id"]], []) for b in blocks]
    calls += [([f"L{at}"], layer, []) for at, layer in enumerate(layers)]
    attention = [b["id"] for b in blocks if b["kind"] == "attention"]
    if attention:
        calls.append((list(map(str, attention)), attention, []))
    calls.append(([blocks[0]["sum"]], [0], []))
    if len(layers) > 1:
        calls.append((["L1-" + str(len(layers) - 1)], sum(layers[1:], []), []))
    if layers:
        calls.append((["L0"], layers[0], ["--ratio", "0.5"]))
    worst, faults, count = 0.0, [], 0
    for at, (arguments, ids, more) in enumerate(calls):
        out, plan = os.path.join(folder, f"{at}.onnx"), os.path.join(folder, f"{at}.json")
        text = ",".join(arguments)
        try:
            report, _ = H.call(prunec, [path, "-o", out, "--drop-blocks", text, "--plan", plan, "--json"] + more, 300)
            H.call(prunec, ["verify", path, out, "--plan", plan], 300)
            again = os.path.join(folder, "again.onnx")
            H.call(prunec, [path, "-o", again, "--apply", plan, "--quiet"], 300)
        except H.Failed as e:
            faults.append(f"--drop-blocks {text}: {e}")
            continue
        if open(out, "rb").read() != open(again, "rb").read():
            faults.append(f"--drop-blocks {text}: --apply of the plan gives another file")
        dropped = [b["id"] for b in json.loads(report)["dropped"]]
        if dropped != sorted(ids):
            faults.append(f"--drop-blocks {text} dropped {dropped}")
        small = onnx.load(out)
        if more:
            # Weights are sliced: prunec verify, above, and the interface are what can be compared.
            have = run(small, inputs)
            if any(have[name].shape != whole[name].shape for name in whole):
                faults.append(f"--drop-blocks {text} {' '.join(more)}: outputs have other shapes")
            count += 1
            continue
        want = run(bypassed(original, {blocks[i]["sum"] for i in ids}), inputs)
        have = run(small, inputs)
        count += 1
        faults += [f"--drop-blocks {text}: {fault}" for fault in structure(original, small)]
        if list(have) != list(want):
            faults.append(f"--drop-blocks {text}: outputs are {list(have)}")
            continue
        errors = [error(have[name], want[name]) for name in want]
        worst = max(worst, *errors)
        if not max(errors) <= tol:
            faults.append(f"--drop-blocks {text}: differs from the bypassed original by {max(errors):.1e}")
        if all(np.array_equal(want[name], whole[name]) for name in want):
            faults.append(f"--drop-blocks {text}: bypassing changes nothing, so this comparison says nothing")
    units = layers or [[b["id"]] for b in blocks]
    expected = influences(original, blocks, units, inputs)
    if len(units) > 1:
        out = os.path.join(folder, "depth.onnx")
        report, _ = H.call(prunec, [path, "-o", out, "--keep-depth", len(units) - 1, "--data", os.path.splitext(path)[0] + ".npz", "--json"], 300)
        dropped = [b["id"] for b in json.loads(report)["dropped"]]
        least = units[int(np.argmin(expected))]
        count += 1
        if dropped != sorted(least):
            faults.append(f"--keep-depth dropped {dropped}, but {least} turns the stream least: {expected}")
    return count, worst, faults


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("prunec")
    ap.add_argument("models", nargs="*")
    ap.add_argument("--tol", type=float, default=1e-4)
    args = ap.parse_args()
    models = args.models or [os.path.join(MODELS, name + ".onnx") for name in ("vit_tiny", "gpt2", "llama_gqa")]
    failed = False
    for path in models:
        if not os.path.exists(path):
            print(f"skipped {path}: not here")
            continue
        with tempfile.TemporaryDirectory() as folder:
            try:
                count, worst, faults = judge(args.prunec, path, args.tol, folder)
            except H.Failed as e:
                count, worst, faults = 0, 0.0, [str(e)]
        failed = failed or bool(faults)
        print(f"{'FAIL' if faults else 'ok':4} {os.path.basename(path):28} {count:3} comparisons, largest error {worst:.1e}")
        for fault in faults[:20]:
            print("     " + fault)
        if len(faults) > 20:
            print(f"     and {len(faults) - 20} more")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
