// SPDX-License-Identifier: MIT
// Name resolution at the start, with the system's resolver. Runs in the supervisor before any
// signal is blocked (so that Ctrl-C ends a slow one) and before it forks: the children find the
// addresses in their copy of the configuration. A name that does not resolve never stops a start.
#include "process/resolve.h"

#include <netdb.h>

#include "base/log.h"

// The first address of the answer, with the server's port.
static void take_first(struct server *s, const struct addrinfo *answer)
{
    s->addr.len = answer->ai_addrlen;
    memcpy(&s->addr.sa, answer->ai_addr, answer->ai_addrlen);
    if (answer->ai_family == AF_INET)
        s->addr.ip.v4.sin_port = htons(s->port);
    else
        s->addr.ip.v6.sin6_port = htons(s->port);
}

static bool resolve_server(struct server *s)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *answer = NULL;
    char host[256];
    if (!str_copy(s->host, host, sizeof(host))) {
        log_warning("server '%.*s/%.*s': the name is too long to be resolved",
                    STR_FMT(s->backend->name), STR_FMT(s->name));
        return false;
    }
    int error = getaddrinfo(host, NULL, &hints, &answer);
    if (error != 0) {
        log_warning("server '%.*s/%.*s': %s does not resolve (%s); it gets no traffic",
                    STR_FMT(s->backend->name), STR_FMT(s->name), host, gai_strerror(error));
        return false;
    }
    bool usable = answer->ai_family == AF_INET || answer->ai_family == AF_INET6;
    if (usable)
        take_first(s, answer);
    freeaddrinfo(answer);
    return usable;
}

uint32_t resolve_servers(const struct config *config, struct board *board)
{
    uint32_t without = 0;
    for (uint32_t i = 0; i < config->n_servers; i++) {
        struct server *s = &config->servers[i];
        if (s->addr.len != 0 || s->host.len == 0)
            continue;
        if (resolve_server(s))
            board_addr_write(board, s->index, &s->addr);
        else
            without++;
    }
    return without;
}
