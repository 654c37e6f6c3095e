"""The options of `verify` that say into what files a verdict goes, and what covers the samples."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

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
