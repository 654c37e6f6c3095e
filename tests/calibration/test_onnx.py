import gc
import logging
import sys

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from modelseal.calibration import exports
from modelseal.calibration.exports import Exports, OnnxRuntime, Optimisation, open_session
from modelseal.calibration.variants import reference
from modelseal.errors import MissingExtraError, SealingError


@pytest.fixture
def inputs(coloured):
    return coloured[0][:5]


@pytest.fixture
def exported(monkeypatch):
    """Notes which networks were exported, without exporting them twice."""
    seen, export = [], exports.export

    def note(network, inputs):
        seen.append(network)
        return export(network, inputs)

    monkeypatch.setattr(exports, "export", note)
    return seen


def test_levels_that_share_exports_export_once_and_again_when_a_weight_changes(
    tiny, inputs, exported
):
    exports = Exports()
    levels = [OnnxRuntime(one, exports) for one in Optimisation]
    for level in levels:
        level(tiny, inputs)
    assert exported == [tiny]
    with torch.no_grad():
        tiny[4].bias[1] += 1
    changed = levels[0](tiny, inputs)
    assert exported == [tiny, tiny]
    # A bias of 1 against rounding of 1e-6.
    assert np.abs(changed - reference(tiny, inputs)).max() < 1e-5


def test_a_kept_export_goes_with_its_network(inputs):
    exports = Exports()
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    exports.of(network, inputs)
    assert len(exports._kept) == 1
    del network
    # What exporting left behind may be a circle.
    gc.collect()
    assert len(exports._kept) == 0


def test_every_level_and_the_number_of_threads_reach_the_runtime(tiny, inputs):
    names = {
        "all": "ORT_ENABLE_ALL", "layout": "ORT_ENABLE_LAYOUT", "extended": "ORT_ENABLE_EXTENDED",
        "basic": "ORT_ENABLE_BASIC", "none": "ORT_DISABLE_ALL",
    }  # fmt: skip
    assert set(names.values()) == set(onnxruntime.GraphOptimizationLevel.__members__)
    program = exports.export(tiny, inputs)
    for optimisation in Optimisation:
        session = open_session(onnxruntime, program, optimisation)
        options = session.get_session_options()
        assert options.graph_optimization_level.name == names[optimisation.value]
        assert options.intra_op_num_threads == torch.get_num_threads() == 1


def test_exporting_says_nothing_and_puts_the_log_back(tiny, inputs, capfd):
    log = logging.getLogger("torch.onnx._internal.exporter._registration")
    before = log.level
    exports.export(tiny, inputs)
    assert capfd.readouterr() == ("", "")
    assert log.level == before


def test_a_missing_runtime_is_named_with_its_extra(tiny, inputs, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    wanted = r'ONNX Runtime needs an extra: pip install "modelseal\[export\]"'
    with pytest.raises(MissingExtraError, match=wanted):
        OnnxRuntime()(tiny, inputs)


def test_a_missing_exporter_is_named_with_its_extra(tiny, inputs, monkeypatch):
    def fail(*args, **kwargs):
        raise ModuleNotFoundError("No module named 'onnxscript'")

    monkeypatch.setattr(torch.onnx, "export", fail)
    wanted = r'Exporting a network to ONNX needs an extra: pip install "modelseal\[export\]"'
    with pytest.raises(MissingExtraError, match=wanted):
        OnnxRuntime()(tiny, inputs)


def test_a_network_that_cannot_be_exported_is_said_in_one_sentence(inputs):
    class Branching(nn.Module):
        def forward(self, images):
            return images.flatten(1) if images.sum() > 0 else images.flatten(1) * 2

    with pytest.raises(SealingError, match=r"^the network cannot be run in this way: [^\n]+$"):
        OnnxRuntime()(Branching(), inputs)


def test_an_exporter_that_gives_nothing_is_an_error(tiny, inputs, monkeypatch):
    monkeypatch.setattr(torch.onnx, "export", lambda *args, **kwargs: None)
    with pytest.raises(SealingError, match="the network cannot be exported to ONNX"):
        OnnxRuntime()(tiny, inputs)


def test_what_the_runtime_refuses_is_said_in_one_sentence(tiny, inputs, monkeypatch):
    monkeypatch.setattr(exports, "export", lambda network, inputs: b"no network")
    with pytest.raises(SealingError, match=r"^the network cannot be run in this way: [^\n]+$"):
        OnnxRuntime()(tiny, inputs)


def test_extra_state_of_a_network_is_no_weight():
    class Extra(nn.Linear):
        def get_extra_state(self):
            return "a note"

        def set_extra_state(self, state):
            pass

    network = Extra(2, 2)
    digest = exports.digest_of(network)
    assert digest == exports.digest_of(network)
    with torch.no_grad():
        network.weight[0, 0] += 1e-3
    assert digest != exports.digest_of(network)


def test_a_level_that_an_older_runtime_lacks_is_said_in_one_sentence(tiny, inputs, monkeypatch):
    monkeypatch.setitem(exports.LEVELS, Optimisation.LAYOUT, "ORT_ENABLE_NOTHING")
    with pytest.raises(SealingError, match=r"^the network cannot be run in this way: .*NOTHING"):
        open_session(onnxruntime, b"", Optimisation.LAYOUT)
