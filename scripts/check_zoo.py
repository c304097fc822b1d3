#!/usr/bin/env python3
"""Traces every fixture of Tests/Fixtures/zoo to ONNX and runs it in ONNX Runtime beside the library's numbers.

    swift build && scripts/check_zoo.py [NAME...]

Needs numpy and onnxruntime. Exit code 1 when an output differs by more than 1e-4 of its largest number.
"""
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnxruntime

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDER = ROOT / "Tests/Fixtures/zoo"


def check(folder, path):
    subprocess.run(
        [ROOT / ".build/debug/prunec", "trace", folder / "config.json", "--weights", folder / "model.safetensors", "-o", path, "-q"],
        check=True)
    arrays = np.load(folder / "io.npz")
    inputs = {key[3:]: arrays[key] for key in arrays if key.startswith("in.")}
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    wanted = {key[4:]: arrays[key] for key in arrays if key.startswith("out.")}
    worst = 0.0
    for name, value in zip(wanted, session.run(list(wanted), inputs)):
        assert value.shape == wanted[name].shape, (name, value.shape, wanted[name].shape)
        worst = max(worst, float(np.abs(value - wanted[name]).max() / max(np.abs(wanted[name]).max(), 1e-30)))
    return worst


def main():
    names = sys.argv[1:] or sorted(path.name for path in FOLDER.iterdir() if path.is_dir())
    failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        for name in names:
            try:
                error = check(FOLDER / name, pathlib.Path(scratch) / "model.onnx")
                verdict = "ok" if error <= 1e-4 else "DIFFERS"
                print(f"{name:24} {verdict:8} {error:.1e}")
            except (subprocess.CalledProcessError, AssertionError, onnxruntime.capi.onnxruntime_pybind11_state.Fail) as problem:
                verdict = "FAILED"
                print(f"{name:24} {verdict:8} {problem}")
            failed += verdict != "ok"
    print(f"{len(names) - failed} of {len(names)} agree")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
