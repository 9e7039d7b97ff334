// SPDX-License-Identifier: MIT
// Inside of io/: where OpenSSL's largest block of a connection lies, so that most of it can be
// given back while the connection is idle.
#ifndef EVLB_TLS_MEMORY_H
#define EVLB_TLS_MEMORY_H

#include <openssl/ssl.h>

#include "base/base.h"

struct folded;

// Before OpenSSL has allocated anything in this process; later it has no effect.
void tls_memory_init(void);
// As SSL_new(). *foldable: tls_fold() may be called on it, and tls_memory_free() must be.
SSL *tls_memory_new(SSL_CTX *ctx, bool *foldable) MUST_CHECK;
void tls_memory_free(SSL *ssl);
// Nothing may use `ssl` between the two. NULL: out of memory, it stays as it is.
struct folded *tls_fold(SSL *ssl) MUST_CHECK;
void tls_unfold(SSL *ssl, struct folded *f);

#endif
