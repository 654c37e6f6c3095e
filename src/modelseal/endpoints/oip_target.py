"""Which model of a server of the Open Inference Protocol is asked, and what must answer."""

from dataclasses import dataclass

from modelseal.endpoints.reading import name_of, shorten
from modelseal.errors import EndpointError


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """Which model is asked.

    Args:
        name: What the server calls it.
        version: The version that shall answer; empty for the server's choice.
    """

    name: str
    version: str = ""

    def check_answer(self, name: object, version: str) -> None:
        """Makes sure that an answer is this model's, as far as it says so.

        Args:
            name: The answer's `model_name`.
            version: Its `model_version`; empty if it says none.

        Raises:
            EndpointError: It is another model's, or another version's than the one asked for.
        """
        check_same("model_name", name, wanted=self.name)
        if self.version:
            check_same("model_version", version, wanted=self.version)

    def check_metadata(self, name: object) -> None:
        """Makes sure that metadata are this model's, as far as they say so.

        Raises:
            EndpointError: They are another model's.
        """
        check_same("name", name, wanted=self.name)


def check_same(field: str, came: object, *, wanted: str) -> None:
    """Makes sure that a server repeats what was asked, or says nothing of it.

    Raises:
        EndpointError: It says something else.
    """
    if came not in (None, "", wanted):
        raise EndpointError(f"{field}: {shorten(wanted)} was wanted, but {name_of(came)} came")
