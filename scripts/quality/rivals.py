"""How the rivals are run: Torch-Pruning on PyTorch models, onnxsim's calibrated pruning on ONNX files."""
import copy
import warnings

import onnx
import torch

from .bench import Refused, count_parameters

#: Steps of onnxsim's calibrated pruning, by what is pruned.
ONNXSIM = {
    "channels": ("structured",),
    "heads + channels": ("heads", "structured"),
    "channels, global": ("structured global",),
}


def torch_pruning(model, example, importance, target, losses, arguments, judge, ratio=None):
    """Prunes a copy of the model; returns the parameters that are gone and what `judge` says.

    `target` counts the parameters that shall go; Torch-Pruning takes a ratio of channels, which is searched for unless it is given.
    `losses(model)` gives numbers whose sum is the loss, and with `each=True` one per sample. `arguments` takes the copy and gives the
    other arguments.
    """
    gradients = {"taylor": taylor, "hessian": hessian}.get(importance, lambda *_: {})(model, losses)
    before = size(model)

    def pruned(ratio):
        smaller = carry_out(model, example, importance, gradients, arguments, ratio)
        return before - size(smaller), smaller

    if ratio is not None:
        gone, smaller = pruned(ratio)
        return gone, judge(smaller)
    low, high, nearest = 0.0, 1.0, None
    for _ in range(10):
        ratio = (low + high) / 2
        try:
            gone, smaller = pruned(ratio)
        except RuntimeError:  # nothing is left of a layer
            high = ratio
            continue
        if nearest is None or abs(gone - target) < abs(nearest[0] - target):
            nearest = gone, smaller
        low, high = (ratio, high) if gone < target else (low, ratio)
        if abs(gone - target) < 0.003 * target:
            break
    if nearest is None or abs(nearest[0] - target) > 0.1 * target:
        raise Refused(f"the nearest to {target:,.0f} parameters is {nearest[0] if nearest else 0:,}")
    return nearest[0], judge(nearest[1])


def carry_out(model, example, importance, gradients, arguments, ratio):
    """A pruned copy of the model."""
    import torch_pruning as tp

    kinds = {
        "magnitude": lambda: tp.importance.GroupMagnitudeImportance(p=2),
        "taylor": tp.importance.GroupTaylorImportance,
        "hessian": tp.importance.GroupHessianImportance,
        "lamp": tp.importance.LAMPImportance,
        "fpgm": tp.importance.FPGMImportance,
        "bn-scale": tp.importance.BNScaleImportance,
        "random": tp.importance.RandomImportance,
    }
    smaller = copy.deepcopy(model)
    for name, parameter in smaller.named_parameters():
        if name in gradients:
            parameter.grad = gradients[name].clone()
    options = arguments(smaller)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pruner = tp.pruner.BasePruner(smaller, example, importance=kinds[importance](), pruning_ratio=ratio, **options)
        pruner.step()
    after = getattr(smaller, "after_pruning", None) or after_pruning
    after(smaller, pruner)
    smaller.zero_grad(set_to_none=True)
    return smaller.eval()


def after_pruning(model, pruner):
    """Tells modules with heads how many are left and of what size."""
    for module in model.modules():
        qkv = getattr(module, "qkv", None)
        if qkv is not None and qkv in pruner.num_heads:
            module.heads = pruner.num_heads[qkv]
            module.head_dim = qkv.out_features // (3 * module.heads)


def taylor(model, losses):
    """The loss's gradient, by the parameter's name."""
    model.zero_grad()
    for loss in losses(model):
        loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def hessian(model, losses):
    """The sum of the samples' squared gradients."""
    total = {}
    for loss in losses(model, each=True):
        model.zero_grad()
        loss.backward(retain_graph=True)
        for name, p in model.named_parameters():
            if p.grad is not None:
                total[name] = total.get(name, 0) + p.grad.square()
    return total


def size(model):
    """Its parameters."""
    return sum(p.numel() for p in model.parameters())


def onnxsim(path, output, steps, inputs, target, judge, batch=32, sparsity=None):
    """Prunes an ONNX file with onnxsim; returns the parameters that are gone and what `judge` says of the output.

    The sparsity at which `target` parameters are gone is searched for unless it is given. `inputs` are the calibration arrays.
    """
    from onnxsim import pruning

    count = len(next(iter(inputs.values())))
    batches = [{k: v[i : i + batch] for k, v in inputs.items()} for i in range(0, count - batch + 1, batch)]
    before = count_parameters(path)

    def pruned(sparsity):
        model = onnx.load(path)
        for step in steps:
            if step == "heads":
                model = pruning.apply_attention_head_wanda_pruning(model, batches, sparsity=sparsity)
            else:
                model = pruning.apply_structured_wanda_pruning(model, batches, sparsity=sparsity, global_sparsity="global" in step)
        onnx.save(model, output)
        return before - count_parameters(output)

    if sparsity is not None:
        return pruned(sparsity), judge(output)
    low, high, nearest = 0.0, 0.99, None
    for _ in range(8):
        sparsity = (low + high) / 2
        gone = pruned(sparsity)
        if nearest is None or abs(gone - target) < abs(nearest[0] - target):
            nearest = gone, judge(output)
        low, high = (sparsity, high) if gone < target else (low, sparsity)
        if abs(gone - target) < 0.01 * target:
            break
    if abs(nearest[0] - target) > 0.1 * target:
        raise Refused(f"the nearest to {target:,.0f} parameters is {nearest[0]:,}")
    return nearest
