"""LeNet and the masks that show no structure.

Trains LeNet (3x3 convolutions of 6 and 16, then 400-120-84-10) on scikit-learn's digits, enlarged to 28x28, masks it with
torch.nn.utils.prune, and lets prunec say which masks emptied a channel and remove those. Every answer is checked in PyTorch.

    python scripts/lenet_masks.py [--prunec .build/debug/prunec] [--folder FOLDER]

Needs torch, scikit-learn, safetensors, onnx, onnxruntime and numpy. Ends with exit code 1 when something is not as it should be.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from torch.nn.utils import prune


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 3)
        self.conv2 = nn.Conv2d(6, 16, 3)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.fc1(torch.flatten(x, 1)))
        return self.fc3(F.relu(self.fc2(x)))


def data():
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16
    images = F.interpolate(images, size=(28, 28), mode="bilinear", align_corners=False)
    labels = torch.tensor(digits.target)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    cut = len(labels) * 4 // 5
    return images[order[:cut]], labels[order[:cut]], images[order[cut:]], labels[order[cut:]]


def train(model, images, labels, epochs):
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(epochs):
        order = torch.randperm(len(labels))
        for start in range(0, len(order), 64):
            batch = order[start:start + 64]
            optimiser.zero_grad()
            F.cross_entropy(model(images[batch]), labels[batch]).backward()
            optimiser.step()


def accuracy(model, images, labels):
    with torch.no_grad():
        return float((model(images).argmax(1) == labels).float().mean())


class Check:
    failed = 0

    def __call__(self, holds, what):
        print(("  ok      " if holds else "  WRONG   ") + what)
        Check.failed += not holds


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--prunec", default=".build/debug/prunec")
    parser.add_argument("--folder", default=os.path.join(tempfile.gettempdir(), "lenet_masks"))
    parser.add_argument("--epochs", type=int, default=6)
    options = parser.parse_args()
    os.makedirs(options.folder, exist_ok=True)
    check = Check()

    def at(name):
        return os.path.join(options.folder, name)

    def prunec(*arguments):
        print("\n$ prunec " + " ".join(arguments))
        run = subprocess.run([options.prunec, *arguments], capture_output=True, text=True)
        print(run.stdout + run.stderr)
        if run.returncode != 0:
            sys.exit(f"prunec ended with {run.returncode}")
        return run.stdout

    def report(*arguments):
        return json.loads(subprocess.run([options.prunec, *arguments, "--json"], check=True, capture_output=True, text=True).stdout)

    def export(model, name, **more):
        torch.onnx.export(model, (test[:2],), at(name), input_names=["x"], output_names=["logits"], dynamo=False,
                          dynamic_axes={"x": {0: "batch"}, "logits": {0: "batch"}}, **more)

    torch.manual_seed(0)
    images, labels, test, answers = data()
    model = LeNet()
    train(model, images, labels, options.epochs)
    model.eval()
    print(f"LeNet, trained: {accuracy(model, test, answers):.3f} of {len(answers)} test digits are right")

    print("\n== A mask without structure: random_unstructured(conv1, 0.3)")
    prune.random_unstructured(model.conv1, name="weight", amount=0.3)
    zeros = int((model.conv1.weight == 0).sum())
    export(model, "scattered.onnx", do_constant_folding=False)
    text = prunec("stats", at("scattered.onnx"))
    stats = report("stats", at("scattered.onnx"))
    counted = {t["name"]: t["zeros"] for t in stats["tensors"]}
    check(counted["conv1.weight"] == zeros, f"conv1.weight has {zeros} zeros, as PyTorch counts")
    check("No channel is empty" in text, "says that no channel is empty")
    check(all(not g["removable"] for g in stats["groups"]), "finds nothing to remove")

    print("\n== A mask of whole channels: ln_structured(conv1 and conv2, 0.5, n=2, dim=0)")
    prune.remove(model.conv1, "weight")
    prune.ln_structured(model.conv1, name="weight", amount=0.5, n=2, dim=0)
    prune.ln_structured(model.conv2, name="weight", amount=0.5, n=2, dim=0)
    train(model, images, labels, 2)
    model.eval()
    print(f"masked and trained on: {accuracy(model, test, answers):.3f} of the test digits are right")
    empty = [np.flatnonzero(m.detach().numpy().reshape(len(m), -1).max(1) == 0).tolist()
             for m in (model.conv1.weight_mask, model.conv2.weight_mask)]
    print("PyTorch masked channels", empty[0], "of conv1 and", empty[1], "of conv2; their biases are not masked:",
          [round(float(v), 3) for v in model.conv1.bias.detach()[empty[0]]])
    save_file(dict(model.state_dict()), at("masked.safetensors"))
    # The program without masks, for the masks of the state_dict to be applied to.
    plain = LeNet()
    export(plain, "plain.onnx")
    variants = [("masked.onnx", dict(do_constant_folding=False), "weight_orig, weight_mask and a product"),
                ("folded.onnx", dict(do_constant_folding=True), "weights with zeros")]
    with torch.no_grad():
        expected = model(test).numpy()
    jobs = []
    for name, how, what in variants:
        export(model, name, **how)
        jobs.append((name, what, []))
    jobs.append(("plain.onnx", "an untrained model, and the state_dict with masks", ["--masks", at("masked.safetensors")]))
    for name, what, more in jobs:
        print(f"\n-- {name}: {what}")
        if name == "masked.onnx":
            prunec("stats", at(name))
        small = at("small_" + name)
        said = prunec(at(name), "-o", small, "--remove-zeros", *more)
        shapes = {t.name: list(t.dims) for t in onnx.load(small).graph.initializer if len(t.dims) > 1}
        found = sorted(shapes.values(), key=len)
        check([3, 1, 3, 3] in found, "conv1 has 3 channels")
        check([8, 3, 3, 3] in found, "conv2 has 8 channels")
        check([120, 200] in found or [200, 120] in found, "fc1 reads 200 numbers")
        got = onnxruntime.InferenceSession(small).run(None, {"x": test.numpy()})[0]
        error = float(np.abs(got - expected).max() / np.abs(expected).max())
        check(error < 1e-6, f"the outputs are those of the masked LeNet in PyTorch (largest difference {error:.1e})")
        zeros = report(at(name), "-o", small, "--remove-zeros", *more)["zeros"]["removed"]
        check([g["indices"] for g in zeros[:2]] == empty, "names the channels that PyTorch masked")
        check(all(",".join(map(str, i)).replace(",", ", ")[:1] in said for i in empty), "and says so in its report")
    if check.failed:
        sys.exit(f"{check.failed} things are not as they should be")
    print("\nAll as it should be.")


if __name__ == "__main__":
    main()
