"""Trains the model of the first example and writes digits.onnx and digits.ir.

A small vision transformer on scikit-learn's bundled 8x8 digits: a convolutional stem, 16 tokens of width 64, two blocks
with 4 heads (fused qkv) and 128 hidden units. Takes under a minute on a CPU and downloads nothing.

    pip install torch onnx onnxscript scikit-learn
    python examples/make_digits.py

The last 360 of the 1797 images are held out; the accuracy printed at the end is measured on them.
"""

import argparse
import pathlib
import subprocess

import numpy as np
import onnx
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

HELD_OUT = 360


class Attention(nn.Module):
    def __init__(self, width, heads, dims):
        super().__init__()
        self.heads, self.dims = heads, dims
        self.qkv = nn.Linear(width, 3 * heads * dims)
        self.proj = nn.Linear(heads * dims, width)

    def forward(self, x):
        batch, tokens, _ = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.heads, self.dims).permute(2, 0, 3, 1, 4)
        query, key, value = qkv[0], qkv[1], qkv[2]
        weights = (query @ key.transpose(-2, -1) * self.dims**-0.5).softmax(dim=-1)
        mixed = (weights @ value).transpose(1, 2)
        if self.training:  # now and then a head is silent
            mixed = mixed * F.dropout(torch.ones(batch, 1, self.heads, 1), 0.15)
        return self.proj(mixed.reshape(batch, tokens, self.heads * self.dims))


class Block(nn.Module):
    def __init__(self, width, heads, dims, hidden):
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = Attention(width, heads, dims)
        self.norm2 = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


class Digits(nn.Module):
    """[batch, 1, 8, 8] in, logits [batch, 10] out. `heads` and `hidden` hold one number per block."""

    def __init__(self, channels=32, width=64, heads=(4, 4), dims=16, hidden=(128, 128)):
        super().__init__()
        self.stem = nn.Conv2d(1, channels, 3, padding=1)
        self.patch = nn.Conv2d(channels, width, 2, stride=2)
        self.position = nn.Parameter(torch.randn(1, 16, width) * 0.02)
        self.blocks = nn.ModuleList(Block(width, h, dims, m) for h, m in zip(heads, hidden))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 10)

    def forward(self, image):
        x = F.dropout2d(F.relu(self.stem(image)), 0.2, self.training)
        x = F.dropout2d(self.patch(x), 0.1, self.training)
        x = x.flatten(2).transpose(1, 2) + self.position
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x).mean(dim=1))


def images_and_labels():
    """Training images, training labels, held-out images, held-out labels; images are [n, 1, 8, 8] in 0...1."""
    digits = load_digits()
    images = torch.from_numpy((digits.images / 16).astype(np.float32)).unsqueeze(1)
    labels = torch.from_numpy(digits.target)
    return images[:-HELD_OUT], labels[:-HELD_OUT], images[-HELD_OUT:], labels[-HELD_OUT:]


def shifted(images, generator):
    """Each image moved by up to one pixel in each direction."""
    padded = F.pad(images, (1, 1, 1, 1))
    down, right = torch.randint(0, 3, (2,), generator=generator).tolist()
    return padded[:, :, down : down + 8, right : right + 8]


def train(model, epochs, rate, seed=0, decay=0.5):
    """Trains `model` in place with AdamW and a cosine schedule."""
    images, labels, _, _ = images_and_labels()
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=decay)
    batches = len(images) // 64
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, epochs * batches)
    model.train()
    for _ in range(epochs):
        order = torch.randperm(len(images), generator=generator)
        for batch in order[: batches * 64].split(64):
            loss = F.cross_entropy(model(shifted(images[batch], generator)), labels[batch], label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    model.eval()


def accuracy(model):
    """The share of the held-out images that `model` names rightly."""
    _, _, images, labels = images_and_labels()
    with torch.no_grad():
        return (model(images).argmax(dim=1) == labels).float().mean().item()


def export(model, path):
    """Writes ONNX with a dynamic batch. `optimize=False` keeps the names of the weights; the optimiser calls them val_8."""
    program = torch.onnx.export(
        model.eval(), (torch.zeros(2, 1, 8, 8),), dynamo=True, optimize=False, verbose=False,
        input_names=["image"], output_names=["logits"], dynamic_shapes=({0: torch.export.Dim("batch")},),
    )
    proto = program.model_proto
    for node in proto.graph.node:
        del node.metadata_props[:]  # stack traces, larger than the weights
    onnx.save(proto, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--prunec", default=".build/release/prunec", help="the command that converts to .ir")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent)
    arguments = parser.parse_args()

    torch.manual_seed(0)
    model = Digits()
    train(model, arguments.epochs, rate=2e-3)
    onnx_file = arguments.out / "digits.onnx"
    export(model, onnx_file)
    subprocess.run([arguments.prunec, "convert", onnx_file, "-o", arguments.out / "digits.ir"], check=True)
    parameters = sum(p.numel() for p in model.parameters())
    print(f"{parameters} parameters; {accuracy(model):.1%} of the {HELD_OUT} held-out images are named rightly")


if __name__ == "__main__":
    main()
