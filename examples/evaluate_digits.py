"""Says how many of the 360 held-out digits each ONNX file names rightly.

    pip install onnxruntime scikit-learn
    python examples/evaluate_digits.py digits.onnx smaller.onnx
"""

import os
import sys

import numpy as np
import onnxruntime
from sklearn.datasets import load_digits

HELD_OUT = 360


def main():
    digits = load_digits()
    images = (digits.images[-HELD_OUT:] / 16).astype(np.float32)[:, None]
    labels = digits.target[-HELD_OUT:]
    for path in sys.argv[1:]:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        (logits,) = session.run(["logits"], {"image": images})
        print(f"{path}: {(logits.argmax(axis=1) == labels).mean():.1%} right, {os.path.getsize(path) / 1000:.0f} kB")


if __name__ == "__main__":
    main()
