// SPDX-License-Identifier: MIT
// The last phase of a load for TLS to the servers of one backend, and for checks over TLS: what
// contradicts the mode or another key, and what is allowed but hardly meant. Called by
// verify_back.c when mode and `health` are complete.
#include "conf/verify.h"

static bool speaks_http1(struct str name)
{
    return str_eq(name, STR("http/1.1")) || str_eq(name, STR("http/1.0"));
}

static void verify_alpn(struct verifier *v, const struct server *s)
{
    const struct tls_terms *terms = &s->tls->terms;
    for (uint32_t i = 0; i < terms->n_alpn; i++) {
        if (s->backend->mode == MODE_TCP || speaks_http1(terms->alpn[i]))
            continue;
        struct finding *x = diag_error(v->b->findings, verify_span(v, &s->tls->mark), "config.mode",
                                       "server '%.*s' is spoken to with HTTP/1.1, not with '%.*s'",
                                       SHOW(s->name), SHOW(terms->alpn[i]));
        FIX(v->b, x, "write alpn: http/1.1, or leave it out");
        x->topic = "backends.*.servers.*.tls.alpn";
        return;
    }
}

static void warn_unverified(struct verifier *v, const struct server *s)
{
    if (s->tls->terms.verify || s->tls->ca.file == NULL)
        return;
    struct finding *x =
        diag_warning(v->b->findings, verify_span(v, &s->tls->ca.mark), "lint.no-effect",
                     "'ca' has no effect: verify: false takes any certificate");
    FIX(v->b, x, "remove verify: false");
}

static bool shakes_hands(const struct health *h)
{
    bool elsewhere = h->port != 0 || h->address.len > 0;
    return h->type == HEALTH_TLS || h->tls == HEALTH_TLS_ON ||
           (h->type != HEALTH_OFF && h->type != HEALTH_TCP && h->tls != HEALTH_TLS_OFF &&
            !elsewhere);
}

static void warn_check_cert(struct verifier *v, const struct server *s)
{
    const struct health *h = &s->backend->health;
    if (s->tls->client_cert == NULL || h->client_cert != NULL || !shakes_hands(h))
        return;
    struct finding *x =
        diag_warning(v->b->findings, verify_span(v, &s->tls->client_cert->mark), "lint.client-cert",
                     "health checks of server '%.*s' have no certificate to show", SHOW(s->name));
    FIX(v->b, x, "add health: {client-cert: FILE}, or write health: tcp");
    NOTE(v->b, x, "they are made by a process that does not have this one's key");
}

static void verify_checks(struct verifier *v, const struct backend *backend)
{
    const struct health *h = &backend->health;
    const struct node *own = node_get(v->b->backends[backend->index], "health");
    struct entry *tls = node_entry(own, STR("tls")), *cert = node_entry(own, STR("client-cert"));
    if (h->type == HEALTH_TLS && h->tls == HEALTH_TLS_OFF) {
        struct span at = tls != NULL ? tls->key->at : verify_span(v, &backend->mark);
        struct finding *x =
            diag_error(v->b->findings, at, "config.health", "a check of type tls without tls");
        FIX(v->b, x, "remove tls: false, or write type: tcp");
    }
    if (cert != NULL && h->client_cert != NULL && !shakes_hands(h)) {
        struct finding *x =
            diag_warning(v->b->findings, cert->key->at, "lint.no-effect",
                         "'client-cert' has no effect: the checks are not over TLS");
        FIX(v->b, x, "write type: tls, or remove it");
    }
}

void verify_server_tls(struct verifier *v, const struct backend *backend)
{
    verify_checks(v, backend);
    for (uint32_t i = 0; i < backend->n_servers; i++) {
        const struct server *s = &backend->servers[i];
        if (s->tls == NULL || s->place > 0)
            continue;
        verify_alpn(v, s);
        if (v->b->findings->errors > 0)
            continue; // a file that could not be read looks like one that was not named
        warn_unverified(v, s);
        warn_check_cert(v, s);
    }
}
