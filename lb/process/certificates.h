// SPDX-License-Identifier: MIT
// Certificates of a configuration: what conf/ cannot look into.
#ifndef EVLB_CERTIFICATES_H
#define EVLB_CERTIFICATES_H

#include "conf/load.h"

// config_load(), and then whether its certificates, keys (of tickets too) and ciphers can be used.
// NULL when there is an error; the findings say which, and what is suspicious.
struct config *certificates_load(const struct config_source *source, struct findings *f) MUST_CHECK;
// The second half alone: adds to the findings. False: there is an error.
bool certificates_check(const struct config *c, struct findings *f) MUST_CHECK;
// Calls `each` with every certificate of the configuration; one that several listeners share may
// come more than once.
void certificates_each(const struct config *c, void (*each)(void *ctx, const struct certificate *c),
                       void *ctx);
// Overwrites all certificates and keys, those of tickets too: for processes that are not to have
// them.
void certificates_forget(struct config *c);

#endif
