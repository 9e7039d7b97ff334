// SPDX-License-Identifier: MIT
// The last phase of a load for TLS with clients: keys that another one leaves without effect.
// Called by verify.c; what takes OpenSSL to know is found out later (process/certificates.c).
// Silent about a file with errors: a value that is wrong has been replaced by its default.
#include "conf/verify.h"

static void verify_tickets(struct verifier *v)
{
    struct entry *rotate = node_entry(node_get(v->b->tree, "tickets"), STR("rotate"));
    if (rotate == NULL || v->config->tickets.keys_file.len == 0)
        return;
    struct finding *x = diag_warning(v->b->findings, rotate->key->at, "lint.no-effect",
                                     "'rotate' has no effect: the keys come from a file");
    FIX(v->b, x, "remove it; new keys are those that are added to the file");
}

static void warn_overridden(struct verifier *v, const struct frontend *f)
{
    struct entry *tls = node_entry(v->b->frontends[f->index], STR("tls"));
    if (tls == NULL || f->n_listens == 0)
        return;
    for (uint32_t i = 0; i < f->n_listens; i++) {
        if (f->listens[i].tls.certs == f->tls.certs)
            return;
    }
    struct finding *x = diag_warning(
        v->b->findings, tls->key->at, "lint.no-effect",
        "'tls' has no effect: every address of frontend '%.*s' has its own", SHOW(f->name));
    FIX(v->b, x, "remove it, or leave out tls at an address");
}

// Of a list of OpenSSL's names: one of TLS 1.2. Those of 1.3 begin with TLS_; what begins with
// another sign takes away or sets something.
static bool is_of_1_2(struct str name)
{
    return name.len > 0 && !str_starts(name, STR("TLS_")) &&
           ((name.p[0] >= 'A' && name.p[0] <= 'Z') || (name.p[0] >= 'a' && name.p[0] <= 'z'));
}

static void warn_ciphers(struct verifier *v, const struct tls *tls)
{
    if (tls->min != TLS_MIN_1_3)
        return;
    for (const char *at = tls->ciphers.p; at != NULL && *at != '\0'; at += *at != '\0') {
        struct str name = {at, strcspn(at, ":, ")};
        at += name.len;
        if (!is_of_1_2(name))
            continue;
        struct finding *x =
            diag_warning(v->b->findings, verify_span(v, &tls->ciphers_mark), "lint.no-effect",
                         "'%.*s' has no effect: %s is TLS 1.3 alone, whose ciphers begin with TLS_",
                         SHOW(name), tls->profile == TLS_MODERN ? "profile: modern" : "min: 1.3");
        FIX(v->b, x, "leave it out, or %s",
            tls->profile == TLS_MODERN ? "write profile: intermediate" : "write min: 1.2");
        return;
    }
}

void verify_tls(struct verifier *v)
{
    if (v->b->findings->errors > 0)
        return;
    verify_tickets(v);
    for (uint32_t i = 0; i < v->config->n_frontends; i++) {
        const struct frontend *f = &v->config->frontends[i];
        warn_overridden(v, f);
        for (uint32_t k = 0; k < f->n_listens; k++) {
            if (!listen_shares_tls(f, k))
                warn_ciphers(v, &f->listens[k].tls);
        }
    }
}
