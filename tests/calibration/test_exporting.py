import numpy as np
import pytest
import torch
from torch import nn

from modelseal.calibration.exports import Exported, export_program
from modelseal.calibration.variants import reference
from modelseal.errors import InvalidArgumentError, SealingError
from modelseal.runtime.inference import BATCH


@pytest.fixture
def inputs(coloured):
    return coloured[0][:40]


def test_the_program_is_run_and_not_the_network(tiny, inputs, monkeypatch):
    expected = reference(tiny, inputs)
    export = torch.export.export
    other = nn.Sequential(nn.Flatten(), nn.Linear(192, 3)).eval()
    monkeypatch.setattr(torch.export, "export", lambda network, examples: export(other, examples))
    assert (Exported()(tiny, inputs) == reference(other, inputs)).all()
    assert (reference(tiny, inputs) == expected).all()


def test_a_program_is_of_the_network_in_evaluation_mode_which_is_left_in_its_own(tiny, inputs):
    expected = reference(tiny, inputs)
    tiny.train()
    statistics = tiny[1].running_mean.clone()
    program = export_program(tiny, inputs)
    # Rounding moves scores by up to 1e-6; a batch's own statistics by tenths.
    assert np.abs(reference(program.module(), inputs) - expected).max() < 1e-5
    assert all(module.training for module in tiny.modules())
    assert (tiny[1].running_mean == statistics).all()


def test_networks_that_fix_their_batch_size_and_few_inputs_are_exported_too(inputs):
    class Fixed(nn.Module):
        def forward(self, images):
            return images.reshape(BATCH, -1)[:, :3]

    scores = Exported()(Fixed(), inputs[:5])
    assert (scores == inputs[:5].reshape(5, -1)[:, :3].numpy()).all()


def test_an_exported_program_can_be_exported_again(tiny, inputs):
    again = export_program(tiny, inputs).module()
    assert np.abs(Exported()(again, inputs) - reference(tiny, inputs)).max() < 1e-5


def test_a_network_that_cannot_be_exported_is_said_in_one_sentence(inputs):
    class Branching(nn.Module):
        def forward(self, images):
            return images.flatten(1) if images.sum() > 0 else images.flatten(1) * 2

    with pytest.raises(SealingError, match=r"^the network cannot be run in this way: [^\n]+$"):
        Exported()(Branching(), inputs)


def test_no_inputs_are_refused(tiny, inputs):
    with pytest.raises(InvalidArgumentError, match="at least one input is needed, but none came"):
        Exported()(tiny, inputs[:0])
