// SPDX-License-Identifier: MIT
// How much this process tree may take: open files, connections, workers.
#ifndef EVLB_LIMITS_H
#define EVLB_LIMITS_H

#include "conf/config.h"

struct limits {
    uint32_t workers;
    uint32_t open_files;      // of each process
    uint32_t max_connections; // of the process tree; always > 0
};

// Raises the soft limit of open files to the hard one, counts the cores, and lowers a configured
// max-connections that cannot be served (with a warning).
struct limits limits_find(const struct config *config);
// The connections alone, for a configuration that comes later.
uint32_t limits_connections(const struct config *config, const struct limits *l);

#endif
