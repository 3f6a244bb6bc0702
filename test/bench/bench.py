#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Measure what the library costs, beside its budgets.

bench.py [--build DIR] [--json] [--calls-only] [--update] [--check] [--tcp] [--ports]

  --build DIR    a release build (build/release)
  --calls-only   instructions per call only, no round trips
  --check        exit 1 if a call takes more than 2 % more instructions than test/bench/baseline.json says
  --update       write the counts into test/bench/baseline.json
  --tcp          also: cycles in one thread, connections a second, cost with many open, bulk rate (half a minute)
  --ports        also: instructions per call over ports of DPDK, their drivers included
  --json         one JSON object instead of tables

Instructions are callgrind's, user space only; they repeat exactly for the same binary and machine. Round trips are
medians of interleaved runs of the raw wire and of UDP over it, two processes on the first two CPUs.
Exit status: 0 fine, 1 worse than the baseline or a program failed, 2 usage, 77 valgrind is not installed."""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BASELINE = os.path.join(HERE, "baseline.json")
COUNT = 2000
# name: (operation of calls, function(s) to collect in, budget)
ROWS = {
    "idle": ("idle", "z_idle", 90),
    "udp_send": ("udp_send", "z_udp_send", 220),
    "udp_send_iov": ("udp_send_iov", "z_udp_send_iov", None),
    "udp_recv": ("udp_send", "z_udp_recv", 290),
    "udp_rtt": ("udp_rtt", "z_udp_*", 1020),
    "tcp_send": ("tcp_rtt", "z_tcp_send", 300),
    "tcp_recv": ("tcp_rtt", "z_tcp_recv", 350),
    "tcp_owed": ("tcp_rtt", "z_tcp_owed", 350),
    "tcp_rtt": ("tcp_rtt", "z_tcp_*", 2000),
    "tcp_conn": ("tcp_conn", "z_tcp_*", 6000),
    "alt_queue": ("alt", "z_alt_queue", None),
    "alt_send": ("alt", "z_alt_send", None),
    "alt_poll": ("alt", "z_alt_poll", None),
    "mux_idle": ("mux_idle", "z_mux_wait", None),
    "mux_1": ("mux", "z_mux_wait", None),
    "mux_10000": ("mux_many", "z_mux_wait", None),
}
TEXT = {
    "idle": "reactor call, nothing to do",
    "udp_send": "UDP send (zfut_send_single)",
    "udp_send_iov": "UDP send (zfut_send, no flags)",
    "udp_recv": "UDP receive: reactor + zc_recv + done",
    "udp_rtt": "UDP round trip, both sides",
    "tcp_send": "TCP send (zft_send_single)",
    "tcp_recv": "TCP receive: reactor + zc_recv + done",
    "tcp_owed": "TCP owed work, next poll",
    "tcp_rtt": "TCP request-response, both sides, all",
    "tcp_conn": "TCP connect + close, both sides",
    "alt_queue": "zft_alternatives_queue, one segment",
    "alt_send": "zf_alternatives_send, one segment",
    "alt_poll": "the poll in which it drains",
    "tcp_send_bell": "TCP send, until the port has the frame",
    "alt_send_bell": "zf_alternatives_send, until the port has it",
    "mux_idle": "zf_muxer_wait, nothing ready",
    "mux_1": "zf_muxer_wait, a datagram for the only member",
    "mux_10000": "zf_muxer_wait, a datagram for one of 10,000",
}
# name: (operation of calls, function to collect in, and the function of the port whose beginning is the end)
BELLS = {
    "tcp_send_bell": ("tcp_rtt", "z_tcp_send", "wire_tx_copy"),
    "alt_send_bell": ("alt", "z_alt_send", "wire_tx_copy"),
}
# Calls of the function in one round of its operation: both sides send, both receive.
PER_ROUND = {"tcp_send": 2, "tcp_recv": 2, "tcp_owed": 2}
TOLERANCE = 1.02
# Over the model of an adapter, less what is at and below the entry points of ef_vi: name: (operation, function, ZF_ATTR).
VI_ENTRIES = {f"softvi_{e}" for e in ("rx_init", "rx_push", "rx_space", "tx_init", "tx_push", "tx_space", "tx_copy_pio",
                                      "tx_unbundle", "ev_poll")} | {"side_rx"}  # and what stands for the packet socket
VI_ROWS = {
    "vi_idle": ("idle", "z_idle", "pio=0"),
    "vi_udp_send_pio": ("udp_send", "z_udp_send", "pio=3"),
    "vi_udp_send_dma": ("udp_send", "z_udp_send", "pio=0"),
    "vi_udp_recv": ("udp_send", "z_udp_recv", "pio=3"),
    "vi_tcp_send_pio": ("tcp_rtt", "z_tcp_send", "pio=3"),
    "vi_tcp_send_dma": ("tcp_rtt", "z_tcp_send", "pio=0"),
    "vi_tcp_recv": ("tcp_rtt", "z_tcp_recv", "pio=3"),
}
TEXT.update({
    "vi_idle": "ef_vi: reactor call, nothing to do",
    "vi_udp_send_pio": "ef_vi: UDP send by PIO",
    "vi_udp_send_dma": "ef_vi: UDP send by DMA",
    "vi_udp_recv": "ef_vi: UDP receive",
    "vi_tcp_send_pio": "ef_vi: TCP send by PIO",
    "vi_tcp_send_dma": "ef_vi: TCP send by DMA",
    "vi_tcp_recv": "ef_vi: TCP receive",
})
PER_ROUND.update({"vi_tcp_send_pio": 2, "vi_tcp_send_dma": 2, "vi_tcp_recv": 2})
BUDGET = {"vi_idle": 90, "vi_udp_send_pio": 220, "vi_udp_send_dma": 220, "vi_udp_recv": 290, "vi_tcp_send_pio": 300,
          "vi_tcp_send_dma": 300, "vi_tcp_recv": 350}
BUDGET.update({n: r[2] for n, r in ROWS.items()})


def in_entries(text):
    """Instructions at and below ef_vi's entry points in a callgrind file: the calls to them from outside of the model."""
    names, total, inside, callee, costs = {}, 0, False, False, False
    for line in text.splitlines():
        m = re.match(r"(c?)fn=\((\d+)\)(?: (\S+))?", line)
        if m:
            name = names.setdefault(m[2], m[3] or "")
            if m[1]:
                callee = name.split("'")[0] in VI_ENTRIES
            else:
                inside = name.startswith("softvi_")
        elif line.startswith("calls="):
            costs = True
            continue
        elif callee and not inside and costs and re.match(r"[+*-]?\d* \d+$", line):
            total += int(line.split()[1])
            callee = False
        costs = False
    return total


def collect(calls, op, toggle, count, tmp, attr=None):
    """Instructions collected inside @toggle while @calls runs @op @count times; with @attr less those in VI_ENTRIES."""
    out = os.path.join(tmp, f"{op}.{toggle.replace('*', 'all')}.{count}.{attr}")
    cmd = ["valgrind", "--tool=callgrind", "--collect-atstart=no", f"--toggle-collect={toggle}",
           f"--callgrind-out-file={out}", calls, op, str(count), "12"]
    env = dict(os.environ, ZF_ATTR=attr) if attr else None
    r = subprocess.run(cmd, capture_output=True, text=True, timeout=300, env=env)
    if r.returncode != 0:
        sys.exit(f"bench: {' '.join(cmd)} failed:\n{r.stderr[-2000:]}")
    text = open(out, encoding="utf-8").read()
    m = re.search(r"^(?:summary|totals): (\d+)", text, re.M)
    return int(m.group(1)) - (in_entries(text) if attr else 0)


def collect_until(calls, op, toggle, until, tmp):
    """The same from the beginning of @toggle to that of @until, for one call: the last of a few."""
    out = os.path.join(tmp, f"{op}.{toggle}.{until}")
    cmd = ["valgrind", "--tool=callgrind", "--collect-atstart=no", f"--toggle-collect={toggle}",
           f"--zero-before={toggle}", f"--dump-before={until}", f"--callgrind-out-file={out}", calls, op, "20", "12"]
    r = subprocess.run(cmd, capture_output=True, text=True, timeout=300)
    if r.returncode != 0:
        sys.exit(f"bench: {' '.join(cmd)} failed:\n{r.stderr[-2000:]}")
    counts = []
    for f in sorted((f for f in os.listdir(tmp) if f.startswith(os.path.basename(out) + ".")),
                    key=lambda f: int(f.rsplit(".", 1)[1])):
        text = open(os.path.join(tmp, f), encoding="utf-8").read()
        m = re.search(r"^(?:summary|totals): (\d+)", text, re.M)
        # A dump before a frame of somebody else holds what came behind our own, or nothing.
        if m and int(m.group(1)) > 0 and not re.search(rf"^c?fn=.*\b{until}$", text, re.M):
            counts.append(int(m.group(1)))
    if not counts:
        sys.exit(f"bench: {' '.join(cmd)}: {until} was not called in {toggle}")
    return float(counts[-1])


def instructions(calls):
    """Counts do not depend on what else the machine does: as many at once as there are CPUs."""
    res = {}
    vi = os.path.join(os.path.dirname(calls), "vi_calls")
    with tempfile.TemporaryDirectory() as tmp, ThreadPoolExecutor(os.cpu_count()) as pool:
        # Twice as many minus as many: what happens once only falls out.
        runs = {(name, n): pool.submit(collect, calls, op, toggle, n, tmp)
                for name, (op, toggle, _) in ROWS.items() for n in (COUNT, 2 * COUNT)}
        bells = {name: pool.submit(collect_until, calls, *args, tmp) for name, args in BELLS.items()}
        if os.path.exists(vi):
            runs.update({(name, n): pool.submit(collect, vi, op, toggle, n, tmp, attr)
                         for name, (op, toggle, attr) in VI_ROWS.items() for n in (COUNT, 2 * COUNT)})
        for name in dict.fromkeys(k for k, _ in runs):
            few, many = runs[name, COUNT].result(), runs[name, 2 * COUNT].result()
            res[name] = round((many - few) / COUNT / PER_ROUND.get(name, 1), 1)
        res.update({name: f.result() for name, f in bells.items()})
    return res


# name: (function to collect in, operation of port_calls, interfaces); DIR is a folder of the run's.
VHOST = ["net_vhost0,iface=DIR/s", "net_virtio_user0,path=DIR/s"]
PORT_ROWS = {
    "idle, net_null": ("z_idle", "idle", ["net_null0,no-rx=1"]),
    "idle, net_ring": ("z_idle", "idle", ["net_ring0"]),
    "idle, net_vhost without peer": ("z_idle", "idle", VHOST[:1]),
    "UDP send, net_null": ("z_send", "send", ["net_null0,no-rx=1"]),
    "UDP send, net_virtio_user to net_vhost": ("z_send", "pair", VHOST),
    "UDP receive, net_vhost from net_virtio_user": ("z_recv", "pair", VHOST),
    "UDP send, net_vhost to net_virtio_user": ("z_send", "back", VHOST),
    "UDP receive, net_virtio_user from net_vhost": ("z_recv", "back", VHOST),
}


def port_count(exe, row, count):
    toggle, op, ports = PORT_ROWS[row]
    with tempfile.TemporaryDirectory() as tmp:
        out = os.path.join(tmp, "out")
        cmd = ["valgrind", "--tool=callgrind", "--collect-atstart=no", f"--toggle-collect={toggle}",
               f"--callgrind-out-file={out}", exe, op, str(count)] + [p.replace("DIR", tmp) for p in ports]
        r = subprocess.run(cmd, capture_output=True, text=True, timeout=300)
        if r.returncode != 0:
            sys.exit(f"bench: {' '.join(cmd)} failed:\n{r.stderr[-2000:]}")
        with open(out, encoding="utf-8") as f:
            return int(re.search(r"^(?:summary|totals): (\d+)", f.read(), re.M).group(1))


def port_rows(build):
    exe = os.path.join(build, "test/bench/port_calls")
    return {row: round((port_count(exe, row, 2 * COUNT) - port_count(exe, row, COUNT)) / COUNT, 1) for row in PORT_ROWS}


def show_ports(rows):
    print("\ninstructions per call over ports of DPDK, drivers included")
    for row, n in rows.items():
        print(f"{row:48} {n:8.1f}")


def pin(i):
    cpus = sorted(os.sched_getaffinity(0))[:2]
    return ["taskset", "-c", str(cpus[i % len(cpus)])]


def ping_pong(build, app, wire, args, pong, ping):
    """Two pinned processes on @wire; ping's JSON."""
    exe = os.path.join(build, "examples", app)
    env = lambda n: dict(os.environ, ZF_ATTR=f"interface={wire};ipv4=10.0.0.{n}/24")
    b = subprocess.Popen(pin(1) + [exe] + args + pong, env=env(2), stdout=subprocess.DEVNULL)
    a = subprocess.run(pin(0) + [exe] + args + ping, env=env(1), capture_output=True, text=True, timeout=120)
    b.wait(timeout=60)
    return json.loads(a.stdout)


def round_trips(build, rounds=5, iters=200000, size=64):
    """Median of each percentile over interleaved runs: raw wire, UDP, TCP."""
    wire = os.path.join(build, "test/bench/wire_raw")
    runs = {"wire": [], "udp": [], "tcp": []}
    if len(os.sched_getaffinity(0)) < 2:
        return None
    with tempfile.TemporaryDirectory() as tmp:
        for r in range(rounds):
            p = os.path.join(tmp, f"w{r}")
            args = ["--path", p, "--iter", str(iters), "--size", str(size), "--json"]
            b = subprocess.Popen(pin(1) + [wire, "--role", "b"] + args, stdout=subprocess.DEVNULL)
            a = subprocess.run(pin(0) + [wire, "--role", "a"] + args, capture_output=True, text=True, timeout=120)
            b.wait(timeout=60)
            runs["wire"].append(json.loads(a.stdout)["rtt_ns"])
            args = ["-s", str(size), "-i", str(iters), "--json", "-f"]
            runs["udp"].append(ping_pong(build, "zfudppingpong", f"wire:{p}u", args,
                                         ["pong", "10.0.0.2:9", "10.0.0.1:9"],
                                         ["ping", "10.0.0.1:9", "10.0.0.2:9"])["rtt_ns"])
            runs["tcp"].append(ping_pong(build, "zftcppingpong", f"wire:{p}t", args,
                                         ["pong", "10.0.0.2:9"], ["ping", "10.0.0.2:9"])["rtt_ns"])
    med = lambda xs: sorted(xs)[len(xs) // 2]
    return {k: {p: med([r[p] for r in v]) for p in ("min", "p50", "p99")} for k, v in runs.items()}


def tcp_rows(build, rounds=3):
    """What one thread does, and the rate of a stream between two processes beside that of the wire."""
    load = os.path.join(build, "test/bench/tcp_load")
    wire = os.path.join(build, "test/bench/wire_raw")
    bulk = os.path.join(build, "examples/zftcpbulk")
    run = lambda *args: json.loads(subprocess.run(pin(0) + [load, "--json", *args], capture_output=True, text=True,
                                                  timeout=300, check=True).stdout)
    med = lambda xs: sorted(xs)[len(xs) // 2]
    res = {"rtt": run("rtt"), "connections_per_s": med([run("conn")["connections_per_s"] for _ in range(rounds)]),
           "many": {n: run("many", n)["cycles"] for n in ("1", "1000", "100000")}}
    with tempfile.TemporaryDirectory() as tmp:
        res["bulk"] = bulk_ratio(wire, bulk, tmp)
    return res


def bulk_ratio(wire, bulk, tmp, wanted=7, most=40):
    """A stream's rate beside that of the bare wire's full frames, measured right before and right behind it. The machine
    moves its CPUs about, and the wire is four times slower then: rounds in which it was not the same twice do not count."""
    rounds = []
    for r in range(most):
        p = os.path.join(tmp, f"w{r}")
        before = bare_rate(wire, p + "b")
        env = lambda n: dict(os.environ, ZF_ATTR=f"interface=wire:{p}t;ipv4=10.0.0.{n}/24")
        args = ["-q", "--json", "-b", "1G"]
        b = subprocess.Popen(pin(1) + [bulk] + args + ["recv", "10.0.0.2:9"], env=env(2), stdout=subprocess.PIPE, text=True)
        subprocess.run(pin(0) + [bulk] + args + ["send", "10.0.0.2:9"], env=env(1), capture_output=True, timeout=120,
                       check=True)
        tcp = json.loads(b.communicate(timeout=60)[0])["gbit_s"]
        after = bare_rate(wire, p + "a")
        if abs(before - after) < 0.15 * max(before, after):
            rounds.append((tcp / ((before + after) / 2), tcp, (before + after) / 2))
        if len(rounds) == wanted:
            break
    if not rounds:
        sys.exit(f"bench: the wire's rate was not the same twice in any of {most} rounds; run it on a quieter machine")
    rounds.sort()
    share, tcp, bare = rounds[len(rounds) // 2]
    return {"share": round(share, 3), "tcp_gbit_s": round(tcp, 2), "wire_gbit_s": round(bare, 2), "rounds": len(rounds),
            "lowest": round(rounds[0][0], 3), "highest": round(rounds[-1][0], 3)}


def bare_rate(wire, path):
    args = ["--path", path, "--iter", "1000000", "--size", "1472", "--oneway-rate", "--json"]
    b = subprocess.Popen(pin(1) + [wire, "--role", "b"] + args, stdout=subprocess.DEVNULL)
    a = subprocess.run(pin(0) + [wire, "--role", "a"] + args, capture_output=True, text=True, timeout=120, check=True)
    b.wait(timeout=60)
    return json.loads(a.stdout)["rate_pps"] * (1472 + 42) * 8 / 1e9


def show_tcp(t):
    print(f"\nTCP, one thread, wire in memory\n"
          f"  round trip: UDP {t['rtt']['udp_cycles']} cycles (budget 200), TCP {t['rtt']['tcp_cycles']} (budget 450)\n"
          f"  connect, 1 byte, close, 64 in flight: {t['connections_per_s']} a second (budget 400000)")
    for n, v in t["many"].items():
        print(f"  message with {n:>6} open connections: {v} cycles (x{v / t['many']['1']:.2f})")
    b = t["bulk"]
    print(f"Two processes, one way: wire {b['wire_gbit_s']} Gbit/s, TCP {b['tcp_gbit_s']} Gbit/s: {100 * b['share']:.0f} % "
          f"({100 * b['lowest']:.0f} to {100 * b['highest']:.0f} in {b['rounds']} rounds; budget 60 %)")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--build", default=os.path.join(ROOT, "build", "release"))
    for flag in ("--json", "--calls-only", "--update", "--check", "--tcp", "--ports"):
        ap.add_argument(flag, action="store_true")
    a = ap.parse_args()
    calls = os.path.join(a.build, "test/bench/calls")
    if not os.path.exists(calls):
        ap.error(f"{calls} does not exist: build it, or name another --build")
    if shutil.which("valgrind") is None:
        print("bench: valgrind is not installed: apt-get install valgrind", file=sys.stderr)
        return 77
    ins = instructions(calls)
    rtt = None if a.calls_only else round_trips(a.build)
    tcp = tcp_rows(a.build) if a.tcp else None
    ports = port_rows(a.build) if a.ports else None
    base = json.load(open(BASELINE, encoding="utf-8")) if os.path.exists(BASELINE) else {}
    worse = [n for n in ins if n in base and ins[n] > base[n] * TOLERANCE]
    if a.update:
        with open(BASELINE, "w", encoding="utf-8") as f:
            json.dump(ins, f, indent=2)
            f.write("\n")
    if a.json:
        print(json.dumps({"instructions": ins, "round_trip_ns": rtt, "tcp": tcp, "ports": ports, "worse": worse}))
    else:
        print(f"{'instructions per call':48} {'budget':>8} {'now':>8} {'ratio':>6} {'baseline':>9}")
        for n, v in ins.items():
            bud = BUDGET.get(n)
            print(f"{TEXT[n]:48} {bud or '-':>8} {v:8.1f} {v / bud if bud else 0:6.2f} {base.get(n, '-'):>9}")
        if rtt:
            print(f"\n{'full round trip, two processes, 64 bytes':40} {'min':>8} {'p50':>8} {'p99':>8}  ns")
            for k, v in rtt.items():
                print(f"{k:40} {v['min']:8} {v['p50']:8} {v['p99']:8}")
            print(f"{'UDP over raw wire (budget 100)':40} {'':8} {rtt['udp']['p50'] - rtt['wire']['p50']:8}")
            print(f"{'TCP over raw wire (budget 150)':40} {'':8} {rtt['tcp']['p50'] - rtt['wire']['p50']:8}")
        if tcp:
            show_tcp(tcp)
        if ports:
            show_ports(ports)
    if a.check:
        for n in worse:
            print(f"bench: {n}: {ins[n]} instructions, baseline {base[n]}: more than 2 % worse", file=sys.stderr)
        print(f"bench: {len(ins) - len(worse)} passed, {len(worse)} failed, 0 skipped")
        return 1 if worse else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
