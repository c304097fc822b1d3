#!/usr/bin/env python3
"""Writes the small test models of ../shared/CASES.md: one NAME.onnx per case (and NAME.npz where random inputs would not do).

    make_cases.py --out DIR [--only GLOB] [--check] [--list]

Every file passes the full onnx.checker. With --check it is also run in ONNX Runtime, the magnitude of every group's indices is proved
to grow in every weight that carries the group, and permuting every group's indices is proved to leave the outputs unchanged.
Deterministic; needs onnx and numpy (--check: onnxruntime).
"""
import argparse
import fnmatch
import json
import os
import sys
import time

import numpy as np
import onnx

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import layouts as L
from cases import language, rest, vision  # noqa: F401 (they register the cases)
from cases.builder import REGISTRY, Case


def build(name):
    """The finished Case of that name, its graph built."""
    c = Case(name)
    REGISTRY[name](c)
    return c


def scores_grow(c):
    """A message per weight and group whose slices' l1 or l2 magnitudes do not grow with the index (fall, when descending)."""
    for name, axes in c.layouts.items():
        value = c.constants[name].astype(np.float64)
        if value.ndim < 2:
            continue
        for axis, text in enumerate(axes):
            layout = L.parse(text)
            spelt = L.labels(layout, value.shape[axis], c.extents)
            for group in L.groups_in(layout):
                for order in (1, 2):
                    total = np.zeros(c.extents[group])
                    for position, label in enumerate(spelt):
                        for g, index in label:
                            if g == group:
                                total[index] += (np.abs(value.take(position, axis)) ** order).sum()
                    steps = np.diff(total) * (-1 if group in c.descending else 1)
                    if (steps <= 0).any() and name not in ("cos", "sin") and total.any():
                        yield f"{c.name}: {name} axis {axis}: l{order} of {group} does not grow at {int(np.argmin(steps))}"


# One constant in two roles has no layout of its own; a permutation by constants follows no permuted channel.
NOT_PERMUTED = ("shared_small_constants", "gather_permutation")


def permuted(c, model):
    """The model with every group's indices permuted in all parameters alike."""
    random = np.random.default_rng(2)
    permutations = {g: random.permutation(n) for g, n in c.extents.items()}
    result = onnx.ModelProto()
    result.CopyFrom(model)
    for tensor in result.graph.initializer:
        if tensor.name in c.layouts:
            value = c.constants[tensor.name]
            for axis, text in enumerate(c.layouts[tensor.name]):
                value = value.take(L.order(L.parse(text), value.shape[axis], c.extents, permutations), axis)
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.ascontiguousarray(value), tensor.name))
    return result


def check(c, model):
    """Run in ONNX Runtime: as it is, optimised, and permuted; returns messages."""
    import onnxruntime as ort
    options = ort.SessionOptions()
    options.log_severity_level = 4
    answers = []
    plain, fast = ort.GraphOptimizationLevel.ORT_DISABLE_ALL, ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    for level, proto in ((plain, model), (fast, model), (plain, model if c.name in NOT_PERMUTED else permuted(c, model))):
        options.graph_optimization_level = level
        session = ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
        random = np.random.default_rng(1)
        feed = {i.name: c.feeds.get(f"in.{i.name}", random.standard_normal([d if isinstance(d, int) else 2 for d in i.shape])
                                    .astype(np.float32)) for i in session.get_inputs()}
        answers.append(session.run(None, feed))
    for plain, fast, moved, info in zip(*answers, c.outputs):
        if plain.dtype.kind == "f" and not np.isfinite(plain).all():
            yield f"{c.name}: output {info.name} is not finite"
        elif plain.dtype.kind == "f" and not np.allclose(plain, fast, rtol=1e-4, atol=1e-4 * np.abs(plain).max()):
            yield f"{c.name}: output {info.name} changes with ONNX Runtime's optimisations"
        elif plain.dtype.kind == "f" and not np.allclose(plain, moved, rtol=1e-4, atol=1e-4 * np.abs(plain).max()):
            yield f"{c.name}: output {info.name} changes when groups are permuted: a layout is wrong"
        elif np.ptp(plain.astype(np.float64)) == 0:
            yield f"{c.name}: output {info.name} is constant"
    yield from scores_grow(c)


def main(argv=None):
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--out", help="folder to write to")
    ap.add_argument("--only", default="*", help="cases whose name matches this pattern")
    ap.add_argument("--check", action="store_true", help="run every model and prove its scores")
    ap.add_argument("--list", action="store_true", help="print names, groups and layouts as JSON; write nothing")
    o = ap.parse_args(argv)
    if not o.out and not o.list:
        ap.error("--out DIR is needed")
    names = fnmatch.filter(REGISTRY, o.only)
    if o.list:
        print(json.dumps({n: dict(extents=(c := build(n)).extents, layouts=c.layouts) for n in names}, indent=1))
        return 0
    os.makedirs(o.out, exist_ok=True)
    began, written, faults = time.time(), 0, []
    for name in names:
        c = build(name)
        model = c.model()
        try:
            onnx.checker.check_model(model, full_check=True)
            faults += check(c, model) if o.check else []
        except Exception as e:
            faults.append(f"{name}: {type(e).__name__}: {e}")
        path = os.path.join(o.out, name)
        onnx.save(model, f"{path}.onnx")
        if c.feeds:
            np.savez(f"{path}.npz", **c.feeds)
        written += os.path.getsize(f"{path}.onnx")
    for fault in faults:
        print("FAULT", fault)
    print(f"{len(names)} cases, {written / 1e6:.1f} MB, {time.time() - began:.1f} s in {o.out}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
