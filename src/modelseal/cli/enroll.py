"""`modelseal enroll`: records what a trusted deployment answers, and how steadily."""

from functools import partial
from typing import TYPE_CHECKING

from modelseal.cli.asking_options import Pace, Retries, Timeout
from modelseal.cli.enrolment_options import AcceptOther, EnrolmentAlpha, MostUnstable, Repeats
from modelseal.cli.options import (
    CheckFile,
    EndpointName,
    FingerprintFile,
    OrderSeed,
    Output,
    Shows,
    ShowsOption,
)
from modelseal.cli.secret_options import BothPassphraseFile, EncryptTo, KeyFile

if TYPE_CHECKING:
    from modelseal.cli.asking import Asking
    from modelseal.fingerprint.record import Fingerprint
    from modelseal.verifying.enrolling import Demands


def enroll(  # noqa: PLR0913 (a verb)
    fingerprint: FingerprintFile,
    endpoint: EndpointName,
    *,
    output: Output,
    repeats: Repeats = 30,
    alpha: EnrolmentAlpha = 0.01,
    most_unstable: MostUnstable = 0.4,
    accept_other: AcceptOther = False,
    shows: ShowsOption = None,
    seed: OrderSeed = None,
    retries: Retries = 3,
    timeout: Timeout = 30.0,
    pace: Pace = 0.0,
    check: CheckFile = None,
    key: KeyFile = None,
    encrypt_to: EncryptTo = None,
    passphrase_file: BothPassphraseFile = None,
) -> None:
    """Record what a trusted deployment answers, and how steadily, for a later `verify`.

    For services whose answers vary from call to call.
    """
    from modelseal.cli.asking import Asking
    from modelseal.cli.destination import choose_destination
    from modelseal.cli.fingerprints import check_lock, read_fingerprint
    from modelseal.cli.opening import list_files
    from modelseal.cli.paper import Paper, complain
    from modelseal.cli.repeating import tell_enrolled, warn_of_others
    from modelseal.cli.spending import Budget
    from modelseal.verifying import Manners
    from modelseal.verifying.enrolling import Demands, Others

    budget = Budget(fingerprint, per_check=None, max_uses=None)
    asking = Asking(
        manners=Manners(retries=retries, pace=pace), timeout=timeout, budget=budget, check=check
    )
    read_first = [each for each in (key, check) if each]
    goal = choose_destination(
        output,
        inputs=[fingerprint, budget.ledger, *read_first, *list_files(endpoint)],
        encrypt_to=encrypt_to,
        passphrase_file=passphrase_file,
    )
    check_lock(fingerprint, goal.lock)
    sealed = read_fingerprint(fingerprint, key=key, passphrase_file=passphrase_file)
    asking = asking.call(endpoint)
    demands = Demands(
        name=asking.name,
        repeats=repeats,
        alpha=alpha,
        most_unstable=most_unstable,
        others=Others.ACCEPT if accept_other else Others.REFUSE,
    )
    enrolled = ask(sealed, endpoint, demands=demands, shows=shows, seed=seed, asking=asking)
    goal.write(enrolled)
    tell_enrolled(Paper(), enrolled, file=str(output), asked=len(sealed))
    warning = warn_of_others(enrolled.enrolment) if enrolled.enrolment else ""
    if warning:
        complain(warning)


def ask(
    fingerprint: "Fingerprint",
    endpoint: str,
    *,
    demands: "Demands",
    shows: Shows | None,
    seed: int | None,
    asking: "Asking",
) -> "Fingerprint":
    """The fingerprint with the answers of the endpoint of this name.

    Raises:
        ModelsealError: The endpoint cannot be asked, or its answers cannot be enrolled.
    """
    import numpy as np

    from modelseal.cli.natural import ask_natural
    from modelseal.cli.opening import open_endpoint
    from modelseal.cli.progress import reporting
    from modelseal.outputs.answers import Kind
    from modelseal.verifying.enrolling import check, enroll

    kind = Kind(shows.value) if shows else None
    opened = open_endpoint(endpoint, fingerprint, shows=kind, patience=asking.patience)
    asking.check_name(endpoint)
    check(fingerprint, opened, demands)
    ask_natural(opened, endpoint, fingerprint, asking=asking)
    if asking.budget is not None:
        asking.budget.take_all(fingerprint, endpoint=demands.name)
    with reporting() as report:
        return enroll(
            fingerprint,
            opened,
            demands=demands,
            generator=np.random.default_rng(seed),
            progress=partial(report, "enroll"),
            manners=asking.manners,
        )
