"""Published BANANAS: its trainer against PyTorch's own autograd, its rounds by hand, runs alone and in groups."""

import contextlib
import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from nasbench_ar import NARES, SearchError, SearchFinishedError, SearchSpace, load
from searchers import PublishedBananas
from searchers.published import bananas, batched_mlp
from searchers.published.batched_mlp import BatchedMLP, Recipe
from searchers.testing import SMALL, SearcherConformance, hilly, trajectory

RUNS, MEMBERS, ROWS, INPUTS = 3, 2, 41, 7
SHORT = Recipe(layers=3, width=6, epochs=4, minibatch=16)
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
QUICK: dict[str, Any] = {"epochs": 3, "layers": 2, "width": 8, "members": 2, "device": "cpu"}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Arrays this small are slower on several."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def observations() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2, (RUNS, ROWS, INPUTS)).astype(np.float32)
    return x, (3 + x.sum(axis=2) + rng.standard_normal((RUNS, ROWS))).astype(np.float32)


def generators(runs: range, members: int = MEMBERS) -> list[np.random.Generator]:
    return [np.random.default_rng([run, member]) for run in runs for member in range(members)]


def reference(rng: np.random.Generator, x: np.ndarray, y: np.ndarray, recipe: Recipe) -> nn.Sequential:
    """One network, built and trained as the description reads."""
    sizes = [x.shape[1], *[recipe.width] * recipe.layers, 1]
    modules: list[nn.Module] = []
    for fan_in, fan_out in pairwise(sizes):
        linear = nn.Linear(fan_in, fan_out)
        bound = np.sqrt(6 / (fan_in + fan_out))
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(rng.uniform(-bound, bound, (fan_in, fan_out)).T))
            linear.bias.zero_()
        modules += [linear, nn.ReLU()]
    network = nn.Sequential(*modules[:-1])
    optimiser = torch.optim.Adam(network.parameters(), lr=recipe.learning_rate, betas=(0.9, 0.99))
    inputs, targets = torch.from_numpy(x), torch.from_numpy(y)
    for keys in rng.random((recipe.epochs, len(y))):
        for rows in torch.from_numpy(keys.argsort()).split(recipe.minibatch):
            optimiser.zero_grad()
            loss = (network(inputs[rows])[:, 0] - targets[rows]).abs().mean()
            loss = loss + recipe.penalty * network[-1].weight.abs().sum()  # type: ignore[union-attr, operator]
            loss.backward()
            optimiser.step()
    return network


@pytest.mark.parametrize("recipe", [SHORT, Recipe(layers=1, width=4, epochs=3), Recipe(epochs=2)])
def test_trainer_equals_autograd_of_one_network_after_the_other(recipe: Recipe) -> None:
    x, y = observations()
    together = BatchedMLP(INPUTS, generators(range(RUNS)), recipe)
    start = together.theta.clone()
    together.fit(x, y)
    assert (together.theta - start).abs().max() > 1e-3
    predicted = together.predict(x)
    for network, rng in enumerate(generators(range(RUNS))):
        run, member = divmod(network, MEMBERS)
        alone = reference(rng, x[run], y[run], recipe)
        expected = alone(torch.from_numpy(x[run]))[:, 0].detach().numpy()
        np.testing.assert_allclose(predicted[run, member], expected, rtol=1e-4, atol=1e-5)
        linears = [module for module in alone if isinstance(module, nn.Linear)]
        weights = [together.weights_in[network], *together.weights[:, network], together.weights_out[network]]
        biases = [*together.biases[:, network, 0], together.bias_out[network, 0]]
        for linear, weight, bias in zip(linears, weights, biases, strict=True):
            np.testing.assert_allclose(weight, linear.weight.detach().T, atol=1e-5)
            np.testing.assert_allclose(bias, linear.bias.detach(), atol=1e-5)


def test_gradients_equal_autograd() -> None:
    x, y = observations()
    networks = BatchedMLP(INPUTS, generators(range(RUNS)), SHORT)
    theta = networks.theta.clone().requires_grad_()
    weights_in, weights, biases, weights_out, bias_out = networks._views(theta)
    inputs = torch.from_numpy(x).repeat_interleave(MEMBERS, dim=0)
    targets = torch.from_numpy(y).repeat_interleave(MEMBERS, dim=0)[..., None]
    hidden = torch.relu(inputs @ weights_in + biases[0])
    for layer, weight in enumerate(weights):
        hidden = torch.relu(hidden @ weight + biases[layer + 1])
    errors = (hidden @ weights_out + bias_out - targets).abs().mean(dim=(1, 2))
    (errors.sum() + SHORT.penalty * weights_out.abs().sum()).backward()
    with torch.no_grad():
        batched_mlp._Trainer(networks).step(inputs, targets)
    assert theta.grad is not None
    assert networks.theta.grad is not None
    assert theta.grad.abs().max() > 0.1
    np.testing.assert_allclose(networks.theta.grad, theta.grad, atol=1e-6)


def test_a_network_does_not_depend_on_its_company() -> None:
    x, y = observations()
    together = BatchedMLP(INPUTS, generators(range(RUNS)), SHORT)
    for run in range(RUNS):
        alone = BatchedMLP(INPUTS, generators(range(run, run + 1)), SHORT)
        chosen = slice(run * MEMBERS, (run + 1) * MEMBERS)
        assert torch.equal(alone.weights_in, together.weights_in[chosen])
        assert torch.equal(alone.weights, together.weights[:, chosen])
        assert torch.equal(alone.weights_out, together.weights_out[chosen])
        orders = zip(alone._orders(ROWS), BatchedMLP(INPUTS, generators(range(RUNS)), SHORT)._orders(ROWS), strict=True)
        for own, all_orders in orders:
            assert torch.equal(own, all_orders[chosen])
            assert all(sorted(order) == list(range(ROWS)) for order in own.tolist())
    together.fit(x, y)
    predicted = together.predict(x)
    for run in range(RUNS):
        alone = BatchedMLP(INPUTS, generators(range(run, run + 1)), SHORT)
        alone.fit(x[run : run + 1], y[run : run + 1])
        np.testing.assert_allclose(alone.predict(x[run : run + 1])[0], predicted[run], rtol=1e-5)


def test_orders_do_not_depend_on_how_many_are_drawn_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = list(BatchedMLP(INPUTS, generators(range(1)), SHORT)._orders(ROWS))
    monkeypatch.setattr(batched_mlp, "_KEYS_AT_ONCE", 1)
    one_by_one = list(BatchedMLP(INPUTS, generators(range(1)), SHORT)._orders(ROWS))
    assert len(at_once) == SHORT.epochs
    assert torch.equal(torch.stack(at_once), torch.stack(one_by_one))


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=needs_cuda)])
def test_products_of_pytorch_train_the_same_networks(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = observations()
    predicted = []
    for operand, place in ((batched_mlp._operand, "cpu"), (lambda tensor: tensor, device)):
        monkeypatch.setattr(batched_mlp, "_operand", operand)
        networks = BatchedMLP(INPUTS, generators(range(RUNS)), SHORT, place)
        networks.fit(x, y)
        predicted.append(networks.predict(x))
    np.testing.assert_allclose(predicted[0], predicted[1], rtol=1e-4 if device == "cpu" else 1e-3)


def test_sizes() -> None:
    recipe = Recipe()
    assert recipe.parameters(30) == 31 * 32 + 19 * 33 * 32 + 33
    assert len(BatchedMLP(30, generators(range(2)), recipe).theta) == 2 * MEMBERS * recipe.parameters(30)
    assert recipe.bytes_per_network(30, 490) > 16 * recipe.parameters(30)


@pytest.mark.parametrize("flushing", [False, True])
def test_training_leaves_the_process_as_it_was(flushing: bool) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    torch.set_flush_denormal(flushing)
    try:
        x, y = observations()
        BatchedMLP(INPUTS, generators(range(RUNS)), SHORT).fit(x, y)
        assert torch.get_num_threads() == 2
        assert bool(torch.tensor(1e-39) * 1.0 == 0) == flushing
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(threads)


def advance(group: list[PublishedBananas]) -> None:
    while group:
        PublishedBananas.prepare_together(group)
        for member in list(group):
            try:
                batch = member.ask_batch()
            except SearchFinishedError:
                group.remove(member)
                continue
            for architecture in batch:
                member.tell(architecture, hilly(architecture))


class Guessing(PublishedBananas):
    """With one deterministic predictor in place of the networks."""

    @classmethod
    def predict(cls, searchers: Sequence[PublishedBananas]) -> list[np.ndarray]:
        return [guesses(searcher.candidates()) for searcher in searchers]


def guesses(candidates: Sequence[tuple[int, ...]]) -> np.ndarray:
    """(5, candidates) float32: five disagreeing predictions of 100 - accuracy."""
    vectors = np.array(candidates, dtype=np.int64)
    weights = np.array(
        [[7, 1, 5, 2, 3, 4], [1, 6, 2, 5, 4, 3], [3, 3, 4, 4, 5, 5], [2, 7, 1, 8, 2, 8], [9, 1, 9, 1, 9, 1]]
    )
    return (61 + (vectors @ weights[:, : vectors.shape[1]].T % 17) / 7).T.astype(np.float32)


def published_sequence(seed: int, scores: Mapping[tuple[int, ...], float]) -> list[tuple[int, ...]]:
    """All queries of the published search, repeats included, written as one loop."""
    rng, legacy = random.Random(seed), np.random.RandomState(seed)
    values = [(4, 5, 7, 9, 11), (8, 10, 12, 14, 16)] * 3
    asked = [tuple(rng.choice(v) for v in values) for _ in range(10)]
    while len(set(asked)) < 500:
        observed = list(dict.fromkeys(asked))
        observed.reverse()
        observed.sort(key=lambda architecture: -scores[architecture])  # stable: the latest first among equals
        pool: list[tuple[int, ...]] = []
        for parent in observed[:50]:
            for _ in range(10):
                position = rng.randint(0, 5)
                child = list(parent)
                child[position] = rng.choice([v for v in values[position] if v != parent[position]])
                if tuple(child) not in asked:
                    pool.append(tuple(child))
            if len(pool) >= 100:
                break
        assert 100 <= len(pool) <= 109
        predicted = guesses(pool)
        sampled = []
        for mean, std in zip(predicted.mean(axis=0), predicted.std(axis=0), strict=True):
            assert mean.dtype == std.dtype == np.float32
            sampled.append(legacy.normal(mean, std))
        order = sorted(range(len(pool)), key=sampled.__getitem__)
        asked += [pool[k] for k in order[:10]]
    return asked


def test_the_search_is_the_published_one_query_for_query() -> None:
    """Apart from the networks: both sides have the same predictor, on the embedded table."""
    table = load("nares-figures")
    scores = dict(zip(table.space, table.column("val_best_pgd_acc").tolist(), strict=True))
    for seed, unique in ((4, 507), (5, 500)):  # the last round is queried whole
        searcher = Guessing(NARES, seed, device="cpu")
        asked = []
        with contextlib.suppress(SearchFinishedError):
            while True:
                asked.append(searcher.ask())
                searcher.tell(asked[-1], scores[asked[-1]])
        assert asked == published_sequence(seed, scores)
        assert len(searcher.history) == unique < len(asked), "some are asked again"


def test_starts_may_repeat() -> None:
    space = SearchSpace(depth_choices=(1, 2, 3), width_choices=(1, 2, 4), stages=1)
    rng = random.Random(0)
    starts = [(rng.choice((1, 2, 3)), rng.choice((1, 2, 4))) for _ in range(6)]
    assert len(set(starts)) < 6
    searcher = PublishedBananas(space, 0, **QUICK | {"starts": 6})
    assert searcher.ask_batch() == starts
    for architecture in starts:
        searcher.tell(architecture, 1.0)
    assert not set(searcher.ask_batch()) & set(starts)  # a round follows, though fewer than 6 are known


def test_a_round_waits_for_all_scores() -> None:
    searcher = Guessing(NARES, 0, starts=2, device="cpu")
    first, second = searcher.ask_batch()
    searcher.tell(first, 1.0)
    assert searcher.ask() == second


def test_the_ensemble_is_summarised_in_single_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[np.ndarray] = []
    searcher = Guessing(NARES, 0, device="cpu")
    for architecture in searcher.ask_batch():
        searcher.tell(architecture, hilly(architecture))
    original = searcher.numpy_rng.normal

    class Recorder:
        def normal(self, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
            given.extend((mean, std))
            return original(mean, std)

    monkeypatch.setattr(searcher, "numpy_rng", Recorder())
    searcher.ask_batch()
    assert [array.dtype for array in given] == [np.float32, np.float32]


def test_predictors_see_errors_and_predict_the_candidates() -> None:
    searcher = PublishedBananas(NARES, 0, epochs=20, members=3, device="cpu")
    errors = np.linspace(0.1, 0.5, 10, dtype=np.float32)  # so small that the networks get there
    for architecture, error in zip(searcher.ask_batch(), errors, strict=True):
        searcher.tell(architecture, 100 - float(error))
    PublishedBananas.prepare_together([searcher])
    before = searcher.python_rng.getstate(), searcher._predictions
    PublishedBananas.prepare_together([searcher])  # once more changes nothing
    assert (searcher.python_rng.getstate(), searcher._predictions) == before
    networks = BatchedMLP(30, searcher.generators(), searcher._recipe)
    history = NARES.indices(searcher.history)
    networks.fit(NARES.one_hot(indices=history)[None], errors[None])
    expected = networks.predict(NARES.one_hot(searcher.candidates())[None])[0]
    assert searcher._predictions is not None
    assert expected.shape == (3, len(searcher.candidates()))
    np.testing.assert_allclose(searcher._predictions, expected, rtol=1e-4, atol=1e-5)


def test_every_round_member_and_seed_has_its_own_stream() -> None:
    searchers = [PublishedBananas(NARES, seed, members=2, device="cpu") for seed in range(2)]
    draws = [rng.random() for searcher in searchers for rng in searcher.generators()]
    for architecture in searchers[0].ask_batch():
        searchers[0].tell(architecture, 1.0)
    draws += [rng.random() for rng in searchers[0].generators()]
    assert len(set(draws)) == 6
    assert [rng.random() for rng in searchers[0].generators()] == draws[4:]


@pytest.mark.parametrize(
    ("space", "runs", "arguments", "counts"),
    [
        (NARES, 3, {"queries": 45, "epochs": 4, "device": "cpu"}, range(45, 54)),  # the last round is queried whole
        (SMALL, 4, QUICK | {"queries": 30, "parents": 8, "mutations": 4}, range(30, 40)),  # rounds of unequal sizes
    ],
)
def test_groups_go_the_same_way_as_single_runs(
    space: SearchSpace, runs: int, arguments: dict[str, Any], counts: range
) -> None:
    group = [PublishedBananas(space, seed, **arguments) for seed in range(runs)]
    advance(list(group))
    assert all(len(member.history) in counts for member in group)
    assert space is NARES or len({len(member.history) for member in group}) > 1
    assert len({tuple(member.history) for member in group}) == runs
    for seed, member in enumerate(group):
        alone = PublishedBananas(space, seed, **arguments)
        advance([alone])
        assert list(alone.history) == list(member.history)


def test_a_round_without_candidates_ends_the_search() -> None:
    space = SearchSpace(depth_choices=(1, 2, 3), width_choices=(1, 2, 4), stages=1)
    searcher = Guessing(space, 0, starts=1, parents=1, mutations=1, device="cpu")
    assert len(trajectory(searcher, 9)) < 9
    with pytest.raises(SearchFinishedError, match="no unseen neighbour of the best 1 was drawn after"):
        searcher.ask()


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert PublishedBananas(NARES, 0).device == "cpu"
    with pytest.raises(SearchError, match="^device='tpu': expected cpu, cuda, cuda:N or auto"):
        PublishedBananas(NARES, 0, device="tpu")
    with pytest.raises(SearchError, match="finds no CUDA device"):
        PublishedBananas(NARES, 0, device="cuda:1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert PublishedBananas(NARES, 0).device == "cuda"
    assert PublishedBananas(NARES, 0, device="cuda:1").device == "cuda:1"


def test_grouping_follows_processes_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    searcher = PublishedBananas(NARES, 0, device="cpu")
    assert searcher.grouping(400, 16) == (bananas.CPU_GROUP, 16)
    assert searcher.grouping(6, 2) == (3, 2)
    assert searcher.grouping(1, 8) == (1, 8)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    per_run = 5 * Recipe().bytes_per_network(30, 500)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (100 * per_run, 0))
    searcher = PublishedBananas(NARES, 0)
    assert searcher.grouping(400, 16) == (80, 1)
    assert searcher.grouping(20, 16) == (20, 1)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (0, 0))
    assert searcher.grouping(20, 16) == (1, 1)


class TestPublishedBananas(SearcherConformance):
    searcher = PublishedBananas
    arguments = QUICK

    def test_restricted_space(self) -> None:
        """It knows no way but mutation, so that every member needs a neighbour."""
        space = SMALL.restricted_to(indices=range(81 - 27, 81))
        assert len(trajectory(self.make(space), space.size)) == 27
