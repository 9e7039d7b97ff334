// SPDX-License-Identifier: MIT
// Builds the TLS side of a listener: in workers for each configuration, in whoever loads one to
// find out whether it can be built. Pure but for OpenSSL.
#include "proxy/tls_listen.h"

struct tls_client_auth tls_listen_clients(const struct tls *tls)
{
    return (struct tls_client_auth){
        .ca_file = tls->client_ca.file,
        .crl_file = tls->client_crl.file,
        .ca = tls->client_ca.bytes,
        .crl = tls->client_crl.bytes,
        .optional = tls->client_verify == CLIENT_VERIFY_OPTIONAL,
    };
}

const char *tls_listen_ciphers(const struct tls *tls)
{
    return tls->ciphers.len > 0 ? tls->ciphers.p : "";
}

// The protocols that routes ask for, in mode tcp: nobody else there knows what is spoken. The
// caller frees it.
static struct str *route_alpns(const struct frontend *f, uint32_t *n)
{
    struct str *names = NULL;
    *n = 0;
    for (uint32_t i = 0; f->mode == MODE_TCP && i < f->n_routes; i++) {
        const struct route *r = &f->routes[i];
        if (r->tls == ROUTE_PASSTHROUGH || r->n_alpns == 0)
            continue;
        names = xrealloc(names, (*n + r->n_alpns) * sizeof(*names));
        memcpy(names + *n, r->alpns, r->n_alpns * sizeof(*names));
        *n += r->n_alpns;
    }
    return names;
}

struct tls_server *tls_listen_new(const struct tls *tls, const struct frontend *f,
                                  const struct tls_tickets *tickets, char *why)
{
    struct pem_pair *certs = xcalloc(tls->n_certs, sizeof(*certs));
    for (uint32_t i = 0; i < tls->n_certs; i++)
        certs[i] = tls->certs[i].pem;
    uint32_t n_alpn;
    struct str *alpn = route_alpns(f, &n_alpn);
    const struct tls_client_auth clients = tls_listen_clients(tls);
    const struct tls_settings settings = {
        .certs = certs,
        .n_certs = tls->n_certs,
        .min_1_3 = tls->min == TLS_MIN_1_3,
        .strict_sni = tls->strict_sni,
        .http = f->mode == MODE_HTTP,
        .alpn = alpn,
        .n_alpn = n_alpn,
        .ciphers = tls_listen_ciphers(tls),
        .groups = tls->groups.len > 0 ? tls->groups.p : "",
        .clients = tls->client_ca.file != NULL ? &clients : NULL,
        .context = f->name,
        .tickets = tickets,
    };
    struct tls_server *server = tls_server_new(&settings, why);
    free(certs);
    free(alpn);
    return server;
}
