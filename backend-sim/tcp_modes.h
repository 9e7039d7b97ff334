/* SPDX-License-Identifier: MIT */
#ifndef SIM_TCP_MODES_H
#define SIM_TCP_MODES_H

#include "conn.h"
#include "options.h"

const struct conn_ops *tcp_ops(enum mode mode);
/* Moves input to output; closes when the peer has ended and all was sent. */
void tcp_echo_pump(struct conn *c);

#endif
