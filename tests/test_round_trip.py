"""A data set in a bucket from pictures to weights, over a bad network and through kills."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count, cycle
from pathlib import Path
from typing import Any

import pytest
from s3.fixtures import Store
from warm_python import WarmPython

from tests.building.test_stores import kill, many, start, wait_until
from tests.conftest import Cli, tree


@dataclass(frozen=True)
class Training:
    """Steps of a training whose epochs have 12: in all, until it saves its state, and until it is killed."""

    steps: int
    saved: int
    killed: int


TRAIN = """
import hashlib, os, signal, sys, mfsynth, torch
from torchdata.stateful_dataloader import StatefulDataLoader

folder, checkpoint = sys.argv[1:3]
steps, saved_at, killed = map(int, sys.argv[3:])

def show(name, tensors):
    data = b"".join(tensor.detach().numpy().tobytes() for tensor in tensors)
    print(name, hashlib.sha256(data).hexdigest(), flush=True)

torch.manual_seed(0)
network = torch.nn.Sequential(
    torch.nn.Conv2d(6, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(4, 1, 3, padding=1))
optimizer = torch.optim.Adam(network.parameters())
stream = mfsynth.open(folder, shuffle=5, window=(0, 0, 32, 32)).torch(batch=4)
loader = StatefulDataLoader(stream, batch_size=None, num_workers=2)
epoch = step = 0
if os.path.exists(checkpoint):
    saved = torch.load(checkpoint)
    epoch, step = saved["epoch"], saved["step"]
    network.load_state_dict(saved["network"])
    optimizer.load_state_dict(saved["optimizer"])
    loader.load_state_dict(saved["loader"])
while step < steps:
    stream.set_epoch(epoch)
    for batch in loader:
        step += 1
        show(step, [batch["frames"], batch["gt"], batch["focus"]])
        score = network(batch["frames"].flatten(1, 2) / 255).squeeze(1)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(score, batch["focus"].float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step == saved_at:
            parts = {"network": network, "optimizer": optimizer, "loader": loader}
            states = {name: part.state_dict() for name, part in parts.items()}
            torch.save(states | {"epoch": epoch, "step": step}, checkpoint)
        if step == killed:
            os.kill(os.getpid(), signal.SIGKILL)
        if step == steps:
            break
    epoch += 1
show("weights", network.parameters())
"""


def misbehaving(every: int) -> Any:
    """A network on which one of so many requests fails, each time in another way."""
    numbers, faults = count(1), cycle(["drop", "lose", "busy", "cut"])
    return lambda _method, _path: next(faults) if next(numbers) % every == 0 else ""


@pytest.mark.parametrize(
    ("training", "every"),
    [
        pytest.param(Training(5, 2, 3), 0, id="short"),
        pytest.param(Training(50, 30, 33), 10, id="on-a-bad-network", marks=pytest.mark.slow),
    ],
)
def test_what_is_killed_on_the_way_from_pictures_to_weights_makes_no_difference(
    training: Training, every: int, store: Store, cli: Cli, warm: WarmPython, tmp_path: Path
) -> None:
    pytest.importorskip("torchdata.stateful_dataloader")
    coco, local = many(tmp_path), tmp_path / "local"
    words = ("build", "--split", "m", "--shards", 8, "--variants", 2, "--coco", coco, "--workers", 1)
    assert cli(*words, "--out", local).returncode == 0
    if every:
        store.proxy.fault = misbehaving(every)

    # made, in spite of a kill
    process = start(coco, store.url, store.env)
    wait_until(lambda: sum(request.puts(".json") for request in store.proxy.log) >= 4)
    kill(process)
    assert "manifest.json" not in store.names()
    resumed = cli(*words, "--out", store.url, env=store.env)
    assert "kept from before" in resumed.stdout, resumed.stderr
    assert store.tree() == tree(local)

    # spoiled, and repaired
    data = bytearray(store.read("m-000003.tar"))
    data[5000] ^= 1
    store.write("m-000003.tar", bytes(data))
    found = cli("verify", store.url, "--workers", 1, env=store.env)
    assert found.returncode == 1
    assert [
        line for line in found.stdout.splitlines() if "has the SHA-256" in line and "m-000003.tar" in line
    ]
    repaired = cli("verify", store.url, "--repair", "--coco", coco, "--workers", 1, env=store.env)
    assert repaired.returncode == 0, repaired.stderr
    assert "rebuilt 1 of 8 shards" in repaired.stderr
    assert store.tree() == tree(local)

    # trained from, in spite of a kill in the middle of an epoch
    def train(folder: str | Path, name: str, killed: int = 0) -> tuple[int, list[str]]:
        steps = (training.steps, training.saved, killed)
        env = store.env | {"MFSYNTH_CACHE": str(tmp_path / "cache")}
        words = (str(folder), str(tmp_path / name), *map(str, steps))
        run = warm.run(code=TRAIN, args=words, env=env, cwd=tmp_path)
        assert run.returncode in (0, -9), run.stderr
        return run.returncode, run.stdout.splitlines()

    _, undisturbed = train(local, "whole.pt")
    assert len(undisturbed) == training.steps + 1
    assert train(store.url, "killed.pt", training.killed) == (-9, undisturbed[: training.killed])
    kept = {path.name for path in (tmp_path / "cache").glob("*.tar")}
    assert len(kept) == 8 or training.killed < 12
    store.proxy.log.clear()
    assert train(store.url, "killed.pt") == (0, undisturbed[training.saved :])
    assert not [each for each in store.proxy.log if any(name in each.path for name in kept)]
