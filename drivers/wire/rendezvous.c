/* SPDX-License-Identifier: BSD-3-Clause
 *
 * One end of a rendezvous as a state machine; see rendezvous.h for the protocol. Files and locks are rdv_files.c's,
 * messages rdv_msg.c's. Order in every state: first look what arrived, then whether it is too late, so that an end
 * that is stepped rarely still gets through.
 */
#include "wire/rendezvous.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "wire/rdv_int.h"

#define MS 1000000ull

#define GATE_FIRST_NS (MS / 10)      /* wait for a busy gate, doubled each time */
#define GATE_LAST_NS  (50 * MS)
#define GATE_SAY_NS   (1000 * MS)    /* a gate that is busy so long is worth a line */
#define ANSWER_NS     (2000 * MS)    /* connecting end: until WELCOME, then a new attempt */
#define CANDIDATE_NS  (10000 * MS)   /* listening end: HELLO and READY; a newer connection ends it at once */
#define RETRY_NS      (1000 * MS)    /* after a refusal or an error */
#define LOOK_NS       (1000 * MS)    /* listening, link down: is the path still ours? */
#define STEPS_MAX     32             /* of one call */
#define CHATTER_MAX   16             /* messages and refusals of one step while up */

enum state {
	S_GATE,    /* not connected: wants the gate */
	S_WELCOME, /* connected, HELLO sent */
	S_LISTEN,  /* nobody here */
	S_HELLO,   /* accepted */
	S_READY,   /* WELCOME sent */
	S_UP,
};

/* Complaints are made once until the link was up again. */
enum said {
	SAID_GATE = 1u << 0,
	SAID_ANSWER = 1u << 1,
	SAID_VERSION = 1u << 2,
	SAID_USER = 1u << 3,
	SAID_PROTO = 1u << 4,
	SAID_BUSY = 1u << 5,
	SAID_THIRD = 1u << 6,
	SAID_NOMEM = 1u << 7,
	SAID_FILES = 1u << 8,
};

struct rdv {
	struct rdv_files files;
	const struct zf_log *log;
	char *path;

	enum state state;
	bool server;        /* the listening end */
	uint32_t said;
	uint32_t last_epoch;
	uint32_t next_window;
	uint64_t deadline;  /* of the state */
	uint64_t gate_wait;
	uint64_t gate_since;

	int ep_fd;
	int listen_fd;
	int conn_fd;
	int32_t conn_pid;
	uint8_t *windows;   /* two, used in turn: the old memory stays readable while the new is set up */
	struct rdv_link link;
};

#if defined(ZF_TEST) && ZF_TEST
void (*rdv_test_hook)(enum rdv_point at);
#endif

/* True the first time. */
static bool
say(struct rdv *r, enum said what)
{
	bool first = (r->said & what) == 0;

	r->said |= what;
	return first;
}

static void
watch(struct rdv *r, int fd)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.fd = fd};

	(void)epoll_ctl(r->ep_fd, EPOLL_CTL_ADD, fd, &ev);
}

static void
drop_fd(struct rdv *r, int *fd)
{
	if (*fd < 0)
		return;
	/* By hand: a forked child's copy would keep it in the set. */
	(void)epoll_ctl(r->ep_fd, EPOLL_CTL_DEL, *fd, NULL);
	close(*fd);
	*fd = -1;
}

static void
drop_wake_fds(struct rdv *r)
{
	for (int i = 0; i < 2; i++) {
		if (r->link.wake_fd[i] >= 0)
			close(r->link.wake_fd[i]);
		r->link.wake_fd[i] = -1;
	}
}

static void
go_gate(struct rdv *r, uint64_t at)
{
	drop_fd(r, &r->conn_fd);
	drop_fd(r, &r->listen_fd);
	r->server = false;
	r->state = S_GATE;
	r->deadline = at;
	r->gate_wait = GATE_FIRST_NS;
	r->gate_since = at;
}

static void
go_listen(struct rdv *r, uint64_t now)
{
	drop_fd(r, &r->conn_fd);
	r->state = S_LISTEN;
	r->deadline = now + LOOK_NS;
}

/* The attempt failed, or the link is gone. */
static void
go_back(struct rdv *r, uint64_t now, uint64_t wait)
{
	if (r->server)
		go_listen(r, now);
	else
		go_gate(r, now + wait);
}

static void
go_up(struct rdv *r, uint32_t role)
{
	r->said = 0;
	r->state = S_UP;
	r->deadline = UINT64_MAX;
	r->link.role = role;
	r->link.peer_pid = r->conn_pid;
	r->link.epoch = r->last_epoch;
	r->link.up = true;
	zf_info(r->log, LC_CPLANE, "wire:%s: link up with pid %d, epoch %u", r->path, (int)r->conn_pid,
		r->last_epoch);
}

/* The peer spoke in a way that ends the attempt: @rc as rdv_msg_recv(). */
static void
complain(struct rdv *r, int rc, const struct rdv_msg *m)
{
	if (rc == -EPROTONOSUPPORT) {
		if (say(r, SAID_VERSION))
			zf_err(r->log, LC_CPLANE,
			       "wire:%s: pid %d speaks version %u with slots of %u bytes, this process version %u with "
			       "%u: use the same release at both ends",
			       r->path, (int)r->conn_pid, m->version, m->layout.stride, SHM_VERSION, RING_STRIDE);
	} else if (rc == -EPROTO) {
		if (say(r, SAID_PROTO))
			zf_err(r->log, LC_CPLANE,
			       "wire:%s: pid %d says what no wire says: is the path used for something else?",
			       r->path, (int)r->conn_pid);
	}
}

static void
files_failed(struct rdv *r, const char *what, int rc)
{
	if (say(r, SAID_FILES))
		zf_err(r->log, LC_CPLANE, "wire:%s: cannot %s: %s (%d): the link stays down, trying again each second",
		       r->path, what, strerror(-rc), -rc);
}

/* ---- behind the gate ---- */

static void
connect_or_listen(struct rdv *r, uint64_t now)
{
	int fd = rdv_files_connect(&r->files);

	if (fd >= 0) {
		uid_t uid;

		r->conn_fd = fd;
		if (rdv_msg_peer(fd, &uid, &r->conn_pid) != 0) {
			if (say(r, SAID_USER))
				zf_err(r->log, LC_CPLANE,
				       "wire:%s: pid %d there is run by user %u: run both ends as one user", r->path,
				       (int)r->conn_pid, (unsigned int)uid);
			go_gate(r, now + RETRY_NS);
			return;
		}
		watch(r, fd);
		/* Should it fail, there may be a refusal to read. */
		(void)rdv_msg_send(fd, RDV_HELLO, r->last_epoch, RDV_NO_REASON, NULL);
		rdv_point(RDV_AT_HELLO);
		r->state = S_WELCOME;
		r->deadline = now + ANSWER_NS;
		return;
	}
	if (fd == -EAGAIN) {
		/* Somebody listens but does not take our connections. */
		go_gate(r, now + GATE_LAST_NS);
		return;
	}
	if (fd == -ECONNREFUSED || fd == -ENOENT) {
		fd = rdv_files_listen(&r->files);
		if (fd >= 0) {
			r->listen_fd = fd;
			r->server = true;
			watch(r, fd);
			go_listen(r, now);
			return;
		}
		files_failed(r, "listen there", fd);
	} else {
		files_failed(r, "connect to what is there", fd);
	}
	go_gate(r, now + RETRY_NS);
}

static bool
step_gate(struct rdv *r, uint64_t now)
{
	int rc;

	if (now < r->deadline)
		return false;
	rc = rdv_files_gate(&r->files);
	if (rc == 0) {
		connect_or_listen(r, now);
		rdv_files_ungate(&r->files);
		return true;
	}
	if (rc == -ESTALE)
		return true; /* the lock file was replaced: at once again with the new one */
	if (rc == -EAGAIN) {
		r->deadline = now + r->gate_wait;
		r->gate_wait = ZF_MIN(2 * r->gate_wait, GATE_LAST_NS);
		if (now - r->gate_since >= GATE_SAY_NS && say(r, SAID_GATE))
			zf_warn(r->log, LC_CPLANE, "wire:%s: another process holds %s.lock and does not go on; waiting",
				r->path, r->path);
		return false;
	}
	if (rc != -EBUSY) /* that had its line */
		files_failed(r, "use its lock file", rc);
	r->deadline = now + RETRY_NS;
	return false;
}

/* ---- the connecting end ---- */

/* 0, or -errno: the memory is at @window and says what the message said. */
static int
take_memory(struct rdv *r, uint8_t *window, int mem_fd, uint32_t epoch)
{
	struct shm_head *h = (struct shm_head *)(void *)window;
	int rc = shm_check(mem_fd);

	if (rc == 0)
		rc = shm_map(window, mem_fd);
	if (rc != 0)
		return rc;
	if (h->magic != SHM_MAGIC || h->version != SHM_VERSION || h->epoch != epoch)
		return -EPROTO;
	h->pid[1] = getpid();
	return 0;
}

static void
take_welcome(struct rdv *r, uint64_t now, const struct rdv_msg *m, int fds[RDV_FDS])
{
	uint8_t *window = r->windows + (size_t)r->next_window * SHM_BYTES;
	int rc = fds[0] < 0 ? -EPROTO : take_memory(r, window, fds[0], m->epoch);

	if (fds[0] >= 0)
		close(fds[0]);
	drop_wake_fds(r);
	r->link.wake_fd[0] = rdv_msg_eventfd(fds[1]);
	r->link.wake_fd[1] = rdv_msg_eventfd(fds[2]);
	if (rc == -EPROTO || rc == -EINVAL) {
		complain(r, -EPROTO, m);
	} else if (rc != 0) {
		if (say(r, SAID_NOMEM))
			zf_err(r->log, LC_CPLANE, "wire:%s: cannot map the shared memory: %s (%d)", r->path,
			       strerror(-rc), -rc);
	}
	if (rc == 0)
		rdv_point(RDV_AT_MAPPED);
	if (rc != 0 || rdv_msg_send(r->conn_fd, RDV_READY, m->epoch, RDV_NO_REASON, NULL) != 0) {
		go_gate(r, now + (rc != 0 ? RETRY_NS : 0));
		return;
	}
	rdv_point(RDV_AT_READY);
	r->last_epoch = m->epoch;
	r->next_window ^= 1;
	r->link.shm = (struct shm_head *)(void *)window;
	go_up(r, 1);
}

static void
take_refusal(struct rdv *r, uint64_t now, const struct rdv_msg *m)
{
	if (m->reason == RDV_BUSY && say(r, SAID_BUSY))
		zf_err(r->log, LC_CPLANE, "wire:%s: pid %d has another end already", r->path, (int)r->conn_pid);
	else if (m->reason == RDV_USER && say(r, SAID_USER))
		zf_err(r->log, LC_CPLANE, "wire:%s: pid %d is run by another user: run both ends as one user", r->path,
		       (int)r->conn_pid);
	else if (m->reason == RDV_NOMEM && say(r, SAID_NOMEM))
		zf_err(r->log, LC_CPLANE, "wire:%s: pid %d has no memory or descriptors left for a wire", r->path,
		       (int)r->conn_pid);
	go_gate(r, now + RETRY_NS);
}

static bool
step_welcome(struct rdv *r, uint64_t now)
{
	struct rdv_msg m;
	int fds[RDV_FDS];
	int rc = rdv_msg_recv(r->conn_fd, &m, fds);

	if (rc == 1 && m.type == RDV_WELCOME) {
		take_welcome(r, now, &m, fds);
		return true;
	}
	if (rc == 1) {
		for (int i = 0; i < RDV_FDS; i++)
			if (fds[i] >= 0)
				close(fds[i]);
		if (m.type == RDV_REFUSE) {
			take_refusal(r, now, &m);
			return true;
		}
		rc = -EPROTO;
	}
	if (rc < 0) {
		complain(r, rc, &m);
		go_gate(r, now + (rc == -ECONNRESET ? GATE_FIRST_NS : RETRY_NS));
		return true;
	}
	if (now < r->deadline)
		return false;
	if (say(r, SAID_ANSWER))
		zf_warn(r->log, LC_CPLANE, "wire:%s: pid %d listens but does not answer; waiting for it", r->path,
			(int)r->conn_pid);
	go_gate(r, now);
	return true;
}

/* ---- the listening end ---- */

static void
refuse(struct rdv *r, int fd, enum rdv_reason why)
{
	(void)rdv_msg_send(fd, RDV_REFUSE, r->last_epoch, why, NULL);
}

/* A new connection of a process of this user, or -1. */
static int
accept_one(struct rdv *r, int32_t *pid)
{
	int fd = accept4(r->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	uid_t uid;

	if (fd < 0) {
		if ((errno == EMFILE || errno == ENFILE || errno == ENOMEM) && say(r, SAID_NOMEM))
			zf_err(r->log, LC_CPLANE, "wire:%s: cannot accept the other end: %s (%d)", r->path,
			       strerror(errno), errno);
		return -1;
	}
	if (rdv_msg_peer(fd, &uid, pid) == 0)
		return fd;
	if (say(r, SAID_USER))
		zf_err(r->log, LC_CPLANE, "wire:%s: pid %d of user %u refused: run both ends as one user", r->path,
		       (int)*pid, (unsigned int)uid);
	refuse(r, fd, RDV_USER);
	close(fd);
	return -1;
}

/* The newest connection counts: an older one that has not got through belongs to an attempt that was given up. */
static bool
accept_candidate(struct rdv *r, uint64_t now)
{
	int32_t pid;
	int fd = accept_one(r, &pid);

	if (fd < 0)
		return false;
	drop_fd(r, &r->conn_fd);
	r->conn_fd = fd;
	r->conn_pid = pid;
	watch(r, fd);
	rdv_point(RDV_AT_ACCEPT);
	r->state = S_HELLO;
	r->deadline = now + CANDIDATE_NS;
	return true;
}

static bool
step_listen(struct rdv *r, uint64_t now)
{
	if (accept_candidate(r, now))
		return true;
	if (now < r->deadline)
		return false;
	/* Somebody may have removed our files; others would then meet without us. */
	if (!rdv_files_valid(&r->files)) {
		go_gate(r, now);
		return true;
	}
	r->deadline = now + LOOK_NS;
	return false;
}

/* Memory of a new epoch at @window, and the three descriptors to send. 0 or -errno, nothing left behind. */
static int
make_memory(uint8_t *window, uint32_t epoch, int32_t peer, int fds[RDV_FDS])
{
	struct shm_head *h = (struct shm_head *)(void *)window;
	int rc;

	fds[1] = fds[2] = -1;
	fds[0] = shm_create();
	if (fds[0] < 0)
		return fds[0];
	rc = shm_map(window, fds[0]);
	for (int i = 1; i <= 2 && rc == 0; i++) {
		fds[i] = shm_eventfd();
		if (fds[i] < 0)
			rc = -errno;
	}
	if (rc != 0) {
		for (int i = 0; i < RDV_FDS; i++)
			if (fds[i] >= 0)
				close(fds[i]);
		return rc;
	}
	h->version = SHM_VERSION;
	h->epoch = epoch;
	h->layout = SHM_LAYOUT;
	h->pid[0] = getpid();
	h->pid[1] = peer;
	h->magic = SHM_MAGIC;
	return 0;
}

static void
answer_hello(struct rdv *r, uint64_t now, const struct rdv_msg *m)
{
	uint8_t *window = r->windows + (size_t)r->next_window * SHM_BYTES;
	uint32_t epoch = ZF_MAX(r->last_epoch, m->epoch) + 1;
	int fds[RDV_FDS];
	int rc = make_memory(window, epoch, r->conn_pid, fds);

	if (rc != 0) {
		if (say(r, SAID_NOMEM))
			zf_err(r->log, LC_CPLANE, "wire:%s: cannot make the shared memory: %s (%d)", r->path,
			       strerror(-rc), -rc);
		refuse(r, r->conn_fd, RDV_NOMEM);
		go_listen(r, now);
		return;
	}
	rdv_point(RDV_AT_MEMORY);
	rc = rdv_msg_send(r->conn_fd, RDV_WELCOME, epoch, RDV_NO_REASON, fds);
	close(fds[0]);
	drop_wake_fds(r);
	r->link.wake_fd[0] = fds[1];
	r->link.wake_fd[1] = fds[2];
	if (rc != 0) {
		go_listen(r, now);
		return;
	}
	rdv_point(RDV_AT_WELCOME);
	r->last_epoch = epoch;
	r->state = S_READY;
	r->deadline = now + CANDIDATE_NS;
}

static bool
step_candidate(struct rdv *r, uint64_t now)
{
	struct rdv_msg m;
	int rc = rdv_msg_recv(r->conn_fd, &m, NULL);

	if (rc == 1 && r->state == S_HELLO && m.type == RDV_HELLO) {
		answer_hello(r, now, &m);
		return true;
	}
	if (rc == 1 && r->state == S_READY && m.type == RDV_READY && m.epoch == r->last_epoch) {
		rdv_point(RDV_AT_UP);
		r->link.shm = (struct shm_head *)(void *)(r->windows + (size_t)r->next_window * SHM_BYTES);
		r->next_window ^= 1;
		go_up(r, 0);
		return true;
	}
	if (rc == 0) {
		if (accept_candidate(r, now))
			return true;
		if (now < r->deadline)
			return false;
	} else {
		if (rc == 1)
			rc = -EPROTO;
		if (rc == -EPROTONOSUPPORT)
			refuse(r, r->conn_fd, RDV_VERSION);
		complain(r, rc, &m);
	}
	go_listen(r, now);
	return true;
}

/* ---- up ---- */

static bool
step_up(struct rdv *r, uint64_t now)
{
	struct rdv_msg m;
	int rc = 1;

	/* A message means nothing now; one after the other without end means that the peer is out of its mind. */
	for (int i = 0; i < CHATTER_MAX && rc == 1; i++)
		rc = rdv_msg_recv(r->conn_fd, &m, NULL);
	if (rc != 0) {
		r->link.up = false;
		drop_wake_fds(r);
		zf_info(r->log, LC_CPLANE, "wire:%s: link down, pid %d is gone; waiting for another", r->path,
			(int)r->conn_pid);
		rdv_point(RDV_AT_DOWN);
		go_back(r, now, 0);
		return true;
	}
	for (int i = 0; i < CHATTER_MAX && r->server; i++) {
		int32_t pid;
		int fd = accept_one(r, &pid);

		if (fd < 0)
			break;
		if (say(r, SAID_THIRD))
			zf_warn(r->log, LC_CPLANE, "wire:%s already has two ends: pids %d and %d; pid %d refused",
				r->path, (int)getpid(), (int)r->conn_pid, (int)pid);
		refuse(r, fd, RDV_BUSY);
		close(fd);
	}
	return false;
}

uint64_t
rdv_step(struct rdv *r, uint64_t now_ns)
{
	const bool was_up = r->link.up;
	bool more = true;

	for (int i = 0; i < STEPS_MAX && more; i++) {
		switch (r->state) {
		case S_GATE:
			more = step_gate(r, now_ns);
			break;
		case S_WELCOME:
			more = step_welcome(r, now_ns);
			break;
		case S_LISTEN:
			more = step_listen(r, now_ns);
			break;
		case S_HELLO:
		case S_READY:
			more = step_candidate(r, now_ns);
			break;
		case S_UP:
			more = step_up(r, now_ns);
			break;
		}
		/* One change of the link in a call: the caller must see each. */
		if (r->link.up != was_up)
			return now_ns;
	}
	return more ? now_ns : r->deadline;
}

int
rdv_open(const char *path, const struct zf_log *log, struct rdv **out)
{
	struct rdv *r = calloc(1, sizeof(*r));
	int rc = -ENOMEM;

	if (r == NULL || (r->path = strdup(path)) == NULL)
		goto no_memory;
	r->log = log;
	r->listen_fd = r->conn_fd = -1;
	r->link.wake_fd[0] = r->link.wake_fd[1] = -1;
	r->gate_wait = GATE_FIRST_NS;
	r->ep_fd = epoll_create1(EPOLL_CLOEXEC);
	if (r->ep_fd < 0) {
		rc = -errno;
		zf_err(log, LC_CPLANE, "wire:%s: no epoll descriptor: %s (%d)", path, strerror(-rc), -rc);
		goto no_line;
	}
	rc = shm_reserve(2, &r->windows);
	if (rc != 0) {
		close(r->ep_fd);
		goto no_memory;
	}
	rc = rdv_files_open(&r->files, r->path, log);
	if (rc != 0) {
		shm_release(r->windows, 2);
		close(r->ep_fd);
		goto no_line;
	}
	*out = r;
	return 0;

no_memory:
	zf_err(log, LC_CPLANE, "wire:%s: out of memory", path);
no_line:
	if (r != NULL)
		free(r->path);
	free(r);
	return rc;
}

void
rdv_close(struct rdv *r)
{
	/* The connection last: when the other end notices, the path is free for it. */
	rdv_files_close(&r->files);
	/* Not by closing alone: a process that forked may have copies, and the other end would take us for alive. */
	if (r->listen_fd >= 0)
		(void)shutdown(r->listen_fd, SHUT_RDWR);
	if (r->conn_fd >= 0)
		(void)shutdown(r->conn_fd, SHUT_RDWR);
	drop_fd(r, &r->listen_fd);
	drop_fd(r, &r->conn_fd);
	drop_wake_fds(r);
	close(r->ep_fd);
	shm_release(r->windows, 2);
	free(r->path);
	free(r);
}

const struct rdv_link *
rdv_link(const struct rdv *r)
{
	return &r->link;
}

int
rdv_fd(const struct rdv *r)
{
	return r->ep_fd;
}

void
rdv_fd_clear(int fd)
{
	struct epoll_event ev[4];

	/* Edge-triggered: looking is enough. At most two descriptors are in the set. */
	(void)epoll_wait(fd, ev, 4, 0);
}
