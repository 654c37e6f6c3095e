"""The options for endpoints whose answers vary, and for the neighbours of samples."""

from typing import Annotated, TypeAlias

import typer

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
