"""Head, neuron and combined masks of a vision transformer, checked against an independent computation in numpy.

    python scripts/vit_head_masks.py VIT.onnx [--prunec .build/debug/prunec]

The model has blocks with a fused `blocks.N.attn.qkv` of 3 x heads x dim and `blocks.N.mlp.fc1`. Needs onnx, numpy and safetensors.

A head's score by `--score-by '*attn.qkv*'` is that of its slice of qkv.weight, [3, heads, dim, width] over all axes but heads:
remain counts the numbers that are not zero, magnitude (l1) is the sum of absolute values, l2 the root of the sum of squares. Heads with the
highest scores stay, of equals the first. A neuron's score is that of its row of fc1.weight by `--score-by '*mlp.fc1*'`.
Ends with exit code 1 when a mask differs in a single number.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import numpy_helper
from safetensors.numpy import load_file

KINDS = ("heads", "hidden")


def weights(model):
    """By name in PyTorch: weights as [out, in], with the biases that name them."""
    stored = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    result = dict(stored)
    for node in model.graph.node:
        if node.op_type != "MatMul" or node.input[1] not in stored:
            continue
        for reader in model.graph.node:
            if reader.op_type == "Add" and node.output[0] in reader.input:
                bias = [i for i in reader.input if i != node.output[0]][0]
                if bias.endswith(".bias"):
                    result[bias[:-len("bias")] + "weight"] = stored[node.input[1]].T
    return result


def score(slices, criterion):
    """One figure per first index."""
    flat = slices.reshape(len(slices), -1)
    if criterion == "remain":
        return (flat != 0).sum(1).astype(np.float64)
    if criterion in ("magnitude", "l1"):
        return np.abs(flat.astype(np.float64)).sum(1)
    return np.sqrt((flat.astype(np.float64) ** 2).sum(1))


def kept(scores, ratio):
    """Flags of the highest scores; of equals the first stay."""
    count = max(1, int(np.floor(len(scores) * (1 - ratio) + 1e-9)))
    order = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
    flags = np.zeros(len(scores), np.float32)
    flags[order[:count]] = 1
    return flags


def expected(parameters, block, heads, criterion, ratio, kinds):
    """Masks of one block, by name."""
    masks = {}

    def mask(name, flags):
        masks[name] = masks.get(name, np.ones(parameters[name].shape, np.float32)) * flags

    if "heads" in kinds:
        qkv, proj = f"{block}.attn.qkv", f"{block}.attn.proj"
        weight = parameters[qkv + ".weight"]
        dim = len(weight) // 3 // heads
        flags = kept(score(weight.reshape(3, heads, dim, -1).transpose(1, 0, 2, 3), criterion), ratio)
        rows = np.broadcast_to(flags[None, :, None], (3, heads, dim)).reshape(-1)
        mask(qkv + ".weight", rows[:, None])
        mask(qkv + ".bias", rows)
        mask(proj + ".weight", np.repeat(flags, dim)[None, :])
    if "hidden" in kinds:
        flags = kept(score(parameters[f"{block}.mlp.fc1.weight"], criterion), ratio)
        mask(f"{block}.mlp.fc1.weight", flags[:, None])
        mask(f"{block}.mlp.fc1.bias", flags)
        mask(f"{block}.mlp.fc2.weight", flags[None, :])
    return masks


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--prunec", default=".build/debug/prunec")
    parser.add_argument("--heads", type=int, default=3)
    options = parser.parse_args()
    folder = tempfile.mkdtemp()
    model = onnx.load(options.model)
    # Holes of different sizes, so that remain has something to count.
    generator = np.random.default_rng(0)
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor).copy()
        if array.ndim != 2 or array.size < 1000:
            continue
        for axis in (0, 1):
            share = generator.uniform(0, 0.6, array.shape[axis])
            holes = generator.uniform(size=array.shape) < np.expand_dims(share, 1 - axis)
            array[holes] = 0
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    path = os.path.join(folder, "holes.onnx")
    onnx.save(model, path)
    parameters = weights(model)
    blocks = sorted({m.group(1) for n in parameters if (m := re.match(r"(.*)\.attn\.qkv\.bias", n))})
    wrong = 0
    for criterion in ("remain", "magnitude", "l1", "l2"):
        for kinds in (("heads",), ("hidden",), ("heads", "hidden")):
            for ratio in (0.34, 0.67):
                output = os.path.join(folder, "masks.safetensors")
                subprocess.run(
                    [options.prunec, "masks", path, "-o", output, "--criterion", criterion, "--kinds", ",".join(kinds),
                     "--ratio", str(ratio), "--round-to", "1", "--score-by", "*attn.qkv*,*mlp.fc1*", "--quiet"], check=True)
                masks = load_file(output)
                wanted = {}
                for block in blocks:
                    wanted.update(expected(parameters, block, options.heads, criterion, ratio, kinds))
                equal = set(masks) == set(wanted) and all(
                    masks[n].dtype == np.float32 and masks[n].shape == wanted[n].shape and (masks[n] == wanted[n]).all()
                    for n in wanted)
                whole = True
                for block in blocks if "heads" in kinds else []:
                    per = masks[f"{block}.attn.qkv.weight"]
                    per = per.reshape(3, options.heads, -1).transpose(1, 0, 2).reshape(options.heads, -1)
                    whole = whole and bool(((per == 0).all(1) | (per == 1).all(1)).all())
                good = equal and whole
                wrong += not good
                print(f"{'ok   ' if good else 'WRONG'} {criterion:9s} {'+'.join(kinds):12s} ratio {ratio}: {len(masks)} masks, "
                      f"{'equal to numpy bit for bit' if equal else 'different from numpy'}"
                      f"{', every head all ones or all zeros' if 'heads' in kinds and whole else ''}")
    if wrong:
        sys.exit(f"{wrong} sets of masks are not as they should be")


if __name__ == "__main__":
    main()
