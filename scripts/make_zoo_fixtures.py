#!/usr/bin/env python3
"""Writes Tests/Fixtures/zoo/NAME: small models of transformers, timm and torchvision with their numbers.

Each folder holds config.json, model.safetensors, and io.npz with in.NAME and out.NAME as the library computes them (f32, eager).
Needs torch, transformers, timm, torchvision, numpy, safetensors. `make_zoo_fixtures.py [NAME...]` writes those named, or all.
"""
import json
import pathlib
import sys

import numpy as np
import torch
from safetensors.torch import save_file

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "Tests/Fixtures/zoo"
FIXTURES = {}


def fixture(function):
    FIXTURES[function.__name__] = function
    return function


def shake(model):
    """Numbers that no two norms or biases share, so that a weight at the wrong place is seen."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, tensor in list(model.named_parameters()) + [(n, b) for n, b in model.named_buffers() if b.is_floating_point()]:
            if name.endswith("running_var"):
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
            elif "inv_freq" not in name and "embed_scale" not in name:
                scale = 0.3 if tensor.ndim < 2 else 0.15
                offset = 1.0 if tensor.ndim == 1 and "norm" in name.lower() and name.endswith("weight") else 0.0
                tensor.copy_(torch.randn(tensor.shape, generator=generator) * scale + offset)
    return model.eval()


def write(name, config, state, inputs, outputs):
    folder = FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
    if state is not None:
        save_file({key: tensor.contiguous().clone() for key, tensor in state.items()}, folder / "model.safetensors")
    arrays = {f"in.{key}": value.numpy() for key, value in inputs.items()}
    arrays |= {f"out.{key}": value.detach().numpy() for key, value in outputs.items()}
    np.savez(folder / "io.npz", **arrays)
    print(name, sum(f.stat().st_size for f in folder.iterdir()) // 1000, "kB")


def tokens(vocabulary, batch=2, length=9):
    return torch.randint(0, vocabulary, (batch, length), generator=torch.Generator().manual_seed(2))


def image(size):
    return torch.randn((2, 3, size, size), generator=torch.Generator().manual_seed(3))


def save_with_transformers(name, model):
    """The folder as transformers writes it: the names under test are its own."""
    folder = FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    for stray in folder.iterdir():
        if stray.name not in ("config.json", "model.safetensors", "io.npz"):
            stray.unlink()
    return json.loads((folder / "config.json").read_text())


def causal(name, cls, config, length=9):
    config._attn_implementation = "eager"
    model = shake(cls(config))
    ids = tokens(config.vocab_size, length=length)
    with torch.no_grad():
        logits = model(input_ids=ids, use_cache=False).logits
    write(name, save_with_transformers(name, model), None, {"input_ids": ids}, {"logits": logits})


SMALL = dict(vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
             max_position_embeddings=64, pad_token_id=0, bos_token_id=1, eos_token_id=2)


def llama(name, **changes):
    from transformers import LlamaConfig, LlamaForCausalLM
    causal(name, LlamaForCausalLM, LlamaConfig(**(SMALL | changes)), length=changes.pop("length", 9))


@fixture
def llama_plain():
    llama("llama_plain")


@fixture
def llama_bias_tied():
    llama("llama_bias_tied", attention_bias=True, mlp_bias=True, tie_word_embeddings=True, head_dim=12, hidden_act="gelu")


@fixture
def llama_linear():
    llama("llama_linear", rope_parameters={"rope_type": "linear", "factor": 4.0, "rope_theta": 10000.0})


@fixture
def llama_dynamic():
    llama("llama_dynamic", rope_parameters={"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0})


@fixture
def llama_llama3():
    llama("llama_llama3", head_dim=16, rope_parameters={
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64, "rope_theta": 500000.0})


@fixture
def llama_yarn():
    llama("llama_yarn", head_dim=16, rope_parameters={
        "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16, "rope_theta": 10000.0})


@fixture
def mistral():
    from transformers import MistralConfig, MistralForCausalLM
    causal("mistral", MistralForCausalLM, MistralConfig(**SMALL, sliding_window=4))


@fixture
def qwen2():
    from transformers import Qwen2Config, Qwen2ForCausalLM
    causal("qwen2", Qwen2ForCausalLM, Qwen2Config(**SMALL, use_sliding_window=True, sliding_window=3, max_window_layers=1))


@fixture
def qwen3():
    from transformers import Qwen3Config, Qwen3ForCausalLM
    causal("qwen3", Qwen3ForCausalLM, Qwen3Config(**SMALL, head_dim=12, tie_word_embeddings=True))


@fixture
def gemma():
    from transformers import GemmaConfig, GemmaForCausalLM
    causal("gemma", GemmaForCausalLM, GemmaConfig(**(SMALL | dict(num_key_value_heads=1, head_dim=16))))


@fixture
def mixtral():
    from transformers import MixtralConfig, MixtralForCausalLM
    causal("mixtral", MixtralForCausalLM, MixtralConfig(**(SMALL | dict(intermediate_size=24)), num_local_experts=3))


@fixture
def qwen3_moe():
    from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM
    causal("qwen3_moe", Qwen3MoeForCausalLM, Qwen3MoeConfig(
        **SMALL, head_dim=8, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=24, norm_topk_prob=True, mlp_only_layers=[0]))


@fixture
def gpt2():
    from transformers import GPT2Config, GPT2LMHeadModel
    causal("gpt2", GPT2LMHeadModel, GPT2Config(vocab_size=64, n_positions=32, n_embd=32, n_layer=2, n_head=4, bos_token_id=1,
                                               eos_token_id=2))


@fixture
def bert():
    from transformers import BertConfig, BertModel
    config = BertConfig(vocab_size=64, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48,
                        max_position_embeddings=32, attn_implementation="eager")
    model = shake(BertModel(config))
    ids = tokens(64)
    mask = torch.ones_like(ids)
    mask[1, -3:] = 0
    kinds = (torch.arange(ids.shape[1]) > 4).long().expand_as(ids).contiguous()
    with torch.no_grad():
        result = model(input_ids=ids, attention_mask=mask, token_type_ids=kinds)
    write("bert", save_with_transformers("bert", model), None,
          {"input_ids": ids, "attention_mask": mask, "token_type_ids": kinds},
          {"last_hidden_state": result.last_hidden_state, "pooler_output": result.pooler_output})


def bert_with_head(name, cls, **changes):
    from transformers import BertConfig
    config = BertConfig(vocab_size=64, hidden_size=32, num_hidden_layers=1, num_attention_heads=4, intermediate_size=48,
                        max_position_embeddings=32, attn_implementation="eager", **changes)
    model = shake(cls(config))
    ids = tokens(64)
    mask = torch.ones_like(ids)
    mask[0, -2:] = 0
    kinds = torch.zeros_like(ids)
    with torch.no_grad():
        logits = model(input_ids=ids, attention_mask=mask, token_type_ids=kinds).logits
    write(name, save_with_transformers(name, model), None, {"input_ids": ids, "attention_mask": mask, "token_type_ids": kinds},
          {"logits": logits})


@fixture
def bert_masked():
    from transformers import BertForMaskedLM
    bert_with_head("bert_masked", BertForMaskedLM)


@fixture
def bert_classifier():
    from transformers import BertForSequenceClassification
    bert_with_head("bert_classifier", BertForSequenceClassification, num_labels=5)


@fixture
def qwen3_headless():
    from transformers import Qwen3Config, Qwen3Model
    config = Qwen3Config(**(SMALL | dict(num_hidden_layers=1)), head_dim=12, attn_implementation="eager")
    model = shake(Qwen3Model(config))
    ids = tokens(64)
    with torch.no_grad():
        state = model(input_ids=ids, use_cache=False).last_hidden_state
    write("qwen3_headless", save_with_transformers("qwen3_headless", model), None, {"input_ids": ids}, {"last_hidden_state": state})


def vision(name, architecture, output, size, **arguments):
    import timm
    from timm.layers import SwiGLUPacked, set_fused_attn
    set_fused_attn(False)
    given = dict(arguments)
    if given.get("mlp_layer") == "SwiGLUPacked":
        given |= dict(mlp_layer=SwiGLUPacked, act_layer=torch.nn.SiLU)
    model = shake(timm.create_model(architecture, img_size=size, **given))
    x = image(size)
    with torch.no_grad():
        y = model(x)
    config = {"architecture": architecture, "model_args": {"img_size": size, **arguments}}
    write(name, config, model.state_dict(), {"x": x}, {output: y})


@fixture
def vit():
    vision("vit", "vit_tiny_patch16_224", "logits", 32, patch_size=8, embed_dim=48, depth=2, num_heads=3, mlp_ratio=3, num_classes=10)


@fixture
def dino():
    vision("dino", "vit_small_patch16_224.dino", "features", 32, patch_size=8, embed_dim=40, depth=2, num_heads=4)


@fixture
def dinov2():
    vision("dinov2", "vit_small_patch14_dinov2", "features", 28, patch_size=7, embed_dim=40, depth=2, num_heads=4)


@fixture
def dinov2_registers():
    vision("dinov2_registers", "vit_small_patch14_reg4_dinov2", "logits", 28, patch_size=7, embed_dim=48, depth=2, num_heads=4,
           num_classes=10, mlp_ratio=2.66667 * 2, mlp_layer="SwiGLUPacked")


class NarrowResNet:
    """torchvision's ResNet, every width divided by 16."""

    def __new__(cls, block, layers):
        import torchvision.models.resnet as source

        class Narrow(source.ResNet):
            def _make_layer(self, block, planes, blocks, stride=1, dilate=False):
                if planes == 64:
                    self.inplanes = 4
                    self.conv1 = torch.nn.Conv2d(3, 4, 7, 2, 3, bias=False)
                    self.bn1 = torch.nn.BatchNorm2d(4)
                return super()._make_layer(block, planes // 16, blocks, stride, dilate)

        model = Narrow(block, layers, num_classes=10)
        model.fc = torch.nn.Linear(32 * block.expansion, 10)
        return model


def resnet(name, block, architecture):
    import torchvision.models.resnet as source
    layers = [1, 2, 1, 1]
    model = shake(NarrowResNet(getattr(source, block), layers))
    x = image(40)
    with torch.no_grad():
        y = model(x)
    config = {"architecture": architecture, "num_classes": 10, "model_args": {"layers": layers, "width": 4}}
    write(name, config, model.state_dict(), {"x": x}, {"logits": y})


@fixture
def resnet18():
    resnet("resnet18", "BasicBlock", "resnet18")


@fixture
def resnet50():
    resnet("resnet50", "Bottleneck", "resnet50")


@fixture
def lenet():
    class LeNet(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.conv2 = torch.nn.Conv2d(1, 6, 3), torch.nn.Conv2d(6, 16, 3)
            self.fc1, self.fc2, self.fc3 = torch.nn.Linear(400, 120), torch.nn.Linear(120, 84), torch.nn.Linear(84, 10)

        def forward(self, x):
            x = torch.max_pool2d(torch.relu(self.conv1(x)), 2)
            x = torch.max_pool2d(torch.relu(self.conv2(x)), 2).flatten(1)
            return self.fc3(torch.relu(self.fc2(torch.relu(self.fc1(x)))))

    model = shake(LeNet())
    x = image(28)[:, :1].contiguous()
    with torch.no_grad():
        y = model(x)
    write("lenet", {"architecture": "lenet"}, model.state_dict(), {"x": x}, {"logits": y})


if __name__ == "__main__":
    names = sys.argv[1:] or list(FIXTURES)
    for name in names:
        torch.manual_seed(0)
        FIXTURES[name]()
