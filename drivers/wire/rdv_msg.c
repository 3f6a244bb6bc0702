/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What the two ends of a rendezvous say to each other, and the descriptors that go with it. Everything received is
 * checked here; the order in which messages may come is rendezvous.c's business. No call blocks.
 */
#include "wire/rdv_int.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

ZF_STATIC_ASSERT(sizeof(struct rdv_msg) == 56, "no padding that would leak or differ");

/* Of the part that every version has. */
#define PREFIX offsetof(struct rdv_msg, layout)

int
rdv_msg_check(const struct rdv_msg *m, size_t len)
{
	const struct shm_layout own = SHM_LAYOUT;

	if (len < PREFIX || m->magic != SHM_MAGIC)
		return -EPROTO;
	if (m->version != SHM_VERSION)
		return -EPROTONOSUPPORT;
	if (len != sizeof(*m) || m->type < RDV_HELLO || m->type > RDV_REFUSE)
		return -EPROTO;
	if (!shm_layout_same(&m->layout, &own))
		return -EPROTONOSUPPORT;
	return 0;
}

int
rdv_msg_send(int fd, enum rdv_type type, uint32_t epoch, enum rdv_reason reason, const int *fds)
{
	struct rdv_msg m = {
		.magic = SHM_MAGIC,
		.version = SHM_VERSION,
		.type = type,
		.layout = SHM_LAYOUT,
		.epoch = epoch,
		.pid = getpid(),
		.reason = reason,
	};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(RDV_FDS * sizeof(int))];
	} ctl = {.bytes = {0}};
	struct iovec iov = {&m, sizeof(m)};
	struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fds != NULL) {
		struct cmsghdr *c = &ctl.align;

		h.msg_control = ctl.bytes;
		h.msg_controllen = sizeof(ctl.bytes);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(RDV_FDS * sizeof(int));
		memcpy(CMSG_DATA(c), fds, RDV_FDS * sizeof(int));
	}
	return sendmsg(fd, &h, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)sizeof(m) ? 0 : -errno;
}

/* Every descriptor that arrived ends up in @fds or closed. Returns how many arrived. */
static uint32_t
collect_fds(struct msghdr *h, int *fds)
{
	uint32_t n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL; c = CMSG_NXTHDR(h, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = 0; CMSG_LEN(at + sizeof(int)) <= c->cmsg_len; at += sizeof(int), n++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + at, sizeof(fd));
			if (n < RDV_FDS)
				fds[n] = fd;
			else
				close(fd);
		}
	}
	return n;
}

static void
close_fds(int *fds)
{
	for (int i = 0; i < RDV_FDS; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
}

int
rdv_msg_recv(int fd, struct rdv_msg *m, int *fds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(RDV_FDS * sizeof(int))];
	} ctl;
	struct iovec iov = {m, sizeof(*m)};
	struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1};
	int got[RDV_FDS] = {-1, -1, -1};
	uint32_t n_fds;
	ssize_t n;
	int rc;

	memset(m, 0, sizeof(*m));
	/* Without a buffer for them the kernel drops descriptors that somebody slips in. */
	if (fds != NULL) {
		h.msg_control = ctl.bytes;
		h.msg_controllen = sizeof(ctl.bytes);
		for (int i = 0; i < RDV_FDS; i++)
			fds[i] = -1;
	}
	n = recvmsg(fd, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	/* A peer that closed without reading all we said resets the connection; its last word is still behind that. */
	if (n < 0 && errno == ECONNRESET)
		n = recvmsg(fd, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return -ECONNRESET;
	n_fds = fds != NULL ? collect_fds(&h, got) : 0;
	rc = (h.msg_flags & MSG_TRUNC) != 0 && m->version == SHM_VERSION ? -EPROTO : rdv_msg_check(m, (size_t)n);
	if (rc == 0 && ((h.msg_flags & MSG_CTRUNC) != 0 || (n_fds != 0 && n_fds != RDV_FDS)))
		rc = -EPROTO;
	if (rc != 0) {
		close_fds(got);
		return rc;
	}
	if (fds != NULL)
		memcpy(fds, got, sizeof(got));
	return 1;
}

int
rdv_msg_peer(int fd, uid_t *uid, int32_t *pid)
{
	struct ucred cred = {.uid = (uid_t)-1};
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0)
		cred.uid = (uid_t)-1;
	*uid = cred.uid;
	*pid = cred.pid;
	return cred.uid == geteuid() ? 0 : -EACCES;
}

/* An eventfd of somebody hostile may still be made blocking and filled up, whereupon a write would hang: burst.c writes 0,
 * for which there is room always.
 */
int
rdv_msg_eventfd(int fd)
{
	static const char want[] = "anon_inode:[eventfd]";
	char link[32], text[sizeof(want) + 1];
	ssize_t n;

	if (fd < 0)
		return -1;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, text, sizeof(text));
	if (n == (ssize_t)sizeof(want) - 1 && memcmp(text, want, sizeof(want) - 1) == 0)
		return fd;
	close(fd);
	return -1;
}
