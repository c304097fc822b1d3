"""What the judging scripts share: running prunec, the judge, models' constants, and a pool of processes."""
import concurrent.futures
import hashlib
import importlib
import json
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SHARED = os.path.normpath(os.path.join(HERE, "..", "..", "shared"))


def add_arguments(ap):
    """The arguments every judging script takes."""
    ap.add_argument("prunec", help="the program")
    ap.add_argument("--tools", default=os.path.join(SHARED, "tools"), help="folder of check_onnx.py (default: %(default)s)")
    ap.add_argument("--jobs", type=int, default=2, help="processes (default: %(default)s)")
    ap.add_argument("--timeout", type=float, default=120, help="seconds for one call of prunec (default: %(default)s)")


def judge_module(tools):
    """check_onnx.py as a module."""
    if tools not in sys.path:
        sys.path.insert(0, tools)
    return importlib.import_module("check_onnx")


class Failed(Exception):
    """prunec ended badly; the message says how."""


def call(prunec, arguments, timeout=120):
    """Run prunec; returns (stdout, seconds) or raises Failed with its last line."""
    began = time.perf_counter()
    try:
        done = subprocess.run([prunec, *map(str, arguments)], capture_output=True, text=True, timeout=timeout, errors="replace",
                              stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise Failed(f"prunec {arguments[0]}: no answer after {timeout:g} s") from None
    except OSError as e:
        raise Failed(f"{prunec}: {e.strerror or e}") from None
    if done.returncode:
        lines = [l for l in (done.stderr + done.stdout).splitlines() if l.strip()]
        error = next((l for l in lines if "error" in l.lower()), lines[-1] if lines else "")
        what = f"signal {-done.returncode}" if done.returncode < 0 else f"exit {done.returncode}"
        raise Failed(f"{what}: {error[:300]}")
    return done.stdout, time.perf_counter() - began


def groups_report(prunec, model, timeout=120):
    """`prunec groups MODEL --json` as a dictionary, or None when that verb gives none."""
    try:
        report = json.loads(call(prunec, ["groups", model, "--json"], timeout)[0])
    except (Failed, json.JSONDecodeError):
        return None
    return report if isinstance(report, dict) and isinstance(report.get("groups"), list) else None


def is_prunable(group):
    """Whether a group of the report may lose indices."""
    return bool(group.get("prunable", not group.get("frozen") and not group.get("reason")))


def load_json(path):
    with open(path) as f:
        return json.load(f)


def sha256(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def in_processes(function, items, jobs):
    """(item, function(item)) in the items' order, each as soon as those before it are done."""
    if jobs <= 1:
        for item in items:
            yield item, function(item)
        return
    with concurrent.futures.ProcessPoolExecutor(jobs) as pool:
        pending = [(item, pool.submit(function, item)) for item in items]
        for item, future in pending:
            yield item, future.result()


def one_line(text, width=400):
    return " ".join(str(text).split())[:width]
