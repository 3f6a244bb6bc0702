#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Two whole processes over wire:PATH, as a user starts them: pair.py PROGRAM [--long] [--only NAME]

Runs zfudppingpong ping and pong against each other: either first, one of them late, killed and started again, stopped
for a while, a third process on the same wire, and many times in a row. Needs no privileges, network or huge pages.
Exit status: 0 all passed, 1 one failed, 2 usage."""
import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

ITERATIONS = 20000
LIMIT = 60  # seconds for any one process
FOREVER = 100000000  # round trips that no test waits for


class Pair:
    def __init__(self, program, folder):
        self.program, self.folder, self.n, self.children = program, folder, 0, []

    def wire(self):
        self.n += 1
        return os.path.join(self.folder, f"w{self.n}")

    def start(self, role, wire, iterations=ITERATIONS, size=64, extra=()):
        mine, other = (1, 2) if role == "ping" else (2, 1)
        env = dict(os.environ, ZF_ATTR=f"interface=wire:{wire};ipv4=10.0.0.{mine}/24")
        cmd = [self.program, "-s", str(size), "-i", str(iterations), "-r", "100", "-t", "30", "--json", *extra,
               role, f"10.0.0.{mine}:9000", f"10.0.0.{other}:9000"]
        # Side by side: two that spin on one CPU pass it on once a time slice.
        cpus = sorted(os.sched_getaffinity(0))
        cpu = {cpus[-1] if role == "ping" else cpus[0]}
        p = subprocess.Popen(cmd, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             preexec_fn=lambda: os.sched_setaffinity(0, cpu))
        self.children.append(p)
        return p

    def end(self, p, expected=0):
        out, err = p.communicate(timeout=LIMIT)
        if p.returncode != expected:
            raise AssertionError(f"exit status {p.returncode}, not {expected}: {err.strip()}")
        return json.loads(out) if out.strip() else {}

    def both(self, ping, pong, iterations=ITERATIONS):
        result = self.end(ping)
        self.end(pong)
        if result["iterations"] != iterations:
            raise AssertionError(f"{result['iterations']} round trips, not {iterations}")
        return result

    def stop(self):
        for p in self.children:
            if p.poll() is None:
                p.send_signal(signal.SIGCONT)
                p.kill()
                p.wait()
        self.children = []


def wait_for_socket(wire):
    """The first end listens: its socket is there."""
    end = time.monotonic() + 20
    while not os.path.exists(wire):
        if time.monotonic() > end:
            raise AssertionError("the first side did not listen within 20 s")
        time.sleep(0.01)


def ping_first(pair, _):
    w = pair.wire()
    a = pair.start("ping", w)
    wait_for_socket(w)
    pair.both(a, pair.start("pong", w))


def pong_first(pair, _):
    w = pair.wire()
    b = pair.start("pong", w)
    wait_for_socket(w)
    pair.both(pair.start("ping", w), b)


def both_at_once(pair, _, iterations=ITERATIONS):
    w = pair.wire()
    pair.both(pair.start("ping", w, iterations), pair.start("pong", w, iterations), iterations)


def one_late(pair, long):
    w = pair.wire()
    a = pair.start("ping", w)
    time.sleep(10 if long else 2)
    pair.both(a, pair.start("pong", w))


def large_datagrams(pair, _):
    w = pair.wire()
    b = pair.start("pong", w, iterations=500, size=30000)
    r = pair.end(pair.start("ping", w, iterations=500, size=30000, extra=("-R",)))
    pair.end(b)
    if r["iterations"] != 500:
        raise AssertionError("not all round trips")


def restarted(pair, role, sig):
    """@role is killed in the middle and another one takes its place; the survivor goes on."""
    w = pair.wire()
    many = FOREVER
    b = pair.start("pong", w, iterations=many if role == "ping" else ITERATIONS)
    a = pair.start("ping", w, iterations=many)
    victim, other = (a, b) if role == "ping" else (b, a)
    time.sleep(1)
    victim.send_signal(sig)
    victim.wait()
    if role == "ping":
        pair.end(pair.start("ping", w, iterations=ITERATIONS))
        other.kill()  # it waits for more than it will get
        return
    fresh = pair.start("pong", w, iterations=1)
    time.sleep(2)
    if other.poll() is not None or fresh.poll() is not None:
        raise AssertionError("a side ended after pong was replaced: " + (other.stderr.read() if other.poll() else ""))
    # That datagrams flow again shows in pong, which would report silence otherwise.
    other.send_signal(signal.SIGKILL)
    pair.end(fresh)


def ping_killed_and_restarted(pair, _):
    restarted(pair, "ping", signal.SIGKILL)


def ping_ended_and_restarted(pair, _):
    restarted(pair, "ping", signal.SIGTERM)


def pong_killed_and_restarted(pair, _):
    restarted(pair, "pong", signal.SIGKILL)


def stopped_for_a_while(pair, _):
    w = pair.wire()
    b = pair.start("pong", w, iterations=200000)
    a = pair.start("ping", w, iterations=200000)
    time.sleep(0.5)
    b.send_signal(signal.SIGSTOP)
    time.sleep(0.5)
    b.send_signal(signal.SIGCONT)
    pair.end(a)
    pair.end(b)


def third_is_refused(pair, _):
    w = pair.wire()
    b = pair.start("pong", w, iterations=FOREVER)
    a = pair.start("ping", w, iterations=FOREVER)
    time.sleep(1)
    c = pair.start("pong", w)
    _, err = c.communicate(timeout=LIMIT)
    a.kill()
    b.kill()
    if c.returncode != 1 or w not in err:
        raise AssertionError(f"exit status {c.returncode}: {err.strip()}")


def many_times(pair, long):
    for _ in range(50 if long else 15):
        both_at_once(pair, long, 1000)


TESTS = [ping_first, pong_first, both_at_once, one_late, large_datagrams, ping_killed_and_restarted,
         ping_ended_and_restarted, pong_killed_and_restarted, stopped_for_a_while, third_is_refused, many_times]


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("program")
    ap.add_argument("--long", action="store_true", help="10 s late, 50 times in a row")
    ap.add_argument("--only", default="", help="run the tests whose names contain this")
    a = ap.parse_args()
    passed = failed = 0
    for test in TESTS:
        if a.only not in test.__name__:
            continue
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="zf.") as folder:
            pair = Pair(a.program, folder)
            try:
                test(pair, a.long)
                passed += 1
                print(f"  {test.__name__}: passed, {time.monotonic() - began:.1f} s", flush=True)
            except (AssertionError, subprocess.TimeoutExpired, OSError, ValueError, KeyError) as e:
                failed += 1
                print(f"  {test.__name__}: FAILED: {e}", flush=True)
            finally:
                pair.stop()
    print(f"pair: {passed} passed, {failed} failed, 0 skipped")
    return 1 if failed or passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
