// SPDX-License-Identifier: MIT
// Names to addresses on a loop, by c-ares: never blocks. Used by control alone.
#ifndef EVLB_DNS_H
#define EVLB_DNS_H

#include "base/addr.h"
#include "io/loop.h"

#define DNS_ADDRS_MAX 16u

enum dns_status {
    DNS_OK,     // at least one address
    DNS_NONE,   // the name does not exist or has no address: an answer, too
    DNS_FAILED, // nobody answered, or only to say that he cannot
};

struct dns_answer {
    enum dns_status status;
    uint32_t n;
    struct addr addrs[DNS_ADDRS_MAX]; // with the port asked for, or that of the SRV record
    uint16_t weights[DNS_ADDRS_MAX];  // of the SRV records; 0 otherwise
    uint32_t ttl_ms;                  // the shortest of all that led to it
    const char *error;                // why there is none, in words; NULL with DNS_OK
};

struct dns_client;

// `servers` none: those of /etc/resolv.conf. NULL: *error says why.
struct dns_client *dns_new(struct loop *loop, const struct addr *servers, uint32_t n_servers,
                           uint32_t timeout_ms, const char **error) MUST_CHECK;
// Lookups that are under way end with DNS_FAILED. NULL is allowed.
void dns_free(struct dns_client *d);

typedef void dns_done(void *ctx, const struct dns_answer *answer);
// Asks for the addresses of a name, or for the SRV records of a service and their addresses (of
// the best priority alone; `port` is not used then). `done` is called once, perhaps at once.
void dns_lookup(struct dns_client *d, struct str name, uint16_t port, bool srv, dns_done *done,
                void *ctx);

#endif
