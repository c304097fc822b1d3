#!/usr/bin/env python3
"""Prunes every shared model at ratio 0.5, judges each result with check_onnx.py, and prints the table.

    sweep_models.py PRUNEC [--models ../shared/models] [--only GLOB] [--options "…"] [--via-ir] [--jobs 2] [--json OUT] [--markdown]

Models: *.onnx of the folder itself, legacy/ and dynamic/ (named models/NAME, legacy/NAME, dynamic/NAME as in shares.json). Columns:
share of parameters left, attainable, difference, onnxsim, Torch-Pruning, groups pruned, commonest frozen reasons (`prunec groups
--json`), seconds of the compile, worst relative error, verdict. Exit 1 when a model fails or leaves more than attainable + 0.02.
  --via-ir   convert to .ir, prune the .ir, convert back, judge that; and there and back unpruned: outputs bit-identical in ONNX
             Runtime, every weight of the .ir readable by safetensors.safe_open and equal to the original's
"""
import argparse
import collections
import fnmatch
import functools
import glob
import json
import os
import re
import sys
import tempfile

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness as H

SLACK = 0.02


def models_in(folder):
    """(key as in shares.json, path) of every model."""
    for part in ("", "legacy", "dynamic"):
        for path in sorted(glob.glob(os.path.join(folder, part, "*.onnx"))):
            yield f"{part or 'models'}/{os.path.basename(path)[:-5]}", path


def frozen_reasons(report):
    """The commonest reasons why groups are frozen, as `3× reason`; node names and extents are left out."""
    if report is None:
        return ""
    said = [g.get("reason") or g.get("frozen") for g in report["groups"] if not H.is_prunable(g)]
    said += [f.get("reason") if isinstance(f, dict) else f for f in report.get("frozen", []) if f]
    said = [r.get("kind") or r.get("text") or r.get("reason") if isinstance(r, dict) else r for r in said]
    counts = collections.Counter(re.split(r"[:(,;]| at | by node | in ", str(r))[0].strip() for r in said if r and r is not True)
    return ", ".join(f"{n}× {r}" for r, n in counts.most_common(3))


def bit_equal(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def there_and_back(check, options, model, ir, back):
    """Messages: what `convert` there and back changes in an unpruned model."""
    H.call(options.prunec, ["convert", ir, "-o", back], options.timeout)
    original, again = check.Model(model), check.Model(back)
    given = os.path.splitext(model)[0] + ".npz"
    given = {k[3:]: v for k, v in np.load(given).items() if k.startswith("in.")} if os.path.exists(given) else None
    sessions = check.open_session(original.proto), check.open_session(again.proto)
    for label, feed in check.samples(original, given, 1):
        if feed is None:
            continue
        want, got = (check.run_all(s, feed) for s in sessions)
        for name in want:
            if name not in got or not bit_equal(want[name], got[name]):
                yield f"[there and back] {label}: output {name} is not bit-identical"
    from safetensors import safe_open
    with safe_open(ir, framework="numpy") as f:
        names = list(f.keys())
        tensors = {n: f.get_tensor(n) for n in names}
    stored = {t.name for t in original.proto.graph.initializer}
    large = {n: v for n, v in original.constants.items() if v.size > 1 and check.is_data(v) and n in stored}
    missing = [n for n, v in large.items() if n not in tensors]
    wrong = [n for n, v in large.items() if n in tensors and not bit_equal(np.ascontiguousarray(v), tensors[n])]
    if missing:
        yield f"[safetensors] {len(missing)} of {len(large)} weights are missing, first {missing[0]}"
    if wrong:
        yield f"[safetensors] {len(wrong)} weights differ, first {wrong[0]}"


def sweep(item, options):
    """The row of one model, as a dictionary."""
    key, model = item
    row = dict(model=key, share=None, worst=None, pruned=None, seconds=None, faults=[], notes=0, frozen="")
    try:
        check = H.judge_module(options.tools)
        with tempfile.TemporaryDirectory() as folder:
            at = lambda name: os.path.join(folder, name)
            smaller, plan = at("S.onnx"), at("P.json")
            rest = ["--plan", plan, *options.options.split()]
            if options.via_ir:
                ir = at("M.ir")
                H.call(options.prunec, ["convert", model, "-o", ir], options.timeout)
                _, row["seconds"] = H.call(options.prunec, [ir, "-o", at("S.ir"), *rest], options.timeout)
                H.call(options.prunec, ["convert", at("S.ir"), "-o", smaller], options.timeout)
                raw = H.load_json(plan)
                if raw["model"]["sha256"] == H.sha256(ir):  # the plan names the .ir it was made from
                    raw["model"]["sha256"] = H.sha256(model)
                    with open(plan, "w") as f:
                        json.dump(raw, f)
            else:
                _, row["seconds"] = H.call(options.prunec, [model, "-o", smaller, *rest], options.timeout)
            report = check.judge(model, smaller, plan)
            row.update(share=report.share, worst=report.worst, pruned=report.pruned, notes=len(report.notes))
            row["faults"] += [f"[{c}] {t}" for c, t in report.faults]
            if options.via_ir:
                row["faults"] += there_and_back(check, options, model, ir, at("back.onnx"))
            if options.groups:
                row["frozen"] = frozen_reasons(H.groups_report(options.prunec, model, options.timeout))
    except H.Failed as e:
        row["faults"].append(str(e))
    except Exception as e:  # whatever the program wrote, the other models are judged
        row["faults"].append(f"{type(e).__name__}: {e}")
    return row


def cells(row, shares, judge_share):
    """(the table's cells, whether the row is in order)."""
    known = shares.get(row["model"], {})
    number = lambda v, form="{:.3f}": "–" if v is None else form.format(v)
    attainable = known.get("attainable")
    over = None if row["share"] is None or attainable is None else row["share"] - attainable
    verdict = "FAULT" if row["faults"] else "over" if judge_share and over is not None and over > SLACK else "ok"
    peer = known.get("torch_pruning")
    values = [row["model"], number(row["share"]), number(attainable), number(over, "{:+.3f}"), number(known.get("onnxsim")), number(peer),
              number(row["pruned"], "{}"), row["frozen"] or "–", number(row["seconds"], "{:.2f}"), number(row["worst"], "{:.1e}"), verdict]
    return values, verdict == "ok"


def main(argv=None):
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    H.add_arguments(ap)
    ap.add_argument("--models", default=os.path.join(H.SHARED, "models"), help="default: %(default)s")
    ap.add_argument("--only", default="*", help="models whose key (models/bert, legacy/bert, …) matches this pattern")
    ap.add_argument("--options", default="--ratio 0.5 --round-to 1", help="of the compile (default: %(default)s); others than the default are not "
                    "compared with attainable")
    ap.add_argument("--via-ir", action="store_true", help="go through .ir and back")
    ap.add_argument("--no-groups", dest="groups", action="store_false", help="do not ask `prunec groups --json` for frozen reasons")
    ap.add_argument("--json", help="write the rows to this file")
    ap.add_argument("--markdown", action="store_true", help="print a markdown table")
    o = ap.parse_args(argv)
    judge_share = o.options == ap.get_default("options")
    shares = os.path.join(o.models, "shares.json")
    shares = H.load_json(shares) if os.path.exists(shares) else {}
    items = [i for i in models_in(o.models) if fnmatch.fnmatch(i[0], o.only)]
    head = ["model", "left", "attainable", "difference", "onnxsim", "Torch-Pruning", "groups", "frozen", "seconds", "worst", "verdict"]
    widths = [28, 6, 10, 10, 7, 13, 6, 44, 7, 8, 7]

    def line(values):
        if o.markdown:
            return f"| {' | '.join(values)} |"
        return "  ".join(v[:w].ljust(w) if i in (0, 7, 10) else v.rjust(w) for i, (v, w) in enumerate(zip(values, widths))).rstrip()
    print(line(head))
    if o.markdown:
        print("|" + "|".join("---" if i in (0, 7, 10) else "---:" for i in range(len(head))) + "|")
    rows, bad, gaps = [], 0, []
    for _, row in H.in_processes(functools.partial(sweep, options=o), items, o.jobs):
        values, fine = cells(row, shares, judge_share)
        rows.append(dict(row, **{k: shares.get(row["model"], {}).get(k) for k in ("attainable", "onnxsim", "torch_pruning")}, verdict=values[-1]))
        bad += not fine
        if values[3] != "–":
            gaps.append(float(values[3]))
        print(line(values), flush=True)
        if not o.markdown:
            for fault in row["faults"][:3]:
                print(f"    {H.one_line(fault, 300)}", flush=True)
    if o.markdown:
        for row in rows:
            for fault in row["faults"][:3]:
                print(f"- {row['model']}: {H.one_line(fault, 300)}")
    seconds = [r["seconds"] for r in rows if r["seconds"] is not None]
    print(f"{len(rows) - bad} of {len(rows)} ok" + (f"; difference {min(gaps):+.3f} to {max(gaps):+.3f}, mean {np.mean(gaps):+.4f}" if gaps else "")
          + (f"; {sum(seconds):.1f} s of compiling" if seconds else ""))
    if o.json:
        with open(o.json, "w") as f:
            json.dump(rows, f, indent=1)
    return 1 if bad or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
