/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Fuzzer of the parser alone. An input is two bytes of circumstances (interface, checksum verdict) and a frame. The
 * frame lies in memory of exactly its length, so that a sanitizer sees each byte that is read behind it.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "ip/parse.h"

static void
make_env(uint8_t a, uint8_t b, struct parse_env *env)
{
	static const uint8_t mac[6] = {0x02, 0, 0, 0, 0, 0x01};
	uint8_t key[8] = {0};

	memset(env, 0, sizeof(*env));
	memcpy(env->mac.b, mac, 6);
	memcpy(key, mac, 6);
	memcpy(&env->mac_key, key, 8);
	env->mac_key <<= 16;
	env->vlan = (a & 1) ? 5 : 0;
	env->loop = (a & 2) != 0;
	env->trust_csum = (a & 4) != 0;
	env->n_addrs = b & 3;
	for (uint32_t i = 0; i < env->n_addrs; i++) {
		env->ips[i] = IP4_C(192, 0, 2, i + 1);
		env->bcasts[i] = i == 2 ? IP4_ANY : IP4_C(192, 0, 2, 255);
	}
	env->ip = env->ips[0];
}

/* What parse.h promises of a segment that was not dropped. */
static void
check_seg(int kind, const struct seg *s, uint32_t len)
{
	if (kind >= PARSE_DROP) {
		FUZZ_CHECK(PARSE_COUNTER(kind) < CNT_TX_FRAMES);
		return;
	}
	FUZZ_CHECK((uint32_t)s->pay_off + s->pay_len <= len);
	if (kind == PARSE_ARP) {
		FUZZ_CHECK(s->pay_len >= 28);
		return;
	}
	FUZZ_CHECK((uint32_t)s->l3_off + s->ip_len <= len);
	FUZZ_CHECK(s->l3_off >= 14 && s->l4_off >= s->l3_off + 20 && s->l4_off <= s->l3_off + 60);
	FUZZ_CHECK(s->pay_off >= s->l4_off);
	FUZZ_CHECK((uint32_t)s->pay_off + s->pay_len <= (uint32_t)s->l3_off + s->ip_len);
	FUZZ_CHECK(s->cast <= CAST_BROADCAST && s->mac_cast <= CAST_BROADCAST);
	if (kind == PARSE_UDP)
		FUZZ_CHECK(s->pay_off == s->l4_off + 8);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct parse_env env;
	struct seg s;
	uint8_t *frame;
	uint32_t len;
	int kind;

	if (size < 2 || size > 70000)
		return 0;
	len = (uint32_t)size - 2;
	frame = malloc(len > 0 ? len : 1);
	if (frame == NULL)
		return 0;
	memcpy(frame, data + 2, len);
	make_env(data[0], data[1], &env);
	memset(&s, 0x5a, sizeof(s));
	kind = parse_frame(frame, len, data[1] >> 4, &env, &s);
	check_seg(kind, &s, len);
	if (kind == PARSE_UDP) /* the slow way must agree with the fast one: the same without a verdict of the port */
		FUZZ_CHECK((data[1] >> 4 & (CSUM_IP_GOOD | CSUM_L4_GOOD)) != 0 ||
			   parse_frame(frame, len, 0, &env, &s) == PARSE_UDP);
	if (len >= 8) {
		s.pay_len = 0;
		s.src = IP4_C(192, 0, 2, 66);
		s.dst = IP4_C(192, 0, 2, 1);
		kind = parse_reassembled_udp((const struct hdr_udp *)frame, len, 0, &env, &s);
		if (kind == PARSE_UDP)
			FUZZ_CHECK(s.pay_len + 8u <= len);
	}
	free(frame);
	return 0;
}
