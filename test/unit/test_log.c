/* SPDX-License-Identifier: BSD-3-Clause
 *
 * lib/base/log: what a line looks like, who gets one, and that a line is one line.
 */
#include "base/log.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Lines go into a pipe: what one write(2) carries is what one read(2) returns, as long as we read after each. */
static int pipe_fd[2];
static char got[4 * LOG_LINE_MAX];

static struct zf_log
log_to_pipe(uint64_t mask, uint32_t format)
{
	struct zf_log l = {.level_mask = mask, .format = format};

	CU_ASSERT_EQUAL_FATAL(pipe2(pipe_fd, O_NONBLOCK | O_CLOEXEC), 0);
	l.fd = pipe_fd[1];
	return l;
}

static const char *
pipe_read(void)
{
	ssize_t n = read(pipe_fd[0], got, sizeof(got) - 1);

	got[n > 0 ? n : 0] = '\0';
	return got;
}

static void
pipe_close(void)
{
	close(pipe_fd[0]);
	close(pipe_fd[1]);
}

static void
nibbles_select_component_and_level(void)
{
	struct zf_log l = log_to_pipe(0, 0);

	for (int c = 0; c < LC_COUNT; c++) {
		for (unsigned int b = 0; b < 4; b++) {
			l.level_mask = 1ull << (4 * c + b);
			for (int c2 = 0; c2 < LC_COUNT; c2++)
				for (unsigned int b2 = 0; b2 < 4; b2++)
					CU_ASSERT_EQUAL(log_wants(&l, c2, 1u << b2), c == c2 && b == b2);
		}
	}
	l.level_mask = 0xfff0; /* the guide's example: all of TCP, nothing else */
	CU_ASSERT_FALSE(log_wants(&l, LC_STACK, LOG_ERR));
	CU_ASSERT_TRUE(log_wants(&l, LC_TCP_RX, LOG_TRACE));
	CU_ASSERT_TRUE(log_wants(&l, LC_TCP_CONN, LOG_ERR));
	CU_ASSERT_FALSE(log_wants(&l, LC_UDP_RX, LOG_ERR));
	pipe_close();
}

static int evaluated;

static int
evaluate(void)
{
	return ++evaluated;
}

static void
arguments_are_evaluated_only_when_written(void)
{
	struct zf_log l = log_to_pipe(LOG_ERR << 4, 0);

	evaluated = 0;
	zf_warn(&l, LC_TCP_RX, "%d", evaluate());
	zf_err(&l, LC_STACK, "%d", evaluate());
	CU_ASSERT_EQUAL(evaluated, 0);
	CU_ASSERT_STRING_EQUAL(pipe_read(), "");
	zf_err(&l, LC_TCP_RX, "%d", evaluate());
	CU_ASSERT_EQUAL(evaluated, 1);
	CU_ASSERT_STRING_EQUAL(pipe_read(), "zf tcp_rx error: 1\n");
	pipe_close();
}

static void
trace_is_silent_below_the_ceiling(void)
{
	struct zf_log l = log_to_pipe(UINT64_MAX, 0);

	zf_trace(&l, LC_POOL, "x");
	CU_ASSERT_STRING_EQUAL(pipe_read(), ZF_LOG_CEILING & LOG_TRACE ? "zf pool trace: x\n" : "");
	pipe_close();
}

static void
format_flags_choose_the_prefix(void)
{
	struct zf_log l = log_to_pipe(UINT64_MAX, 0);
	const uint64_t tick = 4711;
	unsigned long long frc;
	char want[128];

	snprintf(l.stack_name, sizeof(l.stack_name), "feed");
	l.tick = &tick;
	log_write(&l, LC_MUXER, LOG_WARN, "x");
	CU_ASSERT_STRING_EQUAL(pipe_read(), "zf muxer warning: x\n");
	l.format = ZF_LF_STACK_NAME;
	log_write(&l, LC_MUXER, LOG_WARN, "x");
	CU_ASSERT_STRING_EQUAL(pipe_read(), "zf feed muxer warning: x\n");
	l.format = ZF_LF_TCP_TIME;
	log_write(&l, LC_MUXER, LOG_INFO, "x");
	CU_ASSERT_STRING_EQUAL(pipe_read(), "zf 4711 muxer info: x\n");
	l.format = ZF_LF_FRC;
	log_write(&l, LC_MUXER, LOG_INFO, "x");
	CU_ASSERT_EQUAL(sscanf(pipe_read(), "zf %llu muxer info: x\n", &frc), 1);
	CU_ASSERT_TRUE(frc > 0);
	l.format = ZF_LF_PROCESS | ZF_LF_STACK_NAME | ZF_LF_TCP_TIME;
	log_write(&l, LC_MUXER, LOG_INFO, "x");
	snprintf(want, sizeof(want), "zf[%ld] feed 4711 muxer info: x\n", (long)getpid());
	CU_ASSERT_STRING_EQUAL(pipe_read(), want);
	CU_ASSERT_EQUAL(ZF_LF_DEFAULT, 5);
	pipe_close();
}

static void
without_a_tick_time_is_ms_of_the_process(void)
{
	struct zf_log l = log_to_pipe(UINT64_MAX, ZF_LF_TCP_TIME);
	unsigned long long first, second;

	log_write(&l, LC_STACK, LOG_INFO, "x");
	CU_ASSERT_EQUAL(sscanf(pipe_read(), "zf %llu stack", &first), 1);
	log_write(&l, LC_STACK, LOG_INFO, "x");
	CU_ASSERT_EQUAL(sscanf(pipe_read(), "zf %llu stack", &second), 1);
	CU_ASSERT_TRUE(second >= first && second < first + 60000);
	pipe_close();
}

static void
a_line_is_one_line_of_bounded_length(void)
{
	struct zf_log l = log_to_pipe(UINT64_MAX, 0);
	char text[3 * LOG_LINE_MAX];
	size_t len;

	log_write(&l, LC_STACK, LOG_ERR, "a\nzf stack error: forged\r\x1b[2J\n");
	CU_ASSERT_STRING_EQUAL(pipe_read(), "zf stack error: a?zf stack error: forged??[2J\n");
	for (size_t n = LOG_LINE_MAX - 40; n < sizeof(text); n += n < LOG_LINE_MAX + 8 ? 1 : 1000) {
		memset(text, 'y', n);
		text[n] = '\0';
		log_write(&l, LC_STACK, LOG_ERR, "%s", text);
		len = strlen(pipe_read());
		CU_ASSERT_TRUE(len <= LOG_LINE_MAX);
		CU_ASSERT_EQUAL(strchr(got, '\n'), got + len - 1);
		CU_ASSERT_STRING_EQUAL(got + len - 5, n + strlen("zf stack error: \n") > LOG_LINE_MAX
							? "y...\n" : "yyyy\n");
	}
	pipe_close();
}

static void
errno_survives(void)
{
	struct zf_log l = {.level_mask = UINT64_MAX, .fd = 1000000};

	errno = EXDEV;
	log_write(&l, LC_STACK, LOG_ERR, "into a descriptor that is none");
	CU_ASSERT_EQUAL(errno, EXDEV);
}

static void
a_file_is_appended_to(void)
{
	char path[] = P_tmpdir "/zf_test_log_XXXXXX";
	struct zf_log l;
	struct stat st;
	mode_t old;
	int fd = mkstemp(path);

	CU_ASSERT_TRUE_FATAL(fd >= 0);
	unlink(path);
	close(fd);
	old = umask(0);
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL_FATAL(log_init(&l, "a name", LOG_MASK_DEFAULT, ZF_LF_STACK_NAME, path), 0);
		CU_ASSERT_TRUE(l.fd > 2);
		CU_ASSERT_EQUAL(fcntl(l.fd, F_GETFD), FD_CLOEXEC);
		zf_err(&l, LC_CPLANE, "%d", i);
		zf_warn(&l, LC_CPLANE, "not by default");
		log_fini(&l);
		CU_ASSERT_EQUAL(l.fd, -1);
	}
	umask(old);
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0644);
	fd = open(path, O_RDONLY);
	got[read(fd, got, sizeof(got) - 1)] = '\0';
	close(fd);
	CU_ASSERT_STRING_EQUAL(got, "zf a name cplane error: 0\nzf a name cplane error: 1\n");
	unlink(path);
}

/* Runs @fn with descriptor 2 replaced by the pipe. */
static void
with_stderr_in_pipe(void (*fn)(void))
{
	int saved = dup(STDERR_FILENO);

	log_to_pipe(0, 0);
	dup2(pipe_fd[1], STDERR_FILENO);
	fn();
	dup2(saved, STDERR_FILENO);
	close(saved);
	pipe_read();
	pipe_close();
}

static void
open_impossible_file(void)
{
	struct zf_log l;

	CU_ASSERT_EQUAL(log_init(&l, NULL, LOG_MASK_DEFAULT, 0, "/nonexistent/dir/file"), -ENOENT);
	CU_ASSERT_EQUAL(l.fd, -1);
}

static void
log_to_default(void)
{
	zf_err(NULL, LC_STACK, "by default");
	zf_warn(NULL, LC_STACK, "not by default");
}

static void
a_file_that_cannot_be_opened_is_one_line_on_stderr(void)
{
	with_stderr_in_pipe(open_impossible_file);
	CU_ASSERT_PTR_NOT_NULL(strstr(got, "/nonexistent/dir/file"));
	CU_ASSERT_PTR_NOT_NULL(strstr(got, "errno 2"));
	CU_ASSERT_EQUAL(strchr(got, '\n'), got + strlen(got) - 1);
}

static void
null_is_the_process_default(void)
{
	with_stderr_in_pipe(log_to_default);
	CU_ASSERT_PTR_NOT_NULL(strstr(got, " stack error: by default\n"));
	CU_ASSERT_PTR_NULL(strstr(got, "not by default"));
}

static void
a_limit_bounds_lines_and_says_how_many_it_kept(void)
{
	struct zf_log l = log_to_pipe(LOG_MASK_DEFAULT, 0);
	struct log_limit lim;
	int written = 0;

	log_limit_init(&lim, 3, 1000);
	for (uint64_t now = 5000; now < 6000; now++)
		written += log_limited(&lim, now, &l, LC_UDP_RX, LOG_ERR, "bad");
	CU_ASSERT_EQUAL(written, 3);
	CU_ASSERT_STRING_EQUAL(pipe_read(), "zf udp_rx error: bad\nzf udp_rx error: bad\nzf udp_rx error: bad\n");
	CU_ASSERT_TRUE(log_limited(&lim, 6000, &l, LC_UDP_RX, LOG_ERR, "bad"));
	CU_ASSERT_STRING_EQUAL(pipe_read(), "zf udp_rx error: bad (997 like it suppressed)\n");
	CU_ASSERT_TRUE(log_limited(&lim, 6001, &l, LC_UDP_RX, LOG_ERR, "bad"));
	CU_ASSERT_STRING_EQUAL(pipe_read(), "zf udp_rx error: bad\n");
	CU_ASSERT_FALSE(log_limited(&lim, 9000, &l, LC_UDP_RX, LOG_WARN, "masked out"));
	CU_ASSERT_EQUAL(lim.suppressed, 0);
	pipe_close();
}

static void
components_have_names(void)
{
	CU_ASSERT_STRING_EQUAL(log_component_name(LC_STACK), "stack");
	CU_ASSERT_STRING_EQUAL(log_component_name(LC_CPLANE), "cplane");
	CU_ASSERT_STRING_EQUAL(log_component_name(LC_COUNT), "?");
	CU_ASSERT_EQUAL(LC_COUNT, 13);
}

static const struct unit_test tests[] = {
	UNIT(nibbles_select_component_and_level),
	UNIT(arguments_are_evaluated_only_when_written),
	UNIT(trace_is_silent_below_the_ceiling),
	UNIT(format_flags_choose_the_prefix),
	UNIT(without_a_tick_time_is_ms_of_the_process),
	UNIT(a_line_is_one_line_of_bounded_length),
	UNIT(errno_survives),
	UNIT(a_file_is_appended_to),
	UNIT(a_file_that_cannot_be_opened_is_one_line_on_stderr),
	UNIT(null_is_the_process_default),
	UNIT(a_limit_bounds_lines_and_says_how_many_it_kept),
	UNIT(components_have_names),
};

UNIT_MAIN("test_log", tests)
