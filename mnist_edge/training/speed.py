"""Measure training speed: seconds per epoch compared with plain `model.fit`.

    python -m mnist_edge.training.speed
    python -m mnist_edge.training.speed --model sprint --against classic

In one process, every round times

- an epoch of `python -m mnist_edge.train` (shuffling, distortion, EMA weights; no validation);
- an epoch of Keras's `model.fit` on the same network and optimizer, with float images and no
  distortion;
- the same number of steps on one batch in memory, undistorted: the arithmetic alone;
- with `--against`, an epoch of plain `model.fit` of another network.

The loops alternate, so that other load on the machine affects all of them alike; processor
seconds are hardly affected by it.
"""

import dataclasses
import functools
import itertools
import json
import statistics
import sys
import time
from collections.abc import Callable

from mnist_edge import backend, cli, data, models
from mnist_edge.cli import setting
from mnist_edge.errors import InputError
from mnist_edge.models import Recipe
from mnist_edge.training import loop
from mnist_edge.training.checkpoint import Run

OURS, PLAIN, STEPS = "this project's loop", "plain model.fit", "steps on one batch"


@dataclasses.dataclass(frozen=True)
class SpeedSettings:
    """Settings of the measurement."""

    model: str = setting(models.DEFAULT, "network of the zoo", choices=tuple(models.ZOO))
    rounds: int = setting(3, "timed epochs per loop, after one warm-up epoch")
    against: str | None = setting(
        None,
        "also time plain model.fit of this network, by its own recipe",
        choices=tuple(models.ZOO),
    )
    images: int = setting(55_000, "images per epoch, at most MNIST's 60,000")

    def __post_init__(self) -> None:
        for name, most in (("rounds", 1_000), ("images", 60_000)):
            if not 1 <= getattr(self, name) <= most:
                raise InputError(f"--{name} must be 1 to {most}. Got: {getattr(self, name)}.")


@dataclasses.dataclass(frozen=True)
class Seconds:
    """Wall-clock and processor time of an epoch."""

    wall: float
    processor: float


def measure(settings: SpeedSettings) -> dict[str, Seconds]:
    """Times the loops in turn; returns the median epoch per loop, by name."""
    mnist = data.load()
    examples = mnist.x_train[: settings.images, ..., None], mnist.y_train[: settings.images]

    def recipe_of(name: str) -> Recipe:
        return dataclasses.replace(models.ZOO[name].recipe, epochs=settings.rounds + 1)

    recipe = recipe_of(settings.model)
    loops = {
        OURS: _ours(settings.model, recipe, examples),
        PLAIN: _plain(settings.model, recipe, examples),
        STEPS: _steps(settings.model, recipe, examples),
    }
    if settings.against:
        other = settings.against
        loops[f"{PLAIN} of {other}"] = _plain(other, recipe_of(other), examples)
    times: dict[str, list[Seconds]] = {name: [] for name in loops}
    for _ in range(settings.rounds + 1):
        for name, epoch in loops.items():
            wall, processor = time.perf_counter(), time.process_time()
            epoch()
            now = time.perf_counter(), time.process_time()
            times[name].append(Seconds(now[0] - wall, now[1] - processor))
    return {
        name: Seconds(
            statistics.median(one.wall for one in rows[1:]),
            statistics.median(one.processor for one in rows[1:]),
        )
        for name, rows in times.items()
    }


def _ours(name: str, recipe: Recipe, examples: loop.Examples) -> Callable[[], object]:
    images, labels = examples
    learner = loop.compiled(models.build(name), recipe, 0, len(labels))
    train = images, loop.targets(labels, recipe, 10)
    return functools.partial(loop.fit_epoch, learner, recipe, 0, train, None, Run())


def _plain(name: str, recipe: Recipe, examples: loop.Examples) -> Callable[[], object]:
    from mnist_edge.training.optimizer import optimizer

    images, labels = examples
    model = models.build(name)
    model.compile(optimizer(recipe, len(labels)), recipe.loss, metrics=["accuracy"])
    x, y = images.astype("float32"), loop.targets(labels, recipe, 10)
    return functools.partial(model.fit, x, y, batch_size=recipe.batch_size, verbose=0)


def _steps(name: str, recipe: Recipe, examples: loop.Examples) -> Callable[[], object]:
    import keras

    images, labels = examples
    bare = dataclasses.replace(recipe, augment=None, average=0.0)
    learner = loop.compiled(models.build(name), bare, 0, len(labels))
    batch = recipe.batch_size
    x = keras.ops.convert_to_tensor(images[:batch].astype("float32"))
    y = keras.ops.convert_to_tensor(loop.targets(labels, recipe, 10)[:batch])

    learner.steps_per_execution = 1
    learner.make_train_function()
    if keras.backend.backend() == "jax":  # there the train function also takes all variables
        step = functools.partial(learner.train_on_batch, x, y)
    else:
        step = functools.partial(learner.train_function, itertools.repeat((x, y)))

    def epoch() -> None:
        for _ in range(-(-len(labels) // batch)):
            step()

    return epoch


def table(times: dict[str, Seconds]) -> str:
    """Returns the times as a Markdown table."""
    lines = ["| loop | s per epoch | processor s | share |", "| --- | --: | --: | --: |"]
    for name, one in times.items():
        share = one.wall / times[OURS].wall
        lines.append(f"| {name} | {one.wall:.2f} | {one.processor:.2f} | {share:.0%} |")
    return "\n".join(lines)


@cli.command
def main(argv: list[str] | None = None) -> int:
    """Measures and prints the table; returns the exit status."""
    settings = cli.parse_settings(SpeedSettings, __doc__, argv)
    keras = backend.start_keras()
    times = measure(settings)
    print(table(times))
    ours, plain, steps = (times[name] for name in (OURS, PLAIN, STEPS))
    result = {
        "model": settings.model,
        "backend": keras.backend.backend(),
        "epoch_s": round(ours.wall, 3),
        "ratio": round(ours.wall / plain.wall, 3),
        "arithmetic_share": round(steps.wall / ours.wall, 3),
        "processor_ratio": round(ours.processor / plain.processor, 3),
        "processor_arithmetic_share": round(steps.processor / ours.processor, 3),
    }
    if settings.against:
        other = times[f"{PLAIN} of {settings.against}"]
        result |= {
            "against": settings.against,
            "against_ratio": round(ours.wall / other.wall, 3),
            "against_processor_ratio": round(ours.processor / other.processor, 3),
        }
    print(json.dumps(result))
    return cli.OK


if __name__ == "__main__":
    sys.exit(main())
