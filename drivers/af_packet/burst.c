/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Frames between a packet socket and the stack. Receive: a ring that the kernel fills (TPACKET_V2), so an idle poll is one
 * load; each frame is copied to an mbuf, with the VLAN tag that the kernel took out put back. Send: one system call for
 * each frame, copied before it returns. Knows nothing of opening or of links.
 */
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "af_packet/priv.h"

#define MACS 12u /* bytes before the place of a VLAN tag */
#define TAG  4u

static struct tpacket2_hdr *
frame_at(const struct af_packet_queue *q, uint32_t at)
{
	return (struct tpacket2_hdr *)(q->ring + ((size_t)(at & q->mask) << q->frame_shift));
}

static bool
frame_ready(const struct af_packet_queue *q, uint32_t at)
{
	return (__atomic_load_n(&frame_at(q, at)->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER) != 0;
}

/* The stack's thread moves `at` on before it gives the frame back: so a frame that is not ready at an unchanged `at`
 * means that there is none.
 */
bool
af_packet_peek(const void *queue)
{
	const struct af_packet_queue *q = queue;

	for (int i = 0; i < 16; i++) {
		uint32_t at = atomic_load_explicit(&q->at, memory_order_acquire);

		if (frame_ready(q, at))
			return true;
		if (at == atomic_load_explicit(&q->at, memory_order_acquire))
			return false;
	}
	return true; /* somebody is busy receiving */
}

static const struct sockaddr_ll *
frame_from(const struct tpacket2_hdr *h)
{
	return (const struct sockaddr_ll *)((const uint8_t *)h + TPACKET_ALIGN(sizeof(*h)));
}

/* Copies the frame to @m; false if it does not fit, as a whole, in ring and buffer. */
static bool
frame_copy(const struct af_packet_queue *q, const struct tpacket2_hdr *h, struct rte_mbuf *m)
{
	const uint8_t *from = (const uint8_t *)h + h->tp_mac;
	uint8_t *to = (uint8_t *)m->buf_addr + RTE_PKTMBUF_HEADROOM;
	uint32_t len = h->tp_snaplen;
	uint32_t tag = h->tp_status & TP_STATUS_VLAN_VALID ? TAG : 0;

	if (h->tp_len > len || len < MACS || h->tp_mac + len > 1u << q->frame_shift ||
	    len + tag > (uint32_t)m->buf_len - RTE_PKTMBUF_HEADROOM)
		return false;
	if (tag != 0) {
		uint16_t tpid = h->tp_status & TP_STATUS_VLAN_TPID_VALID ? h->tp_vlan_tpid : ETH_P_8021Q;
		const uint8_t bytes[TAG] = {(uint8_t)(tpid >> 8), (uint8_t)tpid, (uint8_t)(h->tp_vlan_tci >> 8),
					    (uint8_t)h->tp_vlan_tci};

		memcpy(to, from, MACS);
		memcpy(to + MACS, bytes, TAG);
		memcpy(to + MACS + TAG, from + MACS, len - MACS);
	} else {
		memcpy(to, from, len);
	}
	pkt_reset(m, len + tag);
	/* Not computed yet, as the sender is on this machine, or verified by the adapter. The IP header's is neither. */
	if (h->tp_status & (TP_STATUS_CSUMNOTREADY | TP_STATUS_CSUM_VALID))
		m->ol_flags = RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	return true;
}

/* Service() will say something about it. */
static ZF_COLD void
frame_too_long(struct af_packet_queue *q)
{
	q->rx_long++;
	if (!q->long_due)
		q->host->event(q->host->opaque, PORT_EV_SERVICE);
	q->long_due = true;
}

static void
frame_give_back(struct af_packet_queue *q, struct tpacket2_hdr *h, uint32_t at)
{
	atomic_store_explicit(&q->at, at + 1, memory_order_release);
	__atomic_store_n(&h->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
}

uint16_t
af_packet_rx(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct af_packet_queue *q = queue;
	uint16_t got = 0;

	while (got < n) {
		uint32_t at = atomic_load_explicit(&q->at, memory_order_relaxed);
		struct tpacket2_hdr *h = frame_at(q, at);
		struct rte_mbuf *m;

		if (!frame_ready(q, at))
			break;
		if (frame_from(h)->sll_pkttype == PACKET_OUTGOING) {
			frame_give_back(q, h, at);
			continue;
		}
		m = pkt_take(q->pool);
		if (zf_unlikely(m == NULL)) { /* it waits in the ring */
			q->rx_no_mbuf++;
			break;
		}
		if (zf_likely(frame_copy(q, h, m))) {
			pkts[got++] = m;
		} else {
			pkt_put(q->pool, m);
			frame_too_long(q);
		}
		frame_give_back(q, h, at);
	}
	return got;
}

/* True when it was sent, or never will be; false when there is no room just now. */
static bool
send_parts(struct af_packet_queue *q, struct iovec *iov, size_t n)
{
	const struct msghdr mh = {.msg_iov = iov, .msg_iovlen = n};
	int saved = errno;
	bool done = true;

	if (sendmsg(q->fd, &mh, MSG_DONTWAIT) < 0) {
		done = errno != EAGAIN && errno != ENOBUFS && errno != EINTR && errno != ENOMEM;
		*(done ? &q->tx_lost : &q->tx_full) += 1;
	}
	errno = saved;
	return done;
}

uint16_t
af_packet_tx_copy(void *queue, const void *hdr, uint32_t hdr_len, const void *payload, uint32_t len)
{
	struct iovec iov[2] = {{(void *)(uintptr_t)hdr, hdr_len}, {(void *)(uintptr_t)payload, len}};

	return send_parts(queue, iov, 2);
}

/* A chain of more parts than this is no frame of ours. */
#define PARTS_MAX 64

uint16_t
af_packet_tx(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct af_packet_queue *q = queue;

	for (uint16_t i = 0; i < n; i++) {
		struct iovec iov[PARTS_MAX];
		size_t parts = 0;

		for (struct rte_mbuf *m = pkts[i]; m != NULL && parts < PARTS_MAX; m = m->next)
			iov[parts++] = (struct iovec){rte_pktmbuf_mtod(m, void *), m->data_len};
		if (!send_parts(q, iov, parts))
			return i;
		pkt_put(q->pool, pkts[i]);
	}
	return n;
}
