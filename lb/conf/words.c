// SPDX-License-Identifier: MIT
// Words of enums and servers. Pure. Read by the rows of the schema, and by all that shows a
// configuration.
#include "conf/words.h"

// clang-format off
const char *const mode_words[] = {"http", "tcp", NULL};
const char *const balance_words[] = {"round-robin", "least-conn", "random", "first", "hash", NULL};
const char *const reuse_words[] = {"safe", "always", "never", NULL};
const char *const proxy_version_words[] = {"none", "v1", "v2", "v2-ssl", NULL};
const char *const log_level_words[] = {"error", "warning", "info", "debug", NULL};
const char *const failover_words[] = {"active-active", "active-passive", NULL};
const char *const failback_words[] = {"auto", "manual", NULL};
const char *const server_down_words[] = {"keep", "close", NULL};
const char *const resolve_words[] = {"first", "all", NULL};
const char *const health_type_words[] = {
    "off", "tcp", "http", "send-expect", "mysql", "postgres", "redis", "smtp", "tls", NULL};
const char *const health_tls_words[] = {"auto", "true", "false", NULL};
const char *const route_cert_words[] = {"any", "verified", "none", NULL};
const char *const route_version_words[] = {"any", "1.2", "1.3", NULL};
const char *const route_resumed_words[] = {"any", "true", "false", NULL};
const char *const tls_min_words[] = {"1.2", "1.3", NULL};
const char *const route_tls_words[] = {"terminate", "passthrough", NULL};
const char *const client_verify_words[] = {"required", "optional", NULL};
const char *const tls_profile_words[] = {"intermediate", "modern", NULL};
const char *const role_words[] = {"any", "writable", "replica", NULL};
const char *const hash_on_words[] = {"client", "path", "uri", "header", "cookie", NULL};
const char *const retry_on_words[] = {
    "connect-failure", "empty-response", "502", "503", "504", "timeout", NULL};
// clang-format on

_Static_assert(RETRY_ON_CONNECT_FAILURE == 1 && RETRY_ON_TIMEOUT == 1 << 5, "in order of bits");
_Static_assert(ARRAY_LEN(health_type_words) == HEALTH_TYPES + 1, "one word each");

const char *server_address_text(struct arena *a, const struct server *s)
{
    char text[ADDR_TEXT];
    if (s->srv)
        return arena_printf(a, "srv:%.*s", STR_FMT(s->host));
    if (s->addr.len == 0)
        return arena_printf(a, "%.*s:%u", STR_FMT(s->host), s->port);
    (void)addr_format(&s->addr, text);
    return arena_strdup(a, str_of(text));
}

struct str server_base_name(const struct server *s)
{
    struct str name = s->name;
    if (s->n_places > 1)
        name.len -= 2; // ".1"
    return name;
}
