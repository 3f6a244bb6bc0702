/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Packet buffers: one rte_mbuf pool for each queue of a port, and the per-stack cache in front of it.
 *
 * A pool is made when its port is opened and stays until its last mbuf is home, since a transmit ring may hold some
 * after their stack is gone (pool_drop puts it on a list that pool_reap looks through). The stack that owns a queue
 * adopts its pool: only that stack's thread uses `cache`; everyone else goes to the ring of the mempool, which is
 * safe from any thread.
 *
 * pkt_take/pkt_put are the only ways of the data path to get and give back a buffer. In test builds under
 * AddressSanitizer a buffer that was given back is poisoned, so that a late reader is found.
 */
#ifndef ZF_CORE_POOL_H
#define ZF_CORE_POOL_H

#include <rte_mbuf.h>
#include <rte_mempool.h>

#include "base/check.h"
#include "base/compiler.h"
#include "base/log.h"

#if defined(__SANITIZE_ADDRESS__)
#define POOL_POISONS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POOL_POISONS 1
#endif
#endif
#ifndef POOL_POISONS
#define POOL_POISONS 0
#endif

#if POOL_POISONS
void __asan_poison_memory_region(void const volatile *addr, size_t size);
void __asan_unpoison_memory_region(void const volatile *addr, size_t size);
#define pool_poison(m)   __asan_poison_memory_region((m)->buf_addr, (m)->buf_len)
#define pool_unpoison(m) __asan_unpoison_memory_region((m)->buf_addr, (m)->buf_len)
#else
#define pool_poison(m)   ((void)(m))
#define pool_unpoison(m) ((void)(m))
#endif

struct zf_pool {
	struct rte_mempool *mp;
	struct rte_mempool_cache *cache; /* or NULL; one thread's */
	struct zf_pool *of;   /* a stack's handle: the queue's that it adopted, else NULL */
	uint32_t n_bufs;
	uint32_t buf_bytes;   /* room of each, headroom included */
	void *mem;            /* buffers in one block (pool_create_pinned), else NULL */
	size_t mem_len;
	uint32_t refs;        /* of a queue's handle: the queue, and stacks that adopted it */
	struct zf_pool *next; /* on the list of pools whose buffers are not all home */
};

/* What the stack notes about a received frame while it waits in a queue. It lives in an mbuf dynamic field (second
 * cache line, which freeing touches anyway), at the offset that pool_init() got.
 */
struct pkt_meta {
	struct rte_mbuf *next; /* queue link; not m->next, which chains the segments of one datagram */
	uint16_t off;          /* payload, from rte_pktmbuf_mtod() */
	uint16_t len;          /* of the payload in this segment */
	uint16_t l3_off;       /* IP and UDP header, likewise */
	uint16_t l4_off;
};
extern int pool_meta_offset;

static ZF_ALWAYS_INLINE struct pkt_meta *
pkt_meta(struct rte_mbuf *m)
{
	return (struct pkt_meta *)((char *)m + pool_meta_offset);
}

/* Registers the dynamic field; once per process, after EAL is up. 0 or -errno. */
int pool_init(const struct zf_log *log);

/* A pool of @n_bufs buffers with at least @buf_bytes of room (headroom included; 0 = DPDK's default).
 * 0, -ENOMEM or -EINVAL with one logged line.
 */
int pool_create(uint32_t n_bufs, uint32_t buf_bytes, int socket_id, const struct zf_log *log,
		struct zf_pool **out);
/* The same with all buffers in one block at p->mem, which begins at a huge page and whose buffers of @buf_bytes, a power of
 * two up to a page, never cross one: for a driver that registers memory with an adapter by itself. The block is not copied
 * on write by fork().
 */
int pool_create_pinned(uint32_t n_bufs, uint32_t buf_bytes, int socket_id, const struct zf_log *log,
		       struct zf_pool **out);
void pool_hold(struct zf_pool *p);
void pool_drop(struct zf_pool *p);
/* A stack's handle of the queue's pool @p, with a cache that both use. 0 or -ENOMEM. */
int pool_adopt(struct zf_pool *p, struct zf_pool **out);
/* The queue's handle goes without the cache from now on; nobody is in the driver meanwhile. */
void pool_unshare(struct zf_pool *p);
/* Gives the cache's contents back and the stack's handle up. */
void pool_release(struct zf_pool *own);
/* Free pools that nobody holds and whose buffers are all home; returns how many are still waiting. */
uint32_t pool_reap(void);
/* Buffers free now (cache included); walks nothing, may be stale by the time it returns. */
uint32_t pool_free_count(const struct zf_pool *p);

/* In test builds: make the n-th pkt_take from now fail, and every @every-th after it (0 = off). */
#if defined(ZF_TEST) && ZF_TEST
extern uint64_t pool_fail_after, pool_fail_every;
bool pool_fail_now(void);
#else
static inline bool
pool_fail_now(void)
{
	return false;
}
#endif

/* Slow ends of the two calls below. */
struct rte_mbuf *pkt_take_slow(struct zf_pool *p);
void pkt_put_slow(struct rte_mbuf *m);

/* A fresh single-segment mbuf: refcnt 1, no chain, data_off at the default headroom, lengths and flags not set (see
 * pkt_reset). NULL when the pool is empty.
 */
static ZF_ALWAYS_INLINE struct rte_mbuf *
pkt_take(struct zf_pool *p)
{
	struct rte_mempool_cache *c = p->cache;
	struct rte_mbuf *m;

#if defined(ZF_TEST) && ZF_TEST
	if (pool_fail_now())
		return NULL;
#endif
	if (zf_unlikely(c == NULL || c->len == 0))
		return pkt_take_slow(p);
	m = c->objs[--c->len];
	pool_unpoison(m);
	return m;
}

/* Lengths and offload flags of an mbuf that holds one frame of @len bytes at the default headroom. The fields that a
 * free mbuf already has right (refcnt 1, nb_segs 1, next NULL: DPDK's rule for raw mbufs) are not written.
 */
static ZF_ALWAYS_INLINE void
pkt_reset(struct rte_mbuf *m, uint32_t len)
{
	m->data_off = RTE_PKTMBUF_HEADROOM;
	m->ol_flags = 0;
	m->data_len = (uint16_t)len;
	m->pkt_len = len;
}

/* Up to @n fresh mbufs as those of pkt_take() into @out, for a driver's receive ring: how many. Test builds' failures of
 * pkt_take() are the stack's and leave it alone.
 */
uint32_t pool_take_bulk(struct zf_pool *p, struct rte_mbuf **out, uint32_t n);

/* Give back a buffer that nobody else refers to or that is chained or shared: all cases, the plain one fast. */
static ZF_ALWAYS_INLINE void
pkt_put(struct zf_pool *p, struct rte_mbuf *m)
{
	struct rte_mempool_cache *c = p->cache;

	if (zf_likely(m->pool == p->mp && c != NULL && rte_mbuf_refcnt_read(m) == 1 && m->nb_segs == 1 &&
		      RTE_MBUF_DIRECT(m) && c->len < c->flushthresh)) {
		ZF_ASSERT(m->next == NULL);
		pool_poison(m);
		c->objs[c->len++] = m;
		return;
	}
	pkt_put_slow(m);
}

#endif
