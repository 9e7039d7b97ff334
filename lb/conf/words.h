// SPDX-License-Identifier: MIT
// The words of the configuration's enums, as files write them: by the value, NULL at the end. And
// servers in words.
#ifndef EVLB_WORDS_H
#define EVLB_WORDS_H

#include "conf/config.h"

extern const char *const mode_words[], *const balance_words[], *const reuse_words[];
extern const char *const proxy_version_words[], *const log_level_words[];
extern const char *const failover_words[], *const failback_words[], *const server_down_words[];
extern const char *const resolve_words[], *const health_type_words[], *const role_words[];
extern const char *const tls_min_words[], *const tls_profile_words[], *const route_tls_words[];
extern const char *const client_verify_words[], *const health_tls_words[];
extern const char *const route_cert_words[];
extern const char *const route_version_words[], *const route_resumed_words[];
extern const char *const retry_on_words[]; // by the bit
extern const char *const hash_on_words[];  // header and cookie: a name follows

// "10.0.0.1:80", "name:80", "srv:_http._tcp.name", "unix:/run/x.sock", in `a`.
const char *server_address_text(struct arena *a, const struct server *s);
// The name that the file gives: without the number of a place.
struct str server_base_name(const struct server *s);

#endif
