"""A real Ray cluster, for all tests that need one."""

import pytest


@pytest.fixture(scope="session")
def nodes():
    """A running cluster of two nodes, to which a test may add more."""
    pytest.importorskip("ray", reason="Ray is not installed")
    from nodes import two_nodes

    with two_nodes() as cluster:
        yield cluster


@pytest.fixture
def cluster(nodes):
    """Workers on the nodes."""
    from modelseal.evaluation.cluster import Cluster

    return Cluster(nodes.address)
