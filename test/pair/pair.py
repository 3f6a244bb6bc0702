#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Whole processes over wire:PATH, as a user starts them: pair.py PROGRAM... [--long] [--only NAME]

Each PROGRAM is an example; the tests of those given are run: zfudppingpong and zftcppingpong, ping against pong, and
zftcpbulk, send against recv. Either first, one of them late, killed and started again, stopped for a while, a third
process on the same wire, and many times in a row. Needs no privileges, network or huge pages.
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


KILLS = 20
# What makes a dead peer known within a fraction of a second: a sender by its retries, a receiver by keepalive.
HASTY = ("tcp_retries=3;tcp_rto_min_ms=5;tcp_rto_initial_ms=20;tcp_rto_max_ms=100;"
         "tcp_keepalive=1;tcp_keepalive_time_ms=50;tcp_keepalive_intvl_ms=20;tcp_keepalive_probes=3")
# A process that says when its wire is up: information of cplane, beside everybody's errors.
TALKATIVE = "log_level=0x5111111111111"


class Pair:
    """The processes of a test. `a` connects or pings, has 10.0.0.1 and the last CPU; `b` is the other one."""

    def __init__(self, programs, folder):
        self.programs, self.folder, self.n, self.children = programs, folder, 0, []

    def wire(self):
        self.n += 1
        return os.path.join(self.folder, f"w{self.n}")

    def spawn(self, program, side, wire, args, attrs=""):
        mine = 1 if side == "a" else 2
        env = dict(os.environ, ZF_ATTR=f"interface=wire:{wire};ipv4=10.0.0.{mine}/24;{attrs}")
        # Side by side: two that spin on one CPU pass it on once a time slice.
        cpus = sorted(os.sched_getaffinity(0))
        cpu = {cpus[-1] if side == "a" else cpus[0]}
        # A file, not a pipe: it can be looked at meanwhile, and is never full.
        said = os.path.join(self.folder, f"said{len(self.children)}")
        with open(said, "w", encoding="utf-8") as err:
            p = subprocess.Popen([self.programs[program], *args], env=env, stdout=subprocess.PIPE, stderr=err,
                                 text=True, preexec_fn=lambda: os.sched_setaffinity(0, cpu))
        p.said = said
        self.children.append(p)
        return p

    def start(self, role, wire, iterations=ITERATIONS, size=64, extra=(), proto="udp", attrs=""):
        mine, other = ("10.0.0.1:9000", "10.0.0.2:9000")[::1 if role == "ping" else -1]
        hosts = [mine, other] if proto == "udp" else ["10.0.0.2:9000"]
        args = ["-s", str(size), "-i", str(iterations), "-r", "100", "-t", "30", "--json", *extra, role, *hosts]
        return self.spawn(f"zf{proto}pingpong", "a" if role == "ping" else "b", wire, args, attrs)

    def bulk(self, role, wire, *extra, attrs=""):
        return self.spawn("zftcpbulk", "a" if role == "send" else "b", wire,
                          ["--json", *extra, role, "10.0.0.2:9000"], attrs)

    @staticmethod
    def said(p):
        with open(p.said, encoding="utf-8") as f:
            return f.read()

    def lines(self, p, expected=0):
        """What @p printed, an object a line, when it has ended."""
        out, _ = p.communicate(timeout=LIMIT)
        if p.returncode != expected:
            raise AssertionError(f"exit status {p.returncode}, not {expected}: {self.said(p).strip()[-500:]}")
        return [json.loads(line) for line in out.splitlines()]

    def end(self, p, expected=0):
        lines = self.lines(p, expected)
        return lines[-1] if lines else {}

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


def wait_until(pair, p, text, times):
    """Until @p has said @text so often."""
    end = time.monotonic() + LIMIT
    while pair.said(p).count(text) < times:
        if p.poll() is not None or time.monotonic() > end:
            raise AssertionError(f'not said {times} times: "{text}"; exit status {p.poll()}: '
                                 f"{pair.said(p).strip()[-500:]}")
        time.sleep(0.002)


def wait_for_link(pair, p):
    """@p, which is TALKATIVE, has met somebody: how long a process takes to start says nothing on a busy machine."""
    wait_until(pair, p, "link up with pid", 1)


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
    a = pair.start("ping", w, iterations=many, attrs=TALKATIVE)
    victim, other = (a, b) if role == "ping" else (b, a)
    wait_for_link(pair, a)
    time.sleep(0.5)
    victim.send_signal(sig)
    victim.wait()
    if role == "ping":
        pair.end(pair.start("ping", w, iterations=ITERATIONS))
        other.kill()  # it waits for more than it will get
        return
    fresh = pair.start("pong", w, iterations=1, attrs=TALKATIVE)
    wait_for_link(pair, fresh)
    time.sleep(1)
    if other.poll() is not None or fresh.poll() is not None:
        raise AssertionError("a side ended after pong was replaced: " + pair.said(other))
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
    a = pair.start("ping", w, iterations=200000, attrs=TALKATIVE)
    wait_for_link(pair, a)
    b.send_signal(signal.SIGSTOP)
    time.sleep(0.5)
    b.send_signal(signal.SIGCONT)
    pair.end(a)
    pair.end(b)


def third_is_refused(pair, _):
    w = pair.wire()
    b = pair.start("pong", w, iterations=FOREVER)
    a = pair.start("ping", w, iterations=FOREVER, attrs=TALKATIVE)
    wait_for_link(pair, a)
    c = pair.start("pong", w)
    c.communicate(timeout=LIMIT)
    a.kill()
    b.kill()
    if c.returncode != 1 or w not in pair.said(c):
        raise AssertionError(f"exit status {c.returncode}: {pair.said(c).strip()}")


def many_times(pair, long):
    for _ in range(50 if long else 15):
        both_at_once(pair, long, 1000)


def tcp_ping_first(pair, _):
    w = pair.wire()
    a = pair.start("ping", w, proto="tcp")
    wait_for_socket(w)
    pair.both(a, pair.start("pong", w, proto="tcp"))


def tcp_pong_first(pair, _):
    w = pair.wire()
    b = pair.start("pong", w, proto="tcp")
    wait_for_socket(w)
    pair.both(pair.start("ping", w, proto="tcp"), b)


def tcp_one_late(pair, long):
    for first, second in ("ping", "pong"), ("pong", "ping"):
        w = pair.wire()
        sides = {first: pair.start(first, w, proto="tcp")}
        time.sleep(10 if long else 2)
        sides[second] = pair.start(second, w, proto="tcp")
        pair.both(sides["ping"], sides["pong"])


def tcp_large_messages(pair, _):
    """Larger than any window: both directions must move at once."""
    w = pair.wire()
    b = pair.start("pong", w, proto="tcp", extra=("-R",))
    a = pair.start("ping", w, iterations=20, size=5000000, proto="tcp", extra=("-R", "-r", "0"))
    pair.both(a, b, iterations=20)


def tcp_pong_killed(pair, _):
    w = pair.wire()
    b = pair.start("pong", w, proto="tcp")
    wait_for_socket(w)  # ping waits 5 s for the connection too: it begins when pong is there
    a = pair.start("ping", w, FOREVER, proto="tcp", extra=("-t", "5"))
    wait_until(pair, a, "connected", 1)
    b.kill()
    pair.end(a, expected=3)
    if "no answer for 5 s" not in pair.said(a):
        raise AssertionError(f"ping said: {pair.said(a).strip()}")


def tcp_many_times(pair, long):
    for _ in range(50 if long else 15):
        w = pair.wire()
        a, b = pair.start("ping", w, 1000, proto="tcp"), pair.start("pong", w, proto="tcp")
        pair.both(a, b, 1000)


def bulk_arrived(pair, sender, receiver, size):
    sent, received = pair.end(sender), pair.end(receiver)
    if sent["bytes"] != size or received["bytes"] != size or not received["verified"]:
        raise AssertionError(f"{size} bytes were to be sent: {sent}, {received}")


def bulk_checked(pair, long):
    size = (1024 if long else 64) << 20
    for sender, receiver in (("-s", "1M"), ()), (("-s", "999"), ()), (("-s", "64K"), ("-c", "-s", "1000")):
        w = pair.wire()
        b = pair.bulk("recv", w, "-V", "-b", str(size), *receiver)
        bulk_arrived(pair, pair.bulk("send", w, "-b", str(size), *sender), b, size)


def bulk_receiver_stopped(pair, _):
    """The window fills, is probed, and opens again."""
    size = 256 << 20
    w = pair.wire()
    b = pair.bulk("recv", w, "-V")
    a = pair.bulk("send", w, "-b", str(size))
    wait_until(pair, a, "connected", 1)
    for _ in range(5):
        b.send_signal(signal.SIGSTOP)
        time.sleep(0.3)
        b.send_signal(signal.SIGCONT)
        time.sleep(0.01)
    bulk_arrived(pair, a, b, size)


def killed(pair, survivor, victim):
    """One of two is killed in mid-stream, again and again: the other one says so and goes on with a new one."""
    w = pair.wire()
    seconds = ("-t", "2") if survivor == "send" else ("-V",)
    s = pair.bulk(survivor, w, "-n", str(KILLS + 1), *seconds, attrs=HASTY)
    for i in range(KILLS):
        v = pair.bulk(victim, w, *(("-t", "60") if victim == "send" else ()), attrs=HASTY)
        wait_until(pair, s, "connected", i + 1)
        time.sleep(0.01 + 0.007 * (i % 7))
        v.kill()
        v.wait()
        wait_until(pair, s, "the connection broke", i + 1)
    last = pair.end(pair.bulk(victim, w, *(("-b", "64M") if victim == "send" else ("-V",)), attrs=HASTY))
    streams = pair.lines(s, expected=4)
    wrong = [r for r in streams[:-1] if r["result"] != "broken" or r["error"] not in ("ETIMEDOUT", "ECONNRESET")]
    if wrong or len(streams) != KILLS + 1 or not all(r["bytes"] > 0 for r in streams):
        raise AssertionError(f"{len(streams)} streams; {wrong}")
    if streams[-1]["result"] != "ok" or streams[-1]["bytes"] != last["bytes"]:
        raise AssertionError(f"the last stream: {streams[-1]}, {last}")


def bulk_receivers_killed(pair, _):
    killed(pair, "send", "recv")


def bulk_senders_killed(pair, _):
    killed(pair, "recv", "send")


TESTS = {
    "zfudppingpong": [ping_first, pong_first, both_at_once, one_late, large_datagrams, ping_killed_and_restarted,
                      ping_ended_and_restarted, pong_killed_and_restarted, stopped_for_a_while, third_is_refused,
                      many_times],
    "zftcppingpong": [tcp_ping_first, tcp_pong_first, tcp_one_late, tcp_large_messages, tcp_pong_killed,
                      tcp_many_times],
    "zftcpbulk": [bulk_checked, bulk_receiver_stopped, bulk_receivers_killed, bulk_senders_killed],
}


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("program", nargs="+")
    ap.add_argument("--long", action="store_true", help="10 s late, 50 times in a row, more bytes")
    ap.add_argument("--only", default="", help="run the tests whose names contain this")
    a = ap.parse_args()
    programs = {os.path.basename(p): os.path.abspath(p) for p in a.program}
    for name in programs:
        if name not in TESTS:
            ap.error(f"no test knows {name}; programs are {', '.join(TESTS)}")
    passed = failed = 0
    for test in [t for name in programs for t in TESTS[name]]:
        if a.only not in test.__name__:
            continue
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="zf.") as folder:
            pair = Pair(programs, folder)
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
