// SPDX-License-Identifier: MIT
// What `evlb explain route` has found out, for those who show it.
#ifndef EVLB_EXPLAIN_VERDICT_H
#define EVLB_EXPLAIN_VERDICT_H

#include "cli/explain.h"
#include "conf/config.h"
#include "process/cert_choice.h"

#define ALPNS_MAX 8

// One request and what becomes of it.
struct verdict {
    const struct cli *cli;
    const struct config *config;
    struct arena *arena;
    struct explained_url url;
    const struct frontend *frontend;
    const struct listen *listen; // where it arrives
    bool guessed;                // that: the URL has none of its ports
    uint32_t frontends_matching; // by name or port; 0: taken because there is only one
    struct str sni;              // what a TLS client asks for; empty: no TLS, or no name
    struct str alpn[ALPNS_MAX];  // and offers
    uint32_t n_alpn;
    struct str agreed;         // of these, where TLS ends here
    struct str host, path;     // in normal form
    const struct route *route; // NULL: none matches
    bool misdirected;          // the host is one whose TLS does not end here
    const char *refused;       // why it gets no further than to TLS; NULL: it does
    struct cert_choice cert;   // that it is shown, where TLS ends here
    const char *cert_fault;    // why that cannot be said; NULL: it can
};

// Its addresses.
const char *verdict_listens(struct arena *a, const struct frontend *f);
// The client speaks TLS: as the URL says, else as the port is.
bool verdict_over_tls(const struct verdict *v);
// Where it arrives clients have to show a certificate.
bool verdict_needs_cert(const struct verdict *v);
// Finds out whether TLS can be agreed on there, and on what: `refused`, `cert`.
void verdict_look_at_address(struct verdict *v);
void verdict_look_at_hello(struct verdict *v);
// It ends here, unless a route passes it through.
bool verdict_ends_tls(const struct verdict *v);
// The value of the last -H of that name, or an empty text.
struct str verdict_header(const struct verdict *v, const char *name);

// Returns the exit status.
int verdict_print(const struct verdict *v);

#endif
