"""Where tasks are performed, as the user asks."""

from typing import TYPE_CHECKING

from modelseal.errors import InvalidArgumentError

if TYPE_CHECKING:
    from modelseal.performing.workers import Workers


def hire(count: int, address: str | None, *, gpu: bool = False) -> "Workers":
    """Processes on this machine, or a Ray cluster.

    Args:
        count: How many processes.
        address: Of the cluster; None for none.
        gpu: Whether each task on a cluster takes a GPU.

    Raises:
        InvalidArgumentError: Both are asked for.
        MissingExtraError: Ray is asked for and not installed.
    """
    if address is not None:
        if count > 1:
            raise InvalidArgumentError(
                f"either --workers or --ray is needed, but both came: {count} and {address}"
            )
        from modelseal.performing.cluster import Cluster

        return Cluster(address, gpu=gpu)
    from modelseal.performing.workers import Processes, Sequential

    return Sequential() if count == 1 else Processes(count)
