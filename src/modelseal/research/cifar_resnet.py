"""The residual networks for 32 x 32 images of He et al., CVPR 2016, section 4.2."""

from torch import Tensor, nn
from torch.nn.functional import pad, relu

from modelseal.errors import InvalidArgumentError

_WIDTHS = (16, 32, 64)


def cifar_resnet(depth: int = 20, classes: int = 10) -> nn.Module:
    """A network of `depth` weight layers with random weights.

    Three stages of 16, 32 and 64 channels hold (depth - 2) / 6 blocks each. Where a stage changes
    the shape, the shortcut has no parameters (option A): every second pixel, and zeros for the
    new channels. Inputs are normalised RGB images.
    """
    if depth < 8 or depth % 6 != 2:
        raise InvalidArgumentError(f"expected 6n + 2 from 8 on, got {depth}", field="depth")
    if classes < 1:
        raise InvalidArgumentError(f"expected a positive number, got {classes}", field="classes")
    return _CifarResNet(blocks=(depth - 2) // 6, classes=classes)


class _CifarResNet(nn.Module):
    """Three stages of residual blocks, average pooling and one linear layer."""

    def __init__(self, *, blocks: int, classes: int) -> None:
        super().__init__()
        self.conv1 = _convolution(3, _WIDTHS[0])
        self.bn1 = nn.BatchNorm2d(_WIDTHS[0])
        self.layer1 = _stage(_WIDTHS[0], _WIDTHS[0], blocks)
        self.layer2 = _stage(_WIDTHS[0], _WIDTHS[1], blocks)
        self.layer3 = _stage(_WIDTHS[1], _WIDTHS[2], blocks)
        self.linear = nn.Linear(_WIDTHS[2], classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """The scores (batch, classes) of normalised images (batch, 3, height, width)."""
        features = relu(self.bn1(self.conv1(inputs)))
        features = self.layer3(self.layer2(self.layer1(features)))
        scores: Tensor = self.linear(features.mean(dim=(2, 3)))
        return scores


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions and a shortcut around them."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.added = outside - inside
        self.stride = 2 if self.added else 1
        self.conv1 = _convolution(inside, outside, stride=self.stride)
        self.bn1 = nn.BatchNorm2d(outside)
        self.conv2 = _convolution(outside, outside)
        self.bn2 = nn.BatchNorm2d(outside)

    def forward(self, inputs: Tensor) -> Tensor:
        """What the next block takes."""
        features = self.bn2(self.conv2(relu(self.bn1(self.conv1(inputs)))))
        return relu(features + self.shortcut(inputs))

    def shortcut(self, inputs: Tensor) -> Tensor:
        """The inputs themselves, or every second pixel with new channels of zeros around."""
        if not self.added:
            return inputs
        front = self.added // 2
        return pad(
            inputs[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, front, self.added - front)
        )


def _convolution(inside: int, outside: int, *, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inside, outside, 3, stride=stride, padding=1, bias=False)


def _stage(inside: int, outside: int, blocks: int) -> nn.Sequential:
    first = BasicBlock(inside, outside)
    return nn.Sequential(first, *(BasicBlock(outside, outside) for _ in range(blocks - 1)))
