#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The examples as a user starts them: examples.py [--only NAME]... PROGRAM...

Each PROGRAM is an example, in whatever build; the tests whose programs are all given are run. Two of them talk over
wire:PATH, and each talks to the Linux kernel over packet sockets on a veth pair. The latter run in namespaces of their
own, where this file is started again; where those may not be made they count as skipped. Nothing is tried twice.
Exit status: 0 all passed, 1 one failed, 2 usage."""
import argparse
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "pair"))
import pair as pairs  # noqa: E402 pylint: disable=wrong-import-position

INSIDE = "ZF_EXAMPLES_INSIDE"
OURS, KERNEL = "10.79.0.1", "10.79.0.2"
GROUP = "239.79.0.1"
FEW = 200
# More than zftcpmtpong serves at once.
MANY = 70
# EAL without huge pages, files and adapters, and two workers.
EAL = ["--no-huge", "--no-shconf", "--no-pci", "--no-telemetry", "--log-level=error", "-m", "256"]


def expect(what, got, wanted):
    if got != wanted:
        raise AssertionError(f"{what}: {got}, not {wanted}")


class Bench(pairs.Pair):
    """`a` and `b` of test/pair; and `k`, a program on the veth pair whose other end is the kernel's."""

    def zf(self, program, side, wire, *args, attrs=""):
        return self.spawn(program, side, wire, list(args), attrs)

    def on_veth(self, program, *args, attrs=""):
        env = dict(os.environ, ZF_ATTR=f"interface=zfa;ipv4={OURS}/24;{attrs}")
        said = os.path.join(self.folder, f"said{len(self.children)}")
        with open(said, "w", encoding="utf-8") as err:
            p = subprocess.Popen([self.programs[program], *args], env=env, stdout=subprocess.PIPE, stderr=err, text=True)
        p.said = said
        self.children.append(p)
        return p

    def stopped(self, p, expected=0):
        p.send_signal(signal.SIGTERM)
        return self.end(p, expected)


def sink_counts(b, how, count, size, **expected):
    """zfsend to zfsink: nothing is lost, late or changed in length."""
    w = b.wire()
    sink = b.zf("zfsink", "b", w, *how, "-q", "-s", "--json", "-n", str(count), "-t", "20", "10.0.0.2:9000")
    sent = b.end(b.zf("zfsend", "a", w, "-q", "--json", "-n", str(count), "-s", str(size), "-r", "5000",
                      "10.0.0.2:9000"))
    got = b.end(sink)
    expect("sent", (sent["messages"], sent["bytes"]), (count, count * size))
    expect("received", (got["datagrams"], got["bytes"], got["missing"], got["late"]), (count, count * size, 0, 0))
    for key, value in expected.items():
        expect(key, got[key], value)
    return got


def wire_sink_polls(b):
    sink_counts(b, [], 1000, 64, mode="poll", wakeups=0)


def wire_sink_muxer(b):
    sink_counts(b, ["-m"], 1000, 1000, mode="muxer", wakeups=0)


def wire_sink_sleeps(b):
    if sink_counts(b, ["-w"], 1000, 64, mode="fd")["wakeups"] == 0:
        raise AssertionError("it did not sleep once")


def wire_sink_fragments(b):
    sink_counts(b, ["-m"], 100, 5000)


def wire_sink_traces(b):
    """Each call without -q; a group and an address; the source address; and the table for people."""
    w = b.wire()
    sink = b.zf("zfsink", "b", w, "-m", "-s", "-n", "6", "-t", "20", "10.0.0.2:9000", f"{GROUP}:9000")
    b.end(b.zf("zfsend", "a", w, "-q", "--json", "-n", "3", "-l", "10.0.0.1:7777", "10.0.0.2:9000"))
    # Nobody answers for a group: the first ones may leave before the wire has told its other end of a new one.
    b.end(b.zf("zfsend", "a", w, "-q", "--json", "-n", "300", "-l", "10.0.0.1:7778", f"{GROUP}:9000"))
    out, _ = sink.communicate(timeout=pairs.LIMIT)
    said = b.said(sink)
    expect("exit status", sink.returncode, 0)
    for port in 7777, 7778:
        expect("traced datagrams", said.count(f"zfur_zc_recv: 64 bytes in 1 buffers from 10.0.0.1:{port}, "), 3)
    for call in "zf_stack_alloc:", f"zfur_addr_bind: {GROUP}:9000", "zf_muxer_add:", "zf_muxer_wait: 1 ready":
        if call not in said:
            raise AssertionError(f'not traced: "{call}" in {said}')
    table = dict(line.split()[:2] for line in out.splitlines()[1:])
    expect("table", (table["datagrams"], table["bytes"], table["late"]), ("6", "384", "0"))


def wire_sink_ends(b):
    """By a signal with a report; by silence with another exit status."""
    w = b.wire()
    sink = b.zf("zfsink", "b", w, "-q", "--json", "10.0.0.2:9000")
    b.end(b.zf("zfsend", "a", w, "-q", "--json", "-n", "5", "10.0.0.2:9000"))
    quiet = b.zf("zfsink", "a", w, "-q", "--json", "-t", "1", "10.0.0.1:9000")
    expect("of nobody", b.end(quiet, expected=3)["datagrams"], 0)
    expect("until a signal", b.stopped(sink)["datagrams"], 5)


def wire_send_keeps_its_rate(b):
    w = b.wire()
    sink = b.zf("zfsink", "b", w, "-q", "--json", "-n", "200", "-t", "20", "10.0.0.2:9000")
    sent = b.end(b.zf("zfsend", "a", w, "-q", "--json", "-n", "200", "-r", "400", "10.0.0.2:9000"))
    b.end(sink)
    # The last one is due 199/400 s after the first. A machine that is busy may be late, none is early.
    if sent["seconds"] < 199 / 400:
        raise AssertionError(f"200 at 400/s took {sent['seconds']} s")


def wire_mtpong(b):
    w = b.wire()
    pong = b.zf("zftcpmtpong", "b", w, "-q", "--json", "-n", "2", "-t", "20", "10.0.0.2:9000")
    total = 0
    for count, size, rate in (2000, 1000, 0), (300, 1, 3000):
        sent = b.end(b.zf("zfsend", "a", w, "--tcp", "-q", "--json", "-n", str(count), "-s", str(size), "-r", str(rate),
                          "10.0.0.2:9000"))
        total += count * size
        expect("result", (sent["result"], sent["bytes"], sent["bytes_back"]), ("ok", count * size, count * size))
    served = b.end(pong)
    expect("served", (served["connections"], served["broken"], served["bytes_received"], served["bytes_sent"]),
           (2, 0, total, total))


def wire_mtpong_traces(b):
    w = b.wire()
    pong = b.zf("zftcpmtpong", "b", w, "-n", "1", "-t", "20", "10.0.0.2:9000")
    b.end(b.zf("zfsend", "a", w, "--tcp", "-q", "--json", "-n", "3", "10.0.0.2:9000"))
    pong.communicate(timeout=pairs.LIMIT)
    expect("exit status", pong.returncode, 0)
    for call in "zftl_listen: 10.0.0.2:9000", "zftl_accept: 10.0.0.1:", "zft_zc_recv: ", "zft_send_single: ", \
            "received 192, sent 192 bytes":
        if call not in b.said(pong):
            raise AssertionError(f'not traced: "{call}" in {b.said(pong)}')


def wire_tcp_muxer(b):
    for who in ("ping", "pong"), ("ping",), ("pong",):
        w = b.wire()
        args = {role: ("-m",) if role in who else () for role in ("ping", "pong")}
        pong = b.start("pong", w, proto="tcp", extra=args["pong"])
        b.both(b.start("ping", w, 2000, proto="tcp", extra=args["ping"]), pong, 2000)
    w = b.wire()
    pong = b.start("pong", w, proto="tcp", extra=("-m",))
    b.both(b.start("ping", w, 5, size=3000000, proto="tcp", extra=("-m", "-r", "0")), pong, 5)


def wire_alternatives(b):
    """One segment and several, polled and by the multiplexer; either side first; alt_count from ZF_ATTR or not."""
    for size, extra, attrs, first in (("12", (), "", "pong"), ("4000", ("-m",), ";alt_count=4", "ping")):
        w = b.wire()
        common = ["-s", size, "-i", "1000", "-r", "10", "-t", "20", "--json", *extra]
        sides = {"pong": ("b", ["pong", "10.0.0.2:9000"]), "ping": ("a", ["ping", "10.0.0.2:9000"])}
        run = {}
        for role in (first, "pong" if first == "ping" else "ping"):
            side, args = sides[role]
            run[role] = b.zf("zfaltpingpong", side, w, *common, *args, attrs=attrs)
        r = b.end(run["ping"])
        expect("round trips", (r["iterations"], r["size"], r["rtt_ns"]["min"] > 0), (1000, int(size), True))
        b.end(run["pong"])


def wire_alternatives_and_another_pong(b):
    """The other side need not know of alternatives; one that closes in the middle is told of."""
    w = b.wire()
    common = ["-s", "500", "-i", "300", "-r", "10", "-t", "20", "--json"]
    pong = b.zf("zftcppingpong", "b", w, *common, "pong", "10.0.0.2:9000")
    expect("round trips", b.end(b.zf("zfaltpingpong", "a", w, *common, "ping", "10.0.0.2:9000"))["iterations"], 300)
    b.end(pong)
    w = b.wire()
    pong = b.zf("zfaltpingpong", "b", w, "-s", "1000", *common[2:], "pong", "10.0.0.2:9000")
    b.zf("zfsend", "a", w, "--tcp", "-q", "--json", "-n", "1", "-s", "10", "10.0.0.2:9000")
    b.end(pong, expected=4)
    if "the connection broke after 0 round trips" not in b.said(pong):
        raise AssertionError(b.said(pong))


def wire_eal_echo(b):
    """Two workers, each on its CPU, each with a wire of its own: TCP to one, UDP to the other."""
    cpus = sorted(os.sched_getaffinity(0))
    w = [b.wire(), b.wire()]
    lcores = f"0@{cpus[0]},1@{cpus[0]},2@{cpus[-1]}"
    echo = b.zf("eal_echo", "b", w[0], *EAL, "--lcores", lcores, "--", "--json", "-p", "9000",
                f"interface=wire:{w[0]}", f"interface=wire:{w[1]}")
    ping = ["-s", "64", "-i", "100", "-r", "10", "-t", "20", "--json"]
    tcp = b.zf("zftcppingpong", "a", w[0], *ping, "ping", "10.0.0.2:9000")
    udp = b.zf("zfudppingpong", "a", w[1], *ping, "ping", "10.0.0.1:9001", "10.0.0.2:9001")
    expect("TCP round trips", b.end(tcp)["iterations"], 100)
    lost = b.end(udp)["lost"]
    first, second = b.stopped(echo)["workers"]
    expect("first", [first[k] for k in ("lcore", "cpu", "on_its_cpu", "connections", "broken", "stream_bytes", "datagrams")],
           [1, cpus[0], True, 1, 0, 110 * 64, 0])
    expect("second", [second[k] for k in ("lcore", "cpu", "on_its_cpu", "connections")], [2, cpus[-1], True, 0])
    # ping repeats what is not answered; what it counts as lost may have been on its way.
    if not 110 <= second["datagrams"] <= 110 + lost + 10:
        raise AssertionError(f"{second['datagrams']} datagrams of 110, {lost} lost")


def wire_eal_echo_strangers(b):
    """Datagrams from where no answer gets to, here out of its subnet: dropped, and the next one is served."""
    w = b.wire()
    lcores = f"0@{min(os.sched_getaffinity(0))},1@{min(os.sched_getaffinity(0))}"
    echo = b.zf("eal_echo", "b", w, *EAL, "--lcores", lcores, "--", "--json", "-p", "9000",
                f"interface=wire:{w};ipv4=10.0.0.2/25")
    b.end(b.zf("zfsend", "a", w, "-q", "--json", "-n", "3", "-r", "100", "10.0.0.2:9000", attrs=";ipv4=10.0.0.200/24"))
    ping = b.end(b.zf("zfudppingpong", "a", w, "-s", "64", "-i", "100", "-r", "10", "-t", "20", "--json", "ping",
                      "10.0.0.1:9000", "10.0.0.2:9000"))
    expect("iterations", ping["iterations"], 100)
    dropped = b.stopped(echo)["workers"][0]["dropped"]
    if dropped == 0:
        raise AssertionError("nothing was dropped")


def wire_eal_echo_alone(b):
    """No worker lcore: says so."""
    p = b.zf("eal_echo", "b", b.wire(), *EAL, "--lcores", "0@0", "--")
    p.communicate(timeout=pairs.LIMIT)
    expect("exit status", p.returncode, 2)
    if "no worker lcore" not in b.said(p):
        raise AssertionError(b.said(p))


def exit_codes(b):
    for name in b.programs:
        for option in "-h", "--help":
            p = b.zf(name, "a", b.wire(), option)
            out, _ = p.communicate(timeout=pairs.LIMIT)
            expect(f"{name} {option}", (p.returncode, "usage: " + name in out, b.said(p)), (0, True, ""))
        if name == "eal_echo":
            continue
        p = b.zf(name, "a", b.wire(), "--no-such-option")
        out, _ = p.communicate(timeout=pairs.LIMIT)
        expect(f"{name} with a wrong option", (p.returncode, "usage: " + name in b.said(p), out), (2, True, ""))
    for name in set(b.programs) & {"zfsend", "zfsink", "zftcpmtpong"}:
        p = b.zf(name, "a", b.wire(), "no-such-host.invalid:1")
        p.communicate(timeout=pairs.LIMIT)
        expect(f"{name} with no such host", (p.returncode, "no-such-host.invalid" in b.said(p)), (2, True))
        p = b.zf(name, "a", b.wire(), "192.0.2.1:1")
        p.communicate(timeout=pairs.LIMIT)
        expect(f"{name} with an address that is not reached: {b.said(p)}", p.returncode, 1)


# ---- the kernel as peer; names are those of the hosts file that enter() makes ----

def kernel_udp(timeout=20):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(timeout)
    return s


def bound(b, sink, text):
    """Until a program that traces has said @text."""
    pairs.wait_until(b, sink, text, 1)


def kernel_to_sink(b, mode):
    sink = b.on_veth("zfsink", *mode, "-s", "--json", "-n", str(2 * FEW), "-t", "20", "zf-ours:9000", f"{GROUP}:9000")
    bound(b, sink, "zf_waitable_fd_get" if "-w" in mode else f"zfur_addr_bind: {GROUP}:9000")
    with kernel_udp() as s:
        s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(KERNEL))
        for i in range(FEW):
            for host in OURS, GROUP:
                s.sendto(struct.pack("!Q", i) + bytes(100), (host, 9000))
            time.sleep(0.0005)
    got = b.end(sink)
    expect("received", (got["datagrams"], got["bytes"], got["missing"], got["late"]), (2 * FEW, 2 * FEW * 108, 0, 0))
    expect("traced", b.said(sink).count(f" from {KERNEL}:"), 2 * FEW)


def kernel_sink_polls(b):
    kernel_to_sink(b, [])


def kernel_sink_muxer(b):
    kernel_to_sink(b, ["-m"])


def kernel_sink_sleeps(b):
    kernel_to_sink(b, ["-w"])


def kernel_from_send(b):
    with kernel_udp() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        s.bind(("", 9000))
        s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(GROUP) + socket.inet_aton(KERNEL))
        for host in "zf-kernel", GROUP:
            sender = b.on_veth("zfsend", "-q", "--json", "-n", str(FEW), "-s", "3000", "-r", "2000", f"{host}:9000")
            for i in range(FEW):
                data, (source, port) = s.recvfrom(65536)
                expect("datagram", (len(data), struct.unpack("!Q", data[:8])[0], source, port), (3000, i, OURS, 9000))
            expect("sent", b.end(sender)["messages"], FEW)


def kernel_tcp_echo(listener):
    """Takes one connection and sends everything back until it ends."""
    conn, _ = listener.accept()
    with conn:
        conn.settimeout(20)
        while True:
            data = conn.recv(65536)
            if not data:
                return
            conn.sendall(data)


def with_echo(b, program, *args):
    with socket.create_server((KERNEL, 9000)) as listener:
        listener.settimeout(20)
        t = threading.Thread(target=kernel_tcp_echo, args=(listener,))
        t.start()
        result = b.end(b.on_veth(program, *args))
        t.join(20)
        expect("the kernel's side has ended", t.is_alive(), False)
        return result


def kernel_tcp_from_send(b):
    sent = with_echo(b, "zfsend", "--tcp", "-q", "--json", "-n", "1000", "-s", "2000", "-r", "0", "zf-kernel:9000")
    expect("sent", (sent["result"], sent["bytes"], sent["bytes_back"]), ("ok", 2000000, 2000000))


def kernel_tcp_muxer(b):
    r = with_echo(b, "zftcppingpong", "-m", "-s", "64", "-i", "200", "-r", "10", "-t", "20", "--json", "ping",
                  "zf-kernel:9000")
    expect("round trips", r["iterations"], 200)


def kernel_alternatives(b):
    for size, extra in ("64", ()), ("1000", ("-m",)):
        r = with_echo(b, "zfaltpingpong", *extra, "-s", size, "-i", "200", "-r", "10", "-t", "20", "--json", "ping",
                      "zf-kernel:9000")
        expect("round trips", r["iterations"], 200)


def kernel_mtpong(b):
    """More connections at once than it serves: the others wait, and none is lost. Sizes differ, bytes are counted."""
    pong = b.on_veth("zftcpmtpong", "--json", "-n", str(MANY), "-t", "20", "zf-ours:9000",
                     attrs="max_tcp_endpoints=256")
    sizes = [1 + 577 * i for i in range(MANY)]
    bound(b, pong, "zftl_listen:")
    socks = [connect() for _ in sizes]
    for s, n in zip(socks, sizes):
        s.sendall(bytes(n))
        s.shutdown(socket.SHUT_WR)
    for s, n in zip(socks, sizes):
        back = 0
        while True:
            data = s.recv(65536)
            if not data:
                break
            back += len(data)
        s.close()
        expect("bytes back", back, n)
    served = b.end(pong)
    expect("served", (served["connections"], served["at_once"], served["broken"], served["bytes_received"],
                      served["bytes_sent"]), (MANY, 64, 0, sum(sizes), sum(sizes)))


def connect():
    return socket.create_connection((OURS, 9000), timeout=20)


def kernel_mtpong_reset(b):
    """A client that resets its connection: said, counted, and the next one is served."""
    pong = b.on_veth("zftcpmtpong", "--json", "-n", "2", "-t", "20", "zf-ours:9000")
    bound(b, pong, "zftl_listen:")
    s = connect()
    s.sendall(bytes(100))
    expect("answer", len(s.recv(100, socket.MSG_WAITALL)), 100)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()
    with connect() as s:
        s.sendall(bytes(50))
        s.shutdown(socket.SHUT_WR)
        expect("answer", len(s.recv(100, socket.MSG_WAITALL)), 50)
    served = b.end(pong, expected=4)
    expect("served", (served["connections"], served["broken"], served["bytes_received"]), (2, 1, 150))
    if "ECONNRESET" not in b.said(pong):
        raise AssertionError(b.said(pong))


# Each with the programs that it needs.
TESTS = [
    (exit_codes, ()),
    (wire_sink_polls, ("zfsend", "zfsink")),
    (wire_sink_muxer, ("zfsend", "zfsink")),
    (wire_sink_sleeps, ("zfsend", "zfsink")),
    (wire_sink_fragments, ("zfsend", "zfsink")),
    (wire_sink_traces, ("zfsend", "zfsink")),
    (wire_sink_ends, ("zfsend", "zfsink")),
    (wire_send_keeps_its_rate, ("zfsend", "zfsink")),
    (wire_mtpong, ("zfsend", "zftcpmtpong")),
    (wire_mtpong_traces, ("zfsend", "zftcpmtpong")),
    (wire_tcp_muxer, ("zftcppingpong",)),
    (wire_alternatives, ("zfaltpingpong",)),
    (wire_alternatives_and_another_pong, ("zfaltpingpong", "zftcppingpong", "zfsend")),
    (wire_eal_echo, ("eal_echo", "zfudppingpong", "zftcppingpong")),
    (wire_eal_echo_strangers, ("eal_echo", "zfsend", "zfudppingpong")),
    (wire_eal_echo_alone, ("eal_echo",)),
    (kernel_sink_polls, ("zfsink",)),
    (kernel_sink_muxer, ("zfsink",)),
    (kernel_sink_sleeps, ("zfsink",)),
    (kernel_from_send, ("zfsend",)),
    (kernel_tcp_from_send, ("zfsend",)),
    (kernel_tcp_muxer, ("zftcppingpong",)),
    (kernel_alternatives, ("zfaltpingpong",)),
    (kernel_mtpong, ("zftcpmtpong",)),
    (kernel_mtpong_reset, ("zftcpmtpong",)),
]


def run(tests, programs):
    passed = failed = 0
    for test in tests:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="zf.") as folder:
            bench = Bench(programs, folder)
            try:
                test(bench)
                passed += 1
                print(f"  {test.__name__}: passed, {time.monotonic() - began:.1f} s", flush=True)
            except (AssertionError, subprocess.TimeoutExpired, OSError, ValueError, KeyError) as e:
                failed += 1
                print(f"  {test.__name__}: FAILED: {e}", flush=True)
                for p in bench.children:
                    print(f"    {os.path.basename(p.args[0])}: {bench.said(p).strip()[-800:]}", flush=True)
            finally:
                bench.stop()
    return passed, failed


def enter():
    """In namespaces of our own: a veth pair, whose end zfb is the kernel's, and names of both sides."""
    hosts = os.path.join(os.environ[INSIDE], "hosts")
    with open(hosts, "w", encoding="utf-8") as f:
        f.write(f"127.0.0.1 localhost\n{OURS} zf-ours\n{KERNEL} zf-kernel\n")
    for command in ("mount --bind " + hosts + " /etc/hosts", "ip link set lo up",
                    "ip link add zfa type veth peer name zfb", f"ip addr add {KERNEL}/24 dev zfb",
                    # Longer frames than packet sockets take, otherwise (doc/af-packet.md).
                    "ethtool -K zfb tso off gso off", "ip link set zfa up", "ip link set zfb up",
                    "ip route add 239.0.0.0/8 dev zfb"):
        subprocess.run(command.split(), check=True, stdout=subprocess.DEVNULL)


def start_inside(arguments, folder):
    """The same program in new namespaces: the numbers of its closing line, or why there are none."""
    missing = [t for t in ("unshare", "mount", "ip", "ethtool") if shutil.which(t) is None]
    if missing:
        return None, f"no {missing[0]}"
    own = ["unshare", "--net", "--mount"] + ([] if os.geteuid() == 0 else ["--user", "--map-root-user"])
    if subprocess.run([*own, "true"], stderr=subprocess.DEVNULL, check=False).returncode != 0:
        return None, "no namespaces may be made"
    p = subprocess.run([*own, sys.executable, os.path.abspath(__file__), *arguments], stdout=subprocess.PIPE, text=True,
                       env=dict(os.environ, **{INSIDE: folder}), check=False, timeout=300)
    *lines, last = p.stdout.splitlines() or [""]
    print("\n".join(lines))
    numbers = [int(word) for word in last.split() if word.isdigit()]
    return (numbers, "") if len(numbers) == 2 else ([0, 1], "")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("program", nargs="+")
    ap.add_argument("--only", action="append", help="run the tests whose names contain this (repeatable)")
    a = ap.parse_args()
    programs = {os.path.basename(p): os.path.abspath(p) for p in a.program}
    tests = [t for t, needs in TESTS if any(o in t.__name__ for o in a.only or [""]) and set(needs) <= set(programs)]
    kernel = [t for t in tests if t.__name__.startswith("kernel_")]
    if INSIDE in os.environ:
        enter()
        print("{} passed {} failed".format(*run(kernel, programs)))
        return 0
    passed, failed = run([t for t in tests if t not in kernel], programs)
    skipped = 0
    if kernel:
        with tempfile.TemporaryDirectory(prefix="zf.") as folder:
            numbers, why = start_inside(sys.argv[1:], folder)
        if numbers is None:
            skipped = len(kernel)
            print(f"  skipped: {skipped} with the kernel as peer: {why}")
        else:
            passed, failed = passed + numbers[0], failed + numbers[1]
    print(f"examples: {passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
