// SPDX-License-Identifier: MIT
// The seccomp filter of a worker: what a data path never needs is refused by the kernel, so that a
// worker that was taken over can neither read a file nor start a program. Reasons and limits:
// docs/decisions/0006-worker-sandbox.md.
#ifndef EVLB_SANDBOX_H
#define EVLB_SANDBOX_H

#include "base/base.h"

enum sandbox_result {
    SANDBOX_ON,
    SANDBOX_NOT_BUILT, // sanitizer build, or a processor without a filter of ours
    SANDBOX_REFUSED,   // the kernel does not take it (no seccomp)
};

// From here on, in this process for ever. Needs PR_SET_NO_NEW_PRIVS (privileges_drop).
enum sandbox_result sandbox_enter(void) MUST_CHECK;

#endif
