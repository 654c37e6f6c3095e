"""How many samples a check takes, and what is told of the stock."""

from pathlib import Path
from typing import TYPE_CHECKING

from modelseal.cli.paper import complain
from modelseal.errors import BadFileError

if TYPE_CHECKING:
    from collections.abc import Collection

    import numpy as np

    from modelseal.fingerprint.record import Fingerprint
    from modelseal.verifying.spending import Spending

LOW = 2
"""With fewer checks left than this, the user is warned."""


class Budget:
    """What the user said of spending samples.

    Args:
        file: The fingerprint's file, beside which the ledger is.
        per_check: How many samples a check takes; None for as many as the ledger says, or all.
        max_uses: How often a sample may be asked; None for any number of times.
    """

    def __init__(self, file: Path, *, per_check: int | None, max_uses: int | None) -> None:
        from modelseal.verifying.ledger import ledger_of

        self.ledger = ledger_of(file)
        self.per_check = per_check
        self.max_uses = max_uses

    def take(
        self,
        fingerprint: "Fingerprint",
        *,
        endpoint: str,
        generator: "np.random.Generator",
    ) -> "Spending | None":
        """Enters the samples of a check in the ledger before they are asked.

        There is a ledger if one was begun, or if something is to be kept account of.

        Args:
            fingerprint: What is going to be asked.
            endpoint: What it is asked of, without secrets.
            generator: Chooses among samples that were spent equally often.

        Returns:
            The samples; None for all, without a ledger.

        Raises:
            ModelsealError: Too few samples are left, or the ledger cannot be used.
        """
        from modelseal.verifying.ledger import check_count
        from modelseal.verifying.spending import spend

        check_count(self.per_check, fingerprint)
        if not (self.ledger.exists() or self.keeps_account(fingerprint)):
            return None
        spent = spend(
            self.ledger,
            fingerprint,
            endpoint=endpoint,
            generator=generator,
            per_check=self.per_check,
            max_uses=self.max_uses,
        )
        limited = len(spent.samples) < len(fingerprint) or self.max_uses is not None
        if limited and spent.checks_left < LOW:
            self.warn(spent.checks_left)
        return spent

    def take_all(self, fingerprint: "Fingerprint", *, endpoint: str) -> None:
        """Enters all samples in the ledger, if there is one, before an enrolment asks them.

        Args:
            fingerprint: What is going to be asked.
            endpoint: What it is asked of, without secrets.

        Raises:
            ModelsealError: The ledger cannot be used.
        """
        import numpy as np

        from modelseal.verifying.spending import spend

        if self.ledger.exists():
            spend(
                self.ledger,
                fingerprint,
                endpoint=endpoint,
                generator=np.random.default_rng(),
                per_check=len(fingerprint),
            )

    def go_on(
        self,
        fingerprint: "Fingerprint",
        *,
        endpoint: str,
        check: str | None,
        known: "Collection[int]",
    ) -> tuple[int, ...] | None:
        """The samples of a check that goes on, which are entered already.

        Args:
            fingerprint: What is going to be asked.
            endpoint: What it is asked of, without secrets.
            check: The name of the check in the ledger, as its record has it.
            known: The samples whose answers are known.

        Returns:
            The numbers of the samples; None for all, without a ledger.

        Raises:
            ModelsealError: The ledger has no such check, or there is none where there should be.
        """
        from modelseal.verifying.ledger import check_count
        from modelseal.verifying.spending import find_check

        check_count(self.per_check, fingerprint)
        if self.ledger.exists():
            return find_check(self.ledger, fingerprint, endpoint=endpoint, check=check, known=known)
        if self.keeps_account(fingerprint):
            raise BadFileError(
                self.ledger,
                "a ledger with the check that goes on was wanted, but there is none: --per-check "
                "and --max-uses are for a new check",
            )
        return None

    def keeps_account(self, fingerprint: "Fingerprint") -> bool:
        """Whether the user said something for which a ledger is needed."""
        part = self.per_check is not None and self.per_check < len(fingerprint)
        return part or self.max_uses is not None

    def warn(self, left: int) -> None:
        """Tells that the stock runs low."""
        again = "1 time" if self.max_uses in {None, 1} else f"{self.max_uses} times"
        complain(
            f"{self.ledger}: after this check the samples that were asked less than {again} are "
            f"enough for {left} more: seal a new fingerprint"
        )
