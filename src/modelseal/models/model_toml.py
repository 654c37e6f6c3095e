"""What a model.toml says, with every value of the right type."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from modelseal.settings import Section, read_settings

LIBRARIES = ("torchvision", "timm", "transformers")
"""Libraries whose classifiers a factory can name."""

CHECKPOINT = "transformers:"
"""What stands before the folder of a network that brings its own weights."""


def is_listed(factory: str) -> bool:
    """Whether a factory is a library's classifier by name, such as `timm:vit_tiny_patch16_224`."""
    return factory.startswith(tuple(f"{library}:" for library in LIBRARIES))


class ModelSection(Section):
    """How the network is built.

    Args:
        factory: `package.module:callable`, which returns the network; or `torchvision:NAME`,
            `timm:NAME` or `transformers:FOLDER`, for a classifier of that library.
        program: A file written by `torch.export.save`, relative to the model file.
        weights: A `.safetensors`, `.pt` or `.pth` file, relative to the model file; a program
            brings its own, and so does a folder of transformers.
        arguments: Keywords for the factory.
        device: Where the network is run, as torch names it, such as `cuda` or `cuda:1`; by default
            where it was built.
    """

    factory: str | None = None
    program: str | None = None
    weights: str | None = None
    arguments: dict[str, Any] = Field(default={})
    device: str | None = None

    @model_validator(mode="after")
    def _agrees(self) -> "ModelSection":
        if (self.factory is None) == (self.program is None):
            raise ValueError("either factory or program is needed, and not both")
        if self.is_checkpoint and self.weights is not None:
            raise ValueError("a folder of transformers brings its own weights; leave weights out")
        if self.factory is not None and self.weights is None and not self.is_checkpoint:
            raise ValueError("weights is needed beside factory")
        if self.program is not None and self.arguments:
            raise ValueError("arguments is for a factory, not for a program")
        return self

    @property
    def is_checkpoint(self) -> bool:
        """Whether the factory is a folder with a network and its weights."""
        return (self.factory or "").startswith(CHECKPOINT)

    @property
    def weighing(self) -> str:
        """The path of the key that says where the weights are."""
        if self.weights is not None:
            return "model.weights"
        return "model.factory" if self.is_checkpoint else "model.program"


class InputSection(Section):
    """What a valid input is, and what becomes of it before the network.

    See `modelseal.domain.Domain`, `Resizing` for resize, crop and filter, and `Normalised` for
    mean and std.
    """

    shape: list[int]
    bounds: list[float] = Field(default=[0.0, 1.0])
    levels: int = 256
    resize: list[int] | None = None
    crop: list[int] | None = None
    filter: Literal["bilinear", "bicubic"] = "bilinear"
    mean: list[float] | None = None
    std: list[float] | None = None

    @model_validator(mode="after")
    def _agrees(self) -> "InputSection":
        if len(self.bounds) != 2:
            raise ValueError(f"bounds needs two numbers, but has {len(self.bounds)}")
        for key, sizes in (("resize", self.resize), ("crop", self.crop)):
            if sizes is not None and len(sizes) != 2:
                raise ValueError(f"{key} needs a height and a width, but has {len(sizes)} numbers")
        if (self.mean is None) != (self.std is None):
            raise ValueError("mean and std are needed together, but only one is there")
        for key, numbers in (("mean", self.mean), ("std", self.std)):
            if numbers is not None and len(numbers) not in {1, *self.shape[:1]}:
                raise ValueError(
                    f"{key} needs one number, or one for each channel (the first of shape, "
                    f"{self.shape}), but has {len(numbers)}"
                )
        return self


class OutputSection(Section):
    """What the scores mean: `classes` is a file of names, one a line."""

    classes: str | None = None


class Declaration(Section):
    """A whole model.toml."""

    model: ModelSection
    input: InputSection
    output: OutputSection = OutputSection()


def read_declaration(path: Path) -> Declaration:
    """Reads a model.toml; files that it names are not opened.

    Raises:
        BadFileError: It cannot be read, or a key or value is wrong; `field` says which.
    """
    return read_settings(path, Declaration)


def list_model_files(path: Path) -> tuple[Path, ...]:
    """A model.toml, the files that it names and its factory's module; some may be missing.

    Raises:
        BadFileError: It cannot be read, or a key or value is wrong.
    """
    declaration = read_declaration(path)
    model = declaration.model
    named = (model.program, model.weights, declaration.output.classes)
    beside = _list_factory_files(model.factory, path.parent) if model.factory else ()
    return (path, *(path.parent / name for name in named if name is not None), *beside)


def _list_factory_files(factory: str, folder: Path) -> tuple[Path, ...]:
    if is_listed(factory) and not factory.startswith(CHECKPOINT):
        return ()
    if is_listed(factory):
        place = folder / factory.partition(":")[2]
        return (place / "config.json", *sorted(place.glob("*.safetensors*")))
    module = factory.partition(":")[0]
    code = folder.joinpath(*module.split("."))
    return (code.with_name(f"{code.name}.py"), code / "__init__.py") if module else ()
