#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Is every clause of TCP's fast paths needed, and would the tests notice if it were not there?

mutate_fast.py --work DIR [--only TEXT] [--seeds FROM:TO]

Drops one clause at a time in a copy of the tree (in DIR, which is made and kept for the next run), builds fastslow and
plays its seeds. A mutant that passes has survived. By hand, not in CI: about half a minute each.
Exit status: 0 none survived, 1 some did or the job fails without a mutation, 2 usage or a clause that is not in the
source any more."""
import argparse
import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
F, S, O, C, A = ("lib/tcp/fast.h", "lib/tcp/send.c", "lib/tcp/output.c", "lib/tcp/conn.c", "lib/tcp/ack.c")
# (predicate, clause, file, text, text instead of it)
MUTANTS = [
    ("cut-through", "nobody's segment", F, "if (zf_unlikely(i >= r->max_zft))",
     "if (zf_unlikely(i >= r->max_zft && i != TCP_NONE))"),
    ("cut-through", "TIME-WAIT and half-open", F, "if (zf_unlikely(i >= r->max_zft))",
     "if (zf_unlikely(i == TCP_NONE))"),
    ("cut-through", "header as agreed", F, "if (zf_unlikely(head != ts->fast_recv))",
     "if (zf_unlikely(ts->fast_recv == TCP_FAST_NONE))"),
    ("cut-through", "fast_recv says no", F, "if (zf_unlikely(head != ts->fast_recv))",
     "if (zf_unlikely(head != (uint16_t)(ts->flags & TF_TS ? 0x1080 : 0x1050)))"),
    ("cut-through", "the next byte", F, "if (zf_unlikely(!seq_eq(seq, ts->rcv_nxt)))", "if (0)"),
    ("cut-through", "some text", F, "len - 1 >= seq_sub(ts->rcv_adv, seq)",
     "(int32_t)len > (int32_t)seq_sub(ts->rcv_adv, seq)"),
    ("cut-through", "within the window", F, "len - 1 >= seq_sub(ts->rcv_adv, seq)", "len - 1 >= 65536"),
    ("cut-through", "ACK not too old", F, "seq_sub(ts->snd_nxt, ts->snd_una) + ts->max_snd_wnd))",
     "seq_sub(ts->snd_nxt, ts->snd_una) + ts->max_snd_wnd && seq_gt(ack, ts->snd_nxt)))"),
    ("cut-through", "ACK of what was sent", F, "seq_sub(ts->snd_nxt, ts->snd_una) + ts->max_snd_wnd))",
     "seq_sub(ts->snd_nxt, ts->snd_una) + ts->max_snd_wnd && seq_lt(ack, ts->snd_una)))"),
    ("cut-through", "not older than what is owed", F, "if (zf_unlikely((ts->flags & TF_OWED) && seq_lt(ack, ts->owed_ack)))",
     "if (0)"),
    ("cut-through", "not shared buffers", F, "ts->rxq_pkts >= TCP_COALESCE_FROM || ctx->rx_held", "ctx->rx_held"),
    ("cut-through", "hold budget", F, " || ctx->rx_held >= ctx->rx_hold_max", ""),
    ("cut-through", "timestamps", F, "zf_unlikely(!tcp_cut_ts(ts, tcp, seq))", "(tcp_cut_ts(ts, tcp, seq), 0)"),
    ("cut-through", "timestamps alone", F, "!tcp_opts_is_plain_ts((const uint8_t *)(tcp + 1), 12, &val, &ecr) ||",
     "(!tcp_opts_is_plain_ts((const uint8_t *)(tcp + 1), 12, &val, &ecr) && (val = ts->ts_recent, 0)) ||"),
    ("cut-through", "timestamps not old", F, " || (int32_t)(val - ts->ts_recent) < 0", ""),
    ("fast_recv", "ESTABLISHED", C, "ts->state != TCP_ESTABLISHED || !ctx", "!ctx"),
    ("fast_recv", "the attribute", C, "!ctx->tcp->conf.fast_path || ts->ooo", "ts->ooo"),
    ("fast_recv", "no hole", C, "ts->ooo_head != TCP_NONE ||", ""),
    ("fast_recv", "no ECN", C, "(ts->flags & TF_ECN) != 0 ||", ""),
    ("fast_recv", "no recovery", C, "!tcp_loss_can_fast(ts) || (ts->loss", "(ts->loss"),
    ("fast_recv", "no probe out", C, "(ts->loss.flags & LF_TLP) != 0 ||", ""),
    ("fast_recv", "no soft error", C, "(ts->loss.flags & LF_TLP) != 0 ||\n\t    ts->soft_error != 0",
     "(ts->loss.flags & LF_TLP) != 0"),
    ("send", "something", S, "len - 1 < ts->fast_send_bytes", "len <= ts->fast_send_bytes"),
    ("send", "what fits", S, "len - 1 < ts->fast_send_bytes", "len - 1 < 200 && ts->state == TCP_ESTABLISHED"),
    ("send", "the path's generation", S, "&& ts->path_gen == ctx->path_gen", ""),
    ("send", "the port's events", S, "&& !ctx_has_events(ctx)", ""),
    ("send", "buffers to keep", S, "&&\n\t       r->tx_held < r->tx_held_max", ""),
    ("send", "no flags (single)", S, "flags == 0 && send_is_fast(ctx, ctx->tcp, ts, buflen)",
     "send_is_fast(ctx, ctx->tcp, ts, buflen)"),
    ("send", "no flags", S, "iov_cnt == 1 && flags == 0 &&", "iov_cnt == 1 &&"),
    ("send", "one piece", S, "iov_cnt == 1 && flags == 0 &&", "flags == 0 &&"),
    ("send", "queue of records, while sending", S, "++ts->sq_segs >= TCP_SNDQ_SEGS - 1 ? 0 :",
     "++ts->sq_segs == 0 ? 0 :"),
    ("send", "windows, while sending", S, "ZF_MIN(ts->fast_send_bytes, left)", "ts->fast_send_bytes"),
    # That nothing waits before it is what the script tcp_long_send_overtakes_nothing is for.
    ("train", "owed work was done", S, "\ttcp_fast_update(ctx, ts); /* owed work was done since */\n", ""),
    ("train", "windows", S, "if (ts->fast_send_bytes < mss ||", "if (ts->fast_send_bytes == 0 ||"),
    ("train", "windows, on the way", S, "while (left >= mss)", "while (left > 0)"),
    ("train", "not the last", S, "if (next == TCP_NONE || g->len != mss", "if (g->len != mss"),
    ("train", "in one piece", S, " || s->iov->iov_len - s->off < mss ||", " ||"),
    ("fast_send_bytes", "state", O, "(ts->state != TCP_ESTABLISHED && ts->state != TCP_CLOSE_WAIT) || !r->conf",
     "!r->conf"),
    ("fast_send_bytes", "the attribute", O, " || !r->conf.fast_path)\n\t\treturn;\n\tif (ts->sq_unsent",
     ")\n\t\treturn;\n\tif (ts->sq_unsent"),
    ("fast_send_bytes", "nothing unsent", O, "if (ts->sq_unsent != TCP_NONE || !ts->path.resolved",
     "if (!ts->path.resolved"),
    ("fast_send_bytes", "path resolved", O, "!ts->path.resolved || !tcp_loss", "!tcp_loss"),
    ("fast_send_bytes", "no recovery", O, "!tcp_loss_can_fast(ts) ||", ""),
    ("fast_send_bytes", "CWR", O, "(TF_CWR | TF_ECE | TF_ACK_NOW)", "(TF_ECE | TF_ACK_NOW)"),
    ("fast_send_bytes", "ECE", O, "(TF_CWR | TF_ECE | TF_ACK_NOW)", "(TF_CWR | TF_ACK_NOW)"),
    ("fast_send_bytes", "ACK now", O, "(TF_CWR | TF_ECE | TF_ACK_NOW)", "(TF_CWR | TF_ECE)"),
    ("fast_send_bytes", "queue of records", O, " || ts->sq_segs >= TCP_SNDQ_SEGS - 1)", ")"),
    ("fast_send_bytes", "congestion window", O, "room = ts->cc.cwnd > pipe ? ts->cc.cwnd - pipe : 0;",
     "room = pipe + TCP_CWND_MAX;"),
    ("fast_send_bytes", "the peer's window", O, "\troom = ZF_MIN(room, usable(ts));\n\tZF_ASSERT", "\tZF_ASSERT"),
    ("fast_send_bytes", "the queue's bytes", O, "\troom = ZF_MIN(room, TCP_SNDQ_BYTES - queued);\n\tlimit",
     "\tlimit"),
    ("fast_send_bytes", "segment size", O, "limit = ts->mss;\n\tif (ctx->tx_copy",
     "limit = 65535;\n\tif (ctx->tx_copy"),
    ("fast_send_bytes", "what the port copies", O, "limit = ZF_MIN(limit, ctx->tx_copy_max - ts->hdr_len);",
     "limit = ZF_MIN(limit, 65535u);"),
    ("is_quiet", "nothing unsent", A, "ts->sq_unsent == TCP_NONE && !(ts->flags & TF_ACK_NOW)",
     "!(ts->flags & TF_ACK_NOW)"),
    ("is_quiet", "no ACK now", A, " && !(ts->flags & TF_ACK_NOW)", ""),
    ("is_quiet", "path's generation", A, " && ts->path_gen == ctx->ip->env_gen", ""),
    ("is_quiet", "path resolved", A, "ts->path_gen == ctx->ip->env_gen &&\n\t       ts->path.resolved",
     "ts->path_gen == ctx->ip->env_gen"),
]


def run(cmd, cwd, timeout):
    try:
        r = subprocess.run(cmd, cwd=cwd, timeout=timeout, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           errors="replace")
        return r.returncode, r.stdout
    except subprocess.TimeoutExpired:
        return 124, "timeout"


def build_and_play(build, seeds):
    """0 passed, 1 failed, 2 does not compile; and the seed."""
    rc, out = run(["ninja", "-C", build, "test/pkt/fastslow"], None, 900)
    if rc != 0:
        return 2, out[-400:]
    rc, out = run([os.path.join(build, "test/pkt/fastslow")] + (["--seeds", seeds] if seeds else []), None, 300)
    if rc == 0:
        return 0, ""
    said = [line for line in out.splitlines() if line.startswith("FAILED")]
    return 1, said[0] if said else out[-120:]


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--work", required=True)
    ap.add_argument("--only", default="")
    ap.add_argument("--seeds", default="")
    a = ap.parse_args()
    src, build = os.path.join(a.work, "src"), os.path.join(a.work, "build")
    shutil.rmtree(src, ignore_errors=True)
    shutil.copytree(ROOT, src, ignore=shutil.ignore_patterns(".git", "build", "build-*"))
    for path in {m[2] for m in MUTANTS}:
        os.utime(os.path.join(src, path))  # the last run may have ended in one
    if not os.path.isdir(build):
        subprocess.check_call(["meson", "setup", build, src, "-Dexamples=false", "-Dwerror=false"],
                              stdout=subprocess.DEVNULL)
    rc, why = build_and_play(build, a.seeds)
    print("unchanged:", ("passes", "FAILS " + why, "does not build " + why)[rc], flush=True)
    if rc != 0:
        return 1
    n = survived = 0
    for pred, clause, path, was, now in MUTANTS:
        name = pred + ": " + clause
        if a.only not in name:
            continue
        p = os.path.join(src, path)
        with open(p) as f:
            text = f.read()
        if text.count(was) != 1:
            print("%s: %d times in %s, not once" % (name, text.count(was), path))
            return 2
        with open(p, "w") as f:
            f.write(text.replace(was, now))
        rc, why = build_and_play(build, a.seeds)
        with open(p, "w") as f:
            f.write(text)
        n += 1
        survived += rc != 1
        print("%-50s %s" % (name, ("SURVIVED", "killed: " + why[:110], "DOES NOT BUILD: " + why)[rc]), flush=True)
    print("mutate_fast: %d mutants, %d survived" % (n, survived))
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
