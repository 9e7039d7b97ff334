// SPDX-License-Identifier: MIT
// Limits derived from the machine. Runs in the supervisor before it forks; the children inherit
// RLIMIT_NOFILE. A session holds two descriptors (client and server), or one when a pooled server
// connection is shared over time, so half of what is left after a reserve is what can be served.
#include "process/limits.h"

#include <sched.h>
#include <sys/resource.h>

#include "base/log.h"
#include "process/listeners.h"

#define OPEN_FILES_MAX 1048576u // more is never needed and costs the kernel memory
#define OPEN_FILES_RESERVE 64u  // listeners aside: log, channel, epoll, resolver, spare
#define WORKERS_MAX 256u

static uint32_t count_cores(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof(set), &set) < 0)
        return 1;
    return (uint32_t)MAX_OF(CPU_COUNT(&set), 1);
}

static uint32_t raise_open_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 1024;
    rlim_t want = MIN_OF(limit.rlim_max, (rlim_t)OPEN_FILES_MAX);
    if (limit.rlim_cur < want) {
        struct rlimit raised = {.rlim_cur = want, .rlim_max = limit.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
            limit = raised;
    }
    return (uint32_t)MIN_OF(limit.rlim_cur, (rlim_t)OPEN_FILES_MAX);
}

uint32_t limits_connections(const struct config *config, const struct limits *l)
{
    uint32_t reserved = OPEN_FILES_RESERVE + listeners_count(config);
    uint32_t per_worker = l->open_files > reserved + 2 ? (l->open_files - reserved) / 2 : 1;
    uint64_t possible = MIN_OF((uint64_t)per_worker * l->workers, (uint64_t)UINT32_MAX / 2);
    if (config->max_connections == 0)
        return (uint32_t)possible;
    if (config->max_connections > possible)
        log_warning("max-connections is %u, but %u open files per process allow %u; raise the "
                    "limit of open files (ulimit -n, LimitNOFILE=)",
                    config->max_connections, l->open_files, (uint32_t)possible);
    return (uint32_t)MIN_OF(config->max_connections, possible);
}

struct limits limits_find(const struct config *config)
{
    struct limits l = {.workers = config->workers, .open_files = raise_open_files()};
    if (l.workers == 0)
        l.workers = count_cores();
    uint32_t sockets = listeners_handed_over(config), wanted = l.workers;
    l.workers = MIN_OF(MAX_OF(wanted, sockets), WORKERS_MAX);
    if (sockets > wanted)
        log_info("%u workers, as before the upgrade, whose sockets they serve; %u will serve after "
                 "a restart",
                 l.workers, wanted);
    l.max_connections = limits_connections(config, &l);
    return l;
}
