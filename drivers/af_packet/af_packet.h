/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The driver for Linux interfaces, as the table of drivers sees it. open() takes "af_packet:" and a name.
 */
#ifndef ZF_AF_PACKET_AF_PACKET_H
#define ZF_AF_PACKET_AF_PACKET_H

#include "core/port.h"

#define AF_PACKET_PREFIX "af_packet:"

extern const struct port_driver af_packet_driver;

#endif
