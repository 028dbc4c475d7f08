"""Networks to and from a hub on the loopback, by the genuine client."""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hub.fixtures import SNIPPET_START
from safetensors.numpy import load

START = """
import hashlib
import json

import torch
import zoo
from mfsynth.errors import MfsynthError
from zoo.store.folder import save_folder
from zoo.networks import Config
from zoo.pretrained import FusionModel
from zoo.training.presets import preset

TRAINING = {
    "command": "mfsynth train hf-seg",
    "options": preset("hf-seg", "fast").override({"model.width": "4", "model.depth": "2"}).to_json(),
    "data": [{"source": "demo", "images": 32, "weight": 1.0, "options": "0" * 64, "ids": "1" * 64}],
    "steps": 1, "seconds": 60.0, "device": "cpu",
}


def network(seed=0, **config):
    torch.manual_seed(seed)
    model = FusionModel(Config(task="seg", width=4, depth=2, **config)).eval()
    options = TRAINING["options"] | {"model": model.config.to_json()}
    model.documents = {"training.json": json.dumps(TRAINING | {"options": options}).encode()}
    return model


def outcome(call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except MfsynthError as error:
        return [type(error).__name__, str(error)]
    return ["fine", ""]


def state(model):
    values = [value.contiguous().numpy().tobytes() for value in model.state_dict().values()]
    return hashlib.sha256(b"".join(values)).hexdigest()
"""


@pytest.fixture
def ask(warm, hub_env, tmp_path):
    """Runs a snippet that uses the zoo, as Ann by default; returns what it tells."""

    def run(code, **who):
        done = warm.run(code=SNIPPET_START + START + code, env=hub_env(**who), cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run


HF_SEG = Path(__file__).parents[3] / "zoo" / "weights" / "hf-seg"
TINY = Path(__file__).parents[2] / "formats" / "1" / "network"


def committed(hub, repo_id="ann/net", folder=HF_SEG):
    """Files of a network as somebody else would have put them there."""
    hub.create_repo(repo_id)
    files = {
        path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".json", ".safetensors")
    }
    return hub.commit(repo_id, files), files


# --- loading ------------------------------------------------------------------------------------------


def test_network_loads_from_a_branch_a_tag_and_a_commit_and_then_offline(hub, ask, warm, hub_env, tmp_path):
    commit, _ = committed(hub)
    hub.repo("ann/net").add_ref("refs/tags/v1", commit)
    home = tmp_path / "home"
    told = ask(
        f"""
shipped = state(zoo.load("hf-seg"))
names = ("ann/net", "ann/net@v1", "ann/net@{commit}")
tell([state(zoo.load(name)) == shipped for name in names] + [zoo.info("ann/net@v1").origin])
""",
        home=home,
    )
    assert told == [True, True, True, f"ann/net@{commit}"]
    assert not [each for each in hub.requests() if each.host == "cdn" and each.has_authorization]
    asked = len(hub.log)
    code = f"""
names = ("ann/net@{commit}", "ann/net@v1")
print(json.dumps([[state(zoo.load(name)) for name in names], outcome(zoo.load, "ann/other")]))
"""
    env = hub_env(home=home) | {"HF_HUB_OFFLINE": "1"}
    done = warm.run(code=START + code, env=env, cwd=tmp_path)
    (one, other), (error, text) = json.loads(done.stdout)
    assert one == other
    assert error == "HubNetworkError"
    assert "HF_HUB_OFFLINE" in text
    assert len(hub.log) == asked


def test_each_failure_has_its_own_error(hub, ask):
    committed(hub)
    hub.create_repo("ann/secret", private=True)
    hub.create_repo("ann/pickled")
    hub.commit("ann/pickled", {"config.json": b"{}", "pytorch_model.bin": b"cos\nsystem"})
    hub.create_repo("ann/empty")
    hub.create_repo("ann/newer")
    hub.commit("ann/newer", {"config.json": b'{"format": 9}', "model.safetensors": b"x"})
    hub.faults.answer("GET /api/models/ann/shut", 403)
    code = """
names = "ann/none ann/net@v9 ann/pickled ann/empty ann/newer ann/shut hf-sge no/such/name"
tell([outcome(zoo.load, name) for name in names.split()])
"""
    told = ask(code)
    assert [name for name, _ in told] == [
        "HubMissingError", "HubRevisionError", "MissingFileError", "MissingFileError", "NewerConfigError",
        "HubAccessError", "UnknownModelError", "MissingFileError",
    ]  # fmt: skip
    assert "pickle can run any code" in told[2][1]
    assert "did you mean hf-seg" in told[6][1]
    private = 'tell(outcome(zoo.load, "ann/secret")[0])'
    assert ask(private, token=None) == "HubLoginError"
    assert ask(private, token="hf_token_of_nobody") == "HubLoginError"
    assert ask(private, token="hf_token_of_bob") == "HubMissingError"


def test_hub_that_is_down_is_an_error(hub, ask):
    hub.faults.answer("api/models", 503, times=99)
    name, text = ask('tell(outcome(zoo.load, "ann/net"))')
    assert name == "HubError"
    assert "503" in text


@pytest.mark.parametrize("fault", ["flip", "shorten"])
def test_damaged_download_is_noticed_and_not_kept(hub, ask, tmp_path, fault):
    committed(hub)
    if fault == "flip":
        hub.faults.flip("model.safetensors", at=1000)
    else:
        hub.faults.shorten("model.safetensors", to=1000)
    home = tmp_path / "home"
    name, text = ask('tell(outcome(zoo.load, "ann/net"))', home=home)
    assert name == "HubDamagedError", text
    hub.faults = type(hub.faults)()
    assert ask('tell(outcome(zoo.load, "ann/net"))', home=home)[0] == "fine"


def test_copy_that_is_damaged_in_the_cache_is_noticed(hub, ask, tmp_path):
    commit, _ = committed(hub)
    home = tmp_path / "home"
    assert ask('tell(outcome(zoo.load, "ann/net"))', home=home)[0] == "fine"
    (weights,) = (home / "hub").glob(f"models--ann--net/snapshots/{commit}/model.safetensors")
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.resolve().chmod(0o644)
    weights.resolve().write_bytes(data)
    assert ask('tell(outcome(zoo.load, "ann/net"))', home=home)[0] == "HubDamagedError"
    assert ask('tell(outcome(zoo.load, "ann/net"))', home=home)[0] == "fine"


def test_short_name_comes_from_its_pinned_commit_with_the_hashes_of_the_registry(hub, ask, tmp_path):
    commit, files = committed(hub, "lab/net")
    hub.commit("lab/net", {"model.safetensors": b"later"})
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    lines = [f'files."{name}" = "{value}"' for name, value in hashes.items()]
    for name, at in (("net", f'commit = "{commit}"'), ("soon", "")):
        lines = [f'files."{each}" = "{value}"' for each, value in hashes.items()]
        text = [f"[models.{name}]", 'summary = "a test"', 'repository = "net"', at, *lines]
        (tmp_path / f"{name}.toml").write_text("\n".join(['organization = "lab"', *text]))
    wrong = (tmp_path / "net.toml").read_text().replace(hashes["training.json"], "0" * 64)
    (tmp_path / "wrong.toml").write_text(wrong)
    told = ask("""
import zoo.store.registry
answers = []
for name in ("net", "soon", "wrong"):
    zoo.store.registry.REGISTRY = Path(f"{name}.toml")
    (short,) = zoo.names()
    answers += [outcome(zoo.load, short, origin="hub"), outcome(zoo.load, short)]
tell(answers)
""")
    assert [name for name, _ in told] == [
        "fine", "fine", "NotPublishedError", "NotPublishedError", "DamagedError", "DamagedError"
    ]  # fmt: skip


# --- publishing ---------------------------------------------------------------------------------------


def test_push_arrives_whole_and_a_second_one_changes_nothing(hub, ask):
    told = ask("""
model = network()
save_folder(Path("net"), model)
dry = zoo.push("net", "ann/net", license="cc-by-4.0", dry_run=True)
first = zoo.push("net", "ann/net", license="cc-by-4.0", tag="v1")
again = zoo.push("net", "ann/net", license="cc-by-4.0", tag="v1")
loaded = zoo.load(f"ann/net@{first.commit}")
tell({
    "dry": [dry.commit, dry.card == first.card],
    "first": first.to_json(),
    "again": [again.commit == first.commit, again.changed],
    "same": state(loaded) == state(model),
    "documents": json.loads(loaded.documents["training.json"]) == TRAINING,
})
""")
    assert told["dry"] == [None, True]
    assert told["again"] == [True, False]
    assert told["same"]
    assert told["documents"]
    repo = hub.repo("ann/net")
    assert repo.head == told["first"]["commit"]
    assert len(repo.commits) == 2  # the repository's first, and ours
    for name, each in told["first"]["files"].items():
        assert hashlib.sha256(repo.files()[name]).hexdigest() == each["sha256"]
    assert repo.named("refs/tags/") == {"v1": repo.head}
    assert f'commit = "{repo.head}"' in told["first"]["entry"]
    assert len(hub.requests("POST .*/commit/")) == 1
    assert not [each for each in hub.requests() if each.host == "cdn" and each.has_authorization]


def test_card_says_that_nothing_was_evaluated_or_quotes_the_evaluation(hub, ask):
    told = ask("""
from huggingface_hub import ModelCard
from zoo.store.results import Result, results
model = network()
plain = ModelCard(zoo.push(model, "ann/net", license="cc-by-4.0", dry_run=True).card)
result = Result("pairs of a test", "test", "clean", 3, {"psnr": 41.25, "loss": 0.1}, "a command")
model.documents["evaluation.json"] = results(result).to_json()
card = ModelCard(zoo.push(model, "ann/net", license="cc-by-4.0", dry_run=True).card)
metric, = card.data.eval_results
shown = [metric.metric_type, metric.metric_value, card.data.license]
tell([plain.text, plain.data.eval_results, card.text, *shown])
""")
    assert "was not evaluated" in told[0]
    assert told[1] is None
    assert "41.25" in told[2]
    assert told[3:] == ["psnr", 41.25, "cc-by-4.0"]


def test_interrupted_push_leaves_the_branch_alone_and_the_next_one_finishes_it(hub, ask):
    hub.faults.answer("POST /api/models/ann/net/commit", 500)
    code = (
        'save_folder(Path("net"), network())\ntell(outcome(zoo.push, "net", "ann/net", license="cc-by-4.0"))'
    )
    assert ask(code)[0] == "HubError"
    assert set(hub.repo("ann/net").files()) == {".gitattributes"}
    sent = len(hub.requests("PUT "))
    assert sent
    assert ask(code)[0] == "fine"
    assert "model.safetensors" in hub.repo("ann/net").files()
    assert len(hub.requests("PUT ")) == sent  # the bytes were there


def test_lost_answer_of_a_commit_makes_no_second_one(hub, ask):
    hub.faults.cut("POST /api/models/ann/net/commit")
    assert ask('tell(outcome(zoo.push, network(), "ann/net", license="cc-by-4.0"))')[0] == "fine"
    assert len(hub.repo("ann/net").commits) == 2


def test_push_gives_way_to_somebody_who_was_faster(hub, ask):
    hub.create_repo("ann/net")
    hub.faults.before("POST /api/models/ann/net/commit", lambda: hub.commit("ann/net", {"other": b"theirs"}))
    code = 'tell(outcome(zoo.push, network(), "ann/net", license="cc-by-4.0"))'
    assert ask(code)[0] == "HubConflictError"
    assert hub.repo("ann/net").files()["other"] == b"theirs"
    assert ask(code)[0] == "fine"
    assert hub.repo("ann/net").files()["other"] == b"theirs"


def test_tag_that_stands_elsewhere_is_refused_before_anything_is_sent(hub, ask):
    hub.create_repo("ann/net")
    hub.repo("ann/net").add_ref("refs/tags/v1", hub.repo("ann/net").head)
    assert (
        ask('tell(outcome(zoo.push, network(), "ann/net", license="cc-by-4.0", tag="v1"))')[0]
        == "HubConflictError"
    )
    assert not hub.requests("PUT |/commit/")


def test_pull_request_branch_and_private_repository(hub, ask):
    told = ask("""
request = zoo.push(network(), "ann/net", license="cc-by-4.0", create_pr=True)
branch = zoo.push(network(1), "ann/net", license="cc-by-4.0", revision="next")
private = zoo.push(network(), "ann/own", license="cc-by-4.0", private=True)
loaded = zoo.load("ann/net@next")
tell([request.pull_request, request.entry, branch.commit, state(loaded) == state(network(1))])
""")
    repo = hub.repo("ann/net")
    assert told[0].endswith("/discussions/1")
    assert told[1] == ""
    assert repo.named("refs/heads/")["next"] == told[2]
    assert told[3]
    assert set(repo.files()) == {".gitattributes"}  # main
    assert hub.repo("ann/own").private
    assert (
        ask('tell(outcome(zoo.push, network(), "ann/own", license="cc-by-4.0"))', token="hf_token_of_bob")[0]
        == "HubAccessError"
    )


def test_push_of_another_network_leaves_nothing_of_the_first_and_keeps_what_is_not_ours(hub, ask):
    ask(
        """
from zoo.store.results import results
first = network()
first.documents["evaluation.json"] = results().to_json()
zoo.push(first, "ann/net", license="cc-by-4.0")
"""
        + "tell(0)"
    )
    hub.commit("ann/net", {"notes.txt": b"mine"})
    assert "evaluation.json" in hub.repo("ann/net").files()
    ask('zoo.push(network(1), "ann/net", license="cc-by-4.0")\ntell(0)')
    files = hub.repo("ann/net").files()
    assert "evaluation.json" not in files
    assert files["notes.txt"] == b"mine"


def test_private_push_to_a_public_repository_and_impossible_names_are_refused(hub, ask):
    hub.create_repo("ann/net")
    told = ask("""
answers = [outcome(zoo.push, network(), "ann/net", license="cc-by-4.0", private=True)]
wrong = ("net", "a/b/c", "../x", "")
answers += [outcome(zoo.push, network(), name, license="cc-by-4.0", dry_run=True) for name in wrong]
tell([name for name, _ in answers])
""")
    assert told == ["HubConflictError", *["HubError"] * 4]
    assert not hub.requests("PUT |/commit/")


def test_broken_folder_is_not_published(hub, ask):
    told = ask("""
save_folder(Path("net"), network())
(Path("net") / "model.safetensors").write_bytes(b"no")
model = network()
torch.nn.init.zeros_(model.body.head.weight)
model.body.head.bias.data[0] = float("nan")
tell([outcome(zoo.push, each, "ann/net", license="cc-by-4.0")[0] for each in ("net", model)])
""")
    assert told == ["DamagedError", "ZooError"]
    assert not hub.log


# --- the client's own ways ----------------------------------------------------------------------------


def test_mixin_saves_loads_and_pushes_what_the_zoo_does(hub, ask):
    told = ask("""
import os
model = network()
model.save_pretrained("saved")
model.push_to_hub("ann/net", license="cc-by-4.0")
again = FusionModel.from_pretrained("ann/net")
config = json.loads(Path("saved/config.json").read_text())
Path("odd").mkdir()
for name in os.listdir("saved"):
    (Path("odd") / name).write_bytes((Path("saved") / name).read_bytes())
(Path("odd") / "config.json").write_text(json.dumps(config | {"surprise": 1}))
try:
    FusionModel.from_pretrained("saved", surprise=1)
    swallowed = True
except TypeError:
    swallowed = False
loaded = [zoo.load("saved"), FusionModel.from_pretrained("saved"), again]
tell([
    sorted(os.listdir("saved")),
    [state(each) == state(model) for each in loaded],
    json.loads(again.documents["training.json"]) == TRAINING,
    again.training,
    outcome(FusionModel.from_pretrained, "odd")[0],
    outcome(FusionModel.from_pretrained, "ann/none")[0],
    swallowed,
])
""")
    assert told[0] == ["README.md", "config.json", "model.safetensors", "training.json"]
    assert told[1] == [True, True, True]
    assert told[2]
    assert told[3:] == [False, "ConfigError", "HubMissingError", False]


def test_folder_that_the_clients_own_command_downloads_loads(hub, ask, hub_env, tmp_path):
    committed(hub)
    command = [
        str(Path(sys.executable).parent / "hf"),
        "download",
        "ann/net",
        "--local-dir",
        str(tmp_path / "got"),
    ]
    subprocess.run(command, env=hub_env(), check=True, capture_output=True)
    assert ask('tell(state(zoo.load("got")) == state(zoo.load("hf-seg")))')


def test_commands_list_tell_fetch_check_and_publish(hub, hub_env, cli, tmp_path):
    _, files = committed(hub, folder=TINY)
    weights = load(files["model.safetensors"])

    def run(*words, code=0):
        done = cli("zoo", *words, env=hub_env(), cwd=tmp_path)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    license = ("--license", "cc-by-4.0")
    assert "hf-seg" in [each["name"] for each in json.loads(run("list", "--json"))]
    assert json.loads(run("info", "ann/net", "--json"))["parameters"] == sum(
        value.size for value in weights.values()
    )
    run("pull", "ann/net", "-o", "net")
    assert "known pair" in run("verify", "net", "ann/net")
    assert re.search("published at .*commit", run("push", "net", "--repo", "ann/second", *license))
    assert "already has it" in run("push", "net", "--repo", "ann/second", *license)
    assert "did you mean hf-seg" in run("info", "hf-sg", code=1)
    (tmp_path / "net" / "training.json").write_bytes(b"\xff nope")
    assert "measured" in run("info", "net")
    third = ("push", "net", "--repo", "ann/third", "--dry-run", *license)
    assert "training.json is not JSON" in run(*third, code=1)
    (tmp_path / "net" / "training.json").unlink()
    assert "license: cc-by-4.0" in run(*third)
    assert "Missing option '--license'" in run("push", "net", "--repo", "ann/third", "--dry-run", code=2)
    assert "give the Hub's name for it" in run("push", "net", "--repo", "ann/4", "--license", "?", code=2)
    assert "not empty" in run("pull", "ann/net", "-o", "net", code=2)
