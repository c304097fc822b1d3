#!/usr/bin/env python3
"""Judges random graphs with check_onnx.py: SEED.onnx, SEED.smaller.onnx and SEED.json of a folder, as RandomOnnxTests writes them.

    PRUNEC_RANDOM_ONNX=DIR PRUNEC_RANDOM=200 swift test --filter RandomOnnxTests
    judge_random.py DIR [--jobs 2] [--tools ../shared/tools] [--tol 1e-4]

One line per seed with faults, then the commonest faults and a last line `ok OK of ALL, worst relative error E, groups pruned G`.
Exit 1 when any seed has a fault.
"""
import argparse
import collections
import concurrent.futures
import glob
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness as H


def judge(folder, seed, tools, tol):
    """(seed, faults, worst relative error, groups pruned) of one seed."""
    check = H.judge_module(tools)
    paths = [os.path.join(folder, seed + ending) for ending in (".onnx", ".smaller.onnx", ".json")]
    missing = [path for path in paths if not os.path.exists(path)]
    if missing:
        return seed, [("files", f"{missing[0]} is missing")], None, 0
    report = check.judge(*paths, tol=tol)
    return seed, report.faults, report.worst, report.pruned


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("folder")
    ap.add_argument("--tools", default=os.path.join(H.SHARED, "tools"), help="folder of check_onnx.py (default: %(default)s)")
    ap.add_argument("--jobs", type=int, default=2, help="processes (default: %(default)s)")
    ap.add_argument("--tol", type=float, default=1e-4, help="largest relative error (default: %(default)s)")
    o = ap.parse_args()
    names = [os.path.basename(path)[:-5] for path in glob.glob(os.path.join(o.folder, "*.onnx"))]
    seeds = sorted({name.split(".")[0] for name in names}, key=lambda s: (len(s), s))
    kinds, good, worst, pruned = collections.Counter(), 0, 0.0, 0
    with concurrent.futures.ProcessPoolExecutor(o.jobs) as pool:
        for seed, faults, error, groups in pool.map(judge, *zip(*[(o.folder, s, o.tools, o.tol) for s in seeds])):
            good += not faults
            pruned += groups
            if not faults and error is not None:
                worst = max(worst, error)
            for check, text in faults:
                print(f"{seed}: [{check}] {text}", flush=True)
                kinds[check, re.sub(r"\d+", "N", text)[:60]] += 1
    for (check, text), count in kinds.most_common(10):
        print(f"{count} x [{check}] {text}")
    print(f"ok {good} of {len(seeds)}, worst relative error {worst:.3g}, groups pruned {pruned}")
    return 0 if good == len(seeds) and seeds else 1


if __name__ == "__main__":
    sys.exit(main())
