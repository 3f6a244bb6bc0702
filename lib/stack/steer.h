/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Steering: which frames go to which queue of a port. Queue 0 is the common one: what no filter matches arrives there,
 * ARP, ICMP and IGMP among it. Each binding of a stack that has a queue of its own gets a filter; the port's table
 * (core/port.h) may refuse it, and then its frames come by the common queue, where every stack looks.
 */
#ifndef ZF_STACK_STEER_H
#define ZF_STACK_STEER_H

#include "stack/port.h"

#define STEER_NO_QUEUE UINT16_MAX /* of a stack: it has the common queue alone */

/* The port steers: from now on bindings of its interfaces ask for filters. 0 or -ENOMEM. */
int steer_start(struct zf_port *p);
/* The driver goes with all its filters. */
void steer_stop(struct zf_port *p);
/* An interface was made: its bindings come here. */
void steer_netif(struct zf_port *p, struct netif *n);

/* A stack has come; its filters lead to @qid. */
void steer_join(struct zf_port *p, struct port_member *pm, uint16_t qid);
/* Lead them elsewhere: what arrives meanwhile arrives at the common queue. */
void steer_move(struct zf_port *p, struct port_member *pm, uint16_t qid);
/* It goes, and whatever filters it still has. */
void steer_leave(struct zf_port *p, struct port_member *pm);
/* The port may have forgotten filters: all anew. */
void steer_again(struct zf_port *p);

#endif
