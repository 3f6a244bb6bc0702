/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Wires between two processes: what ties the rendezvous (rendezvous.h, which knows no EAL and no stack) to a port.
 *
 * Somebody has to look at the rendezvous while the stack's thread is busy with frames: EAL's interrupt thread watches
 * its descriptor and sets PORT_EV_SERVICE; the stack's own thread then does the work. No system call happens on the
 * data path, and none at all while the link is up and the other end lives. Where there is no such thread (a forked
 * child, or EAL refuses) the rendezvous is looked at every WIRE_POLL_NS.
 */
/* The calls that make an interrupt handle have been on trial since DPDK 21.11, and there are no others. */
#define ALLOW_EXPERIMENTAL_API

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include <rte_interrupts.h>

#include "wire/rendezvous.h"
#include "wire/wire_int.h"

#define CLOSE_TRIES 100000 /* against a callback under way, which takes microseconds */

struct path_end {
	struct path_end *next; /* on the list of the process */
	struct wire *w;
	struct rdv *rdv;
	struct rte_intr_handle *intr;
	uint32_t epoch;        /* that the rings belong to */
	int wake_fd[2];        /* own, other end's: copies of the rendezvous', which lets go of its own at a new link */
	bool watched;
	_Atomic bool forked;   /* this is the child: there is no watcher */
};

static struct path_end *ends;
static pthread_once_t at_fork_once = PTHREAD_ONCE_INIT;

static void
fork_prepare(void)
{
	pthread_mutex_lock(&wire_lock);
}

static void
fork_parent(void)
{
	pthread_mutex_unlock(&wire_lock);
}

static void
fork_child(void)
{
	for (struct path_end *e = ends; e != NULL; e = e->next) {
		atomic_store_explicit(&e->forked, true, memory_order_relaxed);
		e->w->host->event(e->w->host->opaque, PORT_EV_SERVICE);
	}
	pthread_mutex_unlock(&wire_lock);
}

static void
at_fork(void)
{
	(void)pthread_atfork(fork_prepare, fork_parent, fork_child);
}

/* EAL's interrupt thread. The descriptor is quiet after this until something else happens, so a stack that comes late
 * does not make this thread spin.
 */
static void
on_event(void *arg)
{
	struct path_end *e = arg;

	rdv_fd_clear(rdv_fd(e->rdv));
	pthread_mutex_lock(&wire_lock);
	e->w->host->event(e->w->host->opaque, PORT_EV_SERVICE);
	pthread_mutex_unlock(&wire_lock);
}

static void
watch(struct path_end *e)
{
	/* A daemon: EAL would take the order, and has no thread to carry it out. */
	if (e->w->host->forked) {
		atomic_store_explicit(&e->forked, true, memory_order_relaxed);
		return;
	}
	e->intr = rte_intr_instance_alloc(RTE_INTR_INSTANCE_F_PRIVATE);
	if (e->intr != NULL && rte_intr_fd_set(e->intr, rdv_fd(e->rdv)) == 0 &&
	    rte_intr_type_set(e->intr, RTE_INTR_HANDLE_EXT) == 0 &&
	    rte_intr_callback_register(e->intr, on_event, e) == 0) {
		e->watched = true;
		return;
	}
	zf_info(e->w->log, LC_CPLANE, "wire:%s: EAL does not watch it; looking every %u ms instead", e->w->name,
		(unsigned int)(WIRE_POLL_NS / 1000000));
}

/* False if the callback may still come: then what it uses must stay. */
static bool
unwatch(struct path_end *e)
{
	int rc = 0;

	/* In a forked child EAL's lock may be held by a thread that is not there, and nobody calls us anyway. */
	if (atomic_load_explicit(&e->forked, memory_order_relaxed))
		return true;
	if (e->watched) {
		for (int i = 0; i < CLOSE_TRIES; i++) {
			rc = rte_intr_callback_unregister(e->intr, on_event, e);
			if (rc != -EAGAIN)
				break;
			(void)sched_yield();
		}
	}
	if (zf_bug(rc == -EAGAIN))
		return false;
	if (e->intr != NULL)
		rte_intr_instance_free(e->intr);
	return true;
}

/* The driver line knows fewer codes than the kernel. */
static int
open_error(int rc)
{
	switch (rc) {
	case -EBUSY:
	case -EACCES:
	case -EPERM:
	case -ENOMEM:
		return rc;
	case -ENOENT:
	case -ENOTDIR:
		return -ENODEV;
	case -EROFS:
		return -EACCES;
	case -EMFILE:
	case -ENFILE:
	case -ENOLCK:
	case -ENOSPC:
		return -ENOMEM;
	default:
		return -EINVAL;
	}
}

static int
path_open(struct wire *w)
{
	struct path_end *e = calloc(1, sizeof(*e));
	int rc;

	if (e == NULL) {
		zf_err(w->log, LC_CPLANE, "wire:%s: out of memory", w->name);
		return -ENOMEM;
	}
	e->w = w;
	e->wake_fd[0] = e->wake_fd[1] = -1;
	rc = rdv_open(w->name, w->log, &e->rdv);
	if (rc != 0) {
		free(e);
		return open_error(rc);
	}
	w->end = e;
	w->sleep_fd = epoll_create1(EPOLL_CLOEXEC); /* none left: a stack on it looks instead of sleeping */
	(void)pthread_once(&at_fork_once, at_fork);
	pthread_mutex_lock(&wire_lock);
	e->next = ends;
	ends = e;
	pthread_mutex_unlock(&wire_lock);
	return 0;
}

static void
drop_wake_fds(struct path_end *e)
{
	/* The file lives on in the other process: closing alone would not take it out of the set. */
	if (e->wake_fd[0] >= 0)
		(void)epoll_ctl(e->w->sleep_fd, EPOLL_CTL_DEL, e->wake_fd[0], NULL);
	for (int i = 0; i < 2; i++) {
		if (e->wake_fd[i] >= 0)
			close(e->wake_fd[i]);
		e->wake_fd[i] = -1;
	}
}

/* The link is up. Without descriptors frames flow all the same, and nobody sleeps. */
static void
enter(struct path_end *e, const struct rdv_link *l)
{
	struct epoll_event ev = {.events = EPOLLIN};

	drop_wake_fds(e);
	e->wake_fd[0] = fcntl(l->wake_fd[l->role], F_DUPFD_CLOEXEC, 3);
	e->wake_fd[1] = fcntl(l->wake_fd[!l->role], F_DUPFD_CLOEXEC, 3);
	if (e->wake_fd[0] < 0 || e->wake_fd[1] < 0 ||
	    epoll_ctl(e->w->sleep_fd, EPOLL_CTL_ADD, e->wake_fd[0], &ev) < 0)
		drop_wake_fds(e);
	wire_go_up(e->w, &(struct wire_epoch){.mem = l->shm,
					      .role = l->role,
					      .hears = !l->role,
					      .number = l->epoch,
					      .own_fd = e->wake_fd[0],
					      .peer_fd = e->wake_fd[1]});
}

static uint64_t
path_service(struct wire *w, uint64_t now_ns)
{
	struct path_end *e = w->end;
	const struct rdv_link *l = rdv_link(e->rdv);
	uint64_t next = now_ns;

	/* While the old ring drains the rendezvous rests: it would map the next but one epoch over it. */
	for (int i = 0; i < 4; i++) {
		if (wire_state(w) == WIRE_DRAINING && !wire_drained(w, now_ns))
			return now_ns + WIRE_RECHECK_NS;
		next = rdv_step(e->rdv, now_ns);
		if (wire_state(w) == WIRE_UP && (!l->up || l->epoch != e->epoch)) {
			pthread_mutex_lock(&wire_lock);
			wire_go_drain(w);
			drop_wake_fds(e);
			pthread_mutex_unlock(&wire_lock);
			continue;
		}
		if (wire_state(w) == WIRE_IDLE && l->up) {
			e->epoch = l->epoch;
			pthread_mutex_lock(&wire_lock);
			enter(e, l);
			pthread_mutex_unlock(&wire_lock);
		}
		break;
	}
	if (!e->watched || atomic_load_explicit(&e->forked, memory_order_relaxed))
		next = ZF_MIN(next, now_ns + WIRE_POLL_NS);
	return next;
}

static int
path_start(struct wire *w)
{
	struct timespec ts;

	watch(w->end);
	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	(void)path_service(w, (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec);
	/* For the time of the next call, which start() cannot say. */
	pthread_mutex_lock(&wire_lock);
	w->host->event(w->host->opaque, PORT_EV_SERVICE);
	pthread_mutex_unlock(&wire_lock);
	return 0;
}

static void
path_close(struct wire *w)
{
	struct path_end *e = w->end;
	struct path_end **at = &ends;

	pthread_mutex_lock(&wire_lock);
	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	pthread_mutex_unlock(&wire_lock);
	if (!unwatch(e))
		return;
	drop_wake_fds(e);
	if (w->sleep_fd >= 0)
		close(w->sleep_fd);
	rdv_close(e->rdv);
	free(e);
}

const struct wire_kind wire_path_kind = {
	.open = path_open,
	.start = path_start,
	.service = path_service,
	.close = path_close,
};
