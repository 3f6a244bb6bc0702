/* SPDX-License-Identifier: BSD-3-Clause
 *
 * How two processes that were given the same path find each other, get memory in common, notice that the other one
 * is gone, and find each other again. One struct rdv is one end of one path. libc only: no EAL, no stack, no clock of
 * its own, so that a test can run thousands of meetings and let time pass as it likes.
 *
 * In the file PATH.lock, by locks of open file descriptions, which die with their process and never block us:
 *   byte 0      the gate: held by whoever is about to connect or else to listen, for the length of one rdv_step()
 *   bytes 1, 2  the seats: each end holds one as long as it lives; a third process finds both taken
 * and, for messages, the pid of each seat's holder. (These locks and not flock(2): one file carries all three, and a
 * third process knows at once that it is one too many, also when both ends are stopped.)
 *
 * PATH is a unix socket. Behind the gate an end connects to it; if nobody listens there, it removes what a dead one
 * left and listens itself. Then (connecting end left, listening end right):
 *   HELLO   ->           version, layout, last epoch
 *           <-  WELCOME  the same, the new epoch; memfd and two eventfds
 *   READY   ->           mapped: the link is up at both ends
 * The connection stays open and silent: its end is the end of the epoch, and the survivor goes back to the gate, or
 * goes on listening. Every epoch has fresh memory. An answer that does not come in time ends the attempt.
 *
 * Both ends must be run by the same user (effective uid); root is no exception, since frames from another user's
 * process are not what a root process asked for. All files are made 0600, all descriptors close-on-exec.
 */
#ifndef ZF_WIRE_RENDEZVOUS_H
#define ZF_WIRE_RENDEZVOUS_H

#include "base/log.h"
#include "wire/shm.h"

struct rdv;

struct rdv_link {
	bool up;
	uint32_t role;        /* sends in shm_ring(shm, role) */
	uint32_t epoch;       /* differs from that of the link before */
	struct shm_head *shm; /* valid until the next link but one is up, or rdv_close() */
	int wake_fd[2];       /* eventfds by the role that is woken; both ends have both. Made by the listening end
			       * and checked to be eventfds. A hostile one might block a writer even so: see rdv_msg.c. */
	int32_t peer_pid;
};

/* Take a seat at @path. Nothing is awaited: the link is down, rdv_step() does the rest.
 *
 * 0, or after one logged line that names path, reason and remedy:
 *   -EBUSY         the path has two ends already (the line has their pids)
 *   -ENAMETOOLONG  longer than a socket address can say in any way
 *   -EEXIST        there is something at the path that is no socket; it is left alone
 *   -EACCES        no permission, or the path belongs to another user
 *   -ENOENT, -ENOTDIR, -EROFS, -EMFILE, -ENOMEM ...  from the kernel
 */
int rdv_open(const char *path, const struct zf_log *log, struct rdv **out);

/* Do what can be done now; never blocks. @now_ns: any clock that does not go back. Returns the time of the next call,
 * UINT64_MAX for not before rdv_fd() is readable. One thread at a time. A change shows in rdv_link().
 */
uint64_t rdv_step(struct rdv *r, uint64_t now_ns);

const struct rdv_link *rdv_link(const struct rdv *r);

/* An epoll descriptor that is readable when rdv_step() has something to do: for a watcher on any thread. Each event
 * makes it readable once: the watcher calls rdv_fd_clear(), and is left in peace until something new happens even if
 * rdv_step() comes late.
 */
int rdv_fd(const struct rdv *r);
void rdv_fd_clear(int fd);

/* Leave. The last one out removes both files. */
void rdv_close(struct rdv *r);

#if defined(ZF_TEST) && ZF_TEST
/* Called at each step of the protocol, so that a test can stop or kill a process just there. */
enum rdv_point {
	RDV_AT_SEAT,      /* seat taken, not yet written down */
	RDV_AT_GATE,      /* gate held */
	RDV_AT_UNLINK,    /* stale socket removed */
	RDV_AT_BIND,      /* bound, not yet listening */
	RDV_AT_LISTEN,    /* listening, gate still held */
	RDV_AT_CONNECT,   /* connected, HELLO not yet sent, gate still held */
	RDV_AT_HELLO,     /* sent */
	RDV_AT_ACCEPT,    /* accepted, HELLO not yet read */
	RDV_AT_MEMORY,    /* HELLO read and memory made, WELCOME not yet sent */
	RDV_AT_WELCOME,   /* sent */
	RDV_AT_MAPPED,    /* WELCOME read and memory mapped, READY not yet sent */
	RDV_AT_READY,     /* sent: up here, not yet there */
	RDV_AT_UP,        /* READY read */
	RDV_AT_DOWN,      /* the other end is gone */
	RDV_AT_CLOSE,     /* gate held, files not yet removed */
	RDV_AT_N
};
extern void (*rdv_test_hook)(enum rdv_point at);
#endif

#endif
