// SPDX-License-Identifier: MIT
// TLS in `evlb explain route`: whether a client gets through its handshake, and which certificate
// it is shown. Called by explain_route.c, in the order in which the data path asks: what the port
// speaks, then (of TLS that is not passed through) version, name, protocol. Pure but for OpenSSL in
// process/cert_choice.c.
#include "cli/explain_verdict.h"

static bool is_http(const struct verdict *v)
{
    return v->frontend->mode == MODE_HTTP;
}

// Mode tcp without `tls` sends on whatever is spoken.
void verdict_look_at_address(struct verdict *v)
{
    bool tls = verdict_over_tls(v), address = v->listen->tls.n_certs > 0;
    if (v->guessed || tls == address || (tls && !is_http(v)))
        return;
    v->refused =
        arena_printf(v->arena, "port %u speaks %s: %s", v->url.port, tls ? "no TLS" : "TLS only",
                     is_http(v) ? "answered with 400" : "the connection is closed");
}

bool verdict_needs_cert(const struct verdict *v)
{
    return v->listen->tls.client_ca.file != NULL &&
           v->listen->tls.client_verify == CLIENT_VERIFY_REQUIRED;
}

static bool is_too_old(const struct verdict *v)
{
    const struct tls *tls = &v->listen->tls;
    const char *version = v->cli->value[FLAG_TLS_VERSION];
    return version != NULL && strcmp(version, "1.2") == 0 && tls->min == TLS_MIN_1_3;
}

static const char *no_certificate(const struct verdict *v)
{
    if (v->sni.len == 0)
        return "it names no host (strict-sni): alert unrecognized_name";
    return arena_printf(v->arena,
                        "no certificate is for %.*s (strict-sni): alert unrecognized_name",
                        STR_FMT(v->sni));
}

void verdict_look_at_hello(struct verdict *v)
{
    if (!verdict_ends_tls(v) || v->listen->tls.n_certs == 0)
        return;
    v->cert_fault = cert_choice(v->frontend, &v->listen->tls, v->sni, v->arena, &v->cert);
    if (is_too_old(v))
        v->refused = "TLS 1.3 is the oldest version here: alert protocol_version";
    else if (v->cert_fault == NULL && v->cert.n == 0)
        v->refused = no_certificate(v);
    else if (is_http(v) && v->n_alpn > 0 && v->agreed.len == 0)
        v->refused = "it does not offer http/1.1: alert no_application_protocol";
}
