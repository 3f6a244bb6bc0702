/* SPDX-License-Identifier: BSD-3-Clause
 *
 * drivers/ethdev over virtual ports, in an EAL that needs no privileges: the life of a port, frames through it, events,
 * and each refusal with its code and its one line.
 */
#include "core/attr.h"
#include "core/pool.h"
#include "ethdev/priv.h"
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_dev.h>
#include <rte_eal.h>

#define BUFS 1023

/* Of DPDK's driver side, whose headers are not installed: lets a port raise an event. */
struct rte_eth_dev *rte_eth_dev_allocated(const char *name);
int rte_eth_dev_callback_process(struct rte_eth_dev *dev, enum rte_eth_event_type event, void *ret_param);

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

/* Lines of the log and of stderr, which DPDK would write to, from here... */
static int stderr_was;

static void
lines_begin(void)
{
	logger.fd = -1;
	stderr_was = dup(STDERR_FILENO);
	int fd = memfd_create("lines", 0);

	dup2(fd, STDERR_FILENO);
	close(fd);
}

/* ... to here. */
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
port_open(const char *name, uint32_t ring, struct port_info *info, void **priv)
{
	const struct port_open_args args = {
		.name = name, .attr = attr, .host = &host, .queues = 4, .rx_ring = ring, .tx_ring = ring};

	events = 0;
	return ethdev_driver.open(&args, info, priv);
}

/* All the way to a running port. */
static void *
port_up(const char *name, struct port_info *info, struct port_queue *q)
{
	void *priv = NULL;

	CU_ASSERT_EQUAL_FATAL(port_open(name, 512, info, &priv), 0);
	CU_ASSERT_EQUAL_FATAL(ethdev_driver.queue_setup(priv, 0, pool), 0);
	CU_ASSERT_EQUAL_FATAL(ethdev_driver.start(priv), 0);
	ethdev_driver.queue_get(priv, 0, q);
	CU_ASSERT_PTR_NOT_NULL_FATAL(q->rx);
	CU_ASSERT_PTR_NOT_NULL_FATAL(q->tx);
	return priv;
}

static struct rte_mbuf *
frame(uint8_t fill)
{
	struct rte_mbuf *m = pkt_take(pool);

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	pkt_reset(m, 60);
	memset(rte_pktmbuf_mtod(m, void *), fill, 60);
	return m;
}

static void
a_null_port_lives_and_leaves_nothing(void)
{
	struct port_info info;
	struct port_queue q;
	struct rte_mbuf *m;

	for (int round = 0; round < 3; round++) {
		void *priv;

		lines_begin();
		priv = port_up("net_null0,no-rx=1", &info, &q);
		CU_ASSERT_TRUE(ethdev_port_exists("net_null0"));
		CU_ASSERT_STRING_EQUAL(info.driver, "net_null");
		CU_ASSERT_EQUAL(info.queues, 1);
		CU_ASSERT_EQUAL(info.mtu, 1500);
		CU_ASSERT_EQUAL(info.rx_ring, 512);
		CU_ASSERT_EQUAL(info.if_index, 0);
		CU_ASSERT_TRUE(info.caps & PORT_TX_COPIES);
		CU_ASSERT_TRUE(info.caps & PORT_TX_REF_OK);
		CU_ASSERT_FALSE(info.caps & (PORT_RX_PEEK | PORT_RX_INTR | PORT_FLOW));
		CU_ASSERT_PTR_NULL(q.peek);
		CU_ASSERT_EQUAL(ethdev_driver.link(priv), PORT_LINK_UP);
		CU_ASSERT_TRUE(events & PORT_EV_LINK);
		m = frame(1);
		CU_ASSERT_EQUAL(q.tx(q.txq, &m, 1), 1);
		CU_ASSERT_EQUAL(q.rx(q.rxq, &m, 1), 0);
		ethdev_driver.close(priv);
		CU_ASSERT_EQUAL(lines_end(), 0);
		CU_ASSERT_FALSE(ethdev_port_exists("net_null0"));
		CU_ASSERT_EQUAL(pool_free_count(pool), BUFS);
	}
}

static void
a_ring_hands_over_the_very_same_mbuf(void)
{
	struct port_info info;
	struct port_queue q;
	struct rte_mbuf *m = frame(7), *sent = m, *got = NULL;
	void *priv = port_up("net_ring0", &info, &q);

	CU_ASSERT_TRUE(info.caps & PORT_TX_PASSES_MBUF);
	CU_ASSERT_FALSE(info.caps & (PORT_TX_REF_OK | PORT_TX_COPIES | PORT_TX_INDIRECT_OK));
	CU_ASSERT_EQUAL(info.mac[0] & 3, 2); /* it has none of its own: ours is local, and no group */
	CU_ASSERT_EQUAL(q.tx(q.txq, &m, 1), 1);
	CU_ASSERT_EQUAL(q.rx(q.rxq, &got, 1), 1);
	CU_ASSERT_PTR_EQUAL(got, sent);
	CU_ASSERT_EQUAL(rte_pktmbuf_mtod(got, uint8_t *)[59], 7);
	pkt_put(pool, got);
	for (int i = 0; i < 100; i++) { /* left on the way when the port goes */
		m = frame((uint8_t)i);
		CU_ASSERT_EQUAL(q.tx(q.txq, &m, 1), 1);
	}
	CU_ASSERT_EQUAL(pool_free_count(pool), BUFS - 100);
	ethdev_driver.close(priv);
	CU_ASSERT_EQUAL(pool_free_count(pool), BUFS);
	CU_ASSERT_FALSE(ethdev_port_exists("net_ring0"));
}

/* A port that the application made is used, and is still there afterwards. */
static void
an_existing_port_stays(void)
{
	struct port_info info;
	struct port_queue q;
	struct rte_mbuf *m;

	CU_ASSERT_EQUAL_FATAL(rte_eal_hotplug_add("vdev", "net_ring3", ""), 0);
	for (int round = 0; round < 2; round++) {
		void *priv = port_up("net_ring3", &info, &q);

		m = frame(3);
		CU_ASSERT_EQUAL(q.tx(q.txq, &m, 1), 1);
		CU_ASSERT_EQUAL(q.rx(q.rxq, &m, 1), 1);
		pkt_put(pool, m);
		ethdev_driver.close(priv);
		CU_ASSERT_TRUE(ethdev_port_exists("net_ring3"));
	}
	CU_ASSERT_EQUAL(pool_free_count(pool), BUFS);
	CU_ASSERT_EQUAL(rte_eal_hotplug_remove("vdev", "net_ring3"), 0);
}

static void
a_port_in_use_is_ebusy(void)
{
	struct port_info info;
	struct rte_eth_dev_owner other = {.name = "other"};
	void *priv = NULL;
	uint16_t id;

	CU_ASSERT_EQUAL_FATAL(rte_eal_hotplug_add("vdev", "net_null7", "no-rx=1"), 0);
	CU_ASSERT_EQUAL_FATAL(rte_eth_dev_get_port_by_name("net_null7", &id), 0);

	/* Owned by somebody. */
	CU_ASSERT_EQUAL(rte_eth_dev_owner_new(&other.id), 0);
	CU_ASSERT_EQUAL(rte_eth_dev_owner_set(id, &other), 0);
	lines_begin();
	CU_ASSERT_EQUAL(port_open("net_null7", 512, &info, &priv), -EBUSY);
	CU_ASSERT_EQUAL(lines_end(), 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(lines, "net_null7"));
	CU_ASSERT_EQUAL(rte_eth_dev_owner_unset(id, other.id), 0);

	/* Started by the application. */
	CU_ASSERT_EQUAL(rte_eth_dev_configure(id, 1, 1, &(struct rte_eth_conf){0}), 0);
	CU_ASSERT_EQUAL(rte_eth_rx_queue_setup(id, 0, 64, 0, NULL, pool->mp), 0);
	CU_ASSERT_EQUAL(rte_eth_tx_queue_setup(id, 0, 64, 0, NULL), 0);
	CU_ASSERT_EQUAL(rte_eth_dev_start(id), 0);
	lines_begin();
	CU_ASSERT_EQUAL(port_open("net_null7", 512, &info, &priv), -EBUSY);
	CU_ASSERT_EQUAL(lines_end(), 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(lines, "leave it stopped"));
	CU_ASSERT_PTR_NULL(priv);
	CU_ASSERT_EQUAL(rte_eth_dev_stop(id), 0);

	/* And neither. */
	CU_ASSERT_EQUAL_FATAL(port_open("net_null7", 512, &info, &priv), 0);
	ethdev_driver.close(priv);
	CU_ASSERT_EQUAL(rte_eal_hotplug_remove("vdev", "net_null7"), 0);
}

static void
refusals_are_one_line_with_the_guides_code(void)
{
	static const struct {
		const char *name;
		uint32_t ring;
		int rc;
		const char *named;
	} t[] = {
		{"net_bogus0", 512, -ENODEV, "net_bogus0"},
		{"net_null0,bogus=1", 512, -ENODEV, "net_null0,bogus=1"},
		{"net_virtio_user0,path=/nonexistent/socket", 512, -ENODEV, "net_virtio_user0"},
		{"net_null0", 70000, -EINVAL, "rx_ring_max=70000 is refused: the port's maximum is 65535"},
		{"ffff:1f:1f.7", 512, -ENODEV, "no PCI device"},
		{"a_name_that_is_far_longer_than_any_device_name_that_dpdk_would_take", 512, -ENODEV, "too long"},
	};

	for (size_t i = 0; i < ZF_ARRAY_SIZE(t); i++) {
		struct port_info info = {.mtu = 4711};
		void *priv = NULL;
		int rc;

		lines_begin();
		rc = port_open(t[i].name, t[i].ring, &info, &priv);
		CU_ASSERT_EQUAL(lines_end(), 1);
		if (rc != t[i].rc || strstr(lines, t[i].named) == NULL)
			printf("  %s: %d %s", t[i].name, rc, lines);
		CU_ASSERT_EQUAL(rc, t[i].rc);
		CU_ASSERT_PTR_NOT_NULL(strstr(lines, t[i].named));
		CU_ASSERT_PTR_NULL(priv);
		CU_ASSERT_EQUAL(info.mtu, 4711);
	}
	CU_ASSERT_FALSE(ethdev_port_exists("net_null0"));
	CU_ASSERT_FALSE(ethdev_port_exists(""));
}

static void
events_reach_the_host(void)
{
	struct port_info info;
	struct port_queue q;
	void *priv = port_up("net_null0", &info, &q);
	struct rte_eth_dev *dev = rte_eth_dev_allocated("net_null0");

	events = 0;
	rte_eth_dev_callback_process(dev, RTE_ETH_EVENT_INTR_LSC, NULL);
	CU_ASSERT_EQUAL(events, PORT_EV_LINK);
	CU_ASSERT_EQUAL(ethdev_driver.link(priv), PORT_LINK_UP);
	events = 0;
	rte_eth_dev_callback_process(dev, RTE_ETH_EVENT_INTR_RMV, NULL);
	CU_ASSERT_EQUAL(events, PORT_EV_REMOVED);
	CU_ASSERT_EQUAL(ethdev_driver.link(priv), PORT_LINK_GONE);
	ethdev_driver.close(priv);
}

/* net_null cannot reset: that is the failing half; the port is dead, silent, and safe to poll. */
static void
a_reset_that_fails_ends_the_port(void)
{
	struct port_info info;
	struct port_queue q;
	struct rte_mbuf *m = frame(1);
	void *priv = port_up("net_null0", &info, &q);
	struct rte_eth_dev *dev = rte_eth_dev_allocated("net_null0");

	rte_eth_dev_callback_process(dev, RTE_ETH_EVENT_INTR_RESET, NULL);
	CU_ASSERT_TRUE(events & PORT_EV_RESET);
	CU_ASSERT_EQUAL(ethdev_driver.link(priv), PORT_LINK_UP); /* nothing happens on the other thread */
	events = 0;
	lines_begin();
	ethdev_driver.service(priv, 1);
	CU_ASSERT_EQUAL(lines_end(), 1);
	CU_ASSERT_TRUE(events & PORT_EV_LINK);
	CU_ASSERT_EQUAL(ethdev_driver.link(priv), PORT_LINK_GONE);
	ethdev_driver.queue_get(priv, 0, &q);
	CU_ASSERT_EQUAL(q.tx(q.txq, &m, 1), 0);
	CU_ASSERT_EQUAL(q.rx(q.rxq, &m, 1), 0);
	pkt_put(pool, m);
	lines_begin();
	ethdev_driver.service(priv, 2);
	CU_ASSERT_EQUAL(lines_end(), 0);
	ethdev_driver.close(priv);
}

static void
without_error_recovery_a_reset_stays_down(void)
{
	struct port_info info;
	struct port_queue q;
	void *priv;

	zf_attr_set_int(attr, "tx_error_recovery", 0);
	priv = port_up("net_null0", &info, &q);
	zf_attr_reset(attr);
	rte_eth_dev_callback_process(rte_eth_dev_allocated("net_null0"), RTE_ETH_EVENT_INTR_RESET, NULL);
	lines_begin();
	ethdev_driver.service(priv, 1);
	CU_ASSERT_EQUAL(lines_end(), 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(lines, "tx_error_recovery"));
	CU_ASSERT_EQUAL(ethdev_driver.link(priv), PORT_LINK_DOWN);
	ethdev_driver.close(priv);
}

static void
service_looks_at_the_link_now_and_then(void)
{
	struct port_info info;
	struct port_queue q;
	void *priv = port_up("net_null0", &info, &q);
	uint64_t next;

	CU_ASSERT_TRUE(events & PORT_EV_SERVICE);
	events = 0;
	next = ethdev_driver.service(priv, 1000);
	CU_ASSERT_TRUE(next > 1000 && next <= 1000 + 1000000000u);
	CU_ASSERT_EQUAL(events, PORT_EV_LINK); /* down at start, up now */
	events = 0;
	CU_ASSERT_EQUAL(ethdev_driver.service(priv, 2000), next);
	CU_ASSERT_TRUE(ethdev_driver.service(priv, next) > next);
	CU_ASSERT_EQUAL(events, 0);
	ethdev_driver.close(priv);
}

static void
multicast_on_a_port_without_a_filter_is_no_error(void)
{
	static const uint8_t macs[2][6] = {{1, 0, 0x5e, 0, 0, 1}, {1, 0, 0x5e, 0, 0, 2}};
	struct port_info info;
	struct port_queue q;
	void *priv = port_up("net_ring0", &info, &q);

	lines_begin();
	CU_ASSERT_EQUAL(ethdev_driver.mc_list(priv, macs, 2), 0);
	CU_ASSERT_EQUAL(ethdev_driver.mc_list(priv, NULL, 0), 0);
	CU_ASSERT_EQUAL(lines_end(), 0);
	ethdev_driver.close(priv);
}

static void
quirks_and_profiles(void)
{
	CU_ASSERT_EQUAL(ethdev_quirks("no_such_driver"), PORT_TX_HOLDS);
	CU_ASSERT_EQUAL(ethdev_quirks(NULL), PORT_TX_HOLDS);
	CU_ASSERT_EQUAL(ethdev_quirks("net_af_xdp"), PORT_TX_HOLDS);
	CU_ASSERT_TRUE(ethdev_quirks("net_sfc_efx") & PORT_TX_REF_OK);
	CU_ASSERT_TRUE(ethdev_quirks("net_sfc_efx") & PORT_TX_HOLDS);
	CU_ASSERT_FALSE(ethdev_quirks("net_sfc_efx") & PORT_TX_COPIES);
	CU_ASSERT_TRUE(ethdev_quirks("net_af_packet") & PORT_TX_COPIES);
	CU_ASSERT_TRUE(ethdev_quirks("net_tap") & QUIRK_MAC_OF_PEER);
	CU_ASSERT_EQUAL(ethdev_quirks("net_ring"), PORT_TX_PASSES_MBUF | PORT_TX_MULTISEG);
	CU_ASSERT_PTR_NOT_NULL(strstr(ethdev_profile(0x1924, 0x0a03), "tx_datapath=ef10,"));
	CU_ASSERT_PTR_NULL(strstr(ethdev_profile(0x1924, 0x0a03), "ef10_simple"));
	CU_ASSERT_PTR_NOT_NULL(strstr(ethdev_profile(0x10ee, 0x0100), "ef100"));
	CU_ASSERT_STRING_EQUAL(ethdev_profile(0x8086, 0x1572), "");
}

static const struct unit_test tests[] = {
	UNIT(a_null_port_lives_and_leaves_nothing),
	UNIT(a_ring_hands_over_the_very_same_mbuf),
	UNIT(an_existing_port_stays),
	UNIT(a_port_in_use_is_ebusy),
	UNIT(refusals_are_one_line_with_the_guides_code),
	UNIT(events_reach_the_host),
	UNIT(a_reset_that_fails_ends_the_port),
	UNIT(without_error_recovery_a_reset_stays_down),
	UNIT(service_looks_at_the_link_now_and_then),
	UNIT(multicast_on_a_port_without_a_filter_is_no_error),
	UNIT(quirks_and_profiles),
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
	rc = unit_main("test_ethdev", tests, ZF_ARRAY_SIZE(tests), argc, argv);
	zf_attr_free(attr);
	return rc;
}
