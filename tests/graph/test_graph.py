"""The graph against dense algebra, numerical gradients and its own invariants."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from recmm.graph import Graph, maximum, sparse, weighted_sum

M, N = 6, 5
ROWS, COLUMNS = torch.tensor([4, 0, 0, 2, 4, 1, 4]), torch.tensor([1, 3, 0, 2, 0, 3, 4])  # rows 3 and 5 have no edge
SYMMETRIC = torch.tensor([0, 1, 1, 2, 3, 3]), torch.tensor([1, 0, 2, 1, 3, 1])  # all but the last both ways


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def dense(graph: Graph, weights: Tensor | None = None) -> Tensor:
    values = graph.values if weights is None else weights
    return torch.zeros(graph.shape, dtype=values.dtype).index_put((graph.rows, graph.columns), values)


def rectangle(values: Tensor | None = None) -> Graph:
    return Graph(ROWS, COLUMNS, (M, N), torch.randn(7) if values is None else values)


def undirected(*, weighted: bool = False) -> Graph:
    """Edges 0-1, 1-2, 1-3 and the loop 3-3 of five nodes; node 4 has none."""
    rows, columns = torch.tensor([3, 0, 1, 1, 2, 3, 1]), torch.tensor([3, 1, 0, 2, 1, 1, 3])
    return Graph(rows, columns, (5, 5), torch.tensor([1.0, 2, 2, 3, 3, 4, 4]) if weighted else None)


MAKERS = {
    "rectangle": rectangle,
    "transposed": lambda: rectangle().transposed(),
    "sorted": lambda: Graph(torch.tensor([0, 0, 2]), torch.tensor([1, 3, 0]), (4, 4), torch.randn(3)),
    "symmetric": lambda: undirected(weighted=True),
    "symmetric places only": lambda: undirected().with_values(torch.randn(7)),
    "empty": lambda: Graph(torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64), (3, 2)),
}


@pytest.fixture(params=MAKERS)
def graph(request: pytest.FixtureRequest) -> Graph:
    made: Graph = MAKERS[request.param]()
    return made.double()


def test_products_equal_dense_ones(graph: Graph) -> None:
    x, y = (torch.randn(n, 3, dtype=torch.float64) for n in graph.shape[::-1])
    weights = torch.randn(len(graph.rows), dtype=torch.float64)
    torch.testing.assert_close(graph(x), dense(graph) @ x)
    torch.testing.assert_close(graph.transposed()(y), dense(graph).T @ y)
    torch.testing.assert_close(graph(x, weights), dense(graph, weights) @ x)
    torch.testing.assert_close(graph.transposed()(y, weights), dense(graph, weights).T @ y)
    torch.testing.assert_close(graph.transposed().transposed()(x), dense(graph) @ x)


def test_gradients_are_exact_to_the_second_order(graph: Graph) -> None:
    x = torch.randn(graph.shape[1], 2, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(len(graph.rows), dtype=torch.float64, requires_grad=True)
    constant: Callable[[Tensor], Tensor] = lambda x: graph(x).square()  # noqa: E731
    assert torch.autograd.gradcheck(constant, (x,)) and torch.autograd.gradgradcheck(constant, (x,))
    if len(weights):
        weighted: Callable[[Tensor, Tensor], Tensor] = lambda x, w: graph(x, w).square()  # noqa: E731
        assert torch.autograd.gradcheck(weighted, (x, weights)) and torch.autograd.gradgradcheck(weighted, (x, weights))


def test_values_that_carry_a_gradient_are_weights() -> None:
    values, x = torch.randn(7, requires_grad=True), torch.randn(N, 3, requires_grad=True)
    y = torch.randn(M, 3)
    results = []
    for product in (rectangle(values)(x), rectangle().with_values(values)(x), rectangle()(x, values)):
        results.append(torch.autograd.grad((product * y).sum(), (values, x)))
    expected = torch.autograd.grad((dense(rectangle(values)) @ x * y).sum(), (values, x))
    for result in results:
        for ours, theirs in zip(result, expected, strict=True):
            torch.testing.assert_close(ours, theirs)
    assert not rectangle(values).detach().values.requires_grad


def test_constant_and_learnt_values_give_the_same_bits() -> None:
    values, x = torch.randn(7), torch.randn(N, 64, requires_grad=True)
    y = torch.randn(M, 64)
    constant, learnt = rectangle(values)(x), rectangle(values.clone().requires_grad_())(x)
    assert torch.equal(constant, learnt)
    assert torch.equal(*(torch.autograd.grad((product * y).sum(), x)[0] for product in (constant, learnt)))


@pytest.mark.parametrize("block", [1, 13, 10**6])
def test_the_gradient_of_weights_is_found_in_blocks(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse, "BLOCK", {"cpu": block})
    sizes, total = [], Tensor.sum

    def spied(x: Tensor, dim: int) -> Tensor:
        sizes.append(x.numel())
        return total(x, dim)

    weights, x, y = torch.randn(7, requires_grad=True), torch.randn(N, 4), torch.randn(M, 4)
    product = rectangle()(x, weights)
    monkeypatch.setattr(Tensor, "sum", spied)
    product.backward(y)
    assert max(sizes) <= max(block, 4) and sum(sizes) == 7 * 4
    assert weights.grad is not None
    torch.testing.assert_close(weights.grad, (y @ x.T)[ROWS, COLUMNS])


def test_a_symmetric_matrix_is_kept_once() -> None:
    x = torch.randn(5, 2, requires_grad=True)
    for graph, once in ((undirected(weighted=True), True), (undirected().with_values(torch.randn(7)), False)):
        graph(x).sum().backward()
        assert (graph._matrix.csr(False).values().data_ptr() == graph._matrix.csr(True).values().data_ptr()) == once


def test_a_graph_moves_with_its_module_and_stays_out_of_checkpoints() -> None:
    graph = rectangle(torch.ones(7))
    module = torch.nn.Sequential(graph)
    x = torch.randn(N, 2, requires_grad=True)
    module(x).sum().backward()
    assert not module.state_dict()
    copied = copy.deepcopy(module).double()
    torch.testing.assert_close(copied(x.double()), dense(graph).double() @ x.double())
    assert module(x).dtype == torch.float32
    module.to("meta")
    assert graph.rows.is_meta and graph.values.is_meta


def test_what_an_evaluation_derived_serves_training() -> None:
    graph, x = rectangle(torch.ones(7)), torch.randn(N, 2, requires_grad=True)
    with torch.inference_mode():
        graph(x)
    weights = torch.ones(7, requires_grad=True)
    (graph(x) + graph(x, weights)).sum().backward()
    assert x.grad is not None and weights.grad is not None


# ---------------------------------------------------------------------- normalisations


def test_normalised_rows() -> None:
    graph = rectangle(torch.rand(7) + 0.1)
    sums = dense(graph).sum(1, keepdim=True)
    torch.testing.assert_close(graph.row_sums(), sums[:, 0])
    torch.testing.assert_close(dense(graph.mean()), torch.where(sums > 0, dense(graph) / sums, 0))
    assert dense(graph.mean()).sum(1).tolist() == pytest.approx([1, 1, 1, 0, 1, 0])


def test_symmetric_normalisation_takes_row_sums_at_both_ends() -> None:
    graph = Graph(ROWS, COLUMNS, (M, M), torch.rand(7) + 0.1)  # directed
    sums = dense(graph).sum(1)
    scale = torch.where(sums > 0, sums, 1).rsqrt()
    torch.testing.assert_close(dense(graph.symmetric()), scale[:, None] * dense(graph) * scale)
    both_ways = undirected(weighted=True).symmetric()
    torch.testing.assert_close(dense(both_ways), dense(both_ways).T)
    with pytest.raises(ValueError, match=r"as many columns as rows; this graph is 6 x 5"):
        rectangle().symmetric()


def test_normalisations_pass_gradients() -> None:
    values = (torch.rand(7, dtype=torch.float64) + 0.1).requires_grad_()
    for normalise in (Graph.mean, Graph.symmetric):

        def normalised(values: Tensor, normalise: Callable[[Graph], Graph] = normalise) -> Tensor:
            return normalise(Graph(ROWS, COLUMNS, (M, M), values)).values

        assert torch.autograd.gradcheck(normalised, (values,))


# ---------------------------------------------------------------------- edge weights


@pytest.mark.parametrize("heads", [(), (2,)])
def test_softmax_over_the_edges_of_a_row(heads: tuple[int, ...]) -> None:
    scores, graph = torch.randn(7, *heads), rectangle()
    for each in (graph, graph.transposed()):
        weights = each.softmax(scores)
        for row in each.rows.unique():
            torch.testing.assert_close(weights[each.rows == row], scores[each.rows == row].softmax(0))


def test_attention_has_exact_gradients() -> None:
    graph, x = rectangle().double(), torch.randn(N, 2, dtype=torch.float64, requires_grad=True)
    queries = torch.randn(M, 2, dtype=torch.float64, requires_grad=True)

    def attend(x: Tensor, queries: Tensor) -> Tensor:
        scores = (queries[graph.rows] * x[graph.columns]).sum(1)
        attended: Tensor = graph(x, graph.softmax(scores))
        return attended

    assert torch.autograd.gradcheck(attend, (x, queries)) and torch.autograd.gradgradcheck(attend, (x, queries))


def test_sum_of_graphs_and_its_gradient() -> None:
    first, second = rectangle(), Graph(torch.tensor([4, 3, 0]), torch.tensor([1, 1, 2]), (M, N), torch.randn(3))
    weights = torch.tensor([0.3, 0.7], requires_grad=True)
    total = weighted_sum([first, second], list(weights))
    torch.testing.assert_close(dense(total), 0.3 * dense(first) + 0.7 * dense(second))
    assert len(torch.unique(total.rows * N + total.columns)) == len(total.rows) == 9
    total.values.sum().backward()
    assert weights.grad is not None
    assert weights.grad.tolist() == pytest.approx([first.values.sum().item(), second.values.sum().item()])


def test_the_maximum_of_graphs_is_that_of_the_places_that_one_of_them_has() -> None:
    first, second = rectangle(), Graph(torch.tensor([4, 3, 0]), torch.tensor([1, 1, 2]), (M, N), torch.randn(3))
    largest = maximum([first, second])
    nothing = torch.full((M, N), -torch.inf)
    places = [nothing.index_put((graph.rows, graph.columns), graph.values) for graph in (first, second)]
    expected = torch.maximum(*places)
    torch.testing.assert_close(dense(largest), expected.masked_fill(expected.isinf(), 0))
    assert len(largest.rows) == 9


def test_products_of_the_ends_of_edges(graph: Graph) -> None:
    y, x = (torch.randn(n, 3, dtype=torch.float64, requires_grad=True) for n in graph.shape)
    torch.testing.assert_close(graph.edge_products(y, x), (y @ x.T)[graph.rows, graph.columns])
    if len(graph.rows):
        assert torch.autograd.gradcheck(graph.edge_products, (y, x))


# ---------------------------------------------------------------------- random subgraphs


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.5, 0.8])
def test_edges_are_dropped_one_by_one_in_a_directed_graph(rate: float) -> None:
    graph = rectangle()
    lost = [(graph.drop_edges(rate).values == 0) for _ in range(50)]
    assert {int(each.sum()) for each in lost} == {round(rate * 7)}
    assert not rate or torch.stack(lost).any(0).all()
    kept = graph.drop_edges(rate)
    assert torch.equal(kept.values[kept.values != 0], graph.values[kept.values != 0])
    scaled = graph.drop_edges(rate, rescale=True)
    torch.testing.assert_close(scaled.values[scaled.values != 0], graph.values[scaled.values != 0] / (1 - rate))


def test_an_undirected_edge_falls_both_ways() -> None:
    graph = undirected(weighted=True)
    for _ in range(50):
        values = dense(graph.drop_edges(0.5))  # 2 of 0-1, 1-2, 1-3, 3-3
        assert torch.equal(values, values.T)
        assert int((values.triu() > 0).sum()) == 2


def test_undirected_edges_are_numbered_by_their_ends() -> None:
    torch.manual_seed(1)
    lost = torch.randperm(4)[:2].tolist()
    torch.manual_seed(1)
    values = dense(undirected().drop_edges(0.5))
    assert [k for k, (i, j) in enumerate([(0, 1), (1, 2), (1, 3), (3, 3)]) if not values[i, j]] == sorted(lost)


@pytest.mark.parametrize(("rate", "left"), [(0.5, (2, 1)), ((0.0, 0.5), (4, 1)), ((0.25, 0.0), (3, 2))])
def test_nodes_are_dropped_by_group_with_all_their_edges(
    rate: float | tuple[float, float], left: tuple[int, int]
) -> None:
    graph = Graph(torch.arange(6).repeat_interleave(6), torch.arange(6).repeat(6), (6, 6))
    for _ in range(20):
        values = dense(graph.drop_nodes(rate, (4, 2)))
        kept = values.diagonal()
        assert (int(kept[:4].sum()), int(kept[4:].sum())) == left
        assert torch.equal(values, kept[:, None] * kept)


def test_edges_are_sampled_in_proportion_to_their_values() -> None:
    graph, counts = undirected(weighted=True), torch.zeros(5, 5)
    for _ in range(2000):
        values = dense(graph.sample_edges(0.75))  # one of 0-1, 1-2, 1-3, 3-3
        counts += values.triu() > 0
    shares = torch.tensor([counts[0, 1], counts[1, 2], counts[1, 3], counts[3, 3]]) / 2000
    values = torch.tensor([2.0, 3.0, 4.0, 1.0])
    torch.testing.assert_close(shares, values / values.sum(), rtol=0, atol=0.04)


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.8])
def test_sampled_edges_keep_their_values_and_the_others_their_places_not(rate: float) -> None:
    graph = undirected(weighted=True)
    sample = graph.sample_edges(rate)
    values = dense(sample)
    assert torch.equal(values, values.T) and len(sample.values) == int((values > 0).sum())
    assert int((values.triu() > 0).sum()) == 4 - round(rate * 4)
    assert torch.equal(values, torch.where(values > 0, dense(graph), 0))


# ---------------------------------------------------------------------- propagation


def propagated(graph: Graph, x: Tensor, n_layers: int) -> Tensor:
    matrix, layers = dense(graph), [x]
    for _ in range(n_layers):
        layers.append(matrix @ layers[-1])
    return torch.stack(layers).mean(0)


@pytest.mark.parametrize("n_layers", [0, 1, 3])
@pytest.mark.parametrize("symmetric", [True, False])
def test_propagation_is_the_mean_over_layers_with_exact_gradients(symmetric: bool, n_layers: int) -> None:
    graph = (undirected(weighted=True) if symmetric else Graph(ROWS, COLUMNS, (M, M), torch.rand(7) + 0.1)).double()
    x = torch.randn(graph.shape[0], 3, dtype=torch.float64, requires_grad=True)
    for each in (graph, graph.transposed(), graph.with_values(graph.values.clone().requires_grad_())):
        found = each.propagate(x, n_layers)
        torch.testing.assert_close(found, propagated(each, x, n_layers))
        assert found.data_ptr() != x.data_ptr()  # it may be written to
        assert torch.autograd.gradcheck(lambda x, each=each: each.propagate(x, n_layers), (x,))
        assert torch.autograd.gradgradcheck(lambda x, each=each: each.propagate(x, n_layers).square(), (x,))
