// SPDX-License-Identifier: MIT
// Loading with an eye on certificates. Run by `evlb check`, by `evlb run` and, at a reload, by the
// supervisor: what passes here can be used by workers, which build the same again.
//
// Invariant: one error and one warning per place in the file; what else is wrong there are its
// notes.
#include "process/certificates.h"

#include "conf/diag.h"
#include "io/loop.h"
#include "io/tls.h"
#include "process/tickets.h"
#include "proxy/tls_listen.h"

struct said {
    struct finding *finding;
    const struct conf_mark *mark;
};

struct report {
    const struct config *config;
    struct findings *findings;
    struct said error, warning; // the last ones
    const char *topic;          // of all findings
};

static bool same_mark(const struct conf_mark *a, const struct conf_mark *b)
{
    return a->line == b->line && a->column == b->column && a->file == b->file;
}

static void say(struct report *r, enum severity severity, const struct conf_mark *m,
                const char *text)
{
    bool error = severity == SEVERITY_ERROR;
    struct said *last = error ? &r->error : &r->warning;
    const char *fix = strstr(text, TLS_WHY_FIX);
    int length = fix != NULL ? (int)(fix - text) : (int)strlen(text);
    if (last->finding != NULL && same_mark(last->mark, m)) {
        diag_note(r->findings, last->finding, "%.*s", error ? (int)strlen(text) : length, text);
        return;
    }
    struct span at = diag_span(r->config, m);
    *last = (struct said){
        error ? diag_error(r->findings, at, "tls.certificate", "%.*s", length, text)
              : diag_warning(r->findings, at, "lint.certificate", "%.*s", length, text),
        m};
    last->finding->topic = r->topic;
    if (fix != NULL)
        diag_fix(r->findings, last->finding, "%s", fix + strlen(TLS_WHY_FIX));
}

// `ciphers`: of the listener; NULL: it is shown to servers.
static bool check_cert(struct report *r, const struct certificate *c, const char *ciphers)
{
    char why[TLS_WHY_MAX];
    if (!tls_pem_check(&c->pem, ciphers != NULL ? ciphers : "", why)) {
        say(r, SEVERITY_ERROR, &c->mark, why);
        return false;
    }
    if (tls_pem_doubts(&c->pem, ciphers != NULL, clock_wall_ms() / 1000, why))
        say(r, SEVERITY_WARNING, &c->mark, why);
    if (tls_pem_staple_doubts(&c->pem, clock_wall_ms() / 1000, why))
        say(r, SEVERITY_WARNING, &c->mark, why);
    return true;
}

struct client_report {
    struct report *report;
    const struct tls *tls;
};

static void doubt_client_auth(void *ctx, bool crl, const char *why)
{
    const struct client_report *c = ctx;
    c->report->topic = crl ? "frontends.*.tls.client-crl" : "frontends.*.tls.client-ca";
    say(c->report, SEVERITY_WARNING, crl ? &c->tls->client_crl.mark : &c->tls->client_ca.mark, why);
}

// First without the revocation lists: then what is wrong is known to be wrong with the authorities.
const struct pem_file *certificates_client_fault(const struct tls *tls, char *why)
{
    struct tls_client_auth all = tls_listen_clients(tls), ca = all;
    ca.crl_file = NULL;
    if (ca.ca_file == NULL)
        return NULL;
    if (!tls_client_auth_check(&ca, why))
        return &tls->client_ca;
    return tls_client_auth_check(&all, why) ? NULL : &tls->client_crl;
}

static bool check_client_auth(struct report *r, const struct tls *tls)
{
    char why[TLS_WHY_MAX];
    struct client_report c = {r, tls};
    const struct tls_client_auth all = tls_listen_clients(tls);
    const struct pem_file *bad = certificates_client_fault(tls, why);
    if (bad != NULL) {
        r->topic =
            bad == &tls->client_crl ? "frontends.*.tls.client-crl" : "frontends.*.tls.client-ca";
        say(r, SEVERITY_ERROR, &bad->mark, why);
        return false;
    }
    tls_client_auth_doubts(&all, clock_wall_ms() / 1000, doubt_client_auth, &c);
    return true;
}

static bool check_lists(struct report *r, const struct tls *tls)
{
    char why[TLS_WHY_MAX];
    bool ciphers = tls->ciphers.len == 0 || tls_ciphers_check(tls->ciphers.p, why);
    r->topic = "frontends.*.tls.ciphers";
    if (!ciphers)
        say(r, SEVERITY_ERROR, &tls->ciphers_mark, why);
    bool groups = tls->groups.len == 0 || tls_groups_check(tls->groups.p, why);
    r->topic = "frontends.*.tls.groups";
    if (!groups)
        say(r, SEVERITY_ERROR, &tls->groups_mark, why);
    return ciphers && groups;
}

// One that was named twice, to be the default, is no fault.
bool certificates_hidden(const struct tls *tls, uint32_t i, char *why)
{
    const struct pem_pair *pem = &tls->certs[i].pem;
    const struct pem_pair *shown = &tls->certs[tls->certs[i].shown].pem;
    if (str_eq(pem->chain, shown->chain))
        return false;
    (void)snprintf(why, TLS_WHY_MAX,
                   "'%s' is shown to nobody: '%s' is for its names, with a key of the same "
                   "kind" TLS_WHY_FIX
                   "remove it: of those that are valid the one issued last is shown",
                   pem->file, shown->file);
    return true;
}

static void note_shown(const struct tls *tls, const struct tls_server *server)
{
    uint32_t defaults[TLS_SHOWN_MAX];
    bool known;
    uint32_t n = tls_server_shown(server, STR_NONE, defaults, &known);
    for (uint32_t i = 0; i < n; i++)
        tls->certs[defaults[i]].is_default = true;
    for (uint32_t i = 0; i < tls->n_certs; i++)
        tls->certs[i].shown = tls_server_preferred(server, i);
}

// Contexts of thousands of certificates take seconds: whatever is asked of them is asked here.
static void check_whole(struct report *r, const struct frontend *f, const struct tls *tls)
{
    char why[TLS_WHY_MAX];
    struct tls_server *server = tls_listen_new(tls, f, NULL, why);
    if (server == NULL) {
        say(r, SEVERITY_ERROR, &tls->mark, why);
        return;
    }
    note_shown(tls, server);
    tls_server_drop(server);
    for (uint32_t i = 0; i < tls->n_certs; i++) {
        if (certificates_hidden(tls, i, why))
            say(r, SEVERITY_WARNING, &tls->certs[i].mark, why);
    }
}

static void doubt_ciphers(struct report *r, const struct tls *tls)
{
    char why[TLS_WHY_MAX];
    struct arena *a = arena_new();
    struct pem_pair *certs = arena_alloc(a, (tls->n_certs + 1) * sizeof(*certs));
    for (uint32_t i = 0; i < tls->n_certs; i++)
        certs[i] = tls->certs[i].pem;
    r->topic = "frontends.*.tls.ciphers";
    if (tls_ciphers_doubts(certs, tls->n_certs, tls->ciphers.p, why))
        say(r, SEVERITY_WARNING, &tls->ciphers_mark, why);
    arena_free(a);
}

static void check_tls(void *ctx, const struct frontend *f, const struct tls *tls)
{
    struct report *r = ctx;
    bool fine = check_lists(r, tls);
    r->topic = "frontends.*.tls.certs";
    for (uint32_t i = 0; i < tls->n_certs; i++)
        fine = check_cert(r, &tls->certs[i], tls_listen_ciphers(tls)) && fine;
    if (tls->client_ca.file != NULL)
        fine = check_client_auth(r, tls) && fine;
    if (fine && tls->ciphers.len > 0 && tls->min == TLS_MIN_1_2)
        doubt_ciphers(r, tls);
    r->topic = "frontends.*.tls.certs";
    if (fine && tls->n_certs > 0)
        check_whole(r, f, tls);
}

// ---- servers

// A file that is named is looked into even if nothing is verified.
bool certificates_server_check(const struct server_tls *tls, char *why)
{
    if (tls->ca.file != NULL)
        return tls_authorities_check(tls->ca.file, tls->ca.bytes, why);
    return tls->terms.ca_file == NULL ||
           tls_authorities_check(tls->terms.ca_file, tls->terms.ca, why);
}

static void check_server(void *ctx, const struct server_tls *tls)
{
    struct report *r = ctx;
    char why[TLS_WHY_MAX];
    if (!certificates_server_check(tls, why))
        say(r, SEVERITY_ERROR, tls->ca.file != NULL ? &tls->ca.mark : &tls->mark, why);
    else if (tls->ca.file != NULL && tls->terms.verify &&
             tls_authorities_doubts(tls->ca.file, tls->ca.bytes, clock_wall_ms() / 1000, why))
        say(r, SEVERITY_WARNING, &tls->ca.mark, why);
    if (tls->client_cert != NULL)
        (void)check_cert(r, tls->client_cert, NULL);
}

// As workers will.
static void build_clients(struct report *r, const struct config *c)
{
    struct tls_clients *clients = tls_clients_new();
    char why[TLS_WHY_MAX];
    for (uint32_t i = 0; i < c->n_servers; i++) {
        const struct server *s = &c->servers[i];
        if (s->tls != NULL && !tls_clients_add(clients, NULL, s->index, &s->tls->terms, why))
            say(r, SEVERITY_ERROR, &s->tls->mark, why);
    }
    tls_clients_free(clients);
}

static void check_backends(struct report *r, const struct config *c)
{
    uint32_t errors = r->findings->errors;
    r->topic = "backends.*.servers.*.tls";
    for (uint32_t i = 0; i < c->n_backends; i++) {
        if (c->backends[i].health.client_cert != NULL)
            (void)check_cert(r, c->backends[i].health.client_cert, NULL);
    }
    certificates_each_server(c, check_server, r);
    if (r->findings->errors == errors)
        build_clients(r, c);
}

bool certificates_check(const struct config *c, struct findings *f)
{
    struct report r = {.config = c, .findings = f};
    uint32_t errors = f->errors;
    certificates_each_listener(c, check_tls, &r);
    check_backends(&r, c);
    return tickets_check(c, f) && f->errors == errors;
}

struct config *certificates_load(const struct config_source *source, struct findings *f)
{
    tls_init();
    struct config *c = config_load(source, f);
    if (c == NULL || certificates_check(c, f))
        return c;
    arena_free(c->arena);
    return NULL;
}

// ---- all of them

void certificates_each_listener(const struct config *c,
                                void (*each)(void *ctx, const struct frontend *f,
                                             const struct tls *tls),
                                void *ctx)
{
    for (uint32_t i = 0; i < c->n_frontends; i++) {
        const struct frontend *f = &c->frontends[i];
        for (uint32_t k = 0; k < f->n_listens; k++) {
            if (!listen_shares_tls(f, k))
                each(ctx, f, &f->listens[k].tls);
        }
    }
}

void certificates_each_server(const struct config *c,
                              void (*each)(void *ctx, const struct server_tls *tls), void *ctx)
{
    const struct server_tls *last = NULL;
    for (uint32_t i = 0; i < c->n_servers; i++) {
        const struct server_tls *tls = c->servers[i].tls;
        bool same = tls == NULL ||
                    (last != NULL && last->terms.ca.p == tls->terms.ca.p &&
                     last->ca.bytes.p == tls->ca.bytes.p && last->client_cert == tls->client_cert);
        if (!same)
            each(ctx, tls);
        last = tls != NULL ? tls : last;
    }
}

struct each_cert {
    void (*each)(void *ctx, const struct certificate *c);
    void *ctx;
};

static void each_of_listener(void *ctx, const struct frontend *f, const struct tls *tls)
{
    const struct each_cert *e = ctx;
    (void)f;
    for (uint32_t i = 0; i < tls->n_certs; i++)
        e->each(e->ctx, &tls->certs[i]);
}

static void each_of_server(void *ctx, const struct server_tls *tls)
{
    const struct each_cert *e = ctx;
    if (tls->client_cert != NULL)
        e->each(e->ctx, tls->client_cert);
}

void certificates_each(const struct config *c, void (*each)(void *ctx, const struct certificate *c),
                       void *ctx)
{
    struct each_cert e = {each, ctx};
    certificates_each_listener(c, each_of_listener, &e);
    certificates_each_server(c, each_of_server, &e);
    for (uint32_t i = 0; i < c->n_backends; i++) {
        if (c->backends[i].health.client_cert != NULL)
            each(ctx, c->backends[i].health.client_cert);
    }
}

// They lie in the configuration's own arena.
void certificates_forget(struct config *c)
{
    for (const struct secret *s = c->secrets; s != NULL; s = s->next) {
        if (s->bytes.len > 0)
            explicit_bzero((void *)(uintptr_t)s->bytes.p, s->bytes.len);
    }
}
