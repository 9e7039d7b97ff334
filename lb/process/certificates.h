// SPDX-License-Identifier: MIT
// Certificates of a configuration: what conf/ cannot look into.
#ifndef EVLB_CERTIFICATES_H
#define EVLB_CERTIFICATES_H

#include "conf/load.h"

// config_load(), and then whether its certificates, keys (of tickets too) and ciphers can be used.
// NULL when there is an error; the findings say which, and what is suspicious.
struct config *certificates_load(const struct config_source *source, struct findings *f) MUST_CHECK;
// The second half alone: adds to the findings, and to the certificates of listeners which of them
// are shown. False: there is an error.
bool certificates_check(const struct config *c, struct findings *f) MUST_CHECK;
// Calls `each` with what listeners say about TLS, once for all of a frontend that share it.
void certificates_each_listener(const struct config *c,
                                void (*each)(void *ctx, const struct frontend *f,
                                             const struct tls *tls),
                                void *ctx);
// The same with what servers say; what several share may come more than once.
void certificates_each_server(const struct config *c,
                              void (*each)(void *ctx, const struct server_tls *tls), void *ctx);
// The same with every certificate that they, or health checks, show.
void certificates_each(const struct config *c, void (*each)(void *ctx, const struct certificate *c),
                       void *ctx);
// The file about clients that cannot be used, with a reason in `why` (TLS_WHY_MAX bytes); NULL:
// none.
const struct pem_file *certificates_client_fault(const struct tls *tls, char *why) MUST_CHECK;
// Whether a server's authorities can be used.
bool certificates_server_check(const struct server_tls *tls, char *why) MUST_CHECK;
// Whether clients are never shown certificate `i` of a configuration that was checked, as others
// with its names are better; what to say of it is put into `why`.
bool certificates_hidden(const struct tls *tls, uint32_t i, char *why) MUST_CHECK;
// Overwrites all files with keys, those of tickets too but not those of health checks: for
// processes that are not to have them.
void certificates_forget(struct config *c);

#endif
