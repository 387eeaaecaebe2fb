"""A row of the result in the making."""

import dataclasses

from mnist_edge import cli, manifest, runtimes

from . import bundles

PASSED, BREACHED, FAILED, NOT_INSTALLED = "passed", "breached", "failed", "not installed"


@dataclasses.dataclass(frozen=True)
class Contender:
    """A row of the result, and what it is measured from.

    Attributes:
        bundle: A `bundles.Bundle`.
        entry: The manifest's entry.
        row: The row, a dict; filled in as the run goes on.
    """

    bundle: bundles.Bundle
    entry: dict
    row: dict

    @property
    def path(self):
        """The artifact's file."""
        return self.bundle.folder / self.entry["file"]

    @property
    def key(self):
        """What tells the row from the run's others."""
        return self.bundle.label, self.entry["variant"]

    def fail(self, cause: object) -> None:
        """Records why the row could not be measured."""
        self.row["status"] = FAILED
        self.row["breaches"].append(cli.printable(cause))


def contend(bundle, entry):
    """Makes a contender, not opened yet; failed where its file is not the one meant.

    Args:
        bundle: A `bundles.Bundle`.
        entry: The manifest's entry.

    Returns:
        A `Contender`.
    """
    row = {
        "bundle": bundle.label,
        "variant": entry["variant"],
        "format": entry["format"],
        "precision": entry["precision"],
        "file": entry["file"],
        "size_bytes": entry["size_bytes"],
        "sha256": entry["sha256"],
        "status": PASSED,
        "breaches": [],
        "remarks": [],
        "latency": [],
    }
    contender = Contender(bundle, entry, row)
    if not runtimes.is_installed(contender.path):
        row["status"] = NOT_INSTALLED
    else:
        cause = manifest.damage(contender.path, entry)
        if cause:
            contender.fail(cause)
    return contender
