"""What a model.toml says, with every value of the right type."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from modelseal.settings import Section, read_settings

Pair = Annotated[list[int], Field(min_length=2, max_length=2)]
Bounds = Annotated[list[float], Field(min_length=2, max_length=2)]

_CHECKPOINT = "transformers:"


def is_listed(factory: str) -> bool:
    """Whether a factory is a library's classifier by name, such as `timm:vit_tiny_patch16_224`."""
    return factory.startswith(("torchvision:", "timm:", _CHECKPOINT))


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
            got = "both" if self.factory else "neither"
            raise ValueError(f"expected either factory or program, got {got}")
        if self.is_checkpoint and self.weights is not None:
            raise ValueError("expected no weights beside transformers, which brings its own")
        if self.factory is not None and self.weights is None and not self.is_checkpoint:
            raise ValueError("expected weights beside factory, got none")
        if self.program is not None and self.arguments:
            raise ValueError("expected arguments for a factory only, got some for a program")
        return self

    @property
    def is_checkpoint(self) -> bool:
        """Whether the factory is a folder with a network and its weights."""
        return (self.factory or "").startswith(_CHECKPOINT)

    @property
    def weights_key(self) -> str:
        """The path of the key that says where the weights are."""
        if self.weights is not None:
            return "model.weights"
        return "model.factory" if self.is_checkpoint else "model.program"


class InputSection(Section):
    """What a valid input is (see `Domain`), and what becomes of it before the network.

    See `Resizing` for resize, crop and filter, and `Normalised` for mean and std.
    """

    shape: list[int]
    bounds: Bounds = Field(default=[0.0, 1.0])
    levels: int = 256
    resize: Pair | None = None
    crop: Pair | None = None
    filter: Literal["bilinear", "bicubic"] = "bilinear"
    mean: list[float] | None = None
    std: list[float] | None = None

    @model_validator(mode="after")
    def _agrees(self) -> "InputSection":
        if (self.mean is None) != (self.std is None):
            raise ValueError("expected mean and std together, got only one")
        for key, numbers in (("mean", self.mean), ("std", self.std)):
            if numbers is not None and len(numbers) not in {1, *self.shape[:1]}:
                raise ValueError(
                    f"expected one number in {key}, or one for each channel (the first of shape, "
                    f"{self.shape}), got {len(numbers)}"
                )
        return self


class _OutputSection(Section):
    """What the scores mean: `classes` is a file of names, one a line."""

    classes: str | None = None


class ModelToml(Section):
    """A whole model.toml."""

    model: ModelSection
    input: InputSection
    output: _OutputSection = _OutputSection()


def read_model_toml(path: Path) -> ModelToml:
    """Reads a model.toml; files that it names are not opened."""
    return read_settings(path, ModelToml)


def model_files(path: Path) -> tuple[Path, ...]:
    """A model.toml, the files that it names and its factory's module; some may be missing."""
    whole = read_model_toml(path)
    model = whole.model
    named = (model.program, model.weights, whole.output.classes)
    beside = _factory_files(model.factory, path.parent) if model.factory else ()
    return (path, *(path.parent / name for name in named if name is not None), *beside)


def _factory_files(factory: str, folder: Path) -> tuple[Path, ...]:
    module, _, name = factory.partition(":")
    if factory.startswith(_CHECKPOINT):
        place = folder / name
        return (place / "config.json", *sorted(place.glob("*.safetensors*")))
    if is_listed(factory) or not module:
        return ()
    code = folder.joinpath(*module.split("."))
    return (code.with_name(f"{code.name}.py"), code / "__init__.py")
