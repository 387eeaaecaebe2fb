"""What a finished run leaves: its figures, its record and its files."""

import csv

from mnist_edge import bundle, cli, data, models
from mnist_edge.models import saving
from mnist_edge.training import loop


def data_record(settings, dataset, splits):
    """What was trained on what, a dict.

    Args:
        settings: A `TrainSettings`.
        dataset: A `data.Dataset`.
        splits: Indices of the training and of the validation images.
    """
    return {
        "source": dataset.source,
        "classes": dataset.classes,
        "labels": list(dataset.labels),
        "split_seed": settings.split_seed,
        "train_count": len(splits[0]),
        "validation_count": len(splits[1]),
        "test_count": len(dataset.x_test),
        "sha256": dataset.sha256(),
    }


def figures(model, recipe, run, learner, dataset):
    """What was trained and how well it does, the test set read once.

    Args:
        model: The trained `keras.Model`, as it is saved.
        recipe: A `models.Recipe`.
        run: Its `checkpoint.Run`, over.
        learner: The compiled `learner.Learner` that holds its weights.
        dataset: A `data.Dataset`.

    Returns:
        dict, a part of what `train.json` holds.
    """
    kept = run.best_epoch if recipe.keep == "best" else run.epochs - 1
    test = learner.evaluate(
        data.as_inputs(dataset.x_test, model.input.shape[1:]),
        loop.targets(dataset.y_test, recipe, dataset.classes),
        batch_size=500,
        verbose=0,
        return_dict=True,
    )
    return {
        "model": model.name,
        "parameters": model.count_params(),
        "multiply_accumulates": models.multiply_accumulates(model),
        "metrics": {
            **{
                f"validation_{name}": None
                if recipe.all_images
                else run.history[f"val_{name}"][kept]
                for name in ("accuracy", "loss")
            },
            "test_accuracy": test["accuracy"],
            "test_loss": test["loss"],
        },
        "kept_epoch": kept + 1,
        "epochs": run.epochs,
        "training_seconds": round(run.seconds, 1),
    }


def write(stage, settings, model, run, record):
    """Writes a bundle's files into its staging folder, and the model's hash into `record`.

    Args:
        stage: `pathlib.Path`.
        settings: A `TrainSettings`.
        model: The trained `keras.Model`.
        run: Its `checkpoint.Run`.
        record: What `train.json` is to hold, a dict.
    """
    saving.save(model, stage / bundle.MODEL)
    if settings.save_h5:
        with cli.native_logs_held():  # Keras warns that the format is old; that is asked for
            model.save(stage / bundle.MODEL_H5)
    if settings.save_weights:
        model.save_weights(stage / bundle.WEIGHTS)
    with open(stage / bundle.HISTORY, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["epoch", *run.history])
        for epoch, row in enumerate(zip(*run.history.values(), strict=True), start=1):
            writer.writerow([epoch, *row])
    record["model_sha256"] = bundle.sha256_file(stage / bundle.MODEL)
    bundle.write_json(stage / bundle.TRAIN, record)


def report(record, folder):
    """What a person reads at the end, in three lines."""
    metrics = record["metrics"]
    accuracy = metrics["validation_accuracy"]
    validation = "no validation" if accuracy is None else f"validation accuracy {accuracy:.2%}"
    return (
        f"{record['model']}: {record['parameters']:,} parameters, "
        f"{record['multiply_accumulates']:,} multiply-accumulates, "
        f"epoch {record['kept_epoch']} of {record['epochs']} kept, "
        f"{record['training_seconds']} s\n"
        f"{validation}, test accuracy {metrics['test_accuracy']:.2%}, "
        f"test loss {metrics['test_loss']:.4f}\n"
        f"written: {cli.printable(folder)}"
    )
