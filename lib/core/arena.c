/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See arena.h. Knows memory mappings and nothing of what is kept in them.
 */
#include "core/arena.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"

/* The leak checker does not look into shared mappings by itself: what only a stack points to is no leak. */
#if defined(__SANITIZE_ADDRESS__)
#define ARENA_LEAK_CHECKED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_LEAK_CHECKED 1
#endif
#endif
#ifdef ARENA_LEAK_CHECKED
void __lsan_register_root_region(const void *p, size_t len);
void __lsan_unregister_root_region(const void *p, size_t len);
#else
#define __lsan_register_root_region(p, len)   ((void)0)
#define __lsan_unregister_root_region(p, len) ((void)0)
#endif

#define ARENA_PAGE      4096u
#define ARENA_HUGE_PAGE (2u << 20)

void
arena_dry(struct arena *a)
{
	memset(a, 0, sizeof(*a));
	a->fd = -1;
}

void *
arena_take(struct arena *a, uint64_t len, uint64_t align)
{
	uint64_t off = zf_align_up(a->used, align);

	a->used = off + len;
	if (a->base == NULL)
		return NULL;
	if (zf_bug(a->used > a->bytes))
		return NULL;
	return a->base + off;
}

static bool
arena_try_map(struct arena *a, unsigned memfd_flags, uint64_t page, uint32_t stack_id)
{
	char name[32];
	uint64_t bytes = zf_align_up(a->used, page);
	void *base;
	int fd;

	snprintf(name, sizeof(name), "zf:stack:%u", stack_id);
	fd = memfd_create(name, MFD_CLOEXEC | memfd_flags);
	if (fd < 0)
		return false;
	/* Plain pages are reserved here: a shortage is an error now and no signal later. Huge ones are by mmap. */
	if (ftruncate(fd, (off_t)bytes) < 0 ||
	    (page == ARENA_PAGE && fallocate(fd, 0, 0, (off_t)bytes) < 0)) {
		close(fd);
		return false;
	}
	/* MAP_POPULATE reserves and touches every page now: with too few huge pages it fails here. */
	base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (base == MAP_FAILED) {
		close(fd);
		return false;
	}
	a->fd = fd;
	a->base = base;
	a->bytes = bytes;
	a->huge = page == ARENA_HUGE_PAGE;
	__lsan_register_root_region(base, bytes);
	return true;
}

/* Bytes that can be had without pushing others out; UINT64_MAX where the kernel does not say. Asked because memory that is
 * merely too much for the machine is granted, and the process killed while it is touched.
 */
static uint64_t
memory_available(void)
{
	FILE *f = fopen("/proc/meminfo", "re");
	unsigned long long kib = 0;
	char line[128];

	while (f != NULL && kib == 0 && fgets(line, sizeof(line), f) != NULL)
		(void)sscanf(line, "MemAvailable: %llu", &kib);
	if (f != NULL)
		fclose(f);
	return kib != 0 ? kib << 10 : UINT64_MAX;
}

static bool
too_much(const struct arena *a)
{
	if (a->used <= memory_available())
		return false;
	errno = ENOMEM;
	return true;
}

int
arena_open(struct arena *a, uint32_t stack_id, const struct zf_log *log)
{
	ZF_ASSERT(a->base == NULL);
	/* Small arenas are not worth a huge page of which most would stay empty. */
	if ((a->used < ARENA_HUGE_PAGE / 2 ||
	     !arena_try_map(a, MFD_HUGETLB | MFD_HUGE_2MB, ARENA_HUGE_PAGE, stack_id)) &&
	    (too_much(a) || !arena_try_map(a, 0, ARENA_PAGE, stack_id))) {
		zf_err(log, LC_STACK,
		       "no memory for %llu KiB of stack state (%s): lower n_bufs or the max_* attributes",
		       (unsigned long long)(a->used >> 10), strerror(errno));
		return -ENOMEM;
	}
	if (!a->huge)
		(void)madvise(a->base, a->bytes, MADV_HUGEPAGE);
	a->used = 0;
	return 0;
}

void
arena_close(struct arena *a)
{
	if (a->base != NULL) {
		__lsan_unregister_root_region(a->base, a->bytes);
		munmap(a->base, a->bytes);
		close(a->fd);
	}
	arena_dry(a);
}
