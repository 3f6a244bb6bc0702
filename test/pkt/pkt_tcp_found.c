/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Faults of TCP that the simulation (test/sim) and the fuzzer (fuzz_tcp) found, made small.
 */
#include "ps_zft.h"

/* The SYN was held for its neighbour; the header of what follows has to know the address that came since. */
PKT_TEST(tcp_path_is_fresh_behind_the_handshake, "RFC 1122 2.3.2.2")
{
	struct ps *s = ps_open(.strangers = true);

	ps_connect(s);
	ps_out(s, "+0 arp who-has peer tell us");
	ps_in (s, "+.01 arp reply peer is-at peer-mac");
	ps_out(s, "+0 S 0:0(0) <*>");
	ps_in (s, "+.01 S. 0:0(0) ack 1 win 65535 <mss 1460>");
	ps_out(s, "+0 . 1:1(0) ack 1");
	ps_state(s, TCP_ESTABLISHED);
	ps_tcp_send(s, 100);
	ps_out(s, "+0 P. 1:101(100) ack 1");
	ps_in (s, "+.01 . 1:1(0) ack 101");
}
