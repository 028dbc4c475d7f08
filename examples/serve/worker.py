"""A worker of serve.py: it loads the network once, and forks for every stack, so that a stack can be killed.

The first line of standard input is the settings, each other one a job; each gets a line of standard output.
SIGTERM kills the job at work. All lines are JSON.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import resource
import signal
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import cv2

import zoo
from mfsynth.codecs import kind_of, picture_size, remedy
from mfsynth.codecs.kinds import PICTURES
from mfsynth.errors import MfsynthError
from zoo.backends.graph_model import GraphModel
from zoo.errors import PictureError
from zoo.pictures.frames import frames_of
from zoo.pictures.read import reading
from zoo.pictures.tiff import is_tiff, largest_page
from zoo.stacks.files import fuse_files

FORK = multiprocessing.get_context("fork")


def main() -> None:
    """Load the network, say so, and answer jobs until standard input ends."""
    answers, sys.stdout = sys.stdout, sys.stderr  # what a library prints is not an answer
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    settings = json.loads(sys.stdin.readline())
    settings["threads"] = max(1, cv2.getNumThreads() // settings["workers"])
    cv2.setNumThreads(1)  # threads that loading starts would be missing after a fork
    try:
        model = zoo.load(settings["model"], backend="onnxruntime")
    except MfsynthError as error:
        sys.exit(f"SERVE_MODEL: {error}")
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(model, json.loads(line), settings)), file=answers, flush=True)


def answer(model: GraphModel, job: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """What a process of its own answers to a job, or what to say of one that takes too long or dies."""
    reader, writer = FORK.Pipe(duplex=False)
    process = FORK.Process(target=work, args=(model, job, settings, writer))
    process.start()
    writer.close()
    signal.signal(signal.SIGTERM, lambda *_: process.kill())
    try:
        if reader.poll(seconds := settings["fuse_seconds"]):
            return dict(reader.recv())
        return refusal(504, f"fusing took more than {seconds} seconds", "send fewer or smaller pictures")
    except EOFError:
        return refusal(500, "the fusion broke down", "send other pictures; the service's log says more")
    finally:
        process.kill()
        process.join()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


def work(
    model: GraphModel, job: dict[str, Any], settings: dict[str, Any], writer: Connection[Any, Any]
) -> None:
    """Fuse a job's pictures into its output, and send notes about them, or the reason and the remedy."""
    signal.alarm(settings["fuse_seconds"] + 1)  # ends it even if the worker has died
    resource.setrlimit(resource.RLIMIT_DATA, (settings["memory_bytes"],) * 2)
    cv2.setNumThreads(settings["threads"])  # and onnxruntime's
    os.chdir(job["folder"])  # so that errors name pictures, not folders
    paths, notes = [Path(name) for name in job["pictures"]], list[str]()
    options = zoo.FuseOptions(align=job["align"], strict=True)  # nobody would notice that a frame is left out
    try:
        for path in paths:
            check(path, settings["picture_bytes"], settings["pixels"])
        count, most = len(frames_of(paths)), settings["frames"]
        if not 2 <= count <= most:
            raise PictureError(
                f"a stack has from 2 to {most} frames here, not {count}", "send more or fewer pictures"
            )
        fuse_files(model, paths, Path(job["output"]), options, say=notes.append)
        more = [f"{len(notes) - 10} more"] if len(notes) > 10 else []  # proxies refuse long headers
        writer.send({"notes": notes[:10] + more})
    except MfsynthError as error:
        remedies = error.hint.split(", or omit --")  # clients have no options of the command line
        other = "leave out pictures that do not belong, or send fewer or smaller ones"
        writer.send(refusal(422, error.message, other if "--" in remedies[0] else remedies[0]))


def refusal(status: int, reason: str, remedy: str) -> dict[str, Any]:
    """An answer without a picture."""
    return {"status": status, "reason": reason, "remedy": remedy}


def check(path: Path, most_bytes: int, most_pixels: int) -> None:
    """Check a file before anything of it is decoded.

    Raises:
        PictureError: If it is too large, is not a picture, or says that it has too many pixels.
    """
    if (size := path.stat().st_size) > most_bytes:
        raise PictureError(f"{path} has {size:,} bytes", f"send at most {most_bytes:,} for each picture")
    data = path.read_bytes()
    if not is_tiff(data) and (kind := kind_of(data)) not in PICTURES:
        raise PictureError(f"{path} is {kind}", remedy(kind, "send PNG, JPEG, TIFF, WebP or BMP"))
    with reading(path):  # what its header lacks becomes an error that names it
        pixels = largest_page(path) if is_tiff(data) else math.prod(picture_size(data))
    if pixels > most_pixels:
        raise PictureError(f"{path} has {pixels:,} pixels", f"send at most {most_pixels:,} for each picture")


if __name__ == "__main__":
    main()
