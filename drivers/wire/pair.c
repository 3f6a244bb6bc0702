/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Wires inside one process: wire:NAME/a with wire:NAME/b, and wire:loop, which is a wire with one end.
 *
 * The two ends may belong to two threads and come and go in any order. A pair has one piece of memory, used again in
 * each epoch: a new one begins when both ends have let go of the last (drained it), is prepared by whoever was second
 * in that, under the lock, and is entered by each end on its own thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wire/wire_int.h"

#define NAME_MAX_CHARS 63

/* One end. All under wire_lock. */
struct end {
	struct wire *w; /* NULL: not open */
	bool ready;     /* started and out of all rings: wants the next epoch */
	bool in_epoch;  /* the last epoch began with this end, and it has not let go yet */
	bool pending;   /* ... and has not entered it either */
	bool alone;     /* the other end of this epoch has left */
};

struct pair {
	struct pair *next;
	struct shm_head *mem;
	uint32_t epoch;
	struct end end[2];
	int wake_fd[2]; /* eventfds by the role that is woken; they outlive the ends, who may write to each other's */
	char name[NAME_MAX_CHARS + 1];
};

static struct pair *pairs;

static void
pair_free(struct pair *p)
{
	if (p->mem != NULL)
		shm_release((uint8_t *)p->mem, 1);
	for (int i = 0; i < 2; i++)
		if (p->wake_fd[i] >= 0)
			close(p->wake_fd[i]);
	free(p);
}

static struct pair *
pair_alloc(const struct wire *w, const char *name, size_t len)
{
	struct pair *p = calloc(1, sizeof(*p));
	uint8_t *window = NULL;
	int fd = -1;
	int rc = -ENOMEM;

	if (p != NULL) {
		memcpy(p->name, name, len);
		p->wake_fd[0] = shm_eventfd();
		p->wake_fd[1] = shm_eventfd();
		rc = p->wake_fd[0] < 0 || p->wake_fd[1] < 0 ? -errno : shm_reserve(1, &window);
	}
	if (rc == 0) {
		p->mem = (struct shm_head *)(void *)window;
		rc = fd = shm_create();
	}
	if (fd >= 0) {
		rc = shm_map(window, fd);
		close(fd);
	}
	if (rc == 0)
		return p;
	zf_err(w->log, LC_CPLANE, "wire:%s: no memory or descriptor for its rings: %s (%d)", w->name, strerror(-rc),
	       -rc);
	if (p != NULL)
		pair_free(p);
	errno = -rc;
	return NULL;
}

/* Both ends have let go: begin an epoch. @w is the end whose thread this is. */
static void
begin_if_ready(struct pair *p, const struct wire *w)
{
	if (!p->end[0].ready || !p->end[1].ready)
		return;
	ring_clear(shm_ring(p->mem, 0));
	ring_clear(shm_ring(p->mem, 1));
	memset(p->mem->sleep, 0, sizeof(p->mem->sleep));
	p->epoch++;
	for (int i = 0; i < 2; i++) {
		struct end *e = &p->end[i];

		*e = (struct end){.w = e->w, .in_epoch = true, .pending = true};
		if (e->w != w)
			e->w->host->event(e->w->host->opaque, PORT_EV_SERVICE);
	}
}

static void
enter(struct wire *w, uint32_t role, uint32_t hears, uint32_t epoch)
{
	struct pair *p = w->pair;

	wire_go_up(w, &(struct wire_epoch){.mem = p->mem,
					   .role = role,
					   .hears = hears,
					   .number = epoch,
					   .own_fd = p->wake_fd[role],
					   .peer_fd = p->wake_fd[hears]});
}

/* All that can be done for the end @w. True while it drains. */
static bool
settle(struct wire *w, uint64_t now_ns)
{
	struct pair *p = w->pair;
	struct end *e = &p->end[w->side];

	/* At most: up, alone, drained, ready, up again. */
	for (int i = 0; i < 4; i++) {
		if (e->pending) {
			e->pending = false;
			enter(w, w->side, !w->side, p->epoch);
		}
		if (e->alone && wire_state(w) == WIRE_UP)
			wire_go_drain(w);
		if (wire_state(w) == WIRE_DRAINING) {
			if (!wire_drained(w, now_ns))
				return true;
			*e = (struct end){.w = w, .ready = true};
			begin_if_ready(p, w);
		}
		if (!e->pending)
			break;
	}
	return false;
}

/* The parts of NAME/a. */
static int
parse_name(struct wire *w, size_t *len)
{
	const char *slash = strchr(w->name, '/');

	*len = slash != NULL ? (size_t)(slash - w->name) : 0;
	if (*len > 0 && *len <= NAME_MAX_CHARS && (slash[1] == 'a' || slash[1] == 'b') && slash[2] == '\0') {
		w->side = slash[1] == 'b';
		return 0;
	}
	zf_err(w->log, LC_CPLANE,
	       "wire:%s: write wire:loop, wire:NAME/a and wire:NAME/b (NAME of 1 to %d characters) for two stacks of one "
	       "process, or wire:/PATH for two processes",
	       w->name, NAME_MAX_CHARS);
	return -EINVAL;
}

static int
join(struct wire *w, size_t len)
{
	struct pair *p;

	for (p = pairs; p != NULL; p = p->next)
		if (strlen(p->name) == len && memcmp(p->name, w->name, len) == 0)
			break;
	if (p == NULL) {
		p = pair_alloc(w, w->name, len);
		if (p == NULL)
			return -errno;
		p->next = pairs;
		pairs = p;
	}
	if (p->end[w->side].w != NULL) {
		zf_err(w->log, LC_CPLANE, "wire:%s is open already in this process: take the other end or another name",
		       w->name);
		return -EBUSY;
	}
	p->end[w->side] = (struct end){.w = w};
	w->pair = p;
	w->sleep_fd = p->wake_fd[w->side];
	return 0;
}

static int
pair_open(struct wire *w)
{
	size_t len;
	int rc;

	if (strcmp(w->name, "loop") == 0) {
		w->pair = pair_alloc(w, "", 0);
		if (w->pair == NULL)
			return -ENOMEM;
		w->sleep_fd = w->pair->wake_fd[0];
		return 0;
	}
	rc = parse_name(w, &len);
	if (rc != 0)
		return rc;
	pthread_mutex_lock(&wire_lock);
	rc = join(w, len);
	pthread_mutex_unlock(&wire_lock);
	if (rc == -EBUSY || rc == 0)
		return rc;
	return -ENOMEM;
}

static bool
is_loop(const struct wire *w)
{
	return w->pair->name[0] == '\0';
}

static int
pair_start(struct wire *w)
{
	struct pair *p = w->pair;

	pthread_mutex_lock(&wire_lock);
	if (is_loop(w)) {
		enter(w, 0, 0, 1);
	} else {
		p->end[w->side].ready = true;
		begin_if_ready(p, w);
		(void)settle(w, 0);
	}
	pthread_mutex_unlock(&wire_lock);
	return 0;
}

static uint64_t
pair_service(struct wire *w, uint64_t now_ns)
{
	bool draining;

	if (is_loop(w))
		return UINT64_MAX;
	pthread_mutex_lock(&wire_lock);
	draining = settle(w, now_ns);
	pthread_mutex_unlock(&wire_lock);
	return draining ? now_ns + WIRE_RECHECK_NS : UINT64_MAX;
}

static void
leave(struct wire *w)
{
	struct pair *p = w->pair;
	struct end *other = &p->end[!w->side];
	struct pair **at = &pairs;

	p->end[w->side] = (struct end){0};
	if (other->w != NULL) {
		other->alone = other->in_epoch;
		other->w->host->event(other->w->host->opaque, PORT_EV_SERVICE);
		return;
	}
	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	pair_free(p);
}

static void
pair_close(struct wire *w)
{
	if (is_loop(w)) {
		pair_free(w->pair);
		return;
	}
	pthread_mutex_lock(&wire_lock);
	leave(w);
	pthread_mutex_unlock(&wire_lock);
}

const struct wire_kind wire_pair_kind = {
	.open = pair_open,
	.start = pair_start,
	.service = pair_service,
	.close = pair_close,
};
