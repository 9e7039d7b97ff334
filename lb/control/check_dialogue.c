// SPDX-License-Identifier: MIT
// One function per kind of check: which dialogue it is and what it is told. Runs in control, called
// by checks.c at the beginning of each check.
// Invariant: a dialogue holds only slices of the configuration and of the room it was given.
#include "control/check_dialogue.h"

#include <sys/random.h>

static const enum dialogue_role roles[] = {
    [ROLE_ANY] = DIALOGUE_ANY,
    [ROLE_WRITABLE] = DIALOGUE_WRITABLE,
    [ROLE_REPLICA] = DIALOGUE_REPLICA,
};

static bool speaks_first(const struct health *h)
{
    switch (h->type) {
    case HEALTH_HTTP:
    case HEALTH_POSTGRES:
    case HEALTH_REDIS:
        return true;
    case HEALTH_SEND_EXPECT:
        return h->send.len > 0;
    case HEALTH_OFF:
    case HEALTH_TCP:
    case HEALTH_TLS:
    case HEALTH_MYSQL:
    case HEALTH_SMTP:
    case HEALTH_TYPES:
        break;
    }
    return false;
}

struct check_terms check_terms_make(const struct health *h, struct arena *a)
{
    struct dialogue_field *fields = arena_alloc(a, (h->n_headers + 1) * sizeof(*fields));
    struct dialogue_range *statuses = arena_alloc(a, (h->n_statuses + 1) * sizeof(*statuses));
    for (uint32_t i = 0; i < h->n_headers; i++)
        fields[i] = (struct dialogue_field){h->headers[i].name, h->headers[i].value};
    for (uint32_t i = 0; i < h->n_statuses; i++)
        statuses[i] = (struct dialogue_range){h->statuses[i].from, h->statuses[i].to};
    return (struct check_terms){h, fields, statuses, speaks_first(h)};
}

bool check_dialogue_tls(const struct server *server, struct tls_terms *out)
{
    const struct health *h = &server->backend->health;
    bool elsewhere = h->port != 0 || h->address.len > 0;
    bool asked = h->tls == HEALTH_TLS_ON || h->type == HEALTH_TLS;
    bool as_traffic = server->tls != NULL && !elsewhere && h->type != HEALTH_TCP;
    if (h->type == HEALTH_OFF || h->tls == HEALTH_TLS_OFF || (!asked && !as_traffic))
        return false;
    *out = server->tls != NULL ? server->tls->terms : (struct tls_terms){.name = server->host};
    out->resume = false; // a certificate that has expired since is to be noticed
    out->own = h->client_cert != NULL ? &h->client_cert->pem : NULL;
    return true;
}

// The server as it was written, with a port that is not the default one.
static struct str host_of(const struct server *server, char host[CHECK_HOST])
{
    bool v6 = str_find(server->host, ':') < server->host.len;
    char port[8] = "";
    if (server->host.len == 0)
        return STR("localhost"); // a unix socket
    if (server->port != 0 && server->port != (server->tls != NULL ? 443 : 80))
        snprintf(port, sizeof(port), ":%u", server->port);
    snprintf(host, CHECK_HOST, "%s%.*s%s%s", v6 ? "[" : "", STR_FMT(server->host), v6 ? "]" : "",
             port);
    return str_of(host);
}

static void init_http(struct dialogue_http *d, const struct check_terms *terms,
                      const struct server *server, char host[CHECK_HOST])
{
    const struct health *h = terms->health;
    *d = (struct dialogue_http){
        .method = h->method,
        .path = h->path,
        .host = h->host.len > 0 ? h->host : host_of(server, host),
        .fields = terms->fields,
        .n_fields = h->n_headers,
        .statuses = terms->statuses,
        .n_statuses = h->n_statuses,
        .body = h->body,
        .header = {h->header.name, h->header.value},
    };
    dialogue_http_init(d);
}

static void init_text(struct dialogue_text *d, const struct health *h)
{
    *d = (struct dialogue_text){.send = STR_NONE};
    if (h->type == HEALTH_SEND_EXPECT)
        *d = (struct dialogue_text){.send = h->send, .expect = h->expect};
    dialogue_text_init(d);
}

static void init_mysql(struct dialogue_mysql *d, const struct health *h)
{
    *d = (struct dialogue_mysql){.user = h->user,
                                 .password = h->password,
                                 .role = roles[h->role],
                                 .max_lag_ms = h->max_lag_ms};
    dialogue_mysql_init(d);
}

static void init_postgres(struct dialogue_postgres *d, const struct health *h)
{
    *d = (struct dialogue_postgres){
        .user = h->user, .password = h->password, .database = h->database, .role = roles[h->role]};
    // never blocks once the system is up; a nonce that stayed 0 only makes a login fail
    if (getrandom(d->nonce, sizeof(d->nonce), GRND_NONBLOCK) != (ssize_t)sizeof(d->nonce))
        d->nonce[0] = 0;
    dialogue_postgres_init(d);
}

void check_dialogue_init(union check_dialogue *d, const struct check_terms *terms,
                         const struct server *server, char host[CHECK_HOST])
{
    const struct health *h = terms->health;
    switch (h->type) {
    case HEALTH_HTTP:
        init_http(&d->http, terms, server, host);
        break;
    case HEALTH_OFF:
    case HEALTH_TYPES:
    case HEALTH_TCP:
    case HEALTH_TLS:
    case HEALTH_SEND_EXPECT:
        init_text(&d->text, h);
        break;
    case HEALTH_MYSQL:
        init_mysql(&d->mysql, h);
        break;
    case HEALTH_POSTGRES:
        init_postgres(&d->postgres, h);
        break;
    case HEALTH_REDIS:
        d->redis = (struct dialogue_redis){
            .user = h->user, .password = h->password, .role = roles[h->role]};
        dialogue_redis_init(&d->redis);
        break;
    case HEALTH_SMTP:
        d->smtp = (struct dialogue_smtp){.helo = h->helo};
        dialogue_smtp_init(&d->smtp);
        break;
    }
}
