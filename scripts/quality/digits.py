"""Two classifiers of scikit-learn's digits (1,797 images of 8 × 8): a residual CNN with batch norm, and a pre-norm ViT with one qkv."""
import os
import time

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

from . import rivals
from .bench import Case, Method, Setting, count_parameters, export, methods, session

TEST, CALIBRATION = 500, 256


class Block(nn.Module):
    """Two 3 × 3 convolutions beside an identity, or beside a 1 × 1 convolution where the shape changes."""

    def __init__(self, before, after, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.shortcut = nn.Identity()
        if before != after:
            self.shortcut = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class CNN(nn.Module):
    """A small ResNet: widths 16, 32 and 64, two blocks each."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 16, 3, 1, 1, bias=False)
        self.bn = nn.BatchNorm2d(16)
        self.layers = nn.Sequential(
            Block(16, 16, 1), Block(16, 16, 1), Block(16, 32, 2), Block(32, 32, 1), Block(32, 64, 2), Block(64, 64, 1)
        )
        self.head = nn.Linear(64, 10)

    def forward(self, images):
        x = self.layers(F.relu(self.bn(self.conv(images))))
        return self.head(x.mean((2, 3)))


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.head_dim = heads, width // heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x):
        batch, tokens, _ = x.shape
        q, k, v = self.qkv(x).reshape(batch, tokens, 3, self.heads, self.head_dim).permute(2, 0, 3, 1, 4).unbind(0)
        weights = (q @ k.transpose(-2, -1) * 16**-0.5).softmax(-1)
        return self.proj((weights @ v).transpose(1, 2).reshape(batch, tokens, self.heads * self.head_dim))


class Layer(nn.Module):
    def __init__(self, width, heads, hidden):
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(width), Attention(width, heads)
        self.norm2, self.fc1, self.fc2 = nn.LayerNorm(width), nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


class ViT(nn.Module):
    """Four pre-norm layers of width 64 on 16 patches of 2 × 2: 4 heads of 16, 256 hidden units."""

    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(1, 64, 2, 2)
        self.cls = nn.Parameter(torch.zeros(1, 1, 64))
        self.position = nn.Parameter(torch.randn(1, 17, 64) * 0.02)
        self.blocks = nn.Sequential(*(Layer(64, 4, 256) for _ in range(4)))
        self.norm, self.head = nn.LayerNorm(64), nn.Linear(64, 10)

    def forward(self, images):
        x = self.patch(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(x.shape[0], -1, -1), x], 1) + self.position
        return self.head(self.norm(self.blocks(x))[:, 0])


def images_and_labels():
    """(train images, train labels, test images, test labels): always the same split."""
    digits = load_digits()
    images = torch.tensor(digits.images[:, None] / 8 - 1, dtype=torch.float32)
    labels = torch.tensor(digits.target)
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(labels)))
    test, train = order[:TEST], order[TEST:]
    return images[train], labels[train], images[test], labels[test]


def train(model, images, labels, epochs, rate, decay):
    """AdamW with a cosine schedule; images are moved by up to one pixel."""
    optimizer = torch.optim.AdamW(model.parameters(), rate, weight_decay=decay)
    steps = epochs * (len(images) // 64)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.1)
    model.train()
    for _ in range(epochs):
        order = torch.randperm(len(images))
        for i in range(len(images) // 64):
            batch = order[i * 64 : i * 64 + 64]
            dy, dx = torch.randint(-1, 2, (2,)).tolist()
            x = F.pad(images[batch], (1, 1, 1, 1), value=-1)[:, :, 1 + dy : 9 + dy, 1 + dx : 9 + dx]
            loss = F.cross_entropy(model(x), labels[batch], label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return model.eval()


@torch.no_grad()
def accuracy(model, images, labels):
    return float((model(images).argmax(-1) == labels).float().mean())


def prepare(make, epochs, rate, decay, importances, options):
    """From a model's class to `Case.prepare`. `options` takes the model and gives Torch-Pruning's arguments and what is prunable."""

    def prepared(folder, seed):
        train_x, train_y, test_x, test_y = images_and_labels()
        path = os.path.join(folder, f"model{seed}")
        torch.manual_seed(seed)
        model = make()
        if os.path.exists(path + ".pt"):
            model.load_state_dict(torch.load(path + ".pt"))
            model.eval()
        else:
            began = time.perf_counter()
            train(model, train_x, train_y, epochs, rate, decay)
            print(f"  trained for {time.perf_counter() - began:.0f} s: accuracy {accuracy(model, test_x, test_y):.3f}")
            export(model, (test_x[:2],), path + ".onnx", ["images"], ["logits"])
            torch.save(model.state_dict(), path + ".pt")
        some = torch.from_numpy(np.random.default_rng(seed).permutation(len(train_x))[:CALIBRATION])
        x, y = train_x[some], train_y[some]
        np.savez(path + ".npz", images=x.numpy())

        def judge(onnx):
            logits = session(onnx).run(None, {"images": test_x.numpy()})[0]
            return (float((logits.argmax(-1) == test_y.numpy()).mean()),)

        def losses(m, each=False):
            found = F.cross_entropy(m(x), y, reduction="none")
            return found if each else [found.mean()]

        prunable, arguments = options(model)
        total = count_parameters(path + ".onnx")
        prunable = prunable if prunable else total
        setting = Setting(path + ".onnx", path + ".npz", total, prunable, judge)
        for name, importance, extra in importances:
            setting.rivals[f"Torch-Pruning {name}"] = lambda share, importance=importance, extra=extra: rivals.torch_pruning(
                model, test_x[:2], importance, share * prunable, losses, lambda m: dict(head_pruning_ratio=share) | arguments(m) | extra(m),
                lambda m: (accuracy(m, test_x, test_y),)
            )
        for name, steps in rivals.ONNXSIM.items():
            setting.rivals[f"onnxsim {name}"] = lambda share, steps=steps: rivals.onnxsim(
                path + ".onnx", os.path.join(folder, f"onnxsim{seed}.onnx"), steps, {"images": x.numpy()}, share * prunable, judge
            )
        return setting

    return prepared


def cnn_options(model):
    """Everything but the last layer's outputs may go."""
    return None, lambda m: dict(ignored_layers=[m.head])


def inner(m):
    """The layers that write the residual streams."""
    shortcuts = [b.shortcut[0] for b in m.layers if isinstance(b.shortcut, nn.Sequential)]
    return [m.head, m.conv, *shortcuts, *(b.conv2 for b in m.layers)]


def vit_options(model):
    """Heads and hidden units; the width stays."""
    prunable = sum(p.numel() for n, p in model.named_parameters() if any(w in n for w in ("qkv", "proj", "fc1", "fc2")))

    def arguments(m):
        writers = [layer for b in m.blocks for layer in (b.attn.proj, b.fc2)]
        return dict(
            ignored_layers=[m.patch, m.head, m.cls, m.position, *writers],
            num_heads={b.attn.qkv: b.attn.heads for b in m.blocks},
        )

    return prunable, arguments


def lost_accuracy(original, pruned):
    return original[0] - pruned[0]


def everything(scope):
    return lambda m: dict(global_pruning=scope == "global")


def inside(scope):
    return lambda m: dict(global_pruning=scope == "global", ignored_layers=inner(m))


def in_heads(scope, what):
    return lambda m: dict(global_pruning=scope == "global", prune_num_heads=what == "heads", prune_head_dims=what == "dims")


CNN_IMPORTANCES = [
    (f"{name}, {scope}{where}", name, extra(scope))
    for name in ("magnitude", "taylor", "hessian", "lamp", "fpgm", "bn-scale")
    for scope in ("local", "global")
    for where, extra in (("", everything), (", inside blocks", inside))
]
VIT_IMPORTANCES = [
    (f"{name}, {scope}, {what}", name, in_heads(scope, what))
    for name in ("magnitude", "taylor", "hessian")
    for scope in ("local", "global")
    for what in ("heads", "dims")
]


CNN_CASE = Case("cnn", "A residual CNN on digits", (0.3, 0.5, 0.7), ("accuracy",), lost_accuracy,
                [*methods(["--kinds", "channels"]), Method("default, uniform", "auto", ["--kinds", "channels", "--uniform"])],
                prepare(CNN, 30, 3e-3, 0.05, CNN_IMPORTANCES, cnn_options))
VIT_CASE = Case("vit", "A pre-norm ViT on digits", (0.3, 0.5, 0.7), ("accuracy",), lost_accuracy,
                [*methods(["--kinds", "heads,head-dims,hidden"]), Method("default, whole heads", "auto", ["--kinds", "heads,hidden"])],
                prepare(ViT, 80, 1.5e-3, 0.1, VIT_IMPORTANCES, vit_options))
