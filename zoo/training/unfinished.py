"""What an unfinished training says of itself, and its network: the last checkpoint as a folder to be used."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mfsynth import schema
from zoo.errors import TrainingError
from zoo.networks import Config, Network
from zoo.store.files import TRAINING, WEIGHTS, copy_folder, to_json
from zoo.store.folder import save_folder, set_weights
from zoo.training import checkpoint as checkpoints
from zoo.training.options import TrainOptions
from zoo.training.run import CHECKPOINTS
from zoo.training.training_log import scores_at

if TYPE_CHECKING:
    from pathlib import Path

    from zoo.training.options import Precision


def snapshot(run: Path, out: Path) -> int:
    """Write the weights of a training's last checkpoint, averaged if it averages, to a network's folder.

    Its training.json says how many steps were done; a finished training is copied as it is.

    Args:
        run: The folder of the training; it is only read, and may be running.
        out: The folder to make; a network that is there is replaced.

    Returns:
        The number of steps done.

    Raises:
        TrainingError: If there is no checkpoint yet, or it is damaged.
        OutputError: If a file cannot be written.
    """
    if (run / WEIGHTS).is_file():
        copy_folder(run, out, {})
        return int(json.loads((run / TRAINING).read_bytes())["steps"])
    saved = checkpoints.found(run / CHECKPOINTS)
    if not saved:
        raise TrainingError(
            f"there is no checkpoint in {run}", "wait for the first one, or give another folder"
        )
    last = checkpoints.load(saved[-1])
    document = _document(run / CHECKPOINTS / TRAINING)
    model = Network(Config.from_json(document["options"]["model"]))
    set_weights(model, last.ema or last.model, str(saved[-1]))
    step = last.state.step
    done = {"steps": step, "seconds": round(last.state.seconds, 1), "validation": scores_at(run, step)}
    model.documents = {TRAINING: to_json(document | done)}
    save_folder(out, model)
    return step


def history(run: Path) -> dict[str, Any]:
    """What training.json keeps about the weights that an unfinished training began with."""
    if not (run / CHECKPOINTS / TRAINING).exists():  # a training of 0.1.0 began with none
        return {}
    return dict(_document(run / CHECKPOINTS / TRAINING).get("begun", {}))


def precision_of(run: Path) -> Precision | None:
    """The arithmetic of an unfinished training; None if there is none."""
    if not (run / CHECKPOINTS / TRAINING).exists():
        return None
    begun: Precision = _document(run / CHECKPOINTS / TRAINING)["options"]["precision"]
    return begun


def same_ones(run: Path, options: TrainOptions) -> str:
    """Which options to give, to go on with a training that began with other ones than these."""
    try:
        began = _document(run / CHECKPOINTS / TRAINING)["options"]
    except TrainingError:  # a training of 0.1.0
        return (
            "use the same ones; for a preset of 0.1.0 with --set unequal=0 --set unbalanced=0 "
            "--set precision=bf16"
        )
    before, now = _settings(began), _settings(options.to_json())
    differing = [f"{name}={_text(value)}" for name, value in before.items() if now.get(name) != value]
    return f"use the same ones: {', '.join(differing)}" if differing else "use the same data"


def _settings(options: dict[str, Any]) -> dict[str, Any]:
    """All settings by the names that `--set` knows, from a training.json's options."""
    network = {f"model.{name}": value for name, value in options["model"].items()}
    return schema.defaults(TrainOptions) | {**options, "model": None} | network


def _text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _document(path: Path) -> dict[str, Any]:
    """What the training wrote when it began or went on: training.json, with the steps done until then."""
    try:
        return dict(json.loads(path.read_bytes()))
    except (OSError, ValueError) as error:
        raise TrainingError(
            f"{path} cannot be read: {error}", "continue the training, which writes it"
        ) from error
