"""The zoo as a table, for `python -m mnist_edge.train --list`."""

from mnist_edge import models
from mnist_edge.models import folding


def network_size(name: str) -> dict[str, int]:
    """Returns a network's `parameters` and `multiply_accumulates` for MNIST images."""
    model = models.build(name)
    if models.ZOO[name].folded:
        model = folding.fold(model)
    return {
        "parameters": model.count_params(),
        "multiply_accumulates": models.multiply_accumulates(model),
    }


def zoo_table() -> str:
    """Returns the zoo as text: name, parameters, multiply-accumulates, network and recipe.

    For recorded accuracies run `python -m benchmarks.frontier --table`.
    """
    rows = [("model", "parameters", "MAC", "network; recipe")]
    for name, network in models.ZOO.items():
        size = network_size(name)
        longer = f" (--full: {network.longer.describe()})" if network.longer else ""
        rows.append(
            (
                name,
                f"{size['parameters']:,}",
                f"{size['multiply_accumulates']:,}",
                f"{network.summary}; {network.recipe.describe()}{longer}",
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        f"{name:<{widths[0]}}  {parameters:>{widths[1]}}  {mac:>{widths[2]}}  {words}"
        for name, parameters, mac, words in rows
    )
