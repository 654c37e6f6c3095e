"""Networks that are not on the CPU give the results of those that are."""

import numpy as np
import planned
import published
from other_device import add_device

from modelseal.calibration.variants import ChannelsLast, Float64
from modelseal.enums import ChannelOrder
from modelseal.evaluation.runner import evaluate
from modelseal.generation.baselines.legacy import LegacySettings
from modelseal.research.vgg_face import read_pair
from modelseal.research.vgg_face_experiment import Settings, read_data, run_experiment
from modelseal.runtime.devices import device_of

DEVICE = add_device()


def test_a_plan_gives_the_same_results(tmp_path):
    found = []
    for device in ("cpu", DEVICE):
        folder = tmp_path / device
        folder.mkdir()
        plan = planned.write_plan(folder, ('["nnpack", "float64"]', '["float64"]'))
        model = folder / "model.toml"
        model.write_text(planned.MODEL.replace("[model]", f'[model]\ndevice = "{device}"'))
        found.append(evaluate(plan, folder / "results"))
        assert found[-1].failures == ()
    near, far = found
    assert len(near.trials) == 6
    assert far.trials == near.trials
    assert far.sets == near.sets


def test_the_published_experiment_finds_the_same(tmp_path):
    models, data = published.write_files(tmp_path, faces=6)
    settings = Settings(
        legacy=LegacySettings(iterations=3, threshold=float("inf"), classes=3),
        tied=3,
        variants=(Float64(), ChannelsLast()),
        samples=3,
        bag=5,
        trials=20,
    )
    near, far = (run_published(models, data, device, settings) for device in ("cpu", DEVICE))
    assert far.sanity == near.sanity
    for one, other in zip(far.outcomes, near.outcomes, strict=True):
        assert np.array_equal(one.made.images, other.made.images)
        assert np.array_equal(one.noticed, other.noticed)
        assert one.success == other.success


def run_published(models, data, device, settings):
    pair = read_pair(models, order=ChannelOrder.RGB, device=device)
    assert device_of(pair.trojaned).type == device
    return run_experiment(pair, *read_data(data, pair), settings=settings)
