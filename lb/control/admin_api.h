// SPDX-License-Identifier: MIT
// The answers of the admin API: what is read from the board and the process table, as JSON. Knows
// nothing of sockets. The fields are described in docs/admin-api.md.
#ifndef EVLB_ADMIN_API_H
#define EVLB_ADMIN_API_H

#include "base/buf.h"
#include "conf/config.h"
#include "control/process_table.h"
#include "core/board.h"

struct admin_view {
    const struct config *config;
    const struct board *board;
    const struct process_table *table;
    uint64_t now_ms; // CLOCK_MONOTONIC
};

struct admin_request {
    struct str method, path; // path without query
};

// Appends the body of the answer (one JSON object and a newline) to `body` and returns the HTTP
// status; 0: out of memory. `allow` is set to the value of an Allow field for 405, else to NULL.
uint16_t admin_api_answer(const struct admin_view *view, const struct admin_request *request,
                          struct buf *body, const char **allow) MUST_CHECK;
// The body of every refusal: {"error":{"status":404,"id":"not-found","message":"..."}}. False: out
// of memory.
bool admin_api_error(struct buf *body, uint16_t status, const char *id,
                     struct str message) MUST_CHECK;

#endif
