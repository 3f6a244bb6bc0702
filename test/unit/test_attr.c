/* SPDX-License-Identifier: BSD-3-Clause
 *
 * lib/core/attr: every documented code of the attribute calls, every default, ZF_ATTR and its faults, what
 * zf_stack_alloc() will refuse, and running out of memory at each allocation.
 */
#include "core/attr.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static char lines[8192];

static void
env(const char *text)
{
	if (text != NULL)
		setenv("ZF_ATTR", text, 1);
	else
		unsetenv("ZF_ATTR");
}

static struct zf_attr *
attr_with(const char *text)
{
	struct zf_attr *a = NULL;

	env(text);
	CU_ASSERT_EQUAL(zf_attr_alloc(&a), 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(a);
	env(NULL);
	return a;
}

/* The log's process default writes into `lines` from here... */
static void
lines_begin(void)
{
	log_default.fd = memfd_create("lines", MFD_CLOEXEC);
	CU_ASSERT_TRUE_FATAL(log_default.fd >= 0);
}

/* ... to here; returns how many there were. */
static int
lines_end(void)
{
	ssize_t n = pread(log_default.fd, lines, sizeof(lines) - 1, 0);
	int count = 0;

	lines[n > 0 ? n : 0] = '\0';
	for (const char *p = lines; (p = strchr(p, '\n')) != NULL; p++)
		count++;
	log_fini(&log_default);
	return count;
}

static int64_t
get_int(struct zf_attr *a, const char *name)
{
	int64_t v = INT64_MIN;

	CU_ASSERT_EQUAL(zf_attr_get_int(a, name, &v), 0);
	return v;
}

/* The attribute equals @want, which may be NULL. */
static bool
str_is(struct zf_attr *a, const char *name, const char *want)
{
	char *v = (char *)(uintptr_t)name;
	bool same;

	CU_ASSERT_EQUAL(zf_attr_get_str(a, name, &v), 0);
	same = want == NULL ? v == NULL : v != NULL && strcmp(v, want) == 0;
	free(v);
	return same;
}

static void
defaults_are_those_of_the_table(void)
{
	struct zf_attr *a;

	attr_sysctl_dir = "/nonexistent";
	a = attr_with(NULL);
	attr_sysctl_dir = "/proc/sys/net/ipv4";
#define ATTR_INT(n, s, v, lo, hi, o, t, d)                                                         \
	CU_ASSERT_EQUAL(get_int(a, #n), v);                                                        \
	CU_ASSERT_EQUAL(a->n, v);                                                                  \
	CU_ASSERT_TRUE((lo) <= (v) && (v) <= (hi));
#define ATTR_SYSCTL(n, s, v, f, k, lo, hi, o, t, d) ATTR_INT(n, s, v, lo, hi, o, t, d)
#define ATTR_BITMASK(n, s, v, o, t, d)              CU_ASSERT_EQUAL(get_int(a, #n), v);
#define ATTR_STR(n, s, v, o, t, d)                  CU_ASSERT_TRUE(str_is(a, #n, v));
#include "core/attr.def"
#undef ATTR_INT
#undef ATTR_SYSCTL
#undef ATTR_BITMASK
#undef ATTR_STR
	zf_attr_free(a);
}

/* The guide's chapter 7 and its later additions, written down once more by hand. */
static void
defaults_are_those_of_the_guide(void)
{
	static const struct {
		const char *name;
		int64_t v;
	} ints[] = {
		{"alt_buf_size", 40960}, {"alt_count", 0}, {"arp_reply_timeout", 1000},
		{"log_format", 5}, {"log_level", 0x1111111111111}, {"max_tcp_endpoints", 64},
		{"max_tcp_listen_endpoints", 16}, {"max_tcp_syn_backlog", 32}, {"max_udp_rx_endpoints", 64},
		{"max_udp_tx_endpoints", 64}, {"n_bufs", 0}, {"reactor_spin_count", 128}, {"rx_ring_max", 512},
		{"rx_ring_refill_batch_size", 16}, {"rx_ring_refill_interval", 1}, {"tcp_alt_ack_rewind", 65536},
		{"tcp_delayed_ack", 1}, {"tcp_finwait_ms", 60000}, {"tcp_initial_cwnd", 0}, {"tcp_retries", 15},
		{"tcp_syn_retries", 6}, {"tcp_synack_retries", 5}, {"tcp_timewait_ms", 60000},
		{"tcp_wait_for_time_wait", 0}, {"tx_ring_max", 512},
		{"udp_ttl", 64}, {"tx_error_recovery", 1}, {"rx_timestamping", 0}, {"tx_timestamping", 0}, {"pio", 3},
		{"ctpio", 1}, {"ctpio_max_frame_len", -1}, {"force_separate_tx_vi", 0}, {"phys_address_mode", 0},
		{"shrub_controller", -1},
		{"port_queues", 0}, {"tcp_timestamps", 0}, {"tcp_rto_min_ms", 200}, {"tcp_rto_initial_ms", 1000},
		{"tcp_rto_max_ms", 120000}, {"tcp_delack_ms", 40}, {"tcp_rx_window", 262144},
		{"tcp_syn_cookies", 1}, {"tcp_keepalive", 0}, {"tcp_keepalive_time_ms", 7200000},
		{"tcp_keepalive_intvl_ms", 75000}, {"tcp_keepalive_probes", 9}, {"tcp_ecn", 0}, {"tcp_dscp", 0},
		{"udp_dscp", 0}, {"fd_poll_interval_us", 100}, {"capture_bytes", 0}, {"tcp_fast_path", 1},
		{"tcp_loss_records", -1}, {"vlan", 0},
	};
	static const struct {
		const char *name;
		const char *v;
	} strs[] = {
		{"interface", NULL}, {"name", NULL}, {"log_file", NULL}, {"ctpio_mode", "sf-np"},
		{"rx_datapath", "express"}, {"tph_mode", "off"}, {"ipv4", NULL}, {"gateway", NULL},
		{"netdev_driver", "auto"}, {"tcp_cc", "cubic"}, {"capture_file", NULL},
	};
	struct zf_attr *a;

	attr_sysctl_dir = "/nonexistent";
	a = attr_with(NULL);
	attr_sysctl_dir = "/proc/sys/net/ipv4";
	for (size_t i = 0; i < ZF_ARRAY_SIZE(ints); i++)
		CU_ASSERT_EQUAL(get_int(a, ints[i].name), ints[i].v);
	for (size_t i = 0; i < ZF_ARRAY_SIZE(strs); i++)
		CU_ASSERT_TRUE(str_is(a, strs[i].name, strs[i].v));
	zf_attr_free(a);
}

static void
sysctl_file(const char *dir, const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (text == NULL) {
		unlink(path);
		return;
	}
	f = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(text, f);
	fclose(f);
}

static void
sysctls_give_defaults(void)
{
	static const char *const files[] = {"tcp_max_syn_backlog", "tcp_fin_timeout", "tcp_retries2",
					    "tcp_syn_retries", "tcp_synack_retries"};
	char dir[] = P_tmpdir "/zf_test_attr_XXXXXX";
	struct zf_attr *a;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	attr_sysctl_dir = dir;
	sysctl_file(dir, "tcp_max_syn_backlog", "777\n");
	sysctl_file(dir, "tcp_fin_timeout", "33\n");
	sysctl_file(dir, "tcp_retries2", "8\n");
	sysctl_file(dir, "tcp_syn_retries", "3\n");
	sysctl_file(dir, "tcp_synack_retries", "2\n");
	a = attr_with(NULL);
	CU_ASSERT_EQUAL(a->max_tcp_syn_backlog, 777);
	CU_ASSERT_EQUAL(a->tcp_finwait_ms, 33000); /* seconds there, milliseconds here */
	CU_ASSERT_EQUAL(a->tcp_timewait_ms, 33000);
	CU_ASSERT_EQUAL(a->tcp_retries, 8);
	CU_ASSERT_EQUAL(a->tcp_syn_retries, 3);
	CU_ASSERT_EQUAL(a->tcp_synack_retries, 2);
	zf_attr_free(a);

	/* What is no number, empty, or out of range counts as absent. */
	sysctl_file(dir, "tcp_max_syn_backlog", "many\n");
	sysctl_file(dir, "tcp_fin_timeout", "99999999\n");
	sysctl_file(dir, "tcp_retries2", "");
	sysctl_file(dir, "tcp_syn_retries", "-1\n");
	a = attr_with(NULL);
	CU_ASSERT_EQUAL(a->max_tcp_syn_backlog, 32);
	CU_ASSERT_EQUAL(a->tcp_finwait_ms, 60000);
	CU_ASSERT_EQUAL(a->tcp_retries, 15);
	CU_ASSERT_EQUAL(a->tcp_syn_retries, 6);
	zf_attr_free(a);

	attr_sysctl_dir = "/proc/sys/net/ipv4";
	for (size_t i = 0; i < ZF_ARRAY_SIZE(files); i++)
		sysctl_file(dir, files[i], NULL);
	CU_ASSERT_EQUAL(rmdir(dir), 0);
}

static void
integers_in_text(void)
{
	static const struct {
		const char *text;
		int rc;
		int64_t v;
	} t[] = {
		{"0", 0, 0}, {"1", 0, 1}, {"-1", 0, -1}, {"+7", 0, 7}, {"0042", 0, 42}, {"0x10", 0, 16},
		{"0XfF", 0, 255}, {"-0x10", 0, -16}, {"64K", 0, 65536}, {"64k", 0, 65536}, {"2M", 0, 2 << 20},
		{"1G", 0, 1 << 30}, {"-1k", 0, -1024}, {"0x1K", 0, 1024},
		{"9223372036854775807", 0, INT64_MAX}, {"-9223372036854775808", 0, INT64_MIN},
		{"0xffffffffffffffff", 0, -1},
		{"9223372036854775808", -EOVERFLOW, 0}, {"-9223372036854775809", -EOVERFLOW, 0},
		{"0x10000000000000000", -EOVERFLOW, 0}, {"99999999999999999999999", -EOVERFLOW, 0},
		{"17179869184G", -EOVERFLOW, 0}, {"-0xffffffffffffffff", -EOVERFLOW, 0},
		{"", -EINVAL, 0}, {"-", -EINVAL, 0}, {"+", -EINVAL, 0}, {"K", -EINVAL, 0}, {"0x", -EINVAL, 0},
		{"0xK", -EINVAL, 0}, {"x10", -EINVAL, 0}, {" 1", -EINVAL, 0}, {"1 ", -EINVAL, 0}, {"--1", -EINVAL, 0},
		{"+-1", -EINVAL, 0}, {"0x-1", -EINVAL, 0}, {"0x 1", -EINVAL, 0}, {"1KB", -EINVAL, 0}, {"1T", -EINVAL, 0},
		{"1.5", -EINVAL, 0}, {"1e3", -EINVAL, 0}, {"ff", -EINVAL, 0}, {"0xg", -EINVAL, 0}, {"on", -EINVAL, 0},
	};

	for (size_t i = 0; i < ZF_ARRAY_SIZE(t); i++) {
		int64_t v = 4711;
		int rc = attr_parse_int(t[i].text, &v);

		if (rc != t[i].rc || v != (rc == 0 ? t[i].v : 4711))
			printf("  \"%s\": %d %lld\n", t[i].text, rc, (long long)v);
		CU_ASSERT_EQUAL(rc, t[i].rc);
		CU_ASSERT_EQUAL(v, rc == 0 ? t[i].v : 4711);
	}
}

static void
set_and_get_codes(void)
{
	struct zf_attr *a = attr_with(NULL);
	int64_t v = 4711;
	char *s = lines;

	/* Unknown names, NULL among them. */
	CU_ASSERT_EQUAL(zf_attr_set_int(a, "no_such", 1), -ENOENT);
	CU_ASSERT_EQUAL(zf_attr_set_int(a, "", 1), -ENOENT);
	CU_ASSERT_EQUAL(zf_attr_set_int(a, NULL, 1), -ENOENT);
	CU_ASSERT_EQUAL(zf_attr_set_int(a, "n_buf", 1), -ENOENT);
	CU_ASSERT_EQUAL(zf_attr_set_int(a, "n_bufs ", 1), -ENOENT);
	CU_ASSERT_EQUAL(zf_attr_set_str(a, "no_such", "x"), -ENOENT);
	CU_ASSERT_EQUAL(zf_attr_set_from_str(a, "no_such", "1"), -ENOENT);
	CU_ASSERT_EQUAL(zf_attr_set_from_fmt(a, "no_such", "%d", 1), -ENOENT);
	CU_ASSERT_EQUAL(zf_attr_get_int(a, "no_such", &v), -ENOENT);
	CU_ASSERT_EQUAL(zf_attr_get_str(a, "no_such", &s), -ENOENT);

	/* Wrong types. */
	CU_ASSERT_EQUAL(zf_attr_get_int(a, "interface", &v), -EINVAL);
	CU_ASSERT_EQUAL(v, 4711);
	CU_ASSERT_EQUAL(zf_attr_get_str(a, "n_bufs", &s), -EINVAL);
	CU_ASSERT_EQUAL(zf_attr_get_str(a, "log_level", &s), -EINVAL);
	CU_ASSERT_PTR_EQUAL(s, lines);
	CU_ASSERT_EQUAL(zf_attr_set_str(a, "n_bufs", "1"), -ENOMSG);
	CU_ASSERT_EQUAL(zf_attr_set_str(a, "log_level", NULL), -ENOMSG);

	/* Ranges of what a type can hold. */
	CU_ASSERT_EQUAL(zf_attr_set_int(a, "n_bufs", INT32_MAX), 0);
	CU_ASSERT_EQUAL(zf_attr_set_int(a, "n_bufs", INT32_MIN), 0);
	CU_ASSERT_EQUAL(zf_attr_set_int(a, "n_bufs", (int64_t)INT32_MAX + 1), -EOVERFLOW);
	CU_ASSERT_EQUAL(zf_attr_set_int(a, "n_bufs", INT64_MIN), -EOVERFLOW);
	CU_ASSERT_EQUAL(get_int(a, "n_bufs"), INT32_MIN);
	CU_ASSERT_EQUAL(zf_attr_set_int(a, "log_level", INT64_MIN), 0);
	CU_ASSERT_EQUAL(get_int(a, "log_level"), INT64_MIN);
	CU_ASSERT_EQUAL(zf_attr_set_from_str(a, "log_level", "0xffffffffffffffff"), 0);
	CU_ASSERT_EQUAL(get_int(a, "log_level"), -1);
	CU_ASSERT_EQUAL(zf_attr_set_from_str(a, "log_level", "0x10000000000000000"), -EOVERFLOW);
	CU_ASSERT_EQUAL(zf_attr_set_from_str(a, "n_bufs", "4G"), -EOVERFLOW);
	CU_ASSERT_EQUAL(zf_attr_set_from_str(a, "n_bufs", "64K"), 0);
	CU_ASSERT_EQUAL(get_int(a, "n_bufs"), 65536);
	CU_ASSERT_EQUAL(zf_attr_set_from_str(a, "n_bufs", "64X"), -EINVAL);
	CU_ASSERT_EQUAL(zf_attr_set_from_str(a, "n_bufs", ""), -EINVAL);
	CU_ASSERT_EQUAL(zf_attr_set_from_str(a, "n_bufs", NULL), -EINVAL);
	CU_ASSERT_EQUAL(zf_attr_set_from_fmt(a, "n_bufs", "%s", "11111111111111111111111111111111111"), -EINVAL);
	CU_ASSERT_EQUAL(zf_attr_set_from_fmt(a, "n_bufs", "0x%x", 255), 0);
	CU_ASSERT_EQUAL(get_int(a, "N_Bufs"), 255);
	zf_attr_free(a);
}

static void
strings_are_set_cleared_and_copied(void)
{
	struct zf_attr *a = attr_with(NULL);
	char mine[] = "eth0";

	CU_ASSERT_EQUAL(zf_attr_set_str(a, "INTERFACE", mine), 0);
	mine[0] = 'X';
	CU_ASSERT_TRUE(str_is(a, "interface", "eth0"));
	CU_ASSERT_EQUAL(zf_attr_set_str(a, "interface", ""), 0);
	CU_ASSERT_TRUE(str_is(a, "interface", ""));
	CU_ASSERT_EQUAL(zf_attr_set_str(a, "interface", NULL), 0);
	CU_ASSERT_TRUE(str_is(a, "interface", NULL));
	CU_ASSERT_EQUAL(zf_attr_set_from_fmt(a, "interface", "wire:%s/%c", "n", 'a'), 0);
	CU_ASSERT_TRUE(str_is(a, "interface", "wire:n/a"));
	CU_ASSERT_EQUAL(zf_attr_set_from_str(a, "interface", NULL), 0);
	CU_ASSERT_TRUE(str_is(a, "interface", NULL));
	CU_ASSERT_EQUAL(zf_attr_set_int(a, "interface", -42), 0);
	CU_ASSERT_TRUE(str_is(a, "interface", "-42"));
	CU_ASSERT_EQUAL(zf_attr_set_int(a, "name", INT64_MIN), 0); /* 20 characters */
	CU_ASSERT_TRUE(str_is(a, "name", "-9223372036854775808"));
	CU_ASSERT_EQUAL(zf_attr_set_str(a, "name", "123456789012345678901"), -EINVAL);
	CU_ASSERT_EQUAL(zf_attr_set_from_str(a, "name", "123456789012345678901"), -EINVAL);
	CU_ASSERT_TRUE(str_is(a, "name", "-9223372036854775808"));
	CU_ASSERT_EQUAL(zf_attr_set_str(a, "log_file", "123456789012345678901"), 0);
	zf_attr_free(a);
}

static void
zf_attr_changes_the_defaults(void)
{
	struct zf_attr *a = attr_with("interface=enp4s0f0;log_level=3;N_BUFS=64K;;name=;"
				      "ipv4=10.0.0.1/24,10.1.0.1/16;log_file=a=b=c;vlan=0x10;");

	CU_ASSERT_TRUE(str_is(a, "interface", "enp4s0f0"));
	CU_ASSERT_EQUAL(a->log_level, 3);
	CU_ASSERT_EQUAL(a->n_bufs, 65536);
	CU_ASSERT_TRUE(str_is(a, "name", ""));
	CU_ASSERT_TRUE(str_is(a, "ipv4", "10.0.0.1/24,10.1.0.1/16"));
	CU_ASSERT_TRUE(str_is(a, "log_file", "a=b=c"));
	CU_ASSERT_EQUAL(a->vlan, 16);
	CU_ASSERT_EQUAL(a->alt_count, 0);
	zf_attr_free(a);
	zf_attr_free(attr_with(""));
	zf_attr_free(attr_with(";;;"));
}

static void
the_last_definition_wins_with_a_warning(void)
{
	struct zf_attr *a;

	lines_begin();
	a = attr_with("n_bufs=1;vlan=3;N_BUFS=2;n_bufs=4;log_level=0");
	CU_ASSERT_EQUAL(lines_end(), 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(lines, "warning"));
	CU_ASSERT_PTR_NOT_NULL(strstr(lines, "\"n_bufs=4\" counts"));
	CU_ASSERT_EQUAL(a->n_bufs, 4);
	CU_ASSERT_EQUAL(a->vlan, 3);
	zf_attr_free(a);
}

static void
faults_in_zf_attr_are_einval_and_one_line(void)
{
	static const struct {
		const char *text;
		const char *named; /* what the line must contain */
	} t[] = {
		{"interface", "\"interface\" has no '='"},
		{"n_bufs=1;interface", "\"interface\" has no '='"},
		{"=1", "\"=1\" has no name"},
		{"no_such=1", "\"no_such=1\" names no attribute"},
		{"n_bufs =1", "\"n_bufs =1\" names no attribute"},
		{" n_bufs=1", "\" n_bufs=1\" names no attribute"},
		{"n_bufs=", "\"n_bufs=\" is no integer"},
		{"n_bufs=many", "\"n_bufs=many\" is no integer"},
		{"n_bufs=1,2", "\"n_bufs=1,2\" is no integer"},
		{"n_bufs==1", "\"n_bufs==1\" is no integer"},
		{"n_bufs=4294967296", "\"n_bufs=4294967296\" is a number too large"},
		{"log_level=0x1ffffffffffffffff", "too large"},
		{"name=123456789012345678901", "longer than 20"},
		{"vlan=1;vlan=x", "\"vlan=x\" is no integer"},
		{"a\nb=1", "\"a?b=1\" names no attribute"},
	};

	for (size_t i = 0; i < ZF_ARRAY_SIZE(t); i++) {
		struct zf_attr *a = (struct zf_attr *)(uintptr_t)t;

		lines_begin();
		env(t[i].text);
		CU_ASSERT_EQUAL(zf_attr_alloc(&a), -EINVAL);
		CU_ASSERT_EQUAL(lines_end(), 1);
		CU_ASSERT_PTR_EQUAL(a, (const void *)t);
		if (strstr(lines, t[i].named) == NULL)
			printf("  %s%s\n", lines, t[i].named);
		CU_ASSERT_PTR_NOT_NULL(strstr(lines, t[i].named));
	}
	env(NULL);
	CU_ASSERT_EQUAL(zf_attr_alloc(NULL), -EFAULT);
	zf_attr_free(NULL);
}

static void
reset_goes_back_to_what_alloc_gave(void)
{
	struct zf_attr *a = attr_with("interface=eth7;n_bufs=9");
	struct zf_attr *b;

	zf_attr_set_int(a, "n_bufs", 1);
	zf_attr_set_int(a, "tcp_retries", 1);
	zf_attr_set_str(a, "interface", "x");
	zf_attr_set_str(a, "tcp_cc", NULL);
	zf_attr_set_str(a, "name", "n");
	b = zf_attr_dup(a);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b);
	env("interface=another;n_bufs=8"); /* not asked again */
	attr_fail_alloc = 0;               /* and no memory needed */
	zf_attr_reset(a);
	attr_fail_alloc = -1;
	CU_ASSERT_EQUAL(a->n_bufs, 9);
	CU_ASSERT_TRUE(a->tcp_retries > 1);
	CU_ASSERT_TRUE(str_is(a, "interface", "eth7"));
	CU_ASSERT_TRUE(str_is(a, "tcp_cc", "cubic"));
	CU_ASSERT_TRUE(str_is(a, "name", NULL));
	zf_attr_set_str(a, "interface", "again");
	zf_attr_free(a);

	/* The copy lives on, with its values and with where to go back to. */
	CU_ASSERT_EQUAL(b->n_bufs, 1);
	CU_ASSERT_TRUE(str_is(b, "interface", "x"));
	CU_ASSERT_TRUE(str_is(b, "tcp_cc", NULL));
	CU_ASSERT_TRUE(str_is(b, "name", "n"));
	zf_attr_reset(b);
	CU_ASSERT_EQUAL(b->n_bufs, 9);
	CU_ASSERT_TRUE(str_is(b, "interface", "eth7"));
	zf_attr_free(b);
	env(NULL);
}

static void
copies_are_independent(void)
{
	struct zf_attr *a = attr_with("interface=eth7");
	struct zf_attr *b = zf_attr_dup(a);
	struct zf_attr *c = zf_attr_dup(b);

	CU_ASSERT_PTR_NOT_NULL_FATAL(b);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	zf_attr_set_str(b, "interface", "eth8");
	zf_attr_set_int(c, "vlan", 5);
	CU_ASSERT_TRUE(str_is(a, "interface", "eth7"));
	CU_ASSERT_TRUE(str_is(c, "interface", "eth7"));
	CU_ASSERT_EQUAL(a->vlan, 0);
	zf_attr_free(a);
	zf_attr_free(b);
	CU_ASSERT_TRUE(str_is(c, "interface", "eth7"));
	zf_attr_free(c);
}

/* Every allocation of @fn fails once, and the call then says so; returns how many there are. */
static int
fail_each(int (*fn)(struct zf_attr *a), struct zf_attr *a)
{
	for (int n = 0; n < 1000; n++) {
		int rc;

		attr_fail_alloc = n;
		rc = fn(a);
		if (attr_fail_alloc >= 0) { /* n allocations and no failure: done */
			attr_fail_alloc = -1;
			CU_ASSERT_EQUAL(rc, 0);
			return n;
		}
		CU_ASSERT_EQUAL(rc, -ENOMEM);
	}
	CU_FAIL("no end");
	return -1;
}

static int
do_alloc(struct zf_attr *a)
{
	struct zf_attr *b = a;
	int rc = zf_attr_alloc(&b);

	if (rc == 0)
		zf_attr_free(b);
	else
		CU_ASSERT_PTR_EQUAL(b, a);
	return rc;
}

static int
do_dup(struct zf_attr *a)
{
	struct zf_attr *b = zf_attr_dup(a);

	zf_attr_free(b);
	return b != NULL ? 0 : -ENOMEM;
}

static int
do_set(struct zf_attr *a)
{
	int rc = zf_attr_set_str(a, "interface", "long enough");

	CU_ASSERT_TRUE(str_is(a, "name", "n"));
	return rc;
}

static int
do_fmt(struct zf_attr *a)
{
	return zf_attr_set_from_fmt(a, "interface", "%d", 5);
}

static int
do_get(struct zf_attr *a)
{
	char *s = lines;
	int rc = zf_attr_get_str(a, "name", &s);

	if (rc == 0)
		free(s);
	else
		CU_ASSERT_PTR_EQUAL(s, lines);
	return rc;
}

static int
do_doc(struct zf_attr *a ZF_UNUSED)
{
	const char **docs = NULL;
	int n = -1;
	int rc = zf_attr_doc("n_bufs", &docs, &n);

	if (rc < 0)
		CU_ASSERT_TRUE(docs == NULL && n == -1);
	free(docs);
	docs = NULL;
	if (rc == 0)
		rc = zf_attr_doc(NULL, &docs, &n);
	free(docs);
	return rc;
}

static void
out_of_memory_is_enomem_everywhere(void)
{
	struct zf_attr *a = attr_with("interface=eth7;name=n");

	zf_attr_set_str(a, "gateway", "10.0.0.254");
	env("interface=wire:loop;name=x");
	CU_ASSERT_TRUE(fail_each(do_alloc, a) >= 2 + 5 + 2); /* objects, default strings, ZF_ATTR's strings */
	env(NULL);
	CU_ASSERT_EQUAL(fail_each(do_dup, a), 2);
	CU_ASSERT_EQUAL(fail_each(do_get, a), 1);
	CU_ASSERT_EQUAL(fail_each(do_doc, a), 2);
	CU_ASSERT_EQUAL(fail_each(do_fmt, a), 2);
	attr_fail_alloc = 0;
	CU_ASSERT_EQUAL(zf_attr_set_str(a, "interface", "y"), -ENOMEM);
	attr_fail_alloc = -1;
	CU_ASSERT_TRUE(str_is(a, "interface", "5"));
	CU_ASSERT_EQUAL(do_set(a), 0);
	zf_attr_free(a);
}

static void
doc_describes_each_and_lists_all(void)
{
	const char **names = NULL;
	const char **docs = NULL;
	int n_names = 0;
	int n = 0;

	CU_ASSERT_EQUAL(zf_attr_doc("no_such", &docs, &n), -ENOENT);
	CU_ASSERT_EQUAL(zf_attr_doc("n_bufs", NULL, &n), -EFAULT);
	CU_ASSERT_EQUAL(zf_attr_doc("n_bufs", &docs, NULL), -EFAULT);
	CU_ASSERT_PTR_NULL(docs);
	CU_ASSERT_EQUAL(zf_attr_doc("", &names, &n_names), 0);
	free(names);
	CU_ASSERT_EQUAL_FATAL(zf_attr_doc(NULL, &names, &n_names), 0);
	CU_ASSERT_TRUE(n_names >= 27 + 14 + 23);
	for (int i = 0; i < n_names; i++) {
		CU_ASSERT_EQUAL_FATAL(zf_attr_doc(names[i], &docs, &n), 0);
		CU_ASSERT_EQUAL(n, 6);
		CU_ASSERT_STRING_EQUAL(docs[0], names[i]);
		CU_ASSERT_TRUE(strcmp(docs[1], "int") == 0 || strcmp(docs[1], "str") == 0 ||
			       strcmp(docs[1], "bitmask") == 0);
		CU_ASSERT_STRING_NOT_EQUAL(docs[2], "hidden");
		for (int k = 2; k < 6; k++)
			CU_ASSERT_TRUE(docs[k][0] != '\0');
		free(docs);
	}
	free(names);
	CU_ASSERT_EQUAL_FATAL(zf_attr_doc("TCP_Fast_Path", &docs, &n), 0);
	CU_ASSERT_STRING_EQUAL(docs[2], "hidden");
	free(docs);
	CU_ASSERT_EQUAL_FATAL(zf_attr_doc("tcp_finwait_ms", &docs, &n), 0);
	CU_ASSERT_STRING_EQUAL(docs[3], "net.ipv4.tcp_fin_timeout * 1000, or 60000");
	free(docs);
	CU_ASSERT_EQUAL_FATAL(zf_attr_doc("tcp_cc", &docs, &n), 0);
	CU_ASSERT_STRING_EQUAL(docs[3], "cubic");
	free(docs);
	CU_ASSERT_EQUAL_FATAL(zf_attr_doc("interface", &docs, &n), 0);
	CU_ASSERT_STRING_EQUAL(docs[3], "(none)");
	free(docs);
}

/* @text is refused at zf_stack_alloc() with one line that has @named in it; NULL: accepted in silence. */
static void
check(const char *text, const char *named)
{
	struct zf_attr *a = attr_with(text);
	int rc;

	lines_begin();
	rc = attr_check_stack(a, NULL);
	CU_ASSERT_EQUAL(lines_end(), named != NULL);
	CU_ASSERT_EQUAL(rc, named != NULL ? -EINVAL : 0);
	if (named != NULL && strstr(lines, named) == NULL)
		printf("  %s  instead of %s\n", lines, named);
	CU_ASSERT_TRUE(named == NULL || strstr(lines, named) != NULL);
	zf_attr_free(a);
}

static void
stack_check_names_value_and_range(void)
{
	check(NULL, NULL);
	check("n_bufs=-1", "n_bufs=-1 is refused: allowed is 0 to 2147483647");
	check("reactor_spin_count=0", "reactor_spin_count=0 is refused: allowed is 1 to");
	check("reactor_spin_count=1", NULL);
	check("rx_ring_refill_batch_size=12", "rx_ring_refill_batch_size=12 is refused: allowed is a multiple of 8");
	check("rx_ring_refill_batch_size=0", "rx_ring_refill_batch_size=0 is refused");
	check("rx_ring_refill_batch_size=24", NULL);
	check("udp_ttl=0", "udp_ttl=0 is refused: allowed is 1 to 255");
	check("udp_ttl=256", "udp_ttl=256");
	check("vlan=4095", "vlan=4095");
	check("tcp_cc=reno", "tcp_cc=reno is refused: allowed is cubic or newreno");
	check("tcp_cc=NewReno", NULL);
	check("netdev_driver=magic", "netdev_driver=magic");
	check("alt_count=-1", "alt_count=-1");
	check("alt_count=1;alt_buf_size=0", "alt_buf_size=0");
	check("alt_count=1;tx_ring_max=0", "tx_ring_max=0");
	check("tx_ring_max=0", NULL);
	check("rx_ring_max=0", NULL);
	check("tcp_rto_min_ms=500;tcp_rto_max_ms=400", "tcp_rto_min_ms=500");
	check("log_level=0xffffffffffffffff", NULL); /* trace bits and beyond: accepted */
}

static void
both_ends_of_every_range(void)
{
	struct zf_attr *a = attr_with(NULL);

	lines_begin();
#define TRY(n, v, want)                                                                            \
	if ((int64_t)(v) >= INT32_MIN && (int64_t)(v) <= INT32_MAX) {                              \
		CU_ASSERT_EQUAL(zf_attr_set_int(a, #n, (v)), 0);                                   \
		CU_ASSERT_EQUAL(attr_check_stack(a, NULL), want);                                  \
	}                                                                                          \
	zf_attr_reset(a);
#define ATTR_INT(n, s, v, lo, hi, o, t, d)                                                         \
	TRY(n, (int64_t)(lo)-1, -EINVAL)                                                           \
	TRY(n, (int64_t)(hi) + 1, -EINVAL)
#define ATTR_SYSCTL(n, s, v, f, k, lo, hi, o, t, d) ATTR_INT(n, s, v, lo, hi, o, t, d)
#define ATTR_BITMASK(n, s, v, o, t, d)
#define ATTR_STR(n, s, v, o, t, d)
#include "core/attr.def"
#undef ATTR_INT
#undef ATTR_SYSCTL
#undef ATTR_BITMASK
#undef ATTR_STR
	CU_ASSERT_TRUE(lines_end() > 60);
	zf_attr_free(a);
}

/* What only some adapter knows is taken, kept, and refused by nobody. */
static void
attributes_without_effect_are_accepted(void)
{
	check("ctpio=3;ctpio_max_frame_len=500;ctpio_mode=ct;force_separate_tx_vi=1;phys_address_mode=1;"
	      "rx_datapath=enterprise;shrub_controller=2;tph_mode=on;pio=1;tx_error_recovery=0",
	      NULL);
}

static const struct unit_test tests[] = {
	UNIT(defaults_are_those_of_the_table),
	UNIT(defaults_are_those_of_the_guide),
	UNIT(sysctls_give_defaults),
	UNIT(integers_in_text),
	UNIT(set_and_get_codes),
	UNIT(strings_are_set_cleared_and_copied),
	UNIT(zf_attr_changes_the_defaults),
	UNIT(the_last_definition_wins_with_a_warning),
	UNIT(faults_in_zf_attr_are_einval_and_one_line),
	UNIT(reset_goes_back_to_what_alloc_gave),
	UNIT(copies_are_independent),
	UNIT(out_of_memory_is_enomem_everywhere),
	UNIT(doc_describes_each_and_lists_all),
	UNIT(stack_check_names_value_and_range),
	UNIT(both_ends_of_every_range),
	UNIT(attributes_without_effect_are_accepted),
};

UNIT_MAIN("test_attr", tests)
