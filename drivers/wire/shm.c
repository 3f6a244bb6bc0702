/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See shm.h. System calls and their failures; what the memory is used for is ring.h's and rendezvous.c's business.
 */
#include "wire/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Newer than Debian 12's headers or only in the kernel's. */
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

#define SHM_SEALS (F_SEAL_SHRINK | F_SEAL_GROW)

bool
shm_layout_same(const struct shm_layout *a, const struct shm_layout *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

int
shm_eventfd(void)
{
	return eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
}

int
shm_create(void)
{
	int fd = memfd_create("zf:wire", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
	int rc;

	/* Some systems insist on the last flag, kernels before 6.3 do not know it. */
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("zf:wire", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, SHM_BYTES) != 0 || fcntl(fd, F_ADD_SEALS, SHM_SEALS) != 0) {
		rc = -errno;
		close(fd);
		return rc;
	}
	return fd;
}

int
shm_check(int fd)
{
	struct statfs fs;
	struct stat st;
	int seals;

	/* Only memory files know of seals. Of those a hugetlbfs one may fault when its pages are taken away, and a
	 * tmpfs one cannot once its size is sealed: a hole is filled with zeros on access.
	 */
	seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || (seals & SHM_SEALS) != SHM_SEALS)
		return -EINVAL;
	if (fstatfs(fd, &fs) != 0 || fs.f_type != TMPFS_MAGIC)
		return -EINVAL;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size != SHM_BYTES)
		return -EINVAL;
	return 0;
}

int
shm_reserve(uint32_t n, uint8_t **out)
{
	size_t want = (size_t)n * SHM_BYTES;
	uint8_t *raw = mmap(NULL, want + SHM_BYTES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint8_t *base;

	if (raw == MAP_FAILED)
		return -ENOMEM;
	base = (uint8_t *)zf_align_up((uintptr_t)raw, SHM_BYTES);
	if (base != raw)
		(void)munmap(raw, (size_t)(base - raw));
	if (base + want != raw + want + SHM_BYTES)
		(void)munmap(base + want, (size_t)(raw + SHM_BYTES - base));
	*out = base;
	return 0;
}

void
shm_release(uint8_t *base, uint32_t n)
{
	(void)munmap(base, (size_t)n * SHM_BYTES);
}

int
shm_map(uint8_t *window, int fd)
{
	int rc;

	if (mmap(window, SHM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) ==
	    MAP_FAILED) {
		rc = -errno;
		/* The old mapping may be gone already: keep the addresses. */
		(void)mmap(window, SHM_BYTES, PROT_READ,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
		return rc;
	}
	/* Without these everything works, with page faults on the data path and more TLB misses. Asking for the huge
	 * page outright works where the setting for shared memory says "never", as it does by default, provided
	 * that one page is there; then the rest comes in 0.1 ms, against 1.3 by small pages.
	 */
	(void)madvise(window, SHM_HEAD, MADV_POPULATE_WRITE);
	(void)madvise(window, SHM_BYTES, MADV_COLLAPSE);
	(void)madvise(window, SHM_BYTES, MADV_POPULATE_WRITE);
	return 0;
}
