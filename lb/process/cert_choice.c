// SPDX-License-Identifier: MIT
// Which certificate a client is shown: builds what a worker would and asks it. Run by `evlb explain
// route`, which sends nothing and needs no running evlb.
#include "process/cert_choice.h"

#include "io/loop.h"
#include "io/tls_cert_facts.h"
#include "proxy/tls_listen.h"

const char *cert_choice(const struct frontend *f, const struct tls *tls, struct str name,
                        struct arena *a, struct cert_choice *out)
{
    char why[TLS_WHY_MAX];
    uint32_t shown[TLS_SHOWN_MAX];
    bool known;
    tls_init();
    struct tls_server *server = tls_listen_new(tls, f, NULL, why);
    if (server == NULL)
        return arena_strdup(a, str_of(why));
    out->n = tls_server_shown(server, name, shown, &known);
    out->is_default = !known;
    tls_server_drop(server);
    for (uint32_t i = 0; i < out->n; i++) {
        const struct pem_pair *pem = &tls->certs[shown[i]].pem;
        struct tls_cert_facts facts;
        if (!tls_cert_facts(pem, (int64_t)(clock_wall_ms() / 1000), a, &facts))
            return arena_printf(a, "'%s' cannot be read", pem->file);
        out->certs[i].file = pem->file;
        out->certs[i].key = facts.key;
        out->certs[i].names = facts.names;
        out->certs[i].n_names = facts.n_names;
    }
    return NULL;
}
