"""`modelseal enroll`: records what a trusted deployment answers, and how steadily."""

from typing import TYPE_CHECKING

from modelseal.cli.options import (
    AcceptOther,
    BothPassphraseFile,
    CheckFile,
    EncryptTo,
    EndpointName,
    EnrolmentAlpha,
    FingerprintFile,
    KeyFile,
    MostUnstable,
    OrderSeed,
    Output,
    Pace,
    Repeats,
    Retries,
    Shows,
    ShowsOption,
    Timeout,
)

if TYPE_CHECKING:
    from modelseal.cli.session import Asking
    from modelseal.fingerprint.record import Fingerprint
    from modelseal.verification.enrollment import Demands


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
    from modelseal.cli.console import Paper, complain
    from modelseal.cli.fingerprint_files import check_lock, choose_destination, read_fingerprint
    from modelseal.cli.render import tell_enrolled, warn_of_others
    from modelseal.cli.session import Asking, Budget
    from modelseal.endpoints.factory import endpoint_files
    from modelseal.verification.enrollment import Demands, Others
    from modelseal.verification.policy import Manners

    budget = Budget(fingerprint, per_check=None, max_uses=None)
    asking = Asking(
        manners=Manners(retries=retries, pace=pace), timeout=timeout, budget=budget, check=check
    )
    read_first = [each for each in (key, check) if each]
    goal = choose_destination(
        output,
        inputs=[fingerprint, budget.ledger, *read_first, *endpoint_files(endpoint)],
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
    warning = warn_of_others(enrolled.enrollment) if enrolled.enrollment else ""
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

    from modelseal.cli.console import reporting
    from modelseal.cli.session import ask_natural
    from modelseal.endpoints import factory
    from modelseal.outputs.answers import Kind
    from modelseal.verification.enrollment import check, enroll

    kind = Kind(shows.value) if shows else None
    opened = factory.endpoint(
        endpoint,
        fingerprint,
        shows=kind,
        timeout=asking.timeout,
        time_limit=asking.manners.time_limit,
    )
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
            progress=report,
            manners=asking.manners,
        )
