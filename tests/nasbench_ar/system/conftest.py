from collections.abc import Iterator

import pytest

from tests.dask_cluster import Cluster, scheduler


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A scheduler elsewhere, with two workers, which take a tenth of a core while they wait."""
    with scheduler(tmp_path_factory.mktemp("cluster")) as running, running.workers(2):
        yield running
