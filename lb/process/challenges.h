// SPDX-License-Identifier: MIT
// Answers to challenges of certificate authorities, read for workers.
#ifndef EVLB_CHALLENGES_H
#define EVLB_CHALLENGES_H

#include "process/tree.h"

// A worker's MSG_CHALLENGE; answered at once. *quiet_until_ms: until when a directory that cannot
// be read is not complained of again; 0 at first.
void challenges_hear(const struct tree *t, struct child *c, const struct message *m, const int *fds,
                     uint64_t *quiet_until_ms);

#endif
