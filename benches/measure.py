"""Times pgtls against the tools people use by hand, alternating, and prints the ratios of the medians.

Every command must succeed each time it is timed; what prepares and clears a round is not timed.
"""

import argparse
import contextlib
import inspect
import ipaddress
import json
import os
import pwd
import shutil
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path


# How many servers are checked at once, and how many clients pgbench has.
TARGETS, CLIENTS = 500, 10
# How many lines a large pg_hba.conf has, and how many sessions were seen on its server.
RULES, SESSIONS = 100_000, 10_000


class Bench:
    def __init__(self, options):
        self.pgtls = options.pgtls
        self.pg_bin = Path(options.pg_bin)
        self.work = Path(options.work)
        self.rounds = options.rounds
        self.rows = []
        self.count = 0
        home = self.work / "home"
        home.mkdir(mode=0o700)
        self.env = {"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C.UTF-8"}

    def run(self, *command, status=0, **more):
        """Runs a command to its end, which is success unless said otherwise, and gives its standard output."""
        done = subprocess.run(
            [str(part) for part in command],
            env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, **more,
        )
        if done.returncode != status:
            sys.exit(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def fresh(self):
        """A directory that does not exist yet."""
        self.count += 1
        return self.work / f"d{self.count}"

    def compare(self, what, bound, ours, theirs, rounds=None):
        """Times two callables in turn, after one round that warms the caches; each may yield: what follows is not timed."""
        times = ([], [])
        for turn in range((rounds or self.rounds) + 1):
            pair = [(0, ours), (1, theirs)]
            for which, callable_ in pair if turn % 2 else reversed(pair):
                begun = time.perf_counter()
                rest = callable_()
                untimed = inspect.isgenerator(rest)
                if untimed:
                    next(rest)
                taken = time.perf_counter() - begun
                if untimed:
                    next(rest, None)
                if turn:
                    times[which].append(taken * 1000)
        our, their = map(statistics.median, times)
        self.rows.append((what, our, their, our / their, bound))
        print(".", end="", file=sys.stderr, flush=True)

    def within(self, what, milliseconds, ours, rounds=None):
        """Times one callable against a time that it may take."""
        times = []
        for turn in range((rounds or self.rounds) + 1):
            begun = time.perf_counter()
            ours()
            if turn:
                times.append((time.perf_counter() - begun) * 1000)
        our = statistics.median(times)
        self.rows.append((what, our, milliseconds, our / milliseconds, 1.0))
        print(".", end="", file=sys.stderr, flush=True)

    def table(self):
        """Prints the ratios; whether every bound is met."""
        print(file=sys.stderr)
        print(f"{'what, against what':<66} {'pgtls ms':>9} {'other ms':>9} {'ratio':>6} {'bound':>6}")
        for what, our, their, ratio, bound in self.rows:
            said = "" if bound is None else "met" if ratio <= bound else "MISSED"
            print(f"{what:<66} {our:>9.1f} {their:>9.1f} {ratio:>6.2f} {'-' if bound is None else format(bound, '.2f'):>6} {said}")
        return all(bound is None or ratio <= bound for *_, ratio, bound in self.rows)


def tutorial(bench, algorithm):
    """The calls of the usual tutorials: a CA, then key, request and certificate of a server and of a client."""
    new = {
        "rsa4096": ["-newkey", "rsa:4096"],
        "p256": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    }[algorithm]

    def calls():
        at = bench.fresh()
        at.mkdir()
        bench.run("openssl", "req", "-x509", "-new", "-nodes", *new, "-days", 3650, "-subj", "/CN=ca",
                  "-keyout", "ca.key", "-out", "ca.crt", cwd=at)
        for name, subject in (("server", "/CN=localhost"), ("client", "/CN=app")):
            bench.run("openssl", "req", "-new", "-nodes", *new, "-subj", subject,
                      "-keyout", f"{name}.key", "-out", f"{name}.csr", cwd=at)
            bench.run("openssl", "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key",
                      "-CAcreateserial", "-days", 397, "-out", f"{name}.crt", cwd=at)
        yield
        shutil.rmtree(at)

    return calls


def apply(bench):
    at = bench.fresh()
    bench.run(bench.pgtls, "apply", "--mode", "mtls", "--run", "none", "--yes", "--dir", at)
    yield
    shutil.rmtree(at)


def up(bench, at):
    return json.loads(bench.run(bench.pgtls, "up", "--mode", "mtls", "--run", "sandbox", "--yes", "--json",
                                "--pg-bin", bench.pg_bin, "--dir", at))


def down(bench, at):
    bench.run(bench.pgtls, "down", "--volumes", "--yes", "--dir", at)
    shutil.rmtree(at)


def up_and_down(bench):
    at = bench.fresh()
    up(bench, at)
    yield
    down(bench, at)


def as_server(at):
    """What to begin a command with that the server's account runs, and that account's own directory."""
    at.mkdir()
    if os.geteuid() != 0:
        return []
    account = pwd.getpwnam("postgres")
    os.chown(at, account.pw_uid, account.pw_gid)
    return ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]


def rules(count):
    """A pg_hba.conf as a machine writes it: a line for each tenant, of four kinds."""
    yield "local all all trust\n"
    for n in range(count):
        ip = ipaddress.ip_address(0x0A000000 + n)
        yield (
            f"host  tenant{n}  role{n}  {ip}/32  scram-sha-256  # {n}\n",
            f"host  all        role{n}  10.0.0.0/8  scram-sha-256\n",
            f"host  tenant{n}  all      all  md5\n",
            f"host  all        all      {ip}/32  scram-sha-256\n",
        )[n % 4]


def sessions(count, rules_count):
    """Who was seen coming in, as `harden --stage watch` keeps it; every other one without TLS."""
    tls = {"version": "TLSv1.3", "cipher": "TLS_AES_256_GCM_SHA384", "cn": None}
    for n in range(count):
        who = n * 2654435761 % rules_count
        yield {
            "user": f"role{who}", "database": f"tenant{who}", "address": str(ipaddress.ip_address(0x0A000000 + who)),
            "replication": False, "application": "", "tls": None if n % 2 else tls, "gss": False, "sessions": 1, "last": 0,
        }


@contextlib.contextmanager
def large(bench):
    """A server with a hundred thousand rules and a project that has seen ten thousand sessions on it."""
    at, kit = bench.fresh(), bench.fresh()
    who = as_server(at)
    data = at / "data"
    bench.run(*who, bench.pg_bin / "initdb", "-D", data, "-U", "postgres", "-A", "trust", cwd=at)
    (data / "pg_hba.conf").write_text("".join(rules(RULES)))
    (kit / ".pgtls" / "live").mkdir(parents=True)
    (kit / ".pgtls" / "live" / "watch.json").write_text(json.dumps(list(sessions(SESSIONS, RULES))))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    bench.run(*who, bench.pg_bin / "pg_ctl", "-w", "-D", data, "-l", at / "log", "-o",
              f"-c listen_addresses=127.0.0.1 -p {port} -k {at}", "start", cwd=at)
    try:
        yield f"host={at} port={port} user=postgres dbname=postgres", kit
    finally:
        bench.run(*who, bench.pg_bin / "pg_ctl", "-w", "-m", "immediate", "-D", data, "stop", cwd=at)
        shutil.rmtree(at)
        shutil.rmtree(kit)


def bare(bench):
    """initdb and pg_ctl start, nothing else: no TLS, no proof."""
    at = bench.fresh()
    who = as_server(at)
    data, log = at / "data", at / "log"
    bench.run(*who, bench.pg_bin / "initdb", "-D", data, "-U", "postgres", "-A", "trust", cwd=at)
    # Its own output must not hold the pipe that run() reads to its end: pg_ctl -l sends it to the log.
    bench.run(*who, bench.pg_bin / "pg_ctl", "-w", "-D", data, "-l", log, "-o",
              f"-c listen_addresses= -k {at}", "start", cwd=at)
    yield
    bench.run(*who, bench.pg_bin / "pg_ctl", "-w", "-m", "immediate", "-D", data, "stop", cwd=at)
    shutil.rmtree(at)


def main():
    parser = argparse.ArgumentParser()
    for name in ("--pgtls", "--pg-bin", "--work"):
        parser.add_argument(name, required=True)
    parser.add_argument("--rounds", type=int, required=True)
    bench = Bench(parser.parse_args())
    few = max(3, bench.rounds // 2)
    psql = bench.pg_bin / "psql"
    if not psql.exists():
        psql = "psql"

    bench.compare("--version, psql --version", 1.0,
                  lambda: bench.run(bench.pgtls, "--version"),
                  lambda: bench.run(psql, "--version"))
    bench.compare("apply mTLS P-256, openssl as in tutorials, P-256", 0.35,
                  lambda: apply(bench), tutorial(bench, "p256"))
    bench.compare("apply mTLS P-256, openssl as in tutorials, RSA-4096", 0.35,
                  lambda: apply(bench), tutorial(bench, "rsa4096"), few)

    at = bench.fresh()
    with contextlib.ExitStack() as stack:
        stack.callback(lambda: at.exists() and down(bench, at))
        conninfo = up(bench, at)["connect"]["conninfo"]

        def query():
            bench.run(psql, "-X", "-w", "-c", "select 1", "-d", conninfo)

        def verify(probes):
            bench.run(bench.pgtls, "verify", conninfo, "--probes", probes, "--json", "--dir", at)

        bench.compare("verify --probes connect, psql -c 'select 1', same server", 0.6, lambda: verify("connect"), query)
        bench.compare("verify --probes all, psql -c 'select 1', same server", 4.0, lambda: verify("all"), query)
        bench.within("verify --modes, all sslmodes and impostors, at most 2 s", 2000,
                     lambda: bench.run(bench.pgtls, "verify", conninfo, "--modes", "--json", "--dir", at), few)

        targets, script = bench.work / "targets", bench.work / "select.sql"
        targets.write_text(f"{conninfo}\n" * TARGETS)
        script.write_text("select 1;\n")

        def handshakes():
            # A new connection for each transaction, and clients enough to leave no core idle.
            bench.run(bench.pg_bin / "pgbench", "-n", "-C", "-c", CLIENTS, "-j", 2, "-t", TARGETS // CLIENTS, "-f", script,
                      conninfo)

        bench.compare(f"verify --targets of {TARGETS}, pgbench -C as often, same server", 1 / 0.7,
                      lambda: bench.run(bench.pgtls, "verify", "--probes", "connect", "--json", "--targets", targets,
                                        "--dir", at),
                      handshakes, few)

    with large(bench) as (conninfo, kit):

        def plan():
            # Half of the sessions came without TLS: it says so, and stops there.
            bench.run(bench.pgtls, "harden", conninfo, "--stage", "require", "--json", "--dir", kit, status=1)

        bench.within(f"harden: {RULES} rules, {SESSIONS} sessions, the difference, at most 1 s", 1000, plan, few)
        bench.compare(f"the same, psql reads pg_hba_file_rules of {RULES} lines", 2.5, plan,
                      lambda: bench.run(psql, "-X", "-w", "-c", "select count(*) from pg_hba_file_rules", "-d", conninfo), few)

    bench.compare("up in the sandbox with every proof, bare initdb + pg_ctl start", 1.15,
                  lambda: up_and_down(bench), lambda: bare(bench), few)
    return 0 if bench.table() else 1


if __name__ == "__main__":
    sys.exit(main())
