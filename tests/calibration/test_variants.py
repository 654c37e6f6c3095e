import copy
import re
from collections import Counter

import numpy as np
import pytest
import torch
from refusals import refuses
from torch import nn

from modelseal.calibration import variants
from modelseal.calibration.exports import Exported, OnnxRuntime, Optimisation, Reloaded
from modelseal.calibration.transport import Form, Sent
from modelseal.calibration.variants import (
    BatchSize,
    ChannelsLast,
    Compiled,
    Float64,
    Nnpack,
    OnDevice,
    OneDnnOff,
    Replaced,
    Threads,
    Variant,
    all_variants,
    every_position,
    fp32_variants,
    reference,
    register_variant,
)
from modelseal.domain import Domain
from modelseal.errors import SealingError
from modelseal.registry import Registry
from modelseal.runtime.inference import run_network

QUICK = [one for one in fp32_variants() if not isinstance(one, Compiled)]
DOMAIN = Domain(shape=(3, 8, 8))

# Rounding moves the scores of a network by up to 1e-6 of the largest; a mistake by far more.
ROUNDING = 1e-5


def close(scores, expected):
    return np.abs(scores - expected).max() <= ROUNDING * np.abs(expected).max()


@pytest.fixture
def inputs(coloured):
    return coloured[0][:40]


@pytest.fixture
def exported(tiny, inputs):
    shapes = ({0: torch.export.Dim("batch")},)
    return torch.export.export(tiny, (inputs,), dynamic_shapes=shapes).module()


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture
def registry(monkeypatch):
    """A registry of its own, with nothing in it."""
    fresh: Registry[Variant] = Registry("a variant")
    monkeypatch.setattr(variants, "VARIANTS", fresh)
    return fresh


@pytest.mark.parametrize("variant", QUICK, ids=lambda variant: variant.name)
def test_a_variant_moves_the_scores_by_rounding_only_and_leaves_the_network_alone(
    variant, tiny, inputs
):
    expected, kept = reference(tiny, inputs), copy.deepcopy(tiny)
    tiny.train()
    scores, threads = variant(tiny, inputs), torch.get_num_threads()
    assert close(scores, expected)
    assert threads == 1
    assert torch.backends.mkldnn.enabled
    assert all(module.training for module in tiny.modules())
    for before, after in zip(kept.parameters(), tiny.parameters(), strict=True):
        assert (before == after).all()
        assert (before.dtype, before.stride()) == (after.dtype, after.stride())


@pytest.mark.parametrize(
    "variant",
    [*QUICK[:1], ChannelsLast(), Float64(), Exported(), Reloaded(), OnnxRuntime()],
    ids=lambda one: one.name,
)
def test_a_variant_runs_an_exported_program_as_well(variant, exported, tiny, inputs):
    assert close(variant(exported, inputs), reference(tiny, inputs))


@pytest.mark.real
def test_every_network_is_really_compiled_and_moves_the_scores_by_rounding_only(tiny, inputs):
    counters = torch._dynamo.utils.counters["stats"]
    before = counters["unique_graphs"]
    wider = nn.Sequential(nn.Upsample((8, 8)), tiny)
    with torch._dynamo.config.patch(recompile_limit=1):
        for network, images in [(tiny, inputs), (wider, inputs[:, :, :4])]:
            assert close(Compiled()(network, images), reference(network, images))
    assert counters["unique_graphs"] == before + 2


def test_a_compiler_that_fails_is_reported_in_one_sentence(tiny, inputs, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("\nNo working C++ compiler found in CXX\n\nSet TORCH_LOGS for more.")

    monkeypatch.setattr(torch, "compile", fail)
    with refuses(SealingError, match=r"^[^\n]*: No working C.. compiler found in CXX$"):
        Compiled()(tiny, inputs)


def test_batch_sizes_are_kept_and_offsets_turn_the_inputs(watched, rows):
    scores = BatchSize(7, 3)(watched, rows)
    assert (scores == rows.numpy()).all()
    assert [len(part) for part in watched.batches] == [7, 7]
    first = torch.cat(watched.batches)[:, 0] / 3
    assert first.tolist() == pytest.approx([3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 0, 1, 2])


def test_a_batch_that_takes_too_much_memory_is_not_run(rows, monkeypatch):
    monkeypatch.setattr(variants, "LARGEST", 64 * rows[0].numel())
    network = nn.Linear(rows.shape[1], 2).eval()
    assert len(BatchSize(64)(network, rows)) == len(rows)
    with refuses(SealingError, match="^65 inputs of 3 values"):
        BatchSize(65)(network, rows)
    assert len(reference(network, rows)) == len(rows)


def test_threads_are_set_for_the_run_only_even_if_it_fails(watched, rows):
    Threads(2)(watched, rows)
    assert watched.threads == [2]
    with refuses(SealingError):
        Threads(2)(nn.Linear(4, 2), rows)
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize(("variant", "nnpack"), [(OneDnnOff(), False), (Nnpack(), True)])
def test_one_dnn_is_off_for_the_run_only_even_if_it_fails(variant, nnpack, watched, rows):
    variant(watched, rows)
    assert watched.one_dnn == [False]
    assert watched.nnpack == [nnpack]
    with refuses(SealingError):
        variant(nn.Linear(4, 2), rows)
    assert torch.backends.mkldnn.enabled


def test_nnpack_must_be_there(watched, rows, monkeypatch):
    monkeypatch.setattr(torch, "_nnpack_available", lambda: False)
    with refuses(SealingError, match="NNPACK"):
        Nnpack()(watched, rows)


def test_images_and_filters_have_their_channels_last(inputs):
    seen = []

    class Spy(nn.Conv2d):
        def forward(self, images):
            seen.extend([images, self.weight])
            return super().forward(images).mean((2, 3))

    ChannelsLast()(Spy(3, 4, 3), inputs)
    assert len(seen) == 4
    assert all(one.is_contiguous(memory_format=torch.channels_last) for one in seen)


def test_double_precision_gives_the_scores_without_rounding(inputs):
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
    weight, bias = (value.detach().numpy().astype(np.float64) for value in network[1].parameters())
    expected = inputs.flatten(1).numpy().astype(np.float64) @ weight.T + bias
    # 192 terms below 1 in double precision; float32 would miss by 1e-8 or more.
    assert np.abs(Float64()(network, inputs) - expected).max() < 1e-14


def test_a_machine_without_a_gpu_says_so(watched, rows, no_gpu):
    with refuses(SealingError, match="GPU"):
        OnDevice()(watched, rows)
    assert watched.batches == []


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
def test_a_gpu_moves_the_scores_by_rounding_only(tiny, inputs):
    assert OnDevice()(tiny, inputs) == pytest.approx(reference(tiny, inputs), abs=1e-4)


def test_a_network_is_run_on_a_device_with_tf32_off_and_stays_where_it_was(rows):
    states = []

    class Spy(nn.Linear):
        def forward(self, numbers):
            states.append(torch.backends.cudnn.conv.fp32_precision)
            return super().forward(numbers)

    network, before = Spy(3, 2), torch.backends.cudnn.conv.fp32_precision
    torch.backends.cudnn.conv.fp32_precision = "tf32"
    try:
        assert (OnDevice("cpu")(network, rows) == reference(network, rows)).all()
        assert states == ["ieee", "tf32"]
    finally:
        torch.backends.cudnn.conv.fp32_precision = before


@pytest.mark.parametrize(
    ("variant", "name"),
    [
        (BatchSize(7, 3), "batch-7-at-3"),
        (Threads(2), "threads-2"),
        (ChannelsLast(), "channels-last"),
        (OneDnnOff(), "onednn-off"),
        (Nnpack(), "nnpack"),
        (Float64(), "float64"),
        (Compiled(), "compile"),
        (Exported(), "export"),
        (Reloaded(), "reloaded"),
        (OnnxRuntime(Optimisation.NONE), "onnxruntime-none"),
        (OnDevice(), "on-cuda"),
        (OnDevice("cuda:1"), "on-cuda-1"),
        (Replaced("again", nn.Identity()), "again"),
        *[(Sent(form, DOMAIN), f"sent-as-{form.value}") for form in Form],
    ],
)
def test_names_are_short_and_lasting(variant, name):
    assert variant.name == name
    assert re.fullmatch("[a-z0-9-]+", variant.name)


def test_the_default_variants_cover_every_kind_once(no_gpu):
    listed = fp32_variants()
    assert all(isinstance(variant, Variant) for variant in listed)
    assert len({variant.name for variant in listed}) == len(listed)
    assert Counter(type(variant).__name__ for variant in listed) == {
        "BatchSize": 11, "Threads": 2, "ChannelsLast": 1, "OneDnnOff": 1, "Nnpack": 1, "Float64": 1,
        "Compiled": 1, "Exported": 1, "Reloaded": 1, "OnnxRuntime": 5,
    }  # fmt: skip
    assert {one.size for one in listed if isinstance(one, BatchSize)} == {1, 2, 7, 32, 256}
    assert len({id(one.exports) for one in listed if isinstance(one, OnnxRuntime)}) == 1


@pytest.mark.parametrize(
    ("device", "gpu", "others"),
    [
        ("cpu", False, []),
        ("cpu", True, ["on-cuda"]),
        ("cuda:1", True, ["on-cpu"]),
        ("xpu", False, ["on-cpu"]),
    ],
)
def test_every_other_kind_of_device_is_a_way(monkeypatch, device, gpu, others):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    names = [each.name for each in fp32_variants(torch.device(device))]
    assert [name for name in names if name.startswith("on-")] == others


def test_every_input_stands_at_every_position_of_three_batch_sizes():
    """That each offset is another position is shown where inputs are turned."""
    turns = {(one.size, one.offset) for one in every_position()} | {(32, 0)}
    assert turns == {(size, offset) for size in (2, 7, 32) for offset in range(size)}
    assert BatchSize(32, 0) not in every_position()


def test_all_variants_are_those_of_sealing_and_more_each_once(no_gpu):
    names = [one.name for one in all_variants(DOMAIN)]
    plain = [one.name for one in fp32_variants()]
    assert names[: len(plain)] == plain
    assert max(Counter(names).values()) == 1
    assert {*names} == {
        *(*plain, "restarted", "on-cuda", "sent-as-png", "sent-as-json", "sent-as-bytes"),
        *(one.name for one in every_position()),
    }


def test_a_function_and_a_class_can_be_registered_and_are_tried(registry, tiny, inputs):
    @register_variant("mirrored")
    def mirrored(network, rows):
        return run_network(network, rows.flip(0))[::-1].copy()

    @register_variant("alone")
    class Alone:
        def __call__(self, network, rows):
            return run_network(network, rows, size=1)

    for listed in (fp32_variants(), all_variants(DOMAIN)[:2]):
        assert [each.name for each in listed] == ["mirrored", "alone"]
        assert all(close(each(tiny, inputs), reference(tiny, inputs)) for each in listed)
    assert close(mirrored(tiny, inputs), Alone()(tiny, inputs))
