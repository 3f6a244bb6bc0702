/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See pool.h. Cold paths only; pkt_take and pkt_put are inline there.
 */
#include "core/pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_errno.h>
#include <rte_mbuf_dyn.h>
#include <rte_memory.h>

int pool_meta_offset;

static pthread_mutex_t pool_lock = PTHREAD_MUTEX_INITIALIZER;
static struct zf_pool *pool_zombies;

/* Objects a stack keeps at hand. Large enough that a burst of 32 in and out rarely reaches the shared ring. */
#define POOL_CACHE 256

int
pool_init(const struct zf_log *log)
{
	static const struct rte_mbuf_dynfield field = {
		.name = "zf_pkt_meta",
		.size = sizeof(struct pkt_meta),
		.align = __alignof__(struct pkt_meta),
	};
	int off;

	if (pool_meta_offset != 0)
		return 0;
	off = rte_mbuf_dynfield_register(&field);
	if (off < 0) {
		zf_err(log, LC_POOL,
		       "no room for %zu bytes of dynamic mbuf field (%s): other libraries of this "
		       "process registered too many",
		       sizeof(struct pkt_meta), rte_strerror(rte_errno));
		return -ENOMEM;
	}
	pool_meta_offset = off;
	return 0;
}

#define HUGE_BYTES ((size_t)2 << 20)

static ZF_COLD int
no_memory(const struct zf_log *log, uint32_t n_bufs, uint32_t buf_bytes, const char *why)
{
	zf_err(log, LC_POOL,
	       "no memory for %u packet buffers of %u bytes (%s): lower n_bufs, or give EAL "
	       "more memory (ZF_EAL_ARGS=\"-m MB\")",
	       n_bufs, buf_bytes, why);
	return -ENOMEM;
}

/* A pool with a name and a count, whose mempool the caller makes. */
static struct zf_pool *
pool_new(uint32_t n_bufs, uint32_t buf_bytes, char name[RTE_MEMPOOL_NAMESIZE])
{
	static atomic_uint serial;
	struct zf_pool *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	snprintf(name, RTE_MEMPOOL_NAMESIZE, "zf_pool_%u", atomic_fetch_add(&serial, 1));
	p->n_bufs = n_bufs;
	p->buf_bytes = buf_bytes;
	p->refs = 1;
	return p;
}

int
pool_create(uint32_t n_bufs, uint32_t buf_bytes, int socket_id, const struct zf_log *log,
	    struct zf_pool **out)
{
	char name[RTE_MEMPOOL_NAMESIZE];
	struct zf_pool *p;

	if (buf_bytes == 0)
		buf_bytes = RTE_MBUF_DEFAULT_BUF_SIZE;
	if (n_bufs == 0 || buf_bytes > UINT16_MAX)
		return -EINVAL;
	p = pool_new(n_bufs, buf_bytes, name);
	if (p == NULL)
		return -ENOMEM;
	p->mp = rte_pktmbuf_pool_create(name, n_bufs, 0, 0, (uint16_t)buf_bytes, socket_id);
	if (p->mp == NULL) {
		free(p);
		return no_memory(log, n_bufs, buf_bytes, rte_strerror(rte_errno));
	}
	*out = p;
	return 0;
}

/* @len bytes at a huge page's address; of huge pages if there are any. Shared, so that fork() copies nothing: the adapter
 * writes where it was told to.
 */
static void *
block_map(size_t len)
{
	const int how = MAP_SHARED | MAP_ANONYMOUS;
	char *m = mmap(NULL, len, PROT_READ | PROT_WRITE, how | MAP_HUGETLB, -1, 0);
	size_t before;

	if (m != MAP_FAILED)
		return m;
	m = mmap(NULL, len + HUGE_BYTES, PROT_READ | PROT_WRITE, how, -1, 0);
	if (m == MAP_FAILED)
		return NULL;
	before = zf_align_up((uintptr_t)m, HUGE_BYTES) - (uintptr_t)m;
	if (before > 0)
		munmap(m, before);
	munmap(m + before + len, HUGE_BYTES - before);
	(void)madvise(m + before, len, MADV_HUGEPAGE);
	return m + before;
}

static void
block_unmap(struct zf_pool *p)
{
	if (p->mem == NULL)
		return;
	(void)rte_extmem_unregister(p->mem, p->mem_len);
	munmap(p->mem, p->mem_len);
}

/* The mbuf of element @i with its buffer, which it keeps for ever. So it is treated like one with its buffer inside, neither
 * detached nor counted by a counter of the buffer's own. What that rules out is a clone of it (an "indirect" mbuf), which
 * finds its parent by the buffer's address: a port with such buffers does not claim PORT_TX_INDIRECT_OK.
 */
static void
pinned_obj(struct rte_mempool *mp, void *arg, void *obj, unsigned i)
{
	const struct zf_pool *p = arg;
	struct rte_mbuf *m = obj;

	memset(m, 0, mp->elt_size);
	m->buf_addr = (char *)p->mem + (size_t)i * p->buf_bytes;
	rte_mbuf_iova_set(m, RTE_BAD_IOVA); /* the driver asks the adapter's library */
	m->buf_len = (uint16_t)p->buf_bytes;
	m->data_off = RTE_PKTMBUF_HEADROOM;
	m->pool = mp;
	m->nb_segs = 1;
	m->port = RTE_MBUF_PORT_INVALID;
	rte_mbuf_refcnt_set(m, 1);
}

int
pool_create_pinned(uint32_t n_bufs, uint32_t buf_bytes, int socket_id, const struct zf_log *log,
		   struct zf_pool **out)
{
	struct rte_pktmbuf_pool_private priv = {
		.mbuf_data_room_size = (uint16_t)buf_bytes,
		.flags = RTE_PKTMBUF_POOL_F_PINNED_EXT_BUF,
	};
	char name[RTE_MEMPOOL_NAMESIZE];
	struct zf_pool *p;

	if (n_bufs == 0 || buf_bytes < 256 || buf_bytes > 4096 || (buf_bytes & (buf_bytes - 1)) != 0)
		return -EINVAL;
	p = pool_new(n_bufs, buf_bytes, name);
	if (p == NULL)
		return -ENOMEM;
	p->mem_len = zf_align_up((size_t)n_bufs * buf_bytes, HUGE_BYTES);
	p->mem = block_map(p->mem_len);
	/* EAL is told what is there, as for any memory that mbufs lie in. */
	if (p->mem != NULL && rte_extmem_register(p->mem, p->mem_len, NULL, 0, (size_t)sysconf(_SC_PAGESIZE)) < 0) {
		munmap(p->mem, p->mem_len);
		p->mem = NULL;
	}
	/* By hand, since the call that makes such pools is no part of DPDK's stable ABI yet. */
	if (p->mem != NULL)
		p->mp = rte_mempool_create(name, n_bufs,
					   sizeof(struct rte_mbuf) + sizeof(struct rte_mbuf_ext_shared_info), 0,
					   sizeof(priv), rte_pktmbuf_pool_init, &priv, pinned_obj, p, socket_id, 0);
	if (p->mp == NULL) {
		block_unmap(p);
		free(p);
		return no_memory(log, n_bufs, buf_bytes, "in one block");
	}
	*out = p;
	return 0;
}

void
pool_hold(struct zf_pool *p)
{
	pthread_mutex_lock(&pool_lock);
	p->refs++;
	pthread_mutex_unlock(&pool_lock);
}

#if POOL_POISONS
/* EAL clears memory that it takes back. */
static void
unpoison_obj(struct rte_mempool *mp, void *arg, void *obj, unsigned i)
{
	(void)mp;
	(void)arg;
	(void)i;
	pool_unpoison((struct rte_mbuf *)obj);
}
#endif

static bool
pool_try_free(struct zf_pool *p)
{
	if (rte_mempool_avail_count(p->mp) != p->n_bufs)
		return false;
#if POOL_POISONS
	rte_mempool_obj_iter(p->mp, unpoison_obj, NULL);
#endif
	rte_mempool_free(p->mp);
	block_unmap(p);
	free(p);
	return true;
}

void
pool_drop(struct zf_pool *p)
{
	if (p == NULL)
		return;
	pthread_mutex_lock(&pool_lock);
	ZF_ASSERT(p->refs > 0);
	if (--p->refs == 0) {
		ZF_ASSERT(p->cache == NULL && p->of == NULL);
		if (!pool_try_free(p)) {
			p->next = pool_zombies;
			pool_zombies = p;
		}
	}
	pthread_mutex_unlock(&pool_lock);
}

uint32_t
pool_reap(void)
{
	uint32_t left = 0;

	pthread_mutex_lock(&pool_lock);
	for (struct zf_pool **pp = &pool_zombies; *pp != NULL;) {
		struct zf_pool *p = *pp;
		struct zf_pool *next = p->next;

		if (pool_try_free(p)) {
			*pp = next;
		} else {
			left++;
			pp = &p->next;
		}
	}
	pthread_mutex_unlock(&pool_lock);
	return left;
}

int
pool_adopt(struct zf_pool *p, struct zf_pool **out)
{
	uint32_t size = ZF_MIN(POOL_CACHE, p->n_bufs / 8);
	struct zf_pool *own = calloc(1, sizeof(*own));

	if (own == NULL)
		return -ENOMEM;
	*own = (struct zf_pool){.mp = p->mp, .of = p, .n_bufs = p->n_bufs, .buf_bytes = p->buf_bytes};
	if (size > 0) /* a tiny pool does with its ring */
		own->cache = rte_mempool_cache_create(size, p->mp->socket_id);
	if (size > 0 && own->cache == NULL) {
		free(own);
		return -ENOMEM;
	}
	pool_hold(p);
	p->cache = own->cache;
	*out = own;
	return 0;
}

void
pool_unshare(struct zf_pool *p)
{
	p->cache = NULL;
}

void
pool_release(struct zf_pool *own)
{
	struct zf_pool *p = own->of;

	if (p->cache == own->cache)
		p->cache = NULL;
	if (own->cache != NULL) {
		rte_mempool_cache_flush(own->cache, own->mp);
		rte_mempool_cache_free(own->cache);
	}
	free(own);
	pool_drop(p);
}

uint32_t
pool_free_count(const struct zf_pool *p)
{
	uint32_t n = rte_mempool_avail_count(p->mp);

	return n + (p->cache != NULL ? p->cache->len : 0);
}

struct rte_mbuf *
pkt_take_slow(struct zf_pool *p)
{
	void *m;

	if (rte_mempool_generic_get(p->mp, &m, 1, p->cache) < 0)
		return NULL;
	pool_unpoison((struct rte_mbuf *)m);
	return m;
}

uint32_t
pool_take_bulk(struct zf_pool *p, struct rte_mbuf **out, uint32_t n)
{
	struct rte_mempool_cache *c = p->cache;

	if (c != NULL && c->len >= n) {
		for (uint32_t i = 0; i < n; i++)
			out[i] = c->objs[--c->len];
	} else if (rte_mempool_generic_get(p->mp, (void **)out, n, c) < 0) {
		/* Fewer than that are left: one by one. */
		uint32_t k = 0;

		while (k < n && rte_mempool_generic_get(p->mp, (void **)&out[k], 1, c) == 0)
			k++;
		n = k;
	}
	for (uint32_t i = 0; i < n; i++)
		pool_unpoison(out[i]);
	return n;
}

void
pkt_put_slow(struct rte_mbuf *m)
{
#if POOL_POISONS
	for (struct rte_mbuf *s = m; s != NULL; s = s->next)
		if (rte_mbuf_refcnt_read(s) == 1 && RTE_MBUF_DIRECT(s))
			pool_poison(s);
#endif
	rte_pktmbuf_free(m);
}

#if defined(ZF_TEST) && ZF_TEST
uint64_t pool_fail_after, pool_fail_every;

bool
pool_fail_now(void)
{
	if (zf_likely(pool_fail_after == 0))
		return false;
	if (--pool_fail_after > 0)
		return false;
	pool_fail_after = pool_fail_every;
	return true;
}
#endif
