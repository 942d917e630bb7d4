"""Times `pgtls up --run compose` to the last proof against `docker compose up --wait` of the same file by hand.

The engine and compose are those of the environment (DOCKER_HOST, DOCKER_CONFIG).
"""

import argparse
import os
import shutil
import sys

from measure import Bench

IMAGE = "postgres:17"


def up(bench, at):
    bench.run(bench.pgtls, "up", "--mode", "one-way", "--run", "compose", "--image", IMAGE, "--yes", "--dir", at)


def down(bench, at):
    bench.run(bench.pgtls, "down", "--volumes", "--yes", "--dir", at)


def ours(bench):
    at = bench.fresh()
    up(bench, at)
    yield
    down(bench, at)
    shutil.rmtree(at)


def by_hand(bench, at):
    bench.run("docker", "compose", "up", "--detach", "--wait", cwd=at)
    yield
    bench.run("docker", "compose", "down", "--volumes", cwd=at)


def main():
    parser = argparse.ArgumentParser()
    for name in ("--pgtls", "--work"):
        parser.add_argument(name, required=True)
    parser.add_argument("--rounds", type=int, required=True)
    options = parser.parse_args()
    options.pg_bin = "."
    options.work = f"{options.work}/compose"
    os.mkdir(options.work)
    bench = Bench(options)
    bench.env |= {name: os.environ[name] for name in ("DOCKER_HOST", "DOCKER_CONFIG") if name in os.environ}
    same = bench.fresh()
    bench.run(bench.pgtls, "apply", "--mode", "one-way", "--run", "compose", "--image", IMAGE, "--yes", "--dir", same)
    bench.compare("up in a container with every proof, docker compose up --wait of that file", 1.1,
                  lambda: ours(bench), lambda: by_hand(bench, same), max(3, bench.rounds // 4))
    return 0 if bench.table() else 1


sys.exit(main())
