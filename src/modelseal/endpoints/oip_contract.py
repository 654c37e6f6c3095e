"""What a server of the Open Inference Protocol says of its model before it is asked."""

from dataclasses import dataclass, field

from modelseal.domain import Domain
from modelseal.endpoints.input_form import InputForm, input_form
from modelseal.endpoints.reading import (
    JsonObject,
    list_at,
    name_of,
    objects_at,
    shorten,
    sizes_at,
    text_at,
)
from modelseal.errors import EndpointError

BINARY = "binary_tensor_data"
"""The extension for tensors as bytes behind the JSON."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Contract:
    """How a served model is asked.

    Args:
        form: How it takes its inputs. FP32 under the name `input` if it declares none, as
            KServe's models often do.
        output: The name of its first output; empty if it declares none.
        version: The only version it declares; empty if it declares none or several.
        binary: Whether tensors may travel as bytes behind the JSON.
    """

    form: InputForm = field(default_factory=lambda: InputForm(name="input"))
    output: str = ""
    version: str = ""
    binary: bool = False


def read_contract(model: JsonObject, server: JsonObject, domain: Domain) -> Contract:
    """Reads a model's and its server's metadata, and checks them against a domain.

    Args:
        model: What the model's own address answers.
        server: What `/v2` answers; empty if it answers nothing.
        domain: What a valid input is.

    Raises:
        EndpointError: The metadata are malformed, or the model takes other inputs.
    """
    inputs, outputs = (present(model, key) for key in ("inputs", "outputs"))
    if len(inputs) > 1:
        raise EndpointError(f"a model with one input was wanted, but it has {len(inputs)}")
    versions = list_at(model, "versions") if model.get("versions") else []
    forms = [read_input(entry, domain) for entry in inputs]
    return Contract(
        form=forms[0] if forms else InputForm(name="input"),
        output=text_at(outputs[0], "name") if outputs else "",
        version=shorten(str(versions[0])) if len(versions) == 1 else "",
        binary=any(BINARY in extensions(source) for source in (model, server)),
    )


def present(source: JsonObject, key: str) -> list[JsonObject]:
    """A list of objects; empty if it is missing.

    Raises:
        EndpointError: It is something else.
    """
    return [] if source.get(key) is None else objects_at(source, key)


def read_input(entry: JsonObject, domain: Domain) -> InputForm:
    """How a model takes the input that it declares so.

    Raises:
        EndpointError: The declaration is malformed, or it is not for the domain's inputs.
    """
    name, datatype = text_at(entry, "name"), text_at(entry, "datatype")
    try:
        name.encode()
    except UnicodeEncodeError as error:  # JSON can write half a character, nothing can send it back
        problem = f"name: a text of whole characters was wanted, but {name_of(name)} came"
        raise EndpointError(problem) from error
    return input_form(name, shorten(datatype), sizes_at(entry, "shape"), domain)


def extensions(source: JsonObject) -> list[object]:
    """The extensions that a server or model lists; none if it lists them in no known way."""
    listed = source.get("extensions")
    return listed if isinstance(listed, list) else []
