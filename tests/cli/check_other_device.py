"""The command line with a network on another device."""

import numpy as np
import pytest
from other_device import add_device

from modelseal.calibration.variants import Float64
from modelseal.fingerprint.file_format import load
from modelseal.sealing import methods

DEVICE = add_device()

pytestmark = pytest.mark.usefixtures("few_variants")


def test_a_network_runs_where_its_file_says(model, folder, run, monkeypatch):
    # While samples are made, a network that is not on the CPU is run there once only.
    monkeypatch.setattr(methods, "list_probes", lambda size: (Float64(size),))
    here, order = model(), ("images.npz", "--tie", 3, "-o")
    text = here.read_text(encoding="utf-8")
    there = folder / "there.toml"
    there.write_text(text.replace("[model]", f'[model]\ndevice = "{DEVICE}"'))
    for file in (here, there):
        assert run("generate", file, *order, file.stem).exit_code == 0
    assert np.array_equal(load(folder / "model").samples, load(folder / "there").samples)
    result = run("verify", "there", there)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("INTACT")
