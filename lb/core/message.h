// SPDX-License-Identifier: MIT
// What supervisor and children say to each other over their SOCK_SEQPACKET pair: one struct per
// packet. A child whose channel reaches its end has lost its supervisor and ends at once.
#ifndef EVLB_MESSAGE_H
#define EVLB_MESSAGE_H

#include "base/base.h"

enum message_type {
    MSG_READY = 1, // child: serving
    MSG_DRAIN,     // supervisor: take no new connections, finish what is there, then exit 0;
                   // arg = ms until the rest is cut, 0: no limit
    MSG_STOP,      // supervisor: exit 0 at once
};

struct message {
    uint32_t type;
    uint32_t arg;
};

#endif
