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
    """How samples are made; the same as `modelseal.sealing.sealing.Method`, which needs torch."""

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
    """How samples are chosen; the same as `modelseal.sealing.sealing.Rule`, which needs torch."""

    MANC = "manc"
    RANDOM = "random"
    MARGIN = "margin"
    DETECTION = "detection"


class Effort(Enum):
    """How much is tried to state a power; the same as `modelseal.sealing.sealing.Effort`."""

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
        help="http(s)://host/v2/models/NAME, grpc(s)://host:port/NAME, an address that ends "
        "with :predict or /invocations, sagemaker:NAME, an endpoint.toml, a model.toml, an "
        ".onnx file, or a .jsonl file of recorded answers.",
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
CheckFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--check",
        metavar="FILE.NPZ",
        help="Natural images with known labels (arrays images and labels): they are asked first, "
        "and no sample is if fewer than half are answered with their label.",
        show_default=False,
    ),
]


Retries: TypeAlias = Annotated[
    int,
    typer.Option(
        min=0,
        max=100,
        metavar="N",
        help="How often a question is asked again after a fault that may pass: a connection that "
        "fails, no answer in time, status 429, 502, 503 or 504.",
    ),
]
Timeout: TypeAlias = Annotated[
    float, typer.Option(metavar="SECONDS", help="How long each answer of a server may take.")
]
AskingLimit: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--time-limit",
        metavar="SECONDS",
        help="For how long samples are asked in all; by default without a limit.",
        show_default=False,
    ),
]
Concurrency: TypeAlias = Annotated[
    int, typer.Option(min=1, max=256, metavar="N", help="How many samples are asked at once.")
]
Pace: TypeAlias = Annotated[
    float,
    typer.Option(metavar="SECONDS", help="The mean pause between questions, drawn anew each time."),
]
RecordFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--record",
        metavar="FILE",
        help="Keep every answer, as soon as it came, in this new file.",
        show_default=False,
    ),
]
ResumeFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--resume",
        metavar="FILE",
        help="Go on with a file of --record: samples that are answered there are not asked again.",
        show_default=False,
    ),
]


Repeats: TypeAlias = Annotated[
    int, typer.Option(min=1, metavar="R", help="How often each sample is asked.")
]
EnrolmentAlpha: TypeAlias = Annotated[
    float,
    typer.Option(
        "--alpha",
        metavar="A",
        help="The rate of false alarms at the most when the deployment is verified later, above 0 "
        "and below 1.",
    ),
]
MostUnstable: TypeAlias = Annotated[
    float,
    typer.Option(
        metavar="SHARE",
        help="Up to which upper bound on its share of differing answers a sample is kept, at most "
        "0.5.",
    ),
]
AcceptOther: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--accept-other",
        help="Enrol a deployment as it is although it answers otherwise than the sealed network.",
    ),
]
Alpha: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--alpha",
        metavar="A",
        help="Of an enrolled fingerprint: the rate of false alarms at the most; by default that "
        "of the enrolment.",
        show_default=False,
    ),
]
Queries: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--queries",
        min=1,
        metavar="N",
        help="Of an enrolled fingerprint: how many questions are asked at the most; by default 50 "
        "for each sample.",
        show_default=False,
    ),
]
Look: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--look",
        min=1,
        metavar="K",
        help="Of an enrolled fingerprint: the number of this check in a schedule of many, which "
        "share one rate of false alarms.",
        show_default=False,
    ),
]
AskNeighbours: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--neighbours",
        help="Ask the neighbours of each sample as well; of an enrolled fingerprint that is always "
        "done.",
    ),
]
NeighbourCount: TypeAlias = Annotated[
    int,
    typer.Option(
        "--neighbours",
        min=0,
        metavar="M",
        help="How many neighbours are sought for each sample: one value changed by one level, and "
        "the same answer.",
    ),
]


class KeyPurpose(Enum):
    """What a pair of keys is for; the same as `modelseal.fingerprint.signatures.Purpose`."""

    ENCRYPTION = "encryption"
    SIGNING = "signing"


KeyFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--key",
        metavar="PRIVATE.PEM",
        help="Opens an encrypted file; by default the one that MODELSEAL_KEY_FILE names.",
        show_default=False,
    ),
]
PassphraseFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        metavar="FILE",
        help="Holds the passphrase of an encrypted file; by default MODELSEAL_PASSPHRASE does.",
        show_default=False,
    ),
]
EncryptTo: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--encrypt-to",
        metavar="PUBLIC.PEM",
        help="Encrypt what is written to this X25519 key.",
        show_default=False,
    ),
]
LockPassphraseFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        metavar="FILE",
        help="Encrypt what is written by the passphrase in this file.",
        show_default=False,
    ),
]
BothPassphraseFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        metavar="FILE",
        help="Holds a passphrase: an encrypted file is opened by it, and what is written is "
        "encrypted by it unless --encrypt-to says otherwise.",
        show_default=False,
    ),
]
RequiredSignature: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--require-signature",
        metavar="PUBLIC.PEM|SIGNER.TOML",
        help="Ask nothing unless this Ed25519 key, or whom this file names, has signed the "
        "fingerprint.",
        show_default=False,
    ),
]
PerCheck: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--per-check",
        min=1,
        metavar="N",
        help="How many samples a check asks, the least spent ones; by default as the ledger "
        "says, or all.",
        show_default=False,
    ),
]
MaxUses: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--max-uses",
        min=1,
        metavar="N",
        help="Ask nothing if too few samples are left that were asked less often than this.",
        show_default=False,
    ),
]
SigningKey: TypeAlias = Annotated[
    Path | None,
    typer.Option("--key", metavar="PRIVATE.PEM", help="The Ed25519 key.", show_default=False),
]
SigstoreSigner: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--sigstore",
        metavar="SIGNER.TOML",
        help="Sign by Sigstore instead of a key, as whom this file names.",
        show_default=False,
    ),
]
TokenFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--identity-token-file",
        metavar="FILE",
        help="Holds the OIDC token of whoever signs by Sigstore; by default "
        "SIGSTORE_IDENTITY_TOKEN does, the CI gives one, or a browser asks for it.",
        show_default=False,
    ),
]
OpeningKey: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--opening-key",
        metavar="PRIVATE.PEM",
        help="Opens an encrypted file; by default the one that MODELSEAL_KEY_FILE names.",
        show_default=False,
    ),
]
ModelFiles: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option(
        "--model-files",
        metavar="FILE",
        help="A file of the model, whose SHA-256 is signed too; may come several times.",
        show_default=False,
    ),
]
Pair: TypeAlias = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        metavar="NAME",
        help="NAME.pem is the private key, NAME.pub.pem the public one.",
        show_default=False,
    ),
]
PurposeOption: TypeAlias = Annotated[
    KeyPurpose, typer.Option("--for", help="What the keys are for.")
]
RecordedFile: TypeAlias = Annotated[
    Path,
    typer.Argument(metavar="RECORD.JSONL", help="The recorded answers.", show_default=False),
]
AskedEndpoint: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--endpoint",
        metavar="TEXT",
        help="What was asked; by default what the record says.",
        show_default=False,
    ),
]
BundleFile: TypeAlias = Annotated[
    Path, typer.Argument(metavar="BUNDLE", help="What `reveal` wrote.", show_default=False)
]
CommitmentFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--commitment",
        metavar="FILE",
        help="The commitment, from where it was made public.",
        show_default=False,
    ),
]


JunitFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--junit",
        metavar="FILE",
        help="Write the verdict as JUnit XML, for continuous integration.",
        show_default=False,
    ),
]
SarifFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--sarif",
        metavar="FILE",
        help="Write the verdict as SARIF 2.1.0, for code scanning.",
        show_default=False,
    ),
]
HtmlFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--html",
        metavar="FILE",
        help="Write the verdict as a page to read or print.",
        show_default=False,
    ),
]
CoverCount: TypeAlias = Annotated[
    int,
    typer.Option(
        "--cover",
        min=0,
        metavar="N",
        help="Ask so many natural images, too, at random places among the samples.",
    ),
]
Naturals: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--naturals",
        metavar="IMAGES",
        help="Where the images for --cover are: a folder of PNG or JPEG files, or an .npz file.",
        show_default=False,
    ),
]
