import copy

import torch

from modelseal.runtime.inference import counting


def test_passes_forward_and_backward_are_counted_by_input(tiny):
    inputs = torch.rand(5, 3, 8, 8, requires_grad=True)
    with counting(tiny) as counter:
        scores = tiny(inputs)
        torch.autograd.grad(scores[:, 0].sum(), inputs, retain_graph=True)
        torch.autograd.grad(scores[:, 1].sum(), inputs)
        with torch.no_grad():
            tiny(inputs[:2])
    assert (counter.forward, counter.backward, counter.work) == (7, 10, 27.0)


def test_copies_share_the_count_and_nothing_is_counted_afterwards(tiny):
    inputs = torch.rand(3, 3, 8, 8)
    with counting(tiny) as counter:
        copy.deepcopy(tiny).double()(inputs.double())
        assert counter.forward == 3
    tiny(inputs)
    assert counter.forward == 3
    assert not tiny._forward_hooks


def test_what_a_compiler_runs_is_not_counted(tiny, monkeypatch):
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    with counting(tiny) as counter:
        tiny(torch.rand(3, 3, 8, 8))
    assert counter.work == 0
