/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Between the three parts of the rendezvous (see rendezvous.h for the whole): rdv_files.c knows the file system,
 * rdv_msg.c what goes over the socket, rendezvous.c the order of things. Nobody else includes this, tests excepted.
 */
#ifndef ZF_WIRE_RDV_INT_H
#define ZF_WIRE_RDV_INT_H

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include "wire/rendezvous.h"

#if defined(ZF_TEST) && ZF_TEST
#define rdv_point(at)                                                                              \
	do {                                                                                       \
		if (rdv_test_hook != NULL)                                                         \
			rdv_test_hook(at);                                                         \
	} while (0)
#else
#define rdv_point(at) ((void)0)
#endif

#define RDV_NAME_MAX 255

/* The two files of a path. */
struct rdv_files {
	const char *path; /* as the user wrote it, for messages; the struct rdv owns it */
	const struct zf_log *log;
	int dir_fd;       /* the folder, held: a later chdir or a relative path do not matter */
	int lock_fd;      /* -1 between the loss of the lock file and its next opening */
	int seat;         /* 0 or 1 */
	bool bound;       /* the socket with these numbers is ours */
	dev_t sock_dev;
	ino_t sock_ino;
	struct sockaddr_un addr;
	char sock_name[RDV_NAME_MAX + 1];
	char lock_name[RDV_NAME_MAX + 1];
};

/* Find the folder, open the lock file, take a seat. 0, or -errno after one logged line. */
int rdv_files_open(struct rdv_files *f, const char *path, const struct zf_log *log);

/* Take the gate. 0; -EAGAIN while somebody else has it; -ESTALE if the lock file was taken from under us: call again;
 * -EBUSY if others sat down meanwhile; another -errno of opening a new lock file.
 */
int rdv_files_gate(struct rdv_files *f);
void rdv_files_ungate(struct rdv_files *f);

/* Both with the gate held. A non-blocking socket, or -errno: of connect, -ECONNREFUSED and -ENOENT mean that nobody
 * listens, -EAGAIN that somebody does who has no time.
 */
int rdv_files_connect(struct rdv_files *f);
int rdv_files_listen(struct rdv_files *f);

/* Would others still find our socket and our seat? */
bool rdv_files_valid(const struct rdv_files *f);

/* Remove what nobody needs any more, and let go of everything. */
void rdv_files_close(struct rdv_files *f);

enum rdv_type {
	RDV_HELLO = 1,
	RDV_WELCOME,
	RDV_READY,
	RDV_REFUSE,
};

enum rdv_reason {
	RDV_NO_REASON,
	RDV_BUSY,    /* two ends already */
	RDV_VERSION,
	RDV_USER,
	RDV_NOMEM,
};

/* One message; one packet of the socket. The first three fields mean the same in every version to come. */
struct rdv_msg {
	uint64_t magic;
	uint32_t version;
	uint32_t type;
	struct shm_layout layout;
	uint32_t epoch;
	int32_t pid;
	uint32_t reason;
	uint32_t pad;
};

#define RDV_FDS 3 /* memory, wake role 0, wake role 1 */

/* Is what was received a message of this version? 0, -EPROTONOSUPPORT if of another version or layout (magic, version
 * and type are good then), -EPROTO if it is none.
 */
int rdv_msg_check(const struct rdv_msg *m, size_t len);

/* 0 or -errno (-EPIPE: the other end is gone). @fds: RDV_FDS of them or NULL. */
int rdv_msg_send(int fd, enum rdv_type type, uint32_t epoch, enum rdv_reason reason, const int *fds);

/* 1 and *m, as far as it was sent, the rest zero; 0 if there is nothing now; -ECONNRESET if the other end is gone;
 * else as rdv_msg_check(). @fds: receives RDV_FDS or none, all -1 then; NULL if none are wanted.
 */
int rdv_msg_recv(int fd, struct rdv_msg *m, int *fds);

/* The other end's user is ours: 0, else -EACCES. *uid and *pid are filled. */
int rdv_msg_peer(int fd, uid_t *uid, int32_t *pid);

/* -1 unless @fd is an eventfd; then it is closed. */
int rdv_msg_eventfd(int fd);

#endif
