// SPDX-License-Identifier: MIT
// The access log: one JSON line per request (mode http) or session (mode tcp).
#ifndef EVLB_ACCESS_LOG_H
#define EVLB_ACCESS_LOG_H

#include "base/addr.h"
#include "base/ring.h"
#include "base/str.h"
#include "core/end.h"
#include "io/tls.h"

// Plain values; text comes from clients and servers as it was sent and is escaped here. A phase
// that never ended is -1 (null in the line): it locates the failure.
struct access_record {
    int64_t ended_ms; // wall clock, ms since 1970
    const union ip_addr *client;
    struct str frontend, backend, server;                           // empty: none was reached
    const char *proto;                                              // "HTTP/1.1", "tcp"
    struct str method, host, path, user_agent, referer, request_id; // empty in mode tcp
    uint16_t status;                                                // sent to the client; 0: none
    uint64_t bytes_in, bytes_out;                                   // from and to the client
    uint32_t retries;
    int32_t t_idle_ms, t_request_ms, t_queue_ms, t_connect_ms, t_response_ms, t_data_ms, t_total_ms;
    struct tls_facts tls; // version NULL: none that ends here; what is passed through has names
    enum end_cause end;
    const char *detail; // a sentence about the end; NULL: none
};

// From one stamp of the loop's clock to the next, in ms; -1 when the phase was never entered (0) or
// never left.
static inline int32_t access_span(uint64_t from, uint64_t to)
{
    return from > 0 && to >= from ? (int32_t)MIN_OF(to - from, (uint64_t)INT32_MAX) : -1;
}

// The longest line; longer texts are cut (and end in "...").
#define ACCESS_LINE_MAX 9216

// Formats one line, newline included. Returns its length. Pure.
size_t access_log_format(const struct access_record *r, char out[ACCESS_LINE_MAX]);

// Formats and hands the line to the ring; false when the ring was full and the line was dropped.
bool access_log_write(struct ring *ring, const struct access_record *r);

#endif
