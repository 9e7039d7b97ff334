// SPDX-License-Identifier: MIT
// Certificates for the admin API, which lives in control and has none: docs/admin-api.md.
#ifndef EVLB_CERTS_JSON_H
#define EVLB_CERTS_JSON_H

#include "base/buf.h"
#include "conf/config.h"

// The body of GET /v1/certs, with a NUL behind it. False: out of memory.
bool certs_json(const struct config *c, struct buf *out) MUST_CHECK;
// The same of POST /v1/certs/reload.
bool certs_json_changes(uint32_t changed, uint32_t kept, const char *text,
                        struct buf *out) MUST_CHECK;

#endif
