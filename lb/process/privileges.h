// SPDX-License-Identifier: MIT
// Who the children are: found out once in the supervisor, taken on in every child.
#ifndef EVLB_PRIVILEGES_H
#define EVLB_PRIVILEGES_H

#include <sys/types.h>

#include "base/base.h"
#include "base/str.h"

struct privileges {
    bool change; // become uid and gid; false: stay who we are
    uid_t uid;
    gid_t gid;
};

enum privileges_result {
    PRIVILEGES_OK,
    PRIVILEGES_UNKNOWN, // there is no such user or group; `why` says which
    PRIVILEGES_IGNORED, // we are not root: nothing can be changed; `why` says so
};

// `user` and `group` are names or numbers and may be empty (group: the user's own). Reads the user
// database: before anything is locked away.
enum privileges_result privileges_resolve(struct str user, struct str group, struct privileges *out,
                                          char *why, size_t why_size) MUST_CHECK;

// In a child: user, group, no supplementary groups, no capabilities when we are not root, no new
// privileges for ever. Returns 0 or -errno; a child that gets an error must exit.
int privileges_drop(const struct privileges *p) MUST_CHECK;

#endif
