// SPDX-License-Identifier: MIT
// The standard dialogues: each is played plainly, byte by byte, and with a fault at every call.
#ifndef EVLB_SIM_DIALOGUES_H
#define EVLB_SIM_DIALOGUES_H

#include "sim_http.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

extern const struct dialogue dialogues[];
extern const size_t n_dialogues;

#endif
