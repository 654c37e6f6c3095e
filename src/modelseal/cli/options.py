"""The arguments and options of the verbs.

Typer makes an argument or an option of every parameter of a verb. So verbs, and no other
functions, may have more than six (PLR0913), and their docstrings are the text of the help.
Nothing here imports more than typer: the help must come at once.
"""

from enum import Enum
from functools import partial
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from modelseal.enums import KeyPurpose, Power, Rule

LARGEST_SEED = 2**63 - 1
"""What fits into a fingerprint file."""

_argument = partial(typer.Argument, show_default=False)
_option = partial(typer.Option, show_default=False)
_shown = typer.Option


class Shows(Enum):
    """What an endpoint's numbers are: two of `modelseal.outputs.answers.Kind`."""

    SCORES = "scores"
    PROBABILITIES = "probabilities"


ModelFile: TypeAlias = Annotated[
    Path, _argument(metavar="MODEL.TOML", help="How to build the network.")
]
Images: TypeAlias = Annotated[
    Path,
    _argument(
        metavar="IMAGES", help="Natural inputs: a folder of PNG or JPEG files, or an .npz file."
    ),
]
CandidatesFile: TypeAlias = Annotated[
    Path, _argument(metavar="CANDIDATES", help="What `generate` wrote.")
]
FingerprintFile: TypeAlias = Annotated[
    Path, _argument(metavar="FINGERPRINT", help="What `seal` wrote.")
]
EndpointName: TypeAlias = Annotated[
    str,
    _argument(
        metavar="ENDPOINT",
        help="http(s)://host/v2/models/NAME, grpc(s)://host:port/NAME, an address that ends with "
        ":predict or /invocations, sagemaker:NAME, an endpoint.toml, a model.toml, an .onnx "
        "file, or a .jsonl file of recorded answers.",
    ),
]
Output: TypeAlias = Annotated[
    Path, _option("--output", "-o", metavar="FILE", help="The file to write.")
]
Samples: TypeAlias = Annotated[int, _shown(min=1, help="How many samples are kept.")]
Candidates: TypeAlias = Annotated[
    int, _shown(min=1, help="How many natural inputs candidates are made from.")
]
Spec: TypeAlias = Annotated[
    str,
    _shown(
        metavar="SPEC",
        help="What the endpoint shows: top1, topk:K, topprobs:K:DIGITS, probs:DIGITS or "
        "scores:TOLERANCE.",
    ),
]
MethodOption: TypeAlias = Annotated[
    str,
    _shown(
        metavar="METHOD",
        help="How samples are made: boundary, natural, misclassified, noise, legacy, ascent, "
        "ascent-all, ibsf, ibsf-tuned, two-class, or a registered method.",
    ),
]
Tie: TypeAlias = Annotated[int, _shown(min=2, metavar="K", help="How many classes shall tie.")]
Margin: TypeAlias = Annotated[
    float | None,
    _option(
        metavar="M",
        help="The smallest margin of a sample, above 0; by default --factor times its largest "
        "harmless move.",
    ),
]
Factor: TypeAlias = Annotated[
    float,
    _shown(
        min=1.0,
        metavar="F",
        help="Every margin is at least this many times the sample's largest harmless move.",
    ),
]
Seed: TypeAlias = Annotated[
    int, _shown(min=0, max=LARGEST_SEED, help="The seed of all random numbers.")
]
Allow: TypeAlias = Annotated[
    str,
    _option(
        metavar="WORDS",
        help="Lower precisions to count as harmless, which then go unnoticed: tf32, bf16, fp16 or "
        "int8, separated by commas.",
    ),
]
PowerOption: TypeAlias = Annotated[
    Power,
    _shown(
        "--power",
        help="How many changed copies of the network measure what the samples notice: 20 of each "
        "size (fast), 60 (full), or none.",
    ),
]
RuleOption: TypeAlias = Annotated[
    Rule,
    _shown(
        help="By active-neuron cover (manc), at random, by the smallest margin, or by the small "
        "changes noticed (detection)."
    ),
]
Layers: TypeAlias = Annotated[
    list[str] | None,
    _option(
        "--layers",
        metavar="NAME",
        help="A nonlinearity whose neurons count for manc and detection, such as relu_0; may be "
        "repeated; by default all.",
    ),
]
Everything: TypeAlias = Annotated[
    bool, _shown("--all", help="Ask every sample, even after proof of tampering.")
]
JsonFile: TypeAlias = Annotated[
    Path | None,
    _option(
        "--json",
        metavar="FILE",
        help="Write the result as JSON; - means standard output, in place of the text.",
    ),
]
OrderSeed: TypeAlias = Annotated[
    int | None,
    _option("--seed", min=0, help="The seed of the query order; by default it cannot be foreseen."),
]
ShowsOption: TypeAlias = Annotated[
    Shows | None,
    _option(
        help="What the numbers of a server or an ONNX file are; by default what the fingerprint "
        "expects."
    ),
]
ImageFolder: TypeAlias = Annotated[
    Path | None,
    _option(
        "--images",
        metavar="DIR",
        help="Write the samples as PNG files into this folder. They are secret.",
    ),
]
PlanFile: TypeAlias = Annotated[
    Path, _argument(metavar="PLAN.TOML", help="Which samples meet which changes.")
]
ResultFolder: TypeAlias = Annotated[
    Path,
    _option(
        "--output",
        "-o",
        metavar="DIR",
        help="The folder of results; a plan that was stopped resumes there.",
    ),
]
WorkerCount: TypeAlias = Annotated[
    int, _shown(min=1, metavar="N", help="How many processes on this machine.")
]
RayAddress: TypeAlias = Annotated[
    str | None,
    _option(
        "--ray",
        metavar="ADDRESS",
        help="Use a Ray cluster instead: host:port, or auto for the one that runs here.",
    ),
]
MakerCount: TypeAlias = Annotated[
    int | None,
    _option(
        "--workers",
        min=1,
        metavar="N",
        help="How many processes on this machine make candidates, each with one torch thread: the "
        "candidates are the same for any number. By default this process makes them, on all "
        "threads.",
    ),
]
TimeLimit: TypeAlias = Annotated[
    float | None,
    _option(
        metavar="MINUTES",
        help="Stop making candidates after this time, and continue with those made so far.",
    ),
]
Verbose: TypeAlias = Annotated[
    bool, _shown("--verbose", help="Report what each stage cost, on standard error.")
]
CheckFile: TypeAlias = Annotated[
    Path | None,
    _option(
        "--check",
        metavar="FILE.NPZ",
        help="Natural images with known labels (arrays images and labels), asked first: if fewer "
        "than half get their label, no sample is asked.",
    ),
]
Retries: TypeAlias = Annotated[
    int,
    _shown(
        min=0,
        max=100,
        metavar="N",
        help="How often a query is retried after a passing fault: a failed connection, a timeout, "
        "status 429, 502, 503 or 504.",
    ),
]
Timeout: TypeAlias = Annotated[
    float, _shown(metavar="SECONDS", help="How long each answer of a server may take.")
]
AskingLimit: TypeAlias = Annotated[
    float | None,
    _option(
        "--time-limit",
        metavar="SECONDS",
        help="How long all queries together may take; by default there is no limit.",
    ),
]
Concurrency: TypeAlias = Annotated[
    int, _shown(min=1, max=256, metavar="N", help="How many queries run at once.")
]
Pace: TypeAlias = Annotated[
    float, _shown(metavar="SECONDS", help="The mean of the random pause between queries.")
]
RecordFile: TypeAlias = Annotated[
    Path | None,
    _option(
        "--record",
        metavar="FILE",
        help="Write every answer to this new file as soon as it arrives.",
    ),
]
ResumeFile: TypeAlias = Annotated[
    Path | None,
    _option(
        "--resume",
        metavar="FILE",
        help="Resume from a file of --record: samples answered there are not asked again.",
    ),
]
Repeats: TypeAlias = Annotated[
    int, _shown(min=1, metavar="R", help="How often each sample is asked.")
]
EnrolmentAlpha: TypeAlias = Annotated[
    float,
    _shown(
        "--alpha",
        metavar="A",
        help="The highest rate of false alarms when the deployment is verified later, above 0 and "
        "below 1.",
    ),
]
MostUnstable: TypeAlias = Annotated[
    float,
    _shown(
        metavar="SHARE",
        help="A sample is kept if the upper bound on its share of differing answers is at most "
        "this, up to 0.5.",
    ),
]
AcceptOther: TypeAlias = Annotated[
    bool,
    _shown(
        "--accept-other",
        help="Enrol a deployment even if its answers differ from the sealed network's.",
    ),
]
Alpha: TypeAlias = Annotated[
    float | None,
    _option(
        "--alpha",
        metavar="A",
        help="For an enrolled fingerprint: the highest rate of false alarms; by default that of "
        "the enrolment.",
    ),
]
Queries: TypeAlias = Annotated[
    int | None,
    _option(
        "--queries",
        min=1,
        metavar="N",
        help="For an enrolled fingerprint: the largest number of queries; by default 50 for each "
        "sample.",
    ),
]
Look: TypeAlias = Annotated[
    int | None,
    _option(
        "--look",
        min=1,
        metavar="K",
        help="For an enrolled fingerprint: the number of this check in a schedule whose checks "
        "share one rate of false alarms.",
    ),
]
AskNeighbours: TypeAlias = Annotated[
    bool,
    _shown(
        "--neighbours",
        help="Ask the neighbours of each sample as well; always done for an enrolled fingerprint.",
    ),
]
NeighbourCount: TypeAlias = Annotated[
    int,
    _shown(
        "--neighbours",
        min=0,
        metavar="M",
        help="How many neighbours to look for around each sample: one value changed by one level, "
        "the same answer.",
    ),
]


KeyFile: TypeAlias = Annotated[
    Path | None,
    _option(
        "--key",
        metavar="PRIVATE.PEM",
        help="Opens an encrypted file; by default the key that MODELSEAL_KEY_FILE names.",
    ),
]
PassphraseFile: TypeAlias = Annotated[
    Path | None,
    _option(
        "--passphrase-file",
        metavar="FILE",
        help="Holds the passphrase of an encrypted file; by default MODELSEAL_PASSPHRASE does.",
    ),
]
EncryptTo: TypeAlias = Annotated[
    Path | None,
    _option("--encrypt-to", metavar="PUBLIC.PEM", help="Encrypt the output to this X25519 key."),
]
LockPassphraseFile: TypeAlias = Annotated[
    Path | None,
    _option(
        "--passphrase-file",
        metavar="FILE",
        help="Encrypt the output with the passphrase in this file.",
    ),
]
BothPassphraseFile: TypeAlias = Annotated[
    Path | None,
    _option(
        "--passphrase-file",
        metavar="FILE",
        help="Holds a passphrase that opens an encrypted file, and encrypts the output unless "
        "--encrypt-to says otherwise.",
    ),
]
RequiredSignature: TypeAlias = Annotated[
    Path | None,
    _option(
        "--require-signature",
        metavar="PUBLIC.PEM|SIGNER.TOML",
        help="Ask nothing unless this Ed25519 key, or the identity in this file, has signed the "
        "fingerprint.",
    ),
]
PerCheck: TypeAlias = Annotated[
    int | None,
    _option(
        "--per-check",
        min=1,
        metavar="N",
        help="How many samples a check asks, the least spent first; by default as the ledger "
        "says, or all.",
    ),
]
MaxUses: TypeAlias = Annotated[
    int | None,
    _option(
        "--max-uses",
        min=1,
        metavar="N",
        help="Ask nothing if too few samples remain that were asked fewer times than this.",
    ),
]
SigningKey: TypeAlias = Annotated[
    Path | None, _option("--key", metavar="PRIVATE.PEM", help="The Ed25519 key.")
]
SigstoreSigner: TypeAlias = Annotated[
    Path | None,
    _option(
        "--sigstore",
        metavar="SIGNER.TOML",
        help="Sign with Sigstore instead of a key, as the identity in this file.",
    ),
]
TokenFile: TypeAlias = Annotated[
    Path | None,
    _option(
        "--identity-token-file",
        metavar="FILE",
        help="Holds the OIDC token for Sigstore; by default SIGSTORE_IDENTITY_TOKEN, the CI's "
        "own, or a browser login.",
    ),
]
OpeningKey: TypeAlias = Annotated[
    Path | None,
    _option(
        "--opening-key",
        metavar="PRIVATE.PEM",
        help="Opens an encrypted file; by default the key that MODELSEAL_KEY_FILE names.",
    ),
]
ModelFiles: TypeAlias = Annotated[
    list[Path] | None,
    _option(
        "--model-files",
        metavar="FILE",
        help="A file of the model, whose SHA-256 is signed too; may be repeated.",
    ),
]
Pair: TypeAlias = Annotated[
    Path,
    _option(
        "--output",
        "-o",
        metavar="NAME",
        help="NAME.pem is the private key, NAME.pub.pem the public one.",
    ),
]
PurposeOption: TypeAlias = Annotated[KeyPurpose, _shown("--for", help="What the keys are for.")]
RecordedFile: TypeAlias = Annotated[
    Path, _argument(metavar="RECORD.JSONL", help="The recorded answers.")
]
AskedEndpoint: TypeAlias = Annotated[
    str | None,
    _option(
        "--endpoint",
        metavar="TEXT",
        help="The endpoint that was asked; by default what the record says.",
    ),
]
BundleFile: TypeAlias = Annotated[Path, _argument(metavar="BUNDLE", help="What `reveal` wrote.")]
CommitmentFile: TypeAlias = Annotated[
    Path | None,
    _option("--commitment", metavar="FILE", help="The commitment, from where it was published."),
]
JunitFile: TypeAlias = Annotated[
    Path | None,
    _option(
        "--junit",
        metavar="FILE",
        help="Write the verdict as JUnit XML, for continuous integration.",
    ),
]
SarifFile: TypeAlias = Annotated[
    Path | None,
    _option("--sarif", metavar="FILE", help="Write the verdict as SARIF 2.1.0, for code scanning."),
]
HtmlFile: TypeAlias = Annotated[
    Path | None,
    _option("--html", metavar="FILE", help="Write the verdict as a page to read or print."),
]
CoverCount: TypeAlias = Annotated[
    int,
    _shown(
        "--cover",
        min=0,
        metavar="N",
        help="Mix this many decoys, natural images that are not judged, among the samples.",
    ),
]
Naturals: TypeAlias = Annotated[
    Path | None,
    _option(
        "--naturals",
        metavar="IMAGES",
        help="The images for --cover: a folder of PNG or JPEG files, or an .npz file.",
    ),
]
