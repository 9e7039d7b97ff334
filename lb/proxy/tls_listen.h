// SPDX-License-Identifier: MIT
// From the configuration's `tls` to what io/tls.h needs.
#ifndef EVLB_TLS_LISTEN_H
#define EVLB_TLS_LISTEN_H

#include "conf/config.h"
#include "io/tls.h"

// The server of `tls` (n_certs > 0) for a frontend. NULL: `why` (TLS_WHY_MAX bytes) says what is
// wrong. `tickets` NULL: sessions are not resumed.
struct tls_server *tls_listen_new(const struct tls *tls, const struct frontend *f,
                                  const struct tls_tickets *tickets, char *why) MUST_CHECK;
// Its list of ciphers, in OpenSSL's words; empty: the profile's.
const char *tls_listen_ciphers(const struct tls *tls);
// What it says about clients, where client_ca is given.
struct tls_client_auth tls_listen_clients(const struct tls *tls);

#endif
