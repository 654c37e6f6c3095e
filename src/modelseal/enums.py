"""The closed sets of answers that options take, each defined once and without torch."""

from enum import Enum


class Rule(Enum):
    """How few samples are chosen of many candidates."""

    MANC = "manc"
    """Maximum active-neuron cover."""
    RANDOM = "random"
    """By chance."""
    MARGIN = "margin"
    """The smallest margins."""
    DETECTION = "detection"
    """Most small changes noticed; of equals, maximum active-neuron cover."""


class Power(Enum):
    """With how many changed copies it is measured what a fingerprint notices."""

    NONE = "none"
    """It is not measured."""
    FAST = "fast"
    """20 of each size."""
    FULL = "full"
    """60 of each size."""


class ChannelOrder(Enum):
    """In which order the planes of an image meet a network, and so its mean."""

    RGB = "rgb"
    """Red first, as the trojaned checkpoints were trained and the published code feeds them."""
    BGR = "bgr"
    """Blue first, as the network was first trained in Caffe."""
