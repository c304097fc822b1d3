#!/usr/bin/env python3
"""Runs every model that has an .npz beside it, and compares with ONNX Runtime's outputs recorded there.

    run_models.py PRUNEC [MODEL.onnx ...] [--threads 1,2] [--tol 1e-3] [--jobs 2]

Without models: all of ../shared/models, legacy/ and dynamic/. The error of an output is the largest difference over the output's largest
magnitude. With several thread counts each is run, and each twice: the two runs must agree bit for bit.
One line per model; exit 1 when any differs.
"""
import argparse
import concurrent.futures
import glob
import os
import sys
import tempfile

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness as H


def judge(prunec, model, threads, timeout, tol):
    """(worst relative error, faults, seconds of the slowest call) of one model."""
    recorded = np.load(os.path.splitext(model)[0] + ".npz")
    expected = {name[4:]: recorded[name] for name in recorded.files if name.startswith("out.")}
    worst, faults, slowest = 0.0, [], 0.0
    with tempfile.TemporaryDirectory() as folder:
        for count in threads:
            runs = []
            for turn in range(2):
                path = os.path.join(folder, f"{count}.{turn}.npz")
                try:
                    _, seconds = H.call(prunec, ["run", model, "--inputs", os.path.splitext(model)[0] + ".npz", "--outputs", path,
                                                 "--threads", count, "--quiet"], timeout)
                except H.Failed as e:
                    return worst, [str(e)], slowest
                slowest = max(slowest, seconds)
                runs.append(dict(np.load(path)))
            for name, want in expected.items():
                have = runs[0].get("out." + name)
                if have is None or have.shape != want.shape or have.dtype != want.dtype:
                    faults.append(f"{name}: {None if have is None else (have.dtype, have.shape)}, expected {want.dtype, want.shape}")
                    continue
                if have.tobytes() != runs[1]["out." + name].tobytes():
                    faults.append(f"{name}: differs from run to run at {count} threads")
                if not want.size:
                    continue
                a, b = have.astype(np.float64), want.astype(np.float64)
                error = np.abs(a - b).max() / max(1e-6, np.abs(b).max())
                if not np.array_equal(np.isfinite(a), np.isfinite(b)):
                    error = float("inf")
                worst = max(worst, error)
                if not error <= tol:
                    faults.append(f"{name}: error {error:.1e} at {count} threads")
    return worst, faults, slowest


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    H.add_arguments(ap)
    ap.add_argument("models", nargs="*", help="ONNX files with an .npz beside them")
    ap.add_argument("--threads", default="1,2", help="thread counts to run with (default: %(default)s)")
    ap.add_argument("--tol", type=float, default=1e-3, help="largest relative error (default: %(default)s)")
    o = ap.parse_args()
    folders = [os.path.join(H.SHARED, "models", sub) for sub in ("", "legacy", "dynamic")]
    models = o.models or [path for folder in folders for path in sorted(glob.glob(os.path.join(folder, "*.onnx")))]
    models = [path for path in models if os.path.exists(os.path.splitext(path)[0] + ".npz")]
    threads = [int(count) for count in o.threads.split(",")]
    good, worst = 0, 0.0
    with concurrent.futures.ThreadPoolExecutor(o.jobs) as pool:
        for path, (error, faults, seconds) in zip(models, pool.map(lambda m: judge(o.prunec, m, threads, o.timeout, o.tol), models)):
            name = os.path.join(os.path.basename(os.path.dirname(path)), os.path.basename(path))
            print(f"{'ok' if not faults else 'FAULT':6}{name:44}{error:9.1e}{seconds:8.2f} s  {'; '.join(faults)[:300]}", flush=True)
            good += not faults
            worst = max(worst, error)
    print(f"{good} of {len(models)} ok, worst error {worst:.1e}")
    return 0 if good == len(models) else 1


if __name__ == "__main__":
    sys.exit(main())
