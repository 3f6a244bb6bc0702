/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The two files of a rendezvous: PATH, a socket, and PATH.lock with its gate and seats (see rendezvous.h). Names,
 * permissions, locks, and removing what is left. Does not know what is said over the socket.
 */
#include "wire/rdv_int.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define GATE           0
#define SEAT(n)        (1 + (n))
#define SEAT_TEXT      16 /* bytes of the lock file for each seat's pid */
#define LISTEN_BACKLOG 8
#define TRIES          16 /* against somebody who makes and removes a file at the same time */

static int
lock_byte(int fd, short type, int byte)
{
	struct flock fl = {.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

	if (fcntl(fd, F_OFD_SETLK, &fl) == 0)
		return 0;
	return errno == EACCES ? -EAGAIN : -errno;
}

static bool
byte_is_locked(int fd, int byte)
{
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

	return fcntl(fd, F_OFD_GETLK, &fl) != 0 || fl.l_type != F_UNLCK;
}

/* Is @name still the file that @fd has open? */
static bool
same_file(int dir_fd, const char *name, int fd)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && fstatat(dir_fd, name, &b, AT_SYMLINK_NOFOLLOW) == 0 &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static bool
socket_is_ours(const struct rdv_files *f)
{
	struct stat st;

	return f->bound && fstatat(f->dir_fd, f->sock_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       st.st_dev == f->sock_dev && st.st_ino == f->sock_ino;
}

/* What to do about it, in the words of somebody who typed the path. */
static const char *
remedy(int err)
{
	switch (err) {
	case ENOENT:
	case ENOTDIR:
		return "make the folder first";
	case EACCES:
	case EPERM:
	case EROFS:
		return "take a path in a folder where this user may write";
	case EMFILE:
	case ENFILE:
		return "raise the limit of open files";
	default:
		return "take another path";
	}
}

static int
open_dir(struct rdv_files *f, const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash != NULL ? slash + 1 : path;
	size_t len = slash == NULL ? 1 : slash == path ? 1 : (size_t)(slash - path);
	char *dir;
	int rc = 0;

	if (base[0] == '\0' || strcmp(base, ".") == 0 || strcmp(base, "..") == 0) {
		zf_err(f->log, LC_CPLANE, "wire:%s names a folder: add the name of a socket to be made in it", path);
		return -EISDIR;
	}
	if (strlen(base) + sizeof(".lock") > sizeof(f->lock_name)) {
		zf_err(f->log, LC_CPLANE, "wire:%s: the last part is too long for a file name: take a shorter one",
		       path);
		return -ENAMETOOLONG;
	}
	(void)snprintf(f->sock_name, sizeof(f->sock_name), "%s", base);
	(void)snprintf(f->lock_name, sizeof(f->lock_name), "%.*s.lock", RDV_NAME_MAX - 5, base);
	dir = slash == NULL ? strdup(".") : strndup(path, len);
	if (dir == NULL)
		return -ENOMEM;
	f->dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (f->dir_fd < 0) {
		rc = -errno;
		zf_err(f->log, LC_CPLANE, "wire:%s: cannot use folder %s: %s (%d): %s", path, dir, strerror(-rc),
		       -rc, remedy(-rc));
	}
	free(dir);
	return rc;
}

/* A socket address holds 107 characters. What is longer or relative goes by our descriptor of the folder. */
static int
make_addr(struct rdv_files *f, const char *path)
{
	size_t room = sizeof(f->addr.sun_path);
	int n;

	f->addr.sun_family = AF_UNIX;
	if (path[0] == '/' && strlen(path) < room) {
		(void)snprintf(f->addr.sun_path, room, "%s", path);
		return 0;
	}
	n = snprintf(f->addr.sun_path, room, "/proc/self/fd/%d/%s", f->dir_fd, f->sock_name);
	if (n > 0 && (size_t)n < room)
		return 0;
	zf_err(f->log, LC_CPLANE, "wire:%s: the name is too long for a socket: its last part may have %zu characters",
	       path, room - 1 - ((size_t)n - strlen(f->sock_name)));
	return -ENAMETOOLONG;
}

/* Before anything is made: is the path free, or a socket of this user? */
static int
check_socket(const struct rdv_files *f)
{
	struct stat st;

	if (fstatat(f->dir_fd, f->sock_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return 0;
	if (!S_ISSOCK(st.st_mode)) {
		zf_err(f->log, LC_CPLANE, "wire:%s exists and is no socket: remove it or take another path", f->path);
		return -EEXIST;
	}
	if (st.st_uid != geteuid()) {
		zf_err(f->log, LC_CPLANE,
		       "wire:%s belongs to user %u and this process to %u: run both ends as one user, or take another "
		       "path",
		       f->path, (unsigned int)st.st_uid, (unsigned int)geteuid());
		return -EACCES;
	}
	return 0;
}

/* Not O_CREAT at once: where fs.protected_regular is set that may fail for a file that is there. Never through a
 * symbolic link, never waiting (a FIFO).
 */
static int
open_lock_file(const struct rdv_files *f)
{
	const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
	int fd = -1;

	for (int i = 0; i < TRIES; i++) {
		fd = openat(f->dir_fd, f->lock_name, flags);
		if (fd >= 0 || errno != ENOENT)
			break;
		fd = openat(f->dir_fd, f->lock_name, flags | O_CREAT | O_EXCL, 0600);
		if (fd >= 0) {
			(void)fchmod(fd, 0600); /* whatever the umask */
			break;
		}
		if (errno != EEXIST)
			break;
	}
	return fd >= 0 ? fd : -errno;
}

static int
open_lock(struct rdv_files *f)
{
	struct stat st;
	int fd = open_lock_file(f);

	if (fd < 0) {
		zf_err(f->log, LC_CPLANE, "wire:%s: cannot open %s.lock: %s (%d): %s%s", f->path, f->path,
		       strerror(-fd), -fd, remedy(-fd),
		       fd == -EACCES || fd == -EPERM ? ", and run both ends as one user" : "");
		return fd;
	}
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid()) {
		zf_err(f->log, LC_CPLANE,
		       "wire:%s: %s.lock is no plain file of user %u: run both ends as one user, or take another path",
		       f->path, f->path, (unsigned int)geteuid());
		close(fd);
		return -EACCES;
	}
	f->lock_fd = fd;
	return 0;
}

static void
read_pids(const struct rdv_files *f, long pid[2])
{
	char text[2 * SEAT_TEXT + 1] = {0};

	pid[0] = pid[1] = 0;
	if (pread(f->lock_fd, text, 2 * SEAT_TEXT, 0) <= 0)
		return;
	pid[1] = strtol(text + SEAT_TEXT, NULL, 10);
	text[SEAT_TEXT] = '\0';
	pid[0] = strtol(text, NULL, 10);
}

/* Sit down at @f->lock_fd. -EBUSY if both seats are taken, after a line. */
static int
take_seat(struct rdv_files *f)
{
	char text[SEAT_TEXT + 1];
	long pid[2];
	int rc = 0;

	for (int n = 0; n < 2; n++) {
		rc = lock_byte(f->lock_fd, F_WRLCK, SEAT(n));
		if (rc != 0)
			continue;
		rdv_point(RDV_AT_SEAT);
		f->seat = n;
		(void)snprintf(text, sizeof(text), "%-15ld\n", (long)getpid());
		/* Only a message to people depends on it. */
		if (pwrite(f->lock_fd, text, SEAT_TEXT, (off_t)n * SEAT_TEXT) != SEAT_TEXT)
			zf_info(f->log, LC_CPLANE, "wire:%s: cannot write down this pid: %s", f->path,
				strerror(errno));
		return 0;
	}
	if (rc == -EAGAIN) {
		read_pids(f, pid);
		zf_err(f->log, LC_CPLANE,
		       "wire:%s already has two ends: pids %ld and %ld; stop one of them or take another path",
		       f->path, pid[0], pid[1]);
		return -EBUSY;
	}
	zf_err(f->log, LC_CPLANE, "wire:%s: cannot lock %s.lock: %s (%d): take a path on a local file system", f->path,
	       f->path, strerror(-rc), -rc);
	return rc;
}

static int
sit_down(struct rdv_files *f)
{
	int rc = open_lock(f);

	if (rc != 0)
		return rc;
	rc = take_seat(f);
	if (rc != 0) {
		close(f->lock_fd);
		f->lock_fd = -1;
	}
	return rc;
}

int
rdv_files_open(struct rdv_files *f, const char *path, const struct zf_log *log)
{
	int rc;

	*f = (struct rdv_files){.path = path, .log = log, .dir_fd = -1, .lock_fd = -1};
	rc = open_dir(f, path);
	if (rc == 0)
		rc = make_addr(f, path);
	if (rc == 0)
		rc = check_socket(f);
	if (rc == 0)
		rc = sit_down(f);
	if (rc != 0 && f->dir_fd >= 0)
		close(f->dir_fd);
	return rc;
}

int
rdv_files_gate(struct rdv_files *f)
{
	int rc;

	if (f->lock_fd < 0) {
		rc = sit_down(f);
		if (rc != 0)
			return rc;
	}
	rc = lock_byte(f->lock_fd, F_WRLCK, GATE);
	if (rc != 0)
		return rc;
	/* Only a holder of the gate removes the lock file, so from here on it stays the one that others see. */
	if (!same_file(f->dir_fd, f->lock_name, f->lock_fd)) {
		close(f->lock_fd);
		f->lock_fd = -1;
		return -ESTALE;
	}
	rdv_point(RDV_AT_GATE);
	return 0;
}

void
rdv_files_ungate(struct rdv_files *f)
{
	(void)lock_byte(f->lock_fd, F_UNLCK, GATE);
}

static int
unix_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd >= 0 ? fd : -errno;
}

int
rdv_files_connect(struct rdv_files *f)
{
	int fd = unix_socket();
	int rc;

	if (fd < 0)
		return fd;
	if (connect(fd, (const struct sockaddr *)&f->addr, sizeof(f->addr)) != 0) {
		rc = -errno;
		close(fd);
		return rc;
	}
	rdv_point(RDV_AT_CONNECT);
	return fd;
}

static int
bind_and_listen(struct rdv_files *f, int fd)
{
	struct stat st;

	/* The mode that bind gives the file, less the umask: no moment in which others could connect. */
	if (fchmod(fd, 0600) != 0)
		return -errno;
	if (fstatat(f->dir_fd, f->sock_name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		if (!S_ISSOCK(st.st_mode))
			return -EEXIST;
		if (unlinkat(f->dir_fd, f->sock_name, 0) != 0 && errno != ENOENT)
			return -errno;
	}
	rdv_point(RDV_AT_UNLINK);
	if (bind(fd, (const struct sockaddr *)&f->addr, sizeof(f->addr)) != 0)
		return -errno;
	/* A umask that takes the owner's own right away would keep our other end out, unless it is root. */
	if (fchmodat(f->dir_fd, f->sock_name, 0600, 0) != 0)
		return -errno;
	rdv_point(RDV_AT_BIND);
	if (listen(fd, LISTEN_BACKLOG) != 0 ||
	    fstatat(f->dir_fd, f->sock_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return -errno;
	f->sock_dev = st.st_dev;
	f->sock_ino = st.st_ino;
	f->bound = true;
	rdv_point(RDV_AT_LISTEN);
	return 0;
}

int
rdv_files_listen(struct rdv_files *f)
{
	int fd = unix_socket();
	int rc;

	if (fd < 0)
		return fd;
	f->bound = false;
	rc = bind_and_listen(f, fd);
	if (rc != 0) {
		close(fd);
		return rc;
	}
	return fd;
}

bool
rdv_files_valid(const struct rdv_files *f)
{
	return f->lock_fd >= 0 && same_file(f->dir_fd, f->lock_name, f->lock_fd) && socket_is_ours(f);
}

/* With the gate held: nobody can connect or sit down and believe it while files go. */
static void
remove_files(struct rdv_files *f)
{
	bool last = !byte_is_locked(f->lock_fd, SEAT(!f->seat));
	struct stat st;

	if (socket_is_ours(f) || (last && fstatat(f->dir_fd, f->sock_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
				  S_ISSOCK(st.st_mode)))
		(void)unlinkat(f->dir_fd, f->sock_name, 0);
	if (last)
		(void)unlinkat(f->dir_fd, f->lock_name, 0);
}

void
rdv_files_close(struct rdv_files *f)
{
	int rc = -EAGAIN;

	/* Whoever holds the gate needs it for microseconds, unless stopped: then the files stay, and the next end
	 * to come copes with them.
	 */
	for (int i = 0; i < TRIES && rc == -EAGAIN && f->lock_fd >= 0; i++) {
		if (i > 0)
			(void)sched_yield();
		rc = rdv_files_gate(f);
	}
	if (rc == 0) {
		rdv_point(RDV_AT_CLOSE);
		remove_files(f);
	}
	if (f->lock_fd >= 0) {
		/* By hand: a copy in a parent or child of ours would keep both. */
		(void)lock_byte(f->lock_fd, F_UNLCK, SEAT(f->seat));
		rdv_files_ungate(f);
		close(f->lock_fd);
	}
	close(f->dir_fd);
}
