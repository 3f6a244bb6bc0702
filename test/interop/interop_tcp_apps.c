/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Programs that know nothing of us as peers: curl fetches from a small HTTP server over our stack, and we fetch from nginx,
 * or from Python where there is no nginx.
 */
#include "tcp_peer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB      (1024u * 1024)
#define PORT     8080
#define SERVED   32
#define URL      "http://" OUR_ADDR ":8080/"

static char folder[256];

static bool
have(const char *program)
{
	char command[128];

	snprintf(command, sizeof(command), "command -v %s", program);
	return peer_command(command) == 0;
}

static bool
make_folder(void)
{
	const char *dir = getenv("TMPDIR");

	snprintf(folder, sizeof(folder), "%s/zf-http-XXXXXX", dir != NULL ? dir : P_tmpdir);
	if (mkdtemp(folder) == NULL)
		return false;
	return chmod(folder, 0755) == 0;
}

static void
remove_folder(void)
{
	char command[300];

	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	(void)peer_command(command);
}

/* A connection of the server: a request until its empty line, an answer of as many bytes as its path says. */
struct served {
	struct zft *ts;
	char req[2048];
	size_t req_len;
	char head[256];
	uint64_t head_len, plan, sent;
	bool answering, last;
};

static bool
read_request(struct served *c)
{
	struct iovec iov = {c->req + c->req_len, sizeof(c->req) - 1 - c->req_len};
	int n = zft_recv(c->ts, &iov, 1, 0);

	if (n == -EAGAIN)
		return true;
	if (n <= 0 || iov.iov_len == 0)
		return false;
	c->req_len += (size_t)n;
	c->req[c->req_len] = '\0';
	if (strstr(c->req, "\r\n\r\n") == NULL)
		return true;
	if (strncmp(c->req, "GET /", 5) != 0)
		return false;
	c->plan = strtoull(c->req + 5, NULL, 10);
	c->last = strstr(c->req, "Connection: close") != NULL;
	c->head_len = (uint64_t)snprintf(c->head, sizeof(c->head), "HTTP/1.1 200 OK\r\nContent-Length: %llu\r\n%s\r\n",
					 (unsigned long long)c->plan, c->last ? "Connection: close\r\n" : "");
	c->sent = 0;
	c->req_len = 0;
	c->answering = true;
	return true;
}

/* False: it failed. */
static bool
write_answer(struct served *c)
{
	while (c->sent < c->head_len + c->plan) {
		uint64_t body = c->sent - c->head_len, left = c->plan - body;
		ssize_t n;

		if (c->sent < c->head_len)
			n = zft_send_single(c->ts, c->head + c->sent, c->head_len - c->sent, c->plan > 0 ? MSG_MORE : 0);
		else
			n = zft_send_single(c->ts, stream_at(body), left < STREAM_RUN ? left : STREAM_RUN, 0);
		if (n == -EAGAIN || n == -ENOMEM)
			return true;
		if (n < 0)
			return false;
		c->sent += (uint64_t)n;
	}
	c->answering = false;
	return !c->last;
}

/* Serves until @pid ends; its exit code, or -1 when that takes too long. */
static int
serve(struct zf_stack *st, int pid, unsigned int ms)
{
	static struct served c[SERVED];
	struct zftl *tl = our_listen(st, PORT);
	uint64_t end = peer_now_ms() + ms;
	int status = -1, rc = 0;

	memset(c, 0, sizeof(c));
	while (rc == 0 && peer_now_ms() < end) {
		zf_reactor_perform(st);
		for (int i = 0; i < SERVED; i++) {
			if (c[i].ts == NULL && zftl_accept(tl, &c[i].ts) < 0)
				continue;
			if (c[i].answering ? write_answer(&c[i]) : read_request(&c[i]))
				continue;
			zft_free(c[i].ts);
			c[i] = (struct served){0};
		}
		rc = waitpid(pid, &status, WNOHANG);
	}
	for (int i = 0; i < SERVED; i++)
		if (c[i].ts != NULL)
			zft_free(c[i].ts);
	zftl_free(tl);
	if (rc != pid) {
		(void)peer_end(pid);
		return -1;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* @name in the folder holds the first @len bytes of the stream. */
static bool
file_is_right(const char *name, uint64_t len)
{
	static uint8_t buf[STREAM_RUN];
	char path[300];
	uint64_t at = 0;
	bool good = true;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		good = good && memcmp(buf, stream_at(at), (size_t)n) == 0;
		at += (uint64_t)n;
	}
	close(fd);
	return good && at == len;
}

/* All sizes by one curl, over one connection, then over many at once, then each over its own. */
TCP_TEST(curl_fetches_from_us)
{
	static const uint32_t sizes[] = {0, 1, 1459, 1460, 1461, 100000, 3 * MIB, 16 * MIB};
	static const char *const manners[] = {"--no-parallel", "--parallel", "--http1.0"};
	struct zf_stack *st;

	if (!have("curl")) {
		unit_skip("no curl");
		return;
	}
	if (!between(BETWEEN_NOTHING) || !make_folder())
		return;
	st = stack_up(TCP_STACK);
	for (size_t m = 0; m < sizeof(manners) / sizeof(manners[0]); m++) {
		const char *argv[64] = {"curl", "-sS", "-m", "20", "--noproxy", "*", manners[m]};
		char texts[2 * sizeof(sizes) / sizeof(sizes[0])][320];
		int n = 7, t = 0, rc;

		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			argv[n++] = "-o";
			snprintf(texts[t], sizeof(texts[t]), "%s/%zu", folder, i);
			argv[n++] = texts[t++];
			snprintf(texts[t], sizeof(texts[t]), URL "%u", sizes[i]);
			argv[n++] = texts[t++];
		}
		argv[n] = NULL;
		rc = serve(st, peer_spawn(argv), 25000);
		CU_ASSERT_EQUAL(rc, 0);
		if (rc != 0)
			printf("  curl %s: exit code %d\n", manners[m], rc);
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			char name[16];

			snprintf(name, sizeof(name), "%zu", i);
			CU_ASSERT_TRUE(file_is_right(name, sizes[i]));
			snprintf(texts[0], sizeof(texts[0]), "%s/%zu", folder, i);
			unlink(texts[0]);
		}
	}
	stack_down(st);
	remove_folder();
}

static bool
write_file(const char *name, const char *text, uint64_t stream)
{
	char path[300];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "we");
	if (f == NULL)
		return false;
	if (text != NULL)
		fputs(text, f);
	for (uint64_t at = 0; at < stream; at += STREAM_RUN)
		fwrite(stream_at(at), 1, stream - at < STREAM_RUN ? stream - at : STREAM_RUN, f);
	return fclose(f) == 0;
}

/* GET; the body must be @len bytes of the stream. False: it is not. */
static bool
fetch(struct zf_stack *st, const char *name, uint64_t len)
{
	uint64_t end = peer_now_ms() + 15000, got = 0;
	struct zft *ts = our_connect(st, PORT);
	static uint8_t buf[65536];
	char head[4096];
	size_t n_head = 0;
	bool good = true, body = false;
	int n = -1;

	if (ts == NULL || !our_established(st, ts))
		return false;
	snprintf(head, sizeof(head), "GET /%s HTTP/1.0\r\nHost: " PEER_ADDR "\r\n\r\n", name);
	good = zft_send_single(ts, head, strlen(head), 0) == (ssize_t)strlen(head);
	while (good && n != 0 && peer_now_ms() < end) {
		struct iovec iov = {body ? (void *)buf : head + n_head, body ? sizeof(buf) : 1};

		zf_reactor_perform(st);
		while (good && (n = zft_recv(ts, &iov, 1, 0)) > 0) {
			if (body) {
				good = memcmp(buf, stream_at(got), (size_t)n) == 0;
				got += (uint64_t)n;
				continue;
			}
			n_head++;
			body = n_head >= 4 && memcmp(head + n_head - 4, "\r\n\r\n", 4) == 0;
			good = n_head < sizeof(head) - 1;
			iov = (struct iovec){body ? (void *)buf : head + n_head, body ? sizeof(buf) : 1};
		}
		if (n < 0 && n != -EAGAIN)
			good = false;
	}
	good = good && n == 0 && got == len && memcmp(head + 8, " 200 ", 5) == 0;
	if (!good)
		printf("  %s: %llu bytes, last %d, state %d, error %d\n", name, (unsigned long long)got, n, zft_state(ts),
		       zft_error(ts));
	zft_free(ts);
	return good;
}

/* Waits until the server listens. */
static bool
is_up(struct zf_stack *st)
{
	for (int i = 0; i < 100; i++) {
		struct zft *ts = our_connect(st, PORT);
		bool up = our_established(st, ts);

		zft_free(ts);
		if (up)
			return true;
		turn_for(st, 50);
	}
	return false;
}

static int
start_server(void)
{
	static char conf[300];
	const char *const nginx[] = {"nginx", "-c", conf, "-p", folder, NULL};
	const char *const python[] = {"python3", "-m", "http.server", "-b", PEER_ADDR, "-d", folder, "8080", NULL};

	snprintf(conf, sizeof(conf), "%s/nginx.conf", folder);
	if (!write_file("nginx.conf",
			"daemon off; master_process off; user root; pid nginx.pid; error_log stderr;\n"
			"events { worker_connections 256; }\n"
			"http { access_log off; client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3;\n"
			"uwsgi_temp_path t4; scgi_temp_path t5;\n"
			"server { listen " PEER_ADDR ":8080; root .; } }\n", 0))
		return -1;
	printf("(%s) ", have("nginx") ? "nginx" : "python3");
	return peer_spawn(have("nginx") ? nginx : python);
}

TCP_TEST(we_fetch_from_a_server)
{
	static const uint32_t sizes[] = {0, 1, 1460, 100000, 16 * MIB};
	struct zf_stack *st;
	int pid;

	if (!have("nginx") && !have("python3")) {
		unit_skip("neither nginx nor python3");
		return;
	}
	if (!between(BETWEEN_NOTHING) || !make_folder())
		return;
	st = stack_up(TCP_STACK);
	pid = start_server();
	CU_ASSERT_TRUE(is_up(st));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char name[16];

		snprintf(name, sizeof(name), "f%zu", i);
		CU_ASSERT_TRUE(write_file(name, NULL, sizes[i]) && fetch(st, name, sizes[i]));
	}
	for (int i = 0; i < 50; i++)
		if (!fetch(st, "f3", sizes[3])) {
			CU_FAIL("one of many");
			break;
		}
	(void)peer_end(pid);
	stack_down(st);
	remove_folder();
}

static const struct unit_test tests[] = {
	UNIT(curl_fetches_from_us),
	UNIT(we_fetch_from_a_server),
};

int
main(int argc, char **argv)
{
	return peer_main("interop_tcp_apps", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
