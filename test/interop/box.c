/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See box.h. Each direction keeps its frames in a heap ordered by the time when they are due.
 */
#include "box.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FRAME_MAX 1600
#define HELD_MAX  8192
#define BURST     64

struct held {
	uint64_t due, order;
	uint32_t len;
	uint8_t frame[FRAME_MAX];
};

struct way {
	struct box_way cfg;
	struct box_stats st;
	struct held *frames; /* HELD_MAX */
	uint16_t heap[HELD_MAX], spare[HELD_MAX];
	uint32_t n, n_spare;
	uint64_t order, free_at; /* when the line is free again */
	uint64_t rng;
	int in, out;
};

static struct way ways[2];
static pthread_t thread;
static atomic_bool stop;

static uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint32_t
chance(struct way *w)
{
	w->rng ^= w->rng << 13;
	w->rng ^= w->rng >> 7;
	w->rng ^= w->rng << 17;
	return (uint32_t)((w->rng >> 11) % 1000000u);
}

static bool
before(const struct way *w, uint16_t a, uint16_t b)
{
	const struct held *x = &w->frames[a], *y = &w->frames[b];

	return x->due < y->due || (x->due == y->due && x->order < y->order);
}

static void
heap_put(struct way *w, uint16_t f)
{
	uint32_t i = w->n++;

	for (; i > 0 && before(w, f, w->heap[(i - 1) / 2]); i = (i - 1) / 2)
		w->heap[i] = w->heap[(i - 1) / 2];
	w->heap[i] = f;
}

static uint16_t
heap_take(struct way *w)
{
	uint16_t top = w->heap[0], f = w->heap[--w->n];
	uint32_t i = 0, k;

	while ((k = 2 * i + 1) < w->n) {
		if (k + 1 < w->n && before(w, w->heap[k + 1], w->heap[k]))
			k++;
		if (!before(w, w->heap[k], f))
			break;
		w->heap[i] = w->heap[k];
		i = k;
	}
	w->heap[i] = f;
	return top;
}

/* Congestion experienced, where the sender can be told (RFC 3168); the header's checksum by RFC 1624. */
static void
mark(struct way *w, uint8_t *frame, uint32_t len)
{
	uint8_t *ip = frame + ETH_HLEN;
	uint16_t was, is, sum;
	uint32_t x;

	if (len < ETH_HLEN + 20 || (ip[1] & 3) == 0 || (ip[1] & 3) == 3 || chance(w) >= w->cfg.ce_ppm)
		return;
	memcpy(&was, ip, 2);
	ip[1] |= 3;
	memcpy(&is, ip, 2);
	memcpy(&sum, ip + 10, 2);
	x = (uint16_t)~sum + (uint32_t)(uint16_t)~was + is;
	x = (x & 0xffff) + (x >> 16);
	x = (x & 0xffff) + (x >> 16);
	sum = (uint16_t)~x;
	memcpy(ip + 10, &sum, 2);
	w->st.marked++;
}

static void
hold(struct way *w, const uint8_t *frame, uint32_t len, uint64_t due)
{
	uint16_t f;

	if (w->n_spare == 0) {
		w->st.overflow++;
		return;
	}
	f = w->spare[--w->n_spare];
	w->frames[f].due = due;
	w->frames[f].order = w->order++;
	w->frames[f].len = len;
	memcpy(w->frames[f].frame, frame, len);
	heap_put(w, f);
}

static void
take_frame(struct way *w, uint8_t *frame, uint32_t len, uint64_t now)
{
	uint64_t due = now;

	w->st.frames++;
	if (len < ETH_HLEN || frame[12] != 8 || frame[13] != 0) {
		hold(w, frame, len, now);
		return;
	}
	if (chance(w) < w->cfg.loss_ppm) {
		w->st.lost++;
		return;
	}
	mark(w, frame, len);
	if (w->cfg.rate_mbps != 0) {
		uint64_t start = w->free_at > now ? w->free_at : now;

		if ((start - now) * w->cfg.rate_mbps / 8000 > w->cfg.queue_bytes) {
			w->st.overflow++;
			return;
		}
		w->free_at = start + (uint64_t)len * 8000 / w->cfg.rate_mbps;
		due = w->free_at;
	}
	due += (uint64_t)w->cfg.delay_us * 1000;
	if (chance(w) < w->cfg.late_ppm) {
		w->st.late++;
		due += (uint64_t)w->cfg.late_us * 1000;
	}
	hold(w, frame, len, due);
	if (chance(w) < w->cfg.dup_ppm) {
		w->st.doubled++;
		hold(w, frame, len, due + chance(w)); /* within a millisecond */
	}
}

static void
carry(struct way *w)
{
	uint8_t frame[FRAME_MAX];
	uint64_t now;

	for (int i = 0; i < BURST; i++) {
		ssize_t n = recv(w->in, frame, sizeof(frame), MSG_DONTWAIT | MSG_TRUNC);

		if (n < 0)
			break;
		if ((size_t)n <= sizeof(frame))
			take_frame(w, frame, (uint32_t)n, now_ns());
		else
			w->st.overflow++;
	}
	now = now_ns();
	while (w->n > 0 && w->frames[w->heap[0]].due <= now) {
		uint16_t f = heap_take(w);

		if (send(w->out, w->frames[f].frame, w->frames[f].len, MSG_DONTWAIT) < 0)
			w->st.unsent++;
		w->spare[w->n_spare++] = f;
	}
}

static void *
run(void *arg)
{
	struct pollfd p[2] = {{.fd = ways[0].in, .events = POLLIN}, {.fd = ways[1].in, .events = POLLIN}};

	(void)arg;
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		uint64_t now = now_ns(), next = now + 10000000u;
		struct timespec t = {0, 0};

		for (int i = 0; i < 2; i++)
			if (ways[i].n > 0 && ways[i].frames[ways[i].heap[0]].due < next)
				next = ways[i].frames[ways[i].heap[0]].due;
		t.tv_nsec = next > now ? (long)(next - now) : 0;
		(void)ppoll(p, 2, &t, NULL);
		carry(&ways[0]);
		carry(&ways[1]);
	}
	return NULL;
}

static int
open_end(const char *ifname)
{
	struct sockaddr_ll l = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL),
				.sll_ifindex = (int)if_nametoindex(ifname)};
	int on = 1, size = 16 << 20;
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) < 0 ||
	    bind(fd, (struct sockaddr *)&l, sizeof(l)) < 0) {
		int rc = -errno;

		close(fd);
		return rc;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	return fd;
}

static int
way_init(struct way *w, const struct box_way *cfg, uint64_t seed, int in, int out)
{
	struct held *frames = malloc(sizeof(*frames) * HELD_MAX);

	memset(w, 0, sizeof(*w));
	w->frames = frames;
	w->cfg = *cfg;
	w->in = in;
	w->out = out;
	w->rng = seed * 0x9e3779b97f4a7c15u | 1;
	for (uint16_t i = 0; i < HELD_MAX; i++)
		w->spare[w->n_spare++] = i;
	return frames == NULL ? -ENOMEM : 0;
}

int
box_start(const struct box_cfg *cfg)
{
	int a = open_end(cfg->a), b = open_end(cfg->b), rc;

	if (a < 0 || b < 0)
		return a < 0 ? a : b;
	rc = way_init(&ways[0], &cfg->ab, cfg->seed, a, b);
	if (way_init(&ways[1], &cfg->ba, cfg->seed + 1, b, a) < 0 || rc < 0)
		return -ENOMEM;
	atomic_store(&stop, false);
	return -pthread_create(&thread, NULL, run, NULL);
}

void
box_stop(struct box_stats *ab, struct box_stats *ba)
{
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	if (ab != NULL)
		*ab = ways[0].st;
	if (ba != NULL)
		*ba = ways[1].st;
	for (int i = 0; i < 2; i++) {
		close(ways[i].in);
		free(ways[i].frames);
	}
}
