from collections.abc import Iterator

import pytest

from tests.dask_cluster import Cluster, scheduler


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A scheduler elsewhere, with two workers."""
    with scheduler(tmp_path_factory.mktemp("cluster")) as running, running.workers(2):
        yield running
