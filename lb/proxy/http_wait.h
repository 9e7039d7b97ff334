// SPDX-License-Identifier: MIT
// Waiting: for which events, until when, and whether the client is still there meanwhile.
#ifndef EVLB_HTTP_WAIT_H
#define EVLB_HTTP_WAIT_H

#include "proxy/exchange.h"

// The current wait ends at this time.
void http_set_deadline(struct exchange *x, uint64_t due_ms);
// Waits for these events (CONN_READ | CONN_WRITE) of either side, `ms` from now at the most.
enum step http_wait_for(struct exchange *x, int client, int server, uint32_t ms);
// Goes on waiting as before, but no longer for a client that has said what it had to say: its bytes
// stay where they are, and would wake us again and again.
enum step http_wait_on(struct exchange *x);
// The answer is taking its time: from now on the client is watched for its end. One that cannot be
// watched, as it is not read (its upload waits for the server, its next request for this one), is
// looked at from time to time. False: it is gone.
bool http_look_at_client(struct exchange *x) MUST_CHECK;
// A keep-alive client is watched anyway, any other once it has waited long: when it says something
// while its whole request is here, looks whether that is a next request or its end. False: it is
// gone.
bool http_client_is_there(struct exchange *x) MUST_CHECK;

#endif
