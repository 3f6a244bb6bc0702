/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See tcp_peer.h: what lies between the two ends, commands in the kernel's namespace, captures, the frame of a test.
 */
#include "tcp_peer.h"

#include "capture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* The ends of the two pairs that a box or nft joins, both in our namespace. */
#define BOX_OURS "b0"
#define BOX_PEER "b1"

static enum between now_between = BETWEEN_NOTHING;
static bool boxed;

static int
rebuild(enum between what)
{
	const char *step;
	int rc = netns_delete(NETNS_OURS);

	if (rc == 0 && now_between != BETWEEN_NOTHING)
		rc = netns_delete(BOX_PEER);
	if (rc < 0)
		return rc;
	if (what == BETWEEN_NOTHING) {
		rc = netns_make_veth();
	} else {
		rc = netns_make_pair(NETNS_OURS, BOX_OURS, false);
		if (rc == 0)
			rc = netns_make_pair(BOX_PEER, NETNS_PEER, true);
		if (rc == 0)
			rc = netns_up(BOX_OURS, true);
		if (rc == 0)
			rc = netns_up(BOX_PEER, true);
	}
	return rc < 0 ? rc : peer_net_up(&step);
}

/* Frames as they would be on a wire: no super-frames, checksums made. And the usual congestion control, not the machine's
 * choice.
 */
static void
as_on_a_wire(void)
{
	netns_enter_peer();
	netns_sysctl("ipv4/tcp_congestion_control", "reno"); /* the one that everybody may choose */
	CU_ASSERT_EQUAL(netns_no_offloads(NETNS_PEER), 0);
	netns_leave();
}

/* What the stack sends and receives. Its own interface does not show what it sends, so the other end of that pair. */
static void
watch(void)
{
	int rc;

	if (now_between == BETWEEN_NOTHING)
		netns_enter_peer();
	rc = capture_begin(now_between == BETWEEN_NOTHING ? NETNS_PEER : BOX_OURS);
	if (now_between == BETWEEN_NOTHING)
		netns_leave();
	if (rc < 0)
		printf("\n  no capture: %s ", strerror(-rc));
}

bool
between(enum between what)
{
	int rc = 0;

	between_box(NULL, NULL);
	(void)capture_end(NULL);
	if (what != now_between)
		rc = rebuild(what);
	CU_ASSERT_EQUAL(rc, 0);
	now_between = what;
	if (rc == 0) {
		as_on_a_wire();
		watch();
	}
	return rc == 0;
}

void
between_box(const struct box_way *to_peer, const struct box_way *to_us)
{
	struct box_cfg c = {.a = BOX_OURS, .b = BOX_PEER, .seed = 20260101};
	const char *seed = getenv("ZF_SEED");

	if (boxed)
		box_stop(NULL, NULL);
	boxed = false;
	if (to_peer == NULL)
		return;
	if (seed != NULL)
		c.seed = strtoull(seed, NULL, 0);
	c.ab = *to_peer;
	c.ba = *to_us;
	CU_ASSERT_EQUAL_FATAL(box_start(&c), 0);
	boxed = true;
}

static void
report_way(const char *name, const struct box_stats *s)
{
	printf("    box, %s: %llu frames, %llu lost, %llu doubled, %llu late, %llu marked, %llu overflown, %llu unsent\n",
	       name, (unsigned long long)s->frames, (unsigned long long)s->lost, (unsigned long long)s->doubled,
	       (unsigned long long)s->late, (unsigned long long)s->marked, (unsigned long long)s->overflow,
	       (unsigned long long)s->unsent);
}

void
between_box_report(void)
{
	struct box_stats ab, ba;

	if (!boxed)
		return;
	box_stop(&ab, &ba);
	boxed = false;
	report_way("to the kernel", &ab);
	report_way("to us", &ba);
}

/* In the namespace where the caller is, without input and output. */
static int
spawn(const char *const argv[])
{
	pid_t pid = fork();

	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);
		sigset_t none;

		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		for (int fd = 0; fd < 3; fd++)
			dup2(null, fd);
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	return pid;
}

static int
wait_for(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int
peer_spawn(const char *const argv[])
{
	int pid;

	netns_enter_peer();
	pid = spawn(argv);
	netns_leave();
	return pid;
}

int
peer_end(int pid)
{
	kill(pid, SIGTERM);
	return wait_for(pid);
}

static int
shell(const char *command)
{
	const char *const argv[] = {"sh", "-c", command, NULL};

	return wait_for(spawn(argv));
}

int
peer_command(const char *command)
{
	int rc;

	netns_enter_peer();
	rc = shell(command);
	netns_leave();
	return rc;
}

bool
between_nft(unsigned int to_peer_percent, unsigned int to_us_percent)
{
	char text[1024];

	(void)shell("nft delete table netdev zf");
	snprintf(text, sizeof(text),
		 "nft 'table netdev zf {\n"
		 "chain up {\n type filter hook ingress device " BOX_OURS " priority 0;\n"
		 "meta protocol ip numgen random mod 100 < %u drop\n fwd to " BOX_PEER "\n}\n"
		 "chain down {\n type filter hook ingress device " BOX_PEER " priority 0;\n"
		 "meta protocol ip numgen random mod 100 < %u drop\n fwd to " BOX_OURS "\n}\n}'",
		 to_peer_percent, to_us_percent);
	return shell(text) == 0;
}

bool
peer_sysctl(const char *path, const char *value)
{
	char full[256];
	int fd;
	bool good;

	snprintf(full, sizeof(full), "/proc/sys/net/%s", path);
	netns_enter_peer();
	fd = open(full, O_WRONLY | O_CLOEXEC);
	good = fd >= 0 && write(fd, value, strlen(value)) == (ssize_t)strlen(value);
	netns_leave();
	if (fd >= 0)
		close(fd);
	if (!good) {
		char why[320];

		snprintf(why, sizeof(why), "the sysctl %s may not be set here: %s", path, strerror(errno));
		unit_skip(why);
	}
	return good;
}

static void
watched(const char *name, bool failed)
{
	const char *dir = getenv("TMPDIR");
	char file[300];

	snprintf(file, sizeof(file), "%s/zf-%s-%d.pcap", dir != NULL ? dir : P_tmpdir, name, (int)getpid());
	if (capture_end(failed ? file : NULL) == 0 && failed)
		printf("\n  capture: %s", file);
}

/* Where nft and nginx are, which a plain user's shell does not look into. */
static void
look_further(void)
{
	const char *was = getenv("PATH");
	static bool done;
	char path[4096];

	if (!done && was != NULL) {
		snprintf(path, sizeof(path), "%s:/usr/sbin:/sbin", was);
		setenv("PATH", path, 1);
	}
	done = true;
}

void
tcp_test(const char *name, void (*body)(void))
{
	unsigned int before = CU_get_number_of_failures();
	uint64_t begin = peer_now_ms();

	NEEDS_NET();
	signal(SIGPIPE, SIG_IGN);
	look_further();
	between_box(NULL, NULL); /* of a test that ended in the middle */
	(void)capture_end(NULL);
	body();
	if (CU_get_number_of_failures() != before)
		between_box_report();
	watched(name, CU_get_number_of_failures() != before || getenv("ZF_CAPTURE") != NULL);
	printf("  %.2f s ", (double)(peer_now_ms() - begin) / 1000);
}
