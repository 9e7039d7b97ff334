// SPDX-License-Identifier: MIT
// Inside of io/: the small change of OpenSSL's memory.
#ifndef EVLB_TLS_BLOCKS_H
#define EVLB_TLS_BLOCKS_H

#include "base/base.h"

// As malloc() and free(), and blocks of either may be given to free() and realloc().
void *tls_block_take(size_t size) MUST_CHECK;
void tls_block_give(void *block);

#endif
