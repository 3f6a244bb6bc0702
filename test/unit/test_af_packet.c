/* SPDX-License-Identifier: BSD-3-Clause
 *
 * drivers/af_packet without a network: the ring as the kernel would fill it, and each refusal with its code and its one
 * line. Real frames are test/interop's.
 */
#include "af_packet/priv.h"
#include "core/attr.h"
#include "unit.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rte_eal.h>

#define BUFS        255
#define FRAMES      64u
#define FRAME_SHIFT 11

static struct zf_log logger = {.level_mask = LOG_MASK_DEFAULT, .fd = -1};
static struct zf_attr *attr;
static struct zf_pool *pool;
static uint32_t events;
static char lines[4096];

static void
on_host_event(void *opaque, uint32_t ev)
{
	CU_ASSERT_PTR_EQUAL(opaque, &events);
	events |= ev;
}

static const struct port_host host = {.opaque = &events, .event = on_host_event, .log = &logger};

static struct af_packet_queue
queue_new(void)
{
	struct af_packet_queue q = {.mask = FRAMES - 1, .frame_shift = FRAME_SHIFT, .fd = -1, .pool = pool,
				    .host = &host};

	q.ring = aligned_alloc(64, FRAMES << FRAME_SHIFT);
	CU_ASSERT_PTR_NOT_NULL_FATAL(q.ring);
	memset(q.ring, 0, FRAMES << FRAME_SHIFT);
	events = 0;
	return q;
}

/* What the kernel does for one frame: @len bytes from 0 up, at place @at. */
static struct tpacket2_hdr *
arrive(struct af_packet_queue *q, uint32_t at, uint32_t len, uint32_t status, uint8_t pkttype)
{
	struct tpacket2_hdr *h = (struct tpacket2_hdr *)(q->ring + ((size_t)(at % FRAMES) << FRAME_SHIFT));
	struct sockaddr_ll *ll = (struct sockaddr_ll *)((uint8_t *)h + TPACKET_ALIGN(sizeof(*h)));

	h->tp_mac = 82;
	h->tp_len = len;
	h->tp_snaplen = ZF_MIN(len, (1u << FRAME_SHIFT) - h->tp_mac);
	for (uint32_t i = 0; i < h->tp_snaplen; i++)
		((uint8_t *)h + h->tp_mac)[i] = (uint8_t)i;
	ll->sll_pkttype = pkttype;
	h->tp_status = TP_STATUS_USER | status;
	return h;
}

static void
frames_come_in_order_and_go_back(void)
{
	struct af_packet_queue q = queue_new();
	struct rte_mbuf *m[32];

	CU_ASSERT_EQUAL(af_packet_rx(&q, m, 32), 0);
	CU_ASSERT_FALSE(af_packet_peek(&q));
	for (uint32_t at = 0; at < 10 * FRAMES; at += 3) { /* several times around */
		for (uint32_t i = 0; i < 3; i++)
			arrive(&q, at + i, 60 + i, 0, PACKET_HOST);
		CU_ASSERT_TRUE(af_packet_peek(&q));
		CU_ASSERT_EQUAL(af_packet_rx(&q, m, 2), 2);
		CU_ASSERT_TRUE(af_packet_peek(&q));
		CU_ASSERT_EQUAL(af_packet_rx(&q, m + 2, 30), 1);
		CU_ASSERT_FALSE(af_packet_peek(&q));
		for (uint32_t i = 0; i < 3; i++) {
			CU_ASSERT_EQUAL(m[i]->pkt_len, 60 + i);
			CU_ASSERT_EQUAL(m[i]->data_len, 60 + i);
			CU_ASSERT_EQUAL(m[i]->ol_flags, 0);
			CU_ASSERT_EQUAL(rte_pktmbuf_mtod(m[i], uint8_t *)[59], 59);
			pkt_put(pool, m[i]);
		}
	}
	for (uint32_t i = 0; i < FRAMES; i++)
		CU_ASSERT_EQUAL(((struct tpacket2_hdr *)(q.ring + ((size_t)i << FRAME_SHIFT)))->tp_status,
				TP_STATUS_KERNEL);
	free(q.ring);
}

static void
a_vlan_tag_is_put_back(void)
{
	struct af_packet_queue q = queue_new();
	struct tpacket2_hdr *h = arrive(&q, 0, 60, TP_STATUS_VLAN_VALID | TP_STATUS_VLAN_TPID_VALID, PACKET_HOST);
	static const uint8_t want[20] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0x88, 0xa8, 0xe1, 0x23, 12, 13, 14, 15};
	struct rte_mbuf *m[2];

	h->tp_vlan_tpid = 0x88a8;
	h->tp_vlan_tci = 0xe123;
	arrive(&q, 1, 60, TP_STATUS_VLAN_VALID, PACKET_HOST)->tp_vlan_tci = 5; /* an old kernel: no type */
	CU_ASSERT_EQUAL(af_packet_rx(&q, m, 2), 2);
	CU_ASSERT_EQUAL(m[0]->pkt_len, 64);
	CU_ASSERT_EQUAL(memcmp(rte_pktmbuf_mtod(m[0], void *), want, 20), 0);
	CU_ASSERT_EQUAL(rte_pktmbuf_mtod(m[0], uint8_t *)[63], 59);
	CU_ASSERT_EQUAL(rte_pktmbuf_mtod(m[1], uint8_t *)[12], 0x81);
	CU_ASSERT_EQUAL(rte_pktmbuf_mtod(m[1], uint8_t *)[13], 0);
	CU_ASSERT_EQUAL(rte_pktmbuf_mtod(m[1], uint8_t *)[15], 5);
	pkt_put(pool, m[0]);
	pkt_put(pool, m[1]);
	free(q.ring);
}

static void
checksums_of_this_machine_are_good(void)
{
	struct af_packet_queue q = queue_new();
	struct rte_mbuf *m[2];

	arrive(&q, 0, 60, TP_STATUS_CSUMNOTREADY, PACKET_HOST);
	arrive(&q, 1, 60, TP_STATUS_CSUM_VALID, PACKET_HOST);
	CU_ASSERT_EQUAL(af_packet_rx(&q, m, 2), 2);
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(m[i]->ol_flags, RTE_MBUF_F_RX_L4_CKSUM_GOOD);
		pkt_put(pool, m[i]);
	}
	free(q.ring);
}

static void
what_is_not_for_us_or_too_long_is_skipped(void)
{
	struct af_packet_queue q = queue_new();
	struct rte_mbuf *m[8];

	arrive(&q, 0, 60, 0, PACKET_OUTGOING);
	arrive(&q, 1, 5000, 0, PACKET_HOST); /* cut by the kernel */
	arrive(&q, 2, 1966, TP_STATUS_VLAN_VALID, PACKET_HOST);
	arrive(&q, 3, 5, 0, PACKET_HOST);
	arrive(&q, 4, 64, 0, PACKET_HOST);
	CU_ASSERT_EQUAL(af_packet_rx(&q, m, 8), 2);
	CU_ASSERT_EQUAL(m[0]->pkt_len, 1970);
	CU_ASSERT_EQUAL(m[1]->pkt_len, 64);
	CU_ASSERT_EQUAL(q.rx_long, 2);
	CU_ASSERT_EQUAL(events, PORT_EV_SERVICE);
	pkt_put(pool, m[0]);
	pkt_put(pool, m[1]);
	CU_ASSERT_EQUAL(pool_free_count(pool), BUFS);
	free(q.ring);
}

static void
without_buffers_frames_wait_in_the_ring(void)
{
	struct af_packet_queue q = queue_new();
	struct rte_mbuf *all[BUFS], *m[1];

	for (int i = 0; i < BUFS; i++)
		all[i] = pkt_take(pool);
	arrive(&q, 0, 60, 0, PACKET_HOST);
	CU_ASSERT_EQUAL(af_packet_rx(&q, m, 1), 0);
	CU_ASSERT_TRUE(af_packet_peek(&q));
	CU_ASSERT_EQUAL(q.rx_no_mbuf, 1);
	for (int i = 0; i < BUFS; i++)
		pkt_put(pool, all[i]);
	CU_ASSERT_EQUAL(af_packet_rx(&q, m, 1), 1);
	pkt_put(pool, m[0]);
	free(q.ring);
}

/* A datagram socket pair plays the packet socket. */
static void
sends_are_whole_frames_and_stop_when_full(void)
{
	struct af_packet_queue q = queue_new();
	struct rte_mbuf *m[2];
	uint8_t got[4096];
	uint16_t sent = 0;
	int fds[2], sndbuf = 4096;

	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
	setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &sndbuf, sizeof(sndbuf));
	q.fd = fds[0];

	/* A chain is one frame; so are two parts. */
	for (int i = 0; i < 2; i++) {
		m[i] = pkt_take(pool);
		CU_ASSERT_PTR_NOT_NULL_FATAL(m[i]);
		pkt_reset(m[i], 100);
		memset(rte_pktmbuf_mtod(m[i], void *), 'a' + i, 100);
	}
	m[0]->next = m[1];
	m[0]->nb_segs = 2;
	m[0]->pkt_len = 200;
	CU_ASSERT_EQUAL(af_packet_tx(&q, m, 1), 1);
	CU_ASSERT_EQUAL(recv(fds[1], got, sizeof(got), 0), 200);
	CU_ASSERT_TRUE(got[99] == 'a' && got[100] == 'b');
	CU_ASSERT_EQUAL(af_packet_tx_copy(&q, "head", 4, "payload", 7), 1);
	CU_ASSERT_EQUAL(recv(fds[1], got, sizeof(got), 0), 11);
	CU_ASSERT_EQUAL(memcmp(got, "headpayload", 11), 0);

	/* Full: the frame stays the caller's, and goes when there is room. */
	for (int i = 0; i < 1000; i++) {
		errno = EXDEV;
		sent = af_packet_tx_copy(&q, got, 1000, got, 0);
		CU_ASSERT_EQUAL(errno, EXDEV);
		if (sent == 0)
			break;
	}
	CU_ASSERT_EQUAL(sent, 0);
	m[0] = pkt_take(pool);
	pkt_reset(m[0], 1000);
	CU_ASSERT_EQUAL(af_packet_tx(&q, m, 1), 0);
	while (recv(fds[1], got, sizeof(got), MSG_DONTWAIT) > 0)
		;
	CU_ASSERT_EQUAL(af_packet_tx(&q, m, 1), 1);
	CU_ASSERT_EQUAL(q.tx_full, 2);

	/* Nobody there any more: lost, not stuck. */
	close(fds[1]);
	m[0] = pkt_take(pool);
	pkt_reset(m[0], 100);
	CU_ASSERT_EQUAL(af_packet_tx(&q, m, 1), 1);
	CU_ASSERT_EQUAL(q.tx_lost, 1);
	CU_ASSERT_EQUAL(pool_free_count(pool), BUFS);
	close(fds[0]);
	free(q.ring);
}

static int stderr_was;

static void
lines_begin(void)
{
	int fd = memfd_create("lines", 0);

	stderr_was = dup(STDERR_FILENO);
	dup2(fd, STDERR_FILENO);
	close(fd);
}

static int
lines_end(void)
{
	ssize_t n = pread(STDERR_FILENO, lines, sizeof(lines) - 1, 0);
	int count = 0;

	dup2(stderr_was, STDERR_FILENO);
	close(stderr_was);
	lines[n > 0 ? n : 0] = '\0';
	for (const char *p = lines; (p = strchr(p, '\n')) != NULL; p++)
		count++;
	return count;
}

static int
port_open(const char *name, uint32_t ring)
{
	const struct port_open_args args = {
		.name = name, .attr = attr, .host = &host, .queues = 1, .rx_ring = ring, .tx_ring = ring};
	struct port_info info = {.mtu = 4711};
	void *priv = NULL;
	int rc = af_packet_driver.open(&args, &info, &priv);

	if (rc == 0) {
		af_packet_driver.close(priv);
	} else {
		CU_ASSERT_PTR_NULL(priv);
		CU_ASSERT_EQUAL(info.mtu, 4711);
	}
	return rc;
}

static void
refusals_are_one_line_with_the_guides_code(void)
{
	static const struct {
		const char *name;
		int rc;
		const char *named;
	} t[] = {
		{"af_packet:nosuch0", -ENODEV, "nosuch0"},
		{"af_packet:a_name_that_is_too_long", -ENODEV, "so long a name"},
		{"af_packet:lo", -ENODEV, "no Ethernet"},
	};

	for (size_t i = 0; i < ZF_ARRAY_SIZE(t); i++) {
		int rc;

		lines_begin();
		rc = port_open(t[i].name, 512);
		CU_ASSERT_EQUAL(lines_end(), 1);
		if (rc == -EPERM) {
			unit_skip("no CAP_NET_RAW");
			return;
		}
		CU_ASSERT_EQUAL(rc, t[i].rc);
		CU_ASSERT_PTR_NOT_NULL(strstr(lines, t[i].named));
	}
}

/* In a child without privileges. */
static void
no_permission_is_eperm_with_the_remedy(void)
{
	int status = 0;
	pid_t pid;

	lines_begin();
	pid = fork();
	if (pid == 0) {
		if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
			_exit(77);
		_exit(-port_open("af_packet:lo", 512));
	}
	waitpid(pid, &status, 0);
	CU_ASSERT_EQUAL(lines_end(), WEXITSTATUS(status) != 77);
	if (WEXITSTATUS(status) == 77) {
		unit_skip("cannot become another user here");
		return;
	}
	CU_ASSERT_TRUE(WIFEXITED(status));
	CU_ASSERT_EQUAL(WEXITSTATUS(status), EPERM);
	CU_ASSERT_PTR_NOT_NULL(strstr(lines, "CAP_NET_RAW"));
}

static const struct unit_test tests[] = {
	UNIT(frames_come_in_order_and_go_back),
	UNIT(a_vlan_tag_is_put_back),
	UNIT(checksums_of_this_machine_are_good),
	UNIT(what_is_not_for_us_or_too_long_is_skipped),
	UNIT(without_buffers_frames_wait_in_the_ring),
	UNIT(sends_are_whole_frames_and_stop_when_full),
	UNIT(refusals_are_one_line_with_the_guides_code),
	UNIT(no_permission_is_eperm_with_the_remedy),
};

int
main(int argc, char **argv)
{
	char *eal[] = {argv[0], (char *)(uintptr_t) "--no-huge", (char *)(uintptr_t) "--no-shconf",
		       (char *)(uintptr_t) "--no-pci", (char *)(uintptr_t) "--no-telemetry",
		       (char *)(uintptr_t) "-m", (char *)(uintptr_t) "64", (char *)(uintptr_t) "-l",
		       (char *)(uintptr_t) "0", (char *)(uintptr_t) "--log-level=error", NULL};
	int rc;

	if (rte_eal_init(ZF_ARRAY_SIZE(eal) - 1, eal) < 0 || zf_attr_alloc(&attr) < 0 || pool_init(&logger) < 0 ||
	    pool_create(BUFS, 0, -1, &logger, &pool) < 0)
		return 2;
	rc = unit_main("test_af_packet", tests, ZF_ARRAY_SIZE(tests), argc, argv);
	zf_attr_free(attr);
	return rc;
}
