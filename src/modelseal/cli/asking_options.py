"""The options of `verify` that say how an endpoint is asked and what is kept of it."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

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
