#!/usr/bin/env python3
"""Compares prunec's layout of every parameter with ../shared/models/expected_groups.txt.

    compare_groups.py PRUNEC [--models ../shared/models] [--only GLOB] [--defaults] [--jobs 2]

Reads `prunec groups MODEL --json`: {"groups": [{"name", "kind", "extent", "prunable", "default", "reason"}], "tensors": {NAME: [layout
per axis]}}, layouts in the plan's JSON form over all groups, pruned or not; NAME#k is the copy of a shared constant that its k-th
later use gets. Layouts are compared by the indices they denote, names do not matter. Per model:
  same      equal up to names
  finer     ours removes apart what theirs ties, or removes what theirs freezes: has to be proved by check_onnx.py
  COARSER   theirs removes indices that ours ties wider or freezes: a fault, exit 1
--defaults also reports groups that only one side prunes by default.
"""
import argparse
import fnmatch
import functools
import os
import re
import sys

import onnx

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness as H
import layouts as L


def read_expected(path):
    """model -> (extents, names not pruned by default, tensor -> layouts)."""
    models, current = {}, None
    with open(path) as f:
        for line in f:
            line = line.strip()
            if line.startswith("== "):
                current = models[line[3:]] = ({}, set(), {})
            elif current and line.startswith("groups: "):
                for name, extent, star in re.findall(r"(\w+):(\d+)(\*?)", line.split("(")[0]):
                    current[0][name] = int(extent)
                    if star:
                        current[1].add(name)
            elif current and ": [" in line:
                name, _, text = line.rpartition(": [")
                whole = L.parse(f"sum({text.rstrip(']')})")
                current[2][name] = list(whole.parts)
    return models


def parameter_shapes(path):
    """name -> shape of every initialiser and Constant node's tensor."""
    graph = onnx.load(path).graph
    shapes = {t.name: list(t.dims) for t in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            shapes[node.output[0]] = list(node.attribute[0].t.dims)
    return shapes


def compare_model(item, options):
    """(verdict, messages) of one model."""
    name, (extents, starred, expected) = item
    path = os.path.join(options.models, f"{name}.onnx")
    report = H.groups_report(options.prunec, path, options.timeout)
    if report is None or "tensors" not in report:
        return "none", ["`prunec groups --json` gives no tensors"]
    try:
        shapes = parameter_shapes(path)
        for copy in [*expected, *report["tensors"]]:
            if "#" in copy and copy.rpartition("#")[0] in shapes:
                shapes[copy] = shapes[copy.rpartition("#")[0]]
        # Folded and computed values of the prototype's listing stand for nothing that the file holds.
        skipped = [n for n in expected if n not in shapes or "#" in n and n not in report["tensors"]]
        names = [n for n in dict.fromkeys([*expected, *report["tensors"]]) if n in shapes and n not in skipped]
        our_extents = {g["name"]: g["extent"] for g in report["groups"]}
        free = {g["name"] for g in report["groups"] if H.is_prunable(g) and g["extent"] > 1}
        theirs = L.occurrences({n: expected[n] for n in names if n in expected}, shapes, extents)
        listed = {n: [L.from_json(l) for l in report["tensors"][n]] if n in report["tensors"] else shapes[n] for n in names}
        ours = L.occurrences(listed, shapes, our_extents, keep=free.__contains__)
    except (L.LayoutError, KeyError, TypeError) as e:
        return "broken", [f"{type(e).__name__}: {e}"]
    result = L.compare(theirs, ours)
    messages = [f"coarser: {m}" for m in result.coarser] + [f"finer: {m}" for m in result.finer]
    messages += [f"not compared: {n}" for n in skipped] if options.verbose else []
    if options.defaults:
        on = {g["name"]: bool(g.get("default")) for g in report["groups"]}
        for their, our in result.pairs.items():
            if on[our] == (their in starred):
                messages.append(f"default: {their} is {our}, which {'is' if on[our] else 'is not'} pruned by default")
    return "COARSER" if result.coarser else "finer" if result.finer else "same", messages


def main(argv=None):
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    H.add_arguments(ap)
    ap.add_argument("--models", default=os.path.join(H.SHARED, "models"), help="default: %(default)s")
    ap.add_argument("--only", default="*", help="models whose name matches this pattern")
    ap.add_argument("--defaults", action="store_true", help="compare what is pruned by default, too")
    ap.add_argument("--verbose", action="store_true", help="name the tensors that were not compared; print every message")
    o = ap.parse_args(argv)
    expected = {n: e for n, e in read_expected(os.path.join(o.models, "expected_groups.txt")).items() if fnmatch.fnmatch(n, o.only)}
    counts = {}
    for (name, _), (verdict, messages) in H.in_processes(functools.partial(compare_model, options=o), list(expected.items()), o.jobs):
        counts[verdict] = counts.get(verdict, 0) + 1
        print(f"{verdict:8} {name}", flush=True)
        for message in messages[:None if o.verbose else 6]:
            print(f"         {H.one_line(message, 220)}")
        if len(messages) > 6 and not o.verbose:
            print(f"         and {len(messages) - 6} more")
    print(", ".join(f"{n} {v}" for v, n in sorted(counts.items())))
    return 1 if set(counts) - {"same", "finer"} or not counts else 0


if __name__ == "__main__":
    sys.exit(main())
