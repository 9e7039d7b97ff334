// SPDX-License-Identifier: MIT
// The last phase of a load for each backend by itself: what the `health` section left open,
// contradictions between its keys, and what is allowed but hardly meant. Called by verify.c when
// the modes are known. Warnings are given only for a file without errors: a value that is wrong has
// been replaced by its default and would be misjudged.
#include "conf/verify.h"

#include <stdio.h>

#include "conf/bind_health.h"
#include "conf/words.h"

#define MYSQL_PORT 3306
#define POSTGRES_PORT 5432

static void warn_weights(struct verifier *v, const struct backend *backend)
{
    for (uint32_t i = 0; i < backend->n_servers; i++) {
        if (backend->servers[i].weight > 0)
            return;
    }
    if (backend->n_servers == 0)
        return;
    struct finding *x = diag_warning(v->b->findings, verify_span(v, &backend->mark), "lint.weight",
                                     "all servers of backend '%.*s' have weight 0: none gets work",
                                     SHOW(backend->name));
    FIX(v->b, x, "give one a weight of 1 or more");
}

static void warn_duplicates(struct verifier *v, const struct backend *backend)
{
    struct map seen = {.arena = v->b->arena};
    for (uint32_t i = 0; i < backend->n_servers; i++) {
        struct server *s = &backend->servers[i], *first;
        if ((s->addr.len == 0 && s->host.len == 0) || s->place > 0)
            continue;
        struct str key = str_of(server_address_text(v->b->arena, s));
        first = map_get(&seen, key);
        if (first == NULL) {
            map_put(&seen, key, s);
            continue;
        }
        struct finding *x =
            diag_warning(v->b->findings, verify_span(v, &s->mark), "lint.duplicate-address",
                         "server '%.*s' has the same address as '%.*s' (line %u)", SHOW(s->name),
                         SHOW(first->name), first->mark.line);
        FIX(v->b, x, "remove one; for a larger share write {address: ..., weight: 2}");
    }
}

static void verify_hash(struct verifier *v, const struct backend *backend)
{
    struct node *own = v->b->backends[backend->index];
    struct entry *hash = node_entry(own, STR("hash"));
    if (hash != NULL && backend->balance != BALANCE_HASH) {
        struct finding *x = diag_error(v->b->findings, hash->key->at, "config.hash",
                                       "'hash' has no effect without balance: hash");
        FIX(v->b, x, "add balance: hash, or remove it");
        x->topic = "backends.*.balance";
    }
    if (backend->balance == BALANCE_HASH && backend->mode == MODE_TCP &&
        backend->hash_on != HASH_CLIENT) {
        struct span at = hash != NULL ? hash->key->at : verify_span(v, &backend->mark);
        struct finding *x =
            diag_error(v->b->findings, at, "config.mode",
                       "backend '%.*s' is in mode tcp, where only the client can be hashed",
                       SHOW(backend->name));
        FIX(v->b, x, "write hash: client");
        x->topic = "backends.*.hash.on";
    }
}

// Places of one name get names of their own, which others may have already.
static void verify_names(struct verifier *v, const struct backend *backend)
{
    struct map seen = {.arena = v->b->arena};
    for (uint32_t i = 0; i < backend->n_servers; i++) {
        struct server *s = &backend->servers[i], *first = map_get(&seen, s->name);
        if (first == NULL) {
            map_put(&seen, s->name, s);
            continue;
        }
        const struct server *plain = s->n_places > 1 ? first : s;
        struct finding *x =
            diag_error(v->b->findings, verify_span(v, &plain->mark), "config.name",
                       "the name '%.*s' is that of an address of server '%.*s' too", SHOW(s->name),
                       STR_FMT(((struct str){s->name.p, s->name.len - 2})));
        FIX(v->b, x, "give one of them another name");
        return;
    }
}

// ---- keys without effect ----------------------------------------------------------------------

static bool is_alone(const struct backend *backend)
{
    return backend->failover == FAILOVER_ACTIVE_PASSIVE && backend->n_servers == 1;
}

static bool never_fails_over(const struct backend *backend)
{
    for (uint32_t i = 1; i < backend->n_servers; i++) {
        if (backend->servers[i].tier != backend->servers[0].tier)
            return false;
    }
    return backend->failover == FAILOVER_ACTIVE_ACTIVE;
}

static bool fails_back_by_hand(const struct backend *backend)
{
    return never_fails_over(backend) || backend->failback == FAILBACK_MANUAL;
}

static bool never_waits(const struct backend *backend)
{
    for (uint32_t i = 0; i < backend->n_servers; i++) {
        if (backend->servers[i].max_connections > 0)
            return false;
    }
    return true;
}

static bool never_retries(const struct backend *backend)
{
    return backend->retries == 0 && backend->retry_on != RETRY_ON_CONNECT_FAILURE;
}

static bool never_reuses(const struct backend *backend)
{
    return backend->reuse == REUSE_NEVER;
}

// clang-format off
static const struct {
    const char *key;
    bool (*is_idle)(const struct backend *backend);
    const char *why, *fix;
} idle_keys[] = {
    {"failover", is_alone, "there is only one server", "add a second server, or remove it"},
    {"failback", never_fails_over, "all servers work at the same time",
     "add failover: active-passive, or give the standby servers tier: 2"},
    {"failback-after", fails_back_by_hand, "nothing returns by itself",
     "it needs failback: auto, and failover: active-passive or a tier: 2"},
    {"max-queue", never_waits, "no server has a limit, so nothing waits",
     "add server-defaults: {max-connections: 100}, or remove it"},
    {"retry-on", never_retries, "retries is 0", "remove it, or write retries: 3"},
    {"min-idle", never_reuses, "reuse: never keeps no connection", "remove one of them"},
};
// clang-format on

static struct finding *warn_key(struct verifier *v, const struct node *key, const char *why)
{
    return diag_warning(v->b->findings, key->at, "lint.no-effect", "'%.*s' has no effect: %s",
                        SHOW(key->text), why);
}

// A default that is written out is no mistake.
static bool says_default(const struct entry *e)
{
    const struct row *row = schema_row(&object_backend, e->key->text);
    return row->fallback != NULL && str_eq(e->value->value, str_of(row->fallback));
}

static void warn_idle_keys(struct verifier *v, const struct backend *backend)
{
    struct node *own = v->b->backends[backend->index];
    for (size_t i = 0; i < ARRAY_LEN(idle_keys); i++) {
        struct entry *e = node_entry(own, str_of(idle_keys[i].key));
        if (e != NULL && idle_keys[i].is_idle(backend) && !says_default(e))
            FIX(v->b, warn_key(v, e->key, idle_keys[i].why), "%s", idle_keys[i].fix);
    }
    struct entry *passive = node_entry(own, STR("passive"));
    if (passive != NULL && !backend->passive.on && passive->value->kind == NODE_MAP &&
        node_get(passive->value, "enabled") == NULL)
        FIX(v->b, warn_key(v, passive->key, "'defaults' switches it off"), "add enabled: true");
}

// ---- health -----------------------------------------------------------------------------------

// Whether checks go where requests go, and all of these over TLS.
static bool goes_over_tls(const struct backend *backend)
{
    for (uint32_t i = 0; i < backend->n_servers; i++) {
        if (backend->servers[i].tls == NULL)
            return false;
    }
    return backend->health.tls != HEALTH_TLS_OFF && backend->health.port == 0 &&
           backend->health.address.len == 0;
}

// Control, which makes the checks, has no key but that of the checks' own certificate.
bool health_lacks_cert(const struct backend *backend)
{
    for (uint32_t i = 0; i < backend->n_servers; i++) {
        if (backend->servers[i].tls != NULL && backend->servers[i].tls->client_cert != NULL)
            return goes_over_tls(backend) && backend->health.client_cert == NULL;
    }
    return false;
}

// What the section left open: the type depends on the mode, which only the frontends know.
static void complete_health(struct backend *backend)
{
    struct health *h = &backend->health;
    bool checked = backend->mode == MODE_HTTP && backend->n_servers > 1;
    if (h->type == HEALTH_TYPES && (h->tls == HEALTH_TLS_ON || (checked && goes_over_tls(backend) &&
                                                                !health_lacks_cert(backend))))
        h->type = HEALTH_TLS;
    else if (h->type == HEALTH_TYPES)
        h->type = checked ? HEALTH_TCP : HEALTH_OFF;
    if (h->timeout_ms == 0)
        h->timeout_ms = backend->timeout.check;
}

static bool is_port_of_all(const struct backend *backend, uint16_t port)
{
    for (uint32_t i = 0; i < backend->n_servers; i++) {
        if (backend->servers[i].port != port)
            return false;
    }
    return backend->n_servers > 0;
}

static void warn_health_keys(struct verifier *v, const struct backend *backend)
{
    const struct health *h = &backend->health;
    const struct node *own = node_get(v->b->backends[backend->index], "health");
    struct entry *lag = node_entry(own, STR("max-lag")), *port = node_entry(own, STR("port"));
    struct entry *body = node_entry(own, STR("expect-body"));
    if (lag != NULL && h->max_lag_ms > 0 && h->role != ROLE_REPLICA)
        FIX(v->b, warn_key(v, lag->key, "only a replica is asked for its lag"),
            "add expect: replica");
    if (port != NULL && h->address.len == 0 && is_port_of_all(backend, h->port))
        FIX(v->b, warn_key(v, port->key, "the servers have this port"), "remove it");
    if (body != NULL && str_eq(h->method, STR("HEAD")))
        FIX(v->b, warn_key(v, body->key, "the answer to HEAD has no body"), "write method: GET");
}

// The database whose port a server of the backend has, as a type of check.
static enum health_type database_of(const struct backend *backend, uint16_t *port)
{
    for (uint32_t i = 0; i < backend->n_servers; i++) {
        *port = backend->servers[i].port;
        if (*port == MYSQL_PORT || *port == POSTGRES_PORT)
            return *port == MYSQL_PORT ? HEALTH_MYSQL : HEALTH_POSTGRES;
    }
    return HEALTH_OFF;
}

static void warn_no_checks(struct verifier *v, const struct backend *backend)
{
    struct entry *health = node_entry(v->b->backends[backend->index], STR("health"));
    struct entry *failover = node_entry(v->b->backends[backend->index], STR("failover"));
    bool off = backend->health.type == HEALTH_OFF, said_off = off && health != NULL;
    uint16_t port = 0;
    enum health_type type = database_of(backend, &port);
    struct span at = verify_span(v, &backend->mark);
    if (backend->mode == MODE_TCP && type != HEALTH_OFF && !said_off &&
        (off || backend->health.type == HEALTH_TCP)) {
        struct finding *x = diag_warning(v->b->findings, health != NULL ? health->key->at : at,
                                         "lint.protocol-check",
                                         "backend '%.*s' has servers on port %u and no %s check",
                                         SHOW(backend->name), port, health_type_words[type]);
        FIX(v->b, x, "add health: {type: %s, user: NAME}", health_type_words[type]);
        if (type == HEALTH_MYSQL && !off)
            NOTE(v->b, x, "bare connects make MySQL block this host after max_connect_errors");
        else
            NOTE(v->b, x, "health: off says that none is wanted");
    } else if (off && backend->failover == FAILOVER_ACTIVE_PASSIVE && backend->n_servers > 1) {
        struct finding *x = diag_warning(
            v->b->findings, failover != NULL ? failover->key->at : at, "lint.no-checks",
            "backend '%.*s' is active-passive without health checks", SHOW(backend->name));
        FIX(v->b, x, "add health: tcp, GET /PATH or another type");
        NOTE(v->b, x, "without them a dead server is found out by the requests that fail there");
    }
}

// ---- the whole --------------------------------------------------------------------------------

static void verify_backend(struct verifier *v, struct backend *backend)
{
    complete_health(backend);
    warn_duplicates(v, backend);
    verify_hash(v, backend);
    verify_names(v, backend);
    verify_server_tls(v, backend);
    if (v->b->findings->errors > 0)
        return;
    warn_weights(v, backend);
    warn_idle_keys(v, backend);
    warn_health_keys(v, backend);
    warn_no_checks(v, backend);
}

void verify_backends(struct verifier *v)
{
    for (uint32_t i = 0; i < v->config->n_backends; i++)
        verify_backend(v, &v->config->backends[i]);
}
