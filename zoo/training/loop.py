"""The training loop: steps, checkpoints, validation. Accelerate handles devices, precision and processes."""

from __future__ import annotations

import math
import shutil
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import gather_object
from safetensors import SafetensorError

from mfsynth.console import count
from mfsynth.errors import MfsynthError, OutputError
from mfsynth.locks import locked
from mfsynth.storage import write
from zoo.errors import LoaderError, TrainingError
from zoo.networks import Network
from zoo.store.files import EVALUATION, TRAINING, to_json
from zoo.store.folder import save_folder, set_weights, weights_of
from zoo.training import checkpoint as checkpoints
from zoo.training.checkpoint import ORDER, Checkpoint, State
from zoo.training.data import Batches, Loader
from zoo.training.documents import described, evaluation_document, fingerprint, training_document
from zoo.training.precision import settled
from zoo.training.run import CHECKPOINTS, KEPT, TrainReport, TrainRun, clear, last_checkpoint
from zoo.training.scattered import Position
from zoo.training.sources import ShardSource, open_source
from zoo.training.start import begin
from zoo.training.steps import (
    averaged,
    learning_rate,
    loss_of,
    make_optimizer,
    pairs_per_step,
    total_steps,
)
from zoo.training.stopping import Stop, is_lost
from zoo.training.training_log import TrainingLog
from zoo.training.unfinished import history, same_ones
from zoo.training.validation import ValidationScores, validate, validation_crops

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from zoo.training.crops import Crop
    from zoo.training.options import TrainOptions

LOG_EVERY = 10
"""Number of steps between lines of the log."""
_MIXED = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}


def train(options: TrainOptions, run: TrainRun) -> TrainReport:
    """Train a network to the end, or until SIGINT or SIGTERM, which saves a checkpoint first.

    Every process of a distributed training calls this.

    Raises:
        OutputError: If the folder is already in use, by another training as well, or cannot be written.
        TrainingError: If there is no checkpoint to continue from, options or data differ from those of the
            checkpoint, or the loss is not finite.
        MfsynthError: If the data is missing or broken.
    """
    options = settled(options, run)
    AcceleratorState._reset_state()  # so that a second training in this process can choose its precision
    accelerator = Accelerator(mixed_precision=_MIXED[options.precision], cpu=run.cpu)
    alone = locked(run.out, "training") if accelerator.is_main_process else nullcontext()
    try:
        with alone:
            return _train(options, run, accelerator)
    except (OSError, SafetensorError) as error:
        if isinstance(error, MfsynthError):
            raise
        raise OutputError(
            f"cannot write to {run.out}: {error}", "check permissions and disk space"
        ) from error


def _train(options: TrainOptions, run: TrainRun, accelerator: Accelerator) -> TrainReport:
    last = last_checkpoint(run)
    sources = [(open_source(spec, options.seed, run.holding), spec.weight) for spec in run.data]
    held = [open_source(spec, options.seed, holding=False) for spec in run.validation]
    crops = validation_crops(held or [each for each, _ in sources], options)
    identity = fingerprint(options, sources)
    if last and last.state.options != identity:
        raise TrainingError(
            f"the checkpoint in {run.out} is from a training run with other options or other data",
            f"{same_ones(run.out, options)}, or train into another folder",
        )
    if last and last.state.order != ORDER and any(isinstance(each, ShardSource) for each, _ in sources):
        run.say("an earlier release read shards in another order: this epoch may repeat or skip some samples")
    accelerator.wait_for_everyone()
    if accelerator.is_main_process and not last:
        clear(run.out)
    accelerator.wait_for_everyone()
    total = total_steps(options, sum(len(source) for source, _ in sources), accelerator.num_processes)
    training = _Training(options, run, accelerator, last, crops, total)
    if accelerator.is_main_process:
        training.announce(described(sources))
    with training.stop.awaited():
        stopped = training.steps(identity)
    report = training.report(stopped)
    if accelerator.is_main_process:
        training.finish(report, described(sources))
    accelerator.wait_for_everyone()
    return report


class _Training:
    """The objects of a running training."""

    def __init__(
        self,
        options: TrainOptions,
        run: TrainRun,
        accelerator: Accelerator,
        last: Checkpoint | None,
        crops: dict[str, list[Crop]],
        total: int,
    ) -> None:
        self.options, self.run, self.accelerator = options, run, accelerator
        self.crops, self.total = crops, total
        torch.manual_seed(options.seed)
        model = Network(options.model)
        self.begun = history(run.out) if last else begin(model, options, run.say)
        if options.channels_last:
            model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimizer = make_optimizer(options, model)
        self.model, self.optimizer = accelerator.prepare(model, optimizer)
        self.ema = averaged(options, self.plain)
        self.state = State(0, 0, [], 0.0, "", {}, ORDER)
        if last:
            self._restore(last)
        self.log = TrainingLog(run.out, self.state.step) if accelerator.is_main_process else None
        self.scores: dict[str, ValidationScores] = {}
        self.spent = self.stepping = self.waited = 0.0
        self.stop = Stop(accelerator, run.say)
        self.validated = -1

    @property
    def plain(self) -> Network:
        """The network without its distributed wrapper."""
        return self.accelerator.unwrap_model(self.model)  # type: ignore[no-any-return]

    @property
    def best(self) -> Network:
        """The network to keep: the averaged one, if any."""
        return cast("Network", self.ema.module) if self.ema else self.plain

    # --- steps

    def steps(self, identity: str) -> bool:
        """Train until the end or a signal; return whether it was a signal."""
        positions = dict(enumerate(self._positions()))
        with self._loader(list(positions.values())) as batches:
            try:
                self._steps(batches, positions, identity)
            except LoaderError as error:
                raise self._given_up(error) from error
            except RuntimeError as error:
                if not is_lost(error):
                    raise
                raise TrainingError(
                    "another process of this training has ended, for the reason that it gave",
                    "continue with --resume",
                ) from error
        step = self.state.step
        if self.spent and step < self.total:
            self.save()
        if (
            step == self.total and self.validated != step
        ):  # the earlier run was killed after its last checkpoint
            self.validate(step)
        return step < self.total

    def _steps(self, batches: Loader, positions: dict[int, Position], identity: str) -> None:
        begun, step = self.state.begun, self.state.step
        started, seconds = time.perf_counter(), self.state.seconds
        losses: list[float] = []
        stepping = waited = 0.0
        while step < self.total and not self.stop.asked():
            before = time.perf_counter()
            for group in self.optimizer.param_groups:
                group["lr"] = learning_rate(self.options, step, self.total)
            done = self._step(batches, step + 1)
            if done is None:
                return
            loss, waiting, taken = done
            positions |= taken
            begun += self.options.accumulate
            now = time.perf_counter()
            step, stepping, waited = step + 1, stepping + now - before, waited + waiting
            losses.append(loss)
            self.spent = now - started
            self.stepping, self.waited = self.stepping + now - before, self.waited + waiting
            places = [list(positions.values())]
            self.state = State(step, begun, places, seconds + self.spent, identity, {}, ORDER)
            if step % LOG_EVERY == 0 or step == self.total:
                self._log(step, losses, stepping, waited)
                losses, stepping, waited = [], 0.0, 0.0
            if step % self.options.validate_every == 0 or step == self.total:
                self.validate(step)
            if step % self.options.checkpoint_every == 0:
                self.save()
            self._keep(step)

    def _step(self, batches: Loader, step: int) -> tuple[float, float, dict[int, Position]] | None:
        """One optimizer step: its loss, the seconds it waited for data, and the positions of the workers.

        None if the training was asked to stop while the step waited for data.
        """
        total = torch.zeros((), device=self.accelerator.device)
        waiting, taken = 0.0, {}
        count = self.options.accumulate
        for number in range(count):
            before = time.perf_counter()
            batch = batches.next(self.stop.waits_no_longer)
            if batch is None:
                return None
            waiting += time.perf_counter() - before
            taken[batch.worker] = batch.position
            with self._syncing(last=number + 1 == count):
                with self.accelerator.autocast():
                    loss = loss_of(self.model, batch, self.options, self.accelerator.device) / count
                self.accelerator.backward(loss)
            total += loss.detach()
        norm = self.accelerator.clip_grad_norm_(self.model.parameters(), self.options.clip or math.inf)
        loss_now = self._checked(total, norm, step)
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.ema:
            self.ema.update_parameters(self.plain)
        return loss_now, waiting, taken

    def _syncing(self, last: bool) -> AbstractContextManager[None]:
        """Processes sum their gradients only in the last minibatch of a step."""
        return nullcontext() if last else self.accelerator.no_sync(self.model)

    def _checked(self, loss: Tensor, norm: Tensor, step: int) -> float:
        """The loss over all processes, if it and the gradient are finite."""
        if self.accelerator.num_processes > 1:
            loss = self.accelerator.reduce(loss, "mean")
        value = loss.item()
        # in fp16 the scaler skips a step whose gradient overflows
        if math.isfinite(value) and self.accelerator.scaler is None and not norm.isfinite():
            value = math.nan
        if not math.isfinite(value):
            saved = checkpoints.found(self.run.out / CHECKPOINTS)
            good = f"the last good checkpoint is {saved[-1]}" if saved else "there is no checkpoint yet"
            raise TrainingError(f"the loss of step {step} is {value}; {good}", "lower lr, or set clip")
        return value

    def _log(self, step: int, losses: Sequence[float], seconds: float, waited: float) -> None:
        mean = sum(losses) / len(losses)
        if self.log:
            pairs = len(losses) * pairs_per_step(self.options, self.accelerator.num_processes)
            self.log.step(
                step,
                loss=mean,
                lr=self.optimizer.param_groups[0]["lr"],
                seconds=self.state.seconds,
                waiting=waited / seconds,
                pairs_per_second=pairs / seconds,
            )
        self.run.progress(step, self.total, mean)

    def _loader(self, positions: list[Position]) -> Loader:
        batches = Batches(
            self.run.data,
            self.options,
            rank=self.accelerator.process_index,
            ranks=self.accelerator.num_processes,
            workers=max(self.run.workers, 1),
            begun=self.state.begun,
            positions=positions,
            holding=self.run.holding,
            render=self.run.render,
        )
        return Loader(batches, self.run.workers, self.run.say, self.accelerator.device)

    def _given_up(self, error: LoaderError) -> LoaderError:
        """What to tell when the data gave out; a training of one process saves what it has done first."""
        if self.spent and self.accelerator.num_processes == 1:
            self.save()
        saved = checkpoints.found(self.run.out / CHECKPOINTS)
        hints = (error.hint, "then continue with --resume" if error.hint else "continue with --resume")
        return LoaderError(error.message, ", ".join(filter(None, hints)) if saved else error.hint)

    def _positions(self) -> list[Position]:
        """The positions of this process's workers."""
        workers = max(self.run.workers, 1)
        saved = self.state.positions
        if not saved:
            return [Position()] * workers
        if len(saved) != self.accelerator.num_processes:
            raise TrainingError(
                f"the training in {self.run.out} was started with --num_processes {len(saved)}",
                "continue with the same number",
            )
        if len(saved[0]) != workers:
            raise TrainingError(
                f"the training in {self.run.out} has {count(len(saved[0]), 'loader worker')}",
                f"continue with --workers {len(saved[0])}",
            )
        return saved[self.accelerator.process_index]

    # --- validation, checkpoints, results

    def validate(self, step: int) -> None:
        """Score the network on the held-out pairs in the main process, while the others wait."""
        self.validated = step
        if self.log:
            judged = self._copy()
            for kind, crops in self.crops.items():
                self.scores[kind], rows = validate(judged, crops, self.options)
                self.log.scores(step, kind, self.scores[kind], rows)
        self.accelerator.wait_for_everyone()

    def _copy(self) -> Network:
        """A copy of the network to keep, without Accelerate's changes: it is scored in float32."""
        with torch.random.fork_rng():
            copy = Network(self.options.model)
        set_weights(copy, weights_of(self.best), "this training")
        return copy.to(self.accelerator.device).eval()

    def save(self) -> None:
        """Write a checkpoint."""
        positions = gather_object(self.state.positions)
        scaler = self.accelerator.scaler
        if self.log:
            scale = scaler.state_dict() if scaler is not None else {}
            state = replace(self.state, positions=positions, scaler=scale)
            checkpoints.save(
                self.run.out / CHECKPOINTS,
                Checkpoint(
                    state,
                    weights_of(self.plain),
                    checkpoints.optimizer_tensors(self.optimizer),
                    weights_of(self.best) if self.ema else {},
                ),
            )
        self.accelerator.wait_for_everyone()

    def _restore(self, last: Checkpoint) -> None:
        place = self.run.out / CHECKPOINTS / last.state.name
        checkpoints.restore(last, place, self.total, self.plain, self.optimizer, self.ema)
        if last.state.scaler and self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(last.state.scaler)
        self.state = last.state

    def _keep(self, step: int) -> None:
        """Keep the weights of this epoch if the options ask for it."""
        every, epochs = self.options.keep_every, self.options.epochs
        if not self.log or not every or self.options.steps:
            return
        epoch, before = (done * epochs // self.total for done in (step, step - 1))
        if epoch // every == before // every:
            return
        training = {"options": self.options.to_json(), "step": step, "epoch": epoch}
        self.best.documents = {TRAINING: to_json(training)}
        save_folder(self.run.out / KEPT / f"epoch-{epoch:05d}", self.best)

    def report(self, stopped: bool) -> TrainReport:
        """What the training did."""
        waiting = self.waited / self.stepping if self.stepping else 0.0
        return TrainReport(
            self.state.step, self.total, self.state.seconds, waiting, self.scores, stopped, self.run.out
        )

    def announce(self, data: list[dict[str, Any]]) -> None:
        """Write training.json beside the checkpoints, for `zoo.training.unfinished`."""
        write(self.run.out / CHECKPOINTS / TRAINING, to_json(self.document(self.report(False), data)))

    def document(self, report: TrainReport, data: list[dict[str, Any]]) -> dict[str, Any]:
        """The content of training.json."""
        device, processes = self.accelerator.device, self.accelerator.num_processes
        return training_document(self.options, self.run, report, data, processes, device, self.begun)

    def finish(self, report: TrainReport, data: list[dict[str, Any]]) -> None:
        """After the last step, write the network's folder; draw the curve; remove the checkpoints."""
        assert self.log is not None
        if not report.stopped:  # the network first, whatever may be wrong with its logs
            training = self.document(report, data)
            evaluation = evaluation_document(self.run, report, data, self.crops)
            self.best.documents = {TRAINING: to_json(training), EVALUATION: evaluation.to_json()}
            save_folder(self.run.out, self.best)
        self.log.curve()
        self.log.close()
        if not report.stopped:
            shutil.rmtree(self.run.out / CHECKPOINTS, ignore_errors=True)
