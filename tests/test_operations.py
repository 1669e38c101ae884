"""The table of operations: every tongue says the same."""

from pathlib import Path

import numpy as np
import pytest
import torch

from gatescope.models.graph.operations import OPERATIONS, STATEMENTS, javascript_module, operations_table

OPERATIONS_JS = Path(__file__).parent.parent / "static/data/operations.js"
COMPUTED = [row for row in OPERATIONS.values() if row.value and row.torch]
ELEMENTWISE = [row for row in COMPUTED if row.kind in ("arithmetic", "activation", "function")]


def test_the_page_s_module_is_the_table_s():
    remedy = "python -c 'from gatescope.models.graph.operations import javascript_module as m; print(m(), end=\"\")'"
    assert OPERATIONS_JS.read_text() == javascript_module(), f"print it anew: {remedy} > static/data/operations.js"


@pytest.mark.parametrize("row", ELEMENTWISE, ids=lambda row: row.name)
def test_plain_numbers_numpy_and_torch_agree(row):
    numbers = np.random.default_rng(0).uniform(0.1, 3, (row.arity, 50)) * (
        1 if row.name == "sqrt" else [[1], [-1]][: row.arity]
    )
    expected = [row.value(*column) for column in numbers.T.tolist()]
    there = row.torch(torch, *map(torch.tensor, numbers))
    np.testing.assert_allclose(there.numpy(), expected, rtol=1e-14)
    if statement := STATEMENTS.get(row.name):
        out = np.empty(50)
        names = {name: getattr(np, name) for name in ("add", "subtract", "multiply", "divide", "negative", "tanh")}
        names |= {name: getattr(np, name) for name in ("exp", "sqrt", "maximum")}
        names |= {"a": numbers[0], "b": numbers[-1], "out": out}
        exec(statement.format("a", "b", out="out"), names)  # noqa: S102 – our own statement
        np.testing.assert_allclose(out, expected, rtol=1e-14)


def test_a_page_is_told_arity_symbol_and_kind_of_all_that_a_graph_may_have():
    told = operations_table()
    assert told["sigmoid"] == {"arity": 1, "symbol": "σ", "kind": "activation"}
    assert told["mul"] == {"arity": 2, "symbol": "×", "kind": "arithmetic"}
    assert told["input"] == {"arity": 0, "symbol": None, "kind": "leaf"}
    assert set(OPERATIONS) - set(told) == {"mask", "sign"}  # those of programs alone
