"""The published experiment, small, read once."""

import numpy as np
import published
import pytest

from modelseal.calibration.variants import ChannelsLast, Float64
from modelseal.enums import ChannelOrder
from modelseal.generation.baselines.legacy import LegacySettings
from modelseal.research.vgg_face import read_pair
from modelseal.research.vgg_face_experiment import Settings, read_data, run_experiment

QUICK = (Float64(), ChannelsLast())


def make_settings(**changes):
    legacy = LegacySettings(iterations=3, threshold=float("inf"), classes=3)
    own = {"legacy": legacy, "tied": 3, "variants": QUICK, "samples": 3, "bag": 5, "trials": 20}
    return Settings(**{**own, **changes})


@pytest.fixture(scope="session")
def experiment(tmp_path_factory):
    """The folders of models and of data."""
    return published.write_files(tmp_path_factory.mktemp("published"))


@pytest.fixture(scope="session")
def pair(experiment):
    return read_pair(experiment[0], order=ChannelOrder.RGB)


@pytest.fixture(scope="session")
def faces(experiment, pair):
    """Clean images, and those with the trigger."""
    return read_data(experiment[1], pair)


@pytest.fixture(scope="session")
def found(pair, faces):
    """What a quick run finds."""
    return run_experiment(pair, *faces, settings=make_settings())


@pytest.fixture
def settings():
    return make_settings


@pytest.fixture
def greys():
    """Grey levels of some images."""
    return np.random.default_rng(0).integers(0, 256, (2, 3, 32, 32), dtype=np.uint8)
