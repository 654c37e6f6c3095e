import torch
from deployment import deploy
from scans import read_scans
from training import learn

from modelseal.domain import Domain
from modelseal.models.loader import load_model


def test_what_is_deployed_answers_as_the_network_did(tmp_path):
    train, test = read_scans()
    network = learn(train, epochs=1)
    model = load_model(deploy(network, tmp_path / "new" / "folder"))
    assert model.domain == Domain(shape=(1, 32, 32), bounds=(0.0, 1.0), levels=256)
    assert torch.equal(model.network(test.inputs[:9]), network(test.inputs[:9]))
