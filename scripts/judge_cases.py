#!/usr/bin/env python3
"""Runs prunec on every case of make_cases.py and compares with Tests/PassesTests/Cases/expected.json.

    judge_cases.py PRUNEC --cases DIR [--only GLOB] [--jobs 2] [--almost-everything] [--no-groups] [--keep DIR]

Each run is judged by check_onnx.py (is S.onnx what the original becomes under its plan?), then by its row: which groups lose indices,
which indices, shapes, attributes, renumbered constants, kinds. Names of groups are matched by the positions they stand for. Where
`prunec groups CASE --json` answers, all layouts are compared, pruned or not, and reasons of what is frozen.
One line per case: `ok`, or what differs. Exit 1 when anything differs.
  --almost-everything   only: every case at `--ratio 0.99 --kinds all`, judged by check_onnx.py
"""
import argparse
import fnmatch
import functools
import json
import os
import sys
import tempfile

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness as H
import layouts as L

EXPECTED = os.path.normpath(os.path.join(H.HERE, "..", "Tests", "PassesTests", "Cases", "expected.json"))


# ------------------------------------------------------------------------------------------------ what a plan keeps
class PlanView:
    """Kept positions by tensor, and groups that lose indices."""
    def __init__(self, plan):
        self.extents = {g["name"]: g["extent"] for g in plan["groups"]}
        self.kept = {g["name"]: g["kept"] for g in plan["groups"]}
        self.kinds = {g["name"]: g.get("kind") for g in plan["groups"]}
        self.pruned = {n for n in self.kept if len(self.kept[n]) < self.extents[n]}
        self.tensors = {n: [L.from_json(l) for l in axes] for n, axes in plan["tensors"].items()}

    def positions(self, tensor, axis, extent):
        if tensor not in self.tensors:
            return list(range(extent))
        return L.kept_positions(self.tensors[tensor][axis], extent, self.extents, {g: self.kept[g] for g in self.pruned})


def matched(case, run, view, shapes):
    """Compare pruned groups with the run's by the positions they stand for: (placeholder -> name, messages)."""
    wanted = {n: [L.parse(t) for t in axes] for n, axes in case["layouts"].items() if n in shapes}
    listed = {n: view.tensors.get(n, list(shapes[n])) for n in wanted}
    theirs = L.occurrences(wanted, shapes, case["groups"], keep=set(run["pruned"]).__contains__)
    ours = L.occurrences(listed, shapes, view.extents, keep=view.pruned.__contains__)
    result = L.compare(theirs, ours)
    return result.pairs, [f"coarser: {m}" for m in result.coarser] + [f"finer: {m}" for m in result.finer]


def same_number(a, b):
    a, b = np.asarray(a), np.asarray(b)
    return a.shape == b.shape and np.allclose(a.astype(float), b.astype(float), rtol=1e-6)


def differences(case, run, view, original, smaller, check):
    """Messages: what differs from the row."""
    shapes = {n: list(v.shape) for n, v in original.constants.items()}
    free = case.get("free", False)
    if not free:
        pairs, messages = matched(case, run, view, shapes)
        yield from messages
        for placeholder, name in pairs.items():
            want = case.get("kinds", {}).get(placeholder)
            if want and view.kinds[name] != want:
                yield f"kind of {placeholder} ({name}) is {view.kinds[name]}, expected {want}"
        if not messages:
            yield from kept_differences(case, run, view, pairs, shapes)
    nodes = {n.name: n for n in smaller.proto.graph.node}
    for tensor, shape in run.get("shapes", {}).items():
        got = smaller.constants.get(tensor)
        if got is None or list(got.shape) != shape:
            yield f"{tensor} is {None if got is None else list(got.shape)}, expected {shape}"
    for name, wanted in run.get("attributes", {}).items():
        have = check.attributes(nodes[name]) if name in nodes else {}
        for key, value in wanted.items():
            if key not in have or not same_number(have[key], value):
                yield f"node {name}: {key} is {have.get(key)}, expected {value}"
    for name, wanted in run.get("inputs", {}).items():
        for number, value in wanted.items():
            reads = nodes[name].input[int(number)] if name in nodes else None
            got = smaller.constants.get(reads)
            if got is None or not same_number(np.ravel(got), np.ravel(value)):
                yield f"node {name}: input {number} ({reads}) is {None if got is None else got.tolist()}, expected {value}"
    before = {n.name: n for n in original.proto.graph.node}
    for name in run.get("identical_nodes", []):
        if name not in nodes or nodes[name].SerializeToString() != before[name].SerializeToString():
            yield f"node {name} is not byte-identical"
    for name in run.get("stored_once", []):
        copies = [n for n, v in smaller.constants.items() if n not in original.constants and check.is_data(v) and v.ndim > 1]
        if name not in smaller.constants or copies:
            yield f"{name} is not stored once: {copies or 'missing'}"
    bound = run.get("share_at_most")
    if bound and smaller.parameters() / original.parameters() > bound:
        yield f"{smaller.parameters() / original.parameters():.3f} of the parameters left, at most {bound} expected"


def kept_differences(case, run, view, pairs, shapes):
    """Kept indices by the positions they denote, so that names and numbering do not matter."""
    counted = {p for p, k in run["kept"].items() if isinstance(k, int)}
    for placeholder in counted & pairs.keys():
        if len(view.kept[pairs[placeholder]]) != run["kept"][placeholder]:
            yield f"{placeholder} keeps {len(view.kept[pairs[placeholder]])}, expected {run['kept'][placeholder]}"
    kept = {g: k for g, k in run["kept"].items() if g in run["pruned"] and g not in counted}
    wrong = {}
    for name, axes in case["layouts"].items():
        for axis, text in enumerate(axes):
            layout = L.parse(text)
            if name not in shapes or counted & set(L.groups_in(layout)):
                continue
            want = L.kept_positions(layout, shapes[name][axis], case["groups"], kept)
            got = view.positions(name, axis, shapes[name][axis])
            if got != want:
                for group in L.groups_in(layout):
                    wrong.setdefault(group, (len(got) == len(want), name, axis, got, want))
    for group, (same_count, name, axis, got, want) in list(wrong.items())[:3]:
        what = "keeps other indices (scores)" if same_count else f"keeps {len(got)}, expected {len(want)}"
        yield f"{group}: {name} axis {axis} {what}: {got[:8]}… instead of {want[:8]}…"


# ------------------------------------------------------------------------------------------------ all layouts
def group_differences(case, report, shapes, carried):
    """Layouts and reasons of `prunec groups --json` against the row's."""
    tensors = report.get("tensors")
    extents = {g["name"]: g["extent"] for g in report["groups"]}
    free = {g["name"]: H.is_prunable(g) for g in report["groups"]}
    if tensors and not case.get("free"):
        names = [n for n in case["layouts"] if n in shapes and n in carried]
        wanted = {n: [L.parse(t) for t in case["layouts"][n]] for n in names}
        listed = {n: [L.from_json(l) for l in tensors[n]] if n in tensors else shapes[n] for n in names}
        try:
            ours = L.occurrences(listed, shapes, extents, keep=lambda n: free.get(n, False) and extents[n] > 1)
        except L.LayoutError as e:
            yield f"groups --json: {e}"
            return
        result = L.compare(L.occurrences(wanted, shapes, case["groups"]), ours)
        yield from (f"groups: coarser: {m}" for m in result.coarser)
        yield from (f"groups: finer: {m}" for m in result.finer)
        kinds = {g["name"]: g.get("kind") for g in report["groups"]}
        for placeholder, kind in case.get("kinds", {}).items():
            if placeholder in result.pairs and kinds[result.pairs[placeholder]] != kind:
                yield f"groups: kind of {placeholder} is {kinds[result.pairs[placeholder]]}, expected {kind}"
    reasons = " ".join(str(r) for r in walk_strings(report))
    for tensor, axes in case.get("reasons", {}).items():
        for axis, words in axes.items():
            if not any(w in reasons for w in words):
                yield f"groups: no reason names {' or '.join(words)} ({tensor} axis {axis})"


def walk_strings(value):
    if isinstance(value, dict):
        for v in value.values():
            yield from walk_strings(v)
    elif isinstance(value, list):
        for v in value:
            yield from walk_strings(v)
    elif isinstance(value, str):
        yield value


def runs_at(check, smaller, original, batches):
    """The smaller model runs at these batch sizes."""
    session = check.open_session(smaller.proto)
    for batch in batches:
        feed = {i.name: np.ones([batch if k == 0 else d if isinstance(d, int) else 3 for k, d in enumerate(i.shape)], np.float32)
                for i in session.get_inputs()}
        try:
            answer = session.run(None, feed)[0]
        except Exception as e:
            yield f"does not run at batch {batch}: {H.one_line(e, 160)}"
            continue
        if answer.shape[0] != batch:
            yield f"answers with batch {answer.shape[0]} at batch {batch}"


# ------------------------------------------------------------------------------------------------ one case
def resized(plan, view, case, run, shapes):
    """The plan with the groups named in `resize` keeping the run's indices."""
    pairs, messages = matched(case, run, view, shapes)
    if messages:
        raise H.Failed(f"cannot match groups: {messages[0]}")
    for group in plan["groups"]:
        for placeholder in run["resize"]:
            if pairs.get(placeholder) == group["name"]:
                group["kept"] = run["kept"][placeholder]
    return plan


def judge_run(options, case, run, model, folder):
    """Messages of one run."""
    check = H.judge_module(options.tools)
    smaller, plan = os.path.join(folder, "S.onnx"), os.path.join(folder, "P.json")
    try:
        H.call(options.prunec, [model, "-o", smaller, "--plan", plan, *run["options"].split()], options.timeout)
        original = check.Model(model)
        if run.get("resize"):
            raw = H.load_json(plan)
            shapes = {n: list(v.shape) for n, v in original.constants.items()}
            edited = os.path.join(folder, "edited.json")
            with open(edited, "w") as f:
                json.dump(resized(raw, PlanView(raw), case, run, shapes), f)
            H.call(options.prunec, [model, "-o", smaller, "--plan", plan, "--apply", edited], options.timeout)
        report = check.judge(model, smaller, plan)
        messages = [f"[{c}] {t}" for c, t in report.faults]
        if not options.almost_everything:
            small = check.Model(smaller)
            messages += differences(case, run, PlanView(H.load_json(plan)), original, small, check)
            if run.get("batches") and not messages:
                messages += runs_at(check, small, original, run["batches"])
        elif report.pruned == 0 and case["groups"]:
            messages.append("nothing was pruned")
        return messages
    except Exception as e:  # whatever the program wrote, the other cases are judged
        return [str(e) if isinstance(e, (H.Failed, L.LayoutError)) else f"{type(e).__name__}: {e}"]


def judge_case(item, options, expected):
    """[(run, messages)] of one case."""
    case, model = expected[item], os.path.join(options.cases, f"{item}.onnx")
    if not os.path.exists(model):
        return [("", [f"{model} is missing: run make_cases.py --out {options.cases}"])]
    runs = case["runs"]
    if options.almost_everything:
        runs = [dict(options="--ratio 0.99 --round-to 1 --kinds all", pruned=list(case["groups"]))]
    results = []
    for number, run in enumerate(runs):
        if options.keep:
            folder = os.path.join(options.keep, f"{item}.{number}")
            os.makedirs(folder, exist_ok=True)
            results.append((run["options"], judge_run(options, case, run, model, folder)))
        else:
            with tempfile.TemporaryDirectory() as folder:
                results.append((run["options"], judge_run(options, case, run, model, folder)))
    if options.groups and not options.almost_everything:
        report = H.groups_report(options.prunec, model, options.timeout)
        if report is not None:
            check = H.judge_module(options.tools)
            original = check.Model(model)
            shapes = {n: list(v.shape) for n, v in original.constants.items()}
            read = [i for n in original.proto.graph.node for i in n.input]
            once = {n for n in shapes if read.count(n) == 1 or len(shapes[n]) > 1}
            try:
                results.append(("groups --json", list(group_differences(case, report, shapes, once))))
            except (KeyError, TypeError, ValueError) as e:
                results.append(("groups --json", [f"{type(e).__name__}: {e}"]))
    return results


def main(argv=None):
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    H.add_arguments(ap)
    ap.add_argument("--cases", required=True, help="folder that make_cases.py wrote")
    ap.add_argument("--expected", default=EXPECTED, help="default: %(default)s")
    ap.add_argument("--only", default="*", help="cases whose name matches this pattern")
    ap.add_argument("--almost-everything", action="store_true", help="every case at ratio 0.99 instead of the runs of its row")
    ap.add_argument("--no-groups", dest="groups", action="store_false", help="do not ask `prunec groups --json`")
    ap.add_argument("--keep", help="leave S.onnx and P.json of every run in this folder")
    o = ap.parse_args(argv)
    expected = H.load_json(o.expected)
    names = fnmatch.filter(expected, o.only)
    bad = 0
    for name, results in H.in_processes(functools.partial(judge_case, options=o, expected=expected), names, o.jobs):
        faults = [(r, m) for r, messages in results for m in messages]
        bad += bool(faults)
        print(f"{'ok  ' if not faults else 'FAIL'} {name}" + ("" if faults else f"  ({len(results)})"), flush=True)
        for r, m in faults[:8]:
            print(f"       {r.replace('--ratio 0.5 --round-to 1', '').strip() or 'default'}: {H.one_line(m)}")
        if len(faults) > 8:
            print(f"       and {len(faults) - 8} more")
    print(f"{len(names) - bad} of {len(names)} cases ok")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
