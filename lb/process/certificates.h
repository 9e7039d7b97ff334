// SPDX-License-Identifier: MIT
// Certificates of a configuration: what conf/ cannot look into.
#ifndef EVLB_CERTIFICATES_H
#define EVLB_CERTIFICATES_H

#include "conf/load.h"

// config_load(), and then whether its certificates, keys and ciphers can be used. NULL when there
// is an error; the findings say which, and what is suspicious.
struct config *certificates_load(const struct config_source *source, struct findings *f) MUST_CHECK;
// Overwrites all certificates and keys: for processes that are not to have them.
void certificates_forget(struct config *c);

#endif
