// SPDX-License-Identifier: MIT
// What is in force of certificates, authorities and revocation lists, as JSON. Run by the
// supervisor, called by requests.c and reload.c; control passes the text on as it is. Invariant:
// nothing of a key is written but the name of its file.
#include "process/certs_json.h"

#include "base/json.h"
#include "io/loop.h"
#include "io/tls_cert_facts.h"
#include "process/certificates.h"
#include "proxy/tls_listen.h"

#define DAY_S 86400

struct list_of {
    struct json j;
    struct arena *arena;
    int64_t now; // seconds since 1970
};

static void put_seconds(struct list_of *l, const char *key, int64_t s)
{
    json_bare(&l->j, key, str_of(arena_printf(l->arena, "%lld", (long long)s * 1000)));
}

static void put_days_left(struct list_of *l, int64_t until)
{
    const char *days = arena_printf(l->arena, "%lld", (long long)((until - l->now) / DAY_S));
    json_bare(&l->j, "days_left", str_of(days));
}

static void put_names(struct list_of *l, const struct str *names, uint32_t n)
{
    json_array(&l->j, "names");
    for (uint32_t i = 0; i < n; i++)
        json_text(&l->j, NULL, names[i]);
    json_array_end(&l->j);
}

static void put_staple(struct list_of *l, const struct pem_pair *pem,
                       const struct tls_cert_facts *facts)
{
    json_object(&l->j, "ocsp");
    json_text(&l->j, "state", str_of(facts->ocsp));
    if (pem->ocsp_file != NULL)
        json_text(&l->j, "file", str_of(pem->ocsp_file));
    else
        json_null(&l->j, "file");
    if (facts->ocsp_until != 0)
        put_seconds(l, "until_ms", facts->ocsp_until);
    else
        json_null(&l->j, "until_ms");
    if (facts->ocsp_why != NULL)
        json_text(&l->j, "reason", str_of(facts->ocsp_why));
    else
        json_null(&l->j, "reason");
    json_object_end(&l->j);
}

static void put_facts(struct list_of *l, const struct pem_pair *pem)
{
    struct tls_cert_facts facts;
    if (!tls_cert_facts(pem, l->now, l->arena, &facts))
        return; // out of memory: it was read when it was loaded
    json_text(&l->j, "subject", str_of(facts.subject));
    put_names(l, facts.names, facts.n_names);
    json_text(&l->j, "issuer", str_of(facts.issuer));
    json_text(&l->j, "key", str_of(facts.key));
    json_text(&l->j, "serial", str_of(facts.serial));
    put_seconds(l, "not_before_ms", facts.from);
    put_seconds(l, "not_after_ms", facts.until);
    put_days_left(l, facts.until);
    put_staple(l, pem, &facts);
}

static void put_listens(struct list_of *l, const struct frontend *f, const struct tls *tls)
{
    char address[ADDR_TEXT];
    json_array(&l->j, "listen");
    for (uint32_t k = 0; k < f->n_listens; k++) {
        if (f->listens[k].tls.certs != tls->certs)
            continue;
        (void)addr_format(&f->listens[k].addr, address);
        json_text(&l->j, NULL, str_of(address));
    }
    json_array_end(&l->j);
}

static void put_certificate(struct list_of *l, const struct frontend *f, const struct tls *tls,
                            const struct certificate *c)
{
    json_object(&l->j, NULL);
    json_text(&l->j, "frontend", f->name);
    put_listens(l, f, tls);
    json_bool(&l->j, "default", c->is_default);
    json_text(&l->j, "file", str_of(c->pem.file));
    json_text(&l->j, "key_file", str_of(c->pem.key_file));
    put_facts(l, &c->pem);
    json_object_end(&l->j);
}

static void put_certificates(void *ctx, const struct frontend *f, const struct tls *tls)
{
    for (uint32_t i = 0; i < tls->n_certs; i++)
        put_certificate(ctx, f, tls, &tls->certs[i]);
}

// ---- beside them: what the other side is verified by, and what servers are shown ---------------

// Of a frontend or a backend (`whose`), named there by `setting`.
struct peer_file {
    const char *whose;
    struct str name;
    const char *setting, *file;
};

static void begin_peer(struct list_of *l, const struct peer_file *p)
{
    json_object(&l->j, NULL);
    json_text(&l->j, p->whose, p->name);
    json_text(&l->j, "setting", str_of(p->setting));
    json_text(&l->j, "file", str_of(p->file));
}

// An end of 0: there is none.
static void end_peer(struct list_of *l, int64_t until)
{
    if (until != 0) {
        put_seconds(l, "not_after_ms", until);
        put_days_left(l, until);
    } else {
        json_null(&l->j, "not_after_ms");
        json_null(&l->j, "days_left");
    }
    json_object_end(&l->j);
}

struct doubts {
    struct list_of *list;
    bool lists;
};

static void put_doubt(void *ctx, bool crl, const char *why)
{
    const struct doubts *d = ctx;
    if (crl == d->lists)
        json_text(&d->list->j, NULL, str_of(why));
}

static void put_clients(struct list_of *l, struct str frontend, const struct tls *tls, bool lists)
{
    const struct pem_file *pem = lists ? &tls->client_crl : &tls->client_ca;
    const struct tls_client_auth auth = tls_listen_clients(tls);
    struct tls_trust_facts facts;
    if (pem->file == NULL || !tls_trust_facts(&auth, lists, l->arena, &facts))
        return;
    const struct peer_file p = {"frontend", frontend, lists ? "client-crl" : "client-ca",
                                pem->file};
    begin_peer(l, &p);
    put_names(l, facts.names, facts.n_names);
    json_array(&l->j, "warnings");
    tls_client_auth_doubts(&auth, l->now, put_doubt, &(struct doubts){l, lists});
    json_array_end(&l->j);
    end_peer(l, facts.until);
}

static void put_frontend_peers(void *ctx, const struct frontend *f, const struct tls *tls)
{
    put_clients(ctx, f->name, tls, false);
    put_clients(ctx, f->name, tls, true);
}

static void put_shown(struct list_of *l, struct str backend, const char *setting,
                      const struct pem_pair *pem)
{
    struct tls_cert_facts facts;
    if (!tls_cert_facts(pem, l->now, l->arena, &facts))
        return;
    const struct peer_file p = {"backend", backend, setting, pem->file};
    const struct str subject = str_of(facts.subject);
    begin_peer(l, &p);
    put_names(l, &subject, 1);
    end_peer(l, facts.until);
}

static void put_authorities(struct list_of *l, struct str backend, const struct pem_file *ca)
{
    const struct tls_client_auth auth = {.ca_file = ca->file, .ca = ca->bytes};
    struct tls_trust_facts facts;
    if (!tls_trust_facts(&auth, false, l->arena, &facts))
        return;
    const struct peer_file p = {"backend", backend, "ca", ca->file};
    begin_peer(l, &p);
    put_names(l, facts.names, facts.n_names);
    end_peer(l, facts.until);
}

// What one server after the other has is listed once. The system's authorities are not: they are
// nobody's here to renew.
static void put_backend_peers(struct list_of *l, const struct backend *b)
{
    const char *ca = NULL;
    const struct certificate *cert = NULL;
    for (uint32_t i = 0; i < b->n_servers; i++) {
        const struct server_tls *tls = b->servers[i].tls;
        if (tls != NULL && tls->ca.file != NULL && tls->ca.bytes.p != ca)
            put_authorities(l, b->name, &tls->ca);
        if (tls != NULL && tls->client_cert != NULL && tls->client_cert != cert)
            put_shown(l, b->name, "client-cert", &tls->client_cert->pem);
        ca = tls != NULL ? tls->ca.bytes.p : ca;
        cert = tls != NULL ? tls->client_cert : cert;
    }
    if (b->health.client_cert != NULL)
        put_shown(l, b->name, "health.client-cert", &b->health.client_cert->pem);
}

bool certs_json(const struct config *c, struct buf *out)
{
    struct list_of l = {
        .j = {.out = out}, .arena = arena_new(), .now = (int64_t)(clock_wall_ms() / 1000)};
    json_object(&l.j, NULL);
    json_array(&l.j, "certificates");
    certificates_each_listener(c, put_certificates, &l);
    json_array_end(&l.j);
    json_array(&l.j, "peers");
    certificates_each_listener(c, put_frontend_peers, &l);
    for (uint32_t i = 0; i < c->n_backends; i++)
        put_backend_peers(&l, &c->backends[i]);
    json_array_end(&l.j);
    json_object_end(&l.j);
    arena_free(l.arena);
    return !l.j.failed && buf_append(out, "\n", 2);
}

bool certs_json_changes(uint32_t changed, uint32_t kept, const char *text, struct buf *out)
{
    struct json j = {.out = out};
    json_object(&j, NULL);
    json_bool(&j, "done", true);
    json_u64(&j, "changed", changed);
    json_u64(&j, "kept", kept);
    json_text(&j, "text", str_of(text));
    json_object_end(&j);
    return !j.failed && buf_append(out, "\n", 2);
}
