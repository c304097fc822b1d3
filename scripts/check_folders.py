#!/usr/bin/env python3
"""Makes tiny checkpoint folders with transformers, prunes them with prunec, and loads the results with transformers again.

    check_folders.py PRUNEC [--only NAME ...] [--keep FOLDER] [--tol 1e-4]

Of every family that prunec reads, and of what varies between folders: shards in bf16 with an index, tied embeddings that are stored twice,
old names of norms, models without heads. Each is written unpruned (then every tensor is the original's bit for bit, and config.json says
the same), at the defaults, with half of heads and hidden units, with a smaller width, half as deep, and with half of its experts. Each
result must load with no missing, unexpected or mismatched key and without a warning, and must give the numbers that `prunec run` gives.
The plan, carried out by examples/apply_plan.py on the original's weights, must give the same tensors bit for bit.
That the smaller model computes what the plan says is proved by prunec itself.

Needs torch, transformers and safetensors, so it is no part of the checks that run at every change. One line per folder; exit 1 when
anything differs.
"""
import argparse
import json
import logging
import os
import re
import subprocess
import sys
import tempfile

import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "examples"))
from apply_plan import apply_plan

# The number of a layer in a name.
LAYER = re.compile(r"(.*?\.?(?:layers?|h)\.)(\d+)\.")

LLAMA = dict(vocab_size=97, hidden_size=64, intermediate_size=96, num_hidden_layers=4, num_attention_heads=8, num_key_value_heads=4,
             max_position_embeddings=128)
BERT = dict(vocab_size=97, hidden_size=64, intermediate_size=96, num_hidden_layers=4, num_attention_heads=4, max_position_embeddings=64)
GPT2 = dict(vocab_size=97, n_embd=64, n_layer=4, n_head=4, n_positions=64, bos_token_id=1, eos_token_id=2)
EXPERTS = dict(LLAMA, num_experts=8, num_experts_per_tok=2, moe_intermediate_size=48, head_dim=16)


def tied_twice(folder):
    """The last layer's weight is stored although it is the table of tokens."""
    edit(folder, lambda t: dict(t, **{"lm_head.weight": t[table(t)].clone()}))


def table(names):
    """What the table of tokens is called."""
    return next((name for name in names if "embed_tokens" in name or "wte" in name), None)


def old_norms(folder):
    """Norms called gamma and beta."""
    def old(name):
        return name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
    edit(folder, lambda t: {old(n): x for n, x in t.items()})


def bare_gpt2(folder):
    """Names without transformer., as in the first checkpoints."""
    edit(folder, lambda t: {n.removeprefix("transformer."): x for n, x in t.items()})


def edit(folder, change):
    path = os.path.join(folder, "model.safetensors")
    save_file(change(load_file(path)), path, metadata={"format": "pt"})


# name: class of the configuration and its values, class of the model, how it is saved, what is done to the folder
CASES = {
    "llama": ("LlamaConfig", LLAMA, "LlamaForCausalLM", {}, None),
    "llama-headless": ("LlamaConfig", LLAMA, "LlamaModel", {}, None),
    "llama-bf16": ("LlamaConfig", LLAMA, "LlamaForCausalLM", dict(dtype=torch.bfloat16, shard="60KB"), None),
    "llama-tied": ("LlamaConfig", dict(LLAMA, tie_word_embeddings=True), "LlamaForCausalLM", {}, None),
    "llama-tied-twice": ("LlamaConfig", dict(LLAMA, tie_word_embeddings=True), "LlamaForCausalLM", {}, tied_twice),
    "llama-biases": ("LlamaConfig", dict(LLAMA, attention_bias=True, mlp_bias=True), "LlamaForCausalLM", {}, None),
    "mistral": ("MistralConfig", dict(LLAMA, sliding_window=5), "MistralForCausalLM", {}, None),
    "mistral-headless": ("MistralConfig", dict(LLAMA, sliding_window=None), "MistralModel", {}, None),
    "qwen2": ("Qwen2Config", LLAMA, "Qwen2ForCausalLM", {}, None),
    "qwen2-windows": ("Qwen2Config", dict(LLAMA, use_sliding_window=True, sliding_window=5, max_window_layers=2), "Qwen2ForCausalLM", {},
                      None),
    "qwen2-headless": ("Qwen2Config", LLAMA, "Qwen2Model", {}, None),
    "qwen3": ("Qwen3Config", dict(LLAMA, head_dim=16, tie_word_embeddings=True), "Qwen3ForCausalLM", {}, None),
    "qwen3-bf16-twice": ("Qwen3Config", dict(LLAMA, head_dim=16, tie_word_embeddings=True), "Qwen3ForCausalLM",
                         dict(dtype=torch.bfloat16), tied_twice),
    "gemma": ("GemmaConfig", dict(LLAMA, head_dim=16), "GemmaForCausalLM", {}, None),
    "gemma-headless": ("GemmaConfig", dict(LLAMA, head_dim=16), "GemmaModel", dict(shard="60KB"), None),
    "mixtral": ("MixtralConfig", dict(LLAMA, num_local_experts=8), "MixtralForCausalLM", {}, None),
    "mixtral-bf16": ("MixtralConfig", dict(LLAMA, num_local_experts=4), "MixtralForCausalLM", dict(dtype=torch.bfloat16, shard="100KB"),
                     None),
    "qwen3_moe": ("Qwen3MoeConfig", dict(EXPERTS, mlp_only_layers=[]), "Qwen3MoeForCausalLM", {}, None),
    "qwen3_moe-dense": ("Qwen3MoeConfig", dict(EXPERTS, mlp_only_layers=[1], moe_intermediate_size=96), "Qwen3MoeForCausalLM", {}, None),
    "qwen3_moe-steps": ("Qwen3MoeConfig", dict(EXPERTS, decoder_sparse_step=2), "Qwen3MoeForCausalLM", {}, None),
    "gpt2": ("GPT2Config", GPT2, "GPT2LMHeadModel", {}, None),
    "gpt2-inner": ("GPT2Config", dict(GPT2, n_inner=96), "GPT2LMHeadModel", {}, None),
    "gpt2-untied": ("GPT2Config", dict(GPT2, tie_word_embeddings=False), "GPT2LMHeadModel", {}, None),
    "gpt2-tied-twice": ("GPT2Config", GPT2, "GPT2LMHeadModel", {}, tied_twice),
    "gpt2-bare": ("GPT2Config", GPT2, "GPT2LMHeadModel", {}, bare_gpt2),
    "gpt2-headless": ("GPT2Config", GPT2, "GPT2Model", {}, None),
    "bert": ("BertConfig", BERT, "BertModel", {}, None),
    "bert-old": ("BertConfig", BERT, "BertModel", {}, old_norms),
    "bert-masked": ("BertConfig", BERT, "BertForMaskedLM", {}, None),
    "bert-classes": ("BertConfig", dict(BERT, num_labels=3), "BertForSequenceClassification", {}, None),
}

# What is asked of prunec; the experts only where there are some, and the queries, other ones of each key-value head, where heads share one.
PRUNINGS = {
    "unpruned": ["--ratio", "0"],
    "defaults": [],
    "half": ["--kinds", "heads,hidden", "--ratio", "0.5"],
    "queries": ["--kinds", "queries", "--ratio", "0.5"],
    "narrow": ["--kinds", "heads,hidden,width", "--ratio", "0.5"],
    "shallow": ["--keep-depth", "0.5"],
    "experts": ["--kinds", "experts", "--ratio", "0.5"],
    "experts and all": ["--kinds", "experts,heads,hidden", "--ratio", "0.5", "--keep-depth", "0.75"],
}

# BERT has norms after its sums, which stay when a layer goes; models without a head give away their width, which then cannot shrink, and
# of these two the size of a head is the width divided by the heads.
REFUSED = {"BertModel": ["shallow", "narrow"], "BertForMaskedLM": ["shallow"], "BertForSequenceClassification": ["shallow"],
           "GPT2Model": ["narrow"]}


class Warnings(logging.Handler):
    """Collects what transformers complains of."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage().strip().splitlines()[0])


WARNINGS = Warnings()


def make(name, folder):
    """Saves a model of random weights, which are large enough for every part of it to matter."""
    configuration, values, model, saving, change = CASES[name]
    torch.manual_seed(len(name))
    module = getattr(transformers, model)(getattr(transformers, configuration)(**values)).eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(0, 0.1) if parameter.dim() > 1 else parameter.normal_(0.5, 0.2)
    module.to(saving.get("dtype", torch.float32)).save_pretrained(folder, max_shard_size=saving.get("shard", "1GB"))
    if change:
        change(folder)


def load(folder, model):
    """The model in f32 and what is wrong with its loading."""
    WARNINGS.lines.clear()
    module, info = getattr(transformers, model).from_pretrained(folder, output_loading_info=True, dtype=torch.float32)
    faults = [f"{key}: {sorted(map(str, value))[:3]}" for key, value in info.items() if value] + WARNINGS.lines
    return module.eval(), faults


def outputs(module):
    tokens = np.random.default_rng(0).integers(0, 97, (2, 9))
    arrays = {"input_ids": tokens}
    if "Bert" in type(module).__name__:
        mask = np.ones_like(tokens)
        mask[1, 6:] = 0
        arrays.update(attention_mask=mask, token_type_ids=tokens % 2)
    with torch.no_grad():
        result = module(**{key: torch.tensor(value) for key, value in arrays.items()}, return_dict=True)
    name = "logits" if "logits" in result else "last_hidden_state"
    return arrays, name, result[name].numpy()


def shards(folder):
    return sorted(file for file in os.listdir(folder) if file.endswith(".safetensors"))


def weights(folder):
    """All tensors by name."""
    return {name: x for file in shards(folder) for name, x in load_file(os.path.join(folder, file)).items()}


def tensors(folder):
    """Where each tensor is, its type, shape and bytes, by name."""
    return {name: (file, str(x.dtype), tuple(x.shape), x.contiguous().view(torch.uint8).numpy().tobytes())
            for file in shards(folder) for name, x in load_file(os.path.join(folder, file)).items()}


def prunec(program, *arguments):
    done = subprocess.run([program, *arguments], capture_output=True, text=True)
    if done.returncode:
        raise ValueError(f"exit {done.returncode}: {done.stderr.strip()[:400]}")
    return done.stdout


def refused(program, folder, smaller, arguments):
    """Whether it is refused, as what config.json has no words for must be."""
    done = subprocess.run([program, folder, "-o", smaller, *arguments], capture_output=True, text=True)
    if done.returncode != 1 or "cannot say this result" not in done.stderr or os.path.exists(smaller):
        return [f"is not refused, but exit {done.returncode}: {done.stderr.strip()[:200]}"]
    return []


def check(program, folder, model, pruning, tolerance):
    """What is wrong with one result."""
    smaller, plan = f"{folder}-{pruning.replace(' ', '-')}", f"{folder}-plan.json"
    if pruning in REFUSED.get(model, []):
        return refused(program, folder, smaller, PRUNINGS[pruning])
    prunec(program, folder, "-o", smaller, "--plan", plan, *PRUNINGS[pruning])
    module, faults = load(smaller, model)
    arrays, name, wanted = outputs(module)
    np.savez(f"{smaller}.npz", **{f"in.{key}": value for key, value in arrays.items()})
    prunec(program, "run", smaller, "--inputs", f"{smaller}.npz", "--outputs", f"{smaller}-out.npz", "-q")
    with np.load(f"{smaller}-out.npz") as file:
        given = next(file[key] for key in file.files if key.endswith(name))
    error = np.abs(given - wanted).max() / np.abs(wanted).max() if given.shape == wanted.shape else np.inf
    if not error <= tolerance:
        faults.append(f"relative error {error:.1e}")
    had, has = tensors(folder), tensors(smaller)
    if pruning == "unpruned":
        faults += [f"{key} differs" for key in sorted(had.keys() | has.keys()) if had.get(key) != has.get(key)]
        configurations = [json.load(open(os.path.join(f, "config.json"))) for f in (folder, smaller)]
        if configurations[0] != configurations[1]:
            faults.append("config.json differs")
    elif pruning != "defaults" and sum(len(x[3]) for x in has.values()) >= sum(len(x[3]) for x in had.values()):
        faults.append("nothing became smaller")
    return faults + by_plan(plan, folder, smaller)


def by_plan(plan, folder, smaller):
    """What examples/apply_plan.py makes of the original's weights otherwise than prunec."""
    state = weights(folder)
    if "lm_head.weight" in state and torch.equal(state["lm_head.weight"], state[table(state)]):
        state["lm_head.weight"] = state[table(state)]  # As in the state_dict of a model that shares them.
    with open(plan) as file:
        cut = apply_plan(json.load(file), state)
    numbers = sorted({int(layer.group(2)) for layer in map(LAYER.match, cut) if layer})
    cut = {LAYER.sub(lambda m: f"{m.group(1)}{numbers.index(int(m.group(2)))}.", name): x for name, x in cut.items()}
    want = weights(smaller)
    return [f"{name} cut by the plan differs" for name in sorted(cut.keys() | want.keys())
            if name not in cut or name not in want or not torch.equal(cut[name], want[name])]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prunec", help="the program")
    parser.add_argument("--only", nargs="+", metavar="NAME", help=f"only these of {', '.join(CASES)}")
    parser.add_argument("--keep", metavar="FOLDER", help="leave the folders there")
    parser.add_argument("--tol", type=float, default=1e-4, help="largest relative error (default: %(default)s)")
    arguments = parser.parse_args()
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.get_logger("transformers").addHandler(WARNINGS)
    program, failures = os.path.abspath(arguments.prunec), 0
    with tempfile.TemporaryDirectory() as temporary:
        place = arguments.keep or temporary
        for name, (_, values, model, _, _) in CASES.items():
            if arguments.only and name not in arguments.only:
                continue
            folder = os.path.join(place, name)
            make(name, folder)
            lines = []
            for pruning in PRUNINGS:
                if "experts" in pruning and not any("experts" in key for key in values):
                    continue
                if pruning == "queries" and "num_key_value_heads" not in values:
                    continue
                try:
                    lines += [f"{pruning}: {fault}" for fault in check(program, folder, model, pruning, arguments.tol)]
                except (ValueError, RuntimeError, OSError) as error:
                    lines.append(f"{pruning}: {error}")
            failures += bool(lines)
            print(f"{name:18} {'ok' if not lines else 'WRONG'}", *lines, sep="\n    " if lines else "", flush=True)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
