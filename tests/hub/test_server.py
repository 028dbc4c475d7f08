"""The real client with the hub on the loopback interface: the hub behaves, and some checks are left to us."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from hub.fixtures import Client, HubEnv
from hub.server import ANN, BOB, MIB, HubServer, User

SMALL = b'{"width": 8}'
LARGE = random.Random(1).randbytes(300_000)


@pytest.fixture
def net(hub: HubServer) -> str:
    """A model of Ann's with one regular and one LFS file, tagged v1; gives its first commit."""
    repo = hub.create_repo("ann/net")
    commit = hub.commit("ann/net", {"config.json": SMALL, "model.safetensors": LARGE})
    repo.add_ref("refs/tags/v1", commit)
    return commit


@pytest.fixture
def web() -> Iterator[httpx2.Client]:
    """For requests that the real client would not send, without the user's proxy."""
    with httpx2.Client(trust_env=False) as each:
        yield each


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_repositories(hub: HubServer, client: Client) -> None:
    seen = client("""
        seen = {"who": api.whoami()["name"], "url": str(api.create_repo("net"))}
        seen["again"] = error(api.create_repo, "ann/net")
        seen["same url"] = str(api.create_repo("ann/net", exist_ok=True))
        api.create_repo("lab/pairs", repo_type="dataset", private=True)
        seen["foreign"] = error(api.create_repo, "bob/net")
        seen["list"] = [info.id for info in api.list_datasets(author="lab")]
        api.update_repo_settings("lab/pairs", repo_type="dataset", visibility="public")
        api.move_repo("ann/net", "lab/net")
        seen["moved"] = [api.repo_exists("ann/net"), api.repo_exists("lab/net")]
        api.delete_repo("lab/net")
        seen["deleted"] = api.repo_exists("lab/net")
        seen["missing"] = error(api.delete_repo, "lab/net")
        api.delete_repo("lab/net", missing_ok=True)
        tell(seen)
    """)
    assert seen == {
        "who": "ann",
        "url": f"{hub.url}/ann/net",
        "again": ["HfHubHTTPError", 409],
        "same url": f"{hub.url}/ann/net",
        "foreign": ["HfHubHTTPError", 403],
        "list": ["lab/pairs"],
        "moved": [False, True],
        "deleted": False,
        "missing": ["RepositoryNotFoundError", 404],
    }
    assert not hub.repo("lab/pairs", "datasets").private


def test_a_push_arrives(hub: HubServer, client: Client, tmp_path: Path) -> None:
    """Regular, LFS in one piece, LFS in four parts."""
    hub.lfs_threshold, hub.part_size = 1000, 100_000
    parts = LARGE + b"end"
    content = {"config.json": SMALL, "data/a b#ü.txt": LARGE[:5000], "data/parts.tar": parts, "empty": b""}
    for path, data in content.items():
        (tmp_path / "up" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "up" / path).write_bytes(data)
    seen = client("""
        api.create_repo("lab/pairs", repo_type="dataset")
        done = api.upload_folder(repo_id="lab/pairs", folder_path="up", repo_type="dataset")
        folder = Path(snapshot_download("lab/pairs", repo_type="dataset"))
        found = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
        tell({"commit": done.oid, "folder": str(folder), "found": found})
    """)
    repo = hub.repo("lab/pairs", "datasets")
    assert seen["commit"] == repo.head
    assert {path: repo.files()[path] for path in content} == content
    assert [path for path, file in repo.resolve("main").files.items() if file.lfs] == [
        "data/a b#ü.txt",
        "data/parts.tar",
    ]
    assert {path: (Path(seen["folder"]) / path).read_bytes() for path in content} == content
    assert set(seen["found"]) == {".gitattributes", *content}
    assert len(hub.requests("PUT /cdn/.*part=")) == 4
    assert {request.host for request in hub.requests("/cdn/")} == {"cdn"}
    assert not any(request.has_authorization for request in hub.requests() if request.host == "cdn")
    assert not any(request.has_authorization for request in hub.requests("complete-multipart"))
    assert {request.status for request in hub.requests()} == {200, 302}


def test_equal_content_makes_no_commit(hub: HubServer, client: Client, net: str) -> None:
    """Not even on a stale parent."""
    seen = client(f"""
        def push(parent):
            files = [add("model.safetensors", b"weights"), add("config.json", {SMALL!r})]
            return api.create_commit("ann/net", files, commit_message="new weights", parent_commit=parent).oid

        tell([push("{net}"), push(None), push("{net}")])
    """)
    assert seen == [hub.repo("ann/net").head] * 3
    assert len(hub.requests("POST .*/commit/")) == 1
    assert len(hub.requests("PUT /cdn/")) == 1


def test_commits_meet_others(hub: HubServer, client: Client, net: str) -> None:
    hub.faults.before("POST .*/commit/", lambda: hub.commit("ann/net", {"theirs": b"1"}), times=2)
    seen = client(f"""
        def push(content, parent):
            files = [add("ours", content)]
            return api.create_commit("ann/net", files, commit_message="ours", parent_commit=parent)

        head = api.model_info("ann/net").sha
        tell([error(push, b"1", head), error(push, b"2", "{net[:7]}"), error(push, b"3", None)])
    """)
    assert seen == [["HfHubHTTPError", 412], ["HfHubHTTPError", 412], None]
    assert hub.repo("ann/net").files()["theirs"] == b"1"


def test_a_lost_answer_is_no_lost_commit(hub: HubServer, client: Client, net: str) -> None:
    hub.faults.cut("POST .*/commit/")
    seen = client("""
        push = lambda: api.create_commit("ann/net", [add("new", b"1")], commit_message="new")
        tell([error(push), push().oid])
    """)
    repo = hub.repo("ann/net")
    assert seen == [["RemoteProtocolError", None], repo.head]
    assert [commit.title for commit in repo.history(repo.resolve("main"))] == [
        "new",
        "change",
        "initial commit",
    ]


def test_changes_of_all_kinds(hub: HubServer, client: Client, net: str) -> None:
    hub.commit("ann/net", {"old/a": b"1", "old/b": b"2", "c": b"3"})
    seen = client("""
        operations = [
            CommitOperationCopy("model.safetensors", "copy.safetensors"),
            CommitOperationCopy("config.json", "copy.json"),
            CommitOperationDelete("old/"),
        ]
        api.create_commit("ann/net", operations, commit_message="copy")
        api.delete_file("c", "ann/net")
        seen = {"missing": error(api.delete_file, "c", "ann/net")}
        seen["history"] = [commit.title for commit in api.list_repo_commits("ann/net")]
        seen["info"] = [[each.path, each.size] for each in api.get_paths_info("ann/net", ["copy.json", "no"])]
        tell(seen)
    """)
    files = hub.repo("ann/net").files()
    assert set(files) == {
        ".gitattributes",
        "config.json",
        "copy.json",
        "model.safetensors",
        "copy.safetensors",
    }
    assert files["copy.safetensors"] == LARGE
    assert files["copy.json"] == SMALL
    assert seen["missing"] == ["RemoteEntryNotFoundError", 404]
    assert seen["history"][1:] == ["copy", "change", "change", "initial commit"]
    assert seen["info"] == [["copy.json", len(SMALL)]]


def test_tags_and_branches(hub: HubServer, client: Client, net: str) -> None:
    hub.commit("ann/net", {"config.json": b"{}"})
    seen = client("""
        seen = {"exists": error(api.create_tag, "ann/net", tag="v1")}
        api.create_tag("ann/net", tag="v1", exist_ok=True)
        api.create_tag("ann/net", tag="release/2", revision="main", tag_message="two")
        api.create_branch("ann/net", branch="try/a", revision="v1")
        api.create_commit("ann/net", [add("x", b"x")], commit_message="x", revision="try/a")
        seen["branch exists"] = error(api.create_branch, "ann/net", branch="try/a")
        refs = api.list_repo_refs("ann/net")
        seen["tags"] = {tag.name: tag.target_commit for tag in refs.tags}
        seen["branches"] = [branch.ref for branch in refs.branches]
        api.delete_branch("ann/net", branch="try/a")
        api.delete_tag("ann/net", tag="release/2")
        seen["gone"] = error(api.delete_tag, "ann/net", tag="release/2")
        seen["no branch"] = error(
            api.create_commit, "ann/net", [add("x", b"x")], commit_message="x", revision="nowhere"
        )
        seen["tag is not a branch"] = error(
            api.create_commit, "ann/net", [add("x", b"x")], commit_message="x", revision="v1"
        )
        tell(seen)
    """)
    assert seen == {
        "exists": ["HfHubHTTPError", 409],
        "branch exists": ["HfHubHTTPError", 409],
        "tags": {"release/2": hub.repo("ann/net").head, "v1": net},
        "branches": ["refs/heads/main", "refs/heads/try/a"],
        "gone": ["RevisionNotFoundError", 404],
        "no branch": ["RevisionNotFoundError", 404],
        "tag is not a branch": ["RevisionNotFoundError", 404],
    }


def test_pull_requests(hub: HubServer, client: Client, net: str) -> None:
    """Readers may propose changes; a proposal is a revision, with slashes in its name."""
    code = """
        def push(path, **options):
            return api.create_commit("ann/net", [add(path, b"weights")], commit_message="better", **options)

        done = push("new.safetensors", create_pr=True)
        push("note", revision=done.pr_revision)
        seen = {"url": done.pr_url, "revision": done.pr_revision}
        seen["files"] = api.list_repo_files("ann/net", revision=done.pr_revision)
        seen["read"] = Path(hf_hub_download("ann/net", "new.safetensors", revision="refs/pr/1")).read_text()
        refs = api.list_repo_refs("ann/net", include_pull_requests=True)
        seen["refs"] = [each.ref for each in refs.pull_requests]
        asked = api.create_pull_request("ann/net", "An empty one")
        seen["second"] = [asked.num, asked.title, asked.git_reference, asked.author, asked.target_branch]
        seen["main"] = error(push, "x")
        tell(seen)
    """
    seen = client(code, token=BOB.token)
    assert seen == {
        "url": f"{hub.url}/ann/net/discussions/1",
        "revision": "refs/pr/1",
        "files": [".gitattributes", "config.json", "model.safetensors", "new.safetensors", "note"],
        "read": "weights",
        "refs": ["refs/pr/1"],
        "second": [2, "An empty one", "refs/pr/2", "bob", "refs/heads/main"],
        "main": ["HfHubHTTPError", 403],
    }
    assert hub.repo("ann/net").head == net


def test_who_may(hub: HubServer, client: Client, net: str) -> None:
    reader = hub.add_user(User("ann", "hf_token_for_reading", ("lab",), can_write=False))
    hub.create_repo("lab/secret", private=True)
    hub.commit("lab/secret", {"config.json": SMALL})
    seen = client(f"""
        def tried(token):
            # Its own cache: what another user has fetched would be returned without asking the hub.
            own = dict(token=token, cache_dir=f"cache-{{token}}")
            private = error(hf_hub_download, "lab/secret", "config.json", **own)
            listed = error(api.list_repo_files, "lab/secret", token=token)
            push = error(api.create_commit, "ann/net", [add("x", b"x")], commit_message="x", token=token)
            return [private, listed, push]

        tokens = {{"nobody": False, "bob": "{BOB.token}", "reader": "{reader.token}", "unknown": "hf_nobody"}}
        tell({{name: tried(token) for name, token in tokens.items()}})
    """)
    not_found = "RepositoryNotFoundError"
    assert seen == {
        "nobody": [[not_found, 401], [not_found, 401], ["HfHubHTTPError", 401]],
        "bob": [[not_found, 404], [not_found, 404], ["HfHubHTTPError", 403]],
        "reader": [None, None, ["HfHubHTTPError", 403]],
        "unknown": [["HfHubHTTPError", 401]] * 3,
    }
    assert hub.repo("ann/net").head == net
    assert {request.token for request in hub.requests()} == {None, "bob", "ann", "?"}


def test_downloads_at_a_revision(hub: HubServer, client: Client, net: str) -> None:
    later = hub.commit("ann/net", {"model.safetensors": b"later"})
    seen = client(f"""
        def read(revision):
            path = Path(hf_hub_download("ann/net", "model.safetensors", revision=revision))
            return [path.parent.name, path.stat().st_size, path.resolve().name]

        seen = {{revision: read(revision) for revision in ("v1", "main", "{net}", "{later[:9]}")}}
        seen["no file"] = error(hf_hub_download, "ann/net", "none.bin")
        seen["no revision"] = error(hf_hub_download, "ann/net", "config.json", revision="v9")
        seen["no repo"] = error(hf_hub_download, "ann/none", "config.json")
        seen["etag"] = Path(hf_hub_download("ann/net", "config.json")).resolve().name
        tell(seen)
    """)
    old, new = [net, len(LARGE), sha256(LARGE)], [later, 5, sha256(b"later")]
    assert seen == {
        "v1": old,
        "main": new,
        net: old,
        later[:9]: new,
        "no file": ["RemoteEntryNotFoundError", 404],
        "no revision": ["RevisionNotFoundError", 404],
        "no repo": ["RepositoryNotFoundError", 404],
        "etag": hub.repo("ann/net").resolve("main").files["config.json"].blob_id,
    }
    assert not hub.requests(f"resolve/{net}/"), "a full hash in the cache costs no request"
    assert [request.host for request in hub.requests("GET .*model.safetensors")] == ["cdn", "cdn"]
    assert not any(request.has_authorization for request in hub.requests("/cdn/"))


def test_the_client_checks_sizes_not_hashes(hub: HubServer, client: Client, net: str) -> None:
    """This is why we compare hashes."""
    hub.faults.flip("GET .*model.safetensors", at=7)
    hub.faults.shorten("GET .*config.json", to=5)
    seen = client(
        """
        wrong = Path(hf_hub_download("ann/net", "model.safetensors")).read_bytes()
        report = api.verify_repo_checksums("ann/net")
        tell({
            "wrong at": [k for k, (a, b) in enumerate(zip(wrong, LARGE)) if a != b],
            "found": [each["path"] if isinstance(each, dict) else each.path for each in report.mismatches],
            "short": error(hf_hub_download, "ann/net", "config.json"),
        })
    """.replace("LARGE", "__import__('random').Random(1).randbytes(300_000)")
    )
    assert seen == {"wrong at": [7], "found": ["model.safetensors"], "short": ["OSError", None]}


def test_a_cut_download_goes_on(hub: HubServer, client: Client, net: str) -> None:
    """In steps of 10 MiB, or from the start if the server does not support Range."""
    data = random.Random(2).randbytes(12 * MIB)
    hub.commit("ann/net", {"big.bin": data})
    hub.faults.cut("GET /cdn/.*big.bin", after=11 * MIB)
    code = """
        path = Path(hf_hub_download("ann/net", "big.bin"))
        tell(__import__("hashlib").sha256(path.read_bytes()).hexdigest())
    """
    assert client(code) == sha256(data)
    ranges = [(request.range, request.status) for request in hub.requests("GET /cdn/")]
    assert ranges == [(None, 200), (f"bytes={10 * MIB}-", 206)]
    hub.faults.cut("GET /cdn/.*big.bin", after=11 * MIB)
    hub.faults.ignore_range = True
    assert client(code) == sha256(data)
    assert hub.requests("GET /cdn/")[-1].status == 200


def test_reading_in_place(hub: HubServer, client: Client, net: str) -> None:
    seen = client(f"""
        files = HfFileSystem()
        seen = {{"listed": [each["name"] for each in files.ls("ann/net@v1")]}}
        seen["whole"] = files.cat_file("hf://ann/net@v1/config.json").decode()
        with files.open("ann/net@{net}/model.safetensors", "rb", block_size=1000) as file:
            file.seek(200_000)
            seen["middle"] = file.read(16).hex()
        seen["missing"] = error(files.cat_file, "ann/net/none")
        tell(seen)
    """)
    assert seen["listed"] == [
        f"ann/net@v1/{name}" for name in (".gitattributes", "config.json", "model.safetensors")
    ]
    assert seen["whole"] == SMALL.decode()
    assert seen["middle"] == LARGE[200_000:200_016].hex()
    assert seen["missing"] == ["FileNotFoundError", None]
    asked = hub.requests("GET /cdn/")[-1]
    assert asked.status == 206
    assert asked.range is not None
    assert asked.range.startswith("bytes=200000-")
    assert not asked.has_authorization


def test_a_tree_comes_in_pages(hub: HubServer, client: Client, net: str) -> None:
    hub.tree_page = 4
    hub.commit("ann/net", {f"data/deep/{k}.txt": b"%d" % k for k in range(9)})
    seen = client("""
        entry = lambda each: each.path + ("" if hasattr(each, "size") else "/")
        seen = {"all": [entry(each) for each in api.list_repo_tree("ann/net", recursive=True)]}
        seen["top"] = [entry(each) for each in api.list_repo_tree("ann/net")]
        seen["data"] = [entry(each) for each in api.list_repo_tree("ann/net", "data/deep")][:2]
        seen["none"] = error(lambda: list(api.list_repo_tree("ann/net", "none")))
        tell(seen)
    """)
    top = [".gitattributes", "config.json"]
    deep = [f"data/deep/{k}.txt" for k in range(9)]
    assert seen == {
        "all": [*top, "data/", "data/deep/", *deep, "model.safetensors"],
        "top": [*top, "data/", "model.safetensors"],
        "data": deep[:2],
        "none": ["RemoteEntryNotFoundError", 404],
    }
    assert len(hub.requests("/tree/main.recursive=true")) == 4


def test_planned_answers(hub: HubServer, client: Client, net: str) -> None:
    hub.faults.answer("POST .*/preupload/", 503, headers={"Retry-After": "0"})
    hub.faults.answer("PUT /cdn/", 500)
    hub.faults.answer("GET /api/models/ann/net", 429, message="Slow down")
    hub.faults.answer("HEAD .*config.json", 403, code="GatedRepo")
    hub.faults.never_found("^new")
    seen = client("""
        seen = {"info": error(api.model_info, "ann/net")}
        seen["gated"] = error(hf_hub_download, "ann/net", "config.json")
        api.create_commit("ann/net", [add("new.bin", b"new")], commit_message="with two retries")
        seen["files"] = api.list_repo_files("ann/net")
        seen["new"] = error(hf_hub_download, "ann/net", "new.bin")
        tell(seen)
    """)
    assert seen == {
        "info": ["HfHubHTTPError", 429],
        "gated": ["GatedRepoError", 403],
        "files": [".gitattributes", "config.json", "model.safetensors"],
        "new": ["RemoteEntryNotFoundError", 404],
    }
    assert hub.repo("ann/net").files()["new.bin"] == b"new"
    assert [request.status for request in hub.requests("preupload")] == [503, 200]
    assert [request.status for request in hub.requests("PUT /cdn/")] == [500, 200]


def test_cards_are_checked(hub: HubServer, client: Client, net: str) -> None:
    seen = client("""
        def push(text):
            api.create_commit("ann/net", [add("README.md", text.encode())], commit_message="card")

        bad = error(push, "---\\nlicense: [\\n---\\n")
        push("---\\nlicense: apache-2.0\\ntags: [fusion]\\n---\\nText\\n")
        info = api.model_info("ann/net", files_metadata=True)
        tell([bad, info.tags, info.card_data.license, {each.rfilename: each.size for each in info.siblings}])
    """)
    assert seen[0] == ["ValueError", None]
    assert seen[1:3] == [["fusion"], "apache-2.0"]
    assert seen[3]["model.safetensors"] == len(LARGE)


def upload_url(web: httpx2.Client, hub: HubServer, data: bytes, size: int) -> str:
    """The URL to send an LFS file to."""
    batch = f"{hub.url}/ann/net.git/info/lfs/objects/batch"
    body = {"operation": "upload", "objects": [{"oid": sha256(data), "size": size}]}
    answer = web.post(batch, json=body, headers={"Authorization": f"Bearer {ANN.token}"})
    return str(answer.json()["objects"][0]["actions"]["upload"]["href"])


@pytest.mark.usefixtures("net")
def test_large_files_have_keys_of_their_own(hub: HubServer, web: httpx2.Client) -> None:
    token = {"Authorization": f"Bearer {ANN.token}"}
    location = web.get(f"{hub.url}/ann/net/resolve/v1/model.safetensors").headers["Location"]
    assert location.startswith(f"{hub.cdn_url}/cdn/")
    assert web.get(location).content == LARGE
    assert web.get(location, headers=token).status_code == 400
    assert web.get(location.partition("?")[0]).status_code == 403
    assert web.get(location, headers={"Range": "bytes=-3"}).content == LARGE[-3:]
    assert web.get(location, headers={"Range": f"bytes={len(LARGE)}-"}).status_code == 416
    url = upload_url(web, hub, b"right", 5)
    assert web.put(url, content=b"right", headers=token).status_code == 400
    assert web.put(url, content=b"wrong").status_code == 400
    assert sha256(b"right") not in hub.repo("ann/net").objects
    assert web.put(url, content=b"right").status_code == 200
    assert web.put(url.partition("?")[0], content=b"right").status_code == 403


@pytest.mark.usefixtures("net")
def test_parts_must_be_those_that_were_sent(hub: HubServer, web: httpx2.Client) -> None:
    hub.part_size = 4
    complete = upload_url(web, hub, b"abcdef", 6)
    key = complete.partition("key=")[2]
    put = f"{hub.cdn_url}/cdn/models/ann/net/{sha256(b'abcdef')}?key={key}"
    etags = [
        web.put(f"{put}&part={number}", content=data).headers["ETag"]
        for number, data in ((1, b"abcd"), (2, b"xx"))
    ]

    def completed(*numbers: int) -> int:
        parts = [{"partNumber": number, "etag": etags[number - 1]} for number in numbers]
        return web.post(complete, json={"oid": sha256(b"abcdef"), "parts": parts}).status_code

    assert [completed(1), completed(1, 2)] == [400, 400]
    etags[1] = web.put(f"{put}&part=2", content=b"ef").headers["ETag"]
    assert completed(1, 2) == 200
    assert hub.repo("ann/net").objects[sha256(b"abcdef")] == b"abcdef"


@pytest.mark.usefixtures("net")
def test_other_paths_are_not_found(hub: HubServer, web: httpx2.Client) -> None:
    paths = (
        "/",
        "/ann/net",
        "/api/models/ann/net/xet-write-token/main",
        "/api/models/ann/net/tree/a/b",
        "/cdn/x",
    )
    assert [web.get(hub.url + path).status_code for path in paths] == [404] * len(paths)
    assert web.get(f"{hub.cdn_url}/api/models/ann/net").status_code == 404


def test_the_environment_is_the_hubs_alone(
    hub: HubServer, hub_env: HubEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_of_the_user")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    anonymous, ann = hub_env(token=None), hub_env()
    assert "HF_TOKEN" not in anonymous
    assert "HF_HUB_OFFLINE" not in ann
    assert ann["HF_TOKEN"] == ANN.token
    assert ann["HF_HOME"] != anonymous["HF_HOME"]
    assert ann["HF_ENDPOINT"] == hub.url
