"""The arguments and options of the verbs, and what each of them means.

Typer makes an argument or an option of every parameter of a verb. So verbs, and no other
functions, may have more than six (PLR0913), and their docstrings, which are the text of the help,
describe none. Nothing here imports more than typer: the help must come at once.
"""

from enum import Enum
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

LARGEST_SEED = 2**63 - 1
"""What fits into a fingerprint file."""


class Method(Enum):
    """How samples are made; the same as `modelseal.sealing.Method`, which needs torch."""

    BOUNDARY = "boundary"
    NATURAL = "natural"
    MISCLASSIFIED = "misclassified"
    NOISE = "noise"
    LEGACY = "legacy"
    ASCENT = "ascent"
    ASCENT_ALL = "ascent-all"
    IBSF = "ibsf"
    IBSF_TUNED = "ibsf-tuned"
    TWO_CLASS = "two-class"


class Rule(Enum):
    """How samples are chosen; the same as `modelseal.sealing.Rule`, which needs torch."""

    MANC = "manc"
    RANDOM = "random"
    MARGIN = "margin"
    DETECTION = "detection"


class Effort(Enum):
    """How much is tried to state a power; the same as `modelseal.sealing.Effort`."""

    NONE = "none"
    FAST = "fast"
    FULL = "full"


class Shows(Enum):
    """What an endpoint's numbers are: two of `modelseal.outputs.answers.Kind`."""

    SCORES = "scores"
    PROBABILITIES = "probabilities"


ModelFile: TypeAlias = Annotated[
    Path,
    typer.Argument(metavar="MODEL.TOML", help="Says how to build the network.", show_default=False),
]
Images: TypeAlias = Annotated[
    Path,
    typer.Argument(
        metavar="IMAGES",
        help="Natural inputs: a folder of PNG or JPEG files, or an .npz file.",
        show_default=False,
    ),
]
CandidatesFile: TypeAlias = Annotated[
    Path,
    typer.Argument(metavar="CANDIDATES", help="What `generate` wrote.", show_default=False),
]
FingerprintFile: TypeAlias = Annotated[
    Path,
    typer.Argument(metavar="FINGERPRINT", help="What `seal` wrote.", show_default=False),
]
EndpointName: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="ENDPOINT",
        help="http(s)://host/v2/models/NAME, a model.toml, an .onnx file, or a .jsonl file of "
        "recorded answers.",
        show_default=False,
    ),
]
Output: TypeAlias = Annotated[
    Path,
    typer.Option("--output", "-o", metavar="FILE", help="The file to write.", show_default=False),
]
Samples: TypeAlias = Annotated[int, typer.Option(min=1, help="How many samples are kept.")]
Candidates: TypeAlias = Annotated[
    int, typer.Option(min=1, help="Of how many natural inputs samples are made.")
]
Spec: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="SPEC",
        help="What the endpoint shows: top1, topk:K, topprobs:K:DIGITS, probs:DIGITS or "
        "scores:TOLERANCE.",
    ),
]
MethodOption: TypeAlias = Annotated[Method, typer.Option(help="How samples are made.")]
Tie: TypeAlias = Annotated[
    int, typer.Option(min=2, metavar="K", help="How many classes shall tie.")
]
Margin: TypeAlias = Annotated[
    float | None,
    typer.Option(
        metavar="M",
        help="The smallest margin of a sample, above 0; by default --factor times what harmless "
        "re-hosting moves it.",
        show_default=False,
    ),
]
Factor: TypeAlias = Annotated[
    float,
    typer.Option(
        min=1.0,
        metavar="F",
        help="Every margin is at least this many times what harmless re-hosting moves the sample.",
    ),
]
Seed: TypeAlias = Annotated[
    int, typer.Option(min=0, max=LARGEST_SEED, help="The seed of all random numbers.")
]
Allow: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="WORDS",
        help="Lower precisions that shall count as harmless and cannot be noticed then: tf32, "
        "bf16, fp16 or int8, with commas between.",
        show_default=False,
    ),
]
PowerOption: TypeAlias = Annotated[
    Effort,
    typer.Option(
        "--power",
        help="With how many changed copies of the network it is measured what the samples "
        "notice: 20 of each size (fast), 60 (full), or none.",
    ),
]
RuleOption: TypeAlias = Annotated[
    Rule,
    typer.Option(
        help="By active-neuron cover (manc), at random, by the smallest margin, or by the small "
        "changes that they notice (detection)."
    ),
]
Layers: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--layers",
        metavar="NAME",
        help="A nonlinearity whose neurons count for manc and detection, such as relu_0; may come "
        "several times; by default all.",
        show_default=False,
    ),
]
Everything: TypeAlias = Annotated[
    bool, typer.Option("--all", help="Ask every sample, even after proof of tampering.")
]
JsonFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--json",
        metavar="FILE",
        help="Write the same facts as JSON; - is standard output, in place of the text.",
        show_default=False,
    ),
]
OrderSeed: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--seed",
        min=0,
        help="The seed of the order of asking; by default nobody can foresee it.",
        show_default=False,
    ),
]
ShowsOption: TypeAlias = Annotated[
    Shows | None,
    typer.Option(
        help="What the numbers of a server or an ONNX file are; by default what the fingerprint "
        "expects.",
        show_default=False,
    ),
]
ImageFolder: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--images",
        metavar="DIR",
        help="Write the samples as PNG files into this folder. They are secret.",
        show_default=False,
    ),
]
PlanFile: TypeAlias = Annotated[
    Path,
    typer.Argument(metavar="PLAN.TOML", help="Says what meets what.", show_default=False),
]
ResultFolder: TypeAlias = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        metavar="DIR",
        help="The folder of results; a plan that was stopped goes on there.",
        show_default=False,
    ),
]
WorkerCount: TypeAlias = Annotated[
    int, typer.Option(min=1, metavar="N", help="How many processes on this machine.")
]
RayAddress: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="ADDRESS",
        help="Use a Ray cluster instead: host:port, or auto for the one that runs here.",
        show_default=False,
    ),
]
MakerCount: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        metavar="N",
        help="How many processes on this machine make candidates, each with one torch thread: the "
        "same candidates for any number. By default this process makes them, on all threads.",
        show_default=False,
    ),
]
TimeLimit: TypeAlias = Annotated[
    float | None,
    typer.Option(
        metavar="MINUTES",
        help="Make candidates for no longer than this, and go on with those that there are.",
        show_default=False,
    ),
]
Verbose: TypeAlias = Annotated[
    bool, typer.Option("--verbose", help="Tell what each stage cost, on standard error.")
]
