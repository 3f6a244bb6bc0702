/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Fuzzer of a live stack: an input is a list of steps, each a byte and its arguments: frames (as they are, or with
 * checksums and addresses repaired, so that mutations get through the parser), calls of the API, time, and bad days
 * of the port. One stack serves many inputs; after each one everything must be home again.
 *
 * ZF_FUZZ_FRESH=1 in the environment makes a new stack for each input, to find out whether an input fails alone.
 */
#include <stdlib.h>
#include <string.h>
#include <zf/zf.h>

#include "core/ctx.h"
#include "fuzz/fuzz.h"
#include "mem/mem.h"
#include "zf_testing.h"

#define N_ZFUR      6
#define N_ZFUT      4
#define STEPS_MAX   300
#define INPUTS_MAX  20000 /* of one stack */
#define LINGER_NS   (130ull * 1000000000u) /* longest that fragments and held frames may stay */
#define FRAME_MAX   9100

enum step {
	STEP_FRAME, /* repairs, length (2), bytes */
	STEP_SEND,  /* zocket and flags, length (2) */
	STEP_RECV,  /* zocket, iovecs */
	STEP_POLL,
	STEP_TIME,  /* 1 << n microseconds */
	STEP_BIND,  /* zocket, which address */
	STEP_UNBIND,
	STEP_ZFUR,  /* free, or make again */
	STEP_ZFUT,
	STEP_PORT,  /* which trouble, how much */
	STEP_POOL,  /* the n-th buffer fails */
	STEPS
};

/* Repairs of STEP_FRAME. */
enum repair {
	FIX_MAC = 1,
	FIX_IP = 2, /* addresses, version, total length if it is beyond the frame */
	FIX_SUM = 4,
	FIX_L4 = 8,
	NO_POLL = 16,
};

struct input {
	const uint8_t *p;
	size_t left;
};

static struct zt *zt;
static struct zfur *zfurs[N_ZFUR];
static struct zfut *zfuts[N_ZFUT];
static struct zf_attr *attr;

static uint32_t
take(struct input *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->p++;
}

static uint32_t
take2(struct input *in)
{
	uint32_t hi = take(in);

	return hi << 8 | take(in);
}

static struct sockaddr_in
address(uint32_t ip, uint16_t port)
{
	return (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(ip), .sin_port = htons(port)};
}

#define US    0xc0000201u
#define PEER  0xc0000242u
#define FAR   0xc6336407u
#define GROUP 0xef010101u
#define BCAST 0xc00002ffu

static void
bind_one(struct zfur *us, uint32_t which)
{
	static const uint32_t locals[] = {US, US, GROUP, GROUP + 1, BCAST, 0xffffffff, 0, FAR};
	struct sockaddr_in l = address(locals[which & 7], (uint16_t)(2000 + (which >> 3 & 1)));
	struct sockaddr_in r = address(PEER, which & 16 ? 1000 : 0);
	bool any = (which & 1) == 0;

	zfur_addr_bind(us, (struct sockaddr *)&l, sizeof(l), any ? NULL : (struct sockaddr *)&r, sizeof(r), 0);
}

static void
unbind_one(struct zfur *us, uint32_t which)
{
	struct sockaddr_in l = address(US, (uint16_t)(2000 + (which >> 3 & 1)));

	zfur_addr_unbind(us, which & 1 ? NULL : (struct sockaddr *)&l, which & 1 ? 0 : sizeof(l), NULL, 0, 0);
}

static void
make_zfur(uint32_t i)
{
	if (zfur_alloc(&zfurs[i], zt_stack(zt), attr) < 0) {
		zfurs[i] = NULL;
		return;
	}
	bind_one(zfurs[i], i);
}

static void
make_zfut(uint32_t i)
{
	static const uint32_t remotes[N_ZFUT] = {PEER, FAR, GROUP, PEER + 1};
	struct sockaddr_in l = address(US, 2000), r = address(remotes[i], 1000);

	if (zfut_alloc(&zfuts[i], zt_stack(zt), (struct sockaddr *)&l, sizeof(l), (struct sockaddr *)&r, sizeof(r), 0,
		       attr) < 0)
		zfuts[i] = NULL;
}

/* The peer and the gateway answer ARP, so that the paths resolve. */
static void
on_tx(void *arg, const uint8_t *b, uint32_t len)
{
	uint8_t reply[60] = {0};

	(void)arg;
	if (len < 42 || b[12] != 8 || b[13] != 6 || b[21] != 1 || (b[41] != 0x42 && b[41] != 0xfe) || b[40] != 2)
		return;
	memcpy(reply, b, 42);
	memcpy(reply, b + 6, 6);
	memcpy(reply + 6, "\x02\x01\xc0\x00\x02", 5);
	reply[11] = b[41];
	reply[21] = 2;
	memcpy(reply + 22, reply + 6, 6);
	memcpy(reply + 28, b + 38, 4);
	memcpy(reply + 32, b + 22, 10);
	mem_push(zt_port(zt), 0, reply, 60, 0);
}

static void
on_fault(void *arg, const char *what)
{
	(void)arg;
	check_failed(what, __FILE__, __LINE__);
}

static void
open_stack(void)
{
	struct mem_port *p = zt_next_port();

	FUZZ_CHECK(p != NULL);
	mem_cfg(p)->scribble = true;
	mem_cfg(p)->rx_max = FRAME_MAX;
	mem_on_fault(p, on_fault, NULL);
	FUZZ_CHECK(zt_open(&zt, "ipv4=192.0.2.1/24;gateway=192.0.2.254;n_bufs=512;reactor_spin_count=1;log_level=0;"
				"max_udp_rx_endpoints=8;max_udp_tx_endpoints=8") == 0);
	mem_on_tx(p, on_tx, NULL);
	zt_advance(3000000000u);
}

static uint32_t
sum16(const uint8_t *b, uint32_t len, uint32_t sum)
{
	for (uint32_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)b[i] << 8 | b[i + 1];
	return len & 1 ? sum + ((uint32_t)b[len - 1] << 8) : sum;
}

static void
put_sum(uint8_t *at, uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16));
	at[0] = (uint8_t)(sum >> 8);
	at[1] = (uint8_t)sum;
}

static void
repair_l4(uint8_t *ip, uint32_t hlen, uint32_t total)
{
	uint8_t *l4 = ip + hlen;
	uint32_t len = total - hlen;

	if ((ip[6] & 0x3f) != 0 || ip[7] != 0)
		return;
	if ((ip[9] == 1 || ip[9] == 2) && len >= 8) {
		l4[2] = l4[3] = 0;
		put_sum(l4 + 2, sum16(l4, len, 0));
	} else if (ip[9] == 17 && len >= 8) {
		l4[4] = (uint8_t)(len >> 8);
		l4[5] = (uint8_t)len;
		l4[6] = l4[7] = 0;
		put_sum(l4 + 6, sum16(l4, len, sum16(ip + 12, 8, 17 + len)));
	}
}

static void
repair(uint8_t *b, uint32_t len, uint32_t how)
{
	uint8_t *ip = b + 14;
	uint32_t hlen, total;

	if ((how & FIX_MAC) && len >= 14)
		memcpy(b, "\x02\x00\x00\x00\x00\x01\x02\x01\xc0\x00\x02\x42", 12);
	if (len < 34 || b[12] != 8 || b[13] != 0)
		return;
	if (how & FIX_IP) {
		ip[0] = (uint8_t)(0x40 | (ip[0] & 15));
		memcpy(ip + 12, "\xc0\x00\x02\x42\xc0\x00\x02\x01", 8);
		if (((uint32_t)ip[2] << 8 | ip[3]) > len - 14) {
			ip[2] = (uint8_t)((len - 14) >> 8);
			ip[3] = (uint8_t)(len - 14);
		}
	}
	hlen = (ip[0] & 15) * 4u;
	total = (uint32_t)ip[2] << 8 | ip[3];
	if (hlen < 20 || hlen > total || total > len - 14)
		return;
	if (how & FIX_L4)
		repair_l4(ip, hlen, total);
	if (how & FIX_SUM) {
		ip[10] = ip[11] = 0;
		put_sum(ip + 10, sum16(ip, hlen, 0));
	}
}

static void
step_frame(struct input *in)
{
	uint8_t b[FRAME_MAX];
	uint32_t how = take(in);
	uint32_t len = take2(in);

	len = (uint32_t)ZF_MIN((size_t)ZF_MIN(len, (uint32_t)FRAME_MAX), in->left);
	memcpy(b, in->p, len);
	in->p += len;
	in->left -= len;
	repair(b, len, how);
	zt_push(zt, b, len, (how & NO_POLL) == 0);
}

static void
step_send(struct input *in)
{
	static const uint8_t payload[66000];
	uint32_t which = take(in);
	uint32_t len = take2(in);
	struct zfut *us = zfuts[which % N_ZFUT];
	struct iovec iov[2] = {{(void *)(uintptr_t)payload, len / 2}, {(void *)(uintptr_t)payload, len - len / 2}};
	int rc;

	if (us == NULL)
		return;
	if (which & 16)
		rc = zfut_send_single(us, payload, len);
	else
		rc = zfut_send(us, iov, which & 32 ? 1 : 2, which & 64 ? ZFUT_FLAG_DONT_FRAGMENT : 0);
	FUZZ_CHECK(rc < 0 || rc == (int)len || rc == (int)(len / 2));
}

/* Reads a datagram, every byte of it, and its headers. */
static void
step_recv(struct input *in)
{
	struct zfur *us = zfurs[take(in) % N_ZFUR];
	union {
		struct zfur_msg msg;
		uint8_t room[sizeof(struct zfur_msg) + 50 * sizeof(struct iovec)];
	} rd;
	const struct iphdr *ip;
	const struct udphdr *udp;
	uint8_t head[28];
	volatile uint8_t sum = 0;

	if (us == NULL)
		return;
	rd.msg.iovcnt = (int)(take(in) % 50);
	zfur_zc_recv(us, &rd.msg, 0);
	if (rd.msg.iovcnt == 0)
		return;
	FUZZ_CHECK(zfur_pkt_get_header(us, &rd.msg, &ip, &udp, 0) == 0);
	memcpy(head, ip, 20);
	memcpy(head + 20, udp, 8);
	FUZZ_CHECK(head[0] >> 4 == 4 && head[9] == 17 && (head[24] != 0 || head[25] >= 8));
	for (int i = 0; i < rd.msg.iovcnt; i++)
		for (size_t k = 0; k < rd.msg.iov[i].iov_len; k++)
			sum = (uint8_t)(sum + ((const uint8_t *)rd.msg.iov[i].iov_base)[k]);
	zfur_zc_recv_done(us, &rd.msg);
}

static void
step_port(struct input *in)
{
	struct mem_port *p = zt_port(zt);
	struct mem_cfg *c = mem_cfg(p);
	uint32_t what = take(in), n = take(in);

	switch (what % 8) {
	case 0:
		c->credit = n & 1 ? MEM_ALL : n >> 1;
		break;
	case 1:
		c->accept = n > 8 ? MEM_ALL : n;
		break;
	case 2:
		c->split_at[0] = (uint16_t)n;
		break;
	case 3:
		c->hold = n & 1 ? n : 0;
		break;
	case 4:
		mem_set_link(p, n & 1 ? PORT_LINK_UP : PORT_LINK_DOWN);
		break;
	case 5:
		mem_ask_reset(p);
		break;
	case 6:
		c->rx_alloc_fails = n & 1;
		break;
	default:
		mem_release(p, n);
		break;
	}
}

static void
step_zfur(struct input *in)
{
	uint32_t i = take(in) % N_ZFUR;

	if (zfurs[i] == NULL) {
		make_zfur(i);
		return;
	}
	zfur_free(zfurs[i]);
	zfurs[i] = NULL;
}

static void
step_zfut(struct input *in)
{
	uint32_t i = take(in) % N_ZFUT;

	if (zfuts[i] == NULL) {
		make_zfut(i);
		return;
	}
	zfut_free(zfuts[i]);
	zfuts[i] = NULL;
}

static void
one_step(struct input *in)
{
	switch (take(in) % STEPS) {
	case STEP_FRAME:
		step_frame(in);
		break;
	case STEP_SEND:
		step_send(in);
		break;
	case STEP_RECV:
		step_recv(in);
		break;
	case STEP_POLL:
		zf_reactor_perform(zt_stack(zt));
		zf_stack_has_pending_work(zt_stack(zt));
		break;
	case STEP_TIME:
		FUZZ_CHECK(zt_advance(1000ull << (take(in) % 27)) >= 0);
		break;
	case STEP_BIND: {
		uint32_t i = take(in) % N_ZFUR, which = take(in);

		if (zfurs[i] != NULL)
			bind_one(zfurs[i], which);
		break;
	}
	case STEP_UNBIND: {
		uint32_t i = take(in) % N_ZFUR, which = take(in);

		if (zfurs[i] != NULL)
			unbind_one(zfurs[i], which);
		break;
	}
	case STEP_ZFUR:
		step_zfur(in);
		break;
	case STEP_ZFUT:
		step_zfut(in);
		break;
	case STEP_PORT:
		step_port(in);
		break;
	default:
		pool_fail_after = take(in);
		pool_fail_every = take(in);
		break;
	}
}

/* The port behaves again, the zockets go, time passes: nothing may be left. */
static void
settle(void)
{
	struct mem_port *p = zt_port(zt);
	struct mem_cfg *c = mem_cfg(p);
	struct zt_leaks leaks;
	uint64_t ends = 0;
	bool rx;

	pool_fail_after = pool_fail_every = 0;
	c->credit = c->accept = MEM_ALL;
	c->split_at[0] = 0;
	c->hold = 0;
	c->rx_alloc_fails = false;
	mem_set_link(p, PORT_LINK_UP);
	for (int i = 0; i < N_ZFUR; i++)
		if (zfurs[i] != NULL)
			zfur_free(zfurs[i]);
	for (int i = 0; i < N_ZFUT; i++)
		if (zfuts[i] != NULL)
			zfut_free(zfuts[i]);
	memset(zfurs, 0, sizeof(zfurs));
	memset(zfuts, 0, sizeof(zfuts));
	FUZZ_CHECK(zt_run() >= 0);
	if (zt_leaks(zt, NULL))
		FUZZ_CHECK(zt_advance(LINGER_NS) >= 0);
	FUZZ_CHECK(!zt_leaks(zt, &leaks));
	for (unsigned i = 0; zt_counter_name(i, &rx) != NULL; i++)
		if (rx)
			ends += zt_counter_at(zt, i);
	FUZZ_CHECK(ends == mem_stats(p)->rx_delivered);
	mem_flush(p);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static unsigned inputs;
	struct input in = {data, size};

	if (zt == NULL) {
		open_stack();
		FUZZ_CHECK(zf_attr_alloc(&attr) == 0);
	}
	zt_seed(zt, 1);
	for (uint32_t i = 0; i < 3; i++)
		make_zfur(i);
	make_zfut(0);
	make_zfut(1);
	for (int i = 0; i < STEPS_MAX && in.left > 0; i++)
		one_step(&in);
	settle();
	if (++inputs % INPUTS_MAX == 0 || getenv("ZF_FUZZ_FRESH") != NULL) {
		FUZZ_CHECK(zt_close(zt, NULL) == 0);
		zf_attr_free(attr);
		zt = NULL;
	}
	return 0;
}
