"""A network's card: cards/model.md, filled from the files beside the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mfsynth import __version__
from mfsynth.cards import template
from mfsynth.console import about
from zoo.metrics.measures import MEASURES, QUALITY, shown
from zoo.publishing.record import code, plain, plain_in, read_training, trainings
from zoo.store.files import EVALUATION, TRAINING
from zoo.store.results import Results

if TYPE_CHECKING:
    from huggingface_hub import EvalResult, ModelCard

    from zoo.networks import Network
    from zoo.store.results import Result

TITLES = {"seg": "HF-Seg", "reg": "HF-Reg"}
_LEFT_OUT = ("loss",)  # about the training, and of no use to users of the network


def model_card(
    model: Network,
    *,
    license: str | None = None,
    repository: str = "",
    picture: str = "",
    curve: str = "",
) -> ModelCard:
    """The card of a network, made from its documents.

    Args:
        model: The network, with its documents.
        license: Of the weights, as the Hub names it, such as `apache-2.0`; None says nothing about it.
        repository: Where it will be published; empty for a folder.
        picture: The file in the repository that shows what the network does; empty omits it.
        curve: The file that shows its training; empty omits it.

    Raises:
        ZooError: If training.json or evaluation.json is malformed.
    """
    from huggingface_hub import ModelCard, ModelCardData

    training = training_of(model)
    results = tuple(each for each in results_of(model) if measured(each))
    title = title_of(model, training)
    data = ModelCardData(
        license=license,
        library_name="mfsynth",
        pipeline_tag="image-to-image",
        tags=["multi-focus-image-fusion", "image-fusion", "focus-stacking", model.config.task],
        model_name=title if results else None,
        eval_results=[each for result in results for each in evaluations(result)] or None,
    )
    card: ModelCard = ModelCard.from_template(
        data,
        template_str=template("model.md"),
        title=title,
        license=license,
        repository=repository,
        task=model.config.task,
        noisy=noisy(training),
        made=frames_made(training),
        unit="sets" if model.config.sets else "pairs",
        **{name: training.get("options", {}).get(name, 0) for name in ("unequal", "ema")},
        frames=training.get("options", {}).get("frames", (2, 2)),
        config=model.config,
        parameters=f"{model.parameters_count:,}",
        training=plain_in(training),
        command=code(training.get("command", "")),
        earlier=[
            (code(each.get("command", "")), code(each.get("sha256", ""))) for each in trainings(training)[1:]
        ],
        steps=total(training, "steps"),
        time=about(total(training, "seconds")),
        own_time=about(training.get("seconds", 0)),
        stopped_early=training.get("steps", 0) < training.get("options", {}).get("steps", 0),
        data=[
            (plain(each["source"]), amount(each), each["weight"], hashes(each))
            for each in training.get("data", ())
        ],
        results=[
            (result.samples, plain(result.data), [(plain(name), value) for name, value in each])
            for result in results
            for each in [[shown(*every) for every in measured(result)]]
        ],
        picture=picture,
        curve=curve,
        version=__version__,
    )
    return card


def training_of(model: Network) -> dict[str, Any]:
    """What training.json says.

    Raises:
        ZooError: If it is malformed.
    """
    return read_training(model.documents.get(TRAINING))


def results_of(model: Network) -> tuple[Result, ...]:
    """What evaluation.json says; empty if there is none."""
    text = model.documents.get(EVALUATION)
    return Results.from_json(text).results if text else ()


def amount(source: dict[str, Any]) -> str:
    """How much a source of training.json holds: `101 images` of COCO, `24 samples` of shards."""
    unit = "samples" if source.get("images") is None else "images"
    known = source.get(unit)
    return f"{'unknown' if known is None else known} {unit}"


def hashes(source: dict[str, Any]) -> str:
    """What identifies a source in training.json: the beginning of each hash."""
    names = ("options", "ids", "shards")
    return ", ".join(f"{name} `{code(source[name][:16])}`" for name in names if source.get(name))


def noisy(training: dict[str, Any]) -> bool:
    """Whether a network was trained to remove noise."""
    return bool(training.get("options", {}).get("noise", [0, 0])[1] > 0)


def frames_made(training: dict[str, Any]) -> frozenset[str]:
    """How the frames were made that a network learned from: by `optics`, as in the `paper`, or both ways."""
    return frozenset("optics" if each.get("settings") else "paper" for each in training.get("data", ()))


def total(training: dict[str, Any], what: str) -> float:
    """Steps or seconds of a training and of those before it, as far as they are recorded."""
    return sum(each.get(what, 0) for each in trainings(training))  # type: ignore[no-any-return]


def title_of(model: Network, training: dict[str, Any]) -> str:
    """The network's name in comparisons: its architecture's, or HF-Seg or HF-Reg as in the paper."""
    return model.config.row.title or ("Noisy " if noisy(training) else "") + TITLES[model.config.task]


def measured(result: Result) -> list[tuple[str, float]]:
    """The metrics of a result that matter to users of the network, in a fixed order."""
    order = [*(name for name in MEASURES if name not in QUALITY), *QUALITY]
    names = sorted(
        result.metrics, key=lambda name: (order.index(name) if name in order else len(order), name)
    )
    return [(name, result.metrics[name]) for name in names if name not in _LEFT_OUT]


def evaluations(result: Result) -> list[EvalResult]:
    """A result as entries of the card's model index."""
    from huggingface_hub import EvalResult

    return [
        EvalResult(
            task_type="image-to-image",
            task_name="multi-focus image fusion",
            dataset_type=result.identity,
            dataset_name=result.data,
            dataset_config=result.kind or None,
            metric_type=name,
            metric_name=shown(name, value)[0],
            metric_value=value,
        )
        for name, value in measured(result)
    ]
