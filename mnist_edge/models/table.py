"""The zoo as a table, for `python -m mnist_edge.train --list`."""

from mnist_edge import models
from mnist_edge.models import folding


def network_size(name: str) -> dict[str, int]:
    """A network's `parameters` and `multiply_accumulates`, as a run on MNIST has them."""
    model = models.build(name)
    if models.ZOO[name].folded:
        model = folding.fold(model)
    return {
        "parameters": model.count_params(),
        "multiply_accumulates": models.multiply_accumulates(model),
    }


def zoo_table() -> str:
    """The zoo: name, parameters, multiply-accumulates, architecture and recipe.

    What each network reaches is on record: `python -m benchmarks.frontier --table`.
    """
    rows = [("model", "parameters", "MAC", "network; recipe")]
    for name, network in models.ZOO.items():
        size = network_size(name)
        longer = f" (--full: {network.longer.words()})" if network.longer else ""
        rows.append(
            (
                name,
                f"{size['parameters']:,}",
                f"{size['multiply_accumulates']:,}",
                f"{network.summary}; {network.recipe.words()}{longer}",
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        f"{name:<{widths[0]}}  {parameters:>{widths[1]}}  {mac:>{widths[2]}}  {words}"
        for name, parameters, mac, words in rows
    )
