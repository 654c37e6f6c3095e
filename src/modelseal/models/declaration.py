"""What a model.toml says, with every value of the right type."""

import tomllib
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, model_validator

from modelseal.errors import BadFileError
from modelseal.models.validating import Section, first_problem


class ModelSection(Section):
    """How the network is built.

    Args:
        factory: `package.module:callable`, which returns the network.
        program: A file written by `torch.export.save`, relative to the model file.
        weights: A `.safetensors`, `.pt` or `.pth` file, relative to the model file; a program
            brings its own.
        arguments: Keywords for the factory.
    """

    factory: str | None = None
    program: str | None = None
    weights: str | None = None
    arguments: dict[str, Any] = Field(default={})

    @model_validator(mode="after")
    def _agrees(self) -> "ModelSection":
        if (self.factory is None) == (self.program is None):
            raise ValueError("either factory or program is needed, and not both")
        if self.factory is not None and self.weights is None:
            raise ValueError("weights is needed beside factory")
        if self.program is not None and self.arguments:
            raise ValueError("arguments is for a factory, not for a program")
        return self


class InputSection(Section):
    """What a valid input is; see `modelseal.domain.Domain`, and `Normalised` for mean and std."""

    shape: list[int]
    bounds: list[float] = Field(default=[0.0, 1.0])
    levels: int = 256
    mean: list[float] | None = None
    std: list[float] | None = None

    @model_validator(mode="after")
    def _agrees(self) -> "InputSection":
        if len(self.bounds) != 2:
            raise ValueError(f"bounds needs two numbers, but has {len(self.bounds)}")
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
    try:
        return Declaration.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise BadFileError(path, f"cannot be read: {error.strerror}") from error
    except ValidationError as error:
        problem, field = first_problem(error, Declaration)
        raise BadFileError(path, problem, field=field) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadFileError(path, f"is no TOML: {error}") from error


def list_model_files(path: Path) -> tuple[Path, ...]:
    """A model.toml, the files that it names and its factory's module; some may be missing.

    Raises:
        BadFileError: It cannot be read, or a key or value is wrong.
    """
    declaration = read_declaration(path)
    model = declaration.model
    named = (model.program, model.weights, declaration.output.classes)
    module = (model.factory or "").partition(":")[0]
    code = path.parent.joinpath(*module.split("."))
    beside = (code.with_name(f"{code.name}.py"), code / "__init__.py") if module else ()
    return (path, *(path.parent / name for name in named if name is not None), *beside)
