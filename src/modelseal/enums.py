"""The closed sets of answers that options take, each defined once and without torch."""

from enum import Enum

from modelseal.errors import InvalidArgumentError


class _Choice(Enum):
    """A closed set of answers; `Rule("manc")` takes a member's text as well as a member.

    Examples:
        >>> Power("fast")
        <Power.FAST: 'fast'>
        >>> Power("some")
        Traceback (most recent call last):
        modelseal.errors.InvalidArgumentError: power: expected none, fast or full, got 'some'
    """

    @classmethod
    def _missing_(cls, value: object) -> None:
        *first, last = (each.value for each in cls)
        raise InvalidArgumentError(
            f"expected {', '.join(first)} or {last}, got {value!r}", field=cls.__name__.lower()
        )


class Rule(_Choice):
    """How few samples are chosen of many candidates."""

    MANC = "manc"
    """Maximum active-neuron cover."""
    RANDOM = "random"
    """By chance."""
    MARGIN = "margin"
    """The smallest margins."""
    DETECTION = "detection"
    """Most small changes noticed; of equals, maximum active-neuron cover."""


class Precision(Enum):
    """A lower precision that an owner may allow a server to use."""

    TF32 = "tf32"
    """Operands of convolutions and matrix products with ten bits after the point, on GPUs."""
    BF16 = "bf16"
    """Weights, inputs and every result as bfloat16."""
    FP16 = "fp16"
    """Weights, inputs and every result in half precision."""
    INT8 = "int8"
    """Operands of convolutions and matrix products as 8-bit whole numbers with one scale each."""


class Power(_Choice):
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


class Depth(Enum):
    """How far to ask."""

    FIRST_PROOF = "until the first proof of tampering"
    ALL = "every sample"


class VerdictForm(Enum):
    """In what forms a verdict is written."""

    JSON = "json"
    """The document itself."""
    JUNIT = "junit"
    """JUnit XML, for continuous integration."""
    SARIF = "sarif"
    """SARIF 2.1.0, for code scanning."""
    HTML = "html"
    """A page to read or print."""


class KeyPurpose(Enum):
    """What a pair of keys is for."""

    ENCRYPTION = "encryption"
    """X25519: fingerprints are encrypted to the public key, and the private one opens them."""
    SIGNING = "signing"
    """Ed25519: the private key signs fingerprints, and the public one checks that."""
