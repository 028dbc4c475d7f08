"""Jobs on a Ray cluster: a task for each, and Ray decides where it runs."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic

from mfsynth.engine.jobs import ANSWER_SECONDS, TRIES, R, T, died_twice
from mfsynth.engine.worker import Failed, Silence, portable, signals_put_off
from mfsynth.errors import BuildError, MissingExtraError, OptionsError

try:
    import ray
    import ray.exceptions
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
except ModuleNotFoundError as error:
    raise MissingExtraError("ray", "ray") from error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mfsynth.engine.jobs import Advance

_REPORT_SECONDS = 1.0
_TICK_SECONDS = 0.5
_PROBE_SECONDS = 10.0
_GREETING_SECONDS = 30.0
_END_SECONDS = 20.0
_DIED = (ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError)
"""What Ray says of a task whose worker process died; it may have been the job's fault."""
_LOST = (ray.exceptions.NodeDiedError, ray.exceptions.ObjectLostError)
"""What it says of a task whose machine is gone; that was not."""
_GONE = (*_LOST, ray.exceptions.TaskUnschedulableError)
"""What it says of a task for a certain machine that is gone, perhaps before the task was sent."""
_BUSY = (
    "is it busy? Ray's workers have low priority: set RAY_worker_niceness=0 where `ray start` runs on it, or "
    "leave it out by `ray stop`"
)
_NEEDED = "run mfsynth on a machine of the cluster, with the address that `ray start` names, as 10.0.0.1:6379"


@contextmanager
def connected(address: str | None) -> Iterator[Ray]:
    """The engine, connected to a cluster while the block runs. A connection that the program has is used.

    Args:
        address: The cluster, as HOST:PORT; None takes $RAY_ADDRESS, else the cluster of this machine, else
            starts Ray on this machine only.

    Raises:
        OptionsError: If the address makes no sense.
        BuildError: If no cluster answers there.
    """
    if ray.is_initialized():
        if address:
            raise OptionsError("this program is connected to Ray already", "omit the address")
        yield Ray()
        return
    # else Ray prints what it knows of lost nodes to standard output, where a command's JSON goes
    with _changed(ray._private.worker, "_worker_logs_enabled", False):
        try:
            _connect(address or os.environ.get("RAY_ADDRESS"))
            yield Ray()
        finally:
            with signals_put_off():
                ray.shutdown()


class Ray:
    """The engine of a cluster; relative paths mean there what they mean here."""

    def run(
        self,
        work: Callable[[T, Advance], R],
        jobs: Sequence[T],
        *,
        workers: int,
        say: Callable[[str], None],
        progress: Callable[[int], None],
    ) -> list[tuple[T, R]]:
        """Run jobs as tasks of the cluster, each with one of its CPUs.

        A task whose machine is lost runs again elsewhere; one whose process dies is tried once more.
        """
        try:
            return _Tasks(work, jobs, workers, say, progress).run()
        except ray.exceptions.RayError as error:
            raise BuildError(
                f"Ray failed: {_last_line(error)}", "what is finished is kept: run the same again"
            ) from error

    def everywhere(
        self, look: Callable[[], R], *, say: Callable[[str], None], seconds: float = ANSWER_SECONDS
    ) -> list[tuple[str, R]]:
        """What a function returns on every other node with CPUs. One that is lost meanwhile is left out."""
        looks: dict[Any, str] = {
            _look.options(scheduling_strategy=_on(node["NodeID"])).remote(look, Path.cwd()): (
                f"node {node['NodeManagerAddress']}"
            )
            for node in ray.nodes()
            if node["Alive"] and node["NodeID"] != _here() and node["Resources"].get("CPU")
        }
        try:
            _await(looks, say, seconds)
            return list(_answers(looks))
        finally:
            _end(list(looks))


def _await(looks: dict[Any, str], say: Callable[[str], None], seconds: float) -> None:
    """Wait until all nodes have answered, or are lost; a slow one is told of."""
    late, silence, until = list(looks), Silence(), time.monotonic() + seconds
    while late and time.monotonic() < until:
        _, late = ray.wait(late, num_returns=len(late), timeout=_TICK_SECONDS)
        if late and (told := silence.too_long()):
            say(f"{looks[late[0]]} {told}; mfsynth waits for up to {seconds:.0f} s")
    if late:
        raise BuildError(f"{looks[late[0]]} of the Ray cluster has not answered for {seconds:.0f} s", _BUSY)


def _answers(looks: dict[Any, str]) -> Iterator[tuple[str, Any]]:
    """Each node that is not lost, with its answer."""
    for ref, node in looks.items():
        try:
            yield node, ray.get(ref)
        except _GONE:
            continue
        except ray.exceptions.RayError as error:
            raise BuildError(
                f"{node} of the Ray cluster cannot run mfsynth: {_last_line(error)}",
                "install the same mfsynth on every node",
            ) from error


def _end(refs: list[Any]) -> list[Any]:
    """Kill the tasks that have not ended, and wait for that; those that run even then."""
    running = _running(refs, 0)
    for ref in running:  # only these: Ray may end this process where a task that just ended is cancelled
        ray.cancel(ref, force=True)
    return _running(running, _END_SECONDS)


def _running(refs: list[Any], seconds: float) -> list[Any]:
    """Those that have not ended after so many seconds."""
    return ray.wait(refs, num_returns=len(refs), timeout=seconds)[1] if refs else []


def _connect(address: str | None) -> None:
    if address not in (None, "auto", "local"):
        _probe(str(address))
    terminated = signal.getsignal(signal.SIGTERM)
    # else what is not Ray, but listens, is tried for a quarter of an hour; once is 40 s
    patience = _changed(ray._private.ray_constants, "NUM_REDIS_GET_RETRIES", 1)
    try:
        with patience:
            ray.init(address, include_dashboard=False, log_to_driver=False, logging_level=logging.CRITICAL)
    except (ConnectionError, RuntimeError, ValueError) as error:
        where = f"to the Ray cluster at {address}" if address else "to Ray"
        cause = _last_line(error.__cause__ or error)
        raise BuildError(f"cannot connect {where}: {cause}", _NEEDED) from error
    finally:
        if threading.current_thread() is threading.main_thread():  # whose handler Ray has replaced
            signal.signal(signal.SIGTERM, terminated)


@contextmanager
def _changed(module: Any, name: str, value: object) -> Iterator[None]:
    """Another value for a setting of Ray that it offers no option for, until the block ends."""
    before = getattr(module, name, None)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


def _probe(address: str) -> None:
    """Check that a cluster may be at an address; Ray itself would try for minutes, with lines of its own.

    Raises:
        OptionsError: If it is not HOST:PORT.
        BuildError: If nothing answers, or something else than Ray.
    """
    host, _, port = address.rpartition(":")
    if "://" in address or not host or not port.isdecimal():
        raise OptionsError(f"{address} is not the HOST:PORT of a Ray cluster", _NEEDED)
    try:
        with socket.create_connection((host.strip("[]"), int(port)), _PROBE_SECONDS) as connection:
            known = os.environ.get("RAY_USE_TLS", "0") != "0" or _speaks_grpc(connection)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BuildError(f"no Ray cluster answers at {address}: {reason}", _NEEDED) from error
    if not known:
        raise BuildError(f"what listens at {address} is not a Ray cluster", _NEEDED)


def _speaks_grpc(connection: socket.socket) -> bool:
    """Whether the other side greets as HTTP/2 does, which Ray speaks: by a frame with its settings."""
    connection.settimeout(_GREETING_SECONDS)
    try:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
        return connection.recv(4, socket.MSG_WAITALL)[3:] == b"\x04"
    except OSError:  # it hangs up, or says nothing
        return False


def _here() -> str:
    return str(ray.get_runtime_context().get_node_id())


def _on(node: str) -> Any:
    return NodeAffinitySchedulingStrategy(node, soft=False)


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else type(error).__name__


# --- the tasks of a run, seen from here -----------------------------------------------------------------


@dataclass(eq=False)
class _Task(Generic[T]):
    """A job, and what is known of the task that does it; `node` is empty until the task has started."""

    number: int
    job: T
    deaths: int = 0
    node: str = ""
    count: int = 0
    silence: Silence = field(default_factory=Silence)

    def heard(self, node: str, count: int) -> None:
        """Note what the task has reported."""
        self.node, self.count = node, count
        self.silence.broken()


class _Tasks(Generic[T, R]):
    """The tasks of one run: as many at once as there are CPUs, and as many again that wait for one."""

    def __init__(
        self,
        work: Callable[[T, Advance], R],
        jobs: Sequence[T],
        workers: int,
        say: Callable[[str], None],
        progress: Callable[[int], None],
    ) -> None:
        self._work, self._workers, self._say, self._progress = work, workers, say, progress
        self._waiting = deque(_Task(number, job) for number, job in enumerate(jobs))
        self._flying: dict[Any, _Task[T]] = {}
        self._done: list[tuple[T, R]] = []
        self._finished = 0
        self._start = Silence()

    def run(self) -> list[tuple[T, R]]:
        """Run them all; errors end those that run."""
        self._board = _Board.options(scheduling_strategy=_on(_here())).remote()
        self._news = self._board.news.remote()
        try:
            while self._launched():
                ready, _ = ray.wait(list(self._flying), num_returns=1, timeout=_TICK_SECONDS)
                for ref in ready:
                    self._land(ref)
                self._read()
                self._watch()
                self._progress(self._finished + sum(task.count for task in self._flying.values()))
        except BaseException:
            with signals_put_off():
                self._cancel()
            raise
        finally:
            ray.kill(self._board)
        return self._done

    def _launched(self) -> bool:
        """Hand over as many tasks as the cluster has use for; whether any are left."""
        most = self._workers or 2 * max(1, int(ray.cluster_resources().get("CPU", 1)))
        while self._waiting and len(self._flying) < most:
            task = self._waiting.popleft()
            ref = _do.remote(self._work, task.job, task.number, self._board, Path.cwd())
            self._flying[ref] = task
            task.silence.broken()
        return bool(self._flying)

    def _land(self, ref: Any) -> None:
        """Take the result of a task, or have it run again; raises what the job raised."""
        task = self._flying[ref]
        try:
            result = ray.get(ref)
        except _DIED as error:
            task.deaths += 1
            cause = "out of memory" if isinstance(error, ray.exceptions.OutOfMemoryError) else "it crashed"
            if task.deaths >= TRIES:
                raise died_twice(task.job.name, cause) from error
            self._again(ref, f"the worker on {task.job.name} died ({cause}); trying once more")
        except _LOST:
            self._again(ref, f"{task.node or 'a node'} was lost; another one takes {task.job.name}")
        else:
            del self._flying[ref]
            if isinstance(result, Failed):
                raise result.error
            self._finished += result.count
            self._done.append((task.job, result.result))

    def _again(self, ref: Any, line: str) -> None:
        task = self._flying.pop(ref)
        self._waiting.appendleft(_Task(task.number, task.job, task.deaths))
        self._say(line)

    def _read(self) -> None:
        """Read what tasks have reported, without waiting for it."""
        ready, _ = ray.wait([self._news], timeout=0)
        if not ready:
            return
        tasks = {task.number: task for task in self._flying.values()}
        for number, report in ray.get(self._news).items():
            if number in tasks:
                tasks[number].heard(*report)
        self._news = self._board.news.remote()

    def _watch(self) -> None:
        """Say so if a task has reported nothing for long, or if none has started."""
        started = [task for task in self._flying.values() if task.node]
        for task in started:
            if silence := task.silence.too_long():
                self._say(f"{task.node} {silence}; it is working on {task.job.name}")
        if started or not self._flying:
            self._start.broken()
        elif self._start.too_long():
            self._say(
                "no job has started yet: all CPUs of the Ray cluster are in use, or its nodes are starting"
            )

    def _cancel(self) -> None:
        """End the tasks, and wait until they have ended: what they leave behind can then be removed."""
        for ref in _end(list(self._flying)):
            task = self._flying[ref]
            self._say(f"{task.node or 'a node'} has not ended its work on {task.job.name} yet")


# --- in the cluster -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Done:
    result: Any
    count: int


class _Reports:
    """What tasks have reported since the last time: node and progress, by the job's number."""

    def __init__(self) -> None:
        self._new: dict[int, tuple[str, int]] = {}

    def report(self, number: int, node: str, count: int) -> None:
        """Note how far a job is."""
        self._new[number] = (node, count)

    def news(self) -> dict[int, tuple[str, int]]:
        """What is new."""
        new, self._new = self._new, {}
        return new


_Board: Any = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(_Reports)


class _Reporter:
    """Reports a job's progress about once a second, and at once that it has started."""

    def __init__(self, board: Any, number: int) -> None:
        self.count = 0
        self._board, self._number = board, number
        self._node = f"node {ray.util.get_node_ip_address()}"
        self._report()

    def advance(self, count: int) -> None:
        self.count += count
        if time.monotonic() - self._last > _REPORT_SECONDS:
            self._report()

    def _report(self) -> None:
        self._board.report.remote(self._number, self._node, self.count)
        self._last = time.monotonic()


def _do_job(work: Callable[[T, Advance], R], job: T, number: int, board: Any, folder: Path) -> _Done | Failed:
    _go_to(folder)
    reporter = _Reporter(board, number)
    try:
        return _Done(work(job, reporter.advance), reporter.count)
    except Exception as error:  # noqa: BLE001 - whatever it is, the caller raises it
        return Failed(portable(error))


def _look_there(look: Callable[[], R], folder: Path) -> R:
    _go_to(folder)
    return look()


def _go_to(folder: Path) -> None:
    with suppress(OSError):  # a node without it can do what needs no relative path
        os.chdir(folder)


_do: Any = ray.remote(max_retries=0)(_do_job)
_look: Any = ray.remote(max_retries=TRIES - 1, num_cpus=0)(_look_there)
