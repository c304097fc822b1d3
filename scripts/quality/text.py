"""A character model in the manner of Qwen3 (grouped queries, norms of queries and keys, gated MLP), trained on docstrings."""
import os
import time
from functools import partial
from unittest import mock

import numpy as np
import torch
import torch.nn.functional as F
from transformers import Qwen3Config, Qwen3ForCausalLM
from transformers.models.qwen3 import modeling_qwen3

from . import rivals
from .bench import Case, Setting, count_parameters, methods, session
from .stdlib import docstrings

WINDOW, CALIBRATION, TEST, STEPS = 128, 128, 400, 1000


def characters():
    """(train, test) as arrays of codes below 96: printable ASCII and the line break. Every tenth docstring is for the test."""
    def codes(texts):
        a = np.frombuffer("\n\n".join(texts).encode("ascii", "ignore"), np.uint8).astype(np.int64)
        return np.where(a == 10, 95, np.clip(a - 32, 0, 94))

    texts = sorted(set(docstrings()))
    texts = [texts[i] for i in np.random.default_rng(0).permutation(len(texts))]
    return codes([t for i, t in enumerate(texts) if i % 10]), codes(texts[::10])


def windows(codes, count, random):
    """Random windows of the text."""
    starts = random.integers(0, len(codes) - WINDOW, count)
    return np.stack([codes[s : s + WINDOW] for s in starts])


def new_model():
    """1.2 million parameters: 4 layers of width 160, 8 heads of 20 over 4 keys and values, 480 hidden units."""
    return Qwen3ForCausalLM(Qwen3Config(
        vocab_size=96, hidden_size=160, intermediate_size=480, num_hidden_layers=4, num_attention_heads=8, num_key_value_heads=4,
        head_dim=20, max_position_embeddings=256, tie_word_embeddings=True, bos_token_id=95, eos_token_id=95,
    ))


def train(model, codes):
    """AdamW on windows of the text."""
    random = np.random.default_rng(0)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3, betas=(0.9, 0.95), weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=STEPS, pct_start=0.1)
    model.train()
    for _ in range(STEPS):
        loss = next_loss(model, torch.from_numpy(windows(codes, 8, random)))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return model.eval()


def next_loss(model, ids, reduction="mean"):
    """Cross-entropy of each next character in nats: one number, or one per window."""
    logits = model(input_ids=ids, use_cache=False).logits[:, :-1]
    losses = F.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")
    return losses.mean() if reduction == "mean" else losses.mean(1)


@torch.no_grad()
def test_loss(model, ids):
    return float(np.mean([float(next_loss(model, ids[i : i + 50])) for i in range(0, len(ids), 50)]))


def onnx_loss(path, ids):
    """The same of an ONNX file."""
    s = session(path)
    total = 0.0
    for i in range(0, len(ids), 50):
        part = ids[i : i + 50]
        known = {"input_ids": part, "attention_mask": np.ones_like(part), "position_ids": np.tile(np.arange(WINDOW), (len(part), 1))}
        logits = torch.from_numpy(s.run(["logits"], {x.name: known[x.name] for x in s.get_inputs()})[0])
        total += float(F.cross_entropy(logits[:, :-1].transpose(1, 2), torch.from_numpy(part)[:, 1:])) * len(part)
    return total / len(ids)


def is_prunable(name):
    return ".self_attn." in name and "_norm" not in name or ".mlp." in name


def prepare(folder, seed):
    """The model is the same for every seed; calibration and test windows are not."""
    train_codes, test_codes = characters()
    path, data = os.path.join(folder, "model"), os.path.join(folder, f"windows{seed}.npz")
    if not os.path.exists(os.path.join(path, "config.json")):
        torch.manual_seed(0)
        model, began = new_model(), time.perf_counter()
        train(model, train_codes)
        model.save_pretrained(path)
        print(f"  trained for {time.perf_counter() - began:.0f} s")
    model = Qwen3ForCausalLM.from_pretrained(path, attn_implementation="eager").eval()
    some = windows(train_codes, CALIBRATION, np.random.default_rng(1000 + seed))
    test = windows(test_codes, TEST, np.random.default_rng(2000 + seed))
    np.savez(data, input_ids=some)

    def judge(result):
        if result.endswith(".onnx"):
            return (onnx_loss(result, test),)
        return (test_loss(Qwen3ForCausalLM.from_pretrained(result, attn_implementation="eager").eval(), torch.from_numpy(test)),)

    def arguments(smaller, scope):
        # Heads stay: Torch-Pruning does not see how shared keys and values belong to the queries behind their norms.
        layers = smaller.model.layers
        attention = [x for l in layers for x in (l.self_attn.q_proj, l.self_attn.k_proj, l.self_attn.v_proj)]
        writers = [x for l in layers for x in (l.self_attn.o_proj, l.mlp.down_proj)]
        norms = [x.weight for l in layers for x in (l.self_attn.q_norm, l.self_attn.k_norm)]
        return dict(global_pruning=scope == "global", ignored_layers=[smaller.model.embed_tokens, smaller.lm_head, *attention, *writers, *norms],
                    output_transform=lambda out: out.logits.sum(), forward_fn=traced)

    prunable = sum(p.numel() for n, p in model.named_parameters() if is_prunable(n))
    setting = Setting(path, data, count_parameters(path), prunable, judge)
    ids = torch.from_numpy(some)

    def losses(m, each=False):
        for i in range(0, len(ids), 16):
            found = next_loss(m, ids[i : i + 16], "none")
            yield from found if each else [found.sum()]

    for importance in ("magnitude", "taylor", "hessian"):
        for scope in ("local", "global"):
            setting.rivals[f"Torch-Pruning {importance}, {scope}, hidden"] = partial(
                torch_pruning, model, ids[:1, :16], importance, prunable, losses, partial(arguments, scope=scope), test
            )
    return setting


def torch_pruning(model, example, importance, prunable, losses, arguments, test, share):
    """One of its importances at one share."""
    return rivals.torch_pruning(model, example, importance, share * prunable, losses, arguments,
                                lambda m: (test_loss(m, torch.from_numpy(test)),))


def traced(model, ids):
    """The forward pass that Torch-Pruning follows: it does not come to an end on rotary embeddings after norms of queries and keys."""
    with mock.patch.object(modeling_qwen3, "apply_rotary_pos_emb", lambda q, k, *_, **__: (q, k)):
        return model(input_ids=ids, use_cache=False)


KINDS = ["--kinds", "heads,queries,head-dims,hidden"]
CASE = Case("text", "A character model in the manner of Qwen3 on docstrings", (0.2, 0.5), ("loss in nats",), lambda o, p: p[0] - o[0],
            methods(KINDS), prepare)
