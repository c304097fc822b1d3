#!/usr/bin/env python3
"""A test of layouts alone: permuting every group's indices at random, in all parameters alike, must not change a model's outputs.

    permute_models.py PRUNEC [--models DIR …] [--only GLOB] [--seed 0] [--rounds 2] [--tol 1e-4] [--jobs 2] [--one-by-one]

Reads `prunec groups MODEL --json` (the form is described in compare_groups.py); every group of two or more indices that is not frozen
takes part. Float and 8-bit parameters are permuted by their layouts; integer constants stay, because a group that is cut keeps its pieces
in place and positions that pick inside a group would have frozen it. A shared constant gets the copies NAME#k that the layouts name, the k-th
for its k-th later use. A model fails when an output differs by more than tol relative to its largest magnitude; then --one-by-one
finds the groups to blame. Default models: ../shared/models with legacy/ and dynamic/; the cases: --models CASES_DIR.
"""
import argparse
import fnmatch
import functools
import os
import sys

import numpy as np
import onnx
from onnx import numpy_helper

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness as H
import layouts as L
from sweep_models import models_in


def with_copies(check, model, tensors):
    """The model with a constant of its own for every NAME#k of the layouts (k-th later use of NAME), and the constants by name."""
    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    for node in list(model.graph.node):
        if node.op_type == "Constant":
            constants[node.output[0]] = check.constant_value(node)
            model.graph.node.remove(node)
    uses = {}
    for node in model.graph.node:
        for number, name in enumerate(node.input):
            if name in constants:
                uses.setdefault(name, []).append((node, number))
    for copy in tensors:
        name, sharp, k = copy.rpartition("#")
        if sharp and name in constants and k.isdigit() and int(k) < len(uses.get(name, [])):
            node, number = uses[name][int(k)]
            node.input[number] = copy
            constants[copy] = constants[name]
    return constants


def permuted(model, constants, layouts, extents, permutations, check):
    """A copy of the model whose parameters are permuted."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    del result.graph.initializer[:]
    for name, value in constants.items():
        if name in layouts and check.is_data(value) and value.ndim:
            for axis, layout in enumerate(layouts[name]):
                if value.shape[axis] > 1:
                    value = value.take(L.order(layout, value.shape[axis], extents, permutations), axis)
        result.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value) if value.ndim else value, name))
    return result


def worst_error(check, want, proto, feeds):
    got = check.open_session(proto)
    errors = [check.relative_error(w[n], v) if v.dtype.kind == "f" else float((w[n] != v).any())
              for w, feed in zip(want, feeds) for n, v in check.run_all(got, feed).items()]
    return max(errors, key=lambda e: (e != e, e), default=0.0)


def permute_model(item, options):
    """(worst error, groups, permuted parameters, messages)."""
    _, path = item
    check = H.judge_module(options.tools)
    report = H.groups_report(options.prunec, path, options.timeout)
    if report is None or "tensors" not in report:
        return None, 0, 0, ["`prunec groups --json` gives no tensors"]
    try:
        model = onnx.load(path)
        constants = with_copies(check, model, report["tensors"])
        extents = {g["name"]: g["extent"] for g in report["groups"]}
        free = [g["name"] for g in report["groups"] if H.is_prunable(g) and g["extent"] > 1]
        layouts = {n: [L.from_json(l) for l in axes] for n, axes in report["tensors"].items() if n in constants}
        carried = {g for n in layouts for l in layouts[n] for g in L.groups_in(l)}
        free = [g for g in free if g in carried]
        given = os.path.splitext(path)[0] + ".npz"
        given = {k[3:]: v for k, v in np.load(given).items() if k.startswith("in.")} if os.path.exists(given) else None
        feeds = [f for _, f in check.samples(check.Model(path), given, 2) if f is not None]
        session = check.open_session(onnx.load(path))
        want = [check.run_all(session, f) for f in feeds]
        random, worst, messages = np.random.default_rng(options.seed), 0.0, []
        for _ in range(options.rounds):
            permutations = {g: random.permutation(extents[g]) for g in free}
            error = worst_error(check, want, permuted(model, constants, layouts, extents, permutations, check), feeds)
            worst = max(worst, error, key=lambda e: (e != e, e))
            if not error <= options.tol and options.one_by_one:
                for g in free:
                    alone = worst_error(check, want, permuted(model, constants, layouts, extents, {g: permutations[g]}, check), feeds)
                    if not alone <= options.tol:
                        places = [f"{n} axis {a}" for n in layouts for a, l in enumerate(layouts[n]) if g in L.groups_in(l)]
                        messages.append(f"{g} ({extents[g]}) alone: {alone:.2g}; in {', '.join(places[:4])}")
                break
        moved = sum(any(set(L.groups_in(l)) & set(free) for l in layouts[n]) for n in layouts)
        return worst, len(free), moved, messages
    except Exception as e:  # whatever the layouts are, the other models are tried
        return None, 0, 0, [f"{type(e).__name__}: {e}"]


def main(argv=None):
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    H.add_arguments(ap)
    ap.add_argument("--models", nargs="+", default=[os.path.join(H.SHARED, "models")], help="folders (default: %(default)s)")
    ap.add_argument("--only", default="*", help="models whose key (models/bert, legacy/bert, …) matches this pattern")
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--rounds", type=int, default=2, help="random permutations per model (default: %(default)s)")
    ap.add_argument("--tol", type=float, default=1e-4, help="largest relative error (default: %(default)s)")
    ap.add_argument("--one-by-one", action="store_true", help="permute the groups of a failing model one by one, and name the guilty")
    o = ap.parse_args(argv)
    items = [i for folder in o.models for i in models_in(folder) if fnmatch.fnmatch(i[0], o.only)]
    bad, errors = 0, []
    for (key, _), (worst, groups, moved, messages) in H.in_processes(functools.partial(permute_model, options=o), items, o.jobs):
        fine = worst is not None and worst <= o.tol
        bad += not fine
        errors += [worst] if worst is not None else []
        print(f"{'ok  ' if fine else 'FAIL'} {key:30} "
              + (f"{worst:.1e}  {groups} groups in {moved} parameters" if worst is not None else ""), flush=True)
        for message in messages[:6]:
            print(f"       {H.one_line(message, 240)}")
    print(f"{len(items) - bad} of {len(items)} ok" + (f", worst {max(errors):.1e}" if errors else ""))
    return 1 if bad or not items else 0


if __name__ == "__main__":
    sys.exit(main())
