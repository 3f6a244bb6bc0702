/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The engine's checks of sent TCP segments, against segments that no stack sent: each exchange ends in one that is wrong
 * in one way, or in none.
 */
#include <string.h>

#include "pkt/ps_priv.h"

struct exchange {
	const char *wrong; /* what must be found in the last line; NULL: nothing in any */
	const char *lines[12]; /* "> " sent, "< " received */
};

#define OPEN                                                                                       \
	"> S 0:0(0) win 10000 <mss 1460,nop,nop,sackOK,nop,wscale 3>", "< S. 0:0(0) ack 1 win 3000 <mss 1000>", \
		"> . 1:1(0) ack 1 win 10000"
#define OPEN_ALL                                                                                   \
	"< S 0:0(0) win 3000 <mss 1000,sackOK,TS val 10 ecr 0,nop,wscale 2>",                      \
		"> S. 0:0(0) ack 1 win 10000 <mss 1460,sackOK,TS val 20 ecr 10,nop,wscale 3>",     \
		"< . 1:1(0) ack 1 win 3000 <nop,nop,TS val 11 ecr 20>"

static const struct exchange exchanges[] = {
	{NULL, {OPEN, "> P. 1:1001(1000) ack 1 win 10000", "> P. 1:1001(1000) ack 1 win 10000", "< . 1:101(100) ack 1001",
		"> F. 1001:1001(0) ack 101 win 9900", "> . 1002:1002(0) ack 101 win 9900", "> . 0:0(0) ack 101 win 9900"}},
	{NULL, {OPEN_ALL, "> . 1:989(988) ack 1 win 1250", "< . 201:301(100) ack 1",
		"> . 989:989(0) ack 1 win 1250 <nop,nop,TS val 21 ecr 11,nop,nop,sack 201:301>"}},
	{NULL, {OPEN, "> R. 1:1(0) ack 1 win 0"}},
	{NULL, {OPEN, "> P. 1:1001(1000) ack 1 win 10000", "< . 1:1(0) ack 1001 win 0", "< . 1:1(0) ack 1001 win 0",
		"> P. 1001:2001(1000) ack 1 win 10000", "> P. 2001:3001(1000) ack 1 win 10000",
		"> . 3001:3002(1) ack 1 win 10000"}},
	{"did not offer", {"< S 0:0(0) <mss 1460>", "> S. 0:0(0) ack 1 win 9 <mss 1460,nop,wscale 3>"}},
	{"did not offer", {"< S 0:0(0) <mss 1460>", "> S. 0:0(0) ack 1 win 9 <mss 1460,nop,nop,sackOK>"}},
	{"SYN without MSS", {"> S 0:0(0) win 10000"}},
	{"belongs into a SYN", {OPEN, "> . 1:1(0) ack 1 win 10000 <mss 1460>"}},
	{"scale above 14", {"> S 0:0(0) win 1 <mss 1460,nop,wscale 15>"}},
	{"impossible length", {OPEN, "> . 1:1(0) ack 1 win 10000 <hex fe000000>"}},
	{"unknown", {OPEN, "> . 1:1(0) ack 1 win 10000 <hex fe040000>"}},
	{"behind their end", {OPEN, "> . 1:1(0) ack 1 win 10000 <hex 00000100>"}},
	{"not agreed on", {OPEN, "> . 1:1(0) ack 1 win 10000 <nop,nop,TS val 1 ecr 0>"}},
	{"not agreed on", {OPEN, "< . 101:201(100) ack 1", "> . 1:1(0) ack 1 win 10000 <nop,nop,sack 101:201>"}},
	{"timestamps are missing", {OPEN_ALL, "> . 1:1(0) ack 1 win 1250 <>"}},
	{"echoes a timestamp", {OPEN_ALL, "> . 1:1(0) ack 1 win 1250 <nop,nop,TS val 20 ecr 12>"}},
	{"not constant", {OPEN_ALL, "< . 201:301(100) ack 1",
			  "> . 1:101(100) ack 1 win 1250 <nop,nop,TS val 21 ecr 11,nop,nop,sack 201:301>"}},
	{"empty SACK", {OPEN_ALL, "> . 1:1(0) ack 1 win 1250 <nop,nop,TS val 21 ecr 11,nop,nop,sack 201:201>"}},
	{"SACK for what", {OPEN_ALL, "< . 201:301(100) ack 1",
			   "> . 1:1(0) ack 1 win 1250 <nop,nop,TS val 21 ecr 11,nop,nop,sack 201:302>"}},
	{"SYN with FIN", {"> SF 0:0(0) win 10000 <mss 1460>"}},
	{"FIN with RST", {OPEN, "> FR. 1:1(0) ack 1 win 10000"}},
	{"no ACK", {OPEN, "> P 1:2(1) win 10000"}},
	{"number without ACK", {OPEN, "> R 1:1(0) ack 1 win 0"}},
	{"urgent", {OPEN, "> U. 1:1(0) ack 1 win 10000"}},
	{"urgent", {OPEN, "> . 1:1(0) ack 1 win 10000 urg 1"}},
	{"RST with data", {OPEN, "> R. 1:2(1) ack 1 win 0"}},
	{"a gap", {OPEN, "> P. 2:3(1) ack 1 win 10000"}},
	{"beyond the peer's window", {OPEN, "> . 1:1001(1000) ack 1 win 10000", "> . 1001:2001(1000) ack 1 win 10000",
				      "> . 2001:3001(1000) ack 1 win 10000", "> . 3001:3003(2) ack 1 win 10000"}},
	{"beyond the first byte", {OPEN, "> . 1:1001(1000) ack 1 win 10000", "> . 1001:2001(1000) ack 1 win 10000",
				   "> . 2001:3001(1000) ack 1 win 10000", "> . 3001:3002(1) ack 1 win 10000",
				   "> . 3002:3003(1) ack 1 win 10000"}},
	{"behind the FIN", {OPEN, "> F. 1:1(0) ack 1 win 10000", "> . 1:2(1) ack 1 win 10000"}},
	{"another FIN", {OPEN, "> F. 1:1(0) ack 1 win 10000", "> F. 2:2(0) ack 1 win 10000"}},
	{"peer's MSS", {OPEN, "> . 1:1002(1001) ack 1 win 10000"}},
	{"peer's MSS", {OPEN_ALL, "> . 1:990(989) ack 1 win 1250"}},
	{"has not sent", {OPEN, "< . 1:101(100) ack 1", "> . 1:1(0) ack 102 win 9900"}},
	{"has not sent", {OPEN, "< . 201:301(100) ack 1", "> . 1:1(0) ack 301 win 9700"}},
	{"went back", {OPEN, "< . 1:101(100) ack 1", "> . 1:1(0) ack 101 win 9900", "> . 1:1(0) ack 51 win 9950"}},
	{"the window shrank", {OPEN, "< . 1:101(100) ack 1", "> . 1:1(0) ack 101 win 9899"}},
	{"the window shrank", {OPEN_ALL, "> . 1:1(0) ack 1 win 1249"}},
};

static void
play_exchange(struct ps *s, const struct exchange *e)
{
	static struct ps_frame f;
	struct ps_when when;
	char err[128];

	for (unsigned i = 0; i < ZF_ARRAY_SIZE(e->lines) && e->lines[i] != NULL; i++) {
		bool in = e->lines[i][0] == '<', last = i + 1 == ZF_ARRAY_SIZE(e->lines) || e->lines[i + 1] == NULL;
		const char *wrong;

		ps_note(s, "%s", e->lines[i]);
		if (ps_line(s, e->lines[i] + 2, in, &when, &f, err) < 0)
			ps_fail(s, __LINE__, "cannot read it: %s", err);
		if (in) {
			ps_conn_in(s, f.b, f.len);
			continue;
		}
		wrong = ps_check_sent(s, f.b, f.len);
		if (e->wrong != NULL && last) {
			if (wrong == NULL || strstr(wrong, e->wrong) == NULL)
				ps_fail(s, __LINE__, "'%s' was not found, but %s", e->wrong, wrong != NULL ? wrong : "nothing");
		} else if (wrong != NULL) {
			ps_fail(s, __LINE__, "found, wrongly: %s", wrong);
		}
	}
}

PKT_TEST_IN(self_tcp_checks, "self-test", PS_NORMAL_ONLY)
{
	struct ps *s = ps_open();

	for (unsigned i = 0; i < ZF_ARRAY_SIZE(exchanges); i++) {
		s->tcp_peer = (uint16_t)(3000 + i); /* a connection each */
		s->tcp_us_isn = i % 2 == 0 ? 1 : 0xfffffe00u;
		s->tcp_peer_isn = i % 3 == 0 ? 0xffffffffu : 77;
		play_exchange(s, &exchanges[i]);
	}
}
