import pytest
import torch
from refusals import refuses

import cifar
from modelseal.errors import InvalidArgumentError
from modelseal.research.cifar_resnet import BasicBlock, cifar_resnet


@pytest.mark.parametrize(("depth", "weights"), [(20, 269_722), (32, 464_154)])
def test_a_network_has_the_depth_and_the_weights_of_the_paper(depth, weights):
    network = cifar_resnet(depth)
    assert sum(parameter.numel() for parameter in network.parameters()) == weights
    layers = [name for name, p in network.named_parameters() if p.ndim > 1]
    assert len(layers) == depth
    assert network.eval()(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


def test_the_shortcut_takes_every_second_pixel_and_pads_with_zeros_on_both_sides():
    inputs = torch.arange(2 * 16.0).reshape(1, 2, 4, 4)
    shown = BasicBlock(2, 4).shortcut(inputs)
    assert shown[0, 1].tolist() == [[0, 2], [8, 10]]
    assert shown[0, 2].tolist() == [[16, 18], [24, 26]]
    assert not shown[0, [0, 3]].any()


@pytest.mark.parametrize(
    ("depth", "classes", "field"),
    [(2, 10, "depth"), (18, 10, "depth"), (21, 10, "depth"), (20, 0, "classes")],
)
def test_another_depth_and_no_classes_are_refused(depth, classes, field):
    with refuses(InvalidArgumentError, field=field):
        cifar_resnet(depth, classes=classes)


@pytest.mark.real
@pytest.mark.parametrize(("depth", "wanted"), [(20, 0.75), (32, 0.75)])
def test_the_real_weights_classify_real_images(depth, wanted, photos, accuracy):
    assert accuracy(cifar.resnet(depth).network, *photos) > wanted
